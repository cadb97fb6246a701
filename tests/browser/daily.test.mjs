// SPDX-License-Identifier: MIT
// What somebody who keeps the page open all day relies on: the place in a chat, what counts as read, drafts, names, the
// state of the connection, questions before what cannot be undone, keys and screen readers, and a screen that is drawn sparingly.
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { axe, blur, call, launch, Person, picture, userOf } from "./lib.mjs";

const run = String(Date.now()).slice(-6);
const ana = new Person("Ana", `+4915556${run}1`);
const ben = new Person("Ben", `+4915556${run}2`);
const people = [ana, ben];
let browser;
let second; // another browser of Ana
let phone; // and her phone

before(async () => {
  browser = await launch();
  await Promise.all([ana, ben].map((p) => p.open(browser)));
  await axe(ana, "sign-in");
  await Promise.all([ana, ben].map((p) => p.signIn()));
  await ana.find(ben);
  await ben.find(ana);
});

after(async () => {
  await browser?.close();
  for (const p of people) for (const w of [p.rest, p.ws]) w?.close();
});

/** Another browser of the same person. */
async function device(p, options = {}) {
  const other = new Person(p.name, p.phone, options);
  people.push(other);
  await other.open(browser);
  await other.signIn();
  return other;
}

const fromEnd = (p) => p.page.evaluate(() => {
  const s = document.querySelector("#scroll");
  return Math.round(s.scrollHeight - s.scrollTop - s.clientHeight);
});

/** All pictures of the open chat have their bytes. */
const pictures = (p, n) => p.page.waitForFunction((wanted) => {
  const images = [...document.querySelectorAll("#messages .media img")];
  return images.length === wanted && images.every((i) => i.complete && i.naturalWidth > 0 && i.src.includes("/thumbnail"));
}, n);

/** Far more history than anybody writes in a test, below what the server has: "line 1" to "line N", from both. */
async function longHistory(p, n) {
  const me = await userOf(p);
  const line = (i) => ({
    id: `00000000-0000-4000-8000-${String(i).padStart(12, "0")}`, clientId: `line-${i}`, seq: i, type: "text",
    from: i % 3 ? me : "00000000-0000-4000-8000-000000000000", content: `line ${i}${" and more".repeat(i % 17)}`, sentAt: Date.UTC(2026, 0, 1) + i * 60000,
    deliveredAt: null, seenAt: null, reactions: [],
  });
  await p.context.route(/\/api\/chats\/[^/]+\/messages\?/, async (route) => {
    const url = new URL(route.request().url());
    const [chatId, before] = [url.pathname.split("/")[3], Number(url.searchParams.get("before") ?? Infinity)];
    if (before > n) {
      const answer = await route.fetch();
      const page = await answer.json();
      if (page.messages.length || url.searchParams.has("after")) return route.fulfill({ response: answer, json: { ...page, more: true } });
    }
    const last = Math.min(n, before - 1);
    const first = Math.max(1, last - Number(url.searchParams.get("limit")) + 1);
    const messages = Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => ({ ...line(first + i), chatId }));
    return route.fulfill({ json: { messages, more: first > 1 } });
  });
}

/** Scroll to an edge of what is drawn; → what was under the eye, how far that moved when more came, and what is there. */
const toEdge = (p, down) => p.page.evaluate(async (end) => {
  const scroll = document.querySelector("#scroll");
  const rows = () => [...document.querySelectorAll("#messages .message")];
  const edge = () => rows().at(end ? -1 : 0);
  const over = () => (end ? document.querySelector("#to-end").hidden : /^line 1( |$)/.test(edge().querySelector(".text").textContent));
  const was = edge();
  scroll.scrollTop = end ? scroll.scrollHeight : 0;
  const view = scroll.getBoundingClientRect();
  const eye = rows().find((r) => r.getBoundingClientRect().bottom > view.top + view.height / 2);
  const { top } = eye.getBoundingClientRect();
  const until = performance.now() + 15000;
  do await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  while (edge() === was && !over() && performance.now() < until);
  return { moved: Math.abs(eye.getBoundingClientRect().top - top), text: eye.querySelector(".text").textContent.slice(0, 20), rows: rows().length, over: over(), stuck: edge() === was && !over() };
}, down);

test("who is at the end stays there when pictures come, after a reload, and on another device", async () => {
  const files = [];
  for (let i = 0; i < 6; i++) files.push({ name: `p${i}.png`, mimeType: "image/png", buffer: await picture(ana.page, 300 + 120 * i, 900 - 110 * i, 50 * i) });
  await ana.files(files, "Six of them");
  for (const p of [ana, ben]) {
    await pictures(p, 6);
    assert.ok(await fromEnd(p) < 5, `${p.name} is ${await fromEnd(p)} px above the end`);
  }
  await ana.sees("Six of them");
  await ana.shot("pictures");
  await ana.page.reload();
  await ana.connected(true);
  await pictures(ana, 6);
  assert.ok(await fromEnd(ana) < 5, `after a reload ${await fromEnd(ana)} px above the end`);
  second = await device(ana);
  await second.enter("Ben");
  await pictures(second, 6);
  assert.ok(await fromEnd(second) < 5, `on another device ${await fromEnd(second)} px above the end`);
  await second.action("back").dispatchEvent("click");

  // the page's own move is told when something has already become larger below it
  const grown = await ana.page.evaluate(async () => {
    const scroll = document.querySelector("#scroll");
    const row = document.querySelector("#messages .message:last-child");
    row.style.marginBottom = "200px";
    scroll.dispatchEvent(new Event("scroll"));
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const left = Math.round(scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight);
    row.style.marginBottom = "";
    return left;
  });
  assert.ok(grown < 5, `${grown} px above the end of what grew`);

  // who reads above stays where he reads
  const eye = () => ben.page.evaluate(() => Math.round(document.querySelectorAll("#messages .media")[1].getBoundingClientRect().top));
  await ben.page.evaluate(() => document.querySelectorAll("#messages .media")[1].scrollIntoView());
  await ben.page.waitForSelector("#to-end:not([hidden])");
  const at = await eye();
  await ana.files({ name: "p7.png", mimeType: "image/png", buffer: await picture(ana.page, 800, 500, 5) });
  await pictures(ben, 7);
  assert.ok(Math.abs(await eye() - at) <= 1, `moved from ${at} to ${await eye()}`);
  await ben.action("to-end").click();
  await ben.page.waitForFunction(() => document.title === "Chasqui");
});

test("read is what was in view in a window with the focus", async () => {
  await blur(ben, true);
  for (let i = 1; i <= 30; i++) await ana.say(`unseen ${i}.`);
  await ana.ticked("unseen 30.", "delivered");
  assert.equal(await ben.item("Ana").getAttribute("data-unread"), "30");
  assert.match(await ben.page.title(), /^\(30\)/);
  const line = await ben.page.evaluate(() => document.querySelector(".unread-line").nextElementSibling.querySelector(".text").textContent);
  assert.match(line, /^unseen 1\./, "the line stands above the first of them");
  assert.equal(await ana.tickOf("unseen 1."), "delivered", "in view, but nobody looked");
  await ben.shot("unread-line");
  await blur(ben, false);
  await ana.ticked("unseen 1.", "read");
  await ben.page.waitForFunction(() => !document.querySelector('[data-unread="30"]'));
  const left = Number(await ben.item("Ana").getAttribute("data-unread"));
  assert.ok(left > 5 && left < 30, `${left} are below the view, and unread`);
  assert.equal(await ben.page.title(), `(${left}) Chasqui`);
  assert.equal(await ana.tickOf("unseen 30."), "delivered");
  await ben.action("to-end").click();
  await ana.ticked("unseen 30.", "read");
  assert.equal(await ben.page.title(), "Chasqui");
});

test("back through very many messages and forth again, without losing the place", async () => {
  const reader = second;
  await longHistory(reader, Number(process.env.LINES ?? 1200));
  await reader.page.reload(); // what it holds does not say that there is nothing older
  await reader.connected(true);
  await reader.enter("Ben");
  await reader.sees("unseen 30.");
  const walk = async (down) => {
    for (;;) {
      const step = await toEdge(reader, down);
      assert.ok(!step.stuck, `stuck at "${step.text}"`);
      assert.ok(step.moved <= 1, `"${step.text}" moved ${step.moved} px under the eye`);
      assert.ok(step.rows <= 400, `${step.rows} messages are in the page`);
      if (step.over) return;
    }
  };
  await walk(false);
  assert.match(await reader.page.locator("#messages .text").first().textContent(), /^line 1$|^line 1 /);
  await reader.shot("first-of-many");
  await walk(true);
  await reader.sees("unseen 30.");
});

test("what happens to one message is drawn in one row", async () => {
  const reader = second;
  assert.ok(await reader.page.locator("#messages .message").count() >= 150);
  await reader.page.evaluate(() => {
    window.touched = new Set();
    new MutationObserver((list) => {
      for (const m of list) {
        const row = m.target.nodeType === 1 ? m.target.closest("li") : m.target.parentElement?.closest("li");
        if (row) window.touched.add(row);
        for (const n of [...m.addedNodes, ...m.removedNodes]) if (n.tagName === "LI") window.touched.add(n);
      }
    }).observe(document.querySelector("#home"), { subtree: true, childList: true, attributes: true, characterData: true });
  });
  await reader.say("one row of mine");
  await reader.ticked("one row of mine", "read");
  const count = () => reader.page.evaluate(() => {
    const rows = [...window.touched];
    window.touched.clear();
    return { messages: rows.filter((r) => r.closest("#messages") || r.matches(".message, .day, .unread-line")).length, chats: rows.filter((r) => r.closest("#chats")).length };
  });
  const mine = await count();
  assert.ok(mine.messages <= 2 && mine.chats <= 2, `sent, stored, delivered and read: ${JSON.stringify(mine)} rows`);
  await ben.say("one row of his");
  await reader.sees("one row of his");
  const his = await count();
  assert.ok(his.messages <= 2 && his.chats <= 2, `a message of another: ${JSON.stringify(his)} rows`);
  await reader.context.close();
});

test("a draft belongs to its chat, and is there after a reload", async () => {
  await ana.page.fill("#group-name", "Harvest");
  await ana.page.fill("#group-members", ben.phone);
  await ana.action("new-group").click();
  await ana.page.waitForFunction(() => document.querySelector("#chat-name").textContent === "Harvest");
  await ana.page.fill("#composer", "only for the harvest");
  await ana.enter("Ben");
  await ana.page.waitForFunction(() => document.querySelector("#chat-name").textContent === "Ben");
  assert.equal(await ana.page.inputValue("#composer"), "");
  assert.match(await ana.item("Harvest").textContent(), /Draft: only for the harvest/);
  await ana.page.fill("#composer", "half a sen");
  const written = (text) => ana.page.waitForFunction((value) => document.querySelector("#composer").value === value, text);
  await ana.enter("Harvest");
  await written("only for the harvest");
  await ana.page.reload();
  await ana.connected(true);
  await written("only for the harvest");
  await ana.enter("Ben");
  await written("half a sen");
  await ana.page.fill("#composer", "");
});

test("people who left have names, also before their group is opened", async () => {
  const { challenge, devCode } = await call("POST", "/api/register", { name: "Cora", phoneNumber: `+4915556${run}3` });
  const cora = await call("POST", "/api/verify", { challenge, code: devCode, platform: "web", label: "a friend" });
  const members = [await userOf(ana), await userOf(ben)];
  const { chat } = await call("POST", "/api/chats", { name: "Old friends", members }, cora.accessToken);
  await call("POST", "/api/messages", { chatId: chat.chatId, content: "I shall leave you now", type: "text" }, cora.accessToken);
  await call("DELETE", `/api/chats/${chat.chatId}/members/${cora.userId}`, undefined, cora.accessToken);
  await ben.enter("Old friends");
  await ben.page.locator(".event", { hasText: "Cora left" }).waitFor();
  const other = phone = await device(ana, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  await other.page.waitForFunction(() => /Cora: I shall leave/.test(document.querySelector("#chats").textContent));
  await other.enter("Old friends");
  await other.sees("I shall leave you now");
  assert.equal(await other.page.locator(".message .from").first().textContent(), "Cora");
});

test("without a network the page says so at once, on a phone inside the chat, and in the list what waits", async () => {
  await phone.action("back").click();
  await phone.enter("Ben");
  await phone.context.setOffline(true);
  await phone.page.waitForSelector('#chat-sub[data-state="off"]', { timeout: 5000 });
  assert.match(await phone.page.textContent("#chat-sub"), /No connection/);
  await phone.say("from a tunnel");
  await phone.ticked("from a tunnel", "none");
  await phone.page.waitForFunction(() => /🕓 from a tunnel/.test(document.querySelector("#chats").textContent));
  await axe(phone, "phone-offline");
  await phone.context.setOffline(false);
  await phone.ticked("from a tunnel", "delivered");
  await phone.page.waitForFunction(() => !/🕓/.test(document.querySelector("#chats").textContent));
  await axe(phone, "phone-chat");
  await phone.action("back").click();
  await phone.page.waitForSelector('#home[data-pane="list"]');
  await axe(phone, "phone-list");
  await phone.context.close();
});

test("by keys alone: to a chat, an answer, a reaction, and back", async () => {
  await ana.page.evaluate(() => document.querySelector('[data-action="main-menu"]').focus());
  const press = (...keys) => keys.reduce((done, key) => done.then(() => ana.page.keyboard.press(key)), Promise.resolve());
  await press("Tab", "Tab", "Home", "ArrowDown", "ArrowUp"); // past the search
  const first = await ana.page.evaluate(() => document.activeElement.dataset.chatId);
  assert.equal(first, await ana.page.locator("#chats [data-chat-id]").first().getAttribute("data-chat-id"));
  await ana.item("Ben").focus();
  await press("Enter");
  await ana.page.waitForFunction(() => document.activeElement.id === "composer");
  await ana.page.keyboard.type("typed, not clicked");
  await press("Enter");
  await ana.ticked("typed, not clicked", "delivered");
  await press("Shift+Tab", "Shift+Tab");
  await ana.page.waitForFunction(() => document.activeElement.matches(".message"));
  await press("End", "Enter");
  await ana.page.waitForFunction(() => document.activeElement.closest("#menu"));
  await axe(ana, "message-menu");
  await press("ArrowDown", "Enter"); // the second sign
  await ana.page.locator(".message", { hasText: "typed, not clicked" }).locator(".mark.own").waitFor();
  await press("Escape");
  await ana.page.waitForFunction(() => document.activeElement.id === "composer");
  await press("Escape");
  await ana.page.waitForSelector("#chat", { state: "hidden" });
  await ana.page.waitForFunction(() => document.activeElement.matches("[data-chat-id]"));
});

test("an answer, an edit and a deletion are seen by both", async () => {
  await ben.enter("Ana");
  await ana.enter("Ben");
  await ben.sees("typed, not clicked");
  const row = ben.message("typed, not clicked");
  await row.hover();
  await row.locator(".more").click();
  await ben.choose("Reply");
  await ben.page.waitForSelector("#context:not([hidden])");
  await ben.say("answered");
  await ana.sees("answered");
  assert.match(await ana.message("answered").locator(".quote").textContent(), /You.*typed, not clicked/);
  await ben.page.focus("#composer");
  await ben.page.keyboard.press("ArrowUp");
  await ben.page.fill("#composer", "answered better");
  await ben.action("send").click();
  await ana.message("answered better").locator("text=edited").waitFor();
  await ben.message("answered better").hover();
  await ben.message("answered better").locator(".more").click();
  await ben.choose("Delete for everyone");
  await ben.answer(true);
  await ana.message("This message was deleted").waitFor();
  assert.equal(await ana.message("answered better").count(), 0);
  await ana.shot("changes");
});

test("who types and who is here is shown; a mention is chosen from the members", async () => {
  await ben.page.waitForFunction(() => /online/.test(document.querySelector("#chat-sub").textContent));
  await ana.page.locator("#composer").pressSequentially("thinking");
  await ben.page.waitForFunction(() => /typing/.test(document.querySelector("#chat-sub").textContent));
  await ana.page.fill("#composer", "");
  await ben.page.waitForFunction(() => /online/.test(document.querySelector("#chat-sub").textContent));
  await ana.enter("Harvest");
  await ana.page.fill("#composer", "");
  await ana.page.locator("#composer").pressSequentially("ask @b");
  await ana.page.locator("#suggest .option", { hasText: "Ben" }).waitFor();
  await axe(ana, "mention");
  await ana.page.keyboard.press("Enter");
  assert.equal(await ana.page.inputValue("#composer"), "ask @Ben ");
  await ana.page.keyboard.press("Enter");
  await ana.sees("ask @Ben");
  await ben.enter("Harvest");
  await ben.page.locator("[data-mention]", { hasText: "ask @Ben" }).waitFor();
  for (const [p, name] of [[ana, "Ben"], [ben, "Ana"]]) await p.enter(name);
});

test("a pasted picture is looked at first: with a caption, taken back, several together, too large", async () => {
  const before = await ana.page.locator("#messages .message").count();
  const paste = (files) => ana.page.evaluate((list) => {
    const data = new DataTransfer();
    for (const { name, type, size } of list) data.items.add(new File([new Uint8Array(size)], name, { type }));
    document.querySelector("#composer").dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
  }, files);
  await paste([{ name: "a.png", type: "image/png", size: 100 }]);
  await ana.page.waitForSelector("#preview[open]");
  await ana.page.keyboard.press("Escape");
  await ana.page.waitForSelector("#preview:not([open])", { state: "attached" });
  assert.equal(await ana.page.locator("#uploads li").count() + await ana.page.locator("#messages .message").count(), before, "nothing was sent");

  await paste([{ name: "large.png", type: "image/png", size: 17 << 20 }, { name: "notes.txt", type: "text/plain", size: 20 }]);
  await ana.page.locator("#picked .error", { hasText: "Pictures may have up to 16 MB" }).waitFor();
  assert.match(await ana.page.textContent("#picked .error"), /Send it as a document/);
  assert.ok(await ana.action("send-files").isDisabled());
  await axe(ana, "preview");
  await ana.page.locator("#picked button", { hasText: "As a document" }).click();
  assert.ok(await ana.action("send-files").isEnabled());
  await ana.page.locator('#picked button[aria-label="Do not send large.png"]').click();
  await ana.sendFiles("Two words about it");
  await ben.page.locator('.media a[download="notes.txt"]').waitFor();
  await ben.sees("Two words about it");
});

test("removing, leaving and signing out ask first; nothing of who signed out stays", async () => {
  await ana.enter("Harvest");
  await ana.action("info").click();
  await ana.page.locator("#members li", { hasText: "Ben" }).waitFor();
  await axe(ana, "group");
  await ana.action("remove-member").click();
  await axe(ana, "ask");
  await ana.answer(false);
  assert.equal(await ana.page.locator("#members li").count(), 2, "not removed without a yes");
  await ana.action("remove-member").click();
  await ana.answer(true);
  await ana.page.locator(".event", { hasText: "You removed Ben" }).waitFor();
  await ana.page.keyboard.press("Escape");
  await axe(ana, "chat");
  await ana.action("main-menu").click();
  await ana.choose("Sign out");
  await ana.answer(false);
  await ana.connected(true);
  await ana.page.fill("#composer", "a secret draft");
  const window2 = await ana.context.newPage();
  await window2.goto(ana.page.url());
  await window2.waitForSelector("#home:not([hidden])");
  await ana.signOut();
  for (const page of [ana.page, window2]) {
    await page.waitForSelector("#sign-in:not([hidden])");
    const left = await page.evaluate(async () => ({
      databases: (await indexedDB.databases()).map((d) => d.name), kept: Object.keys(localStorage), caches: await caches.keys(),
      text: document.body.textContent, fields: [...document.querySelectorAll('input:not([type="checkbox"]), textarea')].map((e) => e.value).join(""), address: location.hash,
    }));
    assert.deepEqual([left.databases, left.kept, left.caches, left.fields, left.address], [[], ["chasqui.before"], [], "", ""]);
    assert.doesNotMatch(left.text, /Harvest|Ben|secret|Cora/);
  }
});

test("no error on the way", () => {
  for (const p of people) assert.deepEqual(p.errors, [], p.name);
});
