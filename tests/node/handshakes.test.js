/** Who may open what: the ways to say who one is, and every refusal with its close code, given once. */

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { Client, closeAll, VERSIONS } from "./clients.js";
import { Project } from "./project.js";
import { until } from "./waiting.js";

const NOT_AUTHENTICATED = 4401;
const FORBIDDEN = 4403;
const NOT_FOUND = 4404;
const FOREIGN = "https://elsewhere.example";

const BOARD = "board/3"; // mira is a member, jonas is not
const UNSEEN = "board/4"; // jonas is no member here, either

let project, cookie, ended, mira, jonas;

before(async () => {
  project = await Project.start();
  cookie = await project.signIn("mira");
  mira = await project.token("mira");
  jonas = await project.token("jonas");
  ended = await project.signIn("mira");
  const session = /sessionid=([^;]+)/.exec(ended)[1];
  await project.python(`Session.objects.filter(session_key=session).delete()`, { session });
});
after(() => project?.close());
afterEach(closeAll);

// Functions, for what they hold is known once the project has started.
const ADMITTED = {
  "a session": () => ({ headers: { cookie, origin: project.url } }),
  "a token in the query": () => ({ params: { token: mira } }),
  "a token as a subprotocol": () => ({ protocols: [`token.${mira}`] }),
  "a token beside another subprotocol": () => ({ protocols: ["yjs", `token.${mira}`] }),
  "a token, from a page of somewhere else": () => ({ params: { token: mira }, headers: { origin: FOREIGN } }),
  "a token beside a session that has ended": () => ({
    params: { token: mira },
    headers: { cookie: ended, origin: project.url },
  }),
};

for (const [credentials, options] of Object.entries(ADMITTED)) {
  test(`${credentials} opens a board of one's own`, async () => {
    for (const version of VERSIONS) {
      const client = await new Client(version, project.url, BOARD, options()).synced();
      assert.deepStrictEqual(client.state, await project.serialized(BOARD));
      assert.equal(client.attempts, 1);
      const { protocols = [] } = options();
      assert.ok(protocols.length ? protocols.includes(client.socket.protocol) : client.socket.protocol === "");
    }
  });
}

test("a document for everybody needs no credentials", async () => {
  for (const version of VERSIONS) await new Client(version, project.url, "library/1").synced();
});

const member = () => ({ params: { token: mira } });
const stranger = () => ({ params: { token: jonas } });

const REFUSED = [
  ["no credentials", NOT_AUTHENTICATED, BOARD, () => ({})],
  ["a wrong token in the query", NOT_AUTHENTICATED, BOARD, () => ({ params: { token: "wrong" } })],
  ["a wrong token as a subprotocol", NOT_AUTHENTICATED, BOARD, () => ({ protocols: ["token.wrong"] })],
  ["a session that has ended", NOT_AUTHENTICATED, BOARD, () => ({ headers: { cookie: ended, origin: project.url } })],
  ["another user's board", FORBIDDEN, BOARD, stranger],
  ["another user's board, not opened by anybody", FORBIDDEN, UNSEEN, stranger],
  ["a session used by a foreign page", FORBIDDEN, BOARD, () => ({ headers: { cookie, origin: FOREIGN } })],
  ["a session used by no page at all", FORBIDDEN, BOARD, () => ({ headers: { cookie } })],
  ["an unknown anchor", NOT_FOUND, "plank/3", member],
  ["no pk", NOT_FOUND, "board", member],
  ["an unknown pk", NOT_FOUND, "board/999999", member],
  ["a malformed pk", NOT_FOUND, "board/third", member],
  ["a pk with more behind it", NOT_FOUND, "board/3/tasks", member],
  ["a pk in another spelling", NOT_FOUND, "board/03", member],
  ["a pk larger than the column", NOT_FOUND, `board/${"9".repeat(40)}`, member],
];

for (const [what, code, document, options] of REFUSED) {
  test(`${what}: ${code}, and no storm of reconnects`, async () => {
    const clients = VERSIONS.map((version) => new Client(version, project.url, document, options()));
    for (const client of clients) {
      const close = await refusal(client);
      assert.equal(close.code, code, `${client}: ${close.reason}`);
      assert.ok(close.reason.length > 10, "people are told why");
      assert.deepEqual(client.frames, [], `${client} was told something before`);
    }
    await assertNoStorm(clients, code);
  });
}

test("a board that is deleted while it is open: 4404, and no storm of reconnects", async () => {
  const document = await project.python(`
    board = Board.objects.create(name="Soon gone")
    board.members.add(User.objects.get(username="mira"))
    answer = f"board/{board.pk}"`);
  const clients = VERSIONS.map((version) => new Client(version, project.url, document, member()));
  for (const client of clients) await client.synced();
  await project.python(`Board.objects.get(name="Soon gone").delete()`);
  for (const client of clients) assert.equal((await refusal(client)).code, NOT_FOUND);
  await assertNoStorm(clients, NOT_FOUND);
});

test("clients that leave while their document opens are nothing to complain about", async () => {
  const clients = Array.from({ length: 20 }, () => new Client("3.1.0", project.url, BOARD, member()));
  for (const client of clients) client.socket.once("open", () => client.close());
  for (const client of clients) await refusal(client);
  await new Client("3.1.0", project.url, BOARD, member()).synced();
  assert.equal(project.complaints, "");
});

/** How the first connection ended. */
function refusal(client) {
  return until(() => client.closes[0], `${client} is closed`);
}

/** 3.1.0 takes the code for final. 3.0.0 does not, and so shows that there was time for further attempts. */
async function assertNoStorm(clients, code) {
  const [restless, final] = ["3.0.0", "3.1.0"].map((version) => clients.find((client) => client.version === version));
  await until(() => restless.attempts >= 4, `${restless} has tried again and again`);
  assert.equal(final.closed.code, code);
  assert.equal(final.attempts, 1);
  assert.equal(final.provider.shouldConnect, false);
}
