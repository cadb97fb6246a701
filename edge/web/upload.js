// SPDX-License-Identifier: MIT
// A file on its way: announced, sent piece by piece (tus), declared complete. A broken line is waited out, a pause lasts
// until resume(), a reload is survived, and each goes on where the server says it stands.
import { ApiError } from "./session.js";
import { backoff, sleep, uuid } from "./util.js";

const PIECE_BYTES = 4 * 1024 * 1024;
const TUS = "1.0.0";

/** One request with progress; → {status, offset, retryAfterMs}. Status 0: no answer. */
function request(upload, method, url, token, headers, body) {
  return new Promise((done) => {
    const xhr = (upload.xhr = new XMLHttpRequest());
    xhr.open(method, url);
    xhr.setRequestHeader("Authorization", `Bearer ${token}`);
    xhr.setRequestHeader("Tus-Resumable", TUS);
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
    xhr.upload.onprogress = (e) => upload.moved(e.loaded);
    xhr.onloadend = () => {
      const offset = xhr.getResponseHeader("Upload-Offset");
      done({
        status: xhr.status, offset: offset === null ? null : Number(offset),
        retryAfterMs: 1000 * Number(xhr.getResponseHeader("Retry-After") ?? 0),
      });
    };
    xhr.send(body);
  });
}

export class Upload {
  /**
   * `changed()` after each move. `done(mediaId, type)` once it can be shown in a message. `was`: what it is sent as (`type`)
   * and with which caption and `more`, and all that `store` has of it from before a reload.
   */
  constructor(session, store, chat, file, changed, done, was) {
    Object.assign(this, { session, store, chat, file, changed, done });
    this.id = was.id ?? uuid();
    this.type = was.type;
    this.caption = was.caption ?? "";
    this.more = was.more; // of its message, as of Model.compose()
    this.state = was.paused ? "paused" : "sending"; // sending | paused | failed | done | canceled
    this.mediaId = was.mediaId;
    this.url = was.url; // where its pieces go; undefined: not announced
    this.piece = was.piece;
    this.offset = 0; // what the server holds
    this.under = 0; // of the piece on its way
    this.why = "";
  }

  get progress() {
    return this.file.size ? Math.min(1, (this.offset + this.under) / this.file.size) : 0;
  }

  moved(under) {
    this.under = under;
    this.changed();
  }

  #become(state, why = "") {
    this.state = state;
    this.why = why;
    this.changed();
  }

  pause() {
    if (this.state !== "sending") return;
    this.#become("paused");
    this.xhr?.abort();
    this.store.pauseUpload(this.id, true);
  }

  resume() {
    if (!["paused", "failed"].includes(this.state)) return;
    this.#become("sending");
    this.store.pauseUpload(this.id, false);
    this.run();
  }

  async cancel() {
    this.#become("canceled");
    this.xhr?.abort();
    this.store.forgetUpload(this.id);
    const token = await this.session.token();
    if (this.url && token) request(this, "DELETE", this.url, token, {});
  }

  /** Until it is done, paused, or refused for good. */
  async run() {
    if (this.running || this.state !== "sending") return;
    this.running = true;
    try {
      if (!this.url) await this.#announce();
      await this.#pieces();
      if (this.state === "sending") await this.#complete();
    } catch (e) {
      if (this.state === "sending") this.#become("failed", e.message);
    } finally {
      this.running = false;
    }
    if (this.state === "sending") this.run(); // resumed while the last request was ending
  }

  async #announce() {
    const { chat, file, type } = this;
    const { media, upload } = await this.session.insist("POST", "/api/media", {
      chatId: chat.chatId, type, size: file.size, name: file.name.replace(/[/\\\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, "_").slice(0, 80),
      contentType: file.type || "application/octet-stream",
    });
    this.mediaId = media.id;
    this.url = upload.url;
    this.piece = Math.min(PIECE_BYTES, upload.partSize);
    const { id, caption, more, mediaId, url, piece } = this;
    this.store.keepUpload({ id, chatId: chat.chatId, file, type, caption, more, mediaId, url, piece });
  }

  /** Ask where it stands, then send from there; after anything odd, ask again. */
  async #pieces() {
    let tries = 0;
    let sure = false;
    while (this.state === "sending" && !(sure && this.offset === this.file.size)) {
      const token = await this.session.token();
      if (!token) throw new ApiError(401, "unauthorized", "Signed out.", 0);
      const at = this.offset;
      const answer = sure
        ? await request(this, "PATCH", this.url, token,
          { "Upload-Offset": at, "Content-Type": "application/offset+octet-stream" }, this.file.slice(at, at + this.piece))
        : await request(this, "HEAD", this.url, token, {});
      this.under = 0;
      sure = answer.offset !== null && answer.status < 300;
      if (sure) {
        this.offset = answer.offset;
        tries = 0;
        this.changed();
      } else if (this.state === "sending") {
        if ([404, 413, 415].includes(answer.status)) throw new ApiError(answer.status, "", "The server does not take this file.", 0);
        await sleep(answer.retryAfterMs + backoff(tries++, 300, 10000));
      }
    }
  }

  async #complete() {
    await this.session.insist("POST", `/api/media/${this.mediaId}/complete`, undefined, 20);
    this.#become("done");
    this.done(this.mediaId, this.type);
    this.store.forgetUpload(this.id); // only now: done twice is one message, as its client id is the upload's
  }
}
