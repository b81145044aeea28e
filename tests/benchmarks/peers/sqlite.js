// hocuspocus with its SQLite extension, without sockets: a document is stored after each change, and loaded.

import { readFileSync } from "node:fs";
import { SQLite } from "@hocuspocus/extension-sqlite";
import { Hocuspocus } from "@hocuspocus/server";
import * as Y from "yjs";
import { now, serve } from "./commands.js";

const NAME = "board/1";
let file, connection, stored;

function start() {
  const sqlite = new SQLite({ database: file });
  // Stored at once: by default it waits until nothing was changed for 2 s, or for 10 s.
  const afterStoreDocument = async () => stored?.();
  return [new Hocuspocus({ quiet: true, debounce: 0, extensions: [sqlite], afterStoreDocument }), sqlite];
}

async function change(work) {
  const done = new Promise((resolve) => (stored = resolve));
  const before = now();
  await connection.transact(work);
  await done;
  return now() - before;
}

await serve({
  async open(given) {
    file = given.file;
    const [hocuspocus] = start();
    connection = await hocuspocus.openDirectConnection(NAME);
    await change((document) => Y.applyUpdate(document, readFileSync(given.update)));
  },

  async save({ tasks }) {
    const seconds = [];
    for (const task of tasks) {
      seconds.push(
        await change((document) => document.getMap("Task").get(String(task)).set("title", `saved at ${now()}`)),
      );
    }
    return seconds;
  },

  async load({ times }) {
    const seconds = [];
    for (let number = 0; number < times; number++) {
      const [hocuspocus, sqlite] = start();
      const before = now();
      const { document } = await hocuspocus.openDirectConnection(NAME);
      seconds.push(now() - before);
      if (!document.getMap("rxcrdt").has("root")) throw new Error("an empty document was loaded");
      sqlite.db.close();
    }
    return seconds;
  },

  async bytes() {
    return Y.encodeStateAsUpdate(connection.document).length;
  },
});
