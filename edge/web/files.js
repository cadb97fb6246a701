// SPDX-License-Identifier: MIT
// Files before they are sent: looked at, with a caption, and taken back where they are not wanted. Then on their way.
import { may } from "./marks.js";
import { el } from "./util.js";
import { bytes, tooLarge } from "./words.js";

const $ = (id) => document.getElementById(id);
const FILES_MAX = 30; // at once
const sending = () => import("./upload.js"); // after what everybody sees first

/** What it is sent as: pictures, video and audio that browsers show, anything else as a document. */
export function typeOf(file) {
  if (["image/jpeg", "image/png", "image/webp", "image/gif", "image/heic", "image/avif"].includes(file.type)) return "image";
  if (["video/mp4", "video/webm", "video/quicktime", "video/3gpp"].includes(file.type)) return "video";
  if (/^audio\/(ogg|mpeg|mp4|x-m4a|wav|x-wav|webm|aac|flac|x-flac|3gpp)$/.test(file.type)) return "audio";
  return "document";
}

export class Files {
  #picked = []; // {file, type, url}
  #chat = null;
  uploads = []; // of all chats, that this window sends

  constructor(session, engine, drawn) {
    Object.assign(this, { session, engine, drawn });
    sending().catch(() => {}); // so that it is here when there is no network
  }

  // Before

  /** Show what would be sent to the chat. */
  pick(chat, files) {
    if (!chat || chat.blocked || !may(chat, "send") || !files.length) return;
    this.#chat = chat;
    for (const file of files.slice(0, FILES_MAX - this.#picked.length)) {
      const type = typeOf(file);
      this.#picked.push({ file, type, url: ["image", "video"].includes(type) ? URL.createObjectURL(file) : null });
    }
    $("caption").value ||= $("composer").value.trim();
    this.#draw();
    if (!$("preview").open) $("preview").showModal();
    $("caption").focus();
  }

  /** Why it cannot be sent as it is, in words; "" when it can. */
  #fault({ file, type }) {
    const most = this.engine.limits.fileBytes?.[type];
    return most && file.size > most ? tooLarge(type, most, file.size) : "";
  }

  #fitsAsDocument({ file, type }) {
    return type !== "document" && file.size <= (this.engine.limits.fileBytes?.document ?? 0);
  }

  #draw() {
    const rows = this.#picked.map((p, i) => {
      const row = el("li", "picked");
      const fault = this.#fault(p);
      row.append(this.#look(p), el("span", "grow name", p.file.name), el("span", "kind", bytes(p.file.size)));
      row.append(this.#button("✕", `Do not send ${p.file.name}`, () => this.#remove(i)));
      if (!fault) return row;
      row.append(el("p", "error", this.#fitsAsDocument(p) ? `${fault} Send it as a document.` : fault));
      if (this.#fitsAsDocument(p)) row.append(this.#button("As a document", "", () => ((p.type = "document"), this.#draw()), ""));
      return row;
    });
    $("picked").replaceChildren(...rows);
    const n = this.#picked.length;
    $("preview-title").textContent = n === 1 ? "Send this file?" : `Send these ${n} files?`;
    document.querySelector('[data-action="send-files"]').disabled = this.#picked.some((p) => this.#fault(p));
  }

  #look(p) {
    if (!p.url) return el("span", "look", "📄");
    const e = el(p.type === "video" ? "video" : "img", "look");
    e.src = p.url;
    if (p.type === "video") e.muted = true;
    else e.alt = "";
    return e;
  }

  #button(text, label, run, className = "plain") {
    const b = el("button", className, text);
    b.type = "button";
    if (label) b.setAttribute("aria-label", label);
    b.addEventListener("click", run);
    return b;
  }

  #remove(i) {
    const [gone] = this.#picked.splice(i, 1);
    if (gone.url) URL.revokeObjectURL(gone.url);
    if (!this.#picked.length) return $("preview").close();
    this.#draw();
    $("caption").focus();
    return undefined;
  }

  /** The dialog was closed, with or without sending. */
  forget() {
    for (const p of this.#picked) if (p.url) URL.revokeObjectURL(p.url);
    this.#picked = [];
    $("caption").value = "";
    $("picked").replaceChildren();
  }

  async sendPicked() {
    const { Upload } = await sending();
    const chat = this.#chat;
    const caption = $("caption").value.trim();
    if ($("composer").value.trim() === caption) this.engine.write(chat, "", undefined, true);
    this.#picked.forEach(({ file, type }, i) => this.#send(Upload, chat, file, { type, caption: i === 0 ? caption : "" }));
    $("preview").close();
  }

  /** A voice, which nobody looks at before. `more`: what its message has besides. */
  async send(chat, file, more) {
    const { Upload } = await sending();
    this.#send(Upload, chat, file, { type: "audio", more });
  }

  // On their way

  /** No other window of this browser sends it meanwhile; one that another sends already is left to that. */
  #send(Upload, chat, file, was) {
    const { engine } = this;
    const u = new Upload(this.session, engine.store, chat, file, this.drawn, (mediaId, type) => {
      if (!engine.stopped) engine.send(chat, u.caption, { ...u.more, type, mediaId }, u.id);
      this.#ended(u);
    }, was);
    const send = () => new Promise((over) => {
      u.over = over;
      this.uploads.push(u);
      this.drawn();
      u.run();
    });
    if (!navigator.locks) return void send(); // a page that is not on https has none
    navigator.locks.request(`upload-${u.id}`, { ifAvailable: true }, (lock) => lock && !engine.stopped && send());
  }

  #ended(u) {
    u.over?.();
    this.uploads = this.uploads.filter((other) => other !== u);
    this.drawn();
  }

  /** Those that a reload, or the end of the browser, broke off. Without locks two windows would do them twice. */
  async resume() {
    if (!navigator.locks) return;
    const found = await this.engine.store.uploads();
    const { Upload } = await sending();
    for (const was of found) {
      const chat = this.engine.model.chats.get(was.chatId);
      if (chat) this.#send(Upload, chat, was.file, was);
    }
  }

  of(chatId) {
    return this.uploads.filter((u) => u.chat.chatId === chatId);
  }

  cancel(u) {
    u?.cancel();
    if (u) this.#ended(u);
  }

  end() {
    for (const u of this.uploads) {
      u.cancel();
      u.over?.();
    }
    this.uploads = [];
  }
}
