/** However a connection ends, and whatever is saved meanwhile: a client that is back has what the database has. */

import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { Client, closeAll, VERSIONS } from "./clients.js";
import { Project } from "./project.js";
import { Tunnel } from "./tunnel.js";
import { until } from "./waiting.js";

const DOCUMENT = "board/1";

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

function open(version, url) {
  return new Client(version, url, DOCUMENT, { params: { token } });
}

const LOSSES = {
  "clients that disconnect": {
    lose: (clients) => clients.forEach((client) => client.provider.disconnect()),
    find: (clients) => clients.forEach((client) => client.provider.connect()),
  },
  "a line that is dead": {
    lose: () => tunnel.cut(),
    find: () => tunnel.open(),
  },
  "a server that is restarted": {
    lose: () => project.stop("SIGTERM"),
    find: () => project.serve(),
  },
  "a server that is killed": {
    lose: () => project.stop("SIGKILL"),
    find: () => project.serve(),
  },
  "a server that lost its store": {
    lose: () => project.stop("SIGTERM"),
    find: () => {
      const store = join(project.folder, "documents.sqlite3");
      for (const suffix of ["", "-wal", "-shm"]) rmSync(store + suffix, { force: true });
      return project.serve();
    },
  },
};

/** 50 commits and more of a process that is not the server: saves and deletes, moves and links, at random. */
function write50(seed) {
  return project.python(`
    import random
    chance = random.Random(seed)
    def row(model):
        return chance.choice(list(model.objects.order_by("pk")))
    for number in range(50):
        task = row(Task)
        kind = number % 10
        if kind < 4:
            task.title, task.estimate = f"Task {seed}.{number}", chance.choice([None, 1, "2.5"])
            task.save()
        elif kind == 4:
            task.column, task.position = row(Column), ""
            task.save()
        elif kind == 5:
            task.labels.set([row(Label), row(Label)])
        elif kind == 6:
            task = Task.objects.create(column=row(Column), title=f"New {seed}.{number}", assignee=row(User))
            ChecklistItem.objects.create(task=task, text="First")
            Comment.objects.create(task=task, author=row(User), text="New here")
        elif kind == 7:
            row(ChecklistItem).delete()
        elif kind == 8:
            Comment.objects.filter(pk=row(Comment).pk).delete()
        else:
            task.delete()`, { seed });
}

let seed = 100;

for (const [loss, { lose, find }] of Object.entries(LOSSES)) {
  test(`${loss}: 50 saves and deletes later all versions are back, and equal`, async () => {
    const clients = VERSIONS.map((version) => open(version, tunnel.url));
    for (const client of clients) await client.synced();
    const before = await project.serialized(DOCUMENT);
    await lose(clients);
    for (const client of clients) await until(() => !client.provider.wsconnected, `${client} is cut off`);

    await write50(++seed);
    const expected = await project.serialized(DOCUMENT);
    assert.notDeepStrictEqual(expected, before, "the document is another one now");
    for (const client of clients) assert.deepStrictEqual(client.state, before, `${client} is still cut off`);

    await find(clients);
    for (const client of clients) {
      await client.shows(expected);
      assert.ok(client.attempts > 1);
    }
    await assertNothingLeftOver(clients);

    await write50(++seed);
    for (const client of clients) await client.shows(await project.serialized(DOCUMENT));
  });
}

/** The nested state shows what is reachable; the tables must not hold more than those of somebody new, either. */
async function assertNothingLeftOver(clients) {
  const fresh = await open("3.1.0", project.url).synced();
  for (const client of clients) assert.deepStrictEqual(client.tables, fresh.tables, `${client} has leftovers`);
}
