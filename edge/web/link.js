// SPDX-License-Identifier: MIT
// A new device is let in by one that is signed in: the new one shows a code, the other one reads it and says yes. Loaded when
// it is asked for, on either.
import { hide, mark, put } from "./keys.js";
import { ApiError, request } from "./session.js";
import { sleep } from "./util.js";
import { errorWords } from "./words.js";

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const RENEWALS = 3; // codes in a row that nobody answered
const LOOK_MS = 200; // at the camera
const CODE = /^[\w-]{22}$/;
const GROUP = 4; // characters of a code between two spaces
const QUIET = 4; // modules around a QR code
const COMES_MS = 1500; // a device that was let in shows up soon
const COMES_TRIES = 8;

// The new device

function drawCode(box, modules) {
  const n = modules.getModuleCount();
  let d = "";
  for (let y = 0; y < n; y++) for (let x = 0; x < n; x++) if (modules.isDark(y, x)) d += `M${x} ${y}h1v1h-1z`;
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", `${-QUIET} ${-QUIET} ${n + 2 * QUIET} ${n + 2 * QUIET}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", "The code as a picture");
  path.setAttribute("d", d);
  svg.append(path);
  box.replaceChildren(svg);
}

export class Linking {
  #n = 0; // counts attempts: an older one gives up
  #answer = null; // of the server, until somebody says that this is his account

  /** `signedIn()` is called when this browser is signed in. */
  constructor(session, signedIn) {
    Object.assign(this, { session, signedIn });
  }

  async start() {
    const n = ++this.#n;
    hide($("register-form"), true);
    hide($("link-panel"), false);
    hide($("sign-in-error"), true);
    hide($("link-confirm"), true);
    hide($("link-show"), false);
    mark($("link-show"), "aria-busy", "true");
    $("link-title").focus();
    const { qrcode } = await import("./qrcode.js");
    for (let i = 0; i < RENEWALS && n === this.#n; i++) {
      const link = await request("POST", "/api/links", { platform: "web", label: this.session.label });
      if (n !== this.#n) return;
      this.#show(qrcode, link.code);
      if (await this.#claimed(n, link)) return;
    }
    if (n !== this.#n) return;
    this.stop();
    throw new ApiError(0, "link_over", "Nobody answered. Try again when your other device is at hand.", 0);
  }

  #show(qrcode, code) {
    const modules = qrcode(0, "M");
    modules.addData(code);
    modules.make();
    drawCode($("link-qr"), modules);
    put($("link-text"), code.match(new RegExp(`.{1,${GROUP}}`, "g")).join(" "));
    mark($("link-show"), "aria-busy", null);
    this.code = code;
  }

  /** Ask until it is answered; false when its time is over. */
  async #claimed(n, { secret, expiresAt, retryAfter }) {
    for (let wait = retryAfter; n === this.#n && Date.now() < expiresAt;) {
      await sleep(wait * 1000);
      if (n !== this.#n) return false;
      try {
        const answer = await request("POST", "/api/links/claim", { secret });
        if (answer.accessToken) return await this.#ask(n, answer);
        wait = answer.retryAfter ?? retryAfter;
      } catch (e) {
        if (e.code === "bad_code") return false; // over, or refused
        if (![0, 429, 503].includes(e.status)) throw e;
        wait = Math.max(retryAfter, e.retryAfterMs / 1000);
      }
    }
    return false;
  }

  /** Whose account it is: somebody else may have answered with his own. */
  async #ask(n, answer) {
    const me = await request("GET", "/api/me", undefined, answer.accessToken);
    if (n !== this.#n) {
      this.#refuse(answer);
      return true;
    }
    this.#answer = answer;
    put($("link-name"), me.name || "No name");
    put($("link-number"), me.phoneNumber);
    hide($("link-show"), true);
    hide($("link-confirm"), false);
    document.querySelector('[data-action="link-mine"]').focus();
    return true;
  }

  #refuse(answer) {
    return request("POST", "/api/logout", undefined, answer.accessToken).catch(() => {}); // its owner sees it in his list
  }

  async mine() {
    this.session.adopt(this.#answer);
    this.#answer = null;
    hide($("link-panel"), true);
    await this.signedIn();
  }

  stop() {
    this.#n++;
    if (this.#answer) this.#refuse(this.#answer);
    this.#answer = null;
    hide($("link-panel"), true);
    hide($("register-form"), false);
    $("name").focus();
  }
}

// The device that lets it in

export class Screen {
  #code = "";
  #stream = null; // of the camera

  constructor(act) {
    Object.assign(this, { act, engine: act.engine });
    $("link").addEventListener("close", () => this.#dark());
  }

  draw() {}

  /** `done(words)` is called when a device was let in. */
  show(done) {
    this.done = done;
    this.#step(false);
    $("link-code").value = "";
    $("link").showModal();
    $("link-code").focus();
    hide(document.querySelector('[data-action="scan"]'), !("BarcodeDetector" in window && navigator.mediaDevices));
  }

  /** To the code, or to the question whether the device may in. */
  #step(asking) {
    hide($("link-code-form"), asking);
    hide($("link-ask"), !asking);
    hide($("link-error"), true);
  }

  #failed(e) {
    const words = { 404: "No device shows this code any more. Let the new device show another one.", 409: "Another of your devices looked at this code meanwhile. Type it again." };
    put($("link-error"), words[e.status] ?? errorWords(e));
    hide($("link-error"), false);
  }

  async #look(code) {
    this.#dark();
    this.#code = code.replace(/\s/g, "");
    hide($("link-error"), true);
    try {
      if (!CODE.test(this.#code)) throw new ApiError(0, "bad_code_of_link", "That is not the code of a new device. It has 22 letters, digits and dashes.", 0);
      const { link } = await this.engine.session.call("POST", "/api/links/look", { code: this.#code });
      this.#step(true);
      put($("link-device"), link.label || link.platform);
      put($("link-network"), link.sameAddress ? "Asks from the network that you are in." : `Asks from another network: ${link.network}`);
      hide($("link-warning"), link.sameAddress);
      document.querySelector('[data-action="link-refuse"]').focus();
    } catch (e) {
      this.#failed(e);
      $("link-code").focus();
    }
  }

  async #answer(approve) {
    try {
      await this.engine.session.call("POST", "/api/links/answer", { code: this.#code, approve });
    } catch (e) {
      this.#step(false);
      this.#failed(e);
      return $("link-code").focus();
    }
    $("link").close();
    return this.done(approve);
  }

  // The camera

  async #scan() {
    hide($("link-error"), true);
    try {
      this.#stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    } catch {
      put($("link-error"), "The camera cannot be used. Type the code.");
      return hide($("link-error"), false);
    }
    const stream = this.#stream;
    const video = $("link-camera");
    const detector = new window.BarcodeDetector({ formats: ["qr_code"] });
    hide(video, false);
    video.srcObject = stream;
    video.play().catch(() => {}); // the dialog was closed meanwhile
    while (this.#stream === stream) {
      const [found] = await detector.detect(video).catch(() => []);
      if (found && this.#stream === stream) return this.#look(found.rawValue);
      await sleep(LOOK_MS);
    }
    return undefined;
  }

  #dark() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
    $("link-camera").srcObject = null;
    hide($("link-camera"), true);
  }

  actions = {
    scan: () => this.#scan(),
    "link-approve": () => this.#answer(true),
    "link-refuse": () => this.#answer(false),
  };

  forms = { "link-code-form": () => this.#look($("link-code").value) };
}

/** Look `again()` until it has another number of devices than before. */
export async function comes(again) {
  const before = await again();
  for (let i = 0; i < COMES_TRIES && (await again()) === before; i++) await sleep(COMES_MS);
}
