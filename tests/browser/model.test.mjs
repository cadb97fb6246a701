// SPDX-License-Identifier: MIT
// What the page knows and which part of it is drawn, without a browser.
import { test } from "node:test";
import assert from "node:assert/strict";
import { cardOf, linkOf, mapOf, placeWords } from "../../edge/web/cards.js";
import { pollAfter, pollIsOver, recounted, toldPoll } from "../../edge/web/marks.js";
import { Model } from "../../edge/web/model.js";
import { pollOf, pressed } from "../../edge/web/polls.js";
import { lacking, ROWS_MAX, Rows } from "../../edge/web/rank.js";
import { Receipts } from "../../edge/web/receipts.js";
import { places } from "../../edge/web/search.js";
import { coded, length, levels, waveform } from "../../edge/web/voice.js";
import { beginning, dayWords, eventWords, initials, isLong, parts } from "../../edge/web/words.js";

const ME = "me";
const chatId = "c";
const message = (seq, from = "ben", more = {}) => ({ id: `m${seq}`, clientId: `k${seq}`, chatId, seq, from, type: "text", content: `${seq}`, sentAt: seq, ...more });
const list = (n, from = 1) => Array.from({ length: n }, (_, i) => ({ seq: from + i }));

function filled(n) {
  const model = new Model(ME);
  model.describe({ chatId, kind: "group", name: "g", role: "member", unread: 0, mySeq: { delivered: 0, read: 0 } });
  for (let i = 1; i <= n; i++) model.message(message(i), true);
  return [model, model.chat(chatId)];
}

test("reading a part leaves the rest unread, whatever order it is told in", () => {
  const [model, chat] = filled(10);
  assert.equal(chat.unread, 10);
  model.readUpTo(chat, 4);
  assert.equal(chat.unread, 6);
  model.readUpTo(chat, 3);
  assert.equal(chat.unread, 6);
  model.describe({ chatId, kind: "group", unread: 10, lastMessage: message(10), mySeq: { delivered: 10, read: 0 } });
  assert.equal(chat.unread, 6, "the server has not heard yet what was read here");
  assert.equal(model.readElsewhere({ chatId, seq: 7 }), false);
  assert.equal(chat.unread, 3);
  assert.equal(model.firstUnread(chat), 7);
  model.readUpTo(chat, 10);
  assert.equal(chat.unread, 0);
  assert.equal(model.firstUnread(chat), -1);
});

test("what is not held is not counted: the server is asked", () => {
  const [model, chat] = filled(5);
  model.describe({ chatId, kind: "group", unread: 5000, lastMessage: message(9000), mySeq: { delivered: 9000, read: 0 } });
  assert.equal(model.holdsUnread(chat), false);
  assert.equal(model.readElsewhere({ chatId, seq: 2 }), true);
  assert.equal(chat.unread, 5000);
});

test("a change of a message counts in any order, once, and none after a deletion", () => {
  for (const order of [[0, 1, 2], [2, 1, 0], [1, 2, 0]]) {
    const [model, chat] = filled(0);
    const frames = [
      { t: "edited", chatId, seq: 5, messageId: "m1", messageSeq: 1, by: "ben", content: "five", at: 5 },
      { t: "edited", chatId, seq: 6, messageId: "m1", messageSeq: 1, by: "ben", content: "six", at: 6 },
      { t: "edited", chatId, seq: 7, messageId: "m1", messageSeq: 9, by: "ben", content: "another seq", at: 7 },
    ];
    model.changed(frames[order[0]]);
    model.message(message(1), true);
    for (const i of [...order, ...order]) model.changed(frames[i]);
    assert.equal(chat.messages[0].content, "six");
    model.changed({ t: "deleted", chatId, seq: 8, messageId: "m1", messageSeq: 1, by: "ben", at: 8 });
    model.changed({ ...frames[1], seq: 9 });
    assert.equal(chat.messages[0].content, "");
  }
});

test("a user has one reaction: the one with the highest seq", () => {
  const [model, chat] = filled(1);
  const react = (seq, by, reaction) => model.changed({ t: "reaction", chatId, seq, messageId: "m1", messageSeq: 1, by, reaction, at: seq });
  react(2, "ben", "👍");
  react(3, ME, "👍");
  assert.deepEqual(chat.messages[0].reactions, [{ reaction: "👍", count: 2 }]);
  react(5, "ben", "❤️");
  react(4, "ben", "😂");
  assert.deepEqual(chat.messages[0].reactions, [{ reaction: "👍", count: 1 }, { reaction: "❤️", count: 1 }]);
  react(6, ME, "");
  assert.deepEqual([chat.messages[0].reactions, chat.messages[0].myReaction], [[{ reaction: "❤️", count: 1 }], ""]);
});

test("news names what has to be drawn, and nothing else", () => {
  const [model, chat] = filled(300);
  model.takeNews();
  const m = model.compose(chat, "mine", "k", 1000);
  assert.deepEqual([...model.takeNews().messages], [m]);
  model.acked("k", "m301");
  assert.deepEqual([...model.takeNews().messages], [m]);
  model.message({ ...message(301, ME), clientId: "k" }, true);
  assert.equal(model.takeNews().messages.size, 1);
  model.ticks({ chatId, delivered: 301, read: 0 });
  assert.equal(model.takeNews().messages.size, 1);
  model.ticks({ chatId, delivered: 301, read: 301 });
  assert.equal(model.takeNews().messages.size, 1);
});

test("a window over a list: bounded, and where it was when the list grows at either end", () => {
  const rows = new Rows();
  let seqs = list(1000, 1000);
  assert.deepEqual(rows.end(seqs).map((i) => i === 1000), [false, true]);
  for (let i = 0; i < 40; i++) {
    const [start] = rows.range(seqs, false);
    const seq = seqs[start].seq;
    if (!rows.up(seqs)) seqs = [...list(200, seqs[0].seq - 200), ...seqs];
    const [from, to] = rows.range(seqs, false);
    assert.ok(to - from <= ROWS_MAX);
    assert.ok(seqs[from].seq <= seq && seqs[to - 1].seq >= seq, "what was at the top is still drawn");
  }
  assert.notEqual(rows.to, Infinity);
  const before = rows.range(seqs, false).map((i) => seqs[i]?.seq);
  seqs = [...seqs, ...list(50, seqs.at(-1).seq + 1)];
  assert.deepEqual(rows.range(seqs, false).map((i) => seqs[i]?.seq), before);
  while (rows.down(seqs));
  assert.equal(rows.to, Infinity);
  assert.equal(rows.range(seqs, true)[1], seqs.length);
});

test("what is gone leaves its place, and nothing else of it; quotes of it, drafts and the list know", () => {
  const [model, chat] = filled(3);
  model.message(message(4, "ben", { expiresAt: 1000, content: "four", media: { name: "x" }, mediaId: "x" }), true);
  model.message(message(5, ME, { replyTo: { id: "m4", seq: 4 } }), true);
  model.write(chat, "about four", { id: "m4", seq: 4 });
  assert.equal(model.expire(999), 1000);
  model.takeNews();
  assert.equal(model.expire(1000), Infinity);
  const m = chat.ids.get("m4");
  assert.deepEqual([m.gone, m.content, m.mediaId, m.media, m.seq, chat.unread, chat.replyTo, chat.draft], ["expired", "", undefined, undefined, 4, 4, null, "about four"]);
  assert.deepEqual([...model.takeNews().messages].map((n) => n.id).sort(), ["m4", "m5"]);
  assert.equal(model.dirty.messages.get("m4").content, "", "nothing of it stays in the browser");
  model.changed({ t: "edited", chatId, seq: 9, messageId: "m4", messageSeq: 4, by: "ben", content: "again", at: 9 });
  model.message(message(4, "ben", { content: "again" }), false);
  assert.equal(m.content, "");
  model.hidden({ chatId, seq: 10, messages: [{ id: "m5", seq: 5 }, { id: "m3", seq: 3 }, { id: "m2", seq: 99 }] });
  assert.deepEqual(chat.messages.map((n) => n.gone), [undefined, undefined, "hidden", "expired", "hidden"]);
  assert.equal(chat.unread, 3, "hidden is not unread");
  assert.equal(model.lastOf(chat).id, "m2");
  assert.equal(model.firstUnread(chat), 0);
  model.readUpTo(chat, model.pastGone(chat, 2));
  assert.deepEqual([chat.unread, model.readTo(chat)], [0, 5], "nobody can see what is gone");
  model.hidden({ chatId, seq: 11, messages: [{ id: "m6", seq: 6 }] });
  model.message(message(6), true);
  assert.equal(chat.ids.get("m6").gone, "hidden", "told before it came");
  model.message(message(7, "ben", { replyTo: { id: "m0", seq: 0.5 } }), true);
  model.takeNews();
  model.quoting(chat, new Set(["m0"]));
  assert.deepEqual([...model.takeNews().messages].map((n) => n.id), ["m7"], "what it quotes came from the history");
});

test("the last line of a chat of which nothing is held follows changes, too", () => {
  const model = new Model(ME);
  const chat = model.describe({ chatId, kind: "group", name: "g", role: "member", lastMessage: { ...message(7), expiresAt: 500 } });
  model.changed({ t: "edited", chatId, seq: 8, messageId: "m7", messageSeq: 7, by: "ben", content: "better", at: 8 });
  assert.equal(model.lastOf(chat).content, "better");
  model.expire(500);
  assert.equal(model.lastOf(chat).gone, "expired");
  model.describe({ chatId, kind: "group", lastMessage: message(6) });
  assert.equal(model.lastOf(chat).content, "6");
});

test("messages in a gap stay at one tick; the block and the timer with the highest seq count", () => {
  const model = new Model(ME);
  const chat = model.describe({ chatId, kind: "direct", name: "Ben", peer: "ben", role: "member" });
  for (let i = 1; i <= 3; i++) model.message(message(i, ME), true);
  model.ticks({ chatId, delivered: 3, read: 3, except: [{ after: 1, before: 3 }] });
  assert.deepEqual(chat.messages.map((m) => model.tick(chat, m)), ["read", "sent", "read"]);
  model.block({ t: "unblocked", chatId, seq: 9, userId: "ben" });
  model.block({ t: "blocked", chatId, seq: 8, userId: "ben" });
  assert.equal(chat.blocked, false);
  model.timed({ t: "timer", chatId, seq: 11, by: "ben", seconds: 86400, at: 11 });
  model.timed({ t: "timer", chatId, seq: 10, by: "ben", seconds: 0, at: 10 });
  assert.equal(chat.timer, 86400);
});

test("receipts: once; again only what may have been lost or was refused; none of a chat that is blocked", () => {
  const [model, chat] = filled(3);
  const sent = [];
  const send = (f) => sent.push({ delivered: f.delivered, read: f.read });
  const receipts = new Receipts(model);
  const told = (now) => {
    sent.length = 0;
    receipts.tell(send, now);
    return [...sent];
  };
  model.readUpTo(chat, 2);
  assert.deepEqual(told(1000), [{ delivered: 3, read: 2 }]);
  assert.deepEqual(told(1100), []);
  receipts.settle(1200); // too early to be sure
  receipts.down();
  assert.deepEqual(told(2000), [{ delivered: 3, read: 2 }], "may have been lost");
  receipts.settle(4000);
  receipts.down();
  assert.deepEqual(told(5000), [], "was kept");
  model.readUpTo(chat, 3);
  assert.deepEqual(told(6000), [{ delivered: undefined, read: 3 }]);
  receipts.refused(chatId);
  assert.deepEqual(told(7000), [{ delivered: undefined, read: 3 }], "was refused");
  model.message(message(4), true);
  chat.blocked = true;
  assert.deepEqual(told(8000), []);
});

test("long texts are cut between words, links are not; two letters stand for a name, words for days", () => {
  assert.ok(!isLong("short") && isLong("x".repeat(1001)) && isLong("a\n".repeat(30)));
  const cut = beginning(`${"word ".repeat(300)}`);
  assert.equal(cut.map((p) => p.text).join("").at(-3), "d");
  const link = `https://example.org/${"a".repeat(2000)}`;
  assert.deepEqual(beginning(link).map((p) => p.href), [link, undefined]);
  assert.ok(beginning(link)[0].text.length <= 700);
  assert.deepEqual(parts("javascript:alert(1) data:text/html,x http://a.example/b.").filter((p) => p.href).map((p) => p.href), ["http://a.example/b"]);
  assert.deepEqual([dayWords(Date.now()), dayWords(new Date().setHours(-12))], ["Today", "Yesterday"]);
  assert.deepEqual(["Ana", "ben  carter smith", "(Dr.) Ünal", "🦊 fox", "", "+49"].map(initials), ["A", "BS", "DÜ", "🦊F", "#", "4"]);
});

test("marks: what is later counts, a mark ends by reading, pinned chats stand first", () => {
  const model = new Model(ME);
  const [a, b] = ["a", "b"].map((chatId) => model.describe({ chatId, kind: "group", name: chatId, role: "member", lastMessage: message(5, "ben", { chatId }), mySeq: { read: 5 } }));
  model.marked({ chatId: "a", seq: 10, pinned: true });
  model.marked({ chatId: "b", seq: 12, pinned: true, markedUnread: true, readSeq: 5 });
  assert.deepEqual(model.listed(), [b, a]);
  model.marked({ chatId: "a", seq: 9, archived: true }); // older than what is known
  assert.equal(a.marks.archived, false);
  model.marked({ chatId: "a", seq: 13, archived: true, pinned: false });
  assert.deepEqual([model.listed(), model.listed(true)], [[b], [a]]);
  assert.ok(model.flagged(b));
  model.readElsewhere({ chatId: "b", seq: 6 });
  assert.ok(!model.flagged(b));
  model.marks(b, { seq: 12, archived: true });
  assert.equal(b.marks.pinnedSeq, 12, "a whole that is not later");
});

test("a draft: from elsewhere unless something was typed here, and over by a later message of one's own", () => {
  const model = new Model(ME);
  const chat = model.chat("a");
  model.marked({ chatId: "a", seq: 1, draft: "from afar", draftAfter: 4 });
  assert.equal(chat.draft, "from afar");
  assert.ok(model.takeNews().drafted.has(chat));
  model.write(chat, "typed here");
  model.marked({ chatId: "a", seq: 2, draft: "from afar again", draftAfter: 4 });
  assert.deepEqual([chat.draft, chat.unsaved], ["typed here", true]);
  model.saved(chat);
  model.marked({ chatId: "a", seq: 3, draft: "typed here", draftAfter: 6 });
  model.message(message(6, ME, { chatId: "a" }), true);
  assert.equal(chat.draft, "typed here", "said before it was begun");
  model.message(message(7, ME, { chatId: "a" }), true);
  assert.equal(chat.draft, "");
  model.marked({ chatId: "a", seq: 4, draft: "late news", draftAfter: 6 });
  assert.equal(chat.draft, "");
});

test("pins: the newest three, each message once, in any order, without those that are gone", () => {
  const model = new Model(ME);
  const pin = (seq, n, yes = true) => model.pin({ t: "pinned", chatId: "a", seq, messageId: `m${n}`, messageSeq: n, pinned: yes });
  for (const [seq, n] of [[10, 1], [11, 2], [12, 3], [13, 4], [14, 2]]) pin(seq, n);
  const { pins } = model.chat("a");
  assert.deepEqual(pins.map((p) => p.messageSeq), [3, 4, 2]);
  pin(11, 2);
  assert.equal(model.chat("a").pins, pins, "known");
  pin(15, 4, false);
  model.message(message(3, "ben", { chatId: "a", id: "m3" }), true);
  model.changed({ t: "deleted", chatId: "a", seq: 16, messageId: "m3", messageSeq: 3, by: "ben" });
  assert.deepEqual(model.chat("a").pins.map((p) => p.messageSeq), [2]);
});

test("far above: shown apart, changed with the rest, stored nowhere, and joined when it meets what is held", () => {
  const model = new Model(ME);
  const of = (seq) => message(seq, "ben", { chatId: "a", reactions: [] });
  for (const seq of [100, 101]) model.message(of(seq), true);
  const chat = model.chat("a");
  model.dirty.messages.clear();
  model.aside(chat, [40, 41, 42].map(of), true);
  assert.equal(model.oldest(chat), 40);
  assert.equal(chat.messages.length, 2);
  model.changed({ t: "edited", chatId: "a", seq: 110, messageId: of(41).id, messageSeq: 41, by: "ben", content: "other words" });
  assert.equal(model.find(chat, of(41).id).content, "other words");
  assert.equal(model.dirty.messages.size, 0);
  model.aside(chat, [43, 99, 100].map(of), true);
  assert.equal(chat.away, null);
  assert.deepEqual(chat.messages.map((m) => m.seq), [40, 41, 42, 43, 99, 100, 101]);
  assert.equal(chat.ids.get(of(41).id).content, "other words");
});

test("what was found is marked where it stands, without case and accents, at the beginning of words", () => {
  const found = (text, ...words) => places(text, words).map(([from, to]) => text.slice(from, to));
  assert.deepEqual(found("Canción, canciones y acción", "cancion"), ["Canción", "cancion"]);
  assert.deepEqual(found("e\u0301te\u0301 🙂 ＡＢＣ", "été", "abc"), ["e\u0301te\u0301", "ＡＢＣ"]);
  assert.deepEqual(found("今日は東京", "東京"), ["東京"]);
  assert.deepEqual(found("aaa aa", "a", "aa"), ["aa", "aa"]);
});

/** A server with these lines: what `lacking` asks for is answered in pages of three; → how often was asked. */
function fetchLines(model, chat, all) {
  for (let n = 0; ; n++) {
    const asked = lacking(chat);
    if (!asked) return n;
    assert.ok(n < 20, JSON.stringify(asked));
    const found = all.filter((f) => f.seq > asked.after && f.seq < (asked.before ?? Infinity));
    const page = asked.before === undefined ? found.slice(0, 3) : found.slice(-3);
    model.lines(chat, asked, { lines: page, more: found.length > page.length });
  }
}

const renamed = (seq) => ({ t: "chat", chatId, seq, by: "ben", at: seq, name: `name ${seq}` });
const eventSeqs = (chat) => chat.messages.filter((m) => m.type === "event").map((m) => m.seq);

test("lines are fetched from the first message that is held on, each once, whatever was told live", () => {
  const model = new Model(ME);
  model.lined = true;
  const all = [1, 2, 3, 4, 21, 22, 23, 24, 25, 31, 40].map(renamed);
  const told = { chatId, kind: "group", name: "g", role: "member", lineSeq: 31 };
  const chat = model.describe(told);
  assert.equal(lacking(chat), null, "nothing is shown");
  for (const seq of [20, 26, 30]) model.message(message(seq), false);
  assert.equal(fetchLines(model, chat, all.slice(0, -1)), 2);
  assert.deepEqual(eventSeqs(chat), [21, 22, 23, 24, 25, 31]);
  model.group(all.at(-1));
  assert.equal(lacking(chat), null, "one that came live is not asked for");
  model.describe({ ...told, lineSeq: 40 });
  assert.equal(lacking(chat), null);
  model.message(message(10), false);
  model.message(message(5), false);
  chat.all = true;
  fetchLines(model, chat, all);
  assert.deepEqual(eventSeqs(chat), all.map((f) => f.seq));
  model.describe({ ...told, lineSeq: 52 }); // this device was away
  model.group(renamed(52));
  all.push(...[50, 51, 52].map(renamed));
  fetchLines(model, chat, all);
  assert.deepEqual(eventSeqs(chat), all.map((f) => f.seq));
  model.trim(chat, 4);
  assert.deepEqual([eventSeqs(chat), lacking(chat)], [[40, 50, 51, 52], null]);
  for (const seq of [60, 61]) model.message(message(seq), false);
  model.trim(chat, 2);
  model.describe({ ...told, lineSeq: 62 });
  all.push(renamed(62));
  fetchLines(model, chat, all);
  assert.deepEqual(eventSeqs(chat), [62], "nothing below what is held");
});

test("a line of the server and the frame of it say the same; of who came only the line says by whom", () => {
  const model = new Model(ME);
  model.lined = true;
  const chat = model.describe({ chatId, kind: "group", name: "g", role: "member", lineSeq: 2 });
  for (const [userId, name] of [["ana", "Ana"], ["ben", "<b>Ben</b>"]]) model.named(userId, name);
  chat.all = true;
  const frame = { chatId, by: "ana", at: 1 };
  model.group({ ...frame, t: "chat", seq: 2, name: "g", members: [{ userId: ME, role: "member" }] });
  assert.deepEqual(eventSeqs(chat), []);
  const set = (seq, more) => ({ ...frame, t: "rights", seq, send: "everyone", info: "admins", add: "admins", ...more });
  const lines = [
    { ...frame, t: "member", seq: 2, changes: [{ userId: ME, change: "add" }] },
    set(3, { send: "admins" }), set(4, { send: "admins", add: "everyone" }), set(5),
    { ...frame, t: "member", seq: 6, by: "ben", changes: [{ userId: "ben", change: "add" }], invitedBy: ME },
    { ...frame, t: "member", seq: 7, changes: [{ userId: "ben", change: "add" }], invitedBy: ME },
    { ...frame, t: "picture", seq: 8, picture: "p" }, { ...frame, t: "picture", seq: 9 },
  ];
  model.rules(lines[2]);
  const words = () => chat.messages.map((m) => eventWords(model, m));
  assert.deepEqual(words(), ["Ana changed who can do what: only admins can send messages, only admins can edit the group's info, everyone can add people"]);
  fetchLines(model, chat, lines);
  model.describe({ chatId, kind: "group", name: "g", lineSeq: 9 });
  fetchLines(model, chat, lines);
  assert.deepEqual(words(), [
    "Ana added you", "Ana changed who can do what: only admins can send messages, only admins can edit the group's info, only admins can add people", "Ana let everyone add people", "Ana let everyone send messages. Ana let only admins add people",
    "<b>Ben</b> joined by a link that you made", "Ana let <b>Ben</b> in", "Ana changed the group's picture", "Ana removed the group's picture",
  ]);
  model.rules({ ...set(12, { send: "admins" }) });
  model.describe({ chatId, kind: "group", name: "g", lineSeq: 9, rights: { send: "everyone", info: "admins", add: "admins" } });
  assert.equal(chat.rights.send, "admins", "a view that is behind takes nothing back");
  model.describe({ chatId, kind: "group", name: "g", lineSeq: 13, rights: { send: "everyone", info: "admins", add: "admins" } });
  assert.equal(chat.rights.send, "everyone");
  const other = new Model(ME);
  const far = other.describe({ chatId: "far", kind: "group", name: "h", lineSeq: 2 });
  far.all = true;
  fetchLines(other, far, [{ ...renamed(2), chatId: "far" }]);
  assert.notEqual(far.messages[0].id, chat.messages[0].id, "lines of two chats are two, also where they are kept");
});

const poll = (more = {}) => ({ options: ["a", "b", "c"], choices: 2, anonymous: false, ...more });

test("a poll: of results and votes the highest seq counts, in any order; a frame of another's vote only says to ask", () => {
  const [model, chat] = filled(0);
  const p = () => chat.messages[0].poll;
  const vote = (seq, more) => model.changed({ t: "vote", chatId, seq, messageId: "m1", messageSeq: 1, ...more });
  model.message(message(1, "ben", { poll: poll() }), true);
  vote(4, { clientId: "k", options: [0, 1], at: 4 });
  assert.deepEqual([p().counts, p().voters, p().mine.options], [[1, 1, 0], 1, [0, 1]]);
  vote(3, { clientId: "j", options: [2], at: 3 });
  assert.deepEqual(p().mine.options, [0, 1], "an older one");
  vote(6, {});
  assert.equal(p().behind, 6);
  model.message(message(1, "ben", { poll: poll() }), false); // once more, without a result
  model.polled(chat.messages[0], poll({ seq: 2, counts: [0, 0, 0], voters: 0 }));
  assert.deepEqual([p().counts, p().mine.seq, p().behind], [[1, 1, 0], 4, 6], "an answer from before");
  model.polled(chat.messages[0], poll({ seq: 6, counts: [1, 2, 0], voters: 2, mine: { seq: 4, options: [0, 1] } }));
  assert.deepEqual([p().counts, p().voters, p().behind], [[1, 2, 0], 2, undefined]);
  vote(7, { clientId: "l", at: 7 }); // taken back
  assert.deepEqual([p().counts, p().voters, p().mine.options], [[0, 1, 0], 1, []]);
  assert.equal(chat.unread, 1);
  assert.equal(chat.top, 1, "no receipt is told of a vote");
});

test("a vote behind the end of a poll counts for nothing, whichever is told first", () => {
  const late = { t: "vote", seq: 9, clientId: "k", options: [1], at: 9 };
  const end = { t: "poll_closed", seq: 8, at: 8 };
  for (const frames of [[late, end], [end, late]]) {
    let p = poll({ seq: 1, counts: [0, 1, 0], voters: 1 });
    for (const f of frames) p = pollAfter(p, f) ?? p;
    assert.deepEqual([p.counts, p.voters, p.mine, p.closed], [[0, 1, 0], 1, undefined, { seq: 8, at: 8 }]);
  }
  assert.equal(pollAfter(poll({ closesAt: 9 }), late), null);
  assert.ok(pollIsOver(poll({ closesAt: 9 }), 9));
  assert.ok(!pollIsOver(poll({ closesAt: 9 }), 8));
  assert.ok(!pollIsOver(poll(), 8));
  assert.equal(toldPoll(poll({ closed: { seq: 8 } }), poll({ seq: 7 })).closed.seq, 8);
  assert.deepEqual(recounted(poll({ mine: { seq: 1, options: [1] } }), [0]), { counts: [1, 0, 0], voters: 0 }, "counts that were not told yet do not fall below nothing");
});

test("a poll of a message that is deleted, over or hidden is gone with it; coming back to a group asks for the others", () => {
  const [model, chat] = filled(0);
  for (const seq of [1, 2, 3]) model.message(message(seq, "ben", { poll: poll({ seq, counts: [0, 0, 0], voters: 0 }) }), true);
  model.changed({ t: "deleted", chatId, seq: 5, messageId: "m1", messageSeq: 1, by: "ben", at: 5 });
  model.hidden({ chatId, seq: 6, messages: [{ id: "m2", seq: 2 }] });
  model.left(chatId);
  model.membership({ t: "member", chatId, seq: 7, by: "ben", at: 7, changes: [{ userId: ME, change: "add" }] });
  assert.deepEqual(chat.messages.filter((m) => m.type === "text").map((m) => m.poll?.behind), [undefined, undefined, 4]);
  assert.equal(chat.messages[0].poll, undefined);
});

test("what somebody wrote for a poll becomes one, or words that say why not", () => {
  const of = (question, options, choices = 1, ends = "") => pollOf(question, options, choices, false, ends, 1000);
  assert.deepEqual(of("q", [" a ", "", "b"], 3).poll, { options: ["a", "b"], choices: 2, anonymous: false });
  assert.equal(of("q", ["a", "b"], 1, "3600").poll.closesIn, 3600);
  assert.equal(of("q", ["a", "b"], 1, { at: 2000 }).poll.endsAt, 2000);
  for (const bad of [of(" ", ["a", "b"]), of("q", ["a", " "]), of("q", ["a", "a "]), of("q", ["a", "\u{1f600}".repeat(101)]), of("q", ["a", "b\u0007c"]), of("q", ["a", "b\u202ec"]),
    of("é".repeat(513), ["a", "b"]), of("q", ["a", "b"], 1, { at: 1000 }), of("q", ["a", "b"], 1, { at: NaN }), of("q", ["a", "b"], 1, { at: 4e10 })]) assert.ok(bad.fault && !bad.poll);
  assert.ok(of("q", ["a", "\u{1f600}".repeat(100)]).poll);
  assert.ok(of("é".repeat(512), ["a", "b"]).poll);
  assert.deepEqual([pressed([], 1, 1), pressed([0], 1, 1), pressed([1], 1, 1), pressed([2], 0, 2), pressed([0, 2], 1, 2)], [[1], [1], [], [0, 2], null]);
});

test("a waveform has 64 parts, the loudest beside the loudest, also of silence, gaps and what is none", () => {
  const all = waveform([[0, 0.1], [10, 0.2], [630, 0.4], [640, 0.3]], 640);
  assert.equal(all.length, 64);
  assert.deepEqual([all[0], all[1], all[40], all[63]], [64, 128, 128, 255]);
  assert.deepEqual([...waveform([], 5)], new Array(64).fill(0));
  assert.ok(Math.max(...waveform([[1, 0.001]], 10)) < 30, "silence is no noise");
  assert.deepEqual(levels(coded(all)), [...all]);
  for (const bad of ["", "%", "AAAA", undefined, coded(new Uint8Array(65))]) assert.deepEqual(levels(bad), new Array(64).fill(0));
  assert.deepEqual([length(0), length(61999), length(-5)], ["0:00", "1:01", "0:00"]);
});

test("places, cards and previews: what is shown and sent of them, and what is none", () => {
  assert.equal(placeWords({ latitude: -13.5, longitude: 0 }), "13.50000° S, 0.00000° E");
  for (const bad of [{}, { latitude: 91, longitude: 0 }, { latitude: "<b>", longitude: 0 }, { latitude: 0, longitude: NaN }]) assert.equal(placeWords(bad), "");
  assert.match(mapOf({ latitude: 1e-9, longitude: 180 }), /mlat=0\.000000&mlon=180\.000000#map/);
  assert.deepEqual(cardOf(" Ana ", "+1 2, 110;", "u").contact, { name: "Ana", numbers: ["+1 2", "110"], userId: "u" });
  for (const [name, numbers] of [["", "1"], ["a", ""], ["a", "1,2,3,4,5,6"], ["a", "1".repeat(33)], ["a".repeat(101), "1"], ["a\u202eb", "1"], ["a", "1\u00072"]]) assert.ok(cardOf(name, numbers, "").fault, name);
  assert.equal(linkOf({ url: "HTTPS://Example.org/a" }, "see HTTPS://Example.org/a").host, "example.org");
  for (const [url, content] of [["javascript:alert(1)", "javascript:alert(1)"], ["https://a.example", "https://b.example"], ["https://", "https://"], [undefined, "x"]]) assert.equal(linkOf({ url }, content), null);
});

test("an edit has the preview of its new text or none; what is deleted has nothing beside it", () => {
  const [model, chat] = filled(0);
  const preview = { url: "https://a.example" };
  model.message(message(1, "ben", { content: preview.url, preview }), true);
  const edit = (seq, more) => model.changed({ t: "edited", chatId, seq, messageId: "m1", messageSeq: 1, by: "ben", content: "x", at: seq, ...more });
  edit(2, {});
  assert.equal(chat.messages[0].preview, undefined);
  edit(3, { preview });
  assert.equal(chat.messages[0].preview, preview);
  model.changed({ t: "deleted", chatId, seq: 4, messageId: "m1", messageSeq: 1, by: "ben", at: 4 });
  assert.equal(chat.messages[0].preview, undefined);
});
