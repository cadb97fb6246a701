// SPDX-License-Identifier: MIT
// Lists that are one stop of the Tab key, with arrows inside.

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
