// SPDX-License-Identifier: MIT
// The list of chats. A chat's item is drawn anew only when something about it changed.
import { arrange, hide, mark, put, reachable, roving } from "./keys.js";
import { isMuted } from "./marks.js";
import { el, icon } from "./util.js";
import { preview, shortNameOf, TICKS, titleOf, when } from "./words.js";

export class List {
  #items = new Map(); // chatId → li
  #open = null;
  folder = false; // the archived ones are shown

  constructor(engine, box) {
    Object.assign(this, { engine, box, model: engine.model });
    this.empty = el("li", "empty", "No chats yet. Find somebody by phone number below.");
    box.replaceChildren();
    this.archive = el("li");
    const button = el("button", "chat-item folder");
    Object.assign(button, { type: "button", tabIndex: -1 });
    button.dataset.action = "archived";
    button.append(icon("archive"), el("span", "name", "Archived"), el("span", "count"));
    this.archive.append(button);
  }

  draw(news, openChat) {
    const archived = this.model.listed(true);
    if (!archived.length) this.folder = false;
    const items = (this.folder ? archived : this.model.listed()).map((chat) => {
      const known = this.#items.get(chat.chatId);
      const moved = (chat.chatId === openChat) !== (chat.chatId === this.#open);
      if (known && !news.names && !moved && !news.chats.has(chat)) return known;
      return this.#item(chat, chat.chatId === openChat);
    });
    this.#open = openChat;
    hide(document.getElementById("folder"), !this.folder);
    if (archived.length && !this.folder) items.unshift(this.archive);
    this.#count(archived);
    arrange(this.box, items.length ? items : [this.empty]);
    reachable(this.box, ".chat-item", items[0]?.firstChild);
  }

  /** How many archived chats have something new, or how many there are. */
  #count(archived) {
    const fresh = archived.filter((c) => c.unread || this.model.flagged(c)).length;
    const e = this.archive.querySelector(".count");
    put(e, fresh || archived.length);
    mark(e, "class", fresh ? "count fresh" : "count");
    mark(this.archive.firstChild, "aria-label", `Archived, ${archived.length === 1 ? "1 chat" : `${archived.length} chats`}${fresh ? `, ${fresh} unread` : ""}`);
  }

  #make(chat) {
    const item = el("li");
    const button = el("button", "chat-item");
    button.type = "button";
    button.tabIndex = -1;
    button.dataset.chatId = chat.chatId;
    for (const part of ["name", "when", "last", "signs"]) button.append(el("span", part));
    button.lastChild.append(icon("mute"), icon("pin"), el("span", "unread"));
    button.prepend(this.engine.media.face());
    for (const part of button.querySelectorAll(".name, .last")) part.dir = "auto";
    const more = el("button", "more plain round");
    Object.assign(more, { type: "button", tabIndex: -1 });
    more.dataset.action = "list-menu";
    more.append(icon("down"));
    item.append(button, more);
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
    const who = mine ? "You: " : chat.kind === "group" ? `${shortNameOf(model, last.from)}: ` : "";
    return [last.deleted ? "quiet" : "", who + preview(last)];
  }

  #item(chat, open) {
    const item = this.#items.get(chat.chatId) ?? this.#make(chat);
    const button = item.firstChild;
    const [face, name, time, last, signs] = button.children;
    const [muted, pinned, unread] = signs.children;
    const title = titleOf(this.model, chat);
    const [kind, words] = this.#last(chat);
    this.engine.faceOf(face, chat);
    put(name, title);
    put(time, when(chat.last?.sentAt));
    put(last, words);
    mark(last, "class", kind ? `last ${kind}` : "last");
    const flagged = !chat.unread && this.model.flagged(chat);
    const is = { pinned: Boolean(chat.marks.pinnedSeq) && !chat.left, muted: isMuted(chat) };
    put(unread, flagged ? "" : chat.unread > 999 ? "999+" : chat.unread);
    hide(unread, !chat.unread && !flagged);
    pinned.toggleAttribute("hidden", !is.pinned);
    muted.toggleAttribute("hidden", !is.muted);
    mark(item.lastChild, "aria-label", `What to do with ${title}`);
    mark(button, "data-unread", chat.unread);
    mark(button, "aria-current", open ? "true" : null);
    const count = chat.unread ? `${chat.unread} unread` : flagged ? "marked unread" : "";
    mark(button, "aria-label", [title, count, is.pinned && "pinned", is.muted && "muted", words, time.textContent].filter(Boolean).join(", "));
    return item;
  }

  item(chatId) {
    return this.#items.get(chatId)?.firstChild;
  }

  static keys(box) {
    roving(box, ".chat-item");
  }
}
