/** The demo as a user meets it: a database of its own, a real server, and a browser. */

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

const DEMO = fileURLToPath(new URL("../../demo", import.meta.url));
const SCREENSHOTS = fileURLToPath(new URL("screenshots", import.meta.url));
const PYTHON = process.env.PYTHON ?? "python3";
const START_SECONDS = 30;
const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
]; // prettier-ignore

export const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
export const DESKTOP = { viewport: { width: 1440, height: 900 } };

/** A seeded demo on a free port. `stop()` and `start()` take the server away and bring it back. */
export class Demo {
  static async open() {
    const demo = new Demo();
    demo.folder = mkdtempSync(join(tmpdir(), "rxcrdt-demo-"));
    demo.environment = { ...process.env, DEMO_FOLDER: demo.folder, DJANGO_SETTINGS_MODULE: "project.settings" };
    demo.port = await freePort();
    demo.url = `http://127.0.0.1:${demo.port}`;
    await demo.manage("migrate", "--verbosity", "0");
    await demo.manage("seed");
    await demo.start();
    return demo;
  }

  /** Runs `manage.py` in a process of its own, and gives what it printed. */
  async manage(...args) {
    const command = [join(DEMO, "manage.py"), ...args];
    const { stdout } = await promisify(execFile)(PYTHON, command, { cwd: DEMO, env: this.environment });
    return stdout.trim();
  }

  /** Runs Python in `manage.py shell`, and gives when it was through (milliseconds) and what it printed before. */
  async shell(code) {
    const lines = ["import time", "from boards.models import *", code, "print(time.time())"];
    const printed = (await this.manage("shell", "-v", "0", "-c", lines.join("\n"))).split("\n");
    return { at: Number(printed.pop()) * 1000, printed: printed.join("\n") };
  }

  async start() {
    const options = ["--ws", "websockets-sansio", "--ws-per-message-deflate", "false", "--log-level", "warning"];
    const command = ["-m", "uvicorn", "project.asgi:application", "--port", String(this.port), ...options];
    this.server = spawn(PYTHON, command, { cwd: DEMO, env: this.environment, stdio: ["ignore", "inherit", "inherit"] });
    const deadline = Date.now() + START_SECONDS * 1000;
    while (!(await answers(`${this.url}/login/`))) {
      if (this.server.exitCode !== null) throw new Error(`The server ended with ${this.server.exitCode}.`);
      if (Date.now() > deadline) throw new Error(`The server did not answer within ${START_SECONDS} s.`);
    }
  }

  async stop() {
    const ended = once(this.server, "exit");
    this.server.kill("SIGTERM");
    await ended;
  }

  async close() {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export function openBrowser() {
  // Playwright gives each launch a new user data directory.
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
}

/** A page in a browser context of its own, signed in. Pages in one context could tell each other what is new. */
export async function signIn(browser, demo, name, options = DESKTOP) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  await page.goto(demo.url);
  await page.getByRole("button", { name }).click();
  await page.waitForURL(/boards/);
  return page;
}

/** Opens a board and waits until it is live. A reload would take the mark away: see `assertNotReloaded`. */
export async function openBoard(page, demo, pk) {
  await page.goto(`${demo.url}/boards/${pk}/`);
  await page.getByRole("status").getByText("Live").waitFor();
  await page.evaluate(() => void (window.opened = true));
}

export async function wasReloaded(page) {
  return !(await page.evaluate(() => window.opened === true));
}

/** When (milliseconds) `card` with exactly this title was first seen on the page; `null` as title: when it was gone. */
export function seen(page, pk, title) {
  const look = ([pk, title]) => {
    const card = document.querySelector(`[data-task="${pk}"]`);
    return (title === null ? card === null : card?.querySelector("h3")?.textContent === title) && Date.now();
  };
  return page.waitForFunction(look, [pk, title], { polling: 10, timeout: 15_000 }).then((handle) => handle.jsonValue());
}

/** When (milliseconds) an element of this selector with exactly this text was first seen on the page. */
export function seenText(page, selector, text) {
  // Not a locator: the longer it waits, the more seldom it looks.
  const look = ([selector, text]) =>
    [...document.querySelectorAll(selector)].some((element) => element.textContent === text) && Date.now();
  return page.waitForFunction(look, [selector, text], { polling: 10, timeout: 15_000 }).then((handle) => handle.jsonValue());
}

export async function screenshot(page, name) {
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
}

async function answers(url) {
  try {
    return (await fetch(url)).ok;
  } catch {
    await new Promise((resolve) => setTimeout(resolve, 50));
    return false;
  }
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}
