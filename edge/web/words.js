// SPDX-License-Identifier: MIT
// What people read: names, times, the one line that stands for a message, and what codes of the server mean.

import { changedRights } from "./marks.js";

export const STATES = { off: "No connection, trying again…", connecting: "Connecting…", syncing: "Catching up…", on: "Online" };
export const TICKS = { none: "🕓", sent: "✓", delivered: "✓✓", read: "✓✓" };
export const TICK_WORDS = { none: "Waiting to be sent", sent: "Sent", delivered: "Delivered", read: "Read" };
const REASONS = {
  not_found: "you are not in this chat", forbidden: "not allowed", too_large: "too long", bad_request: "not accepted",
  conflict: "already sent with another text", too_late: "the time of its end is over", too_many_members: "too many members", too_many_chats: "you wrote to too many new people today",
};
const CODES = {
  bad_code: "That code is not right, or too old.",
  too_late: "It is too late for that.",
  forbidden: "You are not allowed to do that.",
  log_full: "The server is full at the moment. Try again later.",
  log_cut: "The server takes no messages at the moment. Try again later.",
  restoring: "Accounts are being restored. Try again in a few minutes.",
  view_incomplete: "The server is starting. Try again in a minute.",
  rate_limited: "That was too much at once. Wait a little and try again.",
  quota_exceeded: "You sent as many files as you may today.",
  store_full: "The server has no room for files at the moment.",
  too_many_blocks: "You block as many people as you can. Unblock somebody first.",
  too_many_pins: "You pinned as many chats as you can. Unpin one first.",
  too_many_stars: "You starred as many messages as you can. Take a star back first.",
  number_taken: "An account has that number already. It has to be deleted first.",
  too_many_members: "A group cannot have so many members.",
  too_many_returns: "This person came into the group as often as one can. Make another group.",
  too_many_uses: "As many people as may have joined by that link. Make another one, or add them by number.",
  too_many_invites: "The group has as many links as it can. Revoke one first.",
  too_many_requests: "Too many ask to be let in at the moment. Try again later.",
  too_many_groups: "You are in as many groups as you can. Leave one first.",
  too_large: "That is more than the server takes.",
  conflict: "Something else was chosen meanwhile. Look at it again.",
  poll_closed: "That poll takes no more votes.",
  unauthorized: "You are signed out.",
  unavailable: "The server cannot do that at the moment. Try again in a minute.",
  internal: "Something went wrong on the server. Try again.",
  too_slow: "The connection is too slow for that. Try again.",
  method_not_allowed: "This server cannot do that.",
  not_found: "That is not there any more.",
};
const KINDS = { image: "📷 Picture", video: "🎬 Video", audio: "🎤 Audio", document: "📄 Document" };
const BESIDE = { poll: "📊 Poll", location: "📍 Location", contact: "👤 Contact", voice: "🎤 Voice message" };
const FILES = { image: "Pictures", video: "Videos", audio: "Sounds", document: "Files" };
export const DELETED = "This message was deleted";
export const DELETED_ACCOUNT = "Deleted account";
export const GONE = "This message is gone";
export const TIMERS = { 0: "Off", 86400: "24 hours", 604800: "7 days", 7776000: "90 days" };
const SHORT_TIMERS = { 86400: "24 h", 604800: "7 d", 7776000: "90 d" };
export const RIGHT_WORDS = { send: "send messages", info: "edit the group's info", add: "add people" };
const SHORT_NAME = 18;
const LONG_CHARS = 1000;
const LONG_LINES = 20;
const FOLDED_CHARS = 700;
const FOLDED_LINES = 14;
const TINTS = 8;
export const REACTIONS = ["👍", "❤️", "😂", "😮", "😢", "🙏"];
const LINK = /\bhttps?:\/\/[^\s<>"]+[^\s<>".,;:!?)\]}']/g;

export const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const dayName = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const oldDay = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });
const shortDay = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "numeric" });
const near = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const upper = (s) => s.charAt(0).toUpperCase() + s.slice(1);

/** A number that is the same for all times of a local day. */
export function dayOf(ms) {
  const d = new Date(ms);
  return Math.round(new Date(d.getFullYear(), d.getMonth(), d.getDate()).getTime() / 86400000);
}

/** "Today", "Yesterday", a day, or a date when it is long ago. */
export function dayWords(ms) {
  const ago = dayOf(Date.now()) - dayOf(ms);
  if (ago === 0 || ago === 1) return upper(near.format(-ago, "day"));
  return (ago > 300 || ago < 0 ? oldDay : dayName).format(ms);
}

/** A day and a time that are to come. */
export const until = (ms) => `${shortDay.format(ms)}, ${clock.format(ms)}`;
export const when = (ms) => (ms ? (dayOf(ms) === dayOf(Date.now()) ? clock : shortDay).format(ms) : "");
export const bytes = (n) => (n < 1024 ? `${n} B` : n < 1 << 20 ? `${Math.round(n / 1024)} KB` : `${Math.round(n / (1 << 17)) / 8} MB`.replace(/(\.\d)\d*/, "$1"));
export const reason = (code) => REASONS[code] ?? code;
export const errorWords = (e) => CODES[e.code] ?? e.message;

/** One line for a message: in the list, in a quote. */
export function preview(m) {
  if (m.gone) return GONE;
  if (m.deleted) return DELETED;
  const beside = Object.keys(BESIDE).find((key) => m[key]);
  return [BESIDE[beside] ?? KINDS[m.type], (m.content || m.location?.name || m.contact?.name)?.slice(0, 120).replace(/\s+/g, " ")].filter(Boolean).join(": ");
}

export function tooLarge(type, most, size) {
  return `${FILES[type]} may have up to ${bytes(most)}, this one has ${bytes(size)}.`;
}

export function nameOf(model, userId) {
  if (userId === model.me) return "You";
  return model.deleted.has(userId) ? DELETED_ACCOUNT : model.nameOf(userId) || "Unknown";
}

/** A name that leaves room for what was said. */
export function shortNameOf(model, userId) {
  const chars = [...nameOf(model, userId)];
  return chars.length > SHORT_NAME ? `${chars.slice(0, SHORT_NAME - 1).join("").trimEnd()}…` : chars.join("");
}

export function titleOf(model, chat) {
  if (chat.kind === "direct" && chat.deleted) return DELETED_ACCOUNT;
  return chat.name || (chat.kind === "direct" ? model.nameOf(chat.peer) || "No name" : "Group");
}

/** "Ana added Ben and you" and the like. */
export function eventWords(model, m) {
  const who = nameOf(model, m.from);
  const name = (userId) => (userId === model.me ? "you" : nameOf(model, userId));
  if (m.about === "timer") return m.seconds ? `${who} turned on disappearing messages: new ones vanish after ${timerWords(m.seconds)}` : `${who} turned off disappearing messages`;
  if (m.about === "pinned") return `${who} pinned a message`;
  if (m.about === "description") return m.removed ? `${who} removed the description` : `${who} changed the description`;
  if (m.about === "picture") return m.removed ? `${who} removed the group's picture` : `${who} changed the group's picture`;
  if (m.about === "rights") {
    const before = model.rightsBefore(m);
    const said = Object.entries(before ? changedRights({ rights: before }, m.rights) : m.rights).map(([right, whose]) => `${whose === "everyone" ? "everyone" : "only admins"} ${before ? "" : "can "}${RIGHT_WORDS[right]}`);
    return before && said.length ? said.map((words) => `${who} let ${words}`).join(". ") : [`${who} changed who can do what`, said.join(", ")].filter(Boolean).join(": ");
  }
  if (m.about === "began") return `${who} started the group “${m.name}”`;
  if (m.about === "renamed") return `${who} renamed the group to “${m.name}”`;
  const lines = new Map();
  for (const { userId, change } of m.changes) {
    const self = userId === m.from;
    const verb = (self && { remove: "left", add: "joined" }[change]) || (m.invitedBy && change === "add" ? "let" : change);
    lines.set(verb, [...(lines.get(verb) ?? []), name(userId)]);
  }
  const all = new Intl.ListFormat("en");
  return [...lines].map(([verb, names]) => ({
    add: `${who} added ${all.format(names)}`, remove: `${who} removed ${all.format(names)}`, left: `${who} left`,
    joined: m.invitedBy ? `${who} joined by a link that ${name(m.invitedBy)} made` : `${who} joined`, let: `${who} let ${all.format(names)} in`,
    promote: `${who} made ${all.format(names)} admin`, demote: `${all.format(names)}: no admin any more`, make_owner: `${all.format(names)}: owner now`,
  })[verb] ?? verb).join(". ");
}

export const timerWords = (seconds) => TIMERS[seconds] ?? `${Math.round(seconds / 3600)} hours`;
export const shortTimer = (seconds) => SHORT_TIMERS[seconds] ?? `${Math.round(seconds / 3600)} h`;

/** Two letters that stand for a name; "#" for one without any. */
export function initials(title) {
  const words = title.split(/\s+/).map((word) => word.replace(/^[^\p{L}\p{N}\p{Extended_Pictographic}]+/u, "")).filter(Boolean);
  const letters = [words[0], words.length > 1 ? words.at(-1) : ""].map((word) => [...(word ?? "")][0] ?? "");
  return letters.join("").toUpperCase() || "#";
}

/** The same colour for the same user or chat everywhere. */
export function tint(id) {
  let n = 0;
  for (const c of id) n = (n * 31 + c.codePointAt(0)) >>> 0;
  return n % TINTS;
}

/** Is it folded? */
export const isLong = (text) => text.length > LONG_CHARS || text.split("\n", LONG_LINES + 1).length > LONG_LINES;

/** Of a long text what is shown folded; a link leads where it leads, also when it is cut. */
export function beginning(text) {
  const lines = text.split("\n").slice(0, FOLDED_LINES).join("\n");
  const cut = lines.slice(0, FOLDED_CHARS).replace(/[\ud800-\udbff]$/, "");
  let left = (cut.length < lines.length ? cut.replace(/\s\S{0,40}$/, "") : cut).length;
  const shown = [];
  for (const { text: all, href } of parts(text)) {
    if (left <= 0) break;
    shown.push({ text: all.slice(0, left), href });
    left -= all.length;
  }
  return [...shown, { text: " …" }];
}

/** The parts of a text: [{text, href?}]. */
export function parts(text) {
  const found = [];
  let at = 0;
  for (const match of text.matchAll(LINK)) {
    if (match.index > at) found.push({ text: text.slice(at, match.index) });
    found.push({ text: match[0], href: match[0] });
    at = match.index + match[0].length;
  }
  if (at < text.length) found.push({ text: text.slice(at) });
  return found;
}
