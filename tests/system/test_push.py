# SPDX-License-Identifier: MIT
"""Phones are woken: through all roles, by doubles of Google's and Apple's services."""
import asyncio
import collections
import functools
import json
import subprocess
import time
import uuid

import pytest
from client import MARK, scenario, until
from conftest import BASE_PORT
from look import (Supervised, all_end_in_good_order, killed_and_back, log_faults, partition_of, paused, record_when, records, routed,
                  rows_when, short_timer)
from push import TOPIC, Doubles, apns_token, faults_of, google_schema
from stack import Stack


@pytest.fixture(scope="module")
def doubles(tmp_path_factory):
    d = Doubles(tmp_path_factory.mktemp("push"), BASE_PORT + 603, BASE_PORT + 604)
    try:
        yield d.start()
    finally:
        d.stop()


@pytest.fixture(scope="module")
def pushing(doubles):
    with Stack(base_port=BASE_PORT + 600, settings=doubles.settings()) as s:
        yield s.start()


@pytest.fixture(autouse=True)
def all_is_well(doubles):
    doubles.control(fcm="ok", apns="ok", oauth="ok")


def alert(request: dict) -> dict:
    """What a request to Google has to show: by the system, or by the app itself."""
    message = json.loads(request["body"])["message"]
    return message.get("notification") or {k: message["data"][k] for k in ("title", "body")}


async def register(device, kind: str, token: str, **more):
    await device.rest.call("PUT", f"/api/devices/{device.device_id}/push", {"kind": kind, "token": token, **more}, expect=200)
    return token


async def woken(net, name: str, kind: str, token: str, **more):
    """A user with one phone, which is off and registered."""
    _, phone = await net.user(name)
    await register(phone, kind, token, **more)
    return phone


async def outcome(stack, message: str, device, *results: str, timeout_s: float = 60) -> dict:
    """The outcome of this message for this device: one of `results`."""
    def mine(r):
        return r["messageId"] == message and r["deviceId"] == device.device_id and r["outcome"] != "RETRIED"

    found = await record_when(stack, "push.outcomes", mine, f"{message} to {device.name}", timeout_s)
    assert found["outcome"] in results, found
    return found


async def not_pushed(stack, message: str, device) -> None:
    """The message was routed, and nobody was asked to wake the device."""
    await routed(stack, message, device.user_id)
    assert not [r for _, _, r in await records(stack, "mobile.push") if r["messageId"] == message]


async def asked(doubles, message: str, n: int = 1) -> list[dict]:
    """At least n requests about this message."""
    found: list = []

    async def look():
        found[:] = await asyncio.to_thread(doubles.pushes, message)
        return len(found) >= n

    await until(look, 30, f"{n} requests about {message}")
    return found


async def news(stack, event: str, **fields) -> dict:
    """A line of the role mobile's log."""
    found: list = []

    def look():
        found[:] = [x for x in stack.role("mobile").log_lines()
                    if x["event"] == event and all(x.get(k) == v for k, v in fields.items())]
        return found

    await until(look, 30, f"{event} {fields}")
    return found[-1]


# ---- what is said


@scenario(stack="pushing")
async def test_a_message_wakes_the_phone_of_either_kind(pushing, doubles, net):
    (alice,) = await net.people("alice")
    android = await woken(net, "andrea", "fcm_token", "ok:andrea-1234")
    fid = await woken(net, "fida", "fcm_fid", "fid-of-fida-99", mode="notification")
    ios = await woken(net, "ingo", "apns", apns_token("AA"), app=TOPIC, locale="de-AT")
    text = f"{MARK} hello \"there\" \N{WAVING HAND SIGN}"
    told = [await alice.told(text, peer=d.user_id) for d in (android, fid, ios)]
    for out, d in zip(told, (android, fid, ios)):
        o = await outcome(pushing, out.id, d, "ACCEPTED")
        assert (o["status"], o["attempt"], o["chatId"], o["seq"]) == (200, 1, out.chat_id, out.seq)
        assert o["provider"] == ("APNS" if d is ios else "FCM")
    (by_google,) = await asked(doubles, told[0].id)
    body = json.loads(by_google["body"])["message"]
    # the app itself is woken, which syncs and shows it: nothing for the system to show, nothing that gives way to another
    assert body["token"] == "ok:andrea-1234" and set(body) == {"token", "data", "android"} and set(body["android"]) == {"priority", "ttl"}
    ids = {"chatId": told[0].chat_id, "messageId": told[0].id, "seq": str(told[0].seq), "badge": "1"}
    assert body["data"] == {"kind": "message", **ids, "title": "alice", "body": text}
    assert body["android"]["priority"] == "HIGH" and 86000 < int(body["android"]["ttl"][:-1]) <= 86400
    # an app that has the system show it says so
    (by_fid,) = await asked(doubles, told[1].id)
    body = json.loads(by_fid["body"])["message"]
    assert body["fid"] == "fid-of-fida-99" and body["notification"] == {"title": "alice", "body": text} and "kind" not in body["data"]
    assert body["android"]["priority"] == "HIGH" and body["android"]["notification"]["tag"] == told[1].chat_id
    (by_apple,) = await asked(doubles, told[2].id)
    said, h = json.loads(by_apple["body"]), by_apple["headers"]
    assert said["aps"]["alert"] == {"title": "alice", "body": text} and said["aps"]["badge"] == 1
    assert (said["chatId"], said["messageId"], said["seq"]) == (told[2].chat_id, told[2].id, told[2].seq)
    assert (h["apns-topic"], h["apns-push-type"], h["apns-priority"]) == (TOPIC, "alert", "10")
    assert h["apns-collapse-id"] == told[2].chat_id and len(h["apns-id"]) == 36
    assert abs(int(h["apns-expiration"]) - time.time() - 86400) < 300
    # one token for all of Google's, one connection or two; nothing of it in the log
    assert len({r["headers"]["authorization"] for r in doubles.requests("fcm")}) == 1


@scenario(stack="pushing")
async def test_privacy_and_languages(pushing, doubles, net):
    (alice,) = await net.people("alice")
    name = await woken(net, "nora", "fcm_token", "ok:nora-1234", privacy="name", locale="de")
    none = await woken(net, "nobody", "apns", apns_token("ab"), privacy="none", locale="fr-FR")
    photo = await woken(net, "paula", "fcm_token", "ok:paula-1234", locale="es")
    secret = f"{MARK} not for the screen"
    one, two = await alice.told(secret, peer=name.user_id), await alice.told(secret, peer=none.user_id)
    three = await alice.acked(alice.send(f"{MARK} media/1", peer=photo.user_id, type="image"))
    await alice.verdict(three)
    places = [await alice.told(text, peer=photo.user_id, beside={"location": {"latitude": 1, "longitude": 2, "name": f"{MARK} plaza"}}) for text in ("", f"{MARK} here")]
    card = await alice.told("", peer=none.user_id, beside={"contact": {"name": f"{MARK} Ann", "numbers": ["1"]}})
    captioned = await alice.acked(alice.send(f"{MARK} the sea", peer=photo.user_id, type="image", media_id=str(uuid.uuid4())))
    await alice.verdict(captioned)
    (a,), (b,), (c,) = await asked(doubles, one.id), await asked(doubles, two.id), await asked(doubles, three.id)
    assert alert(a) == {"title": "alice", "body": "Neue Nachricht"}
    assert json.loads(b["body"])["aps"]["alert"] == {"title": "Chasqui", "body": "Nouveau message"}
    assert alert(c) == {"title": "alice", "body": "Foto"}
    (d,) = await asked(doubles, captioned.id)
    assert alert(d) == {"title": "alice", "body": f"Foto: {MARK} the sea"}
    # a place and a card say what they are, where texts are shown at all
    bodies = [alert((await asked(doubles, place.id))[0])["body"] for place in places]
    assert bodies == [f"Ubicación: {MARK} plaza", f"Ubicación: {MARK} here"]
    (e,) = await asked(doubles, card.id)
    assert MARK not in e["body"]
    assert MARK not in a["body"] + b["body"] + c["body"] and "alice" not in b["body"]
    # an app with words of its own gets keys of them
    keyed = await woken(net, "kim", "fcm_token", "ok:kim-1234", mode="notification", locale="x-keys")
    four = await alice.acked(alice.send(f"{MARK} the hill", peer=keyed.user_id, type="image", media_id=str(uuid.uuid4())))
    await alice.verdict(four)
    (e,) = await asked(doubles, four.id)
    body = json.loads(e["body"])
    assert faults_of(body, google_schema()["SendMessageRequest"], google_schema()) == []
    key, args = "push_image_caption", [f"{MARK} the hill"]
    shown = body["message"]["android"]["notification"]
    assert (shown["bodyLocKey"], shown["bodyLocArgs"]) == (key, args) and body["message"]["notification"] == {"title": "alice"}
    assert body["message"]["apns"]["payload"]["aps"]["alert"] == {"title": "alice", "loc-key": key, "loc-args": args}


@scenario(stack="pushing")
async def test_a_group_says_who_and_where_and_the_badge_counts_chats(pushing, doubles, net):
    alice, bob = await net.people("alice", "bob")
    phone = await woken(net, "carol", "apns", apns_token("ac"))
    group = await net.group(alice, bob, phone, name="the club")
    first = await alice.told(f"{MARK} in the club", group)
    (a,) = await asked(doubles, first.id)
    assert json.loads(a["body"])["aps"]["alert"] == {"title": "the club", "body": f"alice: {MARK} in the club"}
    await rows_when(pushing, "SELECT 1 FROM view.messages WHERE id = %s", first.id)
    second = await bob.told(f"{MARK} direct", peer=phone.user_id)
    (b,) = await asked(doubles, second.id)
    assert (json.loads(a["body"])["aps"]["badge"], json.loads(b["body"])["aps"]["badge"]) == (1, 2)
    # a chat in which one has only spoken oneself is not unread
    _, dora = await net.user("dora")
    await phone.online()
    await phone.told(f"{MARK} is anybody there?", peer=dora.user_id)
    await phone.stop()
    out = await alice.told(f"{MARK} here I am", peer=phone.user_id)
    (c,) = await asked(doubles, out.id)
    assert json.loads(c["body"])["aps"]["badge"] == 3


@scenario(stack="pushing")
async def test_a_mention_by_id_passes_a_mute_and_what_concerns_one_is_said(pushing, doubles, net):
    (alice,) = await net.people("alice")
    phone = await woken(net, "dana", "fcm_token", "ok:dana-1234")
    other = await woken(net, "otis", "fcm_token", "ok:otis-1234", locale="de")
    group = await net.group(alice, phone, other, name="club")
    body = {"chatId": group, "type": "text", "content": f"{MARK} mine"}
    mine = (await phone.rest.post("/api/messages", body, expect=201)).body["message"]
    mine = {"id": mine["id"], "seq": mine["seq"]}
    answer = await alice.told(f"{MARK} yes", group, beside={"replyTo": mine})
    forged = await alice.told(f"{MARK} no", group, beside={"replyTo": {**mine, "seq": mine["seq"] + 1}})
    for message in (answer, forged):
        await outcome(pushing, message.id, phone, "ACCEPTED")
    await phone.rest.call("PUT", f"/api/chats/{group}/mute", {"until": int(time.time() * 1000) + 3600_000}, expect=200)
    quiet = await alice.told(f"{MARK} quiet", group, beside={"replyTo": mine, "mentions": [other.user_id]})
    named = await alice.told(f"{MARK} you", group, beside={"replyTo": mine, "mentions": [alice.user_id, phone.user_id]})
    await outcome(pushing, quiet.id, phone, "MUTED")
    for message, device, text in (
            (answer, phone, "alice: Reply to you: " + answer.content), (answer, other, "alice: " + answer.content),
            (forged, phone, "alice: " + forged.content), (quiet, other, "alice: Erwähnt dich: " + quiet.content),
            (named, phone, "alice: Mentions you: " + named.content), (named, other, "alice: " + named.content)):
        await outcome(pushing, message.id, device, "ACCEPTED")
        (request,) = [r for r in await asked(doubles, message.id) if doubles.token_of(r) == f"ok:{device.name[:4]}-1234"]
        assert alert(request) == {"title": "club", "body": text}


@scenario(stack="pushing")
async def test_a_muted_chat_wakes_nobody_unless_it_names_him(pushing, doubles, net):
    (alice,) = await net.people("alice")
    phone = await woken(net, "dora", "fcm_token", "ok:dora-1234")
    chat = await net.direct(alice, phone)
    r = await phone.rest.call("PUT", f"/api/chats/{chat}/mute", {"until": 1})
    assert (r.status, r.code) == (400, "bad_request")
    r = await phone.rest.call("PUT", "/api/chats/00000000-0000-4000-8000-000000000000/mute", {"until": 9999999999999})
    assert r.status == 404
    until_ms = int(time.time() * 1000) + 3600_000
    await phone.rest.call("PUT", f"/api/chats/{chat}/mute", {"until": until_ms}, expect=200)
    quiet = await alice.told(f"{MARK} quiet", chat)
    named = await alice.told(f"{MARK} @dora, look", chat)
    await outcome(pushing, quiet.id, phone, "MUTED")
    await outcome(pushing, named.id, phone, "ACCEPTED")
    got = await phone.rest.get("/api/chats", expect=200)
    assert [c.get("mutedUntil") for c in got.body["chats"] if c["chatId"] == chat] == [until_ms]
    await phone.rest.call("PUT", f"/api/chats/{chat}/mute", {"until": 1 << 62}, expect=200)
    got = await phone.rest.get("/api/chats", expect=200)
    assert [c.get("mutedUntil") for c in got.body["chats"] if c["chatId"] == chat] == [253_402_300_799_999], "the end of the year 9999"
    said = {e["event"][1]["untilMs"] for _, _, e in await records(pushing, "user.events")
            if e["userId"] == phone.user_id and e["event"][0] == "chasqui.ChatMuteChanged"}
    assert said == {until_ms, 253_402_300_799_999}, "no event has a time that readers' dates cannot hold"
    await phone.rest.call("DELETE", f"/api/chats/{chat}/mute", expect=200)
    loud = await alice.told(f"{MARK} loud", chat)
    await outcome(pushing, loud.id, phone, "ACCEPTED")
    assert not doubles.pushes(quiet.id)


@scenario(stack="pushing")
async def test_what_a_device_may_say(pushing, net):
    (alice,) = await net.people("alice")
    _, other = await net.user("other")
    good = {"kind": "fcm_token", "token": "ok:something"}
    path = f"/api/devices/{alice.device_id}/push"
    r = await other.rest.call("PUT", path, good)
    assert (r.status, r.code) == (403, "forbidden")
    r = await other.rest.call("DELETE", path)
    assert (r.status, r.code) == (403, "forbidden")
    for wrong in ({**good, "kind": "carrier pigeon"}, {**good, "token": "short"}, {**good, "token": "x" * 2000}, {**good, "token": 'a"b' * 9},
                  {**good, "kind": "apns"}, {**good, "privacy": "loud"}, {**good, "mode": "shout"}, {**good, "environment": "moon"}, {}):
        r = await alice.rest.call("PUT", path, wrong)
        assert (r.status, r.code) == (400, "bad_request"), (wrong, r)
    await alice.rest.call("PUT", path, good, expect=200)
    await rows_when(pushing, "SELECT 1 FROM view.push_targets WHERE device_id = %s", alice.device_id)
    await alice.rest.call("DELETE", path, expect=200)
    await rows_when(pushing, "SELECT 1 FROM view.push_targets WHERE device_id = %s", alice.device_id, enough=lambda r: not r)


# ---- to whom


@scenario(stack="pushing")
async def test_an_open_tab_does_not_silence_the_phone(pushing, doubles, net):
    (alice,) = await net.people("alice")
    user, phone = await net.user("bob")
    await register(phone, "fcm_token", "ok:bobs-phone")
    tab = await user.device("web", auto_read=True)
    await tab.online()
    out = await alice.told(f"{MARK} tab open, phone off", peer=phone.user_id)
    await tab.sees(out.content)
    await outcome(pushing, out.id, phone, "ACCEPTED")
    await asked(doubles, out.id)


@scenario(stack="pushing")
async def test_what_the_device_has_by_now_is_not_pushed(pushing, doubles, net):
    (alice,) = await net.people("alice")
    phone = await woken(net, "ella", "fcm_token", "ok:ella-1234")
    mobile = pushing.role("mobile")
    await paused(mobile)
    try:
        out = await alice.told(f"{MARK} come and get it", peer=phone.user_id)
        await record_when(pushing, "mobile.push", lambda r: r["messageId"] == out.id, "the push")
        await phone.online()
        await phone.sees(out.content)
        await rows_when(pushing, "SELECT delivered FROM view.device_cursors WHERE device_id = %s AND delivered >= %s",
                        phone.device_id, out.seq)
        await phone.stop()
    finally:
        mobile.cont()
    await outcome(pushing, out.id, phone, "ALREADY_DELIVERED")
    assert not doubles.pushes(out.id)


@scenario(stack="pushing")
async def test_nobody_confirmed(pushing, doubles, net):
    (alice,) = await net.people("alice")
    # no ok in ten seconds
    mute = await woken(net, "mute", "fcm_token", "ok:mute-1234")
    ws = await net.raw(mute.tokens)
    await ws.send({"t": "ok", "n": (await ws.ready())["n"]})
    # a socket that died
    gone = await woken(net, "gone", "apns", apns_token("ad"))
    dying = await net.raw(gone.tokens)
    await dying.send({"t": "ok", "n": (await dying.ready())["n"]})
    one = await alice.told(f"{MARK} are you there?", peer=mute.user_id)
    two = await alice.told(f"{MARK} taken, not ok'd", peer=gone.user_id)
    await dying.expect(lambda f: f.get("id") == two.id, "the message")
    dying.abort()
    assert await ws.closed(30) == 4408
    await outcome(pushing, one.id, mute, "ACCEPTED")
    await outcome(pushing, two.id, gone, "ACCEPTED")
    assert len(await asked(doubles, one.id)) == 1 and len(await asked(doubles, two.id)) == 1


@scenario(stack="pushing", limit_s=180)
async def test_a_killed_gateway(pushing, doubles, net):
    (alice,) = await net.people("alice")
    lost = await woken(net, "lost", "fcm_token", "ok:lost-1234")
    ws = await net.raw(lost.tokens)
    await ws.send({"t": "ok", "n": (await ws.ready())["n"]})
    out = await alice.told(f"{MARK} before the kill", peer=lost.user_id)
    await ws.expect(lambda f: f.get("id") == out.id, "the message")
    async with Supervised(pushing):
        await killed_and_back(pushing.role("edge-ws"))
    await outcome(pushing, out.id, lost, "ACCEPTED")
    assert len(await asked(doubles, out.id)) == 1


# ---- what does not stay


@scenario(stack="pushing")
async def test_a_push_ends_with_its_message(pushing, doubles, net):
    (alice,) = await net.people("alice")
    android = await woken(net, "vera", "fcm_token", "ok:vera-1234")
    ios = await woken(net, "vito", "apns", apns_token("ae7"))
    chats = {d: (await alice.told(f"{MARK} for good", peer=d.user_id)).chat_id for d in (android, ios)}
    for d, chat in chats.items():
        await short_timer(pushing, alice, chat, 600)
    told = {d: await alice.told(f"{MARK} for ten minutes", chat) for d, chat in chats.items()}
    for d, out in told.items():
        await outcome(pushing, out.id, d, "ACCEPTED")
    ends = {d: alice.messages[out.id].expires for d, out in told.items()}
    (by_google,) = await asked(doubles, told[android].id)
    body = json.loads(by_google["body"])["message"]
    assert body["data"]["expiresAt"] == str(ends[android]) and 0 < int(body["android"]["ttl"][:-1]) <= 600
    (by_apple,) = await asked(doubles, told[ios].id)
    assert json.loads(by_apple["body"])["expiresAt"] == ends[ios] and int(by_apple["headers"]["apns-expiration"]) == ends[ios] // 1000

    # what was not sent by then is not sent
    await short_timer(pushing, alice, chats[android], 1)
    mobile = pushing.role("mobile")
    await paused(mobile)
    try:
        late = await alice.told(f"{MARK} for a second", chats[android])
        await until(lambda: time.time() * 1000 > alice.messages[late.id].expires, 30, "its end")
    finally:
        mobile.cont()
    await outcome(pushing, late.id, android, "DROPPED")
    assert not await asyncio.to_thread(doubles.pushes, late.id)


# ---- what was read elsewhere


def silent(doubles, chat: str) -> list[dict]:
    """Requests that show nothing, about this chat."""
    found = []
    for r in doubles.requests():
        body = json.loads(r["body"]) if not r["to"].startswith("oauth") else {}
        data = body.get("message", {}).get("data", body)
        if data.get("kind") == "read" and data["chatId"] == chat:
            found.append(r)
    return found


async def told_silently(stack, device, chat: str, seq: int) -> dict:
    """The outcome of the silent push that says that the chat was read up to seq."""
    def mine(r):
        return (r["deviceId"], r["chatId"], r["seq"], r["messageId"]) == (device.device_id, chat, seq, str(uuid.UUID(int=0)))

    return await record_when(stack, "push.outcomes", mine, f"what was read, to {device.name}", 60)


@scenario(stack="pushing")
async def test_what_is_read_elsewhere_is_taken_back(pushing, doubles, net):
    alice, eve = await net.people("alice", "eve")
    user, phone = await net.user("rita")
    await register(phone, "apns", apns_token("aa1"))
    android = await user.device("android")
    await register(android, "fcm_token", "ok:rita-android")
    tab, desk = await user.device("web"), await user.device("web")
    await tab.online()
    await desk.online()
    other = await eve.told(f"{MARK} stays unread", peer=phone.user_id)
    told = [await alice.told(f"{MARK} read me {i}", peer=phone.user_id) for i in range(3)]
    chat, last = told[-1].chat_id, told[-1]
    for out in (other, last):
        await tab.sees(out.content)
        for d in (phone, android):
            await outcome(pushing, out.id, d, "ACCEPTED")

    # three receipts in a row: each session hears of it, each phone that is away gets a push that says the last of them (one for
    # all three when they come within the window, which a slow machine may miss)
    for out in told:
        tab.read(chat, out.seq)
        await desk.wait(lambda seq=out.seq: any(f["chatId"] == chat and f["seq"] == seq for f in desk.read_log), 30, "the news")
    assert not tab.read_log
    for d in (phone, android):
        o = await told_silently(pushing, d, chat, last.seq)
        assert (o["outcome"], o["status"]) == ("ACCEPTED", 200)
    by_device = {r["to"]: r for r in silent(doubles, chat)}  # the last of each
    by_apple, by_google = (by_device[to] for to in sorted(by_device))
    assert by_apple["headers"]["apns-push-type"] == "background" and by_apple["headers"]["apns-priority"] == "5"
    assert by_apple["headers"]["apns-collapse-id"] == chat
    assert json.loads(by_apple["body"]) == {"aps": {"content-available": 1, "badge": 1}, "kind": "read", "chatId": chat, "seq": last.seq}
    message = json.loads(by_google["body"])["message"]
    assert message["data"] == {"kind": "read", "chatId": chat, "seq": str(last.seq), "badge": "1"} and "notification" not in message
    assert faults_of({"message": message}, google_schema()["SendMessageRequest"], google_schema()) == []

    # the same again moves nothing; a device that reads is told nothing itself
    n = len(desk.read_log)
    tab.read(chat, last.seq)
    await phone.rest.call("POST", f"/api/chats/{other.chat_id}/read", {"seq": other.seq}, expect=202)
    await desk.wait(lambda: any(f["chatId"] == other.chat_id for f in desk.read_log), 30, "what the phone read")
    o = await told_silently(pushing, android, other.chat_id, other.seq)
    assert o["outcome"] == "ACCEPTED" and len(desk.read_log) == n + 1
    last_one = silent(doubles, other.chat_id)[-1]
    assert json.loads(last_one["body"])["message"]["data"]["badge"] == "0"

    # own words are nothing that a phone shows
    before = len(silent(doubles, chat))
    mine = await tab.told(f"{MARK} my own", peer=alice.user_id)
    tab.read(chat, mine.seq)
    o = await told_silently(pushing, android, chat, mine.seq)
    assert o["outcome"] == "ALREADY_DELIVERED" and len(silent(doubles, chat)) == before


# ---- what was said and does not stand any more


def kinds_of(requests: list[dict]) -> list[str]:
    """What each request says of itself: of Apple's an alert has no word for a message."""
    found = []
    for r in requests:
        body = json.loads(r["body"])
        found.append(body.get("message", {}).get("data", body).get("kind", "message"))
    return found


@scenario(180, stack="pushing")
async def test_an_edit_replaces_a_notification_and_a_deletion_takes_it_back(pushing, doubles, net):
    (alice,) = await net.people("alice")
    android = await woken(net, "andrea", "fcm_token", "ok:andrea-edits")
    ios = await woken(net, "ingo", "apns", apns_token("ed1"))
    for phone in (android, ios):
        out = await alice.told(f"{MARK} frist", peer=phone.user_id)
        await outcome(pushing, out.id, phone, "ACCEPTED")
        message = await alice.sees(out.content) if phone is android else alice.messages[out.id]
        await alice.changed("edit", message, f"{MARK} first")
        (_, replaced) = await asked(doubles, out.id, 2)
        await alice.changed("delete", message)
        (_, _, gone) = requests = await asked(doubles, out.id, 3)
        assert kinds_of(requests) == (["message", "edited", "deleted"])
        body = json.loads(gone["body"])
        if phone is android:
            assert alert(replaced) == {"title": "alice", "body": f"{MARK} first"}
            assert body["message"]["data"] == {"kind": "deleted", "chatId": out.chat_id, "messageId": out.id, "seq": str(out.seq), "badge": "1"}
            assert faults_of(body, google_schema()["SendMessageRequest"], google_schema()) == []
        else:
            said = json.loads(replaced["body"])
            assert said["aps"]["alert"] == {"title": "alice", "body": f"{MARK} first"} and "sound" not in said["aps"]
            assert body == {"aps": {"content-available": 1, "badge": 1}, "kind": "deleted", "chatId": out.chat_id, "messageId": out.id, "seq": out.seq}
            assert gone["headers"]["apns-push-type"] == "background" and len({r["headers"]["apns-id"] for r in requests}) == 3

    # behind something newer that is unread, or once it was read, nothing of it is shown
    older, newer = [await alice.told(f"{MARK} {what}", peer=android.user_id) for what in ("older", "newer")]
    for out in (older, newer):
        await outcome(pushing, out.id, android, "ACCEPTED")
    before = len(await asked(doubles, older.id))
    deletion = await alice.changed("delete", alice.messages[older.id])

    def of_change(r):
        return r["messageId"] == older.id and r["outcome"] == "ALREADY_DELIVERED"

    found = await record_when(pushing, "push.outcomes", of_change, "the deletion's outcome", 60)
    assert "shows nothing" in found["detail"] and len(await asked(doubles, older.id)) == before and deletion.verdict


async def added(stack, device, chat: str, *results: str) -> dict:
    """The outcome of the push that says that the device's user was added to the group: the one about no message."""
    def mine(r):
        return ((r["deviceId"], r["chatId"], r["messageId"]) == (device.device_id, chat, str(uuid.UUID(int=0)))
                and r["outcome"] != "RETRIED")

    found = await record_when(stack, "push.outcomes", mine, f"{device.name} was added", 60)
    assert found["outcome"] in results, found
    return found


@scenario(stack="pushing")
async def test_who_was_added_to_a_group_is_told(pushing, doubles, net):
    alice, bob = await net.people("alice", "bob")
    first = await woken(net, "adam", "fcm_token", "ok:adam-added")
    ios = await woken(net, "ida", "apns", apns_token("aa7"), locale="de")
    angry = await woken(net, "carl", "fcm_token", "ok:carl-added")
    await angry.rest.call("PUT", f"/api/users/{alice.user_id}/block", expect=200)
    group = await net.group(alice, bob, first, name="Climbing")
    await added(pushing, first, group, "ACCEPTED")
    (asked_for,) = await asked(doubles, group)
    body = json.loads(asked_for["body"])
    data = body["message"]["data"]
    assert data == {"kind": "added", "chatId": group, "seq": data["seq"], "title": "Climbing", "body": "alice added you"}
    assert faults_of(body, google_schema()["SendMessageRequest"], google_schema()) == []

    # later, too; not by who is blocked; and whoever is there already hears nothing
    await alice.rest.post(f"/api/chats/{group}/members", {"add": [ios.user_id, angry.user_id]}, expect=200)
    await added(pushing, ios, group, "ACCEPTED")
    o = await added(pushing, angry, group, "DROPPED")
    assert "blocks" in o["detail"]
    _, by_apple = await asked(doubles, group, 2)
    said = json.loads(by_apple["body"])
    assert said["aps"]["alert"] == {"title": "Climbing", "body": "alice hat dich hinzugef\u00fcgt"} and "badge" not in said["aps"]
    assert (said["aps"]["thread-id"], said["aps"]["category"], said["kind"]) == (group, "added", "added")

    # who was removed before the push left is told nothing of the group
    late = await woken(net, "lara", "fcm_token", "ok:lara-added")
    mobile = pushing.role("mobile")
    await paused(mobile)
    try:
        await alice.rest.post(f"/api/chats/{group}/members", {"add": [late.user_id]}, expect=200)
        await alice.rest.call("DELETE", f"/api/chats/{group}/members/{late.user_id}", expect=200)
    finally:
        mobile.cont()
    await added(pushing, late, group, "DROPPED")
    assert len(await asked(doubles, group, 2)) == 2


def filled(stack, sql: str) -> None:
    """Says that the view is being filled, or that it is not."""
    with stack.db() as c:
        c.execute(sql)


@scenario(stack="pushing")
async def test_who_was_added_is_told_once_the_view_knows(pushing, doubles, net):
    (alice,) = await net.people("alice")
    late = await woken(net, "luis", "fcm_token", "ok:luis-added")
    group = await net.group(alice, *await net.people("bob"), name="Late")
    persistence = pushing.role("persistence")

    async def waits(n):
        """The push was parked so often, and is not given up."""
        def mine(r):
            return (r["deviceId"], r["chatId"]) == (late.device_id, group)

        async def look():
            found = [r["outcome"] for _, _, r in await records(pushing, "push.outcomes") if mine(r)]
            assert set(found) <= {"RETRIED"}, found
            return len(found) >= n

        await until(look, 30, f"the push to be parked {n} times")

    await paused(persistence)
    try:
        add = asyncio.create_task(alice.rest.post(f"/api/chats/{group}/members", {"add": [late.user_id]}))
        await waits(1)  # the view has not come so far
        filled(pushing, "INSERT INTO view.incomplete VALUES ('persistence', 'chat.events', 0, 1 << 40)")
        await waits(2)  # it says nothing at all
    finally:
        filled(pushing, "DELETE FROM view.incomplete")
        persistence.cont()
    await add
    await added(pushing, late, group, "ACCEPTED")
    assert len(await asked(doubles, group)) == 1


@scenario(180, stack="pushing")
async def test_a_reaction_tells_the_author_alone(pushing, doubles, net):
    (alice, bob) = await net.people("alice", "bob")
    user, desk = await net.user("rita")
    await desk.online()
    phone = await user.device()
    await register(phone, "fcm_token", "ok:rita-signs")
    other = await woken(net, "otto", "apns", apns_token("5e1"))
    chat = await net.group(desk, alice, bob, other, name="club")
    out = await desk.told(f"{MARK} mine", chat)
    await alice.sees(out.content)
    await outcome(pushing, out.id, other, "ACCEPTED")
    await alice.changed("react", alice.messages[out.id], "\N{THUMBS UP SIGN}")
    (told,) = [r for r in await asked(doubles, out.id, 2) if not r["to"].startswith("apns")]
    data = json.loads(told["body"])["message"]["data"]
    assert data == {"kind": "reaction", "chatId": chat, "messageId": out.id, "seq": str(out.seq), "title": "club",
                    "body": "alice: Reaction: \N{THUMBS UP SIGN}"}
    # taken back: nothing to say; and the others' phones are left alone
    await alice.changed("react", alice.messages[out.id], "")
    again = await alice.told(f"{MARK} later", chat)
    await outcome(pushing, again.id, other, "ACCEPTED")
    assert len(await asked(doubles, out.id)) == 2


@scenario(180, stack="pushing")
async def test_text_that_does_not_stand_is_not_sent(pushing, doubles, net):
    (alice,) = await net.people("alice")
    phone = await woken(net, "wanda", "fcm_token", "ok:wanda-1234")
    doubles.control(fcm="down")  # its pushes wait
    try:
        kept, gone, better = [await alice.told(f"{MARK} {what}", peer=phone.user_id) for what in ("kept", "gone", "good")]
        await alice.changed("delete", alice.messages[gone.id])
        await alice.changed("edit", alice.messages[better.id], f"{MARK} better")
        await rows_when(pushing, "SELECT 1 FROM view.changes WHERE chat_id = %s", kept.chat_id, enough=lambda r: len(r) == 2)
        before = len(await asyncio.to_thread(doubles.requests, "fcm"))
    finally:
        doubles.control(fcm="ok")
    await outcome(pushing, kept.id, phone, "ACCEPTED", timeout_s=120)
    # the edit is a push of its own, which ends at once while the device shows nothing of the message
    await record_when(pushing, "push.outcomes", lambda r: (r["messageId"], r["deviceId"], r["outcome"]) == (better.id, phone.device_id, "ACCEPTED"),
                      "the push of what was edited", 120)
    await record_when(pushing, "push.outcomes", lambda r: (r["messageId"], r["outcome"], r["detail"]) == (gone.id, "DROPPED", "the message was deleted"),
                      "the end of a push", 120)
    # one that was on its way when the change was applied may still have come, and was not taken
    taken = "".join(r["body"] for r in (await asyncio.to_thread(doubles.requests, "fcm"))[before:] if r["status"] == 200)
    assert f"{MARK} gone" not in taken and f"{MARK} good" not in taken and f"{MARK} better" in taken and f"{MARK} kept" in taken


# ---- tokens that go


@scenario(stack="pushing")
async def test_a_dead_token_goes_unless_it_came_back(pushing, doubles, net):
    (alice,) = await net.people("alice")
    android = await woken(net, "ada", "fcm_token", "unregistered:ada-1")
    ios = await woken(net, "ida", "apns", apns_token("de1"))
    older = await woken(net, "old", "apns", apns_token("de0"))  # Apple saw it die before it was registered
    told = {d: await alice.told(f"{MARK} anybody?", peer=d.user_id) for d in (android, ios, older)}
    o = await outcome(pushing, told[android].id, android, "TOKEN_DEAD")
    assert o["status"] == 404 and "UNREGISTERED" in o["detail"]
    o = await outcome(pushing, told[ios].id, ios, "TOKEN_DEAD")
    assert o["status"] == 410 and "Unregistered" in o["detail"]
    await outcome(pushing, told[older].id, older, "DROPPED")
    for d in (android, ios):
        await rows_when(pushing, "SELECT 1 FROM view.push_targets WHERE device_id = %s", d.device_id, enough=lambda r: not r)
        again = await alice.told(f"{MARK} still nobody?", peer=d.user_id)
        await not_pushed(pushing, again.id, d)
    await rows_when(pushing, "SELECT 1 FROM view.push_targets WHERE device_id = %s", older.device_id)

    # while the push is under way the app registers anew: that registration stays
    doubles.control(fcm="down")
    back = await woken(net, "back", "fcm_token", "unregistered:back-1")
    out = await alice.told(f"{MARK} and you?", peer=back.user_id)
    await asked(doubles, out.id)
    user_offset = (await rows_when(pushing, "SELECT src_offset FROM view.push_targets WHERE device_id = %s", back.device_id))[0]
    await register(back, "fcm_token", "unregistered:back-1")
    renewed = (await rows_when(pushing, "SELECT src_offset FROM view.push_targets WHERE device_id = %s", back.device_id))[0]
    assert renewed["src_offset"] > user_offset["src_offset"]


@scenario(stack="pushing")
async def test_a_token_is_one_device_and_ends_with_its_log_out(pushing, doubles, net):
    (alice,) = await net.people("alice")
    first = await woken(net, "first", "fcm_token", "ok:the-same-phone")
    second = await woken(net, "second", "fcm_token", "ok:the-same-phone")  # another user logs in there
    await rows_when(pushing, "SELECT 1 FROM view.push_targets WHERE device_id = %s", first.device_id, enough=lambda r: not r)
    out = await alice.told(f"{MARK} for the first", peer=first.user_id)
    await not_pushed(pushing, out.id, first)
    out = await alice.told(f"{MARK} for the second", peer=second.user_id)
    await outcome(pushing, out.id, second, "ACCEPTED")
    await second.rest.post("/api/logout", {}, expect=200)
    await rows_when(pushing, "SELECT 1 FROM view.push_targets WHERE device_id = %s", second.device_id, enough=lambda r: not r)


async def only_the_last_is_woken(stack, alice, phones: list, token: str) -> None:
    """A message to each of them: one push, to whoever claimed the token last."""
    claims = [r for _, _, r in await records(stack, "push.claims") if r["userId"] in {p.user_id for p in phones}]
    owner = max(claims, key=lambda r: r["source"]["offset"])["userId"]
    told = {p: await alice.told(f"{MARK} whose phone is it", peer=p.user_id) for p in phones}
    for out, p in ((told[p], p) for p in phones):
        await routed(stack, out.id, p.user_id)
    ids = {o.id for o in told.values()}
    made = [r for _, _, r in await records(stack, "mobile.push") if r["messageId"] in ids]
    assert [(r["userId"], [t["address"]["token"] for t in r["targets"]]) for r in made] == [(owner, [token])], (owner, made)


@scenario(stack="pushing")
async def test_a_token_that_two_users_register_at_once_is_one_device(pushing, net):
    (alice,) = await net.people("alice")
    for i in range(5):
        phones = [(await net.user(f"both{i}{k}"))[1] for k in range(2)]
        token = f"ok:one-phone-{i}"
        await asyncio.gather(*(register(p, "fcm_token", token) for p in phones))
        await rows_when(pushing, "SELECT 1 FROM view.push_targets WHERE token = %s", token, enough=lambda r: len(r) == 1)
        await only_the_last_is_woken(pushing, alice, phones, token)


@scenario(stack="pushing")
async def test_a_token_moves_while_the_view_stands_still(pushing, net):
    (alice,) = await net.people("alice")
    phones = [(await net.user(f"late{k}"))[1] for k in range(3)]
    token = await register(phones[0], "fcm_token", "ok:phone-of-the-late")
    persistence = pushing.role("persistence")
    await paused(persistence)
    try:
        for p in phones[1:]:  # stored, though nobody can show it yet
            r = await p.rest.call("PUT", f"/api/devices/{p.device_id}/push", {"kind": "fcm_token", "token": token})
            assert (r.status, r.code) == (503, "unavailable"), r
        await only_the_last_is_woken(pushing, alice, phones, token)
    finally:
        persistence.cont()
    await rows_when(pushing, "SELECT user_id FROM view.push_targets WHERE token = %s", token,
                    enough=lambda rows: [str(r["user_id"]) for r in rows] == [phones[2].user_id])


# ---- services in trouble


@scenario(stack="pushing", limit_s=180)
async def test_a_provider_in_trouble_waits_and_the_other_goes_on(pushing, doubles, net):
    (alice,) = await net.people("alice")
    android = await woken(net, "anna", "fcm_token", "ok:anna-1234")
    ios = await woken(net, "ines", "apns", apns_token("ae"))
    doubles.control(fcm="denied")
    waiting = [await alice.told(f"{MARK} waiting {i}", peer=android.user_id) for i in range(5)]
    line = await news(pushing, "provider_paused", provider="fcm", level="error")
    assert "PERMISSION_DENIED" in line["why"]
    out = await alice.told(f"{MARK} not waiting", peer=ios.user_id)
    await outcome(pushing, out.id, ios, "ACCEPTED")
    # kill -9 meanwhile: the pushes wait in the log
    async with Supervised(pushing):
        await killed_and_back(pushing.role("mobile"))
    await until(lambda: len([x for x in pushing.role("mobile").log_lines() if x["event"] == "provider_paused"]) == 2, 30, "a second pause")
    assert not [r for _, _, r in await records(pushing, "push.outcomes") if r["messageId"] in {o.id for o in waiting}]
    doubles.control(fcm="ok")
    for o in waiting:
        await outcome(pushing, o.id, android, "ACCEPTED")
    await news(pushing, "provider_resumed", provider="fcm")


@scenario(stack="pushing")
async def test_a_record_for_many_wakes_each_device_once(pushing, doubles, net):
    """One record of mobile.push names the devices of several people. Each has a push, an outcome and an end of its own."""
    (alice,) = await net.people("alice")
    phones = [await woken(net, f"g{i}", "fcm_token", f"ok:many-{i}") for i in range(3)]
    phones += [await woken(net, f"i{i}", "apns", apns_token(f"b{i}")) for i in range(2)]
    _, dead = await net.user("dead")
    muted = await woken(net, "muted", "fcm_token", "ok:many-muted")
    partitions = int(pushing.services.settings["PARTITIONS"])
    while len({partition_of(p.user_id, partitions) for p in phones}) == len(phones):  # two at least share a partition
        phones.append(await woken(net, f"i{len(phones)}", "apns", apns_token(f"b{len(phones)}")))
    group = await net.group(alice, *phones, dead, muted, name="the many")
    await register(dead, "fcm_token", "unregistered:many-1")  # now: that one was added is told, too, and would end it
    await muted.rest.call("PUT", f"/api/chats/{group}/mute", {"until": int(time.time() * 1000) + 3600_000}, expect=200)
    doubles.control(fcm="denied")
    out = await alice.told(f"{MARK} all of you", group)
    for phone in phones[3:]:
        await outcome(pushing, out.id, phone, "ACCEPTED")
    async with Supervised(pushing):  # what Google has not taken waits in a record that is done for Apple
        await killed_and_back(pushing.role("mobile"))
    doubles.control(fcm="ok")
    for phone in phones:
        await outcome(pushing, out.id, phone, "ACCEPTED")
    await outcome(pushing, out.id, muted, "MUTED")
    await outcome(pushing, out.id, dead, "TOKEN_DEAD")
    said = [r for _, _, r in await records(pushing, "push.outcomes") if r["messageId"] == out.id and r["outcome"] != "RETRIED"]
    assert sorted((r["userId"], r["deviceId"]) for r in said) == sorted((d.user_id, d.device_id) for d in (*phones, dead, muted))
    pushes = [(p, r) for p, _, r in await records(pushing, "mobile.push") if r["messageId"] == out.id and not r["attempt"]]
    assert len(pushes) == len({p for p, _ in pushes}) < len(said), "a record for each partition that has recipients"
    # the dead one is forgotten, and nobody else
    await rows_when(pushing, "SELECT 1 FROM view.push_targets WHERE device_id = %s", dead.device_id, enough=lambda r: not r)
    for phone in phones:
        await rows_when(pushing, "SELECT 1 FROM view.push_targets WHERE device_id = %s", phone.device_id)
    by_apple = [r for r in await asked(doubles, out.id, len(phones)) if not r["to"].startswith("fcm")]
    assert len(by_apple) == len(phones) - 3, "the kill repeated nothing that had an outcome"


@scenario(stack="pushing")
async def test_an_expired_access_token_is_renewed_once(pushing, doubles, net):
    (alice,) = await net.people("alice")
    phones = [await woken(net, f"p{i}", "fcm_token", f"ok:phone-{i}-1234") for i in range(4)]
    first = await alice.told(f"{MARK} with the first", peer=phones[0].user_id)
    await outcome(pushing, first.id, phones[0], "ACCEPTED")
    before = len(doubles.requests("oauth"))
    doubles.control(expire=1)
    told = [await alice.told(f"{MARK} with the next", peer=p.user_id) for p in phones]
    for out, p in zip(told, phones):
        await outcome(pushing, out.id, p, "ACCEPTED", timeout_s=100)
    assert len(doubles.requests("oauth")) == before + 1
    # revoked again within the minute: it is paused for a second or two, and then tried with another one, not with the dead one
    doubles.control(expire=1)
    told = [await alice.told(f"{MARK} and again", peer=p.user_id) for p in phones]
    for out, p in zip(told, phones):
        await outcome(pushing, out.id, p, "ACCEPTED", timeout_s=100)
    assert len(doubles.requests("oauth")) == before + 2
    refused = collections.Counter(r["headers"]["authorization"] for r in doubles.requests("fcm") if r["status"] == 401)
    assert max(refused.values()) <= len(phones), "a dead bearer was used again"


def push_test(stack, *words) -> tuple[int, str]:
    done = subprocess.run([stack.services.executable, "admin", "push-test", *words], env=stack.services.role_env("admin"),
                          capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


@scenario(stack="pushing")
async def test_a_push_by_hand_explains_itself(pushing, doubles, net):
    phone = await woken(net, "greta", "fcm_token", "ok:greta-1234")
    dead = await woken(net, "dead", "fcm_token", "unregistered:dead-1")
    ios = await woken(net, "iris", "apns", apns_token("af"))
    nobody = await net.user("nobody")
    run = functools.partial(asyncio.to_thread, push_test, pushing)
    code, text = await run("--user", phone.user_id)
    assert code == 0 and "fcm: configured" in text and "apns: configured" in text and "taken (HTTP 200)" in text, text
    last = doubles.requests("fcm")[-1]
    assert json.loads(last["body"])["validateOnly"] is True
    code, text = await run("--user", dead.user_id)
    assert code == 1 and "this token is dead" in text and "UNREGISTERED" in text, text
    before = len(doubles.requests("apns"))
    code, text = await run("--user", ios.user_id)
    assert code == 0 and "--send" in text and len(doubles.requests("apns")) == before, text
    code, text = await run("--user", ios.user_id, "--send")
    assert code == 0 and "taken (HTTP 200)" in text and len(doubles.requests("apns")) == before + 1, text
    code, text = await run("--user", nobody[1].user_id)
    assert code == 1 and "no device" in text, text
    doubles.control(fcm="denied")
    code, text = await run("--user", phone.user_id)
    assert code == 1 and "misconfigured" in text and "PERMISSION_DENIED" in text, text
    assert "ok:greta" not in text and "ya29" not in text
    assert (await run("--user", "x"))[0] == (await run())[0] == 2


@scenario(stack="pushing")
async def test_its_numbers(pushing, net):
    def get():
        return pushing.metrics("mobile")

    (alice,) = await net.people("alice")
    phone = await woken(net, "nils", "fcm_token", "ok:nils-1234")
    before = get()
    out = await alice.told(f"{MARK} counted", peer=phone.user_id)
    await outcome(pushing, out.id, phone, "ACCEPTED")
    await until(lambda: get()["pushes_taken_total"] == before["pushes_taken_total"] + 1, 10, "one more taken")
    assert get()["providers_paused"] == 0 and get()["tokens_dead_total"] >= 0
    # all lanes are in it: each owns every partition
    await until(lambda: get()["partitions"] == 3 * int(pushing.services.settings["PARTITIONS"]), 30, "the partitions of all lanes")


def test_all_end_in_good_order_and_logs_carry_no_content_tokens_or_numbers(pushing):
    asyncio.run(all_end_in_good_order(pushing))
    assert log_faults(pushing) == []
    text = pushing.role("mobile").log_path.read_text()
    assert "ok:andrea" not in text and "ya29" not in text and "PRIVATE" not in text
