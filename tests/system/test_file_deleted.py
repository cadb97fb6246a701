# SPDX-License-Identifier: MIT
"""Files that their owners take away: gone for everybody, out of the store with the last file that shares the object, and the same on a view that is made anew."""
import asyncio
import uuid

from client import MARK, scenario, until
from files import Files, photo, png, sha256
from look import made_anew, view_is_level
from stack import wait_until
from test_changes import by_rest, pairs
from test_groups import chat_of
from test_media import files_of, row_of, shown, sweep
from test_users import reads, upload

do = asyncio.to_thread


async def delete(device, media: str, status: int = 200) -> None:
    r = await device.rest.call("DELETE", f"/api/media/{media}")
    assert r.status == status, (r.status, r.body)


def stored(stack, media: str) -> list[str]:
    """What the store has under its id: the object and the small picture."""
    return sorted(str(p.relative_to(stack.state / "media")) for p in (stack.state / "media").rglob("*") if p.is_file() and media in p.name)


def sweep_now(stack, *media: str) -> None:
    """Sweep, with these deletions due also where a pass of the minute met them before the view did, and put them off."""
    with stack.db() as db:
        db.execute("UPDATE media.deletions SET due_at = 1 WHERE media_id = ANY(%s::uuid[]) AND NOT taken", (list(media),))
    sweep(stack)


async def all_gone(files: Files, media: str, status: int = 410) -> None:
    for method, rest in (("GET", ""), ("HEAD", ""), ("GET", "/thumbnail"), ("GET", "/link")):
        r = await do(files.call, method, f"/api/media/{media}{rest}")
        assert r.status_code == status, (method, rest, r.status_code, r.text)
        assert method == "HEAD" or status != 410 or r.json()["error"]["code"] == "gone"


@scenario(240)
async def test_t55_a_file_is_taken_away(stack, net):
    (alice, alice2), (bob, bob2), (carol, _) = await pairs(net, "alice", "bob", "carol")
    group, direct = await net.group(alice, bob), await net.direct(bob, carol)
    a, b, c = (files_of(net, device) for device in (alice, bob, carol))
    data, alone, data_of_group = photo(), png(seed=81), png(seed=82)
    media = await do(a.send, group, data)
    await do(a.found, media)
    message = (await shown(alice, group, media, f"{MARK} look")).body["message"]
    other = await do(a.send, group, alone)
    await do(a.found, other)
    assert len(stored(stack, media)) == len(stored(stack, other)) == 2, "object and small picture"
    # bob forwards it: another file over the same object
    await bob.sees(f"{MARK} look")
    r = await do(b.create, direct, data, sha256=sha256(data))
    forwarded = r.json()["media"]["id"]
    assert r.json()["media"]["state"] == "ready" and (await shown(bob, direct, forwarded)).status == 201
    link = (await do(b.link, media)).json()["url"]

    pending = (await do(a.create, group, data_of_group)).json()["media"]["id"]
    for device, what in ((bob, media), (carol, media), (alice, str(uuid.uuid4())), (alice, forwarded), (alice, pending)):
        await delete(device, what, 404)
    assert (await do(b.read, media)).content == data
    for _ in range(2):
        await delete(alice2, media)
    await delete(alice, other)
    for device in (alice, alice2, bob, bob2):
        (frame,) = await device.wait(lambda d=device: [f for f in d.media_log if f["t"] == "media_deleted" and f["mediaId"] == media], 30, "the frame")
        assert (frame["chatId"], frame["by"]) == (group, alice.user_id)
    for files in (a, b):
        await all_gone(files, media)
    await all_gone(c, media, 404)
    assert (await do(a.call, "GET", link, headers={"Authorization": ""})).status_code == 410
    row = await by_rest(bob, group, message["id"])
    assert row["mediaId"] == media and row["media"] == {"gone": True} and row["content"] == f"{MARK} look"
    # it is shown by nothing that comes later, and its hash finds it no more
    r = await shown(alice, group, media)
    assert (r.status, r.code) == (410, "gone") and (await shown(bob, group, media)).status == 404
    assert (await do(a.create, group, data, sha256=sha256(data))).json()["media"]["state"] == "pending"
    assert (await do(c.read, forwarded)).content == data, "his is another file"

    # out of the store, and what it was of the day's quota is given back; not what others share
    await do(sweep_now, stack, media, other)
    await do(wait_until, lambda: row_of(stack, other) is None and not stored(stack, other) and len(stored(stack, media)) == 1, 30, "swept")
    assert row_of(stack, media)
    assert (await do(c.read, forwarded)).content == data
    await delete(bob, forwarded)
    await do(sweep_now, stack, media, forwarded)
    await do(wait_until, lambda: not stored(stack, media) and not stored(stack, forwarded), 30, "the last one takes the object along")

    # a view that is made anew says the same
    await view_is_level(stack)
    await made_anew(stack)

    async def is_back():
        return (await alice.rest.get(f"/api/chats/{group}")).status == 200

    await until(is_back, 60, "the rebuilt view")
    await view_is_level(stack)
    await all_gone(b, media)
    await all_gone(c, forwarded)
    assert await by_rest(bob, group, message["id"]) == row
    await delete(alice, media)


@scenario(180)
async def test_pictures_and_those_who_left(stack, net):
    """Who takes the file of a picture away has none; and a file is its owner's also where he is no more."""
    (alice, _), (bob, _) = await pairs(net, "alice", "bob")
    group, own = await net.group(alice, bob), await net.group(bob, alice)
    a, b = files_of(net, alice), files_of(net, bob)
    mine, groups = await upload(net, alice, png(seed=83)), await upload(net, alice, png(seed=84), group)
    await alice.rest.call("PATCH", "/api/me", {"picture": mine, "privacy": {"picture": "everyone"}}, expect=200)
    await alice.rest.call("PUT", f"/api/chats/{group}/picture", {"picture": groups}, expect=200)
    assert await reads(net, bob, f"/api/media/{mine}") == await reads(net, bob, f"/api/media/{groups}") == 200
    for media in (mine, groups):
        await delete(alice, media)
    assert (await alice.rest.get("/api/me", expect=200)).body["picture"] == ""
    assert "picture" not in await chat_of(bob, group) and "picture" not in (await bob.rest.get(f"/api/users/{alice.user_id}", expect=200)).body
    await all_gone(b, mine, 404)
    await all_gone(b, groups, 404)
    for path, body in (("/api/me", {"picture": mine}), (f"/api/chats/{group}/picture", {"picture": groups})):
        assert (await alice.rest.call("PATCH" if "me" in path else "PUT", path, body)).status == 400

    left = await do(a.send, own, png(seed=85))
    assert (await shown(alice, own, left, f"{MARK} bye")).status == 201
    await bob.sees(f"{MARK} bye")
    await alice.rest.call("DELETE", f"/api/chats/{own}/members/{alice.user_id}", expect=200)
    await delete(alice, left)
    await all_gone(b, left)
    # blocked, in a direct chat
    direct = await net.direct(alice, bob)
    sent = await do(a.send, direct, png(seed=86))
    assert (await shown(alice, direct, sent, f"{MARK} for you")).status == 201
    await alice.rest.call("PUT", f"/api/users/{bob.user_id}/block", expect=200)
    await delete(alice, sent)
    await all_gone(b, sent)


@scenario(180)
async def test_t55_who_is_about_to_share_it(stack, net):
    """Between its hold and the view the new file is nowhere but there: the object stays, and goes when nothing came of it."""
    alice, bob = await net.people("alice", "bob")
    group = await net.group(alice, bob)
    a, b = files_of(net, alice), files_of(net, bob)
    data = png(seed=87)
    media = await do(a.send, group, data)
    await do(a.found, media)
    assert (await shown(alice, group, media, f"{MARK} look")).status == 201
    await bob.sees(f"{MARK} look")

    def now(sql, *args):
        with stack.db() as db:
            return db.execute(sql, args).rowcount

    held = str(uuid.uuid4())
    await do(now, "INSERT INTO media.holds SELECT %s, key, extract(epoch FROM now()) * 1000 FROM view.media WHERE media_id = %s", held, media)
    await delete(alice, media)
    await do(sweep_now, stack, media)
    await do(wait_until, lambda: now("SELECT 1 FROM media.deletions WHERE media_id = %s AND taken", media), 30, "looked at")
    assert len(stored(stack, media)) == 1 and row_of(stack, media)
    # a hold may outlive the last look, which comes again then
    await do(now, "UPDATE media.deletions SET due_at = 1 WHERE media_id = %s", media)
    await do(sweep, stack)
    await do(wait_until, lambda: not now("SELECT 1 FROM media.deletions WHERE media_id = %s AND due_at = 1", media), 30, "looked at again")
    assert await do(now, "SELECT 1 FROM media.deletions WHERE media_id = %s AND taken", media) == 1
    # one that the store does not delete is in nobody's way; asked for once more, it is asked for now
    stuck = await do(a.send, group, png(seed=89))
    await do(a.found, stuck)
    (path,) = [stack.state / "media" / p for p in stored(stack, stuck) if "thumb" not in p]
    path.unlink()
    path.mkdir()
    await do(now, "INSERT INTO media.deletions SELECT media_id, key, 1, 9e15 FROM view.media WHERE media_id = %s", stuck)
    await delete(alice, stuck)
    assert await do(now, "SELECT 1 FROM media.deletions WHERE media_id = %s AND asked_at > 1 AND due_at < 9e15", stuck) == 1
    await do(now, "DELETE FROM media.holds WHERE media_id = %s", held)
    await do(now, "UPDATE media.deletions SET due_at = 2 WHERE media_id = %s", media)
    await do(now, "UPDATE media.deletions SET due_at = 1 WHERE media_id = %s", stuck)
    await do(sweep, stack)
    await do(wait_until, lambda: not now("SELECT 1 FROM media.deletions WHERE media_id = %s AND due_at = 1", stuck), 30, "put off")
    await do(sweep, stack)
    await do(wait_until, lambda: row_of(stack, media) is None and not now("SELECT 1 FROM media.deletions WHERE media_id = %s", media), 30, "nobody came")
    assert not stored(stack, media)
    path.rmdir()
    await do(now, "UPDATE media.deletions SET due_at = 1 WHERE media_id = %s", stuck)
    await do(sweep, stack)
    await do(wait_until, lambda: row_of(stack, stuck) is None, 30, "the store has it deleted")
    # a deletion that the log never had ends without a trace, and takes nothing
    kept = await do(a.send, group, png(seed=88))
    await do(a.found, kept)
    assert await do(now, "INSERT INTO media.deletions SELECT media_id, key, 1, 1 FROM view.media WHERE media_id = %s", kept) == 1
    await do(sweep, stack)
    await do(wait_until, lambda: not now("SELECT 1 FROM media.deletions WHERE media_id = %s", kept), 30, "given up")
    assert (await do(b.get, kept)).status_code == 404 and (await do(a.get, kept)).status_code == 200
