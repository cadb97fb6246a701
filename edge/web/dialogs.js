// SPDX-License-Identifier: MIT
// Questions before what cannot be taken back, and menus.
import { roving } from "./keys.js";
import { el } from "./util.js";

const $ = (id) => document.getElementById(id);

let from = null; // had the focus before the menu

/** Ask in words what is about to happen; → whether it was wanted. */
export function ask(title, text, yes) {
  const dialog = $("ask");
  $("ask-title").textContent = title;
  $("ask-text").textContent = text;
  $("ask-yes").textContent = yes;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true }));
}

/** `entries`: [{text, label?, run, className?}], beside the button `by`. The focus goes back to where it was. */
export function menu(by, entries, label) {
  const box = $("menu");
  from = document.activeElement;
  box.setAttribute("aria-label", label);
  box.replaceChildren(...entries.map(({ text, label: words, run, className }) => {
    const b = el("button", className ?? "plain", text);
    b.type = "button";
    b.tabIndex = -1;
    b.setAttribute("role", "menuitem");
    if (words) b.setAttribute("aria-label", words);
    b.addEventListener("click", () => {
      box.hidePopover();
      run();
    });
    return b;
  }));
  box.showPopover();
  const at = by.getBoundingClientRect();
  const { width, height } = box.getBoundingClientRect();
  const below = at.bottom + height + 8 < innerHeight;
  box.style.left = `${Math.max(8, Math.min(at.right - width, innerWidth - width - 8))}px`;
  box.style.top = `${Math.max(8, below ? at.bottom + 4 : at.top - height - 4)}px`;
  box.firstChild.focus();
}

export function menuKeys() {
  $("menu").addEventListener("toggle", (e) => {
    const lost = document.activeElement === document.body || $("menu").contains(document.activeElement);
    if (e.newState === "closed" && lost) from?.focus?.();
  });
  roving($("menu"), "button");
  $("menu").addEventListener("keydown", (e) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[e.key];
    const list = [...$("menu").children];
    if (step) list[Math.min(list.length - 1, Math.max(0, list.indexOf(e.target) + step))]?.focus();
    if (e.key === "Tab") $("menu").hidePopover();
  });
}
