// SPDX-License-Identifier: MIT
// What a chat is: its person or its members, how long its messages stay, and what can be done about it. Loaded when it is opened.
import { ask, hide, put } from "./keys.js";
import { may, rightOf } from "./marks.js";
import { linked } from "./row.js";
import { el } from "./util.js";
import { errorWords, nameOf, parts, RIGHT_WORDS, TIMERS, timerWords, titleOf } from "./words.js";

const $ = (id) => document.getElementById(id);
const WHOSE = { everyone: "Everyone", admins: "Only admins" };
const DESCRIPTION_CHARS = 512;
const TIMER_TEXT = "New messages vanish for everybody in this chat when their time is over. Those that are there now stay.";

export class Screen {
  #chat = null;
  #shown = ""; // what the dialog shows
  #about = ""; // of the other person

  constructor(act) {
    Object.assign(this, { act, engine: act.engine, model: act.model });
    this.face = this.engine.media.face("large");
    $("info-face").replaceChildren(this.face);
    $("group-picture").onchange = () => {
      const [file] = $("group-picture").files;
      $("group-picture").value = "";
      if (file) this.#picture(file);
    };
    $("timer-choices").append(...Object.entries(TIMERS).map(([seconds, words]) => {
      const label = el("label", "choice");
      const radio = el("input");
      Object.assign(radio, { type: "radio", name: "timer", value: seconds });
      label.append(radio, el("span", "", words));
      return label;
    }));
  }

  show(chat) {
    this.#chat = chat;
    this.#shown = this.#about = "";
    $("rename").value = chat.name;
    hide($("info-error"), true);
    this.#writing(false);
    this.draw(true);
    $("info").showModal();
    if (chat.kind !== "direct") return;
    this.engine.userOf(chat.peer).then((user) => {
      this.#about = user.about ?? "";
      this.draw();
    }, () => {}); // what he says of himself is not known then
  }

  #key(chat) {
    const { model } = this;
    const members = chat.members?.map((m) => [m, nameOf(model, m.userId), model.pictures.get(m.userId)]);
    return JSON.stringify([chat.chatId, titleOf(model, chat), chat.role, chat.left, chat.blocked, chat.timer, chat.deleted, chat.description, chat.picture, chat.rights, chat.requests, this.#about, model.pictures.get(chat.peer), members]);
  }

  /** Only what changed; `now`: it is about to be opened. */
  draw(now = false) {
    const chat = this.#chat;
    if (!chat || !(now || $("info").open)) return;
    const key = this.#key(chat);
    if (key === this.#shown) return;
    this.#shown = key;
    const direct = chat.kind === "direct";
    const leads = !direct && !chat.left && (chat.role === "owner" || chat.role === "admin");
    const can = (word) => this.engine.can.has(word);
    this.engine.faceOf(this.face, chat);
    put($("info-name"), titleOf(this.model, chat));
    put($("info-count"), direct ? "" : chat.members ? `${chat.members.length} members` : "");
    hide($("info-about"), !direct || !this.#about);
    put($("info-about"), this.#about);
    const timer = document.querySelector('[data-action="timer"]');
    hide(timer, !can("timers") || chat.left || chat.deleted);
    put($("info-timer"), chat.timer ? timerWords(chat.timer) : TIMERS[0]);
    hide($("rename-form"), direct || !may(chat, "info"));
    hide($("info-picture"), direct || !may(chat, "info") || !can("groupPictures"));
    hide(document.querySelector('[data-action="no-group-picture"]'), !chat.picture);
    hide($("add-form"), direct || !may(chat, "add"));
    hide($("info-invites"), direct || !may(chat, "add") || !can("invites"));
    put($("info-asking"), chat.requests ? `${chat.requests} asking` : "");
    for (const id of ["members", "members-title"]) hide($(id), direct);
    hide($("info-description"), direct || chat.left || !can("descriptions") || !(chat.description || may(chat, "info")));
    $("description-text").replaceChildren(...linked(parts(chat.description)));
    hide($("description-text"), !chat.description);
    this.#writing(!$("description-form").hidden && may(chat, "info"));
    hide($("info-rights"), direct || chat.left || !can("rights"));
    if (!direct) this.#rights(chat, leads);
    hide(document.querySelector('[data-action="leave"]'), direct || chat.left);
    hide(document.querySelector('#info [data-action="block"]'), !direct || chat.blocked || !can("blocks"));
    hide($("info-unblock"), !direct || !chat.blocked);
    $("members").replaceChildren(...(direct ? [] : chat.members ?? []).map((m) => this.#row(chat, m, leads)));
  }

  /** The description is being written, or shown. */
  #writing(yes) {
    const edit = document.querySelector('[data-action="edit-description"]');
    hide($("description-form"), !yes);
    hide(edit, yes || !may(this.#chat, "info"));
    put(edit, this.#chat.description ? "Change the description" : "Add a description");
  }

  #describe(yes) {
    $("description").value = this.#chat.description;
    this.#writing(yes);
    (yes ? $("description") : document.querySelector('[data-action="edit-description"]')).focus();
  }

  async #saveDescription() {
    const description = $("description").value.trim();
    const n = [...description].length;
    if (n > DESCRIPTION_CHARS) {
      put($("info-error"), `A description has up to ${DESCRIPTION_CHARS} characters; this one has ${n}.`);
      return hide($("info-error"), false);
    }
    return this.#try(async (chat) => {
      await this.engine.change(chat.chatId, "PUT", "/description", { description });
      this.#writing(false);
    });
  }

  async #picture(file) {
    put($("info-said"), "Saving…");
    await this.#try(async (chat) => {
      const { uploadPicture } = await import("./portrait.js");
      await this.engine.change(chat.chatId, "PUT", "/picture", { picture: file ? await uploadPicture(this.engine.session, file) : "" });
    });
    put($("info-said"), "");
  }

  /** Who may do what; owner and admins choose. */
  #rights(chat, leads) {
    const rows = Object.entries(RIGHT_WORDS).map(([right, words]) => {
      const row = el(leads ? "label" : "div", "setting");
      row.append(el("span", "grow", words[0].toUpperCase() + words.slice(1)));
      if (!leads) {
        row.append(el("span", "dim", WHOSE[rightOf(chat, right)]));
        return row;
      }
      const select = el("select");
      select.id = `right-${right}`;
      select.append(...Object.entries(WHOSE).map(([value, text]) => new Option(text, value)));
      select.value = rightOf(chat, right);
      select.addEventListener("change", async () => {
        await this.#try((c) => this.engine.change(c.chatId, "PUT", "/rights", { [right]: select.value }));
        if (select.isConnected) select.value = rightOf(chat, right); // what was refused is as it was
        $(select.id)?.focus();
      });
      row.append(select);
      return row;
    });
    $("rights").replaceChildren(...rows);
  }

  #row(chat, m, leads) {
    const row = el("li");
    const name = nameOf(this.model, m.userId);
    row.dataset.userId = m.userId;
    const face = this.engine.media.face("small");
    this.engine.wantNames([m.userId]);
    this.engine.media.setFace(face, m.userId, m.userId === this.model.me ? this.model.profile.name || name : name, this.model.pictures.get(m.userId));
    const words = el("span", "grow", name);
    words.dir = "auto";
    row.append(face, words, el("span", "role", m.role === "member" ? "" : m.role));
    const can = (action, text, label) => {
      const b = el("button", "", text);
      b.type = "button";
      b.dataset.action = action;
      b.setAttribute("aria-label", `${label}: ${name}`);
      row.append(b);
    };
    if (m.userId === this.model.me || m.role === "owner") return row;
    if (chat.role === "owner") can(m.role === "admin" ? "demote" : "promote", m.role === "admin" ? "No admin" : "Admin", m.role === "admin" ? "No admin any more" : "Make admin");
    if (leads) can("remove-member", "Remove", "Remove");
    return row;
  }

  /** Do something with the chat and show how it stands then. */
  async #try(fn) {
    hide($("info-error"), true);
    try {
      await fn(this.#chat);
    } catch (e) {
      put($("info-error"), errorWords(e));
      hide($("info-error"), false);
    }
    this.draw();
    const focused = document.activeElement;
    if ($("info").open && !($("info").contains(focused) && focused.checkVisibility())) this.#first().focus();
  }

  /** Where the focus goes when what had it is not there any more. */
  #first() {
    return [...$("info").querySelectorAll("button")].find((b) => b.matches(".danger, #info-unblock") && b.checkVisibility()) ?? $("info").querySelector(".close button");
  }

  #member(button, method, body) {
    const { userId } = button.closest("[data-user-id]").dataset;
    return this.#try((chat) => this.engine.change(chat.chatId, method, `/members/${userId}`, body));
  }

  async #remove(button) {
    const name = nameOf(this.model, button.closest("[data-user-id]").dataset.userId);
    const text = `${name} will get no more messages of “${titleOf(this.model, this.#chat)}”, and everybody in it sees that.`;
    if (await ask(`Remove ${name}?`, text, "Remove")) await this.#member(button, "DELETE");
  }

  async #leave() {
    const text = `You will get no more messages of “${titleOf(this.model, this.#chat)}”. Only an admin can add you again.`;
    if (!(await ask("Leave the group?", text, "Leave"))) return;
    await this.#try(async (chat) => {
      await this.engine.leave(chat.chatId);
      $("info").close();
    });
  }

  // Disappearing messages

  timer(chat = this.#chat) {
    this.#chat = chat;
    const allowed = !chat.blocked && may(chat, "info");
    put($("timer-text"), allowed ? TIMER_TEXT : chat.blocked ? `${TIMER_TEXT} Unblock ${titleOf(this.model, chat)} to change it.` : `${TIMER_TEXT} Only admins can change it.`);
    for (const radio of $("timer-choices").querySelectorAll("input")) radio.checked = Number(radio.value) === chat.timer;
    $("timer-choices").disabled = !allowed;
    hide($("timer-save"), !allowed);
    hide($("timer-error"), true);
    $("timer").showModal();
    if (allowed) $("timer-choices").querySelector("input:checked")?.focus();
  }

  async #setTimer() {
    const seconds = Number($("timer-choices").querySelector("input:checked").value);
    hide($("timer-error"), true);
    try {
      if (seconds !== this.#chat.timer) await this.engine.change(this.#chat.chatId, "PUT", "/timer", { seconds });
      $("timer").close();
    } catch (e) {
      put($("timer-error"), errorWords(e));
      hide($("timer-error"), false);
    }
  }

  actions = {
    promote: (b) => this.#member(b, "PUT", { role: "admin" }),
    demote: (b) => this.#member(b, "PUT", { role: "member" }),
    "remove-member": (b) => this.#remove(b),
    leave: () => this.#leave(),
    timer: () => this.timer(),
    "choose-group-picture": () => $("group-picture").click(),
    "no-group-picture": () => this.#picture(null),
    "edit-description": () => this.#describe(true),
    "no-description": () => this.#describe(false),
    block: () => ($("info").open ? this.#try(() => this.act.block()) : this.act.block()),
    unblock: () => ($("info").open ? this.#try(() => this.act.unblock()) : this.act.unblock()),
  };

  forms = {
    "rename-form": () => this.#try((chat) => this.engine.change(chat.chatId, "PATCH", "", { name: $("rename").value.trim() })),
    "description-form": () => this.#saveDescription(),
    "add-form": () => this.#try(async (chat) => {
      await this.engine.addMembers(chat.chatId, $("add-members").value);
      $("add-members").value = "";
    }),
    "timer-form": () => this.#setTimer(),
  };
}
