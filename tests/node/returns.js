/**
 * Clients of older lineages that come back, in yjs: `node returns.js < file`.
 *
 * The first line is JSON: the documents as somebody new gets them, by name. Each further line is a client: what it
 * had, its state vector, and the server's answer. Printed is the JSON of three lists of line numbers: `wrong`, who does
 * not hold exactly what somebody new holds; `ghosts`, who would not if Yjs' own answer were all that it got; and
 * `otherVectors`, whose state vector is not the one that the answer was made for.
 */

import { isDeepStrictEqual } from "node:util";
import { createInterface } from "node:readline";
import * as Y from "yjs";

const bytes = (text) => Buffer.from(text, "base64");

function holding(...updates) {
  const doc = new Y.Doc();
  for (const update of updates) Y.applyUpdate(doc, update);
  return doc;
}

/** All there is, reachable or not. A root that is empty is as good as none. */
function tables(doc) {
  const roots = [...doc.share.keys()].map((root) => [root, doc.getMap(root).toJSON()]);
  return Object.fromEntries(roots.filter(([, table]) => Object.keys(table).length));
}

const fresh = new Map();
const found = { clients: 0, wrong: [], ghosts: [], otherVectors: [] };

for await (const line of createInterface({ input: process.stdin })) {
  const given = JSON.parse(line);
  if (!fresh.size) {
    for (const [name, update] of Object.entries(given)) {
      const doc = holding(bytes(update));
      fresh.set(name, { doc, tables: tables(doc) });
    }
    continue;
  }
  const number = found.clients++;
  const expected = fresh.get(given.document);
  const client = holding(bytes(given.had));
  const vector = Y.decodeStateVector(bytes(given.vector));
  if (!isDeepStrictEqual(Y.decodeStateVector(Y.encodeStateVector(client)), vector)) found.otherVectors.push(number);
  Y.applyUpdate(client, bytes(given.answer));
  if (!isDeepStrictEqual(tables(client), expected.tables)) found.wrong.push(number);
  const plain = holding(bytes(given.had), Y.encodeStateAsUpdate(expected.doc, bytes(given.vector)));
  if (!isDeepStrictEqual(tables(plain), expected.tables)) found.ghosts.push(number);
}
process.stdout.write(JSON.stringify(found));
