// SPDX-License-Identifier: MIT
// Which part of a long list is drawn, and which lines about a chat are lacking. Pure: numbers only.

export const ROWS_MAX = 200; // messages on the screen and around it
const STEP = 100;

/** How many of the list, which is sorted by seq, stand at or below `seq`: the place of the first one above it. */
export function above(list, seq) {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle].seq <= seq) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Lines about a chat are held between its `lineFrom` and `lineTo`; there are some up to `lineSeq`, and they are shown from the
 * first message on that is held. → what to ask for, {after, before?}: without `before` it pages forward, with it back. null: none lack.
 */
export function lacking(chat) {
  if (!chat.all && !chat.messages.length) return null;
  const from = chat.all ? 1 : chat.messages[0].seq;
  if (chat.lineTo < 0) Object.assign(chat, { lineTo: chat.lineSeq, lineFrom: chat.lineSeq + 1 });
  if (chat.lineSeq > chat.lineTo) return { after: Math.max(chat.lineTo, from - 1) };
  return from < chat.lineFrom ? { after: from - 1, before: chat.lineFrom } : null;
}

/** A page came for what `lacking` said: where it stood, and whether there are more. */
export function came(chat, { after, before }, seqs, more) {
  if (before === undefined) chat.lineTo = more && seqs.length ? seqs.at(-1) : Math.max(chat.lineSeq, chat.lineTo, seqs.at(-1) ?? 0);
  else chat.lineFrom = more && seqs.length ? seqs[0] : after + 1;
}

/** The beginning of what was held is held no more. */
export function cut(chat) {
  const first = chat.messages[0]?.seq ?? Infinity;
  if (first > chat.lineTo) chat.lineTo = -1;
  else chat.lineFrom = Math.max(chat.lineFrom, first);
}

/**
 * A window of at most ROWS_MAX places over a list that grows at both ends. It is held by seqs, so that it stays where it is
 * when something comes before it. `to` is Infinity while it follows the end.
 */
export class Rows {
  from = 0;
  to = Infinity;

  /** → [first, behind the last] of `list`. `following`: what is too much leaves at the top, otherwise at the bottom. */
  range(list, following) {
    const end = this.to === Infinity ? list.length : above(list, this.to);
    const start = Math.min(above(list, this.from - 1), end);
    if (end - start <= ROWS_MAX) return [start, end];
    return following ? this.#set(list, end - ROWS_MAX, end) : this.#set(list, start, start + ROWS_MAX);
  }

  #set(list, start, end) {
    this.from = list[start]?.seq ?? 0;
    this.to = end < list.length ? list[end - 1].seq : Infinity;
    return [start, end];
  }

  end(list) {
    return this.#set(list, Math.max(0, list.length - STEP), list.length);
  }

  /** Around the place `at`, more of it behind. */
  around(list, at) {
    const start = Math.max(0, at - STEP / 2);
    return this.#set(list, start, Math.min(list.length, start + ROWS_MAX / 2));
  }

  /** False: all of the list above is drawn. */
  up(list) {
    const [start, end] = this.range(list, false);
    if (start === 0) return false;
    const first = Math.max(0, start - STEP);
    this.#set(list, first, Math.min(end, first + ROWS_MAX));
    return true;
  }

  down(list) {
    const [start, end] = this.range(list, false);
    if (end === list.length) return false;
    const last = Math.min(list.length, end + STEP);
    this.#set(list, Math.max(start, last - ROWS_MAX), last);
    return true;
  }
}
