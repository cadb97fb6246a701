// SPDX-License-Identifier: MIT
// What the events of a Client come to: messages and chats as docs/protocol.md merges them. Pure: no network, no storage, no clock.
// Everything may be told twice, and frames in any order.

const CHANGES_MAX = 1000; // of messages that are not here
const FILES_MAX = 1000; // of which something was told
const PIN_FACTS_MAX = 64; // of a chat
const OWN_VOTES_MAX = 8; // of a poll
const PINNED_MESSAGES = 3;
const OF_MESSAGES = ["edited", "deleted", "reaction", "starred", "vote", "poll_closed"];
const OF_GROUPS = { chat: ["name"], description: ["description"], picture: ["picture"], timer: ["timer"], rights: ["rights"] };
const GONE_WITH_CONTENT = ["mediaId", "media", "replyTo", "mentions", "forwarded", "location", "contact", "voice", "preview", "poll", "edited", "myReaction", "starred"];

/**
 * A message as in a history. `reactions` and `poll` count what the server counted, until `unsure` says that they may be others.
 * @typedef {{id: string, clientId: string, chatId: string, seq: number, from: string, peer?: string, type: string, content: string, sentAt: number,
 *   expiresAt?: number, gone?: string, edited?: {seq: number, at: number}, deleted?: any, reactions?: {reaction: string, count: number}[], myReaction?: string,
 *   starred?: boolean, poll?: any, [member: string]: any}} Message
 */
/**
 * A chat with the members that lists have, as far as it was told; `pins` oldest first.
 * @typedef {{chatId: string, kind?: string, name?: string, peer?: string, role?: string, delivered: number, read: number, except: {after: number, before: number}[],
 *   mySeq: {delivered: number, read: number}, pins: any[], marks?: any, [member: string]: any}} BookChat
 */

export class Book {
  /** @type {Map<string, Message>} by id; those that were told first are forgotten first */ messages = new Map();
  /** @type {Map<string, BookChat>} by chatId */ chats = new Map();
  /** @type {any} what this user shows of himself */ me = {};
  /** @type {Set<string>} ids of messages whose counts may be others: ask the history, and take() its row */ unsure = new Set();
  /** @type {any[]} changes whose message is not here, or has another seq */ #early = [];
  /** @type {Map<string, any>} by mediaId: what frames told of files */ #files = new Map();
  /** @type {Map<string, any>} by id: {stars, given, votes} with their seqs */ #seqs = new Map();
  /** @type {Map<string, any>} by chatId: {facts of pins, seqs of what a group says of itself} */ #facts = new Map();

  /** @param {string} userId @param {{messagesMax?: number, chatsMax?: number}} [more] */
  constructor(userId, { messagesMax = 5000, chatsMax = 10000 } = {}) {
    this.userId = userId;
    this.messagesMax = messagesMax;
    this.chatsMax = chatsMax;
  }

  /**
   * An event of a Client, or `{t: "message", ...row}` of a history: the messages that are others now.
   * @param {import("./client.js").ChasquiEvent | ({t: "message"} & Message)} told
   * @returns {Message[]}
   */
  take(told) {
    const event = /** @type {any} */ (told);
    if (event.t === "message") return this.#message(event);
    if (OF_MESSAGES.includes(event.t)) return this.#change(event);
    if (event.t === "hidden") return event.messages.flatMap(({ id, seq }) => this.#change({ t: "hidden", messageId: id, messageSeq: seq, chatId: event.chatId }));
    if (event.t === "media" || event.t === "media_deleted") return this.#file(event);
    if (event.t === "page") this.#page(event);
    else if (event.t === "reset") this.#forget();
    else if (event.t === "profile") this.#profile(event);
    else if (event.chatId) this.#ofChat(event);
    return [];
  }

  /** Is it to be shown? `now`: ms since the epoch. @param {Message} message @param {number} now */
  shown(message, now) {
    return !message.gone && !((message.expiresAt ?? Infinity) <= now);
  }

  /** none (not this user's), sent, delivered or read. @param {Message} message */
  tick(message) {
    const chat = this.chats.get(message.chatId);
    if (message.from !== this.userId) return "none";
    if (!chat || chat.except.some(({ after, before }) => message.seq > after && message.seq < before)) return "sent";
    if (message.seq <= chat.read) return "read";
    return message.seq <= chat.delivered ? "delivered" : "sent";
  }

  #forget() {
    for (const all of [this.messages, this.chats, this.unsure, this.#files, this.#seqs, this.#facts]) all.clear();
    this.#early = [];
    this.me = {};
  }

  // Messages

  /** The lowest seq of an id is its place. @param {any} event @returns {Message[]} */
  #message({ t, n, ...row }) {
    const held = this.messages.get(row.id);
    if (held && held.seq < row.seq) return [];
    const isRow = "deliveredAt" in row; // of a history or a sync: as it is by now
    if (held && held.seq === row.seq) return isRow ? this.#merge(held, row) : [];
    const kept = { ...row };
    this.#seqs.delete(row.id);
    if (isRow) this.unsure.delete(row.id);
    if (kept.poll?.mine) this.#seqsOf(row.id).votes = [kept.poll.mine];
    this.messages.set(row.id, kept);
    this.#shows(kept);
    if (this.messages.size > this.messagesMax) this.#drop(this.messages.keys().next().value ?? "");
    for (const change of this.#early.filter((c) => c.messageId === row.id)) this.#change(change);
    return [kept];
  }

  /** A file was looked into, or taken away for good; it may be told before the message that shows it. */
  #file({ t, mediaId, width, height, durationMs, thumbnail }) {
    if (this.#files.get(mediaId)?.gone) return [];
    this.#files.delete(mediaId);
    this.#files.set(mediaId, t === "media" ? { width, height, durationMs, thumbnail } : { gone: true });
    if (this.#files.size > FILES_MAX) this.#files.delete(this.#files.keys().next().value ?? "");
    return [...this.messages.values()].filter((held) => held.mediaId === mediaId && this.#shows(held));
  }

  /** Let a message have what is known of its file. @param {Message} held */
  #shows(held) {
    const file = this.#files.get(held.mediaId);
    if (!file || held.media?.gone) return false;
    held.media = file.gone ? { gone: true } : { ...held.media, ...file };
    return true;
  }

  #drop(id) {
    this.messages.delete(id);
    this.#seqs.delete(id);
    this.unsure.delete(id);
  }

  #seqsOf(id) {
    if (!this.#seqs.has(id)) this.#seqs.set(id, { star: 0, given: new Map(), votes: [] });
    return this.#seqs.get(id);
  }

  /** What the server says of a message that is here. @param {Message} held @param {Message} row */
  #merge(held, row) {
    const before = JSON.stringify(held);
    this.unsure.delete(held.id);
    if (row.gone || row.deleted) this.#vanish(held, row.gone, row.deleted);
    if (held.gone || held.deleted) return JSON.stringify(held) === before ? [] : [held];
    const poll = held.poll && row.poll ? this.#poll(held, row.poll) : row.poll;
    const edited = (held.edited?.seq ?? 0) > (row.edited?.seq ?? 0) ? { edited: held.edited, content: held.content, preview: held.preview } : {};
    for (const name of ["reactions", "myReaction", "starred", "preview"]) if (!(name in row)) delete held[name];
    Object.assign(held, row, edited, poll && { poll });
    this.#shows(held);
    return JSON.stringify(held) === before ? [] : [held];
  }

  /** A deletion absorbs: nothing counts after it. Of several the first counts. True when that is new. */
  #vanish(held, gone, deleted) {
    const before = JSON.stringify(held);
    for (const name of GONE_WITH_CONTENT) delete held[name];
    Object.assign(held, { content: "", reactions: [] });
    if (gone) held.gone ??= gone;
    if (deleted && !(held.deleted?.seq <= deleted.seq)) held.deleted = deleted;
    this.unsure.delete(held.id);
    if (this.chats.has(held.chatId)) this.#pins(this.#chat(held.chatId));
    return JSON.stringify(held) !== before;
  }

  /** Both id and seq have to match. @param {any} frame @returns {Message[]} */
  #change(frame) {
    const held = this.messages.get(frame.messageId);
    this.#early = this.#early.filter((c) => c !== frame);
    if (!held || held.seq > frame.messageSeq) {
      this.#early.push(frame); // a lower seq may still be told
      if (this.#early.length > CHANGES_MAX) this.#early.shift();
      if (frame.t === "deleted" && this.chats.has(frame.chatId)) this.#pins(this.#chat(frame.chatId));
    }
    const over = held && (held.gone || held.deleted) && !["hidden", "deleted"].includes(frame.t);
    if (!held || held.seq !== frame.messageSeq || over) return [];
    return this.#changed(held, frame) ? [held] : [];
  }

  #changed(held, frame) {
    const { seq, at, by } = frame;
    switch (frame.t) {
      case "hidden":
        return this.#vanish(held, "hidden");
      case "deleted":
        return this.#vanish(held, undefined, { seq, by, at });
      case "edited":
        if (seq <= (held.edited?.seq ?? 0)) return false;
        delete held.preview;
        Object.assign(held, { edited: { seq, at }, content: frame.content }, frame.preview && { preview: frame.preview });
        return true;
      case "starred":
        return this.#starred(held, frame);
      case "reaction":
        return this.#reacted(held, frame);
      default:
        return this.#polled(held, frame);
    }
  }

  #starred(held, { seq, starred }) {
    const seqs = this.#seqsOf(held.id);
    if (seq <= seqs.star) return false;
    seqs.star = seq;
    if (starred) held.starred = true;
    else delete held.starred;
    return true;
  }

  /** A user has one reaction, that with the highest seq. Which one somebody had given before is not always known: the server is. */
  #reacted(held, { seq, by, reaction }) {
    const { given } = this.#seqsOf(held.id);
    const last = given.get(by);
    if (seq <= (last?.seq ?? 0)) return false;
    const before = by === this.userId ? held.myReaction ?? "" : last?.reaction ?? "";
    given.set(by, { seq, reaction });
    if (by === this.userId) held.myReaction = reaction || undefined;
    if (!last && by !== this.userId) this.unsure.add(held.id);
    const counts = new Map((held.reactions ?? []).map((row) => [row.reaction, row.count]));
    if (before) counts.set(before, (counts.get(before) ?? 1) - 1);
    if (reaction) counts.set(reaction, (counts.get(reaction) ?? 0) + 1);
    held.reactions = [...counts].filter(([, count]) => count > 0).map(([sign, count]) => ({ reaction: sign, count }));
    return true;
  }

  // Polls

  /** The later result, the latest own vote that counts, the first end. */
  #poll(held, row) {
    const { poll } = held;
    const result = (poll.seq ?? 0) > (row.seq ?? 0) ? { seq: poll.seq, counts: poll.counts, voters: poll.voters } : {};
    const closed = [poll.closed, row.closed].filter(Boolean).sort((a, b) => a.seq - b.seq)[0];
    const merged = { ...row, ...result, ...(closed && { closed }) };
    delete merged.mine;
    if (row.mine) this.#voted(held.id, row.mine);
    return this.#withMine(held.id, merged);
  }

  #voted(id, vote) {
    const seqs = this.#seqsOf(id);
    if (seqs.votes.some((other) => other.seq === vote.seq)) return;
    seqs.votes = [...seqs.votes, vote].sort((a, b) => a.seq - b.seq).slice(-OWN_VOTES_MAX);
  }

  /** A vote behind the end of its poll counts for nothing, also one that was accepted. */
  #withMine(id, poll) {
    const counts = ({ seq, options, at }) =>
      options.length <= (poll.choices ?? 1) && options.every((place) => place < poll.options.length) && !(at >= poll.closesAt) && !(seq > poll.closed?.seq);
    const mine = this.#seqsOf(id).votes.findLast(counts);
    if (!mine) return poll;
    return { ...poll, mine: { seq: mine.seq, options: mine.options } };
  }

  #polled(held, frame) {
    if (!held.poll) return false;
    const before = JSON.stringify(held.poll);
    const { mine, ...poll } = held.poll;
    const { seq, at } = frame;
    if (frame.t === "poll_closed" && !(poll.closed?.seq <= seq)) poll.closed = { seq, at };
    if (frame.t === "vote" && frame.options) this.#voted(held.id, { seq, options: frame.options, at });
    held.poll = this.#withMine(held.id, poll);
    if (frame.t === "vote" && seq > (poll.seq ?? 0)) this.unsure.add(held.id);
    return JSON.stringify(held.poll) !== before || this.unsure.has(held.id);
  }

  // Chats

  /** @param {string} chatId */
  #chat(chatId) {
    let chat = this.chats.get(chatId);
    if (!chat) {
      chat = { chatId, delivered: 0, read: 0, except: [], mySeq: { delivered: 0, read: 0 }, pins: [] };
      this.chats.set(chatId, chat);
      if (this.chats.size > this.chatsMax) {
        const oldest = this.chats.keys().next().value ?? "";
        this.chats.delete(oldest);
        this.#facts.delete(oldest);
      }
    }
    return chat;
  }

  #factsOf(chatId) {
    if (!this.#facts.has(chatId)) this.#facts.set(chatId, { pins: [], seqs: {} });
    return this.#facts.get(chatId);
  }

  #page({ chats, marks, me }) {
    for (const row of chats) this.#row(row);
    for (const row of marks ?? []) this.#marks(this.#chat(row.chatId), row.marks);
    if (me) this.#profile(me);
  }

  /** What a list says of a chat takes the place of what is here; ticks and read cursors only grow. */
  #row({ marks, pins = [], delivered = 0, read = 0, except = [], mySeq, ...row }) {
    const chat = this.#chat(row.chatId);
    for (const name of ["timer", "description", "picture", "rights", "blocked", "deleted", "requests", "lastMessage"]) if (!(name in row)) delete chat[name];
    Object.assign(chat, row, { except });
    this.#ticks(chat, { delivered, read });
    this.#grow(chat.mySeq, mySeq ?? {});
    this.#factsOf(row.chatId).pins = pins.map((p) => ({ ...p, pinned: true }));
    this.#pins(chat);
    if (marks) this.#marks(chat, marks);
  }

  #grow(seqs, { delivered = 0, read = 0 }) {
    seqs.delivered = Math.max(seqs.delivered, delivered);
    seqs.read = Math.max(seqs.read, read);
  }

  #ticks(chat, row) {
    this.#grow(chat, row);
    if (row.except) chat.except = row.except;
  }

  #profile({ t, n, at, privacy, ...told }) {
    Object.assign(this.me, told);
    if (privacy) this.me.privacy = { ...this.me.privacy, ...privacy };
  }

  #ofChat(frame) {
    const { t, seq, chatId } = frame;
    if (t === "status") return this.#ticks(this.#chat(chatId), { except: [], ...frame });
    if (t === "read") return this.#grow(this.#chat(chatId).mySeq, { read: seq });
    if (t === "marked") return this.#marked(this.#chat(chatId), frame);
    if (t === "pinned") return this.#pinned(this.#chat(chatId), frame);
    if (t === "member") return this.#member(this.#chat(chatId), frame);
    if (t === "account_deleted" && frame.peer) return this.#says(chatId, t, seq, { deleted: true, name: "" });
    if (t === "blocked" || t === "unblocked") return this.#says(chatId, "blocked", seq, { blocked: t === "blocked" });
    if (!OF_GROUPS[t]) return undefined;
    const told = { chat: { kind: "group", name: frame.name }, description: { description: frame.description }, picture: { picture: frame.picture },
      timer: { timer: frame.seconds }, rights: { rights: { send: frame.send, info: frame.info, add: frame.add } } }[t];
    const role = t === "chat" && frame.members?.find((m) => m.userId === this.userId)?.role;
    if (role) this.#says(chatId, "role", seq, { role });
    return this.#says(chatId, t, seq, told);
  }

  /** Of several that say the same thing of a chat that with the highest seq counts. */
  #says(chatId, what, seq, told) {
    const chat = this.#chat(chatId);
    const { seqs } = this.#factsOf(chatId);
    if (seq < (seqs[what] ?? 0)) return;
    seqs[what] = seq;
    Object.assign(chat, told);
  }

  #member(chat, { seq, changes }) {
    for (const { userId, change } of changes) {
      const role = { add: "member", remove: "left", promote: "admin", demote: "member", make_owner: "owner" }[change];
      if (userId === this.userId && role) this.#says(chat.chatId, "role", seq, { role });
    }
  }

  #pinned(chat, { t, n, chatId, clientId, ...fact }) {
    const facts = this.#factsOf(chatId);
    facts.pins = [...facts.pins.filter((other) => other.seq !== fact.seq), fact].sort((a, b) => a.seq - b.seq).slice(-PIN_FACTS_MAX);
    this.#pins(chat);
  }

  /** Where a pinned message was deleted: from there on it is not pinned, and does not count among the three. */
  #deletedAt({ messageId, messageSeq }) {
    const held = this.messages.get(messageId);
    if (held) return held.seq === messageSeq ? held.deleted?.seq : undefined;
    return this.#early.find((c) => c.t === "deleted" && c.messageId === messageId && c.messageSeq === messageSeq)?.seq;
  }

  /** The newest three, as all facts in their order have it: one that was ended by others does not come back. */
  #pins(chat) {
    const facts = [...this.#factsOf(chat.chatId).pins];
    for (const { pinned, messageId, messageSeq } of [...facts]) {
      const seq = pinned && messageId && this.#deletedAt({ messageId, messageSeq });
      if (seq) facts.push({ seq, messageSeq, pinned: false });
    }
    let pins = [];
    for (const { pinned, ...fact } of facts.sort((a, b) => a.seq - b.seq)) {
      pins = pins.filter((p) => p.messageSeq !== fact.messageSeq);
      if (pinned) pins = [...pins, fact].slice(-PINNED_MESSAGES);
    }
    const isOver = (held) => held && (held.gone || held.deleted);
    chat.pins = pins.filter((p) => !isOver(this.messages.get(p.messageId)));
  }

  // Marks: their seq is one order for all chats, and no seq of a chat

  #marks(chat, marks) {
    if (marks.seq > (chat.marks?.seq ?? 0)) chat.marks = { ...marks };
  }

  /** A frame names what changed. What is off is absent. */
  #marked(chat, { seq, archived, pinned, markedUnread, readSeq, draft, draftAfter, mutedUntil }) {
    if (seq <= (chat.marks?.seq ?? 0)) return;
    const changed = { seq };
    if (archived !== undefined) changed.archived = archived;
    if (pinned !== undefined) changed.pinnedSeq = pinned ? seq : 0;
    if (markedUnread !== undefined) Object.assign(changed, { markedUnread, readSeq: markedUnread ? readSeq : 0 });
    if (draft !== undefined) Object.assign(changed, { draft, draftAfter: draft ? draftAfter : 0 });
    if (mutedUntil !== undefined) changed.mutedUntil = mutedUntil;
    chat.marks = Object.fromEntries(Object.entries({ ...chat.marks, ...changed }).filter(([, value]) => value));
  }
}
