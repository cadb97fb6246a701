// SPDX-License-Identifier: MIT
// The pinned messages of the open chat, in a bar above it. Loaded with the first chat that has some.
import { hide, menu, put } from "./keys.js";
import { may } from "./marks.js";
import { el } from "./util.js";
import { errorWords, preview, shortNameOf } from "./words.js";

const $ = (id) => document.getElementById(id);

export class Screen {
  forms = {};
  #chat = null;
  #at = 0; // which is shown; 0: the newest
  #shown = "";
  #far = new Map(); // messageId → message that is not here, null while it is asked for, or when it is not there

  constructor(act) {
    Object.assign(this, { act, engine: act.engine, model: act.model });
  }

  /** Those that can be shown, the newest first: [{pin, m}]. */
  #pins(chat) {
    if (chat.left || chat.blocked) return [];
    return chat.pins.filter((p) => p.messageId).map((pin) => ({ pin, m: this.#message(chat, pin) })).filter(({ m }) => m && !m.gone && !m.deleted && !(m.expiresAt <= Date.now())).reverse();
  }

  #message(chat, pin) {
    const id = pin.messageId;
    const held = this.model.find(chat, id) ?? this.#far.get(id);
    if (held !== undefined) return held;
    this.#far.set(id, null);
    this.engine.session.insist("GET", `/api/chats/${chat.chatId}/messages?before=${pin.messageSeq + 1}&limit=1`, undefined, 3).then(({ messages: [m] }) => {
      if (m?.id !== id) return;
      this.#far.set(id, m);
      this.engine.wantNames([m.from]);
      this.engine.changed();
    }, () => this.#far.delete(id)); // asked again when something changes
    return null;
  }

  draw() {
    const { chat } = this.act;
    if (chat !== this.#chat) {
      this.#chat = chat;
      this.#at = 0;
      this.#far.clear();
    }
    const pins = chat ? this.#pins(chat) : [];
    this.#at = pins.length ? this.#at % pins.length : 0;
    const words = pins.map(({ m }) => [`${shortNameOf(this.model, m.from)}: `, preview(m)]);
    const key = JSON.stringify([this.#at, words]);
    if (key === this.#shown) return;
    this.#shown = key;
    hide($("pins"), !pins.length);
    if (!pins.length) return;
    const title = pins.length > 1 ? `Pinned message ${this.#at + 1} of ${pins.length}` : "Pinned message";
    put($("pins-title"), title);
    $("pins-text").replaceChildren(el("span", "dim", words[this.#at][0]), el("bdi", "", words[this.#at][1]));
    $("pins-marks").replaceChildren(...pins.map((_, i) => el("span", i === pins.length - 1 - this.#at ? "now" : "")));
  }

  /** To the message; the next press leads to the one before it. */
  async #go() {
    const pins = this.#pins(this.#chat);
    const { m } = pins[this.#at];
    this.#at = (this.#at + 1) % pins.length;
    this.draw();
    await this.act.jump(this.#chat, m);
  }

  #menu(button) {
    const chat = this.#chat;
    const entries = this.#pins(chat).map(({ m }) => {
      const words = preview(m);
      const short = words.length > 32 ? `${words.slice(0, 30)}…` : words;
      return may(chat, "info")
        ? { text: `Unpin “${short}”`, sign: "pin", run: () => this.engine.changeMessage(m, "DELETE", "/pin").catch((e) => this.act.notice(errorWords(e))) }
        : { text: `Go to “${short}”`, sign: "pin", run: () => this.act.jump(chat, m).catch((e) => this.act.notice(errorWords(e))) };
    });
    menu(button, entries, "Pinned messages");
  }

  actions = { "go-pin": () => this.#go(), "pins-menu": (b) => this.#menu(b) };
}
