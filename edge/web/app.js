// SPDX-License-Identifier: MIT
// Signing in and out, and which chat is open. What buttons, forms and keys do in it is in act.js.
import { Act } from "./act.js";
import { Engine } from "./engine.js";
import { Files } from "./files.js";
import { Model } from "./model.js";
import { Session } from "./session.js";
import { Store } from "./store.js";
import { phoneNumber } from "./util.js";
import { View } from "./view.js";
import { errorWords } from "./words.js";

const $ = (id) => document.getElementById(id);
const NOTICE_MS = 6000;
const WHY_KEY = "chasqui.why"; // what the sign-in says after a reload

let act = null;
let challenge = null;
let noticeTimer = 0;
let linking = null; // this device, by another one; loaded when it is asked for
const running = new Set(); // buttons

const session = new Session(signedOut);

function showSignIn() {
  $("home").hidden = true;
  $("sign-in").hidden = false;
  showStep(false);
  const why = sessionStorage.getItem(WHY_KEY);
  sessionStorage.removeItem(WHY_KEY);
  if (why) signInError(why);
}

function showStep(code) {
  $("register-form").hidden = code;
  $("verify-form").hidden = !code;
  $("sign-in-error").hidden = true;
  (code ? $("code") : $("name")).focus();
}

function signInError(text) {
  $("sign-in-error").textContent = text;
  $("sign-in-error").hidden = false;
}

async function register() {
  const phone = phoneNumber($("phone").value);
  if (!phone) return signInError("Write the number with its country code, like +49 155 5000 0001.");
  const answer = await session.start($("name").value.trim(), phone);
  challenge = answer.challenge;
  showStep(true);
  $("sent-to").textContent = phone;
  $("code").value = answer.devCode ?? "";
  $("dev-code").hidden = !answer.devCode;
  $("dev-code").textContent = answer.devCode ? `Development: no message was sent, the code is ${answer.devCode}` : "";
}

async function verify() {
  await session.verify(challenge, $("code").value.trim());
  await signedIn();
}

async function signedIn() {
  $("sign-in").hidden = true;
  $("home").hidden = false;
  const userId = session.userId;
  const store = new Store();
  await store.open(userId);
  const engine = new Engine(session, new Model(userId), store, () => act?.view.later(), (m) => act?.view.say(m));
  const files = new Files(session, engine, () => act?.drawUploads());
  act = new Act(session, engine, new View(engine), files, notice);
  await engine.load();
  act.route();
  run(() => engine.connect().then(() => act?.notified()));
  files.resume();
  session.insist("GET", "/api/me").then((me) => {
    engine.model.myself(me);
    engine.changed();
  }, () => {});
}

/** Over, by this person or by the server: nothing that was on the screen or in this browser stays. */
async function signedOut(asked, why) {
  const userId = act?.engine.model.me;
  act?.end();
  act = null;
  $("home").hidden = true;
  if (why || !asked) sessionStorage.setItem(WHY_KEY, why ?? "You were signed out. Sign in again to go on.");
  await Store.eraseAll(userId);
  location.replace(location.pathname);
}

function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = false;
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => ($("notice").hidden = true), NOTICE_MS);
}

/** Run what a person asked for, once at a time, and say what went wrong. A button that is disabled meanwhile would lose the focus. */
async function run(fn, button) {
  if (button && running.has(button)) return;
  running.add(button);
  try {
    await fn(button);
  } catch (e) {
    if ($("sign-in").hidden) notice(errorWords(e));
    else signInError(errorWords(e));
  } finally {
    running.delete(button);
  }
}

const forms = { "register-form": register, "verify-form": verify };
const actions = {
  "other-number": () => showStep(false),
  link: async () => {
    const { Linking } = await import("./link.js");
    linking ??= new Linking(session, signedIn);
    await linking.start();
  },
  "link-mine": () => linking.mine(),
  "link-stop": () => linking.stop(),
  "copy-code": async (button) => {
    await navigator.clipboard.writeText(linking.code);
    button.textContent = "Copied";
  },
};

document.addEventListener("submit", (e) => {
  const fn = forms[e.target.id] ?? act?.forms[e.target.id];
  if (!fn) return; // a dialog's own form
  e.preventDefault();
  run(fn, e.target.id === "send-form" ? null : e.submitter);
});

document.addEventListener("click", (e) => {
  const item = e.target.closest("[data-chat-id]");
  if (item) return act?.open(item.dataset.chatId);
  const button = e.target.closest("[data-action]");
  const fn = button && button.type !== "submit" && (actions[button.dataset.action] ?? act?.actions[button.dataset.action]);
  if (fn) run(fn, button);
});

addEventListener("hashchange", () => act?.route());
Act.listen(() => act);

if (session.userId) run(signedIn);
else Store.eraseAll().then(showSignIn); // whatever was left by somebody whose sign-in is gone
