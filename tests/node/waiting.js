/** Waiting for conditions, never for time. */

const LOOK_EVERY = 20; // milliseconds

/** Waits until `check` gives (or promises) something true, and gives that; throws after `seconds`. */
export async function until(check, what, seconds = 15) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const found = await check();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`Waited ${seconds} s in vain until ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
  }
}
