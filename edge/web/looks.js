// SPDX-License-Identifier: MIT
// Who types in the open chat, and whether its other person is here. Told at most once and stored nowhere: what is lost is
// simply not shown.
import { clock, nameOf, when } from "./words.js";

const TYPING_MS = 6000; // as docs/protocol.md has it
const SAY_MS = 3000;
const EARLY_MS = 60000; // another ticket, so long before the end of a look
const AGAIN_MS = 3000; // after a look was ended or refused

export class Looks {
  #chat = null; // looked at
  #session = "";
  #typing = new Map(); // userId → {state, timer}
  #presence = null; // {state, at}
  #timers = new Map(); // "chat" | "user" → timer of the next ticket
  #said = 0; // when "typing" was said last
  #idle = 0;

  constructor(engine) {
    this.engine = engine;
  }

  /** After `ready`: tickets are for its session. */
  ready(session) {
    this.#session = session;
    const chat = this.#chat;
    this.#chat = null;
    this.show(chat);
  }

  down() {
    this.#session = "";
    this.#clear();
  }

  #clear() {
    for (const { timer } of this.#typing.values()) clearTimeout(timer);
    this.#typing.clear();
    this.#timers.forEach(clearTimeout);
    this.#timers.clear();
    this.#presence = null;
  }

  stop() {
    this.#clear();
    clearTimeout(this.#idle);
  }

  /** The chat on the screen, or null. */
  show(chat) {
    if (chat === this.#chat) return;
    const before = this.#chat;
    this.#clear();
    this.#chat = chat;
    this.#said = 0;
    if (before && this.#session) {
      this.engine.socket?.send({ t: "unlook", chatId: before.chatId });
      if (before.kind === "direct" && before.peer) this.engine.socket?.send({ t: "unlook", userId: before.peer });
    }
    if (!chat || !this.#session || chat.left || chat.blocked) return;
    if (this.engine.can.has("typing")) this.#look("chat", `/api/chats/${chat.chatId}/ticket`);
    if (this.engine.can.has("presence") && chat.kind === "direct" && chat.peer) this.#look("user", `/api/users/${chat.peer}/ticket`);
  }

  /** Its person was blocked, or is not any more: nothing is shown, or again what there is. */
  blocked(chatId) {
    const chat = this.#chat;
    if (chat?.chatId !== chatId) return;
    this.show(null);
    this.show(chat);
  }

  async #look(kind, path) {
    const [chat, session] = [this.#chat, this.#session];
    const answer = await this.engine.session.insist("POST", path, { session }, 3).catch(() => null); // 404: not for this user to see
    if (!answer || chat !== this.#chat || session !== this.#session) return;
    if (kind === "user" && !this.#presence && answer.seenAt) this.#presence = { state: "away", at: answer.seenAt };
    this.engine.socket?.send({ t: "look", ticket: answer.ticket });
    this.#again(kind, path, Math.max(AGAIN_MS, answer.until - Date.now() - EARLY_MS));
    this.engine.changed();
  }

  #again(kind, path, wait) {
    clearTimeout(this.#timers.get(kind));
    this.#timers.set(kind, setTimeout(() => this.#look(kind, path), wait * (1 + 0.2 * Math.random())));
  }

  /** `looking`, `typing`, `presence`. */
  frame(f) {
    const chat = this.#chat;
    if (!chat) return;
    if (f.t === "looking" && f.until === 0) {
      if (f.chatId === chat.chatId) this.#again("chat", `/api/chats/${chat.chatId}/ticket`, AGAIN_MS);
      else if (f.userId === chat.peer) this.#again("user", `/api/users/${chat.peer}/ticket`, AGAIN_MS);
    } else if (f.t === "typing" && f.chatId === chat.chatId) {
      this.#typed(f.userId, f.state);
    } else if (f.t === "presence" && f.userId === chat.peer) {
      this.#presence = { state: f.state, at: f.at ?? (f.state === "away" ? this.#presence?.at : undefined) };
    }
    this.engine.changed();
  }

  #typed(userId, state) {
    clearTimeout(this.#typing.get(userId)?.timer);
    this.#typing.delete(userId);
    if (state === "idle") return;
    const timer = setTimeout(() => {
      this.#typing.delete(userId);
      this.engine.changed();
    }, TYPING_MS);
    this.#typing.set(userId, { state, timer });
    this.engine.wantNames([userId]);
  }

  /** A message came: whoever wrote it types no more. */
  message(m) {
    if (m.chatId === this.#chat?.chatId && this.#typing.has(m.from)) this.#typed(m.from, "idle");
  }

  /** This user wrote something, or emptied the composer; `state`: or speaks. */
  typed(chat, something, state = "typing") {
    if (chat !== this.#chat || !this.#session || !this.engine.can.has("typing")) return;
    clearTimeout(this.#idle);
    const say = (what) => this.engine.socket?.send({ t: "signal", chatId: chat.chatId, state: what });
    if (!something) {
      if (this.#said) say("idle");
      this.#said = 0;
      return;
    }
    if (Date.now() - this.#said > SAY_MS) {
      this.#said = Date.now();
      say(state);
    }
    this.#idle = setTimeout(() => {
      if (this.#said && chat === this.#chat) say("idle");
      this.#said = 0;
    }, 2 * SAY_MS);
  }

  /** What stands under the name of the chat; "" for nothing. */
  words(chat) {
    if (chat !== this.#chat) return "";
    const [first] = this.#typing;
    if (first) {
      const what = first[1].state === "recording" ? "recording…" : "typing…";
      return chat.kind === "direct" ? what : `${nameOf(this.engine.model, first[0])}: ${what}`;
    }
    if (chat.kind !== "direct" || !this.#presence) return "";
    if (this.#presence.state === "here") return "online";
    return this.#presence.at ? `last seen ${lastSeen(this.#presence.at)}` : "";
  }
}

function lastSeen(ms) {
  const day = when(ms);
  const time = clock.format(ms);
  return day === time ? time : `${day}, ${time}`;
}
