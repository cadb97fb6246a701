// SPDX-License-Identifier: MIT
// What this device knows: chats, messages, ticks, names. Pure: no network, no storage, no DOM. Everything here may be told
// twice and in any order: messages are known by id, cursors only grow.
import { marked, pinned, pollAfter, toldPoll, UNMARKED } from "./marks.js";
import { above, came, cut } from "./rank.js";

const PENDING_MAX = 200; // changes of messages that are not here
const BESIDE = ["poll", "location", "contact", "voice", "preview"]; // what a message may have besides its text
const PINNED_CHATS = 5; // where the server does not say

/** Put `m` into the sorted list. */
function insert(list, m) {
  const last = list.at(-1);
  if (!last || last.seq <= m.seq) list.push(m);
  else list.splice(above(list, m.seq), 0, m);
}

/** `behind`: chats in which more is unread than was told live; `drafted`: those in which something else was written elsewhere. */
const nothingNew = () => ({ chats: new Set(), messages: new Set(), behind: new Set(), drafted: new Set(), names: false });

/** What is kept of a message that the server told. */
const keptOf = (m) => ({
  id: m.id, clientId: m.clientId, chatId: m.chatId, seq: m.seq, from: m.from, type: m.type, content: m.content, sentAt: m.sentAt,
  mediaId: m.mediaId, media: m.media && { width: m.media.width, height: m.media.height, name: m.media.name },
  replyTo: m.replyTo, mentions: m.mentions, forwarded: m.forwarded,
  edited: m.edited, deleted: m.deleted, reactions: m.reactions ?? [], myReaction: m.myReaction ?? "", starred: m.starred,
  expiresAt: m.expiresAt, gone: m.gone,
  ...Object.fromEntries(BESIDE.filter((key) => m[key]).map((key) => [key, m[key]])),
});

/** What is kept of a frame about the chat itself; a line of the server is the same frame. */
export const lineOf = (f) => ({
  id: `event-${f.chatId}-${f.seq}`, clientId: `event-${f.seq}`, chatId: f.chatId, seq: f.seq, from: f.by, type: "event", sentAt: f.at,
  about: { member: "members", chat: f.members ? "began" : "renamed" }[f.t] ?? f.t, name: f.name, changes: f.changes, invitedBy: f.invitedBy, seconds: f.seconds,
  rights: f.t === "rights" ? { send: f.send, info: f.info, add: f.add } : undefined,
  removed: (f.t === "description" && !f.description) || (f.t === "picture" && !f.picture) || undefined,
});

export class Model {
  constructor(me) {
    this.me = me;
    this.chats = new Map(); // chatId → chat
    this.people = new Map(); // userId → name
    this.pictures = new Map(); // userId → mediaId
    this.numbers = new Map(); // userId → phone number by which this user found them
    this.deleted = new Set(); // users whose accounts are gone
    this.pinnedChats = PINNED_CHATS;
    this.answered = new Map(); // chatId → true: this user asked to be let in, and is not let in
    this.lined = false; // the server has lines about chats
    this.profile = {}; // what this user shows of himself, and to whom
    this.expiring = new Map(); // message that ends → its chat
    this.outbox = []; // own messages without a verdict, in the order of sending
    // to be stored; null: to be removed
    this.dirty = { chats: new Set(), messages: new Map(), outbox: new Map(), drafts: new Set(), people: new Set() };
    this.news = nothingNew(); // what the screen does not show yet
  }

  /** What changed since the last call: the screen touches nothing else. */
  takeNews() {
    const { news } = this;
    this.news = nothingNew();
    return news;
  }

  #touch(chat, m) {
    this.dirty.chats.add(chat);
    this.news.chats.add(chat);
    if (m) this.news.messages.add(m);
  }

  /** The chat, made when it is not known yet (`known` is false until the server has described it). */
  chat(chatId) {
    let chat = this.chats.get(chatId);
    if (!chat) {
      chat = {
        chatId, kind: "group", name: "", peer: null, role: "member", members: null, known: false, left: false,
        last: null, // last message
        unread: 0, unreadSeq: 0, // others' messages up to unreadSeq are counted in unread, or read
        delivered: 0, read: 0, // ticks: what all others have
        mine: { delivered: 0, read: 0 }, // what the server is known to have of us
        readHere: 0, // what was seen in this browser
        top: 0, // highest seq of others that this device holds
        all: false, // nothing older is on the server
        lineSeq: 0, lineFrom: 0, lineTo: -1, // the last line about the chat; between which they are held, see lacking()
        except: [], // places of messages that stay at one tick: [{after, before}]
        deleted: false, // its other user's account is gone
        blocked: false, blockSeq: 0, // by this user; as of this seq
        timer: 0, timerSeq: 0, // seconds that new messages stay; 0: for good
        draft: "", replyTo: null, // what is being written, and what it answers: {id, seq}
        kept: "", unsaved: false, // the draft that the server has; whether it has to be told of another
        spoke: 0, // highest seq of this user's messages: what he wrote before is no draft any more
        marks: UNMARKED, pins: [], description: "", picture: "", rights: null, requests: 0,
        away: null, // while something far above is looked at: {messages, ids, all}, see aside()
        messages: [], ids: new Map(), pending: [],
      };
      this.chats.set(chatId, chat);
      this.news.chats.add(chat);
    }
    return chat;
  }

  /** How a user is called; "" when it is not known. */
  nameOf(userId) {
    return this.people.get(userId) ?? "";
  }

  named(userId, name) {
    if (!name || this.people.get(userId) === name) return;
    this.people.set(userId, name);
    this.dirty.people.add(userId);
    this.news.names = true;
  }

  numbered(userId, number) {
    if (this.numbers.get(userId) === number) return;
    this.numbers.set(userId, number);
    this.dirty.people.add(userId);
  }

  /** His account is gone, and with it what he showed of himself. */
  #gone(userId) {
    if (this.deleted.has(userId)) return;
    this.deleted.add(userId);
    this.people.delete(userId);
    this.numbers.delete(userId);
    this.pictures.delete(userId);
    this.dirty.people.add(userId);
    this.news.names = true;
    for (const chat of this.chats.values()) if (chat.kind === "direct" && chat.peer === userId) this.#ended(chat);
  }

  #ended(chat) {
    chat.deleted = true;
    this.#touch(chat);
  }

  /** What the server says of a user: {userId, name, picture?, deleted?}. */
  met({ userId, name, picture, deleted }) {
    if (deleted) return void this.#gone(userId);
    this.named(userId, name);
    if (picture === undefined || (this.pictures.get(userId) ?? "") === picture) return;
    if (picture) this.pictures.set(userId, picture);
    else this.pictures.delete(userId);
    this.dirty.people.add(userId);
    this.news.names = true;
  }

  /** `/api/me`, `me` of a sync, the frame `profile`: what it names. */
  myself(f) {
    for (const key of ["name", "about", "picture", "readReceipts", "phoneNumber"]) if (f[key] !== undefined) this.profile[key] = f[key];
    if (f.privacy) this.profile.privacy = { ...this.profile.privacy, ...f.privacy };
    this.met({ userId: this.me, name: f.name, picture: f.picture });
  }

  /** What the server says of a chat, by REST. */
  describe(c) {
    const chat = this.chat(c.chatId);
    chat.known = true;
    if (chat.left && c.role !== "left") this.#pollsAgain(chat);
    chat.left = c.role === "left";
    chat.kind = c.kind;
    if (c.name !== undefined) chat.name = c.name;
    if (c.peer) chat.peer = c.peer.userId ?? c.peer;
    if (c.role) chat.role = c.role;
    if (c.members) chat.members = c.members.map(({ userId, role }) => ({ userId, role }));
    for (const m of c.members ?? []) this.named(m.userId, m.name); // also kept for those who leave
    if (chat.kind === "direct" && chat.peer) this.named(chat.peer, chat.name);
    if (chat.kind === "direct" && chat.peer && (c.deleted || this.deleted.has(chat.peer))) {
      this.#gone(chat.peer);
      this.#ended(chat);
    }
    const last = this.lastOf(chat);
    if (c.lastMessage && (c.lastMessage.seq >= (chat.last?.seq ?? 0) || last?.gone)) this.#last(chat, c.lastMessage);
    if (chat.kind === "direct") chat.blocked = Boolean(c.blocked);
    Object.assign(chat, { pins: c.pins ?? [], requests: c.requests ?? 0 });
    for (const [key, none] of Object.entries({ timer: 0, description: "", picture: "", rights: null })) {
      if (!(c.lineSeq < chat[`${key}Seq`])) chat[key] = c[key] ?? none; // the view may be behind what was told live
    }
    chat.lineSeq = Math.max(chat.lineSeq, c.lineSeq ?? 0);
    if (c.lastMessage?.from === this.me) chat.spoke = Math.max(chat.spoke, c.lastMessage.seq);
    if (c.marks) this.marks(chat, c.marks);
    this.#count(chat, c);
    this.#touch(chat);
    return chat;
  }

  #last(chat, m) {
    chat.last = m;
    if (m.expiresAt && !m.gone) this.expiring.set(m, chat);
  }

  /** What was said last and can be seen; what is gone when nothing else is held. */
  lastOf(chat) {
    const last = chat.last && (chat.ids.get(chat.last.id) ?? chat.last);
    return (last?.gone && chat.messages.findLast((m) => !m.gone && m.type !== "event")) || last;
  }

  /** Unread and ticks as the server has them, less what was read here since. */
  #count(chat, c) {
    const asOf = c.lastMessage?.seq ?? 0;
    const was = chat.unread;
    chat.delivered = Math.max(chat.delivered, c.delivered ?? 0);
    if (c.read > chat.read) this.#ticked(chat, c.read);
    if (chat.kind === "direct" && c.delivered !== undefined) chat.except = c.except ?? [];
    chat.read = Math.max(chat.read, c.read ?? 0);
    chat.mine.delivered = Math.max(chat.mine.delivered, c.mySeq?.delivered ?? 0);
    chat.mine.read = Math.max(chat.mine.read, c.mySeq?.read ?? 0);
    if (c.unread !== undefined && asOf >= chat.unreadSeq) {
      chat.unread = Math.max(0, c.unread - this.others(chat, c.mySeq?.read ?? 0, this.readTo(chat)));
      chat.unreadSeq = asOf;
    }
    if (this.readTo(chat) >= chat.unreadSeq) chat.unread = 0;
    if (chat.unread > was) this.news.behind.add(chat);
  }

  /** Up to where this user has read, as far as this device knows. */
  readTo(chat) {
    return Math.max(chat.mine.read, chat.readHere);
  }

  /** How many messages of others are held with a seq in (from, to]. */
  others(chat, from, to) {
    let n = 0;
    for (let i = above(chat.messages, from); i < chat.messages.length && chat.messages[i].seq <= to; i++) n += this.#foreign(chat.messages[i]);
    return n;
  }

  #foreign(m) {
    return m.from !== this.me && m.type !== "event" && m.gone !== "hidden";
  }

  /** The place in `messages` of the first one that is unread; -1: none is held. */
  firstUnread(chat) {
    if (!chat.unread) return -1;
    for (let i = above(chat.messages, this.readTo(chat)); i < chat.messages.length; i++) if (this.#foreign(chat.messages[i]) && !chat.messages[i].gone) return i;
    return -1;
  }

  /** Up to where somebody has seen everything who saw what stands up to `seq`: nobody sees what is gone. */
  pastGone(chat, seq) {
    let to = seq;
    for (let i = above(chat.messages, seq); i < chat.messages.length && (chat.messages[i].gone || !this.#foreign(chat.messages[i])); i++)
      if (chat.messages[i].gone) to = chat.messages[i].seq;
    return to;
  }

  /** Are all unread messages held here? */
  holdsUnread(chat) {
    return chat.all || this.others(chat, this.readTo(chat), Infinity) >= chat.unread;
  }

  /** A message from a live frame or by REST. True when it is new here. `live`: it may raise the unread count. */
  message(m, live) {
    const chat = this.chat(m.chatId);
    if (m.from === this.me) this.verdict(m.clientId);
    if (!chat.known && m.peer) {
      chat.kind = "direct";
      chat.peer = m.from === this.me ? m.peer : m.from;
    }
    if (chat.ids.has(m.id)) {
      this.#merge(chat, chat.ids.get(m.id), m);
      return false;
    }
    const kept = chat.away?.ids.get(m.id) ?? keptOf(m);
    if (m.expiresAt && !m.gone) this.expiring.set(kept, chat);
    chat.ids.set(m.id, kept);
    insert(chat.messages, kept);
    if (m.seq >= (chat.last?.seq ?? 0)) chat.last = kept;
    if (m.from === this.me) this.#spoke(chat, m.seq);
    else {
      chat.top = Math.max(chat.top, m.seq);
      if (live && m.seq > Math.max(chat.unreadSeq, this.readTo(chat))) chat.unread++;
    }
    if (live) chat.unreadSeq = Math.max(chat.unreadSeq, m.seq);
    this.dirty.messages.set(m.id, kept);
    this.#touch(chat, kept);
    for (const f of chat.pending.filter((p) => p.messageId === m.id)) this.changed(f);
    return true;
  }

  /** What REST says of a message that is here: it may have been changed since. */
  #merge(chat, kept, m) {
    const was = JSON.stringify(kept);
    if (m.media) kept.media = { width: m.media.width, height: m.media.height, name: m.media.name };
    if (m.deleted) this.#empty(kept, m.deleted);
    else if (!kept.deleted && (m.edited?.seq ?? 0) > (kept.edited?.seq ?? 0)) Object.assign(kept, { edited: m.edited, content: m.content, preview: m.preview });
    if (m.poll && !kept.deleted) kept.poll = toldPoll(kept.poll, m.poll);
    if ("reactions" in m && !kept.deleted) Object.assign(kept, { reactions: m.reactions, myReaction: m.myReaction ?? "" });
    if ("reactions" in m) kept.starred = m.starred; // by REST
    if (m.gone) return void this.#vanish(chat, kept, m.gone);
    if (JSON.stringify(kept) === was) return;
    this.#keep(chat, kept);
    this.#altered(chat, kept);
  }

  #empty(m, deleted) {
    for (const key of [...BESIDE, "mediaId", "starred"]) delete m[key];
    Object.assign(m, { deleted, content: "", reactions: [] });
  }

  /** To be stored, when it is one of those that are held. */
  #keep(chat, m) {
    if (chat.ids.get(m.id) === m) this.dirty.messages.set(m.id, m);
  }

  /** It looks another way now, and so do those that quote it. */
  #altered(chat, m) {
    this.#touch(chat, m);
    this.quoting(chat, new Set([m.id]));
  }

  /** What quotes one of these messages is to be drawn. */
  quoting(chat, ids) {
    for (const list of [chat.messages, chat.away?.messages ?? []]) for (const m of list) if (ids.has(m.replyTo?.id)) this.news.messages.add(m);
  }

  /** Its time is over, or this user does not want to see it. Its place stays: seqs and counts are as they were. */
  #vanish(chat, m, gone) {
    this.expiring.delete(m);
    if (m.gone) return;
    if (gone === "hidden" && chat.unread && this.#foreign(m) && m.seq > this.readTo(chat)) chat.unread--;
    for (const key of [...BESIDE, "mediaId", "media", "mentions", "forwarded", "edited", "replyTo", "given", "starred"]) delete m[key];
    Object.assign(m, { gone, content: "", reactions: [], myReaction: "" });
    if (chat.replyTo?.id === m.id) this.write(chat, chat.draft, null);
    this.#unpin(chat, m);
    this.#keep(chat, m);
    this.#altered(chat, m);
  }

  /** Messages whose time is over are gone; → when the next one's is, or Infinity. */
  expire(now) {
    let next = Infinity;
    for (const [m, chat] of [...this.expiring]) {
      if (m.expiresAt <= now) this.#vanish(chat, m, "expired");
      else next = Math.min(next, m.expiresAt);
    }
    return next;
  }

  /** `edited`, `deleted`, `reaction`, `vote`, `poll_closed`. Both id and seq have to match. True when REST has to be asked for the message. */
  changed(f) {
    const chat = this.chat(f.chatId);
    if (f.t !== "vote" && f.by !== this.me) chat.top = Math.max(chat.top, f.seq);
    const m = this.find(chat, f.messageId);
    chat.pending = chat.pending.filter((p) => p !== f);
    if (m) return this.#change(chat, m, f);
    if (chat.last?.id === f.messageId) this.#change(chat, chat.last, f); // the list of chats shows it
    if (f.t !== "vote" && chat.pending.push(f) > PENDING_MAX) chat.pending.shift();
    return false;
  }

  #change(chat, m, f) {
    if (m.seq !== f.messageSeq) return false;
    if (f.t === "hidden") {
      this.#vanish(chat, m, "hidden");
      return false;
    }
    if (m.deleted || m.gone) return false;
    if (f.t === "deleted") {
      this.#empty(m, { seq: f.seq, by: f.by, at: f.at });
      this.#unpin(chat, m);
    } else if (f.t === "edited") {
      if (f.seq <= (m.edited?.seq ?? 0)) return false;
      Object.assign(m, { edited: { seq: f.seq, at: f.at }, content: f.content, preview: f.preview });
    } else if (f.t === "starred") {
      if (f.seq < (m.starSeq ?? 0)) return false;
      Object.assign(m, { starred: f.starred || undefined, starSeq: f.seq });
    } else if (f.t === "vote" || f.t === "poll_closed") {
      const poll = m.poll && pollAfter(m.poll, f);
      if (!poll) return false;
      m.poll = poll;
    } else if (!this.#reacted(m, f)) {
      return false;
    }
    this.#keep(chat, m);
    this.#altered(chat, m);
    return f.t === "reaction" && f.by !== this.me; // whether this user had given another sign before is not always known
  }

  /** The result of a poll, by REST. */
  polled(m, poll) {
    m.poll = toldPoll(m.poll, poll);
    this.#keep(this.chat(m.chatId), m);
    this.news.messages.add(m);
  }

  /** The server was asked often enough: what was behind counts for nothing. */
  pollSettled(m) {
    m.poll = { ...m.poll, behind: undefined };
    this.#keep(this.chat(m.chatId), m);
  }

  /** This user came back: what polls became meanwhile is in no sync. */
  #pollsAgain(chat) {
    for (const m of chat.messages) {
      if (!m.poll) continue;
      m.poll = { ...m.poll, behind: (m.poll.seq ?? 0) + 1 };
      this.#keep(chat, m);
    }
  }

  /** A `hidden` frame: this user deleted messages for himself. */
  hidden({ chatId, seq, messages }) {
    for (const { id, seq: messageSeq } of messages) this.changed({ t: "hidden", chatId, seq, messageId: id, messageSeq, by: this.me });
  }

  #reacted(m, f) {
    const given = (m.given ??= {}); // userId → {seq, reaction}: what frames told
    if (f.seq <= (given[f.by]?.seq ?? 0)) return false;
    const before = f.by === this.me ? m.myReaction : given[f.by]?.reaction ?? "";
    given[f.by] = { seq: f.seq, reaction: f.reaction };
    if (f.by === this.me) m.myReaction = f.reaction;
    const counts = new Map((m.reactions ?? []).map((r) => [r.reaction, r.count]));
    if (before !== f.reaction) {
      if (before) counts.set(before, (counts.get(before) ?? 1) - 1);
      if (f.reaction) counts.set(f.reaction, (counts.get(f.reaction) ?? 0) + 1);
    }
    m.reactions = [...counts].filter(([, count]) => count > 0).map(([reaction, count]) => ({ reaction, count }));
    return true;
  }

  /** A `media` frame: how large a picture is. */
  sized(f) {
    const chat = this.chats.get(f.chatId);
    for (const m of chat?.messages ?? []) {
      if (m.mediaId !== f.mediaId) continue;
      m.media = { ...m.media, width: f.width, height: f.height };
      this.dirty.messages.set(m.id, m);
    }
  }

  ticks(t) {
    const chat = this.chat(t.chatId);
    this.#ticked(chat, Math.max(t.delivered ?? 0, t.read ?? 0));
    chat.delivered = Math.max(chat.delivered, t.delivered ?? 0);
    chat.read = Math.max(chat.read, t.read ?? 0);
    if (chat.kind === "direct") chat.except = t.except ?? [];
    this.dirty.chats.add(chat);
  }

  /** Own messages up to `to` may show other ticks than before. */
  #ticked(chat, to) {
    for (let i = above(chat.messages, Math.min(chat.delivered, chat.read)); i < chat.messages.length && chat.messages[i].seq <= to; i++)
      if (chat.messages[i].from === this.me) this.news.messages.add(chat.messages[i]);
  }

  /** A `read` frame: this user read up to `seq` on another device. True when only the server knows what is unread then. */
  readElsewhere({ chatId, seq }) {
    const chat = this.chats.get(chatId);
    if (!chat || seq <= chat.mine.read) return false;
    const held = this.holdsUnread(chat);
    chat.mine.read = seq;
    if (seq >= chat.unreadSeq) chat.unread = 0;
    else chat.unread = Math.min(chat.unread, held ? this.others(chat, this.readTo(chat), Infinity) : chat.unread);
    this.#touch(chat);
    return !held;
  }

  /** A frame about the chat itself. Where the server keeps such lines, and all before it are here, so are all up to it. */
  #event(f) {
    const chat = this.chat(f.chatId);
    if (this.lined && f.t === "chat" && f.members) return; // who was added is told the group; the line says by whom
    this.#line(chat, f);
    if (f.t === "pinned" || chat.lineTo < chat.lineSeq) return;
    chat.lineSeq = Math.max(chat.lineSeq, f.seq);
    chat.lineTo = chat.lineSeq;
  }

  #line(chat, f) {
    const kept = lineOf(f);
    if (chat.ids.has(kept.id)) return;
    chat.ids.set(kept.id, kept);
    insert(chat.messages, kept);
    this.dirty.messages.set(kept.id, kept);
    this.#touch(chat, kept);
    if (["rights", "began"].includes(kept.about)) for (const m of chat.messages) if (m.about === "rights" && m.seq > kept.seq) this.news.messages.add(m); // what it changed
  }

  /** A page of lines about a chat, as it was asked for. */
  lines(chat, asked, { lines, more }) {
    for (const f of lines) this.#line(chat, f);
    came(chat, asked, lines.map((f) => f.seq), more);
    this.dirty.chats.add(chat);
  }

  /** Who might do what before this line, as far as it was set; null: not known here. */
  rightsBefore(m) {
    const before = this.shown(this.chat(m.chatId)).messages.findLast((k) => ["rights", "began"].includes(k.about) && k.seq < m.seq);
    return before ? before.rights ?? {} : null;
  }

  /** A `chat` frame: a group began or was renamed. */
  group(f) {
    const chat = this.chat(f.chatId);
    chat.kind = "group";
    chat.name = f.name;
    chat.left = false;
    if (f.members) chat.role = f.members.find((m) => m.userId === this.me)?.role ?? "member";
    this.#event(f);
    this.#touch(chat);
  }

  /** A `member` frame. True when the chat has to be asked for again. */
  membership(f) {
    const chat = this.chat(f.chatId);
    let again = true;
    this.#event(f);
    for (const { userId, change } of f.changes) {
      const role = { promote: "admin", demote: "member", make_owner: "owner" }[change];
      if (chat.members && change === "remove") chat.members = chat.members.filter((m) => m.userId !== userId);
      if (chat.members && role) chat.members = chat.members.map((m) => (m.userId === userId ? { ...m, role } : m));
      if (userId !== this.me) continue;
      if (change === "remove") {
        chat.left = true;
        again = false;
      } else if (change === "add") {
        if (chat.left) this.#pollsAgain(chat);
        chat.left = false;
        chat.all = false;
      } else {
        chat.role = role ?? chat.role;
      }
    }
    this.#touch(chat);
    return again;
  }

  /** A `timer` frame. */
  timed(f) {
    const chat = this.chat(f.chatId);
    this.#event(f);
    if (f.seq > (chat.timerSeq ?? 0)) Object.assign(chat, { timer: f.seconds, timerSeq: f.seq });
    this.#touch(chat);
  }

  /** `description`, `picture`, `rights`: what the group shows of itself, and who may do what in it. */
  rules(f) {
    const chat = this.chat(f.chatId);
    const key = `${f.t}Seq`;
    if (f.seq <= (chat[key] ?? 0)) return;
    chat[key] = f.seq;
    this.#event(f);
    if (f.t === "rights") chat.rights = { send: f.send, info: f.info, add: f.add };
    else chat[f.t] = f[f.t] ?? "";
    this.#touch(chat);
  }

  /** A `request` frame: somebody asks to be let in, or does not any more. */
  request(f) {
    if (f.userId === this.me) {
      if (f.open) this.answered.delete(f.chatId);
      else if (f.by !== this.me) this.answered.set(f.chatId, true);
      return;
    }
    const chat = this.chats.get(f.chatId);
    if (!chat || f.seq <= (chat.requestSeq ?? 0)) return;
    chat.requestSeq = f.seq;
    this.asks(chat, chat.requests + (f.open ? 1 : -1));
  }

  /** So many ask to be let in. */
  asks(chat, n) {
    chat.requests = Math.max(0, n);
    this.#touch(chat);
  }

  /** A `pinned` frame. */
  pin(f) {
    const chat = this.chat(f.chatId);
    chat.pins = pinned(chat.pins, f);
    if (f.pinned && f.by) this.#event(f);
    this.#touch(chat);
  }

  /** What is over is not pinned any more. */
  #unpin(chat, m) {
    chat.pins = chat.pins.filter((p) => p.messageId !== m.id);
  }

  // What this user marked, and what he writes

  /** Of a chat, a sync or an answer: all that holds. */
  marks(chat, { draft = "", ...marks }) {
    if (marks.seq <= chat.marks.seq) return;
    chat.marks = { ...UNMARKED, ...marks };
    this.#drafted(chat, draft);
    this.#touch(chat);
  }

  /** A `marked` frame: what changed. */
  marked(f) {
    const chat = this.chat(f.chatId);
    if (f.seq <= chat.marks.seq) return;
    chat.marks = marked(chat.marks, f);
    if (f.draft !== undefined) this.#drafted(chat, f.draft);
    this.#touch(chat);
  }

  /** The server has this draft. What is written here at the moment is later. */
  #drafted(chat, draft) {
    chat.kept = chat.spoke > chat.marks.draftAfter ? "" : draft;
    this.dirty.chats.add(chat);
    if (chat.unsaved || chat.draft === chat.kept) return;
    this.write(chat, chat.kept);
    chat.unsaved = false;
    this.news.drafted.add(chat);
  }

  /** This user said something, on whatever device: what he had begun to write before that is done with. */
  #spoke(chat, seq) {
    chat.spoke = Math.max(chat.spoke, seq);
    if (chat.kept && chat.spoke > chat.marks.draftAfter) this.#drafted(chat, "");
  }

  /** The server has what is written in the chat, or is not to have it. */
  saved(chat) {
    chat.unsaved = false;
    this.dirty.drafts.add(chat);
  }

  /** Is it marked unread, and was nothing read there since? */
  flagged(chat) {
    return chat.marks.markedUnread && !chat.left && this.readTo(chat) <= chat.marks.readSeq;
  }

  /** `blocked`, `unblocked`: the one with the highest seq counts. */
  block(f) {
    const chat = this.chat(f.chatId);
    if (f.seq < (chat.blockSeq ?? 0)) return;
    Object.assign(chat, { kind: "direct", peer: chat.peer ?? f.userId, blocked: f.t === "blocked", blockSeq: f.seq });
    this.#touch(chat);
  }

  left(chatId) {
    const chat = this.chat(chatId);
    chat.left = true;
    this.#touch(chat);
  }

  /** Everything up to seq was seen here. */
  readUpTo(chat, seq) {
    const before = this.readTo(chat);
    if (seq <= before && !chat.unread) return;
    chat.readHere = Math.max(chat.readHere, seq);
    if (seq >= chat.unreadSeq || seq >= chat.top) chat.unread = 0;
    else chat.unread = Math.max(0, chat.unread - this.others(chat, before, seq));
    this.#touch(chat);
  }

  /** What is being written in a chat. */
  write(chat, text, replyTo = chat.replyTo) {
    if (chat.draft === text && chat.replyTo === replyTo) return;
    if (chat.draft !== text) chat.unsaved = true;
    Object.assign(chat, { draft: text, replyTo });
    this.dirty.drafts.add(chat);
    this.news.chats.add(chat);
  }

  // Own messages on their way. state: "new" (to be sent), "sent" (on this socket), "acked" (stored), "failed"

  /** `more`: type, mediaId, replyTo, mentions, forwardedFrom, poll, location, contact, voice, preview. */
  compose(chat, content, clientId, now, more = {}) {
    const m = {
      clientId, chatId: chat.chatId, peer: chat.kind === "direct" ? chat.peer : undefined, type: "text", content, sentAt: now,
      state: "new", id: null, code: null, order: Math.max(now, (this.outbox.at(-1)?.order ?? 0) + 1), ...more,
    };
    this.outbox.push(m);
    this.#moved(m);
    return m;
  }

  #moved(m) {
    this.dirty.outbox.set(m.clientId, m);
    this.news.messages.add(m);
    this.news.chats.add(this.chat(m.chatId));
  }

  outgoing(clientId) {
    return this.outbox.find((m) => m.clientId === clientId);
  }

  acked(clientId, id) {
    const m = this.outgoing(clientId);
    if (!m) return;
    m.state = "acked";
    m.id = id;
    this.#moved(m);
  }

  failed(clientId, code) {
    const m = this.outgoing(clientId);
    if (!m) return;
    m.state = "failed";
    m.code = code;
    this.#moved(m);
  }

  /** The message stands in the log: it is not under way any more. */
  verdict(clientId) {
    const at = this.outbox.findIndex((m) => m.clientId === clientId);
    if (at < 0) return;
    const [m] = this.outbox.splice(at, 1);
    this.dirty.outbox.set(clientId, null);
    this.news.chats.add(this.chat(m.chatId));
  }

  /** none | sent | delivered | read, of a message of ours; "none" for others' and for what is not stored yet. */
  tick(chat, m) {
    if (m.state) return m.state === "acked" ? "sent" : "none";
    if (m.from !== this.me) return "none";
    if (chat.except?.some(({ after, before }) => m.seq > after && m.seq < before)) return "sent";
    if (m.seq <= chat.read) return "read";
    return m.seq <= chat.delivered ? "delivered" : "sent";
  }

  /** Chats, latest first. */
  sorted() {
    const time = (c) => Math.max(c.last?.sentAt ?? 0, c.touchedAt ?? 0);
    return [...this.chats.values()].filter((c) => c.known || c.last || c.name).sort((a, b) => time(b) - time(a));
  }

  /** As the list has them: pinned ones first, the last pinned on top; archived ones apart. */
  listed(archived = false) {
    const pins = (c) => (c.left ? 0 : c.marks.pinnedSeq);
    const all = this.sorted().filter((c) => c.marks.archived === archived);
    const top = all.filter(pins).sort((a, b) => pins(b) - pins(a)).slice(0, this.pinnedChats);
    return [...top, ...all.filter((c) => !top.includes(c))];
  }

  // Far above

  /** A message that is here: held, or looked at far above. */
  find(chat, id) {
    return chat.ids.get(id) ?? chat.away?.ids.get(id);
  }

  /** What the screen shows of a chat. */
  shown(chat) {
    return chat.away ?? chat;
  }

  /**
   * Messages around a place to which nothing that is held leads, oldest first. `more`: newer ones are on the server. They are
   * shown in place of those that are held, stored nowhere, and joined to them when they meet.
   */
  aside(chat, messages, more) {
    const away = (chat.away ??= { messages: [], ids: new Map(), all: false });
    for (const m of messages) {
      const kept = this.find(chat, m.id) ?? (m.type === "event" ? m : keptOf(m));
      if (away.ids.has(m.id)) continue;
      away.ids.set(m.id, kept);
      insert(away.messages, kept);
      if (kept.expiresAt && !kept.gone) this.expiring.set(kept, chat);
      for (const f of chat.pending.filter((p) => p.messageId === m.id)) this.changed(f);
    }
    if (more && !(away.messages.at(-1)?.seq >= chat.messages[0]?.seq)) return;
    chat.away = null;
    for (const m of away.messages) {
      if (chat.ids.has(m.id)) continue;
      chat.ids.set(m.id, m);
      insert(chat.messages, m);
      this.dirty.messages.set(m.id, m);
    }
    chat.all = away.all;
    cut(chat);
    this.#touch(chat);
  }

  /** Lowest seq of a chat that is here, or undefined: `before` of the next page of history. */
  oldest(chat) {
    return this.shown(chat).messages[0]?.seq;
  }

  /** What is not on the screen keeps its newest messages only. */
  trim(chat, keep) {
    if (chat.messages.length <= keep) return;
    for (const m of chat.messages.splice(0, chat.messages.length - keep)) chat.ids.delete(m.id);
    chat.all = false;
    cut(chat);
  }
}
