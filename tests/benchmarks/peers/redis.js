// One server of hocuspocus with its Redis extension, without sockets: it writes, or notes when others' writes come.

import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "@hocuspocus/extension-redis";
import { Hocuspocus } from "@hocuspocus/server";
import * as Y from "yjs";
import { now, serve } from "./commands.js";

let connection;
let came = [];

await serve({
  async open({ port, name, update }) {
    const hocuspocus = new Hocuspocus({ quiet: true, extensions: [new Redis({ host: "127.0.0.1", port })] });
    connection = await hocuspocus.openDirectConnection(name);
    if (update) await connection.transact((document) => Y.applyUpdate(document, readFileSync(update)));
    connection.document.getMap("Task").observeDeep((events) => {
      for (const { target } of events) came.push([target.get("title"), now()]);
    });
    return connection.document.getMap("Task").size;
  },

  async write({ titles, pause }) {
    const began = [];
    for (const [number, title] of titles.entries()) {
      began.push(now());
      const key = String(number + 1);
      await connection.transact((document) => document.getMap("Task").get(key).set("title", title));
      await sleep(pause * 1000);
    }
    return began;
  },

  async came() {
    const noted = came;
    came = [];
    return noted;
  },
});
