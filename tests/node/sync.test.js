/** What a client has after its first sync is what the serializer gives, and stays so while others write. */

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { Client, closeAll, VERSIONS } from "./clients.js";
import { Project } from "./project.js";
import { until } from "./waiting.js";

const BOARD = "board/1";

let project, token;

before(async () => {
  project = await Project.start();
  token = await project.token("mira");
});
after(() => project?.close());
afterEach(closeAll);

function open(version, document) {
  return new Client(version, project.url, document, { params: { token } }).synced();
}

for (const version of VERSIONS) {
  test(`${version}: the first sync is what the serializer gives, in its order`, async () => {
    const client = await open(version, BOARD);
    assert.equal(JSON.stringify(client.state), JSON.stringify(await project.serialized(BOARD)));
    assert.equal(client.updates, 0);
  });

  test(`${version}: the first sync holds every kind of relation and of value`, async () => {
    const pks = await project.python(`answer = list(Library.objects.values_list("pk", flat=True))`);
    assert.ok(pks.length >= 6);
    for (const pk of pks) {
      const client = await open(version, `library/${pk}`);
      assert.deepStrictEqual(client.state, await project.serialized(`library/${pk}`));
    }
  });

  test(`${version}: what another process saves, links, moves and deletes arrives`, async () => {
    const client = await open(version, BOARD);
    for (const code of [
      `task.title = f"{task.title}, then"; task.save()`,
      `task.labels.set(Label.objects.filter(board_id=1).exclude(tasks=task)[:2])`,
      `Label.objects.filter(board_id=1).exclude(tasks=task).first().tasks.add(task)`,
      `task.column = Column.objects.filter(board_id=1).exclude(pk=task.column_id).first(); task.save()`,
      `ChecklistItem.objects.create(task=task, text="One more")`,
      `Task.objects.filter(pk=task.pk).delete()`,
    ]) {
      const before = client.state;
      await project.python(`task = Task.objects.filter(column__board_id=1)[3]\n${code}`);
      const expected = await project.serialized(BOARD);
      assert.notDeepStrictEqual(expected, before, code);
      await client.shows(expected);
    }
    assert.equal(client.attempts, 1);
  });

  test(`${version}: what the server itself saves arrives`, async () => {
    const client = await open(version, BOARD);
    const cookie = await project.signIn("mira");
    const name = `Made for ${version}`;
    await project.submit("/admin/boards/label/add/", cookie, { board: 1, name, color: "teal" });
    await until(() => client.state.labels.some((label) => label.name === name), "the new label is there");
    await client.shows(await project.serialized(BOARD));
  });

  test(`${version}: a transaction over 50 rows is one message`, async () => {
    const client = await open(version, BOARD);
    const titles = await project.python(`
      with transaction.atomic():
          for task in Task.objects.filter(column__board_id=1):
              task.title = f"{task.title}!"
              task.save()
          for item in ChecklistItem.objects.filter(task__column__board_id=1):
              item.text = f"{item.text}!"
              item.save()
      answer = Task.objects.filter(column__board_id=1).count() + ChecklistItem.objects.filter(
          task__column__board_id=1).count()`);
    assert.ok(titles >= 50);
    await client.shows(await project.serialized(BOARD));
    assert.equal(client.updates, 1);
  });
}
