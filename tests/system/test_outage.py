# SPDX-License-Identifier: MIT
"""Kafka away, PostgreSQL away: what is told to clients meanwhile, and that all mends itself afterwards."""
import asyncio
import os
import signal
from pathlib import Path

from client import MARK, scenario, until
from look import Load, Supervised, partition_of, paused, roles_of_setting, rows_when, started, view_is_level
from metrics import get
from stack import ROLES, TEST_SETTINGS


async def log_in(rest, phone: str):
    """One try, whatever comes of it."""
    asked = await rest.post("/api/login", {"phoneNumber": phone}, expect=200)
    return await rest.post("/api/verify", {"challenge": asked.body["challenge"], "code": asked.body["devCode"]})


def starts(stack) -> dict[str, int]:
    return {p.name: p.starts for p in stack.roles()}


@scenario(limit_s=240)
async def test_the_broker_away(stack, net):
    alice, bob, carol = await net.people("alice", "bob", "carol")
    chat = await net.direct(alice, bob)
    group = await net.group(carol, alice)
    before, away_s = starts(stack), 32  # three times the time after which the group takes its members for gone
    async with Supervised(stack):
        async with Load([(alice, chat), (bob, chat)], 40, "broker") as load:
            await load.passes()
            await asyncio.to_thread(stack.kafka.kill9)
            killed_at = asyncio.get_running_loop().time()

            # nobody says it is stored, by either door
            by_ws = carol.send(f"{MARK} into the dark", group)
            body = {"chatId": group, "content": f"{MARK} by post", "type": "text", "clientId": "post-1"}
            by_rest = asyncio.create_task(carol.rest.post("/api/messages", body))
            await carol.wait(lambda: by_ws.nacks or by_ws.acks, 30, "a nack")
            assert by_ws.nacks[0] == "retry" and not by_ws.acks
            r = await by_rest
            assert (r.status, r.code) == (503, "unavailable") and int(r.headers["retry-after"]) >= 1, r
            # once it is known to be away, at once too
            r = await carol.rest.post("/api/messages", body)
            assert r.status == 503 and int(r.headers["retry-after"]) >= 1
            assert not by_ws.acks
            # more log-ins than one may have devices: none succeeds, and none ends a device
            phone = net.users[-1].phone
            failed = await asyncio.gather(*(log_in(net.rest, phone) for _ in range(17)))
            assert [r.status for r in failed] == [503] * 17
            assert (await carol.rest.get("/api/me")).status == 200 and await carol.refresh()
            assert not stack.kafka.alive()
            counts = {role: stack.metrics(role) for role in ("edge-ws", "edge-rest")}
            assert counts["edge-ws"]["unknown_answers_total"] >= 1
            assert counts["edge-rest"]["unknown_answers_total"] >= 1 and counts["edge-rest"]["ingest_refused_total"] >= 1

            # who is refused can name his request, and the log has it
            line = await until(lambda: line_of(stack, "edge-rest", "request_failed", request=r.body["error"]["requestId"]), 5,
                               "the log to name the request")
            assert (line["status"], line["route"], line["code"]) == (503, "/api/messages", "unavailable")

            # every role notices, and says it in the three places where an operator looks
            await until(lambda: all_are(stack, "away: Kafka does not answer\n"), 20, lambda: f"all to say away: {healths(stack)}")
            for role, i in stack.services.role_names():
                assert stack.metrics(role, i)["kafka_away"] == 1, role
                assert stack.metrics(role, i).get("lag_records", -1) == -1, f"{role} claims to know how far it is behind"
                await until(lambda role=role: line_of(stack, role, "kafka_away"), 10, f"{role} to log it")
            # the time is the fault itself
            await asyncio.sleep(killed_at + away_s - asyncio.get_running_loop().time())
            await started(stack.kafka)
            await carol.verdict(by_ws, 90)
            r = await until(lambda: sent_by_rest(carol, body), 90, "REST to store again")
            assert not by_ws.rejected
            await load.passes(90)
        await load.settled()
        assert starts(stack) == before, "a role had to be started again"
        await until(lambda: all_are(stack, "ok\n"), 30, lambda: f"all to be well: {healths(stack)}")
        for role, i in stack.services.role_names():
            assert stack.metrics(role, i)["kafka_away"] == 0, role
            back = await until(lambda role=role: line_of(stack, role, "kafka_back"), 10, f"{role} to log that it is over")
            assert back["away_ms"] > 10000, (role, back)
        await load.arrived({chat: [alice, bob]})
        await load.in_view(stack)
        for content in (by_ws.content, body["content"]):
            await alice.sees(content)
            assert alice.contents(group).count(content) == 1
        sql = "SELECT client_id FROM view.messages WHERE chat_id = %s ORDER BY client_id"
        got = await rows_when(stack, sql, group, enough=lambda r: len(r) >= 2)
        assert sorted(x["client_id"] for x in got) == sorted([by_ws.client_id, "post-1"])


@scenario(limit_s=60)
async def test_readiness_notices_a_silent_broker(stack, net):
    """Nobody sends anything: the broker's silence is found by asking."""
    alice, = await net.people("alice")
    await alice.stop()
    await until(lambda: answers(alice, "/readyz"), 30, "REST to call itself ready")
    await paused(stack.kafka)
    try:
        await until(lambda: is_unready(alice), 15, "/readyz to say 503")
        assert (await alice.rest.call("GET", "/healthz")).status == 200
    finally:
        stack.kafka.cont()
    await until(lambda: answers(alice, "/readyz"), 30, "/readyz to say 200 again")


@scenario(limit_s=60)
async def test_a_gateway_that_waits_for_the_broker_rests(stack, net):
    """What a gateway holds while reports are awaited must not keep it busy: the broker may need the CPU to answer."""
    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    await alice.told(f"{MARK} all roles work", chat)
    gateways = [p for p in stack.roles() if p.name.startswith("edge-ws")]
    await paused(stack.kafka)
    try:
        sent = [alice.send(f"{MARK} waits {i}", chat) for i in range(20)]
        for _ in range(20):  # some in each of several turns of the gateway: they wait one behind the other
            await asyncio.sleep(0.01)
            sent.append(alice.send(f"{MARK} waits {len(sent)}", chat))
        before = cpu_s(gateways)
        await asyncio.sleep(2)  # the time that is measured
        used = cpu_s(gateways) - before
        assert not any(m.acks for m in sent)
    finally:
        stack.kafka.cont()
    for m in sent:
        await alice.verdict(m, 60)
    assert used < 0.6, f"{used:.2f} s of CPU in 2 s, with nothing to do"


def cpu_s(procs) -> float:
    """What they have used since they began."""
    stats = [Path(f"/proc/{p.pid}/stat").read_text().rpartition(")")[2].split() for p in procs]
    return sum(int(s[11]) + int(s[12]) for s in stats) / os.sysconf("SC_CLK_TCK")


async def is_unready(device):
    return (await device.rest.call("GET", "/readyz")).status == 503


@scenario(limit_s=240)
async def test_after_a_nack_the_socket_takes_nothing_else_first(stack, net):
    alice, bob = await net.people("alice", "bob")
    raw = await net.raw((await net.users[0].device()).tokens, auto_ok=True)
    await raw.ready()
    await alice.told(f"{MARK} all roles work", peer=bob.user_id)

    async def send(client_id: str) -> str:
        """What this try gets, ack or nack."""
        def answers():
            return [f for f in raw.frames if f["t"] in ("ack", "nack") and f["clientId"] == client_id]

        n = len(answers())
        await raw.send({"t": "message.send", "clientId": client_id, "peer": bob.user_id, "content": f"{MARK} {client_id}",
                        "type": "text"})
        await until(lambda: len(answers()) > n, 30, f"an answer for {client_id}")
        return answers()[-1]["t"]

    await paused(stack.kafka)
    try:
        assert await send("earlier") == "nack"
    finally:
        stack.kafka.cont()
    await alice.told(f"{MARK} all roles work again", peer=bob.user_id, timeout_s=60)
    assert await send("later") == "nack", "what was sent before it is not stored yet"
    assert not raw.close_code
    await until(lambda: acked(send, "earlier"), 60, "the earlier one to be taken")
    assert await send("later") == "ack"
    await bob.sees(f"{MARK} later")
    shown = [c for c in bob.contents() if c in (f"{MARK} earlier", f"{MARK} later")]
    assert shown == [f"{MARK} earlier", f"{MARK} later"]


async def acked(send, client_id):
    return await send(client_id) == "ack"


async def sent_by_rest(device, body):
    r = await device.rest.post("/api/messages", body)
    assert r.status in (201, 200, 503), r
    return r if r.status in (200, 201) else None


@scenario(limit_s=240)
async def test_postgresql_away(stack, net):
    alice, bob, carol, dave = await net.people("alice", "bob", "carol", "dave")
    old = await net.direct(alice, bob)
    group = await net.group(alice, bob, carol)
    for chat in (old, group):
        await bob.sees((await alice.told(f"{MARK} while all is well", chat)).content)
    before = starts(stack)
    await asyncio.to_thread(stack.postgres.stop)
    try:
        # live chat goes on: known chats, and one that nobody has seen before
        in_old = await alice.told(f"{MARK} old chat, no database", old)
        in_group = await bob.told(f"{MARK} group, no database", group)
        in_new = await alice.told(f"{MARK} new chat, no database", peer=dave.user_id)
        answer = await bob.told(f"{MARK} an answer, no database", old)
        await bob.sees(in_old.content)
        await alice.sees(answer.content)
        await asyncio.gather(*(d.sees(in_group.content) for d in (alice, carol)))
        assert (await dave.sees(in_new.content)).chat_id == in_new.chat_id

        for path in ("/api/chats", f"/api/chats/{old}/messages", f"/api/chats/{group}", "/api/sync?cursor=", "/readyz"):
            r = await alice.rest.call("GET", path)
            assert r.status == 503, (path, r)
            if path != "/readyz":
                assert r.code == "unavailable" and int(r.headers["retry-after"]) >= 1, (path, r)
        assert (await alice.rest.call("GET", "/healthz")).status == 200
        # what cannot be applied is tried again and again, and that shows
        await until(lambda: health(stack, "persistence") == (503, "repeats: no turn makes progress\n"), 30, "persistence to say 503")
        assert stack.metrics("persistence")["turns_repeated"] > 1
        told = Path(stack.role("persistence").log_path)
        await until(lambda: '"turns_repeat"' in told.read_text(errors="replace"), 30, "a line that says so")
        (line, *_) = [x for x in told.read_text(errors="replace").splitlines() if '"turns_repeat"' in x]
        assert "connecting to the database: 08" in line and "partition" in line, line
    finally:
        await started(stack.postgres)
    await until(lambda: health(stack, "persistence") == (200, "ok\n"), 60, "persistence to say 200")
    assert stack.metrics("persistence")["turns_repeated"] == 0

    for out in (in_old, in_group, in_new, answer):
        (row,) = await rows_when(stack, "SELECT seq FROM view.messages WHERE id = %s", out.id, timeout_s=60)
        assert row["seq"] == out.seq
    members = await rows_when(stack, "SELECT user_id FROM view.members WHERE chat_id = %s", in_new.chat_id)
    assert {m["user_id"] for m in members} == {alice.user_id, dave.user_id}
    # the ticks that could not be counted meanwhile
    for out in (in_old, in_new):
        await alice.wait(lambda out=out: alice.tick(out) == "delivered", 60, f"the tick of {out.content}")
    await until(lambda: answers(alice, f"/api/chats/{old}/messages"), 60, "REST to read again")
    await until(lambda: answers(alice, "/readyz"), 60, "REST to call itself ready")
    for _ in range(12):  # whichever worker answers: none has to lose a request to learn that its connection is gone
        r = await alice.rest.get(f"/api/chats/{old}/messages", expect=200)
    assert [m["content"] for m in r.body["messages"]][-2:] == [in_old.content, answer.content]
    assert starts(stack) == before, "a role had to be started again"


@scenario(limit_s=120)
async def test_a_record_that_takes_too_long_holds_up_its_partition_alone(stack, net):
    """Somebody locks the row of a chat for longer than a statement may take."""
    alice, bob = await net.people("alice", "bob")
    partitions = int(TEST_SETTINGS["PARTITIONS"])
    locked = await net.group(alice, bob)
    other = await net.group(alice, bob)
    while partition_of(other, partitions) == partition_of(locked, partitions):
        other = await net.group(alice, bob)
    await view_is_level(stack)
    proc = stack.role("persistence")
    url = proc.env["DATABASE_URL"]
    await asyncio.to_thread(proc.stop)
    proc.env["DATABASE_URL"] = f"{url}?options=-c%20statement_timeout%3D1500%20-c%20search_path%3Dpg_catalog"
    try:
        await started(proc)
        with stack.db() as db, db.transaction():
            db.execute("SELECT 1 FROM view.chats WHERE chat_id = %s FOR UPDATE", (locked,))
            held = await alice.told(f"{MARK} is held up", locked)
            await until(lambda: stack.metrics("persistence")["slow_partitions"] == 1, 30, "a partition to wait")
            passes = await alice.told(f"{MARK} goes on", other)
            assert await rows_when(stack, "SELECT 1 FROM view.messages WHERE id = %s", passes.id, timeout_s=30)
            assert health(stack, "persistence") == (503, "slow: a record takes longer than PostgreSQL gives a statement\n")
            why = (await until(lambda: line_of(stack, "persistence", "partition_too_slow"), 10, "a line that says so"))["why"]
            assert "writing: 57014" in why and f"chat.events partition {partition_of(locked, partitions)} offset" in why, why
        assert await rows_when(stack, "SELECT 1 FROM view.messages WHERE id = %s", held.id, timeout_s=60)
        await until(lambda: health(stack, "persistence") == (200, "ok\n"), 30, "persistence to say 200")
    finally:
        await asyncio.to_thread(proc.stop)
        proc.env["DATABASE_URL"] = url
        await started(proc)


@scenario(limit_s=90)
async def test_postgresql_that_stands_still_is_away(stack, net):
    """It takes connections and statements, and answers none; nobody asks for anything."""
    alice, = await net.people("alice")
    await alice.stop()
    await until(lambda: answers(alice, "/readyz"), 30, "REST to call itself ready")
    roles = [role for role in ROLES if role in roles_of_setting("DATABASE_URL")]
    still(stack.postgres)
    try:
        await until(lambda: is_unready(alice), 25, "/readyz to say 503")
        for role in roles:
            await until(lambda role=role: health(stack, role) == (503, "away: PostgreSQL does not answer\n"), 10, f"{role} to say 503")
            assert stack.metrics(role)["database_away"] == 1, role
            await until(lambda role=role: line_of(stack, role, "database_away"), 10, f"{role} to log it")
        for role in (role for role in ROLES if role not in roles):
            assert health(stack, role) == (200, "ok\n"), f"{role} needs no database"
    finally:
        still(stack.postgres, signal.SIGCONT)
    await until(lambda: answers(alice, "/readyz"), 30, "/readyz to say 200 again")
    for role in roles:
        await until(lambda role=role: health(stack, role) == (200, "ok\n"), 20, f"{role} to say 200")
        assert stack.metrics(role)["database_away"] == 0, role
        await until(lambda role=role: line_of(stack, role, "database_back"), 10, f"{role} to log that it is over")


def still(postgres, number=signal.SIGSTOP):
    """The server with all its processes: alone it would go on answering on the connections that there are."""
    children = Path(f"/proc/{postgres.pid}/task/{postgres.pid}/children").read_text().split()
    for pid in (postgres.pid, *map(int, children)):
        os.kill(pid, number)


def health(stack, role, i=0):
    return get(stack.services.metrics_port(role, i), "/healthz")


def healths(stack):
    return {f"{role}-{i}": health(stack, role, i)[1].strip() for role, i in stack.services.role_names()}


def all_are(stack, words):
    return all(health(stack, role, i)[1] == words for role, i in stack.services.role_names())


def line_of(stack, role, event, **fields):
    """The last such line in the log of a role, or None."""
    found = [x for x in stack.role(role).log_lines() if x.get("event") == event and fields.items() <= x.items()]
    return found[-1] if found else None


async def answers(device, path):
    return (await device.rest.get(path)).status == 200
