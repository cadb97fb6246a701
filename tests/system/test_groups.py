# SPDX-License-Identifier: MIT
"""What a group says of itself, who may do what in it, and who owns it. Over two gateways, two devices each, and whoever was away."""
import asyncio

from client import MARK, scenario, until
from look import made_anew, record_when, rows, started, view_is_level
from test_changes import pairs

AT_FIRST = {"send": "everyone", "info": "admins", "add": "admins"}
SHOWN = "SELECT description, description_seq, send_by, info_by, add_by, rights_seq FROM view.chats WHERE chat_id = %s"


async def chat_of(device, chat: str) -> dict:
    return (await device.rest.get(f"/api/chats/{chat}", expect=200)).body["chat"]


def told(device, kind: str, chat: str) -> list[dict]:
    return [f for f in device.group_log if f["t"] == kind and f["chatId"] == chat]


def rights_of(of: dict) -> dict:
    return {right: of[right] for right in AT_FIRST}


@scenario(240)
async def test_what_a_group_says_of_itself_and_who_may_do_what(stack, net):
    (alice, alice2), (bob, bob2), (carol, _) = await pairs(net, "alice", "bob", "carol")
    chat, direct = await net.group(alice, bob), await net.direct(alice, bob)
    path, text = f"/api/chats/{chat}", f"{MARK} what we talk about\n" + 400 * "😂"
    first = await bob.told(f"{MARK} free to say", chat)
    await bob2.sees(first.content)
    await bob2.stop()
    assert rights_of((await chat_of(bob, chat))["rights"]) == AT_FIRST and "description" not in await chat_of(bob, chat)
    assert not {"rights", "description"} & set(await chat_of(bob, direct))

    async def put(device, what, body, where=path, status=200):
        r = await device.rest.call("PUT", f"{where}/{what}", body)
        assert r.status == status, (r.status, r.body)

    # the description: in code points and in bytes, a text of any lines; by admins at first, and not in a direct chat
    await put(alice, "description", {"description": text})
    for d in (alice, alice2, bob):
        await d.wait(lambda d=d: told(d, "description", chat), 30, "the description")
        (frame,) = told(d, "description", chat)
        assert (frame["by"], frame["description"]) == (alice.user_id, text)
    await put(alice, "description", {"description": 512 * "😂"})
    for bad in ({"description": 513 * "x"}, {"description": 513 * "😂"}, {"description": "a\0b"}, {"description": 7}, {}):
        await put(alice, "description", bad, status=400)
    await put(alice, "description", {"description": text})
    for bad in ({}, {"send": "nobody"}, {"send": True}, {"send": "admins", "add": 1}):
        await put(alice, "rights", bad, status=400)
    for what, body in (("description", {"description": "no"}), ("rights", {"send": "admins"})):
        await put(bob, what, body, status=403)
        await put(carol, what, body, status=404)
        await put(alice, what, body, f"/api/chats/{direct}", status=400)

    # two messages of bob's that he sent as he might, on either side of the change: its place in the log decides, whenever it is looked at
    await asyncio.to_thread(stack.role("chat").stop)
    before = await bob.acked(bob.send(f"{MARK} just before", chat))
    closing = asyncio.create_task(alice.rest.call("PUT", f"{path}/rights", {"send": "admins"}))
    await record_when(stack, "chat.actions", lambda a: str(a["chatId"]) == chat and a["action"][0].endswith("RightsSet"), "the rights")
    behind = await bob.acked(bob.send(f"{MARK} just behind", chat))
    await started(stack.role("chat"))
    await bob.verdict(before)
    await bob.verdict(behind)
    assert before.verdict["t"] == "message" and (behind.verdict["t"], behind.verdict["code"]) == ("rejected", "forbidden")
    assert (await closing).status in (200, 503)
    for d in (alice, alice2, bob):
        await d.wait(lambda d=d: told(d, "rights", chat), 30, "the rights")
        assert rights_of(told(d, "rights", chat)[0]) == {**AT_FIRST, "send": "admins"}
    await alice.sees(before.content)
    await view_is_level(stack)

    # what was sent is told again; nothing new is said by members, and they react and take back
    bob.again(before)
    await bob.wait(lambda: bob.live_frames[before.id] > 1, 30, "the repeat")
    said = {"chatId": chat, "type": "text", "content": f"{MARK} no"}
    assert (await bob.rest.post("/api/messages", said)).status == 403
    assert (await bob.rest.call("PATCH", f"{path}/messages/{before.id}", {"content": f"{MARK} no"})).status == 403
    news = await alice.told(f"{MARK} news", chat)
    await bob.changed("react", await bob.sees(news.content), "+1")
    await bob.changed("delete", bob.messages[before.id])

    # the rest becomes everybody's: what is not named stays
    await put(alice, "rights", {"info": "everyone", "add": "everyone"})
    await put(bob, "timer", {"seconds": 86400})
    await bob.rest.call("PATCH", path, {"name": "Ours"}, expect=200)
    await put(bob, "description", {"description": f"{MARK} ours"})
    await bob.rest.post(f"{path}/members", {"add": [carol.user_id]}, expect=200)
    assert (await bob.rest.call("DELETE", f"{path}/members/{carol.user_id}")).status == 403
    now = {"send": "admins", "info": "everyone", "add": "everyone"}
    await bob2.online()  # was away: by the sync
    await carol.wait(lambda: any(f["chatId"] == chat for f in carol.member_log), 30, "the group")
    for seen in (bob2.chats[chat], await chat_of(carol, chat), *((await carol.rest.get("/api/chats", expect=200)).body["chats"])):
        if seen["chatId"] == chat:
            assert (seen["description"], rights_of(seen["rights"]), seen["name"]) == (f"{MARK} ours", now, "Ours")

    # the owner goes: bob, who was there before carol, owns it, and who left is shown neither
    await alice.rest.call("DELETE", f"{path}/members/{alice.user_id}", expect=200)
    for d in (bob, bob2, carol):
        await d.wait(lambda d=d: any(c["change"] == "make_owner" for f in d.member_log for c in f.get("changes", ())), 30, "the heir")
    assert {m["userId"]: m["role"] for m in (await chat_of(carol, chat))["members"]} == {bob.user_id: "owner", carol.user_id: "member"}
    await put(bob, "rights", {"send": "everyone", "info": "admins"})
    last = await carol.told(f"{MARK} at last", chat)
    await bob2.sees(last.content)
    await put(carol, "description", {"description": "no"}, status=403)
    (left,) = [c for c in (await alice.rest.get("/api/chats", expect=200)).body["chats"] if c["chatId"] == chat]
    assert left["role"] == "left" and not {"description", "rights"} & set(left)

    # a view that is made anew has the same
    await view_is_level(stack)
    had, shown = await rows(stack, SHOWN, chat), await chat_of(bob, chat)
    assert rights_of(shown["rights"]) == {"send": "everyone", "info": "admins", "add": "everyone"}
    await made_anew(stack)

    async def is_back():
        r = await bob.rest.get(path)
        return r.status == 200 and r.body["chat"] == shown

    await until(is_back, 60, "the rebuilt view")
    assert await rows(stack, SHOWN, chat) == had
