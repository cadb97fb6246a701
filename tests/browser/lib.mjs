// SPDX-License-Identifier: MIT
// People with a browser each, for the tests of the page. PAGE_URL and WS_URL are the addresses of a running Stack (tests/browser/run).
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

export const PAGE = new URL(process.env.PAGE_URL);
const WS = new URL(process.env.WS_URL);
const SHOTS = process.env.SHOTS;
export const PATIENCE_MS = 30_000;

/** A stretch of network that can be cut: what is open breaks, what is new is refused at once. */
export class Wire {
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

export class Person {
  /** `options`: of the browser's context. */
  constructor(name, phone, options = {}) {
    Object.assign(this, { name, phone, options, errors: [] });
  }

  async open(browser) {
    this.rest = await new Wire(Number(PAGE.port)).open();
    this.ws = await new Wire(Number(WS.port)).open();
    this.context = await browser.newContext(this.options);
    this.context.setDefaultTimeout(PATIENCE_MS);
    await this.context.route("**/api/config", async (route) => {
      const answer = await route.fetch();
      await route.fulfill({ response: answer, json: { ...(await answer.json()), wsUrl: `ws://127.0.0.1:${this.ws.port}/ws` } });
    });
    await this.prepare?.(this.context);
    this.page = await this.context.newPage();
    this.watch(this.page);
    await this.page.goto(`http://127.0.0.1:${this.rest.port}/`);
  }

  /** What goes wrong in a page is an error of the test. */
  watch(page) {
    page.on("pageerror", (e) => this.errors.push(String(e)));
    page.on("console", (m) => m.text().includes("Content Security Policy") && this.errors.push(m.text()));
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
    return this.page.waitForSelector(`#connection[data-state="${yes ? "on" : "off"}"]`, { state: "attached" }); // a phone hides it behind a chat
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

  /** Files as a person sends them: chosen, looked at, sent. */
  async files(files, caption = "") {
    await this.page.setInputFiles("#file", files);
    await this.sendFiles(caption);
  }

  async sendFiles(caption = "") {
    await this.page.waitForSelector("#preview[open]");
    if (caption) await this.page.fill("#caption", caption);
    await this.action("send-files").click();
    await this.page.waitForSelector("#preview:not([open])", { state: "attached" });
  }

  /** A choice of a menu. */
  async choose(text) {
    await this.page.locator("#menu button", { hasText: text }).click();
  }

  async answer(yes) {
    await this.page.locator(yes ? "#ask-yes" : '#ask button[value="no"]').click();
  }

  async signOut() {
    await this.action("main-menu").click();
    await this.choose("Sign out");
    await this.answer(true);
    await this.page.waitForSelector("#sign-in:not([hidden])");
  }

  item(name) {
    return this.page.locator("#chats [data-chat-id]", { has: this.page.locator(".name", { hasText: new RegExp(`^${name}$`) }) });
  }

  /** Into a chat from the list. What is typed before it is open stands in the chat before. */
  async enter(name) {
    await this.item(name).click();
    await this.page.waitForFunction((n) => document.querySelector("#chat-name").textContent === n, name);
  }

  /** On a phone, too. */
  async shot(what) {
    if (!SHOTS) return;
    await this.page.screenshot({ path: `${SHOTS}/${this.name}-${what}.png` });
    const { width, height } = this.page.viewportSize();
    if (width < 800) return;
    await this.page.setViewportSize({ width: 360, height: 740 });
    await this.page.screenshot({ path: `${SHOTS}/${this.name}-${what}-360.png` });
    await this.page.setViewportSize({ width, height });
  }
}

export const launch = (more = []) => chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage", ...more] });

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** No violation in this state, light and dark. */
export async function axe(p, state) {
  for (const colorScheme of ["light", "dark"]) {
    await p.page.emulateMedia({ colorScheme });
    const bad = await p.page.evaluate(async ([source, dark]) => {
      if (!window.axe) (0, eval)(source);
      const { violations } = await window.axe.run(document, { resultTypes: ["violations"], ...(dark && { runOnly: ["color-contrast"] }) });
      return violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => `${n.html.slice(0, 120)} ${n.any.map((a) => a.message)[0] ?? ""}`).join(" | ")}`);
    }, [axeSource, colorScheme === "dark"]);
    assert.deepEqual(bad, [], `${p.name}, ${state}, ${colorScheme}`);
    await p.shot(`${state}-${colorScheme}`);
  }
  await p.page.emulateMedia({ colorScheme: null });
}

/** What a window has that is not in front. */
export const blur = (p, away) => p.page.evaluate((yes) => {
  document.hasFocus = () => !yes;
  dispatchEvent(new Event(yes ? "blur" : "focus"));
}, away);

export async function call(method, path, body, token) {
  const answer = await fetch(new URL(path, PAGE), {
    method, body: body && JSON.stringify(body),
    headers: { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) },
  });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${await answer.clone().text()}`);
  return answer.json();
}

export const userOf = (p) => p.page.evaluate(() => JSON.parse(localStorage.getItem("chasqui.session")).userId);

/** Picture files that no disk has: stripes of one colour. */
export async function picture(page, width, height, hue) {
  return Buffer.from(await page.evaluate(([w, h, c]) => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [w, h];
    const g = canvas.getContext("2d");
    for (let i = 0; i < w; i++) {
      g.fillStyle = `hsl(${c + i / 20} 60% ${30 + (i % 40)}%)`;
      g.fillRect(i, 0, 1, h);
    }
    return canvas.toDataURL("image/png").split(",")[1];
  }, [width, height, hue]), "base64");
}

/** A WAV of two seconds, so that a browser can play it. */
export function wav() {
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
export function onDisk(name, size) {
  const folder = mkdtempSync(join(tmpdir(), "page-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, name), Buffer.alloc(size, 5));
  return join(folder, name);
}
