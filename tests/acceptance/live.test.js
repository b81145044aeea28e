/** The main promise: what is saved in Django, by whomever, is on every open page within a second. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Demo, openBoard, openBrowser, PHONE, screenshot, seen, seenText, signIn, wasReloaded } from "./demo.js";

const BOARD = 1;
const A_SECOND = 1000;

let demo, browser, mira, jonas, phone, pages;

before(async () => {
  demo = await Demo.open();
  browser = await openBrowser();
  mira = await signIn(browser, demo, "Mira Okafor");
  jonas = await signIn(browser, demo, "Jonas Lindqvist");
  phone = await signIn(browser, demo, "Priya Raman", PHONE);
  pages = [mira, jonas, phone];
  for (const page of pages) await openBoard(page, demo, BOARD);
});

after(async () => {
  await browser?.close();
  await demo?.close();
});

/** All pages show it within a second of `saved`, without a reload. */
async function assertSeenInTime(t, saved, sightings) {
  const delays = (await Promise.all(sightings)).map((at) => Math.round(at - saved));
  t.diagnostic(`seen after ${delays.join(", ")} ms`);
  for (const delay of delays) assert.ok(delay < A_SECOND, `seen ${delay} ms after it was saved`);
  for (const page of pages) assert.equal(await wasReloaded(page), false);
}

async function taskNamed(title) {
  return Number((await demo.shell(`print(Task.objects.get(title=${JSON.stringify(title)}).pk)`)).printed);
}

test("a task saved in the admin is on all open pages within a second", async (t) => {
  const pk = await taskNamed("Dark mode");
  const admin = await mira.context().newPage();
  await admin.goto(`${demo.url}/admin/boards/task/${pk}/change/`);
  await admin.getByLabel("Title:").fill("Dark mode, by popular demand");
  await admin.getByLabel("Assignee:").selectOption({ label: "aiko" });

  const sightings = pages.map((page) => seen(page, pk, "Dark mode, by popular demand"));
  const answered = admin.waitForResponse((response) => response.request().method() === "POST");
  const clicked = Date.now(); // the second includes what the admin does before it saves
  await admin.getByRole("button", { name: "Save", exact: true }).click();
  assert.equal((await answered).status(), 302);

  await assertSeenInTime(t, clicked, sightings);
  await jonas.locator(`[data-task="${pk}"]`).getByLabel("Aiko Tanabe").waitFor();
  await screenshot(jonas, "desktop");
  await screenshot(phone, "phone");
  await admin.close();
});

test("a task saved in another process is on all open pages within a second", async (t) => {
  const pk = await taskNamed("Checkout in one page");
  const sightings = pages.map((page) => seen(page, pk, "Checkout on one page"));
  const { at } = await demo.shell(`task = Task.objects.get(pk=${pk}); task.title = "Checkout on one page"; task.save()`);
  await assertSeenInTime(t, at, sightings);
});

test("a new task, its checklist and its labels appear on all open pages within a second", async (t) => {
  const title = "Opening hours at Christmas";
  const sightings = pages.map((page) => seenText(page, ".card h3", title));
  const { at } = await demo.shell(`
from django.db import transaction
with transaction.atomic():
    column = Column.objects.get(board=${BOARD}, name="Next")
    task = Task.objects.create(column=column, title="${title}")
    task.labels.set(Label.objects.filter(board=${BOARD}, name__in=["Shop", "Content"]))
    ChecklistItem.objects.create(task=task, text="Ask both shops", done=True)
    ChecklistItem.objects.create(task=task, text="Holidays in Sweden")`);
  await assertSeenInTime(t, at, sightings);
  const card = jonas.getByRole("link", { name: title });
  assert.deepEqual(await card.locator(".tag").allTextContents(), ["Content", "Shop"]);
  assert.equal(await card.locator(".ticked .fact").textContent(), "1/2");
});

test("tasks deleted by a queryset are gone from all open pages within a second", async (t) => {
  const pk = await taskNamed("Reviews with photographs");
  const sightings = pages.map((page) => seen(page, pk, null));
  const { at, printed } = await demo.shell(`print(Task.objects.filter(pk=${pk}).delete()[1]["boards.Task"])`);
  assert.equal(printed, "1");
  await assertSeenInTime(t, at, sightings);
});

test("an open task stays live", async (t) => {
  await jonas.getByText("Checkout on one page").click();
  await phone.locator(".column", { hasText: "In progress" }).scrollIntoViewIfNeeded();
  await phone.getByText("Checkout on one page").click();
  const said = [jonas, phone].map((page) => seenText(page, "dialog .comments p", "I am on it."));
  const { at } = await demo.shell(`
from django.contrib.auth.models import User
task = Task.objects.get(title="Checkout on one page")
item = task.checklist.get(text="Payment")
item.done = True
item.save()
Comment.objects.create(task=task, author=User.objects.get(username="tomas"), text="I am on it.")`);
  await assertSeenInTime(t, at, said);
  assert.equal(await jonas.getByRole("dialog").getByText("3 of 6").count(), 1);
  await screenshot(jonas, "desktop-task");
  await screenshot(phone, "phone-task");
  for (const page of [jonas, phone]) await page.getByRole("button", { name: "Close" }).click();
});

test("a page that lost its server says so, and catches up by itself", async () => {
  const pk = await taskNamed("Choose the typefaces");
  await demo.stop();
  await jonas.getByRole("status").getByText("Reconnecting").waitFor();
  await demo.shell(`task = Task.objects.get(pk=${pk}); task.title = "Typefaces chosen"; task.save()`);
  await demo.start();
  await Promise.all(pages.map((page) => seen(page, pk, "Typefaces chosen")));
  for (const page of pages) {
    await page.getByRole("status").getByText("Live").waitFor();
    assert.equal(await wasReloaded(page), false);
  }
});
