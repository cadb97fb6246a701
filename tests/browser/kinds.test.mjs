// SPDX-License-Identifier: MIT
// Messages that are more than a text or a file: polls, voices, places, cards and previews of links. Two windows; what others write is hostile.
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { axe, call, launch, Person, picture, userOf } from "./lib.mjs";

const run = String(Date.now()).slice(-6);
const ana = new Person("Ana", `+4915559${run}1`);
const ben = new Person("Ben", `+4915559${run}2`, { viewport: { width: 320, height: 700 } });
const people = [ana, ben];
const HOSTILE = '<img src=x onerror="document.title=1"> \u0645\u0631\u062d\u0628\u0627 ' + "w".repeat(50);
let browser;
let chatId; // of the two

before(async () => {
  browser = await launch(["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]);
  await Promise.all(people.map((p) => p.open(browser)));
  await Promise.all(people.map((p) => p.signIn()));
  await ana.find(ben);
  await ana.say("hello");
  await ben.enter("Ana");
  chatId = await ana.page.evaluate(() => location.hash.slice(1));
});

after(async () => {
  await browser?.close();
  for (const p of people) for (const w of [p.rest, p.ws]) w?.close();
});

/** What another client of this person sends into the chat of the two. */
async function send(p, message) {
  const token = await p.page.evaluate(() => JSON.parse(localStorage.getItem("chasqui.session")).accessToken);
  return call("POST", "/api/messages", { chatId, type: "text", ...message }, token);
}

async function attach(p, what) {
  await p.action("attach").click();
  await p.choose(what);
}

const option = (p, question, i) => p.message(question).locator(".option").nth(i);

/** How often each option was chosen, as it is shown. */
const counts = (p, question, wanted) => p.page.waitForFunction(([text, all]) => {
  const row = [...document.querySelectorAll(".message")].find((e) => e.textContent.includes(text));
  return [...row.querySelectorAll(".option .n")].map((e) => e.textContent).join() === all;
}, [question, wanted.join()]);

async function ask(p, question, options, more = async () => {}) {
  await attach(p, "Poll");
  await p.page.fill("#poll-question", question);
  for (const [i, text] of options.entries()) {
    if (i > 1) await p.action("more-options").click();
    await p.page.locator("#poll-options input").nth(i).fill(text);
  }
  await more(p.page);
}

const sendPoll = (p) => p.page.locator("#poll-form .primary").click();

test("a poll: asked, voted in by presses and keys, changed, taken back, seen by both, who chose what, and closed", async () => {
  await ask(ana, "Where <b>to</b>?", ["same", "same", HOSTILE]);
  await sendPoll(ana);
  await ana.page.locator("#poll-error", { hasText: "Two options are the same" }).waitFor();
  await ana.page.locator("#poll-options input").first().fill("Cusco");
  await ana.page.selectOption("#poll-choices", "2");
  await axe(ana, "poll-new");
  await sendPoll(ana);
  const q = "Where <b>to</b>?";
  await ben.message(q).locator(".option").nth(2).waitFor();
  assert.equal(await option(ben, q, 2).locator(".grow").textContent(), HOSTILE.trim());
  await option(ben, q, 0).click();
  await counts(ben, q, [1, 0, 0]);
  await option(ana, q, 0).focus();
  await ana.page.keyboard.press("Enter");
  await ana.page.keyboard.press("End");
  await ana.page.keyboard.press(" ");
  await counts(ana, q, [2, 0, 1]);
  await counts(ben, q, [2, 0, 1]);
  await option(ben, q, 0).click(); // taken back
  await option(ben, q, 1).click();
  for (const p of people) await counts(p, q, [1, 1, 1]);
  await option(ana, q, 1).click();
  await ana.page.locator("#notice", { hasText: "up to 2" }).waitFor();
  await axe(ana, "poll");
  await axe(ben, "poll");
  await ana.message(q).locator('[data-action="votes"]').click();
  await ana.page.locator("#votes-list h3", { hasText: "same" }).locator("+ ul li", { hasText: "Ben" }).waitFor();
  await axe(ana, "votes");
  await ana.page.keyboard.press("Escape");

  await ana.message(q).first().focus();
  await ana.page.keyboard.press("Enter");
  await ana.choose("Close the poll");
  await ana.answer(true);
  for (const p of people) await p.message(q).locator(".state", { hasText: "closed" }).waitFor();
  await option(ben, q, 2).dispatchEvent("click");
  assert.equal(await option(ben, q, 2).getAttribute("aria-disabled"), "true");
  await ben.page.reload();
  await ben.connected(true);
  await counts(ben, q, [1, 1, 1]);
  assert.equal(await option(ben, q, 1).getAttribute("aria-pressed"), "true");
  await ben.shot("poll-closed");
});

test("an anonymous poll that ends by itself waits for a connection, and tells nobody who chose what", async () => {
  const q = "Quietly?";
  await ana.cut();
  await ask(ana, q, ["yes", "no"], (page) => page.check("#poll-anonymous"));
  await ana.page.selectOption("#poll-ends", "at");
  await ana.page.fill("#poll-at", "2020-01-01T10:00");
  await sendPoll(ana);
  await ana.page.locator("#poll-error", { hasText: "a time to come" }).waitFor();
  await ana.page.fill("#poll-at", await ana.page.evaluate(() => new Date(Date.now() + 86400000 - 60000 * new Date().getTimezoneOffset()).toISOString().slice(0, 16)));
  await sendPoll(ana);
  await ana.message(q).and(ana.page.locator('[data-tick="none"]')).waitFor();
  await ana.mend();
  await option(ben, q, 1).click();
  await counts(ben, q, [0, 1]);
  await counts(ana, q, [0, 1]);
  await ben.message(q).locator(".state", { hasText: "ends" }).waitFor();
  assert.ok(await ben.message(q).locator('[data-action="votes"]').isHidden());
  await option(ben, q, 0).click(); // changed
  await counts(ben, q, [1, 0]);
  await send(ana, { content: "Quick?", poll: { options: ["a", "b"], closesIn: 2 } });
  for (const p of people) await p.message("Quick?").locator(".state", { hasText: "closed" }).waitFor();
});

test("a voice: refused in words without a microphone; recorded, paused, sent, played and moved in by keys, there after a reload", async () => {
  await ben.page.evaluate(() => (navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("no", "NotAllowedError"))));
  await ben.action("record").click();
  await ben.page.locator("#notice", { hasText: "may not use the microphone" }).waitFor();
  assert.ok(await ben.page.locator("#recording").isHidden());

  const { page } = ana;
  await ana.action("record").click();
  await page.locator("#recording").waitFor();
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => document.activeElement.id === "composer" && document.querySelector("#recording").hidden);
  await ana.action("record").click();
  await ben.page.locator("#chat-sub", { hasText: "recording" }).waitFor();
  await page.locator("#recording-time", { hasText: /0:0[4-9]|0:[1-5]\d/ }).waitFor(); // long enough for what is done while it plays
  await ana.action("recording-pause").click();
  await page.locator("#recording[data-paused]").waitFor();
  await axe(ana, "recording");
  const stood = await page.locator("#recording-time").textContent();
  await ana.action("recording-pause").click();
  await page.waitForFunction((was) => document.querySelector("#recording-time").textContent !== was, stood);
  await ana.action("recording-send").click();
  await page.waitForSelector("#send-form");

  const voice = ben.page.locator(".message .voice");
  await voice.waitFor();
  assert.match(await voice.locator(".kind").textContent(), /^\d:\d\d$/);
  assert.ok((await voice.locator("path").first().getAttribute("d")).length > 500);
  await axe(ben, "voice");
  await voice.locator("input").focus();
  await ben.page.keyboard.press("End");
  await ben.page.keyboard.press("ArrowLeft");
  const place = await voice.locator("input").getAttribute("aria-valuetext");
  assert.notEqual(await voice.locator("input").inputValue(), "0");
  await ben.page.keyboard.press("Home");
  assert.match(place, /^\d:\d\d of \d:\d\d$/);
  await voice.locator('[data-action="play"]').press("Enter");
  await ben.page.waitForFunction(() => Number(document.querySelector(".voice input").value) > 0);
  await voice.locator('[data-action="speed"]').click();
  await voice.locator('[data-action="play"][aria-label^="Play"]').waitFor(); // at its end
  await ben.page.reload();
  await ben.connected(true);
  await voice.locator("input").focus();
  for (let i = 0; i < 10; i++) await ben.page.keyboard.press("ArrowRight"); // from the middle
  const half = Number(await voice.locator("input").inputValue());
  await voice.locator('[data-action="play"]').click();
  await ben.page.waitForFunction((ms) => Number(document.querySelector(".voice input").value) > ms, half);
});

test("a place: refused in words, sent once, and a map only for who opens it", async () => {
  const asked = [];
  for (const p of people) p.page.on("request", (r) => new URL(r.url()).hostname !== "127.0.0.1" && !/^(data|blob):/.test(r.url()) && asked.push(r.url()));
  await attach(ben, "Location");
  await ben.page.locator("#place-error", { hasText: "may not know where you are" }).waitFor();
  await axe(ben, "place-refused");
  await ben.page.keyboard.press("Escape");
  await ana.context.grantPermissions(["geolocation"]);
  await ana.context.setGeolocation({ latitude: -13.51633, longitude: -71.97851, accuracy: 25 });
  await attach(ana, "Location");
  await ana.page.locator("#place-text", { hasText: "13.51633° S, 71.97851° W, to 25 m" }).waitFor();
  await ana.page.fill("#place-name", HOSTILE);
  await axe(ana, "place-new");
  await ana.page.locator("#place-send").click();
  const place = ben.page.locator(".attached", { hasText: "13.51633° S" });
  await place.waitFor();
  assert.equal(await place.locator("strong").textContent(), HOSTILE.trim());
  assert.equal(await place.locator("a").getAttribute("href"), "https://www.openstreetmap.org/?mlat=-13.516330&mlon=-71.978510#map=16/-13.516330/-71.978510");
  await ben.shot("place");
  assert.deepEqual(asked, []);
});

test("a card: of somebody known, and who it is by the server before anything is written to him", async () => {
  await attach(ben, "Contact");
  await ben.page.fill("#card-find", "ANÁ");
  await ben.page.locator("#card-people button", { hasText: "Ana" }).first().click();
  await ben.page.locator("#card-send").click();
  await ben.page.locator("#card-error", { hasText: "Write a number" }).waitFor();
  await axe(ben, "card-new");
  await ben.page.fill("#card-numbers", ana.phone);
  await ben.page.keyboard.press("Enter");
  const own = ana.page.locator(".attached", { hasText: ana.phone });
  await own.waitFor();
  assert.equal(await own.locator("button").count(), 0, "nobody writes to himself");
  await send(ben, { content: "", contact: { name: HOSTILE, numbers: ["+1 555", "110"], userId: await userOf(ben) } });
  const card = ana.page.locator(".attached", { hasText: "+1 555" });
  await card.locator("button").click();
  await ana.page.locator("#ask-title", { hasText: "Write to Ben?" }).waitFor();
  await ana.answer(true);
  await ana.page.waitForFunction(() => document.querySelector("#chat-name").textContent === "Ben");
  await axe(ana, "card");
});

test("a preview that another client made: with its picture, to its address alone, and gone with an edit", async () => {
  await ana.files([{ name: "p.png", mimeType: "image/png", buffer: await picture(ana.page, 320, 160, 200) }]);
  const mediaId = await ben.page.locator("[data-media-id]").getAttribute("data-media-id");
  const url = "https://user@example.org/x?a=<b>";
  const { message } = await send(ana, { content: `look ${url} there`, preview: { url, title: HOSTILE, description: "why ".repeat(60), mediaId } });
  const link = ben.page.locator(".linked");
  await link.locator("img").waitFor();
  assert.equal(await link.getAttribute("href"), "https://user@example.org/x?a=%3Cb%3E");
  assert.equal(await link.locator(".dim").textContent(), "example.org");
  assert.equal(await link.locator("strong").textContent(), HOSTILE.trim());
  await axe(ben, "linked");
  await axe(ana, "linked");
  const token = await ana.page.evaluate(() => JSON.parse(localStorage.getItem("chasqui.session")).accessToken);
  await call("PATCH", `/api/chats/${chatId}/messages/${message.id}`, { content: "look away" }, token);
  await link.waitFor({ state: "detached" });
  await ben.page.reload();
  await ben.connected(true);
  for (const what of ["13.51633° S", ana.phone]) await ben.page.locator(".attached", { hasText: what }).waitFor();
  assert.notEqual(await ben.page.title(), "1");
});

test("no error on the way", () => {
  for (const p of people) assert.deepEqual(p.errors, [], p.name);
});
