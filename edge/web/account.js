// SPDX-License-Identifier: MIT
// Another number for an account, and its end. Both want codes to the numbers. Loaded when they are asked for.
import { ask, hide, put } from "./keys.js";
import { ApiError } from "./session.js";
import { phoneNumber } from "./util.js";
import { errorWords } from "./words.js";

const $ = (id) => document.getElementById(id);
const DELETE_TEXT = "Your name and picture are gone, you leave all groups, and all of your devices are signed out. What you wrote stays with others, without your name. It cannot be undone.";

export class Screen {
  #wanted = ""; // the other number; "": the account is to end
  #challenges = null; // {own, other?}

  constructor(act) {
    Object.assign(this, { act, engine: act.engine, model: act.model, session: act.session });
    $("account").addEventListener("close", () => (this.#challenges = null));
  }

  draw() {}

  #open(title, text) {
    put($("account-title"), title);
    put($("account-text"), text);
    hide($("account-error"), true);
    hide($("number-form"), true);
    hide($("codes-form"), true);
    $("account").showModal();
  }

  /** Try something and say what went wrong. */
  async #try(fn) {
    hide($("account-error"), true);
    try {
      await fn();
    } catch (e) {
      put($("account-error"), errorWords(e));
      hide($("account-error"), false);
    }
  }

  // Another number

  number() {
    this.#open("Change number", `Your number is ${this.model.profile.phoneNumber}. Your chats, groups and devices stay; people find you by the new number from then on.`);
    $("new-number").value = "";
    hide($("number-form"), false);
    $("new-number").focus();
  }

  #askCodes() {
    return this.#try(async () => {
      const other = phoneNumber($("new-number").value);
      if (!other) throw new ApiError(0, "number", "Write the number with its country code, like +49 155 5000 0001.", 0);
      if (other === this.model.profile.phoneNumber) throw new ApiError(0, "number", "That is your number already.", 0);
      this.#wanted = other;
      await this.#codes();
    });
  }

  // The end

  async end() {
    if (!(await ask("Delete your account?", DELETE_TEXT, "Go on"))) return;
    this.#wanted = "";
    this.#open("Delete account", "With the code that was sent to your number the account is gone for good.");
    await this.#try(() => this.#codes());
  }

  /** Send the codes, and ask for them. */
  async #codes() {
    const own = this.model.profile.phoneNumber;
    const [mine, theirs] = await Promise.all([own, ...(this.#wanted ? [this.#wanted] : [])].map((number) => this.session.codeTo(number, number === own)));
    this.#challenges = { own: mine.challenge, other: theirs?.challenge };
    put($("own-number"), own);
    put($("other-number"), this.#wanted);
    hide($("other-code-part"), !theirs);
    $("other-code").required = Boolean(theirs);
    $("own-code").value = mine.devCode ?? "";
    $("other-code").value = theirs?.devCode ?? "";
    const dev = [mine.devCode, theirs?.devCode].filter(Boolean);
    hide($("account-dev"), !dev.length);
    put($("account-dev"), dev.length ? `Development: no message was sent, it would say ${dev.join(" and ")}` : "");
    put($("codes-go"), this.#wanted ? "Change number" : "Delete account");
    $("codes-go").className = this.#wanted ? "primary" : "sure";
    hide($("number-form"), true);
    hide($("codes-form"), false);
    $("own-code").focus();
  }

  #go() {
    const codes = this.#challenges;
    if (!codes) return undefined;
    return this.#try(async () => {
      const own = $("own-code").value.trim();
      if (!this.#wanted) {
        await this.session.endAccount(codes.own, own);
        return;
      }
      const body = { challenge: codes.other, code: $("other-code").value.trim(), oldChallenge: codes.own, oldCode: own };
      this.model.myself(await this.session.call("PUT", "/api/me/number", body));
      this.engine.changed();
      $("account").close();
      this.act.notice(`Your number is ${this.#wanted} now.`);
    });
  }

  forms = { "number-form": () => this.#askCodes(), "codes-form": () => this.#go() };
}
