# SPDX-License-Identifier: MIT
"""Files in a bucket, by a real S3 server (versitygw) with boto3 as a second client: straight uploads, parts, links, and a store
that is away, full, or will not have us."""

import asyncio
import contextlib
import os
import subprocess
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
import requests
import versitygw
from botocore.config import Config
from client import MARK, scenario
from conftest import BASE_PORT
from files import Files, b64, mp4, photo, png, sha256
from stack import ROOT, wait_until
from test_export import ask, done, unpacked
from test_media import do, files_of, older, row_of, shown, sweep

ACCESS, SECRET = "chasqui-test", "chasqui-test-secret"
STATE = Path(os.environ.get("CHASQUI_STATE") or ROOT / ".state")


class Elsewhere:
    """The stack's edge-rest and media sink, with another store for a while."""

    def __init__(self, stack):
        self.procs = [stack.role("edge-rest"), stack.role("media")]
        self.before = [dict(p.env) for p in self.procs]

    def use(self, **env):
        for p, before in zip(self.procs, self.before):
            p.stop()
            p.env = {**before, **env}
        for p in self.procs:
            p.start()
        for p in self.procs:
            p.wait_ready(30)

    def back(self):
        self.use()


def s3_server(stack, folder, port):
    """versitygw over `folder`, answering."""
    server = versitygw.server(versitygw.program(STATE / "bin"), folder, port, ACCESS, SECRET,
                              stack.services.log_dir / f"versitygw-{port}.log", stack.services.guard)
    server.start()
    wait_until(lambda: requests.get(f"http://127.0.0.1:{port}/", timeout=1).status_code, 20, "versitygw")
    return server


@contextlib.contextmanager
def small_disk(folder, mb):
    """A disk of its own, that can be filled."""
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mb}m", "tmpfs", str(folder)], capture_output=True, check=False).returncode:
        pytest.skip("tmpfs cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


@pytest.fixture(scope="module")
def bucket(stack):
    if not versitygw.program(STATE / "bin"):
        pytest.skip("no versitygw here, and no Go to build it")
    port = BASE_PORT + 3
    server = s3_server(stack, stack.state / "s3", port)
    there = Elsewhere(stack)
    env = {"MEDIA_STORE": f"s3:http://127.0.0.1:{port}/media", "S3_ACCESS_KEY": ACCESS, "S3_SECRET_KEY": SECRET,
           "MEDIA_PART_MB": "8"}
    there.use(**env)
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", aws_access_key_id=ACCESS, aws_secret_access_key=SECRET,
                          region_name="us-east-1", config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}))
    server.s3, server.env_of_roles, server.there = client, env, there
    yield server
    there.back()
    server.cont()
    server.stop()


def digest(data):
    return b64(bytes.fromhex(sha256(data)))


def outside(method, url, **options):
    """As somebody who knows nothing but the link."""
    return requests.request(method, url, timeout=60, proxies={"http": "", "https": ""}, allow_redirects=False, **options)


@scenario()
async def test_straight_to_the_store(stack, bucket, net):
    alice, bob, mallory = await net.people("alice", "bob", "mallory")
    group = await net.group(alice, bob)
    a, b, m = files_of(net, alice), files_of(net, bob), files_of(net, mallory)
    data = photo()
    made = (await do(a.create, group, data, sha256=sha256(data), contentType="image/jpeg", name="cusco.jpg")).json()
    media, put = made["media"]["id"], made["upload"]["put"]

    assert (await do(a.complete, media)).json()["error"]["code"] == "incomplete"
    r = await do(outside, "PUT", put["url"], data=data, headers={"Content-Type": "text/html"})
    assert r.status_code == 403, "the type is signed"
    r = await do(outside, "PUT", put["url"], data=data + b"!", headers=put["headers"])
    assert r.status_code == 403, "the length is signed"
    r = await do(outside, "PUT", put["url"].replace("proven/", "media/"), data=data, headers=put["headers"])
    assert r.status_code == 403, "the key is signed"
    other = bytes(len(data))
    r = await do(outside, "PUT", put["url"], data=other, headers={**put["headers"], "x-amz-checksum-sha256": digest(other)})
    assert r.status_code == 403, "the hash is signed"
    r = await do(outside, "PUT", put["url"], data=other, headers={"Content-Type": "image/jpeg"})
    assert r.status_code == 403, "and cannot be left out"
    r = await do(outside, "PUT", put["url"], data=other, headers=put["headers"])
    assert r.status_code == 400, "the store checks it"
    assert (await do(a.complete, media)).json()["error"]["code"] == "incomplete"
    r = await do(outside, "PUT", put["url"], data=data, headers=put["headers"])
    assert r.status_code == 200, r.text
    r = await do(a.complete, media)
    assert r.status_code == 200, r.text
    # the link is still good, and brings nothing else
    assert (await do(outside, "PUT", put["url"], data=other, headers=put["headers"])).status_code == 400
    assert (await do(a.read, media)).content == data
    # without a hash the link may bring anything, but does not reach what was checked
    made = (await do(a.create, group, data, contentType="image/jpeg")).json()
    free, put = made["media"]["id"], made["upload"]["put"]
    assert (await do(outside, "PUT", put["url"], data=data, headers=put["headers"])).status_code == 200
    assert (await do(a.complete, free)).status_code == 200
    assert (await do(outside, "PUT", put["url"], data=other, headers=put["headers"])).status_code == 200
    assert (await do(a.read, free)).content == data
    # what is not a picture is refused, hash or not, and nothing of it stays
    html = b"<html><script>alert(1)</script>".ljust(500)
    made = (await do(a.create, group, html, sha256=sha256(html))).json()
    page, put = made["media"]["id"], made["upload"]["put"]
    assert (await do(outside, "PUT", put["url"], data=html, headers=put["headers"])).status_code == 200
    assert (await do(a.complete, page)).json()["error"]["code"] == "wrong_type"
    assert not [o["Key"] for o in bucket.s3.list_objects_v2(Bucket="media")["Contents"] if page in o["Key"]]

    assert (await shown(alice, group, media, f"{MARK} from the store")).status == 201
    r = await do(b.get, media)
    assert r.status_code == 302 and "X-Amz-Signature" in r.headers["location"]
    got = await do(outside, "GET", r.headers["location"])
    assert got.content == data and got.headers["content-type"] == "image/jpeg"
    assert got.headers["content-disposition"] == "inline; filename*=UTF-8''cusco.jpg"
    assert (await do(outside, "GET", r.headers["location"][:-1] + "0")).status_code == 403 or \
        (await do(outside, "GET", r.headers["location"][:-1] + "1")).status_code == 403
    assert (await do(outside, "GET", r.headers["location"].replace("X-Amz-Expires=120", "X-Amz-Expires=121"))).status_code == 403
    assert (await do(outside, "PUT", r.headers["location"], data=b"x")).status_code == 403, "bound to GET"
    assert got.headers["cache-control"] == "public, max-age=60"
    # whoever asks within a step gets the same link, so that a cache between them and the store can keep what is behind it
    started = time.time() // 60
    both = [(await do(f.get, media)).headers["location"] for f in (a, b)]
    assert both[0] == both[1] or time.time() // 60 != started
    assert int(parse_qs(urlsplit(both[0]).query)["X-Amz-Date"][0][-3:-1]) == 0, "links begin on a step"
    r = await do(b.call, "HEAD", f"/api/media/{media}")
    assert r.status_code == 302 and (await do(outside, "GET", r.headers["location"])).status_code == 403, "bound to HEAD"
    got = await do(outside, "HEAD", r.headers["location"])
    assert got.status_code == 200 and got.headers["content-length"] == str(len(data)) and not got.content
    assert got.headers["content-type"] == "image/jpeg" and got.headers["content-disposition"].startswith("inline")
    assert (await do(m.get, media)).status_code == 404
    found = await do(a.found, media)
    assert found["thumbnail"] and found["width"] == 1200
    r = await do(b.call, "HEAD", f"/api/media/{media}/thumbnail")
    assert r.status_code == 302 and (await do(outside, "HEAD", r.headers["location"])).headers["content-type"] == "image/jpeg"
    small = await do(b.call, "GET", (await do(b.link, media)).json()["thumbnailUrl"], headers={"Authorization": ""})
    assert small.status_code == 302 and (await do(outside, "GET", small.headers["location"])).content[:2] == b"\xff\xd8"
    # boto3 sees the same bucket
    key = next(o["Key"] for o in bucket.s3.list_objects_v2(Bucket="media", Prefix="proven/")["Contents"] if media in o["Key"])
    assert bucket.s3.get_object(Bucket="media", Key=key)["Body"].read() == data


@scenario()
async def test_an_export_in_the_bucket(stack, bucket, net):
    """In parts, fetched by a link of the store's, and gone with the device that asked."""
    anna, phone = await net.user("anna")
    await phone.online()
    (bob,) = await net.people("bob")
    chat = await net.direct(phone, bob)
    data = png(seed=95) + os.urandom(7 << 20)
    media = await do(files_of(net, phone).send, chat, data, part=4 << 20)
    assert (await shown(phone, chat, media, f"{MARK} large")).status == 201
    await ask(phone, anna.phone)
    told = await done(phone)
    r = await do(outside, "GET", net.rest_url + told["url"])
    assert r.status_code == 302, r.text
    got = await do(outside, "GET", r.headers["location"])
    assert (len(got.content), got.headers["cache-control"], got.headers["content-type"]) == (told["size"], "private, max-age=60", "application/x-tar")
    assert unpacked(got.content)[f"media/{media}.png"] == data
    assert len(lying(bucket, told["id"])[0]) == 1
    await phone.rest.post("/api/logout", None, expect=200)
    await do(wait_until, lambda: not any(lying(bucket, told["id"])), 20, "the export to go")


def lying(bucket, media):
    """The folders in which something of it lies, thumbnails apart, and how many uploads in parts it has."""
    keys = [o["Key"] for o in bucket.s3.list_objects_v2(Bucket="media").get("Contents", [])
            if media in o["Key"] and not o["Key"].startswith("thumbnails/")]
    parts = [u for u in bucket.s3.list_multipart_uploads(Bucket="media").get("Uploads") or [] if media in u["Key"]]
    return sorted(key.split("/")[0] for key in keys), len(parts)


@scenario(limit_s=180)
async def test_what_links_bring_after_the_end(stack, bucket, net):
    """An upload has ended, its link has not: what still comes counts to the day and is swept, and so is what is stored twice."""
    alice, bob = await net.people("alice", "bob")
    group = await net.group(alice, bob)
    a = files_of(net, alice)
    data = png(seed=240)
    html = b"<html><script>alert(1)</script>".ljust(len(data))

    async def announced(body, **more):
        made = (await do(a.create, group, body, contentType="image/png", **more)).json()
        return made["media"]["id"], made["upload"]["put"]

    async def put(link, body):
        assert (await do(outside, "PUT", link["url"], data=body, headers=link["headers"])).status_code == 200

    from files import TUS

    given_up, link_1 = await announced(data)
    proven, link_2 = await announced(data, sha256=sha256(data))
    for media in (given_up, proven):
        assert (await do(a.call, "DELETE", f"/api/media/{media}/upload", headers=TUS)).status_code == 204
        assert (await do(a.offset, media)).status_code == 404 and (await do(a.complete, media)).status_code == 404
    refused, link_3 = await announced(html)
    await put(link_3, html)
    assert (await do(a.complete, refused)).status_code == 415
    done, link_4 = await announced(data)
    await put(link_4, data)
    assert (await do(a.complete, done)).status_code == 200
    old, link_5 = await announced(data)
    await do(a.patch, old, 0, data[:100])
    ended = {given_up: link_1, proven: link_2, refused: link_3, done: link_4, old: link_5}
    with stack.db() as db:
        used = db.execute("SELECT sum(size) FROM media.uploads WHERE user_id = %s", (alice.user_id,)).fetchone()[0]
    assert used == 4 * len(data) + len(html), "what a link may bring counts, ended or not"
    for media, link in ended.items():
        await put(link, html if media == refused else data)
    assert lying(bucket, proven) == (["proven"], 0) and lying(bucket, done) == (["incoming", "media"], 0)

    # a killed process has begun an upload in parts that no row names
    key = f"media/{old[:2]}/{old}"
    bucket.s3.create_multipart_upload(Bucket="media", Key=key)
    assert lying(bucket, old)[1] == 1
    await do(older, stack, "created_at", 2 * 86400, old)
    await do(older, stack, "touched_at", 2 * 86400, old)
    await do(older, stack, "links_until", 600, *ended)
    await do(sweep, stack)
    await do(wait_until, lambda: row_of(stack, old)[2], 30, "nobody finished it")
    for media, link in ended.items():
        if media != old:
            assert lying(bucket, media)[0] != [], "a link that is good still is waited for"
    await do(older, stack, "links_until", 1800, *ended)
    await do(sweep, stack)
    await do(wait_until, lambda: all(not lying(bucket, media)[0] for media in ended if media != done), 30, "swept")
    await do(wait_until, lambda: lying(bucket, done) == (["media"], 0), 30, "only what was checked is kept")
    assert lying(bucket, old) == ([], 0)
    # somebody is slow and began in time: the row waits for him
    assert all(row_of(stack, media) for media in ended)
    bucket.s3.put_object(Bucket="media", Key=f"incoming/{given_up[:2]}/{given_up}", Body=data)
    await do(older, stack, "links_until", 86400, *ended)
    await do(sweep, stack)
    await do(wait_until, lambda: not any(row_of(stack, media) for media in ended if media != done), 30, "forgotten")
    assert lying(bucket, given_up) == ([], 0) and lying(bucket, done) == (["media"], 0)
    assert (await do(a.read, done)).content == data


@scenario()
async def test_what_lies_in_the_bucket_is_checked(stack, bucket, net):
    """boto3 puts what it likes where the upload is awaited; complete looks at it."""
    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    a = files_of(net, alice)
    data = png(seed=200)
    html = b"<html><script>alert(1)</script>".ljust(len(data))
    for body, more, status, code in ((html, {}, 415, "wrong_type"), (data + b"!", {}, 422, "wrong_content"),
                                     (data[:-1], {}, 422, "wrong_content"), (data, {"sha256": "11" * 32}, 422, "wrong_content"),
                                     (data, {"sha256": sha256(data)}, 200, None)):
        media = (await do(a.create, chat, data, **more)).json()["media"]["id"]
        bucket.s3.put_object(Bucket="media", Key=f"incoming/{media[:2]}/{media}", Body=body)
        r = await do(a.complete, media)
        assert r.status_code == status and (not code or r.json()["error"]["code"] == code), r.text
        assert (await do(a.read, media)).status_code == (200 if status == 200 else 404)
        left = [o["Key"] for o in bucket.s3.list_objects_v2(Bucket="media").get("Contents", []) if media in o["Key"]]
        assert left == ([f"media/{media[:2]}/{media}"] if status == 200 else []), left
    # where a link with a hash leads, but by another way: only what the store itself says is believed, else all is read
    for body, hash, status in ((data, "11" * 32, 422), (html, sha256(html), 415), (data, sha256(data), 200)):
        media = (await do(a.create, chat, data, sha256=hash)).json()["media"]["id"]
        bucket.s3.put_object(Bucket="media", Key=f"proven/{media[:2]}/{media}", Body=body)
        r = await do(a.complete, media)
        assert r.status_code == status, r.text
        left = [o["Key"] for o in bucket.s3.list_objects_v2(Bucket="media").get("Contents", []) if media in o["Key"]]
        assert len(left) == (status == 200), left


@scenario()
async def test_parts_and_pieces(stack, bucket, net):
    """Pieces of any size become parts of five MiB and more; a kill in between loses none that was told of."""
    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    a = files_of(net, alice)
    data = mp4(5.0) + os.urandom(13 << 20)
    for part in (700_000, 4 << 20):
        body = data + bytes([part % 251])
        media = (await do(a.create, chat, body, "video", sha256=sha256(body))).json()["media"]["id"]
        at = 0
        while at < len(body):
            r = await do(a.patch, media, at, body[at : at + part])
            assert r.status_code == 204, r.text
            at = int(r.headers["upload-offset"])
        assert (await do(a.complete, media)).status_code == 200
        assert (await do(a.read, media)).content == body
        assert (await do(a.found, media))["durationMs"] == 5000
    assert not bucket.s3.list_multipart_uploads(Bucket="media").get("Uploads")
    assert not bucket.s3.list_objects_v2(Bucket="media", Prefix="waiting/").get("Contents")

    body = data + b"killed"
    media = (await do(a.create, chat, body, "video", sha256=sha256(body))).json()["media"]["id"]
    rest, at, kills = stack.role("edge-rest"), 0, 0
    while at < len(body):
        if at // (3 << 20) > kills:
            kills += 1
            sending = asyncio.create_task(do(quietly, a.patch, media, at, body[at : at + (1 << 20)]))
            await asyncio.sleep(0.005 * kills)  # somewhere in it: whatever became of it, the offset says so
            rest.kill9()
            await sending
            rest.start().wait_ready(30)
            at = int((await do(a.offset, media)).headers["upload-offset"])
        r = await do(a.patch, media, at, body[at : at + (1 << 20)])
        assert r.status_code in (204, 423), r.text
        at = int(r.headers.get("upload-offset", at))
    assert kills >= 3
    assert (await do(a.complete, media)).status_code == 200
    assert (await do(a.read, media)).content == body

    gone = (await do(a.create, chat, body, "video")).json()["media"]["id"]
    for at in range(0, 6 << 20, 1 << 20):
        await do(a.patch, gone, at, body[at : at + (1 << 20)])
    for column in ("created_at", "touched_at"):
        await do(older, stack, column, 86400, gone)
    await do(sweep, stack)
    await do(wait_until, lambda: a.offset(gone).status_code == 404, 30, "swept")
    assert not bucket.s3.list_multipart_uploads(Bucket="media").get("Uploads")
    assert not bucket.s3.list_objects_v2(Bucket="media", Prefix="waiting/").get("Contents")


def quietly(fn, *words):
    try:
        return fn(*words)
    except requests.RequestException:
        return None


@scenario(limit_s=180)
async def test_store_away(stack, bucket, net):
    """Without its store an upload waits, and messages do not; nothing that was told of is lost."""
    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    await alice.told(f"{MARK} before", chat)
    a = files_of(net, alice)
    data = png(seed=210) + os.urandom(7 << 20)
    media = (await do(a.create, chat, data)).json()["media"]["id"]
    await do(a.push, media, data[: 6 << 20])
    ready = await do(a.send, chat, png(seed=211))
    bucket.kill9()
    r = await do(a.patch, media, 6 << 20, data[6 << 20 :])
    assert r.status_code == 503 and r.json()["error"]["code"] == "unavailable" and r.headers["retry-after"]
    assert (await do(a.get, ready)).status_code == 302, "a link needs no store"
    assert (await do(a.offset, media)).headers["upload-offset"] == str(6 << 20)
    await alice.told(f"{MARK} during", chat)
    bucket.start()
    at = await do(wait_until, lambda: quiet_offset(a, media, data), 30, "the rest of it")
    assert at == len(data)
    assert (await do(a.complete, media)).status_code == 200
    assert (await do(a.read, media)).content == data

    # one that hangs: its requests wait, the others do not
    other = (await do(a.create, chat, data, sha256=sha256(data + b"."))).json()["media"]["id"]
    bucket.pause()
    hanging = [asyncio.create_task(do(quietly, Files(net.rest_url, alice.tokens.access).patch, other, 0, data[: 1 << 20]))
               for _ in range(6)]
    for i in range(5):
        await alice.told(f"{MARK} while it hangs {i}", chat)
        assert (await alice.rest.get(f"/api/chats/{chat}/messages")).status == 200
    bucket.cont()
    answers = [r.status_code for r in await asyncio.gather(*hanging) if r is not None]
    assert answers and set(answers) <= {204, 409, 423, 503}, answers
    r = await do(a.offset, other)
    await do(a.push, other, data, 1 << 20, int(r.headers["upload-offset"]))


def quiet_offset(a, media, data):
    at = int(a.offset(media).headers["upload-offset"])
    r = a.patch(media, at, data[at:])
    return int(r.headers["upload-offset"]) if r.status_code == 204 else None


@scenario(limit_s=180)
async def test_wrong_secret_and_no_room(stack, bucket, net):
    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    a = files_of(net, alice)
    data = png(seed=220) + os.urandom(1_500_000)
    media = (await do(a.create, chat, data)).json()["media"]["id"]
    await do(a.patch, media, 0, data[:1_000_000])
    bucket.there.use(**{**bucket.env_of_roles, "S3_SECRET_KEY": "not-the-secret-of-this-store"})
    r = await do(a.patch, media, 1_000_000, data[1_000_000:])
    assert r.status_code == 503 and "SECRET" not in r.text.upper()
    for name in ("edge-rest", "media"):
        lines = stack.role(name).log_lines()
        assert any(line.get("event") == "store_away" for line in lines), name
    put = (await do(a.create, chat, data)).json()["upload"]["put"]
    assert (await do(outside, "PUT", put["url"], data=data, headers=put["headers"])).status_code == 403
    bucket.there.use(**bucket.env_of_roles)
    await do(a.push, media, data, 1 << 20, 1_000_000)
    assert (await do(a.complete, media)).status_code == 200
    assert (await do(a.read, media)).content == data

    # a folder on a disk of 8 MiB
    with small_disk(stack.state / "small", 8) as disk:
        try:
            bucket.there.use(MEDIA_STORE=f"local:{disk}/media", MEDIA_PART_MB="8")
            filler = disk / "filler"
            filler.write_bytes(bytes(5 << 20))
            media = (await do(a.create, chat, data + bytes(3 << 20))).json()["media"]["id"]
            data += bytes(3 << 20)
            at = await do(a.push, media, data[: 2 << 20], 1 << 19)
            r = await do(a.patch, media, at, data[at:])
            assert (r.status_code, r.json()["error"]["code"]) == (507, "store_full") and r.headers["retry-after"]
            assert (await do(a.offset, media)).headers["upload-offset"] == str(at)
            await alice.told(f"{MARK} no room", chat)
            filler.unlink()
            await do(a.push, media, data, 1 << 19, at)
            assert (await do(a.complete, media)).status_code == 200
            assert (await do(a.read, media)).content == data
            assert (await do(a.found, media))["thumbnail"]
        finally:
            bucket.there.use(**bucket.env_of_roles)


@pytest.fixture
def small_bucket(stack, bucket):
    """A store of its own whose disk has 64 MiB; `.filler` takes up most of it."""
    port = BASE_PORT + 4
    with small_disk(stack.state / "small-s3", 64) as disk:
        server = s3_server(stack, disk, port)
        bucket.there.use(**{**bucket.env_of_roles, "MEDIA_STORE": f"s3:http://127.0.0.1:{port}/media"})
        server.filler = disk / "filler"
        yield server
        bucket.there.use(**bucket.env_of_roles)
        server.stop()


@scenario(limit_s=180)
async def test_no_room_in_the_bucket(stack, small_bucket, net):
    """Its disk is full: who uploads is told so, piece by piece or by a link, nothing that is held goes, and it ends well with room."""
    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    a = files_of(net, alice)
    data = png(seed=230) + os.urandom(9 << 20)
    media = (await do(a.create, chat, data)).json()["media"]["id"]
    at = await do(a.push, media, data[: 1 << 20], 1 << 20)
    small_bucket.filler.write_bytes(bytes(60 << 20))
    r = await do(a.patch, media, at, data[at : 8 << 20])
    assert (r.status_code, r.json()["error"]["code"]) == (507, "store_full") and r.headers["retry-after"]
    held = int((await do(a.offset, media)).headers["upload-offset"])
    assert held >= at
    await alice.told(f"{MARK} no room in the bucket", chat)

    small = png(seed=231) + os.urandom(6 << 20)
    linked = (await do(a.create, chat, small)).json()
    put = linked["upload"]["put"]
    assert (await do(outside, "PUT", put["url"], data=small, headers=put["headers"])).status_code >= 500
    r = await do(a.complete, linked["media"]["id"])
    assert 400 <= r.status_code < 500 and r.json()["error"]["code"], "what the store did not take is not there"

    small_bucket.filler.unlink()
    await do(a.push, media, data, 1 << 20, held)
    assert (await do(a.complete, media)).status_code == 200
    assert (await do(a.read, media)).content == data
    assert (await do(outside, "PUT", put["url"], data=small, headers=put["headers"])).status_code == 200
    assert (await do(a.complete, linked["media"]["id"])).status_code == 200
    assert (await do(a.read, linked["media"]["id"])).content == small
