// SPDX-License-Identifier: MIT
// Files as they are seen: links are asked for when a message is drawn, and again when they are about to end.
import { el } from "./util.js";

const EARLY_MS = 30000; // a link for who left a group lives a minute
const TRIES_MS = [0, 500, 1500, 4000]; // a message may be here before the view has its file

const bytes = (n) => (n < 1024 ? `${n} B` : n < 1 << 20 ? `${Math.round(n / 1024)} KB` : `${(n / (1 << 20)).toFixed(1)} MB`);
const seconds = (ms) => `${Math.floor(ms / 60000)}:${String(Math.round(ms / 1000) % 60).padStart(2, "0")}`;

export class Media {
  #known = new Map(); // mediaId → promise of what the server says of it
  #told = new Map(); // mediaId → `media` frame: the view says the same a little later

  constructor(session) {
    this.session = session;
  }

  /** A `media` frame: the server found something in it, and what was known is old. */
  found(f) {
    const { mediaId } = f;
    this.#told.set(mediaId, f);
    this.#known.delete(mediaId);
    for (const box of document.querySelectorAll(`[data-media-id="${mediaId}"]`)) this.fill(box, mediaId);
  }

  async #ask(mediaId) {
    for (const wait of TRIES_MS) {
      if (wait) await new Promise((done) => setTimeout(done, wait));
      try {
        const about = await this.session.insist("GET", `/api/media/${mediaId}/link`);
        if (!this.#told.get(mediaId)?.thumbnail || about.media.thumbnail || wait === TRIES_MS.at(-1)) return about;
      } catch (e) {
        if (e.status !== 404) throw e;
      }
    }
    return null;
  }

  async #about(mediaId) {
    let about = await this.#known.get(mediaId);
    if (!about || about.expiresAt - Date.now() < EARLY_MS) {
      const asked = this.#ask(mediaId);
      this.#known.set(mediaId, asked);
      about = await asked.catch(() => null);
      if (!about) this.#known.delete(mediaId);
    }
    return about;
  }

  /** An element that shows it, once it is known what it is. */
  box(mediaId) {
    const box = el("div", "media");
    box.dataset.mediaId = mediaId;
    this.fill(box, mediaId);
    return box;
  }

  async fill(box, mediaId) {
    const about = await this.#about(mediaId);
    if (!about) return box.replaceChildren(el("span", "kind", "This file cannot be shown."));
    const { media, url, thumbnailUrl } = about;
    const show = { image: this.#image, video: this.#player, audio: this.#player }[media.type] ?? this.#document;
    if (box.firstChild?.src && !["IMG", "A"].includes(box.firstChild.tagName)) return undefined; // do not stop what plays
    return box.replaceChildren(...show(media, url, thumbnailUrl));
  }

  #image(media, url, thumbnailUrl) {
    const link = el("a");
    const image = el("img");
    link.href = url;
    link.target = "_blank";
    link.rel = "noopener";
    image.src = thumbnailUrl ?? url;
    image.alt = media.name || "picture";
    if (media.width) {
      image.width = Math.min(320, media.width);
      image.style.aspectRatio = `${media.width} / ${media.height}`;
    }
    link.append(image);
    return [link];
  }

  #player(media, url) {
    const player = el(media.type);
    player.controls = true;
    player.preload = "metadata";
    player.src = url;
    if (media.width) player.style.aspectRatio = `${media.width} / ${media.height}`;
    return [player, el("span", "kind", media.durationMs ? seconds(media.durationMs) : bytes(media.size))];
  }

  #document(media, url) {
    const link = el("a", "file", media.name || "file");
    link.href = url;
    link.download = media.name || "file";
    return [link, el("span", "kind", bytes(media.size))];
  }
}
