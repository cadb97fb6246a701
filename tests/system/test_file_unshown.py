# SPDX-License-Identifier: MIT
"""Files that nothing shows some time after they were complete: taken away, once; what is shown by anything stays, and what is sent too late says that it is gone."""
import asyncio

from client import MARK, scenario
from files import png
from look import view_is_level
from stack import wait_until
from test_changes import by_rest
from test_file_deleted import all_gone, stored, sweep_now
from test_media import files_of, older, row_of, shown, sweep

do = asyncio.to_thread


def asked(stack, *medias: str) -> list[bool]:
    with stack.db() as db:
        rows = dict(db.execute("SELECT media_id::text, asked FROM media.uploads WHERE media_id = ANY(%s)", (list(medias),)).fetchall())
    return [rows.get(media) for media in medias]


@scenario(300)
async def test_what_nothing_shows_is_swept(stack, net):
    alice, bob = await net.people("alice", "bob")
    group = await net.group(alice, bob)
    a, b = files_of(net, alice), files_of(net, bob)
    in_message, hidden, preview, edited, mine, groups, nothing, foreign, deleted, new = [await do(a.send, group, png(seed=180 + i)) for i in range(10)]
    alone, noteless = await do(a.send, None, png(seed=190)), await do(a.send, group, png(seed=191))
    url = "https://example.org/a"

    async def send(device, body, status=201):
        r = await device.rest.post("/api/messages", {"chatId": group, "type": "text", "content": f"{MARK} {url}", **body})
        assert r.status == status, (r.status, r.body)
        return r.body["message"]["id"] if status == 201 else r.code

    await shown(alice, group, in_message)
    put_away = (await shown(alice, group, hidden)).body["message"]["id"]
    await send(alice, {"preview": {"url": url, "mediaId": preview}})
    text = await send(alice, {})
    await alice.rest.call("PATCH", f"/api/chats/{group}/messages/{text}", {"content": f"{MARK} see {url}", "preview": {"url": url, "mediaId": edited}}, expect=200)
    await alice.rest.call("PATCH", "/api/me", {"picture": mine}, expect=200)
    await alice.rest.call("PUT", f"/api/chats/{group}/picture", {"picture": groups}, expect=200)
    taken_back = (await shown(alice, group, deleted)).body["message"]["id"]
    await alice.rest.call("DELETE", f"/api/chats/{group}/messages/{taken_back}", expect=200)
    await alice.rest.post(f"/api/chats/{group}/hidden", {"messages": [put_away]}, expect=200)  # for herself, and bob has it
    await bob.told(f"{MARK} what is another's", group)
    strange = bob.send(f"{MARK} this", group, type="image", media_id=foreign)  # names hers, and shows nothing
    await bob.wait(lambda: strange.verdict, 30, "the message that shows nothing")
    # asked for by a process that died before it had committed its note
    await alice.rest.call("DELETE", f"/api/media/{noteless}", expect=200)
    with stack.db() as db:
        assert db.execute("DELETE FROM media.deletions WHERE media_id = %s", (noteless,)).rowcount == 1
    kept, gone = [in_message, hidden, preview, edited, mine, groups, new], [nothing, foreign, deleted, alone, noteless]
    await view_is_level(stack)
    old = [m for m in kept if m != new] + gone
    await do(older, stack, "touched_at", 86401, *old)
    await do(sweep, stack)  # notes that they are in the log …
    await do(wait_until, lambda: all(row_of(stack, m) is None or row_of(stack, m)[1] for m in old), 30, "logged")
    await do(sweep, stack)  # … and asks
    await do(wait_until, lambda: all(x is not False for x in asked(stack, *old)), 150, "asked of each")
    await view_is_level(stack)
    for media in gone:
        await all_gone(a, media)
    assert [(await do(a.get, media)).status_code for media in kept] == [200] * len(kept)
    assert (await do(b.get, hidden)).status_code == 200 and asked(stack, new) == [False]
    assert await alice.wait(lambda: {f["mediaId"] for f in alice.media_log if f["t"] == "media_deleted"} >= {nothing, foreign, deleted}, 30, "told")

    # a message that comes too late: refused where the view is asked, and else it says that the file is gone
    assert await send(alice, {"type": "image", "mediaId": nothing}, 410) == "gone"
    late = alice.send(f"{MARK} late", group, type="image", media_id=nothing)
    await alice.wait(lambda: late.verdict, 30, "the late message")
    await view_is_level(stack)
    assert (await by_rest(bob, group, late.verdict["id"]))["media"] == {"gone": True}

    # out of the store; one that was shown by then stays when it is not any more: it was asked about
    await alice.rest.call("DELETE", f"/api/chats/{group}/messages/{put_away}", expect=200)
    await do(sweep_now, stack, *gone)
    await do(wait_until, lambda: not any(stored(stack, media) for media in gone), 30, "out of the store")
    assert (await do(a.get, hidden)).status_code == 200
