// SPDX-License-Identifier: MIT
// Links by which others join a group: made, copied and revoked; who asks to be let in; and what such a link shows to whoever
// opens it. Loaded when one of them is wanted.
import { ask, hide, put } from "./keys.js";
import { may } from "./marks.js";
import { el, uuid } from "./util.js";
import { errorWords, nameOf, until } from "./words.js";

const $ = (id) => document.getElementById(id);
const TIMES = { "": "For good", 3600: "1 hour", 86400: "1 day", 604800: "7 days", 2592000: "30 days" };
const USES = { "": "Any number", 1: "1 person", 10: "10 people", 100: "100 people" };
const NO_LINK = "This link does not work any more: its time is over, as many as may have joined by it, or it was revoked. Ask for another one.";
const LIST_MS = 1000; // the list of who asks, after something about it was told
const LIST_TRIES = 6; // it may be told before the list has it

const people = (n) => (n === 1 ? "1 member" : `${n} members`);

export class Screen {
  #chat = null; // whose links are shown
  #shown = ""; // as of what who asks was fetched
  #join = null; // {chatId, secret, state: looking | open | asked | in | refused | over}

  constructor(act) {
    Object.assign(this, { act, engine: act.engine, model: act.model, session: act.session });
    const options = (all) => Object.entries(all).map(([value, text]) => new Option(text, value));
    $("invite-time").append(...options(TIMES));
    $("invite-uses").append(...options(USES));
    this.face = this.engine.media.face("large");
    $("join-face").append(this.face);
    $("join").addEventListener("close", () => (this.#join = null));
  }

  // Links of a group

  show(chat) {
    this.#chat = chat;
    this.#shown = this.#key();
    $("invite-time").value = "604800";
    $("invite-uses").value = "";
    $("invite-approval").checked = false;
    hide($("invites-error"), true);
    put($("invites-said"), "");
    for (const id of ["invite-list", "asking-list"]) $(id).replaceChildren();
    hide($("asking-part"), true);
    $("invites").showModal();
    $("invites-title").focus();
    return this.#try(() => Promise.all([this.#links(), this.#asking()]));
  }

  #key = () => JSON.stringify([this.#chat.chatId, this.#chat.requests, this.#chat.members?.length, may(this.#chat, "add")]);

  draw() {
    this.#drawJoin();
    if (!this.#chat || !$("invites").open || this.#key() === this.#shown) return;
    this.#shown = this.#key();
    if (!may(this.#chat, "add")) return $("invites").close();
    this.#later(LIST_TRIES);
    return undefined;
  }

  /** The list of who asks, again until it has as many as were told. */
  #later(tries) {
    clearTimeout(this.timer);
    const told = this.#chat.requests;
    this.timer = setTimeout(() => $("invites").open && this.#try(async () => {
      if (!(await this.#asking(tries > 1 ? told : null))) this.#later(tries - 1);
    }), LIST_MS);
  }

  /** Try something and say how it went. */
  async #try(fn, words = "") {
    hide($("invites-error"), true);
    try {
      await fn(this.#chat);
      put($("invites-said"), words);
    } catch (e) {
      put($("invites-said"), "");
      put($("invites-error"), errorWords(e));
      hide($("invites-error"), false);
    }
    const focused = document.activeElement;
    if ($("invites").open && !($("invites").contains(focused) && focused.checkVisibility())) $("invites-title").focus();
  }

  #path = (rest) => `/api/chats/${this.#chat.chatId}${rest}`;

  #button(action, text, label, className = "") {
    const b = el("button", className, text);
    b.type = "button";
    b.dataset.action = action;
    b.setAttribute("aria-label", label);
    return b;
  }

  async #links() {
    const { invites } = await this.session.insist("GET", this.#path("/invites"), undefined, 3);
    this.engine.wantNames(invites.map((link) => link.by));
    const rows = invites.map((link) => {
      const row = el("li");
      row.dataset.inviteId = link.id;
      row.address = `${location.origin}${location.pathname}#join/${this.#chat.chatId}/${link.secret}`;
      const words = [
        link.uses ? `${link.used} of ${link.uses} joined` : `${link.used} joined`, link.expiresAt ? `until ${until(link.expiresAt)}` : "for good",
        link.approval && "an admin lets them in", link.by !== this.model.me && `by ${nameOf(this.model, link.by)}`,
      ];
      const about = el("span", "grow");
      about.append(el("span", "address", row.address), el("span", "sub", words.filter(Boolean).join(" · ")));
      about.lastChild.dir = "auto";
      const which = `the link ${words.filter(Boolean).join(", ")}`;
      row.append(about, this.#button("copy-invite", "Copy", `Copy ${which}`), this.#button("revoke-invite", "Revoke", `Revoke ${which}`, "danger"));
      if (!link.secret) row.querySelector("button").remove();
      return row;
    });
    $("invite-list").replaceChildren(...(rows.length ? rows : [el("li", "dim", "There are no links.")]));
  }

  async #make() {
    const [seconds, uses] = [Number($("invite-time").value), Number($("invite-uses").value)];
    const body = { clientId: uuid(), seconds: seconds || undefined, uses: uses || undefined, approval: $("invite-approval").checked || undefined };
    await this.#try(async () => {
      await this.session.insist("POST", this.#path("/invites"), body, 3);
      await this.#links();
    }, "The link is in the list");
  }

  async #copy(button) {
    await this.#try(() => navigator.clipboard.writeText(button.closest("li").address), "Copied");
  }

  async #revoke(button) {
    const { inviteId } = button.closest("li").dataset;
    if (!(await ask("Revoke this link?", "Nobody joins by it any more, and who asks to be let in by it is forgotten. Who joined by it stays.", "Revoke"))) return;
    await this.#try(async () => {
      await this.session.call("DELETE", this.#path(`/invites/${inviteId}`));
      await Promise.all([this.#links(), this.#asking()]);
    }, "Revoked");
  }

  /** False when they are not as many as were told. */
  async #asking(told = null) {
    const chat = this.#chat;
    const { requests } = await this.session.insist("GET", this.#path("/requests"), undefined, 3);
    if (chat !== this.#chat) return true;
    if (told !== null && requests.length !== told) return false;
    this.model.asks(chat, requests.length);
    this.#shown = this.#key();
    this.engine.changed();
    hide($("asking-part"), !requests.length);
    $("asking-list").replaceChildren(...requests.map(({ userId, name, invitedBy }) => {
      const row = el("li");
      const words = name || "No name";
      const face = this.engine.media.face("small");
      const about = el("span", "grow");
      about.append(el("span", "", words), el("span", "sub", invitedBy === this.model.me ? "by your link" : invitedBy ? `by a link of ${nameOf(this.model, invitedBy)}` : ""));
      for (const part of about.children) part.dir = "auto";
      row.dataset.userId = userId;
      this.engine.media.setFace(face, userId, name ?? "", this.model.pictures.get(userId));
      row.append(face, about, this.#button("let-in", "Let in", `Let ${words} in`), this.#button("refuse-in", "Refuse", `Refuse ${words}`));
      return row;
    }));
    return true;
  }

  async #answer(button, method) {
    const { userId } = button.closest("li").dataset;
    await this.#try(async () => {
      await this.session.call(method, this.#path(`/requests/${userId}`));
      button.closest("li").remove();
      await this.#asking();
    }, method === "PUT" ? "Let in" : "Refused");
    await this.#links().catch(() => {}); // how many joined; it is right the next time
  }

  // A link that was opened

  async join(chatId, secret) {
    const join = { chatId, secret, clientId: uuid(), state: "looking" };
    this.#join = join;
    this.model.answered.delete(chatId);
    this.#drawJoin();
    if (!$("join").open) $("join").showModal();
    await this.#joining(async () => {
      const [{ invite }, { requests }] = await Promise.all([`/api/invites/${chatId}/${secret}`, "/api/requests"].map((path) => this.session.insist("GET", path, undefined, 3)));
      Object.assign(join, { invite, state: invite.member ? "in" : requests.some((r) => r.chatId === chatId) ? "asked" : "open" });
    });
  }

  /** Something with the link that is open, and how it stands then. */
  async #joining(fn) {
    const join = this.#join;
    try {
      delete join.error;
      await fn(join);
    } catch (e) {
      if (e.status === 404) join.state = "over";
      else join.error = errorWords(e);
      join.clientId = e.status === 0 || e.status === 503 ? join.clientId : uuid();
    }
    this.#drawJoin();
  }

  #drawJoin() {
    const join = this.#join;
    if (!join) return;
    const { invite, chatId } = join;
    const chat = this.model.chats.get(chatId);
    if (join.state === "asked" && chat && !chat.left) join.state = "in";
    else if (join.state === "asked" && this.model.answered.get(chatId)) join.state = "refused";
    const name = invite?.name ?? "";
    hide($("join-who"), !invite);
    put($("join-name"), name);
    put($("join-count"), invite ? people(invite.members) : "");
    if (invite) this.engine.media.setFace(this.face, chatId, name, "");
    this.face.classList.add("group");
    put($("join-text"), {
      looking: "Looking where this link leads…", in: "You are in this group.", over: NO_LINK, refused: "You were not let in.",
      asked: "You asked to be let in. The group is in your list of chats as soon as somebody of it says yes.",
      open: invite?.approval ? "Somebody of the group has to let you in. They see your name." : "You see what is written from then on, and its members see your name.",
    }[join.state]);
    put($("join-error"), join.error ?? "");
    hide($("join-error"), !join.error);
    hide($("join-go"), join.state !== "open");
    put($("join-go"), invite?.approval ? "Ask to join" : "Join");
    hide($("join-open"), join.state !== "in");
    hide($("join-undo"), join.state !== "asked");
  }

  #go() {
    return this.#joining(async (join) => {
      const { pending } = await this.session.insist("POST", `/api/invites/${join.chatId}/${join.secret}`, { clientId: join.clientId }, 3);
      join.state = pending ? "asked" : "in";
      if (!pending) await this.#open();
    });
  }

  async #open() {
    const { chatId } = this.#join;
    await this.engine.meet(chatId);
    $("join").close();
    this.act.open(chatId);
  }

  #undo() {
    return this.#joining(async (join) => {
      await this.session.call("DELETE", `/api/chats/${join.chatId}/requests/${this.model.me}`);
      join.state = "open";
      join.clientId = uuid();
    });
  }

  actions = {
    "copy-invite": (b) => this.#copy(b),
    "revoke-invite": (b) => this.#revoke(b),
    "let-in": (b) => this.#answer(b, "PUT"),
    "refuse-in": (b) => this.#answer(b, "DELETE"),
    "join-go": () => this.#go(),
    "join-open": () => this.#joining(() => this.#open()),
    "join-undo": () => this.#undo(),
  };

  forms = { "invite-form": () => this.#make() };
}
