// A line of stdin is a command, {"do": name, …}; a line of stdout is its answer, with the CPU time and the bytes
// written since the last answer: what came from elsewhere meanwhile counts, too. The process ends with its stdin.

import { existsSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";

/** Seconds of the clock that all processes of a machine share: Python's time.monotonic(). */
export const now = () => Number(process.hrtime.bigint()) / 1e9;

/** Bytes handed to the system to be written, to files and sockets; null where the system does not count them. */
const written = () =>
  existsSync("/proc/self/io") ? Number(/^wchar: (\d+)$/m.exec(readFileSync("/proc/self/io", "utf8"))[1]) : null;

const cpu = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

export async function serve(handlers) {
  let before = [cpu(), written()];
  for await (const line of createInterface({ input: process.stdin })) {
    const { do: name, ...given } = JSON.parse(line);
    const answer = await handlers[name](given);
    const after = [cpu(), written()];
    const used = { cpu: after[0] - before[0], written: after[1] === null ? null : after[1] - before[1] };
    before = after;
    process.stdout.write(`${JSON.stringify({ ...used, answer: answer ?? null })}\n`);
  }
  process.exit(0);
}
