// SPDX-License-Identifier: MIT
// What buttons, forms and keys do once somebody is signed in.
//
// Names that the browser tests hold on to: #find-phone #composer #group-name #group-members #file #caption,
// [data-action=find|send|new-group|send-files|main-menu|chat-menu], [data-chat-id] in the list, [data-message-id][data-tick] in a chat.
import { ask, menu, menuKeys } from "./keys.js";
import { List } from "./list.js";
import { isMuted, may, pollIsOver } from "./marks.js";
import { Mentions } from "./mention.js";
import { ApiError } from "./session.js";
import { PUSH_KEY } from "./store.js";
import { Thread } from "./thread.js";
import { errorWords, preview, REACTIONS, titleOf } from "./words.js";

const $ = (id) => document.getElementById(id);
const MINUTE_MS = 60000;
const JOIN = /^#join\/([0-9a-f-]{36})\/([\w-]{1,64})$/; // the link of a group
const LOAD_AGAIN_MS = 30000; // a part that the screen wants by itself
const SCREENS = { // rarely needed: loaded then
  account: () => import("./account.js"), notify: () => import("./notify.js"), shared: () => import("./shared.js"), invites: () => import("./invites.js"),
  info: () => import("./info.js"), settings: () => import("./settings.js"), menus: () => import("./menus.js"), pins: () => import("./pins.js"),
  search: () => import("./search.js"), link: () => import("./link.js"), message: () => import("./message.js"), select: () => import("./select.js"),
  polls: () => import("./polls.js"), voice: () => import("./voice.js"), cards: () => import("./cards.js"),
};
const ATTACHED = [ // capability, words, sign, where it is made
  ["polls", "Poll", "poll", "polls", "compose"], ["locations", "Location", "place", "cards", "place"], ["contacts", "Contact", "person", "cards", "card"],
];
const canHover = () => matchMedia("(hover: hover)").matches;

export class Act {
  constructor(session, engine, view, files, notice) {
    Object.assign(this, { session, engine, view, files, notice, model: engine.model });
    this.mentions = new Mentions(engine, $("composer"), $("suggest"));
    this.screens = {}; // name → promise
    this.parts = {}; // name → screen that is here
    engine.part = (name) => this.parts[name] ?? void (view.wanted.add(name), view.load(name));
    view.lost = () => this.#noContext();
    view.refill = () => this.#fill();
    const failed = new Map(); // name → when
    view.load = (name) => {
      if (Date.now() - (failed.get(name) ?? -Infinity) > LOAD_AGAIN_MS) this.screen(name).catch(() => failed.set(name, Date.now()));
    };
  }

  end() {
    this.engine.stop();
    for (const part of Object.values(this.parts)) part.end?.();
    for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
    this.view.end();
    this.files.end();
  }

  get chat() {
    return this.model.chats.get(this.engine.openChat);
  }

  // Moving about: the open chat is in the address, so that reload and the back button know it

  route() {
    if (location.hash.startsWith("#join/")) this.#safely(() => this.#joinLink())();
    const chatId = location.hash.slice(1);
    const before = this.engine.openChat;
    this.view.editing = null;
    this.engine.show(this.model.chats.has(chatId) ? chatId : null);
    this.#fill();
    this.view.later();
    this.drawUploads();
    if (this.chat && localStorage.getItem(PUSH_KEY)) this.screen("notify").then((screen) => screen.opened(chatId)).catch(() => {}); // it is told at the next push
    if (this.chat && canHover()) $("composer").focus();
    else if (before && !this.chat) requestAnimationFrame(() => this.view.list.item(before)?.focus());
  }

  /** Somebody came by the link of a group. Its secret does not stay in the address. */
  async #joinLink() {
    const [, chatId, secret] = JOIN.exec(location.hash) ?? [];
    history.replaceState(null, "", location.pathname + location.search);
    if (!chatId) throw new ApiError(0, "no_link", "This link is not whole. Copy all of it.", 0);
    await (await this.screen("invites")).join(chatId, secret);
  }

  /** This browser is notified while the page is closed: the worker speaks to it, and the subscription has to be kept. */
  async notified() {
    if (localStorage.getItem(PUSH_KEY)) await (await this.screen("notify")).renew();
  }

  open(chatId) {
    if (location.hash.slice(1) === chatId) this.route();
    else location.hash = chatId;
  }

  close() {
    location.hash = "";
  }

  /** The chat above or below in the list. */
  #next(step) {
    const ids = this.model.listed(this.view.list.folder).map((chat) => chat.chatId);
    const at = ids.indexOf(this.engine.openChat);
    const to = ids[at < 0 ? 0 : at + step];
    if (to) this.open(to);
  }

  drawUploads() {
    this.view.drawUploads(this.files.of(this.engine.openChat));
  }

  // The composer

  /** What was being written in this chat, and nothing of another one. */
  #fill() {
    $("composer").value = this.view.editing?.content ?? this.chat?.draft ?? "";
    this.mentions.close();
    this.#grow();
  }

  #grow() {
    const c = $("composer");
    c.style.height = "auto";
    if (c.value) c.style.height = `${c.scrollHeight + 2}px`;
  }

  typed() {
    this.#grow();
    this.mentions.look(this.chat);
    if (this.chat && !this.view.editing) this.engine.write(this.chat, $("composer").value);
    if (this.chat) this.engine.looks?.typed(this.chat, $("composer").value !== "");
  }

  #noContext() {
    if (this.view.editing) {
      this.view.editing = null;
      this.#fill();
    } else if (this.chat?.replyTo) {
      this.engine.write(this.chat, this.chat.draft, null);
    } else {
      return false;
    }
    this.view.later();
    $("composer").focus();
    return true;
  }

  async send() {
    const text = $("composer").value.trim();
    const { chat } = this;
    if (!chat || !text) return;
    const { editing } = this.view;
    if (editing) {
      if (text !== editing.content) await this.engine.changeMessage(editing, "PATCH", "", { content: text });
      this.#noContext();
      return;
    }
    const replyTo = chat.replyTo ?? undefined;
    this.engine.write(chat, "", null, true);
    this.#fill();
    this.engine.looks?.typed(chat, false);
    this.engine.send(chat, text, { replyTo, mentions: this.mentions.of(chat, text) });
    this.view.thread.goToEnd();
    if (canHover()) $("composer").focus(); // the button gives way to that for voices
  }

  /** Sent as the answer that is being written, if there is one. `more` as of Model.compose(). */
  answering(chat, content, more) {
    const replyTo = chat.replyTo ?? undefined;
    if (replyTo) this.engine.write(chat, chat.draft, null);
    this.engine.send(chat, content, { replyTo, ...more });
    this.view.thread.goToEnd();
  }

  /** Files, and what else a message can be. */
  #attach(button) {
    const entries = [{ text: "Files", sign: "clip", run: () => $("file").click() }];
    for (const [word, text, sign, screen, what] of ATTACHED) {
      if (this.engine.can.has(word)) entries.push({ text, sign, run: this.#safely(() => this.#open(screen, what)) });
    }
    if (entries.length === 1) return $("file").click();
    return menu(button, entries, "What to send");
  }

  /** For menus: what goes wrong is said. */
  #safely = (fn) => () => Promise.resolve().then(fn).catch((e) => this.notice(errorWords(e)));

  // Messages

  #messageOf(e) {
    const { messageId, clientId } = e.closest("[data-message-id]").dataset;
    return this.model.find(this.chat, messageId) ?? this.model.outgoing(clientId);
  }

  menuOf(e) {
    const row = e.closest(".message");
    const m = row && this.#messageOf(row);
    if (!m || m.state) return;
    const entries = m.deleted ? [] : this.chat.left ? this.#stars(m) : this.#changes(m);
    entries.push({ text: "Select", run: this.#safely(async () => (await this.screen("select")).begin(m)) });
    if (this.engine.can.has("hiding")) entries.push({ text: "Delete for me", className: "plain danger", run: this.#safely(() => this.#hide(m)) });
    if (entries.length) menu(row.querySelector(".more"), entries, "What to do with this message");
  }

  #stars(m) {
    if (!this.engine.can.has("stars")) return [];
    return [{ text: m.starred ? "Remove star" : "Star", run: this.#safely(() => this.engine.changeMessage(m, m.starred ? "DELETE" : "PUT", "/star")) }];
  }

  /** What others see, too. */
  #changes(m) {
    const { engine } = this;
    const act = this.#safely;
    const still = !this.chat.blocked && !this.chat.deleted;
    const age = Date.now() - m.sentAt;
    const mine = m.from === this.model.me;
    const leads = this.chat.kind === "group" && this.chat.role !== "member";
    const entries = [];
    if (still && engine.can.has("reactions")) {
      for (const reaction of REACTIONS) {
        const own = reaction === m.myReaction;
        entries.push({ text: reaction, label: own ? `Take ${reaction} back` : `React with ${reaction}`, className: own ? "sign own" : "sign", run: act(() => this.#react(m, reaction)) });
      }
    }
    if (still && may(this.chat, "send") && engine.can.has("replies")) entries.push({ text: "Reply", run: act(() => this.#reply(m)) });
    entries.push(...this.#stars(m));
    if (still && may(this.chat, "info") && engine.can.has("pins")) {
      const pinned = this.chat.pins.some((p) => p.messageId === m.id);
      entries.push({ text: pinned ? "Unpin" : "Pin", run: act(() => engine.changeMessage(m, pinned ? "DELETE" : "PUT", "/pin")) });
    }
    if (m.poll && mine && !pollIsOver(m.poll, Date.now())) entries.push({ text: "Close the poll", run: act(async () => (await this.screen("polls")).close(m)) });
    if (engine.can.has("forwards") && (m.mediaId ? mine : m.content || m.location || m.contact)) entries.push({ text: "Forward", run: act(() => this.#about("forward", [m])) });
    if (m.content) entries.push({ text: "Copy text", run: act(() => navigator.clipboard.writeText(m.content)) });
    if (mine) entries.push({ text: "Info", run: act(() => this.#about("receipts", m)) });
    if (still && mine && m.content && may(this.chat, "send") && engine.can.has("edits") && age < (engine.limits.editMinutes ?? 0) * MINUTE_MS) entries.push({ text: "Edit", run: act(() => this.#edit(m)) });
    if (still && (mine || leads) && engine.can.has("deletions") && age < (engine.limits.deleteHours ?? 0) * 60 * MINUTE_MS) {
      entries.push({ text: "Delete for everyone", className: "plain danger", run: act(() => this.#delete(m)) });
    }
    return entries;
  }

  /** A picture of the open chat that was clicked, among those that are here. */
  async large(link) {
    const m = this.#messageOf(link);
    if (!m) return;
    const list = this.model.shown(this.chat).messages.filter((k) => k.mediaId && k.type === "image" && !k.gone && !k.deleted);
    (await this.screen("shared")).large(list.includes(m) ? list : [m], Math.max(0, list.indexOf(m)));
  }

  async #about(what, m) {
    await (await this.screen("message"))[what](m);
  }

  #react(m, reaction) {
    if (reaction === m.myReaction) return this.engine.changeMessage(m, "DELETE", "/reaction");
    return this.engine.changeMessage(m, "PUT", "/reaction", { reaction });
  }

  #reply(m) {
    this.view.editing = null;
    this.engine.write(this.chat, this.chat.draft, { id: m.id, seq: m.seq });
    this.#fill();
    $("composer").focus();
  }

  #edit(m) {
    this.view.editing = m;
    this.#fill();
    this.view.later();
    $("composer").focus();
  }

  async #delete(m) {
    if (!(await ask("Delete for everyone?", `“${preview(m)}” is taken away for everybody in this chat. It cannot be brought back.`, "Delete"))) return;
    await this.engine.changeMessage(m, "DELETE");
  }

  async #hide(m) {
    const text = `“${preview(m)}” is taken away on all of your devices, for good. Others keep it.`;
    if (await ask("Delete for me?", text, "Delete")) await this.engine.hideMessages([m]);
  }

  // Screens of their own

  screen(name) {
    return (this.screens[name] ??= SCREENS[name]().then(({ Screen }) => {
      const screen = (this.parts[name] = new Screen(this));
      this.view.screens.push(screen);
      this.view.wanted.delete(name);
      for (const e of document.querySelectorAll(`[data-wants~="${name}"]`)) e.row.update(e.row.m);
      Object.assign(this.actions, screen.actions);
      Object.assign(this.forms, screen.forms);
      this.view.later();
      return screen;
    }, () => {
      delete this.screens[name];
      throw new ApiError(0, "not_loaded", "This part of the page could not be loaded. Look at your connection, or load the page again.", 0);
    }));
  }

  async #open(name, what = "show") {
    const { chat } = this;
    const screen = await this.screen(name);
    return chat === this.chat ? screen[what](chat) : undefined;
  }

  #chatMenu(button) {
    const { chat, engine } = this;
    if (!chat) return;
    const act = this.#safely;
    const direct = chat.kind === "direct";
    const entries = [{ text: direct ? "Contact info" : "Group info", run: act(() => this.#open("info")) }];
    if (!direct && engine.can.has("invites") && may(chat, "add")) entries.push({ text: "Invite links", run: act(() => this.#open("invites")) });
    if (engine.can.has("search")) entries.push({ text: "Search in this chat", run: act(() => this.#open("search", "inside")) });
    if (!chat.left) entries.push({ text: isMuted(chat) ? "Unmute" : "Mute", run: act(() => this.#open("menus", "mute")) });
    if (engine.can.has("marks") && !chat.left) {
      const { pinnedSeq, archived } = chat.marks;
      entries.push({ text: pinnedSeq ? "Unpin" : "Pin to the top", run: act(() => engine.mark(chat, { pinned: !pinnedSeq })) });
      entries.push({ text: archived ? "Take out of the archive" : "Archive", run: act(() => engine.mark(chat, { archived: !archived })) });
    }
    if (engine.can.has("timers") && !chat.left && !chat.deleted) entries.push({ text: "Disappearing messages", run: act(() => this.#open("info", "timer")) });
    if (direct && engine.can.has("blocks")) {
      entries.push(chat.blocked ? { text: "Unblock", run: act(() => this.unblock()) } : { text: "Block", className: "plain danger", run: act(() => this.block()) });
    }
    menu(button, entries, "What to do with this chat");
  }

  async block() {
    const { chat } = this;
    const name = titleOf(this.model, chat);
    const text = `What ${name} writes to you will not reach you, now or later, and you cannot write to ${name}. Neither of you sees whether the other is online. ${name} is not told. In groups nothing changes.`;
    if (await ask(`Block ${name}?`, text, "Block")) await this.engine.block(chat, true);
  }

  async unblock() {
    await this.engine.block(this.chat, false);
    if (canHover() && !document.querySelector("dialog[open]")) $("composer").focus();
  }

  #mainMenu(button) {
    const act = this.#safely;
    const entries = [{ text: "Settings", run: act(() => this.#open("settings")) }];
    if (this.engine.can.has("stars")) entries.push({ text: "Starred messages", run: act(() => this.#open("search", "starred")) });
    menu(button, [...entries, { text: "Sign out", run: act(() => this.#logout()) }], "Menu");
  }

  /** Of a chat in the list. */
  async listMenu(e) {
    const item = e.closest("#chats li")?.querySelector("[data-chat-id]");
    if (!item || !this.engine.can.has("marks")) return;
    (await this.screen("menus")).list(this.model.chats.get(item.dataset.chatId), item.nextSibling);
  }

  #folder(archived) {
    this.view.list.folder = archived;
    this.view.draw();
    (archived ? document.querySelector('[data-action="all-chats"]') : this.view.list.archive.firstChild).focus();
  }

  /** To a message {id, seq} of any chat, wherever it stands. */
  async jump(chat, to) {
    if (!chat || !to) return;
    if (this.engine.openChat !== chat.chatId) this.open(chat.chatId);
    this.view.thread.target = { chatId: chat.chatId, id: to.id };
    const found = await this.engine.locate(chat, to);
    if (!found) this.view.thread.target = null;
    if (!found) throw new ApiError(404, "gone", "That message is not there any more, or not for you to see.", 0);
    this.view.later();
  }

  async #logout() {
    const waiting = this.model.outbox.length + this.files.uploads.length;
    const lost = waiting ? ` ${waiting} not sent yet will be lost.` : "";
    if (await ask("Sign out?", `All messages and drafts are removed from this browser; they stay on the server.${lost}`, "Sign out")) await this.session.logout();
  }

  async #discard(button) {
    const m = this.#messageOf(button);
    if (m && (await ask("Remove this message?", `“${preview(m)}” was not sent, and is gone then.`, "Remove"))) this.engine.discard(m);
  }

  #uploadOf = (button) => this.files.uploads.find((u) => u.id === button.closest("[data-upload-id]").dataset.uploadId);

  forms = {
    "send-form": () => this.send(),
    "preview-form": async () => {
      await this.files.sendPicked();
      this.#fill();
    },
    "find-form": async () => {
      const chatId = await this.engine.openDirect($("find-phone").value);
      $("find-phone").value = "";
      this.open(chatId);
    },
    "group-form": async () => {
      const chatId = await this.engine.createGroup($("group-name").value.trim(), $("group-members").value);
      $("group-name").value = $("group-members").value = "";
      this.open(chatId);
    },
  };

  actions = {
    "main-menu": (b) => this.#mainMenu(b),
    "list-menu": (b) => this.listMenu(b),
    archived: () => this.#folder(true),
    "all-chats": () => this.#folder(false),
    "chat-menu": (b) => this.#chatMenu(b),
    back: () => this.close(),
    info: () => this.#open("info"),
    invites: () => this.#open("invites"),
    shared: () => this.#open("shared"),
    block: () => this.block(),
    unblock: () => this.unblock(),
    fold: (b) => b.closest(".message").row.unfold(),
    attach: (b) => this.#attach(b),
    record: () => this.#open("voice", "record"),
    "no-context": () => void this.#noContext(),
    "to-end": () => this.view.thread.goToEnd(),
    "pause-upload": (b) => this.#uploadOf(b)?.pause(),
    "resume-upload": (b) => this.#uploadOf(b)?.resume(),
    "cancel-upload": (b) => this.files.cancel(this.#uploadOf(b)),
    older: () => void (this.chat && this.engine.older(this.chat)),
    quoted: (b) => this.jump(this.chat, this.#messageOf(b)?.replyTo),
    "message-menu": (b) => this.menuOf(b),
    react: (b) => this.#react(this.#messageOf(b), b.dataset.reaction),
    again: (b) => this.engine.again(this.#messageOf(b)),
    discard: (b) => this.#discard(b),
  };

  /** Something was typed above the list. */
  search() {
    return this.screen("search").then((screen) => screen.typed(), (e) => this.notice(errorWords(e)));
  }

  // Keys, and what is dropped or pasted

  #escape() {
    if (document.querySelector("dialog[open], :popover-open")) return false; // they close by themselves
    if (!$("found").hidden && document.activeElement?.closest("#side")) {
      this.screen("search").then((screen) => screen.close());
      $("search").focus();
      return true;
    }
    if (this.#noContext()) return true;
    if (!this.chat) return false;
    if (document.activeElement?.closest("#messages")) $("composer").focus();
    else this.close();
    return true;
  }

  /** Arrow up in an empty composer changes what was said last, as far as that can be changed. */
  #editLast() {
    const m = this.chat?.messages.findLast((k) => k.from === this.model.me && k.type === "text" && !k.deleted);
    if (!m || !this.engine.can.has("edits") || Date.now() - m.sentAt > (this.engine.limits.editMinutes ?? 0) * MINUTE_MS) return false;
    this.#edit(m);
    return true;
  }

  #composerKey(e) {
    if (!e.isComposing && this.mentions.key(e)) return e.preventDefault();
    if (e.key === "ArrowUp" && !e.target.value && this.#editLast()) return e.preventDefault();
    if (e.key !== "Enter" || e.shiftKey || e.isComposing || !canHover()) return undefined;
    e.preventDefault();
    return this.send().catch((error) => this.notice(errorWords(error)));
  }

  key(e) {
    if (e.key === "Escape" && !$("suggest").hidden) return this.mentions.close();
    if (e.key === "Escape" && this.#escape()) return e.preventDefault();
    if (e.altKey && ["ArrowDown", "ArrowUp"].includes(e.key)) {
      e.preventDefault();
      return this.#next(e.key === "ArrowDown" ? 1 : -1);
    }
    if ((e.key === "ContextMenu" || (e.key === "F10" && e.shiftKey)) && e.target.closest("#chats li")) {
      e.preventDefault();
      return this.listMenu(e.target).catch((error) => this.notice(errorWords(error)));
    }
    if (e.target.id === "composer") return this.#composerKey(e);
    if (["Enter", " "].includes(e.key) && e.target.matches(".message")) {
      e.preventDefault();
      return this.menuOf(e.target);
    }
    return undefined;
  }

  /** Once for the page; `now()` is the Act of who is signed in, or null. */
  static listen(now) {
    List.keys($("chats"));
    Thread.keys($("messages"));
    menuKeys();
    document.addEventListener("keydown", (e) => now()?.key(e));
    $("composer").addEventListener("input", () => now()?.typed());
    $("messages").addEventListener("contextmenu", (e) => {
      if (!e.target.closest(".message") || e.target.closest("a, img, video") || getSelection().toString()) return;
      e.preventDefault();
      now()?.menuOf(e.target);
    });
    $("chats").addEventListener("contextmenu", (e) => {
      if (!now() || !e.target.closest("#chats li")) return;
      e.preventDefault();
      now().listMenu(e.target).catch((error) => now()?.notice(errorWords(error)));
    });
    $("messages").addEventListener("click", (e) => {
      const link = e.target.closest('.media[data-type="image"] a');
      if (!link || !now() || e.ctrlKey || e.metaKey || e.shiftKey || !$("selecting").hidden) return; // a window of its own, as browsers have it
      e.preventDefault();
      now().large(link).catch((error) => now()?.notice(errorWords(error)));
    });
    $("search").addEventListener("input", () => now()?.search());
    $("preview").addEventListener("close", () => now()?.files.forget());
    $("file").addEventListener("change", () => {
      now()?.files.pick(now().chat, [...$("file").files]);
      $("file").value = "";
    });
    for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
      $("chat").addEventListener(kind, (e) => {
        if (!e.dataTransfer?.types.includes("Files")) return;
        e.preventDefault();
        $("chat").classList.toggle("dropping", kind === "dragenter" || kind === "dragover");
        if (kind === "drop") now()?.files.pick(now().chat, [...e.dataTransfer.files]);
      });
    }
    for (const id of ["composer", "caption"]) {
      $(id).addEventListener("paste", (e) => {
        const files = [...(e.clipboardData?.files ?? [])];
        if (!files.length) return;
        e.preventDefault();
        now()?.files.pick(now().chat, files);
      });
    }
  }

}
