// SPDX-License-Identifier: MIT
// Notifications while the page is closed: this browser is subscribed at its push service, and the server told where. Loaded
// when they are turned on, or were.
import { hide, put } from "./keys.js";
import { ApiError } from "./session.js";
import { PUSH_KEY } from "./store.js";

const $ = (id) => document.getElementById(id);
const PRIVACY = { full: "Everything", name: "Name only", none: "Nothing" };
const APPLE = /^((?!chrome|android).)*safari/i; // it ends a subscription after a few pushes that show nothing

const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

export class Screen {
  constructor(act) {
    Object.assign(this, { act, engine: act.engine, session: act.session });
    $("push-privacy").append(...Object.entries(PRIVACY).map(([value, words]) => new Option(words, value)));
    $("push-on").onchange = ({ target }) => this.#turn(target.checked);
    $("push-privacy").onchange = () => this.#kept && this.#turn(true);
    navigator.serviceWorker?.addEventListener("message", ({ data }) => data?.open && act.open(data.open));
  }

  /** {privacy}, as it was turned on in this browser; null: it is off. */
  get #kept() {
    try {
      return JSON.parse(localStorage.getItem(PUSH_KEY));
    } catch {
      return null;
    }
  }

  get #able() {
    return "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;
  }

  /** In the settings. */
  show() {
    hide($("push-part"), !this.engine.webPushKey);
    $("push-on").checked = Boolean(this.#kept);
    $("push-on").disabled = !this.#able;
    $("push-privacy").value = this.#kept?.privacy ?? "full";
    put($("push-said"), this.#able ? "" : "This browser cannot be notified. It takes https, and a browser that has push messages.");
  }

  draw() {}

  async #turn(on) {
    put($("push-said"), "Saving…");
    $("push-on").disabled = true;
    try {
      await (on ? this.#on() : this.#off());
      put($("push-said"), on ? "This browser is notified" : "This browser is not notified any more");
    } catch (e) {
      put($("push-said"), e instanceof ApiError ? e.message : "The push service of this browser does not answer. Try again later.");
    }
    $("push-on").disabled = false;
    $("push-on").checked = Boolean(this.#kept);
  }

  async #on() {
    if ((await Notification.requestPermission()) !== "granted") {
      throw new ApiError(0, "denied", "This browser does not let the page notify you. Allow notifications for it in the browser's settings.", 0);
    }
    const privacy = $("push-privacy").value;
    await this.#register(privacy);
    localStorage.setItem(PUSH_KEY, JSON.stringify({ privacy }));
  }

  /** Subscribed with the key of this server, and the server told; what is right already is told once more. */
  async #register(privacy) {
    const registration = await navigator.serviceWorker.register("/sw.js");
    await navigator.serviceWorker.ready;
    const applicationServerKey = this.engine.webPushKey;
    let subscription = await registration.pushManager.getSubscription();
    const key = subscription?.options.applicationServerKey;
    if (subscription && (!key || text(key) !== applicationServerKey)) {
      await subscription.unsubscribe();
      subscription = null;
    }
    subscription ??= await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey });
    const { endpoint, keys } = subscription.toJSON();
    const body = { kind: "web", subscription: { endpoint, keys }, privacy, locale: navigator.language.slice(0, 2), mode: APPLE.test(navigator.userAgent) ? "notification" : "data" };
    await this.session.insist("PUT", `/api/devices/${this.session.deviceId}/push`, body, 3);
  }

  async #off() {
    await this.session.insist("DELETE", `/api/devices/${this.session.deviceId}/push`, undefined, 3);
    localStorage.removeItem(PUSH_KEY);
    const registration = await navigator.serviceWorker.getRegistration("/");
    await (await registration?.pushManager.getSubscription())?.unsubscribe();
    await registration?.unregister();
  }

  /** At each start: a subscription may have changed, or the server's key. */
  async renew() {
    if (!this.#kept || !this.#able || !this.engine.webPushKey || Notification.permission !== "granted") return;
    await this.#register(this.#kept.privacy).catch(() => {}); // at the next start again
  }

  /** The chat is open here. */
  async opened(chatId) {
    const registration = await navigator.serviceWorker?.getRegistration("/");
    for (const n of (await registration?.getNotifications({ tag: chatId })) ?? []) n.close();
  }

  actions = {};
  forms = {};
}
