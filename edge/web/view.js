// SPDX-License-Identifier: MIT
// From the model to the screen: once after each burst, and only what changed.
import { hide, mark, put } from "./keys.js";
import { List } from "./list.js";
import { Thread } from "./thread.js";
import { el } from "./util.js";
import { nameOf, preview, STATES, titleOf } from "./words.js";

const $ = (id) => document.getElementById(id);

export class View {
  #waiting = false;
  #infoShown = ""; // what the dialog shows
  #said = null; // timer of what a screen reader is told

  constructor(engine) {
    Object.assign(this, { engine, model: engine.model });
    this.list = new List(engine, $("chats"));
    this.thread = new Thread(engine, () => this.later());
  }

  end() {
    this.thread.end();
    clearTimeout(this.#said);
  }

  /** Draw once after the current burst, however often it is called. */
  later() {
    let unread = 0;
    for (const chat of this.model.chats.values()) unread += chat.unread;
    const title = unread ? `(${unread}) Chasqui` : "Chasqui";
    if (document.title !== title) document.title = title;
    if (this.#waiting) return;
    this.#waiting = true;
    requestAnimationFrame(() => {
      this.#waiting = false;
      this.draw();
    });
  }

  draw() {
    const { state, openChat } = this.engine;
    const news = this.model.takeNews();
    put($("connection"), STATES[state]);
    mark($("connection"), "data-state", state === "on" ? "on" : "off");
    this.list.draw(news, openChat);
    const chat = openChat && this.model.chats.get(openChat);
    mark($("home"), "data-pane", chat ? "chat" : "list");
    hide($("chat"), !chat);
    hide($("nothing"), Boolean(chat));
    if (!chat) return this.thread.close();
    this.#head(chat, state);
    this.#context(chat);
    this.thread.draw(chat, news);
    if ($("info").open && this.#infoKey(chat) !== this.#infoShown) this.drawInfo(chat);
    return undefined;
  }

  #head(chat, state) {
    const names = chat.kind === "group" ? chat.members?.map((m) => nameOf(this.model, m.userId)).join(", ") : "";
    put($("chat-name"), titleOf(this.model, chat));
    put($("chat-sub"), state === "on" ? this.engine.looks?.words(chat) || names || "" : STATES[state]);
    mark($("chat-sub"), "data-state", state === "on" ? "on" : "off");
    hide($("send-form"), chat.left);
    hide($("not-member"), !chat.left);
    const title = document.querySelector('[data-action="info"]');
    if (title.disabled !== (chat.kind !== "group")) title.disabled = chat.kind !== "group";
  }

  /** What is answered, or changed, above the composer. */
  #context(chat) {
    const to = this.editing ?? (chat.replyTo && (chat.ids.get(chat.replyTo.id) ?? {}));
    hide($("context"), !to);
    if (!to) return;
    put($("context-what"), this.editing ? "Edit message" : to.from ? `Reply to ${nameOf(this.model, to.from)}` : "Reply");
    put($("context-text"), to.from ? preview(to) : "");
  }

  /** Told to screen readers, and to nobody else: a message that came to the open chat. */
  say(m) {
    if (m.chatId !== this.engine.openChat || m.from === this.model.me) return;
    clearTimeout(this.#said);
    $("said").textContent = `${nameOf(this.model, m.from)}: ${preview(m)}`;
    this.#said = setTimeout(() => ($("said").textContent = ""), 10000);
  }

  /** Files of the open chat on their way. */
  drawUploads(uploads) {
    const rows = uploads.map((u) => {
      const row = el("li", "upload");
      row.dataset.uploadId = u.id;
      row.dataset.state = u.state;
      const bar = el("progress");
      bar.max = 1;
      bar.value = u.progress;
      bar.setAttribute("aria-label", u.file.name);
      const can = (action, text, label) => {
        const b = el("button", "plain", text);
        b.type = "button";
        b.dataset.action = action;
        b.setAttribute("aria-label", `${label}: ${u.file.name}`);
        return b;
      };
      const words = u.state === "failed" ? u.why : u.state === "paused" ? "paused" : `${Math.floor(100 * u.progress)} %`;
      row.append(el("span", "grow", u.file.name), bar, el("span", "kind", words));
      if (u.state === "sending") row.append(can("pause-upload", "⏸", "Pause"));
      else row.append(can("resume-upload", "▶", "Go on"));
      row.append(can("cancel-upload", "✕", "Do not send"));
      return row;
    });
    $("uploads").replaceChildren(...rows);
    $("uploads").hidden = !rows.length;
  }

  #infoKey(chat) {
    return JSON.stringify([chat.chatId, chat.name, chat.role, chat.left, chat.members?.map((m) => [m, nameOf(this.model, m.userId)])]);
  }

  /** The group's dialog. */
  drawInfo(chat) {
    this.#infoShown = this.#infoKey(chat);
    const leads = !chat.left && (chat.role === "owner" || chat.role === "admin");
    $("info-name").textContent = titleOf(this.model, chat);
    $("info-count").textContent = chat.members ? `${chat.members.length} members` : "";
    $("rename-form").hidden = $("add-form").hidden = !leads;
    document.querySelector('[data-action="leave"]').hidden = chat.left;
    const rows = (chat.members ?? []).map((m) => {
      const row = el("li");
      const name = nameOf(this.model, m.userId);
      row.dataset.userId = m.userId;
      row.append(el("span", "grow", name), el("span", "role", m.role === "member" ? "" : m.role));
      const can = (action, text, label) => {
        const b = el("button", "", text);
        b.type = "button";
        b.dataset.action = action;
        b.setAttribute("aria-label", `${label}: ${name}`);
        row.append(b);
      };
      if (m.userId !== this.model.me && m.role !== "owner") {
        if (chat.role === "owner") can(m.role === "admin" ? "demote" : "promote", m.role === "admin" ? "No admin" : "Admin", m.role === "admin" ? "No admin any more" : "Make admin");
        if (leads) can("remove-member", "Remove", "Remove");
      }
      return row;
    });
    $("members").replaceChildren(...rows);
  }
}
