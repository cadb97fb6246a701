// SPDX-License-Identifier: MIT
// What this user has and has read, told to the server: once, and again only where it may have been lost. Pure.

const KEPT_MS = 1500; // a gateway that took it has stored it by then, or said that it did not

export class Receipts {
  #doubt = new Set(); // chats of which it is not sure yet that the server has what it was told

  constructor(model) {
    this.model = model;
  }

  /** Send what the server does not know yet. `send(f)` is false when there is no connection. True when something was sent. */
  tell(send, now) {
    let sent = false;
    for (const chat of this.model.chats.values()) {
      if (chat.left || chat.blocked || !chat.top) continue;
      const told = (chat.told ??= { ...chat.mine });
      const f = { t: "receipt", chatId: chat.chatId };
      if (chat.top > Math.max(told.delivered, chat.mine.delivered)) f.delivered = chat.top;
      if (chat.readHere > Math.max(told.read, chat.mine.read)) f.read = chat.readHere;
      if (!f.delivered && !f.read) continue;
      if (chat.kind === "direct") f.peer = chat.peer;
      if (!send(f)) return sent;
      chat.told = { delivered: f.delivered ?? told.delivered, read: f.read ?? told.read, at: now };
      this.#doubt.add(chat);
      sent = true;
    }
    return sent;
  }

  /** Something was heard of the server at `heardAt`: what it was told long enough before, it has. */
  settle(heardAt) {
    for (const chat of this.#doubt) {
      if (heardAt - chat.told.at < KEPT_MS) continue;
      this.#doubt.delete(chat);
      const { mine, told } = chat;
      chat.mine = { delivered: Math.max(mine.delivered, told.delivered), read: Math.max(mine.read, told.read) };
      this.model.dirty.chats.add(chat);
    }
  }

  /** An `error` about the receipt of a chat: it was not taken. */
  refused(chatId) {
    const chat = this.model.chats.get(chatId);
    if (!chat) return;
    chat.told = null;
    this.#doubt.delete(chat);
  }

  /** The connection is lost: what was told last may be, too. */
  down() {
    for (const chat of this.#doubt) chat.told = null;
    this.#doubt.clear();
  }
}
