// SPDX-License-Identifier: MIT
// What a push shows while this browser has no window of the page in front. It fetches nothing, and keeps nothing but what the
// browser shows. Served as /sw.js, since it is for the whole page; all else of the page has its version in its address.

const shown = (chatId) => self.registration.getNotifications(chatId ? { tag: chatId } : {});

/** What a push says, as docs/push.md has it; null: nothing that is understood. */
function read(event) {
  try {
    const push = event.data.json();
    return typeof push.chatId === "string" ? push : null;
  } catch {
    return null;
  }
}

/** Read, or deleted for everybody, elsewhere: what is shown of it goes. */
async function takeBack({ kind, chatId, messageId, seq }) {
  for (const n of await shown(chatId)) if (kind === "read" ? n.data.seq <= seq : n.data.messageId === messageId) n.close();
}

async function alert(push) {
  const { kind, chatId, messageId, seq, title, body, expiresAt } = push;
  const now = await shown(chatId);
  if (expiresAt <= Date.now()) return;
  if (kind === "edited" && !now.some((n) => n.data.messageId === messageId)) return;
  if (kind === "message" && now.some((n) => n.data.seq > seq)) return; // a newer one was faster
  const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  if (windows.some((w) => w.focused)) return; // it is told there
  await self.registration.showNotification(title, { body: body ?? "", tag: chatId, renotify: kind === "message" || kind === "added", silent: kind === "edited", data: { chatId, messageId, seq, expiresAt } });
}

async function pushed(push) {
  for (const n of await shown()) if (n.data?.expiresAt <= Date.now()) n.close();
  if (!push) return;
  if (push.badge !== undefined) await self.navigator.setAppBadge?.(push.badge).catch(() => {}); // there may be no sign that could have one
  if (push.kind === "read" || push.kind === "deleted") await takeBack(push);
  else if (typeof push.title === "string") await alert(push);
}

/** A window that is there comes to the front with the chat; otherwise there is a new one. */
async function open(chatId) {
  const [page] = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  if (!page) return self.clients.openWindow(`/#${chatId}`);
  page.postMessage({ open: chatId });
  return page.focus().catch(() => {}); // where the browser does not let it
}

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (e) => e.waitUntil(self.clients.claim()));
self.addEventListener("push", (e) => e.waitUntil(pushed(read(e))));
self.addEventListener("notificationclick", (e) => {
  e.notification.close();
  e.waitUntil(open(e.notification.data.chatId));
});
