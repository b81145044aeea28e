/**
 * A Yjs document that somebody keeps open: takes updates, tells what it has become. For tests/benchmarks/endurance.py.
 *
 * stdin is a row of frames: 4 bytes of length, a letter, the rest. `u` is an update. `m` asks for the document's size,
 * `o` is an update to open from nothing, several times: both are answered with a line of JSON.
 */

import * as Y from "yjs";

const TIMES = 7;
const doc = new Y.Doc();
let waiting = Buffer.alloc(0);

const answers = {
  u(update) {
    Y.applyUpdate(doc, update);
  },
  m() {
    const structs = [...doc.store.clients.values()].reduce((sum, of) => sum + of.length, 0);
    return { bytes: Y.encodeStateAsUpdate(doc).length, structs, lineages: doc.store.clients.size };
  },
  o(update) {
    const milliseconds = Array.from({ length: TIMES }, () => {
      const began = performance.now();
      Y.applyUpdate(new Y.Doc(), update);
      return performance.now() - began;
    });
    return { milliseconds: milliseconds.sort((one, other) => one - other)[(TIMES - 1) / 2] };
  },
};

process.stdin.on("data", (data) => {
  waiting = Buffer.concat([waiting, data]);
  let at = 0;
  while (waiting.length - at >= 5 && waiting.length - at >= 5 + waiting.readUInt32BE(at)) {
    const end = at + 5 + waiting.readUInt32BE(at);
    const answer = answers[String.fromCharCode(waiting[at + 4])](waiting.subarray(at + 5, end));
    if (answer) process.stdout.write(`${JSON.stringify(answer)}\n`);
    at = end;
  }
  waiting = waiting.subarray(at);
});
