# SPDX-License-Identifier: MIT
"""What clients write: JSON that is none (T21), members and types that nobody asked for (T22), names and content (T24)."""
import json

import aiohttp
from client import MARK, scenario

ID = "3f0c6a52-7d1e-4b8a-9c55-0e2f4d6b8a10"

# T21: name → the text. Where a frame is meant, {} is its beginning, so that all else in it is fine.
BAD_JSON = {
    "depth 17": b'{"t":"ping","x":' + b"[" * 16 + b"]" * 16 + b"}",
    "a key twice": b'{"t":"ping","t":"ping"}',
    "a key twice, deep in": b'{"t":"ping","x":[{"a":1,"a":2}]}',
    "NUL in a string": b'{"t":"ping","x":"a\\u0000b"}',
    "NUL in a key": b'{"t":"ping","a\\u0000b":1}',
    "a raw NUL": b'{"t":"ping","x":"a\0b"}',
    "a lone high surrogate": b'{"t":"ping","x":"\\ud800"}',
    "a lone low surrogate": b'{"t":"ping","x":"\\udc00"}',
    "1e999": b'{"t":"ping","x":1e999}',
    "10^20": b'{"t":"ping","x":100000000000000000000}',
    "a leading zero": b'{"t":"ping","x":08}',
    "bytes after the end": b'{"t":"ping"}{}',
    "a comma too many": b'{"t":"ping",}',
    "single quotes": b"{'t':'ping'}",
    "a control character in a string": b'{"t":"ping","x":"a\nb"}',
    "no value": b"   ",
    "a bare word": b"ping",
    "a bare number": b"17",
    "NaN": b'{"t":"ping","x":NaN}',
    "half": b'{"t":"pi',
}


async def post_raw(net, device, method: str, path: str, raw: bytes) -> tuple[int, dict]:
    async with aiohttp.ClientSession() as session:
        async with session.request(method, net.rest_url + path, data=raw, headers={"Authorization": f"Bearer {device.tokens.access}"}) as r:
            text = await r.read()
            return r.status, json.loads(text) if text else {}


@scenario()
async def test_t21_rest_refuses_what_is_no_json(stack, net):
    _, d = await net.user("ana")
    for what, raw in BAD_JSON.items():
        for method, path in (("PATCH", "/api/me"), ("POST", "/api/messages"), ("GET", "/api/me")):
            status, body = await post_raw(net, d, method, path, raw)
            assert status == 400 and body["error"]["code"] == "bad_request", (what, method, path, status, body)
    status, body = await post_raw(net, d, "PATCH", "/api/me", b"")
    assert status == 400 and body["error"]["code"] == "bad_request"
    # a key of 1 MB: more than a body may have; the answer may come before all of it was sent
    try:
        status, body = await post_raw(net, d, "PATCH", "/api/me", b'{"' + b"k" * 2**20 + b'":1}')
        assert status == 413 and body["error"]["code"] == "too_large"
    except aiohttp.ClientError:
        pass
    # a key that just fits is only an unknown one
    status, body = await post_raw(net, d, "PATCH", "/api/me", b'{"' + b"k" * 65000 + b'":1,"name":"Ana"}')
    assert status == 200 and body["name"] == "Ana"


@scenario()
async def test_t21_a_socket_refuses_what_is_no_json(stack, net):
    _, d = await net.user("ana")
    frames = {**BAD_JSON, "an ok with a leading zero": b'{"t":"ok","n":08}', "an ok with two zeros": b'{"t":"ok","n":00}',
              "a frame that is a list": b'[{"t":"ping"}]'}
    for what, raw in frames.items():  # a socket each: one that says nothing good is closed after a while
        ws = await net.raw(d.tokens)
        await ws.ready()
        await ws.send(raw.decode())
        error = await ws.expect(lambda f: f["t"] == "error", what)
        assert error["code"] == "bad_request", (what, error)
        await ws.send('{"t":"ok","n":1}')
        await ws.send('{"t":"ping"}')
        await ws.expect(lambda f: f["t"] == "pong", f"a pong after: {what}")
        await ws.close()


# T22: what no route and no frame knows, deep and long and by names that others know
STRAY = {"zz": None, "from": ID, "sender": ID, "userID": 1, "seq": "x", "__proto__": {"a": [1, {"b": []}]}, "k" * 2000: "v" * 2000}


def stray_for(body: dict) -> dict:
    return {**{k: v for k, v in STRAY.items() if k not in body}, **body}


@scenario()
async def test_t22_unknown_members_are_ignored_on_every_route(stack, net):
    alice, bob, carol = await net.people("alice", "bob", "carol")
    group = await net.group(alice, bob)
    out = await alice.told(f"{MARK} one", group)
    await bob.sees(out.content)
    phone = {"phoneNumber": net.phone()}
    sent = {"chatId": group, "content": f"{MARK} two", "type": "text", "clientId": "t22"}
    for method, path, body in (
        ("POST", "/api/register", {"name": "T22", **phone}),
        ("POST", "/api/login", phone),
        ("PATCH", "/api/me", {"name": "Alice"}),
        ("POST", "/api/contacts/lookup", {"phoneNumbers": [phone["phoneNumber"]]}),
        ("POST", "/api/chats", {"userId": bob.user_id}),
        ("POST", "/api/chats", {"name": "t22", "members": [bob.user_id], "clientId": "t22"}),
        ("PATCH", f"/api/chats/{group}", {"name": "renamed"}),
        ("POST", f"/api/chats/{group}/members", {"add": [carol.user_id]}),
        ("PUT", f"/api/chats/{group}/members/{carol.user_id}", {"role": "admin"}),
        ("POST", "/api/messages", sent),
        ("POST", f"/api/chats/{group}/read", {"seq": out.seq}),
        ("PUT", f"/api/devices/{alice.tokens.device_id}/push", {"kind": "fcm_token", "token": "t22-token-t22"}),
        ("DELETE", f"/api/devices/{alice.tokens.device_id}/push", {}),
        ("PUT", f"/api/chats/{group}/mute", {"until": 4102444800000}),
        ("DELETE", f"/api/chats/{group}/mute", {}),
        ("POST", "/api/media", {"chatId": group, "type": "image", "size": 10}),
    ):
        r = await alice.rest.call(method, path, stray_for(body))
        assert r.status in (200, 201, 202), (method, path, r)
    # the sender is who the token says, whatever the body has (T14)
    r = await alice.rest.get(f"/api/chats/{group}/messages", expect=200)
    assert [m["from"] for m in r.body["messages"]] == [alice.user_id] * 2
    r = await alice.rest.post("/api/messages", {**sent, "from": bob.user_id, "userId": bob.user_id}, expect=201)
    assert r.body["message"]["from"] == alice.user_id
    # unknown parameters of a query, too
    for path in ("/api/me", "/api/chats", f"/api/chats/{group}/messages", "/api/sync", "/api/config"):
        assert (await alice.rest.get(path, zz="1", sender=bob.user_id)).status == 200, path
    # wrong types and unknown words of known members are refused
    for body in ({**sent, "type": "sticker"}, {**sent, "type": 7}, {**sent, "content": ["x"]}, {**sent, "chatId": 7}, {**sent, "clientId": 7},
                 {**sent, "mediaId": ID}):
        r = await alice.rest.post("/api/messages", body)
        assert r.status == 400 and r.code == "bad_request", body


@scenario()
async def test_who_makes_a_chat_is_told_what_is_wrong(stack, net):
    _, alice = await net.user("alice")
    _, bob = await net.user("bob")
    name, client_id, members = "name: 1 to", "clientId: 1 to 64", "members: up to 1023 user ids"
    either = "give userId for a direct chat, or name and members for a group"
    for body, status, message in (
        ({"userId": bob.user_id, "members": 7, "name": "", "clientId": 7}, 200, ""),  # userId counts before all else
        ({"userId": alice.user_id}, 400, "userId: must be another user"),
        ({"userId": "bob"}, 400, either),
        ({}, 400, either),
        ({"name": 7, "members": []}, 400, either),
        ({"userId": None, "name": "", "members": []}, 400, name),
        ({"name": "g", "members": [], "clientId": ""}, 400, client_id),
        ({"name": "g", "members": [], "clientId": 7}, 400, client_id),
        ({"name": "g", "members": [], "clientId": "x y"}, 400, client_id),
        ({"name": "g", "members": ["bob"]}, 400, members),
        ({"name": "g", "members": {}}, 400, members),
        ({"name": "g", "members": [alice.user_id] * 1025}, 400, members),
        ({"name": "g", "members": [f"{ID[:-4]}{i:04x}" for i in range(1024)]}, 400, members),
        ({"name": "g", "members": [f"{ID[:-4]}{i:04x}" for i in range(1023)] + [alice.user_id]}, 404, ""),
        ({"name": "g", "members": [alice.user_id, bob.user_id] * 512, "clientId": None, "userId": 7}, 201, ""),
        ({"name": "g"}, 201, ""),
    ):
        r = await alice.rest.post("/api/chats", body)
        told = "" if r.status < 400 else r.body["error"]["message"]
        assert r.status == status and told.startswith(message), (str(body)[:80], r.status, told)


@scenario()
async def test_t22_unknown_members_are_ignored_in_every_frame(stack, net):
    _, d = await net.user("ana")
    _, e = await net.user("ben")
    ws = await net.raw(None)
    await ws.send({"t": "auth", "token": d.tokens.access, **STRAY})
    ready = await ws.ready()
    await ws.send({"t": "ok", "n": ready["n"], **STRAY})
    await ws.send({"t": "ping", **STRAY})
    await ws.expect(lambda f: f["t"] == "pong", "pong")
    sent = {"t": "message.send", "clientId": "t22", "peer": e.user_id, "content": f"{MARK} by socket", "type": "text"}
    await ws.send(stray_for(sent))
    ack = await ws.expect(lambda f: f["t"] == "ack", "ack")
    message = await ws.expect(lambda f: f["t"] == "message", "the message")
    assert ack["id"] == message["id"] and message["from"] == d.user_id  # T14
    await ws.send({"t": "receipt", "peer": e.user_id, "read": message["seq"], **{k: v for k, v in STRAY.items() if k != "seq"}})
    await ws.send({"t": "ping"})
    assert not [f for f in ws.frames if f["t"] in ("error", "nack")], ws.frames
    for frame in ({"t": "message.sent"}, {"t": 7}, {}, {**sent, "type": "sticker"}, {**sent, "content": 7}, {**sent, "peer": 7},
                  {"t": "receipt", "peer": e.user_id, "read": "1"}, {"t": "ok", "n": "1"}, {"t": "ok"}):
        def refusals():
            return sum(f["t"] in ("error", "nack") for f in ws.frames)

        n = refusals()
        await ws.send(frame)
        await ws.expect(lambda f: refusals() > n, f"a refusal of {frame}")
    await ws.close()


REFUSED_NAMES = {
    "empty": "", "spaces": "  ", "zero width alone": "\u200b\u2060", "C0": "a\x07", "DEL": "a\x7f", "C1": "a\x85b", "C1 CSI": "\x9b31mred",
    "line separator": "a\u2028b", "override": "a\u202egpj.exe", "embedding": "\u202aa", "isolate": "\u2066a\u2069", "lone joiner": "\u200da",
    "101 code points": "x" * 101, "101 of four bytes": "\U0001f600" * 101,
}
KEPT_NAMES = {
    "a family": "\U0001f469\u200d\U0001f467", "Persian": "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "a heart": "\u2764\ufe0f\u200d\U0001f525",
    "100 of four bytes": "\U0001f600" * 100, "Hebrew and a mark": "\u05e9\u200f!", "one": "x",
}


@scenario()
async def test_t24_names_are_refused_or_kept_on_every_route(stack, net):
    alice, bob = await net.people("alice", "bob")
    group = await net.group(alice, bob)

    async def answers(name):
        yield await net.rest.call("POST", "/api/register", {"name": name, "phoneNumber": net.phone()})
        yield await alice.rest.call("PATCH", "/api/me", {"name": name})
        yield await alice.rest.call("POST", "/api/chats", {"name": name, "members": []})
        yield await alice.rest.call("PATCH", f"/api/chats/{group}", {"name": name})

    for what, name in REFUSED_NAMES.items():
        async for r in answers(name):
            assert r.status == 400 and r.code == "bad_request", (what, r)
            assert "name: 1 to 100 characters" in r.body["error"]["message"], (what, r)
    for what, name in KEPT_NAMES.items():
        async for r in answers(name):
            assert r.status in (200, 201), (what, r)
        assert (await alice.rest.get("/api/me")).body["name"] == name
        assert (await bob.rest.get(f"/api/chats/{group}")).body["chat"]["name"] == name

    # a device's label: refused before the code is used up
    phone = net.phone()
    r = await net.rest.call("POST", "/api/login", {"phoneNumber": phone}, expect=200)
    use = {"challenge": r.body["challenge"], "code": r.body["devCode"]}
    for label in ("a\x9bb", "\u202ex", "x" * 101, "\U0001f600" * 51, 7):
        r = await net.rest.call("POST", "/api/verify", {**use, "label": label})
        assert r.status == 400 and "label" in r.body["error"]["message"], (label, r)
    await net.rest.call("POST", "/api/verify", {**use, "label": "\U0001f600" * 50}, expect=200)


@scenario()
async def test_t24_content_is_kept_and_counted_in_bytes(stack, net):
    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    odd = f"{MARK} \u202e\u2066\u200b\u200d\x85\ufeff\U000e0001 end"
    out = await alice.told(odd, peer=bob.user_id)
    assert (await bob.sees(odd)).content == odd
    for content, status in (("\U0001f600" * 8192, 201), ("\U0001f600" * 8192 + "x", 413), ("x" * 32768, 201), ("\x01" * 8000, 201)):
        raw = json.dumps({"chatId": chat, "content": content, "type": "text"}, ensure_ascii=False).encode()
        got, _ = await post_raw(net, alice, "POST", "/api/messages", raw)
        assert got == status, (len(content), got)
    r = await bob.rest.get(f"/api/chats/{chat}/messages", expect=200)
    assert [m["content"] for m in r.body["messages"]][:2] == [odd, "\U0001f600" * 8192] and r.body["messages"][0]["id"] == out.id
