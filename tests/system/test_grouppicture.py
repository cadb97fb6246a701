# SPDX-License-Identifier: MIT
"""The picture of a group: by the right of its info, for who is in it, while it is its picture. Over two gateways, and on a view that is made anew."""
import uuid

from client import MARK, scenario, until
from files import png, voice
from look import made_anew, view_is_level
from test_changes import pairs
from test_groups import chat_of, told
from test_users import reads, upload


@scenario(180)
async def test_the_picture_is_the_groups(stack, net):
    (alice, alice2), (bob, bob2), (carol, _) = await pairs(net, "alice", "bob", "carol")
    chat, direct = await net.group(alice, bob), await net.direct(alice, bob)
    first, second = await upload(net, alice, png(seed=31)), await upload(net, alice, png(seed=32), chat)
    foreign, sound = await upload(net, bob, png(seed=33)), await upload(net, alice, voice(0.5), type="audio")
    both = (f"/api/media/{first}", f"/api/media/{first}/thumbnail")

    async def put(device, picture, status=200, where=chat):
        r = await device.rest.call("PUT", f"/api/chats/{where}/picture", {"picture": picture})
        assert r.status == status, (r.status, r.body)

    async def opens(device, *paths):
        return [await reads(net, device, path) for path in paths]

    async def small_one():
        return await reads(net, alice, both[1]) == 200

    await until(small_one, 60, "the small picture")
    assert await opens(bob, *both) == [404, 404]
    # by who may change the info, and only an image of one's own
    for bad in (foreign, sound, str(uuid.uuid4()), str(uuid.UUID(int=0)), "no id", 7):
        await put(alice, bad, 400)
    await put(alice, first, 400, direct)
    await put(bob, foreign, 403)
    await put(carol, first, 404)
    await bob2.stop()
    await put(alice, first)
    for d in (alice, alice2, bob):
        await d.wait(lambda d=d: told(d, "picture", chat), 30, "the picture")
        (frame,) = told(d, "picture", chat)
        assert (frame["by"], frame["picture"]) == (alice.user_id, first)
    assert await opens(bob, *both) == [200, 200] and await opens(carol, *both) == [404, 404]
    for seen in (await chat_of(bob, chat), *[c for c in (await bob.rest.get("/api/chats", expect=200)).body["chats"] if c["chatId"] == chat]):
        assert seen["picture"] == first
    assert "picture" not in await chat_of(bob, direct)
    await bob2.online()  # was away: by the sync
    assert bob2.chats[chat]["picture"] == first

    # who comes sees it, who goes does not, and neither does a link of then
    link = (await bob.rest.get(f"/api/media/{first}/link", expect=200)).body["url"]
    assert await reads(net, None, link) == 200
    await alice.rest.post(f"/api/chats/{chat}/members", {"add": [carol.user_id]}, expect=200)
    await alice.rest.call("DELETE", f"/api/chats/{chat}/members/{bob.user_id}", expect=200)
    assert await opens(carol, *both) == [200, 200] and await opens(bob, *both) == [404, 404] and await reads(net, None, link) in (401, 404)
    (left,) = [c for c in (await bob.rest.get("/api/chats", expect=200)).body["chats"] if c["chatId"] == chat]
    assert left["role"] == "left" and "picture" not in left

    # another one takes its place, set by somebody else by the right; whoever set it need not stay
    await put(alice, second)
    assert await opens(carol, *both) == [404, 404]
    await alice.rest.call("PUT", f"/api/chats/{chat}/rights", {"info": "everyone"}, expect=200)
    hers = await upload(net, carol, png(seed=34))
    await put(carol, second, 400)
    await put(carol, hers)
    await carol.rest.call("DELETE", f"/api/chats/{chat}/members/{carol.user_id}", expect=200)
    assert (await chat_of(alice, chat))["picture"] == hers and await opens(alice, f"/api/media/{hers}") == [200]
    await alice.told(f"{MARK} after it", chat)
    await view_is_level(stack)
    await made_anew(stack)

    async def is_back():
        r = await alice.rest.get(f"/api/chats/{chat}")
        return r.status == 200 and r.body["chat"].get("picture") == hers

    await until(is_back, 60, "the rebuilt view")
    await put(alice, "")
    await alice.wait(lambda: len(told(alice, "picture", chat)) == 4, 30, "that there is none")
    assert "picture" not in told(alice, "picture", chat)[-1] and "picture" not in await chat_of(alice, chat)
    assert await opens(alice, f"/api/media/{hers}") == [404]
