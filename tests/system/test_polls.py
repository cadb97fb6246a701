# SPDX-License-Identifier: MIT
"""Messages that ask their readers, and what these choose. Over two gateways, two devices each, and whoever was away."""
import asyncio

from client import MARK, scenario, until
from look import made_anew, rows, rows_when, short_timer, view_is_level
from test_changes import by_rest, pairs

OPTIONS = ["red", "green", "blue"]


async def ask(device, chat: str, question: str, status: int = 201, client_id: str | None = None, **poll) -> dict:
    body = {"chatId": chat, "type": "text", "content": f"{MARK} {question}", "poll": {"options": OPTIONS} | poll} | ({"clientId": client_id} if client_id else {})
    r = await device.rest.call("POST", "/api/messages", body)
    assert r.status == status, (r.status, r.body)
    return r.body["message"] if status == 201 else r.body


def place(message: dict, what: str) -> str:
    return f"/api/chats/{message['chatId']}/messages/{message['id']}/{what}"


async def vote(device, message: dict, *options: int, status: int = 200) -> dict:
    how = ("PUT", place(message, "vote"), {"options": list(options)}) if options else ("DELETE", place(message, "vote"))
    r = await device.rest.call(*how)
    assert r.status == status, (r.status, r.body)
    return r.body.get("poll")


async def result(device, message: dict) -> tuple:
    """How often each option was chosen, by how many, and what is one's own; None where no result is shown."""
    poll = (await device.rest.get(place(message, "poll"), expect=200)).body["poll"]
    assert poll == (await by_rest(device, message["chatId"], message["id"]))["poll"]
    return poll.get("counts"), poll.get("voters"), poll.get("mine", {}).get("options")


async def votes(device, message: dict) -> dict:
    body = (await device.rest.get(place(message, "votes"), expect=200)).body
    return {v["userId"]: v["options"] for v in body["votes"]}


@scenario(240)
async def test_a_poll_has_one_result_for_all_who_may_see_it(stack, net):
    (alice, alice2), (bob, bob2), (carol, _) = await pairs(net, "alice", "bob", "carol")
    chat = await net.group(alice, bob)
    # what a poll may be
    for bad in ({"options": ["one"]}, {"options": [str(i) for i in range(13)]}, {"options": ["a", "a"]}, {"options": ["a", ""]}, {"options": ["a", "x" * 101]},
                {"options": ["a", "b\n"]}, {"options": ["a", 7]}, {"choices": 0}, {"choices": 4}, {"anonymous": 1}, {"closesIn": 0}, {"closesIn": 31536001}):
        await ask(alice, chat, "bad", 400, **bad)
    await ask(alice, chat, "q" * 1024, 400)
    poll = await ask(alice, chat, "public", client_id="public", choices=2)
    shown = {"options": OPTIONS, "choices": 2, "anonymous": False, "seq": poll["seq"], "counts": [0, 0, 0], "voters": 0}
    assert poll["poll"] == shown
    assert (await ask(alice, chat, "public", client_id="public", choices=2))["id"] == poll["id"]
    for other in ({"choices": 1}, {"choices": 2, "anonymous": True}, {"choices": 2, "options": ["red", "green"]}, {"choices": 2, "options": ["red", "green", "blu"]}):
        await ask(alice, chat, "public", 409, client_id="public", **other)
    ws = await net.raw(bob.tokens, auto_ok=True)
    await ws.ready()
    await ws.send({"t": "message.send", "clientId": "secret", "chatId": chat, "type": "text", "content": f"{MARK} secret",
                   "poll": {"options": OPTIONS, "anonymous": True}})
    secret = await ws.expect(lambda f: f["t"] == "message" and f["clientId"] == "secret", "the poll")
    assert secret["poll"] == {"options": OPTIONS, "choices": 1, "anonymous": True}
    plain = {"chatId": chat, "id": (await alice.told(f"{MARK} no poll", chat)).id}
    await bob2.stop()
    await alice.rest.post(f"/api/chats/{chat}/members", {"add": [carol.user_id]}, expect=200)

    # votes: one's own devices are told which, all others that there was one
    assert (await vote(bob, poll, 0, 2))["mine"]["options"] == [0, 2]
    await ws.send({"t": "poll.vote", "clientId": "mine", "chatId": chat, "messageClientId": "secret", "messageSeq": secret["seq"], "options": [1]})
    own = await ws.expect(lambda f: f["t"] == "vote" and f.get("clientId") == "mine", "one's own vote")
    assert (own["messageId"], own["messageSeq"], own["options"]) == (secret["id"], secret["seq"], [1])
    for d in (alice, alice2):
        await d.wait(lambda d=d: len(d.votes_log) == 2, 30, "that there were votes")
        assert all(set(f) == {"n", "t", "chatId", "seq", "messageId", "messageSeq"} for f in d.votes_log)
    assert not carol.votes_log
    await vote(alice, secret, 1)
    await vote(alice, poll, 2)
    await view_is_level(stack)
    for d in (alice, alice2, bob):
        mine = [2] if d is not bob else [0, 2]
        assert await result(d, poll) == ([1, 0, 2], 2, mine) and await result(d, secret) == ([0, 2, 0], 2, [1])
        assert await votes(d, poll) == {alice.user_id: [2], bob.user_id: [0, 2]}
        assert await votes(d, secret) == {d.user_id: [1]}, "of an anonymous poll one's own vote alone"
    # another, none, the same; more than one may choose, what is not there, what is no poll, who did not see it
    await vote(bob, poll, 1)
    await vote(bob, secret)
    await vote(bob, secret)
    assert await result(bob, poll) == ([0, 1, 1], 2, [1]) and await result(alice, secret) == ([0, 1, 0], 1, [1])
    assert await result(bob, secret) == ([0, 1, 0], 1, []) and await votes(bob, secret) == {}
    for bad in ([0, 1], [3], [12], [-1], "0"):
        assert (await bob.rest.call("PUT", place(secret, "vote"), {"options": bad})).status == 400, bad
    await vote(bob, plain, 0, status=404)
    await vote(carol, poll, 0, status=404)
    # what the door lets through and no poll has, counts for nothing
    for n, options in enumerate(([0, 1, 2], [7], [0, 11])):
        await ws.send({"t": "poll.vote", "clientId": f"odd{n}", "chatId": chat, "messageFrom": alice.user_id, "messageClientId": "public",
                       "messageSeq": poll["seq"], "options": options})
        await ws.expect(lambda f, n=n: f["t"] == "vote" and f.get("clientId") == f"odd{n}", "an odd vote")
    await ws.send({"t": "poll.vote", "clientId": "else", "chatId": chat, "messageFrom": alice.user_id, "messageClientId": "public",
                   "messageSeq": secret["seq"], "options": [0]})
    await ws.expect(lambda f: f["t"] == "vote" and f.get("clientId") == "else", "a vote for no message")
    await view_is_level(stack)
    assert await result(alice, poll) == ([0, 1, 1], 2, [2]) and await result(alice, secret) == ([0, 1, 0], 1, [1])

    # the end: by its author, and by the log's time; a vote above it counts for nothing
    assert (await bob.rest.call("PUT", place(poll, "close"))).status == 403
    closed = (await alice.rest.call("PUT", place(poll, "close"))).body["poll"]["closed"]
    await bob.wait(lambda: bob.votes_log[-1]["t"] == "poll_closed", 30, "the end")
    assert {k: bob.votes_log[-1][k] for k in ("messageId", "seq", "by", "at")} == {"messageId": poll["id"], "by": alice.user_id, **closed}
    short = await ask(bob, chat, "short", closesIn=4)
    await vote(alice, short, 0)
    await rows_when(stack, "SELECT 1 FROM view.polls WHERE chat_id = %s AND target = %s AND closes_at <= view.now_ms()", chat, short["seq"], what="the end of the time")
    for late in (await alice.rest.call("PUT", place(short, "vote"), {"options": [1]}), await bob.rest.call("PUT", place(poll, "vote"), {"options": [0]})):
        assert (late.status, late.code) == (409, "poll_closed")
    for n, of in enumerate((poll, short)):
        await ws.send({"t": "poll.vote", "clientId": f"late{n}", "chatId": chat, "messageFrom": of["from"], "messageClientId": of["clientId"],
                       "messageSeq": of["seq"], "options": [0]})
        told = await ws.expect(lambda f, n=n: f["t"] == "vote" and f.get("clientId") == f"late{n}", "a late vote")
    assert told["at"] >= short["poll"]["closesAt"]
    await view_is_level(stack)
    assert await result(carol, short) == ([1, 0, 0], 1, None) and await result(bob, poll) == ([0, 1, 1], 2, [1])

    # who was away is told by the sync
    await bob2.online()
    (synced,) = [m for m in (await bob.rest.get("/api/sync", expect=200)).body["messages"] if m["id"] == poll["id"]]
    assert synced["poll"] == shown | {"seq": closed["seq"], "counts": [0, 1, 1], "voters": 2, "closed": closed, "mine": synced["poll"]["mine"]}
    # who left: his vote counts on, and he has the results that were so when he left
    await alice.rest.call("DELETE", f"/api/chats/{chat}/members/{bob.user_id}", expect=200)
    assert await result(bob, secret) == ([0, 1, 0], 1, []) and await votes(bob, poll) == {alice.user_id: [2], bob.user_id: [1]}
    await vote(alice, secret, 0)
    assert await result(bob, secret) == (None, None, []) and await result(bob, poll) == ([0, 1, 1], 2, [1])
    await vote(bob, secret, 2, status=404)
    assert await result(alice, poll) == ([0, 1, 1], 2, [2])
    # who is back has the one result
    await alice.rest.post(f"/api/chats/{chat}/members", {"add": [bob.user_id]}, expect=200)
    assert await result(bob, secret) == ([1, 0, 0], 1, [])
    await vote(bob, secret, 0)
    assert await result(alice, secret) == ([2, 0, 0], 2, [0])
    # a poll goes with its message: deleted, over
    await alice.rest.call("DELETE", f"/api/chats/{chat}/messages/{poll['id']}", expect=200)
    assert "poll" not in await by_rest(bob, chat, poll["id"]) and (await bob.rest.get(place(poll, "votes"))).status == 404
    await vote(bob, poll, 0, status=404)
    await short_timer(stack, alice, chat, 6)
    moment = await ask(alice, chat, "for a moment")
    await vote(alice, moment, 0)

    async def is_gone():
        return "poll" not in await by_rest(alice, chat, moment["id"])

    await until(is_gone, 30, "the moment to be over")
    assert not await rows(stack, "SELECT 1 FROM view.votes WHERE chat_id = %s AND target = %s", chat, poll["seq"])

    # a view that is made anew has the same; what is over goes with the next sweep
    kept = [f"SELECT * FROM view.{what} WHERE chat_id = %s AND target <> {moment['seq']} ORDER BY target" + by
            for what, by in (("polls", ""), ("votes", ", user_id"), ("changes", ""))]
    await view_is_level(stack)
    had = [await rows(stack, sql, chat) for sql in kept]
    assert [len(of) for of in had[:2]] == [2, 3]
    await made_anew(stack)

    async def is_back():
        r = await alice.rest.get(place(secret, "poll"))
        return r.status == 200 and r.body["poll"].get("counts") == [2, 0, 0]

    await until(is_back, 60, "the rebuilt view")
    await view_is_level(stack)
    assert [await rows(stack, sql, chat) for sql in kept] == had
    await asyncio.gather(ws.close())
