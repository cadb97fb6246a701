# SPDX-License-Identifier: MIT
"""Every path of refusal and repetition is taken once, and the role's own numbers say so."""
import asyncio
import collections
import uuid

import pytest
from client import MARK, Rest, scenario, until
from commit_proxy import CommitProxy
from conftest import BASE_PORT
from look import log_faults, paused, rows, view_is_level
from metrics import Watch, get
from process import Failure
from stack import Stack, encode, wait_until

PORT = BASE_PORT + 300
PROXY = PORT + 3


@pytest.fixture(scope="module")
def counted():
    """A Stack of its own, because it is left with a false clock; persistence reaches PostgreSQL through `proxy`."""
    with CommitProxy(PROXY, PORT + 2) as proxy:
        url = f"postgresql://chasqui:test@127.0.0.1:{PROXY}/chasqui"
        with Stack(base_port=PORT, settings={"DATABASE_URL": url, "PARTITIONS": "2", "SLOTS": "2",
                                                   "CODE_PER_NUMBER_HOUR": "3"}) as stack:
            stack.proxy = proxy
            yield stack.start()


class Rise:
    """What one number of a role was, and waiting until it is more."""

    def __init__(self, stack, role, name):
        self.stack, self.role, self.name = stack, role, name
        self.before = stack.metrics(role)[name]

    def by(self):
        return self.stack.metrics(self.role)[self.name] - self.before

    async def at_least(self, n=1, timeout_s=30):
        await until(lambda: self.by() >= n, timeout_s, lambda: f"{self.role} {self.name} to rise by {n}, it rose by {self.by()}")


def test_every_role_has_its_door(counted):
    for role, i in counted.services.role_names():
        assert get(counted.services.metrics_port(role, i), "/healthz") == (200, "ok\n"), role
        assert counted.metrics(role, i), role
    wait_until(lambda: counted.metrics("chat")["partitions"] == 2, what="chat to own its partitions")
    status, _ = get(counted.services.rest_port(0), "/metrics")
    assert status == 404, "numbers are not for clients"


@scenario(limit_s=120, stack="counted")
async def test_the_road_is_counted(counted, net):
    with Watch(counted) as watch:
        alice, bob = await net.people("alice", "bob")
        for i in range(5):
            await bob.sees((await alice.told(f"{MARK} counted {i}", peer=bob.user_id)).content)
        await view_is_level(counted)
        gauges = ("sockets", "sessions_ready")
        await until(lambda: [counted.metrics("edge-ws")[g] for g in gauges] == [2, 2], 10, "two sockets, both ready")
        await until(lambda: watch.seen("edge-ws", "acks_total") >= 5, 10, lambda: f"five acks: {watch.all_seen()}")
    seen = watch.all_seen()
    assert seen["edge-ws", "acks_total"] == 5
    for role in ("chat", "user", "persistence", "status", "edge-ws"):
        assert seen[role, "records_in_total"] > 0, role
    for role in ("chat", "user", "persistence", "status"):
        assert seen[role, "turns_total"] > 0, role
    assert seen["chat", "records_out_total"] >= 10  # an event and a delivery each
    quiet = ("zombie_writes_refused_total", "late_confirmations_total", "handed_back_total", "dead_letters_total",
             "silent_sessions_cleared_total", "rejoins_total", "unknown_answers_total")
    assert not [key for key in seen if key[1] in quiet], seen


@scenario(limit_s=60, stack="counted")
async def test_what_chat_refuses(counted, net):
    alice, bob, carol = await net.people("alice", "bob", "carol")
    group = await net.group(alice, bob)
    twice, rejected, receipts = (Rise(counted, "chat", f"{n}_total") for n in ("duplicates_suppressed", "rejections", "receipts_refused"))
    body = {"chatId": group, "content": f"{MARK} once", "type": "text", "clientId": "the-same"}
    first = await alice.rest.post("/api/messages", body, expect=201)
    again = await alice.rest.post("/api/messages", body, expect=(200, 201))
    assert again.body["message"]["id"] == first.body["message"]["id"]
    raw = await net.raw(carol.tokens, auto_ok=True)
    await raw.ready()
    frame = {"t": "message.send", "clientId": "c-1", "chatId": group, "content": f"{MARK} let me in", "type": "text"}
    await raw.send(frame)
    await raw.expect(lambda f: f["t"] == "rejected" and f["clientId"] == "c-1", "the rejection")
    await raw.send({"t": "receipt", "chatId": group, "delivered": first.body["message"]["seq"]})  # no member
    await receipts.at_least(1)
    mine = await net.raw(bob.tokens, auto_ok=True)
    await mine.ready()
    await mine.send({"t": "receipt", "chatId": group, "read": first.body["message"]["seq"] + (1 << 40)})  # has not come yet
    await receipts.at_least(2)
    await rejected.at_least(1)
    if twice.by() == 0:  # the view may have known it, and then it never reached the processor
        resend = {"t": "message.send", "clientId": "the-same", "chatId": group, "content": f"{MARK} once", "type": "text"}
        me = await net.raw(alice.tokens, auto_ok=True)
        await me.ready()
        await me.send(resend)
        await twice.at_least(1)
    await raw.close()
    await mine.close()


@scenario(limit_s=60, stack="counted")
async def test_what_a_gateway_gives_back(counted, net):
    alice, bob = await net.people("alice", "bob")
    back, lost = Rise(counted, "edge-ws", "handed_back_total"), Rise(counted, "user", "sessions_lost_total")
    resync, late = Rise(counted, "edge-ws", "resync_closes_total"), Rise(counted, "edge-ws", "late_closes_total")
    await bob.stop()
    mute = await net.raw(bob.tokens)  # reads, and never says ok
    await mute.ready()
    await alice.told(f"{MARK} unheard", peer=bob.user_id)
    await mute.expect(lambda f: f["t"] == "message", "the message")
    mute.abort()
    await back.at_least(1)
    await lost.at_least(1)

    full = await net.raw(bob.tokens)
    await full.ready()
    for i in range(12):  # of 30 KiB each: more than 256 KiB without an ok
        await alice.told(f"{MARK} {i} " + "x" * 30000, peer=bob.user_id)
    assert await full.closed() == 1013
    await resync.at_least(1)
    late_one = await net.raw(bob.tokens)
    await late_one.ready()
    await alice.told(f"{MARK} waited for", peer=bob.user_id)
    assert await late_one.closed(30) == 4408
    await late.at_least(1)


@scenario(limit_s=60, stack="counted")
async def test_codes_of_one_number_are_limited_also_all_at_once(counted, net):
    """Requests side by side, held up until every worker has come as far as it can: as many codes as the hour allows,
    not one more."""
    rests = [Rest(counted.rest_url()) for _ in range(12)]
    number = net.phone()
    blocked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'chasqui-edge-rest' AND wait_event_type = 'Lock'"
    try:
        with counted.db() as db, counted.db() as look:
            with db.transaction():
                db.execute("LOCK TABLE auth.challenges IN SHARE MODE")  # reads pass, writes wait
                asked = [asyncio.create_task(r.post("/api/register", {"phoneNumber": number, "name": "anna"})) for r in rests]
                await until(lambda: look.execute(blocked).fetchone()[0] == 4, 20, "all four workers to wait")
        got = await asyncio.gather(*asked)
    finally:
        await asyncio.gather(*(r.close() for r in rests))
    assert sorted(collections.Counter(r.status for r in got).items()) == [(200, 3), (429, 9)]


@scenario(limit_s=60, stack="counted")
async def test_a_dead_letter(counted, net):
    rise = Rise(counted, "chat", "dead_letters_total")
    p = counted.producer()
    p.produce("chat.actions", b"noise", partition=0)
    assert p.flush(20) == 0
    await rise.at_least(1)
    assert rise.by() == 1


@scenario(limit_s=90, stack="counted")
async def test_a_commit_whose_answer_is_lost(counted, net):
    """The connection breaks after PostgreSQL committed and before we heard of it: the turn is not done twice."""
    alice, bob = await net.people("alice", "bob")
    await alice.told(f"{MARK} before", peer=bob.user_id)
    await view_is_level(counted)
    confirmed, zombie = (Rise(counted, "persistence", f"{n}_total") for n in ("late_confirmations", "zombie_writes_refused"))
    counted.proxy.lose(1)
    out = await alice.told(f"{MARK} committed in the dark", peer=bob.user_id)
    await confirmed.at_least(1)
    assert counted.proxy.lost == 1 and confirmed.by() == 1 and zombie.by() == 0
    await view_is_level(counted)
    (row,) = await rows(counted, "SELECT seq FROM view.messages WHERE id = %s", out.id)
    assert row["seq"] == out.seq
    await alice.told(f"{MARK} after", peer=bob.user_id)
    await view_is_level(counted)


@scenario(limit_s=90, stack="counted")
async def test_a_zombie_finds_its_position_moved(counted, net):
    """Another copy has applied a record while this one stood still: its turn is refused, and it goes on from there."""
    alice, bob = await net.people("alice", "bob")
    out = await alice.told(f"{MARK} to be repeated", peer=bob.user_id)
    await view_is_level(counted)
    # a repeat of the last event: applying it or not is the same
    partition, _, key, value, _ = next(r for r in reversed(await asyncio.to_thread(counted.read_topic, "chat.events"))
                                       if r[3] and out.id == (counted.decode(r[3])[1]["event"][1] or {}).get("id"))
    zombie, repeats = (Rise(counted, "persistence", f"{n}_total") for n in ("zombie_writes_refused", "duplicates_suppressed"))
    role = counted.role("persistence")
    p = counted.producer()

    async def repeat(n):
        for _ in range(n):
            p.produce("chat.events", value, key=key, partition=partition)
        assert await asyncio.to_thread(p.flush, 20) == 0

    await repeat(1)
    await repeats.at_least(1)
    await view_is_level(counted)  # stopped in a turn, it would hold the row that is moved below
    assert zombie.by() == 0
    await paused(role)
    try:
        await repeat(2)
        with counted.db() as db:
            db.execute("UPDATE view.positions SET next = next + 1 WHERE consumer = 'persistence' AND topic = 'chat.events' "
                       "AND partition = %s", (partition,))
    finally:
        role.cont()
    await zombie.at_least(1)
    await view_is_level(counted)
    later = await alice.told(f"{MARK} after the zombie", peer=bob.user_id)
    await view_is_level(counted)
    got = await rows(counted, "SELECT id FROM view.messages WHERE id = ANY(%s::uuid[])", [out.id, later.id])
    assert sorted(r["id"] for r in got) == sorted([out.id, later.id])
    assert role.starts == 1


def gateway_alive(incarnation: uuid.UUID) -> bytes:
    zero = bytes(16)
    body = ("chasqui.UserAction", {"userId": zero, "deviceId": zero, "atMs": 0, "action": ("chasqui.GatewayAlive", {
        "incarnation": incarnation.bytes, "slots": 0})})
    return encode("UserInbox", {"body": body})


def set_topic(stack, topic: str, name: str, value: str) -> None:
    from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    admin = AdminClient({"bootstrap.servers": stack.broker})
    for f in admin.incremental_alter_configs([ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])]).values():
        f.result(20)


def test_a_topic_whose_settings_were_changed_is_named(counted):
    """It would lose messages with every role in good health. Longer than the table says is the operator's own."""
    set_topic(counted, "chat.events", "retention.ms", str(3600 * 1000))
    set_topic(counted, "user.inbox", "retention.ms", str(30 * 24 * 3600 * 1000))
    try:
        with pytest.raises(Failure) as failed:
            counted.admin("topics")
        assert "topic chat.events: retention.ms is 3600000, must be -1" in failed.value.why, failed.value.why
        assert "user.inbox" not in failed.value.why
        status = counted.role("status")
        status.kill9()
        status.start().wait_ready(60)
        (line,) = [x for x in status.log_lines() if x.get("event") == "topic_drift"]
        assert {k: line[k] for k in ("level", "topic", "setting", "wanted", "found")} == {
            "level": "warn", "topic": "chat.events", "setting": "retention.ms", "wanted": "-1", "found": "3600000"}
    finally:
        set_topic(counted, "chat.events", "retention.ms", "-1")
        set_topic(counted, "user.inbox", "retention.ms", str(7 * 24 * 3600 * 1000))
    counted.admin("topics")


@scenario(limit_s=90, stack="counted")
async def test_sessions_of_a_silent_gateway(counted, net):
    """A gateway vanishes without a word; three minutes later by the log's clock its sessions are gone. The minutes are a
    record with a time of its own, so this is the last test of its Stack."""
    from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

    alice, bob = await net.people("alice", "bob")
    await alice.told(f"{MARK} to one who is there", peer=bob.user_id)
    cleared = Rise(counted, "user", "silent_sessions_cleared_total")
    await asyncio.to_thread(counted.role("edge-ws").kill9)
    entry = ConfigEntry("message.timestamp.type", "CreateTime", incremental_operation=AlterConfigOpType.SET)
    far = ConfigEntry("message.timestamp.after.max.ms", str(10 * 60 * 1000), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, "user.inbox", incremental_configs=[entry, far])
    admin = AdminClient({"bootstrap.servers": counted.broker})
    for f in admin.incremental_alter_configs([resource]).values():
        await asyncio.to_thread(f.result, 20)
    p = counted.producer()
    newest = max([r[2] for r in await asyncio.to_thread(times, counted, "user.inbox")])
    for partition in (0, 1):
        p.produce("user.inbox", gateway_alive(uuid.uuid4()), partition=partition, timestamp=newest + 181_000)
    assert await asyncio.to_thread(p.flush, 20) == 0
    await cleared.at_least(2)
    for d in (alice, bob):
        await d.stop()
    assert log_faults(counted) == []


def times(stack, topic):
    """(partition, offset, record time in ms) of everything in a topic."""
    from confluent_kafka import Consumer, TopicPartition

    c = Consumer({"bootstrap.servers": stack.broker, "group.id": "look-times", "enable.auto.commit": False})
    found = []
    try:
        for partition in c.list_topics(topic, timeout=20).topics[topic].partitions:
            _, high = c.get_watermark_offsets(TopicPartition(topic, partition), timeout=20)
            if high:
                c.assign([TopicPartition(topic, partition, high - 1)])
                m = c.poll(20)
                if m and not m.error():
                    found.append((partition, m.offset(), m.timestamp()[1]))
    finally:
        c.close()
    return found
