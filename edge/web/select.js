// SPDX-License-Identifier: MIT
// Several messages at once: chosen by a press on each, then copied, sent on, starred or taken away. Loaded with the first.
import { ask, hide, mark, put } from "./keys.js";
import { clock, dayWords, errorWords, nameOf, preview } from "./words.js";

const $ = (id) => document.getElementById(id);
const MOST = 100; // that the server takes away at once

export class Screen {
  forms = {};
  #chat = null; // in which some are chosen
  #chosen = new Set(); // messageIds
  #was = false; // shown

  constructor(act) {
    Object.assign(this, { act, engine: act.engine, model: act.model });
    $("messages").addEventListener("click", (e) => this.#pressed(e), { capture: true });
    document.addEventListener("keydown", (e) => this.#key(e), { capture: true });
  }

  begin(m) {
    this.#chat = this.act.chat;
    this.#chosen = new Set([m.id]);
    this.draw();
    document.querySelector(`[data-message-id="${CSS.escape(m.id)}"]`)?.focus({ preventScroll: true });
  }

  #end() {
    this.#chat = null;
    this.#chosen.clear();
    this.draw();
  }

  /** Those that are still there, in their order. */
  get #messages() {
    return [...this.#chosen].map((id) => this.model.find(this.#chat, id)).filter((m) => m && !m.gone).sort((a, b) => a.seq - b.seq);
  }

  draw() {
    if (this.#chat && this.#chat !== this.act.chat) return this.#end();
    const on = Boolean(this.#chat);
    if (!on && !this.#was) return undefined;
    this.#was = on;
    mark($("chat"), "data-selecting", on ? "yes" : null);
    hide($("selecting"), !on);
    for (const row of $("messages").querySelectorAll(".message")) {
      const yes = on && this.#chosen.has(row.dataset.messageId);
      if (row.classList.contains("chosen") !== yes) row.classList.toggle("chosen", yes);
    }
    if (!on) return undefined;
    const all = this.#messages;
    put($("selecting-count"), `${all.length} selected`);
    const can = {
      "copy-selected": all.some((m) => m.content), "forward-selected": this.engine.can.has("forwards") && all.some((m) => this.#sendable(m)),
      "star-selected": this.engine.can.has("stars") && all.some((m) => !m.deleted), "hide-selected": this.engine.can.has("hiding") && all.length > 0,
    };
    for (const [action, yes] of Object.entries(can)) document.querySelector(`[data-action="${action}"]`).disabled = !yes;
    return undefined;
  }

  #sendable(m) {
    return !m.deleted && (m.mediaId ? m.from === this.model.me : Boolean(m.content || m.location || m.contact));
  }

  #toggle(row) {
    const id = row.dataset.messageId;
    if (!this.model.find(this.#chat, id)) return; // not sent yet
    if (!this.#chosen.delete(id) && this.#chosen.size < MOST) this.#chosen.add(id);
    if (this.#chosen.size) this.draw();
    else this.#end();
  }

  #pressed(e) {
    const row = this.#chat && e.target.closest(".message");
    if (!row) return;
    e.preventDefault();
    e.stopPropagation();
    row.focus({ preventScroll: true });
    this.#toggle(row);
  }

  #key(e) {
    if (!this.#chat || document.querySelector("dialog[open], :popover-open")) return;
    if (e.key === "Escape") this.#end();
    else if (["Enter", " "].includes(e.key) && e.target.matches(".message")) this.#toggle(e.target);
    else return;
    e.preventDefault();
    e.stopPropagation();
  }

  // What is done with them

  async #copy() {
    const all = this.#messages.filter((m) => m.content);
    const lines = all.map((m) => (all.length > 1 ? `[${dayWords(m.sentAt)} ${clock.format(m.sentAt)}] ${nameOf(this.model, m.from)}: ${m.content}` : m.content));
    await navigator.clipboard.writeText(lines.join("\n"));
    this.#end();
    this.act.notice("Copied.");
  }

  async #forward() {
    const all = this.#messages.filter((m) => this.#sendable(m));
    const screen = await this.act.screen("message");
    this.#end();
    screen.forward(all);
  }

  /** All get a star; when all have one, none has. */
  async #star() {
    const all = this.#messages.filter((m) => !m.deleted);
    const off = all.every((m) => m.starred);
    const wanted = all.filter((m) => Boolean(m.starred) === off);
    this.#end();
    for (const m of wanted) await this.engine.changeMessage(m, off ? "DELETE" : "PUT", "/star");
  }

  async #hide() {
    const all = this.#messages;
    const what = all.length === 1 ? `“${preview(all[0])}” is` : `${all.length} messages are`;
    if (!(await ask("Delete for me?", `${what} taken away on all of your devices, for good. Others keep what was said.`, "Delete"))) return;
    this.#end();
    await this.engine.hideMessages(all).catch((e) => this.act.notice(errorWords(e)));
  }

  actions = {
    "end-selecting": () => this.#end(),
    "copy-selected": () => this.#copy(),
    "forward-selected": () => this.#forward(),
    "star-selected": () => this.#star(),
    "hide-selected": () => this.#hide(),
  };
}
