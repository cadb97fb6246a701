// SPDX-License-Identifier: MIT
// What can be done with a chat from the list. Loaded when it is asked for.
import { menu } from "./keys.js";
import { isMuted } from "./marks.js";
import { errorWords, titleOf } from "./words.js";

const HOUR_MS = 3600000;
const FOR_EVER = 253402300799999; // as docs/protocol.md has it
const MUTES = { "For 8 hours": 8 * HOUR_MS, "For a week": 7 * 24 * HOUR_MS, Always: 0 };

export class Screen {
  actions = {};
  forms = {};

  constructor(act) {
    Object.assign(this, { act, engine: act.engine, model: act.model });
  }

  draw() {}

  #safely = (fn) => () => Promise.resolve().then(fn).catch((e) => this.act.notice(errorWords(e)));

  /** What was marked may have left the list, with the focus. */
  async #mark(chat, body) {
    await this.engine.mark(chat, body);
    requestAnimationFrame(() => {
      const { list } = this.act.view;
      if (document.activeElement === document.body) (list.item(chat.chatId)?.isConnected ? list.item(chat.chatId) : list.box.querySelector(".chat-item"))?.focus();
    });
  }

  list(chat, by) {
    const { marks } = chat;
    const act = this.#safely;
    const entries = [];
    const offer = (text, sign, run) => entries.push({ text, sign, run: act(run) });
    if (chat.unread || this.model.flagged(chat)) offer("Mark as read", "read", () => this.#read(chat));
    else if (!chat.left) offer("Mark as unread", "unread", () => this.#mark(chat, { markedUnread: true, readSeq: this.model.readTo(chat) }));
    if (marks.pinnedSeq) offer("Unpin", "pin", () => this.#mark(chat, { pinned: false }));
    else if (!chat.left) offer("Pin to the top", "pin", () => this.#mark(chat, { pinned: true }));
    if (!chat.left) offer(isMuted(chat) ? "Unmute" : "Mute…", "mute", () => this.mute(chat, by));
    if (marks.archived) offer("Take out of the archive", "archive", () => this.#mark(chat, { archived: false }));
    else if (!chat.left) offer("Archive", "archive", () => this.#mark(chat, { archived: true }));
    if (entries.length) menu(by, entries, `What to do with ${titleOf(this.model, chat)}`);
  }

  async #read(chat) {
    if (chat.unread) this.engine.seen(chat, Math.max(chat.top, chat.unreadSeq));
    if (chat.marks.markedUnread) await this.#mark(chat, { markedUnread: false });
  }

  /** For how long; a chat that is muted is so no more. */
  mute(chat, by = document.querySelector('[data-action="chat-menu"]')) {
    if (isMuted(chat)) return this.engine.mute(chat, 0);
    const entries = Object.entries(MUTES).map(([text, ms]) => ({ text, sign: "mute", run: this.#safely(() => this.engine.mute(chat, ms ? Date.now() + ms : FOR_EVER)) }));
    return menu(by, entries, `No notifications from ${titleOf(this.model, chat)}`);
  }
}
