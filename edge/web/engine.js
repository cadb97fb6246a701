// SPDX-License-Identifier: MIT
// docs/protocol.md as a client lives it: ready → sync → merge → receipts; the outbox; what the page can ask for.
import { Looks } from "./looks.js";
import { Drafts } from "./marks.js";
import { Media } from "./media.js";
import { lineOf } from "./model.js";
import { lacking } from "./rank.js";
import { Receipts } from "./receipts.js";
import { ApiError } from "./session.js";
import { Socket } from "./socket.js";
import { KEPT_A_CHAT } from "./store.js";
import { backoff, phoneNumber, sleep, soon, uuid } from "./util.js";
import { titleOf } from "./words.js";

const HELD_MAX = 5000; // live frames during a sync; more: begin again
const IN_FLIGHT_MAX = 32; // own messages on the socket without an ack
const SYNC_EVERY_MS = 5 * 60000;
const SAVE_MS = 400;
const PAGE = 50;
const CATCH_UP_PAGE = 200;
const LINE_PAGES = 20; // of lines about a chat, at one go
const REACH_PAGES = 30; // of history, to come to where a chat is unread
const ASK_AGAIN_MS = 5000; // history that could not be had
const NAMES_A_QUESTION = 100;
const SURE_MS = 1500; // after a reaction: the view has it by then
const RECEIPT_AGAIN_MS = 1000; // after one that was not taken
const LOOK_MS = 3600000; // at what has ended, at the latest
const SENT = ["type", "mediaId", "replyTo", "mentions", "forwardedFrom", "poll", "location", "contact", "voice", "preview"]; // of a message, besides its text
const NAMES_TRIES = 5; // a chat that was heard of live may not be in the view yet

export class Engine {
  /** `changed()` is called after anything that can be seen changed; `heard(m)` when somebody's message comes. */
  constructor(session, model, store, changed, heard) {
    Object.assign(this, { session, model, store, changed, heard });
    this.media = new Media(session);
    this.looks = new Looks(this);
    this.drafts = new Drafts(this);
    this.can = new Set(); // capabilities of the server
    this.limits = {};
    this.namesWanted = new Set();
    this.namesAsked = new Set(); // since the last `ready`
    this.askNames = soon(() => this.#askNames());
    this.save = soon(() => this.#save());
    this.unsure = new Map(); // messageId → timer, before it is asked for again
    this.cursor = "";
    this.state = "off"; // off | connecting | syncing | on
    this.openChat = null; // chatId on the screen
    this.epoch = 0; // counts `ready`s: what belongs to an older one gives up
    this.held = null; // live frames, while a sync runs
    this.at = "";
    this.lining = new Set(); // chats whose lines are being asked for
    this.asking = new Map(); // chats being described → {again, done}
    this.waitUntil = 0; // no sending before, after a nack
    this.endsAt = Infinity; // when the next message is over
    this.told = new Receipts(model);
    this.receipts = soon(() => this.#sendReceipts());
    this.stopped = false;
  }

  /** What an earlier visit kept. */
  async load() {
    this.cursor = await this.store.load(this.model);
    this.#expire();
    this.changed();
  }

  async connect() {
    const config = await this.#config();
    if (this.stopped) return;
    this.can = new Set(config.capabilities);
    this.limits = config.limits ?? {};
    this.model.lined = this.can.has("lines");
    this.webPushKey = config.webPushKey ?? "";
    this.model.pinnedChats = this.limits.pins ?? this.model.pinnedChats;
    const here = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`;
    this.socket = new Socket([...new Set([config.wsUrl || here, here])], (bad) => this.session.token(bad), {
      frame: (f) => this.#frame(f),
      up: () => this.#up(),
      down: () => this.#down(),
    });
    this.socket.open();
    this.timers = [
      setInterval(() => {
        this.told.settle(this.socket.heardAt);
        this.#save();
      }, SAVE_MS),
      setInterval(() => this.#backgroundSync(), SYNC_EVERY_MS * (0.9 + 0.2 * Math.random())),
      setInterval(() => this.#renew(), 20000),
    ];
    addEventListener("pagehide", this.#hidden);
    document.addEventListener("visibilitychange", this.#seen);
  }

  stop() {
    this.stopped = true;
    this.epoch++;
    this.socket?.stop();
    this.timers?.forEach(clearInterval);
    this.unsure.forEach(clearTimeout);
    clearTimeout(this.ending);
    this.looks.stop();
    this.drafts.stop();
    removeEventListener("pagehide", this.#hidden);
    document.removeEventListener("visibilitychange", this.#seen);
    this.store.close();
  }

  #hidden = () => this.#save();
  #seen = () => {
    if (this.can.has("presence")) this.socket?.send({ t: document.visibilityState === "visible" ? "here" : "away" });
    if (document.visibilityState !== "visible") return;
    this.#expire();
    this.#renew();
    this.socket?.probe();
    this.receipts();
  };

  async #config() {
    for (let i = 0; ; i++) {
      try {
        return await this.session.config();
      } catch {
        if (this.stopped) return {};
        await sleep(backoff(i, 500, 15000));
      }
    }
  }

  #save(cursor) {
    return this.store.save(this.model, cursor);
  }

  async #renew() {
    const token = await this.session.token().catch(() => null);
    if (token) this.socket?.renew(token);
  }

  #become(state) {
    this.state = state;
    this.changed();
  }

  // The connection

  #up() {
    this.held = [];
    this.#become("connecting");
  }

  #down() {
    this.epoch++;
    this.held = null;
    for (const m of this.model.outbox) if (m.state === "sent") m.state = "new";
    this.told.down();
    this.waitUntil = 0;
    this.looks.down();
    this.#become("off");
  }

  #frame(f) {
    switch (f.t) {
      case "welcome":
        f.capabilities.forEach((word) => this.can.add(word));
        return undefined;
      case "ready":
        return this.#ready(f);
      case "ack":
        this.model.acked(f.clientId, f.id);
        this.#sendOutbox();
        return this.changed();
      case "nack":
        return this.#nack(f);
      case "looking":
      case "typing":
      case "presence":
        return this.looks.frame(f);
      case "error":
        return this.#refused(f);
      default:
        if (!this.held) return this.#live(f);
        if (this.held.push(f) > HELD_MAX) this.socket.drop();
    }
  }

  #refused(f) {
    if (f.of !== "receipt") return console.warn("refused frame:", f.code, f.message);
    this.told.refused(f.chatId);
    return setTimeout(this.receipts, RECEIPT_AGAIN_MS * (1 + 0.2 * Math.random()));
  }

  /** Messages whose time is over are gone, now and when the next one's is. */
  #expire() {
    this.endsAt = Infinity;
    this.#expireBy(this.model.expire(Date.now()));
    this.#save();
    this.changed();
  }

  /** There is one whose time is over at `at`. */
  #expireBy(at) {
    if (at >= this.endsAt || this.stopped) return;
    this.endsAt = at;
    clearTimeout(this.ending);
    this.ending = setTimeout(() => this.#expire(), Math.min(LOOK_MS, Math.max(0, at - Date.now())));
  }

  #live(f) {
    const { model } = this;
    if (f.t === "message") {
      this.looks.message(f);
      if (model.message(f, true)) this.heard(f);
      if (f.expiresAt) this.#expireBy(f.expiresAt);
      this.#sendOutbox();
      if (!model.chat(f.chatId).known) this.#describe(f.chatId);
    } else if (f.t === "rejected") {
      model.failed(f.clientId, f.code);
    } else if (f.t === "status") {
      model.ticks(f);
    } else if (f.t === "read") {
      if (model.readElsewhere(f)) this.#describe(f.chatId);
    } else if (f.t === "edited" || f.t === "deleted" || f.t === "reaction" || f.t === "starred" || f.t === "vote" || f.t === "poll_closed") {
      if (model.changed(f)) this.#sure(f);
    } else if (f.t === "hidden") {
      model.hidden(f);
    } else if (f.t === "timer") {
      model.timed(f);
      if (!model.chat(f.chatId).known) this.#describe(f.chatId);
    } else if (f.t === "marked") {
      model.marked(f);
    } else if (f.t === "pinned") {
      model.pin(f);
    } else if (f.t === "description" || f.t === "picture" || f.t === "rights") {
      model.rules(f);
      if (f.t === "rights") this.#describe(f.chatId); // who asks to be let in is told to those who may add
    } else if (f.t === "request") {
      model.request(f);
    } else if (f.t === "blocked" || f.t === "unblocked") {
      model.block(f);
      this.looks.blocked(f.chatId);
      this.#describe(f.chatId);
    } else if (f.t === "profile") {
      model.myself(f);
    } else if (f.t === "media") {
      model.sized(f);
      this.media.found(f);
    } else if (f.t === "media_deleted") {
      this.media.found(f); // asked again, it is not there
    } else if (f.t === "chat") {
      model.group(f);
      this.#describe(f.chatId);
    } else if (f.t === "member") {
      if (model.membership(f)) this.#describe(f.chatId);
    }
    this.receipts();
    this.changed();
  }

  // Catching up

  async #ready(f) {
    const epoch = ++this.epoch;
    this.held ??= [];
    this.at = f.at;
    this.namesAsked.clear();
    this.looks.ready(f.session);
    if (document.visibilityState !== "visible" && this.can.has("presence")) this.socket.send({ t: "away" });
    this.#become("syncing");
    this.#sendOutbox();
    await this.#sync(epoch);
    if (epoch !== this.epoch) return;
    const held = this.held;
    this.held = null;
    for (const late of held) this.#live(late);
    this.#become("on");
    this.media.retry();
    this.drafts.ready();
    this.receipts();
    this.#lines();
  }

  /**
   * Until caught up, or until another connection makes it pointless. A new device begins with the list of all chats; its
   * cursor is kept when the list has come to its end, and not before, so that a page that is left begins the list again.
   */
  async #sync(epoch) {
    let listing = this.cursor ? "" : "latest";
    for (let i = 0; epoch === this.epoch; ) {
      const query = new URLSearchParams({ cursor: listing || this.cursor, at_least: this.at });
      let answer;
      try {
        answer = await this.session.call("GET", `/api/sync?${query}`);
        if (epoch !== this.epoch) return;
        if (listing) await this.#missed(answer.chats, epoch);
      } catch (e) {
        if (e.status === 401) return;
        if (e.status === 400) {
          await this.#forget();
          listing = "latest";
        }
        await sleep((e.retryAfterMs ?? 0) + backoff(i++, 300, 10000));
        continue;
      }
      if (epoch !== this.epoch) return;
      this.#merge(answer, listing && answer.more);
      if (listing) listing = answer.more ? answer.cursor : "";
      i = 0;
      if (!answer.more) return;
    }
  }

  /** The cursor is of another log: nothing that is here means anything. */
  async #forget() {
    this.cursor = "";
    this.model.chats.clear();
    this.model.expiring.clear();
    await this.store.wipe();
  }

  /** `unfinished`: the cursor is not to be kept yet. */
  #merge(answer, unfinished = false) {
    for (const c of answer.chats) this.model.describe(c);
    for (const m of answer.messages) this.model.message(m, false);
    for (const t of answer.ticks) this.model.ticks(t);
    for (const { chatId, marks } of answer.marks ?? []) this.model.marks(this.model.chat(chatId), marks);
    if (answer.me) this.model.myself(answer.me);
    this.#expire();
    if (!unfinished) this.cursor = answer.cursor;
    this.#save(this.cursor);
    this.changed();
  }

  /** A new device begins at the latest cursor, which has no messages: fetch what nobody of ours has got yet. */
  async #missed(chats, epoch) {
    for (const c of chats) {
      let after = c.mySeq?.delivered ?? 0;
      while ((c.lastMessage?.seq ?? 0) > after && epoch === this.epoch) {
        const page = await this.session.insist("GET", `/api/chats/${c.chatId}/messages?after=${after}&limit=${CATCH_UP_PAGE}`);
        for (const m of page.messages) this.model.message(m, false);
        if (!page.messages.length) break;
        after = page.messages.at(-1).seq;
        if (!page.more) break;
      }
    }
  }

  async #backgroundSync() {
    if (this.state !== "on") return;
    const epoch = this.epoch;
    try {
      for (let more = true; more && epoch === this.epoch; ) {
        const query = new URLSearchParams({ cursor: this.cursor, at_least: this.at });
        const answer = await this.session.call("GET", `/api/sync?${query}`);
        if (epoch !== this.epoch) break;
        this.#merge(answer);
        more = answer.more;
      }
    } catch {
      // live frames go on; the next one will do
    }
    this.receipts();
    this.#lines();
  }

  /** Ask the server what a chat is, one question at a time; what changes meanwhile is asked again. */
  async #describe(chatId) {
    const running = this.asking.get(chatId);
    if (running) {
      running.again = true;
      return running.done;
    }
    const job = { again: true };
    this.asking.set(chatId, job);
    job.done = (async () => {
      while (job.again && !this.stopped) {
        job.again = false;
        await this.#describeOnce(chatId);
      }
      this.asking.delete(chatId);
      this.changed();
      if (chatId === this.openChat) this.#lines();
    })();
    return job.done;
  }

  async #describeOnce(chatId) {
    for (let i = 0; i < NAMES_TRIES && !this.stopped; i++) {
      try {
        const { chat } = await this.session.call("GET", `/api/chats/${chatId}`);
        const told = this.model.chats.get(chatId)?.lineSeq ?? 0; // live; the view may be behind it
        this.model.describe(chat);
        if (!(chat.lineSeq < told)) return;
        this.changed();
        await sleep(backoff(i, 300, 3000));
      } catch (e) {
        if (![0, 404, 429, 503].includes(e.status)) return;
        await sleep(e.retryAfterMs + backoff(i, 300, 3000));
      }
    }
  }

  /** A chat that this user came into just now. */
  async meet(chatId) {
    await this.#describe(chatId);
    if (!this.model.chats.get(chatId)?.known) throw new ApiError(503, "unavailable", "", 0);
  }

  // Receipts

  #sendReceipts() {
    if (this.state === "on" && this.told.tell((f) => this.socket.send(f), Date.now())) this.changed();
  }

  /** Somebody looked at the chat up to `seq`. */
  seen(chat, seq) {
    this.model.readUpTo(chat, seq);
    this.receipts();
    this.changed();
  }

  // Names and faces

  /** A face shows who or what the chat is. */
  faceOf(e, chat) {
    const direct = chat.kind === "direct" && chat.peer;
    e.classList.toggle("group", !direct);
    if (direct) this.wantNames([chat.peer]);
    this.media.setFace(e, direct || chat.chatId, titleOf(this.model, chat), direct ? this.model.pictures.get(direct) : chat.left ? "" : chat.picture);
  }

  /** Names that the screen wants. What is known already is asked for once, too: people change theirs. */
  wantNames(userIds) {
    for (const userId of userIds) {
      if (!userId || userId === this.model.me || this.namesAsked.has(userId)) continue;
      this.namesAsked.add(userId);
      this.namesWanted.add(userId);
      this.askNames();
    }
  }

  async #askNames() {
    while (this.namesWanted.size && !this.stopped) {
      const userIds = [...this.namesWanted].slice(0, NAMES_A_QUESTION);
      userIds.forEach((userId) => this.namesWanted.delete(userId));
      const answer = await this.session.insist("POST", "/api/users/lookup", { userIds }).catch(() => null); // asked again after the next `ready`
      for (const user of answer?.users ?? []) this.model.met(user);
      this.changed();
    }
  }

  // Changes of messages

  /** Who gave which sign before is not always known here: the server counts. */
  #sure(f) {
    clearTimeout(this.unsure.get(f.messageId));
    this.unsure.set(f.messageId, setTimeout(async () => {
      this.unsure.delete(f.messageId);
      const query = `before=${f.messageSeq + 1}&limit=1`;
      const page = await this.session.insist("GET", `/api/chats/${f.chatId}/messages?${query}`).catch(() => ({ messages: [] }));
      for (const m of page.messages) if (m.id === f.messageId) this.model.message(m, false);
      this.changed();
    }, SURE_MS));
  }

  /** PATCH, DELETE, PUT of a message: the answer comes when the view has it. */
  async changeMessage(m, method, path = "", body = undefined) {
    const answer = await this.session.call(method, `/api/chats/${m.chatId}/messages/${m.id}${path}`, body);
    if (answer.message) this.model.message(answer.message, false);
    if (answer.poll) this.model.polled(m, answer.poll);
    this.changed();
    return answer;
  }

  /** Gone for this user alone, on all of his devices. */
  async hideMessages(all) {
    const [{ chatId }] = all;
    await this.session.call("POST", `/api/chats/${chatId}/hidden`, { messages: all.map((m) => m.id) });
    this.model.hidden({ chatId, seq: 0, messages: all.map(({ id, seq }) => ({ id, seq })) });
    this.changed();
  }

  // Sending

  /** `more` as of Model.compose(). */
  send(chat, content, more = {}, clientId = uuid()) {
    const m = this.model.outgoing(clientId) ?? this.model.compose(chat, content, clientId, Date.now(), more);
    this.#sendOutbox();
    this.#save();
    this.changed();
    return m;
  }

  #sendOutbox() {
    if (Date.now() < this.waitUntil || !["syncing", "on"].includes(this.state)) return;
    let flying = this.model.outbox.filter((m) => m.state === "sent").length;
    for (const m of this.model.outbox) {
      if (m.state !== "new") continue;
      if (flying >= IN_FLIGHT_MAX) return;
      if (m.poll?.endsAt && !this.#endOf(m)) continue;
      const f = { t: "message.send", clientId: m.clientId, chatId: m.chatId, content: m.content, peer: m.peer };
      for (const key of SENT) f[key] = m[key];
      if (!this.socket.send(f)) return;
      m.state = "sent";
      flying++;
    }
  }

  /** How long a poll is open counts from when it is sent. False when its end is over. */
  #endOf(m) {
    m.poll.closesIn ??= Math.round((m.poll.endsAt - Date.now()) / 1000); // the same when it is sent again
    this.model.dirty.outbox.set(m.clientId, m);
    if (m.poll.closesIn >= 1) return true;
    this.model.failed(m.clientId, "too_late");
    return false;
  }

  #nack(f) {
    const m = this.model.outgoing(f.clientId);
    if (!m) return;
    if (!(f.retryAfter > 0)) { // final; every other code, known or not, says when to send it again
      this.model.failed(f.clientId, f.code);
      return this.changed();
    }
    if (m.state !== "sent") return; // one of those behind the first: they go again with it
    const from = this.model.outbox.indexOf(m);
    for (const later of this.model.outbox.slice(from)) if (later.state === "sent") later.state = "new";
    const wait = (f.retryAfter ?? 500) * (1 + 0.2 * Math.random());
    this.waitUntil = Date.now() + wait;
    setTimeout(() => {
      this.waitUntil = 0;
      this.#sendOutbox();
    }, wait);
  }

  /** A message that was refused: once more, or away with it. */
  again(m) {
    this.model.verdict(m.clientId);
    const more = Object.fromEntries(SENT.map((key) => [key, m[key]]));
    if (m.poll?.endsAt) more.poll = { ...m.poll, closesIn: undefined };
    this.send(this.model.chat(m.chatId), m.content, more);
  }

  discard(m) {
    this.model.verdict(m.clientId);
    this.changed();
  }

  // What the page asks for

  show(chatId) {
    const before = this.model.chats.get(this.openChat);
    if (before && before.chatId !== chatId) {
      before.away = null;
      this.model.trim(before, KEPT_A_CHAT);
      if (before.unsaved) this.drafts.later(before, 0);
    }
    this.openChat = chatId;
    const chat = chatId && this.model.chats.get(chatId);
    this.looks.show(chat || null);
    if (!chat) return;
    if (chat.kind === "group" || !chat.known) this.#describe(chatId);
    else if (this.state === "on" && this.namesAsked.delete(chat.peer)) this.wantNames([chat.peer]); // no frame tells that an account ended
    this.reach(chat);
    if (this.model.flagged(chat) && !chat.unread) this.mark(chat, { markedUnread: false }).catch(() => {}); // it stays marked then
  }

  /** Hold a page of the chat, and all of it that is unread. */
  async reach(chat) {
    const enough = () => chat.all || (chat.unread ? this.model.holdsUnread(chat) : chat.messages.length >= PAGE);
    chat.finding = chat.unread > 0 && this.state === "on";
    for (let i = 0; i < REACH_PAGES && this.openChat === chat.chatId && !chat.away && !enough(); i++) {
      if (!(await this.older(chat, chat.unread ? CATCH_UP_PAGE : PAGE))) break;
    }
    chat.finding = false;
    this.changed();
    this.#lines();
  }

  // Lines about a chat

  /** Those that the open chat lacks. */
  async #lines() {
    const chat = this.model.chats.get(this.openChat);
    if (!chat || !this.model.lined || this.lining.has(chat)) return;
    this.lining.add(chat);
    try {
      for (let i = 0, asked; i < LINE_PAGES && !this.stopped && (asked = lacking(chat)); i++) {
        const page = await this.#linePage(chat, asked);
        const still = lacking(chat); // messages came, or were dropped
        if (still?.after === asked.after && still.before === asked.before) this.model.lines(chat, asked, page);
      }
    } catch {
      // asked again when something else is asked for
    }
    this.lining.delete(chat);
    this.changed();
  }

  #linePage(chat, { after, before }) {
    const query = `after=${after}&limit=${CATCH_UP_PAGE}${before === undefined ? "" : `&before=${before}`}`;
    return this.session.insist("GET", `/api/chats/${chat.chatId}/lines?${query}`, undefined, 3);
  }

  /** Between two places, as messages that are looked at far above have them; none where they cannot be had. */
  async #linesBetween(chat, after, before) {
    const found = [];
    for (let i = 0, to = before; i < LINE_PAGES && this.model.lined && to > after + 1; i++) {
      const page = await this.#linePage(chat, { after, before: to }).catch(() => ({ lines: [] }));
      found.unshift(...page.lines.map(lineOf));
      if (!page.more || !page.lines.length) break;
      to = page.lines[0].seq;
    }
    return found;
  }

  /** The message, and what stands around it. False when it is not there, or not any more. */
  async locate(chat, { id, seq }) {
    const known = this.model.find(chat, id);
    if (known) return !known.gone;
    const path = `/api/chats/${chat.chatId}/messages`;
    const [up, down] = await Promise.all([`before=${seq + 1}`, `after=${seq}`].map((q) => this.session.insist("GET", `${path}?${q}&limit=${PAGE}`, undefined, 3)));
    const found = up.messages.at(-1);
    if (found?.id !== id || found.gone) return false;
    const around = [...up.messages, ...down.messages];
    const lines = await this.#linesBetween(chat, up.more ? around[0].seq - 1 : 0, around.at(-1).seq + 1);
    chat.away = null;
    this.model.aside(chat, [...around, ...lines], down.more);
    this.model.shown(chat).all = !up.more;
    this.#expire();
    return true;
  }

  /** Below what is looked at far above. */
  async newer(chat) {
    if (chat.loading || chat.notBefore > Date.now()) return;
    chat.loading = true;
    try {
      const { away } = chat;
      const from = away.messages.at(-1).seq;
      const page = await this.session.insist("GET", `/api/chats/${chat.chatId}/messages?after=${from}&limit=${CATCH_UP_PAGE}`, undefined, 3);
      const lines = page.messages.length ? await this.#linesBetween(chat, from, page.messages.at(-1).seq + 1) : [];
      if (chat.away === away) this.model.aside(chat, [...page.messages, ...lines], page.more);
    } catch {
      chat.notBefore = Date.now() + ASK_AGAIN_MS;
    } finally {
      delete chat.loading;
      this.changed();
    }
  }

  /** One page of history. True when it came. */
  async older(chat, limit = CATCH_UP_PAGE) {
    const { away } = chat;
    const shown = away ?? chat;
    if (chat.loading || shown.all) return false;
    chat.loading = true;
    try {
      const before = this.model.oldest(chat);
      const query = before ? `before=${before}&limit=${limit}` : `limit=${limit}`;
      const page = await this.session.insist("GET", `/api/chats/${chat.chatId}/messages?${query}`, undefined, 3);
      const lines = away && page.messages.length ? await this.#linesBetween(chat, page.more ? page.messages[0].seq - 1 : 0, before) : [];
      if (away && away !== chat.away) return false; // somewhere else by now
      if (away) this.model.aside(chat, [...page.messages, ...lines], true);
      else for (const m of page.messages) this.model.message(m, false);
      this.model.quoting(chat, new Set(page.messages.map((m) => m.id)));
      this.#expire();
      shown.all = !page.more;
      return true;
    } catch (e) {
      if (e.status === 404) shown.all = true;
      else chat.notBefore = Date.now() + ASK_AGAIN_MS;
      return false;
    } finally {
      delete chat.loading;
      this.receipts();
      this.changed();
      this.#lines();
    }
  }

  /** `sent`: it is empty because it was said. */
  write(chat, text, replyTo, sent = false) {
    this.model.write(chat, text, replyTo);
    if (sent) {
      this.drafts.sent(chat);
      this.model.saved(chat);
    } else if (chat.unsaved) {
      this.drafts.later(chat);
    }
    this.save();
    this.changed();
  }

  /** Users of the numbers in `text`; throws when one is not understood or not here. */
  async find(text) {
    const words = text.split(/[,;\n]/).map((w) => w.trim()).filter(Boolean);
    const numbers = words.map(phoneNumber);
    const bad = words.filter((_, i) => !numbers[i]);
    if (bad.length || !numbers.length) throw new ApiError(400, "number", `Not a phone number: ${bad.join(", ") || "nothing"}. Write +49155…`, 0);
    const found = [];
    for (let i = 0; i < numbers.length; i += 100) {
      const part = numbers.slice(i, i + 100);
      found.push(...(await this.session.insist("POST", "/api/contacts/lookup", { phoneNumbers: part })).contacts);
      for (const c of found) {
        this.model.named(c.userId, c.name);
        this.model.numbered(c.userId, c.phoneNumber);
      }
    }
    const missing = numbers.filter((n) => !found.some((c) => c.phoneNumber === n));
    if (missing.length) throw new ApiError(404, "not_here", `Not here yet: ${missing.join(", ")}`, 0);
    return found;
  }

  #created(chat) {
    const c = this.model.describe(chat);
    c.touchedAt = Date.now(); // an empty chat stands on top until somebody writes elsewhere
    this.changed();
    return c.chatId;
  }

  async openDirect(phone) {
    const [contact] = await this.find(phone);
    if (contact.userId === this.model.me) throw new ApiError(400, "self", "That is your own number.", 0);
    return this.openWith(contact.userId);
  }

  /** → the id of the direct chat with this user. */
  async openWith(userId) {
    return this.#created((await this.session.insist("POST", "/api/chats", { userId })).chat);
  }

  async createGroup(name, phones) {
    const members = (await this.find(phones)).map((c) => c.userId).filter((id) => id !== this.model.me);
    const body = { name, members, clientId: uuid() };
    return this.#created((await this.session.insist("POST", "/api/chats", body)).chat);
  }

  async change(chatId, method, path, body) {
    await this.session.call(method, `/api/chats/${chatId}${path}`, body);
    await this.#describe(chatId);
  }

  async addMembers(chatId, phones) {
    return this.change(chatId, "POST", "/members", { add: (await this.find(phones)).map((c) => c.userId) });
  }

  /** Archived, pinned, markedUnread: where a chat stands in the list of this user. `draft`: what is told with it. */
  async mark(chat, body, draft) {
    const { marks } = await this.session.call("PATCH", `/api/chats/${chat.chatId}/marks`, body);
    if (draft !== undefined && chat.draft === draft) this.model.saved(chat);
    this.model.marks(chat, marks);
    this.save();
    this.changed();
  }

  /** `until`: ms since the epoch; 0: not any more. */
  async mute(chat, until) {
    await this.session.call(until ? "PUT" : "DELETE", `/api/chats/${chat.chatId}/mute`, until ? { until } : undefined);
  }

  /** The other of a direct chat. The frame says so, too; the answer may be first. */
  async block(chat, yes) {
    await this.session.call(yes ? "PUT" : "DELETE", `/api/users/${chat.peer}/block`);
    await this.#describe(chat.chatId);
    this.looks.blocked(chat.chatId);
    this.receipts();
  }

  /** What somebody shows of himself: {name, about, picture}. */
  async userOf(userId) {
    const { user } = await this.session.insist("GET", `/api/users/${userId}`, undefined, 3);
    this.model.met(user);
    this.changed();
    return user;
  }

  /** → what is shown of this user then. */
  async profile(body) {
    this.model.myself(await this.session.call("PATCH", "/api/me", body));
    this.changed();
  }

  async leave(chatId) {
    await this.session.call("DELETE", `/api/chats/${chatId}/members/${this.model.me}`);
    this.model.left(chatId);
    this.changed();
  }
}
