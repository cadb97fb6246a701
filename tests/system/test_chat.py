# SPDX-License-Identifier: MIT
"""Messages, acknowledgements, verdicts and ticks between people, through all roles."""
import asyncio
import collections

from client import MARK, scenario, until
from look import paused, records, rows, rows_when, started


@scenario()
async def test_ack_comes_after_the_brokers_report_only(stack, net):
    alice, bob = await net.people("alice", "bob")
    await alice.told(f"{MARK} all roles work", peer=bob.user_id)
    await paused(stack.kafka)
    try:
        out = alice.send(f"{MARK} nobody can store this now", peer=bob.user_id)
        # either the gateway gives up waiting and says so, or the silence ends with the broker's waking
        try:
            await alice.wait(lambda: out.nacks or out.acks, 8, "a nack")
        except AssertionError:
            pass
        assert out.tries == 1 or out.nacks
        assert not out.acks, "acknowledged while no broker ran"
    finally:
        stack.kafka.cont()
    await alice.acked(out, 60)
    await alice.verdict(out)
    await bob.sees(out.content)
    assert len(await rows_when(stack, "SELECT * FROM view.messages WHERE id = %s", out.id)) == 1


@scenario()
async def test_two_people_three_devices_and_all_ticks(stack, net):
    anna, a1 = await net.user("anna")
    a2 = await anna.device("web")
    _, bob = await net.user("bob")
    await asyncio.gather(a1.online(), a2.online(), bob.online())
    text = f"{MARK} ünïcode \U0001f98a \"quoted\" \\ back\u2028slash </script>\nnew line\tand \u0001 control"
    out = await a1.told(text, peer=bob.user_id)
    got = await bob.sees(text)
    other = await a2.sees(text)

    # one id and one seq for everybody
    assert set(out.acks) == {got.id}
    assert (got.id, got.seq, got.sender, got.peer) == (other.id, other.seq, a1.user_id, bob.user_id)
    assert a1.messages[got.id].seq == got.seq
    assert bob.live_frames[got.id] == a1.live_frames[got.id] == a2.live_frames[got.id] == 1

    # two ticks, on both devices of the sender; not blue before it was read
    for d in (a1, a2):
        await d.wait(lambda d=d: d.ticks[got.chat_id]["delivered"] >= got.seq, 30, "the delivered tick")
    path = f"/api/chats/{got.chat_id}/messages"

    async def in_rest(key):
        r = await a1.rest.get(path, expect=(200, 404))  # 404: the view has not made the chat yet
        return next((m for m in r.body.get("messages", []) if m["id"] == got.id and m[key] is not None), None)

    m = await until(lambda: in_rest("deliveredAt"), 30, "deliveredAt by REST")
    assert m["seenAt"] is None and m["deliveredAt"] >= m["sentAt"] == got.sent_at
    assert (m["content"], m["clientId"], m["from"], m["type"], m["seq"]) == (text, out.client_id, a1.user_id, "text", got.seq)
    assert a1.ticks[got.chat_id]["read"] < got.seq

    bob.read(got.chat_id)
    for d in (a1, a2):
        await d.wait(lambda d=d: d.ticks[got.chat_id]["read"] >= got.seq, 30, "the read tick")
    m = await until(lambda: in_rest("seenAt"), 30, "seenAt by REST")
    assert m["seenAt"] >= m["deliveredAt"]

    # to the sender they came in the order sent, delivered, read
    delivered = min(at for at, chat, d, r in a1.tick_log if chat == got.chat_id and d >= got.seq)
    read = min(at for at, chat, d, r in a1.tick_log if chat == got.chat_id and r >= got.seq)
    sent = min(out.acked_at, out.verdict_at)  # on a busy machine the message itself may overtake its ack
    assert sent < delivered < read
    assert a1.tick(out) == "read"

    # who has it, for the sender alone
    r = await a1.rest.get(f"/api/messages/{got.id}/receipts", expect=200)
    (receipt,) = [x for x in r.body["receipts"] if x["userId"] == bob.user_id]
    assert receipt["deliveredAt"] == m["deliveredAt"] and receipt["readAt"] == m["seenAt"]
    assert (await bob.rest.get(f"/api/messages/{got.id}/receipts")).status in (403, 404)

    # the rows
    (row,) = await rows(stack, "SELECT * FROM view.messages WHERE id = %s", got.id)
    assert (row["chat_id"], row["seq"], row["sender_id"], row["client_id"]) == (got.chat_id, got.seq, a1.user_id, out.client_id)
    assert bytes(row["content"]).decode() == text and row["type"] == 0 and row["key_id"] is None
    assert row["content_type"].startswith("text/plain") and row["sent_at"] == got.sent_at
    (chat,) = await rows(stack, "SELECT * FROM view.chats WHERE chat_id = %s", got.chat_id)
    assert (chat["kind"], chat["last_seq"]) == (0, got.seq)
    members = await rows(stack, "SELECT * FROM view.members WHERE chat_id = %s", got.chat_id)
    assert {x["user_id"] for x in members} == {a1.user_id, bob.user_id}
    assert all(x["joined_seq"] == 0 and x["left_seq"] is None for x in members) and len(members) == 2
    (cursor,) = await rows(stack, "SELECT * FROM view.cursors WHERE chat_id = %s AND user_id = %s", got.chat_id, bob.user_id)
    assert cursor["delivered"] >= got.seq and cursor["read"] >= got.seq
    kinds = await rows(stack, "SELECT kind, at_ms FROM view.receipts WHERE chat_id = %s AND user_id = %s", got.chat_id,
                       bob.user_id)
    assert {k["kind"] for k in kinds} == {0, 1}


@scenario()
async def test_group_with_one_member_offline(stack, net):
    alice, bob = await net.people("alice", "bob")
    _, carol = await net.user("carol")
    await carol.online()  # once, so that her cursor stands before the message
    await carol.stop()
    chat = await net.group(alice, bob, carol)
    out = await alice.told(f"{MARK} to all three", chat)
    got = await bob.sees(out.content)
    assert bob.live_frames[got.id] == 1

    async def no_tick_yet(kind: str, column: str):
        """bob's receipt is applied, and a message on bob's way to alice has overtaken any tick that came of it."""
        await rows_when(stack, f"SELECT 1 AS one FROM view.cursors WHERE chat_id = %s AND user_id = %s AND {column} >= %s",
                        chat, bob.user_id, got.seq, what="bob's cursor")
        marker = await bob.told(f"{MARK} marker {kind}", peer=alice.user_id)
        await alice.sees(marker.content)
        assert alice.ticks[chat][kind] < got.seq, f"{kind} although carol is offline"

    await no_tick_yet("delivered", "delivered")
    bob.read(chat)
    await no_tick_yet("read", "read")

    await carol.online()
    assert carol.sync_rows[got.id] == 1 and carol.live_frames[got.id] == 0
    assert carol.contents(chat) == [out.content]
    await alice.wait(lambda: alice.ticks[chat]["delivered"] >= got.seq, 30, "the delivered tick of all")
    assert alice.ticks[chat]["read"] < got.seq
    carol.read(chat)
    await alice.wait(lambda: alice.ticks[chat]["read"] >= got.seq, 30, "the read tick of all")

    # her cursor has moved past it
    await carol.stop()
    await carol.online()
    assert carol.sync_rows[got.id] == 1 and carol.live_frames[got.id] == 0


@scenario()
async def test_same_client_id_five_times_over_two_gateways(stack, net):
    anna, a1 = await net.user("anna", gateway=0)
    a2 = await anna.device("web", gateway=1)
    _, bob = await net.user("bob", gateway=1)
    await asyncio.gather(a1.online(), a2.online(), bob.online())
    text = f"{MARK} once and only once"
    first = a1.send(text, peer=bob.user_id, client_id="the-same-again")
    second = a2.send(text, peer=bob.user_id, client_id="the-same-again")
    for d, out in ((a1, first), (a2, second), (a1, first)):
        d.again(out)
    await a1.wait(lambda: len(first.acks) == 3, 30, "three acks")
    await a2.wait(lambda: len(second.acks) == 2, 30, "two acks")
    await a1.verdict(first)
    await a2.verdict(second)
    assert set(first.acks + second.acks) == {first.id} and first.seq == second.seq

    # what follows in the chat has passed all five
    marker = await a1.told(f"{MARK} marker", peer=bob.user_id)
    for d in (a1, a2, bob):
        await d.sees(marker.content)
        assert d.contents(first.chat_id) == [text, marker.content]
        assert d.live_frames[first.id] >= 1  # with another seq it would be an anomaly
        assert d.messages[first.id].seq == first.seq
    (row,) = await rows_when(stack, "SELECT seq FROM view.messages WHERE chat_id = %s AND client_id = 'the-same-again'",
                             first.chat_id)
    assert row["seq"] == first.seq
    events = [e for _, _, e in await records(stack, "chat.events") if e["event"][1].get("id") == first.id]
    assert [e["seq"] for e in events] == [first.seq]


@scenario()
async def test_client_ids_are_known_after_a_restart(stack, net):
    """Those of just now, too: the processor reads what it had accepted back from its own events, up to their end."""
    alice, bob = await net.people("alice", "bob")
    said = [await alice.told(f"{MARK} number {i}", peer=bob.user_id) for i in range(3)]
    chat = stack.role("chat")
    await asyncio.to_thread(chat.stop)
    await started(chat)
    ws = await net.raw(alice.tokens, auto_ok=True)
    await ws.ready()
    for out in said:
        await ws.send({"t": "message.send", "clientId": out.client_id, "peer": bob.user_id, "chatId": out.chat_id, "content": out.content, "type": "text"})
    for out in said:  # the verdict on a repeat is the message that there is
        again = await ws.expect(lambda f, out=out: f["t"] == "message" and f["clientId"] == out.client_id, "the verdict on the repeat")
        assert (again["id"], again["seq"]) == (out.id, out.seq)
    marker = await alice.told(f"{MARK} behind them", peer=bob.user_id)
    await bob.sees(marker.content)
    ids = collections.Counter(e["event"][1].get("id") for _, _, e in await records(stack, "chat.events"))
    assert [ids[out.id] for out in said] == [1, 1, 1]


@scenario()
async def test_a_client_id_that_stands_for_something_else_is_a_conflict(stack, net):
    """By REST and by WebSocket, whether the view has the first message or only the log; and two at once."""
    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    said = {"chatId": chat, "type": "text", "content": f"{MARK} this", "clientId": "one-id"}
    first = await alice.rest.post("/api/messages", said, expect=201)
    same = await alice.rest.post("/api/messages", said, expect=201)
    assert same.body == first.body
    file = {**said, "type": "document"}
    for other in ({**said, "content": f"{MARK} that"}, file, {**said, "content": f"{MARK} this "}):
        r = await alice.rest.post("/api/messages", other)
        assert (r.status, r.body["error"]["code"]) == (409, "conflict"), (other, r)
    out = alice.send(f"{MARK} that", chat, client_id="one-id")
    await alice.wait(lambda: out.verdict, 30, "a verdict")
    assert out.verdict["t"] == "rejected" and out.verdict["code"] == "conflict"
    # neither is in the view when both are asked
    two = [{**said, "clientId": "at-once", "content": f"{MARK} {x}"} for x in ("left", "right")]
    ends = await asyncio.gather(*(alice.rest.post("/api/messages", x) for x in two))
    assert sorted(r.status for r in ends) == [201, 409], ends
    (won,) = [r.body["message"]["content"] for r in ends if r.status == 201]
    assert won == two[[r.status for r in ends].index(201)]["content"], "nobody is told that his words are what another said"


@scenario()
async def test_a_receipt_without_its_peer_is_refused_aloud_and_the_right_one_counts(stack, net):
    (alice,) = await net.people("alice")
    _, bob = await net.user("bob")
    out = await alice.told(f"{MARK} read me", peer=bob.user_id)
    ws = await net.raw(bob.tokens, auto_ok=True)
    await ws.ready()
    chat, seq = out.verdict["chatId"], out.seq
    await ws.send({"t": "receipt", "chatId": chat, "delivered": seq, "read": seq})
    refused = await ws.expect(lambda f: f["t"] == "receipt_rejected", "the refusal")
    assert (refused["chatId"], refused["code"]) == (chat, "bad_receipt")
    assert alice.ticks[chat]["read"] < seq
    await ws.send({"t": "receipt", "chatId": chat, "peer": alice.user_id, "delivered": seq, "read": seq})
    await alice.wait(lambda: alice.ticks[chat]["read"] >= seq, 30, "the read tick")
