# SPDX-License-Identifier: MIT
"""What a message shows beside its text: a place, a card, a voice, a preview. Over both doors, two gateways and two devices, live, in lists, history and sync."""
import asyncio
import base64
import uuid

from client import MARK, scenario
from files import opus, png
from look import rows, view_is_level
from test_changes import by_rest, pairs
from test_media import files_of
from test_reply import of_sync

do = asyncio.to_thread
NOBODY = "00000000-0000-4000-8000-00000000dead"
PLACE = {"latitude": 52.520008, "longitude": -13.4049541, "accuracy": 12, "name": f"{MARK} Café", "address": "Straße 1, \"Berlin\""}
CARD = {"name": f"{MARK} Ann", "numbers": ["+49 30 1234567", "0800 <1>"], "userId": NOBODY}
WIDE = "\U0001f602"
LARGEST = ({"location": {"latitude": -89.9999999, "longitude": -179.9999999, "accuracy": 100000, "name": WIDE * 100, "address": WIDE * 256}},
           {"contact": {"name": WIDE * 100, "numbers": [WIDE * 16] * 5, "userId": NOBODY}})


def shown(m: dict) -> dict:
    return {k: m[k] for k in ("location", "contact", "voice", "preview") if k in m}


async def everywhere(device, chat: str, message: str, want: dict) -> None:
    """History, sync and the list's last message show the same."""
    messages, chats = await of_sync(device)
    assert shown(await by_rest(device, chat, message)) == shown(messages[message]) == want
    if chats[chat]["lastMessage"]["id"] == message:
        assert shown(chats[chat]["lastMessage"]) == want


@scenario()
async def test_a_place_and_a_card_are_shown_edited_forwarded_and_deleted(stack, net):
    (alice, alice2), (bob, bob2) = await pairs(net, "alice", "bob")
    chat = await net.direct(alice, bob)
    place = await alice.told("", chat, beside={"location": PLACE})
    body = {"chatId": chat, "type": "text", "content": f"{MARK} call her", "contact": CARD, "clientId": str(uuid.uuid4())}
    card = (await alice.rest.post("/api/messages", body, expect=201)).body["message"]
    assert shown(place.verdict) == {"location": PLACE} and shown(card) == {"contact": CARD}
    for d in (alice, alice2, bob, bob2):
        await d.wait(lambda d=d: place.id in d.messages and card["id"] in d.messages, 30, "both")
        assert d.messages[place.id].beside == {"location": PLACE} and d.messages[card["id"]].beside == {"contact": CARD}
    await view_is_level(stack)
    for d in (alice, bob):
        await everywhere(d, chat, place.id, {"location": PLACE})
        await everywhere(d, chat, card["id"], {"contact": CARD})

    # sent again it is the same message; with another card, or none, it is a mistake, by either door
    assert (await alice.rest.post("/api/messages", body, expect=201)).body["message"]["id"] == card["id"]
    for other in ({"contact": {**CARD, "numbers": CARD["numbers"][:1]}}, {"contact": None}):
        r = await alice.rest.call("POST", "/api/messages", {**body, **other})
        assert (r.status, r.code) == (409, "conflict"), other
    again = await alice.verdict(alice.send("", chat, client_id=place.client_id, beside={"location": {**PLACE, "longitude": -13.4049542}}))
    assert again.rejected == "conflict"

    # an edit changes the text alone
    await alice.changed("edit", alice.messages[place.id], f"{MARK} at the door")
    await view_is_level(stack)
    edited = await by_rest(bob, chat, place.id)
    assert edited["content"] == f"{MARK} at the door" and shown(edited) == {"location": PLACE}

    # a voice is a file, and what its sender says of it
    voice = {"durationMs": 1200, "waveform": base64.b64encode(bytes(range(0, 256, 4))).decode()}
    sound = {"chatId": chat, "type": "audio", "content": "", "voice": voice, "mediaId": await do(files_of(net, alice).send, chat, opus(seconds=1), type="audio")}
    said = (await alice.rest.post("/api/messages", sound, expect=201)).body["message"]
    assert shown(said) == {"voice": voice} and said["mediaId"] == sound["mediaId"]
    await bob2.wait(lambda: said["id"] in bob2.messages, 30, "the voice")
    assert bob2.messages[said["id"]].beside == {"voice": voice}
    for bad in ({"type": "text", "mediaId": None, "content": "x"}, {"mediaId": None}, {"voice": {**voice, "durationMs": 0}},
                {"voice": {**voice, "waveform": base64.b64encode(bytes(65)).decode()}}, {"voice": {"durationMs": 1}}, {"location": PLACE}):
        r = await alice.rest.call("POST", "/api/messages", {**sound, **bad})
        assert (r.status, r.code) == (400, "bad_request"), bad

    # a copy of it is a message of one's own
    copy = await bob.told("", chat, beside={"location": PLACE, "forwardedFrom": 0})
    assert shown(copy.verdict) == {"location": PLACE} and copy.verdict["forwarded"] == 1

    # nothing of it stays
    await alice.changed("delete", alice.messages[place.id])
    await alice.changed("delete", alice.messages[card["id"]])
    await view_is_level(stack)
    for d in (alice, bob):
        await everywhere(d, chat, place.id, {})
        await everywhere(d, chat, card["id"], {})
    assert await rows(stack, "SELECT id FROM view.messages WHERE chat_id = %s AND contents IS NOT NULL ORDER BY seq", chat) == [{"id": said["id"]}, {"id": copy.id}]


@scenario()
async def test_what_is_shown_keeps_its_bounds_and_a_card_leaks_nothing(stack, net):
    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    body = {"chatId": chat, "type": "text", "content": ""}
    number = {"name": "n", "numbers": ["1"]}
    for bad in ({"location": {"latitude": 90.1, "longitude": 0}}, {"location": {"latitude": 1}}, {"location": {"latitude": "1", "longitude": 0}},
                {"location": {**PLACE, "accuracy": -1}}, {"location": {**PLACE, "accuracy": 1.5}}, {"location": {**PLACE, "name": "a\nb"}},
                {"location": {**PLACE, "name": ""}}, {"location": {**PLACE, "name": "x" * 101}}, {"location": {**PLACE, "address": "\u202e"}},
                {"location": {**PLACE, "address": "x" * 257}}, {"location": [1, 2]},
                {"contact": {**number, "numbers": []}}, {"contact": {**number, "numbers": ["1"] * 6}}, {"contact": {**number, "numbers": ["\x1b[2J"]}},
                {"contact": {**number, "numbers": ["1" * 33]}}, {"contact": {**number, "name": " "}}, {"contact": {**number, "userId": "me"}},
                {"contact": {**number, "numbers": "1"}}, {"contact": number, "location": PLACE},
                {"location": PLACE, "type": "document", "mediaId": NOBODY}):
        r = await alice.rest.call("POST", "/api/messages", {**body, **bad})
        assert (r.status, r.code) in ((400, "bad_request"), (404, "not_found")), (bad, r.body)
        assert r.status == 400 or "mediaId" in bad
    refused = await net.raw(alice.tokens, auto_ok=True)
    await refused.ready()
    await refused.send({"t": "message.send", "clientId": "hostile", **body, "contact": {**number, "name": "\u202enna"}})
    assert (await refused.expect(lambda f: f.get("clientId") == "hostile", "the answer"))["code"] == "bad_request"
    await refused.close()

    # everything at its maximum at once: it is read back as it was sent, by whoever was away, too
    await bob.stop()
    want = {}
    for largest in LARGEST:
        out = await alice.told("\x01" * 9000, chat, beside={**largest, "mentions": [bob.user_id] * 32, "forwardedFrom": 200,
                                                            "replyTo": {"id": NOBODY, "seq": 1 << 52}})
        want[out.id] = largest
    await view_is_level(stack)
    await bob.online()
    for message, largest in want.items():
        assert shown(vars(bob.messages[message])["beside"]) == largest
        await everywhere(bob, chat, message, largest)

    # a card may name anybody, also nobody: the answer is the same, and tells nobody anything
    carol = (await net.people("carol"))[0]
    for user in (NOBODY, carol.user_id, alice.user_id):
        sent = (await alice.rest.post("/api/messages", {**body, "contact": {**CARD, "userId": user}}, expect=201)).body["message"]
        assert sent["contact"] == {**CARD, "userId": user}
    r = await bob.rest.call("GET", f"/api/users/{carol.user_id}")
    assert r.status == 404, "a card opens no profile"


def blocks_of(db, asked: tuple, want: bool) -> int:
    """The blocks of tables and indexes that are looked at to find who may see a file."""
    assert db.execute("SELECT view.file_shown(%s, %s)", asked).fetchone()[0] is want
    plan = db.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT view.file_shown(%s, %s)", asked).fetchone()[0][0]["Plan"]
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


@scenario()
async def test_a_preview_belongs_to_a_text_and_opens_its_picture_to_who_sees_it(stack, net):
    (alice, _), (bob, bob2), (carol, _) = await pairs(net, "alice", "bob", "carol")
    chat = await net.group(alice, bob)
    a, b, c = (files_of(net, d) for d in (alice, bob, carol))
    first, second = [await do(a.send, chat, png(seed=n)) for n in (11, 12)]
    url = "https://example.org/a?b=1"
    preview = {"url": url, "title": f"{MARK} \"A\"", "description": "of it", "mediaId": first}
    assert (await do(b.get, first)).status_code == 404
    out = await alice.told(f"{MARK} look {url} there", chat, beside={"preview": preview})
    assert (await bob2.sees(out.content)).beside == {"preview": preview}
    await alice.rest.post(f"/api/chats/{chat}/members", {"add": [carol.user_id]}, expect=200)
    await view_is_level(stack)
    for d in (alice, bob):
        await everywhere(d, chat, out.id, {"preview": preview})
    assert [(await do(f.get, first)).status_code for f in (a, b, c)] == [200, 200, 404]

    # a file of somebody else's is shown by nobody else's preview
    body = {"chatId": chat, "type": "text", "content": f"{MARK} {url}", "preview": preview}
    r = await bob.rest.call("POST", "/api/messages", body)
    assert (r.status, r.code) == (404, "not_found")
    stolen = await bob.told(f"{MARK} stolen {url}", chat, beside={"preview": preview})
    await carol.sees(stolen.content)
    await view_is_level(stack)
    assert (await do(c.get, first)).status_code == 404

    # an edit has the preview of its own text, or none; a repeat of it is one, and with another preview it is none
    edit = {"content": f"{MARK} rather {url}", "preview": {"url": url, "mediaId": second}, "clientId": "edit-1"}
    path = f"/api/chats/{chat}/messages/{out.id}"
    for _ in range(2):
        assert shown((await alice.rest.call("PATCH", path, edit, expect=200)).body["message"]) == {"preview": edit["preview"]}
    for other in ({"url": url}, None):
        r = await alice.rest.call("PATCH", path, {**edit, "preview": other})
        assert (r.status, r.code) == (409, "conflict"), other
    told = await bob.wait(lambda: next((f for f in bob.changes_log if f.get("clientId") == "edit-1"), None), 30, "the edit")
    assert told["preview"] == edit["preview"]
    assert [(await do(b.get, m)).status_code for m in (first, second)] == [404, 200]
    await everywhere(bob, chat, out.id, {"preview": edit["preview"]})
    # who left sees what was so then, and nothing of what came later
    await alice.rest.call("DELETE", f"/api/chats/{chat}/members/{bob.user_id}", expect=200)
    await alice.changed("edit", alice.messages[out.id], f"{MARK} without {url}")
    await view_is_level(stack)
    assert shown(await by_rest(alice, chat, out.id)) == {} and (await do(b.get, second)).status_code == 200
    assert shown(await by_rest(bob, chat, out.id)) == {"preview": edit["preview"]}

    # nothing of it stays
    await alice.changed("delete", alice.messages[out.id])
    await view_is_level(stack)
    assert (await do(b.get, second)).status_code == 404
    kept = "SELECT id FROM view.messages WHERE chat_id = %s AND preview IS NOT NULL"
    assert await rows(stack, kept, chat) == [{"id": stolen.id}]
    assert not await rows(stack, "SELECT 1 FROM view.versions WHERE chat_id = %s AND preview IS NOT NULL", chat)

    # hostile ones, and everything at its maximum at once
    for bad in ({"url": "https://example.com/x"}, {"title": "no url"}, {"url": "javascript:alert(1)"}, {"url": url, "title": "a\x07"},
                {"url": url, "title": ""}, {"url": url, "description": "x" * 301}, {"url": url, "mediaId": "x"}, url):
        r = await alice.rest.call("POST", "/api/messages", {**body, "content": f"{url} javascript:alert(1)", "preview": bad})
        assert (r.status, r.code) == (400, "bad_request"), bad
        r = await alice.rest.call("PATCH", f"/api/chats/{chat}/messages/{stolen.id}", {"content": url, "preview": bad})
        assert r.status in (400, 403), bad
    longest = "https://" + "\"" * 2040
    whole = {"preview": {"url": longest, "title": WIDE * 200, "description": WIDE * 300, "mediaId": second}, **LARGEST[0]}
    large = await alice.told(longest + "x" * 30700, chat, beside={**whole, "mentions": [bob.user_id] * 32, "forwardedFrom": 200})
    await carol.wait(lambda: large.id in carol.messages, 30, "the largest")
    await view_is_level(stack)
    await everywhere(carol, chat, large.id, whole)

    # however many messages of a chat show a picture, whoever may see it is found by the first of them, whether he is there or has left
    await alice.rest.call("DELETE", f"/api/chats/{chat}/members/{carol.user_id}", expect=200)
    other = await net.direct(alice, bob)
    there = await alice.told(f"{MARK} {url}", other, beside={"preview": {"url": url, "mediaId": second}})
    await view_is_level(stack)
    with stack.db() as db, db.transaction(force_rollback=True):
        for reader, message, want in ((bob, there.id, True), (carol, large.id, False)):
            asked = (second, reader.user_id)
            few = blocks_of(db, asked, want)
            db.execute("CREATE TEMP TABLE more ON COMMIT DROP AS SELECT m.* FROM view.messages m, generate_series(1, 1000) WHERE m.id = %s", (message,))
            db.execute("UPDATE more SET id = gen_random_uuid(), client_id = gen_random_uuid(), seq = s.seq FROM "
                       "(SELECT ctid AS at, seq + 1000 + row_number() OVER () AS seq FROM more) s WHERE more.ctid = s.at")
            db.execute("UPDATE view.members SET left_seq = left_seq + 9000 WHERE user_id = %s", (reader.user_id,))
            db.execute("INSERT INTO view.messages SELECT * FROM more")
            db.execute("DROP TABLE more")
            many = blocks_of(db, asked, want)
            assert many < few + 1000, (few, many)
