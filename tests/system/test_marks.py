# SPDX-License-Identifier: MIT
"""Where chats stand in a user's own list: archived, pinned, marked unread, muted. Over two gateways, two devices, and one that was away."""
import asyncio

from client import MARK, scenario, until
from look import made_anew, rows, view_is_level
from test_changes import pairs

FOREVER = 253402300799999


async def mark(device, chat, expect=200, **what):
    return (await device.rest.call("PATCH", f"/api/chats/{chat}/marks", what, expect=expect)).body


async def shown(device, chat) -> dict:
    """The same wherever it is shown."""
    one = (await device.rest.get(f"/api/chats/{chat}", expect=200)).body["chat"]
    page = (await device.rest.get("/api/chats", expect=200)).body
    (listed,) = [c for c in page["chats"] if c["chatId"] == chat]
    assert listed.get("marks") == one.get("marks") and listed.get("mutedUntil") == one.get("mutedUntil")
    return one.get("marks") or {}


def is_set(marks: dict) -> dict:
    return {k: v for k, v in marks.items() if k != "seq"}


@scenario(240)
async def test_marks_travel_between_devices_and_concern_nobody_else(stack, net):
    (alice, alice2), (bob, _) = await pairs(net, "alice", "bob")
    chat, group = await net.direct(alice, bob), await net.group(alice, bob, name="list")
    first = await bob.told(f"{MARK} first", chat)
    await alice2.sees(first.content)
    await view_is_level(stack)
    assert await shown(alice, chat) == {}

    # each by another device, at the same time: fields are apart, and nothing is lost
    await asyncio.gather(mark(alice, chat, archived=True), mark(alice2, chat, markedUnread=True, readSeq=first.seq), mark(alice, group, pinned=True))
    for d in (alice, alice2):
        await d.wait(lambda d=d: len(d.marked_log) == 3, 30, "the frames")
    await view_is_level(stack)
    assert is_set(await shown(alice, chat)) == {"archived": True, "markedUnread": True, "readSeq": first.seq}
    pinned = await shown(alice2, group)
    assert is_set(pinned) == {"pinnedSeq": pinned["seq"]}
    # archived stays so when a message comes
    second = await bob.told(f"{MARK} second", chat)
    for d in (alice, alice2):
        await d.sees(second.content)
    assert (await shown(alice, chat))["archived"] and "mutedUntil" not in await shown(alice, chat)
    # pinning ends it, and is told with it
    answer = await mark(alice2, chat, pinned=True)
    await alice.wait(lambda: len(alice.marked_log) == 4, 30, "the pin")
    assert {k: alice.marked_log[-1][k] for k in ("t", "chatId", "archived", "pinned", "seq")} == \
        {"t": "marked", "chatId": chat, "archived": False, "pinned": True, "seq": answer["marks"]["pinnedSeq"]}
    assert "archived" not in answer["marks"]

    # one that is away has it from its sync, only what changed, and the mark ends when the chat is read, on any device
    await alice2.sync()
    await alice2.stop()
    until_ms = 4102444800000
    await alice.rest.call("PUT", f"/api/chats/{group}/mute", {"until": until_ms}, expect=200)
    await mark(alice, group, archived=True)
    await alice.rest.call("POST", f"/api/chats/{chat}/read", {"seq": second.seq}, expect=202)
    page = (await alice2.rest.get("/api/sync", cursor=alice2.cursor, expect=200)).body
    told = {m["chatId"]: m["marks"] for m in page["marks"]}
    assert not page["more"] and is_set(told.pop(group)) == {"archived": True, "mutedUntil": until_ms} and not told
    assert (await alice2.rest.get("/api/sync", cursor=page["cursor"], expect=200)).body["marks"] == []

    async def is_read():
        return "markedUnread" not in await shown(alice, chat)

    await until(is_read, 30, "the mark to end")
    await alice2.online()
    await alice.wait(lambda: len(alice.marked_log) == 6, 30, "the mute and the archive")
    assert is_set(alice2.marks[group]) == is_set(alice.marks[group]) == is_set(await shown(alice, group)) == {"archived": True, "mutedUntil": until_ms}
    # for ever is the end of the year 9999, however it is written; then not at all
    for last in (FOREVER + 1, 2 ** 63 - 1):
        await alice.rest.call("PUT", f"/api/chats/{group}/mute", {"until": last}, expect=200)
        assert (await shown(alice, group))["mutedUntil"] == FOREVER
    await alice2.wait(lambda: alice2.marks[group].get("mutedUntil") == FOREVER, 30, "for ever")
    await alice.rest.call("DELETE", f"/api/chats/{group}/mute", expect=200)
    await alice2.wait(lambda: "mutedUntil" not in alice2.marks[group], 30, "the end of the mute")

    # marked unread as far as the view has it, when the device does not say; opening the chat takes it back
    assert (await mark(alice, chat, markedUnread=True))["marks"]["readSeq"] == second.seq
    assert "markedUnread" not in (await mark(alice2, chat, markedUnread=False))["marks"]
    assert is_set(await shown(bob, chat)) == is_set(await shown(bob, group)) == {} and not bob.marked_log, "nobody else is told"

    # the view made anew shows the same, and so does a new device
    await mark(alice, group, markedUnread=True)
    await view_is_level(stack)
    table = "SELECT * FROM view.chat_marks ORDER BY user_id, chat_id"
    before, marks = await rows(stack, table), [await shown(alice, c) for c in (chat, group)]
    await made_anew(stack)
    await view_is_level(stack)

    async def is_whole():
        return (await alice.rest.get("/readyz")).status == 200

    await until(is_whole, 30, "the view to be read again")
    assert await rows(stack, table) == before and [await shown(alice, c) for c in (chat, group)] == marks
    late = await net.users[0].device()
    for cursor in ("", "latest"):
        late.cursor = cursor
        late.marks.clear()
        await late.sync()
        assert [late.marks[c] for c in (chat, group)] == marks


@scenario(180)
async def test_a_draft_travels_and_ends_when_something_is_sent(stack, net):
    (alice, alice2), (bob, _) = await pairs(net, "alice", "bob")
    for chat in (await net.direct(alice, bob), await net.group(alice, bob, name="drafts")):
        own = await alice.told(f"{MARK} own", chat)
        first = await bob.told(f"{MARK} first", chat)
        for d in (alice, alice2):
            await d.sees(first.content)
        # the last one that the log has counts, on every device, and it leaves other marks alone
        await mark(alice, chat, archived=True, draft=f"{MARK} dear", draftAfter=own.seq)
        await asyncio.gather(*(mark(d, chat, draft=f"{MARK} dear {i}", draftAfter=first.seq) for i, d in enumerate((alice, alice2))))
        held = await shown(bob, chat)
        await view_is_level(stack)
        now = await shown(alice, chat)
        assert now["draft"] in {f"{MARK} dear 0", f"{MARK} dear 1"} and now["draftAfter"] == first.seq and now["archived"] and held == {}
        for d in (alice, alice2):
            await d.wait(lambda d=d: d.marks.get(chat) == now, 30, "the draft")
        # what others send leaves it; what one sends oneself, from anywhere, ends it, for one that was away, too
        await alice.stop()
        await alice2.sees((await bob.told(f"{MARK} second", chat)).content)
        await view_is_level(stack)
        assert await shown(alice2, chat) == now
        sent = await alice2.told(now["draft"], chat)
        assert is_set(alice2.marks[chat]) == {"archived": True}
        await view_is_level(stack)
        assert is_set(await shown(alice2, chat)) == {"archived": True}
        await alice.online()
        assert is_set(alice.marks[chat]) == {"archived": True} and alice.messages[sent.id]
        # one behind it stands, also where the device does not say what it had seen; and is taken back
        assert (await mark(alice, chat, draft=f"{MARK} next"))["marks"]["draftAfter"] >= sent.seq
        await alice2.wait(lambda: alice2.marks[chat].get("draft") == f"{MARK} next", 30, "the next draft")
        assert is_set((await mark(alice2, chat, draft=""))["marks"]) == {"archived": True}
    assert not bob.marked_log
    for bad in ({"draft": "x" * 4097}, {"draft": "\0"}, {"draft": "a\x01b"}, {"draft": 1}, {"draft": "", "draftAfter": 4}, {"draftAfter": 4}, {"draft": "x", "draftAfter": -1}):
        assert (await alice.rest.call("PATCH", f"/api/chats/{chat}/marks", bad)).status == 400, bad
    longest = "\u00e9" * 2048
    assert (await mark(alice, chat, draft=longest))["marks"]["draft"] == longest
    # a hundred are kept, those with the latest
    with stack.db() as db:
        db.execute("INSERT INTO view.chat_marks SELECT %s, gen_random_uuid(), 0, false, 0, NULL, n, 'x', 0, n FROM generate_series(1, 100) n", (alice.user_id,))
    await mark(alice, chat, draft=f"{MARK} one more")
    kept = await rows(stack, "SELECT src FROM view.chat_marks WHERE user_id = %s AND draft IS NOT NULL ORDER BY src", alice.user_id)
    assert len(kept) == 100 and kept[0]["src"] == 2
    with stack.db() as db:
        db.execute("DELETE FROM view.chat_marks WHERE user_id = %s AND src <= 100", (alice.user_id,))


@scenario(180)
async def test_five_chats_are_pinned_and_come_first(stack, net):
    alice, bob = await net.people("alice", "bob")
    groups = [await net.group(alice, bob, name=f"group {i}") for i in range(7)]
    for i, group in enumerate(groups):
        await alice.told(f"{MARK} {i}", group)
    pins = {g: (await mark(alice, g, pinned=True))["marks"]["pinnedSeq"] for g in groups[:5]}
    assert sorted(pins.values()) == list(pins.values())
    refused = await alice.rest.call("PATCH", f"/api/chats/{groups[5]}/marks", {"pinned": True})
    assert (refused.status, refused.code) == (409, "too_many_pins") and " 5 " in refused.body["error"]["message"]
    assert (await mark(alice, groups[0], pinned=True))["marks"]["pinnedSeq"] > pins[groups[4]], "again is no sixth, and comes first"
    order = [groups[i] for i in (0, 4, 3, 2, 1)]

    async def listed(**params):
        return (await alice.rest.get("/api/chats", expect=200, **params)).body

    page = await listed(limit=1)
    assert [c["chatId"] for c in page["pinned"]] == order and page["chats"][0]["chatId"] == groups[6] and page["pinned"][0]["lastMessage"]["content"] == f"{MARK} 0"
    assert "pinned" not in await listed(limit=1, cursor=page["cursor"])
    # who is put out of a group has one less, and no way to lose count
    await alice.rest.call("DELETE", f"/api/chats/{groups[4]}/members/{alice.user_id}", expect=200)
    order.remove(groups[4])
    assert [c["chatId"] for c in (await listed())["pinned"]] == order
    # two at the same moment may both be taken: those that were pinned last count
    seqs = [(await mark(alice, g, pinned=True))["marks"]["pinnedSeq"] for g in groups[5:6]]
    assert [c["chatId"] for c in (await listed())["pinned"]] == [groups[5], *order] and seqs[0] > max(pins.values())
    with stack.db() as db:
        db.execute("UPDATE view.chat_marks SET pinned = %s WHERE user_id = %s AND chat_id = %s", (seqs[0] + 1, alice.user_id, groups[3]))
        db.execute("INSERT INTO view.chat_marks VALUES (%s, %s, view.part_of(%s), false, %s, NULL, %s)",
                   (alice.user_id, groups[6], groups[6], seqs[0] + 2, seqs[0] + 2))
    assert [c["chatId"] for c in (await listed())["pinned"]] == [groups[i] for i in (6, 3, 5, 0, 2)]


@scenario(180)
async def test_who_may_mark_what_and_how_much_of_it_is_kept(stack, net):
    alice, bob, eve = await net.people("alice", "bob", "eve")
    group, chat = await net.group(alice, bob, name="left"), await net.direct(alice, bob)
    await alice.told(f"{MARK} hello", group)
    for bad in ({}, {"archived": 1}, {"archived": None}, {"pinned": True, "archived": True}, {"readSeq": 4}, {"markedUnread": False, "readSeq": 4},
                {"markedUnread": True, "readSeq": -1}, {"markedUnread": True, "readSeq": 2 ** 63}):
        assert (await bob.rest.call("PATCH", f"/api/chats/{group}/marks", bad)).status == 400, bad
    await mark(eve, group, archived=True, expect=404)
    await mark(alice, chat, archived=True)  # nobody wrote in it yet
    assert is_set(await shown(alice, chat)) == {"archived": True}
    await mark(bob, group, pinned=True, markedUnread=True)
    await mark(bob, group, archived=True)
    await alice.rest.call("DELETE", f"/api/chats/{group}/members/{bob.user_id}", expect=200)
    (left,) = [c for c in (await bob.rest.get("/api/chats", expect=200)).body["chats"] if c["chatId"] == group]
    assert left["role"] == "left" and is_set(left["marks"]) == {"archived": True}, "of what he left nothing is unread or pinned"
    for what in ("archived", "pinned", "markedUnread"):
        await mark(bob, group, expect=404, **{what: True})
    assert is_set((await mark(bob, group, archived=False))["marks"]) == {}

    # of all chats together, whether their user is in them or not
    await bob.told(f"{MARK} hello", chat)
    with stack.db() as db:
        db.execute("INSERT INTO view.chat_marks SELECT %s, gen_random_uuid(), 0, true, 0, NULL, n FROM generate_series(1, 2000) n", (bob.user_id,))
    refused = await bob.rest.call("PATCH", f"/api/chats/{chat}/marks", {"archived": True})
    assert (refused.status, refused.code) == (413, "too_large") and " 2000 " in refused.body["error"]["message"]
    await mark(bob, group, archived=False)  # taking back is always possible
    with stack.db() as db:
        db.execute("UPDATE view.chat_marks SET archived = false WHERE user_id = %s AND src <= 2000", (bob.user_id,))
    await mark(bob, chat, archived=True)
    await mark(bob, chat, archived=False)
    kept = await rows(stack, "SELECT src FROM view.chat_marks WHERE user_id = %s AND NOT archived AND unread_after IS NULL ORDER BY src", bob.user_id)
    assert len(kept) == 2000 and kept[0]["src"] == 2, "of those that were taken back the newest 2,000"
    with stack.db() as db:
        db.execute("DELETE FROM view.chat_marks WHERE user_id = %s AND src <= 2000", (bob.user_id,))
