# SPDX-License-Identifier: MIT
"""What docs/protocol.md promises of accounts, errors, chats and catching up, each as a check of tests/conformance."""
from __future__ import annotations

import asyncio
import uuid

from client import until
from conform import Broken, Left, World, check, expect, status

NOBODY = "00000000-0000-4000-8000-000000000000"


async def soon(world: World, fn, what: str):
    """Until fn() is true, which may be asked of the view."""
    try:
        return await until(fn, world.wait_s, what)
    except AssertionError as late:
        raise Broken(str(late)) from None


# ---- accounts and errors


@check("a wrong code is 401 bad_code, and the challenge goes on", "Logging in")
async def codes(world: World) -> None:
    ana = world.people[0]
    begun = status(await world.rest.post("/api/login", {"phoneNumber": ana.phone}), 200).body
    wrong = "000000" if begun.get("devCode") != "000000" else "111111"
    body = {"challenge": begun["challenge"], "code": wrong, "platform": "other"}
    status(await world.rest.post("/api/verify", body), 401, "bad_code")
    if begun.get("devCode"):
        status(await world.rest.post("/api/verify", body | {"code": begun["devCode"]}), 200)


@check("known and unknown numbers get the same answer", "Logging in")
async def numbers(world: World) -> None:
    if world.config.get("codeDriver") != "log":
        raise Left("it would send a code to a stranger")
    unknown = f"+4915{uuid.uuid4().int % 10**9:09d}"
    known = status(await world.rest.post("/api/login", {"phoneNumber": world.people[1].phone}), 200).body
    other = status(await world.rest.post("/api/login", {"phoneNumber": unknown}), 200).body
    expect(known.keys() == other.keys() and known["retryAfter"] == other["retryAfter"], f"{sorted(known)} and {sorted(other)}")


@check("what needs a token is 401 unauthorized without one, and with a wrong one", "REST")
async def unauthorized(world: World) -> None:
    for token in (None, "wrong"):
        status(await world.rest.call("GET", "/api/me", token=token), 401, "unauthorized")


@check("what is not there is 404 not_found", "REST")
async def not_found(world: World) -> None:
    rest = world.people[0].rest
    for path in (f"/api/chats/{NOBODY}", f"/api/chats/{NOBODY}/messages", f"/api/users/{NOBODY}", f"/api/messages/{NOBODY}/receipts"):
        status(await rest.get(path), 404, "not_found")


@check("a body that is no JSON, or has a key twice, is 400 bad_request; a wrong method 405 with Allow", "REST")
async def bad_requests(world: World) -> None:
    token = world.people[0].tokens.access
    for body in (b"{", b'{"userId":"a","userId":"b"}', b'{"userId":"no id"}'):
        status(await world.raw("POST", "/api/chats", body, token), 400, "bad_request")
    wrong = status(await world.raw("PUT", "/api/me", b"{}", token), 405, "method_not_allowed")
    expect("GET" in wrong.headers.get("allow", ""), f"Allow is {wrong.headers.get('allow')}")


@check("members that a server does not know are ignored, in bodies and in frames", "REST")
async def unknown_members(world: World) -> None:
    ana, ben, socket, _ = await world.both()
    again = status(await ana.rest.post("/api/chats", {"userId": ben.user_id, "fromTheFuture": {"a": [1]}}), 200)
    expect(again.body["chat"]["chatId"] == world.chat_id, "another chat")
    client_id = await socket.message("with more", peer=ben.user_id, fromTheFuture=[{"a": 1}])
    await socket.get("own message", t="message", clientId=client_id)


# ---- chatting


@check("the id of a direct chat is the same both ways and every time", "Words")
async def direct(world: World) -> None:
    ana, ben = world.people
    for who, other in ((ana, ben), (ben, ana), (ana, ben)):
        chat = status(await who.rest.post("/api/chats", {"userId": other.user_id}), 200).body["chat"]
        expect((chat["chatId"], chat["kind"], chat["peer"]) == (world.chat_id, "direct", other.user_id), f"{chat}")


@check("a message is acknowledged with its id, and then told to both with the same id and seq", "WebSocket")
async def message(world: World) -> None:
    ana, ben, hers, his = await world.both()
    client_id = await hers.message("hello", peer=ben.user_id)
    ack = await hers.get("ack", t="ack", clientId=client_id)
    own = await hers.get("verdict", t="message", clientId=client_id)
    got = await his.get("message", t="message", id=ack["id"])
    for frame in (own, got):
        members = {name: frame.get(name) for name in ("id", "seq", "chatId", "from", "peer", "content", "type", "clientId")}
        wanted = {"id": ack["id"], "seq": own["seq"], "chatId": world.chat_id, "from": ana.user_id, "peer": ben.user_id, "content": "hello",
                  "type": "text", "clientId": client_id}
        expect(members == wanted, f"wanted {wanted}, got {members}")
    expect(0 < own["seq"] < 2**53, f"seq {own['seq']}")


@check("a place, a card and a preview come as they were sent, and what is none of these is refused", "REST")
async def contents(world: World) -> None:
    world.can("locations", "contacts", "previews")
    ana, ben, hers, his = await world.both()
    url = "https://example.org/a"
    for text, shown in (("", {"location": {"latitude": 52.5200085, "longitude": -0.1, "name": "here"}}),
                        ("", {"contact": {"name": "Cay", "numbers": ["+1 2"], "userId": NOBODY}}),
                        (f"see {url}", {"preview": {"url": url, "title": "A"}})):
        client_id = await hers.message(text, peer=ben.user_id, **shown)
        got = await his.get("message", t="message", clientId=client_id)
        expect(got["content"] == text and shown.items() <= got.items(), f"wanted {shown}, got {got}")
    body = {"chatId": world.chat_id, "content": url, "type": "text"}
    for bad in ({"location": {"latitude": 91, "longitude": 0}}, {"contact": {"name": "Cay", "numbers": []}}, {"preview": {"url": "https://example.com"}}):
        status(await ana.rest.post("/api/messages", {**body, **bad}), 400, "bad_request")


@check("a clientId sent again is the same message, by WebSocket and REST; with another content it is a conflict", "Words")
async def repeat(world: World) -> None:
    ana, ben, hers, his = await world.both()
    client_id = await hers.message("once", peer=ben.user_id)
    own = await hers.get("verdict", t="message", clientId=client_id)
    await hers.message("once", client_id, peer=ben.user_id)
    expect({f["id"] for f in hers.frames if f.get("clientId") == client_id and f["t"] == "ack"} == {own["id"]}, "acks with several ids")
    body = {"chatId": world.chat_id, "content": "once", "type": "text", "clientId": client_id}
    rest = await ana.rest.post("/api/messages", body)
    expect(rest.status in (200, 201), f"REST says {rest.status} {rest.body}")
    expect((rest.body["message"]["id"], rest.body["message"]["seq"]) == (own["id"], own["seq"]), f"REST has another: {rest.body}")
    await hers.message("twice", client_id, peer=ben.user_id)
    refusal = await hers.get("the second verdict", t="rejected", clientId=client_id)
    expect(refusal["code"] == "conflict", f"{refusal}")
    mark = await hers.message("after it", peer=ben.user_id)
    await his.get("the next message", t="message", clientId=mark)
    contents = {f["content"] for f in his.frames if f["t"] == "message" and f["id"] == own["id"]}
    seqs = {f["seq"] for s in (hers, his) for f in s.frames if f["t"] == "message" and f["id"] == own["id"]}
    expect((contents, seqs) == ({"once"}, {own["seq"]}), f"contents {contents}, seqs {seqs}")


@check("everybody sees the same order, by growing seqs", "Words")
async def order(world: World) -> None:
    ana, ben, hers, his = await world.both()
    sent = []
    for i in range(10):
        socket, peer = ((hers, ben), (his, ana))[i % 2]
        sent.append(await socket.message(f"line {i}", peer=peer.user_id))
    seen = []
    for socket in (hers, his):
        for client_id in sent:
            await socket.get("message", t="message", clientId=client_id)
        seqs = {f["clientId"]: f["seq"] for f in socket.frames if f["t"] == "message"}
        seen.append([seqs[client_id] for client_id in sent])
    expect(seen[0] == seen[1] and seen[0] == sorted(set(seen[0])), f"seqs {seen}")


@check("ticks: a receipt of what was delivered, and read, reaches the sender, and the list of receipts", "Ticks")
async def ticks(world: World) -> None:
    ana, ben, hers, his = await world.both()
    client_id = await hers.message("ticks", peer=ben.user_id)
    seq = (await his.get("message", t="message", clientId=client_id))["seq"]
    for kind in ("delivered", "read"):
        await his.send({"t": "receipt", "chatId": world.chat_id, "peer": ana.user_id, kind: seq})
        await soon(world, lambda: any(f["t"] == "status" and f["chatId"] == world.chat_id and f[kind] >= seq for f in hers.frames), f"tick {kind}")
    own = await hers.get("own message", t="message", clientId=client_id)
    body = status(await ana.rest.get(f"/api/messages/{own['id']}/receipts"), 200).body
    expect([row["userId"] for row in body["receipts"]] == [ben.user_id] and body["receipts"][0]["readAt"], f"{body}")


@check("a receipt of a seq that nobody has is told: receipt_rejected, bad_receipt", "WebSocket")
async def bad_receipt(world: World) -> None:
    ana, _, _, his = await world.both()
    await his.send({"t": "receipt", "chatId": world.chat_id, "peer": ana.user_id, "delivered": 2**53 - 1})
    refusal = await his.get("refusal", t="receipt_rejected", chatId=world.chat_id)
    expect(refusal["code"] == "bad_receipt", f"{refusal}")


@check("an edit, a reaction and a deletion are told to both; a deletion leaves no content", "Messages that change")
async def changes(world: World) -> None:
    world.can("edits", "deletions", "reactions")
    ana, ben, hers, his = await world.both()
    client_id = await hers.message("to be changed", peer=ben.user_id)
    own = await hers.get("verdict", t="message", clientId=client_id)
    where = {"messageClientId": client_id, "messageSeq": own["seq"]}
    await hers.send({"t": "message.edit", "clientId": str(uuid.uuid4()), "peer": ben.user_id, "content": "changed", **where})
    await his.send({"t": "message.react", "clientId": str(uuid.uuid4()), "peer": ana.user_id, "messageFrom": ana.user_id, "reaction": "👍", **where})
    for socket in (hers, his):
        edited = await socket.get("edit", t="edited", messageId=own["id"])
        expect((edited["content"], edited["messageSeq"], edited["by"]) == ("changed", own["seq"], ana.user_id), f"{edited}")
        await socket.get("reaction", t="reaction", messageId=own["id"], by=ben.user_id, reaction="👍")
    await hers.send({"t": "message.delete", "clientId": str(uuid.uuid4()), "peer": ben.user_id, **where})
    await his.get("deletion", t="deleted", messageId=own["id"])

    async def emptied():
        page = status(await ben.rest.get(f"/api/chats/{world.chat_id}/messages", before=own["seq"] + 1, limit=1), 200).body
        return page["messages"][0]["id"] == own["id"] and page["messages"][0].get("deleted") and not page["messages"][0]["content"]

    await soon(world, emptied, "a history without the content")


@check("a group is made once a clientId; who is removed is told, can send no more, and keeps what he had", "Groups")
async def group(world: World) -> None:
    ana, ben, hers, his = await world.both()
    body = {"name": "conformance", "members": [ben.user_id], "clientId": str(uuid.uuid4())}
    chat = status(await ana.rest.post("/api/chats", body), 201).body["chat"]["chatId"]
    expect(status(await ana.rest.post("/api/chats", body), 200).body["chat"]["chatId"] == chat, "the same clientId made another group")
    before = await hers.message("in the group", chatId=chat)
    await his.get("message of the group", t="message", clientId=before, chatId=chat)
    status(await ana.rest.call("DELETE", f"/api/chats/{chat}/members/{ben.user_id}"), 200)
    gone = await his.get("his removal", t="member", chatId=chat)
    expect(gone["changes"] == [{"userId": ben.user_id, "change": "remove"}], f"{gone}")
    after = await hers.message("without him", chatId=chat)
    await hers.get("own message", t="message", clientId=after)
    tried = await his.message("from outside", chatId=chat)
    expect((await his.get("verdict", t="rejected", clientId=tried))["code"] in ("not_found", "forbidden"), "another code")
    history = status(await ben.rest.get(f"/api/chats/{chat}/messages"), 200).body["messages"]
    expect([m["clientId"] for m in history] == [before], f"his history: {[m['content'] for m in history]}")
    expect(not his.count("message", clientId=after), "he was told what came after his removal")
    status(await ben.rest.get(f"/api/chats/{chat}"), 404, "not_found")
    roles = {row["chatId"]: row["role"] for row in status(await ben.rest.get("/api/chats"), 200).body["chats"]}
    expect(roles.get(chat) == "left", f"his list has the role {roles.get(chat)}")


@check("a link of a group lets in as many as may, says by whose link, and is 404 for all others; by one with approval one asks", "Links of a group")
async def links(world: World) -> None:
    ana, ben, hers, his = await world.both()
    chat = status(await ana.rest.post("/api/chats", {"name": "conformance", "members": []}), 201).body["chat"]["chatId"]
    path, asked = f"/api/chats/{chat}/invites", {"clientId": str(uuid.uuid4()), "uses": 1}
    link = status(await ana.rest.post(path, asked), 201).body["invite"]
    expect(status(await ana.rest.post(path, asked), 201).body["invite"] == link, "the same clientId made another link")
    place = f"/api/invites/{chat}/{link['secret']}"
    expect(status(await ben.rest.get(place), 200).body["invite"]["members"] == 1, "another number of members")
    status(await ben.rest.get(f"/api/invites/{chat}/{uuid.uuid4()}"), 404, "not_found")
    status(await ben.rest.post(place, {"clientId": "in"}), 200)
    came = await hers.get("who came", t="member", chatId=chat)
    expect((came["changes"], came.get("invitedBy")) == ([{"userId": ben.user_id, "change": "add"}], ana.user_id), f"{came}")
    await his.get("the group", t="chat", chatId=chat)
    status(await ben.rest.call("DELETE", f"/api/chats/{chat}/members/{ben.user_id}"), 200)
    status(await ben.rest.post(place, {"clientId": "again"}), 404, "not_found")
    link = status(await ana.rest.post(path, {"approval": True}), 201).body["invite"]
    status(await ben.rest.post(f"/api/invites/{chat}/{link['secret']}", {"clientId": "please"}), 202)
    expect((await hers.get("a request", t="request", chatId=chat))["userId"] == ben.user_id, "of somebody else")
    status(await ana.rest.call("PUT", f"/api/chats/{chat}/requests/{ben.user_id}"), 200)
    status(await ben.rest.get(f"/api/chats/{chat}"), 200)


# ---- catching up


async def pages(rest, cursor: str, **more) -> tuple[list[dict], str]:
    """All pages of a sync: messages, and the last cursor."""
    found = []
    for _ in range(1000):
        reply = await rest.get("/api/sync", cursor=cursor, **more)
        if reply.status == 503:
            await asyncio.sleep(float(reply.headers["retry-after"]))
            continue
        body = status(reply, 200).body
        found, cursor = found + body["messages"], body["cursor"]
        if not body["more"]:
            return found, cursor
    raise Broken("a sync does not come to its end in 1,000 pages")


@check("a sync from a cursor gives each message since then once, and the same again from the same cursor", "Catching up")
async def sync(world: World) -> None:
    ana, ben, hers, _ = await world.both()
    _, cursor = await pages(ben.rest, "latest")
    sent = [await hers.message(f"for the sync {i}", peer=ben.user_id) for i in range(5)]
    found: list[dict] = []

    async def all_there():
        found[:] = (await pages(ben.rest, cursor))[0]
        return len(found) >= len(sent)

    await soon(world, all_there, "five messages in the sync")
    expect([m["clientId"] for m in found if m["clientId"] in sent] == sent, f"wanted {sent}, got {[m['clientId'] for m in found]}")
    again, further = await pages(ben.rest, cursor)
    expect([m["id"] for m in again] == [m["id"] for m in found], "another answer from the same cursor")
    expect(not (await pages(ben.rest, further))[0], "messages again from the cursor that was given behind them")


@check("a cursor that no server gave is 400 bad_request", "Errors, and what to do")
async def bad_cursor(world: World) -> None:
    status(await world.people[0].rest.get("/api/sync", cursor="made up"), 400, "bad_request")


@check("history comes in pages, forward and backward, oldest first, with `more` until the last", "REST")
async def history(world: World) -> None:
    ana, ben, hers, _ = await world.both()
    body = {"name": "pages", "members": [ben.user_id], "clientId": str(uuid.uuid4())}
    chat = status(await ana.rest.post("/api/chats", body), 201).body["chat"]["chatId"]
    sent = [await hers.message(f"row {i}", chatId=chat) for i in range(7)]
    path = f"/api/chats/{chat}/messages"

    async def shown():
        return len(status(await ana.rest.get(path), 200).body["messages"]) == len(sent)

    await soon(world, shown, "seven messages in the history")
    for way in ("after", "before"):
        rows, at, more = [], {"after": 0} if way == "after" else {}, True
        while more:
            page = status(await ana.rest.get(path, limit=3, **at), 200).body
            expect(page["messages"] and len(page["messages"]) <= 3, f"a page of {len(page['messages'])} with a limit of 3")
            rows = rows + page["messages"] if way == "after" else page["messages"] + rows
            at, more = {way: page["messages"][-1 if way == "after" else 0]["seq"]}, page["more"]
        expect([m["clientId"] for m in rows] == sent, f"by `{way}`: {[m['content'] for m in rows]}")


@check("who was away has it all by a sync that is as fresh as `ready`, and goes on live; what had no ack is one message", "Catching up")
async def reconnect(world: World) -> None:
    ana, ben, hers, his = await world.both()
    _, cursor = await pages(ben.rest, "latest")
    session = (await his.get("ready", t="ready"))["session"]
    his.abort()
    missed = [await hers.message(f"missed {i}", peer=ben.user_id) for i in range(3)]
    unknown = str(uuid.uuid4())
    await hers.send({"t": "message.send", "clientId": unknown, "content": "unknown", "type": "text", "peer": ben.user_id})
    hers.abort()
    for socket in (hers, his):
        await socket.closed(world.wait_s)
    hers, his = await world.live(ana), await world.live(ben)
    await hers.message("unknown", unknown, peer=ben.user_id)
    live = await hers.message("live", peer=ben.user_id)
    await his.get("a live message", t="message", clientId=live)
    ready = await his.get("ready", t="ready")
    expect(ready["session"] != session, "the same session again")
    rows, _ = await pages(ben.rest, cursor, at_least=ready["at"])
    rows += [f for f in his.frames if f["t"] == "message"]  # what had no verdict yet when he came is told live
    place = {f["clientId"]: f["seq"] for f in rows}
    lacking = [client_id for client_id in missed if client_id not in place]
    expect(not lacking, f"{len(lacking)} of {len(missed)} messages are neither in the sync nor live")
    expect([place[client_id] for client_id in missed] == sorted(place[client_id] for client_id in missed), f"order {place}")
    place = {(f["id"], f["seq"]) for f in rows if f["clientId"] == unknown}
    expect(len(place) == 1, f"what was sent twice is {len(place)} messages")
