# SPDX-License-Identifier: MIT
"""The log loses its tail, as by a loss of power with one broker. Nobody goes on by itself, clients are refused with `log_cut`, and after `chasqui admin
log-was-cut` everything acknowledged from then on is delivered, once, in order, at positions that were never used before."""
import asyncio
import os
import struct
import subprocess
import urllib.error
import urllib.request

import pytest
from client import MARK, by_role, scenario, until
from conftest import BASE_PORT
from look import committed, ends_now, partition_of, records, rows_when, started, view_is_level
from stack import ROLES, Stack

REFUSES = 3  # what the command exits with when it finds a cut and was not told to mend it


@pytest.fixture(scope="module")
def cut_stack():
    with Stack(base_port=BASE_PORT + 840, settings={"PARTITIONS": "2", "SLOTS": "2"}) as stack:
        yield stack.start()


def admin(stack, *words, verb="log-was-cut", **settings):
    done = subprocess.run([stack.services.executable, "admin", verb, *words], env={**stack.services.role_env("admin"), **settings},
                          capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


def batches(data):
    """(base offset, place, records) of each batch of a segment."""
    at = 0
    while at + 61 <= len(data):
        base, length = struct.unpack_from(">qi", data, at)
        yield base, at, struct.unpack_from(">i", data, at + 57)[0]
        at += 12 + length


def cut(stack, topic, partition, end):
    """While the broker is down: the partition ends at `end`, or before it where a batch goes across. Where it ends."""
    folder = stack.state / "kafka-data" / f"{topic}-{partition}"
    log = sorted(folder.glob("*.log"))[-1]
    data = log.read_bytes()
    last, place = next((base, at) for base, at, n in batches(data) if base + n > end)
    os.truncate(log, place)
    for path in [*folder.glob("*.snapshot"), *(stack.state / "kafka-data").glob(".kafka_cleanshutdown")]:
        path.unlink()
    return last


async def all_stop(stack, *but):
    for proc in reversed(stack.roles()):
        if proc.name.rpartition("-")[0] not in but:
            await asyncio.to_thread(proc.stop)


async def lose_tail(stack, topic, partition, end):
    """All roles stop, the broker is killed and comes back with less. Where the partition ends now."""
    await all_stop(stack)
    await asyncio.to_thread(stack.kafka.kill9)
    end = cut(stack, topic, partition, end)
    await started(stack.kafka)
    return end


async def all_start(stack):
    for role in ROLES:
        by_role(stack, role)[0].start()
    for role in ROLES:
        await started(by_role(stack, role)[0])


def said(stack, role):
    return [f"{line['event']} {line.get('why', '')} {line.get('topic', '')}" for line in by_role(stack, role)[0].log_lines() if line.get("level") == "error"]


async def ends_with(stack, role, *words):
    proc = by_role(stack, role)[0].start()
    await until(lambda: not proc.alive() and any(all(w in line for w in words) for line in said(stack, role)), 40,
                f"{role} to end with {words}")


def health(stack, role):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{stack.services.metrics_port(role)}/healthz", timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


async def talk(a, b, label, n):
    """n messages each way; all are acknowledged and shown."""
    sent = [x for i in range(n) for x in (a.send(f"{MARK} {label} {i} a", peer=b.user_id), b.send(f"{MARK} {label} {i} b", peer=a.user_id))]
    for out in sent:
        who, other = (a, b) if out.client_id in a.outbox else (b, a)
        await who.acked(await who.verdict(out))
        await other.sees(out.content)
    return sent


async def all_committed(stack, group, topic, partition):
    """The end of the partition, once the group has committed all of it."""
    async def level():
        end = (await asyncio.to_thread(ends_now, stack, [topic]))[topic, partition]
        return end if await asyncio.to_thread(committed, stack, group, topic, partition) == end else None

    return await until(level, 20, f"{group} to commit the end of {topic}")


async def all_in_view(stack, chat, sent):
    """Each is a row, once; what the positions are."""
    wanted = sorted(o.client_id for o in sent)
    found = await rows_when(stack, "SELECT client_id, seq FROM view.messages WHERE chat_id = %s ORDER BY seq", chat,
                            enough=lambda rows: sorted(r["client_id"] for r in rows) == wanted, timeout_s=40)
    seqs = {r["client_id"]: r["seq"] for r in found}
    assert len(set(seqs.values())) == len(seqs)
    return seqs


def fillers(stack, topic, partition):
    return [offset for p, offset, key, value, _ in stack.read_topic(topic) if p == partition and key == b"chasqui/filler" and value is None]


async def used_sources(stack, chat):
    """Every (source, message) of chat.events: one source never speaks of two messages."""
    of = {}
    for _, _, event in await records(stack, "chat.events"):
        if event["chatId"] == chat:
            assert of.setdefault(event["source"]["offset"], event["eventId"]) == event["eventId"]
    return of


@scenario(limit_s=200, stack="cut_stack")
async def test_a_log_that_lost_its_tail_goes_on_when_told_to(cut_stack, net):
    stack = cut_stack
    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    partition = partition_of(chat, 2)
    sent = await talk(alice, bob, "old", 10)
    await view_is_level(stack)
    old = await all_in_view(stack, chat, sent)
    await asyncio.gather(alice.stop(), bob.stop())
    reached = await all_committed(stack, "chat", "chat.actions", partition)
    assert (await asyncio.to_thread(admin, stack))[0] == 0, "nothing is cut"

    end = await lose_tail(stack, "chat.actions", partition, reached - 6)
    edges = ("edge-ws", "edge-rest")
    for role in edges:
        await started(by_role(stack, role)[0])
    await until(lambda: asyncio.to_thread(lambda: [stack.metrics(r)["log_cut"] for r in edges] == [1, 1]), 20, "both edges to see it")
    r = await alice.rest.post("/api/messages", {"chatId": chat, "content": "no", "type": "text", "clientId": "by-rest"})
    assert (r.status, r.code) == (503, "log_cut") and int(r.headers["retry-after"]) >= 1, r
    assert (await alice.rest.get("/readyz")).status == 503 and [health(stack, r) for r in edges] == [503, 503]
    raw = await net.raw(alice.tokens)
    await raw.send({"t": "message.send", "clientId": "by-ws", "chatId": chat, "peer": bob.user_id, "content": "no", "type": "text"})
    nack = await raw.expect(lambda f: f["t"] in ("ack", "nack"), "an answer")
    assert nack["t"] == "nack" and nack["code"] == "log_cut" and nack["retryAfter"] > 0, nack
    floors = set()  # a receipt may have come between the commit and the cut
    for role in edges:
        (line,) = [x for x in by_role(stack, role)[0].log_lines() if x["event"] == "log_was_cut"]
        assert (line["topic"], line["partition"], line["end"]) == ("chat.actions", partition, end) and line["floor"] >= reached
        assert "admin log-was-cut" in line["do"]
        floors.add(line["floor"])
    (floor,) = floors
    await ends_with(stack, "chat", "log_was_cut")
    await ends_with(stack, "chat", "log_was_cut")  # nor at its next start

    code, words = await asyncio.to_thread(admin, stack)
    assert code == REFUSES and f"chat.actions partition {partition} ends at {end}" in words, words
    code, words = await asyncio.to_thread(admin, stack, "--yes")
    assert code == 1 and "stop every role" in words, words
    await all_stop(stack)
    code, words = await asyncio.to_thread(admin, stack, "--yes")
    assert code == 0, words
    assert "nothing to do" in (await asyncio.to_thread(admin, stack, "--yes"))[1]

    await all_start(stack)
    await asyncio.gather(alice.online(), bob.online())
    new = await talk(alice, bob, "new", 10)
    seqs = await all_in_view(stack, chat, sent + new)
    assert {c: seqs[c] for c in old} == old and min(seqs[o.client_id] for o in new) > max(old.values())
    assert [stack.metrics(r)["log_cut"] for r in edges] == [0, 0] and health(stack, "edge-ws") == 200
    assert await asyncio.to_thread(fillers, stack, "chat.actions", partition) == [*range(end, floor)]
    assert sorted(await used_sources(stack, chat)) == sorted(s & (1 << 48) - 1 for s in seqs.values())
    assert not await records(stack, "chat.actions.dlq")


@scenario(limit_s=200, stack="cut_stack")
async def test_an_output_that_lost_its_tail_is_made_again(cut_stack, net):
    stack = cut_stack
    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    partition = partition_of(chat, 2)
    sent = await talk(alice, bob, "old", 10)
    await view_is_level(stack)
    old = await all_in_view(stack, chat, sent)
    before = await used_sources(stack, chat)
    applied = (await rows_when(stack, "SELECT next FROM view.positions WHERE consumer = 'persistence' AND topic = 'chat.events' AND partition = %s",
                               partition))[0]["next"]
    await asyncio.gather(alice.stop(), bob.stop())
    end = await lose_tail(stack, "chat.events", partition, applied - 5)

    # What is acknowledged while chat.events is short stands in chat.actions, and is judged later.
    for role in ("edge-ws", "edge-rest"):
        await started(by_role(stack, role)[0])
    await ends_with(stack, "persistence", "log_was_cut", "chat.events")
    r = await alice.rest.post("/api/messages", {"chatId": chat, "content": f"{MARK} meanwhile", "type": "text", "clientId": "meanwhile"})
    assert r.status in (201, 503), r
    await ends_with(stack, "chat", "log_was_cut", "chat.events")
    await all_stop(stack)
    code, words = await asyncio.to_thread(admin, stack, "--yes")
    assert code == 0 and f"chat.events partition {partition} ends at {end}" in words and "group chat in chat.actions" in words, words

    await all_start(stack)
    await asyncio.gather(alice.online(), bob.online())
    new = await talk(alice, bob, "new", 5)
    seqs = await rows_when(stack, "SELECT client_id, seq FROM view.messages WHERE chat_id = %s ORDER BY seq", chat,
                           enough=lambda rows: len(rows) >= len(sent) + len(new) + 1, timeout_s=40)
    assert sorted(r["client_id"] for r in seqs) == sorted([*(o.client_id for o in sent + new), "meanwhile"])
    seqs = {r["client_id"]: r["seq"] for r in seqs}
    assert {c: seqs[c] for c in old} == old and seqs["meanwhile"] > max(old.values())
    after = await used_sources(stack, chat)
    assert {s: e for s, e in after.items() if s in before} == before, "what chat.events had lost is not there again"
    assert (await asyncio.to_thread(stack.metrics, "persistence"))["fillers_total"] >= 0
    assert not any(line.get("event") == "dead_letter" for role in ROLES for line in by_role(stack, role)[0].log_lines())


@scenario(limit_s=200, stack="cut_stack")
async def test_what_was_on_its_way_to_users_is_sent_again(cut_stack, net):
    stack = cut_stack
    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    sent = await talk(alice, bob, "old", 5)
    await view_is_level(stack)
    await asyncio.gather(alice.stop(), bob.stop())
    partition = partition_of(bob.user_id, 2)
    reached = await all_committed(stack, "user", "user.inbox", partition)
    end = await lose_tail(stack, "user.inbox", partition, reached - 8)
    edges = ("edge-ws", "edge-rest")
    for role in edges:
        await started(by_role(stack, role)[0])
    await until(lambda: asyncio.to_thread(lambda: [stack.metrics(r)["log_cut"] for r in edges] == [1, 1]), 20, "both edges to see it")
    await ends_with(stack, "user", "log_was_cut", "user.inbox")
    await all_stop(stack)
    code, words = await asyncio.to_thread(admin, stack, "--yes")
    assert code == 0 and f"user.inbox partition {partition} ends at {end}" in words and "group chat in chat.actions" in words, words
    await all_start(stack)
    await asyncio.gather(alice.online(), bob.online())
    new = await talk(alice, bob, "new", 5)
    await all_in_view(stack, chat, sent + new)
    assert not await records(stack, "user.inbox.dlq")


@scenario(limit_s=200, stack="cut_stack")
async def test_a_commit_that_outlived_its_outputs_is_found_out(cut_stack, net):
    """Nobody had read what chat.events lost, so no position and no commit of a reader tells of it."""
    stack = cut_stack
    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    partition = partition_of(chat, 2)
    sent = await talk(alice, bob, "old", 3)
    await view_is_level(stack)
    for role in ("persistence", "media"):
        await asyncio.to_thread(by_role(stack, role)[0].stop)
    read = (await asyncio.to_thread(ends_now, stack, ["chat.events"]))["chat.events", partition]
    sent += await talk(alice, bob, "unread", 4)
    await asyncio.gather(alice.stop(), bob.stop())
    await all_committed(stack, "chat", "chat.actions", partition)

    end = await lose_tail(stack, "chat.events", partition, read + 2)
    assert end >= read, "more was cut than what nobody had read"
    await ends_with(stack, "chat", "log_was_cut", "chat.events")
    await all_stop(stack)
    code, words = await asyncio.to_thread(admin, stack, "--start")
    assert code == REFUSES and f"chat.events partition {partition} ends at {end}" in words, words
    code, words = await asyncio.to_thread(lambda: admin(stack, "--start", DURABILITY="synced"))
    assert code == 0 and "group chat in chat.actions" in words, words

    await all_start(stack)
    await asyncio.gather(alice.online(), bob.online())
    await all_in_view(stack, chat, sent + await talk(alice, bob, "new", 3))


@scenario(limit_s=60, stack="cut_stack")
async def test_synced_wants_a_database_that_syncs(cut_stack, net):
    """That of these tests does not."""
    code, words = await asyncio.to_thread(lambda: admin(cut_stack, verb="migrate", DURABILITY="synced"))
    assert code == 1 and "fsync, full_page_writes off" in words, words
    assert (await asyncio.to_thread(lambda: admin(cut_stack, verb="migrate")))[0] == 0
