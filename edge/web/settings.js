// SPDX-License-Identifier: MIT
// Settings of the user: what he shows of himself, and to whom; whom he blocks. Loaded when they are opened. What is chosen
// is kept at once; names and texts with "Save".
import { hide, put } from "./keys.js";
import { ApiError } from "./session.js";
import { el } from "./util.js";
import { errorWords } from "./words.js";

const $ = (id) => document.getElementById(id);
const ABOUT = { lastSeen: "Last seen and online", picture: "Picture", about: "About" };
const WHO = { everyone: "Everyone", contacts: "My contacts", nobody: "Nobody" };
const SIDE_PX = 640; // of a picture, which is cut to a square
const BLOCKS = 200; // a page

/** The middle of a picture, without what the camera wrote into the file. */
async function square(file) {
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new ApiError(0, "no_picture", "This file is not a picture that can be shown. Choose a JPEG, PNG or WebP.", 0);
  });
  const side = Math.min(bitmap.width, bitmap.height);
  const canvas = el("canvas");
  canvas.width = canvas.height = Math.min(SIDE_PX, side);
  canvas.getContext("2d").drawImage(bitmap, (bitmap.width - side) / 2, (bitmap.height - side) / 2, side, side, 0, 0, canvas.width, canvas.width);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.9));
  return new File([blob], "picture.jpg", { type: "image/jpeg" });
}

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
    $("settings").showModal();
    $("settings-title").focus();
    this.draw();
    if (can.has("blocks")) this.#blocks();
  }

  /** What is chosen, here or on another device. */
  draw() {
    if (!$("settings").open) return;
    const { profile, me } = this.model;
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
      const picture = await square(file);
      const { Upload } = await import("./upload.js");
      const keepsNothing = { keepUpload() {}, forgetUpload() {}, pauseUpload() {} };
      const mediaId = await new Promise((done, fail) => {
        const upload = new Upload(this.engine.session, keepsNothing, {}, picture, () => {
          if (upload.state === "failed") fail(new ApiError(0, "upload", upload.why, 0));
        }, done, { type: "image" });
        upload.run();
      });
      await this.engine.profile({ picture: mediaId });
    });
    this.draw();
  }

  // Blocked people

  async #blocks() {
    const found = [];
    try {
      for (let more = true; more;) {
        const after = found.length ? `&after=${found.at(-1).chatId}` : "";
        const page = await this.engine.session.insist("GET", `/api/blocks?limit=${BLOCKS}${after}`, undefined, 3);
        found.push(...page.blocks);
        more = page.more && page.blocks.length > 0;
      }
    } catch (e) {
      put($("settings-error"), errorWords(e));
      return hide($("settings-error"), false);
    }
    const rows = found.map(({ userId, name }) => {
      const row = el("li");
      const words = el("span", "grow", name || "No name");
      const face = this.engine.media.face("small");
      this.engine.media.setFace(face, userId, name || "", this.model.pictures.get(userId));
      words.dir = "auto";
      const button = el("button", "", "Unblock");
      button.type = "button";
      button.dataset.action = "unblock-user";
      button.setAttribute("aria-label", `Unblock ${name}`);
      row.dataset.userId = userId;
      row.append(face, words, button);
      return row;
    });
    return $("blocks").replaceChildren(...(rows.length ? rows : [el("li", "dim", "Nobody")]));
  }

  async #unblock(button) {
    const { userId } = button.closest("[data-user-id]").dataset;
    if (!(await this.#try(() => this.engine.session.call("DELETE", `/api/users/${userId}/block`), "Unblocked"))) return;
    await this.#blocks();
    ($("blocks").querySelector("button") ?? $("settings-title")).focus();
  }

  actions = {
    "choose-picture": () => $("picture-file").click(),
    "no-picture": () => this.#try(() => this.engine.profile({ picture: "" })).then(() => this.draw()),
    "unblock-user": (b) => this.#unblock(b),
  };

  forms = { "profile-form": () => this.#saveProfile() };
}
