// SPDX-License-Identifier: MIT
// What survives a reload, in IndexedDB, one database a user. A cursor is written in one transaction with all that
// came before it, so that it never promises more than is there. Several tabs may write: everything is keyed by id.

import { cut } from "./rank.js";

export const KEPT_A_CHAT = 200; // messages; older ones come from the server when asked for
const KEPT_CHATS = 500;
const KEPT_PEOPLE = 5000;
export const PUSH_KEY = "chasqui.push"; // in localStorage: this browser is notified while the page is closed
const NAME = "chasqui-"; // of a database, and the user's id
const ERASE_MS = 3000; // another window may be slow to let go

const asked = (request) =>
  new Promise((done, fail) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => fail(request.error);
  });

/** The lasting part of a chat. `all` is not: old messages are dropped. */
function kept(chat) {
  const { messages, ids, all, told, loading, finding, notBefore, pending, draft, replyTo, unsaved, away, ...rest } = chat;
  return rest;
}

/** No worker of this page is woken any more, and nothing that it showed stays. */
async function unsubscribed() {
  localStorage.removeItem(PUSH_KEY);
  const registration = await navigator.serviceWorker?.getRegistration("/");
  if (!registration) return;
  for (const n of await registration.getNotifications()) n.close();
  await (await registration.pushManager?.getSubscription())?.unsubscribe();
  await registration.unregister();
}

export class Store {
  #db = null;

  /** Where the browser keeps no databases everything is fetched anew at each start. */
  async open(userId) {
    try {
      const request = indexedDB.open(NAME + userId, 3);
      request.onupgradeneeded = ({ oldVersion }) => {
        const db = request.result;
        if (oldVersion < 1) {
          db.createObjectStore("about");
          db.createObjectStore("chats", { keyPath: "chatId" });
          db.createObjectStore("messages", { keyPath: "id" });
          db.createObjectStore("outbox", { keyPath: "clientId" });
        }
        if (oldVersion < 2) db.createObjectStore("uploads", { keyPath: "id" });
        if (oldVersion < 3) {
          db.createObjectStore("drafts", { keyPath: "chatId" });
          db.createObjectStore("people", { keyPath: "userId" });
        }
      };
      this.#db = await asked(request);
      this.#db.onversionchange = () => this.close(); // another window erases it, or is newer
    } catch {
      this.#db = null;
    }
  }

  /** Fill `model`; → the saved cursor or "". */
  async load(model) {
    if (!this.#db) return "";
    const tx = this.#db.transaction(["about", "chats", "messages", "outbox", "drafts", "people"]);
    const [cursor, chats, messages, outbox, drafts, people] = await Promise.all([
      asked(tx.objectStore("about").get("cursor")),
      asked(tx.objectStore("chats").getAll()),
      asked(tx.objectStore("messages").getAll()),
      asked(tx.objectStore("outbox").getAll()),
      asked(tx.objectStore("drafts").getAll()),
      asked(tx.objectStore("people").getAll(undefined, KEPT_PEOPLE)),
    ]);
    for (const p of people) {
      if (p.deleted) model.deleted.add(p.userId);
      if (p.name) model.people.set(p.userId, p.name);
      if (p.picture) model.pictures.set(p.userId, p.picture);
      if (p.number) model.numbers.set(p.userId, p.number);
    }
    for (const { names, ...c } of chats) {
      Object.assign(model.chat(c.chatId), c);
      for (const [userId, name] of Object.entries(names ?? {})) model.named(userId, name); // where older versions kept them
    }
    for (const d of drafts) Object.assign(model.chat(d.chatId), { draft: d.text, replyTo: d.replyTo ?? null, unsaved: Boolean(d.unsaved) });
    for (const m of messages) {
      const chat = model.chats.get(m.chatId);
      if (!chat || chat.ids.has(m.id) || /^event-\d+$/.test(m.id)) continue; // older versions kept one line of all chats under an id
      chat.ids.set(m.id, m);
      chat.messages.push(m);
      if (m.expiresAt && !m.gone) model.expiring.set(m, chat);
    }
    for (const chat of model.chats.values()) if (chat.last?.expiresAt && !chat.ids.has(chat.last.id)) model.expiring.set(chat.last, chat);
    const surplus = this.#prune(model);
    model.outbox = outbox.sort((a, b) => a.order - b.order).map((m) => ({ ...m, state: m.state === "sent" ? "new" : m.state }));
    for (const m of [...model.outbox]) if (model.chats.get(m.chatId)?.messages.some((k) => k.clientId === m.clientId)) model.verdict(m.clientId);
    if (surplus.length) {
      const old = this.#db.transaction("messages", "readwrite").objectStore("messages");
      for (const id of surplus) old.delete(id);
    }
    return cursor ?? "";
  }

  /** Sort, and keep the newest; → ids of the rest. */
  #prune(model) {
    const surplus = [];
    model.sorted().forEach((chat, rank) => {
      chat.messages.sort((a, b) => a.seq - b.seq);
      const kept = rank < KEPT_CHATS ? KEPT_A_CHAT : 0;
      const gone = chat.messages.splice(0, Math.max(0, chat.messages.length - kept));
      for (const m of gone) {
        chat.ids.delete(m.id);
        surplus.push(m.id);
      }
      cut(chat);
    });
    return surplus;
  }

  /** Write what changed in `model`, with the cursor when it is given. */
  async save(model, cursor) {
    const { dirty } = model;
    if (!this.#db || (cursor === undefined && Object.values(dirty).every((d) => !d.size))) return;
    const tx = this.#db.transaction(["about", "chats", "messages", "outbox", "drafts", "people"], "readwrite");
    for (const chat of dirty.chats) {
      tx.objectStore("chats").put(kept(chat));
    }
    for (const m of dirty.messages.values()) tx.objectStore("messages").put(m);
    for (const [clientId, m] of dirty.outbox) {
      if (m) tx.objectStore("outbox").put(m);
      else tx.objectStore("outbox").delete(clientId);
    }
    for (const { chatId, draft, replyTo, unsaved } of dirty.drafts) {
      if (draft || replyTo || unsaved) tx.objectStore("drafts").put({ chatId, text: draft, replyTo, unsaved });
      else tx.objectStore("drafts").delete(chatId);
    }
    for (const userId of dirty.people) tx.objectStore("people").put({ userId, name: model.people.get(userId), picture: model.pictures.get(userId), number: model.numbers.get(userId), deleted: model.deleted.has(userId) });
    if (cursor !== undefined) tx.objectStore("about").put(cursor, "cursor");
    for (const d of Object.values(dirty)) d.clear();
    await new Promise((done) => {
      tx.oncomplete = tx.onabort = tx.onerror = done; // a full disk costs a longer sync, nothing else
    });
  }

  /** Files on their way: {id, chatId, file, …}, and whether each is paused. */
  async uploads() {
    if (!this.#db) return [];
    const tx = this.#db.transaction(["about", "uploads"]);
    const found = await asked(tx.objectStore("uploads").getAll());
    const paused = await Promise.all(found.map((u) => asked(tx.objectStore("about").get(`paused-${u.id}`))));
    return found.map((u, i) => ({ ...u, paused: Boolean(paused[i]) }));
  }

  /** The file is copied: a disk that is too full for it costs the resuming after a reload, nothing else. */
  keepUpload(upload) {
    this.#db?.transaction("uploads", "readwrite").objectStore("uploads").put(upload);
  }

  pauseUpload(id, paused) {
    const about = this.#db?.transaction("about", "readwrite").objectStore("about");
    if (paused) about?.put(true, `paused-${id}`);
    else about?.delete(`paused-${id}`);
  }

  /** After what was saved before: both are written into `about`, and so in turn. */
  forgetUpload(id) {
    const tx = this.#db?.transaction(["about", "uploads"], "readwrite");
    tx?.objectStore("uploads").delete(id);
    tx?.objectStore("about").delete(`paused-${id}`);
  }

  /** Forget everything: the log is another one. */
  async wipe() {
    if (!this.#db) return;
    const tx = this.#db.transaction(["about", "chats", "messages", "uploads", "drafts", "people"], "readwrite");
    for (const name of tx.objectStoreNames) tx.objectStore(name).clear();
    await new Promise((done) => {
      tx.oncomplete = tx.onabort = done;
    });
  }

  close() {
    this.#db?.close();
    this.#db = null;
  }

  /** Nothing of anybody stays in this browser. */
  static async eraseAll(userId) {
    const names = (await indexedDB.databases?.().catch(() => []))?.map((d) => d.name) ?? [];
    const gone = [...new Set([...names, ...(userId ? [NAME + userId] : [])])].filter((name) => name.startsWith(NAME)).map((name) => asked(indexedDB.deleteDatabase(name)));
    const cached = (await globalThis.caches?.keys().catch(() => []))?.map((name) => caches.delete(name)) ?? [];
    await Promise.race([Promise.allSettled([...gone, ...cached, unsubscribed()]), new Promise((done) => setTimeout(done, ERASE_MS))]);
  }
}
