/** y-websocket gives a connection up after 30 s without a message: a server must not be as silent as its document. */

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { Client, closeAll, VERSIONS } from "./clients.js";
import { Project } from "./project.js";

const DOCUMENT = "library/1";
const SILENCE = 70_000; // milliseconds

let project;

before(async () => {
  project = await Project.start();
});
after(() => project?.close());
afterEach(closeAll);

test("70 s of silence, and no client of any version connects again", async () => {
  const present = VERSIONS.map((version) => new Client(version, project.url, DOCUMENT));
  // Without a state of its own a client says nothing, and so has no echo to hear.
  const hidden = VERSIONS.map((version) => new Client(version, project.url, "library/2"));
  for (const client of hidden) client.awareness.setLocalState(null);
  const clients = [...present, ...hidden];
  for (const client of clients) await client.synced();

  await new Promise((resolve) => setTimeout(resolve, SILENCE));

  for (const client of clients) {
    assert.equal(client.attempts, 1, `${client} connected ${client.attempts} times`);
    assert.deepEqual(client.closes, []);
  }
  await project.python(`for library in Library.objects.all(): library.name = "Not silent"; library.save()`);
  for (const client of clients) await client.shows(await project.serialized(client.provider.roomname));
});
