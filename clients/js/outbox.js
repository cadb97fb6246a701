// SPDX-License-Identifier: MIT
// What was sent and has no verdict yet, in order. Pure: it is told the time, and says what goes out now.

const OUTBOX_MAX = 1000;
const ACK_WAIT_MS = 10000; // then it is sent again
const VERDICT_WAIT_MS = 30000; // after the ack; then it is sent again, and the first verdict comes once more

/** Too much is waiting for its verdict. Send again later. */
export class Full extends Error {}

/** The server said no, for good. `code` as of `nack` or `rejected`. */
export class Refused extends Error {
  /** @param {string} code @param {any} frame */
  constructor(code, frame) {
    super(`${code}: ${JSON.stringify(frame)}`);
    this.code = code;
    this.frame = frame;
  }
}

/**
 * @typedef {{frame: any, yes: (frame: any) => void, no: (error: Error) => void, state: "new" | "sent" | "acked", since: number}} Entry
 */

export class Outbox {
  constructor(inFlightMax = 32) {
    this.inFlightMax = inFlightMax;
    /** @type {Map<string, Entry>} by clientId, in order of sending */
    this.entries = new Map();
    this.waitUntil = 0;
    this.probe = false; // after a nack one goes first, and the others when it was acked
  }

  /** @param {any} frame @returns {Promise<any>} the verdict */
  add(frame) {
    if (this.entries.size >= OUTBOX_MAX) throw new Full(`${OUTBOX_MAX} sends wait for their verdicts: wait for one of them`);
    return new Promise((yes, no) => this.entries.set(frame.clientId, { frame, yes, no, state: "new", since: 0 }));
  }

  /** Frames to write now, in order; they count as sent. @param {number} now @param {boolean} caughtUp */
  due(now, caughtUp) {
    let late = false;
    let flying = 0;
    for (const entry of this.entries.values()) {
      if (entry.state !== "sent") continue;
      late ||= now - entry.since >= ACK_WAIT_MS;
      if (late) entry.state = "new";
      else flying++;
    }
    const frames = [];
    if (now < this.waitUntil) return frames;
    for (const entry of this.entries.values()) {
      if (flying + frames.length >= (this.probe ? 1 : this.inFlightMax)) break;
      const lost = entry.state === "acked" && caughtUp && now - entry.since >= VERDICT_WAIT_MS;
      if (entry.state !== "new" && !lost) continue;
      entry.state = "sent";
      entry.since = now;
      frames.push(entry.frame);
    }
    return frames;
  }

  /** @param {string} clientId @param {number} now */
  acked(clientId, now) {
    this.probe = false;
    const entry = this.entries.get(clientId);
    if (entry) Object.assign(entry, { state: "acked", since: now });
  }

  /** The entry, when the refusal is final. Else it goes again, and all that was sent after it, in order. @param {any} frame @param {number} now */
  nacked(frame, now) {
    const entry = this.entries.get(frame.clientId);
    if (!entry) return undefined;
    if (!(frame.retryAfter > 0)) return this.verdict(frame.clientId);
    if (entry.state !== "sent") return undefined; // one of those behind the first: they go again with it
    let behind = false;
    for (const later of this.entries.values()) {
      behind ||= later === entry;
      if (behind && later.state === "sent") later.state = "new";
    }
    this.probe = true;
    this.waitUntil = now + frame.retryAfter * (1 + 0.2 * Math.random());
    return undefined;
  }

  /** @param {string} clientId */
  verdict(clientId) {
    const entry = this.entries.get(clientId);
    this.entries.delete(clientId);
    return entry;
  }

  /** The socket is gone: what has no ack is unknown, and the same clientId makes sending again harmless. */
  lost() {
    for (const entry of this.entries.values()) if (entry.state === "sent") entry.state = "new";
    this.waitUntil = 0;
    this.probe = false;
  }
}
