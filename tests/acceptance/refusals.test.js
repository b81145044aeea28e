/** What a page shows to somebody who may not see a board, and that it leaves the server alone then. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Demo, openBoard, openBrowser, screenshot, signIn } from "./demo.js";

const OFFICE_MOVE = 3; // Jonas is no member

let demo, browser;

before(async () => {
  demo = await Demo.open();
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  await demo?.close();
});

for (const [who, path, title] of [
  ["somebody else's board", OFFICE_MOVE, "This board is for its members"],
  ["a board that is not there", 999, "There is no such board"],
  ["an address with a mistake", "first", "There is no such board"],
]) {
  test(`${who} is refused in words, once`, async () => {
    const page = await signIn(browser, demo, "Jonas Lindqvist");
    const mine = (socket) => socket.url().endsWith(`/ws/board/${path}`);
    const first = page.waitForEvent("websocket", mine);
    await page.goto(`${demo.url}/boards/${path}/`);
    await page.getByRole("heading", { name: title }).waitFor();
    assert.deepEqual(await page.getByRole("listitem").getByRole("link").allTextContents(), ["Travel app 4.2", "Website relaunch"]);
    await screenshot(page, `refused-${path}`);
    await first;
    // Longer than y-websocket ever waits before it tries again.
    await assert.rejects(page.waitForEvent("websocket", { predicate: mine, timeout: 3000 }), /Timeout/);
    await page.context().close();
  });
}

test("who signed out in another tab is asked to sign in again", async () => {
  const page = await signIn(browser, demo, "Jonas Lindqvist");
  await openBoard(page, demo, 1);
  await page.context().clearCookies();
  await demo.stop();
  await demo.start();
  await page.getByRole("heading", { name: "You are signed out" }).waitFor();
  await page.getByRole("link", { name: "Sign in" }).click();
  await page.getByRole("button", { name: "Jonas Lindqvist" }).click();
  await page.waitForURL(/boards\/1/);
  await page.getByRole("status").getByText("Live").waitFor();
  await page.context().close();
});

test("a board that is deleted is gone from the open page", async () => {
  const page = await signIn(browser, demo, "Mira Okafor");
  await openBoard(page, demo, OFFICE_MOVE);
  await demo.shell(`Board.objects.filter(pk=${OFFICE_MOVE}).delete()`);
  await page.getByRole("heading", { name: /no such board|was deleted/ }).waitFor();
  await page.context().close();
});
