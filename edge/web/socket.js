// SPDX-License-Identifier: MIT
// One WebSocket at a time, opened again for ever: authentication, `ok`, ping, jittered reconnection.
import { backoff, soon } from "./util.js";

const PING_MS = 10000;
const SILENCE_MS = 5000; // after a ping
const CAP_MS = 30000;
const AUTH_REFUSED = 4401;

export class Socket {
  #urls;
  #token;
  #on;
  #ws = null;
  #attempt = 0;
  #url = 0;
  #timer = 0;
  #pinger = 0;
  #lastSeen = 0;
  #n = 0;
  #okSent = 0;
  #refused = null; // token of a socket closed with 4401
  #used = null;
  #stopped = false;
  #ok = soon(() => this.#sendOk());

  /**
   * `urls` are tried in turn. `token(bad)` gives an access token, or null to end. `on` has
   * frame(f), up() after the authentication is sent, down().
   */
  constructor(urls, token, on) {
    this.#urls = urls;
    this.#token = token;
    this.#on = on;
    addEventListener("online", this.#hurry);
    addEventListener("offline", this.#lost);
  }

  /** The browser knows that there is no network; a socket would notice much later. */
  #lost = () => this.drop();

  #hurry = () => {
    if (this.#stopped || this.#ws) return;
    this.#attempt = 0;
    this.open();
  };

  async open() {
    clearTimeout(this.#timer);
    if (this.#stopped || this.#ws) return;
    let token;
    const ws = (this.#ws = new WebSocket(this.#urls[this.#url % this.#urls.length]));
    let opened = false;
    ws.onopen = async () => {
      opened = true;
      try {
        token = await this.#token(this.#refused);
      } catch {
        token = undefined; // the server does not answer: try again later
      }
      if (ws !== this.#ws) return;
      if (!token) {
        if (token === null) this.stop();
        else ws.close();
        return;
      }
      this.#used = token;
      this.#n = this.#okSent = 0;
      ws.send(JSON.stringify({ t: "auth", token }));
      this.#watch();
      this.#on.up();
    };
    ws.onmessage = (e) => this.#frame(ws, e.data);
    ws.onclose = (e) => this.#closed(ws, opened, e.code);
  }

  #frame(ws, text) {
    if (ws !== this.#ws) return;
    this.#lastSeen = Date.now();
    let f;
    try {
      f = JSON.parse(text);
    } catch {
      return;
    }
    if (f.t === "ready") {
      this.#attempt = 0;
      this.#refused = null;
    }
    if (f.t !== "pong") this.#on.frame(f);
    if (f.n > this.#n) {
      this.#n = f.n;
      this.#ok();
    }
  }

  #sendOk() {
    if (this.#n <= this.#okSent) return;
    if (this.send({ t: "ok", n: this.#n })) this.#okSent = this.#n;
  }

  #watch() {
    clearInterval(this.#pinger);
    this.#lastSeen = Date.now();
    this.#pinger = setInterval(() => this.probe(), PING_MS);
  }

  /** Is it still there? Timers of hidden tabs come late: only a ping that was really sent can go unanswered. */
  probe() {
    const ws = this.#ws;
    if (!this.send({ t: "ping" })) return;
    const asked = Date.now();
    setTimeout(() => {
      if (this.#ws === ws && this.#lastSeen < asked) this.drop();
    }, SILENCE_MS);
  }

  #closed(ws, opened, code) {
    if (ws !== this.#ws) return;
    if (code === AUTH_REFUSED) this.#refused = this.#used;
    this.#ws = this.#used = null;
    clearInterval(this.#pinger);
    this.#on.down();
    if (this.#stopped) return;
    if (!opened) this.#url++; // perhaps the other address is the one that can be reached
    this.#timer = setTimeout(() => this.open(), backoff(this.#attempt++, 500, CAP_MS));
  }

  /** When the server was heard last; 0: not on this connection. */
  get heardAt() {
    return this.#ws ? this.#lastSeen : 0;
  }

  /** False when there is no open socket; nothing was sent then. */
  send(f) {
    if (this.#ws?.readyState !== WebSocket.OPEN || !this.#used) return false;
    this.#ws.send(JSON.stringify(f));
    return true;
  }

  /** Keep the socket past the end of its token. */
  renew(token) {
    if (token !== this.#used && this.send({ t: "auth", token })) this.#used = token;
  }

  /** Give this connection up and make another. */
  drop() {
    const ws = this.#ws;
    if (!ws) return;
    ws.onclose = null;
    ws.close();
    this.#closed(ws, true, 0);
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearInterval(this.#pinger);
    removeEventListener("online", this.#hurry);
    removeEventListener("offline", this.#lost);
    this.#ws?.close();
  }
}
