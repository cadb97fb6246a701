// SPDX-License-Identifier: MIT
// From the model to the screen: once after each burst, and only what changed.
import { hide, mark, put } from "./keys.js";
import { List } from "./list.js";
import { may } from "./marks.js";
import { Thread } from "./thread.js";
import { el } from "./util.js";
import { nameOf, preview, shortTimer, STATES, timerWords, titleOf } from "./words.js";

const $ = (id) => document.getElementById(id);

export class View {
  #waiting = false;
  screens = []; // those that were loaded: they are drawn with the rest
  wanted = new Set(); // parts that a message needs and that are not here
  #said = null; // timer of what a screen reader is told

  constructor(engine) {
    Object.assign(this, { engine, model: engine.model });
    this.list = new List(engine, $("chats"));
    this.thread = new Thread(engine, () => this.later());
    $("chat-face").replaceChildren();
    this.face = engine.media.face();
    $("chat-face").append(this.face);
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
    const { profile } = this.model;
    if (profile.name || profile.phoneNumber) put($("my-name"), profile.name || profile.phoneNumber);
    mark($("home"), "data-hiding", this.engine.can.has("hiding") ? "yes" : null); // rows may be drawn before that is known
    this.list.draw(news, openChat);
    if (openChat && this.model.chats.get(openChat)?.pins.length) this.load("pins"); // its bar
    for (const name of this.wanted) this.load(name);
    for (const screen of this.screens) screen.draw();
    const chat = openChat && this.model.chats.get(openChat);
    mark($("home"), "data-pane", chat ? "chat" : "list");
    hide($("chat"), !chat);
    hide($("nothing"), Boolean(chat));
    if (!chat) return this.thread.close();
    this.#head(chat, state);
    this.#context(chat);
    if (news.drafted.has(chat) && !this.editing) this.refill();
    this.thread.draw(chat, news);
    return undefined;
  }

  #head(chat, state) {
    const names = chat.kind === "group" ? chat.members?.map((m) => nameOf(this.model, m.userId)).join(", ") : "";
    put($("chat-name"), titleOf(this.model, chat));
    put($("chat-sub"), state === "on" ? this.engine.looks?.words(chat) || names || "" : STATES[state]);
    mark($("chat-sub"), "data-state", state === "on" ? "on" : "off");
    this.engine.faceOf(this.face, chat);
    hide($("chat-timer"), !chat.timer);
    put($("chat-timer-short"), chat.timer ? shortTimer(chat.timer) : "");
    put($("chat-timer-long"), chat.timer ? `New messages vanish after ${timerWords(chat.timer)}` : "");
    const asking = chat.kind === "group" && may(chat, "add") ? chat.requests : 0;
    hide($("asking"), !asking);
    put($("asking"), asking === 1 ? "1 person asks to join" : `${asking} people ask to join`);
    const silent = !chat.left && !chat.deleted && !may(chat, "send");
    hide($("send-form"), chat.left || chat.blocked || chat.deleted || silent);
    hide($("mic"), !this.engine.can.has("voices") || !this.engine.limits.fileBytes);
    hide($("deleted-note"), !chat.deleted || chat.blocked);
    hide($("not-allowed"), !silent);
    hide($("not-member"), !chat.left);
    hide($("blocked-note"), !chat.blocked);
    put($("blocked-name"), chat.blocked ? titleOf(this.model, chat) : "");
  }

  /** What is answered, or changed, above the composer. */
  #context(chat) {
    if (this.editing?.gone) this.lost();
    const to = this.editing ?? (chat.replyTo && (chat.ids.get(chat.replyTo.id) ?? {}));
    hide($("context"), !to || chat.blocked || !may(chat, "send"));
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
}
