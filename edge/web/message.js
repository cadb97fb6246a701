// SPDX-License-Identifier: MIT
// What can be done with one message in a dialog of its own: sent on to other chats, and who has it. Loaded when it is asked for.
import { hide, put } from "./keys.js";
import { may } from "./marks.js";
import { el } from "./util.js";
import { clock, dayOf, dayWords, errorWords, nameOf, preview, titleOf } from "./words.js";

const $ = (id) => document.getElementById(id);
const CHATS_MAX = 5; // at once: a message for very many is none for anybody
const fold = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

export class Screen {
  #m = null; // whose receipts are shown
  #all = []; // to be sent on
  #to = new Set(); // chats

  constructor(act) {
    Object.assign(this, { act, engine: act.engine, model: act.model });
    $("forward-find").addEventListener("input", () => this.#chats());
    $("forward-chats").addEventListener("change", (e) => this.#choose(e.target));
  }

  draw() {}

  // To other chats

  forward(all) {
    this.#all = all;
    this.#to.clear();
    put($("forward-text"), all.length > 1 ? `${all.length} messages` : preview(all[0]));
    $("forward-find").value = "";
    this.#chats();
    this.#count();
    $("forward").showModal();
    $("forward-find").focus();
  }

  #chats() {
    const wanted = fold($("forward-find").value.trim());
    const all = [...this.model.listed(), ...this.model.listed(true)].filter((c) => !c.blocked && may(c, "send"));
    const found = all.filter((c) => this.#to.has(c) || fold(titleOf(this.model, c)).includes(wanted));
    const rows = found.map((chat) => {
      const row = el("li");
      const label = el("label", "setting");
      const box = el("input");
      const face = this.engine.media.face("small");
      const name = el("span", "grow", titleOf(this.model, chat));
      name.dir = "auto";
      Object.assign(box, { type: "checkbox", value: chat.chatId, checked: this.#to.has(chat) });
      this.engine.faceOf(face, chat);
      label.append(face, name, box);
      row.append(label);
      return row;
    });
    $("forward-chats").replaceChildren(...(rows.length ? rows : [el("li", "note-line", "No chat has that name.")]));
    this.#bound();
  }

  #choose(box) {
    const chat = this.model.chats.get(box.value);
    if (box.checked) this.#to.add(chat);
    else this.#to.delete(chat);
    this.#bound();
    this.#count();
  }

  #bound() {
    for (const box of $("forward-chats").querySelectorAll("input")) box.disabled = !box.checked && this.#to.size >= CHATS_MAX;
  }

  #count() {
    const n = this.#to.size;
    $("forward-send").disabled = !n;
    put($("forward-send"), n > 1 ? `Send to ${n} chats` : "Send");
    put($("forward-said"), n >= CHATS_MAX ? `Up to ${CHATS_MAX} chats at once.` : "");
  }

  #send() {
    const chats = [...this.#to];
    for (const { type, content, mediaId, media, forwarded, poll, voice, location, contact, preview: link } of this.#all) {
      const more = { type, mediaId, media, voice, location, contact, forwardedFrom: forwarded ?? 0 };
      if (link) more.preview = { url: link.url, title: link.title, description: link.description }; // its picture is the first sender's
      if (poll) more.poll = { options: poll.options, choices: poll.choices, anonymous: poll.anonymous }; // one of its own, without votes
      for (const chat of chats) this.engine.send(chat, content, more);
    }
    $("forward").close();
    if (chats.length === 1) return this.act.open(chats[0].chatId);
    return this.act.notice(`Sent to ${chats.length} chats.`);
  }

  // Who has it

  async receipts(m) {
    this.#m = m;
    put($("has-text"), preview(m));
    put($("has-sent"), `Sent ${this.#time(m.sentAt)}`);
    $("has-list").replaceChildren(el("li", "note-line", "Loading…"));
    $("has").showModal();
    try {
      const { receipts } = await this.engine.session.insist("GET", `/api/messages/${m.id}/receipts`, undefined, 3);
      if (this.#m === m) this.#people(receipts);
    } catch (e) {
      $("has-list").replaceChildren(el("li", "note-line", errorWords(e)));
    }
  }

  #time(ms) {
    return dayOf(ms) === dayOf(Date.now()) ? clock.format(ms) : `${dayWords(ms)}, ${clock.format(ms)}`;
  }

  /** The time is not always known. */
  #since(what, ms) {
    return ms ? `${what} ${this.#time(ms)}` : what;
  }

  #people(receipts) {
    const order = (r) => (r.read || r.readAt ? 2 : r.delivered || r.deliveredAt ? 1 : 0);
    const words = (r) => ["Not delivered yet", this.#since("Delivered", r.deliveredAt), this.#since("Read", r.readAt)][order(r)];
    this.engine.wantNames(receipts.map((r) => r.userId));
    const rows = [...receipts].sort((a, b) => order(b) - order(a)).map((r) => {
      const row = el("li");
      const face = this.engine.media.face("small");
      const name = nameOf(this.model, r.userId);
      this.engine.media.setFace(face, r.userId, name, this.model.pictures.get(r.userId));
      const title = el("span", "grow", name);
      title.dir = "auto";
      row.append(face, title, el("span", "dim", words(r)));
      return row;
    });
    $("has-list").replaceChildren(...(rows.length ? rows : [el("li", "note-line", "Nobody else was there.")]));
    hide($("has-off"), this.model.profile.readReceipts !== false);
  }

  actions = {};

  forms = { "forward-form": () => this.#send() };
}
