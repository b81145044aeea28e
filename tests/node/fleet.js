/**
 * Stock clients for a test in another language: `node fleet.js`.
 *
 * A line of stdin is JSON, a command; a line of stdout answers each. Ends with its stdin.
 */

import { createInterface } from "node:readline";
import * as Y from "yjs";

import { Client } from "./clients.js";

const AUTH = 2;
const clients = new Map();

const commands = {
  open({ name, version, url, document }) {
    clients.set(name, new Client(version, url, document));
  },
  offline({ names }) {
    for (const name of names) clients.get(name).provider.disconnect();
  },
  online({ names }) {
    for (const name of names) clients.get(name).provider.connect();
  },
  /** Of each client: all that it holds, what of it the root refers to, and what happened to its connections. */
  report() {
    return Object.fromEntries([...clients].map(([name, client]) => [name, describe(client)]));
  },
};

function describe(client) {
  return {
    state: client.state,
    tables: client.tables,
    vector: Buffer.from(Y.encodeStateVector(client.doc)).toString("base64"),
    synced: client.provider.synced,
    attempts: client.attempts,
    closes: client.closes.map(({ code }) => code),
    denied: client.frames.filter(([type]) => type === AUTH).length,
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...given } = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(commands[command](given) ?? null)}\n`);
}
process.exit(0);
