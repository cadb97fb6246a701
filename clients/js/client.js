// SPDX-License-Identifier: MIT
// One device: a socket that is opened again for ever, its sends, its receipts, and events in order.
import { Looks } from "./looks.js";
import { Outbox, Refused } from "./outbox.js";
import { backoff, REPEATED, SignedOut, sleep } from "./session.js";

const HELD_MAX = 5000; // frames that the application has not taken yet; more: reconnect and sync
const SEEN_MAX = 5000; // messages that are known, so that one is told once
const CHATS_MAX = 10000; // chats whose receipts are remembered
const OK_EVERY_MS = 100;
const OK_EVERY_FRAMES = 32;
const RECEIPTS_A_TURN = 10; // of OK_EVERY_MS: 100 a second; a user may say 150
const RECEIPT_AGAIN_MS = 1000;
const RECEIPT_SURE_MS = 60000; // one said so shortly before the socket ended is said again
const PING_MS = 25000;
const SILENCE_MS = 10000; // after a ping
const STEADY_MS = 10000; // a socket that lived so long was a good one: back-off begins anew
const SLOW_CODES = { 4400: 5000, 4429: 30000 }; // closes that a quick return would only repeat, and how long to stay away
const CHANGES = ["edited", "deleted", "reaction"];
const VERDICTS = ["message", ...CHANGES, "pinned", "vote", "poll_closed"];

/**
 * A frame of docs/protocol.md, typed in events.js, or one of our own:
 * - page {chats, marks, me?, cursor, more}: a page of a sync is told (its messages as `message`, its ticks as `status`,
 *   changes of ours that fit no message as `rejected`). Store the cursor together with what came before it
 * - caught_up: what comes from here on is live
 * - offline {code}: the socket ended; it is opened again
 * - reset: the cursor was of another server: forget what is stored, all comes again
 * - signed_out: the tokens work no more; the last event
 * What they come to, a Book (book.js) says.
 * @typedef {import("./events.js").Frame | {t: "page", chats: any[], marks?: any[], me?: any, cursor: string, more: boolean} | {t: "caught_up"} |
 *   {t: "offline", code: number | null} | {t: "reset"} | {t: "signed_out"}} ChasquiEvent
 */

/** A message as it came, or as a Book or a history has it. @typedef {{id: string, clientId: string, chatId: string, seq: number, from: string, peer?: string}} Known */

/** @typedef {{peer?: string, delivered: number, read: number, saidDelivered: number, saidRead: number, saidAt: number}} Chat */

/** @template V @param {Map<string, V>} map @param {string} key @param {V} value @param {number} most */
function remember(map, key, value, most) {
  map.delete(key);
  map.set(key, value);
  if (map.size > most) map.delete(/** @type {string} */ (map.keys().next().value));
}

export class Client {
  capabilities = new Set();
  /** @type {Record<string, number>} */
  limits = {};
  #outbox = new Outbox();
  /** @type {WebSocket | null} */ #ws = null;
  #online = false;
  #takenUp = false; // the application has taken all of the sync
  /** @type {ChasquiEvent | null} of this socket */ #lastReady = null;
  #stopped = false;
  #epoch = 0; // counts sockets: what belongs to an older one gives up
  #n = 0;
  #okSent = 0;
  #lastSeen = 0;
  #soonAsked = false;
  #receiptsAfter = 0;
  /** @type {ChasquiEvent[]} */ #held = [];
  #merging = false;
  /** @type {Map<string, {seq: number, mark: string}>} */ #seen = new Map();
  #readReceipts = true;
  #looks = new Looks((f) => this.#write(f), (path, body) => this.session.insist("POST", path, body, 3));
  /** @type {Map<string, Chat>} */ #chats = new Map();
  /** @type {Set<string>} */ #unsaid = new Set();

  /**
   * `on(event)` is called for one event after the other, the next when its promise is done; then the receipt goes out. `cursor`:
   * what the last `page` event had; "latest" begins with now, "" with the first message that there is.
   * @param {import("./session.js").Session} session
   * @param {(event: ChasquiEvent) => any} on
   * @param {{cursor?: string, WebSocket?: typeof WebSocket}} [more]
   */
  constructor(session, on, { cursor = "latest", WebSocket = globalThis.WebSocket } = {}) {
    this.session = session;
    this.cursor = cursor;
    this.on = on;
    this.WebSocket = WebSocket;
  }

  // What an application calls

  /** Connect, and stay connected until stop(). */
  start() {
    this.done = this.#run();
    return this;
  }

  stop() {
    this.#stopped = true;
    this.#looks.down();
    this.#ws?.close(1000);
    this.#giveUp(new SignedOut("the client was stopped"));
  }

  /**
   * A message, to a group's chatId or to another user (`peer`). Its own `message` frame, once it has its place; Refused or Full
   * else. It is sent until then, whatever becomes of the socket. `more` may have mediaId, replyTo, mentions, forwardedFrom, location, contact, voice, preview, too.
   * @param {string} content
   * @param {{chatId?: string, peer?: string, clientId?: string, type?: string, [member: string]: any}} to
   */
  send(content, to) {
    return this.#submit({ t: "message.send", type: "text", ...to, content });
  }

  /** A message to the chat of this one. @param {Known} message @param {string} content */
  reply(message, content, more = {}) {
    return this.send(content, { chatId: message.chatId, peer: this.#peerOf(message), ...more });
  }

  /**
   * `more` may have a preview of an address in the content; without one the message has none any more.
   * @param {Known} message
   * @param {string} content
   */
  edit(message, content, more = {}) {
    return this.#change("message.edit", message, { content, ...more });
  }

  /** @param {Known} message */
  delete(message) {
    return this.#change("message.delete", message, { messageFrom: message.from });
  }

  /** An empty sign takes it back. @param {Known} message @param {string} reaction */
  react(message, reaction) {
    return this.#change("message.react", message, { messageFrom: message.from, reaction });
  }

  /** Above the others of its chat, for everybody, or not any more. @param {Known} message */
  pin(message, pinned = true) {
    return this.#change("message.pin", message, { messageFrom: message.from, pinned });
  }

  /** What this user chooses in a poll, in place of what he chose before; nothing takes it back. @param {Known} poll @param {number[]} options places */
  vote(poll, options) {
    return this.#change("poll.vote", poll, { messageFrom: poll.from, options });
  }

  /** A poll of one's own takes no more votes. @param {Known} poll */
  closePoll(poll) {
    return this.#change("poll.close", poll, {});
  }

  /**
   * Be told who types in a chat, or whether somebody is here, by `typing` and `presence`, until unlook(); across sockets, 32 at most.
   * The answer has `seenAt`, where it is known; ApiError 404: not for this user to see.
   * @param {{chatId?: string, userId?: string}} at one of them
   */
  look(at) {
    return this.#looks.look(at);
  }

  /** @param {{chatId?: string, userId?: string}} at */
  unlook(at) {
    this.#looks.unlook(at);
  }

  /** In a chat that is looked at: `typing` (again every 3 s), `recording`, `idle`. @param {string} chatId @param {string} state */
  signal(chatId, state) {
    this.#write({ t: "signal", chatId, state });
  }

  /** Is this app in the foreground? */
  here(isHere = true) {
    this.#looks.here(isHere);
  }

  /** The person has read the chat up to this message, which came as an event. @param {Known} message */
  read(message) {
    const chat = this.#chat(message.chatId, this.#peerOf(message));
    chat.read = Math.max(chat.read, message.seq);
    this.#say(message.chatId);
  }

  // Sending

  /** The other user of a direct chat. @param {Known} message */
  #peerOf(message) {
    if (message.from === this.session.userId) return message.peer;
    return message.peer ? message.from : undefined;
  }

  #change(t, message, more) {
    const { clientId, seq, chatId } = message;
    return this.#submit({ t, chatId, peer: this.#peerOf(message), messageClientId: clientId, messageSeq: seq, ...more });
  }

  async #submit(frame) {
    if (this.#stopped) throw new SignedOut("the client was stopped");
    frame.clientId ??= uuid();
    const verdict = this.#outbox.add(frame);
    this.#pump();
    return verdict;
  }

  #pump() {
    if (!this.#online) return;
    for (const frame of this.#outbox.due(Date.now(), this.#takenUp)) this.#write(frame);
  }

  #write(frame) {
    if (this.#ws?.readyState === 1) this.#ws.send(JSON.stringify(frame)); // else what had no ack is sent again
  }

  /** A frame, or row of a sync, that is the verdict on something of ours. */
  #judge(frame) {
    const kind = frame.t ?? "message";
    const mine = (kind === "message" ? frame.from : frame.by) === this.session.userId || kind === "vote"; // others' have no clientId
    if (kind === "rejected") this.#outbox.verdict(frame.clientId)?.no(new Refused(frame.code, frame));
    else if (mine && VERDICTS.includes(kind)) this.#outbox.verdict(frame.clientId)?.yes(frame);
  }

  #giveUp(error) {
    for (const clientId of [...this.#outbox.entries.keys()]) this.#outbox.verdict(clientId)?.no(error);
  }

  // The socket

  async #run() {
    let config;
    for (let attempt = 0; !this.#stopped; attempt++) {
      const began = Date.now();
      let wait = 0;
      let code = null;
      try {
        config ??= await this.#config();
        code = await this.#connection(config.wsUrl);
        wait = SLOW_CODES[code] ?? 0;
        if (code === 4401) await this.session.accessToken(this.session.tokens.accessToken);
      } catch (e) {
        if (e instanceof SignedOut) return this.#over(e);
        wait = e.retryAfterMs ?? 0; // no network, or a handshake that was refused
      }
      if (this.#stopped) return undefined;
      if (Date.now() - began > STEADY_MS) attempt = 0;
      this.#held = [{ t: "offline", code }]; // what was not taken comes again by the sync
      this.#merge();
      await sleep(wait + backoff(attempt));
    }
    return undefined;
  }

  #over(error) {
    this.#stopped = true;
    this.#giveUp(error);
    this.#held = [{ t: "signed_out" }];
    this.#merge();
  }

  async #config() {
    this.WebSocket ??= /** @type {any} */ ((await import("./node_socket.js")).NodeSocket); // Node before 22
    const config = await this.session.call("GET", "/api/config");
    this.capabilities = new Set(config.capabilities);
    this.limits = config.limits ?? {};
    this.#outbox.inFlightMax = Math.min(32, this.limits.messagesInFlight ?? 32);
    return config;
  }

  /** From handshake to close; the close code. */
  async #connection(url) {
    let token = await this.session.accessToken();
    const epoch = ++this.#epoch;
    const ws = new this.WebSocket(url);
    this.#ws = ws;
    this.#n = this.#okSent = 0;
    const pinger = setInterval(() => this.#probe(ws), PING_MS);
    const renewer = setInterval(async () => {
      const fresh = await this.session.accessToken().catch((e) => e instanceof SignedOut && ws.close());
      if (typeof fresh === "string" && fresh !== token) this.#write({ t: "auth", token: (token = fresh) });
    }, 20000);
    const ticker = setInterval(() => this.#soon(), 1000);
    try {
      return await new Promise((ended, failed) => {
        ws.onopen = () => this.#write({ t: "auth", token });
        ws.onmessage = (e) => epoch === this.#epoch && this.#take(ws, JSON.parse(e.data));
        ws.onerror = (e) => failed(/** @type {any} */ (e).error ?? new Error("the socket failed"));
        ws.onclose = (e) => ended(e.code);
        this.#drop = () => {
          ws.close(1000);
          ended(null); // a dead network would let us wait long for the other side's close
        };
      });
    } finally {
      [pinger, renewer, ticker].forEach(clearInterval);
      this.#epoch++;
      this.#ws = null;
      this.#online = this.#takenUp = false;
      this.#lastReady = null;
      this.#looks.down();
      this.#outbox.lost();
      this.#unsure();
    }
  }

  #drop = () => {};

  /** Is it still there? Timers of hidden tabs come late: only a ping that was really sent can go unanswered. */
  #probe(ws) {
    this.#write({ t: "ping" });
    const asked = Date.now();
    setTimeout(() => ws === this.#ws && this.#lastSeen < asked && this.#drop(), SILENCE_MS);
  }

  #take(ws, frame) {
    this.#lastSeen = Date.now();
    switch (frame.t) {
      case "ready":
        this.#online = true;
        this.#takenUp = false;
        this.#lastReady = frame;
        this.#looks.ready(frame.session);
        this.#pump();
        break;
      case "welcome":
        this.capabilities = new Set(frame.capabilities);
        return;
      case "ack":
        this.#outbox.acked(frame.clientId, Date.now());
        this.#pump();
        break;
      case "nack":
        this.#outbox.nacked(frame, Date.now())?.no(new Refused(frame.code, frame));
        if (frame.retryAfter > 0) setTimeout(() => this.#pump(), frame.retryAfter * 1.2);
        return;
      case "looking":
        this.#looks.looking(frame);
        break;
      case "receipt_rejected":
        this.#forgetReceipts(frame.chatId);
        break;
      case "error":
        if (frame.of === "look") this.#looks.refused();
        if (frame.of === "receipt") {
          this.#receiptsAfter = Date.now() + RECEIPT_AGAIN_MS;
          this.#unsure(frame.chatId);
        }
    }
    this.#judge(frame);
    if (frame.t !== "pong") {
      if (this.#held.length >= HELD_MAX) return void this.#drop(); // a sync brings what is dropped
      this.#held.push(frame);
      this.#merge();
    }
    if (frame.n) {
      this.#n = frame.n;
      if (this.#n - this.#okSent >= OK_EVERY_FRAMES) this.#ok();
      else this.#soon();
    }
  }

  #ok() {
    this.#okSent = this.#n;
    this.#write({ t: "ok", n: this.#n });
  }

  /** All that is said a little later. A hidden tab's timers would come too late for the server: there it is said at once. */
  #soon() {
    if (this.#soonAsked) return;
    this.#soonAsked = true;
    const say = () => {
      this.#soonAsked = false;
      if (this.#n > this.#okSent) this.#ok();
      this.#pump();
      this.#sayReceipts();
    };
    if (globalThis.document?.hidden) queueMicrotask(say);
    else setTimeout(say, OK_EVERY_MS);
  }

  // Catching up

  /** What came, in order, to the application; a sync at each `ready`. */
  async #merge() {
    if (this.#merging) return;
    this.#merging = true;
    for (let frame; (frame = this.#held.shift()); ) {
      const epoch = this.#epoch;
      try {
        await this.#one(frame, epoch);
      } catch (e) {
        this.#drop();
        if (!(e instanceof SignedOut) && e.status === undefined) console.error(e); // of the application
      }
    }
    this.#merging = false;
  }

  async #one(frame, epoch) {
    if (frame.t === "ready") {
      await this.on(frame);
      if (!(await this.#catchUp(frame.at, epoch))) return;
      await this.on({ t: "caught_up" });
      this.#takenUp = frame === this.#lastReady;
      this.#soon();
    } else if (frame.t === "message") {
      await this.#tellMessage(frame, frame, true);
    } else {
      if (frame.t === "profile") this.#shows(frame);
      await this.#tell(frame);
    }
  }

  /** False: another socket makes it pointless. */
  async #catchUp(at, epoch) {
    for (let attempt = 0; epoch === this.#epoch; ) {
      let page;
      try {
        page = await this.session.call("GET", `/api/sync?${new URLSearchParams({ cursor: this.cursor, at_least: at })}`);
      } catch (e) {
        if (e.status === 400 && this.cursor !== "" && this.cursor !== "latest") {
          this.cursor = "latest";
          this.#seen.clear();
          await this.on({ t: "reset" });
        } else if (!REPEATED.includes(e.status)) {
          throw e;
        }
        await sleep(e.retryAfterMs + backoff(attempt++));
        continue;
      }
      attempt = 0;
      for (const row of page.chats) this.#chat(row.chatId, row.peer);
      for (const row of page.messages) {
        this.#judge(row);
        await this.#tellMessage(row, { t: "message", ...row }, false);
      }
      for (const row of page.rejected ?? []) await this.#tell({ t: "rejected", ...row });
      for (const row of page.ticks) await this.#tell({ t: "status", ...row });
      const { chats, marks, me, cursor, more } = page;
      this.#shows(me ?? {});
      await this.#tell({ t: "page", chats, marks, me, cursor, more });
      if (!more) return epoch === this.#epoch;
    }
    return false;
  }

  /** If it says something that was not told. A live frame of a known message says nothing new, unless its seq is lower: that one counts. */
  async #tellMessage(row, event, live) {
    const { seq } = row;
    const mark = JSON.stringify([row.edited, row.deleted, row.gone, row.reactions, row.myReaction, row.starred, row.poll]);
    const known = this.#seen.get(row.id);
    if (known && (known.seq < seq || (known.seq === seq && (live || known.mark === mark)))) return;
    await this.#tell(event);
    remember(this.#seen, row.id, { seq, mark }, SEEN_MAX);
  }

  /** The application has an event, and then has dealt with it. */
  async #tell(event) {
    await this.on(event);
    const theirs = (event.t === "message" ? event.from : event.by) !== this.session.userId;
    if (event.t === "page") {
      this.cursor = event.cursor;
    } else if (event.t === "message" && theirs) {
      this.#have(event.chatId, this.#peerOf(event), Math.max(event.seq, event.edited?.seq ?? 0, event.deleted?.seq ?? 0));
    } else if (CHANGES.includes(event.t) && theirs && this.#chats.has(event.chatId)) {
      this.#have(event.chatId, undefined, event.seq);
    }
  }

  // Receipts

  /** @param {string} chatId @param {string} [peer] */
  #chat(chatId, peer) {
    const chat = this.#chats.get(chatId) ?? { peer, delivered: 0, read: 0, saidDelivered: 0, saidRead: 0, saidAt: 0 };
    chat.peer = peer ?? chat.peer;
    remember(this.#chats, chatId, chat, CHATS_MAX);
    return chat;
  }

  #have(chatId, peer, seq) {
    const chat = this.#chat(chatId, peer);
    chat.delivered = Math.max(chat.delivered, seq);
    this.#say(chatId);
  }

  #say(chatId) {
    this.#unsaid.add(chatId);
    this.#soon();
  }

  #sayReceipts() {
    if (!this.#takenUp || Date.now() < this.#receiptsAfter) return;
    for (const chatId of [...this.#unsaid].slice(0, RECEIPTS_A_TURN)) {
      this.#unsaid.delete(chatId);
      const chat = this.#chats.get(chatId);
      if (!chat) continue;
      const f = { t: "receipt", chatId, peer: chat.peer };
      if (chat.delivered > chat.saidDelivered) f.delivered = chat.saidDelivered = chat.delivered;
      if (chat.read > chat.saidRead) f.read = chat.saidRead = chat.read;
      if (!f.delivered && !f.read) continue;
      chat.saidAt = Date.now();
      this.#write(f);
    }
    if (this.#unsaid.size) this.#soon();
  }

  /** What was said lately may not have arrived: say it again. @param {string} [chatId] */
  #unsure(chatId) {
    for (const [other, chat] of this.#chats) {
      if (Date.now() - chat.saidAt > RECEIPT_SURE_MS || (chatId && chatId !== other)) continue;
      chat.saidDelivered = chat.saidRead = 0;
      this.#unsaid.add(other);
    }
  }

  /** It was not for this user to say: the next one is about what comes next. @param {string} chatId */
  #forgetReceipts(chatId) {
    const chat = this.#chats.get(chatId);
    if (chat) chat.delivered = chat.read = chat.saidDelivered = chat.saidRead = chat.saidAt = 0;
  }

  /** `profile`, or `me` of a sync. What was read while receipts were off is not told once they are on. */
  #shows({ readReceipts = this.#readReceipts }) {
    if (readReceipts === this.#readReceipts) return;
    this.#readReceipts = readReceipts;
    for (const chat of this.#chats.values()) chat.read = chat.saidRead = 0;
  }
}

/** A random UUID; crypto.randomUUID is only there on https and localhost, and not global in Node 18. */
function uuid() {
  const { crypto } = /** @type {any} */ (globalThis);
  if (crypto?.randomUUID) return crypto.randomUUID();
  const digits = (n) => Array.from({ length: n }, () => Math.floor(Math.random() * 16).toString(16)).join("");
  return `${digits(8)}-${digits(4)}-4${digits(3)}-a${digits(3)}-${digits(12)}`;
}
