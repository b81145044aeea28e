/**
 * Yjs itself, as the referee of engines: `node referee.mjs <file>`.
 *
 * The file is JSON: a list of logs, a log being a list of updates (base64). Each log is applied in order to an empty
 * document. Printed is, for every log, the content of all its roots after every update; all roots are `Y.Map`s.
 */

import { readFileSync } from "node:fs";
import * as Y from "yjs";

function replay(log) {
  const doc = new Y.Doc();
  return log.map((update) => {
    Y.applyUpdate(doc, Buffer.from(update, "base64"));
    return Object.fromEntries([...doc.share.keys()].map((root) => [root, doc.getMap(root).toJSON()]));
  });
}

const logs = JSON.parse(readFileSync(process.argv[2], "utf8"));
process.stdout.write(JSON.stringify(logs.map(replay)));
