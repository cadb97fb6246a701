// SPDX-License-Identifier: MIT
// Files as they are seen: links are asked for when a message is drawn, and again when they are about to end.
import { mark, put } from "./keys.js";
import { el } from "./util.js";
import { initials, tint } from "./words.js";

const SIDE_PX = 320;
const TALL_PX = 384;
const SIDE_MIN_PX = 96;
const EARLY_MS = 30000; // a link for who left a group lives a minute
const TRIES_MS = [0, 500, 1500, 4000]; // a message may be here before the view has its file

const bytes = (n) => (n < 1024 ? `${n} B` : n < 1 << 20 ? `${Math.round(n / 1024)} KB` : `${(n / (1 << 20)).toFixed(1)} MB`);
const seconds = (ms) => `${Math.floor(ms / 60000)}:${String(Math.round(ms / 1000) % 60).padStart(2, "0")}`;

export class Media {
  #known = new Map(); // mediaId → promise of what the server says of it
  #told = new Map(); // mediaId → `media` frame: the view says the same a little later
  #near = null; // sees which faces come into view

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

  /** There is a connection again. */
  retry() {
    for (const box of document.querySelectorAll("[data-media-id][data-missing]")) this.fill(box, box.dataset.mediaId);
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

  /** {media, url, thumbnailUrl?} of a file, or null when it cannot be had. */
  link(mediaId) {
    return this.#about(mediaId);
  }

  /** An element that shows the file of a message. It has its size before its bytes are here, so that nothing moves. */
  box({ mediaId, type, media }) {
    const box = el("div", "media");
    box.dataset.mediaId = mediaId;
    box.dataset.type = type;
    this.#size(box, media?.width, media?.height);
    this.fill(box, mediaId);
    return box;
  }

  // Faces: two letters on a colour, and a picture above them when there is one

  face(className = "") {
    const e = el("span", "face");
    if (className) e.classList.add(className);
    e.setAttribute("aria-hidden", "true");
    e.append(el("span"));
    return e;
  }

  /** Whose it is; pictures are asked for when they are in view. */
  setFace(e, id, title, picture = "") {
    mark(e, "data-tint", tint(id));
    put(e.firstChild, initials(title));
    if ((e.dataset.picture ?? "") === picture) return;
    mark(e, "data-picture", picture || null);
    e.querySelector("img")?.remove();
    this.#watch(e, picture);
  }

  #watch(e, picture) {
    this.#near ??= new IntersectionObserver((seen) => seen.forEach(({ isIntersecting, target }) => isIntersecting && this.#portrait(target)));
    this.#near.unobserve(e);
    if (picture) this.#near.observe(e);
  }

  /** What the server says of a file: {media, url, thumbnailUrl?}, or null. */
  about(mediaId) {
    return this.#about(mediaId);
  }

  /** `e` gets a small picture of the file once it is in view. */
  glance(e, mediaId) {
    e.dataset.picture = mediaId;
    this.#watch(e, mediaId);
  }

  async #portrait(e) {
    const { picture } = e.dataset;
    this.#near.unobserve(e);
    const about = await this.#about(picture);
    if (!about || e.dataset.picture !== picture || e.querySelector("img")) return;
    const image = el("img");
    image.alt = "";
    image.src = about.thumbnailUrl ?? about.url;
    image.addEventListener("error", () => image.remove());
    e.append(image);
  }

  #size(box, width, height) {
    if (!["image", "video"].includes(box.dataset.type)) return;
    const ratio = width && height ? Math.min(4, Math.max(0.25, width / height)) : 4 / 3;
    const wide = Math.max(SIDE_MIN_PX, Math.min(SIDE_PX, width || SIDE_PX, TALL_PX * ratio));
    box.style.width = `${Math.round(wide)}px`;
    box.style.aspectRatio = `${ratio}`;
  }

  async fill(box, mediaId) {
    const about = await this.#about(mediaId);
    box.toggleAttribute("data-missing", !about);
    if (!about) return box.replaceChildren(el("span", "missing", "This file cannot be shown."));
    const { media, url, thumbnailUrl } = about;
    if (media.width) this.#size(box, media.width, media.height);
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
    image.alt = media.name || "Picture";
    image.decoding = "async";
    link.append(image);
    return [link];
  }

  #player(media, url) {
    const player = el(media.type);
    player.controls = true;
    player.preload = "metadata";
    player.src = url;
    player.setAttribute("aria-label", media.name || media.type);
    return [player, el("span", "kind", media.durationMs ? seconds(media.durationMs) : bytes(media.size))];
  }

  #document(media, url) {
    const link = el("a", "file", media.name || "file");
    link.href = url;
    link.download = media.name || "file";
    return [link, el("span", "kind", bytes(media.size))];
  }
}
