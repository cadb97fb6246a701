// SPDX-License-Identifier: MIT
// Settings of the user: what he shows of himself, and to whom; whom he blocks; his devices. Loaded when they are opened.
// What is chosen is kept at once; names and texts with "Save".
import { ask, hide, put } from "./keys.js";
import { el } from "./util.js";
import { errorWords, when } from "./words.js";

const $ = (id) => document.getElementById(id);
const ABOUT = { lastSeen: "Last seen and online", picture: "Picture", about: "About" };
const WHO = { everyone: "Everyone", contacts: "My contacts", nobody: "Nobody" };
const BLOCKS = 200; // a page

export class Screen {
  constructor(act) {
    Object.assign(this, { act, engine: act.engine, model: act.model });
    this.face = this.engine.media.face("large");
    $("my-face").replaceChildren(this.face);
    $("privacy-choices").replaceChildren(...Object.entries(ABOUT).map(([what, words]) => this.#choice(what, words)));
    $("read-receipts").onchange = ({ target }) => this.#keep({ readReceipts: target.checked });
    $("picture-file").onchange = () => {
      const [file] = $("picture-file").files;
      $("picture-file").value = "";
      if (file) this.#picture(file);
    };
  }

  #choice(what, words) {
    const label = el("label", "setting");
    const select = el("select");
    select.id = `privacy-${what}`;
    select.append(...Object.entries(WHO).map(([value, text]) => new Option(text, value)));
    select.addEventListener("change", () => this.#keep({ privacy: { [what]: select.value } }));
    label.append(el("span", "grow", words), select);
    return label;
  }

  show() {
    const { can } = this.engine;
    const { profile } = this.model;
    hide($("settings-error"), true);
    put($("settings-said"), "");
    $("profile-name").value = profile.name ?? "";
    $("profile-about").value = profile.about ?? "";
    hide($("privacy"), !can.has("privacy") && !can.has("readReceipts"));
    hide($("receipts-choice"), !can.has("readReceipts"));
    hide($("blocked"), !can.has("blocks"));
    hide(document.querySelector('[data-action="link-device"]'), !can.has("links"));
    this.act.screen("notify").then((screen) => screen.show(), () => {}); // without it there is no such choice
    $("settings").showModal();
    $("settings-title").focus();
    this.draw();
    if (can.has("blocks")) this.#load(() => this.#blocks());
    this.#load(() => this.#devices());
  }

  async #load(fn) {
    try {
      await fn();
    } catch (e) {
      put($("settings-error"), errorWords(e));
      hide($("settings-error"), false);
    }
  }

  /** What is chosen, here or on another device. */
  draw() {
    if (!$("settings").open) return;
    const { profile, me } = this.model;
    put($("my-number"), profile.phoneNumber ?? "");
    hide($("account-part"), !profile.phoneNumber);
    this.engine.media.setFace(this.face, me, profile.name || profile.phoneNumber || "", profile.picture);
    hide(document.querySelector('[data-action="no-picture"]'), !profile.picture);
    for (const what of Object.keys(ABOUT)) {
      const select = $(`privacy-${what}`);
      select.disabled = !profile.privacy;
      if (document.activeElement !== select && profile.privacy) select.value = profile.privacy[what];
    }
    $("read-receipts").disabled = profile.readReceipts === undefined;
    if (document.activeElement !== $("read-receipts")) $("read-receipts").checked = profile.readReceipts ?? true;
  }

  /** Try something and say how it went; → whether it went well. */
  async #try(fn, words = "Saved") {
    hide($("settings-error"), true);
    put($("settings-said"), "Saving…");
    try {
      await fn();
      put($("settings-said"), words);
      return true;
    } catch (e) {
      put($("settings-said"), "");
      put($("settings-error"), errorWords(e));
      hide($("settings-error"), false);
      return false;
    }
  }

  /** What could not be kept is shown as it was. */
  async #keep(change) {
    if (await this.#try(() => this.engine.profile(change))) return;
    const { profile } = this.model;
    for (const what of Object.keys(change.privacy ?? {})) $(`privacy-${what}`).value = profile.privacy[what];
    $("read-receipts").checked = profile.readReceipts ?? true;
  }

  #saveProfile() {
    const { profile } = this.model;
    const [name, about] = [$("profile-name").value.trim(), $("profile-about").value.trim()];
    const change = {};
    if (name !== profile.name) change.name = name;
    if (about !== (profile.about ?? "")) change.about = about;
    return this.#try(async () => {
      if (Object.keys(change).length) await this.engine.profile(change);
    });
  }

  async #picture(file) {
    await this.#try(async () => {
      const { uploadPicture } = await import("./portrait.js");
      const mediaId = await uploadPicture(this.engine.session, file);
      await this.engine.profile({ picture: mediaId });
    });
    this.draw();
  }

  // Blocked people, and devices

  #row(words, action, text, label) {
    const row = el("li");
    const name = el("span", "grow", words);
    name.dir = "auto";
    row.append(name);
    if (!action) return row;
    const button = el("button", "", text);
    button.type = "button";
    button.dataset.action = action;
    button.setAttribute("aria-label", label);
    row.append(button);
    return row;
  }

  async #blocks() {
    const found = [];
    for (let more = true; more;) {
      const after = found.length ? `&after=${found.at(-1).chatId}` : "";
      const page = await this.engine.session.insist("GET", `/api/blocks?limit=${BLOCKS}${after}`, undefined, 3);
      found.push(...page.blocks);
      more = page.more && page.blocks.length > 0;
    }
    const rows = found.map(({ userId, name }) => {
      const words = name || "No name";
      const row = this.#row(words, "unblock-user", "Unblock", `Unblock ${words}`);
      const face = this.engine.media.face("small");
      this.engine.media.setFace(face, userId, name || "", this.model.pictures.get(userId));
      row.dataset.userId = userId;
      row.prepend(face);
      return row;
    });
    $("blocks").replaceChildren(...(rows.length ? rows : [el("li", "dim", "Nobody")]));
  }

  async #unblock(button) {
    const { userId } = button.closest("[data-user-id]").dataset;
    if (!(await this.#try(() => this.engine.session.call("DELETE", `/api/users/${userId}/block`), "Unblocked"))) return;
    await this.#load(() => this.#blocks());
    ($("blocks").querySelector("button") ?? $("settings-title")).focus();
  }

  async #devices() {
    const { devices } = await this.engine.session.insist("GET", "/api/devices", undefined, 3);
    $("devices").replaceChildren(...devices.map(({ deviceId, platform, label, seenAt, current }) => {
      const words = label || platform || "Unknown device";
      const row = current ? this.#row(words) : this.#row(words, "end-device", "Sign out", `Sign out ${words}`);
      row.firstChild.append(el("span", "sub", current ? "This browser" : seenAt ? `Last used ${when(seenAt)}` : ""));
      row.dataset.deviceId = deviceId;
      return row;
    }));
    hide(document.querySelector('[data-action="end-devices"]'), devices.length < 2);
    return devices.length;
  }

  async #linkDevice() {
    const screen = await this.act.screen("link");
    screen.show(async (approved) => {
      put($("settings-said"), approved ? "Linked. It is in the list as soon as it is confirmed there." : "Refused");
      if (approved) await this.#load(async () => (await import("./link.js")).comes(() => this.#devices()));
    });
  }

  async #endDevices() {
    const text = "All of your other browsers and apps are signed out, and what they hold of your chats is removed there.";
    if (!(await ask("Sign out all other devices?", text, "Sign out"))) return;
    if (!(await this.#try(() => this.engine.session.call("DELETE", "/api/devices"), "Signed out everywhere else"))) return;
    await this.#load(() => this.#devices());
    $("settings-title").focus();
  }

  async #endDevice(button) {
    const row = button.closest("[data-device-id]");
    const words = row.firstChild.firstChild.textContent;
    if (!(await ask(`Sign out ${words}?`, "What it holds of your chats is removed there as soon as it hears of it.", "Sign out"))) return;
    if (!(await this.#try(() => this.engine.session.call("DELETE", `/api/devices/${row.dataset.deviceId}`), "Signed out"))) return;
    await this.#load(() => this.#devices());
    $("settings-title").focus();
  }

  actions = {
    "change-number": async () => (await this.act.screen("account")).number(),
    "delete-account": async () => (await this.act.screen("account")).end(),
    "choose-picture": () => $("picture-file").click(),
    "no-picture": () => this.#try(() => this.engine.profile({ picture: "" })).then(() => this.draw()),
    "unblock-user": (b) => this.#unblock(b),
    "link-device": () => this.#linkDevice(),
    "end-devices": () => this.#endDevices(),
    "end-device": (b) => this.#endDevice(b),
  };

  forms = { "profile-form": () => this.#saveProfile() };
}
