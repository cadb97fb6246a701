# SPDX-License-Identifier: MIT
"""Messages that change after they were sent: deleted for everybody, edited. Over two gateways, two devices each, and whoever was away."""
import asyncio

from client import MARK, scenario, until
from files import Files, png
from look import Supervised, killed_and_back, made_anew, records, rows, rows_when, view_is_level


async def pairs(net, *names):
    """Each with a device on either gateway, both online."""
    found = []
    for name in names:
        user, one = await net.user(name, gateway=0)
        found.append((one, await user.device("web", gateway=1)))
    await asyncio.gather(*(d.online() for pair in found for d in pair))
    return found


async def by_rest(device, chat, message_id):
    page = (await device.rest.get(f"/api/chats/{chat}/messages", expect=200)).body["messages"]
    return next((m for m in page if m["id"] == message_id), None)


@scenario(180)
async def test_a_deletion_reaches_every_device_and_empties_the_view(stack, net):
    (alice, alice2), (bob, bob2) = await pairs(net, "alice", "bob")
    chat = await net.direct(alice, bob)
    out = await alice.told(f"{MARK} to be deleted", chat)
    kept = await alice.told(f"{MARK} to stay", chat)
    first = await bob2.sees(out.content)
    await bob2.sees(kept.content)
    await bob2.stop()

    deleted = await alice2.changed("delete", await alice2.sees(out.content))
    for d in (alice, alice2, bob):
        await d.wait(lambda d=d: d.messages[out.id].deleted, 30, "the deletion")
    assert deleted.acks and deleted.id != out.id
    (frame,) = [f for f in bob.changes_log if f["messageId"] == out.id]
    assert (frame["t"], frame["by"], frame["messageSeq"], frame["chatId"]) == ("deleted", alice.user_id, first.seq, chat)

    await bob2.online()  # from its cursor: the message again, as it is now
    assert bob2.messages[out.id].deleted and bob2.messages[kept.id].content == kept.content
    await view_is_level(stack)
    shown = await by_rest(bob, chat, out.id)
    assert shown["content"] == "" and shown["deleted"] == {"seq": frame["seq"], "by": alice.user_id, "at": frame["at"]}
    assert "deleted" not in await by_rest(bob, chat, kept.id)
    (row,) = await rows(stack, "SELECT content, media_id FROM view.messages WHERE id = %s", out.id)
    assert bytes(row["content"]) == b"" and row["media_id"] is None

    # once more, from elsewhere: it stays as it was, and an edit does not bring it back
    assert (await alice.rest.call("DELETE", f"/api/chats/{chat}/messages/{out.id}")).status == 200
    edited = await alice.changed("edit", alice.messages[out.id], f"{MARK} back again")
    await bob.wait(lambda: any(f["seq"] == edited.verdict["seq"] for f in bob.changes_log), 30, "the edit's frame")
    await view_is_level(stack)
    assert (await by_rest(bob, chat, out.id))["content"] == "" and not bob.messages[out.id].content
    assert not await rows(stack, "SELECT 1 FROM view.versions WHERE chat_id = %s", chat)

    # a new device, and one that syncs from the beginning, see nothing of it
    late = await net.users[1].device()
    await late.online()
    assert late.messages[out.id].deleted and late.messages[kept.id].content == kept.content


@scenario(180)
async def test_an_edit_is_one_message_with_a_mark(stack, net):
    (alice, alice2), (bob, bob2) = await pairs(net, "alice", "bob")
    chat = await net.direct(alice, bob)
    out = await alice.told(f"{MARK} frist", chat)
    await bob2.sees(out.content)
    await bob2.stop()
    for content in (f"{MARK} first", f"{MARK} first, and better"):
        edit = await alice2.changed("edit", await alice2.sees(out.content) if content.endswith("first") else alice2.messages[out.id], content)
    for d in (alice, alice2, bob):
        await d.wait(lambda d=d: d.messages[out.id].content == content, 30, "the edit")
    later = await bob.told(f"{MARK} seen", chat)
    await bob2.online()
    assert bob2.messages[out.id].content == content and bob2.sync_rows[out.id] == 1 and bob2.sync_rows[later.id] == 1
    await view_is_level(stack)
    shown = await by_rest(bob, chat, out.id)
    assert shown["content"] == content and shown["edited"] == {"seq": edit.verdict["seq"], "at": edit.verdict["at"]}
    assert (shown["seq"], shown["clientId"]) == (out.seq, out.client_id)
    assert len(await rows(stack, "SELECT 1 FROM view.versions WHERE chat_id = %s", chat)) == 1  # nobody may read the one between
    listed = (await bob.rest.get(f"/api/chats/{chat}", expect=200)).body["chat"]["lastMessage"]
    assert listed["content"] == later.content

    # by REST; its repeat is the same, another content under its id is not taken; the sends' own conflict stays
    body = {"content": f"{MARK} by rest", "clientId": "e-1"}
    path = f"/api/chats/{chat}/messages/{out.id}"
    for _ in range(2):
        answer = (await alice.rest.call("PATCH", path, body, expect=200)).body["message"]
        assert answer["content"] == body["content"]
    assert (await alice.rest.call("PATCH", path, {**body, "content": f"{MARK} other"})).body["error"]["code"] == "conflict"
    send = {"chatId": chat, "type": "text", "clientId": out.client_id}
    assert (await alice.rest.post("/api/messages", {**send, "content": f"{MARK} frist"})).status == 201
    assert (await alice.rest.post("/api/messages", {**send, "content": body["content"]})).body["error"]["code"] == "conflict"

    # of an edit that was written before edits were kept, the newest version is known
    with stack.db() as db:
        db.execute("DELETE FROM view.edits WHERE chat_id = %s", (chat,))
        db.commit()
    for _ in range(2):
        answer = (await alice.rest.call("PATCH", path, body, expect=200)).body["message"]
        assert answer["content"] == body["content"]
    assert (await alice.rest.call("PATCH", path, {**body, "content": f"{MARK} other"})).body["error"]["code"] == "conflict"

    # ticks did not go back, and the edit has its own: what all have is past it
    await alice.wait(lambda: alice.ticks[chat]["delivered"] >= alice.messages[out.id].edited > out.seq, 30, "the tick of the edit")
    assert all(x[2] <= y[2] for x, y in zip(alice.tick_log, alice.tick_log[1:]))


@scenario(120)
async def test_an_edit_that_comes_again_is_answered_when_a_later_one_has_overtaken_it(stack, net):
    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    out = await alice.told(f"{MARK} at first", chat)
    await view_is_level(stack)
    path = f"/api/chats/{chat}/messages/{out.id}"

    def body(n, content=None):
        return {"content": f"{MARK} {content or n}", "clientId": f"e-{n}"}

    async def edited(sent, shown):
        answer = (await alice.rest.call("PATCH", path, sent, expect=200)).body["message"]
        assert answer["content"] == shown["content"], answer
        return answer["edited"]["seq"]

    async def conflict(sent):
        answer = await alice.rest.call("PATCH", path, sent)
        assert (answer.status, answer.body["error"]["code"]) == (409, "conflict"), answer.body

    async def by_socket(sent):
        return await alice.verdict(alice.change("edit", alice.messages[out.id], sent["content"], sent["clientId"]))

    first = await edited(body(1), body(1))
    second = await edited(body(2), body(2))
    assert await edited(body(1), body(2)) == second > first  # the first was taken, and the message is as the second says
    await conflict(body(1, "other"))
    await conflict(body(1, 2))  # though the message reads so

    # first by the socket and again by REST, and the other way round
    third = await by_socket(body(3))
    fourth = await edited(body(4), body(4))
    assert await edited(body(3), body(4)) == fourth > third.verdict["seq"]
    await conflict(body(3, "other"))
    fifth = await by_socket(body(5))
    for d in (alice, bob):
        await d.wait(lambda d=d: d.messages[out.id].edited == fifth.verdict["seq"], 30, "the fifth edit")
    alice.changes_log.clear()
    for n in (1, 4):
        assert (await by_socket(body(n))).verdict["seq"] == {1: first, 4: fourth}[n]
    assert (await by_socket(body(4, "other"))).rejected == "conflict"
    assert [f["seq"] for f in alice.changes_log] == [first, fourth] and alice.messages[out.id].content == body(5)["content"]
    await view_is_level(stack)
    assert await edited(body(4), body(5)) == fifth.verdict["seq"]

    # each was one edit; nothing is known of them once the message is deleted
    told = [e["clientId"] for _, _, e in await records(stack, "chat.events") if e["chatId"] == chat and e["clientId"].startswith("e-")]
    assert sorted(told) == [f"e-{n}" for n in range(1, 6)]
    await alice.rest.call("DELETE", path, expect=200)
    assert (await alice.rest.call("PATCH", path, body(1))).status == 404
    await view_is_level(stack)
    assert not await rows(stack, "SELECT 1 FROM view.edits WHERE chat_id = %s", chat)


@scenario(180)
async def test_who_may_change_what(stack, net):
    owner, admin, member, ex, stranger, late = await net.people("owner", "admin", "member", "ex", "stranger", "late")
    chat = await net.group(owner, admin, member, ex)
    await owner.rest.call("PUT", f"/api/chats/{chat}/members/{admin.user_id}", {"role": "admin"}, expect=200)
    outs = [await member.told(f"{MARK} group {i}", chat) for i in range(4)]
    for d in (owner, admin, ex):
        await d.sees(outs[3].content)
    await member.changed("edit", member.messages[outs[0].id], f"{MARK} edited before ex left")
    await ex.wait(lambda: ex.messages[outs[0].id].edited, 30, "the edit")
    await owner.rest.call("DELETE", f"/api/chats/{chat}/members/{ex.user_id}", expect=200)
    await owner.rest.call("POST", f"/api/chats/{chat}/members", {"add": [late.user_id]}, expect=200)
    await member.changed("edit", member.messages[outs[0].id], f"{MARK} edited after ex left")
    await view_is_level(stack)

    async def refused(device, kind, message, code, status):
        verdict = (await device.verdict(device.change(kind, message, f"{MARK} no"))).verdict
        assert (verdict["t"], verdict.get("code")) == ("rejected", code), (device, kind, verdict)
        path = f"/api/chats/{chat}/messages/{message.id}"
        body = {"content": f"{MARK} no"} if kind == "edit" else None
        assert (await device.rest.call({"edit": "PATCH", "delete": "DELETE"}[kind], path, body)).status == status

    target = member.messages[outs[0].id]
    for d in (ex, stranger):
        await refused(d, "edit", target, "not_found", 404)
        await refused(d, "delete", target, "not_found", 404)
    await refused(late, "delete", target, "not_found", 404)  # is there now, and was not then
    assert (await owner.rest.call("PATCH", f"/api/chats/{chat}/messages/{target.id}", {"content": f"{MARK} no"})).status == 403
    forged = await owner.changed("edit", target, f"{MARK} forged")  # names a message of the owner's own, which is none
    assert forged.verdict["messageId"] != target.id
    await owner.rest.call("PUT", f"/api/chats/{chat}/members/{admin.user_id}", {"role": "member"}, expect=200)
    await refused(admin, "delete", target, "forbidden", 403)

    # who left reads the version of then, who came later nothing; nobody is told what is not theirs
    shown = {d: await by_rest(d, chat, outs[0].id) for d in (ex, late, member)}
    assert shown[ex]["content"] == f"{MARK} edited before ex left" and shown[late] is None
    assert shown[member]["content"] == f"{MARK} edited after ex left"
    assert not [f for f in late.changes_log if f["messageId"] == target.id] and [f["content"] for f in ex.changes_log] == [f"{MARK} edited before ex left"]
    away = await net.users[3].device()
    await away.online()
    assert away.messages[outs[0].id].content == f"{MARK} edited before ex left"

    # an owner deletes what he saw; then it is gone for all, also for who left and has not asked before
    await owner.changed("delete", owner.messages[outs[0].id])
    await view_is_level(stack)
    assert (await by_rest(ex, chat, outs[0].id))["deleted"] == {} and (await by_rest(member, chat, outs[0].id))["deleted"]["by"] == owner.user_id
    texts = await rows(stack, "SELECT content FROM view.messages WHERE chat_id = %s AND id = %s UNION ALL SELECT content FROM view.versions "
                              "WHERE chat_id = %s", chat, outs[0].id, chat)
    assert [bytes(r["content"]) for r in texts] == [b""]

    # a pair that fits no message is told, and changes nothing
    wrong = member.messages[outs[1].id]
    ws = await net.raw(member.tokens, auto_ok=True)
    await ws.ready()
    for seq in (wrong.seq - 1, 2**50):
        await ws.send({"t": "message.delete", "clientId": f"wrong-{seq}", "chatId": chat, "messageClientId": wrong.client_id, "messageSeq": seq})
    await ws.expect(lambda f: f["t"] == "rejected" and f["clientId"] == f"wrong-{2**50}", "no")
    await ws.expect(lambda f: f["t"] == "deleted" and f["clientId"] == f"wrong-{wrong.seq - 1}", "told")
    await view_is_level(stack)
    assert (await by_rest(member, chat, wrong.id))["content"] == wrong.content and not owner.messages[wrong.id].deleted


@scenario(180)
async def test_a_deleted_file_opens_nothing(stack, net):
    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    files = Files(net.rest_url, alice.tokens.access)
    try:
        media = await asyncio.to_thread(files.send, chat, png(seed=7))
    finally:
        files.close()
    sent = (await alice.rest.post("/api/messages", {"chatId": chat, "type": "image", "content": "", "mediaId": media}, expect=201)).body["message"]
    assert (await bob.rest.get(f"/api/media/{media}/link")).status == 200
    await alice.rest.call("DELETE", f"/api/chats/{chat}/messages/{sent['id']}", expect=200)
    assert (await bob.rest.get(f"/api/media/{media}/link")).status == 404
    assert "mediaId" not in await by_rest(bob, chat, sent["id"])


@scenario(240)
async def test_changes_survive_kills_and_a_rebuild(stack, net):
    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    gone = await alice.told(f"{MARK} gone", chat)
    better = await alice.told(f"{MARK} good", chat)
    await alice.changed("edit", alice.messages[better.id], f"{MARK} better")
    await alice.changed("delete", alice.messages[gone.id])
    await view_is_level(stack)
    # chat restores its window and its times: the repeat is one, and the target is young still
    out = alice.change("edit", alice.messages[better.id], f"{MARK} best", "again-1")
    await alice.verdict(out)
    async with Supervised(stack):
        await killed_and_back(stack.role("chat"))
    alice.changes_log.clear()
    alice.again(out)
    again = await alice.wait(lambda: next((f for f in alice.changes_log if f["clientId"] == "again-1"), None), 60, "the repeat")
    assert again["seq"] == out.verdict["seq"]
    assert len([1 for _, _, e in await records(stack, "chat.events") if e["clientId"] == "again-1"]) == 1
    await alice.changed("edit", alice.messages[better.id], f"{MARK} the best")
    await view_is_level(stack)
    known = "SELECT target, seq, edit_id, said FROM view.edits WHERE chat_id = %s ORDER BY seq"
    before = await rows(stack, known, chat)
    await made_anew(stack)

    async def rebuilt():
        r = await bob.rest.get(f"/api/chats/{chat}/messages")
        return r.status == 200 and {m["id"]: m["content"] for m in r.body["messages"]} == {gone.id: "", better.id: f"{MARK} the best"}

    await until(rebuilt, 60, "the rebuilt view to show the same")
    assert await rows_when(stack, "SELECT 1 FROM view.changes WHERE chat_id = %s", chat)
    await view_is_level(stack)
    assert len(before) == 3 and await rows(stack, known, chat) == before
    sent = {"content": f"{MARK} best", "clientId": "again-1"}
    answer = (await alice.rest.call("PATCH", f"/api/chats/{chat}/messages/{better.id}", sent, expect=200)).body["message"]
    assert answer["content"] == f"{MARK} the best"


def signs(message: dict) -> tuple[dict, str]:
    """What a message shows: sign → how many, and one's own."""
    return {r["reaction"]: r["count"] for r in message.get("reactions", ())}, message.get("myReaction", "")


KEPT, KNOWN = 8, 64  # versions of a message, and signs of one user, in the view; its edits that are known
PLANTED = 20_000


def plant_many(db, message: str, table: str, columns: str, values: str) -> None:
    """So many rows of a message, below every place of the log, and one who left between each and the next."""
    db.execute(f"INSERT INTO view.{table} (part, chat_id, target, seq, at_ms, {columns}) "
               f"SELECT part, chat_id, seq, -2 * n, 1, {values} FROM view.messages, generate_series(1, %s) n WHERE id = %s", (PLANTED, message))


@scenario(180)
async def test_of_many_changes_the_newest_stay_that_somebody_left_behind(stack, net):
    """Somebody left between any two of many edits, and of many signs, so that each may still be read. A few stay, with the last."""
    alice, bob = await net.people("alice", "bob")
    chat = await net.group(alice, bob)
    out = await alice.told(f"{MARK} as it was", chat)
    await bob.sees(out.content)
    await view_is_level(stack)
    with stack.db() as db:
        db.execute("INSERT INTO view.members (part, chat_id, user_id, joined_seq, left_seq, role) SELECT part, chat_id, gen_random_uuid(), "
                   "-2 * n, -2 * n + 1, 0 FROM view.messages, generate_series(1, %s) n WHERE id = %s", (PLANTED, out.id))
        db.execute("INSERT INTO view.edits (part, chat_id, target, seq, edit_id, said) SELECT part, chat_id, seq, -n, gen_random_uuid(), '' "
                   "FROM view.messages, generate_series(1, %s) n WHERE id = %s", (PLANTED, out.id))
        plant_many(db, out.id, "versions", "content_type, content", "'text/plain', 'x'")
        plant_many(db, out.id, "reactions", "user_id, reaction", f"'{bob.user_id}', '+'")
    await alice.changed("edit", alice.messages[out.id], f"{MARK} as it is")
    await bob.changed("react", bob.messages[out.id], "!")
    await view_is_level(stack)
    for table in ("versions", "reactions"):
        kept = [r["seq"] for r in await rows(stack, f"SELECT seq FROM view.{table} WHERE chat_id = %s ORDER BY seq", chat)]
        assert kept[:-1] == list(range(-2 * (KEPT - 1), 0, 2)) and kept[-1] > 0, (table, len(kept))
    assert len(await rows(stack, "SELECT 1 FROM view.edits WHERE chat_id = %s", chat)) == KNOWN
    shown = await by_rest(alice, chat, out.id)
    assert shown["content"] == f"{MARK} as it is" and signs(shown)[0] == {"!": 1}
    with stack.db() as db:
        db.execute("DELETE FROM view.members WHERE chat_id = %s AND left_seq < 0", (chat,))


@scenario(180)
async def test_one_reaction_a_user_and_message(stack, net):
    (alice, alice2), (bob, bob2), (carol, carol2) = await pairs(net, "alice", "bob", "carol")
    chat = await net.group(alice, bob, carol)
    out = await alice.told(f"{MARK} react to this", chat)
    for d in (bob, bob2, carol, carol2):
        await d.sees(out.content)
    await bob2.stop()
    heart, thumb, family = "\N{HEAVY BLACK HEART}\uFE0F", "\N{THUMBS UP SIGN}", "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    await bob.changed("react", bob.messages[out.id], thumb)
    await carol.changed("react", carol.messages[out.id], thumb)
    last = await bob.changed("react", bob.messages[out.id], heart)  # in place of the one before
    for d in (alice, alice2, carol2):
        await d.wait(lambda d=d: {u: s for u, (_, s) in d.messages[out.id].signs.items()} == {bob.user_id: heart, carol.user_id: thumb}, 30, "the signs")
    await bob2.online()
    await view_is_level(stack)
    for d, mine in ((alice, ""), (bob, heart), (carol, thumb)):
        assert signs(await by_rest(d, chat, out.id)) == ({heart: 1, thumb: 1}, mine)
    assert (bob2.messages[out.id].reactions, bob2.messages[out.id].mine) == ({heart: 1, thumb: 1}, heart)
    assert bob2.messages[out.id].content == out.content and not bob2.messages[out.id].edited and last.verdict["seq"] > out.seq

    # by REST: replaced, the same again, taken back; not by who has not seen it
    path = f"/api/chats/{chat}/messages/{out.id}/reaction"
    for _ in range(2):
        await alice.rest.call("PUT", path, {"reaction": family}, expect=200)
    assert signs(await by_rest(alice, chat, out.id)) == ({heart: 1, thumb: 1, family: 1}, family)
    for bad in ("", "x" * 65, "\u200b", "a\nb"):
        assert (await alice.rest.call("PUT", path, {"reaction": bad})).status == 400, bad
    for _ in range(2):
        await carol.rest.call("DELETE", path, expect=200)
    await alice.wait(lambda: alice.messages[out.id].signs[carol.user_id][1] == "", 30, "carol's sign to go")
    assert signs(await by_rest(carol, chat, out.id)) == ({heart: 1, family: 1}, "")

    # who left sees what was then, and gives none; who came later has not seen the message
    await alice.rest.call("DELETE", f"/api/chats/{chat}/members/{carol.user_id}", expect=200)
    dora = (await net.people("dora"))[0]
    await alice.rest.call("POST", f"/api/chats/{chat}/members", {"add": [dora.user_id]}, expect=200)
    await bob.changed("react", bob.messages[out.id], thumb)
    await view_is_level(stack)
    assert signs(await by_rest(carol, chat, out.id)) == ({heart: 1, family: 1}, "")
    assert signs(await by_rest(bob, chat, out.id)) == ({thumb: 1, family: 1}, thumb)
    for d in (carol, dora):
        assert (await d.rest.call("PUT", path, {"reaction": thumb})).status == 404
        refused = await d.verdict(d.change("react", alice.messages[out.id], thumb))
        assert refused.rejected == "not_found"
    assert not [f for f in dora.changes_log if f["messageId"] == out.id]
    late = await net.users[2].device()
    await late.online()
    assert (late.messages[out.id].reactions, late.messages[out.id].mine) == ({heart: 1, family: 1}, "")

    # unread counts and ticks are about messages; a deletion takes the signs along, and none comes after it
    assert (await bob.rest.get(f"/api/chats/{chat}", expect=200)).body["chat"]["unread"] <= 1
    await alice.changed("delete", alice.messages[out.id])
    await bob.changed("react", bob.messages[out.id], heart)
    await view_is_level(stack)
    assert signs(await by_rest(bob, chat, out.id)) == ({}, "") and not await rows(stack, "SELECT 1 FROM view.reactions WHERE chat_id = %s", chat)
