# SPDX-License-Identifier: MIT
"""Messages that do not stay: the timer of a chat, and what a user deletes for himself. Over two gateways, two devices each, and whoever was away."""
import asyncio

from client import MARK, scenario, until
from files import Files, png
from look import made_anew, records, rows, rows_when, short_timer, started, view_is_level
from test_changes import by_rest, pairs

DAY_S = 86400


def gone(stack, device, chat, message_id):
    async def look():
        shown = await by_rest(device, chat, message_id)
        return shown if shown and shown.get("gone") == "expired" else None

    return until(look, 60, f"{message_id} to be gone")


@scenario(180)
async def test_the_timer_of_a_chat(stack, net):
    (alice, alice2), (bob, bob2) = await pairs(net, "alice", "bob")
    chat = await net.direct(alice, bob)
    before = await alice.told(f"{MARK} for good", chat)
    await bob2.sees(before.content)
    await bob2.stop()
    path = f"/api/chats/{chat}/timer"
    for _ in range(2):  # the second one changes nothing
        await bob.rest.call("PUT", path, {"seconds": DAY_S}, expect=200)
    for d in (alice, alice2, bob):
        await d.wait(lambda d=d: d.timers_log, 30, "the timer")
    frame = alice.timers_log[0]
    assert (frame["chatId"], frame["by"], frame["peer"], frame["seconds"]) == (chat, bob.user_id, alice.user_id, DAY_S)
    out = await alice.told(f"{MARK} for a day", chat)
    for d in (alice2, bob):
        await d.sees(out.content)
    (event,) = [e for _, _, e in await records(stack, "chat.events") if e["clientId"] == out.client_id]
    expires = event["event"][1]["expiresAtMs"]
    assert {d.messages[out.id].expires for d in (alice, alice2, bob)} == {expires} and not bob.messages[before.id].expires
    assert abs(expires - DAY_S * 1000 - event["atMs"]) < 600_000  # the log's time is another clock than the gateway's

    await bob2.online()  # was away: by the sync, as the others have it
    assert bob2.chats[chat]["timer"] == DAY_S and bob2.messages[out.id].expires == expires and not bob2.messages[out.id].gone
    await view_is_level(stack)
    assert (await by_rest(bob, chat, out.id))["expiresAt"] == expires and "expiresAt" not in await by_rest(bob, chat, before.id)
    (listed,) = [c for c in (await bob.rest.get("/api/chats", expect=200)).body["chats"] if c["chatId"] == chat]
    assert (listed["timer"], listed["lastMessage"]["expiresAt"]) == (DAY_S, expires)

    # only what is offered, and a repeat of the message has the end of the first
    for bad in (1, DAY_S - 1, 7776001, -1, "86400", None):
        assert (await alice.rest.call("PUT", path, {"seconds": bad})).status == 400, bad
    await alice.rest.call("PUT", path, {"seconds": 0}, expect=200)
    later = await alice.told(f"{MARK} for good again", chat)
    alice.again(out)
    await alice.wait(lambda: alice.live_frames[out.id] > 1, 30, "the repeat")
    assert alice.messages[out.id].expires == expires and not alice.messages[later.id].expires
    assert "timer" not in (await alice.rest.get(f"/api/chats/{chat}", expect=200)).body["chat"]
    assert len([1 for _, _, e in await records(stack, "chat.events") if e["chatId"] == chat and e["event"][0].endswith("TimerChanged")]) == 2


@scenario(240)
async def test_what_is_over_is_gone_for_everybody(stack, net):
    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    kept = await alice.told(f"{MARK} to stay", chat)
    await short_timer(stack, alice, chat, 2)
    first = await alice.told(f"{MARK} for a moment", chat)
    await bob.sees(first.content)
    await alice.changed("edit", alice.messages[first.id], f"{MARK} for another moment")
    await gone(stack, alice, chat, first.id)
    # emptied by the sweep, whose index it has left; what counts stays
    await rows_when(stack, "SELECT 1 FROM view.messages WHERE id = %s AND content = '' AND due_at IS NULL AND expires_at IS NOT NULL", first.id)
    await view_is_level(stack)
    assert not await rows(stack, "SELECT 1 FROM view.versions WHERE chat_id = %s UNION ALL SELECT 1 FROM view.edits WHERE chat_id = %s", chat, chat)
    chat_row = (await bob.rest.get(f"/api/chats/{chat}", expect=200)).body["chat"]
    assert chat_row["unread"] == 2 and chat_row["lastMessage"]["gone"] == "expired" and chat_row["lastMessage"]["content"] == ""

    # with persistence away nothing is swept: readers go by the time alone
    late = await net.users[1].device()
    files = Files(net.rest_url, alice.tokens.access)
    try:
        media = await asyncio.to_thread(files.send, chat, png(seed=7))
        await asyncio.to_thread(files.found, media)
    finally:
        files.close()
    await short_timer(stack, alice, chat, 20)
    picture = (await alice.rest.post("/api/messages", {"chatId": chat, "type": "image", "content": f"{MARK} caption", "mediaId": media,
                                                       "replyTo": {"id": kept.id, "seq": kept.seq}, "mentions": [bob.user_id]}, expect=201)).body["message"]
    await bob.sees(f"{MARK} caption")
    await bob.changed("react", bob.messages[picture["id"]], "+1")
    await alice.changed("edit", alice.messages[picture["id"]], f"{MARK} better caption")
    await view_is_level(stack)
    await asyncio.to_thread(stack.role("persistence").stop)
    shown = await gone(stack, bob, chat, picture["id"])
    assert (shown["content"], set(shown) & {"mediaId", "media", "replyTo", "mentions", "edited", "reactions", "myReaction"}) == ("", set())
    assert (await bob.rest.get(f"/api/media/{media}/link")).status == 404 and (await alice.rest.get(f"/api/media/{media}/link")).status == 200
    texts = "SELECT content FROM view.messages WHERE id = %s UNION ALL SELECT content FROM view.versions WHERE chat_id = %s"
    assert {bytes(r["content"]).decode() for r in await rows(stack, texts, picture["id"], chat)} == {f"{MARK} caption", f"{MARK} better caption"}
    await late.online()
    assert late.messages[picture["id"]].gone == late.messages[first.id].gone == "expired" and late.messages[kept.id].content == kept.content
    assert (await alice.rest.call("PATCH", f"/api/chats/{chat}/messages/{picture['id']}", {"content": f"{MARK} no"})).status == 404

    # a view that is made anew has nothing of it, at no time: rows are written as they are now
    for role in ("status", "search"):
        await asyncio.to_thread(stack.role(role).stop)
    await asyncio.to_thread(stack.admin, "rebuild")
    with stack.db() as db:
        db.execute("CREATE TABLE view.written (content bytea)")
        for table in ("messages", "versions"):
            db.execute(f"CREATE FUNCTION view.note_{table}() RETURNS trigger LANGUAGE plpgsql AS "
                       "$$ BEGIN INSERT INTO view.written VALUES (NEW.content); RETURN NEW; END $$")
            db.execute(f"CREATE TRIGGER note AFTER INSERT OR UPDATE ON view.{table} FOR EACH ROW EXECUTE FUNCTION view.note_{table}()")
        db.commit()
    for role in ("persistence", "status", "search"):
        await started(stack.role(role))
    noted = "SELECT content FROM view.written"

    async def rebuilt():
        r = await bob.rest.get(f"/api/chats/{chat}/messages")
        return r.status == 200 and {m["id"]: (m["content"], m.get("gone")) for m in r.body["messages"]} == {
            kept.id: (kept.content, None), first.id: ("", "expired"), picture["id"]: ("", "expired")}

    await until(rebuilt, 60, "the rebuilt view to show the same")
    await view_is_level(stack)
    written = {bytes(r["content"]).decode() for r in await rows(stack, noted)}
    with stack.db() as db:
        for table in ("messages", "versions"):
            db.execute(f"DROP FUNCTION view.note_{table}() CASCADE")
        db.execute("DROP TABLE view.written")
        db.commit()
    assert kept.content in written and not written & {first.content, f"{MARK} caption", f"{MARK} better caption"}
    assert not await rows(stack, "SELECT 1 FROM view.messages WHERE chat_id = %s AND media_id IS NOT NULL", chat)
    for table in ("reactions", "edits"):
        assert not await rows(stack, f"SELECT 1 FROM view.{table} WHERE chat_id = %s", chat)


@scenario(240)
async def test_what_one_user_hides_is_gone_for_him_alone(stack, net):
    (alice, alice2), (bob, bob2), (carol, _) = await pairs(net, "alice", "bob", "carol")
    chat = await net.group(alice, bob, carol)
    outs = [await alice.told(f"{MARK} {i}", chat, beside={"mentions": [bob.user_id]} if i == 3 else None) for i in range(4)]
    mine = await bob.told(f"{MARK} of bob", chat)
    for d in (bob, bob2, carol):
        await d.sees(mine.content)
    await view_is_level(stack)
    latest = (await carol.rest.get("/api/sync", expect=200, cursor=carol.cursor)).body["cursor"]
    await bob2.sync()  # its cursor is behind the messages: only what is hidden later is news
    await bob2.stop()
    path = f"/api/chats/{chat}/hidden"

    async def shown(device):
        await view_is_level(stack)
        found = (await device.rest.get(f"/api/chats/{chat}", expect=200)).body["chat"]
        return found["unread"], found["unreadMentions"], found["lastMessage"]["id"]

    assert await shown(bob) == (4, 1, mine.id)
    hidden = [outs[1], outs[3], mine]
    for _ in range(2):  # the second time nothing is left to do
        await bob.rest.post(path, {"messages": [o.id for o in hidden] + [outs[1].id]}, expect=200)
    await bob.wait(lambda: bob.hidden_log, 30, "the frame")
    (frame,) = bob.hidden_log
    assert sorted((m["id"], m["seq"]) for m in frame["messages"]) == sorted((o.id, o.seq) for o in hidden) and frame["chatId"] == chat
    assert {m.id for m in bob.messages.values() if m.gone == "hidden"} == {o.id for o in hidden}
    assert await shown(bob) == (2, 0, outs[2].id)
    assert await shown(carol) == (5, 0, mine.id)
    page = {m["id"]: m for m in (await bob.rest.get(f"/api/chats/{chat}/messages", expect=200)).body["messages"]}
    assert {i for i, m in page.items() if m.get("gone") == "hidden" and m["content"] == ""} == {o.id for o in hidden}
    assert (await by_rest(carol, chat, mine.id))["content"] == mine.content

    # a device that was away is told by its sync, a new one, too; nobody else is told anything, not even that something changed
    await bob2.online()
    late = await net.users[1].device()
    await late.online()
    for d in (bob2, late):
        assert {m.id for m in d.messages.values() if m.gone == "hidden"} == {o.id for o in hidden} and d.messages[outs[0].id].content == outs[0].content
    assert (bob2.chats[chat]["unread"], bob2.chats[chat]["lastMessage"]["id"]) == (2, outs[2].id)
    assert not (alice.hidden_log or alice2.hidden_log or carol.hidden_log)
    news = (await carol.rest.get("/api/sync", expect=200, cursor=latest)).body
    assert not news["messages"] and chat not in [c["chatId"] for c in news["chats"]]

    # an edit does not bring it back; one's own can still be deleted for everybody
    await alice.changed("edit", alice.messages[outs[1].id], f"{MARK} edited")
    await bob.rest.call("DELETE", f"/api/chats/{chat}/messages/{mine.id}", expect=200)
    await view_is_level(stack)
    assert (await by_rest(bob, chat, outs[1].id))["content"] == "" and "deleted" in await by_rest(carol, chat, mine.id)

    # what is not there is not hidden, and neither is what stands beside it in the request; who left still may
    for bad in ([], [outs[0].id] * 101, "x", [outs[0].id, "x"]):
        assert (await bob.rest.post(path, {"messages": bad})).status == 400, bad
    elsewhere = await alice.told(f"{MARK} elsewhere", peer=bob.user_id)
    for nobodys in (elsewhere.id, chat):
        assert (await bob.rest.post(path, {"messages": [outs[0].id, nobodys]})).status == 404
    assert not (await by_rest(bob, chat, outs[0].id)).get("gone")
    await alice.rest.call("DELETE", f"/api/chats/{chat}/members/{bob.user_id}", expect=200)
    unseen = await alice.told(f"{MARK} without bob", chat)
    assert (await bob.rest.post(path, {"messages": [unseen.id]})).status == 404
    await bob.rest.post(path, {"messages": [outs[0].id]}, expect=200)
    await bob2.wait(lambda: bob2.messages[outs[0].id].gone == "hidden", 30, "the frame")

    # the bound: with rows planted up to it
    with stack.db() as db:
        db.execute("INSERT INTO view.hidden SELECT part, false, false, chat_id, user_id, -n, 1 FROM view.members, generate_series(1, %s) n "
                   "WHERE chat_id = %s AND user_id = %s", (10000 - 4 - 1, chat, bob.user_id))
        db.commit()
    await bob.rest.post(path, {"messages": [outs[2].id]}, expect=200)
    await carol.rest.post(path, {"messages": [outs[2].id]}, expect=200)
    with stack.db() as db:
        db.execute("INSERT INTO view.hidden SELECT part, false, false, chat_id, user_id, -n, 1 FROM view.members, generate_series(1, 9999) n "
                   "WHERE chat_id = %s AND user_id = %s", (chat, carol.user_id))
        db.commit()
    full = await carol.rest.post(path, {"messages": [outs[0].id]})
    assert (full.status, full.code) == (413, "too_large")
    before = await rows(stack, "SELECT * FROM view.hidden WHERE chat_id = %s AND target > 0 ORDER BY user_id, target", chat)
    await made_anew(stack)

    async def rebuilt():
        r = await bob.rest.get(f"/api/chats/{chat}/messages")
        return r.status == 200 and len(r.body["messages"]) == 5

    await until(rebuilt, 60, "the rebuilt view")
    await view_is_level(stack)
    assert await rows(stack, "SELECT * FROM view.hidden WHERE chat_id = %s ORDER BY user_id, target", chat) == before
