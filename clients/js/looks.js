// SPDX-License-Identifier: MIT
// Which chats and people are looked at: tickets for the session of `ready`, renewed before their end, and asked for anew after an early one.
import { SignedOut } from "./session.js";

const LOOKS_MAX = 32; // of a socket, as docs/protocol.md has it
const EARLY_MS = 60000; // another ticket, so long before the end of a look
const AGAIN_MS = 3000; // after a look was ended or refused, and a fifth more at most: all members of a chat ask

/** @typedef {{path: string, at: {chatId?: string, userId?: string}, until: number, timer?: any}} Look */

/** @param {{chatId?: string, userId?: string}} at */
const keyOf = ({ chatId, userId }) => (chatId ? `chat ${chatId}` : `user ${userId}`);

export class Looks {
  /** @type {Map<string, Look>} */ #looks = new Map();
  #session = "";
  #away = false;

  /** @param {(frame: any) => void} write @param {(path: string, body: any) => Promise<any>} post */
  constructor(write, post) {
    this.write = write;
    this.post = post;
  }

  /** @param {{chatId?: string, userId?: string}} at */
  async look(at) {
    const key = keyOf(at);
    if (this.#looks.size >= LOOKS_MAX && !this.#looks.has(key)) throw new RangeError(`${LOOKS_MAX} chats and users are looked at: unlook() one of them`);
    const path = at.chatId ? `/api/chats/${at.chatId}/ticket` : `/api/users/${at.userId}/ticket`;
    const look = this.#looks.get(key) ?? { path, at, until: 0 };
    this.#looks.set(key, look);
    return this.#ask(look);
  }

  /** @param {{chatId?: string, userId?: string}} at */
  unlook(at) {
    const look = this.#looks.get(keyOf(at));
    if (!look) return;
    clearTimeout(look.timer);
    this.#looks.delete(keyOf(at));
    if (this.#session) this.write({ t: "unlook", ...look.at });
  }

  /** @param {boolean} isHere */
  here(isHere) {
    if (this.#away !== isHere) return;
    this.#away = !isHere;
    if (this.#session) this.write({ t: isHere ? "here" : "away" });
  }

  /** Tickets are for its session; a new socket counts as in the foreground. @param {string} session */
  ready(session) {
    this.#session = session;
    if (this.#away) this.write({ t: "away" });
    for (const look of this.#looks.values()) this.#ask(look).catch(() => {});
  }

  down() {
    this.#session = "";
    for (const look of this.#looks.values()) clearTimeout(look.timer);
  }

  /** `looking`: until when, or 0: it has ended early. @param {{chatId?: string, userId?: string, until: number}} frame */
  looking(frame) {
    const look = this.#looks.get(keyOf(frame));
    if (!look) return;
    look.until = frame.until;
    if (frame.until === 0) this.#again(look, AGAIN_MS);
  }

  /** An `error` of a look, which does not say of which: those without an answer. */
  refused() {
    for (const look of this.#looks.values()) if (!look.until) this.#again(look, AGAIN_MS);
  }

  #again(look, wait) {
    clearTimeout(look.timer);
    look.timer = setTimeout(() => this.#ask(look).catch(() => {}), wait * (1 + 0.2 * Math.random()));
  }

  async #ask(look) {
    const session = this.#session;
    if (!session) return {}; // at the next `ready`
    let answer;
    try {
      answer = await this.post(look.path, { session });
    } catch (e) {
      if (e instanceof SignedOut || (e.status >= 400 && e.status < 500 && e.status !== 429)) this.#looks.delete(keyOf(look.at));
      else if (session === this.#session) this.#again(look, AGAIN_MS);
      throw e;
    }
    if (session !== this.#session || this.#looks.get(keyOf(look.at)) !== look) return answer;
    look.until = 0;
    this.write({ t: "look", ticket: answer.ticket });
    this.#again(look, Math.max(AGAIN_MS, answer.until - Date.now() - EARLY_MS));
    return answer;
  }
}
