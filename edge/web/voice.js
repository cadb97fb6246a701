// SPDX-License-Identifier: MIT
// Voices: recorded, and played in their message. Loaded with the first one that is seen, or when somebody wants to speak.
import { hide, mark, put } from "./keys.js";
import { ApiError } from "./session.js";
import { el, icon } from "./util.js";

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const PARTS = 64; // of a waveform
const SAMPLE_MS = 60;
const MOST_MS = 3600000;
const LEAST_MS = 500; // shorter ones are presses by mistake
const SLICE_MS = 1000;
const SPARE_BYTES = 65536; // below what a file may have
const BITS = 32000; // a second
const QUIET = 0.01; // a level below it stays small
const SPEEDS = [1, 1.5, 2];
const TYPES = ["audio/webm;codecs=opus", "audio/mp4", "audio/ogg;codecs=opus"]; // that a recorder may make and the server takes
const REFUSED = {
  NotAllowedError: "This page may not use the microphone. Allow it in the settings of your browser, and try again.",
  NotFoundError: "No microphone was found. Connect one, and try again.",
  NotReadableError: "The microphone is used by another program.",
};

/** → 64 bytes from [[ms, level 0 to 1]]: how loud each part of the same length is at most, beside the loudest one. */
export function waveform(samples, durationMs) {
  const parts = new Array(PARTS).fill(-1);
  for (const [ms, level] of samples) {
    const i = Math.max(0, Math.min(PARTS - 1, Math.floor((ms * PARTS) / durationMs)));
    parts[i] = Math.max(parts[i], level);
  }
  const most = Math.max(QUIET, ...parts);
  let before = 0;
  return Uint8Array.from(parts, (level) => (before = level < 0 ? before : Math.round((255 * level) / most)));
}

export const coded = (bytes) => btoa(String.fromCharCode(...bytes));

/** → 64 levels, 0 to 255; low ones where somebody sent something else. */
export function levels(text) {
  try {
    const bytes = Array.from(atob(text), (c) => c.charCodeAt(0));
    if (bytes.length === PARTS) return bytes;
  } catch {
    // not base64
  }
  return new Array(PARTS).fill(0);
}

/** "0:07" */
export function length(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
}

/** The path of bars for levels, in a box of 64 by 24. */
const bars = (all) => all.map((level, i) => `M${i + 0.5} ${12 - Math.max(0.8, (level * 11) / 255)}V${12 + Math.max(0.8, (level * 11) / 255)}`).join("");

function wave() {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${PARTS} 24`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(SVG, "path"), document.createElementNS(SVG, "path"));
  svg.lastChild.setAttribute("class", "past");
  return svg;
}

export class Screen {
  #rec = null; // what is being recorded
  #now = null; // what plays: {m, chat, audio}
  #at = new Map(); // messageId → ms, where it was left
  #speed = 0; // of SPEEDS
  forms = {};

  constructor(act) {
    Object.assign(this, { act, engine: act.engine, model: act.model });
    $("recording-wave").replaceChildren(wave());
    $("recording").addEventListener("keydown", (e) => {
      if (e.key !== "Escape") return;
      e.preventDefault();
      e.stopPropagation();
      this.#drop();
    });
    this.leaving = (e) => this.#rec && e.preventDefault(); // the browser asks
    addEventListener("beforeunload", this.leaving);
  }

  end() {
    this.#close();
    this.#now?.audio.pause();
    removeEventListener("beforeunload", this.leaving);
  }

  draw() {
    const { chat } = this.act;
    const rec = this.#rec;
    if (rec && chat !== rec.chat) this.#pause(true);
    const shown = Boolean(rec) && chat === rec.chat;
    hide($("recording"), !shown);
    mark($("chat"), "data-recording", shown ? "yes" : null);
    if (rec && (rec.chat.left || rec.chat.blocked)) this.#close();
    if (this.#now && (chat !== this.#now.chat || this.#now.m.gone || this.#now.m.deleted)) this.#now.audio.pause();
  }

  // Recorded

  async record(chat) {
    if (this.#rec) throw new ApiError(0, "recording", "You are recording in another chat. Send or delete that first.", 0);
    const type = globalThis.MediaRecorder && TYPES.find((t) => MediaRecorder.isTypeSupported(t));
    if (!isSecureContext || !navigator.mediaDevices) throw new ApiError(0, "microphone", "Browsers let a page use the microphone only over https.", 0);
    if (!type) throw new ApiError(0, "microphone", "This browser cannot record.", 0);
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true }).catch((e) => {
      throw new ApiError(0, "microphone", REFUSED[e.name] ?? "The microphone cannot be used.", 0);
    });
    if (this.#rec || this.act.chat !== chat) return stream.getTracks().forEach((t) => t.stop()); // somewhere else by now
    const recorder = new MediaRecorder(stream, { mimeType: type, audioBitsPerSecond: BITS });
    const rec = (this.#rec = { chat, stream, recorder, type: type.split(";")[0], chunks: [], bytes: 0, samples: [], ms: 0, since: Date.now() });
    recorder.addEventListener("dataavailable", ({ data }) => {
      rec.chunks.push(data);
      rec.bytes += data.size;
    });
    stream.getTracks()[0].addEventListener("ended", () => this.#pause(true)); // unplugged
    this.#listen(rec);
    recorder.start(SLICE_MS);
    rec.timer = setInterval(() => this.#sample(rec), SAMPLE_MS);
    this.#now?.audio.pause();
    this.#state();
    this.draw();
    return $("recording-send").focus();
  }

  #listen(rec) {
    if (!globalThis.AudioContext) return;
    rec.context = new AudioContext();
    rec.analyser = rec.context.createAnalyser();
    rec.analyser.fftSize = 1024;
    rec.context.createMediaStreamSource(rec.stream).connect(rec.analyser);
  }

  #length(rec) {
    return rec.ms + (rec.since ? Date.now() - rec.since : 0);
  }

  #sample(rec) {
    if (!rec.since) return;
    const ms = this.#length(rec);
    const data = new Float32Array(rec.analyser?.fftSize ?? 1);
    rec.analyser?.getFloatTimeDomainData(data);
    rec.samples.push([ms, Math.sqrt(data.reduce((sum, v) => sum + v * v, 0) / data.length)]);
    put($("recording-time"), length(ms));
    $("recording-wave").firstChild.firstChild.setAttribute("d", bars(rec.samples.slice(-PARTS).map(([, level]) => Math.min(255, level * 600))));
    this.engine.looks?.typed(rec.chat, true, "recording");
    const most = this.engine.limits.fileBytes?.audio ?? Infinity;
    if (ms < MOST_MS && rec.bytes + SPARE_BYTES < most) return;
    rec.full = true;
    this.#pause(true);
    this.act.notice("That is as long as a voice message can be.");
  }

  /** `yes`: wait; otherwise go on. */
  #pause(yes) {
    const rec = this.#rec;
    if (!rec || Boolean(rec.since) !== yes || rec.ending || (!yes && rec.full)) return;
    rec.ms = this.#length(rec);
    rec.since = yes ? 0 : Date.now();
    if (yes && rec.recorder.state === "recording") rec.recorder.pause();
    if (!yes && rec.recorder.state === "paused") rec.recorder.resume();
    if (yes) this.engine.looks?.typed(rec.chat, false);
    this.#state();
  }

  #state() {
    const { since } = this.#rec;
    mark($("recording"), "data-paused", since ? null : "yes");
    mark($("recording-pause"), "aria-label", since ? "Pause" : "Go on recording");
    $("recording-pause").replaceChildren(icon(since ? "pause" : "mic"));
    put($("recording-said"), since ? "Recording" : "Paused");
  }

  #close() {
    const rec = this.#rec;
    if (!rec) return;
    this.#rec = null;
    clearInterval(rec.timer);
    if (rec.recorder.state !== "inactive") rec.recorder.stop();
    rec.stream.getTracks().forEach((t) => t.stop());
    rec.context?.close();
    this.engine.looks?.typed(rec.chat, false);
    put($("recording-time"), length(0));
    hide($("recording"), true);
    mark($("chat"), "data-recording", null);
  }

  #drop() {
    this.#close();
    $("composer").focus();
  }

  async #send() {
    const rec = this.#rec;
    if (!rec || rec.ending) return;
    const durationMs = this.#length(rec);
    rec.ending = true;
    rec.since = 0;
    if (rec.recorder.state !== "inactive") {
      const stopped = new Promise((done) => rec.recorder.addEventListener("stop", done, { once: true }));
      rec.recorder.stop();
      await stopped;
    }
    this.#drop();
    if (durationMs < LEAST_MS || !rec.bytes) return this.act.notice("That was too short. Press, speak, and send.");
    const file = new File(rec.chunks, `Voice message.${rec.type.split("/")[1]}`, { type: rec.type });
    const replyTo = rec.chat.replyTo ?? undefined;
    if (replyTo) this.engine.write(rec.chat, rec.chat.draft, null);
    return this.act.files.send(rec.chat, file, { replyTo, voice: { durationMs, waveform: coded(waveform(rec.samples, durationMs)) } });
  }

  // Played

  #make(m) {
    const e = el("div", "voice");
    e.dataset.kind = "voice";
    const play = el("button", "plain round");
    play.type = "button";
    play.dataset.action = "play";
    const place = el("div", "wave");
    const range = el("input");
    Object.assign(range, { type: "range", min: 0, max: m.voice.durationMs, step: Math.max(100, Math.min(5000, Math.round(m.voice.durationMs / 50))), value: 0 });
    range.setAttribute("aria-label", "Position");
    range.addEventListener("input", () => this.#seek(e.row.m, Number(range.value)));
    const speed = el("button", "plain speed");
    speed.type = "button";
    speed.dataset.action = "speed";
    place.append(wave(), range);
    e.append(play, place, el("span", "kind"), speed);
    e.levels = levels(m.voice.waveform);
    place.firstChild.firstChild.setAttribute("d", bars(e.levels));
    return e;
  }

  into(row, m) {
    let e = row.beside.querySelector(".voice");
    if (!e) {
      e = this.#make(m);
      row.beside.append(e);
    }
    e.row = row;
    this.#show(e, m);
  }

  #show(e, m) {
    const [play, place, time, speed] = e.children;
    const now = this.#now?.m.id === m.id ? this.#now : null;
    const plays = Boolean(now) && !now.audio.paused;
    const at = this.#at.get(m.id) ?? 0;
    const { durationMs } = m.voice;
    mark(play, "aria-label", plays ? "Pause the voice message" : "Play the voice message");
    if (play.dataset.sign !== String(plays)) play.replaceChildren(icon(plays ? "pause" : "play"));
    play.dataset.sign = plays;
    const range = place.lastChild;
    if (Number(range.value) !== at) range.value = at;
    mark(range, "aria-valuetext", `${length(at)} of ${length(durationMs)}`);
    place.firstChild.lastChild.setAttribute("d", bars(e.levels.slice(0, Math.round((PARTS * at) / durationMs))));
    put(time, length(at || durationMs));
    hide(speed, !now);
    put(speed, `${SPEEDS[this.#speed]}×`);
    mark(speed, "aria-label", `Speed: ${SPEEDS[this.#speed]}`);
  }

  #draw(m) {
    for (const e of document.querySelectorAll("#messages .voice")) if (e.row.m.id === m.id) this.#show(e, m);
  }

  async #play(m, chat) {
    if (this.#now?.m.id === m.id) {
      const { audio } = this.#now;
      return audio.paused ? audio.play() : audio.pause();
    }
    this.#now?.audio.pause();
    const about = await this.engine.media.link(m.mediaId);
    if (!about) throw new ApiError(0, "voice", "This voice message cannot be fetched. Try again when there is a connection.", 0);
    if (this.act.chat !== chat) return undefined;
    const audio = new Audio(about.url);
    const now = (this.#now = { m, chat, audio });
    audio.playbackRate = SPEEDS[this.#speed];
    audio.currentTime = (this.#at.get(m.id) ?? 0) / 1000;
    const draw = () => this.#draw(m);
    audio.addEventListener("timeupdate", () => {
      if (!audio.ended) this.#at.set(m.id, Math.min(m.voice.durationMs, Math.round(audio.currentTime * 1000)));
      draw();
    });
    for (const what of ["play", "pause"]) audio.addEventListener(what, draw);
    audio.addEventListener("ended", () => this.#over(now));
    draw();
    return audio.play().catch((e) => {
      if (this.#now === now) this.#now = null;
      draw();
      if (e.name !== "AbortError") throw new ApiError(0, "voice", "This browser cannot play this voice message.", 0);
    });
  }

  /** The next one begins by itself when it stands right behind. */
  #over({ m, chat }) {
    this.#at.delete(m.id);
    this.#now = null;
    this.#draw(m);
    const { messages } = this.model.shown(chat);
    const next = messages[messages.indexOf(m) + 1];
    if (next?.voice && next.from === m.from && messages.includes(m)) this.#play(next, chat).catch(() => {});
  }

  #seek(m, ms) {
    this.#at.set(m.id, ms);
    if (this.#now?.m.id === m.id) this.#now.audio.currentTime = ms / 1000;
    this.#draw(m);
  }

  #faster() {
    this.#speed = (this.#speed + 1) % SPEEDS.length;
    if (!this.#now) return;
    this.#now.audio.playbackRate = SPEEDS[this.#speed];
    this.#draw(this.#now.m);
  }

  actions = {
    play: (b) => this.#play(b.closest(".voice").row.m, b.closest(".voice").row.chat),
    speed: () => this.#faster(),
    "recording-pause": () => this.#pause(Boolean(this.#rec?.since)),
    "recording-drop": () => this.#drop(),
    "recording-send": () => this.#send(),
  };
}
