# SPDX-License-Identifier: MIT
"""What docs/protocol.md promises of sockets, tokens, limits and deadlines, each as a check of tests/conformance."""
from __future__ import annotations

import asyncio
import uuid

from conform import Broken, Left, Person, World, check, expect, status

NAMED = ("contentBytes mentions clientIdChars groupMembers nameChars messagesPerMinute messagesAtOnce messagesInFlight receiptsPerMinute "
         "receiptsAtOnce requestsPerMinute requestsAtOnce sockets").split()
BURST_MOST = 30  # messages that a limit is tried with
DEADLINE_S = 25  # for a close that is promised after 10 s


@check("/api/config names the WebSocket, capabilities and limits, without a token", "REST")
async def config(world: World) -> None:
    told = world.config
    expect(told["wsUrl"].startswith(("ws://", "wss://")) and isinstance(told["capabilities"], list), f"{told}")
    wrong = [name for name in NAMED if not isinstance(told["limits"].get(name), int) or told["limits"][name] < 1]
    expect(not wrong, f"limits without a number: {wrong}")


@check("the first frames of a socket are `welcome`, with what the gateway can do, and `ready` as number 1", "WebSocket")
async def welcome(world: World) -> None:
    socket = await world.open(world.people[0].tokens)
    await socket.get("ready", t="ready")
    expect([f["t"] for f in socket.frames[:2]] == ["welcome", "ready"] and socket.frames[1]["n"] == 1, f"{socket.frames[:2]}")
    expect(socket.frames[0]["limits"]["contentBytes"] == world.config["limits"]["contentBytes"], "another contentBytes than /api/config")
    await socket.close()


@check("a socket whose first frame is no `auth`, or has a wrong token, closes with 4401", "WebSocket")
async def first_frame(world: World) -> None:
    for frame in ({"t": "ping"}, {"t": "auth", "token": "wrong"}):
        socket = await world.open(None)
        await socket.send(frame)
        await socket.ends(4401)


@check("a frame that is not understood is answered by `error`, or `nack` where it had a clientId, and the socket stays open", "Times, limits, and what answers")
async def not_understood(world: World) -> None:
    socket = await world.live(world.people[0])
    await socket.send({"t": "receipt", "delivered": "one"})
    told = await socket.get("error", t="error", of="receipt")
    expect(told["code"] == "bad_request", f"{told}")
    client_id = str(uuid.uuid4())
    await socket.send({"t": "message.send", "clientId": client_id, "type": "text", "content": 5, "peer": world.people[1].user_id})
    told = await socket.get("nack", t="nack", clientId=client_id)
    expect((told["code"], told["retryAfter"]) == ("bad_request", 0), f"{told}")
    await socket.alive()


@check("binary closes with 1003, a frame above frameBytes with 1009, an `ok` of a frame never sent with 4400", "WebSocket")
async def closes(world: World) -> None:
    most = (await (await world.live(world.people[0])).get("welcome", t="welcome"))["limits"]["frameBytes"]
    for said, code in ((b"binary", 1003), ('"' + "x" * most + '"', 1009), ({"t": "ok", "n": 1000}, 4400)):
        socket = await world.open(world.people[0].tokens)
        await socket.get("ready", t="ready")
        await socket.send(said)
        await socket.ends(code)


@check("a content of contentBytes is taken, one byte more is refused for good: nack, 413", "Errors, and what to do")
async def content_bytes(world: World) -> None:
    ana, ben, hers, his = await world.both()
    most = world.config["limits"]["contentBytes"]
    client_id = await hers.message("x" * most, peer=ben.user_id)
    got = await his.get("the longest message", t="message", clientId=client_id)
    expect(len(got["content"]) == most, f"{len(got['content'])} of {most} bytes came")
    client_id = str(uuid.uuid4())
    await hers.send({"t": "message.send", "clientId": client_id, "type": "text", "content": "x" * (most + 1), "peer": ben.user_id})
    told = await hers.get("nack", t="nack", clientId=client_id)
    expect((told["code"], told["retryAfter"]) == ("too_large", 0), f"{told}")
    status(await ana.rest.post("/api/messages", {"chatId": world.chat_id, "content": "x" * (most + 1), "type": "text"}), 413, "too_large")


@check("a clientId of clientIdChars is taken, a longer one is refused", "Words")
async def client_id_chars(world: World) -> None:
    _, ben, hers, _ = await world.both()
    most = world.config["limits"]["clientIdChars"]
    longest = uuid.uuid4().hex.ljust(most, "i")[:most]
    await hers.message("long clientId", longest, peer=ben.user_id)
    before = len(hers.frames)
    await hers.send({"t": "message.send", "clientId": longest + "i", "type": "text", "content": "too long", "peer": ben.user_id})
    await hers.alive()
    told = [f for f in hers.frames[before:] if f["t"] in ("error", "nack")]
    expect(told and told[0]["code"] == "bad_request", f"{hers.frames[before:]}")


@check("who keeps to messagesAtOnce and messagesInFlight is told no slow_down, also by another socket", "Times, limits, and what answers")
async def at_once(world: World) -> None:
    limits = world.config["limits"]
    n = min(limits["messagesAtOnce"], limits["messagesInFlight"], BURST_MOST)
    ana, ben, hers, his = await world.both()
    await asyncio.sleep(min(2.0, 60 * n / limits["messagesPerMinute"]))  # what earlier checks took comes back meanwhile
    sent = [str(uuid.uuid4()) for _ in range(n)]
    for i, client_id in enumerate(sent):
        await his.send({"t": "message.send", "clientId": client_id, "type": "text", "content": f"burst {i}", "peer": ana.user_id})
    for client_id in sent:
        await hers.get("message of the burst", t="message", clientId=client_id)
    told = [f for f in his.frames if f["t"] == "nack" and f["clientId"] in sent and f["code"] == "slow_down"]
    expect(not told, f"{len(told)} of {n} were refused")


@check("who goes beyond messagesAtOnce is told slow_down with a time, after which it is taken", "Times, limits, and what answers")
async def slow_down(world: World) -> None:
    limits = world.config["limits"]
    n = limits["messagesAtOnce"] + 10
    if n > 200 or limits["messagesPerMinute"] > 6000:
        raise Left(f"messagesAtOnce is {limits['messagesAtOnce']}: too many to try")
    _, ben, hers, his = await world.both()
    sent = [str(uuid.uuid4()) for _ in range(n)]
    for i, client_id in enumerate(sent):
        await hers.send({"t": "message.send", "clientId": client_id, "type": "text", "content": f"flood {i}", "peer": ben.user_id})
    told = await hers.get("nack", t="nack", code="slow_down")
    expect(told["retryAfter"] > 0, f"{told}")
    await asyncio.sleep(told["retryAfter"] / 1000)
    await hers.message(f"flood {sent.index(told['clientId'])}", told["clientId"], peer=ben.user_id)
    await his.get("what was refused at first", t="message", clientId=told["clientId"])


@check("a refresh gives a new pair, with which an open socket goes on; a refresh token that was used ends its device", "Logging in")
async def refresh(world: World) -> None:
    ben = world.people[1]
    tokens = await world.sign_in(ben.phone, None, "refresh") if world.config.get("codeDriver") == "log" else None
    if not tokens:
        raise Left("it would want another code")
    socket = await world.open(tokens)
    await socket.get("ready", t="ready")
    fresh = status(await world.rest.post("/api/token/refresh", {"refreshToken": tokens.refresh}), 200).body
    expect(fresh["refreshToken"] != tokens.refresh and fresh["expiresAt"] > 0, "the same refresh token again")
    await socket.send({"t": "auth", "token": fresh["accessToken"]})
    await socket.alive()
    status(await world.rest.call("GET", "/api/me", token=fresh["accessToken"]), 200)
    status(await world.rest.post("/api/token/refresh", {"refreshToken": tokens.refresh}), 401)
    await socket.ends(4401)
    status(await world.rest.call("GET", "/api/me", token=fresh["accessToken"]), 401, "unauthorized")


@check("a log-out ends the device: its socket closes with 4401, its tokens stop working", "Logging in")
async def logout(world: World) -> None:
    if world.config.get("codeDriver") != "log":
        raise Left("it would want another code")
    tokens = await world.sign_in(world.people[0].phone, None, "logout")
    person = Person("Ana", "", tokens, world.caller(tokens.access))
    socket = await world.open(tokens)
    await socket.get("ready", t="ready")
    status(await person.rest.post("/api/logout", {}), 200)
    await socket.ends(4401)
    status(await person.rest.get("/api/me"), 401, "unauthorized")
    status(await world.rest.post("/api/token/refresh", {"refreshToken": tokens.refresh}), 401)


@check("a socket without a first frame closes with 4401 after about 10 s", "WebSocket", waits=True)
async def silent(world: World) -> None:
    await (await world.open(None)).ends(4401, DEADLINE_S)


@check("a socket without `ok` closes with 4408 after about 10 s, and what it had comes by a sync", "WebSocket", waits=True)
async def without_ok(world: World) -> None:
    socket = await world.open(world.people[0].tokens, auto_ok=False)
    await socket.get("ready", t="ready")
    await socket.ends(4408, DEADLINE_S)


@check("all frames that came are as docs/frames.schema.json has them, and numbered without a gap", "WebSocket")
async def frames(world: World) -> None:
    _, ben, hers, his = await world.both()
    client_id = await hers.message("the last one", peer=ben.user_id)
    for socket in (hers, his):
        await socket.get("message", t="message", clientId=client_id)
    found = world.misformed()
    if found:
        raise Broken("; ".join(found[:3]))
