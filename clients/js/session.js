// SPDX-License-Identifier: MIT
// Who is signed in, and REST calls with that.

const TIMEOUT_MS = 30000;
const EARLY_MS = 90000; // a token is renewed so long before its end
export const REPEATED = [0, 429, 500, 502, 503, 504]; // 0: no answer

/**
 * What to store of a device. `expiresAt`: of the access token, ms since the epoch.
 * @typedef {{userId: string, deviceId: string, accessToken: string, refreshToken: string, expiresAt: number}} Tokens
 */

/** @param {number} ms */
export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Full jitter: many clients of a server that was away must not come back in one wave. @param {number} attempt */
export const backoff = (attempt, baseMs = 500, capMs = 30000) => Math.random() * Math.min(capMs, baseMs * 2 ** attempt);

/** A refusal, or status 0 and the code `network`: nothing answered. */
export class ApiError extends Error {
  /** @param {number} status @param {string} code @param {string} message */
  constructor(status, code, message, retryAfterMs = 0) {
    super(`${status} ${code}: ${message}`);
    this.status = status;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The tokens of this device work no more: sign in again. */
export class SignedOut extends Error {}

/**
 * One request; its JSON, or ApiError.
 * @param {string} method @param {string} url @param {any} [body] @param {string} [token]
 */
export async function request(method, url, body, token) {
  /** @type {Record<string, string>} */
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = `Bearer ${token}`;
  let answer, json;
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    answer = await fetch(url, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
    const text = await answer.text();
    json = text ? JSON.parse(text) : {};
  } catch (e) {
    if (!answer || answer.ok) throw new ApiError(0, "network", String(e)); // else the status says enough
  }
  if (answer.ok) return json;
  const retryAfter = Number(answer.headers.get("Retry-After")) || 0;
  throw new ApiError(answer.status, json?.error?.code ?? "", json?.error?.message ?? answer.statusText, retryAfter * 1000);
}

/**
 * Where several pages of a browser share a device: `alone(work)` does the work while no other page does (`navigator.locks.request`), `stored()`
 * gives the pair that is kept now, or nothing when the device was signed out.
 * @typedef {{alone?: (work: () => Promise<void>) => Promise<void>, stored?: () => Tokens | null | undefined | Promise<Tokens | null | undefined>}} Shared
 */

/**
 * Register (with a name) or log in. `code()` asks the person for the six digits; without it the code that a development server
 * shows is taken.
 * @param {string} url @param {string} phoneNumber
 * @param {{name?: string, code?: () => string | Promise<string>, platform?: string, label?: string, keep?: (tokens: Tokens) => any} & Shared} [more]
 */
export async function signIn(url, phoneNumber, { name, code, platform = "other", label = "", keep, ...shared } = {}) {
  const base = url.replace(/\/$/, "");
  const begun = await request("POST", `${base}/api/${name ? "register" : "login"}`, { name, phoneNumber });
  const digits = code ? await code() : begun.devCode;
  if (!digits) throw new Error("the server sent the code to the number and does not show it: pass code, a function that asks for it");
  const tokens = await request("POST", `${base}/api/verify`, { challenge: begun.challenge, code: digits, platform, label });
  await keep?.(tokens);
  return new Session(base, tokens, keep, shared);
}

export class Session {
  /** @type {Promise<void> | null} */
  #refreshing = null;

  /**
   * `keep(tokens)` is called with each new pair before it is used: store it. A refresh token works once, so pages of one browser
   * that share it have to refresh one at a time, and to look first what another page has stored: `shared`.
   * @param {string} url @param {Tokens} tokens @param {(tokens: Tokens) => any} [keep] @param {Shared} [shared]
   */
  constructor(url, tokens, keep, { alone = (work) => work(), stored } = {}) {
    this.alone = alone;
    this.stored = stored;
    this.url = url.replace(/\/$/, "");
    this.tokens = tokens;
    this.keep = keep;
  }

  get userId() {
    return this.tokens.userId;
  }

  /** A token that is good for a while. `bad`: one that was just refused. Whoever asks meanwhile waits for the same answer. @param {string} [bad] */
  async accessToken(bad) {
    const { accessToken, expiresAt } = this.tokens;
    if (accessToken !== bad && expiresAt - Date.now() > EARLY_MS) return accessToken;
    this.#refreshing ??= this.alone(() => this.#refresh(bad)).finally(() => (this.#refreshing = null));
    try {
      await this.#refreshing;
    } catch (e) {
      if (e instanceof SignedOut || bad || expiresAt < Date.now()) throw e; // else the old one still works: the next caller tries again
    }
    return this.tokens.accessToken;
  }

  /** @param {string} [bad] */
  async #refresh(bad) {
    if (this.stored) {
      const kept = await this.stored();
      if (!kept) throw new SignedOut("another page has signed out");
      this.tokens = kept;
      if (kept.accessToken !== bad && kept.expiresAt - Date.now() > EARLY_MS) return; // another page has renewed it
    }
    let answer;
    try {
      answer = await request("POST", `${this.url}/api/token/refresh`, { refreshToken: this.tokens.refreshToken });
    } catch (e) {
      if (e.status === 401) throw new SignedOut(e.message);
      throw e;
    }
    this.tokens = { ...this.tokens, ...answer };
    await this.keep?.(this.tokens);
  }

  /** A request as the signed-in user; renews the token once when it is refused. @param {string} method @param {string} path @param {any} [body] */
  async call(method, path, body) {
    const token = await this.accessToken();
    try {
      return await request(method, this.url + path, body, token);
    } catch (e) {
      if (e.status !== 401 || e.code === "bad_code") throw e; // the token is good, and a wrong code is not to be tried twice
    }
    return request(method, this.url + path, body, await this.accessToken(token));
  }

  /**
   * The same, but 429, 5xx and silence are asked again: for what is safe to repeat, as all that has a clientId is.
   * @param {string} method @param {string} path @param {any} [body]
   */
  async insist(method, path, body, tries = 6) {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.call(method, path, body);
      } catch (e) {
        if (!REPEATED.includes(e.status) || attempt + 1 >= tries) throw e;
        await sleep(e.retryAfterMs + backoff(attempt));
      }
    }
  }
}
