// SPDX-License-Identifier: MIT
// Screens of what people do beside writing: messages that go away, blocks, timers, settings, faces and texts of all kinds.
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { axe, blur, call, launch, PAGE, Person, picture } from "./lib.mjs";

const run = String(Date.now()).slice(-6);
const ana = new Person("Ana María", `+4915557${run}1`);
const ben = new Person("Ben", `+4915557${run}2`);
const people = [ana, ben];
let browser;
let ends = 0; // ms after which a message is over that says "soon"

/** See all frames, and let some messages end sooner than a server does. */
async function prepare(context) {
  this.sent = []; // {at, frame}
  this.heardAt = 0;
  await context.routeWebSocket(/\/ws$/, (near) => {
    const far = near.connectToServer();
    near.onMessage((text) => {
      const frame = JSON.parse(text);
      this.sent.push({ at: Date.now(), frame });
      if (!this.refuses || !frame.read) return far.send(text);
      this.refuses = false;
      return near.send(JSON.stringify({ t: "error", code: "slow_down", message: "too many receipts", of: "receipt", chatId: frame.chatId }));
    });
    far.onMessage((text) => {
      this.heardAt = Date.now();
      near.send(text.includes("soon") ? text.replace(/"expiresAt":\d+/, () => `"expiresAt":${Date.now() + ends}`) : text);
    });
  });
}

before(async () => {
  browser = await launch();
  for (const p of people) p.prepare = prepare;
  await Promise.all(people.map((p) => p.open(browser)));
  await Promise.all(people.map((p) => p.signIn()));
  await ana.find(ben);
  await ben.find(ana);
});

after(async () => {
  await browser?.close();
  for (const p of people) for (const w of [p.rest, p.ws]) w?.close();
});

async function menuOf(p, text, choice) {
  await p.message(text).hover();
  await p.message(text).locator(".more").click();
  await p.choose(choice);
}

async function chatMenu(p, choice) {
  await p.action("chat-menu").click();
  await p.choose(choice);
}

const lastLine = (p, other, text) => p.item(other.name).locator(".last", { hasText: text }).waitFor();
const saying = (p, text) => p.page.locator(".message", { has: p.page.locator(".text", { hasText: text }) }); // not in a quote
const isGone = (p, text) => saying(p, text).waitFor({ state: "detached" });
const closed = (p, id) => p.page.waitForSelector(`#${id}:not([open])`, { state: "attached" });

test("deleted for oneself and for everybody: on the screen, in the list and in quotes", async () => {
  await ana.say("the first words");
  await ben.sees("the first words");
  await menuOf(ben, "the first words", "Reply");
  await ben.say("my answer to that");
  await ana.sees("my answer to that");
  await lastLine(ana, ben, "my answer to that");
  await menuOf(ana, "my answer to that", "Delete for me");
  await ana.answer(true);
  await isGone(ana, "my answer to that");
  await lastLine(ana, ben, /^You: the first words$/);
  await ben.sees("my answer to that");
  await menuOf(ana, "the first words", "Delete for everyone");
  await ana.answer(true);
  await lastLine(ana, ben, /^You: This message was deleted$/);
  await ben.message("my answer to that").locator(".quote", { hasText: "This message was deleted" }).waitFor();
  await ana.page.reload();
  await ana.connected(true);
  await lastLine(ana, ben, /^You: This message was deleted$/);
  assert.equal(await ana.message("my answer to that").count(), 0);
  await menuOf(ana, "This message was deleted", "Delete for me");
  await ana.answer(true);
  await lastLine(ana, ben, "This message is gone");
  assert.equal(await ana.page.locator(".message").count(), 0);
  await axe(ana, "all-gone");
});

test("disappearing messages: chosen in a dialog, told to both, gone at their time without a reload", async () => {
  await chatMenu(ana, "Disappearing messages");
  await ana.page.waitForSelector("#timer[open]");
  await axe(ana, "timer");
  await ana.page.keyboard.press("ArrowDown"); // from "Off"
  await ana.page.keyboard.press("Enter");
  await closed(ana, "timer");
  await ana.page.locator(".event", { hasText: "You turned on disappearing messages: new ones vanish after 24 hours" }).waitFor();
  await ben.page.locator(".event", { hasText: "Ana María turned on disappearing messages" }).waitFor();
  for (const p of people) await p.page.locator("#chat-timer", { hasText: "24 h" }).waitFor();
  await ana.shot("timer-on");
  ends = 10000;
  await ana.say("gone soon");
  await ben.sees("gone soon");
  await menuOf(ben, "gone soon", "Reply");
  await ben.say("I shall remember");
  await ana.sees("I shall remember");
  await ben.page.focus("#messages .message:last-child");
  for (const p of people) await isGone(p, "gone soon");
  await ana.message("I shall remember").locator(".quote", { hasText: "This message is gone" }).waitFor();
  await ben.page.reload();
  await ben.connected(true);
  await ben.sees("I shall remember");
  assert.equal(await saying(ben, "gone soon").count(), 0);
  await ben.action("info").click();
  await ben.page.locator("#info-timer", { hasText: "24 hours" }).click();
  await ben.page.locator("#timer label", { hasText: "Off" }).click();
  await ben.page.click("#timer-save");
  await closed(ben, "timer");
  await ben.page.locator("#info-timer", { hasText: "Off" }).waitFor();
  await ben.page.keyboard.press("Escape");
  await ana.page.locator(".event", { hasText: "Ben turned off disappearing messages" }).waitFor();
  await ana.page.waitForSelector("#chat-timer", { state: "hidden" });
});

test("a block: asked first, said in the chat and in the settings; the other sees one tick", async () => {
  await ana.page.locator("#chat-sub", { hasText: "online" }).waitFor();
  await ben.action("info").click();
  await axe(ben, "contact");
  await ben.page.locator('#info [data-action="block"]').click();
  await ben.page.locator("#ask-text", { hasText: "Ana María is not told" }).waitFor();
  await axe(ben, "block");
  await ben.answer(true);
  await ben.page.waitForFunction(() => document.activeElement.id === "info-unblock");
  await ben.page.keyboard.press("Escape");
  await ben.page.locator("#blocked-note", { hasText: "You blocked Ana María." }).waitFor();
  await ben.page.waitForSelector("#send-form", { state: "hidden" });
  await axe(ben, "blocked");
  await ana.say("into the void");
  await ana.ticked("into the void", "sent");
  const [ticket] = await Promise.all([ana.page.waitForResponse(/\/api\/users\/.*\/ticket$/), ana.page.reload()]);
  assert.equal(ticket.status(), 404, "she sees no more whether he is here");
  await ana.connected(true);
  assert.equal(await ana.page.textContent("#chat-sub"), "");
  await axe(ana, "blocked-by");

  await ben.action("main-menu").click();
  await ben.choose("Settings");
  await ben.page.locator("#blocks li", { hasText: "Ana María" }).waitFor();
  await axe(ben, "settings-blocks");
  await ben.page.locator("#blocks button").click();
  await ben.page.locator("#blocks", { hasText: "Nobody" }).waitFor();
  await ben.page.keyboard.press("Escape");
  await ben.page.waitForSelector("#blocked-note", { state: "hidden" });
  await ben.say("back again");
  await ana.sees("back again");
  await ana.say("and heard again");
  await ana.ticked("and heard again", "read");
  assert.equal(await ana.tickOf("into the void"), "sent");
  assert.equal(await ben.message("into the void").count(), 0);
});

test("settings: what one shows, and to whom", async () => {
  const { page } = ana;
  const said = (words) => page.locator("#settings-said", { hasText: words }).waitFor();
  await ana.action("main-menu").click();
  await ana.choose("Settings");
  await page.waitForSelector("#settings[open]");
  await page.fill("#profile-name", "Ana María Quispe");
  await page.fill("#profile-about", "on the road");
  await page.locator("#profile-form .primary").click();
  await said("Saved");
  const file = { name: "me.png", mimeType: "image/png", buffer: await picture(page, 900, 600, 140) };
  await page.setInputFiles("#picture-file", { ...file, buffer: Buffer.from("no picture") });
  await page.locator("#settings-error", { hasText: "not a picture" }).waitFor();
  await page.setInputFiles("#picture-file", file);
  await page.locator("#my-face img").waitFor();
  await said("Saved");
  await axe(ana, "settings");

  ana.rest.cut(); // what cannot be kept is as it was
  await page.selectOption("#privacy-about", "nobody");
  await page.locator("#settings-error", { hasText: "The server does not answer" }).waitFor();
  assert.equal(await page.inputValue("#privacy-about"), "everyone");
  ana.rest.mend();
  await page.uncheck("#read-receipts");
  await said("Saved");
  await page.keyboard.press("Escape");

  await ben.page.reload(); // others see it when they look again
  await ben.connected(true);
  await ben.page.locator("#chat-face img, #chats .face img").first().waitFor();
  await ben.action("info").click();
  await ben.page.locator("#info-about", { hasText: "on the road" }).waitFor();
  await ben.page.locator("#info-face img").waitFor();
  await axe(ben, "contact-picture");
  await ben.page.keyboard.press("Escape");
  await ben.say("do you read this?");
  await ana.sees("do you read this?");
  await ana.page.waitForFunction(() => document.title === "Chasqui"); // she did
  await ben.ticked("do you read this?", "delivered");
  assert.equal(await ben.tickOf("do you read this?"), "delivered");

  const { challenge, devCode } = await call("POST", "/api/login", { phoneNumber: ana.phone });
  const tablet = await call("POST", "/api/verify", { challenge, code: devCode, platform: "web", label: "an old tablet" });
  await ana.action("main-menu").click();
  await ana.choose("Settings");
  await page.locator("#devices li", { hasText: "This browser" }).waitFor();
  await page.locator("#devices li", { hasText: "an old tablet" }).locator("button").click();
  await ana.answer(true);
  await page.locator("#devices li", { hasText: "an old tablet" }).waitFor({ state: "detached" });
  assert.equal((await fetch(new URL("/api/me", PAGE), { headers: { Authorization: `Bearer ${tablet.accessToken}` } })).status, 401);
  await page.locator("#devices").scrollIntoViewIfNeeded();
  await axe(ana, "settings-devices");
  assert.equal(await page.isChecked("#read-receipts"), false);
  await page.check("#read-receipts");
  await said("Saved");
  await page.selectOption("#privacy-picture", "nobody");
  await page.selectOption("#privacy-about", "nobody");
  await page.waitForFunction(() => document.querySelector("#settings-said").textContent === "Saved");
  await page.keyboard.press("Escape");
  await ben.action("info").click();
  await ben.page.waitForSelector("#info-face img", { state: "detached" });
  await ben.page.waitForSelector("#info-about", { state: "hidden" });
  await ben.page.keyboard.press("Escape");
});

test("texts of all kinds: long, with links, from right to left; one colour and two letters for each person", async () => {
  const long = `${"A long story. ".repeat(120)}The end.`;
  await ana.say(long);
  const row = ben.message("A long story.");
  const more = row.locator(".fold");
  await more.waitFor();
  assert.doesNotMatch(await row.textContent(), /The end\./);
  await more.focus();
  await ben.page.keyboard.press("Enter");
  await ben.page.locator(".message", { hasText: "The end." }).waitFor();
  assert.equal(await more.getAttribute("aria-expanded"), "true");
  await ben.page.keyboard.press("Enter");
  await ben.page.locator(".message", { hasText: "The end." }).waitFor({ state: "detached" });
  await ana.say("see https://example.org/a?b=c, not javascript:alert(1) or ftp://example.org/");
  await ben.sees("see https://example.org");
  const links = await ben.message("see https").locator("a").evaluateAll((all) => all.map((a) => [a.href, a.target, a.rel]));
  assert.deepEqual(links, [["https://example.org/a?b=c", "_blank", "noopener noreferrer"]]);
  await ana.say("مرحبا، كيف حالك؟");
  await ben.sees("مرحبا");
  assert.equal(await ben.message("مرحبا").locator(".text").evaluate((e) => getComputedStyle(e).direction), "rtl");
  assert.equal(await ben.page.locator(".day").first().textContent(), "Today");

  await ben.page.fill("#group-name", "Mountain trip");
  await ben.page.fill("#group-members", ana.phone);
  await ben.action("new-group").click();
  await ben.page.waitForFunction(() => document.querySelector("#chat-name").textContent === "Mountain trip");
  await ben.action("info").click();
  const face = (selector) => ben.page.locator(selector).evaluate((e) => [e.dataset.tint, e.textContent]);
  await ben.page.locator("#members li", { hasText: "Ana" }).waitFor();
  const [tint, letters] = await face(`#members li:has-text("Ana") .face`);
  assert.equal(letters, "AQ");
  assert.deepEqual(await face(`#chats li:has(.name:text("Ana")) .face`), [tint, letters]);
  await axe(ben, "members");
  await ben.page.keyboard.press("Escape");
  await ana.enter("Mountain trip");
  await ana.page.locator("#chat-name", { hasText: "Mountain trip" }).waitFor();
  await ana.page.locator("#chat-sub", { hasText: "Ben" }).waitFor();
  await chatMenu(ana, "Disappearing messages"); // a member sees how it is
  await ana.page.locator("#timer-text", { hasText: "Only admins can change it" }).waitFor();
  assert.ok(await ana.page.locator("#timer input").first().isDisabled());
  await ana.page.keyboard.press("Escape");
  await ana.enter("Ben");
  await ben.page.locator("#chats .name", { hasText: "Ana" }).click();
  await ben.page.locator("#chat-name", { hasText: "Ana" }).waitFor();
  assert.deepEqual(await face("#chat-face .face"), [tint, letters]);
  await axe(ben, "texts");
});

test("a receipt that was refused is told again; after a lost connection nothing that the server has", async () => {
  await blur(ben, true);
  await ana.say("read this once");
  await ana.ticked("read this once", "delivered");
  await ben.cut(); // so that what a sync told of the chat is from before it was read
  await ben.mend();
  ben.refuses = true;
  await blur(ben, false);
  await ana.ticked("read this once", "read");
  assert.equal(ben.refuses, false);
  const receipts = () => ben.sent.filter(({ frame }) => frame.t === "receipt");
  const since = receipts().at(-1).at;
  while (ben.heardAt - since < 1800) { // whether the server is there is asked when somebody comes back to the page
    await ben.page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    await ben.page.waitForTimeout(100);
  }
  const n = receipts().length;
  const { read } = receipts().findLast(({ frame }) => frame.read).frame;
  await ben.cut();
  await ben.mend();
  await ana.say("one more");
  await ana.ticked("one more", "read");
  const later = receipts().slice(n).map(({ frame }) => frame);
  assert.ok(later.length && later.every((f) => (f.read ?? f.delivered) > read), `told again: ${JSON.stringify(later)}, after ${read}`);
});

test("no error on the way", () => {
  for (const p of people) assert.deepEqual(p.errors, [], p.name);
});
