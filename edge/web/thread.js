// SPDX-License-Identifier: MIT
// The messages of the open chat. Only those around what is looked at are in the page. Whoever reads stays where he reads,
// whatever comes above, below or becomes larger; whoever is at the end stays at the end. What was in view in a window that
// has the focus, for a moment, is read.
import { arrange, hide, mark, put, reachable, roving } from "./keys.js";
import { above, ROWS_MAX, Rows } from "./rank.js";
import { Row } from "./row.js";
import { el } from "./util.js";
import { dayOf, dayWords } from "./words.js";

const NEAR_END_PX = 80;
const SEEN_MS = 500; // in view for so long
const SEEN_PX = 48; // of a message that is larger than the view
const ABOVE_LINE_PX = 70;

export class Thread {
  #rows = new Map(); // "<from> <clientId>" → Row
  #days = new Map();
  #chat = null;
  #window = new Rows();
  #following = true; // the end
  #top = 0; // where #hold left the view
  #fresh = false; // just opened
  #anchor = null; // {e, top}: what is at the top of the view, and where
  #line = 0; // unread from behind this seq; 0: no line
  #wasUnread = 0;
  #behind = false; // what is unread came while this device was away
  #timer = 0;
  target = null; // {chatId, id}: to be shown when it is here

  constructor(engine, later) {
    Object.assign(this, { engine, later, model: engine.model });
    this.scroll = document.getElementById("scroll");
    this.list = document.getElementById("messages");
    this.toEnd = document.getElementById("to-end");
    this.older = document.querySelector('[data-action="older"]');
    this.lineRow = el("li", "unread-line", "Unread from here");
    this.list.replaceChildren();
    this.stop = new AbortController();
    const { signal } = this.stop;
    this.scroll.addEventListener("scroll", () => this.#scrolled(), { passive: true, signal });
    for (const kind of ["focus", "blur", "resize"]) addEventListener(kind, () => this.#look(), { signal });
    document.addEventListener("visibilitychange", () => this.#look(), { signal });
    document.addEventListener("close", () => this.#look(), { capture: true, signal }); // of a dialog
    this.sizes = new ResizeObserver(() => this.#stay());
    this.sizes.observe(this.list);
    this.sizes.observe(this.scroll);
  }

  end() {
    this.stop.abort();
    this.sizes.disconnect();
    clearTimeout(this.#timer);
  }

  get #focused() {
    return document.visibilityState === "visible" && document.hasFocus();
  }

  close() {
    this.#chat = null;
    this.#rows.clear();
    this.#days.clear();
    this.list.replaceChildren();
    this.#anchor = null;
    this.#line = this.#wasUnread = 0;
    this.#behind = false;
  }

  draw(chat, news) {
    const fresh = this.#chat !== chat;
    if (fresh) {
      this.close();
      this.#chat = chat;
    }
    if (chat.finding) return mark(this.list, "aria-busy", "true");
    if (fresh || this.list.hasAttribute("aria-busy")) this.#begin(chat);
    mark(this.list, "aria-busy", null);
    if (news.behind.has(chat)) this.#behind = true;
    if (!chat.unread) this.#behind = false;
    this.#moveLine(chat);
    if (!fresh) this.#hold();
    if (chat.away) this.#following = false;
    const aim = this.#aim(chat);
    if (!this.#following && this.scroll.scrollTop < this.scroll.clientHeight) this.#window.up(this.#held); // with what came, so that there is room to stay
    this.#arrange(chat, news);
    if (aim >= 0) this.#show(aim);
    else this.#stay();
    this.#wasUnread = chat.unread;
    const { target } = this;
    if (target?.chatId === chat.chatId && this.goTo(target.id)) this.target = null;
    return this.#after(chat);
  }

  /** The messages of which some are drawn. */
  get #held() {
    return this.model.shown(this.#chat).messages;
  }

  // Where to stand

  /** A chat opens where it is unread, otherwise at its end. */
  #begin(chat) {
    this.#window.end(this.#held);
    this.#following = this.#fresh = true;
    if (chat.unread) this.#line = this.model.readTo(chat) || 1;
  }

  /** Somebody sees each message as it comes. */
  get #watching() {
    return this.#focused && !this.#behind;
  }

  /** What comes while nobody looks gets a line above it. */
  #moveLine(chat) {
    if (chat.unread && !this.#wasUnread && !(this.#watching && this.#following)) this.#line = this.model.readTo(chat) || 1;
  }

  /** The place of the first unread message when that is what has to be shown now, otherwise -1. */
  #aim(chat) {
    const fresh = this.#fresh;
    this.#fresh = false;
    if (!this.#following) return -1;
    const at = this.model.firstUnread(chat);
    if (at < 0 || (!fresh && chat.unread - this.#wasUnread < ROWS_MAX / 2)) return -1;
    this.#window.around(this.#held, at);
    return at;
  }

  #show(at) {
    const row = this.#rows.get(this.#key(this.#chat.messages[at]));
    this.scroll.scrollTop += row.e.getBoundingClientRect().top - this.scroll.getBoundingClientRect().top - ABOVE_LINE_PX;
    this.#following = this.#window.to === Infinity && this.#fromEnd() < NEAR_END_PX;
    this.#hold();
  }

  #fromEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroll;
    return scrollHeight - scrollTop - clientHeight;
  }

  /** The first row that reaches into the view, by halves. */
  #firstIn(y) {
    const rows = this.list.children;
    let low = 0;
    let high = rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (rows[middle].getBoundingClientRect().bottom <= y) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #hold() {
    this.#top = this.scroll.scrollTop;
    const y = this.scroll.getBoundingClientRect().top;
    const rows = this.list.children;
    let at = this.#firstIn(y);
    while (at < rows.length - 1 && !rows[at].message) at++; // days and lines move when something comes
    const e = rows[at];
    this.#anchor = e ? { e, top: e.getBoundingClientRect().top - y } : null;
  }

  /** After anything moved: the end, or what was at the top of the view, is where it was. */
  #stay() {
    if (!this.#chat) return;
    if (this.#following) {
      const at = this.model.firstUnread(this.#chat);
      const first = at >= 0 && !this.#watching ? this.#rows.get(this.#key(this.#chat.messages[at]))?.e : null;
      const room = first ? first.getBoundingClientRect().top - this.scroll.getBoundingClientRect().top - ABOVE_LINE_PX : Infinity;
      this.scroll.scrollTop += Math.max(0, Math.min(room, this.#fromEnd()));
      if (this.#fromEnd() >= NEAR_END_PX) this.#following = false; // more is unread than fits
    } else if (this.#anchor?.e.isConnected) {
      const top = this.#anchor.e.getBoundingClientRect().top - this.scroll.getBoundingClientRect().top;
      if (Math.abs(top - this.#anchor.top) >= 1) this.scroll.scrollTop += top - this.#anchor.top;
    }
    this.#hold();
  }

  /** To the newest message: asked for, or because something was sent. */
  goToEnd() {
    if (!this.#chat) return;
    this.#line = 0;
    this.#following = true;
    if (this.#chat.away || this.#window.to !== Infinity) {
      this.#chat.away = null;
      this.#window.end(this.#held);
      this.engine.reach(this.#chat);
    }
    this.#arrange(this.#chat, null);
    this.scroll.scrollTop = this.scroll.scrollHeight;
    this.#hold();
    this.#after(this.#chat);
  }

  /** To a message that is here. False when it is not. */
  goTo(id) {
    const m = this.#chat && this.model.find(this.#chat, id);
    if (!m || m.gone) return false;
    if (this.#chat.ids.get(id) === m && !this.#chat.away?.ids.has(id)) this.#chat.away = null;
    const at = above(this.#held, m.seq) - 1;
    this.#following = false;
    if (!this.#rows.get(this.#key(m))?.e.isConnected) this.#window.around(this.#held, at);
    this.#arrange(this.#chat, null);
    const { e } = this.#rows.get(this.#key(m));
    e.scrollIntoView({ block: "center" });
    this.#hold();
    e.classList.add("found");
    setTimeout(() => e.classList.remove("found"), 1500);
    return true;
  }

  #scrolled() {
    if (!this.#chat || this.list.hasAttribute("aria-busy")) return;
    const near = !this.#chat.away && this.#window.to === Infinity && this.#fromEnd() < NEAR_END_PX;
    if (this.#following && !near && this.scroll.scrollTop >= this.#top) this.#stay(); // nobody left the end: it grew
    else this.#following = near;
    this.#hold();
    this.#after(this.#chat);
  }

  /** More of the list, when the end of what is drawn is near; and what has been seen. */
  #after(chat) {
    const { messages, all } = this.model.shown(chat);
    const reach = this.scroll.clientHeight;
    const [start, end] = this.#window.range(messages, this.#following);
    hide(this.toEnd, !chat.away && (this.#following || (end === messages.length && this.#fromEnd() < NEAR_END_PX)));
    put(this.toEnd.lastElementChild, chat.unread || "");
    this.older.classList.toggle("off", all || start > 0 || Boolean(chat.loading) || !messages.length);
    if (reach) {
      if (this.scroll.scrollTop < reach && !(this.#following && end - start > ROWS_MAX / 2)) {
        if (this.#window.up(messages)) this.later();
        else if (messages.length && !all && !chat.loading && !(chat.notBefore > Date.now())) this.engine.older(chat);
      }
      if (this.#fromEnd() < reach) {
        if (this.#window.down(messages)) this.later();
        else if (chat.away) this.engine.newer(chat);
      }
    }
    this.#look();
  }

  // Read

  get #looking() {
    return this.#chat && !this.#chat.away && !this.#chat.blocked && this.#focused && !document.querySelector("dialog[open]") && !this.list.hasAttribute("aria-busy") && this.scroll.clientHeight > 0;
  }

  /** The seq of the last message in view, in a window that has the focus. */
  #inView() {
    const view = this.scroll.getBoundingClientRect();
    const rows = this.list.children;
    for (let i = Math.min(rows.length - 1, this.#firstIn(view.bottom)); i >= 0; i--) {
      const box = rows[i].getBoundingClientRect();
      if (box.bottom < view.top) return 0;
      const m = rows[i].message;
      if (m?.seq && m.from !== this.model.me && m.type !== "event" && box.top <= view.bottom - Math.min(box.height, SEEN_PX)) return m.seq;
    }
    return 0;
  }

  /** Up to where everything was seen that there is to see. */
  #seen(chat) {
    return this.#looking ? this.model.pastGone(chat, Math.max(this.#inView(), this.model.readTo(chat))) : 0;
  }

  #look() {
    const chat = this.#chat;
    if (this.#timer || !chat?.unread) return;
    const seen = this.#seen(chat);
    if (seen <= this.model.readTo(chat)) return;
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      const still = Math.min(seen, this.#chat === chat ? this.#seen(chat) : 0);
      if (still > this.model.readTo(chat)) this.engine.seen(chat, still);
      this.#look();
    }, SEEN_MS);
  }

  // Rows

  #key(m) {
    return `${m.state || m.from === this.model.me ? "me" : m.from} ${m.clientId}`; // an own message keeps its row when its verdict comes
  }

  #row(chat, m, news) {
    const key = this.#key(m);
    let row = this.#rows.get(key);
    if (!row) {
      row = new Row(this.engine, chat, m);
      this.#rows.set(key, row);
    } else if (row.m !== m || news?.messages.has(m)) {
      row.update(m);
    } else if (news?.names) {
      row.names();
    }
    row.e.message = m;
    return row;
  }

  #day(ms) {
    const day = dayOf(ms);
    const e = this.#days.get(day) ?? el("li", "day");
    this.#days.set(day, e);
    put(e, dayWords(ms));
    return e;
  }

  #arrange(chat, news) {
    const { messages } = this.model.shown(chat);
    const [start, end] = this.#window.range(messages, this.#following);
    const shown = messages.slice(start, end).filter((m) => !m.gone);
    if (!chat.away && this.#window.to === Infinity) shown.push(...this.model.outbox.filter((m) => m.chatId === chat.chatId).slice(-ROWS_MAX));
    const wanted = [];
    const rows = new Map();
    let before = messages.findLast((m, i) => i < start && !m.gone) ?? null; // the message above, also when it is not drawn
    let lined = !this.#line || (start > 0 && messages[start - 1].seq > this.#line); // it stands above what is drawn
    for (const m of shown) {
      const other = !before || dayOf(before.sentAt) !== dayOf(m.sentAt);
      if (other || !wanted.length) wanted.push(this.#day(m.sentAt));
      if (other) before = null;
      if (!lined && m.seq > this.#line && m.from !== this.model.me && m.type !== "event") {
        lined = true;
        before = null;
        wanted.push(this.lineRow);
      }
      const row = this.#row(chat, m, news);
      const from = m.from ?? this.model.me;
      row.place(!before || (before.from ?? this.model.me) !== from || before.type === "event");
      before = m;
      rows.set(this.#key(m), row);
      wanted.push(row.e);
    }
    const inside = this.list.contains(document.activeElement);
    arrange(this.list, wanted);
    this.#rows = rows;
    reachable(this.list, ".message", wanted.findLast((e) => e.matches(".message")));
    if (inside && !this.list.contains(document.activeElement)) (this.list.querySelector('.message[tabindex="0"]') ?? document.getElementById("composer")).focus({ preventScroll: true });
  }

  static keys(list) {
    roving(list, ".message");
  }
}
