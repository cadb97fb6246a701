# SPDX-License-Identifier: MIT
"""Files from one member to the others, kept in a folder: uploads, links, who may read what, and what goes wrong."""

import asyncio

import pytest
from client import MARK, scenario
from files import Files, png, sha256
from stack import wait_until

do = asyncio.to_thread


def files_of(net, device):
    f = Files(net.rest_url, device.tokens.access)

    class Closer:
        async def close(self):
            f.close()

    net.open.append(Closer())
    return f


async def shown(device, chat, media, content="", type="image"):
    """A message that shows it, by REST."""
    body = {"chatId": chat, "type": type, "content": content, "mediaId": media}
    return await device.rest.post("/api/messages", body)


@scenario()
async def test_a_picture_reaches_the_members(stack, net):
    alice, bob, mallory = await net.people("alice", "bob", "mallory")
    group = await net.group(alice, bob)
    a, b, m = files_of(net, alice), files_of(net, bob), files_of(net, mallory)
    data = png(seed=3) + bytes(3 << 20)  # what follows a picture's end is part of the file, not of the picture
    media = await do(a.send, group, data, sha256=sha256(data), name="machu picchu.png")

    assert (await do(b.get, media)).status_code == 404, "not shown to anybody yet"
    r = await shown(alice, group, media, f"{MARK} look")
    assert r.status == 201, r.body
    assert r.body["message"]["mediaId"] == media and r.body["message"]["media"]["contentType"] == "image/png"
    seen = await bob.sees(f"{MARK} look")
    assert seen.type == "image"
    for reader in (a, b):
        got = await do(reader.get, media)
        assert got.status_code == 200 and got.content == data
        assert got.headers["content-type"] == "image/png"
    assert (await do(m.get, media)).status_code == 404
    assert (await do(m.link, media)).status_code == 404


@scenario()
async def test_thumbnail_length_and_what_is_told(stack, net):
    from files import huge_png, mp4, opus, photo, voice

    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    await alice.told(f"{MARK} hello", chat)
    a, b = files_of(net, alice), files_of(net, bob)

    media = await do(a.send, chat, photo(1200, 800, turned=True), name="holiday.jpg")
    assert (await shown(alice, chat, media, f"{MARK} holiday")).status == 201
    found = await do(a.found, media)
    assert (found["width"], found["height"]) == (800, 1200), "as it is shown, not as it lies"
    frame = await bob.wait(lambda: next((f for f in bob.media_log if f["mediaId"] == media), None), 30, "media frame")
    assert frame["thumbnail"] and frame["width"] == 800
    links = (await do(b.link, media)).json()
    small = await do(b.call, "GET", links["thumbnailUrl"], headers={"Authorization": ""})
    assert small.status_code == 200 and small.headers["content-type"] == "image/jpeg"
    assert small.content[:2] == b"\xff\xd8" and b"Exif" not in small.content and b"Cusco" not in small.content
    from PIL import Image
    import io
    assert max(Image.open(io.BytesIO(small.content)).size) == 320
    assert b"Cusco" in (await do(b.read, media)).content, "the file itself is what was sent, bit for bit"

    for type, data, want in (("audio", voice(2.5), 2500), ("audio", opus(3.0), 3000), ("video", mp4(4.0), 4000)):
        media = await do(a.send, chat, data, type)
        found = await do(a.found, media)
        assert found["durationMs"] == want and not found["thumbnail"], (type, found)
    assert (found["width"], found["height"]) == (320, 240)

    # too many pixels, and what only looks like a picture: a fault in the view, the sink goes on
    bomb, broken = huge_png(60000, 60000), png(seed=5)[:-30] + bytes(30)
    ids = [await do(a.send, chat, data) for data in (bomb, broken)]
    after = await do(a.send, chat, png(seed=6))
    await do(a.found, after)
    with stack.db() as db:
        faults = dict(db.execute("SELECT media_id::text, fault FROM view.media_found WHERE media_id = ANY(%s)", (ids,)).fetchall())
    assert faults[ids[0]] == "too many pixels" and set(faults) == set(ids)


@scenario()
async def test_what_phones_send(stack, net):
    from files import aac, avif, flac, heic, mp4

    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    a = files_of(net, alice)
    for type, data, content_type, width, length in (
            ("image", heic(), "image/heic", 64, 0), ("image", avif(), "image/avif", 400, 0),
            ("video", mp4(4.0, brand=b"qt  "), "video/quicktime", 320, 4000), ("video", mp4(3.0, brand=b"3gp5"), "video/3gpp", 320, 3000),
            ("audio", mp4(2.0, brand=b"3gp4"), "audio/3gpp", 320, 2000), ("audio", aac(), "audio/aac", 0, 998), ("audio", flac(), "audio/flac", 0, 2500)):
        media = await do(a.send, chat, data, type)
        found = await do(a.found, media)
        assert (found["contentType"], found["width"], found["durationMs"], found["thumbnail"]) == (content_type, width, length, type == "image")
        got = await do(a.get, media)
        assert got.content == data and got.headers["content-type"] == content_type
        if type == "image":
            small = await do(a.call, "GET", f"/api/media/{media}/thumbnail")
            assert small.headers["content-type"] == "image/jpeg" and small.content[:2] == b"\xff\xd8"


@scenario()
async def test_ranges_and_keeping(stack, net):
    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    a = files_of(net, alice)
    data = png(seed=9) + bytes(range(256)) * 4000
    media = await do(a.send, chat, data, name='a "b" ✓.png')
    r = await do(a.get, media)
    etag, size = r.headers["etag"], len(data)
    assert etag == f'"{sha256(data)}"' and r.headers["accept-ranges"] == "bytes"
    assert "immutable" in r.headers["cache-control"] and r.headers["x-content-type-options"] == "nosniff"
    assert r.headers["content-security-policy"].startswith("sandbox")
    assert r.headers["content-disposition"] == "inline; filename*=UTF-8''a%20%22b%22%20%E2%9C%93.png"
    for span, want in (("bytes=0-9", data[:10]), ("bytes=1000-", data[1000:]), ("bytes=-7", data[-7:]),
                        (f"bytes=500-{size * 2}", data[500:]), ("bytes=300000-700000", data[300000:700001])):
        r = await do(a.get, media, Range=span)
        assert (r.status_code, r.content == want) == (206, True), span
        assert r.headers["content-range"].endswith(f"/{size}")
    for span in (f"bytes={size}-", "bytes=9999999999-"):
        r = await do(a.get, media, Range=span)
        assert r.status_code == 416 and r.headers["content-range"] == f"bytes */{size}"
        assert r.headers["cache-control"] == "no-store" and "etag" not in r.headers
    for span in ("bytes=5-3", "bytes=a-b", "lines=1-2", "bytes=0-1,3-4", "bytes=-"):
        r = await do(a.get, media, Range=span)
        assert (r.status_code, len(r.content)) == (200, size), span
    assert (await do(a.get, media, Range="bytes=0-9", **{"If-Range": etag})).status_code == 206
    assert (await do(a.get, media, Range="bytes=0-9", **{"If-Range": '"other"'})).status_code == 200
    r = await do(a.get, media, **{"If-None-Match": f'"x", {etag}'})
    assert r.status_code == 304 and not r.content
    # a file that is away for a while: a browser must not keep that for a year
    (kept,) = [p for p in (stack.state / "media").rglob("*") if p.is_file() and p.stat().st_size == size and p.read_bytes() == data]
    away = kept.with_suffix(".away")
    kept.rename(away)
    try:
        r = await do(a.get, media)
    finally:
        away.rename(kept)
    assert r.status_code in (404, 503) and r.headers["cache-control"] == "no-store"
    assert "etag" not in r.headers and "content-disposition" not in r.headers
    assert (await do(a.get, media)).content == data
    r = await do(a.call, "HEAD", f"/api/media/{media}")
    assert r.status_code == 200 and r.headers["content-length"] == str(size) and not r.content


@scenario()
async def test_t13_links_are_bound(stack, net):
    import base64
    import hashlib
    import hmac
    import time
    from stack import TEST_SETTINGS

    alice, bob, carol = await net.people("alice", "bob", "carol")
    group = await net.group(alice, bob, carol)
    a, b, c = (files_of(net, d) for d in (alice, bob, carol))
    media = await do(a.send, group, png(seed=12))
    assert (await shown(alice, group, media)).status == 201
    url = (await do(b.link, media)).json()["url"]
    bare = {"Authorization": ""}

    r = await do(b.call, "GET", url, headers=bare)
    assert r.status_code == 200 and r.headers["cache-control"] == "private, max-age=30"
    other = (await do(a.link, media)).json()["url"]
    assert other != url, "a link is its reader's own"

    def with_(**changes):
        head, _, query = url.partition("?")
        parts = dict(p.split("=", 1) for p in query.split("&")) | changes
        return head + "?" + "&".join(f"{k}={v}" for k, v in parts.items())

    def signed(who, until, method="GET", file=media):
        key = hmac.digest(TEST_SETTINGS["JWT_SECRET"].encode(), b"links to files", "sha256")
        text = f"{method}\n/api/media/{file}\n{who.user_id}\n{who.tokens.device_id}\n{until}\n0"
        s = base64.urlsafe_b64encode(hmac.digest(key, text.encode(), "sha256")).decode().rstrip("=")
        return f"/api/media/{file}?u={who.user_id}&d={who.tokens.device_id}&e={until}&s={s}"

    now = int(time.time())
    assert (await do(b.call, "GET", signed(bob, now + 60), headers=bare)).status_code == 200, "the test can sign"
    for bad in (with_(u=carol.user_id), with_(d=carol.tokens.device_id), with_(l="1"), with_(e=str(now + 10**6)), with_(s="A" * 43), with_(s=""),
                signed(bob, now - 1), signed(bob, now + 60, "PUT"),
                url.replace(f"/{media}?", f"/{media}/thumbnail?"), url.split("?")[0]):
        r = await do(b.call, "GET", bad, headers=bare)
        assert r.status_code == 401, (bad, r.status_code)
    # whoever is put out: the link of before is dead at once; what he saw then he may still ask for, by links of a minute
    left_ms = (await do(c.link, media)).json()["expiresAt"] - 1000 * time.time()
    assert left_ms > 25 * 60 * 1000
    await alice.rest.call("DELETE", f"/api/chats/{group}/members/{bob.user_id}", expect=200)
    r = await do(b.call, "GET", url, headers=bare)
    assert r.status_code == 404
    assert (await do(b.get, media)).status_code == 200
    again = (await do(b.link, media)).json()
    assert again["expiresAt"] - 1000 * time.time() <= 61 * 1000
    assert (await do(b.call, "GET", again["url"], headers=bare)).status_code == 200
    assert (await do(b.call, "GET", again["url"].replace("&l=1", ""), headers=bare)).status_code == 401
    later = await do(a.send, group, png(seed=13))
    assert (await shown(alice, group, later)).status == 201
    assert (await do(b.get, later)).status_code == 404
    assert (await do(b.call, "GET", signed(bob, now + 60).replace(media, later), headers=bare)).status_code == 401
    assert (await do(b.call, "GET", signed(bob, now + 60, file=later), headers=bare)).status_code == 404
    # whoever logs out takes his links with him; those of his other devices live
    carol2 = await net.users[2].device()
    c2 = files_of(net, carol2)
    one, two = (await do(c.link, media)).json()["url"], (await do(c2.link, media)).json()["url"]
    assert one != two and (await do(c.call, "GET", one, headers=bare)).status_code == 200
    await carol.rest.post("/api/logout", None, expect=200)
    assert (await do(c.call, "GET", one, headers=bare)).status_code == 401
    assert (await do(c.call, "GET", two, headers=bare)).status_code == 200
    # and who is a member again has what he had
    await alice.rest.post(f"/api/chats/{group}/members", {"add": [bob.user_id]}, expect=200)
    assert (await do(b.call, "GET", url, headers=bare)).status_code == 200


@scenario()
async def test_a_foreign_id_opens_nothing(stack, net):
    """By socket nobody can check whose a file is: a message may name any id, and shows nothing by it."""
    alice, bob, mallory = await net.people("alice", "bob", "mallory")
    theirs, mine = await net.group(alice, bob), await net.group(mallory)
    a, m = files_of(net, alice), files_of(net, mallory)
    media = await do(a.send, theirs, png(seed=21))
    assert (await shown(mallory, mine, media)).status == 404
    out = mallory.send(f"{MARK} stolen?", mine, type="image", media_id=media)
    await mallory.verdict(out)
    assert not out.rejected and out.verdict["mediaId"] == media
    await wait_for_view(mallory, mine, out.id)
    assert (await do(m.get, media)).status_code == 404
    assert (await do(m.link, media)).status_code == 404
    row = (await mallory.rest.get(f"/api/chats/{mine}/messages")).body["messages"][-1]
    assert row["mediaId"] == media and "media" not in row
    # one's own goes by socket, and without any text
    own = await do(m.send, mine, png(seed=22))
    out = await mallory.verdict(mallory.send("", mine, type="image", media_id=own))
    assert not out.rejected
    await wait_for_view(mallory, mine, out.id)
    assert (await mallory.rest.get(f"/api/chats/{mine}/messages")).body["messages"][-1]["media"]["size"]
    # and no message of text has a file
    out = mallory.send(f"{MARK} text", mine, type="text", media_id=own)
    await mallory.wait(lambda: out.nacks, 20, "nack")
    assert out.nacks == ["bad_request"]


async def wait_for_view(device, chat, message):
    from client import until

    async def there():
        return any(m["id"] == message for m in (await device.rest.get(f"/api/chats/{chat}/messages")).body["messages"])

    await until(there, 20, "the message in the view")


@scenario()
async def test_the_same_bytes_need_not_be_sent_again(stack, net):
    alice, bob, mallory = await net.people("alice", "bob", "mallory")
    group, elsewhere = await net.group(alice, bob), await net.group(bob, mallory)
    a, b, m = files_of(net, alice), files_of(net, bob), files_of(net, mallory)
    data = png(seed=31)
    first = await do(a.send, group, data, sha256=sha256(data))
    # the hash of what one cannot read tells nothing
    r = await do(b.create, group, data, sha256=sha256(data))
    assert r.json()["media"]["state"] == "pending"
    assert (await shown(alice, group, first)).status == 201
    r = await do(b.create, elsewhere, data, sha256=sha256(data), name="forwarded.png")
    assert (r.status_code, r.json()["media"]["state"]) == (201, "ready"), r.text
    second = r.json()["media"]["id"]
    assert second != first and (await do(m.get, second)).status_code == 404
    assert (await shown(bob, elsewhere, second)).status == 201
    assert (await do(m.read, second)).content == data
    assert (await do(m.get, first)).status_code == 404
    with stack.db() as db:
        keys = db.execute("SELECT DISTINCT key FROM view.media WHERE media_id = ANY(%s)", ([first, second],)).fetchall()
    assert len(keys) == 1


@scenario()
async def test_a_hash_tells_nothing_by_its_time_either(stack, net):
    """What the database reads for a hash is the same whether strangers have such a file, or many, or nobody has."""
    alice, bob, mallory = await net.people("alice", "bob", "mallory")
    group, elsewhere = await net.group(alice, bob), await net.group(mallory, bob)
    a, m = files_of(net, alice), files_of(net, mallory)
    data, own, shown_to_her = png(seed=35), png(seed=36), png(seed=37)
    for _ in range(20):  # all but the first without sending a byte
        media = await do(a.send, group, data, sha256=sha256(data))
    assert (await shown(alice, group, media)).status == 201
    mine = await do(m.send, elsewhere, own, sha256=sha256(own))
    b = files_of(net, bob)
    media = await do(b.send, elsewhere, shown_to_her, sha256=sha256(shown_to_her))
    assert (await shown(bob, elsewhere, media)).status == 201

    with stack.db() as db:
        db.execute("ANALYZE view.media, view.messages, view.members")

        def probe(hash, size, reader):
            """→ what is found, and the blocks of tables and indexes that were looked at."""
            found = db.execute("SELECT view.same_file(decode(%s, 'hex'), %s, %s)", (hash, size, reader)).fetchone()[0]
            plan = db.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT view.same_file(decode(%s, 'hex'), %s, %s)",
                              (hash, size, reader)).fetchone()[0][0]["Plan"]
            return found and str(found), plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]

        theirs, nobodys = (sha256(data), len(data)), ("17" * 32, len(data))
        for hash, size in (theirs, nobodys):
            probe(hash, size, mallory.user_id)  # what is cached by then is cached for both
        assert probe(*theirs, mallory.user_id) == probe(*nobodys, mallory.user_id)
        assert probe(*theirs, mallory.user_id)[0] is None
        assert probe(sha256(own), len(own), mallory.user_id)[0] == mine
        assert probe(sha256(shown_to_her), len(shown_to_her), mallory.user_id)[0] == media
        assert probe(sha256(shown_to_her), len(shown_to_her) + 1, mallory.user_id)[0] is None


@scenario()
async def test_pieces(stack, net):
    """Offsets, checksums, bounds: nothing is taken that is not the next piece."""
    import base64
    import hashlib

    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    a, b = files_of(net, alice), files_of(net, bob)
    data = png(seed=41) + bytes(2_000_000)
    made = (await do(a.create, chat, data)).json()
    media, part = made["media"]["id"], made["upload"]["partSize"]
    assert part == (4 << 20) - 8192 and made["upload"]["url"] == f"/api/media/{media}/upload"

    r = await do(a.call, "PATCH", f"/api/media/{media}/upload", data=b"x")
    assert r.status_code == 412 and r.headers["tus-version"] == "1.0.0" and r.json()["error"]["code"] == "bad_request"
    r = await do(a.patch, media, 0, b"x", **{"Content-Type": "text/plain"})
    assert r.status_code == 415
    r = await do(a.patch, media, 5, data[5:10])
    assert r.status_code == 409 and r.headers["upload-offset"] == "0"
    assert (await do(b.patch, media, 0, data[:10])).status_code == 404, "another's upload is not there"
    assert (await do(b.offset, media)).status_code == 404
    r = await do(a.patch, media, 0, data[:1000], **{"Upload-Checksum": "sha256 " + base64.b64encode(bytes(32)).decode()})
    assert r.status_code == 460
    assert (await do(a.patch, media, 0, data[:1000], **{"Upload-Checksum": "crc32 AAAA"})).status_code == 400
    assert (await do(a.offset, media)).headers["upload-offset"] == "0"
    good = {"sha256": hashlib.sha256, "sha1": hashlib.sha1}
    at = 0
    for name, fn in good.items():
        piece = data[at : at + 1000]
        r = await do(a.patch, media, at, piece, **{"Upload-Checksum": f"{name} {base64.b64encode(fn(piece).digest()).decode()}"})
        assert r.status_code == 204, r.text
        at += 1000
    r = await do(a.complete, media)
    assert r.status_code == 409 and r.json()["error"]["code"] == "incomplete" and r.headers["upload-offset"] == "2000"
    assert (await do(a.patch, media, at, data[at:] + b"more")).status_code == 413
    r = await do(a.patch, media, at, bytes((4 << 20) + 1))
    assert r.status_code == 413
    r = await do(a.call, "POST", "/api/messages", data=bytes(70_000), headers={"Content-Type": "application/json"})
    assert r.status_code == 413, "large bodies are for pieces only"
    await do(a.push, media, data, 700_000, at)
    assert (await do(a.complete, media)).status_code == 200
    assert (await do(a.complete, media)).status_code == 200, "again is fine"
    assert (await do(a.read, media)).content == data
    assert (await do(a.offset, media)).headers["upload-offset"] == str(len(data))

    gone = (await do(a.create, chat, data)).json()["media"]["id"]
    await do(a.patch, gone, 0, data[:5000])
    from files import TUS
    assert (await do(a.call, "DELETE", f"/api/media/{gone}/upload", headers=TUS)).status_code == 204
    assert (await do(a.offset, gone)).status_code == 404
    assert not [p for p in (stack.state / "media/growing").iterdir() if gone in p.name]


@scenario()
async def test_t26_what_is_refused(stack, net):
    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    a, b = files_of(net, alice), files_of(net, bob)
    html = b"<!doctype html><html><script>alert(1)</script></html>"

    async def refused(data, type="image", status=415, code="wrong_type", **more):
        media = (await do(a.create, chat, data, type, **more)).json()["media"]["id"]
        await do(a.push, media, data)
        r = await do(a.complete, media)
        assert (r.status_code, r.json()["error"]["code"]) == (status, code), r.text
        assert (await do(a.get, media)).status_code == 404 and (await do(a.offset, media)).status_code == 404
        assert not list((stack.state / "media").rglob(f"*{media}*")), "nothing of it is kept"

    await refused(html, name="cat.png", contentType="image/png")
    await refused(b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", contentType="image/svg+xml")
    await refused(png(seed=51), "video")
    await refused(png(seed=52), sha256="00" * 32, status=422, code="wrong_content")
    media = await do(a.send, chat, html, "document", name="page.html", contentType="text/html")
    r = await do(a.get, media)
    assert r.headers["content-type"] == "application/octet-stream"
    assert r.headers["content-disposition"].startswith("attachment;") and "sandbox" in r.headers["content-security-policy"]

    class Long:
        def __len__(self):
            return self.n

        def __init__(self, n):
            self.n = n

    assert (await do(a.create, chat, Long((16 << 20) + 1))).status_code == 413
    assert (await do(a.create, chat, Long(0))).status_code == 400
    assert (await do(a.create, chat, Long(9), "text")).status_code == 400
    for name in ("../../etc/passwd", "a\nb", "x" * 300, "photo\u202egpj.exe", "a\x85b", "\u2066a", "a\\b"):
        assert (await do(a.create, chat, Long(9), name=name)).status_code == 400
    stranger = (await net.people("stranger"))[0]
    s = files_of(net, stranger)
    assert (await do(s.create, chat, Long(9))).status_code == 404
    # 24 hours' worth, however it is split
    for _ in range(20):
        r = await do(a.create, chat, Long(100 << 20), "document")
    assert r.status_code == 201
    r = await do(a.create, chat, Long(100 << 20), "document")
    assert (r.status_code, r.json()["error"]["code"]) == (429, "quota_exceeded") and r.headers["retry-after"]
    assert (await do(b.create, chat, Long(100 << 20), "document")).status_code == 201


def older(stack, column, by_s, *medias):
    """As if it had been so long ago."""
    with stack.db() as db:
        db.execute(f"UPDATE media.uploads SET {column} = {column} - %s WHERE media_id = ANY(%s)", (by_s * 1000, list(medias)))


def sweep(stack):
    """The role media sweeps when it starts, and each minute."""
    stack.role("media").stop()
    stack.role("media").start().wait_ready(30)


def row_of(stack, media):
    with stack.db() as db:
        return db.execute("SELECT stored, logged, ended_at, touched_at, submit_tries FROM media.uploads WHERE media_id = %s", (media,)).fetchone()


@scenario()
async def test_unfinished_uploads_are_swept(stack, net):
    """Counted from when something came last; not for ever, though."""
    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    a = files_of(net, alice)
    data = png(seed=61) + bytes(100_000)
    old, whole, slow, endless = [(await do(a.create, chat, data)).json()["media"]["id"] for _ in range(4)]
    for media in (old, slow, endless):
        await do(a.patch, media, 0, data[:50_000])
    await do(a.push, whole, data)
    kept = await do(a.send, chat, data)
    assert (await shown(alice, chat, kept)).status == 201, "a file that nothing shows would be taken away"
    await do(older, stack, "touched_at", 86400, old, whole, kept)
    await do(older, stack, "created_at", 86400, old, whole, kept, slow)
    await do(older, stack, "created_at", 7 * 86400, endless)
    await do(sweep, stack)
    await do(wait_until, lambda: all(a.offset(media).status_code == 404 for media in (old, whole, endless)), 30, "swept")
    left = {p.name for p in (stack.state / "media").rglob("*") if p.is_file()}
    assert not [n for n in left if old in n or whole in n or endless in n]
    assert (await do(a.offset, slow)).headers["upload-offset"] == "50000"
    await do(a.push, slow, data, at=50_000)
    assert (await do(a.complete, slow)).status_code == 200
    assert (await do(a.read, kept)).content == data


@scenario()
async def test_removed_before_it_is_complete(stack, net):
    """Nothing is stored that the log would refuse; where it was stored all the same, it is taken away."""
    alice, bob = await net.people("alice", "bob")
    group = await net.group(alice, bob)
    b = files_of(net, bob)
    data = png(seed=62) + bytes(1000)
    early, stuck, rejoined = [(await do(b.create, group, data)).json()["media"]["id"] for _ in range(3)]
    for media in (early, stuck, rejoined):
        await do(b.push, media, data)
    with stack.db() as db:  # as where the process died between storing and submitting
        db.execute("UPDATE media.uploads SET stored = true, sha256 = decode(%s, 'hex'), content_type = 'image/png', device_id = %s, touched_at = 1 "
                   "WHERE media_id = ANY(%s)", (sha256(data), bob.tokens.device_id, [stuck, rejoined]))
    await alice.rest.call("DELETE", f"/api/chats/{group}/members/{bob.user_id}", expect=200)
    assert (await do(b.complete, early)).status_code == 404
    assert row_of(stack, early)[0] is False
    await do(sweep, stack)
    await do(wait_until, lambda: row_of(stack, stuck)[2] and row_of(stack, rejoined)[2], 30, "the log refuses both")
    assert (await do(b.complete, stuck)).status_code == 404, "given up"
    await do(older, stack, "ended_at", 3600, stuck)
    await do(sweep, stack)
    await do(wait_until, lambda: row_of(stack, stuck) is None, 60, "taken away")
    left = {p.name for p in (stack.state / "media").rglob("*") if p.is_file()}
    assert stuck not in left and rejoined in left, "one that was given up just now may be on its way into the log"


@scenario(limit_s=240)
async def test_stored_when_the_log_was_away(stack, net):
    """Kafka and edge-rest die between "stored" and "in the log", and nobody completes again: the role media does."""
    alice, bob = await net.people("alice", "bob")
    chats = [await net.direct(alice, bob), await net.group(alice, bob)]
    a = files_of(net, alice)
    data = png(seed=63)
    medias = [(await do(a.create, chat, data, name="kept.png")).json()["media"]["id"] for chat in chats]
    for media in medias:
        await do(a.push, media, data)
    await do(stack.kafka.kill9)
    asked = [asyncio.create_task(do(quiet, Files(net.rest_url, alice.tokens.access).complete, media)) for media in medias]
    await do(wait_until, lambda: all(row_of(stack, media)[0] for media in medias), 30, "both are stored")
    await do(stack.role("edge-rest").kill9)
    await asyncio.gather(*asked)
    await do(stack.kafka.start)
    await do(stack.kafka.wait_ready, 60)
    await do(lambda: stack.role("edge-rest").start().wait_ready(60))
    assert [(await do(a.get, media)).status_code for media in medias] == [404, 404]
    await do(older, stack, "touched_at", 3600, *medias)
    await do(sweep, stack)
    for media in medias:
        await do(wait_until, lambda media=media: quiet(a.get, media).status_code == 200, 120, "it is in the log")
        assert (await do(a.read, media)).content == data
        assert (await do(a.found, media))["thumbnail"]
    await do(wait_until, lambda: stack.metrics("media")["files_settled_total"] == 2, 30, "noted")
    # and it is asked once: the view has it from now on
    await do(older, stack, "touched_at", 3600, *medias)
    await do(sweep, stack)
    await do(wait_until, lambda: all(row_of(stack, media)[1] for media in medias), 30, "logged")
    assert all(row_of(stack, media)[4] == 1 for media in medias)


def quiet(fn, *words):
    import requests

    try:
        return fn(*words)
    except requests.RequestException:
        return None


@scenario(limit_s=180)
async def test_killed_in_the_middle(stack, net):
    """edge-rest and the media sink are killed while files come in: every file ends whole, once."""
    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    a = files_of(net, alice)
    stop = asyncio.Event()

    def resume(media, data):
        import requests
        while True:
            try:
                r = a.offset(media)
                if r.status_code == 200:
                    at = int(r.headers["upload-offset"])
                    if at == len(data):
                        r = a.complete(media)
                        if r.status_code == 200:
                            return
                    else:
                        a.patch(media, at, data[at : at + 200_000])
            except requests.RequestException:
                pass

    async def kills():
        for _ in range(4):
            await asyncio.sleep(0.4)  # somewhere in the middle: that is the point
            for role in ("edge-rest", "media"):
                stack.role(role).kill9()
                stack.role(role).start()
            for role in ("edge-rest", "media"):
                await do(stack.role(role).wait_ready, 30)
        stop.set()

    n = 0
    sent = {}
    task = asyncio.create_task(kills())
    while not stop.is_set():
        data = png(seed=70 + n) + bytes(900_000)
        r = await do(retry, a.create, chat, data)
        media = r.json()["media"]["id"]
        await do(resume, media, data)
        sent[media] = data
        n += 1
    await task
    assert n >= 3
    for media, data in sent.items():
        assert (await do(a.read, media)).content == data
        await do(a.found, media)
    growing = [p.name for p in (stack.state / "media/growing").iterdir()]
    assert not [g for g in growing if any(m in g for m in sent)], growing


def retry(fn, *words):
    import requests

    def once():
        try:
            r = fn(*words)
            return r if r.status_code < 500 else None
        except requests.RequestException:
            return None

    return wait_until(once, 30, "an answer")


@scenario()
async def test_tuspy_uploads(stack, net):
    """An outside client of the protocol: as it comes, which is one piece; with the one option that large files need; and with
    checksums and a cut in the middle."""
    import io

    from tusclient import client as tus
    from tusclient.exceptions import TusUploadFailed

    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    a = files_of(net, alice)
    outside = tus.TusClient(f"{net.rest_url}/api/media/uploads", headers={"Authorization": f"Bearer {alice.tokens.access}"})
    part = (await alice.rest.get("/api/config", expect=200)).body["limits"]["partBytes"]
    large = png(seed=92) + bytes(2 * part)

    def upload(data, **options):
        up = outside.uploader(file_stream=io.BytesIO(data), metadata={
            "chatId": chat, "filename": "sent by tuspy.png", "filetype": "image/png", "sha256": sha256(data)}, **options)
        up.upload()
        return up.url.split("/")[-2]

    async def complete(media, data):
        r = await do(a.complete, media)
        assert r.status_code == 200 and r.json()["media"]["name"] == "sent by tuspy.png"
        assert (await do(a.read, media)).content == data

    small = png(seed=91) + bytes(part - 5000)
    await complete(await do(upload, small[:part]), small[:part])
    with pytest.raises(TusUploadFailed) as refused:
        await do(upload, large)
    assert refused.value.status_code == 413 and str(part).encode() in refused.value.response_content
    await complete(await do(upload, large, chunk_size=part), large)

    def cut():
        up = outside.uploader(file_stream=io.BytesIO(large), chunk_size=1 << 20, upload_checksum=True, metadata={
            "chatId": chat, "filename": "sent by tuspy.png", "filetype": "image/png", "sha256": sha256(large)})
        up.upload_chunk()
        again = outside.uploader(file_stream=io.BytesIO(large), chunk_size=500_000, url=up.url, upload_checksum=True)
        again.upload()
        return again.url.split("/")[-2]

    await complete(await do(cut), large)


@scenario()
async def test_what_tus_clients_can_ask(stack, net):
    """How large a piece may be is told by OPTIONS, at the creation, by HEAD and in /api/config; a first piece may come with the creation."""
    from files import TUS, b64

    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    a = files_of(net, alice)
    limits = (await alice.rest.get("/api/config", expect=200)).body["limits"]
    part = limits["partBytes"]
    assert part == (4 << 20) - 8192 and limits["fileBytes"] == {"image": 16 << 20, "video": 100 << 20, "audio": 16 << 20, "document": 100 << 20}
    for path in ("/api/media/uploads", f"/api/media/{chat}/upload"):
        r = await do(a.call, "OPTIONS", path, headers={"Authorization": ""})
        assert r.status_code == 204 and r.headers["tus-version"] == r.headers["tus-resumable"] == "1.0.0"
        assert r.headers["tus-extension"] == "creation,creation-with-upload,checksum,termination"
        assert r.headers["tus-checksum-algorithm"] == "sha256,sha1" and r.headers["tus-max-size"] == str(100 << 20)
        assert r.headers["upload-limit"] == f"max-size={100 << 20}, max-append-size={part}"
    assert "tus-version" not in (await do(a.call, "OPTIONS", "/api/chats")).headers

    data = png(seed=95) + bytes(2 * part)

    def create(body, **headers):
        meta = ",".join(f"{k} {b64(v)}" for k, v in {"chatId": chat, "filetype": "image/png", "sha256": sha256(data)}.items())
        return a.call("POST", "/api/media/uploads", data=body, headers={
            **TUS, "Upload-Length": str(len(data)), "Upload-Metadata": meta, "Content-Type": "application/offset+octet-stream", **headers})

    r = await do(create, data[:part], **{"Upload-Checksum": "sha256 " + b64(bytes.fromhex(sha256(data[:part])))})
    assert (r.status_code, r.headers["upload-offset"]) == (201, str(part)) and r.headers["upload-limit"] == f"max-append-size={part}"
    media = r.headers["location"].split("/")[-2]
    r = await do(a.offset, media)
    assert r.headers["upload-offset"] == str(part) and r.headers["upload-limit"] == f"max-append-size={part}"
    await do(a.push, media, data, part, part)
    assert (await do(a.complete, media)).status_code == 200 and (await do(a.read, media)).content == data
    r = await do(create, b"", **{"Content-Type": None})
    assert (r.status_code, r.headers["upload-offset"]) == (201, "0")
    for body, more, status in ((data[:10], {"Content-Type": "image/png"}, 415), (data[:10], {"Upload-Length": "9"}, 413),
                               (data[:10], {"Upload-Checksum": "sha256 " + b64(bytes(32))}, 460), (data[: part + 8193], {}, 413)):
        r = await do(create, body, **more)
        assert r.status_code == status and "location" not in r.headers, (status, r.status_code, r.text)
