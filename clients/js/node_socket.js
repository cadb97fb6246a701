// SPDX-License-Identifier: MIT
// The part of the browser's WebSocket that client.js uses, for Node before 22, which has none: text frames over node:http.
// Like a browser it answers pings and closes; like docs/protocol.md it has no compression and no binary.
import { createHash, randomBytes } from "node:crypto";
import { request as plain } from "node:http";
import { request as secure } from "node:https";
import { ApiError } from "./session.js";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455
const MESSAGE_MAX_BYTES = 1 << 20;
const HANDSHAKE_MS = 10000;
const CLOSE_MS = 2000;
const TEXT = 1;
const CLOSE = 8;
const PING = 9;

export class NodeSocket {
  readyState = 0;
  /** @type {((event: any) => void) | null} */ onopen = null;
  /** @type {((event: any) => void) | null} */ onmessage = null;
  /** @type {((event: any) => void) | null} */ onerror = null;
  /** @type {((event: any) => void) | null} */ onclose = null;
  /** @type {import("node:net").Socket | null} */ #socket = null;
  #bytes = Buffer.alloc(0);
  /** @type {Buffer[]} */ #parts = [];
  #code = 1006;

  /** @param {string} url ws: or wss: */
  constructor(url) {
    const key = randomBytes(16).toString("base64");
    const address = new URL(url.replace(/^ws/, "http"));
    const headers = { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key };
    const asked = (address.protocol === "https:" ? secure : plain)(address, { headers, timeout: HANDSHAKE_MS });
    asked.on("upgrade", (answer, socket, head) => {
      const wanted = createHash("sha1").update(key + GUID).digest("base64");
      if (answer.headers["sec-websocket-accept"] !== wanted) return socket.destroy(new Error("that is no WebSocket"));
      return this.#open(socket, head);
    });
    asked.on("response", (answer) => {
      answer.resume();
      this.#failed(new ApiError(answer.statusCode ?? 0, "handshake", "refused", (Number(answer.headers["retry-after"]) || 0) * 1000));
    });
    asked.on("timeout", () => asked.destroy(new Error("no answer to the handshake")));
    asked.on("error", (error) => this.#failed(error));
    asked.end();
    this.asked = asked;
  }

  #failed(error) {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.onerror?.({ error });
    this.onclose?.({ code: this.#code });
  }

  #open(socket, head) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setTimeout(0);
    this.readyState = 1;
    socket.on("data", (bytes) => this.#read(bytes));
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#ended());
    this.onopen?.({});
    if (head.length) this.#read(head);
  }

  #ended() {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.onclose?.({ code: this.#code });
  }

  #read(bytes) {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    for (let used; (used = this.#frame()); ) this.#bytes = this.#bytes.subarray(used);
  }

  /** Takes one frame; how many bytes it has, 0 when it is not whole. */
  #frame() {
    const b = this.#bytes;
    if (b.length < 2) return 0;
    const short = b[1] & 127;
    const head = short === 126 ? 4 : short === 127 ? 10 : 2;
    if (b.length < head) return 0;
    const length = short === 126 ? b.readUInt16BE(2) : short === 127 ? Number(b.readBigUInt64BE(2)) : short;
    if (b[1] & 128 || b[0] & 112 || length + this.#parts.reduce((sum, part) => sum + part.length, 0) > MESSAGE_MAX_BYTES) {
      this.close(1002);
      this.#socket?.destroy();
      return 0;
    }
    if (b.length < head + length) return 0;
    this.#got(b[0] & 15, Boolean(b[0] & 128), b.subarray(head, head + length));
    return head + length;
  }

  #got(kind, last, payload) {
    if (kind === PING) return this.#write(10, payload);
    if (kind === CLOSE) {
      this.#code = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
      if (this.readyState === 1) this.#write(CLOSE, payload.subarray(0, 2));
      this.readyState = 2;
      return this.#socket?.end();
    }
    if (kind > 2) return undefined; // a pong
    this.#parts.push(Buffer.from(payload));
    if (!last) return undefined;
    const data = Buffer.concat(this.#parts).toString("utf8");
    this.#parts = [];
    return this.onmessage?.({ data });
  }

  /** @param {number} kind @param {Buffer} payload */
  #write(kind, payload) {
    const mask = randomBytes(4);
    const n = payload.length;
    const head = n < 126 ? Buffer.from([128 | kind, 128 | n]) : Buffer.alloc(n < 65536 ? 4 : 10);
    if (n >= 126) {
      head[0] = 128 | kind;
      head[1] = 128 | (n < 65536 ? 126 : 127);
      if (n < 65536) head.writeUInt16BE(n, 2);
      else head.writeBigUInt64BE(BigInt(n), 2);
    }
    const masked = Buffer.from(payload);
    for (let i = 0; i < n; i++) masked[i] ^= mask[i & 3];
    this.#socket?.write(Buffer.concat([head, mask, masked]));
  }

  /** @param {string} text */
  send(text) {
    if (this.readyState === 1) this.#write(TEXT, Buffer.from(text));
  }

  close(code = 1000) {
    if (this.readyState === 0) this.asked.destroy(new Error("closed before it was open"));
    if (this.readyState !== 1) return;
    this.readyState = 2;
    const reason = Buffer.alloc(2);
    reason.writeUInt16BE(code);
    this.#code = code;
    this.#write(CLOSE, reason);
    const socket = this.#socket;
    setTimeout(() => socket?.destroy(), CLOSE_MS).unref();
  }
}
