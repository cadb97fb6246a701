# SPDX-License-Identifier: MIT
"""Who may do what: every route and every frame, asked by everybody. The tables here are held against those of the executable.

T12 what is not yours is not there · T13 files · T14 who sends is who the token says (test_input.py) · T15 roles · T16 receipts · T17 who left.
"""
import asyncio
import base64
import json
import re
import subprocess
import uuid

import aiohttp
from client import MARK, scenario
from files import Files, png
from look import rows, view_is_level

# In this order, so that what is allowed comes after what is refused. `other` is another device of the owner's.
ROLES = ("stranger", "ex", "member", "admin", "other", "owner")
TUS = {"Tus-Resumable": "1.0.0"}
IN_FUTURE = 4102444800000


def is_in(role: str) -> bool:
    return role not in ("stranger", "ex")


def each(*statuses: int) -> dict[str, int]:
    """One for all roles, one for those outside and one for those in the group, or one for each."""
    if len(statuses) == 1:
        statuses *= len(ROLES)
    if len(statuses) == 2:
        statuses = (statuses[0],) * 2 + (statuses[1],) * 4
    return dict(zip(ROLES, statuses, strict=True))


class Row:
    """`path` and `body` have names of the world in braces. `target` names what is put in its place by an id that nothing has:
    where a role gets 404, it gets exactly the same for that."""

    def __init__(self, method, route, path, expect, body=None, target=None, headers=None, raw=None):
        self.method, self.route, self.path, self.expect = method, route, path, expect
        self.body, self.target, self.headers, self.raw = body, target, headers or {}, raw


def of_group(method, rest, expect, body=None):
    return Row(method, "/api/chats/{}" + re.sub(r"\{\w+\}", "{}", rest), "/api/chats/{group}" + rest, expect, body, "group")


TABLE = [
    # anybody, and a token changes nothing
    Row("POST", "/api/register", "/api/register", each(200), {"name": "New", "phoneNumber": "{phone}"}),
    Row("POST", "/api/login", "/api/login", each(200), {"phoneNumber": "{phone}"}),
    Row("POST", "/api/verify", "/api/verify", each(401), {"challenge": "{missing}", "code": "000000"}),
    Row("POST", "/api/token/refresh", "/api/token/refresh", each(401), {"refreshToken": "q1Zb0r0p2m4VdJtQm0b6m1eQv9yq7m3hXk2cW8nYF5s"}),
    Row("GET", "/api/config", "/api/config", each(200)),
    # one's own
    Row("GET", "/api/me", "/api/me", each(200)),
    Row("PATCH", "/api/me", "/api/me", each(200), {"name": "{role}"}),
    Row("GET", "/api/chats", "/api/chats", each(200)),
    Row("GET", "/api/sync", "/api/sync", each(200)),
    Row("GET", "/api/devices", "/api/devices", each(200)),
    Row("POST", "/api/contacts/lookup", "/api/contacts/lookup", each(200), {"phoneNumbers": ["{phone}"]}),
    Row("POST", "/api/chats", "/api/chats", each(200), {"userId": "{extra}"}),
    # devices: the owner's spare one may be ended by the owner's, and nobody else can tell that it is there
    Row("PUT", "/api/devices/{}/push", "/api/devices/{owner_device}/push", each(403, 403, 403, 403, 403, 200),
        {"kind": "fcm_token", "token": "rights-token"}),
    Row("DELETE", "/api/devices/{}/push", "/api/devices/{owner_device}/push", each(403, 403, 403, 403, 403, 200)),
    Row("DELETE", "/api/devices/{}", "/api/devices/{spare_device}", each(404, 404, 404, 404, 200, 404), target="spare_device"),
    # a group: T12, T15
    of_group("GET", "", each(404, 200)),
    of_group("PATCH", "", each(404, 404, 403, 200, 200, 200), {"name": "by {role}"}),
    of_group("POST", "/members", each(404, 404, 403, 200, 200, 200), {"add": ["{extra}"]}),
    of_group("PUT", "/members/{extra}", each(404, 404, 403, 403, 200, 200), {"role": "admin"}),
    of_group("DELETE", "/members/{owner_user}", each(404, 404, 403, 403, 0, 0)),
    of_group("PUT", "/members/{owner_user}", each(404, 404, 403, 403, 0, 0), {"role": "member"}),
    of_group("DELETE", "/members/{extra}", each(404, 404, 403, 200, 404, 404)),
    of_group("GET", "/messages", each(404, 200, 200, 200, 200, 200)),
    of_group("POST", "/read", each(404, 202), {"seq": "{seq}"}),
    of_group("PUT", "/mute", each(404, 200), {"until": IN_FUTURE}),
    of_group("DELETE", "/mute", each(404, 200)),
    Row("POST", "/api/messages", "/api/messages", each(404, 201), {"chatId": "{group}", "type": "text", "content": MARK + " {role}"}, "group"),
    Row("GET", "/api/messages/{}/receipts", "/api/messages/{message}/receipts", each(404, 404, 404, 404, 200, 200), target="message"),
    # a direct chat of owner and member, to which admin and ex are as much strangers as the stranger
    Row("GET", "/api/chats/{}", "/api/chats/{direct}", each(404, 404, 200, 404, 200, 200), target="direct"),
    Row("GET", "/api/chats/{}/messages", "/api/chats/{direct}/messages", each(404, 404, 200, 404, 200, 200), target="direct"),
    Row("POST", "/api/chats/{}/read", "/api/chats/{direct}/read", each(404, 404, 202, 404, 202, 202), {"seq": 1}, "direct"),
    Row("POST", "/api/messages", "/api/messages", each(404, 404, 201, 404, 201, 201),
        {"chatId": "{direct}", "type": "text", "content": MARK + " direct {role}"}, "direct"),
    Row("PATCH", "/api/chats/{}", "/api/chats/{direct}", each(404, 404, 400, 404, 400, 400), {"name": "no"}, "direct"),
    # files: T13. `media` was shown while `ex` was in the group, `later` after that, `upload` is the owner's and not complete
    Row("POST", "/api/media", "/api/media", each(404, 201), {"chatId": "{group}", "type": "image", "size": 10}, "group"),
    Row("POST", "/api/media/uploads", "/api/media/uploads", each(404, 201), target="group",
        headers={**TUS, "Upload-Length": "10", "Upload-Metadata": "chatId {group64},type aW1hZ2U="}),
    Row("HEAD", "/api/media/{}/upload", "/api/media/{upload}/upload", each(404, 404, 404, 404, 200, 200), target="upload", headers=TUS),
    Row("PATCH", "/api/media/{}/upload", "/api/media/{upload}/upload", each(404, 404, 404, 404, 204, 409), target="upload", raw=b"12345",
        headers={**TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}),
    Row("POST", "/api/media/{}/complete", "/api/media/{upload}/complete", each(404, 404, 404, 404, 409, 409), target="upload"),
    Row("DELETE", "/api/media/{}/upload", "/api/media/{upload}/upload", each(404, 404, 404, 404, 204, 404), target="upload", headers=TUS),
    *(Row(method, "/api/media/{}" + rest, "/api/media/{" + which + "}" + rest, each(404, first, 200, 200, 200, 200), target=which)
      for which, first in (("media", 200), ("later", 404))
      for method, rest in (("GET", "/link"), ("GET", ""), ("HEAD", ""), ("GET", "/thumbnail"), ("HEAD", "/thumbnail"))),
    # at last: each ends the device that asks, and no other (see below)
    Row("POST", "/api/logout", "/api/logout", each(0)),
]


class World:
    """The people, their group, and what is in it."""

    async def make(self, stack, net):
        self.net = net
        names = ("owner", "admin", "member", "ex", "stranger", "extra")
        by = dict(zip(names, await net.people(*names)))
        owner_user = net.users[0]
        self.extra = by.pop("extra")
        self.who = {**by, "other": await owner_user.device(), "spare": await owner_user.device(), "ended": await owner_user.device()}
        await self.who["ended"].rest.post("/api/logout", None, expect=200)
        owner, ex = self.who["owner"], self.who["ex"]
        group = await net.group(owner, self.who["admin"], self.who["member"], ex, name="Ayllu")
        self.direct = await net.direct(owner, self.who["member"])
        await owner.rest.call("PUT", f"/api/chats/{group}/members/{self.who['admin'].user_id}", {"role": "admin"}, expect=200)
        files = Files(net.rest_url, owner.tokens.access)
        try:
            media = [await asyncio.to_thread(files.send, group, png(seed=seed)) for seed in (71, 72)]
            said = await owner.told(f"{MARK} for all", group)
            await self.show(owner, group, media[0])
            await owner.rest.call("DELETE", f"/api/chats/{group}/members/{ex.user_id}", expect=200)
            self.after = await owner.told(f"{MARK} without ex", group)
            await self.show(owner, group, media[1])
            for m in media:
                await asyncio.to_thread(files.found, m)
            upload = (await asyncio.to_thread(files.create, group, b"1234567890", "document")).json()["media"]["id"]
        finally:
            files.close()
        await owner.told(f"{MARK} between two", peer=self.who["member"].user_id)
        await view_is_level(stack)
        self.names = {"group": group, "direct": self.direct, "message": said.id, "seq": said.seq, "media": media[0], "later": media[1],
                      "upload": upload, "owner_device": owner.tokens.device_id, "spare_device": self.who["spare"].tokens.device_id,
                      "owner_user": owner.user_id, "extra": self.extra.user_id, "missing": str(uuid.uuid4())}
        return self

    async def show(self, device, group, media):
        await device.rest.post("/api/messages", {"chatId": group, "type": "image", "content": "", "mediaId": media}, expect=201)

    def fill(self, value, names):
        if isinstance(value, dict):
            return {k: self.fill(v, names) for k, v in value.items()}
        if isinstance(value, list):
            return [self.fill(v, names) for v in value]
        if not isinstance(value, str):
            return value
        whole = re.fullmatch(r"\{(\w+)\}", value)
        return names[whole[1]] if whole else re.sub(r"\{(\w+)\}", lambda m: str(names[m[1]]), value)

    async def ask(self, row: Row, role: str, token: str | None, missing: bool = False):
        """(status, error without its id) of the request as that role makes it."""
        names = {**self.names, "role": role, "phone": self.net.phone()}
        if missing:
            names[row.target] = str(uuid.uuid4())
        names["group64"] = base64.b64encode(names["group"].encode()).decode()
        headers = {k: self.fill(v, names) for k, v in row.headers.items()}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
            async with session.request(row.method, self.net.rest_url + self.fill(row.path, names), headers=headers, allow_redirects=False,
                                       json=None if row.body is None else self.fill(row.body, names), data=row.raw) as r:
                text = await r.read()
        error = {}
        if r.status >= 400 and row.method != "HEAD":
            error = json.loads(text)["error"]
            assert error.pop("requestId")
        return r.status, error


def printed(stack, what: str) -> list[list[str]]:
    out = subprocess.run([stack.build / "chasqui", "admin", "print", what], capture_output=True, text=True, check=True)
    return [line.split("\t") for line in out.stdout.splitlines()]


@scenario(240)
async def test_t12_t13_t15_t17_rights_of_every_route(stack, net):
    w = await World().make(stack, net)
    routes = {(method, pattern): who for method, pattern, who, *_ in printed(stack, "routes")}
    assert len(routes) > 30 and {(r.method, r.route) for r in TABLE} == set(routes), "each route has a row here, each row is a route"
    wrong = []

    async def want(row, role, token, status, what="", missing=False):
        got = await w.ask(row, role, token, missing)
        if got[0] != status:
            wrong.append(f"{row.method} {row.path} as {role}{what}: {got}, not {status}")
        return got

    for row in TABLE:
        if routes[row.method, row.route] != "anybody":
            nobody = await want(row, "nobody", None, 401)
            for what, token in (("ended", w.who["ended"].tokens.access), ("nobody", "x.y.z"), ("nobody", w.who["owner"].tokens.access[:-4] + "AAAA")):
                await want(row, what, token, 401)
            if row.target and nobody != await w.ask(row, "nobody", None, True):
                wrong.append(f"{row.method} {row.path} tells nobody whether it is there")
        for role, status in row.expect.items():
            if not status:
                continue
            got = await want(row, role, w.who[role].tokens.access, status)
            if status == 404 and row.target and got[0] == 404:
                nowhere = await w.ask(row, role, w.who[role].tokens.access, True)
                if nowhere != got:
                    wrong.append(f"{row.method} {row.path} as {role}: {got} where it is, {nowhere} where nothing is")
    assert not wrong, "\n".join(wrong)

    # nothing of the group has come into what is a stranger's own, and to who left nothing of later (T17)
    texts = {}
    for role in ("stranger", "ex"):
        found = [(await w.who[role].rest.get(path, expect=200)).body for path in ("/api/chats", "/api/sync", "/api/devices", "/api/me")]
        texts[role] = json.dumps(found)
    for secret in ("group", "direct", "message", "media", "later", "owner_user", "owner_device"):
        assert str(w.names[secret]) not in texts["stranger"], secret
    for secret in (w.after.id, w.names["later"], w.direct, w.names["owner_device"]):
        assert secret not in texts["ex"], secret
    shown = (await w.who["ex"].rest.get(f"/api/chats/{w.names['group']}/messages", expect=200)).body["messages"]
    assert [m["id"] for m in shown][0] == w.names["message"] and len(shown) == 2

    # a log-out ends the device that asks: the spare one is gone by now, the other one goes, the owner's stays
    r = await w.who["other"].rest.post("/api/logout", None)
    assert r.status == 200
    assert (await w.who["other"].rest.get("/api/me")).status == 401 and (await w.who["spare"].rest.get("/api/me")).status == 401
    for role in ("owner", "member", "admin", "ex", "stranger"):
        assert (await w.who[role].rest.get("/api/me")).status == 200, role


# A frame → what each role sees of it. "closed": by the server; "silence": no answer and no effect.
FRAMES = {
    "auth": each("ready"), "ping": each("pong"), "ok": each("silence"),
    "message.send": {role: "message" if is_in(role) else "rejected" for role in ROLES},
    "receipt": each("silence"),
}


@scenario(180)
async def test_t12_t14_t16_rights_of_every_frame(stack, net):
    assert {line[0] for line in printed(stack, "frames")} == set(FRAMES), "each frame has a row here, each row is a frame"
    w = await World().make(stack, net)
    group, message = w.names["group"], w.names["message"]
    frames = {
        "auth": lambda role: {"t": "auth", "token": w.who[role].tokens.access},
        "ping": lambda role: {"t": "ping"},
        "ok": lambda role: {"t": "ok", "n": 1},
        "message.send": lambda role: {"t": "message.send", "clientId": f"by-{role}", "chatId": group, "content": f"{MARK} {role}", "type": "text",
                                      "from": w.names["owner_user"]},
        "receipt": lambda role: {"t": "receipt", "chatId": group, "delivered": w.after.seq, "read": w.after.seq},
    }

    # without a token nothing is answered: the socket is closed, whatever comes first
    for kind, make in frames.items():
        for token in ("x.y.z", w.who["ended"].tokens.access) if kind == "auth" else (None,):
            ws = await net.raw(None)
            await ws.send({"t": "auth", "token": token} if kind == "auth" else make("owner"))
            assert await ws.closed() == 4401 and not ws.frames, (kind, ws.frames)
    for role in ROLES:
        ws = await net.raw(w.who[role].tokens, auto_ok=False)
        await ws.ready()
        for kind, answers in FRAMES.items():
            n = len(ws.frames)
            await ws.send(frames[kind](role))
            await ws.send({"t": "ping"})
            if answers[role] in ("message", "rejected"):
                verdict = await ws.expect(lambda f: f["t"] in ("message", "rejected") and f.get("clientId") == f"by-{role}", f"{role}'s verdict")
                assert verdict["t"] == answers[role], (role, verdict)
                if verdict["t"] == "rejected":
                    assert verdict["code"] == "not_found" and set(verdict) == {"n", "t", "clientId", "id", "chatId", "code"}
                else:
                    assert verdict["from"] == w.who[role].user_id  # T14
            await ws.expect(lambda f: f["t"] == "pong" and ws.frames.index(f) >= 0 and len(ws.frames) > n, "pong")
            assert not [f for f in ws.frames if f["t"] in ("error", "nack")], (role, kind, ws.frames)
        # the token of somebody else's device ends the socket, as does an ok for what never came
        ws2 = await net.raw(w.who[role].tokens)
        await ws2.ready()
        await ws2.send({"t": "auth", "token": w.who["member" if role != "member" else "owner"].tokens.access})
        assert await ws2.closed() == 4401, role
        ws3 = await net.raw(w.who[role].tokens)
        await ws3.ready()
        await ws3.send({"t": "ok", "n": 10**9})
        assert await ws3.closed() == 4400, role
        await ws.close()
    # a direct chat by its id and another's name: not for who is neither of the two
    ws = await net.raw(w.who["stranger"].tokens)
    await ws.ready()
    await ws.send({"t": "message.send", "clientId": "forged", "chatId": w.direct, "peer": w.who["member"].user_id, "content": f"{MARK} forged", "type": "text"})
    refused = await ws.expect(lambda f: f["t"] in ("nack", "ack"), "a refusal")
    assert (refused["t"], refused["code"]) == ("nack", "bad_request")
    await ws.send({"t": "receipt", "chatId": w.direct, "peer": w.who["member"].user_id, "read": 1})
    assert (await ws.expect(lambda f: f["t"] == "error", "an error"))["code"] == "bad_request"

    # receipts counted for whom the message was for, and for nobody else: not the stranger, not who had left, not the sender himself (T16)
    await w.who["member"].told(f"{MARK} marker", group)
    await view_is_level(stack)
    read = {r["user_id"]: r["read"] for r in await rows(stack, "SELECT user_id::text, read FROM view.cursors WHERE chat_id = %s", group)}
    assert w.who["stranger"].user_id not in read and read.get(w.who["ex"].user_id, 0) < w.after.seq
    while read.get(w.who["member"].user_id, 0) < w.after.seq or read.get(w.who["admin"].user_id, 0) < w.after.seq:
        await asyncio.sleep(0.05)
        read = {r["user_id"]: r["read"] for r in await rows(stack, "SELECT user_id::text, read FROM view.cursors WHERE chat_id = %s", group)}
    receipts = (await w.who["owner"].rest.get(f"/api/messages/{message}/receipts", expect=200)).body["receipts"]
    assert {r["userId"] for r in receipts} == {w.who[x].user_id for x in ("admin", "member", "ex")}
    receipts = (await w.who["owner"].rest.get(f"/api/messages/{w.after.id}/receipts", expect=200)).body["receipts"]
    assert {r["userId"] for r in receipts if r["readAt"]} == {w.who[x].user_id for x in ("admin", "member")}


@scenario()
async def test_t16_what_one_says_of_his_own_messages_ticks_nothing(stack, net):
    alice, bob = await net.people("alice", "bob", auto_delivered=False)
    out = await alice.told(f"{MARK} mine", peer=bob.user_id)
    await view_is_level(stack)
    await alice.rest.post(f"/api/chats/{out.chat_id}/read", {"seq": out.seq}, expect=202)
    ws = await net.raw(alice.tokens)
    await ws.ready()
    await ws.send({"t": "receipt", "chatId": out.chat_id, "peer": bob.user_id, "delivered": out.seq, "read": out.seq})
    await ws.send({"t": "ping"})
    await ws.expect(lambda f: f["t"] == "pong", "pong")
    await bob.rest.post("/api/messages", {"chatId": out.chat_id, "content": f"{MARK} marker", "type": "text"}, expect=201)
    await view_is_level(stack)
    chat = (await alice.rest.get(f"/api/chats/{out.chat_id}", expect=200)).body["chat"]
    assert chat["read"] < out.seq and chat["delivered"] < out.seq
    shown = (await alice.rest.get(f"/api/chats/{out.chat_id}/messages", expect=200)).body["messages"][0]
    assert shown["id"] == out.id and shown["deliveredAt"] is None and shown["seenAt"] is None
    assert (await bob.rest.get(f"/api/messages/{out.id}/receipts")).status == 404


@scenario()
async def test_t15_a_group_is_never_without_an_owner(stack, net):
    alice, bob, carol = await net.people("alice", "bob", "carol")
    group = await net.group(alice, bob, carol)
    await alice.rest.call("PUT", f"/api/chats/{group}/members/{bob.user_id}", {"role": "admin"}, expect=200)

    async def roles(asker):
        members = (await asker.rest.get(f"/api/chats/{group}", expect=200)).body["chat"]["members"]
        return {m["userId"]: m["role"] for m in members}

    r = await alice.rest.call("PUT", f"/api/chats/{group}/members/{alice.user_id}", {"role": "member"})
    assert r.status in (400, 403), r
    assert (await roles(alice))[alice.user_id] == "owner"
    assert (await alice.rest.call("PUT", f"/api/chats/{group}/members/{bob.user_id}", {"role": "owner"})).status == 400
    await alice.rest.call("DELETE", f"/api/chats/{group}/members/{alice.user_id}", expect=200)
    await view_is_level(stack)
    left = await roles(bob)
    assert sorted(left.values()) in (["member", "owner"], ["admin", "owner"]) and left[bob.user_id] == "owner", left
    await bob.rest.call("DELETE", f"/api/chats/{group}/members/{bob.user_id}", expect=200)
    await view_is_level(stack)
    assert await roles(carol) == {carol.user_id: "owner"}
