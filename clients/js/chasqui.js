// SPDX-License-Identifier: MIT
// A client of docs/protocol.md. signIn() or link() gives a Session; a Client of it keeps one socket and gives events in order, a Book
// merges them.
export { approve, changeNumber, deleteAccount, link } from "./account.js";
export { Book } from "./book.js";
export { Client } from "./client.js";
export { Full, Refused } from "./outbox.js";
export { ApiError, Session, SignedOut, signIn } from "./session.js";
