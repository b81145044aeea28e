/** A Django project with its own database and store, a real server, and a shell in another process. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { freePort } from "./tunnel.js";
import { until } from "./waiting.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PYTHON = process.env.PYTHON ?? "python3";
const START_SECONDS = 60;
const SERVER = [
  "-m", "uvicorn", "tests.asgi:application", "--host", "127.0.0.1", "--ws", "websockets-sansio",
  "--ws-per-message-deflate", "false", "--log-level", "warning",
]; // prettier-ignore

/** What is seeded: the boards of the demo, and libraries with every kind of relation in them. */
const SEED = `
plant()
Writer(7).populate()
Writer(8).populate()`;

export class Project {
  /** The server's standard error: a warning or an error there is a failure of whatever test was running. */
  complaints = "";

  static async start() {
    const project = new Project();
    process.on("exit", () => project.abandon());
    for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
    try {
      await project.open();
    } catch (error) {
      project.abandon();
      throw error;
    }
    return project;
  }

  async open() {
    this.folder = mkdtempSync(join(tmpdir(), "rxcrdt-node-"));
    this.environment = {
      ...process.env,
      DJANGO_SETTINGS_MODULE: "tests.settings",
      PYTHONPATH: [ROOT, join(ROOT, "demo")].join(":"),
      RXCRDT_TEST_DATABASE: `sqlite:///${join(this.folder, "rows.sqlite3")}`,
      RXCRDT_TEST_STORE: `sqlite:///${join(this.folder, "documents.sqlite3")}`,
    };
    const options = { cwd: ROOT, env: this.environment, stdio: ["pipe", "pipe", "inherit"] };
    this.console = spawn(PYTHON, ["-m", "tests.node.console"], options);
    this.console.stdin.on("error", () => {}); // it has ended; whoever waits for an answer is told
    this.answers = createInterface({ input: this.console.stdout })[Symbol.asyncIterator]();
    await this.python(SEED);
    this.port = await freePort();
    await this.serve();
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Runs code in the other process, one at a time, and gives its variable `answer`. */
  async python(code, given = {}) {
    const before = this.busy;
    const run = async () => {
      await before?.catch(() => {});
      this.console.stdin.write(`${JSON.stringify({ code, given })}\n`);
      const { value, done } = await this.answers.next();
      if (done) throw new Error("The Python process has ended; see what it printed above.");
      const { answer, error } = JSON.parse(value);
      if (error) throw new Error(error);
      return answer;
    };
    return (this.busy = run());
  }

  /** What the serializer gives for a document now. */
  serialized(document) {
    return this.python(`answer = serialized(*document.split("/"))`, { document });
  }

  token(username) {
    const code = `answer = Token.objects.get_or_create(user=User.objects.get(username=username))[0].key`;
    return this.python(code, { username });
  }

  /** Signs in over HTTP, at the admin's login, and gives the cookies as a header. */
  async signIn(username, password = "demo") {
    const page = `${this.url}/admin/login/`;
    const csrf = cookies(await fetch(page));
    const form = { username, password, csrfmiddlewaretoken: csrf.csrftoken, next: "/admin/" };
    const headers = { cookie: header(csrf), origin: this.url };
    const answer = await fetch(page, { method: "POST", redirect: "manual", headers, body: new URLSearchParams(form) });
    if (answer.status !== 302) throw new Error(`${username} could not sign in: ${answer.status}`);
    return header({ ...csrf, ...cookies(answer) });
  }

  /** Fills in a form of the admin and saves it, in the server's own process. */
  async submit(path, cookie, fields) {
    const token = /csrftoken=([^;]+)/.exec(cookie)[1];
    const body = new URLSearchParams({ ...fields, csrfmiddlewaretoken: token });
    const headers = { cookie, origin: this.url };
    const answer = await fetch(this.url + path, { method: "POST", redirect: "manual", headers, body });
    if (answer.status !== 302) throw new Error(`${path} was not saved: ${answer.status}\n${await answer.text()}`);
  }

  async serve() {
    this.server = spawn(PYTHON, [...SERVER, "--port", String(this.port)], {
      cwd: ROOT,
      env: this.environment,
      stdio: ["ignore", "inherit", "pipe"],
    });
    this.server.stderr.on("data", (text) => (this.complaints += text));
    await until(() => this.answersHttp(), "the server answers", START_SECONDS);
  }

  async answersHttp() {
    if (this.server.exitCode !== null) throw new Error(`The server ended.\n${this.complaints}`);
    return fetch(`${this.url}/admin/login/`).then((answer) => answer.ok, () => false);
  }

  async stop(signal = "SIGTERM") {
    if (this.server.exitCode !== null || this.server.signalCode !== null) return;
    const ended = once(this.server, "exit");
    this.server.kill(signal);
    await ended;
  }

  /** Ends everything. Throws if the server had something to complain about. */
  async close() {
    await this.stop();
    this.abandon();
    if (this.complaints) throw new Error(`The server complained:\n${this.complaints}`);
  }

  abandon() {
    this.console?.kill("SIGKILL");
    this.server?.kill("SIGKILL");
    if (this.folder) rmSync(this.folder, { recursive: true, force: true });
  }
}

function cookies(answer) {
  return Object.fromEntries(answer.headers.getSetCookie().map((cookie) => cookie.split(";")[0].split("=")));
}

function header(values) {
  return Object.entries(values).map((pair) => pair.join("=")).join("; ");
}
