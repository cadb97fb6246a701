// SPDX-License-Identifier: MIT
// Who is signed in, and REST calls with that. Tokens are in localStorage, shared by all tabs of this browser.
import { backoff, sleep } from "./util.js";

const KEY = "chasqui.session";
const BEFORE_KEY = "chasqui.before"; // the refresh token of the last sign-in: it opens nothing, and shows that the number was used here
const LOCK_KEY = "chasqui.refresh-lock";
const LOCK_MS = 15000;
const EARLY_MS = 90000; // a token is renewed so long before its end

export class ApiError extends Error {
  constructor(status, code, message, retryAfterMs) {
    super(message);
    this.status = status; // 0: no answer
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** One request. Throws ApiError; `code` is "network" when nothing answered. */
export async function request(method, path, body, token) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = `Bearer ${token}`;
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new ApiError(0, "network", "The server does not answer.", 0);
  }
  let json = {};
  try {
    json = await answer.json();
  } catch {
    // an empty body, or none of ours: the status says enough
  }
  if (answer.ok) return json;
  const retryAfter = Number(answer.headers.get("Retry-After")) || 0;
  throw new ApiError(answer.status, json.error?.code ?? "", json.error?.message ?? `Error ${answer.status}`, retryAfter * 1000);
}

/** Run `fn` while no other tab does. A refresh token works once: two tabs using it would revoke the device. */
async function alone(fn) {
  if (navigator.locks) return navigator.locks.request(LOCK_KEY, fn);
  const mine = `${Math.random()}`;
  for (;;) {
    const [owner, until] = (localStorage.getItem(LOCK_KEY) ?? "|0").split("|");
    if (owner === mine) break;
    if (Number(until) < Date.now()) localStorage.setItem(LOCK_KEY, `${mine}|${Date.now() + LOCK_MS}`);
    await sleep(50 + Math.random() * 50); // whoever wrote last has it
  }
  try {
    return await fn();
  } finally {
    localStorage.removeItem(LOCK_KEY);
  }
}

export class Session {
  /** `onEnd(asked, why)` is called once when the sign-in is over: signed out, here or in another window (`asked`), or revoked. `why`: to be said. */
  constructor(onEnd) {
    this.onEnd = onEnd;
    addEventListener("storage", (e) => {
      if ((e.key === KEY || e.key === null) && e.newValue === null) this.#over(true);
    });
  }

  #over(asked, why) {
    if (this.ended) return;
    this.ended = true;
    this.onEnd(asked, why);
  }

  get #stored() {
    try {
      return JSON.parse(localStorage.getItem(KEY));
    } catch {
      return null;
    }
  }

  get userId() {
    return this.#stored?.userId ?? null;
  }

  get deviceId() {
    return this.#stored?.deviceId ?? null;
  }

  #keep(answer) {
    localStorage.setItem(KEY, JSON.stringify({ ...this.#stored, ...answer }));
  }

  end(asked = false) {
    const used = this.#stored?.refreshToken;
    if (used) localStorage.setItem(BEFORE_KEY, used);
    localStorage.removeItem(KEY);
    this.#over(asked);
  }

  /** Ask for a code. → {challenge, retryAfter, devCode?} Strangers who use up this number's codes do not keep out who was here before. */
  start(name, phone) {
    const body = { phoneNumber: phone, refreshToken: localStorage.getItem(BEFORE_KEY) ?? undefined };
    return name ? request("POST", "/api/register", { name, ...body }) : request("POST", "/api/login", body);
  }

  /** A code to the number of this account, `own`, or to another one. → as start() */
  codeTo(phone, own) {
    return request("POST", "/api/login", { phoneNumber: phone, refreshToken: own ? this.#stored?.refreshToken : undefined });
  }

  /** The account is gone, and what this browser knew of it. */
  async endAccount(challenge, code) {
    await this.call("DELETE", "/api/me", { challenge, code });
    localStorage.removeItem(BEFORE_KEY);
    localStorage.removeItem(KEY);
    this.#over(true, "Your account was deleted.");
  }

  /** What people call this device. */
  get label() {
    const { platform, userAgentData } = navigator;
    const brands = userAgentData?.brands?.map((b) => b.brand).filter((name) => !/brand/i.test(name)) ?? []; // one is made up
    const brand = brands.find((name) => name !== "Chromium") ?? brands[0];
    return [brand, userAgentData?.platform || platform].filter(Boolean).join(", ") || "browser";
  }

  async verify(challenge, code) {
    this.#keep(await request("POST", "/api/verify", { challenge, code, platform: "web", label: this.label }));
  }

  /** Signed in without a code: tokens that the server gave to a link. */
  adopt(answer) {
    const { userId, deviceId, accessToken, expiresAt, refreshToken } = answer;
    this.#keep({ userId, deviceId, accessToken, expiresAt, refreshToken });
  }

  config() {
    return request("GET", "/api/config");
  }

  /** A token that is good for a while, or null when signed out. `bad`: a token that was just refused. */
  async token(bad) {
    const fine = (s) => s && s.accessToken !== bad && s.expiresAt - Date.now() > EARLY_MS;
    if (!this.#stored) return null;
    if (fine(this.#stored)) return this.#stored.accessToken;
    return alone(async () => {
      const s = this.#stored; // another tab may have renewed it while we waited
      if (!s || fine(s)) return s?.accessToken ?? null;
      try {
        this.#keep(await request("POST", "/api/token/refresh", { refreshToken: s.refreshToken }));
      } catch (e) {
        if (e.status === 401 || e.status === 403) {
          this.end();
          return null;
        }
        if (bad || s.expiresAt < Date.now()) throw e;
      }
      return this.#stored?.accessToken ?? null;
    });
  }

  /** When the token in use ends, ms since the epoch. */
  get expiresAt() {
    return this.#stored?.expiresAt ?? 0;
  }

  /** A request as the signed-in user; renews the token once when it is refused. */
  async call(method, path, body) {
    const token = await this.token();
    if (!token) throw new ApiError(401, "unauthorized", "Signed out.", 0);
    try {
      return await request(method, path, body, token);
    } catch (e) {
      if (e.status !== 401) throw e;
      const fresh = await this.token(token);
      if (!fresh) throw e;
      return request(method, path, body, fresh);
    }
  }

  /** As call, but 429, 503 and silence are asked again: for what is safe to repeat. */
  async insist(method, path, body, tries = 6) {
    for (let i = 0; ; i++) {
      try {
        return await this.call(method, path, body);
      } catch (e) {
        if (i + 1 >= tries || ![0, 429, 503].includes(e.status)) throw e;
        await sleep(e.retryAfterMs + backoff(i, 300, 5000));
      }
    }
  }

  async logout() {
    try {
      await this.call("POST", "/api/logout");
    } finally {
      this.end(true);
    }
  }
}
