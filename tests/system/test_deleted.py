# SPDX-License-Identifier: MIT
"""Accounts that end, and numbers that go from hand to hand. Over two gateways, two devices, and a role that dies in between."""
import asyncio
import uuid

from client import MARK, by_role, register_push, scenario, sign_in
from look import made_anew, partition_of, paused, rows, rows_when, started, view_is_level
from stack import encode
from test_devices import is_ended

IN_GROUPS = ("SELECT m.chat_id FROM view.members m JOIN view.chats c USING (part, chat_id) "
             "WHERE m.user_id = %s AND m.left_seq IS NULL AND c.kind = 1")
# by another topic than who leaves a group: name, devices and marks go at once with it
IS_DELETED = "SELECT 1 FROM view.users WHERE user_id = %s AND deleted_at IS NOT NULL"


async def a_code(caller, phone: str) -> dict:
    sent = (await caller.post("/api/login", {"phoneNumber": phone}, expect=200)).body
    return {"challenge": sent["challenge"], "code": sent["devCode"]}


async def delete(device, phone: str, expect=200):
    return await device.rest.call("DELETE", "/api/me", await a_code(device.rest, phone), expect=expect)


async def both_codes(device, phone: str) -> dict:
    """Of the number to come, and of the present one."""
    present = (await device.rest.get("/api/me", expect=200)).body["phoneNumber"]
    new, old = await a_code(device.rest, phone), await a_code(device.rest, present)
    return {**new, "oldChallenge": old["challenge"], "oldCode": old["code"]}


async def renumber(device, phone: str, expect=200):
    return await device.rest.call("PUT", "/api/me/number", await both_codes(device, phone), expect=expect)


async def who_has(device, *phones: str) -> dict:
    found = (await device.rest.post("/api/contacts/lookup", {"phoneNumbers": list(phones)}, expect=200)).body["contacts"]
    return {c["phoneNumber"]: c["userId"] for c in found}


async def seen(device, user: str) -> dict:
    return (await device.rest.get(f"/api/users/{user}", expect=200)).body["user"]


def added_again(stack, chat: str, by, user: str) -> None:
    """As a client's request that was on its way for long: nobody asks schema auth any more."""
    def raw(text):
        return uuid.UUID(text)

    value = encode("ChatAction", {
        "chatId": raw(chat), "userId": raw(by.user_id), "deviceId": raw(by.device_id), "clientId": "late-" + user[:8], "atMs": 1, "peer": None,
        "action": ("chasqui.MembersChanged", {"changes": [{"userId": raw(user), "change": "ADD"}]})})
    p = stack.producer()
    meta = p.list_topics("chat.actions", timeout=20).topics["chat.actions"]
    p.produce("chat.actions", value, key=chat.encode(), partition=partition_of(chat, len(meta.partitions)))
    assert p.flush(30) == 0


def ended_of(device, gone) -> list[dict]:
    return [f for f in device.group_log if f["t"] == "account_deleted" and f["by"] == gone.user_id]


async def goes_away(device) -> str:
    """Ends its socket. Returns the cursor from which its next sync goes on."""
    await device.stop()
    return (await device.rest.get("/api/sync", expect=200, cursor="latest")).body["cursor"]


@scenario(240)
async def test_a_deleted_account_is_gone_everywhere(stack, net):
    """Devices, name, lookup, groups with an heir; the direct chat stays with the other. So after a later add, and in a view made anew."""
    anna, phone = await net.user("anna")
    second = await anna.device(gateway=1)
    await asyncio.gather(phone.online(), second.online())
    bob, carl = await net.people("bob", "carl")
    direct = await net.direct(phone, bob)
    away = await net.direct(phone, carl)
    group, other = await net.group(phone, bob, carl, name="owned"), await net.group(bob, phone, name="joined")
    await phone.rest.call("PUT", f"/api/chats/{group}/members/{carl.user_id}", {"role": "admin"}, expect=200)
    out = await phone.told(f"{MARK} from anna", direct)
    await bob.sees(out.content)
    await phone.told(f"{MARK} to carl", away)
    await carl.sees(f"{MARK} to carl")
    await register_push(net.rest, second.device_id, caller=second.tokens.access)
    await phone.rest.call("PATCH", "/api/me", {"about": "here", "privacy": {"lastSeen": "nobody"}}, expect=200)
    await phone.rest.call("PATCH", f"/api/chats/{direct}/marks", {"draft": "unsent"}, expect=200)
    await view_is_level(stack)
    since = await goes_away(carl)
    assert await who_has(bob, anna.phone) == {anna.phone: phone.user_id}

    # a code of another number, of a wrong or used challenge, or none is no proof
    r = await phone.rest.call("DELETE", "/api/me", await a_code(phone.rest, net.phone()))
    assert (r.status, r.code) == (401, "bad_code")
    r = await phone.rest.call("DELETE", "/api/me", {"challenge": str(uuid.uuid4()), "code": "000000"})
    assert (r.status, r.code) == (401, "bad_code")
    assert (await phone.rest.call("DELETE", "/api/me")).status == 400
    assert (await phone.rest.get("/api/me")).body["name"] == "anna"

    for d in (phone, second):
        d.closes.clear()
    await delete(phone, anna.phone)
    await bob.wait(lambda: {f["chatId"] for f in ended_of(bob, phone)} == {direct, group, other}, 60, "the end of the account in each chat")
    for d in (phone, second):
        await d.wait(lambda d=d: (4401, "revoked") in d.closes, 20, "the socket to be closed")
        await d.stop()
        await is_ended(net, d.tokens)
    assert await who_has(bob, anna.phone) == {}
    await rows_when(stack, IN_GROUPS, phone.user_id, enough=lambda r: not r)
    await rows_when(stack, "SELECT 1 FROM view.push_targets WHERE user_id = %s", phone.user_id, enough=lambda r: not r)
    await rows_when(stack, IS_DELETED, phone.user_id)
    await rows_when(stack, "SELECT 1 FROM view.endings WHERE user_id = %s", phone.user_id, enough=lambda r: len(r) == 2)
    # who was away is told by his sync: each of these chats has a line more, the direct one in a chat that says so
    told = (await carl.rest.get("/api/sync", expect=200, cursor=since)).body
    assert {c["chatId"]: c.get("deleted") for c in told["chats"]} == {away: True, group: None}
    assert not told["messages"] and all(c["lineSeq"] for c in told["chats"])

    async def lines_of(device, chat):
        found = (await device.rest.get(f"/api/chats/{chat}/lines", expect=200)).body["lines"]
        return [line for line in found if line["t"] == "account_deleted"]

    live = {f["chatId"]: {k: v for k, v in f.items() if k != "n"} for f in ended_of(bob, phone)}

    async def as_seen():
        """What others are shown of him."""
        assert await seen(bob, phone.user_id) == {"userId": phone.user_id, "name": "", "about": "", "picture": "", "deleted": True}
        chat = (await bob.rest.get(f"/api/chats/{direct}", expect=200)).body["chat"]
        assert (chat["name"], chat["peer"], chat["deleted"], chat["lastMessage"]["content"]) == ("", phone.user_id, True, out.content)
        members = (await bob.rest.get(f"/api/chats/{group}", expect=200)).body["chat"]["members"]
        assert {(m["name"], m["role"]) for m in members} == {("bob", "member"), ("carl", "owner")}  # an admin inherits before a member
        assert phone.user_id not in [m["userId"] for m in (await carl.rest.get(f"/api/chats/{group}", expect=200)).body["chat"]["members"]]
        assert not await rows(stack, "SELECT 1 FROM view.chat_marks WHERE user_id = %s", phone.user_id)
        assert await rows(stack, "SELECT removed_at IS NULL AS live FROM view.devices WHERE user_id = %s", phone.user_id) == [{"live": False}] * 2
        assert not await rows(stack, IN_GROUPS, phone.user_id)
        assert await lines_of(bob, direct) == [live[direct]] and await lines_of(bob, group) == [live[group]]
        assert [(f["by"], f["peer"]) for f in await lines_of(carl, away)] == [(phone.user_id, carl.user_id)]

    await as_seen()
    # nobody writes to it or adds it by REST; what was on its way adds it, and it leaves again
    r = await bob.rest.post(f"/api/chats/{other}/members", {"add": [phone.user_id]})
    assert r.status == 404
    assert (await bob.rest.post("/api/chats", {"userId": phone.user_id})).status == 404
    await asyncio.to_thread(added_again, stack, other, bob, phone.user_id)
    await rows_when(stack, "SELECT 1 FROM view.members WHERE user_id = %s AND chat_id = %s", phone.user_id, other, enough=lambda r: len(r) == 2)
    await rows_when(stack, IN_GROUPS, phone.user_id, enough=lambda r: not r)
    await view_is_level(stack)
    await as_seen()
    await made_anew(stack)
    await rows_when(stack, "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM view.incomplete)", timeout_s=60)
    await view_is_level(stack)
    await as_seen()

    # the number is free: the next generation, to which nothing of the old one belongs
    fresh = await sign_in(net.rest, anna.phone, name="zoe")
    assert fresh.user_id != phone.user_id
    assert await who_has(bob, anna.phone) == {anna.phone: fresh.user_id}
    mine = (await net.rest.call("GET", "/api/chats", token=fresh.access, expect=200)).body
    assert mine["chats"] == []
    assert (await net.rest.call("GET", f"/api/chats/{direct}", token=fresh.access)).status == 404
    await as_seen()
    again = await sign_in(net.rest, anna.phone)
    assert again.user_id == fresh.user_id


@scenario(240)
async def test_a_deletion_goes_on_after_whoever_did_it_died(stack, net):
    """The log does not answer while an account is deleted, and edge-rest is killed then."""
    anna, phone = await net.user("anna")
    await phone.online()
    (bob,) = await net.people("bob")
    await net.group(phone, bob, name="left by the dead")
    await view_is_level(stack)
    code = await a_code(phone.rest, anna.phone)
    edges = by_role(stack, "edge-rest")
    await paused(stack.kafka)
    try:
        await phone.rest.call("DELETE", "/api/me", code, expect=200)
        for p in edges:
            await asyncio.to_thread(p.kill9)
        assert await rows(stack, IN_GROUPS, phone.user_id)
    finally:
        stack.kafka.cont()
        for p in edges:
            await started(p)
    await rows_when(stack, IN_GROUPS, phone.user_id, enough=lambda r: not r, timeout_s=25)
    await rows_when(stack, IS_DELETED, phone.user_id)
    await phone.wait(lambda: (4401, "revoked") in phone.closes, 20, "the socket to be closed")
    await phone.stop()
    assert (await seen(bob, phone.user_id))["deleted"]


@scenario(120)
async def test_a_copy_of_before_a_deletion_does_not_undo_it(stack, net):
    """The rows of the account come back, as by a restore: it ends again when edge-rest starts, and its devices with it."""
    anna, phone = await net.user("anna")
    await phone.rest.get("/api/me", expect=200)
    kept = {table: await rows(stack, f"SELECT * FROM auth.{table} WHERE user_id = %s", phone.user_id) for table in ("accounts", "devices")}
    await delete(phone, anna.phone)
    await rows_when(stack, IS_DELETED, phone.user_id)
    ((ended,),) = [r.values() for r in await rows(stack, "SELECT deleted_at FROM auth.accounts WHERE user_id = %s", phone.user_id)]
    edges = by_role(stack, "edge-rest")
    for p in edges:
        await asyncio.to_thread(p.kill9)
    with stack.db() as db:
        for row in kept["accounts"]:
            db.execute("UPDATE auth.accounts SET phone_number = %s, deleted_at = NULL, look_at = NULL WHERE user_id = %s", (row["phone_number"], row["user_id"]))
        for row in kept["devices"]:
            db.execute("UPDATE auth.devices SET revoked_at = NULL WHERE device_id = %s", (row["device_id"],))
    for p in edges:
        await started(p)
    await rows_when(stack, "SELECT 1 FROM auth.accounts WHERE user_id = %s AND deleted_at = %s AND phone_number IS NULL", phone.user_id, ended)
    assert not await rows(stack, "SELECT 1 FROM auth.devices WHERE user_id = %s AND revoked_at IS NULL", phone.user_id)
    await is_ended(net, phone.tokens)
    assert (await sign_in(net.rest, anna.phone)).user_id != phone.user_id


@scenario(120)
async def test_a_log_in_beside_a_deletion(stack, net):
    """Whoever logs in at the same moment has a device of the account, which ends with it, or a new account."""
    for i in range(6):
        anna, phone = await net.user(f"anna {i}")
        deletion = await a_code(phone.rest, anna.phone)
        code = await a_code(net.rest, anna.phone)
        gone, there = await asyncio.gather(phone.rest.call("DELETE", "/api/me", deletion), net.rest.post("/api/verify", {**code, "platform": "web"}))
        assert gone.status == 200 and there.status in (200, 401), (gone.status, there.status)
        if there.status == 200:
            is_old = there.body["userId"] == phone.user_id
            assert (await net.rest.call("GET", "/api/me", token=there.body["accessToken"])).status == (401 if is_old else 200)
            assert (await net.rest.post("/api/token/refresh", {"refreshToken": there.body["refreshToken"]})).status == (401 if is_old else 200)
        holder = await rows(stack, "SELECT user_id FROM auth.accounts WHERE phone_number = %s AND deleted_at IS NULL", anna.phone)
        assert phone.user_id not in [str(r["user_id"]) for r in holder]
        live = await rows(stack, "SELECT 1 FROM auth.devices WHERE user_id = %s AND revoked_at IS NULL", phone.user_id)
        assert not live, "a device outlived its account"


@scenario(240)
async def test_a_number_goes_from_hand_to_hand(stack, net):
    """The id stays and the number changes; an account's number is refused until that is deleted; of two who want one, one gets it."""
    (anna, phone), (bob, bobs) = await net.user("anna"), await net.user("bob")
    await phone.online()
    (carl,) = await net.people("carl")
    direct = await net.direct(phone, carl)
    out = await phone.told(f"{MARK} kept", direct)
    await carl.sees(out.content)
    old, new = anna.phone, net.phone()
    await view_is_level(stack)
    r = await renumber(phone, bob.phone, expect=None)
    assert (r.status, r.code) == (409, "number_taken")
    # whoever has the session alone, or a code to another number, cannot take the account along
    own = await a_code(phone.rest, new)
    assert (await phone.rest.call("PUT", "/api/me/number", own)).status == 400
    other = await a_code(phone.rest, new)
    r = await phone.rest.call("PUT", "/api/me/number", {**own, "oldChallenge": other["challenge"], "oldCode": other["code"]})
    assert (r.status, r.code) == (401, "bad_code")
    assert (await phone.rest.get("/api/me", expect=200)).body["phoneNumber"] == old
    me = (await renumber(phone, new)).body
    assert (me["userId"], me["phoneNumber"], me["name"]) == (phone.user_id, new, "anna")
    assert await who_has(carl, old, new) == {new: phone.user_id}
    assert (await sign_in(net.rest, new)).user_id == phone.user_id

    # whoever gets the old number is somebody else, and keeps being so when that one comes back to it
    zoe = await sign_in(net.rest, old, name="zoe")
    assert zoe.user_id not in (phone.user_id, bobs.user_id)
    assert await who_has(carl, old, new) == {old: zoe.user_id, new: phone.user_id}
    assert (await net.rest.call("GET", "/api/chats", token=zoe.access, expect=200)).body["chats"] == []
    assert (await net.rest.call("GET", f"/api/chats/{direct}", token=zoe.access)).status == 404
    assert (await phone.rest.get(f"/api/chats/{direct}/messages", expect=200)).body["messages"][-1]["content"] == out.content
    r = await renumber(phone, old, expect=None)
    assert (r.status, r.code) == (409, "number_taken")
    code = await a_code(net.rest, old)
    await net.rest.call("DELETE", "/api/me", code, token=zoe.access, expect=200)
    assert (await renumber(phone, old)).body["phoneNumber"] == old
    assert await who_has(carl, old, new) == {old: phone.user_id}

    # a race, with a stranger who registers it: one gets it
    wanted = net.phone()
    codes = [await both_codes(d, wanted) for d in (phone, bobs)] + [await a_code(net.rest, wanted)]
    answers = await asyncio.gather(*(d.rest.call("PUT", "/api/me/number", c) for d, c in zip((phone, bobs), codes)),
                                   net.rest.post("/api/verify", {**codes[2], "platform": "web"}))
    holder = (await who_has(carl, wanted)).get(wanted)
    got = [a.body["userId"] for a in answers if a.status == 200]
    assert holder is None or holder in got
    assert sorted(a.status for a in answers[:2]) in ([200, 409], [409, 409]) and answers[2].status == 200
    await view_is_level(stack)
    assert set(got) == set((await who_has(carl, wanted)).values())
