// SPDX-License-Identifier: MIT
// The list of chats. A chat's item is drawn anew only when something about it changed.
import { arrange, hide, mark, put, reachable, roving } from "./keys.js";
import { el } from "./util.js";
import { nameOf, preview, TICKS, titleOf, when } from "./words.js";

export class List {
  #items = new Map(); // chatId → li
  #open = null;

  constructor(engine, box) {
    Object.assign(this, { engine, box, model: engine.model });
    this.empty = el("li", "empty", "No chats yet. Find somebody by phone number below.");
    box.replaceChildren();
  }

  draw(news, openChat) {
    const sorted = this.model.sorted();
    const items = sorted.map((chat) => {
      const known = this.#items.get(chat.chatId);
      const moved = (chat.chatId === openChat) !== (chat.chatId === this.#open);
      if (known && !news.names && !moved && !news.chats.has(chat)) return known;
      return this.#item(chat, chat.chatId === openChat);
    });
    this.#open = openChat;
    arrange(this.box, items.length ? items : [this.empty]);
    reachable(this.box, ".chat-item", items[0]?.firstChild);
  }

  #make(chat) {
    const item = el("li");
    const button = el("button", "chat-item");
    button.type = "button";
    button.tabIndex = -1;
    button.dataset.chatId = chat.chatId;
    for (const part of ["name", "when", "last", "unread"]) button.append(el("span", part));
    button.prepend(this.engine.media.face());
    for (const part of button.querySelectorAll(".name, .last")) part.dir = "auto";
    item.append(button);
    this.#items.set(chat.chatId, item);
    return item;
  }

  /** What stands under the name: what waits, what is being written, what was said last. */
  #last(chat) {
    const { model } = this;
    const own = model.outbox.findLast((m) => m.chatId === chat.chatId);
    if (own?.state === "failed") return ["failed", `⚠ Not sent: ${preview(own)}`];
    if (chat.draft && chat.chatId !== this.engine.openChat) return ["draft", `Draft: ${chat.draft.slice(0, 120)}`];
    if (own) return ["waiting", `${TICKS[model.tick(chat, own)]} ${preview(own)}`];
    const last = model.lastOf(chat);
    if (!last) return ["", chat.kind === "group" ? "New group" : ""];
    if (last.gone) return ["quiet", preview(last)];
    const mine = last.from === model.me;
    if (chat.kind === "group" && !mine) this.engine.wantNames([last.from]);
    const who = mine ? "You: " : chat.kind === "group" ? `${nameOf(model, last.from)}: ` : "";
    return [last.deleted ? "quiet" : "", who + preview(last)];
  }

  #item(chat, open) {
    const item = this.#items.get(chat.chatId) ?? this.#make(chat);
    const button = item.firstChild;
    const [face, name, time, last, unread] = button.children;
    const title = titleOf(this.model, chat);
    const [kind, words] = this.#last(chat);
    this.engine.faceOf(face, chat);
    put(name, title);
    put(time, when(chat.last?.sentAt));
    put(last, words);
    mark(last, "class", kind ? `last ${kind}` : "last");
    put(unread, chat.unread > 999 ? "999+" : chat.unread);
    hide(unread, !chat.unread);
    mark(button, "data-unread", chat.unread);
    mark(button, "aria-current", open ? "true" : null);
    const count = chat.unread ? `${chat.unread} unread` : "";
    mark(button, "aria-label", [title, count, words, time.textContent].filter(Boolean).join(", "));
    return item;
  }

  item(chatId) {
    return this.#items.get(chatId)?.firstChild;
  }

  static keys(box) {
    roving(box, ".chat-item");
  }
}
