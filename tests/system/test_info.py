# SPDX-License-Identifier: MIT
"""Who has a message and who read it, each since when. Over two gateways, and on a view that is made anew."""
from client import MARK, scenario, until
from look import made_anew, rows, rows_when, view_is_level

COVERED = "SELECT min(seq) AS seq FROM view.receipts WHERE chat_id = %s AND user_id = %s AND kind = %s AND seq >= %s HAVING min(seq) IS NOT NULL"


@scenario(180)
async def test_each_time_is_that_of_the_receipt_that_covered_the_message(stack, net):
    alice, bob = await net.people("alice", "bob")
    carol, dave = await net.people("carol", "dave", auto_delivered=False)
    chat = await net.group(alice, bob, carol)

    async def info(out) -> dict:
        listed = (await alice.rest.get(f"/api/messages/{out.id}/receipts", expect=200)).body["receipts"]
        return {r["userId"]: (r["delivered"], r["deliveredAt"], r["read"], r["readAt"]) for r in listed}

    async def reads(device, out) -> int:
        """Reads up to the message; the time that the log gave it."""
        await device.sees(out.content)
        await view_is_level(stack)
        await device.rest.post(f"/api/chats/{chat}/read", {"seq": out.seq}, expect=202)
        await rows_when(stack, COVERED, chat, device.user_id, 1, out.seq, what="the read")
        (row,) = await rows(stack, "SELECT at_ms FROM view.receipts WHERE chat_id = %s AND user_id = %s AND kind = 1 AND seq = %s", chat, device.user_id, out.seq)
        return row["at_ms"]

    one, two, three = [await alice.told(f"{MARK} {i}", chat) for i in range(3)]
    first = await reads(bob, two)
    then = await info(one)
    assert set(then) == {bob.user_id, carol.user_id}
    assert then[bob.user_id][0] and then[bob.user_id][1] <= first and then[bob.user_id][2:] == (True, first)
    assert then[carol.user_id] == (False, None, False, None)
    # what is read later has its own time, and leaves those of before as they are; a read says delivered, too
    later = await reads(bob, three)
    assert later > first and (await info(one))[bob.user_id] == then[bob.user_id] and (await info(three))[bob.user_id][3] == later
    hers = await reads(carol, two)
    assert (await info(one))[carol.user_id] == (True, hers, True, hers) and (await info(three))[carol.user_id] == (False, None, False, None)
    # who came later was not there, for the sender alone, and for him as long as he sees it
    await alice.rest.post(f"/api/chats/{chat}/members", {"add": [dave.user_id]}, expect=200)
    four = await alice.told(f"{MARK} 4", chat)
    await view_is_level(stack)
    assert set(await info(four)) == {bob.user_id, carol.user_id, dave.user_id} and dave.user_id not in await info(three)
    assert (await bob.rest.get(f"/api/messages/{four.id}/receipts")).status == 404
    await alice.rest.post(f"/api/chats/{chat}/hidden", {"messages": [four.id]}, expect=200)
    assert (await alice.rest.get(f"/api/messages/{four.id}/receipts")).status == 404
    # of later receipts none counts, whatever their times are
    with stack.db() as db:
        db.execute("INSERT INTO view.receipts (part, chat_id, user_id, kind, seq, at_ms) SELECT view.part_of(%s), %s, %s, k, %s + n, 1 "
                   "FROM generate_series(0, 1) k, generate_series(1, 1000) n", (chat, chat, bob.user_id, four.seq))
        db.commit()
        assert (await info(one))[bob.user_id] == then[bob.user_id]
        db.execute("DELETE FROM view.receipts WHERE chat_id = %s AND at_ms = 1", (chat,))
        db.commit()

    # made anew it says the same, and of what is older than the log's receipts whether, but no time
    await view_is_level(stack)
    had = [await info(out) for out in (one, two, three)]
    await made_anew(stack)

    async def is_back():
        r = await alice.rest.get(f"/api/messages/{one.id}/receipts")
        return r.status == 200 and [await info(out) for out in (one, two, three)] == had

    await until(is_back, 60, "the rebuilt view")
    with stack.db() as db:
        db.execute("UPDATE view.began SET at_ms = at_ms + 30 * 86400000::bigint")
        db.commit()
        try:
            for out, known in zip((one, two, three), had):
                assert await info(out) == {user: (delivered, None, read, None) for user, (delivered, _, read, _) in known.items()}
        finally:
            db.execute("UPDATE view.began SET at_ms = at_ms - 30 * 86400000::bigint")
            db.commit()
