# SPDX-License-Identifier: MIT
"""Who may send and read, from when to when."""
import asyncio
import uuid

from client import MARK, scenario
from look import partition_of, paused, rows, view_is_level
from stack import encode


def told_apart(reply) -> dict:
    """An error without what differs from request to request."""
    e = dict(reply.body["error"])
    assert e.pop("requestId")
    return {"status": reply.status, **e}


def to_and_fro(stack, chat: str, by, who, times: int) -> None:
    """He is added and removed by the log: the door would take seconds."""
    producer = stack.producer()
    partition = partition_of(chat, len(producer.list_topics("chat.actions", timeout=20).topics["chat.actions"].partitions))
    for i in range(2 * times):
        change = {"userId": uuid.UUID(who.user_id), "change": "REMOVE" if i % 2 else "ADD"}
        producer.produce("chat.actions", encode("ChatAction", {
            "chatId": uuid.UUID(chat), "userId": uuid.UUID(by.user_id), "deviceId": uuid.UUID(by.device_id), "clientId": f"fro-{i}", "atMs": 0, "peer": None,
            "action": ("chasqui.MembersChanged", {"changes": [change]})}), key=chat, partition=partition)
    assert producer.flush(20) == 0


@scenario()
async def test_a_stranger_sees_what_is_not_there(stack, net):
    alice, bob, mallory = await net.people("alice", "bob", "mallory")
    group = await net.group(alice, bob)
    out = await alice.told(f"{MARK} for members only", group)
    direct = (await alice.told(f"{MARK} for bob only", peer=bob.user_id)).chat_id
    await view_is_level(stack)
    missing = str(uuid.uuid4())

    for chat in (group, direct):
        for method, path, body in (
            ("GET", "/api/chats/{}", None),
            ("GET", "/api/chats/{}/messages", None),
            ("PATCH", "/api/chats/{}", {"name": "mine"}),
            ("POST", "/api/chats/{}/read", {"seq": out.seq}),
            ("POST", "/api/chats/{}/members", {"add": [mallory.user_id]}),
            ("DELETE", "/api/chats/{}/members/" + bob.user_id, None),
            ("PUT", "/api/chats/{}/members/" + mallory.user_id, {"role": "admin"}),
            ("POST", "/api/messages", {"chatId": "{}", "content": f"{MARK} let me in", "type": "text"}),
        ):
            def fill(x, c):
                return {k: c if v == "{}" else v for k, v in x.items()} if isinstance(x, dict) else x

            there = await mallory.rest.call(method, path.replace("{}", chat), fill(body, chat))
            nowhere = await mallory.rest.call(method, path.replace("{}", missing), fill(body, missing))
            assert there.status == 404 and told_apart(there) == told_apart(nowhere), (method, path)
    there = await mallory.rest.get(f"/api/messages/{out.id}/receipts")
    nowhere = await mallory.rest.get(f"/api/messages/{missing}/receipts")
    assert there.status == 404 and told_apart(there) == told_apart(nowhere)

    # by socket: a verdict in a group; a direct chat's id is no door without being one of the two
    knock = mallory.send(f"{MARK} knock knock", group)
    await mallory.verdict(knock)
    assert knock.rejected == "not_found" and mallory.rejected_log[-1]["chatId"] == group
    forged = mallory.send(f"{MARK} from whom?", direct, peer=bob.user_id)
    await mallory.wait(lambda: forged.verdict or "bad_request" in forged.nacks, 30, "a refusal")
    assert not forged.verdict or forged.rejected == "not_found"

    # nothing of it has reached anybody
    marker = await alice.told(f"{MARK} marker", group)
    await bob.sees(marker.content)
    assert bob.contents(group) == [out.content, marker.content] and len(bob.contents(direct)) == 1
    await view_is_level(stack)
    assert not await rows(stack, "SELECT * FROM view.messages WHERE sender_id = %s", mallory.user_id)
    rejected = await rows(stack, "SELECT code FROM view.rejected WHERE user_id = %s AND client_id = %s", mallory.user_id,
                          knock.client_id)
    assert [r["code"] for r in rejected] == ["not_found"]
    await mallory.sync()
    assert not mallory.messages and not mallory.chats and not mallory.live_frames


@scenario()
async def test_creation_by_rest_can_be_used_at_once(stack, net):
    alice, bob = await net.people("alice", "bob")
    for i in range(5):
        chat = await net.group(alice, bob, name=f"group {i}")
        r = await alice.rest.get(f"/api/chats/{chat}", expect=200)
        assert r.body["chat"]["name"] == f"group {i}" and r.body["chat"]["kind"] == "group"
        assert {m["userId"]: m["role"] for m in r.body["chat"]["members"]} == {alice.user_id: "owner", bob.user_id: "member"}
        body = {"chatId": chat, "content": f"{MARK} number {i}", "type": "text", "clientId": f"rest-{i}"}
        m = (await alice.rest.post("/api/messages", body, expect=201)).body["message"]
        assert (m["chatId"], m["content"], m["clientId"]) == (chat, body["content"], f"rest-{i}")
        r = await bob.rest.get(f"/api/chats/{chat}/messages", expect=200)
        assert [x["id"] for x in r.body["messages"]] == [m["id"]] and r.body["more"] is False
        got = await bob.sees(body["content"])
        assert (got.id, got.seq) == (m["id"], m["seq"])
        chats = (await bob.rest.get("/api/chats", expect=200)).body["chats"]
        assert chats[0]["chatId"] == chat and chats[0]["unread"] == 1 and chats[0]["lastMessage"]["id"] == m["id"]
        # the same again is the same
        again = (await alice.rest.post("/api/messages", body, expect=(200, 201))).body["message"]
        assert (again["id"], again["seq"]) == (m["id"], m["seq"])
    direct = await net.direct(alice, bob)
    assert direct == await net.direct(bob, alice)
    body = {"chatId": direct, "content": f"{MARK} first in the direct chat", "type": "text"}
    m = (await alice.rest.post("/api/messages", body, expect=201)).body["message"]
    assert (await bob.sees(body["content"])).seq == m["seq"]


@scenario()
async def test_the_removed_get_nothing_more(stack, net):
    alice, bob, carol = await net.people("alice", "bob", "carol")
    chat = await net.group(alice, bob, carol)
    before = await alice.told(f"{MARK} while carol is in", chat)
    await carol.sees(before.content)

    r = await bob.rest.call("DELETE", f"/api/chats/{chat}/members/{carol.user_id}")
    assert r.status == 403 and r.code == "forbidden"
    r = await alice.rest.call("DELETE", f"/api/chats/{chat}/members/{carol.user_id}")
    assert r.status in (200, 202, 204), r

    def removal(d):
        return next((f for f in d.member_log if f["t"] == "member" and f["chatId"] == chat
                     and {"userId": carol.user_id, "change": "remove"} in f["changes"]), None)

    for d in (alice, bob, carol):
        await d.wait(lambda d=d: removal(d), 30, "the removal")
    gone_at = removal(carol)["seq"]
    assert removal(alice)["seq"] == removal(bob)["seq"] == gone_at and removal(bob)["by"] == alice.user_id
    n = len(carol.member_log)

    after = await alice.told(f"{MARK} without carol", chat)
    await alice.rest.call("PATCH", f"/api/chats/{chat}", {"name": "without her"}, expect=(200, 202, 204))
    await bob.sees(after.content)
    marker = await alice.told(f"{MARK} marker for carol", peer=carol.user_id)
    await carol.sees(marker.content)
    assert after.seq > gone_at
    assert carol.contents(chat) == [before.content] and len(carol.member_log) == n

    # neither can she write, nor look
    out = await carol.verdict(carol.send(f"{MARK} one last word", chat))
    assert out.rejected == "not_found"
    r = await carol.rest.post("/api/messages", {"chatId": chat, "content": f"{MARK} by another door", "type": "text"})
    assert r.status == 404
    r = await carol.rest.get(f"/api/chats/{chat}/messages", after=gone_at)
    assert r.status == 404 or (r.status == 200 and r.body["messages"] == [])
    assert (await carol.rest.get(f"/api/messages/{after.id}/receipts")).status == 404

    # a new device of hers, which has nothing yet, does not learn it either
    carol2 = await net.users[2].device()
    await carol2.online()
    assert after.content not in carol2.contents() and marker.content in carol2.contents()
    assert all(m.seq < gone_at for m in carol2.messages.values() if m.chat_id == chat)

    # back again: what comes from now on, not what was missed
    await alice.rest.post(f"/api/chats/{chat}/members", {"add": [carol.user_id]}, expect=(200, 201, 202, 204))
    back = await bob.told(f"{MARK} welcome back", chat)
    await carol.sees(back.content)
    await carol2.sees(back.content)
    carol3 = await net.users[2].device()
    await carol3.online()
    await carol3.sees(back.content)
    for d in (carol, carol2, carol3):
        assert after.content not in d.contents()

    # leaving is one's own
    r = await bob.rest.call("DELETE", f"/api/chats/{chat}/members/{bob.user_id}")
    assert r.status in (200, 202, 204), r
    await bob.wait(lambda: any({"userId": bob.user_id, "change": "remove"} in f.get("changes", []) for f in bob.member_log),
                   30, "his own removal")
    last = await alice.told(f"{MARK} bob has left", chat)
    await carol.sees(last.content)
    marker = await alice.told(f"{MARK} marker for bob", peer=bob.user_id)
    await bob.sees(marker.content)
    assert last.content not in bob.contents()


@scenario()
async def test_roles_of_a_group(stack, net):
    alice, bob, carol = await net.people("alice", "bob", "carol")
    chat = await net.group(alice, bob)

    async def roles():
        r = await alice.rest.get(f"/api/chats/{chat}", expect=200)
        return {m["userId"]: m["role"] for m in r.body["chat"]["members"]}

    add_carol = {"add": [carol.user_id]}
    assert (await bob.rest.post(f"/api/chats/{chat}/members", add_carol)).status == 403
    await alice.rest.call("PUT", f"/api/chats/{chat}/members/{bob.user_id}", {"role": "admin"}, expect=(200, 202, 204))
    assert await roles() == {alice.user_id: "owner", bob.user_id: "admin"}
    await bob.rest.post(f"/api/chats/{chat}/members", add_carol, expect=(200, 201, 202, 204))
    assert await roles() == {alice.user_id: "owner", bob.user_id: "admin", carol.user_id: "member"}
    assert (await bob.rest.call("DELETE", f"/api/chats/{chat}/members/{alice.user_id}")).status == 403
    assert (await carol.rest.call("PATCH", f"/api/chats/{chat}", {"name": "no"})).status == 403
    await bob.rest.call("PATCH", f"/api/chats/{chat}", {"name": "renamed by bob"}, expect=(200, 202, 204))
    await asyncio.gather(*(d.wait(lambda d=d: any(f["t"] == "chat" and f["name"] == "renamed by bob" for f in d.member_log), 30,
                                  "the new name") for d in (alice, bob, carol)))
    await alice.rest.call("PUT", f"/api/chats/{chat}/members/{bob.user_id}", {"role": "member"}, expect=(200, 202, 204))
    assert (await bob.rest.call("PATCH", f"/api/chats/{chat}", {"name": "no"})).status == 403


@scenario(120)
async def test_a_change_is_done_though_the_view_has_it_and_a_later_one_at_once(stack, net):
    alice, bob, carol, dora = await net.people("alice", "bob", "carol", "dora")
    chat = await net.group(alice, bob, carol)
    path = f"/api/chats/{chat}"
    await alice.rest.call("PUT", f"{path}/members/{bob.user_id}", {"role": "admin"}, expect=200)
    await view_is_level(stack)
    persistence = stack.role("persistence")

    async def at_once(*requests):
        """Each is in the log before the view has any of them; few, since each has to be answered in 5 s."""
        asked = []

        def told():
            return len(alice.member_log) + len(alice.timers_log)

        await paused(persistence)
        try:
            # what stood still may have had a record in its hands: the first is apart
            for device, *request in ((alice, "PATCH", path, {"name": "apart"}), *requests):
                before = told()
                asked.append(asyncio.create_task(device.rest.call(*request)))
                await alice.wait(lambda: told() > before, 30, f"the frame of {request}")
        finally:
            persistence.cont()
        assert [(r.status, r.body) for r in await asyncio.gather(*asked)] == [(200, {})] * len(asked)

    await at_once((alice, "POST", f"{path}/members", {"add": [dora.user_id]}), (bob, "DELETE", f"{path}/members/{dora.user_id}"),
                  (bob, "DELETE", f"{path}/members/{carol.user_id}"), (alice, "POST", f"{path}/members", {"add": [carol.user_id]}))
    await at_once((alice, "PATCH", path, {"name": "first"}), (alice, "PUT", f"{path}/timer", {"seconds": 86400}),
                  (bob, "PATCH", path, {"name": "second"}), (bob, "PUT", f"{path}/timer", {"seconds": 604800}))
    shown = (await alice.rest.get(path, expect=200)).body["chat"]
    assert (shown["name"], shown["timer"], {m["userId"] for m in shown["members"]}) == ("second", 604800, {d.user_id for d in (alice, bob, carol)})


@scenario()
async def test_somebody_comes_into_a_group_so_often(stack, net):
    """64 times, whoever lets him in; a group that he did not come into takes him all the same."""
    alice, bob, carol = await net.people("alice", "bob", "carol")
    chat, other = await net.group(alice, bob), await net.group(alice, carol)
    invite = (await alice.rest.post(f"/api/chats/{chat}/invites", {}, expect=201)).body["invite"]
    await asyncio.to_thread(to_and_fro, stack, chat, alice, carol, 63)
    await alice.wait(lambda: sum(f["chatId"] == chat for f in alice.member_log) >= 1 + 126, 30, "him to come and go")
    await view_is_level(stack)
    await alice.rest.post(f"/api/chats/{chat}/members", {"add": [carol.user_id]}, expect=200)
    await alice.rest.call("PUT", f"/api/chats/{chat}/members/{carol.user_id}", {"role": "admin"}, expect=200)
    await alice.rest.post(f"/api/chats/{chat}/members", {"add": [carol.user_id]}, expect=200)  # is there
    await alice.rest.call("DELETE", f"/api/chats/{chat}/members/{carol.user_id}", expect=200)
    for device, path, body in ((alice, f"/api/chats/{chat}/members", {"add": [carol.user_id]}), (carol, f"/api/invites/{chat}/{invite['secret']}", {})):
        r = await device.rest.post(path, body)
        assert (r.status, r.code) == (409, "too_many_returns")
    assert len(await rows(stack, "SELECT 1 FROM view.members WHERE chat_id = %s AND user_id = %s", chat, carol.user_id)) == 64
    await alice.rest.post(f"/api/chats/{other}/members", {"add": [bob.user_id]}, expect=200)
