# SPDX-License-Identifier: MIT
"""What one message to the largest group writes to Kafka, read back from the log: docs/limits.md has the contract."""
import asyncio
import json
import time
import uuid

import pytest
from client import MARK, register_push, scenario
from conftest import BASE_PORT
from look import ends_now, partition_of, push_users, record_when, routed, rows_when
from stack import Stack, encode

PARTITIONS, SLOTS, AWAY = 2, 4, 1023
CONTENT = 32 * 1024
PUBLIC = {"chat.events", "members", "rejections", "delivery.status", "user.events", "presence", "push.outcomes"}
INTERNAL = {"chat.actions", "user.inbox", "ws.push", "mobile.push", "push.targets"}
A_MEMBER = 200  # bytes of everything that is no copy of the content


@pytest.fixture(scope="module")
def narrow():
    settings = {"PARTITIONS": str(PARTITIONS), "SLOTS": str(SLOTS)}
    with Stack(base_port=BASE_PORT + 900, settings=settings, copies={"media": 0}) as s:
        yield s.start()


class Written:
    """What stands in each topic behind where it ended at the start: records, bytes, and copies of a text."""

    def __init__(self, stack):
        self.stack, self.ends = stack, ends_now(stack, PUBLIC | INTERNAL)

    def read(self, sought: str) -> dict[str, tuple[int, int, int]]:
        found = {}
        for topic in PUBLIC | INTERNAL:
            fresh = [(k or b"") + (v or b"") for p, o, k, v, _ in self.stack.read_topic(topic) if o >= self.ends[topic, p]]
            # a gateway says each minute that it lives; that is nobody's message
            fresh = [b for b in fresh if len(b) > 64 or topic != "user.inbox"]
            found[topic] = len(fresh), sum(map(len, fresh)), sum(b.count(sought.encode()) for b in fresh)
        return found


async def known_by_log(stack, people: list[str]) -> None:
    """One device for each of these users, as a log-in writes it, without a log-in: codes and limits are not what is measured."""
    p = stack.producer(**{"linger.ms": 5})
    for user in people:
        action = {"userId": uuid.UUID(user).bytes, "deviceId": uuid.uuid4().bytes, "atMs": int(time.time() * 1000),
                  "action": ("chasqui.DeviceLinked", {"platform": "android", "label": ""})}
        p.produce("user.inbox", encode("UserInbox", {"body": ("chasqui.UserAction", action)}), key=user,
                  partition=partition_of(user, PARTITIONS))
    assert await asyncio.to_thread(p.flush, 30) == 0


async def changed(stack, owner, chat: str, changes: list[tuple[str, str]]) -> None:
    """Write what a request of the owner would, for many at once."""
    action = {"chatId": uuid.UUID(chat).bytes, "userId": uuid.UUID(owner.user_id).bytes, "deviceId": uuid.UUID(owner.device_id).bytes,
              "clientId": str(uuid.uuid4()), "atMs": int(time.time() * 1000), "peer": None,
              "action": ("chasqui.MembersChanged", {"changes": [{"userId": uuid.UUID(u).bytes, "change": c} for u, c in changes]})}
    p = stack.producer()
    p.produce("chat.actions", encode("ChatAction", action), key=chat, partition=partition_of(chat, PARTITIONS))
    assert await asyncio.to_thread(p.flush, 30) == 0


async def the_largest_group(stack, net, alice, *others) -> str:
    """A group of alice, who made it, of others, and of so many invented people that 1,024 are in it."""
    chat = await net.group(alice, *others)
    people = [str(uuid.uuid4()) for _ in range(AWAY - len(others))]
    await known_by_log(stack, people)
    await changed(stack, alice, chat, [(u, "ADD") for u in people])
    await record_when(stack, "members", lambda r: r["chatId"] == chat and len(r["members"]) == AWAY + 1, "the group of 1,024")
    return chat


def told(what: str, found: dict) -> None:
    for topic, (n, size, copies) in sorted(found.items()):
        if n:
            print(f"{what}: {topic}: {n} records, {size} bytes, {copies} copies")


@scenario(limit_s=90, stack="narrow")
async def test_a_message_at_the_limit_to_1023_who_are_away(narrow, net):
    (alice,) = await net.people("alice")
    _, bob = await net.user("bob")
    chat = await the_largest_group(narrow, net, alice, bob)
    await alice.at_rest()
    seek = f"{MARK} {uuid.uuid4()}"
    written = await asyncio.to_thread(Written, narrow)
    out = await alice.told(seek + "x" * (CONTENT - len(seek)), chat)
    await routed(narrow, out.id, bob.user_id)
    await alice.at_rest()
    found = await asyncio.to_thread(written.read, seek)
    told("1,023 away, 32 KiB", found)
    internal = {t: found[t] for t in INTERNAL}
    copies = sum(c for _, _, c in internal.values())
    rest = sum(size for _, size, _ in internal.values()) - copies * CONTENT
    assert found["mobile.push"] == found["push.targets"] == (0, 0, 0), "nobody has an address"
    assert found["user.inbox"][2] == PARTITIONS and found["chat.actions"][2] == 1
    assert copies <= min(PARTITIONS, AWAY + 1) + SLOTS
    assert found["chat.events"][2] == 1 and found["chat.events"][1] < CONTENT + 1024
    assert rest <= A_MEMBER * (AWAY + 1), rest / (AWAY + 1)

    # one byte: what a member costs
    written = await asyncio.to_thread(Written, narrow)
    out = await alice.told("x", chat)
    await routed(narrow, out.id, bob.user_id)
    await alice.at_rest()
    found = await asyncio.to_thread(written.read, seek)
    told("1,023 away, 1 byte", found)
    assert sum(size for _, size, _ in found.values()) <= A_MEMBER * (AWAY + 1)


@scenario(limit_s=90, stack="narrow")
async def test_a_message_at_the_limit_to_who_is_online_and_who_can_be_woken(narrow, net):
    alice, carol = await net.people("alice", "carol")
    _, bob = await net.user("bob")
    await register_push(bob.rest, bob.device_id, token="t" * 1024)
    chat = await the_largest_group(narrow, net, alice, bob, carol)
    await alice.at_rest()
    seek = f"{MARK} {uuid.uuid4()}"
    content = seek + "\x01" * 10_500  # six bytes each in a request, which may have 64 KiB, and in a frame
    written = await asyncio.to_thread(Written, narrow)
    out = await alice.rest.post("/api/messages", {"chatId": chat, "content": content, "type": "text"}, expect=201)
    message = out.body["message"]["id"]
    await carol.sees(content)
    await record_when(narrow, "mobile.push", lambda r: r["messageId"] == message and bob.user_id in push_users(r), "bob's push")
    found = await asyncio.to_thread(written.read, seek)
    told("2 online, 1 with an address, 64 KiB as JSON", found)
    # a copy for each (partition of user.inbox, slot) that has a session: never more than there are sessions
    assert 1 <= found["ws.push"][2] <= 2
    n, size, copies = found["mobile.push"]
    assert n == copies == 1 and size <= 2048 + 1024 + 600, size
    frame = len(json.dumps(content)) + 1024
    assert found["user.inbox"][1] <= PARTITIONS * frame + A_MEMBER * (AWAY + 1)


@scenario(limit_s=60, stack="narrow")
async def test_a_change_of_everybody_is_in_the_view_as_it_is_in_the_log(narrow, net):
    """Two statements write it, however many it names; the log's own state says what has to come of it."""
    (alice,) = await net.people("alice")
    _, bob = await net.user("bob")
    chat = await the_largest_group(narrow, net, alice, bob)
    state = await record_when(narrow, "members", lambda r: r["chatId"] == chat and len(r["members"]) == AWAY + 1, "the group")
    people = [m["userId"] for m in state["members"] if m["userId"] != alice.user_id]
    kinds = ("PROMOTE", "REMOVE", "PROMOTE")
    await changed(narrow, alice, chat, [(u, kinds[i % 3]) for i, u in enumerate(people)])
    state = await record_when(narrow, "members", lambda r: r["chatId"] == chat and any(m["leftSeq"] for m in r["members"]), "the change")
    roles = ("MEMBER", "ADMIN", "OWNER")
    want = {m["userId"]: m["role"] for m in state["members"] if not m["leftSeq"]}
    assert len(want) == AWAY + 1 - AWAY // 3

    def level(found):
        return {str(r["user_id"]): roles[r["role"]] for r in found} == want

    await rows_when(narrow, "SELECT user_id, role FROM view.members WHERE chat_id = %s AND left_seq IS NULL", chat, enough=level)
