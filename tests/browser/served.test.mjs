// SPDX-License-Identifier: MIT
// How the page comes to a browser: compressed, kept for ever under a name that is its content, and one version at a time.
import { test } from "node:test";
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { appendFileSync, cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { launch, PAGE } from "./lib.mjs";

const WEB = new URL("../../edge/web/", import.meta.url).pathname;

/** As it is on the wire: what fetch() hides. */
function get(path, headers = {}) {
  return new Promise((done, fail) => http.get(new URL(path, PAGE), { headers }, (answer) => {
    const parts = [];
    answer.on("data", (d) => parts.push(d)).on("end", () => done({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(parts) }));
  }).on("error", fail));
}

test("first sight: few requests, few bytes, all of one version, and nothing of it twice", async () => {
  const browser = await launch();
  try {
    const page = await browser.newPage();
    const paths = [];
    page.on("request", (r) => paths.push(new URL(r.url()).pathname));
    const scripts = () => paths.filter((p) => p.endsWith(".js")); // the icon is asked for by the page and by the tab
    await page.goto(PAGE.href);
    await page.waitForSelector("#sign-in:not([hidden])");
    await page.waitForLoadState("networkidle");
    assert.ok(paths.length <= 25, `${paths.length} requests`);
    assert.equal(new Set(scripts()).size, scripts().length, `twice: ${paths}`);
    const versions = new Set(paths.filter((p) => p !== "/").map((p) => p.split("/").slice(0, 3).join("/")));
    assert.equal(versions.size, 1, `${[...versions]}`);
    assert.match([...versions][0], /^\/v\/[0-9a-f]{16}$/);
    let bytes = 0;
    for (const path of paths) {
      const answer = await get(path, { "Accept-Encoding": "gzip, br" });
      bytes += answer.body.length;
      assert.equal(answer.status, 200, path);
      assert.equal(answer.headers["content-encoding"], "gzip", path);
      assert.match(answer.headers.vary ?? "", /accept-encoding/i, path);
      assert.equal(answer.headers["cache-control"], path === "/" ? "no-cache" : "public, max-age=31536000, immutable", path);
      assert.match(answer.headers["content-security-policy"], /default-src 'self'/, path);
    }
    assert.ok(bytes <= 150 << 10, `${bytes} bytes`);
  } finally {
    await browser.close();
  }
});

test("who takes nothing compressed gets it plain; what is not there is not kept", async () => {
  const index = await get("/");
  assert.equal(index.headers["content-encoding"], undefined);
  const style = /href="(\/v\/[0-9a-f]+\/style\.css)"/.exec(index.body)[1];
  assert.equal(String((await get(style)).body), readFileSync(join(WEB, "style.css"), "utf8"));
  assert.equal((await get("/", { "If-None-Match": index.headers.etag })).status, 304);
  const worker = await get("/sw.js");
  assert.deepEqual([worker.status, worker.headers["cache-control"]], [200, "no-cache"]);
  for (const path of ["/v/0000000000000000/app.js", "/v/../app.js", "/app.js"]) {
    const none = await get(path);
    assert.equal(none.status, 404, path);
    assert.doesNotMatch(none.headers["cache-control"] ?? "", /immutable/, path);
  }
});

test("an id of the page is one element's", () => {
  const ids = readFileSync(join(WEB, "index.html"), "utf8").match(/(?<=\sid=")[^"]+/g);
  assert.deepEqual(ids.filter((id, i) => ids.indexOf(id) !== i), []);
});

test("what is another's is as it came", () => {
  const [, head, ...rest] = readFileSync(join(WEB, "qrcode.js"), "utf8").split("\n");
  assert.equal(createHash("sha256").update(rest.join("\n")).digest("hex"), /sha256 ([0-9a-f]{64})$/.exec(head)[1]);
});

test("a change of any file is another version of all, and the index names every module but those that are rarely needed", () => {
  const folder = mkdtempSync(join(tmpdir(), "pack-"));
  try {
    cpSync(WEB, join(folder, "web"), { recursive: true });
    const pack = () => {
      execFileSync("python3", [join(WEB, "pack"), join(folder, "web"), join(folder, "out")]);
      const [version, ...more] = readdirSync(join(folder, "out/v"));
      assert.deepEqual(more, []);
      return version;
    };
    const before = pack();
    assert.equal(pack(), before);
    const index = readFileSync(join(folder, "out/index.html"), "utf8");
    const late = ["account.js", "cards.js", "info.js", "invites.js", "link.js", "menus.js", "message.js", "notify.js", "pins.js", "polls.js", "portrait.js", "qrcode.js", "search.js", "select.js", "settings.js", "shared.js", "upload.js", "voice.js"]; // loaded when they are needed
    for (const name of readdirSync(WEB).filter((f) => /\.(js|css|svg)$/.test(f) && f !== "sw.js")) {
      assert.equal(index.includes(`"/v/${before}/${name}"`), !late.includes(name), name);
      assert.ok(existsSync(join(folder, "out/v", before, name)), name);
    }
    assert.ok(existsSync(join(folder, "out/sw.js")) && !index.includes("sw.js") && !existsSync(join(folder, "out/v", before, "sw.js")), "a worker is for the whole page");
    appendFileSync(join(folder, "web/util.js"), "// another\n");
    assert.notEqual(pack(), before);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
