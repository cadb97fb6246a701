# SPDX-License-Identifier: MIT
"""Records expire while the role that reads them is away: it comes back, says what it passed over, and goes on."""
import asyncio

import pytest
from client import MARK, by_role, scenario
from conftest import BASE_PORT
from look import paused, started
from stack import Stack


@pytest.fixture(scope="module")
def holiday():
    with Stack(base_port=BASE_PORT + 760, settings={"PARTITIONS": "2", "SLOTS": "2"}) as stack:
        yield stack.start()


def delete_all(stack, topic: str) -> int:
    """Let everything in the topic expire now. How many records there were."""
    from confluent_kafka import Consumer, TopicPartition
    from confluent_kafka.admin import AdminClient

    c = Consumer({"bootstrap.servers": stack.broker, "group.id": "own"})
    try:
        ends = {p: c.get_watermark_offsets(TopicPartition(topic, p), timeout=20) for p in (0, 1)}
        admin = AdminClient({"bootstrap.servers": stack.broker})
        for f in admin.delete_records([TopicPartition(topic, p, end) for p, (_, end) in ends.items() if end]).values():
            f.result(20)
        return sum(end - first for first, end in ends.values())
    finally:
        c.close()


@pytest.mark.parametrize(("role", "topic"), [("user", "user.inbox"), ("edge-ws", "ws.push"), ("mobile", "mobile.push"), ("chat", "chat.actions")])
@scenario(stack="holiday")
async def test_a_role_comes_back_to_an_empty_log(holiday, net, role, topic):
    (proc,) = by_role(holiday, role)
    alice, bob = await net.people("alice", "bob")
    await alice.told(f"{MARK} before", peer=bob.user_id)
    chat = await net.direct(alice, bob)
    if role != "edge-ws":  # whose frames are for sockets that are open
        await asyncio.gather(alice.stop(), bob.stop())
    await paused(proc)
    caller = net.caller(alice)
    for n in range(3):  # 503: stored, but the view is late
        await caller.post("/api/messages", {"chatId": chat, "content": f"{MARK} unseen {n}", "type": "text", "clientId": f"unseen-{n}"}, expect=(201, 503))
    assert await asyncio.to_thread(delete_all, holiday, topic) or role == "mobile"
    await asyncio.to_thread(proc.kill9)
    await started(proc)
    await asyncio.gather(alice.stop(), bob.stop())
    await asyncio.gather(alice.online(), bob.online())
    out = await alice.told(f"{MARK} after", peer=bob.user_id)
    await bob.sees(out.content)
    if role != "mobile":  # nobody here can be woken
        assert (await asyncio.to_thread(holiday.metrics, role))["expired_total"] > 0
        assert any(line.get("event") == "expired" and line["topic"] == topic for line in proc.log_lines())
