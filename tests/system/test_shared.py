# SPDX-License-Identifier: MIT
"""The files of a chat, by kind, newest first: what a reader may see, and nothing that is gone."""
from client import MARK, scenario, until
from files import png, voice
from look import made_anew, short_timer, view_is_level
from test_changes import by_rest
from test_users import upload


@scenario(180)
async def test_the_files_of_a_chat(stack, net):
    alice, bob, carol = await net.people("alice", "bob", "carol")
    chat = await net.group(alice, bob)
    path = f"/api/chats/{chat}/media"

    async def show(media, type, device=alice, where=chat) -> str:
        body = {"chatId": where, "type": type, "mediaId": media, "content": MARK}
        return (await device.rest.post("/api/messages", body, expect=201)).body["message"]["id"]

    async def shared(device=bob, **asked) -> list[str]:
        """All pages; each begins where the one before ended."""
        found = []
        while True:
            body = (await device.rest.get(path, expect=200, **asked)).body
            found += [m["id"] for m in body["messages"]]
            assert body["more"] == ("before" in body)
            if not body["more"]:
                return found
            asked["before"] = body["before"]

    pictures = [await upload(net, alice, png(seed=seed), chat) for seed in range(20, 24)]
    sound, paper = await upload(net, alice, voice(0.5), chat, "audio"), await upload(net, alice, b"a page of nothing much", chat, "document")
    first, second, third = [await show(media, "image") for media in pictures[:3]]
    heard, written = await show(sound, "audio"), await show(paper, "document")
    await alice.told(f"{MARK} https://example.org is no file", chat)
    assert await shared() == [written, heard, third, second, first]
    assert await shared(kind="image") == [third, second, first] and await shared(kind="audio") == [heard]
    assert await shared(kind="document") == [written] and await shared(kind="video") == []
    (shown,) = (await bob.rest.get(path, expect=200, kind="audio")).body["messages"]
    assert shown["mediaId"] == sound and shown["media"]
    for limit in (1, 2):
        assert await shared(limit=limit) == [written, heard, third, second, first] and await shared(kind="image", limit=limit) == [third, second, first]
    for bad in ({"kind": "text"}, {"kind": "pictures"}, {"limit": 0}, {"limit": 201}, {"before": "x"}):
        assert (await bob.rest.get(path, **bad)).status == 400, bad
    assert (await carol.rest.get(path)).status == 404

    # a file that is another's counts for its message alone; what is hidden, deleted or over is gone at once, and pages go on behind it
    await bob.rest.post(f"/api/chats/{chat}/hidden", {"messages": [second]}, expect=200)
    assert await shared(limit=1) == [written, heard, third, first] and await shared(alice) == [written, heard, third, second, first]
    await alice.rest.call("DELETE", f"/api/chats/{chat}/messages/{third}", expect=200)
    assert await shared(kind="image") == [first] and await shared(alice, kind="image", limit=1) == [second, first]
    await short_timer(stack, alice, chat, 1)
    brief = await show(pictures[3], "image")

    async def is_over():
        return (await by_rest(bob, chat, brief)).get("gone") == "expired"

    await until(is_over, 30, "the end of its time")
    assert await shared(kind="image") == [first]

    # who comes later sees what comes later, and who left what was before
    await alice.rest.call("PUT", f"/api/chats/{chat}/timer", {"seconds": 0}, expect=200)
    await alice.rest.post(f"/api/chats/{chat}/members", {"add": [carol.user_id]}, expect=200)
    await alice.rest.call("DELETE", f"/api/chats/{chat}/members/{bob.user_id}", expect=200)
    late = await show(pictures[3], "image")
    await alice.rest.post(f"/api/chats/{chat}/members", {"add": [bob.user_id]}, expect=200)
    last = await show(pictures[2], "image")
    assert await shared(carol) == [last, late]
    for limit in (1, 50):
        assert await shared(limit=limit) == [last, written, heard, first]
    await view_is_level(stack)
    await made_anew(stack)

    async def is_back():
        r = await bob.rest.get(path, kind="image")
        return r.status == 200 and await shared() == [last, written, heard, first]

    await until(is_back, 60, "the rebuilt view")
    assert await shared(carol, kind="image") == [last, late]


@scenario(120)
async def test_the_links_of_a_chat(stack, net):
    """What a reader's version of a message has counts: an edit brings an address, or takes it away, and a deletion ends it."""
    alice, bob, carol = await net.people("alice", "bob", "carol")
    chat = await net.group(alice, bob, carol)

    async def say(text) -> str:
        return (await alice.rest.post("/api/messages", {"chatId": chat, "type": "text", "content": f"{MARK} {text}"}, expect=201)).body["message"]["id"]

    async def edit(message, text):
        await alice.rest.call("PATCH", f"/api/chats/{chat}/messages/{message}", {"content": f"{MARK} {text}"}, expect=200)

    async def links(device, limit=50) -> list[str]:
        found, asked = [], {"kind": "link", "limit": limit}
        while True:
            body = (await device.rest.get(f"/api/chats/{chat}/media", expect=200, **asked)).body
            found += [m["id"] for m in body["messages"]]
            if not body["more"]:
                return found
            asked["before"] = body["before"]

    plain, secure = await say("see http://a.example"), await say("(https://b.example/x)")
    brought, taken, dead, none = await say("later"), await say("https://c.example"), await say("http://d.example"), await say("ftp://e.example, http:/f")
    assert await links(bob) == [dead, taken, secure, plain]
    await edit(brought, "here it is: https://g.example")
    await edit(taken, "https is no address")
    assert await links(bob) == [dead, brought, secure, plain] == await links(bob, 1)
    # who left keeps the version of then
    await alice.rest.call("DELETE", f"/api/chats/{chat}/members/{carol.user_id}", expect=200)
    await edit(brought, "gone again")
    await edit(none, "http://h.example")
    await alice.rest.call("DELETE", f"/api/chats/{chat}/messages/{dead}", expect=200)
    await bob.rest.post(f"/api/chats/{chat}/hidden", {"messages": [plain]}, expect=200)
    assert await links(bob) == [none, secure] == await links(bob, 2) and await links(alice) == [none, secure, plain]
    assert await links(carol) == [brought, secure, plain]
    assert (await bob.rest.get(f"/api/chats/{chat}/media", kind="links")).status == 400
    await view_is_level(stack)
    await made_anew(stack)

    async def is_back():
        r = await bob.rest.get(f"/api/chats/{chat}/media", kind="link")
        return r.status == 200 and await links(bob) == [none, secure]

    await until(is_back, 60, "the rebuilt view")
    assert await links(carol) == [brought, secure, plain] and await links(alice) == [none, secure, plain]
