#!/usr/bin/env node
// SPDX-License-Identifier: MIT
// Answers each message: example.mjs URL NUMBER NAME (of a development server, which shows the code).
import { Client, signIn } from "./chasqui.js";

const [url, number, name] = process.argv.slice(2);
const session = await signIn(url, number, { name });
const client = new Client(session, (event) => {
  if (event.t === "caught_up") console.log("ready", session.userId);
  if (event.t !== "message" || event.from === session.userId) return;
  client.read(event);
  client.reply(event, `you said: ${event.content}`).catch(console.error);
});
client.start();
