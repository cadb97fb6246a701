// SPDX-License-Identifier: MIT
// What a user marked for himself, what stands above the others in a chat, who may do what there, and what is known of a poll.
// Pure, but for Drafts, which tells the server what is being written.

const PAUSE_MS = 1200; // in writing
const PINNED_MESSAGES = 3; // of a chat
const CONTROLS = /[\0-\x08\x0b-\x1f\x7f-\x9f]/; // a draft has none
const RIGHTS = { send: "everyone", info: "admins", add: "admins" }; // unless set

/** What was never marked. `seq` orders all marks of a user, and is no seq of a chat. */
export const UNMARKED = { seq: 0, archived: false, pinnedSeq: 0, markedUnread: false, readSeq: 0, draftAfter: 0, mutedUntil: 0 };

/** → marks after a `marked` frame `f`, which names what changed. */
export function marked(before, f) {
  const after = { ...before, seq: f.seq };
  for (const key of ["archived", "mutedUntil"]) if (f[key] !== undefined) after[key] = f[key];
  if (f.pinned !== undefined) after.pinnedSeq = f.pinned ? f.seq : 0;
  if (f.markedUnread !== undefined) Object.assign(after, { markedUnread: f.markedUnread, readSeq: f.readSeq ?? 0 });
  if (f.draft !== undefined) after.draftAfter = f.draftAfter ?? 0;
  return after;
}

/** → pins after a `pinned` frame `f`: the newest three, each message once. */
export function pinned(pins, f) {
  const same = (p) => p.messageSeq === f.messageSeq && (!p.messageId || !f.messageId || p.messageId === f.messageId);
  if (pins.some((p) => same(p) && p.seq >= f.seq)) return pins;
  const { seq, messageId, messageSeq, by, at } = f;
  const after = pins.filter((p) => !same(p));
  if (f.pinned) after.push({ seq, messageId, messageSeq, by, at });
  return after.sort((a, b) => a.seq - b.seq).slice(-PINNED_MESSAGES);
}

/** Which rights `f` has that are others than those of the chat. */
export function changedRights(chat, f) {
  return Object.fromEntries(Object.keys(RIGHTS).filter((r) => f[r] && f[r] !== rightOf(chat, r)).map((r) => [r, f[r]]));
}

export const rightOf = (chat, right) => chat.rights?.[right] ?? RIGHTS[right];

/** May this user `send`, change `info`, `add` people? */
export function may(chat, right) {
  if (chat.left || chat.deleted) return false;
  return chat.kind === "direct" || chat.role !== "member" || rightOf(chat, right) === "everyone";
}

/** → what is known of a poll after the server told `p` of it. Of results and votes those with the highest seq count. */
export function toldPoll(before, p) {
  if (!before) return p;
  const level = p.seq >= (before.seq ?? 0); // the frame of a message tells no result
  const { counts, voters, seq } = level ? p : before;
  const mine = (p.mine?.seq ?? (level ? p.seq : -1)) >= (before.mine?.seq ?? 0) ? p.mine : before.mine;
  return { ...before, ...p, counts, voters, seq, mine, closed: p.closed ?? before.closed, behind: before.behind > (p.seq ?? 0) ? before.behind : undefined };
}

/** → counts and voters when this user chose `options` in place of what he chose before. */
export function recounted(poll, options) {
  const was = poll.mine?.options ?? [];
  const counts = poll.options.map((_, i) => Math.max(0, (poll.counts?.[i] ?? 0) + options.includes(i) - was.includes(i)));
  return { counts, voters: Math.max(0, (poll.voters ?? 0) + Boolean(options.length) - Boolean(was.length)) };
}

/** → the poll after a frame `vote` or `poll_closed`, or null when that says nothing new. What is behind has to be asked for. */
export function pollAfter(poll, f) {
  if (f.t === "poll_closed") {
    const late = poll.mine?.seq > f.seq; // it counts for nothing
    return poll.closed ? null : { ...poll, closed: { seq: f.seq, at: f.at }, mine: late ? undefined : poll.mine, ...(late && recounted(poll, [])), behind: f.seq };
  }
  const own = f.clientId !== undefined;
  if (f.seq <= (own ? poll.mine?.seq ?? 0 : Math.max(poll.seq ?? 0, poll.behind ?? 0))) return null;
  if (!own) return { ...poll, behind: f.seq };
  if (f.seq > poll.closed?.seq || f.at >= poll.closesAt) return null;
  const options = f.options ?? [];
  const counted = f.seq > (poll.seq ?? 0) && { ...recounted(poll, options), seq: f.seq };
  return { ...poll, ...counted, mine: { seq: f.seq, options }, behind: poll.behind };
}

/** Does it take no more votes? */
export const pollIsOver = (poll, now) => Boolean(poll.closed) || poll.closesAt <= now;

export const isMuted = (chat) => chat.marks.mutedUntil > Date.now();

/** What is being written is told when somebody pauses, so that it stands in the field of his other devices. */
export class Drafts {
  #timers = new Map(); // chat → timer

  constructor(engine) {
    Object.assign(this, { engine, model: engine.model });
  }

  /** Something was written; `wait` ms later the server is told, unless more is written. */
  later(chat, wait = PAUSE_MS) {
    clearTimeout(this.#timers.get(chat));
    this.#timers.set(chat, setTimeout(() => this.tell(chat), wait));
  }

  sent(chat) {
    clearTimeout(this.#timers.get(chat));
    this.#timers.delete(chat);
  }

  /** What was written before there was a connection. */
  ready() {
    for (const chat of this.model.chats.values()) if (chat.unsaved) this.later(chat);
  }

  async tell(chat) {
    this.sent(chat);
    const { engine, model } = this;
    const { draft } = chat;
    if (!chat.unsaved || engine.stopped || !engine.can.has("drafts")) return;
    if (draft === chat.kept || chat.left || CONTROLS.test(draft) || new Blob([draft]).size > (engine.limits.draftBytes ?? 0)) return model.saved(chat);
    if (engine.state !== "on") return; // told after the next `ready`
    if (model.outbox.some((m) => m.chatId === chat.chatId && m.state !== "failed")) return this.later(chat); // it would end what is written behind it
    const last = chat.messages.at(-1)?.seq ?? chat.last?.seq ?? 0;
    try {
      await engine.mark(chat, { draft, draftAfter: Math.max(last, chat.spoke) }, draft);
    } catch (e) {
      if ([0, 429, 503].includes(e.status)) this.later(chat, e.retryAfterMs + 5 * PAUSE_MS * (1 + Math.random()));
      else model.saved(chat); // it stays on this device
    }
  }

  stop() {
    this.#timers.forEach(clearTimeout);
  }
}
