// SPDX-License-Identifier: MIT
// The list of chats. A chat's item is drawn anew only when something about it changed.
import { arrange, hide, mark, put, reachable, roving } from "./keys.js";
import { el } from "./util.js";
import { nameOf, preview, TICKS, titleOf, when } from "./words.js";

const TINTS = 8;

/** The same colour for the same chat everywhere. */
function tint(id) {
  let n = 0;
  for (const c of id) n = (n * 31 + c.codePointAt(0)) >>> 0;
  return n % TINTS;
}

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
    for (const part of ["face", "name", "when", "last", "unread"]) button.append(el("span", part));
    button.firstChild.dataset.tint = tint(chat.peer ?? chat.chatId);
    button.firstChild.setAttribute("aria-hidden", "true");
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
    if (!chat.last) return ["", chat.kind === "group" ? "New group" : ""];
    const mine = chat.last.from === model.me;
    if (chat.kind === "group" && !mine) this.engine.wantNames([chat.last.from]);
    const who = mine ? "You: " : chat.kind === "group" ? `${nameOf(model, chat.last.from)}: ` : "";
    return ["", who + preview(chat.last)];
  }

  #item(chat, open) {
    const item = this.#items.get(chat.chatId) ?? this.#make(chat);
    const button = item.firstChild;
    const [face, name, time, last, unread] = button.children;
    const title = titleOf(this.model, chat);
    const [kind, words] = this.#last(chat);
    mark(face, "class", chat.kind === "group" ? "face group" : "face");
    put(face, [...title][0].toUpperCase());
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
