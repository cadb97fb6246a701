# SPDX-License-Identifier: MIT
"""Schemas auth and media come back from a dump, into a database that is in use, and nobody is logged out by it."""
import asyncio
import subprocess
import uuid

import pytest
from client import MARK, scenario, until
from look import rows, rows_now, rows_when, view_is_level
from services import Failure, postgres_bin
from test_export import ask

TABLES = ("accounts", "devices", "refresh_tokens", "direct_chats", "challenges", "budgets", "known_places", "lookups", "links", "archives")


def dump_of(stack, folder):
    """As docs/operations.md says."""
    file = folder / "auth.dump"
    subprocess.run([postgres_bin() / "pg_dump", "-Fc", "--schema=auth", "--schema=media", "-f", file, stack.database_url], check=True)
    return file


def constraints(stack) -> list[dict]:
    return rows_now(stack, """SELECT conrelid::regclass::text AS of, contype, pg_get_constraintdef(oid) AS what FROM pg_constraint
                              WHERE connamespace IN ('auth'::regnamespace, 'media'::regnamespace)
                              UNION ALL SELECT tablename, 'i', indexdef FROM pg_indexes WHERE schemaname IN ('auth', 'media') ORDER BY 1, 2, 3""")


def upload(stack, user, chat, media, name) -> None:
    with stack.db() as c:
        c.execute("INSERT INTO media.uploads (media_id, user_id, chat_id, type, declared_type, name, size, key, created_at) "
                  "VALUES (%s, %s, %s, 4, 'text/plain', %s, 5, %s, 1)", (media, user, chat, name, f"media/{media}"))


@scenario(limit_s=240)
async def test_a_restore_logs_nobody_out(stack, tmp_path, net):
    user, alice = await net.user("alice")
    _, bob = await net.user("bob")
    gone = await user.device("web")
    await asyncio.gather(alice.online(), bob.online())
    out = await alice.told(f"{MARK} before the loss", peer=bob.user_id)
    before = await asyncio.to_thread(constraints, stack)
    under_way, finished = str(uuid.uuid4()), str(uuid.uuid4())
    for media in (under_way, finished):
        await asyncio.to_thread(upload, stack, alice.user_id, out.chat_id, media, "a.txt")
    await alice.rest.post("/api/links", {}, expect=200)
    await ask(alice, user.phone)
    dump = await asyncio.to_thread(dump_of, stack, tmp_path)

    # since the dump: one logs out, one file is finished; then all is lost, and somebody registers
    await gone.rest.post("/api/logout", {}, expect=(200, 204))
    await view_is_level(stack)
    with stack.db() as c:
        c.execute("INSERT INTO view.media SELECT %s, owner_id, chat_id, type, content_type, sha256, name, key, size, ready_at, seq FROM "
                  "(SELECT %s::uuid AS owner_id, %s::uuid AS chat_id, 4 AS type, '' AS content_type, ''::bytea AS sha256, '' AS name, "
                  "'k' AS key, 5 AS size, 1 AS ready_at, 1 AS seq) x", (finished, alice.user_id, out.chat_id))
        for table in TABLES:
            c.execute(f"DELETE FROM auth.{table}")
        c.execute("DELETE FROM media.uploads")
    _, carol = await net.user("carol")

    # doors closed: nobody gets in, and nobody is told that he is out; what needs no account goes on
    await asyncio.to_thread(stack.admin, "doors", "close")
    stranger = net.caller(alice)
    for call in (("POST", "/api/register", {"phoneNumber": net.phone(), "name": "dora"}), ("POST", "/api/login", {"phoneNumber": net.phone()}),
                 ("POST", "/api/verify", {"challenge": str(uuid.uuid4()), "code": "123456"}),
                 ("POST", "/api/links", {}), ("POST", "/api/links/claim", {"secret": "none"}),
                 ("POST", "/api/token/refresh", {"refreshToken": alice.tokens.refresh}), ("GET", "/api/me", None), ("GET", "/api/sync", None)):
        r = await stranger.call(*call)
        assert (r.status, r.body["error"]["code"]) == (503, "restoring") and int(r.headers["retry-after"]) >= 1, (call, r)
    assert (await stranger.call("GET", "/api/config")).status == 200
    said = await alice.told(f"{MARK} while the doors are closed", peer=bob.user_id)
    await bob.sees(said.content)

    # not without what the log knows of those who logged out since
    with stack.db() as c:
        c.execute("INSERT INTO view.incomplete VALUES ('persistence', 'chat.events', 0, 1 << 40)")
    waits = asyncio.get_running_loop().run_in_executor(None, stack.services.restore, dump)
    await until(lambda: (stack.services.log_dir / "admin.log").read_text().count("doors close") >= 2, 30, "the restore to begin")
    assert (await stranger.call("GET", "/api/me")).body["error"]["code"] == "restoring"
    with stack.db() as c:
        c.execute("DELETE FROM view.incomplete")
    await waits

    for d in (alice, bob, carol):
        me = await d.rest.get("/api/me", expect=200)
        assert me.body["phoneNumber"].startswith("+"), "the number is back"
        assert await d.refresh(), f"{d} keeps his log-in"
    assert (await gone.rest.get("/api/me")).status == 401, "who logged out since stays logged out"
    assert not await gone.refresh()
    assert not await rows(stack, "SELECT 1 FROM auth.links"), "a link of before may have been used, or refused, since"
    await rows_when(stack, "SELECT 1 FROM auth.archives", enough=lambda r: not r, timeout_s=60, what="an export of before to go")
    assert {r["media_id"] for r in await rows(stack, "SELECT media_id FROM media.uploads WHERE user_id = %s", alice.user_id)} == {under_way}
    assert await asyncio.to_thread(constraints, stack) == before, "tables are the same, keys and all"
    ((number,),) = [r.values() for r in await rows(stack, 'SELECT "phoneNumber" FROM model.users WHERE id = %s', alice.user_id)]
    assert number, "model.users shows them again"
    _, dora = await net.user("dora")
    await dora.online()

    # once more changes nothing, and a file that is none is refused before anything is touched
    again = {t: await rows(stack, f"SELECT * FROM auth.{t} ORDER BY 1, 2") for t in ("accounts", "devices")}
    await asyncio.to_thread(stack.services.restore, dump)
    assert again == {t: await rows(stack, f"SELECT * FROM auth.{t} ORDER BY 1, 2") for t in again}
    (tmp_path / "none").write_bytes(b"no dump")
    with pytest.raises(Failure):
        await asyncio.to_thread(stack.services.restore, tmp_path / "none")
    assert (await dora.rest.get("/api/me")).status == 200
    with stack.db() as c:
        c.execute("DELETE FROM view.media WHERE media_id = %s", (finished,))
