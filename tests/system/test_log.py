# SPDX-License-Identifier: MIT
"""The log as others see it, and the view made anew from it."""
import asyncio
import json
import uuid
import subprocess
from pathlib import Path

import fastavro
from client import MARK, scenario
from look import ends_now, partition_of, records, rows, started, view_is_level
from stack import ROOT

TABLES = {  # what is compared after a rebuild, and its order
    "users": "user_id", "devices": "device_id", "chats": "chat_id", "members": "chat_id, user_id, joined_seq",
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
    schema = fastavro.parse_schema(json.loads((Path(ROOT) / "schemas/chat_event.avsc").read_text()))
    found = []
    for value in await asyncio.to_thread(kcat, stack, "chat.events"):
        if value[:1] != b"\0" or len(value) < 6:
            continue  # poison of another test
        try:
            event = fastavro.schemaless_reader(__import__("io").BytesIO(value[5:]), schema)
        except Exception:  # noqa: BLE001  (poison of another test)
            continue
        if "id" in event["event"] and id_text(event["event"]["id"]) == out.id:
            found.append((value[1:5], event))
    ((number, event),) = found
    assert event["event"]["content"].decode() == out.content
    assert (event["seq"], event["clientId"], id_text(event["chatId"])) == (out.seq, out.client_id, out.chat_id)
    assert id_text(event["userId"]) == alice.user_id and id_text(event["event"]["peer"]) == bob.user_id
    assert event["seq"] == (event["source"]["generation"] << 48) | event["source"]["offset"]
    n = max(p for _, p in await asyncio.to_thread(ends_now, stack, ["chat.events"])) + 1
    assert event["source"]["partition"] == partition_of(out.chat_id, n)
    # the embedded id: 0x40000000 and 30 bits of the fingerprint of the schema's canonical form
    canonical = fastavro.schema.to_parsing_canonical_form(json.loads((Path(ROOT) / "schemas/chat_event.avsc").read_text()))
    rabin = int.from_bytes(bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO")), "little")
    assert int.from_bytes(number, "big") == 0x40000000 | rabin & 0x3FFFFFFF


async def dump(stack) -> dict[str, list[dict]]:
    return {t: await rows(stack, f"SELECT * FROM view.{t} ORDER BY {order}") for t, order in TABLES.items()}


@scenario(limit_s=240)
async def test_rebuild_gives_the_same_rows_and_no_ticks(stack, net):
    alice, bob, carol = await net.people("alice", "bob", "carol", auto_read=True)
    direct, group = await net.direct(alice, bob), await net.group(alice, bob, carol, name="to be rebuilt")
    for i in range(5):
        await alice.told(f"{MARK} direct {i}", direct)
        last = await bob.told(f"{MARK} group {i}", group)
    await alice.rest.call("PATCH", f"/api/chats/{group}", {"name": "renamed"}, expect=(200, 202, 204))
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

    for role in ("persistence", "status"):
        await asyncio.to_thread(stack.role(role).stop)
    await asyncio.to_thread(stack.admin, "rebuild")
    for role in ("persistence", "status"):
        await started(stack.role(role))
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
