/** Awareness: who is here is seen by all others, and who has left is not. */

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { Client, closeAll, VERSIONS } from "./clients.js";
import { Project } from "./project.js";
import { Tunnel } from "./tunnel.js";
import { until } from "./waiting.js";

const DOCUMENT = "board/1";
// y-websocket's clients forget whoever was silent for 30 s, and renew their own state every 15: both would hide
// what the server leaves out.
const SECONDS = 10;

let project, tunnel, token;

before(async () => {
  project = await Project.start();
  token = await project.token("mira");
});
after(() => project?.close());
beforeEach(async () => {
  tunnel = await Tunnel.to(project.port);
});
afterEach(async () => {
  closeAll();
  await tunnel.cut();
});

async function open(version, url, name) {
  const client = new Client(version, url, DOCUMENT, { params: { token } });
  client.awareness.setLocalState({ name });
  return client.synced();
}

function seenBy(client) {
  return [...client.awareness.getStates().values()].map(({ name }) => name).sort();
}

async function allSee(clients, names) {
  for (const client of clients) {
    const seen = () => seenBy(client).join() === [...names].sort().join();
    await until(seen, `${client} sees ${names}`, SECONDS).catch((error) => {
      throw new Error(`${error.message} It sees ${seenBy(client)}.`);
    });
  }
}

/**
 * A client that was cut off has forgotten all others, but not their clocks: whatever the server says, it sees them
 * with their next change. (They renew themselves every 15 s.)
 */
async function seesAgain(client, other) {
  other.awareness.setLocalState({ name: "Ada, still" });
  const names = () => seenBy(client).includes("Ada, still");
  await until(names, `${client} sees others again`, SECONDS);
  other.awareness.setLocalState({ name: "Ada" });
}

/** The other is told: a removal, with the reason "somebody said so" and not "it has been silent". */
function noteRemovals(client) {
  const removed = [];
  client.awareness.on("change", (change, origin) => {
    for (const id of change.removed) removed.push({ id, told: origin === client.provider });
  });
  return removed;
}

for (const version of VERSIONS) {
  test(`${version}: two clients see each other, each change, and the end`, async () => {
    const ada = await open(version, project.url, "Ada");
    const bob = await open(version, tunnel.url, "Bob");
    await allSee([ada, bob], ["Ada", "Bob"]);
    bob.awareness.setLocalStateField("name", "Bob, writing");
    await allSee([ada, bob], ["Ada", "Bob, writing"]);

    const removed = noteRemovals(ada);
    await tunnel.cut();
    await allSee([ada], ["Ada"]);
    assert.deepEqual(removed, [{ id: bob.doc.clientID, told: true }]);

    await tunnel.open();
    await allSee([ada], ["Ada", "Bob, writing"]);
    await seesAgain(bob, ada);
    bob.provider.disconnect();
    await allSee([ada], ["Ada"]);
    assert.equal(ada.attempts, 1);
  });

  test(`${version}: whoever changes networks is seen, though the old connection still seems alive`, async () => {
    const ada = await open(version, project.url, "Ada");
    const bob = await open(version, tunnel.url, "Bob");
    await allSee([ada, bob], ["Ada", "Bob"]);
    tunnel.loseClients();
    await until(() => !bob.provider.wsconnected, `${bob} has lost its connection`);
    bob.awareness.setLocalState({ name: "Bob, in the train" });
    await allSee([ada], ["Ada", "Bob, in the train"]);
    await tunnel.cut(); // now the old connection is dead for the server, too; and the new one
    await tunnel.open();
    bob.awareness.setLocalState({ name: "Bob, out of the train" });
    await allSee([ada], ["Ada", "Bob, out of the train"]);
    await seesAgain(bob, ada);
  });
}

test("clients of all versions see each other; who hides is not seen", async () => {
  const clients = [];
  for (const version of VERSIONS) clients.push(await open(version, project.url, version));
  await allSee(clients, VERSIONS);
  clients[0].awareness.setLocalState(null);
  await allSee(clients, VERSIONS.slice(1));
  const late = await open("3.1.0", project.url, "late");
  await allSee([late, ...clients], [...VERSIONS.slice(1), "late"]);
});
