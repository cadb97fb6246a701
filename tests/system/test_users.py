# SPDX-License-Identifier: MIT
"""Who may be known by whom: other people by their id, for a device that is new and shows what they wrote."""
import asyncio
import uuid

from client import MARK, scenario
from files import Files, png, voice
from look import rows, view_is_level

STAYS_LOOKED_AT = 1000


async def knows(asker, user) -> bool:
    """The same by either route."""
    one = await asker.rest.get(f"/api/users/{user.user_id}")
    many = (await asker.rest.post("/api/users/lookup", {"userIds": [user.user_id]}, expect=200)).body["users"]
    if one.status == 404:
        assert many == [] and one.code == "not_found"
        return False
    assert one.status == 200 and many == [one.body["user"]]
    assert set(one.body["user"]) >= {"userId", "name"} and one.body["user"]["userId"] == user.user_id
    return True


@scenario()
async def test_who_left_is_known_to_who_was_there_with_him(stack, net):
    owner, gone, late, stranger = await net.people("owner", "gone", "late", "stranger")
    group = await net.group(owner, gone)
    await gone.told(f"{MARK} before I go", group)
    await gone.rest.call("DELETE", f"/api/chats/{group}/members/{gone.user_id}", expect=200)
    await owner.rest.post(f"/api/chats/{group}/members", {"add": [late.user_id]}, expect=200)
    await view_is_level(stack)

    fresh = await net.users[0].device()
    history = (await fresh.rest.get(f"/api/chats/{group}/messages", expect=200)).body["messages"]
    senders = {m["from"] for m in history}
    assert gone.user_id in senders
    found = (await fresh.rest.post("/api/users/lookup", {"userIds": [*senders, *senders, stranger.user_id, str(uuid.uuid4())]}, expect=200)).body["users"]
    assert found == [{"userId": gone.user_id, "name": "gone", "about": "", "picture": ""}]
    assert await knows(gone, owner) and await knows(late, owner) and await knows(owner, owner)
    # never there at the same time
    assert not await knows(gone, late) and not await knows(late, gone)
    assert not await knows(stranger, owner) and not await knows(owner, stranger)
    # a role ends a stay and begins another one: nothing of it is to be seen here
    await owner.rest.call("PUT", f"/api/chats/{group}/members/{late.user_id}", {"role": "admin"}, expect=200)
    await view_is_level(stack)
    assert await knows(owner, late) and await knows(late, owner) and not await knows(gone, late)


@scenario()
async def test_who_was_found_by_number_or_written_to_is_known(stack, net):
    asker, found, written = await net.people("asker", "found", "written")
    by_name = {u.name: u for u in net.users}
    assert not await knows(asker, found)
    await asker.rest.post("/api/contacts/lookup", {"phoneNumbers": [by_name["found"].phone]}, expect=200)
    assert await knows(asker, found) and not await knows(found, asker)
    with stack.db() as db:  # a day later
        db.execute("UPDATE auth.lookups SET at = at - 86400000 WHERE user_id = %s", (asker.user_id,))
    assert not await knows(asker, found)
    await asker.rest.post("/api/chats", {"userId": found.user_id}, expect=200)
    assert await knows(asker, found)
    assert not await knows(found, asker), "that somebody opened a chat is nothing that the other one is told"
    await asker.told(f"{MARK} hello", peer=written.user_id)
    await view_is_level(stack)
    assert await knows(asker, written) and await knows(written, asker)


@scenario()
async def test_lookups_of_users_are_bounded(stack, net):
    asker, popular = await net.people("asker", "popular")
    for wrong in ([], [str(uuid.uuid4())] * 101, ["no id"], "x", None):
        assert (await asker.rest.post("/api/users/lookup", {"userIds": wrong})).status == 400, wrong
    assert (await asker.rest.get("/api/users/lookup")).status in (404, 405)
    assert (await asker.rest.post("/api/users/lookup", {"userIds": [str(uuid.uuid4()) for _ in range(100)]}, expect=200)).body == {"users": []}
    group = await net.group(asker, popular)
    await view_is_level(stack)
    plant = ("INSERT INTO view.members (part, role, chat_id, user_id, joined_seq) SELECT g %% 1024, 0, gen_random_uuid(), %s, 1 "
             "FROM generate_series(1, %s) g")
    with stack.db() as db:  # the common group is one of many that the other one is in …
        db.execute(plant, (popular.user_id, 5 * STAYS_LOOKED_AT))
    assert await knows(asker, popular) and await knows(popular, asker)
    with stack.db() as db:  # … and strangers cost no more than what is looked at
        db.execute(plant, (asker.user_id, 5 * STAYS_LOOKED_AT))
        strangers = [str(uuid.uuid4()) for _ in range(100)]
        for user in strangers:
            db.execute("INSERT INTO view.users (user_id, name, registered_at, src_offset) VALUES (%s, 'x', 1, 1)", (user,))
            db.execute(plant, (user, STAYS_LOOKED_AT + 200))
        db.execute("ANALYZE view.members")
    assert (await asker.rest.post("/api/users/lookup", {"userIds": strangers}, expect=200)).body == {"users": []}
    with stack.db() as db:  # what no log has, no rebuild brings back
        db.execute("DELETE FROM view.users WHERE user_id = ANY(%s::uuid[])", (strangers,))
        db.execute("DELETE FROM view.members m WHERE NOT EXISTS (SELECT 1 FROM view.chats c WHERE c.part = m.part AND c.chat_id = m.chat_id)")


# ---- profiles ----------------------------------------------------------------------------------------


async def upload(net, device, data, chat=None, type="image") -> str:
    files = Files(net.rest_url, device.tokens.access)
    try:
        return await asyncio.to_thread(files.send, chat, data, type)
    finally:
        files.close()


async def reads(net, device, path) -> int:
    """The status of the file at that path; without a device, of a link."""
    files = Files(net.rest_url, device.tokens.access if device else "")
    try:
        return (await asyncio.to_thread(files.call, "GET", path, headers={} if device else {"Authorization": ""})).status_code
    finally:
        files.close()


def told(sock, **what):
    return sock.expect(lambda f: f["t"] == "profile" and all(f.get(k) == v for k, v in what.items()), f"a profile frame with {what}")


@scenario()
async def test_a_profile_is_told_to_own_devices_and_shown_to_who_may_know(stack, net):
    alice, bob, stranger = await net.people("alice", "bob", "stranger")
    await alice.told(f"{MARK} hello", peer=bob.user_id)
    await view_is_level(stack)
    second = await net.users[0].device()
    here, there, bobs = await net.raw(alice.tokens, gateway=0, auto_ok=True), await net.raw(second.tokens, gateway=1, auto_ok=True), await net.raw(bob.tokens, auto_ok=True)
    for sock in (here, there, bobs):
        await sock.ready()

    picture = await upload(net, alice, png(seed=5))
    me = (await alice.rest.call("PATCH", "/api/me", {"name": "Alicia", "about": "on the road", "picture": picture}, expect=200)).body
    assert (me["name"], me["about"], me["picture"]) == ("Alicia", "on the road", picture)
    for sock in (here, there):
        await told(sock, name="Alicia")
        frame = await told(sock, about="on the road", picture=picture)
        assert set(frame) == {"n", "t", "about", "picture", "at"}
    shown = {"userId": alice.user_id, "name": "Alicia", "about": "on the road", "picture": picture}
    assert (await bob.rest.get(f"/api/users/{alice.user_id}", expect=200)).body == {"user": shown}
    assert (await stranger.rest.get(f"/api/users/{alice.user_id}")).status == 404

    # one thing alone leaves the others as they are; empty takes away
    me = (await second.rest.call("PATCH", "/api/me", {"about": ""}, expect=200)).body
    assert (me["name"], me["about"], me["picture"]) == ("Alicia", "", picture)
    assert "name" not in await told(here, about="") and "picture" not in await told(there, about="")
    # a device that was away has it from its sync, whatever its cursor is
    page = (await second.rest.get("/api/sync", expect=200)).body
    assert page["me"] == {**shown, "about": "", "privacy": {"lastSeen": "contacts", "picture": "everyone", "about": "everyone"},
                          "readReceipts": True} and not page["more"]
    assert not [f for f in bobs.frames if f["t"] == "profile"], "others ask, they are not told"


@scenario()
async def test_the_picture_is_open_to_who_may_know_its_owner_while_it_is_his(stack, net):
    alice, bob, stranger = await net.people("alice", "bob", "stranger")
    group = await net.group(alice, bob)
    first, second = [await upload(net, alice, png(seed=seed)) for seed in (6, 7)]
    files = Files(net.rest_url, alice.tokens.access)
    await asyncio.to_thread(files.found, first)  # the small one is there then
    files.close()
    everything = (f"/api/media/{first}", f"/api/media/{first}/thumbnail", f"/api/media/{first}/link")
    assert [await reads(net, bob, path) for path in everything] == [404] * 3, "nobody was shown it"
    await alice.rest.call("PATCH", "/api/me", {"picture": first}, expect=200)
    assert [await reads(net, bob, path) for path in everything] == [200] * 3
    assert [await reads(net, stranger, path) for path in everything] == [404] * 3
    # who left the group is still known: he was there with her
    await bob.rest.call("DELETE", f"/api/chats/{group}/members/{bob.user_id}", expect=200)
    await view_is_level(stack)
    assert await reads(net, bob, everything[0]) == 200
    # a link ends with the picture
    link = (await bob.rest.get(everything[2], expect=200)).body["url"]
    assert await reads(net, None, link) == 200
    await alice.rest.call("PATCH", "/api/me", {"picture": second}, expect=200)
    assert [await reads(net, bob, path) for path in everything] == [404] * 3 and await reads(net, None, link) == 404
    assert await reads(net, bob, f"/api/media/{second}") == 200 and await reads(net, alice, everything[0]) == 200
    await alice.rest.call("PATCH", "/api/me", {"picture": ""}, expect=200)
    assert await reads(net, bob, f"/api/media/{second}") == 404
    assert (await bob.rest.get(f"/api/users/{alice.user_id}", expect=200)).body["user"]["picture"] == ""


@scenario()
async def test_what_no_profile_may_have(stack, net):
    alice, bob = await net.people("alice", "bob")
    foreign = await upload(net, bob, png(seed=8))
    sound = await upload(net, alice, voice(0.5), type="audio")
    for wrong in ({}, {"name": ""}, {"name": "\u200b"}, {"name": "\u0336\u0336"}, {"name": "a\u202eb"}, {"about": "x" * 141}, {"about": "\u0800" * 140 + "\U00010000" * 40},
                  {"about": "two\nlines"}, {"about": 5}, {"picture": "no id"}, {"picture": str(uuid.UUID(int=0))}, {"picture": str(uuid.uuid4())},
                  {"picture": foreign}, {"picture": sound}, {"name": "Fine", "picture": foreign}):
        r = await alice.rest.call("PATCH", "/api/me", wrong)
        assert (r.status, r.code) == (400, "bad_request"), (wrong, r)
    me = (await alice.rest.get("/api/me", expect=200)).body
    assert (me["name"], me["about"], me["picture"]) == ("alice", "", ""), "all or nothing"
    about = "\U0001f600" * 140  # as long as it may be in code points and in bytes
    assert (await alice.rest.call("PATCH", "/api/me", {"about": about}, expect=200)).body["about"] == about
    # nobody else's files are reached by the place that is one's own, and nobody writes there
    (mine,) = {r["chat_id"] for r in await rows(stack, "SELECT chat_id FROM view.media WHERE owner_id = %s", alice.user_id)}
    assert (await bob.rest.post("/api/media", {"chatId": mine, "type": "image", "size": 10})).status == 404
    assert (await alice.rest.post("/api/messages", {"chatId": mine, "content": f"{MARK} to me", "type": "text"})).status == 404
    assert (await alice.rest.get(f"/api/chats/{mine}")).status == 404
