# SPDX-License-Identifier: MIT
"""What happened in a chat besides its messages: every device shows the same, in its order, with who did it and when. Over two gateways, two devices each,
whoever was away, and on a view that is made anew."""
import asyncio
import uuid

from client import MARK, scenario, until
from files import png
from look import made_anew, partition_of, view_is_level
from stack import encode
from test_changes import pairs
from test_groups import chat_of
from test_users import upload

KINDS = ("chat", "member", "description", "picture", "rights", "timer")


def frames_of(device, chat: str) -> list[dict]:
    """What the device was told live, as a line would say it."""
    logs = device.member_log + device.group_log + device.timers_log
    found = {f["seq"]: {k: v for k, v in f.items() if k != "n"} for f in logs if f["chatId"] == chat and f["t"] in KINDS}
    return [found[seq] for seq in sorted(found)]


async def page(device, chat: str, **asked) -> dict:
    return (await device.rest.get(f"/api/chats/{chat}/lines", expect=200, **asked)).body


async def lines(device, chat: str, limit: int = 200) -> list[dict]:
    """All of them, from the last page back."""
    found, asked = [], {}
    while True:
        body = await page(device, chat, limit=limit, **asked)
        found = body["lines"] + found
        if not body["more"]:
            return found
        asked = {"before": body["lines"][0]["seq"]}


async def at_once(stack, device, chat: str, changes: list[tuple[str, str]]) -> None:
    """Several changes of members in one action, which no route offers, but the log takes."""
    action = {"chatId": uuid.UUID(chat), "userId": uuid.UUID(device.user_id), "deviceId": uuid.UUID(device.device_id), "clientId": "at-once", "atMs": 0, "peer": None,
              "action": ("chasqui.MembersChanged", {"changes": [{"userId": uuid.UUID(user), "change": change} for user, change in changes]})}

    def produce():
        p = stack.producer()
        p.produce("chat.actions", encode("ChatAction", action), key=chat,
                  partition=partition_of(chat, len(p.list_topics("chat.actions", timeout=20).topics["chat.actions"].partitions)))
        assert p.flush(20) == 0

    last = len(device.member_log)
    await asyncio.to_thread(produce)
    await device.wait(lambda: len(device.member_log) > last, 30, "the change")


@scenario(180)
async def test_every_device_shows_the_same_lines(stack, net):
    (alice, alice2), (bob, bob2), (carol, _), (dave, _) = await pairs(net, "alice", "bob", "carol", "dave")
    chat = await net.group(alice, bob)
    path, picture = f"/api/chats/{chat}", await upload(net, alice, png(seed=41))
    await alice.told(f"{MARK} first", chat)
    await bob2.sees(f"{MARK} first")
    await bob2.stop()
    before = (await bob.rest.get("/api/sync", expect=200, cursor="latest")).body["cursor"]

    async def ask(method, rest, body=None, device=alice):
        await device.rest.call(method, path + rest, body, expect=200)

    await ask("POST", "/members", {"add": [carol.user_id]})
    await ask("PATCH", "", {"name": "Ours"})
    await ask("PUT", "/description", {"description": "what we are"})
    await ask("PUT", "/picture", {"picture": picture})
    await alice.told(f"{MARK} between", chat)
    await ask("PUT", f"/members/{carol.user_id}", {"role": "admin"})
    await ask("PUT", "/rights", {"add": "everyone"})
    await ask("PUT", "/timer", {"seconds": 86400})
    await ask("DELETE", f"/members/{carol.user_id}")
    await ask("POST", "/members", {"add": [dave.user_id]}, bob)
    await ask("DELETE", f"/members/{dave.user_id}", device=dave)
    marker = await alice.told(f"{MARK} last", chat)
    for d in (alice2, bob):
        await d.sees(marker.content)
    await view_is_level(stack)

    # each as it was told, in its order, whichever device asks, and in whatever pages
    all_of_it = await lines(alice, chat)
    assert [line["t"] for line in all_of_it] == ["chat", "member", "chat", "description", "picture", "member", "rights", "timer", "member", "member", "member"]
    assert [[(c["userId"], c["change"]) for c in line["changes"]] for line in all_of_it if line["t"] == "member"] == [
        [(carol.user_id, "add")], [(carol.user_id, "promote")], [(carol.user_id, "remove")], [(dave.user_id, "add")], [(dave.user_id, "remove")]]
    assert [line["by"] for line in all_of_it[-3:]] == [alice.user_id, bob.user_id, dave.user_id]
    assert all_of_it[2]["name"] == "Ours" and all_of_it[4]["picture"] == picture and all_of_it[7]["seconds"] == 86400
    for d in (alice2, bob):
        assert frames_of(d, chat) == all_of_it == await lines(d, chat, 1) == await lines(d, chat, 4)
    forth = (await page(bob, chat, after=0, limit=3))["lines"]
    assert forth == all_of_it[:3] and (await page(bob, chat, after=forth[-1]["seq"]))["lines"] == all_of_it[3:]
    assert (await page(bob, chat, after=all_of_it[1]["seq"], before=all_of_it[4]["seq"]))["lines"] == all_of_it[2:4]
    for bad in ({"limit": 0}, {"limit": 201}, {"before": "x"}):
        assert (await bob.rest.get(f"{path}/lines", **bad)).status == 400, bad
    # they count for nothing, and a sync says that there are new ones
    (told,) = [c for c in (await bob.rest.get("/api/sync", expect=200, cursor=before)).body["chats"] if c["chatId"] == chat]
    assert told["lineSeq"] == all_of_it[-1]["seq"] == (await chat_of(bob, chat))["lineSeq"]
    bob.read(chat)

    async def all_read():
        return (await chat_of(bob, chat))["unread"] == 0

    await until(all_read, 30, "all read")
    await ask("PATCH", "", {"name": "Ours again"})
    assert (await chat_of(bob, chat))["unread"] == 0
    await bob2.online()
    assert bob2.chats[chat]["lineSeq"] == (await lines(bob2, chat))[-1]["seq"] > all_of_it[-1]["seq"]

    # who was there for a while is told of that: from his coming to his going, and nothing that came later
    assert await lines(carol, chat) == all_of_it[1:9] and await lines(dave, chat) == all_of_it[9:11]
    for d, last in ((carol, all_of_it[8]), (dave, all_of_it[10])):
        (left,) = [c for c in (await d.rest.get("/api/chats", expect=200)).body["chats"] if c["chatId"] == chat]
        assert (left["role"], left["lineSeq"]) == ("left", last["seq"])
    # who comes as another goes is told who came, and not who went
    await ask("POST", "/members", {"add": [dave.user_id]})
    await at_once(stack, alice, chat, [(carol.user_id, "ADD"), (dave.user_id, "REMOVE")])
    await view_is_level(stack)
    assert [(c["userId"], c["change"]) for c in (await lines(alice, chat))[-1]["changes"]] == [(carol.user_id, "add"), (dave.user_id, "remove")]
    assert [(c["userId"], c["change"]) for c in (await lines(carol, chat))[-1]["changes"]] == [(carol.user_id, "add")]
    assert (await lines(dave, chat))[-1] == (await lines(alice, chat))[-1]
    # in a direct chat: timers; not what the other set while one blocked him
    direct = await net.direct(alice, carol)
    for seconds, device in ((86400, alice), (604800, carol)):
        await device.rest.call("PUT", f"/api/chats/{direct}/timer", {"seconds": seconds}, expect=200)
    await carol.rest.call("PUT", f"/api/users/{alice.user_id}/block", expect=200)
    await alice.rest.call("PUT", f"/api/chats/{direct}/timer", {"seconds": 0}, expect=200)
    await carol.rest.call("DELETE", f"/api/users/{alice.user_id}/block", expect=200)
    assert [line["seconds"] for line in await lines(alice, direct)] == [86400, 604800, 0]
    assert [line["seconds"] for line in await lines(carol, direct)] == [86400, 604800]
    assert (await dave.rest.get(f"/api/chats/{direct}/lines")).status == 404

    await view_is_level(stack)
    had = [await lines(d, c) for d, c in ((alice, chat), (carol, chat), (dave, chat), (carol, direct))]
    await made_anew(stack)

    async def is_back():
        r = await alice.rest.get(f"{path}/lines")
        return r.status == 200 and [await lines(d, c) for d, c in ((alice, chat), (carol, chat), (dave, chat), (carol, direct))] == had

    await until(is_back, 60, "the rebuilt view")
