// SPDX-License-Identifier: MIT
// A client of clients/js that does what it is told: a line of JSON in, {id, do, ...}, lines out: {event}, {show}, {id, result} or {id, error}.
import { createInterface } from "node:readline";
import * as chasqui from "../../clients/js/chasqui.js";

const say = (told) => console.log(JSON.stringify(told));
const url = process.argv[2];
let session, client, book;

const actions = {
  link: async () => {
    session = await chasqui.link(url, { show: (code) => say({ show: code }), confirm: (me) => Boolean(me.phoneNumber), platform: "web", label: "linked" });
    return session.tokens.deviceId;
  },
  start: async () => {
    book = new chasqui.Book(session.userId);
    client = new chasqui.Client(session, (event) => {
      book.take(event);
      say({ event });
    });
    client.start();
  },
  book: async () => ({ messages: [...book.messages.values()], chats: [...book.chats.values()], unsure: [...book.unsure] }),
  send: ({ content, to }) => client.send(content, to),
  pin: ({ message }) => client.pin(book.messages.get(message)),
  vote: ({ message, options }) => client.vote(book.messages.get(message), options),
  close: ({ message }) => client.closePoll(book.messages.get(message)),
  look: ({ at }) => client.look(at),
  unlook: async ({ at }) => client.unlook(at),
  signal: async ({ chatId, state }) => client.signal(chatId, state),
  here: async ({ isHere }) => client.here(isHere),
  read: async ({ message }) => client.read(book.messages.get(message)),
  approve: ({ code }) => chasqui.approve(session, code, (asked) => asked.label === "third"),
  number: ({ to, present, wrong }) => chasqui.changeNumber(session, to, present, wrong ? [() => wrong] : []),
  remove: ({ phone }) => chasqui.deleteAccount(session, phone),
};

const done = async ({ id, do: name, ...how }) => {
  try {
    say({ id, result: (await actions[name](how)) ?? null });
  } catch (e) {
    say({ id, error: e.code || e.name || e.constructor.name });
  }
};
for await (const line of createInterface({ input: process.stdin })) done(JSON.parse(line));
process.exit(0);
