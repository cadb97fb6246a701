# SPDX-License-Identifier: MIT
"""Who sees what of somebody: when he was last here, his picture, what he says of himself."""
import asyncio

from client import MARK, scenario, until
from files import Files, png
from look import rows_when, view_is_level
from signals import Eye, looks_at, shown, user_ticket
from test_users import reads, told, upload

OPEN = {"lastSeen": "contacts", "picture": "everyone", "about": "everyone"}


async def sets(device, **privacy) -> dict:
    return (await device.rest.call("PATCH", "/api/me", {"privacy": privacy}, expect=200)).body["privacy"]


async def sees(asker, user) -> tuple:
    """About and picture, the same by either route, and nothing else of him."""
    one = (await asker.rest.get(f"/api/users/{user.user_id}", expect=200)).body["user"]
    assert (await asker.rest.post("/api/users/lookup", {"userIds": [user.user_id]}, expect=200)).body == {"users": [one]}
    assert set(one) == {"userId", "name", "about", "picture"} and user.name.startswith(one["name"])
    return one["about"], one["picture"]


@scenario()
async def test_a_profile_is_shown_to_whom_its_owner_says(stack, net):
    alice, bob, eve = await net.people("alice", "bob", "eve")
    await alice.told(f"{MARK} hello", peer=bob.user_id)
    await eve.told(f"{MARK} I write to you", peer=alice.user_id)  # which makes nobody a contact of hers
    await view_is_level(stack)
    second = await net.users[0].device()
    socks = [await net.raw(d.tokens, gateway=i, auto_ok=True) for i, d in enumerate((alice, second))]
    bobs = await net.raw(bob.tokens, auto_ok=True)
    for sock in (*socks, bobs):
        await sock.ready()
    picture = await upload(net, alice, png(seed=9))
    me = (await alice.rest.call("PATCH", "/api/me", {"about": "busy", "picture": picture}, expect=200)).body
    assert me["privacy"] == OPEN
    files = Files(net.rest_url, alice.tokens.access)
    await asyncio.to_thread(files.found, picture)
    files.close()
    paths = (f"/api/media/{picture}", f"/api/media/{picture}/thumbnail", f"/api/media/{picture}/link")
    assert await sees(bob, alice) == await sees(eve, alice) == ("busy", picture)
    link = (await eve.rest.get(paths[2], expect=200)).body["url"]
    assert await reads(net, None, link) == 200

    assert await sets(alice, picture="contacts", about="nobody") == {**OPEN, "picture": "contacts", "about": "nobody"}
    assert await sees(bob, alice) == ("", picture) and await sees(eve, alice) == ("", "")
    assert [await reads(net, bob, path) for path in paths] == [200] * 3
    assert [await reads(net, eve, path) for path in paths] == [404] * 3 and await reads(net, None, link) == 404
    assert await sees(alice, alice) == ("busy", picture), "oneself sees oneself"
    # her devices are told what was set, others are not; a device that was away has it from its sync
    for sock in socks:
        frame = await told(sock, privacy={"picture": "contacts", "about": "nobody"})
        assert set(frame) == {"n", "t", "privacy", "at"}
    assert not [f for f in bobs.frames if f["t"] == "profile"]
    assert (await second.rest.get("/api/sync", expect=200)).body["me"]["privacy"] == {**OPEN, "picture": "contacts", "about": "nobody"}
    # what is not named stays, and so does a setting when what it is about changes
    await second.rest.call("PATCH", "/api/me", {"about": "still busy"}, expect=200)
    assert await sets(second, picture="nobody") == {**OPEN, "picture": "nobody", "about": "nobody"}
    assert await sees(bob, alice) == ("", "") and await reads(net, bob, paths[0]) == 404 and await reads(net, alice, paths[0]) == 200
    # once she has answered, eve is a contact
    assert await sets(alice, picture="contacts", about="contacts") == {**OPEN, "picture": "contacts", "about": "contacts"}
    assert await sees(eve, alice) == ("", "")
    await alice.told(f"{MARK} yes", peer=eve.user_id)
    await view_is_level(stack)
    assert await sees(eve, alice) == ("still busy", picture)


@scenario(120)
async def test_t46_who_hides_is_not_seen_and_does_not_see(stack, net):
    alice, bob, eve = await net.people("alice", "bob", "eve")
    stranger = (await net.people("stranger"))[0]
    await alice.told(f"{MARK} hello", peer=bob.user_id)
    await bob.told(f"{MARK} hello", peer=alice.user_id)
    await net.group(alice, eve, name="both")
    await view_is_level(stack)
    eyes = {d: await Eye.open(net, d, i % 2) for i, d in enumerate((alice, bob, eve, stranger))}

    async def asks(asker, user) -> int:
        return (await asker.rest.post(f"/api/users/{user.user_id}/ticket", {"session": eyes[asker].session})).status

    assert [await asks(d, alice) for d in (bob, eve, stranger)] == [200, 404, 404]
    await sets(alice, lastSeen="everyone")  # that is, everyone who may know her
    assert [await asks(d, alice) for d in (bob, eve, stranger)] == [200, 200, 404]
    await looks_at(eyes[eve], alice.user_id)
    await shown(eyes[eve], alice.user_id, ["here"])
    assert await asks(alice, bob) == 200
    await sets(alice, lastSeen="nobody")
    assert [await asks(d, alice) for d in (bob, eve, stranger)] == [404] * 3
    assert await asks(alice, bob) == 404, "who hides does not see"
    assert await asks(bob, alice) == 404
    hidden = await user_ticket(bob, alice.user_id, eyes[bob].session, expect=404)
    missing = await user_ticket(bob, "7a1f0c44-3b7e-4d0e-9c55-2f3a1b6c7d88", eyes[bob].session, expect=404)
    for reply in (hidden, missing):
        reply["error"].pop("requestId")
    assert hidden == missing
    await sets(alice, lastSeen="contacts")
    assert [await asks(d, alice) for d in (bob, eve, stranger)] == [200, 404, 404] and await asks(alice, bob) == 200


@scenario()
async def test_what_no_setting_may_be(stack, net):
    (alice,) = await net.people("alice")
    for wrong in ({}, [], "nobody", {"lastSeen": "friends"}, {"about": None}, {"picture": 1}, {"name": "nobody"}, {"about": "nobody", "lastSeen": "Everyone"}):
        r = await alice.rest.call("PATCH", "/api/me", {"name": "Fine", "privacy": wrong})
        assert (r.status, r.code) == (400, "bad_request") and "privacy: " in r.body["error"]["message"], (wrong, r)
    me = (await alice.rest.get("/api/me", expect=200)).body
    assert (me["name"], me["privacy"]) == ("alice", OPEN), "all or nothing"


# ---- read receipts -----------------------------------------------------------------------------------


async def comes(sock, after: int, match, what: str) -> None:
    """A frame behind the first ones."""
    await until(lambda: any(map(match, sock.frames[after:])), 20, lambda: f"{what}; {sock.frames[after:]}", sock._news)


async def turns(device, socks, on: bool) -> None:
    """Read receipts on or off, known to these sockets of the user."""
    before = [len(sock.frames) for sock in socks]
    assert (await device.rest.call("PATCH", "/api/me", {"readReceipts": on}, expect=200)).body["readReceipts"] is on
    for sock, n in zip(socks, before, strict=True):
        await comes(sock, n, lambda f: f["t"] == "profile" and f.get("readReceipts") is on, "the frame that says so")


async def reads_up_to(stack, sock, chat, peer, user, seq, told) -> None:
    """Says it, and waits for the view: `told` is how far others may be told."""
    await sock.send({"t": "receipt", "chatId": chat, "read": seq, **({"peer": peer} if peer else {})})
    await rows_when(stack, "SELECT 1 AS one FROM view.cursors WHERE chat_id = %s AND user_id = %s AND read = %s AND coalesce(told, read) = %s",
                    chat, user, seq, told, what=f"read up to {seq}, told up to {told}")


@scenario(120)
async def test_what_is_read_with_receipts_off_is_not_told_and_not_seen(stack, net):
    alice, bob = await net.people("alice", "bob")
    phone = await net.users[1].device()
    group = await net.group(alice, bob, name="two")
    socks = [await net.raw(d.tokens, gateway=i, auto_ok=True) for i, d in enumerate((bob, phone))]
    for sock in socks:
        await sock.ready()
    await bob.stop()

    async def shown_to(device, chat, seq) -> tuple:
        """Of a message, how the list, the history and the sync show that others have read it."""
        (listed,) = [c for c in (await device.rest.get("/api/chats", expect=200)).body["chats"] if c["chatId"] == chat]
        (said,) = [m for m in (await device.rest.get(f"/api/chats/{chat}/messages", expect=200)).body["messages"] if m["seq"] == seq]
        page = (await device.rest.get("/api/sync", expect=200)).body
        ticks = [t["read"] for t in page["ticks"] if t["chatId"] == chat]
        (synced,) = [m for m in page["messages"] if (m["chatId"], m["seq"]) == (chat, seq)]
        is_seen = said["seenAt"] is not None
        assert (synced["seenAt"] is not None) is is_seen and (listed["read"] >= seq) is is_seen
        return listed["read"], max(ticks, default=0), is_seen

    for where, peer in (({"peer": bob.user_id}, alice.user_id), ({"chat_id": group}, None)):
        first = await alice.told(f"{MARK} first", **where)
        chat = first.verdict["chatId"]
        await reads_up_to(stack, socks[0], chat, peer, bob.user_id, first.seq, told=first.seq)
        await alice.wait(lambda: alice.ticks[chat]["read"] >= first.seq, 30, "the read tick")
        await turns(bob, socks, False)

        second = await alice.told(f"{MARK} second", **where)
        for sock, other in (socks, socks[::-1]):  # at either gateway, and by REST
            third = await alice.told(f"{MARK} another one", **where)
            n = len(other.frames)
            await reads_up_to(stack, sock, chat, peer, bob.user_id, third.seq, told=first.seq)
            await comes(other, n, lambda f, seq=third.seq: f["t"] == "read" and f["chatId"] == chat and f["seq"] == seq, "his other device is told")
        last = await alice.told(f"{MARK} by rest", **where)
        await phone.rest.post(f"/api/chats/{chat}/read", {"seq": last.seq}, expect=202)
        await rows_when(stack, "SELECT 1 AS one FROM view.cursors WHERE chat_id = %s AND user_id = %s AND read = %s AND told = %s",
                        chat, bob.user_id, last.seq, first.seq, what="read by REST")
        # what was seen before stays seen, what he read since is his own
        await alice.wait(lambda: alice.ticks[chat]["delivered"] >= last.seq, 30, "delivered all the same")
        assert alice.ticks[chat]["read"] == first.seq
        assert await shown_to(alice, chat, first.seq) == (first.seq, first.seq, True)
        assert await shown_to(alice, chat, last.seq) == (first.seq, first.seq, False)
        for out, is_read in ((first, True), (second, False), (last, False)):
            (row,) = (await alice.rest.get(f"/api/messages/{out.verdict['id']}/receipts", expect=200)).body["receipts"]
            assert (row["readAt"] is not None) is is_read and row["deliveredAt"]
        (listed,) = [c for c in (await bob.rest.get("/api/chats", expect=200)).body["chats"] if c["chatId"] == chat]
        assert listed["unread"] == 0 and listed["mySeq"]["read"] == last.seq

        # and he is not told what others read, nor that they did
        await socks[0].send({"t": "message.send", "clientId": f"from-bob-{chat}", "chatId": chat, "content": f"{MARK} from bob", "type": "text",
                             **({"peer": peer} if peer else {})})
        mine = await socks[1].expect(lambda f: f["t"] == "message" and f["clientId"] == f"from-bob-{chat}", "his own message")
        await alice.sees(f"{MARK} from bob")
        await socks[0].expect(lambda f: f["t"] == "status" and f["chatId"] == chat and f["delivered"] >= mine["seq"], "that it is delivered")
        place = (await bob.rest.get("/api/sync", expect=200)).body["cursor"]
        alice.read(chat)
        await rows_when(stack, "SELECT 1 AS one FROM view.receipts WHERE chat_id = %s AND user_id = %s AND kind = 1 AND seq >= %s",
                        chat, alice.user_id, mine["seq"], what="read by alice")
        marker = await alice.told(f"{MARK} behind it", **where)
        for sock in socks:
            await sock.expect(lambda f: f["t"] == "message" and (f["chatId"], f["seq"]) == (chat, marker.seq), "what comes behind the tick")
            assert not [f for f in sock.frames if f["t"] == "status" and f["chatId"] == chat and f["read"] >= mine["seq"]]
        assert await shown_to(bob, chat, mine["seq"]) == (0, 0, False)
        assert not (await bob.rest.get("/api/sync", expect=200, cursor=place)).body["ticks"]
        (row,) = (await bob.rest.get(f"/api/messages/{mine['id']}/receipts", expect=200)).body["receipts"]
        assert row["readAt"] is None and row["deliveredAt"]

        # on again: he sees, and nothing that he read meanwhile is told until he reads on
        await turns(phone, socks, True)
        assert (await shown_to(bob, chat, mine["seq"]))[2]
        assert await shown_to(alice, chat, last.seq) == (first.seq, first.seq, False)
        await reads_up_to(stack, socks[1], chat, peer, bob.user_id, marker.seq, told=marker.seq)
        await alice.wait(lambda: alice.ticks[chat]["read"] >= marker.seq, 30, "the read tick again")
        assert all(a[3] <= b[3] for a, b in zip(ticks_of(alice, chat), ticks_of(alice, chat)[1:])), "ticks never go back"
    # whoever comes later knows it, too
    await turns(bob, socks, False)
    late = await net.raw(phone.tokens, gateway=0, auto_ok=True)
    await late.ready()
    out = await alice.told(f"{MARK} at last", group)
    await reads_up_to(stack, late, group, None, bob.user_id, out.seq, told=marker.seq)
    assert (await phone.rest.get("/api/sync", expect=200)).body["me"]["readReceipts"] is False
    assert set((await alice.rest.get(f"/api/users/{bob.user_id}", expect=200)).body["user"]) == {"userId", "name", "about", "picture"}


def ticks_of(device, chat) -> list:
    return [t for t in device.tick_log if t[1] == chat]
