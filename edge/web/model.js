// SPDX-License-Identifier: MIT
// What this device knows: chats, messages, ticks. Pure: no network, no storage, no DOM. Everything here may be told
// twice and in any order: messages are known by id, cursors only grow.

const bySeq = (a, b) => a.seq - b.seq;

/** Put `m` into the sorted list. */
function insert(list, m) {
  let at = list.length;
  while (at > 0 && bySeq(list[at - 1], m) > 0) at--;
  list.splice(at, 0, m);
}

export class Model {
  constructor(me) {
    this.me = me;
    this.chats = new Map(); // chatId → chat
    this.outbox = []; // own messages without a verdict, in the order of sending
    this.dirty = { chats: new Set(), messages: new Map(), outbox: new Map() }; // to be stored; null: to be removed
  }

  /** The chat, made when it is not known yet (`known` is false until the server has described it). */
  chat(chatId) {
    let chat = this.chats.get(chatId);
    if (!chat) {
      chat = {
        chatId, kind: "group", name: "", peer: null, role: "member", members: null, names: {}, known: false, left: false,
        last: null, // last message
        unread: 0, unreadSeq: 0, // others' messages up to unreadSeq are counted in unread, or read
        delivered: 0, read: 0, // ticks: what all others have
        mine: { delivered: 0, read: 0 }, // what the server is known to have of us
        readHere: 0, // what was on the screen
        top: 0, // highest seq of others that this device holds
        all: false, // nothing older is on the server
        messages: [], ids: new Map(),
      };
      this.chats.set(chatId, chat);
    }
    return chat;
  }

  /** What the server says of a chat, by REST. */
  describe(c) {
    const chat = this.chat(c.chatId);
    chat.known = true;
    chat.left = c.role === "left";
    chat.kind = c.kind;
    if (c.name !== undefined) chat.name = c.name;
    if (c.peer) chat.peer = c.peer.userId ?? c.peer;
    if (c.role) chat.role = c.role;
    if (c.members) chat.members = c.members;
    for (const m of c.members ?? []) chat.names[m.userId] = m.name; // kept for those who leave
    if (c.lastMessage && c.lastMessage.seq >= (chat.last?.seq ?? 0)) chat.last = c.lastMessage;
    const asOf = c.lastMessage?.seq ?? 0;
    if (c.unread !== undefined && asOf >= chat.unreadSeq) {
      chat.unread = c.unread;
      chat.unreadSeq = asOf;
    }
    chat.delivered = Math.max(chat.delivered, c.delivered ?? 0);
    chat.read = Math.max(chat.read, c.read ?? 0);
    chat.mine.delivered = Math.max(chat.mine.delivered, c.mySeq?.delivered ?? 0);
    chat.mine.read = Math.max(chat.mine.read, c.mySeq?.read ?? 0);
    if (Math.max(chat.mine.read, chat.readHere) >= chat.unreadSeq) chat.unread = 0;
    this.dirty.chats.add(chat);
    return chat;
  }

  /** A message from a live frame or by REST. True when it is new here. `live`: it may raise the unread count. */
  message(m, live) {
    const chat = this.chat(m.chatId);
    if (m.from === this.me) this.verdict(m.clientId);
    if (!chat.known && m.peer) {
      chat.kind = "direct";
      chat.peer = m.from === this.me ? m.peer : m.from;
    }
    if (chat.ids.has(m.id)) return false;
    const kept = {
      id: m.id, clientId: m.clientId, chatId: m.chatId, seq: m.seq, from: m.from, type: m.type, content: m.content, sentAt: m.sentAt,
      mediaId: m.mediaId,
    };
    chat.ids.set(m.id, kept);
    insert(chat.messages, kept);
    if (m.seq > (chat.last?.seq ?? 0)) chat.last = kept;
    if (m.from !== this.me) {
      chat.top = Math.max(chat.top, m.seq);
      if (live && m.seq > Math.max(chat.unreadSeq, chat.mine.read, chat.readHere)) chat.unread++;
    }
    if (live) chat.unreadSeq = Math.max(chat.unreadSeq, m.seq);
    this.dirty.messages.set(m.id, kept);
    this.dirty.chats.add(chat);
    return true;
  }

  ticks(t) {
    const chat = this.chat(t.chatId);
    chat.delivered = Math.max(chat.delivered, t.delivered ?? 0);
    chat.read = Math.max(chat.read, t.read ?? 0);
    this.dirty.chats.add(chat);
  }

  /** A `read` frame: this user read up to `seq` on another device. What is unread is then among what is held. */
  readElsewhere({ chatId, seq }) {
    const chat = this.chats.get(chatId);
    if (!chat || seq <= chat.mine.read) return;
    chat.mine.read = seq;
    const left = chat.messages.filter((m) => m.from !== this.me && m.seq > Math.max(seq, chat.readHere)).length;
    chat.unread = seq >= chat.unreadSeq ? 0 : Math.min(chat.unread, left);
    this.dirty.chats.add(chat);
  }

  /** A `chat` frame: a group began or was renamed. */
  group(f) {
    const chat = this.chat(f.chatId);
    chat.kind = "group";
    chat.name = f.name;
    chat.left = false;
    if (f.members) {
      chat.role = f.members.find((m) => m.userId === this.me)?.role ?? "member";
    }
    this.dirty.chats.add(chat);
  }

  /** A `member` frame. True when the chat has to be asked for again. */
  membership(f) {
    const chat = this.chat(f.chatId);
    let again = true;
    for (const { userId, change } of f.changes) {
      const role = { promote: "admin", demote: "member", make_owner: "owner" }[change];
      if (chat.members && change === "remove") chat.members = chat.members.filter((m) => m.userId !== userId);
      if (chat.members && role) chat.members = chat.members.map((m) => (m.userId === userId ? { ...m, role } : m));
      if (userId !== this.me) continue;
      if (change === "remove") {
        chat.left = true;
        again = false;
      } else if (change === "add") {
        chat.left = false;
        chat.all = false;
      } else {
        chat.role = role ?? chat.role;
      }
    }
    this.dirty.chats.add(chat);
    return again;
  }

  /** Everything up to seq was read here. */
  readUpTo(chat, seq) {
    if (seq <= chat.readHere && chat.unread === 0) return;
    chat.readHere = Math.max(chat.readHere, seq);
    chat.unread = 0;
    this.dirty.chats.add(chat);
  }

  // Own messages on their way. state: "new" (to be sent), "sent" (on this socket), "acked" (stored), "failed"

  compose(chat, content, clientId, now, type = "text", mediaId = undefined) {
    const m = {
      clientId, chatId: chat.chatId, peer: chat.kind === "direct" ? chat.peer : undefined, type, content, mediaId, sentAt: now,
      state: "new", id: null, code: null, order: Math.max(now, (this.outbox.at(-1)?.order ?? 0) + 1),
    };
    this.outbox.push(m);
    this.dirty.outbox.set(clientId, m);
    return m;
  }

  outgoing(clientId) {
    return this.outbox.find((m) => m.clientId === clientId);
  }

  acked(clientId, id) {
    const m = this.outgoing(clientId);
    if (!m) return;
    m.state = "acked";
    m.id = id;
    this.dirty.outbox.set(clientId, m);
  }

  failed(clientId, code) {
    const m = this.outgoing(clientId);
    if (!m) return;
    m.state = "failed";
    m.code = code;
    this.dirty.outbox.set(clientId, m);
  }

  /** The message stands in the log: it is not under way any more. */
  verdict(clientId) {
    const at = this.outbox.findIndex((m) => m.clientId === clientId);
    if (at < 0) return;
    this.outbox.splice(at, 1);
    this.dirty.outbox.set(clientId, null);
  }

  /** none | sent | delivered | read, of a message of ours; "none" for others' and for what is not stored yet. */
  tick(chat, m) {
    if (m.state) return m.state === "acked" ? "sent" : "none";
    if (m.from !== this.me) return "none";
    if (m.seq <= chat.read) return "read";
    return m.seq <= chat.delivered ? "delivered" : "sent";
  }

  /** Chats, latest first. */
  sorted() {
    const time = (c) => Math.max(c.last?.sentAt ?? 0, c.touchedAt ?? 0);
    return [...this.chats.values()].filter((c) => c.known || c.last || c.name).sort((a, b) => time(b) - time(a));
  }

  /** Lowest seq held of a chat, or undefined: `before` of the next page of history. */
  oldest(chat) {
    return chat.messages[0]?.seq;
  }
}
