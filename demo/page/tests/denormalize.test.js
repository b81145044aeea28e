/** `denormalize.ts`, run by itself: esbuild, which Vite brings along, takes its types away. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { transform } from "esbuild";

const source = await readFile(new URL("../src/denormalize.ts", import.meta.url), "utf8");
const { code } = await transform(source, { loader: "ts" });
const { createDenormalizer, inOrder, tableNames } = await import(`data:text/javascript,${encodeURIComponent(code)}`);

const DESCRIPTION = {
  layout: 1,
  root: ["Board", "1"],
  layers: {
    Board: { fields: ["name", "tasks"], one: {}, many: { tasks: "Task" } },
    Task: { fields: ["title", "assignee", "labels", "tags"], one: { assignee: "Person" }, many: { labels: "Label" } },
    Label: { fields: ["name"], one: {}, many: {} },
    Person: { fields: ["name"], one: {}, many: {} },
  },
};

function tables() {
  return {
    Board: { 1: { name: "Garden" } },
    "Board.tasks": { 1: { 10: "a1", 11: "a0", 12: "a2" } },
    Task: {
      10: { title: "Dig", assignee: "5", tags: ["a"] },
      11: { title: "Sow", assignee: null, tags: [] },
      12: { title: "Water", assignee: "5", tags: [] },
    },
    "Task.labels": { 10: { 7: "a0" }, 11: {}, 12: { 7: "a0" } },
    Label: { 7: { name: "soil" } },
    Person: { 5: { name: "Ada" } },
  };
}

test("tables become the nested state, with fields in the serializer's order", () => {
  const board = createDenormalizer()(DESCRIPTION, tables());
  const ada = { name: "Ada" };
  assert.deepEqual(JSON.stringify(board), JSON.stringify({
    name: "Garden",
    tasks: [
      { title: "Sow", assignee: null, labels: [], tags: [] },
      { title: "Dig", assignee: ada, labels: [{ name: "soil" }], tags: ["a"] },
      { title: "Water", assignee: ada, labels: [{ name: "soil" }], tags: [] },
    ],
  }));
});

test("a field that the serializer left out is absent, in lists and in nodes", () => {
  const some = tables();
  delete some.Task[11].assignee;
  delete some["Task.labels"][11];
  const board = createDenormalizer()(DESCRIPTION, some);
  assert.deepEqual(board.tasks[0], { title: "Sow", tags: [] });
});

test("order keys are compared as plain strings, and a child may stand in a list twice", () => {
  assert.deepEqual(inOrder({ x: "a0", y: "Zz", z: ["a1", "A"] }), ["z", "y", "x", "z"]);
});

test("a node that is in many places is one object", () => {
  const board = createDenormalizer()(DESCRIPTION, tables());
  assert.equal(board.tasks[1].assignee, board.tasks[2].assignee);
});

test("what did not change keeps its identity, and what changed takes its parents with it", () => {
  const denormalize = createDenormalizer();
  const before = denormalize(DESCRIPTION, tables());
  assert.equal(denormalize(DESCRIPTION, tables()), before);

  const changed = tables();
  changed.Person[5].name = "Ada L.";
  const now = denormalize(DESCRIPTION, changed);
  assert.notEqual(now, before);
  assert.equal(now.tasks[0], before.tasks[0]);
  assert.equal(now.tasks[1].labels, before.tasks[1].labels);
  assert.notEqual(now.tasks[1], before.tasks[1]);
  assert.equal(now.tasks[1].assignee.name, "Ada L.");
});

test("a document whose row is gone has no state", () => {
  assert.equal(createDenormalizer()({ ...DESCRIPTION, root: null }, {}), null);
});

test("tables are named after layers and their lists", () => {
  assert.deepEqual(tableNames(DESCRIPTION.layers), ["Board", "Board.tasks", "Task", "Task.labels", "Label", "Person"]);
});
