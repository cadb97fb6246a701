// SPDX-License-Identifier: MIT
// What the page knows and which part of it is drawn, without a browser.
import { test } from "node:test";
import assert from "node:assert/strict";
import { Model } from "../../edge/web/model.js";
import { ROWS_MAX, Rows } from "../../edge/web/rank.js";

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
