// SPDX-License-Identifier: MIT
// Search above the list, in names that are here and in messages that the server has, and the list of what was starred.
// Loaded when it is asked for.
import { hide, mark, put, reachable, roving } from "./keys.js";
import { el, icon } from "./util.js";
import { errorWords, nameOf, preview, shortNameOf, titleOf, when } from "./words.js";

const $ = (id) => document.getElementById(id);
const PAUSE_MS = 250; // in typing
const WORDS_MAX = 8;
const BYTES_MAX = 256;
const CHATS_SHOWN = 5;
const CHIPS_SHOWN = 3;
const EMPTY_PAGES = 5; // in a row; then somebody has to ask for more
const BEFORE_CHARS = 24; // of a text, before what was found
const SHOWN_CHARS = 160;
const LOOKED_CHARS = 2000; // of a text; the server looks at its first 1 KiB
const UNFINISHED = /[\p{Script=Latin}\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Arabic}\p{Script=Hebrew}\p{N}]$/u; // the word that is being typed

/** Without case, accents and full width, and where each character stood. */
function folded(text) {
  const chars = [];
  const places = [];
  let at = 0;
  for (const c of text) {
    for (const part of c.normalize("NFKD").toLowerCase().replace(/\p{M}/gu, "")) {
      chars.push(part);
      places.push(at);
    }
    at += c.length;
  }
  return { chars, places: [...places, at] };
}

/** Where the words stand in `text`, at the beginning of a word: [[from, to]], sorted, none inside of another. */
export function places(text, words) {
  const { chars, places: at } = folded(text);
  const found = [];
  for (const word of words) {
    const wanted = folded(word).chars;
    for (let i = 0; wanted.length && i + wanted.length <= chars.length; i++) {
      const begins = i === 0 || !/[\p{L}\p{N}]/u.test(chars[i - 1]) || !UNFINISHED.test(wanted[0]);
      if (begins && wanted.every((c, n) => chars[i + n] === c)) found.push([at[i], at[i + wanted.length]]);
    }
  }
  found.sort((a, b) => a[0] - b[0] || b[1] - a[1]);
  let end = 0;
  return found.filter(([from, to]) => from >= end && (end = to));
}

/** `text` around what was found, which is marked. */
function snippet(text, words) {
  const flat = text.slice(0, LOOKED_CHARS).replace(/\s+/g, " ");
  const first = places(flat, words)[0]?.[0] ?? 0;
  const start = first > 2 * BEFORE_CHARS ? flat.indexOf(" ", first - BEFORE_CHARS) + 1 || first : 0;
  const cut = (start ? "…" : "") + flat.slice(Math.min(start, first), Math.min(start, first) + SHOWN_CHARS);
  const e = el("bdi");
  let at = 0;
  for (const [from, to] of places(cut, words)) {
    e.append(cut.slice(at, from), el("mark", "", cut.slice(from, to)));
    at = to;
  }
  e.append(cut.slice(at));
  return e;
}

export class Screen {
  #n = 0; // counts questions: an older answer is not shown
  #timer = 0;
  #in = null; // chat
  #from = ""; // userId
  #query = ""; // of the results that are shown
  #cursor = null;
  #messages = new WeakMap(); // element → message
  #found = 0; // messages
  #stars = ""; // cursor of the starred ones

  constructor(act) {
    Object.assign(this, { act, engine: act.engine, model: act.model });
    roving($("found-list"), ".chat-item");
    roving($("starred-list"), ".chat-item");
    $("search").addEventListener("keydown", (e) => {
      if (e.key !== "ArrowDown") return;
      e.preventDefault();
      $("found-list").querySelector(".chat-item")?.focus();
    });
    $("found-list").addEventListener("click", (e) => e.target.closest("[data-chat-id]") && this.close());
    $("starred").addEventListener("close", () => $("starred-list").replaceChildren());
  }

  draw() {}

  get #text() {
    return $("search").value.trim();
  }

  /** What the server is asked for: the word that is being typed is a beginning. */
  get #asked() {
    const text = this.#text;
    return UNFINISHED.test(text) && text.split('"').length % 2 ? `${text}*` : text;
  }

  get #words() {
    return this.#text.replaceAll('"', " ").replaceAll("*", " ").split(/\s+/).filter(Boolean);
  }

  /** Only in this chat. */
  inside(chat) {
    const begin = () => {
      this.#in = chat;
      this.#from = "";
      $("search").value = "";
      this.typed();
      $("search").focus();
    };
    if ($("search").checkVisibility()) return begin();
    addEventListener("hashchange", () => requestAnimationFrame(() => requestAnimationFrame(begin)), { once: true }); // on a phone: behind what the way back does
    return this.act.close();
  }

  close() {
    this.#in = null;
    this.#from = "";
    $("search").value = "";
    this.typed();
  }

  typed() {
    const on = Boolean(this.#text || this.#in || this.#from);
    const n = ++this.#n;
    clearTimeout(this.#timer);
    hide($("found"), !on);
    mark($("side"), "data-searching", on ? "yes" : null);
    this.#found = 0;
    this.#chips();
    put($("found-said"), "");
    $("found-list").replaceChildren(...(on ? this.#chats() : []));
    if (!on) return;
    const long = this.#words.length > WORDS_MAX || new Blob([this.#asked]).size > BYTES_MAX;
    if (long) return this.#note(`Search for up to ${WORDS_MAX} words at once, and not for very long ones.`);
    if (!this.#from && !this.#words.join("")) return this.#note(this.#in ? "What was said there? Type a word." : "");
    this.#timer = setTimeout(() => this.#ask(n), PAUSE_MS);
  }

  // Who and where

  #matching(title) {
    return places(title, [this.#text]).length > 0;
  }

  /** What narrows the search, and what could. */
  #chips() {
    const chips = [];
    const chip = (action, id, words, on) => {
      const b = el("button", "chip");
      const name = el("bdi", "", words[1]);
      b.type = "button";
      b.dataset.action = action;
      b.dataset.id = id;
      b.append(`${words[0]} `, name, ...(on ? [icon("close")] : []));
      b.setAttribute("aria-pressed", on);
      b.setAttribute("aria-label", on ? `${words.join(" ")}: search everywhere again` : `Search only ${words.join(" ").toLowerCase()}`);
      chips.push(b);
    };
    if (this.#in) chip("found-in", "", ["In", titleOf(this.model, this.#in)], true);
    if (this.#from) chip("found-from", "", ["From", nameOf(this.model, this.#from)], true);
    if (this.#text) {
      const people = this.#from ? [] : [...this.model.people].filter(([, name]) => this.#matching(name)).slice(0, 2);
      for (const [userId, name] of people) chip("found-from", userId, ["From", userId === this.model.me ? "you" : name], false);
      const chats = this.#in ? [] : this.model.sorted().filter((c) => c.kind === "group" && this.#matching(titleOf(this.model, c)));
      for (const c of chats.slice(0, CHIPS_SHOWN - people.length)) chip("found-in", c.chatId, ["In", titleOf(this.model, c)], false);
    }
    $("found-chips").replaceChildren(...chips);
    hide($("found-chips"), !chips.length);
  }

  #narrow(what, button) {
    const { id } = button.dataset;
    if (what === "in") this.#in = id ? this.model.chats.get(id) : null;
    else this.#from = id;
    if (id) $("search").value = "";
    this.typed();
    $("search").focus();
  }

  /** Chats whose name has it. */
  #chats() {
    if (this.#in || this.#from || !this.#text) return [];
    const found = this.model.sorted().filter((c) => this.#matching(titleOf(this.model, c))).slice(0, CHATS_SHOWN);
    if (!found.length) return [];
    const items = found.map((chat) => {
      const { item, button } = this.#item(chat, titleOf(this.model, chat), chat.last?.sentAt, []);
      button.dataset.chatId = chat.chatId;
      const last = this.model.lastOf(chat);
      button.querySelector(".name").replaceChildren(snippet(titleOf(this.model, chat), [this.#text]));
      put(button.querySelector(".last"), last ? preview(last) : "");
      return item;
    });
    return [el("li", "head", "Chats"), ...items];
  }

  #item(chat, name, time, last) {
    const item = el("li");
    const button = el("button", "chat-item");
    Object.assign(button, { type: "button", tabIndex: -1 });
    const face = this.engine.media.face();
    this.engine.faceOf(face, chat);
    const [title, at, line] = [el("span", "name", name), el("span", "when", when(time)), el("span", "last")];
    title.dir = line.dir = "auto";
    line.append(...last);
    button.append(face, title, at, line);
    item.append(button);
    return { item, button };
  }

  // Messages

  #note(words) {
    const old = $("found-list").querySelector(".note-line");
    old?.remove();
    if (words) $("found-list").append(el("li", "note-line", words));
    put($("found-said"), words);
  }

  async #ask(n) {
    this.#cursor = null;
    this.#query = this.#asked;
    if (!$("found-list").children.length) this.#note("Searching…");
    try {
      await this.#page(n);
    } catch (e) {
      if (n === this.#n) this.#note(errorWords(e));
    }
  }

  /** The next results; a page may have none and others after it. */
  async #page(n) {
    const found = [];
    let answer = null;
    for (let i = 0; i < EMPTY_PAGES && !found.length && (!answer || answer.more); i++) {
      const query = new URLSearchParams();
      const given = { q: this.#query, in: this.#in?.chatId, from: this.#from, cursor: this.#cursor };
      for (const [key, value] of Object.entries(given)) if (value) query.set(key, value);
      answer = await this.engine.session.insist("GET", `/api/search?${query}`, undefined, 3);
      if (n !== this.#n) return;
      found.push(...answer.messages);
      this.#cursor = answer.more ? answer.cursor : null;
    }
    this.#show(found, answer);
  }

  #show(found, { more, late }) {
    this.#note("");
    $("found-list").querySelector(".more-line")?.remove();
    const items = found.map((m) => this.#message(m, this.#words));
    if (items.length && !this.#found) items.unshift(el("li", "head", "Messages"));
    for (const m of found) this.engine.wantNames([m.from]);
    $("found-list").append(...items.map((i) => i.item ?? i));
    this.#found += found.length;
    if (more) $("found-list").append(this.#more("more-found"));
    else if (!$("found-list").children.length) this.#note("Nothing was found.");
    else if (late) this.#note("The newest messages cannot be found yet.");
    reachable($("found-list"), ".chat-item", $("found-list").querySelector(".chat-item"));
    const n = this.#found;
    put($("found-said"), n ? `${n}${more ? " or more" : ""} ${n === 1 ? "message" : "messages"}` : "No messages");
  }

  #more(action) {
    const line = el("li", "more-line");
    const b = el("button", "plain", "Show earlier ones");
    b.type = "button";
    b.dataset.action = action;
    line.append(b);
    return line;
  }

  #message(m, words) {
    const chat = this.model.chat(m.chatId);
    const who = chat.kind === "group" || m.from === this.model.me ? `${shortNameOf(this.model, m.from)}: ` : "";
    const kind = m.type === "text" ? "" : preview({ ...m, content: "" });
    const { item, button } = this.#item(chat, titleOf(this.model, chat), m.sentAt, [`${who}${kind}${kind && m.content ? ": " : ""}`, snippet(m.content ?? "", words)]);
    button.dataset.action = "go-found";
    this.#messages.set(button, m);
    return { item, button };
  }

  async #go(button) {
    const m = this.#messages.get(button);
    $("starred").close();
    await this.act.jump(this.model.chat(m.chatId), m);
    document.querySelector(`[data-message-id="${CSS.escape(m.id)}"]`)?.focus({ preventScroll: true });
  }

  // What was starred

  async starred() {
    this.#stars = "";
    $("starred-list").replaceChildren(el("li", "note-line", "Loading…"));
    $("starred").showModal();
    $("starred-title").focus();
    try {
      await this.#moreStars();
    } catch (e) {
      $("starred-list").replaceChildren(el("li", "note-line", errorWords(e)));
    }
  }

  async #moreStars() {
    const query = this.#stars ? `?cursor=${encodeURIComponent(this.#stars)}` : "";
    const page = await this.engine.session.insist("GET", `/api/starred${query}`, undefined, 3);
    this.#stars = page.more ? page.cursor : "";
    for (const e of $("starred-list").querySelectorAll(".more-line, .note-line")) e.remove();
    for (const m of page.messages) {
      this.engine.wantNames([m.from]);
      const { item } = this.#message(m, []);
      const off = el("button", "plain round");
      Object.assign(off, { type: "button" });
      off.dataset.action = "unstar";
      off.append(icon("star"));
      off.setAttribute("aria-label", `Remove the star of “${preview(m)}”`);
      item.append(off);
      $("starred-list").append(item);
    }
    if (page.more) $("starred-list").append(this.#more("more-stars"));
    this.#anyStars();
  }

  #anyStars() {
    const first = $("starred-list").querySelector(".chat-item");
    if (first) reachable($("starred-list"), ".chat-item", first);
    else $("starred-list").replaceChildren(el("li", "note-line", "Star a message in its menu, and you find it here."));
  }

  async #unstar(button) {
    const item = button.closest("li");
    const m = this.#messages.get(item.firstChild);
    await this.engine.changeMessage(m, "DELETE", "/star");
    item.remove();
    this.#anyStars();
    $("starred-title").focus();
  }

  actions = {
    "found-in": (b) => this.#narrow("in", b),
    "found-from": (b) => this.#narrow("from", b),
    "more-found": () => this.#page(this.#n),
    "go-found": (b) => this.#go(b),
    "more-stars": () => this.#moreStars(),
    unstar: (b) => this.#unstar(b),
  };

  forms = { "search-form": () => $("found-list").querySelector(".chat-item")?.focus() };
}
