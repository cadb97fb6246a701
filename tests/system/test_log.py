# SPDX-License-Identifier: MIT
"""The log as others see it, and the view made anew from it."""
import asyncio
import base64
import uuid
import subprocess

import fastavro
import requests
from client import MARK, scenario, until
from look import ends_now, made_anew, partition_of, records, rows, rows_now, started, view_is_level
from routes import TABLE, fill
from stack import schema_now

TABLES = {  # what is compared after a rebuild, and its order
    "users": "user_id", "profiles": "user_id", "settings": "user_id, setting", "devices": "device_id", "chats": "chat_id", "members": "chat_id, user_id, joined_seq",
    "messages": "chat_id, seq", "rejected": "src_partition, src_offset", "cursors": "chat_id, user_id",
    "receipts": "chat_id, user_id, kind, seq", "marks": "chat_id, kind", "mark_advances": "chat_id, kind, low, low_user, next",
}


def kcat(stack, topic: str) -> list[bytes]:
    """Raw values as kcat prints them, each after its length."""
    raw = subprocess.run(["kcat", "-C", "-q", "-e", "-b", stack.broker, "-t", topic, "-f", "%R%s"], check=True, timeout=60,
                         capture_output=True).stdout
    values = []
    while raw:
        n = int.from_bytes(raw[:4], "big", signed=True)
        n = max(n, 0)
        values.append(raw[4 : 4 + n])
        raw = raw[4 + n :]
    return values


def id_text(value) -> str:
    """An id as text; fastavro gives a fixed(16) as bytes whatever its logical type."""
    return str(uuid.UUID(bytes=value)) if isinstance(value, bytes) else str(value)


@scenario()
async def test_kcat_fetches_and_fastavro_decodes(stack, net):
    alice, bob = await net.people("alice", "bob")
    out = await alice.told(f"{MARK} for the data team", peer=bob.user_id)
    schema = fastavro.parse_schema(schema_now("chat_event"))
    found = []
    for value in await asyncio.to_thread(kcat, stack, "chat.events"):
        if value[:1] != b"\0" or len(value) < 6:
            continue  # poison of another test
        try:
            event = fastavro.schemaless_reader(__import__("io").BytesIO(value[5:]), schema)
        except Exception:  # noqa: BLE001  (poison of another test)
            continue
        if event["messageAccepted"] and id_text(event["messageAccepted"]["id"]) == out.id:
            found.append((value[1:5], event))
    ((number, event),) = found
    fact = event["messageAccepted"]
    assert fact["content"].decode() == out.content
    assert [f for f in ("groupStarted", "membershipChanged", "groupNamed", "mediaReady", "mediaProcessed") if event[f] is not None] == []
    sent_at = (await bob.sees(out.content)).sent_at
    assert event["atMs"].tzinfo and round(event["atMs"].timestamp() * 1000) == sent_at, "a time by its logical type"
    assert (event["seq"], event["clientId"], id_text(event["chatId"])) == (out.seq, out.client_id, out.chat_id)
    assert id_text(event["userId"]) == alice.user_id and id_text(fact["peer"]) == bob.user_id
    assert event["seq"] == (event["source"]["generation"] << 48) | event["source"]["offset"]
    n = max(p for _, p in await asyncio.to_thread(ends_now, stack, ["chat.events"])) + 1
    assert event["source"]["partition"] == partition_of(out.chat_id, n)
    # the embedded id: 0x40000000 and 30 bits of the fingerprint of the schema's canonical form
    canonical = fastavro.schema.to_parsing_canonical_form(schema_now("chat_event"))
    rabin = int.from_bytes(bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO")), "little")
    assert int.from_bytes(number, "big") == 0x40000000 | rabin & 0x3FFFFFFF


async def dump(stack) -> dict[str, list[dict]]:
    return {t: await rows(stack, f"SELECT * FROM view.{t} ORDER BY {order}") for t, order in TABLES.items()}


# ---- the view made anew ---------------------------------------------------------------------------

SINKS = ("persistence", "status", "search")  # whose places are in the view


def ask(stack, device, method, path, body=None, headers=None, raw=None):
    return requests.request(method, stack.rest_url() + path, json=body, data=raw, timeout=30,
                            headers={"Authorization": f"Bearer {device.tokens.access}", **(headers or {})})


async def every_route_refuses(stack, net, alice, bob, direct, group, message) -> None:
    """Whatever reads the view; what does not, answers. Logging in and out do not depend on it."""
    await until(lambda: requests.get(stack.rest_url() + "/readyz", timeout=5).status_code == 503, 10, "/readyz to say 503")
    nowhere = {name: str(uuid.uuid4()) for name in ("missing", "media", "later", "picture", "upload", "spare_device")}
    names = {**nowhere, "group": group, "direct": direct, "message": message, "after": message, "seq": 1, "owner_device": alice.tokens.device_id, "owner_user": alice.user_id,
             "extra": bob.user_id, "role": "Alice", "mark": MARK, "group64": base64.b64encode(direct.encode()).decode()}
    for row in TABLE:
        if row.route == "/api/logout":
            continue
        path, body, headers = (fill(value, {**names, "phone": net.phone()}) for value in (row.path, row.body, row.headers))
        r = await asyncio.to_thread(ask, stack, alice, row.method, path, body, headers, row.raw)
        if not row.view:
            assert r.status_code != 503, (row.method, row.route, r.text)
            continue
        assert r.status_code == 503 and int(r.headers["Retry-After"]) >= 1, (row.method, row.route, r.status_code, r.text)
        assert row.method == "HEAD" or r.json()["error"]["code"] == "view_incomplete", (row.method, row.route, r.text)
    _, late = await net.user("who logs in meanwhile")  # with a token at the end, though nothing shows him
    assert (await late.rest.get("/api/me")).body["error"]["code"] == "view_incomplete"


@scenario(limit_s=240)
async def test_no_route_reads_a_view_that_is_being_filled(stack, net):
    alice, bob = await net.people("alice", "bob")
    direct, group = await net.direct(alice, bob), await net.group(alice, bob)
    out = await alice.told(f"{MARK} seen by nobody for a while", direct)
    for role in SINKS:
        await asyncio.to_thread(stack.role(role).stop)
    try:
        await asyncio.to_thread(stack.admin, "rebuild")
        await every_route_refuses(stack, net, alice, bob, direct, group, out.id)
        await started(stack.role("persistence"))
        await until(lambda: lacking(stack) == {"status"}, 60, "the persistence sink to have filled its part")
        await asks_503(stack, alice, "a view without its ticks is not whole")
    finally:
        for role in SINKS:
            await started(stack.role(role))
    await is_whole(stack)
    assert (await alice.rest.get("/api/me", expect=200)).body["name"] == "Alice", "what was said meanwhile is there"


async def asks_503(stack, device, why) -> None:
    for path in ("/api/sync", "/api/sync?cursor=latest", "/api/chats", "/readyz"):
        r = await asyncio.to_thread(ask, stack, device, "GET", path)
        assert r.status_code == 503, f"{why}: {path} {r.status_code} {r.text}"


def lacking(stack) -> set[str]:
    return {r["consumer"] for r in rows_now(stack, "SELECT consumer FROM view.incomplete")}


async def is_whole(stack) -> None:
    await until(lambda: not lacking(stack), 60, "the view to be whole")
    await until(lambda: requests.get(stack.rest_url() + "/readyz", timeout=5).status_code == 200, 10, "/readyz to say 200")


@scenario(limit_s=240)
async def test_a_rebuild_under_idle_sinks_fills_the_view(stack, net):
    """They read nothing, so nothing but a look tells them that their view is gone."""
    alice, bob = await net.people("alice", "bob")
    out = await alice.told(f"{MARK} before", peer=bob.user_id)
    await view_is_level(stack)
    before = await dump(stack)
    for role in SINKS:
        stack.role(role).auto_restart = True
    try:
        starts = [stack.role(role).starts for role in SINKS]
        await asyncio.to_thread(stack.admin, "rebuild")
        seen = await asyncio.to_thread(ask, stack, alice, "GET", f"/api/chats/{out.chat_id}/messages")
        assert seen.status_code == 503 or [m["id"] for m in seen.json()["messages"]] == [out.id], seen.text
        await is_whole(stack)
        await until(lambda: all(stack.role(role).starts > n and stack.role(role).is_ready() for role, n in zip(SINKS, starts)), 60, "each to have begun again")
        assert [stack.role(role).starts for role in SINKS] == [n + 1 for n in starts], "each began again, once"
        whys = {role: [x for x in stack.role(role).log_lines() if x.get("event") == "ended"][-1]["why"] for role in SINKS}
        assert all("made anew" in why for why in whys.values()), whys
    finally:
        for role in SINKS:
            stack.role(role).auto_restart = False
    after = await dump(stack)
    for table in TABLES:
        lost = [r for r in before[table] if r not in after[table]]
        assert not lost, f"{table}: {lost[:2]}"


@scenario(limit_s=240)
async def test_rebuild_gives_the_same_rows_and_no_ticks(stack, net):
    alice, bob, carol = await net.people("alice", "bob", "carol", auto_read=True)
    direct, group = await net.direct(alice, bob), await net.group(alice, bob, carol, name="to be rebuilt")
    for i in range(5):
        await alice.told(f"{MARK} direct {i}", direct)
        last = await bob.told(f"{MARK} group {i}", group)
    await alice.told("", direct, beside={"location": {"latitude": 1.5, "longitude": -0.25, "name": f"{MARK} place"}})
    await alice.rest.call("PATCH", f"/api/chats/{group}", {"name": "renamed"}, expect=(200, 202, 204))
    for about in ("first", "last"):
        await alice.rest.call("PATCH", "/api/me", {"about": about, "privacy": {"about": "nobody" if about == "last" else "contacts"}}, expect=200)
    for marks in ({"archived": True}, {"pinned": True, "markedUnread": True}):
        await alice.rest.call("PATCH", f"/api/chats/{group}/marks", marks, expect=200)
    await alice.rest.call("DELETE", f"/api/chats/{group}/members/{carol.user_id}", expect=(200, 202, 204))
    refused = await carol.verdict(carol.send(f"{MARK} too late", group))
    assert refused.rejected == "not_found"
    await bob.wait(lambda: bob.ticks[group]["read"] >= last.seq, 30, "the read tick")
    for d in (alice, bob, carol):
        await d.stop()
    await view_is_level(stack)
    before = await dump(stack)
    for table in TABLES:
        assert before[table], f"nothing in {table}"
    inbox_at = await asyncio.to_thread(ends_now, stack, ["user.inbox"])

    await made_anew(stack)
    await is_whole(stack)
    await view_is_level(stack)
    after = await dump(stack)
    for table in TABLES:
        lost = [r for r in before[table] if r not in after[table]]
        new = [r for r in after[table] if r not in before[table]]
        assert not lost and not new, f"{table}: {len(lost)} rows lost, {len(new)} new; {lost[:2]} {new[:2]}"
    ticks = [r for p, o, r in await records(stack, "user.inbox")
             if o >= inbox_at["user.inbox", p] and r["body"][0].endswith("DeliveryBatch")
             and r["body"][1]["origin"] == "DELIVERY_STATUS"]
    assert not ticks

    # and it goes on from there
    await alice.online()
    await bob.online()
    out = await alice.told(f"{MARK} after the rebuild", direct)
    await alice.wait(lambda: alice.tick(out) == "read", 60, "the ticks of a new message")
    carol_again = await net.users[2].device()
    await carol_again.online()
    assert f"{MARK} group 4" in carol_again.contents(group) and out.content not in carol_again.contents()
