// SPDX-License-Identifier: MIT
// Which part of a long list is drawn. Pure: numbers only.

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
