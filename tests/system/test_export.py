# SPDX-License-Identifier: MIT
"""Exports of accounts: what is in one, whose it is, and what becomes of it. One edge-rest, two gateways."""
import asyncio
import io
import json
import tarfile
import time

from client import MARK, scenario, until
from files import png, sha256
from look import rows, rows_when, started, view_is_level
from stack import wait_until
from test_deleted import a_code, delete
from test_media import files_of, shown

do = asyncio.to_thread
TOP = "chasqui-export/"
LINE_OF = "SELECT tries, state, ends_at FROM auth.archives WHERE user_id = %s"


async def ask(device, phone: str, expect=202):
    return await device.rest.post("/api/me/export", await a_code(device.rest, phone), expect=expect)


async def export(device, expect=200) -> dict:
    return (await device.rest.get("/api/me/export", expect=expect)).body.get("export")


async def done(device, state="done", timeout_s=40) -> dict:
    last = {}

    async def is_done():
        last.update(await export(device))
        return last["state"] == state

    await until(is_done, timeout_s, lambda: f"the export to be {state}: {last}")
    return last


def unpacked(data: bytes) -> dict[str, bytes]:
    """By name; the modes are for its owner alone, and no name leads elsewhere."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        for entry in tar:
            assert entry.isfile() and entry.mode == 0o600 and entry.name.startswith(TOP) and ".." not in entry.name, entry
            assert entry.name not in found, f"{entry.name} twice"
            found[entry.name.removeprefix(TOP)] = tar.extractfile(entry).read()
    return found


async def history(device, chat: str) -> list[dict]:
    """Page by page, as a client reads it."""
    all_of_it, after, more = [], 0, True
    while more:
        page = (await device.rest.get(f"/api/chats/{chat}/messages", expect=200, after=after, limit=3)).body
        all_of_it += page["messages"]
        more, after = page["more"], page["messages"][-1]["seq"] if page["messages"] else after
    return all_of_it


def exported(files: dict[str, bytes], chat: str) -> list[dict]:
    names = sorted(n for n in files if n.startswith(f"chats/{chat}/messages-"))
    return [json.loads(line) for n in names for line in files[n].decode().splitlines()]


def stored(stack, export: dict) -> list[str]:
    """What the store has of it, half made or whole."""
    return sorted(p.name for p in (stack.state / "media").rglob("*") if p.is_file() and export["id"] in p.name)


def now(stack, device) -> None:
    """Its user's export is not left for later."""
    with stack.db() as db:
        db.execute("UPDATE auth.archives SET free_at = 1 WHERE user_id = %s AND state = 0", (device.user_id,))


async def ticked(stack) -> None:
    """The archiver has had a whole turn: it removes what has ended, then it looks what is to be made; twice, as the first
    removal may be of a turn that had begun."""
    for _ in range(2):
        with stack.db() as db:
            db.execute("INSERT INTO auth.archives (archive_id, user_id, device_id, state, asked_at, ends_at, free_at) "
                       "SELECT x, x, x, 2, 1, 1, 1 FROM gen_random_uuid() AS x")
        await rows_when(stack, "SELECT 1 FROM auth.archives WHERE asked_at = 1", enough=lambda r: not r)


async def a_past(net):
    """Anna's: a direct chat with an edited and a deleted message, and a block in between; a group with a picture; one that she left."""
    anna, phone = await net.user("anna")
    await phone.online()
    bob, carl = await net.people("bob", "carl")
    direct, group, left = await net.direct(phone, bob), await net.group(phone, bob, carl), await net.group(bob, phone, carl)
    for i in range(4):
        await phone.told(f"{MARK} direct {i}", direct)
    edited, deleted = [await phone.told(f"{MARK} {what} later", direct) for what in ("edited", "deleted")]
    await phone.changed("edit", phone.messages[edited.id], f"{MARK} <b>edited</b>")
    await phone.changed("delete", phone.messages[deleted.id])
    await phone.rest.call("PUT", f"/api/users/{bob.user_id}/block", expect=200)
    await bob.told(f"{MARK} while he was blocked", direct)
    await phone.rest.call("DELETE", f"/api/users/{bob.user_id}/block", expect=200)
    after = await bob.told(f"{MARK} and after it", direct)
    await phone.rest.call("PUT", f"/api/users/{carl.user_id}/block", expect=200)
    picture = png(seed=901)
    media = await do(files_of(net, carl).send, group, picture)
    await do(files_of(net, carl).found, media)  # its size and its thumbnail come later
    assert (await shown(carl, group, media, f"{MARK} a picture")).status == 201
    assert (await shown(carl, group, media, f"{MARK} the same picture")).status == 201
    await bob.told(f"{MARK} before she left", left)
    await phone.rest.call("DELETE", f"/api/chats/{left}/members/{phone.user_id}", expect=200)
    hidden = await do(files_of(net, carl).send, left, png(seed=902))
    assert (await shown(carl, left, hidden, f"{MARK} after she left")).status == 201
    await phone.sees(after.content)
    return anna, phone, bob, (direct, group, left), {media: picture}


@scenario(180)
async def test_t56_an_export_is_what_its_user_may_see(stack, net):
    anna, phone, bob, chats, media = await a_past(net)
    await view_is_level(stack)
    asked = (await ask(phone, anna.phone)).body["export"]
    assert (asked["state"], asked["percent"], asked["deviceId"]) == ("waiting", 0, phone.device_id)
    told = await done(phone)
    assert (told["id"], told["percent"], told["leftOut"]) == (asked["id"], 100, 0)
    mine = files_of(net, phone)
    got = await do(mine.call, "GET", f"/api/me/export/{told['id']}")
    assert (got.status_code, got.headers["content-type"], len(got.content)) == (200, "application/x-tar", told["size"])
    assert got.headers["etag"] == f'"{sha256(got.content)}"' and "chasqui-export.tar" in got.headers["content-disposition"]
    assert "immutable" not in got.headers["cache-control"]
    files = unpacked(got.content)

    # the same as by the API, and nothing besides
    listed = {c["chatId"]: c for c in (await phone.rest.get("/api/chats", expect=200)).body["chats"]}
    blocks = (await phone.rest.get("/api/blocks", expect=200)).body["blocks"]
    assert [json.loads(line) for line in files["blocks.jsonl"].decode().splitlines()] == blocks and len(blocks) == 1
    assert {n.split("/")[1] for n in files if n.startswith("chats/")} == {*chats, blocks[0]["chatId"]} and set(chats) <= set(listed)
    for chat in chats:
        assert exported(files, chat) == await history(phone, chat), chat
        shown_now = json.loads(files[f"chats/{chat}/chat.json"])
        members = shown_now.pop("members", None)
        assert shown_now == listed[chat]
        assert members == (None if chat == chats[2] else (await phone.rest.get(f"/api/chats/{chat}", expect=200)).body["chat"]["members"])
    assert json.loads(files["profile.json"]) == (await phone.rest.get("/api/me", expect=200)).body
    assert {n.removeprefix("media/"): d for n, d in files.items() if n.startswith("media/")} == {f"{m}.png": d for m, d in media.items()}
    texts = [m["content"] for m in exported(files, chats[0])]
    assert f"{MARK} <b>edited</b>" in texts and f"{MARK} and after it" in texts and f"{MARK} before she left" in got.text
    for unseen in ("while he was blocked", "after she left", "deleted later", "edited later"):
        assert unseen.encode() not in got.content, unseen
    page = files["index.html"].decode()
    assert "anna" in page and "4 chats, " in page and "left out" not in page

    # whose it is: of the device that asked
    second = await anna.device(gateway=1)
    its, strange, nobody = files_of(net, second), files_of(net, bob), {"Authorization": ""}
    file = f"/api/me/export/{told['id']}"
    seen = await export(second)
    assert seen["state"] == "done" and "url" not in seen and seen["deviceId"] == phone.device_id
    for other in (its, strange):
        assert (await do(other.call, "GET", file)).status_code == 404
    assert (await export(bob, 404)) is None
    for url in (file, told["url"].replace("&s=", "&s=A"), told["url"].replace(f"&e={told['linkExpiresAt'] // 1000}", "&e=9999999999"),
                told["url"].replace(phone.device_id, second.device_id)):
        assert (await do(strange.call, "GET", url, headers=nobody)).status_code == 401, url
    assert told["linkExpiresAt"] - 1000 * time.time() < 31 * 60 * 1000
    by_link = await do(strange.call, "GET", told["url"], headers={**nobody, "Range": "bytes=512-1023"})
    assert (by_link.status_code, by_link.content) == (206, got.content[512:1024])
    assert stored(stack, told)
    # it goes with that device
    await phone.rest.post("/api/logout", None, expect=200)
    assert (await do(strange.call, "GET", told["url"], headers=nobody)).status_code == 401
    assert (await second.rest.get("/api/me/export")).status == 404
    await rows_when(stack, LINE_OF, phone.user_id, enough=lambda r: not r)
    assert not stored(stack, told)


@scenario(180)
async def test_t56_an_export_ends_whoever_is_killed(stack, net):
    """One at a time, made by whoever lives, 2 a day, and gone when its time is over."""
    dora, phone = await net.user("dora")
    await phone.online()
    (bob,) = await net.people("bob")
    chat = await net.direct(phone, bob)
    out = await phone.told(f"{MARK} to be kept", chat)
    await view_is_level(stack)

    # a code to one's own number, and no other
    assert (await phone.rest.post("/api/me/export", {})).status == 400
    for body in ({"challenge": chat, "code": "000000"}, await a_code(phone.rest, net.phone())):
        r = await phone.rest.post("/api/me/export", body)
        assert (r.status, r.code) == (401, "bad_code")
    assert (await phone.rest.get("/api/me/export")).status == 404

    edge = stack.role("edge-rest")
    with stack.db() as db, db.transaction(force_rollback=True):  # it gets as far as the first message, and no further
        db.execute("LOCK TABLE view.messages IN ACCESS EXCLUSIVE MODE")
        first = (await ask(phone, dora.phone)).body["export"]
        await rows_when(stack, "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE '%%archiver' AND wait_event_type = 'Lock'")
        assert (await export(phone))["state"] == "running"
        r = await ask(phone, dora.phone, None)
        assert (r.status, r.code) == (409, "export_running")
        await do(edge.kill9)
    await started(edge)
    held = "SELECT free_at, size FROM auth.archives WHERE archive_id = %s AND state = 0"
    ((lease, size),) = [r.values() for r in await rows(stack, held, first["id"])]
    assert lease - 1000 * time.time() <= 40e3 and (await export(phone))["state"] == "running"
    assert size == 4 << 30, "others count the most that it may become"
    with stack.db() as db:  # as if that had passed
        db.execute("UPDATE auth.archives SET free_at = free_at - 40000 WHERE archive_id = %s", (first["id"],))
    told = await done(phone)
    assert told["id"] == first["id"] and await rows(stack, LINE_OF, phone.user_id) == [{"tries": 2, "state": 1, "ends_at": told["endsAt"]}]
    assert 47 < (told["endsAt"] - 1000 * time.time()) / 3600e3 < 48.1
    assert len(stored(stack, told)) == 1
    files = unpacked((await do(files_of(net, phone).call, "GET", told["url"])).content)
    assert [m["id"] for m in exported(files, chat)] == [out.id]

    # the next takes the place of the first; a third of the same day is too many
    second = (await ask(phone, dora.phone)).body["export"]
    await done(phone)
    assert (await do(files_of(net, phone).call, "GET", told["url"])).status_code == 404
    await do(wait_until, lambda: not stored(stack, told), 20, "the first one to go")
    r = await ask(phone, dora.phone, 429)
    assert r.code == "rate_limited" and 3600 < int(r.headers["retry-after"]) <= 12 * 3600
    assert stored(stack, second)
    with stack.db() as db:
        db.execute("UPDATE auth.archives SET ends_at = 1 WHERE user_id = %s", (phone.user_id,))
    assert (await phone.rest.get("/api/me/export")).status == 404
    await rows_when(stack, LINE_OF, phone.user_id, enough=lambda r: not r)
    assert not stored(stack, second)


@scenario(180)
async def test_an_export_that_fails_is_told(stack, net):
    """To whoever runs the server, by a gauge and a line, and to the user once it is given up. It goes with the account."""
    emma, phone = await net.user("emma")
    gus, other = await net.user("gus")
    edge, growing = stack.role("edge-rest"), stack.state / "media" / "growing"
    before = stack.metrics("edge-rest")

    def said(event):
        return sum(line.get("event") == event for line in edge.log_lines())

    kept, lines = growing.with_name("growing.kept"), said("exports_not_made")
    growing.rename(kept)
    try:
        growing.write_text("no folder")
        asked = (await ask(phone, emma.phone)).body["export"]
        await do(wait_until, lambda: stack.metrics("edge-rest")["exports_failing"] == 1, 20, "the gauge")
        await do(wait_until, lambda: said("exports_not_made") > lines, 20, "the line")
        assert (await export(phone))["state"] == "running"
        await ask(other, gus.phone)
        await rows_when(stack, "SELECT 1 FROM auth.archives WHERE user_id = %s AND tries >= 1 AND fails = 0 AND size = 0 "
                               "AND free_at > asked_at + 4000", other.user_id)  # the store's failure is none of it
        with stack.db() as db:  # as if it had failed as often as it may
            db.execute("UPDATE auth.archives SET fails = 5, free_at = 1 WHERE user_id = %s", (other.user_id,))
        await done(other, "failed")
        await do(wait_until, lambda: said("export_failed"), 20, "the line")
    finally:
        growing.unlink()
        kept.rename(growing)
    now(stack, phone)
    await done(phone)

    def counted():  # a moment after the row
        shown_now = stack.metrics("edge-rest")
        made = shown_now.since(before)
        return shown_now["exports_failing"] == 0 and (made["exports_made_total"], made["exports_failed_total"]) == (1, 1)

    await do(wait_until, counted, 20, "the gauge and the counters")
    await do(wait_until, lambda: said("exports_are_made"), 20, "the line")

    # what all exports take up is bounded, with what another process makes: the next one waits
    with stack.db() as db:
        db.execute("INSERT INTO auth.archives (archive_id, user_id, device_id, tries, fails, asked_at, ends_at, free_at, size) "
                   "SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 1, 1, asked_at, ends_at, ends_at, 50::int8 << 30 "
                   "FROM auth.archives WHERE user_id = %s", (phone.user_id,))
    await ask(other, gus.phone)
    await do(wait_until, lambda: stack.metrics("edge-rest")["exports_wait"] == 1 and said("exports_wait"), 20, "the gauge and the line")
    # and with what the store does not let go of: a folder cannot be deleted
    ((big,),) = [r.values() for r in await rows(stack, "SELECT archive_id::text FROM auth.archives WHERE size = 50::int8 << 30")]
    stuck = stack.state / "media" / "export" / big[:2] / f"{big}-1-"
    stuck.mkdir(parents=True)
    with stack.db() as db:
        db.execute("UPDATE auth.archives SET state = 1, ends_at = 1, free_at = 1 WHERE archive_id = %s", (big,))
    await do(wait_until, lambda: stack.metrics("edge-rest")["exports_stuck"] == 1 and said("exports_not_removed") == 1, 20, "the gauge and the line")
    await ticked(stack)
    assert (await export(other))["state"] == "waiting" and stack.metrics("edge-rest")["exports_wait"] == 1
    stuck.rmdir()
    with stack.db() as db:  # as if its lease had passed
        db.execute("UPDATE auth.archives SET free_at = 1 WHERE archive_id = %s", (big,))
    await done(other)
    await do(wait_until, lambda: said("exports_are_removed"), 20, "the line")
    assert stack.metrics("edge-rest")["exports_stuck"] == 0

    # it goes with the account
    assert stored(stack, asked)
    await delete(phone, emma.phone)
    await rows_when(stack, LINE_OF, phone.user_id, enough=lambda r: not r)
    assert not stored(stack, asked)


LOSE = """CREATE SEQUENCE auth.lost;
CREATE FUNCTION auth.lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('auth.lost'); RETURN NULL; END $$;
CREATE TRIGGER lose BEFORE UPDATE ON auth.archives FOR EACH ROW WHEN (NEW.state = 1) EXECUTE FUNCTION auth.lose()"""
KEEP = "DROP TRIGGER lose ON auth.archives; DROP FUNCTION auth.lose(); DROP SEQUENCE auth.lost"
TRIED = "SELECT 1 FROM auth.archives WHERE user_id = %s AND tries = %s AND fails = 0 AND state = 0 AND size = 0"


@scenario(180)
async def test_an_export_waits_for_others(stack, net):
    """For the view, for the store: neither counts as a try that failed. Who loses it at the last piece leaves no file."""
    hans, phone = await net.user("hans")
    await phone.online()
    (bob,) = await net.people("bob")
    await phone.told(f"{MARK} to be kept", await net.direct(phone, bob))
    await view_is_level(stack)
    growing = stack.state / "media" / "growing"
    kept = growing.with_name("growing.kept")
    try:
        with stack.db() as db, db.transaction(force_rollback=True):
            db.execute("LOCK TABLE view.messages IN ACCESS EXCLUSIVE MODE")
            asked = (await ask(phone, hans.phone)).body["export"]
            await rows_when(stack, "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE '%%archiver' AND wait_event_type = 'Lock'")
            with stack.db() as other:
                other.execute("INSERT INTO view.incomplete VALUES ('persistence', 'chat.events', 0, 1 << 40)")
        await rows_when(stack, TRIED, phone.user_id, 1)
        assert stack.metrics("edge-rest")["exports_failing"] == 0
        now(stack, phone)
        await ticked(stack)
        assert await rows(stack, TRIED, phone.user_id, 1), "none is begun while the view is made anew"
        growing.rename(kept)
        growing.write_text("no folder")
        with stack.db() as db:
            db.execute("DELETE FROM view.incomplete")
        await rows_when(stack, TRIED, phone.user_id, 2)
        assert stack.metrics("edge-rest")["exports_failing"] == 1, "this one the store has refused, whatever PostgreSQL said before"
    finally:
        with stack.db() as db:
            db.execute("DELETE FROM view.incomplete")
        if kept.exists():
            growing.unlink()
            kept.rename(growing)
    with stack.db() as db:
        db.execute(LOSE)
    try:
        now(stack, phone)
        await rows_when(stack, "SELECT 1 FROM auth.lost WHERE is_called")
        await ticked(stack)
        assert not stored(stack, asked)
    finally:
        with stack.db() as db:
            db.execute(KEEP)
    now(stack, phone)
    assert (await done(phone))["id"] == asked["id"] and len(stored(stack, asked)) == 1
