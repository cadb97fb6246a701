// SPDX-License-Identifier: MIT
// For tests/clients/run: a line of JSON in, {user, limits, events, ticks, now}, a line out: what a Book of clients/js has then.
import { createInterface } from "node:readline";
import { Book } from "../../clients/js/book.js";

for await (const line of createInterface({ input: process.stdin })) {
  const { user, limits, events, now } = JSON.parse(line);
  const book = new Book(user, limits);
  const told = events.map((event) => book.take(event).map((m) => m.id));
  const messages = [...book.messages.values()].map((m) => ({ ...m, tick: book.tick(m), shown: book.shown(m, now) }));
  console.log(JSON.stringify({ messages, chats: [...book.chats.values()], me: book.me, unsure: [...book.unsure], told }));
}
