// SPDX-License-Identifier: MIT
// Two people in two browsers.
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { launch, onDisk, Person, picture, wav } from "./lib.mjs";

const run = String(Date.now()).slice(-6);
const ana = new Person("Ana", `+4915555${run}1`);
const ben = new Person("Ben", `+4915555${run}2`);
let browser;

before(async () => {
  browser = await launch();
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
  await ben.enter("Ana");
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
  await ben.enter("Mountain trip");
  await ben.sees("Who brings the tent?");
  await ana.ticked("Who brings", "read");
  await ben.say("I do.");
  await ana.sees("I do.");
  await ben.ticked("I do.", "read");
  await ana.shot("group");
});

test("pictures, sound and documents: seen, played, dropped, paused, and sent over a broken line", async () => {
  await ana.find(ben);
  await ben.find(ana);
  // a picture that the page itself makes
  const png = await picture(ana.page, 900, 600, 20);
  await ana.files({ name: "terraces.png", mimeType: "image/png", buffer: png });
  for (const p of [ana, ben]) {
    const image = p.page.locator('.media img[src*="/thumbnail?"]'); // a `media` frame brings it
    await image.waitFor();
    await p.page.waitForFunction(() => document.querySelector('.media img[src*="/thumbnail?"]').naturalWidth === 320);
    assert.match(await p.page.locator(".media a").first().getAttribute("href"), /^\/api\/media\/.*&s=/);
  }
  await ben.shot("picture");
  assert.match(await ben.item("Ana").textContent(), /Picture/);

  await ben.files({ name: "voice.wav", mimeType: "audio/wav", buffer: wav() });
  await ana.page.locator(".media audio").waitFor();
  await ana.page.waitForFunction(() => document.querySelector(".media audio").duration === 2);

  // dropped onto the chat
  const drop = await ana.page.evaluateHandle(() => {
    const d = new DataTransfer();
    d.items.add(new File([new Uint8Array(300000)], "plan.pdf", { type: "application/pdf" }));
    return d;
  });
  await ana.page.dispatchEvent("#chat", "drop", { dataTransfer: drop });
  await ana.sendFiles();
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
  await ana.files(onDisk("long.bin", 28 << 20));
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
    await ana.files(onDisk(name, 24 << 20));
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
  for (const p of [ana, ben]) await p.enter("Mountain trip");
});

test("two windows of one person show the same", async () => {
  const second = await ben.context.newPage();
  ben.watch(second);
  await second.goto(ben.page.url());
  await second.locator("[data-message-id]", { hasText: "Who brings the tent?" }).waitFor();
  await ana.say("And who cooks?");
  await ben.sees("And who cooks?");
  await second.locator("[data-message-id]", { hasText: "And who cooks?" }).waitFor();
  await second.close();
});

test("signing out and in again, and no error on the way", async () => {
  const before = await ana.page.evaluate(() => JSON.parse(localStorage.getItem("chasqui.session")).refreshToken);
  await ana.signOut();
  await ana.page.reload();
  await ana.page.waitForSelector("#phone");
  assert.equal(await ana.page.locator("[data-chat-id]").count(), 0);
  // strangers who use up the codes of her number do not keep her out: the page shows that she was here
  const [asked] = await Promise.all([ana.page.waitForRequest(/\/api\/(login|register)$/), ana.signIn()]);
  assert.equal(asked.postDataJSON().refreshToken, before);
  for (const p of [ana, ben]) assert.deepEqual(p.errors, []);
});
