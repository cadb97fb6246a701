# SPDX-License-Identifier: MIT
"""Messages that stand above the others of their chat, and those that a user wants to find again. Over two gateways, two devices each, and whoever was away."""
import asyncio

from client import MARK, scenario, until
from look import made_anew, rows, short_timer, view_is_level
from test_changes import by_rest, pairs


async def keep(device, what: str, out, method: str = "PUT", status: int = 200) -> None:
    r = await device.rest.call(method, f"/api/chats/{out.chat_id}/messages/{out.id}/{what}")
    assert r.status == status, (r.status, r.body)


async def pins(device, chat: str) -> list[dict]:
    return (await device.rest.get(f"/api/chats/{chat}", expect=200)).body["chat"].get("pins", [])


async def pinned(device, chat: str) -> list[str | None]:
    return [p.get("messageId") for p in await pins(device, chat)]


async def starred(device, **asked) -> list[str]:
    return [m["id"] for m in (await device.rest.get("/api/starred", expect=200, **asked)).body["messages"]]


@scenario(240)
async def test_pins_and_stars(stack, net):
    (alice, alice2), (bob, bob2), (carol, _) = await pairs(net, "alice", "bob", "carol")
    chat = await net.group(alice, bob)
    one, two, three, four = [await alice.told(f"{MARK} {i}", chat) for i in range(4)]
    await bob2.sees(four.content)
    await bob2.stop()
    await alice.rest.post(f"/api/chats/{chat}/members", {"add": [carol.user_id]}, expect=200)
    await view_is_level(stack)

    # by the right of the group's info: its admins, unless they leave it to everyone
    await keep(bob, "pin", one, status=403)
    await alice.rest.call("PUT", f"/api/chats/{chat}/rights", {"info": "everyone"}, expect=200)
    # the newest three, by whichever door; to who was not there for the message a place and no more
    for out in (one, two, two):
        await keep(bob, "pin", out)
    ws = await net.raw(alice.tokens, auto_ok=True)
    await ws.ready()
    await ws.send({"t": "message.pin", "clientId": "by-ws", "chatId": chat, "messageClientId": three.client_id, "messageSeq": three.seq, "pinned": True})
    frame = await ws.expect(lambda f: f["t"] == "pinned" and f.get("clientId") == "by-ws", "the pin")
    assert (frame["by"], frame["messageId"], frame["messageSeq"], frame["pinned"]) == (alice.user_id, three.id, three.seq, True)
    for d in (alice, alice2, bob):
        await d.wait(lambda d=d: [f["messageId"] for f in d.pins_log] == [one.id, two.id, three.id], 30, "three pins")
    await carol.wait(lambda: len(carol.pins_log) == 3, 30, "three places")
    assert all(set(f) == {"n", "t", "chatId", "seq", "messageSeq", "pinned", "at"} for f in carol.pins_log)
    await view_is_level(stack)
    assert await pinned(bob, chat) == [one.id, two.id, three.id]
    await keep(carol, "pin", four, status=404)
    await keep(alice, "pin", four)
    assert await pinned(bob, chat) == [two.id, three.id, four.id]
    assert await pins(carol, chat) == [{"seq": p["seq"], "messageSeq": p["messageSeq"]} for p in await pins(bob, chat)]
    # one that is taken back makes room; what fell out does not come back
    await keep(alice, "pin", two, "DELETE")
    assert await pinned(bob, chat) == [three.id, four.id]
    news = await carol.told(f"{MARK} seen by all", chat)
    await view_is_level(stack)
    await keep(carol, "pin", news)
    assert await pinned(carol, chat) == [None, None, news.id] and await pinned(bob, chat) == [three.id, four.id, news.id]
    # what names no message, or another's seq, ends nothing
    await ws.send({"t": "message.pin", "clientId": "none", "chatId": chat, "messageClientId": "nothing", "messageSeq": two.seq, "pinned": True})
    await ws.expect(lambda f: f["t"] == "pinned" and f.get("clientId") == "none", "the pin of nothing")
    await view_is_level(stack)
    assert await pinned(bob, chat) == [three.id, four.id, news.id]
    # a deletion takes the pin with it, and makes room; what one hides is a place for him alone
    await bob.rest.post(f"/api/chats/{chat}/hidden", {"messages": [three.id]}, expect=200)
    await alice.rest.call("DELETE", f"/api/chats/{chat}/messages/{four.id}", expect=200)
    await keep(alice, "pin", four, status=404)
    assert await pinned(bob, chat) == [None, news.id] and await pinned(alice, chat) == [three.id, news.id]
    await keep(alice, "pin", one)
    assert await pinned(alice2, chat) == [three.id, news.id, one.id]

    # stars: one's own, on all devices, and on nobody else's
    for out in (one, news, one):
        await keep(bob, "star", out)
    await keep(bob, "star", three, status=404)
    await bob.wait(lambda: len(bob.stars_log) == 2, 30, "two stars")
    assert [(f["messageId"], f["messageSeq"], f["starred"]) for f in bob.stars_log] == [(one.id, one.seq, True), (news.id, news.seq, True)]
    assert await starred(bob) == [news.id, one.id] and await starred(alice) == []
    assert (await by_rest(bob, chat, one.id))["starred"] is True and "starred" not in await by_rest(alice, chat, one.id)
    page = (await bob.rest.get("/api/starred", expect=200, limit=1)).body
    assert page["more"] and await starred(bob, limit=1, cursor=page["cursor"]) == [one.id]
    for bad in ({"cursor": "x"}, {"cursor": "1.2.3"}, {"limit": 0}, {"limit": 201}):
        assert (await bob.rest.get("/api/starred", **bad)).status == 400, bad
    # who was away is told by the sync, with the pins
    latest = (await bob.rest.get("/api/sync", expect=200, cursor="latest")).body["cursor"]
    await bob2.online()
    assert [p.get("messageId") for p in bob2.chats[chat]["pins"]] == [None, news.id, one.id]
    assert {m.id for m in bob2.messages.values() if m.starred} == {one.id, news.id}
    await keep(bob2, "star", one, "DELETE")
    (told,) = (await bob.rest.get("/api/sync", expect=200, cursor=latest)).body["messages"]
    assert told["id"] == one.id and "starred" not in told and await starred(bob) == [news.id]
    # the bound, with rows planted up to it
    with stack.db() as db:
        db.execute("INSERT INTO view.stars SELECT part, chat_id, user_id, -n, 1, 1, true FROM view.members, generate_series(1, 999) n "
                   "WHERE chat_id = %s AND user_id = %s", (chat, bob.user_id))
        db.commit()
    full = await bob.rest.call("PUT", f"/api/chats/{chat}/messages/{two.id}/star")
    assert (full.status, full.code) == (409, "too_many_stars")
    await keep(bob, "star", news, "DELETE")
    await keep(bob, "star", two)
    await keep(bob, "star", news, status=409)
    with stack.db() as db:
        db.execute("DELETE FROM view.stars WHERE chat_id = %s AND target < 0", (chat,))
        db.commit()
    await keep(bob, "star", news)
    # gone with its message: deleted, hidden, over
    await keep(bob, "star", one)
    await bob.rest.post(f"/api/chats/{chat}/hidden", {"messages": [two.id]}, expect=200)
    await alice.rest.call("DELETE", f"/api/chats/{chat}/messages/{one.id}", expect=200)
    await short_timer(stack, alice, chat, 10)
    soon = await alice.told(f"{MARK} for a moment", chat)
    await view_is_level(stack)
    await keep(bob, "star", soon)
    await keep(bob, "pin", soon)

    async def is_over():
        return await starred(bob) == [news.id] and await pinned(alice, chat) == [three.id, news.id]

    await until(is_over, 30, "the moment to be over")
    # who left keeps what he starred, and no pins
    await alice.rest.call("DELETE", f"/api/chats/{chat}/members/{bob.user_id}", expect=200)
    (left,) = [c for c in (await bob.rest.get("/api/chats", expect=200)).body["chats"] if c["chatId"] == chat]
    assert left["role"] == "left" and "pins" not in left and await starred(bob) == [news.id]
    assert not (alice.stars_log or carol.stars_log)

    # a view that is made anew has the same, also the place of a star of what is over; the star goes with the next sweep
    kept = ("SELECT * FROM view.pins WHERE chat_id = %s ORDER BY target", f"SELECT * FROM view.stars WHERE chat_id = %s AND target <> {soon.seq} ORDER BY target",
            "SELECT user_id, joined_seq, starred_seq FROM view.members WHERE chat_id = %s ORDER BY user_id")
    await view_is_level(stack)
    had, shown = [await rows(stack, sql, chat) for sql in kept], await pins(alice, chat)
    assert len(had[0]) == 6 and [p["messageId"] for p in shown] == [three.id, news.id]
    await made_anew(stack)

    async def is_back():
        r = await alice.rest.get(f"/api/chats/{chat}")
        return r.status == 200 and r.body["chat"].get("pins") == shown

    await until(is_back, 60, "the rebuilt view")
    await view_is_level(stack)
    assert [await rows(stack, sql, chat) for sql in kept] == had and await starred(bob) == [news.id]
    await asyncio.gather(ws.close())


@scenario(60)
async def test_of_stars_taken_back_the_newest_are_kept(stack, net):
    """1,000 of a user and chat, here rows of the view alone; those that stand are not counted."""
    (alice,) = await net.people("alice")
    chat, other = await net.group(alice), await net.group(alice)
    said = [await alice.told(f"{MARK} {i}", chat) for i in range(2)]
    await view_is_level(stack)
    with stack.db() as db:
        for where in (chat, other):
            db.execute("INSERT INTO view.stars (part, chat_id, user_id, target, seq, at_ms, starred) "
                       "SELECT view.part_of(%s), %s, %s, n, n, 0, false FROM generate_series(1, 1000) n", (where, where, alice.user_id))
    for m in said:
        await alice.rest.call("PUT", f"/api/chats/{chat}/messages/{m.id}/star", expect=200)
    await alice.rest.call("DELETE", f"/api/chats/{chat}/messages/{said[0].id}/star", expect=200)
    await view_is_level(stack)
    kept = await rows(stack, "SELECT chat_id::text, starred, count(*)::int AS n, min(seq) AS low FROM view.stars WHERE user_id = %s GROUP BY 1, 2", alice.user_id)
    assert {(r["chat_id"], r["starred"]): (r["n"], r["low"]) for r in kept if not r["starred"]} == {(chat, False): (1000, 2), (other, False): (1000, 1)}
    assert [m["id"] for m in (await alice.rest.get("/api/starred", expect=200)).body["messages"]] == [said[1].id]
    with stack.db() as db:
        db.execute("DELETE FROM view.stars WHERE user_id = %s AND seq <= 1000", (alice.user_id,))
