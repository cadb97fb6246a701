// SPDX-License-Identifier: MIT
// "@" and some letters in a group: names to choose from, and who is mentioned when the text is sent.
import { el } from "./util.js";

const SHOWN_MAX = 6;
const MENTIONS_MAX = 32; // where the server does not say

export class Mentions {
  #names = [];
  #at = 0; // the chosen one
  #begun = ""; // what stands behind the "@"

  constructor(engine, composer, box) {
    Object.assign(this, { engine, composer, box, model: engine.model });
    this.close();
  }

  #others(chat) {
    return (chat?.members ?? []).map((m) => ({ userId: m.userId, name: this.model.nameOf(m.userId) })).filter((p) => p.name && p.userId !== this.model.me);
  }

  /** The composer changed, or another chat is open. */
  look(chat) {
    const { composer } = this;
    const [, begun] = /(?:^|\s)@([^\s@]{0,40})$/u.exec(composer.value.slice(0, composer.selectionStart)) ?? [];
    const fits = (name) => name.toLocaleLowerCase().startsWith(begun.toLocaleLowerCase());
    this.#names = begun === undefined || chat?.kind !== "group" || !this.engine.can.has("mentions") ? [] : this.#others(chat).filter((p) => fits(p.name)).slice(0, SHOWN_MAX);
    this.#begun = begun ?? "";
    this.#at = 0;
    this.#draw();
  }

  #draw() {
    const { box, composer } = this;
    box.hidden = !this.#names.length;
    box.replaceChildren(...this.#names.map((p, i) => {
      const option = el("div", "option", p.name);
      option.id = `suggest-${i}`;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", i === this.#at);
      option.addEventListener("mousedown", (e) => {
        e.preventDefault(); // the composer keeps the focus
        this.#take(i);
      });
      return option;
    }));
    if (box.hidden) composer.removeAttribute("aria-activedescendant");
    else composer.setAttribute("aria-activedescendant", `suggest-${this.#at}`);
  }

  #take(i) {
    const { composer } = this;
    const at = composer.selectionStart;
    composer.setRangeText(`${this.#names[i].name} `, at - this.#begun.length, at, "end");
    this.close();
    composer.dispatchEvent(new Event("input", { bubbles: true }));
  }

  /** True when the key was for the names. */
  key(e) {
    if (this.box.hidden) return false;
    const step = { ArrowDown: 1, ArrowUp: -1 }[e.key];
    if (step) this.#at = (this.#at + step + this.#names.length) % this.#names.length;
    else if (e.key === "Enter" || e.key === "Tab") this.#take(this.#at);
    else if (e.key === "Escape") this.close();
    else return false;
    if (step) this.#draw();
    return true;
  }

  close() {
    this.#names = [];
    this.#draw();
  }

  /** User ids of the members whose names stand in the text behind an "@"; undefined for none. */
  of(chat, text) {
    if (chat.kind !== "group" || !text.includes("@")) return undefined;
    const found = this.#others(chat).filter((p) => text.includes(`@${p.name}`)).map((p) => p.userId);
    return found.length ? found.slice(0, this.engine.limits.mentions ?? MENTIONS_MAX) : undefined;
  }
}
