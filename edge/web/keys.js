// SPDX-License-Identifier: MIT
// Lists that are one stop of the Tab key, with arrows inside; menus, and questions before what cannot be taken back; and
// writing to the page only what is another than before.
import { el, icon } from "./util.js";

const $ = (id) => document.getElementById(id);

let from = null; // had the focus before the menu

/** `items`: a selector. Where the focus was last is where Tab comes back to. */
export function roving(box, items) {
  const all = () => [...box.querySelectorAll(items)].filter((e) => !e.hidden && !e.disabled);
  box.addEventListener("focusin", (e) => {
    const item = e.target.closest(items);
    if (!item) return;
    for (const other of box.querySelectorAll(`${items}[tabindex="0"]`)) if (other !== item) other.tabIndex = -1;
    item.tabIndex = 0;
  });
  box.addEventListener("keydown", (e) => {
    if (e.altKey || e.ctrlKey || e.metaKey) return;
    const step = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity }[e.key];
    const item = e.target;
    if (!step || !item.matches(items)) return; // inside of an item arrows mean what they mean there
    const list = all();
    const to = list[Math.min(list.length - 1, Math.max(0, list.indexOf(item) + step))];
    e.preventDefault();
    to?.focus();
    to?.scrollIntoView({ block: "nearest" });
  });
}

/** One of them can be reached by Tab. */
export function reachable(box, items, fallback) {
  if (box.querySelector(`${items}[tabindex="0"]`)) return;
  if (fallback) fallback.tabIndex = 0;
}

/** Put `wanted` into `box` in this order, and touch only what is not in its place. */
export function arrange(box, wanted) {
  const focused = document.activeElement;
  const keep = new Set(wanted);
  for (let node = box.firstChild; node;) {
    const next = node.nextSibling;
    if (!keep.has(node)) node.remove();
    node = next;
  }
  let node = box.firstChild;
  for (const e of wanted) {
    if (e === node) node = node.nextSibling;
    else box.insertBefore(e, node);
  }
  if (focused !== document.activeElement && keep.has(focused.closest?.("li"))) focused.focus({ preventScroll: true });
}

/** Write only what is another than before. */
export function put(e, text) {
  if (e.textContent !== String(text)) e.textContent = text;
}

export function mark(e, name, value) {
  if (value === null || value === undefined) {
    if (e.hasAttribute(name)) e.removeAttribute(name);
  } else if (e.getAttribute(name) !== String(value)) {
    e.setAttribute(name, value);
  }
}

export function hide(e, yes) {
  if (e.hidden !== yes) e.hidden = yes;
}

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

/** `entries`: [{text, label?, sign?, run, className?}], beside the button `by`. The focus goes back to where it was. */
export function menu(by, entries, label) {
  const box = $("menu");
  from = document.activeElement;
  box.setAttribute("aria-label", label);
  box.replaceChildren(...entries.map(({ text, label: words, sign, run, className }) => {
    const b = el("button", className ?? "plain", text);
    b.type = "button";
    b.tabIndex = -1;
    b.setAttribute("role", "menuitem");
    if (sign) b.prepend(icon(sign));
    if (words) b.setAttribute("aria-label", words);
    b.addEventListener("click", () => {
      box.hidePopover();
      run();
    });
    return b;
  }));
  if (!box.matches(":popover-open")) box.showPopover();
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
