# SPDX-License-Identifier: MIT
"""What a message answers, whom it mentions, that it was forwarded: over both doors, two gateways and two devices, live, in history and in sync."""
import asyncio
import json
import uuid

from client import MARK, scenario, until
from look import view_is_level

NOBODY = "00000000-0000-4000-8000-000000000000"


async def history(device, chat: str, **params) -> list[dict]:
    return (await device.rest.get(f"/api/chats/{chat}/messages", expect=200, **params)).body["messages"]


async def of_sync(device) -> tuple[dict, dict]:
    """Messages and chats by id, of a sync from the beginning."""
    messages, chats, cursor, more = {}, {}, "", True
    while more:
        page = (await device.rest.get("/api/sync", expect=200, cursor=cursor)).body
        messages |= {m["id"]: m for m in page["messages"]}
        chats |= {c["chatId"]: c for c in page["chats"]}
        cursor, more = page["cursor"], page["more"]
    return messages, chats


def beside(m: dict) -> dict:
    return {k: m[k] for k in ("replyTo", "mentions", "forwarded") if k in m}


@scenario()
async def test_a_reply_names_what_it_answers_and_shows_nothing_of_it(stack, net):
    anna, a1 = await net.user("anna", gateway=0)
    a2 = await anna.device("web", gateway=1)
    _, bob = await net.user("bob", gateway=1)
    _, late = await net.user("late", gateway=0)
    await asyncio.gather(a1.online(), a2.online(), bob.online(), late.online())
    chat = await net.group(a1, bob)
    quoted = await a1.told(f"{MARK} the question", chat)
    await a1.rest.post(f"/api/chats/{chat}/members", {"add": [late.user_id]}, expect=200)
    want = {"replyTo": {"id": quoted.id, "seq": quoted.seq}}
    by_ws = await bob.told(f"{MARK} the answer", chat, beside=want)
    body = {"chatId": chat, "type": "text", "content": f"{MARK} by REST", "clientId": str(uuid.uuid4()), **want}
    by_rest = (await a1.rest.post("/api/messages", body, expect=201)).body["message"]
    assert beside(by_rest) == want
    for device in (a1, a2, bob, late):
        for content in (by_ws.content, by_rest["content"]):
            assert (await device.sees(content)).beside == want
    await view_is_level(stack)
    for device in (a1, bob, late):
        shown = {m["id"]: beside(m) for m in await history(device, chat)}
        assert shown[by_ws.id] == shown[by_rest["id"]] == want and shown.get(quoted.id, {}) == {}
        messages, chats = await of_sync(device)
        assert beside(messages[by_ws.id]) == beside(chats[chat]["lastMessage"]) == want
        # what it names is found by its place, by those who may read it
        at = await history(device, chat, before=quoted.seq + 1, limit=1)
        assert [m["id"] for m in at] == ([] if device is late else [quoted.id])
        assert (quoted.content in json.dumps([messages, chats])) == (device is not late)
    assert quoted.id not in late.messages

    # sent again it is the same message; with another quote it is a mistake
    again = (await a1.rest.post("/api/messages", body, expect=201)).body["message"]
    assert again["id"] == by_rest["id"]
    r = await a1.rest.call("POST", "/api/messages", {**body, "replyTo": {"id": by_ws.id, "seq": by_ws.seq}})
    assert (r.status, r.code) == (409, "conflict")

    # no message has both: it stands as it is, and is found nowhere
    for pair in ({"id": NOBODY, "seq": quoted.seq}, {"id": quoted.id, "seq": quoted.seq + 1}, {"id": quoted.id, "seq": 1 << 52}):
        out = await bob.told(f"{MARK} to nothing {pair['seq']} {pair['id'][:4]}", chat, beside={"replyTo": pair})
        assert out.verdict["replyTo"] == pair
    for bad in ({"id": quoted.id}, {"seq": 1}, {"id": quoted.id, "seq": 0}, {"id": "x", "seq": 1}, quoted.id, []):
        r = await a1.rest.call("POST", "/api/messages", {**body, "clientId": str(uuid.uuid4()), "replyTo": bad})
        assert (r.status, r.code) == (400, "bad_request") and "replyTo" in r.body["error"]["message"], bad


@scenario()
async def test_mentions_are_counted_apart_for_whom_they_concern(stack, net):
    alice, bob, late, out = await net.people("alice", "bob", "late", "out")
    chat = await net.group(alice, bob)

    async def counts(device) -> tuple[int, int]:
        await view_is_level(stack)
        listed = next(c for c in (await device.rest.get("/api/chats", expect=200)).body["chats"] if c["chatId"] == chat)
        _, synced = await of_sync(device)
        assert listed["unreadMentions"] == synced[chat]["unreadMentions"]
        return listed["unread"], listed["unreadMentions"]

    everybody = [alice.user_id, bob.user_id, late.user_id, out.user_id, bob.user_id]
    first = await alice.told(f"{MARK} all of you", chat, beside={"mentions": everybody})
    assert first.verdict["mentions"] == everybody, "as it was sent"
    await alice.told(f"{MARK} nobody", chat)
    second = await alice.told(f"{MARK} bob", chat, beside={"mentions": [bob.user_id]})
    assert await counts(bob) == (3, 2) and await counts(alice) == (0, 0)

    # who comes later was not mentioned before; who is not in it never is
    await alice.rest.post(f"/api/chats/{chat}/members", {"add": [late.user_id]}, expect=200)
    assert await counts(late) == (0, 0)
    await alice.told(f"{MARK} late", chat, beside={"mentions": [late.user_id, out.user_id]})
    assert await counts(late) == (1, 1)
    assert (await out.rest.call("GET", f"/api/chats/{chat}")).status == 404
    assert chat not in (await of_sync(out))[1]

    # reading ends them, each at its place
    for seq, left in ((first.seq, (3, 1)), (second.seq, (1, 0))):
        await bob.rest.post(f"/api/chats/{chat}/read", {"seq": seq}, expect=202)

        async def is_read():
            got = await bob.rest.get(f"/api/chats/{chat}", expect=200)
            return got.body["chat"]["mySeq"]["read"] >= seq

        await until(is_read, 30, "the read cursor")
        assert await counts(bob) == left

    # who left sees what was so then
    await alice.told(f"{MARK} late again", chat, beside={"mentions": [late.user_id]})
    await view_is_level(stack)
    await late.rest.call("DELETE", f"/api/chats/{chat}/members/{late.user_id}", expect=200)
    await alice.told(f"{MARK} behind his back", chat, beside={"mentions": [late.user_id]})
    assert await counts(late) == (2, 2)

    body = {"chatId": chat, "type": "text", "content": f"{MARK} too many"}
    for bad in ([bob.user_id] * 33, ["bob"], "bob", [None]):
        r = await alice.rest.call("POST", "/api/messages", {**body, "mentions": bad})
        assert (r.status, r.code) == (400, "bad_request") and "mentions" in r.body["error"]["message"], bad
    await alice.rest.post("/api/messages", {**body, "mentions": [bob.user_id] * 32}, expect=201)
    await alice.rest.post("/api/messages", {**body, "mentions": []}, expect=201)
    assert (await counts(bob))[1] == 1


@scenario()
async def test_a_forward_is_counted_by_its_senders_word_up_to_a_limit(stack, net):
    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    for before, shown in ((0, 1), (1, 2), (126, 127), (127, 127), ((1 << 53) - 1, 127)):
        out = await alice.told(f"{MARK} from {before}", chat, beside={"forwardedFrom": before})
        assert out.verdict["forwarded"] == shown
        assert (await bob.sees(out.content)).beside == {"forwarded": shown}
        body = {"chatId": chat, "type": "text", "content": f"{MARK} by REST", "forwardedFrom": before}
        assert (await alice.rest.post("/api/messages", body, expect=201)).body["message"]["forwarded"] == shown
    for bad in (-1, 1 << 53, "1", 1.5):
        r = await alice.rest.call("POST", "/api/messages", {**body, "forwardedFrom": bad})
        assert (r.status, r.code) == (400, "bad_request") and "forwardedFrom" in r.body["error"]["message"], bad
    plain = await alice.told(f"{MARK} plain", chat)
    assert "forwarded" not in plain.verdict and "mentions" not in plain.verdict and "replyTo" not in plain.verdict


@scenario()
async def test_a_gateway_says_what_it_can_do_and_which_frame_an_error_is_about(stack, net):
    _, alice = await net.user("alice")
    ws = await net.raw(alice.tokens, auto_ok=True)
    welcome = await ws.expect(lambda f: f["t"] == "welcome", "the welcome")
    assert ws.frames[0] == welcome
    await ws.ready()
    config = (await alice.rest.get("/api/config", expect=200)).body
    assert welcome["capabilities"] == config["capabilities"] and {"replies", "mentions", "forwards"} <= set(config["capabilities"])
    for name in ("contentBytes", "clientIdChars", "mentions"):
        assert welcome["limits"][name] == config["limits"][name]
    chat = str(uuid.uuid4())
    await ws.send({"t": "message.levitate", "clientId": "c-1", "chatId": chat})
    await ws.send({"t": "receipt", "chatId": chat, "clientId": "not one of ours"})
    await ws.send("{")
    await until(lambda: sum(f["t"] == "error" for f in ws.frames) == 3, 20, "three errors")
    unknown, receipt, broken = [f for f in ws.frames if f["t"] == "error"]
    assert (unknown["of"], unknown["clientId"], unknown["chatId"]) == ("message.levitate", "c-1", chat)
    assert (receipt["of"], receipt["chatId"]) == ("receipt", chat) and "clientId" not in receipt
    assert not {"of", "clientId", "chatId"} & set(broken)


@scenario()
async def test_history_pages_forward_from_the_beginning_and_a_listing_is_as_fresh_as_asked(stack, net):
    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    told = [await alice.told(f"{MARK} {i}", chat) for i in range(5)]
    await view_is_level(stack)
    ids, found, after = [out.id for out in told], [], 0
    while page := await history(alice, chat, after=after, limit=2):
        found += [m["id"] for m in page]
        after = page[-1]["seq"]
    assert found == ids
    assert [m["id"] for m in await history(alice, chat, limit=2)] == ids[-2:]
    assert [m["id"] for m in await history(alice, chat, after=0, before=told[3].seq, limit=2)] == ids[1:3]
    ws = await net.raw(bob.tokens, auto_ok=True)
    at = (await ws.ready())["at"]
    page = (await bob.rest.get("/api/sync", expect=200, cursor="latest", at_least=at)).body
    assert [c["lastMessage"]["id"] for c in page["chats"]] == ids[-1:] and page["messages"] == []
    more = await alice.told(f"{MARK} since", chat)
    await view_is_level(stack)
    assert [m["id"] for m in (await bob.rest.get("/api/sync", expect=200, cursor=page["cursor"])).body["messages"]] == [more.id]
