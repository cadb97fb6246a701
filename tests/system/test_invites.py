# SPDX-License-Identifier: MIT
"""Links by which others join a group: by how many, until when, and by whom who was removed. Over two gateways, two devices each, with a processor that dies."""
import asyncio
import uuid

from client import MARK, scenario, until
from look import made_anew, records, rows, started, view_is_level
from test_accounts import From, an_edge
from test_changes import pairs

KEPT = "SELECT * FROM view.invites WHERE chat_id = %s ORDER BY made_seq"
CAME = "SELECT user_id, joined_seq, left_seq, invited_by FROM view.members WHERE chat_id = %s ORDER BY joined_seq, user_id"
NOBODY = "00000000-0000-0000-0000-000000000000"


async def invited(device, chat: str, **asked) -> dict:
    return (await device.rest.post(f"/api/chats/{chat}/invites", asked, expect=201)).body["invite"]


async def join(device, chat: str, link: dict, client_id: str | None = None):
    return await getattr(device, "rest", device).post(f"/api/invites/{chat}/{link['secret']}", {"clientId": client_id or uuid.uuid4().hex})


async def listed(device, chat: str) -> list[dict]:
    return (await device.rest.get(f"/api/chats/{chat}/invites", expect=200)).body["invites"]


async def people(device, chat: str) -> dict:
    return {m["userId"]: m.get("invitedBy") for m in (await device.rest.get(f"/api/chats/{chat}", expect=200)).body["chat"]["members"]}


@scenario(240)
async def test_links(stack, net):
    (alice, alice2), (bob, _), (carol, carol2), (dave, _), (erin, _) = await pairs(net, "alice", "bob", "carol", "dave", "erin")
    chat, direct = await net.group(alice, bob), await net.direct(alice, bob)
    path = f"/api/chats/{chat}/invites"

    # made by who may add, once under a client id; shown to these alone, and the secret again
    for device, where, status in ((bob, path, 403), (carol, path, 404), (alice, f"/api/chats/{direct}/invites", 400)):
        assert (await device.rest.post(where, {})).status == status
    for bad in ({"uses": 0}, {"uses": 1025}, {"seconds": 0}, {"seconds": 31536001}, {"clientId": "a b"}):
        assert (await alice.rest.post(path, bad)).status == 400, bad
    one = await invited(alice, chat, clientId="one", uses=1)
    assert (one["by"], one["uses"], one["used"]) == (alice.user_id, 1, 0)
    assert await invited(alice2, chat, clientId="one", uses=1) == one == (await listed(alice, chat))[0]
    assert (await alice.rest.post(path, {"clientId": "one", "uses": 2})).status == 409
    assert (await bob.rest.get(path)).status == 403 and (await carol.rest.get(path)).status == 404

    # whoever has it sees the group's name and size, and no more
    seen = (await carol.rest.get(f"/api/invites/{chat}/{one['secret']}", expect=200)).body["invite"]
    name = (await alice.rest.get(f"/api/chats/{chat}", expect=200)).body["chat"]["name"]
    assert seen == {"chatId": chat, "name": name, "members": 2, "approval": False, "member": False}
    no = await carol.rest.get(f"/api/invites/{chat}/{uuid.uuid4()}")
    assert no.status == 404 and (await carol.rest.get(f"/api/invites/{direct}/{one['secret']}")).status == 404

    # several at once by a link for one, and each twice
    asked = [(d, d.user_id[:8]) for d in (carol, dave, erin) for _ in range(2)]
    answers = await asyncio.gather(*(join(d, chat, one, client_id) for d, client_id in asked))
    by_user = {d.user_id: sorted(a.status for (who, _), a in zip(asked, answers, strict=True) if who is d) for d in (carol, dave, erin)}
    assert sorted(by_user.values()) == [[200, 200], [404, 404], [404, 404]], by_user
    first = next(d for d in (carol, dave, erin) if by_user[d.user_id] == [200, 200])
    for d in (alice, alice2, bob):
        await d.wait(lambda d=d: any(f.get("invitedBy") == alice.user_id and f["changes"] == [{"userId": first.user_id, "change": "add"}]
                                     for f in d.member_log if f["t"] == "member"), 30, "by whose link")
    await first.wait(lambda: any(f["t"] == "chat" and f["chatId"] == chat for f in first.member_log), 30, "the group")
    assert await people(alice, chat) == {alice.user_id: None, bob.user_id: None, first.user_id: alice.user_id}
    assert await listed(alice, chat) == []
    gone = await next(d for d in (carol, dave) if d is not first).rest.get(f"/api/invites/{chat}/{one['secret']}")
    assert (gone.status, gone.body["error"]["code"]) == (no.status, no.body["error"]["code"])
    said = await first.told(f"{MARK} hello", chat)
    await alice2.sees(said.content)

    # the processor dies between two: there is room for two, whoever asks how often
    others = [d for d in (carol, dave, erin) if d is not first]
    two = await invited(alice, chat, uses=2)
    asking = asyncio.create_task(join(others[0], chat, two, "again"))
    await asyncio.to_thread(stack.role("chat").kill9)
    await started(stack.role("chat"))
    assert (await asking).status in (200, 503)
    assert [(await join(others[0], chat, two, "again")).status for _ in range(2)] == [200, 200]
    assert (await join(others[1], chat, two)).status == 200
    await others[1].rest.call("DELETE", f"/api/chats/{chat}/members/{others[1].user_id}", expect=200)
    assert (await join(others[1], chat, two)).status == 404

    # revoked, over by time, and for who was removed: none lets in
    three, brief = await invited(alice, chat, clientId="three"), await invited(alice, chat, seconds=1)
    assert (await bob.rest.call("DELETE", f"{path}/{three['id']}")).status == 403
    assert [(await alice.rest.call("DELETE", f"{path}/{three['id']}")).status for _ in range(2)] == [200, 200]
    assert (await alice.rest.call("DELETE", f"{path}/{uuid.uuid4()}")).status == 404
    again = await alice.rest.post(path, {"clientId": "three"})
    assert (again.status, again.code) == (409, "conflict")

    async def is_over():
        return (await others[1].rest.get(f"/api/invites/{chat}/{brief['secret']}")).status == 404

    await until(is_over, 30, "the end of a link")
    for link in (three, brief):
        assert (await join(others[1], chat, link)).status == 404
    await alice.rest.call("DELETE", f"/api/chats/{chat}/members/{others[0].user_id}", expect=200)
    last = await invited(alice, chat)
    assert (await join(others[0], chat, last)).status == 202  # he asks: test_requests
    await others[0].rest.call("DELETE", f"/api/chats/{chat}/requests/{others[0].user_id}", expect=200)
    assert [link["id"] for link in await listed(alice, chat)] == [last["id"]]

    # everybody, when everybody may add; ten of a group
    await alice.rest.call("PUT", f"/api/chats/{chat}/rights", {"add": "everyone"}, expect=200)
    for _ in range(9):
        await invited(bob, chat)
    assert (await bob.rest.post(path, {})).body["error"]["code"] == "too_many_invites"
    await bob.rest.call("DELETE", f"{path}/{last['id']}", expect=200)
    await invited(bob, chat)

    # who comes and goes is let in by somebody, in the end: he left once before
    gate, answers = (await listed(bob, chat))[0], []
    while len(answers) < 9 and answers[-1:] != [202]:
        answers.append((await join(others[1], chat, gate)).status)
        if answers[-1] == 200:
            await others[1].rest.call("DELETE", f"/api/chats/{chat}/members/{others[1].user_id}", expect=200)
    assert answers == 7 * [200] + [202]

    # a view that is made anew has the same
    await view_is_level(stack)
    had = [await rows(stack, sql, chat) for sql in (KEPT, CAME)]
    assert [(r["used"], r["most"]) for r in had[0]][:2] == [(1, 1), (2, 2)]
    assert [r["invited_by"] for r in had[1]] == [NOBODY, NOBODY] + 3 * [alice.user_id] + 7 * [bob.user_id]
    await made_anew(stack)
    await view_is_level(stack)
    assert [await rows(stack, sql, chat) for sql in (KEPT, CAME)] == had


@scenario(240)
async def test_requests(stack, net):
    (alice, alice2), (bob, bob2), (carol, _), (dave, dave2), (erin, _) = await pairs(net, "alice", "bob", "carol", "dave", "erin")
    chat = await net.group(alice, bob, carol)
    path = f"/api/chats/{chat}/requests"
    await alice.rest.call("PUT", f"/api/chats/{chat}/members/{bob.user_id}", {"role": "admin"}, expect=200)
    door = await invited(alice, chat, approval=True, uses=1)
    assert door["approval"] and (await dave.rest.get(f"/api/invites/{chat}/{door['secret']}", expect=200)).body["invite"]["approval"]
    await view_is_level(stack)
    await bob2.stop()

    async def asked(device) -> list[str]:
        return [r["userId"] for r in (await device.rest.get(path, expect=200)).body["requests"]]

    async def own(device) -> list[str]:
        return [r["chatId"] for r in (await device.rest.get("/api/requests", expect=200)).body["requests"]]

    def told(device) -> list[tuple]:
        return [(f["userId"], f["by"], f["open"]) for f in device.group_log if f["t"] == "request" and f["chatId"] == chat]

    # asked, again, and once more: one request, of which admins and who asks are told
    answers = await asyncio.gather(join(dave, chat, door, "one"), join(dave2, chat, door, "one"), join(dave, chat, door, "one"))
    assert [(a.status, a.body) for a in answers] == 3 * [(202, {"pending": True})]
    for d in (alice, alice2, bob, dave, dave2):
        await d.wait(lambda d=d: told(d) == [(dave.user_id, dave.user_id, True)], 30, "the request")
    assert await asked(alice) == [dave.user_id] and await own(dave) == [chat] and await own(erin) == []
    assert (await carol.rest.get(path)).status == 403 and (await dave.rest.get(path)).status == 404
    assert (await dave.rest.get(f"/api/chats/{chat}")).status == 404
    for device, status in ((carol, 403), (dave, 403), (erin, 404)):
        assert (await device.rest.call("PUT", f"{path}/{dave.user_id}")).status in (status, 404)
    shown = [(await d.rest.get(f"/api/chats/{chat}", expect=200)).body["chat"].get("requests") for d in (alice, carol)]
    assert shown == [1, None]
    await bob2.online()  # was away: by the sync, as an admin
    assert bob2.chats[chat]["requests"] == 1

    # taken back; asked anew and refused; asked by two, for one place
    await dave.rest.call("DELETE", f"{path}/{dave.user_id}", expect=200)
    assert (await dave.rest.call("DELETE", f"{path}/{dave.user_id}")).status == 404
    assert (await join(dave, chat, door, "one")).status == 409
    assert (await join(dave, chat, door)).status == 202
    await bob.rest.call("DELETE", f"{path}/{dave.user_id}", expect=200)
    await alice.wait(lambda: [by for _, by, is_open in told(alice) if not is_open] == [dave.user_id, bob.user_id], 30, "both ends")
    for d in (dave, erin):
        assert (await join(d, chat, door)).status == 202
    granted = await asyncio.gather(*(d.rest.call("PUT", f"{path}/{who.user_id}") for d, who in ((alice, dave), (bob, erin))))
    assert sorted((r.status, r.body.get("error", {}).get("code")) for r in granted) == [(200, None), (409, "too_many_uses")]
    assert told(carol) == []  # nobody else hears of any of it
    inside, outside = (dave, erin) if granted[0].status == 200 else (erin, dave)
    await carol.wait(lambda: any(f.get("invitedBy") == alice.user_id for f in carol.member_log if f["t"] == "member"), 30, "who came")
    assert (await people(alice, chat))[inside.user_id] == alice.user_id and await asked(alice) == [outside.user_id]

    # who is added asks no more; who was removed asks by any link, and not when it is revoked
    await alice.rest.post(f"/api/chats/{chat}/members", {"add": [outside.user_id]}, expect=200)
    assert await asked(alice) == [] == await own(outside)
    await alice.rest.call("DELETE", f"/api/chats/{chat}/members/{outside.user_id}", expect=200)
    gate = await invited(alice, chat)
    assert (await join(outside, chat, gate)).status == 202 and await asked(bob) == [outside.user_id]
    await alice.rest.call("DELETE", f"/api/chats/{chat}/invites/{gate['id']}", expect=200)
    assert await asked(bob) == [] and (await bob.rest.call("PUT", f"{path}/{outside.user_id}")).status == 404
    last = await invited(alice, chat)
    assert (await join(outside, chat, last)).status == 202
    assert (await bob.rest.call("PUT", f"{path}/{outside.user_id}")).status == 200

    # a view that is made anew has the same
    await view_is_level(stack)
    asks = "SELECT * FROM view.requests WHERE chat_id = %s ORDER BY user_id"
    had = [await rows(stack, sql, chat) for sql in (asks, KEPT, CAME)]
    assert len(had[0]) == 2 and all(r["ended_seq"] > r["seq"] for r in had[0])  # both are in it
    await made_anew(stack)
    await view_is_level(stack)
    assert [await rows(stack, sql, chat) for sql in (asks, KEPT, CAME)] == had


@scenario(120)
async def test_t51_a_link_tells_nobody_anything(stack, net):
    (alice, _), (eve, _) = await pairs(net, "alice", "eve")
    chat = await net.group(alice)
    path = f"/api/chats/{chat}/invites"
    full, ended, holds = await invited(alice, chat, uses=1), await invited(alice, chat), await invited(alice, chat)
    _, bob = await net.user("bob", gateway=0)
    assert (await join(bob, chat, full)).status == 200
    await alice.rest.call("DELETE", f"{path}/{ended['id']}", expect=200)
    await view_is_level(stack)

    # of a link that holds no more as of none, and of no group: one answer, whichever is asked
    places = [f"/api/invites/{chat}/{secret}" for secret in (full["secret"], ended["secret"], holds["id"], uuid.uuid4())] + [f"/api/invites/{uuid.uuid4()}/{holds['secret']}"]
    answers = [await eve.rest.call(method, place, body) for place in places for method, body in (("GET", None), ("POST", {}))]
    assert {(a.status, a.body["error"]["code"], a.body["error"]["message"]) for a in answers} == {(404, "not_found", answers[0].body["error"]["message"])}
    assert (await eve.rest.get(path)).status == 404

    # what is kept is no way in: neither log nor view has a secret, and what they have is none
    text = [str(v) for topic in ("chat.actions", "chat.events", "members", "rejections") for _, _, v in await records(stack, topic)]
    kept = await rows(stack, KEPT, chat)
    assert any(holds["id"] in t for t in text) and len(kept) == 3
    assert not any(link["secret"] in t for t in [*text, str(kept)] for link in (full, ended, holds))
    for row in kept:
        for shown in (row["hash"], row["invite_id"]):
            assert (await eve.rest.post(f"/api/invites/{chat}/{shown}", {})).status == 404

    # guessing: told to wait, and nobody's link is locked by it
    with an_edge(stack, LINK_GUESS_PER_ADDRESS_HOUR="4"):
        async with From(token=eve.tokens.access) as guesser:
            for left in (4, 3, 2, 1):
                assert (await guesser.get(f"/api/invites/{chat}/{uuid.uuid4()}")).status == 404, left
            for method, body in (("GET", None), ("POST", {})):
                r = await guesser.call(method, f"/api/invites/{chat}/{uuid.uuid4()}", body)
                assert (r.status, r.body["error"]["code"]) == (429, "rate_limited")
            await guesser.get(f"/api/invites/{chat}/{holds['secret']}", expect=200)
            assert (await join(guesser, chat, holds)).status == 200


FAKE_CHATS = """
    WITH c AS (SELECT gen_random_uuid() AS id FROM generate_series(1, %(n)s)),
    chats AS (INSERT INTO view.chats (part, chat_id, kind, name, created_at, created_by, changed_seq)
        SELECT view.part_of(id), id, 1, 'made up', 0, %(by)s, 1 FROM c)"""
FAKE_STAYS = FAKE_CHATS + "INSERT INTO view.members (part, chat_id, user_id, joined_seq, role) SELECT view.part_of(id), id, %(who)s, 1, 0 FROM c"
FAKE_REQUESTS = FAKE_CHATS + """INSERT INTO view.requests (part, chat_id, user_id, invite_id, invited_by, seq, at_ms, expires_at, ended_seq)
    SELECT view.part_of(id), id, %(who)s, gen_random_uuid(), %(by)s, 1, 0, 253402300799999, 0 FROM c"""


@scenario(120)
async def test_how_many_groups_one_joins_or_asks(stack, net):
    """1,000 groups by links, and 20 requests: one less is let in. The others are rows of the view alone."""
    alice, bob, carol = await net.people("alice", "bob", "carol")
    first, last = await net.group(alice), await net.group(alice)
    open_, guarded = [await invited(alice, chat) for chat in (first, last)], [await invited(alice, chat, approval=True) for chat in (first, last)]

    def fake(statement, who, n):
        with stack.db() as db:
            db.execute(statement, {"n": n, "who": who.user_id, "by": alice.user_id})

    try:
        fake(FAKE_STAYS, bob, 999)
        assert (await join(bob, first, open_[0])).status == 200
        r = await join(bob, last, open_[1])
        assert (r.status, r.code) == (409, "too_many_groups")
        fake(FAKE_REQUESTS, carol, 19)
        assert (await join(carol, first, guarded[0])).status == 202
        r = await join(carol, last, guarded[1])
        assert (r.status, r.code) == (409, "too_many_requests")
        # taken back, there is room
        await carol.rest.call("DELETE", f"/api/chats/{first}/requests/{carol.user_id}", expect=200)
        assert (await join(carol, last, guarded[1])).status == 202
    finally:
        with stack.db() as db:
            made_up = "(SELECT chat_id FROM view.chats WHERE created_by = %s AND name = 'made up')"
            for table in ("members", "requests", "chats"):
                db.execute(f"DELETE FROM view.{table} WHERE chat_id IN {made_up}", (alice.user_id,))
