// SPDX-License-Identifier: MIT

/** A random UUID; crypto.randomUUID is only there on https and localhost. */
export function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const b = crypto.getRandomValues(new Uint8Array(16));
  b[6] = (b[6] & 0x0f) | 0x40;
  b[8] = (b[8] & 0x3f) | 0x80;
  const hex = [...b].map((x) => x.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Full jitter: uniform in (0, min(cap, base · 2^attempt)]. */
export const backoff = (attempt, base, cap) => 1 + Math.random() * Math.min(cap, base * 2 ** attempt);

/**
 * A function that runs `fn` once after the current burst of events, however often it is called. Not a timer:
 * browsers slow those down to one a minute in hidden tabs, and the server wants its `ok` within 10 s.
 */
export function soon(fn) {
  const channel = new MessageChannel();
  let asked = false;
  channel.port1.onmessage = () => {
    asked = false;
    fn();
  };
  return () => {
    if (asked) return;
    asked = true;
    channel.port2.postMessage(0);
  };
}

/** An element with text content; never markup. */
export function el(tag, className, text) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = text;
  return e;
}

/** A sign of the page's set: `#i-…` in index.html. `label`: for whom it is not only decoration. */
export function icon(name, label) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.append(document.createElementNS("http://www.w3.org/2000/svg", "use"));
  svg.firstChild.setAttribute("href", `#i-${name}`);
  if (label) {
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", label);
  } else {
    svg.setAttribute("aria-hidden", "true");
  }
  return svg;
}

/** "+49 155-500" and "0049…" as E.164, or null. */
export function phoneNumber(text) {
  const s = text.trim().replace(/[\s().-]/g, "").replace(/^00/, "+");
  return /^\+[1-9]\d{7,14}$/.test(s) ? s : null;
}
