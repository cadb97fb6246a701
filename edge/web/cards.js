// SPDX-License-Identifier: MIT
// Places, cards of people, and previews of links: shown in their message; places and cards are made here, too. Loaded with the
// first one that is seen or made. Nothing is asked of anybody but the own server: a map opens when somebody wants it.
import { ask, hide, mark, put, roving } from "./keys.js";
import { ApiError } from "./session.js";
import { el, icon, phoneNumber } from "./util.js";
import { nameOf } from "./words.js";

const $ = (id) => document.getElementById(id);
const NAME_CHARS = 100;
const NUMBER_CHARS = 32;
const NUMBERS_MAX = 5;
const PEOPLE_SHOWN = 50;
const WAIT_MS = 20000; // for a place
const CONTROLS = /[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;
const REFUSED = {
  1: "This page may not know where you are. Allow it in the settings of your browser, and try again.",
  2: "Your browser could not find out where you are.",
  3: "Your browser did not find out where you are in time. Try again.",
};
const fold = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

/** "13.51633° S, 71.97851° W", or "" for what is no place. */
export function placeWords({ latitude, longitude }) {
  if (!(Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180)) return "";
  const part = (n, plus, minus) => `${Math.abs(n).toFixed(5)}° ${n < 0 ? minus : plus}`;
  return `${part(latitude, "N", "S")}, ${part(longitude, "E", "W")}`;
}

/** Where a map of it is, for who wants it. */
export function mapOf({ latitude, longitude }) {
  const [lat, lon] = [latitude, longitude].map((n) => Number(n).toFixed(6));
  return `https://www.openstreetmap.org/?mlat=${lat}&mlon=${lon}#map=16/${lat}/${lon}`;
}

/** → {contact}, or {fault} in words. `numbers`: with commas between them. */
export function cardOf(name, numbers, userId) {
  const given = numbers.split(/[,;\n]/).map((n) => n.trim()).filter(Boolean);
  if (!name.trim()) return { fault: "Write a name." };
  if ([...name.trim()].length > NAME_CHARS || CONTROLS.test(name.trim())) return { fault: `A name may have up to ${NAME_CHARS} characters.` };
  if (!given.length) return { fault: "Write a number: a card has one at least." };
  if (given.length > NUMBERS_MAX) return { fault: `A card may have up to ${NUMBERS_MAX} numbers.` };
  const bad = given.find((n) => [...n].length > NUMBER_CHARS || CONTROLS.test(n));
  if (bad) return { fault: `A number may have up to ${NUMBER_CHARS} characters.` };
  return { contact: { name: name.trim(), numbers: given, userId: userId || undefined } };
}

/** The address of a preview when it is one that a browser may open and that stands in the text; or null. */
export function linkOf({ url }, content) {
  if (!/^https?:\/\//i.test(url) || !content.includes(url)) return null;
  try {
    return new URL(url);
  } catch {
    return null;
  }
}

export class Screen {
  #chat = null; // for which something is made
  #place = null; // where this user is
  #user = ""; // whose card is made

  constructor(act) {
    Object.assign(this, { act, engine: act.engine, model: act.model });
    $("card-find").addEventListener("input", () => this.#people());
    $("card-people").addEventListener("click", (e) => this.#chosen(e.target.closest("button")));
    roving($("card-people"), "button");
    $("place").addEventListener("close", () => (this.#place = null));
  }

  draw() {}

  into(row, m, key) {
    const shown = JSON.stringify([m[key], Boolean(m.id), key === "preview" && m.content]);
    let e = row.beside.querySelector(`[data-kind="${key}"]`);
    if (e?.shown === shown) return;
    const made = { location: () => this.#location(m), contact: () => this.#contact(m), preview: () => this.#preview(m) }[key]();
    made.shown = shown;
    made.dataset.kind = key;
    if (e) e.replaceWith(made);
    else row.beside.append(made);
  }

  #words(e, tag, className, text) {
    if (!text) return;
    const words = el(tag, className, text);
    words.dir = "auto";
    e.append(words);
  }

  // Places

  #location({ location }) {
    const e = el("div", "attached");
    const words = el("div", "grow");
    const coordinates = placeWords(location);
    const near = location.accuracy ? `, to ${location.accuracy >= 1000 ? `${Math.round(location.accuracy / 1000)} km` : `${location.accuracy} m`}` : "";
    this.#words(words, "strong", "", location.name || "Location");
    this.#words(words, "span", "", location.address);
    words.append(el("span", "dim", coordinates + near));
    if (coordinates) {
      const link = el("a", "", "Open map");
      Object.assign(link, { href: mapOf(location), target: "_blank", rel: "noopener noreferrer" });
      words.append(link);
    }
    e.append(icon("place"), words);
    return e;
  }

  place(chat) {
    this.#chat = chat;
    this.#place = null;
    $("place-name").value = "";
    $("place").showModal();
    this.#locate();
  }

  #locate() {
    $("place-send").disabled = true;
    hide($("place-error"), true);
    put($("place-text"), "Finding out where you are…");
    if (!isSecureContext || !navigator.geolocation) return this.#noPlace("Browsers tell a page where it is only over https.");
    return navigator.geolocation.getCurrentPosition(({ coords }) => {
      if (!$("place").open) return;
      this.#place = { latitude: coords.latitude, longitude: coords.longitude, accuracy: Math.min(100000, Math.max(1, Math.round(coords.accuracy))) };
      put($("place-text"), `${placeWords(this.#place)}, to ${this.#place.accuracy} m`);
      $("place-send").disabled = false;
      $("place-send").focus();
    }, ({ code }) => this.#noPlace(REFUSED[code] ?? REFUSED[2]), { enableHighAccuracy: true, timeout: WAIT_MS, maximumAge: 60000 });
  }

  #noPlace(words) {
    put($("place-text"), "");
    put($("place-error"), words);
    hide($("place-error"), false);
  }

  #sendPlace() {
    const name = $("place-name").value.trim();
    if (!this.#place) return;
    const location = { ...this.#place, name: name || undefined };
    $("place").close();
    this.act.answering(this.#chat, "", { location });
  }

  // Cards

  #contact({ id, from, contact }) {
    const e = el("div", "attached");
    const face = this.engine.media.face();
    const words = el("div", "grow");
    this.engine.media.setFace(face, contact.userId ?? contact.name, contact.name);
    this.#words(words, "strong", "", contact.name);
    for (const number of contact.numbers ?? []) words.append(el("bdi", "", number));
    e.append(face, words);
    if (id && contact.userId !== this.model.me) {
      const write = el("button", "", "Message");
      write.type = "button";
      write.dataset.action = "write-to";
      write.setAttribute("aria-label", `Message ${contact.name}`);
      e.append(write);
    }
    return e;
  }

  /** What the card says is its sender's word: the server says who it is. */
  async #who({ userId, numbers }) {
    const known = userId && (await this.engine.userOf(userId).catch((e) => {
      if (e.status !== 404) throw e;
    }));
    if (known) return known;
    const number = numbers.map(phoneNumber).find(Boolean);
    if (!number) throw new ApiError(404, "no_number", "Nobody can be found by this card. Its number has no country code.", 0);
    return (await this.engine.find(number))[0];
  }

  async #write(button) {
    const { contact } = button.closest(".message").row.m;
    const { chat } = this.act;
    const user = await this.#who(contact);
    if (user.userId === this.model.me) return this.act.notice("That is you.");
    if (user.deleted) return this.act.notice("This account was deleted.");
    const name = user.name || "Unknown";
    if (name !== contact.name && !(await ask(`Write to ${name}?`, `The card says “${contact.name}”. Here this person is called “${name}”.`, "Write"))) return undefined;
    return chat === this.act.chat ? this.act.open(await this.engine.openWith(user.userId)) : undefined;
  }

  card(chat) {
    this.#chat = chat;
    $("card-form").reset();
    this.#user = "";
    hide($("card-error"), true);
    this.#people();
    $("card").showModal();
    $("card-find").focus();
  }

  #people() {
    const wanted = fold($("card-find").value.trim());
    const { me, people, profile } = this.model;
    const all = [...people].filter(([userId, name]) => userId !== me && name).sort((a, b) => a[1].localeCompare(b[1]));
    if (profile.name) all.unshift([me, profile.name]);
    const found = all.filter(([, name]) => fold(name).includes(wanted)).slice(0, PEOPLE_SHOWN);
    const rows = found.map(([userId, name], i) => {
      const row = el("li");
      const b = el("button", "line");
      Object.assign(b, { type: "button", tabIndex: i ? -1 : 0 });
      b.dataset.userId = userId;
      b.setAttribute("aria-pressed", userId === this.#user);
      const face = this.engine.media.face("small");
      this.engine.media.setFace(face, userId, name, this.model.pictures.get(userId));
      const title = el("span", "grow", userId === me ? `${name} (you)` : name);
      title.dir = "auto";
      b.append(face, title);
      row.append(b);
      return row;
    });
    $("card-people").replaceChildren(...(rows.length ? rows : [el("li", "note-line", "Nobody has that name.")]));
  }

  #chosen(button) {
    if (!button) return;
    const { userId } = button.dataset;
    const { me, numbers, profile } = this.model;
    this.#user = userId;
    $("card-name").value = userId === me ? profile.name : nameOf(this.model, userId);
    $("card-numbers").value = (userId === me ? profile.phoneNumber : numbers.get(userId)) ?? "";
    for (const b of $("card-people").querySelectorAll("button")) mark(b, "aria-pressed", b === button);
    ($("card-numbers").value ? $("card-send") : $("card-numbers")).focus();
  }

  #sendCard() {
    const { contact, fault } = cardOf($("card-name").value, $("card-numbers").value, this.#user);
    hide($("card-error"), !fault);
    put($("card-error"), fault ?? "");
    if (fault) return;
    $("card").close();
    this.act.answering(this.#chat, "", { contact });
  }

  // Previews of links

  #preview({ preview, content }) {
    const url = linkOf(preview, content);
    if (!url) return el("div");
    const e = el("a", "attached linked");
    Object.assign(e, { href: url.href, target: "_blank", rel: "noopener noreferrer" });
    const words = el("span", "grow");
    this.#words(words, "strong", "", preview.title || url.host);
    this.#words(words, "span", "said", preview.description);
    words.append(el("span", "dim", url.host));
    if (preview.mediaId) this.#picture(e, preview.mediaId);
    e.append(words);
    return e;
  }

  async #picture(e, mediaId) {
    const about = await this.engine.media.link(mediaId);
    if (about?.media.type !== "image") return;
    const image = el("img");
    image.alt = "";
    image.src = about.thumbnailUrl ?? about.url;
    image.addEventListener("error", () => image.remove());
    e.prepend(image);
  }

  actions = { "write-to": (b) => this.#write(b), "place-again": () => this.#locate() };

  forms = { "place-form": () => this.#sendPlace(), "card-form": () => this.#sendCard() };
}
