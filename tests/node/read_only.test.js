/** Nobody may write yet: a client that tries is told once, and nobody ever sees it. */

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import * as Y from "yjs";

import { Client, closeAll, VERSIONS } from "./clients.js";
import { Project } from "./project.js";
import { until } from "./waiting.js";

const DOCUMENT = "library/1";

let project;

before(async () => {
  project = await Project.start();
});
after(() => project?.close());
afterEach(closeAll);

const WRITES = {
  "a register": (doc) => doc.getMap("Library").get("1").set("title", "Mine"),
  "a new row": (doc) => doc.getMap("Shelf").set("new-1", new Y.Map([["label", "Mine"]])),
  "a deleted row": (doc) => doc.getMap("Library").delete("1"),
  "a root of its own": (doc) => doc.getText("graffiti").insert(0, "Mine"),
  "what the document says of itself": (doc) => doc.getMap("rxcrdt").set("root", null),
};

for (const version of VERSIONS) {
  for (const [what, write] of Object.entries(WRITES)) {
    test(`${version}: ${what} is told to be refused, and stays with its author`, async (t) => {
      const author = await new Client(version, project.url, DOCUMENT).synced();
      const other = await new Client("3.1.0", project.url, DOCUMENT).synced();
      const told = permissionsDenied(t);
      write(author.doc);
      await until(() => told.length, `${author} is told`);
      await assertUnharmed(author, other, `${version}: ${what}`);
      assert.deepEqual(told.length, 1, "once a connection");
    });
  }

  test(`${version}: what was written offline is refused as well`, async (t) => {
    const author = await new Client(version, project.url, DOCUMENT).synced();
    const other = await new Client("3.1.0", project.url, DOCUMENT).synced();
    const told = permissionsDenied(t);
    author.provider.disconnect();
    for (const write of Object.values(WRITES)) write(author.doc);
    author.provider.connect();
    await until(() => told.length, `${author} is told`);
    await assertUnharmed(author, other, `${version}, offline`);
    assert.equal(author.attempts, 2);
  });
}

/** What y-websocket says to its user when it gets an auth message. */
function permissionsDenied(t) {
  const told = [];
  t.mock.method(console, "warn", (text) => told.push(text));
  return told;
}

/** Neither the server, nor who was here, nor who comes later, has a trace of it; and life goes on. */
async function assertUnharmed(author, other, name) {
  const before = author.updates;
  await project.python(`library = Library.objects.get(pk=1); library.name = name; library.save()`, { name });
  const expected = await project.serialized(DOCUMENT);
  assert.equal(expected.title, name);
  await other.shows(expected);
  const late = await new Client("3.1.0", project.url, DOCUMENT).synced();
  await late.shows(expected);
  assert.deepStrictEqual(late.tables, other.tables);
  for (const client of [other, late]) {
    assert.equal(client.state.title, name);
    assert.equal(client.doc.share.has("graffiti"), false);
    assert.equal(Y.decodeStateVector(Y.encodeStateVector(client.doc)).has(author.doc.clientID), false);
  }
  assert.equal(await project.python(`answer = compare("library", 1)`), null);
  await until(() => author.updates > before, `${author} is still told what others save`);
}
