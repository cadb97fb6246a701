// SPDX-License-Identifier: MIT
// Polls: made, shown in their message, voted in, and who chose what. Loaded with the first one that is seen.
import { ask, hide, mark, put, roving } from "./keys.js";
import { pollIsOver, recounted } from "./marks.js";
import { el, icon, sleep } from "./util.js";
import { clock, dayOf, dayWords, errorWords, nameOf, preview } from "./words.js";

const $ = (id) => document.getElementById(id);
const OPTIONS = [2, 12];
const OPTION_CHARS = 100;
const QUESTION_BYTES = 1024;
const CONTROLS = /[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/; // what turns or breaks a line, too
const YEAR_S = 31536000;
const ENDS = { "": "When I close it", 3600: "In an hour", 86400: "In a day", 604800: "In a week", at: "At a time…" };
const ASK_EVERY_MS = 5000; // for a result, while it is shown
const SURE_MS = 600; // after a frame: the view has it by then
const TRIES = 3; // then what was told of it counts for nothing
const NEW_MS = 15000; // a message may be here before the view has it
const TIMER_MOST_MS = 2 ** 31 - 1;

/** → {poll}, or {fault} in words. `ends`: "", seconds, or {at: ms}. */
export function pollOf(question, options, choices, anonymous, ends, now) {
  const given = options.map((o) => o.trim()).filter(Boolean);
  const fault = (words) => ({ fault: words });
  if (!question.trim()) return fault("Write a question.");
  if (new TextEncoder().encode(question.trim()).length > QUESTION_BYTES) return fault(`A question may have up to ${QUESTION_BYTES} bytes: make it shorter.`);
  if (given.length < OPTIONS[0]) return fault("Write two options at least.");
  const bad = given.find((o) => [...o].length > OPTION_CHARS || CONTROLS.test(o));
  if (bad) return fault(`“${[...bad].slice(0, 20).join("")}…”: an option may have up to ${OPTION_CHARS} characters, and none that turns a line.`);
  if (new Set(given).size < given.length) return fault("Two options are the same.");
  const poll = { options: given, choices: Math.min(choices, given.length), anonymous };
  if (typeof ends === "object") {
    if (!(ends.at > now) || ends.at > now + 1000 * YEAR_S) return fault("It ends at a time to come, within a year.");
    poll.endsAt = ends.at;
  } else if (ends) {
    poll.closesIn = Number(ends);
  }
  return { poll };
}

/** → what is chosen after a press on the place `i`, or null when that would be too many. */
export function pressed(mine, i, choices) {
  if (mine.includes(i)) return mine.filter((other) => other !== i);
  if (choices === 1) return [i];
  return mine.length < choices ? [...mine, i].sort((a, b) => a - b) : null;
}

const votes = (n) => (n === 1 ? "1 vote" : `${n} votes`);
const time = (ms) => (dayOf(ms) === dayOf(Date.now()) ? clock.format(ms) : `${dayWords(ms)}, ${clock.format(ms)}`);

export class Screen {
  #wanted = new Map(); // messageId → options on their way
  #asked = new Map(); // messageId → {at, tries, behind}
  #inView = new WeakSet();
  #chat = null; // for which one is made
  #of = null; // message whose votes are shown
  #given = []; // its votes

  constructor(act) {
    Object.assign(this, { act, engine: act.engine, model: act.model });
    this.near = new IntersectionObserver((seen) => {
      for (const { isIntersecting, target } of seen) {
        if (!isIntersecting) this.#inView.delete(target);
        else this.#inView.add(target), this.#refresh(target);
      }
    });
    $("poll-ends").replaceChildren(...Object.entries(ENDS).sort(([a]) => (a === "" ? -1 : 0)).map(([value, text]) => new Option(text, value)));
    $("poll-ends").addEventListener("change", () => this.#ends());
    $("poll-options").addEventListener("input", () => this.#bound());
  }

  draw() {
    if (this.#of && $("votes").open) this.#people();
  }

  // Made

  compose(chat) {
    this.#chat = chat;
    $("poll-form").reset();
    $("poll-options").replaceChildren();
    for (let i = 0; i < OPTIONS[0]; i++) this.#more();
    this.#ends();
    hide($("poll-error"), true);
    $("poll").showModal();
    $("poll-question").focus();
  }

  get #inputs() {
    return [...$("poll-options").querySelectorAll("input")];
  }

  #more() {
    const row = el("li", "row");
    const input = el("input");
    Object.assign(input, { maxLength: OPTION_CHARS, dir: "auto" });
    const less = el("button", "plain round", "✕");
    less.type = "button";
    less.addEventListener("click", () => {
      row.remove();
      this.#bound();
      this.#inputs.at(-1).focus();
    });
    row.append(input, less);
    $("poll-options").append(row);
    this.#bound();
    return input;
  }

  /** What can be added, taken away, and chosen. */
  #bound() {
    const all = this.#inputs;
    all.forEach((input, i) => {
      mark(input, "aria-label", `Option ${i + 1}`);
      mark(input, "placeholder", `Option ${i + 1}`);
      mark(input.nextSibling, "aria-label", `Remove option ${i + 1}`);
      hide(input.nextSibling, all.length <= OPTIONS[0]);
    });
    hide(document.querySelector('[data-action="more-options"]'), all.length >= OPTIONS[1]);
    const most = Math.max(OPTIONS[0], all.filter((input) => input.value.trim()).length);
    const choices = $("poll-choices");
    if (choices.length === most) return;
    const was = Number(choices.value) || 1;
    choices.replaceChildren(...Array.from({ length: most }, (_, i) => new Option(i === 0 ? "One" : i + 1 === most ? "Any" : `Up to ${i + 1}`, i + 1)));
    choices.value = Math.min(was, most);
  }

  #ends() {
    hide($("poll-at-line"), $("poll-ends").value !== "at");
    $("poll-at").required = $("poll-ends").value === "at";
  }

  #send() {
    const question = $("poll-question").value;
    const ends = $("poll-ends").value === "at" ? { at: new Date($("poll-at").value).getTime() } : $("poll-ends").value;
    const { poll, fault } = pollOf(question, this.#inputs.map((i) => i.value), Number($("poll-choices").value), $("poll-anonymous").checked, ends, Date.now());
    hide($("poll-error"), !fault);
    put($("poll-error"), fault ?? "");
    if (fault) return;
    $("poll").close();
    this.act.answering(this.#chat, question.trim(), { poll });
  }

  // In its message

  #make(row) {
    const e = el("div", "poll");
    e.dataset.kind = "poll";
    const options = el("div", "options");
    options.setAttribute("role", "group");
    options.setAttribute("aria-label", "Options");
    roving(options, ".option");
    const show = el("button", "plain", "View votes");
    show.type = "button";
    show.dataset.action = "votes";
    e.append(el("div", "kind"), options, el("div", "kind state"), show);
    e.row = row;
    this.near.observe(e);
    return e;
  }

  #option(text, i, many) {
    const b = el("button", many ? "option many" : "option");
    b.type = "button";
    b.tabIndex = i ? -1 : 0;
    b.dataset.action = "vote";
    b.dataset.place = i;
    const check = el("span", "check");
    const words = el("span", "grow", text);
    check.append(icon("check"));
    words.dir = "auto";
    b.append(check, words, el("span", "n"), el("span", "bar"));
    b.lastChild.append(el("span"));
    return b;
  }

  into(row, m) {
    let e = row.beside.querySelector(".poll");
    if (!e) {
      e = this.#make(row);
      row.beside.append(e);
    }
    const { poll } = m;
    const [hint, options, state, show] = e.children;
    const over = pollIsOver(poll, Date.now());
    const wanted = this.#wanted.get(m.id);
    const mine = wanted ?? poll.mine?.options ?? [];
    const { counts, voters } = wanted ? recounted(poll, wanted) : recounted(poll, mine);
    const open = !m.state && !over && !row.chat.left && !row.chat.blocked;
    put(hint, [poll.choices > 1 ? (poll.choices >= poll.options.length ? "Choose any" : `Choose up to ${poll.choices}`) : "Choose one", poll.anonymous && "anonymous"].filter(Boolean).join(" · "));
    if (options.childElementCount !== poll.options.length) options.replaceChildren(...poll.options.map((text, i) => this.#option(text, i, poll.choices > 1)));
    [...options.children].forEach((b, i) => {
      const percent = voters ? Math.round((100 * counts[i]) / voters) : 0;
      mark(b, "aria-pressed", mine.includes(i));
      mark(b, "aria-disabled", open ? null : "true");
      mark(b, "aria-label", `${poll.options[i]}, ${votes(counts[i])}, ${percent} %`);
      put(b.children[2], counts[i]);
      b.lastChild.firstChild.style.width = `${Math.min(100, percent)}%`;
    });
    const ending = poll.closesAt ?? poll.endsAt;
    put(state, [voters ? `${voters === 1 ? "1 person" : `${voters} people`} voted` : over ? "no votes" : "no votes yet", over ? "closed" : ending && `ends ${time(ending)}`].filter(Boolean).join(" · "));
    hide(show, poll.anonymous || Boolean(m.state) || !voters);
    this.#endsAt(row, poll, over);
    this.#refresh(e);
  }

  /** It is drawn anew when its time is over. */
  #endsAt(row, poll, over) {
    clearTimeout(row.ending);
    const left = poll.closesAt - Date.now();
    if (over || !(left < TIMER_MOST_MS)) return;
    row.ending = setTimeout(() => row.e.isConnected && row.update(row.m), left + 50);
  }

  // Asked for: a frame says only that there was a vote

  #refresh(e) {
    const { m } = e.row;
    const behind = m.poll?.behind;
    if (!behind || m.state || m.deleted || !this.#inView.has(e) || e.row.chat.left) return;
    let asked = this.#asked.get(m.id);
    if (!asked) this.#asked.set(m.id, (asked = { at: 0, tries: 0, behind: 0, timer: 0 }));
    if (asked.timer) return;
    if (behind > asked.behind) Object.assign(asked, { behind, tries: 0 });
    asked.timer = setTimeout(() => this.#ask(e, asked), Math.max(SURE_MS, asked.at + ASK_EVERY_MS - Date.now()));
  }

  async #ask(e, asked) {
    const { m } = e.row;
    if (!this.#inView.has(e) || !e.isConnected || !m.poll) return void (asked.timer = 0);
    asked.at = Date.now();
    try {
      const { poll } = await this.engine.changeMessage(m, "GET", "/poll");
      if (m.poll?.behind && asked.behind === m.poll.behind && ++asked.tries >= TRIES) this.model.pollSettled(m);
      if (poll && this.#of === m && $("votes").open) this.#ofWhom(m);
    } catch {
      // asked again when it comes into view, or something is told of it
    } finally {
      asked.timer = 0;
      this.#refresh(e);
    }
  }

  // Voted in

  #messageOf = (button) => button.closest(".message").row.m;

  async #vote(button) {
    const m = this.#messageOf(button);
    if (button.getAttribute("aria-disabled") === "true") return;
    const { poll } = m;
    const options = pressed(this.#wanted.get(m.id) ?? poll.mine?.options ?? [], Number(button.dataset.place), poll.choices);
    if (!options) return this.act.notice(`You may choose up to ${poll.choices}. Take one back first.`);
    const running = this.#wanted.has(m.id);
    this.#want(m, options);
    if (running) return; // it goes behind the one on its way
    try {
      for (let told; told !== this.#wanted.get(m.id);) {
        told = this.#wanted.get(m.id);
        await this.#tell(m, told);
      }
    } finally {
      this.#want(m, null);
    }
  }

  #want(m, options) {
    if (options) this.#wanted.set(m.id, options);
    else this.#wanted.delete(m.id);
    this.model.news.messages.add(m);
    this.engine.changed();
  }

  async #tell(m, options) {
    for (let tries = 0; ; tries++) {
      try {
        return await this.engine.changeMessage(m, options.length ? "PUT" : "DELETE", "/vote", options.length ? { options } : undefined);
      } catch (e) {
        if (e.status !== 404 || Date.now() - m.sentAt > NEW_MS || tries >= TRIES) throw e;
        await sleep(300 * (tries + 1));
      }
    }
  }

  async close(m) {
    if (await ask("Close the poll?", `Nobody can vote in “${preview(m)}” any more. It cannot be opened again.`, "Close it")) await this.engine.changeMessage(m, "PUT", "/close");
  }

  // Who chose what

  async #show(button) {
    const m = (this.#of = this.#messageOf(button));
    this.#given = [];
    put($("votes-text"), m.content);
    $("votes-list").replaceChildren(el("p", "note-line", "Loading…"));
    $("votes").showModal();
    await this.#ofWhom(m);
  }

  async #ofWhom(m) {
    try {
      const answer = await this.engine.changeMessage(m, "GET", "/votes");
      if (this.#of !== m) return;
      this.#given = answer.votes;
      this.#people();
    } catch (e) {
      if (this.#of === m) $("votes-list").replaceChildren(el("p", "note-line", errorWords(e)));
    }
  }

  #people() {
    const { poll } = this.#of;
    if (!poll || !this.#given.length) return;
    this.engine.wantNames(this.#given.map((v) => v.userId));
    const key = JSON.stringify(this.#given.map((v) => [v, nameOf(this.model, v.userId), this.model.pictures.get(v.userId)]));
    if ($("votes-list").shown === key && $("votes-list").of === this.#of) return;
    Object.assign($("votes-list"), { shown: key, of: this.#of });
    $("votes-list").replaceChildren(...poll.options.flatMap((text, i) => {
      const who = this.#given.filter((v) => v.options.includes(i));
      const head = el("h3");
      const name = el("bdi", "grow", text);
      head.append(name, el("span", "dim", votes(who.length)));
      const list = el("ul");
      list.append(...who.map((v) => this.#person(v)));
      return who.length ? [head, list] : [head];
    }));
  }

  #person({ userId, at }) {
    const row = el("li");
    const face = this.engine.media.face("small");
    const name = nameOf(this.model, userId);
    this.engine.media.setFace(face, userId, name, this.model.pictures.get(userId));
    const title = el("span", "grow", name);
    title.dir = "auto";
    row.append(face, title, el("span", "dim", at ? time(at) : ""));
    return row;
  }

  actions = {
    vote: (b) => this.#vote(b),
    votes: (b) => this.#show(b),
    "more-options": () => this.#more().focus(),
  };

  forms = { "poll-form": () => this.#send() };
}
