// SPDX-License-Identifier: MIT
// An outside client of the upload protocol: tus-js-client, in node. PAGE_URL is the address of a running Stack.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import * as tus from "tus-js-client";

const PAGE = process.env.PAGE_URL;
const PIECE = 1 << 20;
const SIZE = 9 * PIECE + 12345;

async function call(method, path, body, token) {
  const answer = await fetch(new URL(path, PAGE), {
    method, body: body && JSON.stringify(body),
    headers: { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) },
  });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${await answer.clone().text()}`);
  return answer.json();
}

async function person(name) {
  const phoneNumber = `+49155${String(Math.floor(Math.random() * 1e8)).padStart(8, "0")}`;
  const { challenge, devCode } = await call("POST", "/api/register", { name, phoneNumber });
  return { phoneNumber, ...await call("POST", "/api/verify", { challenge, code: devCode, platform: "web", label: "tus" }) };
}

/** One upload, ended when `until(sent)` says so. → {url, sent, done, sizes: of the pieces} */
function upload(file, options, until = () => false) {
  return new Promise((done, fail) => {
    const seen = { sizes: [], from: null };
    const u = new tus.Upload(createReadStream(file), {
      chunkSize: PIECE, uploadSize: SIZE, retryDelays: [100, 500, 2000], removeFingerprintOnSuccess: true,
      onError: fail,
      onSuccess: () => done({ ...seen, url: u.url, done: true }),
      onChunkComplete: async (size, sent) => {
        seen.from ??= sent - size;
        seen.sizes.push(size);
        if (!until(sent)) return;
        await u.abort();
        done({ ...seen, url: u.url, sent, done: false });
      },
      ...options,
    });
    u.start();
  });
}

test("tus-js-client: made, broken off, gone on with by its address, complete", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tus-"));
  try {
    const file = join(folder, "valley.bin");
    const bytes = randomBytes(SIZE);
    writeFileSync(file, bytes);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const [ana, ben] = [await person("Ana"), await person("Ben")];
    const { chat } = await call("POST", "/api/chats", { userId: ben.userId }, ana.accessToken);
    const headers = { Authorization: `Bearer ${ana.accessToken}` };

    const first = await upload(file, {
      endpoint: new URL("/api/media/uploads", PAGE).href, headers,
      metadata: { chatId: chat.chatId, filename: "valley.bin", filetype: "application/octet-stream", sha256 },
    }, (sent) => sent >= 4 * PIECE);
    assert.equal(first.done, false);
    const second = await upload(file, { uploadUrl: first.url, headers });
    assert.equal(second.done, true);
    assert.ok(second.from >= first.sent, `it went on at ${second.from}, ${first.sent} were held`);
    assert.equal(second.sizes.reduce((a, b) => a + b, second.from), SIZE);

    const mediaId = new URL(first.url).pathname.split("/").at(-2);
    const { media } = await call("POST", `/api/media/${mediaId}/complete`, undefined, ana.accessToken);
    assert.equal(media.name, "valley.bin");
    const back = await fetch(new URL(`/api/media/${mediaId}`, PAGE), { headers });
    assert.equal(createHash("sha256").update(Buffer.from(await back.arrayBuffer())).digest("hex"), sha256);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("tus-js-client as it comes, and with the one option that large files need", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tus-"));
  try {
    const [ana, ben] = [await person("Ana"), await person("Ben")];
    const { chat } = await call("POST", "/api/chats", { userId: ben.userId }, ana.accessToken);
    const headers = { Authorization: `Bearer ${ana.accessToken}` };
    const { partBytes } = (await call("GET", "/api/config")).limits;

    const send = (size, options) => {
      const file = join(folder, `${size}.bin`);
      writeFileSync(file, randomBytes(size));
      return upload(file, {
        endpoint: new URL("/api/media/uploads", PAGE).href, headers, uploadSize: size, chunkSize: Infinity, // its default
        metadata: { chatId: chat.chatId, filename: "as it comes.bin", filetype: "application/octet-stream" }, ...options,
      });
    };
    const complete = async ({ url }) => {
      const { media } = await call("POST", `/api/media/${new URL(url).pathname.split("/").at(-2)}/complete`, undefined, ana.accessToken);
      return media.size;
    };
    assert.equal(await complete(await send(partBytes)), partBytes);
    await assert.rejects(send(partBytes * 2, { retryDelays: [] }), (e) => {
      assert.equal(e.originalResponse.getStatus(), 413);
      assert.match(e.originalResponse.getBody(), new RegExp(`${partBytes} bytes.*partBytes`));
      return true;
    });
    const pieces = await send(partBytes * 2 + 1, { chunkSize: partBytes });
    assert.deepEqual(pieces.sizes, [partBytes, partBytes, 1]);
    assert.equal(await complete(pieces), partBytes * 2 + 1);
    assert.equal(await complete(await send(partBytes + 7, { chunkSize: partBytes, uploadDataDuringCreation: true })), partBytes + 7);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
