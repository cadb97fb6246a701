# SPDX-License-Identifier: MIT
"""What docs/protocol.md promises of polls, pins, marks, groups, search, devices and accounts, each as a check of tests/conformance."""
from __future__ import annotations

import asyncio
import random
import uuid

import aiohttp
from conform import Left, Person, Socket, World, check, expect, status
from conform_checks import pages, soon

DAY_S = 86400


async def asked_group(world: World, *others: Person) -> str:
    body = {"name": "conformance", "members": [other.user_id for other in others], "clientId": str(uuid.uuid4())}
    return status(await world.people[0].rest.post("/api/chats", body), 201).body["chat"]["chatId"]


async def said(person: Person, chat: str, content: str, **more) -> dict:
    """A message that the view has."""
    return status(await person.rest.post("/api/messages", {"chatId": chat, "content": content, "type": "text", **more}), 201).body["message"]


async def shown(person: Person, message: dict) -> dict:
    """The message as the history has it for this person."""
    path = f"/api/chats/{message['chatId']}/messages"
    rows = status(await person.rest.get(path, before=message["seq"] + 1, limit=1), 200).body["messages"]
    expect(rows and rows[0]["id"] == message["id"], f"the history has {rows} at the place of {message['id']}")
    return rows[0]


def place(message: dict, what: str) -> str:
    return f"/api/chats/{message['chatId']}/messages/{message['id']}/{what}"


async def does(person: Person, method: str, path: str, body: dict | None = None, wanted: int = 200, code: str | None = None) -> dict:
    return status(await person.rest.call(method, path, body), wanted, code).body


async def stranger(world: World, name: str) -> Person:
    """A third one, with an account of his own."""
    if world.config.get("codeDriver") != "log":
        raise Left("it would want a third number")
    phone = f"+4915{random.randrange(10**9):09d}"
    tokens = await world.sign_in(phone, name)
    return Person(name, phone, tokens, world.caller(tokens.access))


async def code_of(world: World, phone: str) -> dict:
    begun = status(await world.rest.post("/api/login", {"phoneNumber": phone}), 200).body
    return {"challenge": begun["challenge"], "code": begun["devCode"]}


# ---- what a message may have


@check("places, cards, voices and previews end at their bounds: what is at one is taken, what is beyond it is 400", "REST")
async def content_bounds(world: World) -> None:
    world.can("locations", "contacts", "voices", "previews")
    ana, url = world.people[0], "https://example.org/"
    at, card, longest = {"latitude": -90, "longitude": 180}, {"name": "x" * 100, "numbers": ["1"] * 5}, url + "x" * (2048 - len(url))
    taken = [{"location": at | {"accuracy": 100_000, "name": "x" * 100, "address": "x" * 256}}, {"contact": card},
             {"preview": {"url": longest, "title": "x" * 200, "description": "x" * 300}, "content": longest}]
    refused = [{"location": at | wrong} for wrong in ({"longitude": 180.1}, {"accuracy": 100_001}, {"name": "x" * 101}, {"address": "x" * 257}, {"name": "a\nb"})]
    refused += [{"contact": card | wrong} for wrong in ({"numbers": ["1"] * 6}, {"name": "x" * 101}, {"numbers": ["1" * 65]}, {"userId": "nobody"})]
    refused += [{"preview": {"url": url} | wrong, "content": url} for wrong in ({"title": "x" * 201}, {"description": "x" * 301}, {"url": "ftp://example.org"})]
    refused += [{"voice": {"durationMs": 1000, "waveform": "A" * 86 + "=="}}, {"location": at, "contact": card}]
    for body in taken:
        got = await said(ana, world.chat_id, **({"content": ""} | body))
        expect(all(got.get(name) == value for name, value in body.items()), f"wanted {str(body)[:200]}, got {str(got)[:300]}")
    for body in refused:
        status(await ana.rest.post("/api/messages", {"chatId": world.chat_id, "content": "", "type": "text"} | body), 400, "bad_request")


@check("a poll: the last vote of each counts, whose it was is told by /votes alone, and behind its end none counts: 409 poll_closed", "Polls")
async def polls(world: World) -> None:
    world.can("polls")
    ana, ben, hers, his = await world.both()
    chat = await asked_group(world, ben)
    await his.get("the group", t="chat", chatId=chat)
    client_id = (await said(ana, chat, "which?", poll={"options": ["red", "green"]}))["clientId"]
    got = await his.get("the poll", t="message", clientId=client_id)
    expect(got["poll"] == {"options": ["red", "green"], "choices": 1, "anonymous": False}, f"{got['poll']}")
    for options in ([0], [1]):
        await his.send({"t": "poll.vote", "clientId": f"{client_id[:30]}-{options}", "chatId": chat, "messageFrom": ana.user_id, "messageClientId": client_id,
                        "messageSeq": got["seq"], "options": options})
        await his.get("his own vote", t="vote", messageId=got["id"], options=options)
    other = await hers.get("that there was a vote", t="vote", messageId=got["id"])
    expect(not {"options", "clientId", "by"} & other.keys(), f"she is told who, or what: {other}")

    async def counted():
        return (await does(ana, "GET", place(got, "poll")))["poll"].get("counts") == [0, 1]

    await soon(world, counted, "one vote for the second option")
    votes = (await does(ana, "GET", place(got, "votes")))["votes"]
    expect([(v["userId"], v["options"]) for v in votes] == [(ben.user_id, [1])], f"{votes}")
    await does(ben, "PUT", place(got, "vote"), {"options": [0, 1]}, 400, "bad_request")
    await does(ben, "PUT", place(got, "vote"), {"options": [2]}, 400, "bad_request")
    await does(ben, "PUT", place(got, "close"), wanted=403, code="forbidden")
    await does(ana, "PUT", place(got, "close"))
    await his.get("its end", t="poll_closed", messageId=got["id"])
    await does(ben, "PUT", place(got, "vote"), {"options": [0]}, 409, "poll_closed")
    expect((await shown(ben, got))["poll"]["mine"]["options"] == [1], "what he chose is another")


@check("an anonymous poll tells nobody who chose what; its options and closesIn have bounds: 400", "Polls")
async def anonymous_polls(world: World) -> None:
    world.can("polls")
    ana, ben = world.people
    options = ["red", "green"]
    poll = await said(ana, world.chat_id, "secretly?", poll={"options": options, "anonymous": True, "choices": 2})
    expect((await does(ben, "PUT", place(poll, "vote"), {"options": [0, 1]}))["poll"]["mine"]["options"] == [0, 1], "not what he chose")
    for who, wanted in ((ana, []), (ben, [ben.user_id])):
        told = await does(who, "GET", place(poll, "votes"))
        expect([v["userId"] for v in told["votes"]] == wanted and told["poll"]["counts"] == [1, 1], f"{who.name} is told {told}")
    expect("mine" not in (await does(ben, "DELETE", place(poll, "vote")))["poll"] or not (await shown(ben, poll))["poll"]["mine"]["options"], "his vote stays")
    for wrong in ({"options": ["one"]}, {"options": [str(i) for i in range(13)]}, {"options": ["a", "a"]}, {"options": ["a", "x" * 101]}, {"choices": 3}, {"closesIn": 0}):
        body = {"chatId": world.chat_id, "content": "wrong?", "type": "text", "poll": {"options": options} | wrong}
        status(await ana.rest.post("/api/messages", body), 400, "bad_request")


# ---- pins, stars, marks


@check("of four pins the newest three stand, for everybody, and a sync has them with the chat", "Pins and stars")
async def pins(world: World) -> None:
    world.can("pins")
    ana, ben, hers, his = await world.both()
    chat = await asked_group(world, ben)
    _, cursor = await pages(ben.rest, "latest")
    sent = [await said(ana, chat, f"to pin {i}") for i in range(4)]
    for message in sent:
        await does(ana, "PUT", place(message, "pin"))
        told = await his.get("the pin", t="pinned", messageId=message["id"], pinned=True)
        expect((told["messageSeq"], told["by"]) == (message["seq"], ana.user_id), f"{told}")
    await does(ben, "PUT", place(sent[0], "pin"), wanted=403, code="forbidden")

    async def three():
        rows = status(await ben.rest.get("/api/sync", cursor=cursor), 200).body["chats"]
        return [[pin["messageId"] for pin in row.get("pins", ())] for row in rows if row["chatId"] == chat] == [[m["id"] for m in sent[1:]]]

    await soon(world, three, "a sync with the newest three pins")
    await does(ana, "DELETE", place(sent[3], "pin"))
    await his.get("that it is not pinned any more", t="pinned", messageId=sent[3]["id"], pinned=False)

    async def two():
        row = status(await ana.rest.get(f"/api/chats/{chat}"), 200).body["chat"]
        return [pin["messageId"] for pin in row.get("pins", ())] == [m["id"] for m in sent[1:3]]

    await soon(world, two, "two pins, and not the first one again")


@check("a star is one's own: told to one's devices, listed, in a sync, and taken back; nobody else sees it", "Pins and stars")
async def stars(world: World) -> None:
    world.can("stars")
    ana, ben, _, his = await world.both()
    message = await said(ana, world.chat_id, "to star")
    _, cursor = await pages(ben.rest, "latest")
    await does(ben, "PUT", place(message, "star"))
    await his.get("the star", t="starred", messageId=message["id"], starred=True)

    async def told():
        rows = status(await ben.rest.get("/api/sync", cursor=cursor), 200).body["messages"]
        return any(row["id"] == message["id"] and row.get("starred") for row in rows)

    await soon(world, told, "a sync with the starred message")
    listed = (await does(ben, "GET", "/api/starred"))["messages"]
    expect(listed and listed[0]["id"] == message["id"], f"the list begins with {listed[:1]}")
    expect(not (await shown(ana, message)).get("starred"), "his star is told to the sender")
    await does(ben, "DELETE", place(message, "star"))
    expect(not (await shown(ben, message)).get("starred"), "the star stays")


@check("marks of a chat are one's own, with one order: by PATCH, by the frame, and in a sync; archived and pinned end each other", "Your list of chats")
async def marks(world: World) -> None:
    world.can("marks", "drafts")
    ana, ben, _, his = await world.both()
    chat = await asked_group(world, ben)
    await said(ana, chat, "for the list")
    _, cursor = await pages(ben.rest, "latest")
    path, seq = f"/api/chats/{chat}/marks", 0
    for asked, wanted in (({"archived": True}, {"archived"}), ({"pinned": True}, {"pinnedSeq"}), ({"markedUnread": True, "draft": "begun"}, {"pinnedSeq", "markedUnread", "draft"}),
                          ({"pinned": False, "markedUnread": False}, {"draft"})):
        has = (await does(ben, "PATCH", path, asked))["marks"]
        expect(has["seq"] > seq and {"archived", "pinnedSeq", "markedUnread", "draft"} & has.keys() == wanted, f"after {asked}: {has}")
        seq = has["seq"]
        frame = await his.get("the mark", t="marked", chatId=chat, seq=seq)
        expect(asked.items() <= frame.items(), f"asked for {asked}, told {frame}")

    async def told():
        rows = status(await ben.rest.get("/api/sync", cursor=cursor), 200).body["marks"]
        return [row["marks"]["seq"] for row in rows if row["chatId"] == chat] == [seq]

    await soon(world, told, "a sync with the marks")
    expect("marks" not in (await does(ana, "GET", f"/api/chats/{chat}"))["chat"], "his marks are told to others")
    await does(ben, "PUT", f"/api/chats/{chat}/mute", {"until": 253402300799999})
    await his.get("the mute", t="marked", chatId=chat, mutedUntil=253402300799999)


# ---- groups


@check("who may do what in a group is decided at its place: `send` taken from members is rejected forbidden, 403, and given back", "Groups")
async def rights(world: World) -> None:
    world.can("rights", "descriptions")
    ana, ben, hers, his = await world.both()
    chat = await asked_group(world, ben)
    path = f"/api/chats/{chat}"
    expect((await does(ben, "GET", path))["chat"]["rights"] == {"send": "everyone", "info": "admins", "add": "admins"}, "other rights than those unless set")
    for method, route, body in (("PUT", "/rights", {"send": "admins"}), ("PATCH", "", {"name": "his"}), ("PUT", "/description", {"description": "his"}),
                                ("POST", "/members", {"add": [ana.user_id]}), ("POST", "/invites", {}), ("DELETE", f"/members/{ana.user_id}", None)):
        await does(ben, method, path + route, body, 403, "forbidden")
    await does(ana, "PUT", f"{path}/rights", {"send": "admins", "info": "everyone"})
    told = await his.get("the rights", t="rights", chatId=chat)
    expect((told["send"], told["info"], told["add"]) == ("admins", "everyone", "admins"), f"{told}")
    tried = await his.message("may I?", chatId=chat)
    expect((await his.get("verdict", t="rejected", clientId=tried))["code"] == "forbidden", "another code")
    await does(ben, "POST", "/api/messages", {"chatId": chat, "content": "may I?", "type": "text"}, 403, "forbidden")
    await does(ben, "PUT", f"{path}/description", {"description": "of both"})
    await hers.get("the description", t="description", chatId=chat, description="of both", by=ben.user_id)
    await does(ana, "PUT", f"{path}/members/{ben.user_id}", {"role": "admin"})
    await his.get("his role", t="member", chatId=chat, changes=[{"userId": ben.user_id, "change": "promote"}])
    await hers.get("what an admin may", t="message", clientId=await his.message("I may", chatId=chat))


@check("an owner who leaves has an heir, told in the same frame; what happened is told again by lines, as the frames were", "Lines")
async def heirs(world: World) -> None:
    world.can("lines")
    ana, ben, hers, his = await world.both()
    chat = await asked_group(world, ben)
    began = await his.get("the group", t="chat", chatId=chat)
    await does(ana, "DELETE", f"/api/chats/{chat}/members/{ana.user_id}")
    left = await his.get("who left, and who owns it", t="member", chatId=chat)
    changes = [{"userId": ana.user_id, "change": "remove"}, {"userId": ben.user_id, "change": "make_owner"}]
    expect(sorted(left["changes"], key=str) == sorted(changes, key=str), f"{left['changes']}")

    async def level():
        return (await does(ben, "GET", f"/api/chats/{chat}"))["chat"]["lineSeq"] >= left["seq"]

    await soon(world, level, "the line of who left")
    lines = (await does(ben, "GET", f"/api/chats/{chat}/lines"))["lines"]
    wanted = [{name: value for name, value in frame.items() if name != "n"} for frame in (began, left)]
    expect([line for line in lines if line["seq"] in (began["seq"], left["seq"])] == wanted, f"wanted {wanted}, got {lines}")


@check("a link of a group ends by its time, and by revocation: 404; who asks is let in or refused, or takes it back", "Links of a group")
async def invites(world: World) -> None:
    world.can("invites")
    ana, ben, hers, his = await world.both()
    chat = await asked_group(world)
    path = f"/api/chats/{chat}/invites"
    brief = status(await ana.rest.post(path, {"seconds": 1}), 201).body["invite"]
    expect(brief["expiresAt"] and not brief["approval"] and brief["by"] == ana.user_id, f"{brief}")
    once = status(await ana.rest.post(path, {"uses": 1}), 201).body["invite"]
    await does(ana, "DELETE", f"{path}/{once['id']}")
    for link in (brief, once):
        async def over(link=link):
            return (await ben.rest.get(f"/api/invites/{chat}/{link['secret']}")).status == 404

        await soon(world, over, "404 of a link that is over")
        await does(ben, "POST", f"/api/invites/{chat}/{link['secret']}", {"clientId": str(uuid.uuid4())}, 404, "not_found")
    link = status(await ana.rest.post(path, {"approval": True}), 201).body["invite"]
    for end in ("refused", "taken back"):
        await does(ben, "POST", f"/api/invites/{chat}/{link['secret']}", {"clientId": str(uuid.uuid4())}, 202)

        async def open_now():
            return [row["userId"] for row in (await does(ana, "GET", f"/api/chats/{chat}/requests"))["requests"]] == [ben.user_id]

        await soon(world, open_now, "his request")
        who = ana if end == "refused" else ben
        await does(who, "DELETE", f"/api/chats/{chat}/requests/{ben.user_id}")
        await his.get(f"that it is {end}", t="request", chatId=chat, open=False, by=who.user_id)
        await hers.get(f"that it is {end}", t="request", chatId=chat, open=False, by=who.user_id)
    await does(ben, "GET", f"/api/chats/{chat}", wanted=404)
    await does(ben, "PUT", f"/api/chats/{chat}/requests/{ben.user_id}", wanted=404)


# ---- finding, who has it, files


@check("a message says of each member whether it reached him and was read, and since when; to its sender alone", "Who has it")
async def info(world: World) -> None:
    ana, ben, hers, his = await world.both()
    chat = await asked_group(world, ben)
    message = await said(ana, chat, "who has it?")
    await his.get("message", t="message", id=message["id"])
    await does(ben, "POST", f"/api/chats/{chat}/read", {"seq": message["seq"]}, 202)

    async def read():
        rows = (await does(ana, "GET", f"/api/messages/{message['id']}/receipts"))["receipts"]
        expect([row["userId"] for row in rows] == [ben.user_id], f"{rows}")
        return rows[0]["delivered"] is True and rows[0]["read"] is True and message["sentAt"] <= rows[0]["deliveredAt"] <= rows[0]["readAt"]

    await soon(world, read, "that he has read it, and since when")
    await does(ben, "GET", f"/api/messages/{message['id']}/receipts", wanted=404, code="not_found")


@check("search finds words, phrases and beginnings, whatever their case and accents, in what one may read, and nothing that is deleted", "Search")
async def search(world: World) -> None:
    world.can("search")
    ana, ben, _, _ = await world.both()
    word = f"z{uuid.uuid4().hex[:12]}"
    chat = await asked_group(world)
    message = await said(ana, chat, f"Árbol {word} grande")

    async def found(person: Person, q: str, **more) -> list[str]:
        return [m["id"] for m in status(await person.rest.get("/api/search", q=q, **more), 200).body["messages"]]

    async def hers():
        return await found(ana, word) == [message["id"]]

    await soon(world, hers, f"{word} in what she may read")
    for q, more, wanted in ((f"arbol {word.upper()}", {}, True), (f'"{word} grande"', {}, True), (f'"grande {word}"', {}, False), (f"{word[:9]}*", {"in": chat}, True),
                            (word, {"in": world.chat_id}, False), (word, {"from": ben.user_id}, False), (word, {"kind": "image"}, False)):
        expect((await found(ana, q, **more) == [message["id"]]) is wanted, f"{q} with {more} is {'not ' if wanted else ''}found")
    expect(not await found(ben, word), "somebody else finds it")
    status(await ana.rest.get("/api/search"), 400, "bad_request")
    await does(ana, "DELETE", f"/api/chats/{chat}/messages/{message['id']}")

    async def gone():
        return not await found(ana, word)

    await soon(world, gone, "nothing of what is deleted")


@check("the files of a chat are listed, newest first, by kind; not those of a message that is deleted", "REST")
async def shared(world: World) -> None:
    if "partBytes" not in world.config["limits"]:
        raise Left("the server takes no files")
    ana, ben = world.people
    chat, data = await asked_group(world, ben), b"a page of nothing much"
    begun = status(await ana.rest.post("/api/media", {"chatId": chat, "type": "document", "size": len(data), "name": "page.txt"}), 201).body
    headers = {"Authorization": f"Bearer {ana.tokens.access}", "Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    async with aiohttp.ClientSession() as session, session.patch(f"{world.url}/api/media/{begun['media']['id']}/upload", data=data, headers=headers) as answer:
        expect(answer.status == 204, f"a piece is answered by {answer.status} {await answer.text()}")
    media = status(await ana.rest.post(f"/api/media/{begun['media']['id']}/complete", {}), 200).body["media"]["id"]
    message = await said(ana, chat, "", type="document", mediaId=media)
    for kind, wanted in (({}, [message["id"]]), ({"kind": "document"}, [message["id"]]), ({"kind": "image"}, [])):
        page = status(await ben.rest.get(f"/api/chats/{chat}/media", **kind), 200).body
        expect([m["id"] for m in page["messages"]] == wanted and not page["more"], f"{kind}: {page}")
    await does(ana, "DELETE", f"/api/chats/{chat}/messages/{message['id']}")

    async def none():
        return not status(await ben.rest.get(f"/api/chats/{chat}/media"), 200).body["messages"]

    await soon(world, none, "no file of a deleted message")


@check("a timer gives messages that come after it an end; what one deletes for oneself is gone for oneself alone", "Messages that do not stay")
async def not_staying(world: World) -> None:
    world.can("timers", "hiding")
    ana, ben, _, his = await world.both()
    chat = await asked_group(world, ben)
    await does(ana, "PUT", f"/api/chats/{chat}/timer", {"seconds": DAY_S})
    await his.get("the timer", t="timer", chatId=chat, seconds=DAY_S)
    message = await said(ana, chat, "for a day")
    expect(abs(message["expiresAt"] - message["sentAt"] - DAY_S * 1000) < 60_000, f"sent at {message['sentAt']}, it ends at {message['expiresAt']}")
    await does(ana, "PUT", f"/api/chats/{chat}/timer", {"seconds": 5}, 400, "bad_request")
    await does(ben, "POST", f"/api/chats/{chat}/hidden", {"messages": [message["id"]]})
    await his.get("what he hid", t="hidden", chatId=chat, messages=[{"id": message["id"], "seq": message["seq"]}])
    his_row = await shown(ben, message)
    expect((his_row.get("gone"), his_row["content"]) == ("hidden", ""), f"{his_row}")
    expect((await shown(ana, message))["content"] == "for a day", "it is gone for others")


@check("who looks at a chat, by a ticket of his session, is told who types; without a look a signal is not taken", "Typing")
async def typing(world: World) -> None:
    world.can("typing")
    ana, ben, hers, his = await world.both()

    async def looks(person: Person, socket: Socket):
        session = [f for f in socket.frames if f["t"] == "ready"][-1]["session"]
        ticket = status(await person.rest.post(f"/api/chats/{world.chat_id}/ticket", {"session": session}), 200).body["ticket"]
        before = socket.count("looking")
        await socket.send({"t": "look", "ticket": ticket})
        await socket.alive()
        return socket.count("looking") > before

    await his.send({"t": "signal", "chatId": world.chat_id, "state": "typing"})
    told = await his.get("that he does not look", t="error", of="signal")
    expect(told["code"] == "not_looking", f"{told}")
    for person, socket in ((ana, hers), (ben, his)):
        await soon(world, lambda person=person, socket=socket: looks(person, socket), "a look that is taken")

    async def seen():
        await his.send({"t": "signal", "chatId": world.chat_id, "state": "typing"})
        await asyncio.sleep(0.5)
        return hers.count("typing", chatId=world.chat_id, userId=ben.user_id, state="typing")

    await soon(world, seen, "that he types")
    expect(not his.count("typing", userId=ben.user_id), "his own signal is told to him")


# ---- devices and accounts


@check("a device that is let in by another has an account without a number: one claim, 401 bad_code then and after a refusal", "Logging in")
async def device_link(world: World) -> None:
    world.can("links")
    ana = world.people[0]
    for approved in (False, True):
        link = status(await world.rest.post("/api/links", {"platform": "web", "label": "linked"}), 200).body
        claim = {"secret": link["secret"]}
        waiting = status(await world.rest.post("/api/links/claim", claim), 202).body
        expect(waiting["retryAfter"] >= 0 and link["code"] != link["secret"], f"{waiting}")
        await does(ana, "POST", "/api/links/answer", {"code": link["code"], "approve": True}, 409, "conflict")
        asked = (await does(ana, "POST", "/api/links/look", {"code": link["code"]}))["link"]
        expect((asked["platform"], asked["label"]) == ("web", "linked"), f"{asked}")
        await does(ana, "POST", "/api/links/answer", {"code": link["code"], "approve": approved})
        if approved:
            made = status(await world.rest.post("/api/links/claim", claim), 200).body
        status(await world.rest.post("/api/links/claim", claim), 401, "bad_code")
    expect(made["userId"] == ana.user_id and made["deviceId"] != ana.tokens.device_id, f"a device of {made['userId']}")
    socket = Socket(world.config["wsUrl"], True)
    world.sockets.append(socket)
    socket.wait_s = world.wait_s
    await socket.open(made["accessToken"])
    await socket.get("ready", t="ready")
    await does(ana, "DELETE", f"/api/devices/{made['deviceId']}")
    await socket.ends(4401)
    listed = (await does(ana, "GET", "/api/devices"))["devices"]
    expect(made["deviceId"] not in [d["deviceId"] for d in listed] and sum(d["current"] for d in listed) == 1, f"{listed}")


@check("a number goes to another account by two codes; an account that ends takes tokens, sockets and name with it, and leaves its groups", "Logging in")
async def account_end(world: World) -> None:
    ana, cay = world.people[0], await stranger(world, "Cay")
    socket = await world.open(cay.tokens)
    await socket.get("ready", t="ready")
    hers = await world.live(ana)
    chat = await asked_group(world, cay)
    direct = status(await cay.rest.post("/api/chats", {"userId": ana.user_id}), 200).body["chat"]["chatId"]
    await said(cay, direct, "before the end")
    fresh, number = f"+4915{random.randrange(10**9):09d}", "/api/me/number"

    async def proofs(new: str) -> dict:
        old = await code_of(world, cay.phone)
        return await code_of(world, new) | {"oldChallenge": old["challenge"], "oldCode": old["code"]}

    await does(cay, "PUT", number, await proofs(ana.phone), 409, "number_taken")
    expect((await does(cay, "PUT", number, await proofs(fresh)))["phoneNumber"] == fresh, "another number")
    code = await code_of(world, fresh)
    wrong = "000000" if code["code"] != "000000" else "111111"
    await does(cay, "DELETE", "/api/me", code | {"code": wrong}, 401, "bad_code")
    await does(cay, "DELETE", "/api/me", code)
    await socket.ends(4401)
    await does(cay, "GET", "/api/me", wanted=401, code="unauthorized")
    status(await world.rest.post("/api/token/refresh", {"refreshToken": cay.tokens.refresh}), 401)
    await hers.get("that the account ended", t="account_deleted", chatId=direct, by=cay.user_id, peer=ana.user_id)
    left = await hers.get("that it has left", t="member", chatId=chat)
    expect({"userId": cay.user_id, "change": "remove"} in left["changes"], f"{left}")

    async def empty():
        rows = (await does(ana, "GET", f"/api/users/{cay.user_id}"))["user"], (await does(ana, "GET", f"/api/chats/{direct}"))["chat"]
        return all(row.get("deleted") is True and not row["name"] for row in rows)

    await soon(world, empty, "an empty name, and `deleted`, of the user and the direct chat")
    await does(ana, "POST", "/api/messages", {"chatId": direct, "content": "still there?", "type": "text"}, 404, "not_found")
