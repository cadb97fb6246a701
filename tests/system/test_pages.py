# SPDX-License-Identifier: MIT
"""Lists and syncs come in pages, bounded by rows and bytes: whatever others write, everybody gets to the end of his."""
import asyncio
import uuid

from client import MARK, scenario
from look import rows, view_is_level

PAGE_BYTES = 1024 * 1024  # REST_PAGE_BYTES of edge/rest/api/chat_pages.h, and what one row may add to each part of an answer
ROW_BYTES = 200 * 1024
LONG = "\x01" * 32768  # in JSON six bytes each
SYNC_ROWS, SYNC_CHATS, SYNC_TICKS, LIST_ROWS = 500, 200, 1000, 200


async def pages(rest, path: str, cursor: str = "", **params):
    """Every page from `cursor` on: (body, bytes)."""
    while True:
        r = await rest.get(path, expect=200, cursor=cursor, **params)
        yield r.body, int(r.headers["content-length"])
        if not r.body["more"]:
            return
        assert r.body["cursor"] != cursor
        cursor = r.body["cursor"]


async def fill(stack, sql: str, *values) -> None:
    def run():
        with stack.db() as db:
            db.execute(sql, values)
            db.commit()

    await asyncio.to_thread(run)


async def groups_of(owner, victim, n: int) -> list[str]:
    """`n` groups of the two, with a short message of the owner's in each."""
    at_once = asyncio.Semaphore(32)

    async def one(i):
        async with at_once:
            r = await owner.rest.post("/api/chats", {"name": f"g{i}", "members": [victim.user_id], "clientId": f"g{i}"}, expect=(200, 201))
            return r.body["chat"]["chatId"]

    chats = await asyncio.gather(*(one(i) for i in range(n)))
    sent = [owner.send(f"{MARK} hello", chat) for chat in chats]
    await owner.wait(lambda: all(m.verdict for m in sent), 60, "all messages")
    assert not any(m.rejected for m in sent)
    return chats


@scenario()
async def test_no_message_is_lost_between_two_pages(stack, net):
    """One chat, two full pages and some more: each message once, in its order, and the page's bound is met exactly."""
    alice, = await net.people("alice")
    _, bob = await net.user("bob")
    first = await alice.told(f"{MARK} 0", peer=bob.user_id)
    sent = [first] + [alice.send(f"{MARK} {i}", first.chat_id) for i in range(1, 2 * SYNC_ROWS + 3)]
    await alice.wait(lambda: all(m.verdict for m in sent), 60, "all messages")
    await view_is_level(stack)
    told = [[m["id"] for m in body["messages"]] async for body, _ in pages(bob.rest, "/api/sync")]
    assert [i for page in told for i in page] == [m.id for m in sorted(sent, key=lambda m: m.seq)]
    assert [len(page) for page in told if page] == [SYNC_ROWS, SYNC_ROWS, 3]


@scenario(300)
async def test_everybody_comes_to_the_end_of_many_chats(stack, net):
    """The list, a sync from the beginning and one from `latest` tell each chat, each message and each tick once, in bounded pages."""
    n = 1100
    _, victim = await net.user("victim")
    other, = await net.people("other")
    made = set(await groups_of(other, victim, n))
    await view_is_level(stack)
    opened = [(await net.user("x"))[1].user_id for _ in range(3)]
    for peer in opened:
        await victim.rest.post("/api/chats", {"userId": peer}, expect=200)

    listed, pages_n = [], 0
    async for body, size in pages(victim.rest, "/api/chats"):
        assert 0 < len(body["chats"]) <= LIST_ROWS and size <= PAGE_BYTES + ROW_BYTES
        listed += body["chats"]
        pages_n += 1
    assert pages_n == -(-(n + 3) // LIST_ROWS)
    assert {c["chatId"] for c in listed[:n]} == made and len(listed) == n + 3
    times = [c["lastMessage"]["sentAt"] for c in listed[:n]]
    assert times == sorted(times, reverse=True) and {c["peer"] for c in listed[n:]} == set(opened)
    assert [len(body["chats"]) async for body, _ in pages(victim.rest, "/api/chats", limit=500)] == [500, 500, 103]
    # the last page may be full of what is written, with what was opened behind it
    assert [len(body["chats"]) async for body, _ in pages(victim.rest, "/api/chats", limit=275)] == [275] * 4 + [3]

    await victim.online()  # it says that it has everything: there is something to tick
    marked = """SELECT DISTINCT k.chat_id::text FROM view.marks k JOIN view.members m USING (chat_id)
        JOIN view.cursors c ON c.chat_id = k.chat_id AND c.user_id = m.user_id WHERE m.user_id = %s AND c.delivered > 0"""
    while len(await rows(stack, marked, victim.user_id)) < n:
        await asyncio.sleep(0.2)
    await view_is_level(stack)
    chats, messages, ticks = [], [], []
    async for body, size in pages(victim.rest, "/api/sync"):
        assert len(body["messages"]) <= SYNC_ROWS and len(body["chats"]) <= SYNC_CHATS and len(body["ticks"]) <= SYNC_TICKS
        assert size <= 3 * (PAGE_BYTES + ROW_BYTES)
        chats += [c["chatId"] for c in body["chats"]]
        messages += [m["id"] for m in body["messages"]]
        ticks += [t["chatId"] for t in body["ticks"]]
    assert set(chats) == made and len(chats) == n and len(set(messages)) == len(messages) == n
    assert set(ticks) == made and len(ticks) == n

    chats, cursors = [], []
    async for body, _ in pages(victim.rest, "/api/sync", "latest"):
        assert not body["messages"]
        chats += [c["chatId"] for c in body["chats"]]
        cursors.append(body["cursor"])
    assert set(chats) == made and len(chats) == n
    late = await net.group(other, victim, name="late")
    body = (await victim.rest.get("/api/sync", cursor=cursors[-1], expect=200)).body
    assert [c["chatId"] for c in body["chats"]] == [late] and not body["more"]


@scenario()
async def test_a_listing_that_others_write_into_misses_nothing(stack, net):
    _, victim = await net.user("victim")
    other, = await net.people("other")
    made = set(await groups_of(other, victim, SYNC_CHATS + 40))
    await view_is_level(stack)
    first = (await victim.rest.get("/api/sync", cursor="latest", expect=200)).body
    assert first["more"] and len(first["chats"]) == SYNC_CHATS
    late = await net.group(other, victim, name="late")
    body = {"chatId": late, "content": f"{MARK} late", "type": "text"}
    m = (await other.rest.post("/api/messages", body, expect=201)).body["message"]
    chats, messages = list(first["chats"]), []
    async for body, _ in pages(victim.rest, "/api/sync", first["cursor"]):
        chats += body["chats"]
        messages += [x["id"] for x in body["messages"]]
    assert {c["chatId"] for c in chats} == made | {late} and messages == [m["id"]]


@scenario(300)
async def test_long_messages_do_not_lock_anybody_out(stack, net):
    """32 KB of control characters in each of many groups: 196 KB each in JSON, more than an answer may have in all."""
    n = 60
    alice, = await net.people("alice")
    _, bob = await net.user("bob")
    made = asyncio.Semaphore(8)

    async def one(i):
        async with made:
            chat = await net.group(alice, bob, name=f"g{i}")
            await fill_content(stack, alice, chat, LONG)

    await asyncio.gather(*(one(i) for i in range(n)))
    listed, messages, chats = [], [], []
    async for body, size in pages(bob.rest, "/api/chats"):
        assert size <= PAGE_BYTES + ROW_BYTES
        listed += [c["chatId"] for c in body["chats"]]
    assert len(set(listed)) == len(listed) == n
    for cursor in ("", "latest"):
        messages, chats = [], []
        async for body, size in pages(bob.rest, "/api/sync", cursor):
            assert size <= 2 * (PAGE_BYTES + ROW_BYTES)
            messages += [m["id"] for m in body["messages"]]
            chats += [c["chatId"] for c in body["chats"]]
        assert len(set(chats)) == n and len(set(messages)) == len(messages) == (0 if cursor else n)

    # history, both ways, of one chat with many of them
    chat = listed[0]
    for _ in range(24):
        await fill_content(stack, alice, chat, LONG)
    back, before = [], None
    while True:
        r = await bob.rest.get(f"/api/chats/{chat}/messages", expect=200, limit=200, **({"before": before} if before else {}))
        seqs = [m["seq"] for m in r.body["messages"]]
        assert seqs == sorted(seqs) and int(r.headers["content-length"]) <= PAGE_BYTES + ROW_BYTES
        back = seqs + back
        if not r.body["more"]:
            break
        before = seqs[0]
    forth, after = [], 1
    while True:
        r = await bob.rest.get(f"/api/chats/{chat}/messages", expect=200, limit=200, after=after)
        seqs = [m["seq"] for m in r.body["messages"]]
        forth += seqs
        if not r.body["more"]:
            break
        after = seqs[-1]
    assert back == forth == sorted(set(back)) and len(back) == 25


async def fill_content(stack, device, chat: str, content: str) -> None:
    """A message of `content`, sent short and made long in the view: a body of REST has 64 KiB at most, a frame of control characters
    fills it with a third of what a message may have."""
    body = {"chatId": chat, "content": "x", "type": "text", "clientId": str(uuid.uuid4())}
    m = (await device.rest.post("/api/messages", body, expect=201)).body["message"]
    await fill(stack, "UPDATE view.messages SET content = %s WHERE id = %s", content.encode(), m["id"])


@scenario()
async def test_what_is_no_cursor_of_the_list_is_refused(stack, net):
    _, d = await net.user("ana")
    for cursor in ("x", "c", "c1", "c1.", "c1.x", "1.3f0c6a52-7d1e-4b8a-9c55-0e2f4d6b8a10", "c.3f0c6a52-7d1e-4b8a-9c55-0e2f4d6b8a10",
                   "c" + "9" * 30 + ".3f0c6a52-7d1e-4b8a-9c55-0e2f4d6b8a10"):
        r = await d.rest.get("/api/chats", cursor=cursor)
        assert r.status == 400 and "cursor" in r.body["error"]["message"], cursor
    for limit in (0, 501, "x"):
        assert (await d.rest.get("/api/chats", limit=limit)).status == 400
    r = await d.rest.get("/api/chats", cursor="o1.3f0c6a52-7d1e-4b8a-9c55-0e2f4d6b8a10", limit=500, expect=200)
    assert r.body == {"chats": [], "more": False}


@scenario()
async def test_t17_who_left_sees_the_group_as_it_was_then(stack, net):
    alice, bob, carol = await net.people("alice", "bob", "carol")
    chat = await net.group(alice, bob, carol, name="Football")
    one = (await carol.rest.post("/api/messages", {"chatId": chat, "content": f"{MARK} one", "type": "text"}, expect=201)).body["message"]
    await alice.sees(one["content"])
    cursor = (await carol.rest.get("/api/sync", cursor="latest", expect=200)).body["cursor"]
    await alice.rest.call("DELETE", f"/api/chats/{chat}/members/{carol.user_id}", expect=200)
    r = await carol.rest.get("/api/sync", cursor=cursor, expect=200)
    assert [(c["name"], c["role"]) for c in r.body["chats"]] == [("Football", "left")]
    cursor = r.body["cursor"]

    async def of_carol():
        """All that she can ask about the group, but for request ids and the cursor."""
        found = {}
        for path in ("/api/chats", f"/api/chats/{chat}", f"/api/chats/{chat}/messages", f"/api/messages/{one['id']}/receipts"):
            r = await carol.rest.get(path)
            found[path] = r.body if r.status == 200 else r.status
        for c in ("", "latest"):
            r = await carol.rest.get("/api/sync", cursor=c, expect=200)
            found["sync" + c] = {k: v for k, v in r.body.items() if k != "cursor"}
        return found

    await view_is_level(stack)
    before = await of_carol()
    assert [c["name"] for c in before["/api/chats"]["chats"]] == ["Football"]

    # afterwards: another name, other roles, other members, other people's names, messages and what was read
    await alice.rest.call("PATCH", f"/api/chats/{chat}", {"name": "Surprise party"}, expect=200)
    await alice.rest.call("PUT", f"/api/chats/{chat}/members/{bob.user_id}", {"role": "admin"}, expect=200)
    dave, = await net.people("dave")
    await alice.rest.post(f"/api/chats/{chat}/members", {"add": [dave.user_id]}, expect=200)
    await bob.rest.call("PATCH", "/api/me", {"name": "Robert"}, expect=200)
    two = await alice.told(f"{MARK} two", chat)
    await bob.sees(two.content)
    await dave.sees(two.content)
    for d in (alice, bob, dave):
        await d.rest.post(f"/api/chats/{chat}/read", {"seq": two.seq}, expect=202)

    async def all_read():
        return await rows(stack, "SELECT 1 FROM view.cursors WHERE chat_id = %s AND read >= %s", chat, two.seq)

    while len(await all_read()) < 2:
        await asyncio.sleep(0.05)
    await view_is_level(stack)
    assert await of_carol() == before
    r = await carol.rest.get("/api/sync", cursor=cursor, expect=200)
    assert {k: r.body[k] for k in ("messages", "chats", "ticks")} == {"messages": [], "chats": [], "ticks": []}

    # a member again: what is so now, and not what was missed
    await alice.rest.post(f"/api/chats/{chat}/members", {"add": [carol.user_id]}, expect=200)
    got = (await carol.rest.get("/api/chats", expect=200)).body["chats"][0]
    assert (got["name"], got["role"]) == ("Surprise party", "member")
    await alice.told(f"{MARK} three", chat)
    await carol.sees(f"{MARK} three")
    await view_is_level(stack)
    shown = (await carol.rest.get(f"/api/chats/{chat}/messages", expect=200)).body["messages"]
    assert [m["content"] for m in shown] == [one["content"], f"{MARK} three"]
