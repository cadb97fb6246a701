# SPDX-License-Identifier: MIT
"""Who may do what: every route and every frame, asked by everybody. Their tables (tests/lib/routes.py) are held against those of the executable.

T12 what is not yours is not there · T13 files · T14 who sends is who the token says (test_input.py) · T15 roles · T16 receipts · T17 who left.
"""
import asyncio
import base64
import json
import subprocess
import uuid

import aiohttp
from client import MARK, scenario, until
from files import Files, png
from look import rows, view_is_level
from routes import FRAMES, ROLES, TABLE, Row, fill, is_in
CHANGES = ("message", "edited", "deleted", "reaction", "pinned", "vote", "poll_closed")


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
            self.after = await owner.told(f"{MARK} without ex", group, beside={"poll": {"options": ["yes", "no"]}})
            await self.show(owner, group, media[1])
            for m in media:
                await asyncio.to_thread(files.found, m)
            picture = await asyncio.to_thread(files.send, None, png(seed=73))
            await owner.rest.call("PATCH", "/api/me", {"picture": picture}, expect=200)
            await asyncio.to_thread(files.found, picture)
            upload = (await asyncio.to_thread(files.create, group, b"1234567890", "document")).json()["media"]["id"]
        finally:
            files.close()
        await owner.told(f"{MARK} between two", peer=self.who["member"].user_id)
        await view_is_level(stack)
        self.names = {"group": group, "direct": self.direct, "message": said.id, "message_client": said.client_id, "after": self.after.id,
                      "after_client": self.after.client_id, "seq": said.seq, "media": media[0], "later": media[1], "picture": picture,
                      "upload": upload, "owner_device": owner.tokens.device_id, "spare_device": self.who["spare"].tokens.device_id,
                      "owner_user": owner.user_id, "extra": self.extra.user_id, "missing": str(uuid.uuid4())}
        return self

    async def show(self, device, group, media):
        await device.rest.post("/api/messages", {"chatId": group, "type": "image", "content": "", "mediaId": media}, expect=201)

    async def ask(self, row: Row, role: str, token: str | None, missing: bool = False):
        """(status, error without its id) of the request as that role makes it."""
        names = {**self.names, "mark": MARK, "role": role, "phone": self.net.phone()}
        if missing:
            names[row.target] = str(uuid.uuid4())
        names["group64"] = base64.b64encode(names["group"].encode()).decode()
        headers = {k: fill(v, names) for k, v in row.headers.items()}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
            async with session.request(row.method, self.net.rest_url + fill(row.path, names), headers=headers, allow_redirects=False,
                                       json=None if row.body is None else fill(row.body, names), data=row.raw) as r:
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
    assert len(routes) > 30 and {(r.method, r.route) for r in TABLE} == set(routes), "each route has a row in tests/lib/routes.py, each row is a route"
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
        found.append((await w.who[role].rest.post("/api/users/lookup", {"userIds": [w.names["owner_user"]]}, expect=200)).body)
        texts[role] = json.dumps(found)
    for secret in ("group", "direct", "message", "media", "later", "picture", "owner_user", "owner_device"):
        assert str(w.names[secret]) not in texts["stranger"], secret
    for secret in (w.after.id, w.names["later"], w.direct, w.names["owner_device"]):
        assert secret not in texts["ex"], secret
    shown = (await w.who["ex"].rest.get(f"/api/chats/{w.names['group']}/messages", expect=200)).body["messages"]
    assert [m["id"] for m in shown][0] == w.names["message"] and len(shown) == 2

    # a log-out ends the device that asks: the spare one is gone by now, the other one goes, the owner's stays
    r = await w.who["other"].rest.post("/api/logout", None)
    assert r.status == 200
    assert (await w.who["other"].rest.get("/api/me")).status == 401 and (await w.who["spare"].rest.get("/api/me")).status == 401
    late = await w.net.users[0].device()
    await w.who["owner"].rest.call("DELETE", "/api/devices", expect=200)
    assert (await late.rest.get("/api/me")).status == 401
    for role in ("owner", "member", "admin", "ex", "stranger"):
        assert (await w.who[role].rest.get("/api/me")).status == 200, role


@scenario(180)
async def test_t12_t14_t16_rights_of_every_frame(stack, net):
    assert {line[0] for line in printed(stack, "frames")} == set(FRAMES), "each frame has a row in tests/lib/routes.py, each row is a frame"
    w = await World().make(stack, net)
    group, message = w.names["group"], w.names["message"]
    given = {}  # role → a ticket: of its own session who is in the group, of a member's who is not

    def frame(kind: str, role: str) -> dict:
        names = {**w.names, "mark": MARK, "role": role, "token": w.who[role].tokens.access, "after_seq": w.after.seq, "ticket": given.get(role, "none")}
        return {"t": kind, **fill(FRAMES[kind][1], names)}

    # without a token nothing is answered: the socket is closed, whatever comes first
    for kind in FRAMES:
        for token in ("x.y.z", w.who["ended"].tokens.access) if kind == "auth" else (None,):
            ws = await net.raw(None)
            await ws.send({"t": "auth", "token": token} if kind == "auth" else frame(kind, "owner"))
            assert await ws.closed() == 4401 and [f["t"] for f in ws.frames] in ([], ["welcome"]), (kind, ws.frames)
    for role in ROLES:
        ws = await net.raw(w.who[role].tokens, auto_ok=False)
        session = (await ws.ready())["session"]
        asks = w.who[role if is_in(role) else "member"]
        given[role] = (await asks.rest.post(f"/api/chats/{group}/ticket", {"session": session}, expect=200)).body["ticket"]
        for kind, (answers, _) in FRAMES.items():
            n = len(ws.frames)
            asked = frame(kind, role)
            await ws.send(asked)
            await ws.send({"t": "ping"})
            code = {"rejected": "not_found", "forbidden": "forbidden"}.get(answers[role])
            if code or answers[role] in CHANGES:
                verdict = await ws.expect(lambda f: f["t"] in (*CHANGES, "rejected") and f.get("clientId") == asked["clientId"],
                                          f"{role}'s verdict")
                assert verdict["t"] == ("rejected" if code else answers[role]), (role, kind, verdict)
                if code:
                    assert verdict["code"] == code and set(verdict) == {"n", "t", "clientId", "id", "chatId", "code"}
                elif kind != "poll.vote":  # which comes to its voter alone
                    assert verdict["from" if kind == "message.send" else "by"] == w.who[role].user_id  # T14
            await until(lambda: any(f["t"] == "pong" for f in ws.frames[n:]), 20, "pong")
            wanted = [answers[role]] * (answers[role] in ("error", "looking"))
            assert [f["t"] for f in ws.frames[n:] if f["t"] in ("error", "nack", "looking")] == wanted, (role, kind, ws.frames)
            assert all(f["code"] == {"look": "bad_ticket", "signal": "not_looking"}[kind] for f in ws.frames[n:] if f["t"] == "error")
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
