// SPDX-License-Identifier: MIT
// What buttons, forms and keys do once somebody is signed in.
//
// Names that the browser tests hold on to: #find-phone #composer #group-name #group-members #file #caption,
// [data-action=find|send|new-group|send-files|main-menu], [data-chat-id] in the list, [data-message-id][data-tick] in a chat.
import { ask, menu, menuKeys } from "./dialogs.js";
import { List } from "./list.js";
import { Mentions } from "./mention.js";
import { Thread } from "./thread.js";
import { errorWords, nameOf, preview, REACTIONS, titleOf } from "./words.js";

const $ = (id) => document.getElementById(id);
const MINUTE_MS = 60000;
const canHover = () => matchMedia("(hover: hover)").matches;

export class Act {
  constructor(session, engine, view, files, notice) {
    Object.assign(this, { session, engine, view, files, notice, model: engine.model });
    this.mentions = new Mentions(engine, $("composer"), $("suggest"));
  }

  end() {
    this.engine.stop();
    this.view.end();
    this.files.end();
  }

  get chat() {
    return this.model.chats.get(this.engine.openChat);
  }

  // Moving about: the open chat is in the address, so that reload and the back button know it

  route() {
    const chatId = location.hash.slice(1);
    const before = this.engine.openChat;
    this.view.editing = null;
    this.engine.show(this.model.chats.has(chatId) ? chatId : null);
    this.#fill();
    this.view.later();
    this.drawUploads();
    if (this.chat && canHover()) $("composer").focus();
    else if (before && !this.chat) requestAnimationFrame(() => this.view.list.item(before)?.focus());
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
    const ids = this.model.sorted().map((chat) => chat.chatId);
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
    this.engine.write(chat, "", null);
    this.#fill();
    this.engine.looks?.typed(chat, false);
    this.engine.send(chat, text, { replyTo, mentions: this.mentions.of(chat, text) });
    this.view.thread.goToEnd();
  }

  // Messages

  #messageOf(e) {
    const { messageId, clientId } = e.closest("[data-message-id]").dataset;
    return this.chat.ids.get(messageId) ?? this.model.outgoing(clientId);
  }

  menuOf(e) {
    const row = e.closest(".message");
    const m = row && this.#messageOf(row);
    if (!m || m.state || m.deleted || this.chat.left) return;
    const { engine } = this;
    const age = Date.now() - m.sentAt;
    const mine = m.from === this.model.me;
    const leads = this.chat.kind === "group" && this.chat.role !== "member";
    const act = (fn) => () => Promise.resolve(fn()).catch((error) => this.notice(errorWords(error)));
    const entries = [];
    if (engine.can.has("reactions")) {
      for (const reaction of REACTIONS) {
        const own = reaction === m.myReaction;
        entries.push({ text: reaction, label: own ? `Take ${reaction} back` : `React with ${reaction}`, className: own ? "sign own" : "sign", run: act(() => this.#react(m, reaction)) });
      }
    }
    if (engine.can.has("replies")) entries.push({ text: "Reply", run: act(() => this.#reply(m)) });
    if (m.content) entries.push({ text: "Copy text", run: act(() => navigator.clipboard.writeText(m.content)) });
    if (mine && m.content && engine.can.has("edits") && age < (engine.limits.editMinutes ?? 0) * MINUTE_MS) entries.push({ text: "Edit", run: act(() => this.#edit(m)) });
    if ((mine || leads) && engine.can.has("deletions") && age < (engine.limits.deleteHours ?? 0) * 60 * MINUTE_MS) {
      entries.push({ text: "Delete for everyone", className: "plain danger", run: act(() => this.#delete(m)) });
    }
    if (entries.length) menu(row.querySelector(".more"), entries, "What to do with this message");
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

  // Groups

  #info() {
    const { chat } = this;
    if (!chat || chat.kind !== "group") return;
    $("rename").value = chat.name;
    $("info-error").hidden = true;
    this.view.drawInfo(chat);
    $("info").showModal();
  }

  /** Do something with the open group and show how it stands then. */
  async #withGroup(fn) {
    const { chat } = this;
    if (!chat) return;
    $("info-error").hidden = true;
    try {
      await fn(chat);
    } catch (e) {
      $("info-error").textContent = errorWords(e);
      $("info-error").hidden = false;
    }
    this.view.drawInfo(chat);
  }

  #member(button, method, body) {
    const { userId } = button.closest("[data-user-id]").dataset;
    return this.#withGroup((chat) => this.engine.change(chat.chatId, method, `/members/${userId}`, body));
  }

  async #remove(button) {
    const name = nameOf(this.model, button.closest("[data-user-id]").dataset.userId);
    const text = `${name} will get no more messages of “${titleOf(this.model, this.chat)}”, and everybody in it sees that.`;
    if (await ask(`Remove ${name}?`, text, "Remove")) await this.#member(button, "DELETE");
  }

  async #leave() {
    const text = `You will get no more messages of “${titleOf(this.model, this.chat)}”. Only an admin can add you again.`;
    if (!(await ask("Leave the group?", text, "Leave"))) return;
    await this.#withGroup(async (chat) => {
      await this.engine.leave(chat.chatId);
      $("info").close();
    });
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
    "preview-form": () => {
      this.files.sendPicked();
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
    "rename-form": () => this.#withGroup((chat) => this.engine.change(chat.chatId, "PATCH", "", { name: $("rename").value.trim() })),
    "add-form": () =>
      this.#withGroup(async (chat) => {
        await this.engine.addMembers(chat.chatId, $("add-members").value);
        $("add-members").value = "";
      }),
  };

  actions = {
    "main-menu": (b) => menu(b, [{ text: "Sign out", run: () => this.#logout().catch((e) => this.notice(errorWords(e))) }], "Menu"),
    back: () => this.close(),
    info: () => this.#info(),
    attach: () => $("file").click(),
    "no-context": () => void this.#noContext(),
    "to-end": () => this.view.thread.goToEnd(),
    "pause-upload": (b) => this.#uploadOf(b)?.pause(),
    "resume-upload": (b) => this.#uploadOf(b)?.resume(),
    "cancel-upload": (b) => this.files.cancel(this.#uploadOf(b)),
    older: () => void (this.chat && this.engine.older(this.chat)),
    quoted: (b) => this.view.thread.goTo(this.#messageOf(b)?.replyTo?.id),
    "message-menu": (b) => this.menuOf(b),
    react: (b) => this.#react(this.#messageOf(b), b.dataset.reaction),
    again: (b) => this.engine.again(this.#messageOf(b)),
    discard: (b) => this.#discard(b),
    promote: (b) => this.#member(b, "PUT", { role: "admin" }),
    demote: (b) => this.#member(b, "PUT", { role: "member" }),
    "remove-member": (b) => this.#remove(b),
    leave: () => this.#leave(),
  };

  // Keys, and what is dropped or pasted

  #escape() {
    if (document.querySelector("dialog[open], :popover-open")) return false; // they close by themselves
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
