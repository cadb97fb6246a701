// SPDX-License-Identifier: MIT
// A message on the screen. Text enters only as textContent.
import { hide, mark, put } from "./keys.js";
import { el, icon } from "./util.js";
import { beginning, clock, DELETED, eventWords, GONE, isLong, nameOf, parts, preview, reason, TICK_WORDS, TICKS } from "./words.js";

const PARTS = { poll: "polls", voice: "voice", location: "cards", contact: "cards", preview: "cards" }; // what a message may have → who draws it, loaded when there is one

function button(className, action, text, label) {
  const b = el("button", className, text);
  b.type = "button";
  b.dataset.action = action;
  if (label) b.setAttribute("aria-label", label);
  return b;
}

/** Nodes for the parts of a text. */
export function linked(all) {
  return all.map(({ text, href }) => {
    if (!href) return document.createTextNode(text);
    const a = el("a", "", text);
    a.href = href;
    a.target = "_blank";
    a.rel = "noopener noreferrer";
    return a;
  });
}

function texts(place, content, whole) {
  const key = `${whole ? "whole" : "folded"} ${content}`;
  if (place.shown === key) return;
  place.shown = key;
  place.replaceChildren(...linked(whole ? parts(content) : beginning(content)));
}

export class Row {
  /** `m`: a message, or one of our own on its way. */
  constructor(engine, chat, m) {
    Object.assign(this, { engine, chat, m, model: engine.model });
    this.mine = Boolean(m.state) || m.from === this.model.me;
    this.e = m.type === "event" ? el("li", "event") : this.#make(m);
    this.e.row = this;
    this.whole = false; // a long text
    this.update(m);
  }

  #make(m) {
    const row = el("li", this.mine ? "message mine" : "message");
    row.tabIndex = -1;
    this.from = this.mine || this.chat.kind !== "group" ? null : el("div", "from");
    if (this.from) this.from.dir = "auto";
    this.forwarded = el("div", "kind", "Forwarded");
    this.quote = button("quote", "quoted", "");
    this.quote.tabIndex = -1;
    this.quote.append(el("span", "from"), el("span", "said"));
    for (const part of this.quote.children) part.dir = "auto";
    this.body = el("div", "body");
    this.text = el("div", "text");
    this.text.dir = "auto";
    this.fold = button("fold plain", "fold", "");
    this.beside = el("div", "beside");
    this.marks = el("div", "marks");
    this.failed = el("span", "failed");
    this.edited = el("span", "", "edited");
    this.time = el("time", "", clock.format(m.sentAt));
    this.time.dateTime = new Date(m.sentAt).toISOString();
    this.tick = el("span", "tick");
    this.tick.setAttribute("role", "img");
    this.more = button("more plain", "message-menu", "⌄", "What to do with this message");
    this.more.tabIndex = -1;
    this.star = icon("star", "Starred");
    const foot = el("div", "foot");
    foot.append(this.failed, this.star, this.edited, this.time, this.tick);
    row.append(...[this.from, this.forwarded, this.quote, this.body, this.text, this.fold, this.beside, foot, this.marks, this.more].filter(Boolean));
    return row;
  }

  update(m) {
    this.m = m;
    if (m.type === "event") {
      this.engine.wantNames([m.from, m.invitedBy, ...(m.changes ?? []).map((c) => c.userId)]);
      return put(this.e, eventWords(this.model, m));
    }
    const { e } = this;
    mark(e, "data-message-id", m.id ?? `unsent-${m.clientId}`);
    mark(e, "data-client-id", m.clientId);
    this.names();
    this.#content(m);
    this.#tick(m);
    this.#failure(m);
    mark(e, "data-mention", m.mentions?.includes(this.model.me) && !m.deleted ? "yes" : null);
    this.star.toggleAttribute("hidden", !m.starred);
    hide(this.edited, !m.edited || Boolean(m.deleted));
    hide(this.more, Boolean(m.state));
    return this.#marks(m);
  }

  names() {
    const { m } = this;
    if (m.type === "event") return this.update(m);
    if (this.from) {
      this.engine.wantNames([m.from]);
      put(this.from, nameOf(this.model, m.from));
    }
    return this.#quote(m);
  }

  #quote(m) {
    const shown = Boolean(m.replyTo) && !m.deleted;
    hide(this.quote, !shown);
    if (!shown) return;
    const to = this.model.find(this.chat, m.replyTo.id);
    const found = to?.seq === m.replyTo.seq ? to : null;
    put(this.quote.firstChild, found && !found.gone ? nameOf(this.model, found.from) : "");
    put(this.quote.lastChild, found?.gone ? GONE : found ? preview(found) : "An earlier message");
  }

  #content(m) {
    hide(this.forwarded, !m.forwarded || Boolean(m.deleted));
    mark(this.e, "data-deleted", m.deleted ? "yes" : null);
    const mediaId = m.deleted || m.voice ? undefined : m.mediaId;
    if (this.mediaId !== mediaId || !this.drawn) {
      this.mediaId = mediaId;
      this.drawn = true;
      this.body.replaceChildren(...(mediaId ? [this.engine.media.box(m)] : []));
      hide(this.body, !mediaId);
    }
    const content = m.deleted ? DELETED : m.content || (m.mediaId || m.type === "text" ? "" : preview(m));
    hide(this.text, !content);
    const long = isLong(content);
    texts(this.text, content, !long || this.whole);
    hide(this.fold, !long);
    put(this.fold, this.whole ? "Read less" : "Read more");
    mark(this.fold, "aria-expanded", this.whole);
    this.#beside(m);
  }

  /** A poll and the like. */
  #beside(m) {
    const keys = Object.keys(PARTS).filter((key) => m[key] && !m.deleted);
    const missing = keys.filter((key) => !this.engine.part(PARTS[key]));
    mark(this.e, "data-wants", missing.map((key) => PARTS[key]).join(" ") || null);
    for (const e of [...this.beside.children]) if (!keys.includes(e.dataset.kind)) e.remove();
    hide(this.beside, !keys.length);
    for (const key of keys) if (!missing.includes(key)) this.engine.part(PARTS[key]).into(this, m, key);
  }

  /** All of a long text, or its beginning. */
  unfold() {
    this.whole = !this.whole;
    this.#content(this.m);
  }

  #tick(m) {
    const tick = this.model.tick(this.chat, m);
    const shown = this.mine && m.state !== "failed" && !m.deleted;
    mark(this.e, "data-tick", tick);
    hide(this.tick, !shown);
    put(this.tick, shown ? TICKS[tick] : "");
    mark(this.tick, "aria-label", TICK_WORDS[tick]);
  }

  #failure(m) {
    const failed = m.state === "failed";
    if (failed === Boolean(this.failed.firstChild)) return;
    this.failed.replaceChildren();
    if (failed) this.failed.append(el("span", "", `Not sent: ${reason(m.code)} `), button("plain", "again", "Try again"), button("plain", "discard", "Remove"));
  }

  #marks(m) {
    const shown = m.deleted ? [] : m.reactions ?? [];
    const key = JSON.stringify([shown, m.myReaction]);
    if (this.marks.dataset.shown === key) return;
    this.marks.dataset.shown = key;
    this.marks.replaceChildren(...shown.map(({ reaction, count }) => {
      const own = reaction === m.myReaction;
      const b = button(own ? "mark own" : "mark", "react", count > 1 ? `${reaction} ${count}` : reaction, `${reaction}, ${count}${own ? ", yours" : ""}`);
      b.dataset.reaction = reaction;
      b.setAttribute("aria-pressed", own);
      b.tabIndex = -1;
      return b;
    }));
    hide(this.marks, !shown.length);
  }

  /** Where it stands: the first of several of one person shows the name. */
  place(first) {
    mark(this.e, "data-first", first ? "yes" : null);
  }
}
