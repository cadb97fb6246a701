// SPDX-License-Identifier: MIT
// What buttons and forms do.
//
// Names that the browser test holds on to: #name #phone #code #find-phone #composer #group-name #group-members,
// [data-action=register|verify|find|send|new-group], [data-chat-id] in the list, [data-message-id][data-tick] in a chat.
import { Engine } from "./engine.js";
import { Model } from "./model.js";
import { Session } from "./session.js";
import { Store } from "./store.js";
import { Upload } from "./upload.js";
import { phoneNumber } from "./util.js";
import { View } from "./view.js";

const $ = (id) => document.getElementById(id);
const NOTICE_MS = 5000;
const NEAR_TOP_PX = 60;

let engine = null;
let view = null;
let uploads = []; // of all chats, that this window sends
let challenge = null;
let noticeTimer = 0;

const session = new Session(signedOut);

// Signing in

function showSignIn() {
  $("home").hidden = true;
  $("sign-in").hidden = false;
  showStep(false);
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
  engine = new Engine(session, new Model(userId), store, () => view?.later());
  view = new View(engine);
  await engine.load();
  route();
  run(() => engine.connect());
  resumeFiles(store, engine);
  session.insist("GET", "/api/me").then(
    (me) => ($("my-name").textContent = me.name || me.phoneNumber),
    () => {},
  );
}

function signedOut() {
  const userId = engine?.model.me;
  engine?.stop();
  uploads.forEach((u) => {
    u.cancel();
    u.over?.();
  });
  uploads = [];
  engine = view = null;
  if (userId) Store.forget(userId);
  if (location.hash) history.replaceState(null, "", location.pathname);
  document.title = "Chasqui";
  $("info").close();
  showSignIn();
}

// Moving about: the open chat is in the address, so that reload and the back button know it

function route() {
  if (!engine) return;
  const chatId = location.hash.slice(1);
  engine.show(engine.model.chats.has(chatId) ? chatId : null);
  view.later();
  drawUploads();
  if (engine.openChat && matchMedia("(hover: hover)").matches) $("composer").focus();
}

function open(chatId) {
  if (location.hash.slice(1) === chatId) route();
  else location.hash = chatId;
}

function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = false;
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => ($("notice").hidden = true), NOTICE_MS);
}

const current = () => engine?.model.chats.get(engine.openChat);

// The dialog of a group

async function info() {
  const chat = current();
  if (!chat || chat.kind !== "group") return;
  $("rename").value = chat.name;
  $("info-error").hidden = true;
  view.drawInfo(chat);
  $("info").showModal();
}

/** Do something with the open group and show how it stands then. */
async function withGroup(fn) {
  const chat = current();
  if (!chat) return;
  $("info-error").hidden = true;
  try {
    await fn(chat);
  } catch (e) {
    $("info-error").textContent = e.message;
    $("info-error").hidden = false;
  }
  if (view) view.drawInfo(chat);
}

const memberOf = (button) => button.closest("[data-user-id]").dataset.userId;

function messageOf(button) {
  return engine.model.outgoing(button.closest("[data-client-id]").dataset.clientId);
}

function send() {
  const text = $("composer").value.trim();
  const chat = current();
  if (!text || !chat) return;
  $("composer").value = "";
  grow();
  engine.send(chat, text);
  $("scroll").scrollTop = $("scroll").scrollHeight;
}

function grow() {
  const c = $("composer");
  c.style.height = "auto";
  c.style.height = `${c.scrollHeight + 2}px`;
}

// Files

function drawUploads() {
  view?.drawUploads(uploads.filter((u) => u.chat.chatId === engine.openChat));
}

function ended(u) {
  u.over?.();
  uploads = uploads.filter((other) => other !== u);
  drawUploads();
}

/** No other window of this browser sends it meanwhile; one that another sends already is left to that. */
function sendFile(mine, chat, file, was) {
  const u = new Upload(session, mine.store, chat, file, drawUploads, (mediaId, type) => {
    if (engine === mine) mine.send(chat, "", type, mediaId, u.id);
    ended(u);
  }, was);
  const send = () => new Promise((over) => {
    u.over = over;
    uploads.push(u);
    drawUploads();
    u.run();
  });
  if (!navigator.locks) return void send(); // a page that is not on https has none
  navigator.locks.request(`upload-${u.id}`, { ifAvailable: true }, (lock) => lock && engine === mine && send());
}

function sendFiles(files) {
  const chat = current();
  if (!chat || chat.left) return;
  for (const file of files) sendFile(engine, chat, file);
}

/** Those that a reload, or the end of the browser, broke off. Without locks two windows would do them twice. */
async function resumeFiles(store, mine) {
  if (!navigator.locks) return;
  for (const was of await store.uploads()) {
    const chat = mine.model.chats.get(was.chatId);
    if (chat) sendFile(mine, chat, was.file, was);
  }
}

const uploadOf = (button) => uploads.find((u) => u.id === button.closest("[data-upload-id]").dataset.uploadId);

const forms = {
  "register-form": register,
  "verify-form": verify,
  "send-form": send,
  "find-form": async () => {
    const chatId = await engine.openDirect($("find-phone").value);
    $("find-phone").value = "";
    open(chatId);
  },
  "group-form": async () => {
    const chatId = await engine.createGroup($("group-name").value.trim(), $("group-members").value);
    $("group-name").value = $("group-members").value = "";
    open(chatId);
  },
  "rename-form": () => withGroup((chat) => engine.change(chat.chatId, "PATCH", "", { name: $("rename").value.trim() })),
  "add-form": () =>
    withGroup(async (chat) => {
      await engine.addMembers(chat.chatId, $("add-members").value);
      $("add-members").value = "";
    }),
};

const actions = {
  "other-number": () => showStep(false),
  logout: () => session.logout(),
  back: () => (location.hash = ""),
  info,
  attach: () => $("file").click(),
  "pause-upload": (b) => uploadOf(b)?.pause(),
  "resume-upload": (b) => uploadOf(b)?.resume(),
  "cancel-upload": (b) => {
    const u = uploadOf(b);
    u?.cancel();
    ended(u);
  },
  older: () => engine.older(current()),
  again: (b) => engine.again(messageOf(b)),
  discard: (b) => engine.discard(messageOf(b)),
  promote: (b) => withGroup((chat) => engine.change(chat.chatId, "PUT", `/members/${memberOf(b)}`, { role: "admin" })),
  demote: (b) => withGroup((chat) => engine.change(chat.chatId, "PUT", `/members/${memberOf(b)}`, { role: "member" })),
  "remove-member": (b) => withGroup((chat) => engine.change(chat.chatId, "DELETE", `/members/${memberOf(b)}`)),
  leave: () =>
    withGroup(async (chat) => {
      await engine.leave(chat.chatId);
      $("info").close();
    }),
};

/** Run what a person asked for, once at a time, and say what went wrong. */
async function run(fn, button) {
  if (button) button.disabled = true;
  try {
    await fn(button);
  } catch (e) {
    const text = e.code === "bad_code" ? "That code is not right, or too old." : e.message;
    if ($("sign-in").hidden) notice(text);
    else signInError(text);
  } finally {
    if (button) button.disabled = false;
  }
}

document.addEventListener("submit", (e) => {
  const fn = forms[e.target.id];
  if (!fn) return; // the dialog's own form
  e.preventDefault();
  run(fn, e.target.id === "send-form" ? null : e.submitter);
});

document.addEventListener("click", (e) => {
  const item = e.target.closest("[data-chat-id]");
  if (item) return open(item.dataset.chatId);
  const button = e.target.closest("[data-action]");
  if (button && button.type !== "submit" && actions[button.dataset.action]) run(actions[button.dataset.action], button);
});

$("composer").addEventListener("input", grow);
$("composer").addEventListener("keydown", (e) => {
  if (e.key !== "Enter" || e.shiftKey || e.isComposing || !matchMedia("(hover: hover)").matches) return;
  e.preventDefault();
  send();
});

$("scroll").addEventListener("scroll", () => {
  const chat = current();
  if (chat && $("scroll").scrollTop < NEAR_TOP_PX && chat.messages.length && !chat.all) engine.older(chat);
}, { passive: true });

$("file").addEventListener("change", () => {
  sendFiles([...$("file").files]);
  $("file").value = "";
});

for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  $("chat").addEventListener(kind, (e) => {
    if (!e.dataTransfer?.types.includes("Files")) return;
    e.preventDefault();
    $("chat").classList.toggle("dropping", kind === "dragenter" || kind === "dragover");
    if (kind === "drop") sendFiles([...e.dataTransfer.files]);
  });
}

$("composer").addEventListener("paste", (e) => {
  const files = [...(e.clipboardData?.files ?? [])];
  if (!files.length) return;
  e.preventDefault();
  sendFiles(files);
});

addEventListener("hashchange", route);

if (session.userId) run(signedIn);
else showSignIn();
