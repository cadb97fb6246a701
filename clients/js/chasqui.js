// SPDX-License-Identifier: MIT
// A client of docs/protocol.md. signIn() gives a Session; a Client of it keeps one socket and gives events in order.
export { Client } from "./client.js";
export { Full, Refused } from "./outbox.js";
export { ApiError, Session, SignedOut, signIn } from "./session.js";
