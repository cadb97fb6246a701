// SPDX-License-Identifier: MIT
// What brings order into many chats: archive, pins and marks, drafts on all devices, search, pinned and starred messages, and what a
// group says of itself and lets its members do; and a device that another one lets in.
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { axe, call, launch, Person, userOf } from "./lib.mjs";

const run = String(Date.now()).slice(-6);
const ana = new Person("Ana", `+4915558${run}1`);
const ben = new Person("Ben <b>&", `+4915558${run}2`);
const tablet = new Person("Ana", ana.phone, { viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true });
const laptop = new Person("Ana", ana.phone);
const people = [ana, ben, tablet, laptop];
const GROUP = 'Trip "to" the moon';
let browser;
let tokens; // to write many messages at once
let chatId; // of the two

before(async () => {
  browser = await launch();
  await Promise.all(people.map((p) => p.open(browser)));
  await Promise.all([ana, ben].map((p) => p.signIn()));
  await tablet.signIn();
  await ana.find(ben);
  await ben.find(ana);
  chatId = await ana.page.evaluate(() => location.hash.slice(1));
  tokens = await Promise.all([ana, ben].map((p) => p.page.evaluate(() => JSON.parse(localStorage.getItem("chasqui.session")).accessToken)));
  await ana.say("the very first words about llamas");
  await ben.sees("the very first words");
  await ana.page.fill("#group-name", GROUP);
  await ana.page.fill("#group-members", ben.phone);
  await ana.action("new-group").click();
  await ana.page.waitForFunction((name) => document.querySelector("#chat-name").textContent === name, GROUP);
});

after(async () => {
  await browser?.close();
  for (const p of people) for (const w of [p.rest, p.ws]) w?.close();
});

const named = (p, name) => p.page.locator("#chats li", { has: p.page.locator(".name", { hasText: name }) });

async function listMenu(p, name, choice) {
  await named(p, name).locator(".chat-item").click({ button: "right" });
  await p.choose(choice);
}

async function menuOf(p, text, choice) {
  await p.message(text).first().hover();
  await p.message(text).first().locator(".more").click();
  await p.choose(choice);
}

const names = (p) => p.page.locator("#chats [data-chat-id] .name").allTextContents();
const first = (p, name) => p.page.waitForFunction((n) => document.querySelector("#chats [data-chat-id] .name")?.textContent === n, name);

test("a chat is pinned, marked unread, muted and archived from its menu, on all devices; by keys, too", async () => {
  await first(ana, GROUP);
  await listMenu(ana, "Ben", "Pin to the top");
  await first(ana, ben.name);
  await first(tablet, ben.name);
  await listMenu(ana, GROUP, "Mark as unread");
  await named(tablet, "moon").locator(".unread").waitFor();
  await listMenu(ana, GROUP, "Mute");
  await ana.choose("Always");
  await named(tablet, "moon").locator('.signs .icon:has([href="#i-mute"]):not([hidden])').waitFor();
  await named(ana, "moon").locator('.chat-item[aria-label*="marked unread, muted"]').waitFor();

  await named(ana, "moon").locator(".chat-item").press("Shift+F10"); // the menu key
  await ana.page.locator("#menu:popover-open").waitFor();
  await axe(ana, "list-menu");
  await ana.page.keyboard.press("End");
  await ana.page.keyboard.press("Enter"); // "Archive"
  for (const p of [tablet, ana]) await named(p, "moon").waitFor({ state: "detached" });
  assert.deepEqual(await names(ana), [ben.name]);
  await ana.page.waitForFunction(() => document.activeElement?.matches("#chats .chat-item"));
  await tablet.page.locator('[data-action="archived"]', { hasText: "Archived" }).tap();
  await named(tablet, "moon").waitFor();
  await axe(tablet, "archive");
  await tablet.action("all-chats").tap();
  await named(tablet, "Ben").waitFor();
  await ana.action("archived").click();
  await listMenu(ana, GROUP, "Take out of the archive");
  await named(ana, "Ben").waitFor(); // the empty folder is left
  await named(tablet, "moon").waitFor();
  await ana.action("chat-menu").click(); // the group is open: its mark went with the next look at it
  await ana.choose("Unmute");
  await named(tablet, "moon").locator('.signs .icon:has([href="#i-mute"]):not([hidden])').waitFor({ state: "detached" });
  await ana.page.reload();
  await ana.connected(true);
  await first(ana, ben.name);
  await named(ana, "moon").waitFor();
  assert.deepEqual(await names(ana), [ben.name, GROUP]);
});

test("what is begun on one device stands in the field of the other, and is over when it is sent from there", async () => {
  await ana.enter(ben.name);
  await ana.page.fill("#composer", "shall we meet at");
  await named(tablet, "Ben").locator(".draft", { hasText: "shall we meet at" }).waitFor();
  await named(tablet, "Ben").locator(".chat-item").tap();
  await tablet.page.waitForFunction(() => document.querySelector("#composer").value === "shall we meet at");
  await tablet.page.locator("#composer").pressSequentially(" noon?");
  await ana.page.waitForFunction(() => document.querySelector("#composer").value === "shall we meet at noon?");
  await tablet.action("send").tap();
  await ben.sees("shall we meet at noon?");
  await ana.page.waitForFunction(() => document.querySelector("#composer").value === "");
  await tablet.action("back").tap();
  await tablet.page.reload();
  await tablet.connected(true);
  await named(tablet, "Ben").locator(".last", { hasText: "You: shall we meet at noon?" }).waitFor();
});

test("pinned and starred: a bar above the chat, a list, and from both to the message", async () => {
  for (const text of ["one to keep", "two <i>to</i> keep"]) {
    await ana.say(text);
    await ben.sees(text);
    await menuOf(ana, text, "Pin");
    await ben.page.locator("#pins-text", { hasText: text }).waitFor();
  }
  await ben.page.locator(".event", { hasText: "Ana pinned a message" }).first().waitFor();
  await menuOf(ben, "one to keep", "Star");
  await ben.message("one to keep").locator(".foot .icon:not([hidden])").waitFor();
  assert.equal(await ana.message("one to keep").locator(".foot .icon:not([hidden])").count(), 0, "his alone");
  await axe(ben, "pins");
  const line = (i) => call("POST", "/api/messages", { chatId, content: `line ${i} of a long story`, type: "text" }, tokens[i % 2]);
  for (const from of [0, 23, 46]) await Promise.all(Array.from({ length: 23 }, (_, i) => line(from + i)));
  await line(69);
  await ben.sees("line 69 of");
  await ben.page.reload();
  await ben.connected(true);
  await ben.page.locator("#pins-title", { hasText: "Pinned message 1 of 2" }).waitFor();
  await ben.action("go-pin").click();
  await ben.page.locator(".message.found", { hasText: "two <i>to</i> keep" }).waitFor();
  await ben.page.locator("#pins-title", { hasText: "2 of 2" }).waitFor();
  await ben.action("pins-menu").click();
  await ben.choose("Unpin “two");
  await ana.page.locator("#pins-title", { hasText: /^Pinned message$/ }).waitFor();
  await ben.action("main-menu").click();
  await ben.choose("Starred messages");
  await ben.page.locator("#starred-list .last", { hasText: "one to keep" }).waitFor();
  await axe(ben, "starred");
  await ben.page.locator("#starred-list .chat-item").press("Enter");
  await ben.page.locator(".message.found", { hasText: "one to keep" }).waitFor();
  await menuOf(ben, "one to keep", "Remove star");
  await ben.message("one to keep").locator(".foot .icon:not([hidden])").waitFor({ state: "detached" });
});

test("one message: sent on to another chat, and who has it", async () => {
  await menuOf(ana, "two <i>to</i> keep", "Forward");
  await ana.page.fill("#forward-find", "TRÏP");
  await ana.page.locator("#forward-chats label", { hasText: "moon" }).click();
  await axe(ana, "forward");
  await ana.page.click("#forward-send");
  await ana.page.waitForFunction((name) => document.querySelector("#chat-name").textContent === name, GROUP);
  await ana.page.locator(".message", { hasText: "two <i>to</i> keep" }).locator(".kind", { hasText: "Forwarded" }).waitFor();
  await named(ben, "moon").locator(".last", { hasText: "Ana: two <i>to</i> keep" }).waitFor();
  await ana.ticked("two <i>to</i> keep", "delivered");
  await menuOf(ana, "two <i>to</i> keep", "Info");
  await ana.page.locator("#has-text", { hasText: "two <i>to</i> keep" }).waitFor();
  await ana.page.locator("#has-list li", { hasText: "Ben <b>&" }).locator(".dim", { hasText: "Delivered" }).waitFor();
  await axe(ana, "receipts");
  await ana.page.keyboard.press("Escape");
  await ana.enter(ben.name);
});

test("several messages at once: chosen by presses and keys, starred and taken away", async () => {
  const { page } = ana;
  const said = (i) => page.locator(".message", { hasText: `line ${i} of` });
  await menuOf(ana, "line 66 of", "Select");
  await said(64).click();
  await said(68).press(" ");
  await page.locator("#selecting-count", { hasText: "3 selected" }).waitFor();
  assert.ok(await page.locator("#send-form").isHidden());
  await axe(ana, "selecting");
  await page.locator('[data-action="star-selected"]').click();
  for (const i of [64, 66, 68]) await said(i).locator(".foot .icon:not([hidden])").waitFor();
  await menuOf(ana, "line 66 of", "Select");
  await said(64).click();
  await page.locator('[data-action="hide-selected"]').click();
  await page.locator("#ask-text", { hasText: "2 messages are taken away" }).waitFor();
  await ana.answer(true);
  for (const i of [64, 66]) await said(i).waitFor({ state: "detached" });
  await menuOf(ana, "line 68 of", "Select");
  await page.keyboard.press("Escape");
  await page.waitForSelector("#send-form");
});

test("search: chats by name, messages by words, in one chat or of one person, and to what was found", async () => {
  const { page } = ana;
  await page.fill("#search", "ben");
  await page.locator("#found-list mark", { hasText: "Ben" }).waitFor();
  await page.locator("#found-chips .chip", { hasText: "From Ben <b>&" }).waitFor();
  await page.fill("#search", "LLAMÁ");
  const hit = page.locator("#found-list .last", { hasText: "You: the very first words about llamas" });
  await hit.locator("mark", { hasText: /^llama$/ }).waitFor();
  await axe(ana, "found");
  await page.press("#search", "ArrowDown");
  await page.keyboard.press("Enter");
  await page.locator(".message.found", { hasText: "the very first words about llamas" }).waitFor();
  await page.locator("#to-end").click();
  await ana.message("line 69 of").waitFor();
  await page.focus("#search");
  await page.keyboard.press("Escape");
  await page.locator("#found").waitFor({ state: "hidden" });

  await ana.action("chat-menu").click();
  await ana.choose("Search in this chat");
  await page.locator("#found-chips .chip[aria-pressed=true]", { hasText: "In Ben" }).waitFor();
  await page.waitForFunction(() => document.activeElement.id === "search");
  await page.keyboard.type("noon");
  await page.locator("#found-list .last", { hasText: "shall we meet at noon?" }).waitFor();
  await page.fill("#search", "Ben");
  await page.locator(".chip", { hasText: "From Ben" }).click();
  await page.keyboard.type("noon");
  await page.locator("#found-list .note-line", { hasText: "Nothing was found." }).waitFor();
  for (let n = 2; n > 0; n--) await page.locator(".chip[aria-pressed=true]").first().click();
  await page.keyboard.type("one two three four five six seven eight nine");
  await page.locator(".note-line", { hasText: "up to 8 words" }).waitFor();
  await page.keyboard.press("Escape");

  await tablet.page.fill("#search", "llamas");
  await tablet.page.locator("#found-list mark", { hasText: "llamas" }).waitFor();
  await axe(tablet, "found");
  await tablet.page.locator("#found-list .last").tap();
  await tablet.page.locator(".message.found", { hasText: "llamas" }).waitFor();
  await tablet.action("back").tap();
  await tablet.page.locator("#found-list mark", { hasText: "llamas" }).waitFor(); // as it was left
  await tablet.page.fill("#search", "");
});

test("a group says what it is about, and who may do what; who may not write is told so", async () => {
  await ana.enter(GROUP);
  await ana.action("info").click();
  await ana.action("edit-description").click();
  await ana.page.fill("#description", "Bring <b>boots</b>.\nمرحبا");
  await axe(ana, "description");
  await ana.page.locator("#description-form .primary").click();
  await ana.page.locator("#description-text", { hasText: "Bring <b>boots</b>." }).waitFor();
  await ana.page.selectOption("#right-send", "admins");
  await ben.enter(GROUP);
  await ben.page.locator("#not-allowed").waitFor();
  await ben.page.waitForSelector("#send-form", { state: "hidden" });
  await ben.page.locator(".event", { hasText: "Ana let only admins send messages" }).waitFor();
  await ben.action("info").click();
  await ben.page.locator("#description-text", { hasText: "Bring <b>boots</b>." }).waitFor();
  await ben.page.locator("#rights .setting", { hasText: "Send messages" }).locator(".dim", { hasText: "Only admins" }).waitFor();
  assert.ok(await ben.page.locator("#rename-form").isHidden());
  await axe(ana, "group-info");
  await ana.page.selectOption("#right-info", "everyone");
  await ben.page.locator("#rename-form").waitFor();
  await ben.page.keyboard.press("Escape");
  const userId = await userOf(ben);
  await ana.page.locator(`#members [data-user-id="${userId}"] [data-action="promote"]`).click();
  await ben.page.waitForSelector("#send-form");
  await ana.page.keyboard.press("Escape");
});

test("a new browser is let in by one that is signed in: scanned and refused, typed and approved; all others are signed out", async () => {
  const { page } = laptop;
  await laptop.action("link").click();
  const code = async (but = "") => (await page.waitForFunction((old) => {
    const text = document.querySelector("#link-text").textContent.replaceAll(" ", "");
    return text !== old && text;
  }, but)).jsonValue();
  const one = await code();
  assert.match(one, /^[\w-]{22}$/);
  await page.locator("#link-qr path").waitFor({ state: "attached" });
  await axe(laptop, "link-code");

  await ana.page.evaluate((text) => { // a camera that sees the code
    window.BarcodeDetector = class { detect = async () => [{ rawValue: text }]; };
    navigator.mediaDevices.getUserMedia = async () => document.createElement("canvas").captureStream();
  }, one);
  await ana.action("main-menu").click();
  await ana.choose("Settings");
  await ana.action("link-device").click();
  await ana.page.fill("#link-code", "nonsense");
  await ana.page.press("#link-code", "Enter");
  await ana.page.locator("#link-error", { hasText: "not the code of a new device" }).waitFor();
  await ana.action("scan").click();
  await ana.page.locator("#link-network", { hasText: "the network that you are in" }).waitFor();
  await ana.action("link-refuse").click();
  const two = await code(one); // the next one
  await ana.action("link-device").click();
  await ana.page.fill("#link-code", `${two.slice(0, 11)} ${two.slice(11)}`);
  await ana.page.press("#link-code", "Enter");
  await ana.page.locator("#link-ask").waitFor();
  await axe(ana, "link-ask");
  await ana.action("link-approve").click();
  await page.locator("#link-number", { hasText: ana.phone }).waitFor();
  await axe(laptop, "link-mine");
  await laptop.action("link-mine").click();
  await laptop.connected(true);
  await named(laptop, "moon").waitFor();
  await laptop.context.route(/messages\?(before|after)=\d+&limit=50/, (route) => route.continue({ url: route.request().url().replace("limit=50", "limit=5") }));
  await page.fill("#search", "llamas"); // far above what this browser has
  await page.locator("#found-list .last mark").click();
  await page.locator(".message.found", { hasText: "the very first words about llamas" }).waitFor();
  await page.locator("#to-end").click();
  await laptop.message("line 69 of").waitFor();
  await ana.page.locator("#devices li").nth(2).waitFor();
  await ana.action("end-devices").click();
  await ana.answer(true);
  for (const p of [laptop, tablet]) await p.page.waitForSelector("#sign-in:not([hidden])");
  await ana.page.locator("#devices li").nth(1).waitFor({ state: "detached" });
  await ana.page.locator("#devices").scrollIntoViewIfNeeded();
  await axe(ana, "devices");
  await ana.page.keyboard.press("Escape");
});

test("no error on the way", () => {
  for (const p of people) assert.deepEqual(p.errors, [], p.name);
});
