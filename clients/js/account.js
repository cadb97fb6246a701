// SPDX-License-Identifier: MIT
// What concerns an account as a whole: a device that comes by a link, another number, the end.
import { ApiError, backoff, REPEATED, request, Session, SignedOut, sleep } from "./session.js";

const LOOKS_AT_A_LINK = 3; // when another device looked meanwhile

/**
 * A device of its own without a code to the number. `show(code, expiresAt)` puts the code on the screen, as a QR code, for a device of
 * the same user that is signed in; `confirm(me)` shows name and number of the account, and is true when that is the user's: whoever reads
 * a code can take the device into an account of his own. ApiError `bad_code`: the link is over, or was refused. Ask for a new one.
 * @param {string} url
 * @param {{show: (code: string, expiresAt: number) => any, confirm: (me: any) => boolean | Promise<boolean>, platform?: string, label?: string,
 *   keep?: (tokens: import("./session.js").Tokens) => any} & import("./session.js").Shared} how
 */
export async function link(url, { show, confirm, platform = "other", label = "", keep, ...shared }) {
  const base = url.replace(/\/$/, "");
  const begun = await request("POST", `${base}/api/links`, { platform, label });
  await show(begun.code, begun.expiresAt);
  for (let answer = begun, attempt = 0; ; ) {
    await sleep(answer.retryAfter * 1000 + (attempt ? backoff(attempt) : 0));
    try {
      answer = await request("POST", `${base}/api/links/claim`, { secret: begun.secret });
      attempt = 0;
    } catch (e) {
      if (e.status !== 0 && e.status !== 429) throw e; // after a 503 it may be used up
      answer = { retryAfter: Math.max(begun.retryAfter, e.retryAfterMs / 1000) };
      attempt++;
    }
    if (!answer.accessToken) continue;
    const session = new Session(base, answer);
    if (await confirm(await session.insist("GET", "/api/me"))) {
      await keep?.(session.tokens);
      return new Session(base, session.tokens, keep, shared);
    }
    await session.insist("POST", "/api/logout", {});
    throw new SignedOut("this is not the account of who asked: the device is logged out");
  }
}

/**
 * Let a device in whose code was read. `ask(link)` shows what it says of itself, and from which network; true lets it in.
 * @param {Session} session @param {string} code @param {(link: any) => boolean | Promise<boolean>} ask
 */
export async function approve(session, code, ask) {
  for (let i = 1; ; i++) {
    const { link: asked } = await session.call("POST", "/api/links/look", { code });
    const yes = Boolean(await ask(asked));
    try {
      await session.insist("POST", "/api/links/answer", { code, approve: yes });
      return yes;
    } catch (e) {
      if (e.code !== "conflict" || i >= LOOKS_AT_A_LINK) throw e; // another device looked last
    }
  }
}

/** A code that was sent to the number. @param {string} url @param {string} phoneNumber @param {(() => string | Promise<string>) | undefined} code */
async function proof(url, phoneNumber, code) {
  const begun = await request("POST", `${url}/api/login`, { phoneNumber });
  return { challenge: begun.challenge, code: code ? await code() : begun.devCode };
}

/**
 * The id, devices and chats stay. `codes`: what asks for the six digits of the new and of the present number.
 * @param {Session} session @param {string} phoneNumber @param {string} present @param {(() => string | Promise<string>)[]} [codes]
 */
export async function changeNumber(session, phoneNumber, present, codes = []) {
  const fresh = await proof(session.url, phoneNumber, codes[0]);
  const old = await proof(session.url, present, codes[1]);
  return session.call("PUT", "/api/me/number", { ...fresh, oldChallenge: old.challenge, oldCode: old.code });
}

/**
 * The account ends. Forget its tokens, and what the device keeps.
 * @param {Session} session @param {string} phoneNumber @param {() => string | Promise<string>} [code]
 */
export async function deleteAccount(session, phoneNumber, code) {
  const body = await proof(session.url, phoneNumber, code);
  for (let attempt = 0; ; attempt++) {
    try {
      return await session.call("DELETE", "/api/me", body);
    } catch (e) {
      const isOver = e instanceof SignedOut || (e instanceof ApiError && e.status === 401 && e.code !== "bad_code");
      if (attempt && isOver) return {}; // the answer to an earlier try was lost
      if (!REPEATED.includes(e.status) || attempt >= 5) throw e;
      await sleep(e.retryAfterMs + backoff(attempt));
    }
  }
}
