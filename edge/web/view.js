// SPDX-License-Identifier: MIT
// From the model to the screen. Text enters only as textContent.
import { el } from "./util.js";

const $ = (id) => document.getElementById(id);
const STATES = { off: "no connection, trying again…", connecting: "connecting…", syncing: "catching up…", on: "online" };
const TICKS = { none: "🕓", sent: "✓", delivered: "✓✓", read: "✓✓" };
const TICK_WORDS = { none: "on its way", sent: "sent", delivered: "delivered", read: "read" };
const REASONS = {
  not_found: "you are not in this chat", forbidden: "not allowed", too_large: "too long", bad_request: "not accepted",
  conflict: "already sent with another text", too_many_members: "too many members",
};
const NEAR_END_PX = 80;

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const dayName = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const shortDay = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "numeric" });
const sameDay = (a, b) => new Date(a).toDateString() === new Date(b).toDateString();
const when = (ms) => (ms ? (sameDay(ms, Date.now()) ? clock : shortDay).format(ms) : "");
const KINDS = { image: "📷 Picture", video: "🎬 Video", audio: "🎤 Audio", document: "📄 Document" };
const preview = (m) => [KINDS[m.type], m.content?.slice(0, 120)].filter(Boolean).join(": ");

export class View {
  #rows = new Map(); // client id → element of the open chat
  #shown = null; // chatId that #rows is of
  #items = new Map(); // chatId → element
  #waiting = false;
  #infoShown = ""; // what the dialog shows

  constructor(engine) {
    this.engine = engine;
  }

  get model() {
    return this.engine.model;
  }

  nameOf(chat, userId) {
    if (userId === this.model.me) return "You";
    return (chat.kind === "direct" ? chat.name : chat.names[userId]) || "Somebody";
  }

  titleOf(chat) {
    return chat.name || (chat.kind === "direct" ? "Somebody new" : "Group");
  }

  /** Draw once after the current burst, however often it is called. */
  later() {
    const unread = [...this.model.chats.values()].reduce((n, c) => n + c.unread, 0);
    document.title = unread ? `(${unread}) Chasqui` : "Chasqui";
    if (this.#waiting) return;
    this.#waiting = true;
    requestAnimationFrame(() => {
      this.#waiting = false;
      this.draw();
    });
  }

  draw() {
    const { state, openChat } = this.engine;
    $("connection").textContent = STATES[state];
    $("connection").dataset.state = state === "on" ? "on" : "off";
    this.#drawChats(openChat);
    const chat = openChat && this.model.chats.get(openChat);
    $("home").dataset.pane = chat ? "chat" : "list";
    $("chat").hidden = !chat;
    $("nothing").hidden = Boolean(chat);
    if (chat) this.#drawChat(chat);
    else this.#shown = null;
    if (chat && $("info").open && this.#infoKey(chat) !== this.#infoShown) this.drawInfo(chat);
  }

  // The list

  #drawChats(openChat) {
    const sorted = this.model.sorted();
    const items = sorted.map((chat) => this.#item(chat, chat.chatId === openChat));
    if (!items.length) items.push(el("p", "empty", "No chats yet. Find somebody by phone number below."));
    const box = $("chats");
    items.forEach((item, i) => {
      if (box.children[i] !== item) box.insertBefore(item, box.children[i] ?? null);
    });
    while (box.children.length > items.length) box.lastChild.remove();
  }

  #item(chat, open) {
    let item = this.#items.get(chat.chatId);
    if (!item) {
      item = el("button", "chat-item");
      item.type = "button";
      item.dataset.chatId = chat.chatId;
      item.setAttribute("role", "listitem");
      for (const part of ["face", "name", "when", "last", "unread"]) item.append(el("span", part));
      this.#items.set(chat.chatId, item);
    }
    const [face, name, time, last, unread] = item.children;
    const title = this.titleOf(chat);
    face.className = chat.kind === "group" ? "face group" : "face";
    face.textContent = [...title][0].toUpperCase();
    name.textContent = title;
    time.textContent = when(chat.last?.sentAt);
    const own = chat.last?.from === this.model.me;
    const who = own ? "You: " : chat.kind === "group" && chat.last ? `${this.nameOf(chat, chat.last.from)}: ` : "";
    last.textContent = chat.last ? who + preview(chat.last) : "";
    unread.textContent = chat.unread > 999 ? "999+" : chat.unread;
    unread.hidden = !chat.unread;
    item.dataset.unread = chat.unread;
    item.setAttribute("aria-current", open);
    return item;
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
      const can = (action, text, label) => {
        const b = el("button", "plain", text);
        b.type = "button";
        b.dataset.action = action;
        b.setAttribute("aria-label", label);
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

  // One chat

  #drawChat(chat) {
    $("chat-name").textContent = this.titleOf(chat);
    const names = chat.members?.map((m) => this.nameOf(chat, m.userId)).join(", ");
    $("chat-sub").textContent = chat.kind === "group" ? names ?? "" : "";
    $("send-form").hidden = chat.left;
    $("not-member").hidden = !chat.left;
    document.querySelector('[data-action="older"]').hidden = chat.all || !chat.messages.length;

    const scroll = $("scroll");
    const fresh = this.#shown !== chat.chatId;
    if (fresh) {
      this.#rows.clear();
      $("messages").replaceChildren();
      this.#shown = chat.chatId;
    }
    const atEnd = fresh || scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < NEAR_END_PX;
    const fromEnd = scroll.scrollHeight - scroll.scrollTop;
    const first = $("messages").firstChild;
    this.#drawMessages(chat);
    if (atEnd) scroll.scrollTop = scroll.scrollHeight;
    else if ($("messages").firstChild !== first) scroll.scrollTop = scroll.scrollHeight - fromEnd; // older ones came above
  }

  #drawMessages(chat) {
    const list = $("messages");
    const own = this.model.outbox.filter((m) => m.chatId === chat.chatId);
    const wanted = [];
    let day = 0;
    for (const m of [...chat.messages, ...own]) {
      if (!sameDay(day, m.sentAt)) wanted.push(this.#day(m.sentAt));
      day = m.sentAt;
      wanted.push(this.#row(chat, m));
    }
    wanted.forEach((row, i) => {
      if (list.children[i] !== row) list.insertBefore(row, list.children[i] ?? null);
    });
    while (list.children.length > wanted.length) list.lastChild.remove();
  }

  #day(ms) {
    const key = `day ${new Date(ms).toDateString()}`;
    if (!this.#rows.has(key)) this.#rows.set(key, el("li", "day", dayName.format(ms)));
    return this.#rows.get(key);
  }

  #row(chat, m) {
    const mine = Boolean(m.state) || m.from === this.model.me;
    const key = `${mine ? "me" : m.from} ${m.clientId}`; // an own message keeps its row when its verdict comes
    let row = this.#rows.get(key);
    if (!row) {
      row = el("li", mine ? "message mine" : "message");
      if (!mine && chat.kind === "group") row.append(el("div", "from"));
      if (m.mediaId) row.append(this.engine.media.box(m.mediaId));
      else if (m.type !== "text") row.append(el("div", "kind", m.type));
      if (m.content) row.append(el("div", "text", m.content));
      const foot = el("div", "foot");
      const time = el("time", "", clock.format(m.sentAt));
      time.dateTime = new Date(m.sentAt).toISOString();
      foot.append(el("span", "failed"), time, el("span", "tick"));
      row.append(foot);
      this.#rows.set(key, row);
    }
    const from = row.querySelector(".from");
    if (from) from.textContent = this.nameOf(chat, m.from);
    const tick = this.model.tick(chat, m);
    row.dataset.messageId = m.id ?? `unsent-${m.clientId}`;
    row.dataset.clientId = m.clientId;
    row.dataset.tick = tick;
    const mark = row.querySelector(".tick");
    mark.textContent = mine && m.state !== "failed" ? TICKS[tick] : "";
    mark.setAttribute("aria-label", mine ? TICK_WORDS[tick] : "");
    this.#drawFailure(row.querySelector(".failed"), m);
    return row;
  }

  #drawFailure(place, m) {
    const failed = m.state === "failed";
    if (failed === Boolean(place.firstChild)) return;
    place.replaceChildren();
    if (!failed) return;
    const button = (action, text) => {
      const b = el("button", "plain", text);
      b.type = "button";
      b.dataset.action = action;
      return b;
    };
    place.append(el("span", "", `Not sent: ${REASONS[m.code] ?? m.code} `), button("again", "Try again"), button("discard", "Remove"));
  }

  #infoKey(chat) {
    return JSON.stringify([chat.chatId, chat.name, chat.role, chat.left, chat.members]);
  }

  /** The group's dialog. */
  drawInfo(chat) {
    this.#infoShown = this.#infoKey(chat);
    const leads = !chat.left && (chat.role === "owner" || chat.role === "admin");
    $("info-name").textContent = this.titleOf(chat);
    $("rename-form").hidden = $("add-form").hidden = !leads;
    document.querySelector('[data-action="leave"]').hidden = chat.left;
    const rows = (chat.members ?? []).map((m) => {
      const row = el("li");
      row.dataset.userId = m.userId;
      row.append(el("span", "grow", this.nameOf(chat, m.userId)), el("span", "role", m.role === "member" ? "" : m.role));
      const can = (action, text) => {
        const b = el("button", "", text);
        b.type = "button";
        b.dataset.action = action;
        row.append(b);
      };
      if (m.userId !== this.model.me && m.role !== "owner") {
        if (chat.role === "owner") can(m.role === "admin" ? "demote" : "promote", m.role === "admin" ? "No admin" : "Admin");
        if (leads) can("remove-member", "Remove");
      }
      return row;
    });
    $("members").replaceChildren(...rows);
  }
}
