// SPDX-License-Identifier: MIT
// Groups as people live with them: what happened in one, on every device; links by which others join; its picture, its files. And accounts: another number,
// the end of one, and what others see then; and what a push shows while the page is closed.
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { axe, call, launch, PATIENCE_MS, Person, picture, userOf } from "./lib.mjs";

const run = String(Date.now()).slice(-6);
const ana = new Person("Ana", `+4915557${run}1`);
const ben = new Person("Ben <b>&", `+4915557${run}2`, { viewport: { width: 320, height: 640 } });
const laptop = new Person("Ben again", ben.phone);
const cora = new Person("Cora", `+4915557${run}3`, { viewport: { width: 320, height: 640 } });
const people = [ana, ben, laptop, cora];
const PUSH_KEY = "BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM";
const GROUP = "Hikers <i>&amp;";
let browser;
let chatId;
let token; // Ana's
const told = []; // to the server, about pushes

/** A browser that has a push service, and a server with a key for it: neither is here. */
laptop.prepare = async (context) => {
  await context.grantPermissions(["notifications"]);
  await context.route("**/api/config", async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, json: { ...(await answer.json()), wsUrl: `ws://127.0.0.1:${laptop.ws.port}/ws`, webPushKey: PUSH_KEY } });
  });
  await context.route("**/api/devices/*/push", (route) => {
    told.push([route.request().method(), route.request().postDataJSON()]);
    return route.fulfill({ json: {} });
  });
  await context.addInitScript(() => {
    let subscription = null;
    PushManager.prototype.getSubscription = async () => subscription;
    PushManager.prototype.subscribe = async ({ applicationServerKey, userVisibleOnly }) => (subscription = {
      options: { applicationServerKey: Uint8Array.from(atob(applicationServerKey.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0)).buffer, userVisibleOnly },
      toJSON: () => ({ endpoint: "https://push.example/1", expirationTime: null, keys: { p256dh: "p", auth: "a" } }),
      unsubscribe: async () => Boolean((subscription = null) ?? true),
    });
  });
};

before(async () => {
  browser = await launch();
  await Promise.all(people.map((p) => p.open(browser)));
  await Promise.all([ana, ben].map((p) => p.signIn()));
  await ana.page.fill("#group-name", GROUP);
  await ana.page.fill("#group-members", ben.phone);
  await ana.action("new-group").click();
  await ana.page.waitForFunction((name) => document.querySelector("#chat-name").textContent === name, GROUP);
  chatId = await ana.page.evaluate(() => location.hash.slice(1));
  token = await ana.page.evaluate(() => JSON.parse(localStorage.getItem("chasqui.session")).accessToken);
});

after(async () => {
  await browser?.close();
  for (const p of people) for (const w of [p.rest, p.ws]) w?.close();
});

/** On a narrow screen, too, where the list is hidden. */
const online = (p, yes) => p.page.waitForSelector(`#connection[data-state="${yes ? "on" : "off"}"]`, { state: "attached" });
const events = (p) => p.page.locator("#messages .event").allTextContents();
const event = (p, text) => p.page.locator("#messages .event", { hasText: text }).last().waitFor();

test("what happened in a group stands between its messages: after a reload, for who was away, and on a new device", async () => {
  const change = (method, path, body) => call(method, `/api/chats/${chatId}${path}`, body, token);
  const member = `/members/${await userOf(ben)}`;
  await ana.say("before all");
  await ben.enter(GROUP);
  await ben.sees("before all");
  await change("PUT", "/rights", { info: "everyone" });
  await event(ben, "Ana let everyone edit the group's info");
  ben.rest.cut();
  ben.ws.cut();
  await online(ben, false);
  await change("PUT", member, { role: "admin" });
  await change("PUT", "/rights", { send: "admins" });
  await change("PATCH", "", { name: `${GROUP} 2` });
  await ana.say("in between");
  await ana.sees("in between");
  await change("PATCH", "", { name: GROUP });
  await event(ana, `You renamed the group to “${GROUP}”`);
  ben.rest.mend();
  ben.ws.mend();
  await online(ben, true);
  await event(ben, `Ana renamed the group to “${GROUP}”`);
  const words = (who, you) => [
    `${who} started the group “${GROUP}”`, `${who} let everyone edit the group's info`, `${who} made ${you} admin`, `${who} let only admins send messages`,
    `${who} renamed the group to “${GROUP} 2”`, `${who} renamed the group to “${GROUP}”`,
  ];
  assert.deepEqual(await events(ben), words("Ana", "you"));
  await ben.page.reload();
  await online(ben, true);
  await event(ben, "started the group");
  assert.deepEqual(await events(ben), words("Ana", "you"));
  await laptop.signIn();
  await laptop.enter(GROUP);
  await event(laptop, "started the group");
  assert.deepEqual(await events(laptop), words("Ana", "you"));
  assert.deepEqual(await events(ana), words("You", ben.name));
  const order = await laptop.page.locator("#messages > li:not(.day):not(.unread-line)").evaluateAll((rows) => rows.map((row) => row.querySelector(".text")?.textContent ?? row.className));
  assert.deepEqual(order, ["event", "before all", "event", "event", "event", "event", "in between", "event"]);
  await change("DELETE", member);
  await event(ben, "Ana removed you");
  await change("POST", "/members", { add: [await userOf(ben)] });
  await event(ben, "Ana added you");
  await axe(ben, "lines");
  await axe(laptop, "lines");
});

test("links: made, shown to whoever opens one, and asked by; who may add lets in or refuses; over when revoked", async () => {
  const { page } = ana;
  const lastLink = () => page.locator("#invite-list .address").first().textContent();
  const openLink = (p, address) => p.page.goto(address.replace(/:\d+/, `:${p.rest.port}`));
  await ben.action("chat-menu").click();
  await ben.page.locator("#menu button", { hasText: "Group info" }).waitFor();
  assert.equal(await ben.page.locator("#menu button", { hasText: "Invite links" }).count(), 0, "he may not add");
  await ben.page.keyboard.press("Escape");
  await ana.action("chat-menu").click();
  await ana.choose("Invite links");
  await page.locator("#invite-list", { hasText: "There are no links." }).waitFor();
  await page.check("#invite-approval");
  await page.selectOption("#invite-uses", "10");
  await page.click("#invite-form .primary");
  await page.locator("#invite-list li", { hasText: "0 of 10 joined" }).filter({ hasText: "an admin lets them in" }).waitFor();
  const approved = await lastLink();
  await page.keyboard.press("Escape");

  await openLink(cora, approved); // not signed in yet
  await cora.signIn();
  await cora.page.locator("#join-name", { hasText: GROUP }).waitFor();
  await cora.page.locator("#join-count", { hasText: "2 members" }).waitFor();
  assert.equal(await cora.page.evaluate(() => location.hash), "", "the secret does not stay in the address");
  await cora.page.locator("#join-go", { hasText: "Ask to join" }).click();
  await cora.page.locator("#join-text", { hasText: "You asked to be let in" }).waitFor();
  await page.locator("#asking", { hasText: "1 person asks to join" }).click();
  const asks = page.locator("#asking-list li", { hasText: "Cora" });
  await asks.waitFor();
  await axe(ana, "invites");
  await asks.locator("button", { hasText: "Refuse" }).click();
  await page.locator("#asking").waitFor({ state: "hidden" });
  await cora.page.locator("#join-text", { hasText: "You were not let in." }).waitFor();
  await openLink(cora, approved);
  await cora.page.click("#join-go");
  await axe(cora, "join-asked");
  await asks.locator("button", { hasText: "Let in" }).click();
  await cora.page.locator("#join-open").click();
  await cora.page.locator("#chat-name", { hasText: GROUP }).waitFor();
  await event(cora, "Ana let you in");
  await event(ben, "Ana let Cora in");

  await cora.action("info").click();
  await cora.page.click('#info [data-action="leave"]');
  await cora.answer(true);
  await cora.page.waitForSelector("#not-member:not([hidden])");
  await page.selectOption("#invite-uses", "1");
  await page.selectOption("#invite-time", "");
  await page.uncheck("#invite-approval");
  await page.click("#invite-form .primary");
  await page.locator("#invite-list li", { hasText: "0 of 1 joined" }).waitFor();
  const open = await lastLink();
  await openLink(cora, open);
  await axe(cora, "join");
  await cora.page.locator("#join-go", { hasText: /^Join$/ }).click();
  await event(cora, "You joined by a link that Ana made");
  await event(ana, "Cora joined by a link that you made");
  await openLink(cora, open);
  await cora.page.locator("#join-text", { hasText: "does not work any more" }).waitFor(); // one has joined by it
  await page.locator("#invite-list li", { hasText: "of 10 joined" }).locator("button", { hasText: "Revoke" }).click();
  await ana.answer(true);
  await page.locator("#invites-said", { hasText: "Revoked" }).waitFor();
  await openLink(cora, approved);
  await cora.page.locator("#join-text", { hasText: "does not work any more" }).waitFor();
  await page.keyboard.press("Escape");
  await cora.page.keyboard.press("Escape");
  await cora.enter(GROUP);
});

test("a group has a picture, in the list and above the chat; what is no picture is refused in words", async () => {
  const shown = (p, where) => p.page.locator(`${where} .face img`);
  await ana.action("info").click();
  await ana.page.setInputFiles("#group-picture", { name: "no.png", mimeType: "image/png", buffer: Buffer.from("<svg onload=alert(1)>") });
  await ana.page.locator("#info-error", { hasText: "not a picture" }).waitFor();
  await ana.page.setInputFiles("#group-picture", { name: "wide.png", mimeType: "image/png", buffer: await picture(ana.page, 400, 200, 30) });
  await shown(ana, "#info-face").waitFor();
  await event(cora, "Ana changed the group's picture");
  await shown(cora, "#chat-face").waitFor();
  await axe(ana, "group-picture");
  const size = await shown(ana, "#info-face").evaluate((image) => image.decode().then(() => [image.naturalWidth, image.naturalHeight]));
  assert.equal(size[0], size[1], "a square");
  await laptop.page.reload();
  await laptop.connected(true);
  await shown(laptop, "#chats").waitFor();
  await axe(laptop, "list-picture");
  await ana.action("no-group-picture").click();
  await event(cora, "Ana removed the group's picture");
  await shown(cora, "#chat-face").waitFor({ state: "detached" });
  await ana.page.keyboard.press("Escape");
});

test("pictures and files of a chat are found without scrolling, and shown large, one after the other", async () => {
  const file = async (name, hue) => ({ name, mimeType: "image/png", buffer: await picture(ana.page, 300, 200, hue) });
  await ana.files([await file("one.png", 10), await file("two.png", 200)], "<b>two</b> pictures");
  await ana.files([{ name: "notes <b>.txt", mimeType: "text/plain", buffer: Buffer.from("a line") }]);
  await cora.page.locator('#messages .media [download="notes <b>.txt"]').waitFor();
  await cora.page.locator('#messages .media[data-type="image"] img').nth(1).waitFor();
  await cora.action("info").click();
  await cora.action("shared").click();
  await cora.page.locator("#shared-list .shared-item img").nth(1).waitFor();
  assert.equal(await cora.page.locator("#shared-list .shared-item").count(), 2);
  await axe(cora, "shared");
  await cora.page.locator('[data-kind="document"]').click();
  await cora.page.locator("#shared-list .name", { hasText: "notes <b>.txt" }).waitFor();
  await axe(cora, "shared-files");
  await cora.page.locator('[data-kind="audio"]').click();
  await cora.page.locator("#shared-list", { hasText: "No sounds" }).waitFor();
  await cora.page.locator('[data-kind="image"]').click();
  await cora.page.locator("#shared-list .shared-item").first().click();
  const large = cora.page.locator("#large-place img");
  await large.waitFor();
  const newest = await large.getAttribute("src");
  assert.ok(await cora.page.locator("#large-next").isHidden());
  await cora.page.keyboard.press("ArrowLeft");
  await cora.page.waitForFunction((src) => (document.querySelector("#large-place img")?.getAttribute("src") ?? src) !== src, newest);
  await axe(cora, "large");
  await cora.action("large-go").click();
  await cora.page.locator(".message.found .media img").waitFor();
  assert.equal(await cora.page.locator("dialog[open]").count(), 0);
  await ana.page.locator('#messages .media[data-type="image"] a').last().click();
  await ana.page.locator("#large-place img").waitFor();
  await axe(ana, "large");
  await ana.page.keyboard.press("Escape");
});

test("another number, by codes to both; then the account ends, and others see a deleted account and cannot write to it", async () => {
  const account = async (action) => {
    await cora.action("main-menu").click();
    await cora.choose("Settings");
    await cora.action(action).click();
  };
  await call("PUT", `/api/chats/${chatId}/rights`, { send: "everyone" }, token);
  await event(cora, "Ana changed who can do what: everyone can send messages"); // what was set before she came is not told to her
  await event(ana, "You let everyone send messages");
  await cora.say("written by Cora");
  await ana.sees("written by Cora");
  await ana.find(cora);
  await ana.say("hello Cora");
  await cora.action("back").click();
  await cora.enter("Ana");
  await cora.sees("hello Cora");
  await cora.action("back").click();
  await account("change-number");
  await cora.page.fill("#new-number", cora.phone);
  await cora.page.press("#new-number", "Enter");
  await cora.page.locator("#account-error", { hasText: "your number already" }).waitFor();
  await axe(cora, "new-number");
  const other = cora.phone.replace(/3$/, "9");
  await cora.page.fill("#new-number", other);
  await cora.page.press("#new-number", "Enter");
  await cora.page.locator("#account-dev").waitFor();
  const code = await cora.page.inputValue("#own-code");
  await cora.page.fill("#own-code", code === "000000" ? "000001" : "000000");
  await cora.page.click("#codes-go");
  await cora.page.locator("#account-error", { hasText: "code is not right" }).waitFor();
  await cora.page.fill("#own-code", code);
  await axe(cora, "codes");
  await cora.page.click("#codes-go");
  await cora.page.locator("#my-number", { hasText: other }).waitFor();
  await cora.page.keyboard.press("Escape");
  await account("delete-account");
  await cora.answer(false);
  await cora.page.click('[data-action="delete-account"]');
  await axe(cora, "delete-ask");
  await cora.answer(true);
  await cora.page.locator("#account-dev").waitFor();
  await axe(cora, "delete-code");
  await cora.page.click("#codes-go");
  await cora.page.locator("#sign-in-error", { hasText: "Your account was deleted." }).waitFor();
  assert.deepEqual(await cora.page.evaluate(async () => [localStorage.length, (await indexedDB.databases()).length]), [0, 0]);

  for (let tries = 0; ; tries++) { // no frame tells it, and the view is a little behind: it is asked for whenever the chat is opened
    await ana.enter(GROUP);
    await ana.page.locator("#chats .name", { hasText: /^(Cora|Deleted account)$/ }).click();
    const seen = await ana.page.locator("#chat-name", { hasText: /^Deleted account$/ }).waitFor({ timeout: 1500 }).then(() => true, () => false);
    if (seen) break;
    assert.ok(tries < 20, "Cora's account is gone");
  }
  await ana.page.locator("#deleted-note").waitFor();
  assert.ok(await ana.page.locator("#send-form").isHidden());
  await axe(ana, "deleted-account");
  await ana.enter(GROUP);
  await event(ana, "Deleted account left");
  await ana.page.locator(".message", { hasText: "written by Cora" }).locator(".from", { hasText: "Deleted account" }).waitFor();
  await laptop.page.reload();
  await laptop.connected(true);
  await laptop.page.locator(".message", { hasText: "written by Cora" }).locator(".from", { hasText: "Deleted account" }).waitFor();
  await ana.action("info").click();
  await ana.page.locator("#info-count", { hasText: "2 members" }).waitFor();
  await ana.page.keyboard.press("Escape");
});

test("pushes: subscribed, shown by the worker as they are told, taken back, opened by a click, and over with the sign-in", async () => {
  const { page, context } = laptop;
  await laptop.action("main-menu").click();
  await laptop.choose("Settings");
  await page.check("#push-on");
  await page.locator("#push-said", { hasText: "This browser is notified" }).waitFor();
  assert.deepEqual(told.map(([method, body]) => [method, body.kind, body.subscription, body.privacy, body.mode]),
    [["PUT", "web", { endpoint: "https://push.example/1", keys: { p256dh: "p", auth: "a" } }, "full", "data"]]);
  await axe(laptop, "notifications");
  await page.keyboard.press("Escape");

  const cdp = await context.newCDPSession(page);
  const origin = new URL(page.url()).origin;
  const registrationId = await new Promise((done) => {
    cdp.on("ServiceWorker.workerRegistrationUpdated", ({ registrations }) => registrations.forEach((r) => r.scopeURL === `${origin}/` && done(r.registrationId)));
    cdp.send("ServiceWorker.enable");
  });
  const push = (data) => cdp.send("ServiceWorker.deliverPushMessage", { origin, registrationId, data: typeof data === "string" ? data : JSON.stringify(data) });
  const shown = () => page.evaluate(async () => (await (await navigator.serviceWorker.ready).getNotifications()).map((n) => [n.title, n.body, n.tag]));
  const shows = async (wanted) => {
    const end = Date.now() + PATIENCE_MS;
    while (JSON.stringify(await shown()) !== JSON.stringify(wanted)) {
      assert.ok(Date.now() < end, `${JSON.stringify(await shown())}, and not ${JSON.stringify(wanted)}`);
      await page.waitForTimeout(50);
    }
  };
  const message = (seq, body, more) => ({ kind: "message", chatId, messageId: `m${seq}`, seq, badge: 1, title: "Ana <b>", body, ...more });
  const [worker] = context.serviceWorkers();
  await worker.evaluate(() => { self.clients.matchAll = async () => []; }); // no window is in front
  await push("no JSON");
  await push({ kind: "message", title: "of no chat" });
  await push(message(5, "five <i>"));
  await shows([["Ana <b>", "five <i>", chatId]]);
  await push(message(4, "four, late"));
  await push({ ...message(3, "edited, and not shown"), kind: "edited" });
  await push(message(9, "over", { chatId: "other", expiresAt: 1 }));
  await push(message(6, "six"));
  await shows([["Ana <b>", "six", chatId]]);
  await push({ ...message(6, "six, edited"), kind: "edited" });
  await shows([["Ana <b>", "six, edited", chatId]]);
  await push({ kind: "deleted", chatId, messageId: "m5", seq: 5 });
  await push({ kind: "read", chatId, seq: 5, badge: 0 });
  await push({ kind: "added", chatId: "new", seq: 1, title: "Friends", body: "Ana added you" });
  await shows([["Ana <b>", "six, edited", chatId], ["Friends", "Ana added you", "new"]]);
  await push({ kind: "read", chatId: "new", seq: 1, badge: 0 });
  await shows([["Ana <b>", "six, edited", chatId]]);

  await page.evaluate(() => { location.hash = ""; });
  await page.waitForSelector("#chat", { state: "hidden" });
  await worker.evaluate(async () => {
    delete self.clients.matchAll;
    const [notification] = await self.registration.getNotifications();
    self.dispatchEvent(new NotificationEvent("notificationclick", { notification }));
  });
  await page.locator("#chat-name", { hasText: GROUP }).waitFor();
  await shows([]);
  await laptop.signOut();
  assert.equal(await page.evaluate(async () => (await navigator.serviceWorker.getRegistrations()).length), 0);
});

test("nothing went wrong in any window", () => {
  for (const p of people) assert.deepEqual(p.errors, [], p.name);
});
