// SPDX-License-Identifier: MIT
// Two people in two browsers. PAGE_URL and WS_URL are the addresses of a running Stack (tests/browser/run).
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const PAGE = new URL(process.env.PAGE_URL);
const WS = new URL(process.env.WS_URL);
const SHOTS = process.env.SHOTS;
const PATIENCE_MS = 30_000;

/** A stretch of network that can be cut: what is open breaks, what is new is refused at once. */
class Wire {
  constructor(port) {
    this.whole = true;
    this.sockets = new Set();
    this.server = net.createServer((near) => {
      if (!this.whole) return near.resetAndDestroy();
      const far = net.connect(port, "127.0.0.1");
      for (const [a, b] of [[near, far], [far, near]]) {
        this.sockets.add(a);
        a.pipe(b);
        a.on("error", () => b.destroy());
        a.on("close", () => (this.sockets.delete(a), b.destroy()));
      }
    });
  }

  async open() {
    await new Promise((done) => this.server.listen(0, "127.0.0.1", done));
    this.port = this.server.address().port;
    return this;
  }

  cut() {
    this.whole = false;
    for (const s of this.sockets) s.resetAndDestroy();
  }

  mend() {
    this.whole = true;
  }

  close() {
    this.cut();
    this.server.close();
  }
}

class Person {
  constructor(name, phone) {
    Object.assign(this, { name, phone, errors: [] });
  }

  async open(browser) {
    this.rest = await new Wire(Number(PAGE.port)).open();
    this.ws = await new Wire(Number(WS.port)).open();
    this.context = await browser.newContext();
    this.context.setDefaultTimeout(PATIENCE_MS);
    await this.context.route("**/api/config", async (route) => {
      const answer = await route.fetch();
      await route.fulfill({ response: answer, json: { ...(await answer.json()), wsUrl: `ws://127.0.0.1:${this.ws.port}/ws` } });
    });
    this.page = await this.context.newPage();
    this.page.on("pageerror", (e) => this.errors.push(String(e)));
    await this.page.goto(`http://127.0.0.1:${this.rest.port}/`);
  }

  action(name) {
    return this.page.locator(`[data-action="${name}"]`);
  }

  async signIn() {
    await this.page.fill("#name", this.name);
    await this.page.fill("#phone", this.phone);
    await this.action("register").click();
    await this.page.waitForFunction(() => /^\d{6}$/.test(document.querySelector("#code").value));
    await this.action("verify").click();
    await this.connected(true);
  }

  connected(yes) {
    return this.page.waitForSelector(`#connection[data-state="${yes ? "on" : "off"}"]`);
  }

  cut() {
    this.rest.cut();
    this.ws.cut();
    return this.connected(false);
  }

  mend() {
    this.rest.mend();
    this.ws.mend();
    return this.connected(true);
  }

  async find(other) {
    await this.page.fill("#find-phone", other.phone);
    await this.action("find").click();
    await this.page.waitForSelector("#chat-name");
    return this.page.waitForFunction((name) => document.querySelector("#chat-name").textContent === name, other.name);
  }

  async say(text) {
    await this.page.fill("#composer", text);
    await this.action("send").click();
  }

  message(text) {
    return this.page.locator("[data-message-id]", { hasText: text });
  }

  async sees(text) {
    await this.message(text).first().waitFor();
    assert.equal(await this.message(text).count(), 1, `${this.name} sees "${text}" once`);
  }

  /** The message has come to this tick; those it had on the way. */
  async ticked(text, tick) {
    await this.message(text).and(this.page.locator(`[data-tick="${tick}"]`)).waitFor();
  }

  tickOf(text) {
    return this.message(text).getAttribute("data-tick");
  }

  item(name) {
    return this.page.locator("#chats [data-chat-id]", { hasText: name });
  }

  async shot(what) {
    if (SHOTS) await this.page.screenshot({ path: `${SHOTS}/${this.name}-${what}.png` });
  }
}

const run = String(Date.now()).slice(-6);
const ana = new Person("Ana", `+4915555${run}1`);
const ben = new Person("Ben", `+4915555${run}2`);
let browser;

before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  await Promise.all([ana, ben].map((p) => p.open(browser)));
});

after(async () => {
  await browser?.close();
  for (const p of [ana, ben]) for (const w of [p.rest, p.ws]) w?.close();
});

test("two people sign in with the development code", async () => {
  await ana.shot("sign-in");
  await ana.signIn();
  await ben.signIn();
  assert.match(await ana.page.textContent("#my-name"), /Ana/);
});

test("a message to somebody found by number: one tick, two ticks, blue ticks", async () => {
  await ben.cut();
  await ana.find(ben);
  await ana.say("Hello Ben, are you there?");
  await ana.ticked("Hello Ben", "sent");
  await ana.shot("one-tick");
  await ben.mend();
  await ana.ticked("Hello Ben", "delivered");
  assert.equal(await ben.item("Ana").getAttribute("data-unread"), "1");
  assert.equal(await ana.tickOf("Hello Ben"), "delivered", "not read before the chat was opened");
  await ana.shot("two-ticks");
  await ben.item("Ana").click();
  await ben.sees("Hello Ben, are you there?");
  await ana.ticked("Hello Ben", "read");
  await ana.shot("blue-ticks");
  await ben.shot("chat");
  await ben.say("Yes, here I am. <b>bold?</b> \u{1F98A}");
  await ana.sees("Yes, here I am. <b>bold?</b> \u{1F98A}");
  await ben.ticked("Yes, here", "read");
});

test("a reload keeps history and ticks", async () => {
  await ana.page.reload();
  await ana.connected(true);
  await ana.sees("Hello Ben, are you there?");
  await ana.sees("Yes, here I am.");
  await ana.ticked("Hello Ben", "read");
  const texts = await ana.page.locator("[data-message-id] .text").allTextContents();
  assert.deepEqual(texts, ["Hello Ben, are you there?", "Yes, here I am. <b>bold?</b> \u{1F98A}"]);
});

test("offline and online again: what was missed comes, what was written goes, each once", async () => {
  await ben.cut();
  await ana.say("first while Ben is away");
  await ana.say("second while Ben is away");
  await ana.ticked("second while", "sent");
  await ben.say("written in a tunnel");
  await ben.ticked("written in a tunnel", "none");
  await ben.mend();
  for (const text of ["first while Ben is away", "second while Ben is away"]) await ben.sees(text);
  await ana.sees("written in a tunnel");
  await ana.ticked("second while", "read");
  await ben.ticked("written in a tunnel", "read");
  for (const p of [ana, ben]) {
    const texts = await p.page.locator("[data-message-id] .text").allTextContents();
    assert.equal(new Set(texts).size, texts.length, `${p.name} sees nothing twice`);
    assert.equal(texts.length, 5);
  }
});

test("a group", async () => {
  await ana.page.fill("#group-name", "Mountain trip");
  await ana.page.fill("#group-members", ben.phone);
  await ana.action("new-group").click();
  await ana.page.waitForFunction(() => document.querySelector("#chat-name").textContent === "Mountain trip");
  await ana.say("Who brings the tent?");
  await ana.ticked("Who brings", "delivered");
  await ben.item("Mountain trip").click();
  await ben.sees("Who brings the tent?");
  await ana.ticked("Who brings", "read");
  await ben.say("I do.");
  await ana.sees("I do.");
  await ben.ticked("I do.", "read");
  await ana.shot("group");
});

/** A WAV of two seconds, so that a browser can play it. */
function wav() {
  const head = Buffer.alloc(44);
  const n = 2 * 8000;
  head.write("RIFF", 0);
  head.writeUInt32LE(36 + n, 4);
  head.write("WAVEfmt ", 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(8000, 24);
  head.writeUInt32LE(8000, 28);
  head.writeUInt16LE(1, 32);
  head.writeUInt16LE(8, 34);
  head.write("data", 36);
  head.writeUInt32LE(n, 40);
  return Buffer.concat([head, Buffer.alloc(n, 128)]);
}

/** A file as people have them; one of this size is too much for the wire between the test and the browser. */
function onDisk(name, size) {
  const folder = mkdtempSync(join(tmpdir(), "page-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, name), Buffer.alloc(size, 5));
  return join(folder, name);
}

test("pictures, sound and documents: seen, played, dropped, paused, and sent over a broken line", async () => {
  await ana.find(ben);
  await ben.find(ana);
  // a picture that the page itself makes
  const png = Buffer.from(await ana.page.evaluate(() => {
    const c = document.createElement("canvas");
    c.width = 900;
    c.height = 600;
    const g = c.getContext("2d");
    for (let i = 0; i < 900; i++) {
      g.fillStyle = `rgb(${i % 256},${(i * 7) % 256},90)`;
      g.fillRect(i, 0, 1, 600);
    }
    return c.toDataURL("image/png").split(",")[1];
  }), "base64");
  await ana.page.setInputFiles("#file", { name: "terraces.png", mimeType: "image/png", buffer: png });
  for (const p of [ana, ben]) {
    const image = p.page.locator('.media img[src*="/thumbnail?"]'); // a `media` frame brings it
    await image.waitFor();
    await p.page.waitForFunction(() => document.querySelector('.media img[src*="/thumbnail?"]').naturalWidth === 320);
    assert.match(await p.page.locator(".media a").first().getAttribute("href"), /^\/api\/media\/.*&s=/);
  }
  await ben.shot("picture");
  assert.match(await ben.item("Ana").textContent(), /Picture/);

  await ben.page.setInputFiles("#file", { name: "voice.wav", mimeType: "audio/wav", buffer: wav() });
  await ana.page.locator(".media audio").waitFor();
  await ana.page.waitForFunction(() => document.querySelector(".media audio").duration === 2);

  // dropped onto the chat
  const drop = await ana.page.evaluateHandle(() => {
    const d = new DataTransfer();
    d.items.add(new File([new Uint8Array(300000)], "plan.pdf", { type: "application/pdf" }));
    return d;
  });
  await ana.page.dispatchEvent("#chat", "drop", { dataTransfer: drop });
  await ben.page.locator('.media a[download="plan.pdf"]').waitFor();

  // paused, gone on, cut, mended
  const pieces = [];
  await ana.page.route("**/upload", async (route) => {
    if (route.request().method() === "PATCH") {
      pieces.push(Number(route.request().headers()["upload-offset"]));
      await new Promise((done) => setTimeout(done, 250)); // so that there is time to press a button
    }
    await route.continue().catch(() => {});
  });
  await ana.page.setInputFiles("#file", onDisk("long.bin", 28 << 20));
  await ana.page.waitForFunction(() => document.querySelector("#uploads progress")?.value > 0.1);
  await ana.action("pause-upload").click();
  await ana.page.locator('[data-upload-id][data-state="paused"]').waitFor();
  const held = pieces.length;
  await ana.shot("paused");
  await ben.say("still talking while a file waits");
  await ana.sees("still talking while a file waits");
  assert.equal(pieces.length, held, "paused means that nothing is sent");
  await ana.action("resume-upload").click();
  await ana.page.waitForFunction(() => document.querySelector("#uploads progress")?.value > 0.4);
  await ana.cut();
  await ana.mend();
  await ben.page.locator('.media a[download="long.bin"]').waitFor();
  assert.equal(await ana.page.locator("[data-upload-id]").count(), 0);
  assert.ok(pieces.length >= 7 && new Set(pieces).size >= 7, `pieces at ${pieces}`);
  assert.equal(await ben.page.locator('.media a[download="long.bin"]').count(), 1);

  // a reload in the middle, while it runs and while it is paused
  for (const paused of [false, true]) {
    const name = paused ? "paused.bin" : "reloaded.bin";
    pieces.length = 0;
    await ana.page.setInputFiles("#file", onDisk(name, 24 << 20));
    await ana.page.waitForFunction(() => document.querySelector("#uploads progress")?.value > 0.3);
    if (paused) {
      await ana.action("pause-upload").click();
      await ana.page.locator('[data-upload-id][data-state="paused"]').waitFor();
      const second = await ana.context.newPage(); // leaves it to the window that has it
      await second.goto(ana.page.url());
      await ben.say("and in the other window?");
      await second.locator("[data-message-id]", { hasText: "and in the other window?" }).waitFor();
      assert.equal(await second.locator("[data-upload-id]").count(), 0);
      await second.close();
    }
    const sent = new Set(pieces);
    await ana.page.reload();
    if (paused) {
      await ana.page.locator('[data-upload-id][data-state="paused"]').waitFor();
      await ana.action("resume-upload").click();
    }
    await ben.page.locator(`.media a[download="${name}"]`).waitFor();
    await ana.page.locator(`.media a[download="${name}"]`).waitFor();
    assert.equal(await ana.page.locator("[data-upload-id]").count(), 0);
    assert.equal(await ben.page.locator(`.media a[download="${name}"]`).count(), 1);
    assert.ok(sent.size >= 2 && pieces.filter((at) => at === 0).length === 1, `pieces at ${pieces}: what was held is not sent again`);
  }
  await ana.page.unroute("**/upload");
  for (const p of [ana, ben]) await p.item("Mountain trip").click();
});

test("two windows of one person show the same", async () => {
  const second = await ben.context.newPage();
  second.on("pageerror", (e) => ben.errors.push(String(e)));
  await second.goto(ben.page.url());
  await second.locator("[data-message-id]", { hasText: "Who brings the tent?" }).waitFor();
  await ana.say("And who cooks?");
  await ben.sees("And who cooks?");
  await second.locator("[data-message-id]", { hasText: "And who cooks?" }).waitFor();
  await second.close();
});

test("signing out and in again, and no error on the way", async () => {
  const before = await ana.page.evaluate(() => JSON.parse(localStorage.getItem("chasqui.session")).refreshToken);
  await ana.action("logout").click();
  await ana.page.waitForSelector("#sign-in:not([hidden])");
  await ana.page.reload();
  await ana.page.waitForSelector("#phone");
  assert.equal(await ana.page.locator("[data-chat-id]").count(), 0);
  // strangers who use up the codes of her number do not keep her out: the page shows that she was here
  const [asked] = await Promise.all([ana.page.waitForRequest(/\/api\/(login|register)$/), ana.signIn()]);
  assert.equal(asked.postDataJSON().refreshToken, before);
  for (const p of [ana, ben]) assert.deepEqual(p.errors, []);
});
