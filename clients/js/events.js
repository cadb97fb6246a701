// SPDX-License-Identifier: MIT
// Printed by clients/print_types from docs/frames.schema.json; docs/protocol.md says what each means.

/** @typedef {{t: "welcome", capabilities: string[],
 *   limits: {contentBytes: number, clientIdChars: number, mentions: number, frameBytes: number}}} Welcome */
/** @typedef {{n: number, t: "ready", session: string, at: string}} Ready */
/** @typedef {{t: "ack", clientId: string, id: string}} Ack */
/** @typedef {{t: "nack", clientId: string, code: string, retryAfter: number}} Nack */
/** @typedef {{n: number, t: "message", id: string, clientId: string, chatId: string, seq: number, from: string, peer?: string,
 *   type: "text" | "image" | "video" | "audio" | "document", content: string, mediaId?: string, replyTo?: {id: string, seq: number},
 *   mentions?: string[], forwarded?: number, location?: {latitude: number, longitude: number, accuracy?: number, name?: string, address?: string},
 *   contact?: {name: string, numbers: string[], userId?: string}, voice?: {durationMs: number, waveform: string},
 *   preview?: {url: string, title?: string, description?: string, mediaId?: string},
 *   poll?: {options: string[], choices: number, anonymous: boolean, closesAt?: number}, sentAt: number, expiresAt?: number}} Message */
/** @typedef {{n: number, t: "rejected", clientId: string, id: string, chatId: string, code: string}} Rejected */
/** @typedef {{n: number, t: "receipt_rejected", chatId: string, code: string}} ReceiptRejected */
/** @typedef {{n: number, t: "status", chatId: string, delivered: number, read: number, except?: {after: number, before: number}[],
 *   at: number}} Status */
/** @typedef {{n: number, t: "read", chatId: string, seq: number, at: number}} Read */
/** @typedef {{n: number, t: "profile", name?: string, about?: string, picture?: string,
 *   privacy?: {lastSeen?: "everyone" | "contacts" | "nobody", picture?: "everyone" | "contacts" | "nobody", about?: "everyone" | "contacts" | "nobody"},
 *   readReceipts?: boolean, at: number}} Profile */
/** @typedef {{n: number, t: "marked", chatId: string, seq: number, archived?: boolean, pinned?: boolean, markedUnread?: boolean, readSeq?: number,
 *   draft?: string, draftAfter?: number, mutedUntil?: number, at: number}} Marked */
/** @typedef {{n: number, t: "chat", chatId: string, seq: number, name: string, by: string, at: number,
 *   members?: ({userId: string, role: "member" | "admin" | "owner"})[]}} Chat */
/** @typedef {{n: number, t: "member", chatId: string, seq: number, by: string, at: number,
 *   changes: ({userId: string, change: "add" | "remove" | "promote" | "demote" | "make_owner"})[], invitedBy?: string}} Member */
/** @typedef {{n: number, t: "request", chatId: string, seq: number, userId: string, by: string, open: boolean, at: number}} Request */
/** @typedef {{n: number, t: "deleted", clientId: string, chatId: string, seq: number, messageId: string, messageSeq: number, by: string,
 *   at: number}} Deleted */
/** @typedef {{n: number, t: "edited", clientId: string, chatId: string, seq: number, messageId: string, messageSeq: number, by: string,
 *   content: string, preview?: {url: string, title?: string, description?: string, mediaId?: string}, at: number}} Edited */
/** @typedef {{n: number, t: "reaction", clientId: string, chatId: string, seq: number, messageId: string, messageSeq: number, by: string,
 *   reaction: string, at: number}} Reaction */
/** @typedef {{n: number, t: "blocked", chatId: string, seq: number, userId: string, at: number}} Blocked */
/** @typedef {{n: number, t: "unblocked", chatId: string, seq: number, userId: string, at: number}} Unblocked */
/** @typedef {{n: number, t: "timer", chatId: string, seq: number, peer?: string, by: string, seconds: number, at: number}} Timer */
/** @typedef {{n: number, t: "picture", chatId: string, seq: number, by: string, picture?: string, at: number}} Picture */
/** @typedef {{n: number, t: "rights", chatId: string, seq: number, by: string, send: "everyone" | "admins", info: "everyone" | "admins",
 *   add: "everyone" | "admins", at: number}} Rights */
/** @typedef {{n: number, t: "hidden", chatId: string, seq: number, messages: {id: string, seq: number}[], at: number}} Hidden */
/** @typedef {{n: number, t: "pinned", clientId?: string, chatId: string, seq: number, messageId?: string, messageSeq: number, by?: string,
 *   pinned: boolean, at: number}} Pinned */
/** @typedef {{n: number, t: "starred", chatId: string, seq: number, messageId: string, messageSeq: number, starred: boolean, at: number}} Starred */
/** @typedef {{n: number, t: "vote", clientId?: string, chatId: string, seq: number, messageId: string, messageSeq: number, options?: number[],
 *   at?: number}} Vote */
/** @typedef {{n: number, t: "poll_closed", clientId: string, chatId: string, seq: number, messageId: string, messageSeq: number, by: string,
 *   at: number}} PollClosed */
/** @typedef {{n: number, t: "media", mediaId: string, chatId: string, width: number, height: number, durationMs: number, thumbnail: boolean}} Media */
/** @typedef {{t: "looking", chatId?: string, userId?: string, until: number}} Looking */
/** @typedef {{t: "typing", chatId: string, userId: string, state: "idle" | "typing" | "recording"}} Typing */
/** @typedef {{t: "presence", userId: string, state: "away" | "here", at?: number}} Presence */
/** @typedef {{t: "pong"}} Pong */
/** @typedef {{t: "error", code: string, message: string, of?: string, clientId?: string, chatId?: string}} Error */
/** @typedef {{n: number, t: "media_deleted", clientId: string, chatId: string, seq: number, by: string, mediaId: string, at: number}} MediaDeleted */
/** @typedef {{n: number, t: "description", clientId: string, chatId: string, seq: number, by: string, description: string, at: number}} Description */
/** @typedef {{n: number, t: "account_deleted", clientId: string, chatId: string, seq: number, by: string, peer?: string,
 *   at: number}} AccountDeleted */
/** @typedef {{t: "auth", token: string}} Auth */
/** @typedef {{t: "message.send", clientId: string, chatId?: string, peer?: string, type: "text" | "image" | "video" | "audio" | "document",
 *   mediaId?: string, content: string, replyTo?: {id: string, seq: number}, mentions?: string[],
 *   location?: {latitude: number, longitude: number, accuracy?: number, name?: string, address?: string},
 *   contact?: {name: string, numbers: string[], userId?: string}, voice?: {durationMs: number, waveform: string},
 *   preview?: {url: string, title?: string, description?: string, mediaId?: string}, forwardedFrom?: number,
 *   poll?: {options: string[], choices?: number, anonymous?: boolean, closesIn?: number}}} MessageSend */
/** @typedef {{t: "message.delete", clientId: string, chatId?: string, peer?: string, messageFrom?: string, messageClientId: string,
 *   messageSeq: number}} MessageDelete */
/** @typedef {{t: "message.edit", clientId: string, chatId?: string, peer?: string, messageClientId: string, messageSeq: number, content: string,
 *   preview?: {url: string, title?: string, description?: string, mediaId?: string}}} MessageEdit */
/** @typedef {{t: "message.react", clientId: string, chatId?: string, peer?: string, messageFrom?: string, messageClientId: string, messageSeq: number,
 *   reaction: string}} MessageReact */
/** @typedef {{t: "message.pin", clientId: string, chatId?: string, peer?: string, messageFrom?: string, messageClientId: string, messageSeq: number,
 *   pinned: boolean}} MessagePin */
/** @typedef {{t: "poll.vote", clientId: string, chatId?: string, peer?: string, messageFrom?: string, messageClientId: string, messageSeq: number,
 *   options: number[]}} PollVote */
/** @typedef {{t: "poll.close", clientId: string, chatId?: string, peer?: string, messageClientId: string, messageSeq: number}} PollClose */
/** @typedef {{t: "receipt", chatId?: string, peer?: string, delivered?: number, read?: number}} Receipt */
/** @typedef {{t: "look", ticket: string}} Look */
/** @typedef {{t: "unlook", chatId?: string, userId?: string}} Unlook */
/** @typedef {{t: "signal", chatId: string, state: "idle" | "typing" | "recording"}} Signal */
/** @typedef {{t: "here"}} Here */
/** @typedef {{t: "away"}} Away */
/** @typedef {{t: "ok", n: number}} Ok */
/** @typedef {{t: "ping"}} Ping */

/** @typedef {Welcome | Ready | Ack | Nack | Message | Rejected | ReceiptRejected | Status | Read | Profile | Marked | Chat | Member | Request |
 *   Deleted | Edited | Reaction | Blocked | Unblocked | Timer | Picture | Rights | Hidden | Pinned | Starred | Vote | PollClosed | Media | Looking |
 *   Typing | Presence | Pong | Error | MediaDeleted | Description | AccountDeleted} Frame */

/** @typedef {Auth | MessageSend | MessageDelete | MessageEdit | MessageReact | MessagePin | PollVote | PollClose | Receipt | Look | Unlook | Signal |
 *   Here | Away | Ok | Ping} Sent */

export {};
