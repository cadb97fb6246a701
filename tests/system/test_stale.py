# SPDX-License-Identifier: MIT
"""Changes that are accepted and fit no message: their author's next sync says so, once on each device, and nobody else's."""
import asyncio
import dataclasses
import uuid

from client import MARK, scenario, until
from look import made_anew, rows, rows_when, view_is_level

KEPT = "SELECT src_partition, src_offset, id, user_id, client_id, at_ms FROM view.rejected WHERE code = 'stale_target' AND user_id = %s ORDER BY 1, 2"


def at(message, seq):
    return dataclasses.replace(message, seq=seq)


@scenario(150)
async def test_the_author_of_a_change_of_nothing_hears_of_it(stack, net):
    people = []
    for name in ("alice", "bob"):
        user, one = await net.user(name, gateway=0)
        people += [one, await user.device("web", gateway=1)]
    alice, alice2, bob, bob2 = people
    await asyncio.gather(*(d.online() for d in people))
    chat = await net.direct(alice, bob)
    first = await alice.told(f"{MARK} first", chat)
    second = await alice.told(f"{MARK} second", chat)
    await asyncio.gather(*(d.sees(second.content) for d in people))
    await alice2.stop()

    edit = await alice.changed("edit", at(alice.messages[first.id], second.seq), f"{MARK} of another place")
    took = await bob.changed("react", at(bob.messages[second.id], first.seq), "+1")
    good = await alice.changed("edit", alice.messages[first.id], f"{MARK} first, and better")
    await asyncio.gather(*(d.wait(lambda d=d: d.messages[first.id].content == good.content, 30, "the edit") for d in (alice, bob, bob2)))
    assert edit.acks and not edit.rejected and not took.rejected
    await view_is_level(stack)
    await alice2.online()  # who was away hears of it where he comes back
    for _ in range(2):  # once on each device
        assert all(await asyncio.gather(*(d.sync() for d in people)))
    for mine, out in (((alice, alice2), edit), ((bob, bob2), took)):
        for d in mine:
            (told,) = d.stale_log
            assert (told["clientId"], told["id"], told["chatId"], told["code"]) == (out.client_id, out.id, chat, "stale_target"), told
            assert told["at"] > 0 and set(told) == {"clientId", "id", "chatId", "code", "at"}
    assert all(d.messages[second.id].content == second.content for d in people)

    # with the seq of a sync it is an edit like any other
    again = await alice.changed("edit", alice2.messages[second.id], f"{MARK} second, and better")
    await bob2.wait(lambda: bob2.messages[second.id].content == again.content, 30, "the edit")
    before = [await rows(stack, KEPT, u) for u in (alice.user_id, bob.user_id)]
    assert [len(x) for x in before] == [1, 1]
    await view_is_level(stack)
    await made_anew(stack)
    assert await rows_when(stack, KEPT, bob.user_id, timeout_s=60)
    await view_is_level(stack)
    assert [await rows(stack, KEPT, u) for u in (alice.user_id, bob.user_id)] == before

    async def told_from(cursor):
        r = await bob.rest.call("GET", "/api/sync", params={"cursor": cursor})
        return r.body if r.status == 200 else None

    begun = await until(lambda: told_from(""), 30, "the rebuilt view")
    assert [x["clientId"] for x in begun["rejected"]] == [took.client_id]
    assert (await told_from("latest"))["rejected"] == [] == (await told_from((await told_from("latest"))["cursor"]))["rejected"]
    assert (await told_from(begun["cursor"]))["rejected"] == [], "once"


@scenario(120)
async def test_many_are_told_in_pages_beside_the_messages(stack, net):
    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    said = [await alice.told(f"{MARK} {i}", chat) for i in range(3)]
    await view_is_level(stack)
    places = "UPDATE view.positions SET source_next = source_next + %s WHERE consumer = 'persistence' AND topic = 'chat.events' RETURNING 1"
    partitions = (await rows(stack, "SELECT count(*) AS n FROM view.positions WHERE consumer = 'persistence' AND topic = 'chat.events'"))[0]["n"]
    many = 2000  # more than two pages also where others' rows stand, at places before, between and behind the messages
    planted = await rows(stack, "INSERT INTO view.rejected SELECT n %% %s, n / %s, gen_random_uuid(), %s, %s, c, 'stale_target', view.now_ms() "
                         "FROM unnest(%s::text[]) WITH ORDINALITY AS x(c, n) ON CONFLICT DO NOTHING RETURNING client_id", partitions, partitions, chat,
                         alice.user_id, [str(uuid.uuid4()) for _ in range(many)])
    planted = [r["client_id"] for r in planted]
    await rows(stack, places, many)  # as if the view were as far
    try:
        told, messages, cursor, pages = [], [], "", 0
        while True:
            page = (await alice.rest.call("GET", "/api/sync", params={"cursor": cursor}, expect=200)).body
            told += [x["clientId"] for x in page["rejected"]]
            messages += [m["id"] for m in page["messages"]]
            cursor, pages = page["cursor"], pages + 1
            assert len(page["rejected"]) <= 500 and bool(page["ticks"]) <= (not page["more"])
            if not page["more"]:
                break
        assert pages >= 3 and sorted(told) == sorted(planted) and messages == [m.id for m in said]
        assert not (await bob.rest.call("GET", "/api/sync", params={"cursor": ""}, expect=200)).body["rejected"]
    finally:
        await rows(stack, places, -many)
        await rows(stack, "DELETE FROM view.rejected WHERE client_id = ANY(%s) RETURNING 1", planted)
