// SPDX-License-Identifier: MIT
// Files of a chat, found without scrolling, and one picture or video large, with those before and behind it. Loaded when
// they are wanted.
import { arrange, hide, mark, put, roving } from "./keys.js";
import { el } from "./util.js";
import { bytes, dayWords, errorWords, nameOf, until } from "./words.js";

const $ = (id) => document.getElementById(id);
const KINDS = { image: "Pictures", video: "Videos", audio: "Sounds", document: "Files" };
const NONE = { image: "No pictures", video: "No videos", audio: "No sounds", document: "No files" };
const PAGE = 60;
const EMPTY_PAGES = 20; // pages of a kind that have none of it, at one go

/** Of one kind, in the order of the server: newest first. */
class Found {
  messages = [];
  before = undefined; // of the next page
  more = true;
  loading = null;
}

export class Screen {
  #chat = null;
  #kind = "image";
  #found = {}; // kind → Found
  #items = new Map(); // message id → element
  #large = null; // {list, at}

  constructor(act) {
    Object.assign(this, { act, engine: act.engine, model: act.model });
    this.more = el("li", "more-line");
    this.more.append(el("span", "dim", "Loading…"));
    new IntersectionObserver((seen) => seen.some((s) => s.isIntersecting) && this.#load(), { root: $("shared") }).observe(this.more);
    $("shared-kinds").replaceChildren(...Object.entries(KINDS).map(([kind, words]) => {
      const chip = el("button", "chip", words);
      chip.type = "button";
      chip.dataset.action = "shared-kind";
      chip.dataset.kind = kind;
      return chip;
    }));
    roving($("shared-list"), ".shared-item");
    $("shared").addEventListener("close", () => (this.#chat = null));
    $("large").addEventListener("close", () => {
      this.#large = null;
      $("large-place").replaceChildren(); // nothing plays on
    });
    $("large").addEventListener("keydown", (e) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
      if (!step || e.target.tagName === "VIDEO") return;
      e.preventDefault();
      this.#step(step);
    });
  }

  show(chat) {
    this.#chat = chat;
    this.#found = Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, new Found()]));
    this.#items.clear();
    $("shared").showModal();
    $("shared-title").focus();
    this.#choose("image");
  }

  #choose(kind) {
    this.#kind = kind;
    for (const chip of $("shared-kinds").children) mark(chip, "aria-pressed", chip.dataset.kind === kind);
    hide($("shared-error"), true);
    this.#draw();
    return this.#load();
  }

  /** One more page of what is chosen, or as many as it takes to find something. */
  async #load() {
    const { messages, loading, more } = this.#found[this.#kind] ?? {};
    if (!messages || loading || !more) return;
    const found = this.#found[this.#kind];
    const [chat, kind, n] = [this.#chat, this.#kind, messages.length];
    found.loading = true;
    try {
      for (let i = 0; i < EMPTY_PAGES && found.more && found.messages.length === n && this.#chat === chat; i++) {
        const query = `kind=${kind}&limit=${PAGE}${found.before === undefined ? "" : `&before=${found.before}`}`;
        const page = await this.engine.session.insist("GET", `/api/chats/${chat.chatId}/media?${query}`, undefined, 3);
        found.messages.push(...page.messages.filter((m) => m.mediaId && !found.messages.some((k) => k.id === m.id)));
        Object.assign(found, { before: page.before, more: page.more && page.before !== undefined });
      }
    } catch (e) {
      found.more = false;
      put($("shared-error"), errorWords(e));
      hide($("shared-error"), false);
    }
    found.loading = false;
    if (this.#chat === chat && this.#kind === kind) this.#draw();
  }

  #about(m) {
    this.engine.wantNames([m.from]);
    return `${nameOf(this.model, m.from)}, ${dayWords(m.sentAt)}`;
  }

  /** What was deleted or is over since is not shown. */
  #there = (m) => {
    const held = this.model.find(this.model.chat(m.chatId), m.id) ?? m;
    return !held.gone && !held.deleted && !(m.expiresAt <= Date.now());
  };

  draw() {
    if (!$("shared").open || !this.#chat) return;
    const { messages } = this.#found[this.#kind];
    if (messages.some((m) => !this.#there(m))) this.#draw();
  }

  #draw() {
    const found = this.#found[this.#kind];
    found.messages = found.messages.filter(this.#there);
    const items = found.messages.map((m) => this.#item(m));
    const none = found.more || items.length ? [] : [el("li", "dim", NONE[this.#kind])];
    mark($("shared-list"), "class", ["image", "video"].includes(this.#kind) ? "tiles" : null);
    arrange($("shared-list"), [...items, ...none, ...(found.more ? [this.more] : [])]);
    const all = $("shared-list").querySelectorAll(".shared-item");
    if (all.length && ![...all].some((e) => e.tabIndex === 0)) all[0].tabIndex = 0;
  }

  #item(m) {
    const known = this.#items.get(m.id);
    if (known) return known;
    const tile = ["image", "video"].includes(m.type);
    const item = el("li");
    const button = el("button", "shared-item");
    Object.assign(button, { type: "button", tabIndex: -1 });
    button.dataset.action = tile ? "shared-large" : "shared-go";
    item.message = m;
    if (tile) {
      mark(button, "aria-label", `${m.type === "image" ? "Picture" : "Video"}, ${this.#about(m)}`);
      button.append(el("span", "sign", m.type === "image" ? "" : "▶"));
      this.engine.media.glance(button, m.mediaId);
    } else {
      const name = el("span", "name", m.content || (m.type === "audio" ? "Sound" : "File"));
      name.dir = "auto";
      button.append(name, el("span", "sub", this.#about(m)));
      this.engine.media.about(m.mediaId).then((about) => {
        if (!about) return;
        if (about.media.name) put(name, about.media.name);
        put(button.lastChild, `${bytes(about.media.size)} · ${this.#about(m)}`);
      });
    }
    item.append(button);
    this.#items.set(m.id, item);
    return item;
  }

  // One, large

  /** `list`: messages with pictures or videos, oldest first. */
  large(list, at) {
    this.#large = { list, at };
    if (!$("large").open) $("large").showModal();
    this.#show();
  }

  #step(step) {
    const { list, at } = this.#large;
    const to = list[at + step];
    if (!to) return;
    this.#large.at = at + step;
    this.#show();
  }

  async #show() {
    const { list, at } = this.#large;
    const m = list[at];
    put($("large-who"), nameOf(this.model, m.from));
    put($("large-when"), until(m.sentAt));
    put($("large-text"), m.content ?? "");
    hide($("large-text"), !m.content);
    hide($("large-before"), at === 0);
    hide($("large-next"), at === list.length - 1);
    if (!$("large").contains(document.activeElement)) $("large").focus();
    $("large-place").replaceChildren(el("p", "dim", "Loading…"));
    const about = await this.engine.media.about(m.mediaId);
    if (this.#large?.list[this.#large.at] !== m) return;
    if (!about || !this.#there(m)) return $("large-place").replaceChildren(el("p", "dim", "This file cannot be shown."));
    const shown = el(about.media.type === "video" ? "video" : "img");
    if (about.media.type === "video") Object.assign(shown, { controls: true, preload: "metadata" });
    else shown.alt = about.media.name || "Picture";
    shown.src = about.url;
    if (about.media.type === "video") mark(shown, "aria-label", about.media.name || "Video");
    $("large-place").replaceChildren(shown);
    $("large-save").href = about.url;
    return undefined;
  }

  /** In the chat, where it was said. */
  async #go(m) {
    for (const id of ["large", "shared", "info"]) if ($(id).open) $(id).close();
    await this.act.jump(this.model.chat(m.chatId), m);
  }

  actions = {
    "shared-kind": (b) => this.#choose(b.dataset.kind),
    "shared-large": (b) => {
      const list = this.#found[this.#kind].messages.toReversed();
      this.large(list, list.indexOf(b.closest("li").message));
    },
    "shared-go": (b) => this.#go(b.closest("li").message),
    "large-before": () => this.#step(-1),
    "large-next": () => this.#step(1),
    "large-go": () => this.#go(this.#large.list[this.#large.at]),
  };

  forms = {};
}
