# SPDX-License-Identifier: MIT
"""Search in one's own chats: it finds what a look at every message would, and nothing that may not be seen, at once."""
import asyncio
import random
import re
import unicodedata

from client import MARK, scenario, until
from conftest import BASE_PORT
from files import Files, png
from look import Supervised, one_more, rows, rows_now, short_timer, started, view_is_level
from rest import Rest

SPOKEN = """crème brûlée gâteau déjà vu garçon | Straße Mädchen fünf Öl schön | mañana señor niño año | Łódź żółw gęś | привет ёлка мир дела
 | καλημέρα οδός ΟΔΟΣ κόσμε | مَرْحَبًا بالعالم سلام | שלום עולם | हिन्दी भाषा नमस्ते | 東京都に行く 京都の猫 日本語 | 학교에 간다 한국어 | ไทยภาษา สวัสดี
 | café cafe\u0301 CAFÉ | don't can't 3.14 e-mail@example.org | hello world hell helium holiday hole | 👍🏽 🎉 ❤️ party | İstanbul ılık ＦＵＬＬ ﬃ"""
SPOKEN = [part.split() for part in SPOKEN.split("|")]
QUERIES = ["creme", "brulee gateau", "CAFÉ", '"deja vu"', "hel*", "hello wor*", '"hello world"', '"world hello"', "strasse", "manana", "nino", "lodz", "елка", "прив*",
           "οδοσ", "مرحبا", "שלום", "हिन्दी", "नमस्*", "東京", "京都", "都に行", "猫", "日本語 京", "학교", "간다", "ภาษา", "สวัสดี", "don't", "t", "3.14", "example.org", "👍", "🎉 party",
           "istanbul", "full ffi", "ho*", "h*", "holi*", MARK, f"{MARK} ca*", '"cafe cafe"', "nothing", "hole holiday hello", "- ! *"]


# ---- the same by looking at every message, in another way ----------------------------------------------


def is_single(c: str) -> bool:
    return unicodedata.name(c, "").split(" ")[0] in ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "THAI") or unicodedata.category(c) == "So"


def words(text: str) -> list[str]:
    out, word = [], ""
    for c in unicodedata.normalize("NFC", text):
        if is_single(c) or not c.isascii() and unicodedata.category(c) in ("Sk", "Cf") or c == "\ufe0f":
            if is_single(c):
                out += [word] * bool(word) + [c]
                word = ""
            continue
        for f in unicodedata.normalize("NFKD", c).casefold().replace("ł", "l").replace("ı", "i"):
            if unicodedata.combining(f) and unicodedata.name(f).split(" ")[0] != "DEVANAGARI":
                continue
            if f.isalnum() or unicodedata.category(f)[0] == "M":
                word += f
            else:
                out += [word] * bool(word)
                word = ""
    return out + [word] * bool(word)


def fits(query: str, content: str) -> bool:
    have = words(content)
    for quoted, plain in re.findall(r'"([^"]*)"|(\S+)', query):
        term, n = words(quoted or plain), len(words(quoted or plain))
        at = [have[i:i + n] for i in range(len(have) - n + 1)]
        if term and (quoted or plain).endswith("*"):
            at = [run[:-1] + [run[-1][:len(term[-1])]] for run in at]
        if term and term not in at:
            return False
    return True


async def everything(device) -> list[dict]:
    """All that this user sees, by reading every chat."""
    found = []
    for chat in (await device.rest.get("/api/chats", expect=200)).body["chats"]:
        after, more = 0, True
        while more:
            page = (await device.rest.get(f"/api/chats/{chat['chatId']}/messages", after=after, limit=200, expect=200)).body
            found, more, after = found + page["messages"], page["more"], page["messages"][-1]["seq"] if page["messages"] else after
    return [m for m in found if "gone" not in m and "deleted" not in m]


# ---- searching -----------------------------------------------------------------------------------------


async def search(device, late=False, **params) -> list[dict]:
    """All pages. The order is that of time; what the view has is searched, unless `late`."""
    found, cursor = [], {}
    while True:
        page = (await device.rest.get("/api/search", **params, **cursor, expect=200)).body
        assert late or page["late"] == 0, page["late"]
        found += page["messages"]
        assert page["more"] == ("cursor" in page) and len(page["messages"]) <= 50
        if not page["more"]:
            break
        cursor = {"cursor": page["cursor"]}
    times = [(m["sentAt"], m["seq"]) for m in found]
    assert times == sorted(times, reverse=True) and len({m["id"] for m in found}) == len(found)
    return found


async def search_is_level(device) -> None:
    async def level():
        return (await device.rest.get("/api/search", q="level", expect=200)).body["late"] == 0

    await until(level, 30, "search to have all that the view has")


async def ids(device, q: str, **params) -> set[str]:
    return {m["id"] for m in await search(device, q=q, **params)}


def index(stack) -> list[list]:
    return [rows_now(stack, f"SELECT * FROM search.{table} ORDER BY {order}") for table, order in
            (("texts", "part, chat_id, seq, version"), ("words", "part, chat_id, word, at_ms, seq"), ("leaves", "part, chat_id, seq"))]


@scenario(120)
async def test_search_equals_a_look_at_every_message(stack, net):
    alice, bob = await net.people("alice", "bob")
    chats = [await net.direct(alice, bob), await net.group(alice, bob), await net.group(bob, alice)]
    rng = random.Random(5)
    outs = [(d, d.send(f"{MARK} " + " ".join(rng.choices(rng.choice(SPOKEN), k=rng.randint(1, 6)) + rng.choices(sum(SPOKEN, []), k=rng.randint(0, 3))),
                       rng.choice(chats))) for d in rng.choices((alice, bob), k=320)]
    for d, out in outs:
        await d.verdict(out, 60)
    files = Files(net.rest_url, alice.tokens.access)
    try:
        media = await asyncio.to_thread(files.send, chats[1], png(seed=9))
        await asyncio.to_thread(files.found, media)
    finally:
        files.close()
    picture = (await alice.rest.post("/api/messages", {"chatId": chats[1], "type": "image", "content": f"{MARK} le gâteau", "mediaId": media},
                                     expect=201)).body["message"]
    for d, out in rng.sample(outs, 12):
        await d.changed("edit", d.messages[out.id], f"{MARK} edited " + " ".join(rng.choices(sum(SPOKEN, []), k=4)))
    for d, out in rng.sample(outs, 6):
        await d.changed("delete", d.messages[out.id])
    await view_is_level(stack)
    await search_is_level(alice)

    for device in (alice, bob):
        seen = await everything(device)
        for q in QUERIES:
            if not words(q):
                continue
            assert await ids(device, q) == {m["id"] for m in seen if fits(q, m["content"])}, q
    assert len(await search(alice, q=MARK)) == len(seen) > 300
    middle = sorted(m["sentAt"] for m in seen)[150]
    for params, wanted in (({"in": chats[1]}, lambda m: m["chatId"] == chats[1]), ({"from": bob.user_id}, lambda m: m["from"] == bob.user_id),
                           ({"kind": "image"}, lambda m: m["type"] == "image"), ({"kind": "text", "before": middle}, lambda m: m["type"] == "text" and m["sentAt"] < middle),
                           ({"after": middle, "in": chats[0], "from": alice.user_id},
                            lambda m: m["sentAt"] > middle and m["chatId"] == chats[0] and m["from"] == alice.user_id)):
        assert await ids(alice, "ca*", **params) == {m["id"] for m in seen if wanted(m) and fits("ca*", m["content"])}, params
        if "from" in params or "kind" in params:
            assert {m["id"] for m in await search(alice, **params)} == {m["id"] for m in seen if wanted(m)}, params
    assert (await search(alice, q="gateau", kind="image")) == [m for m in seen if m["id"] == picture["id"]]

    # dropped under the running role, and made anew from the log: the same to the row
    before = await asyncio.to_thread(index, stack)
    answers = {q: await ids(bob, q) for q in ("creme", "京都", "hel*")}
    async with Supervised(stack):
        await asyncio.to_thread(stack.admin, "rebuild-search")
        await search_is_level(alice)
    assert await asyncio.to_thread(index, stack) == before
    assert {q: await ids(bob, q) for q in answers} == answers and all(answers.values())


@scenario(120)
async def test_what_may_not_be_seen_is_not_found_at_once(stack, net):
    alice, bob = await net.people("alice", "bob")
    chat, group = await net.direct(alice, bob), await net.group(alice, bob)
    kept, edited, deleted, hidden = [await alice.told(f"{MARK} llama {word}", chat) for word in ("kept", "edited", "deleted", "hidden")]
    before_edit = await alice.told(f"{MARK} llama in the group", group)
    await bob.sees(before_edit.content)
    last = await alice.told(f"{MARK} llama at last", group)
    await view_is_level(stack)
    await search_is_level(alice)
    of_bob = {kept.id, edited.id, deleted.id, hidden.id, before_edit.id, last.id}
    assert await ids(bob, "llama") == of_bob

    # with the role away the index has all of it still: the view alone decides
    await asyncio.to_thread(stack.role("search").stop)
    await alice.changed("edit", alice.messages[edited.id], f"{MARK} vicuña now")
    await alice.changed("delete", alice.messages[deleted.id])
    await bob.rest.post(f"/api/chats/{chat}/hidden", {"messages": [hidden.id]}, expect=200)
    await bob.rest.call("DELETE", f"/api/chats/{group}/members/{bob.user_id}", expect=200)
    await alice.changed("edit", alice.messages[before_edit.id], f"{MARK} alpaca, bob has left")
    unseen = await alice.told(f"{MARK} llama without bob", group)
    await bob.rest.call("PUT", f"/api/users/{alice.user_id}/block", expect=200)
    blocked = await alice.told(f"{MARK} llama to nobody", chat)
    await view_is_level(stack)
    page = (await bob.rest.get("/api/search", q="llama", expect=200)).body
    assert {m["id"] for m in page["messages"]} == {kept.id, before_edit.id, last.id} and page["late"] >= 6
    assert {m["id"] for m in await search(alice, late=True, q="llama")} == {kept.id, hidden.id, last.id}
    await started(stack.role("search"))
    await search_is_level(bob)

    # what is new is found by those who may see it; who left finds what he may still read
    assert await ids(bob, "llama") == {kept.id, before_edit.id, last.id} and await ids(bob, "vicuna") == {edited.id} and not await ids(bob, "alpaca")
    assert await ids(alice, "llama") == {kept.id, hidden.id, last.id, unseen.id, blocked.id} and await ids(alice, "ALPACA") == {before_edit.id}
    assert not await ids(bob, "llama", **{"in": group, "from": bob.user_id})
    # nothing is left of what nobody may read: a deleted text, one that was edited while nobody left
    have = await rows(stack, "SELECT message_id, version FROM search.texts WHERE chat_id = ANY (%s::uuid[])", [chat, group])
    versions = {i: sorted(v["version"] for v in have if v["message_id"] == i) for i in {v["message_id"] for v in have}}
    assert deleted.id not in versions and len(versions[edited.id]) == 1 and versions[edited.id][0] > edited.seq
    assert len(versions[before_edit.id]) == 2 and versions[before_edit.id][0] == before_edit.seq
    kept_keys = await rows(stack, "SELECT part, chat_id, word, at_ms, seq FROM search.words WHERE chat_id = ANY (%s::uuid[]) ORDER BY 1, 2, 3, 4, 5", [chat, group])
    assert kept_keys == await rows(stack, "SELECT DISTINCT t.part, t.chat_id, w.word, t.at_ms, t.seq FROM search.texts t CROSS JOIN unnest(t.words) AS w(word) "
                                          "WHERE t.chat_id = ANY (%s::uuid[]) ORDER BY 1, 2, 3, 4, 5", [chat, group])

    # what is over: not found from its time on, and swept
    await short_timer(stack, alice, group, 8)
    brief = await alice.told(f"{MARK} llama for a moment", group)
    await view_is_level(stack)
    await search_is_level(alice)
    assert await ids(alice, "moment") == {brief.id}

    async def over():
        return not await ids(alice, "moment", late=True)

    await until(over, 30, "its time")

    async def swept():
        return not await rows(stack, "SELECT 1 FROM search.texts WHERE message_id = %s UNION ALL SELECT 1 FROM search.words WHERE seq = %s AND chat_id = %s",
                              brief.id, brief.seq, group)

    await until(swept, 30, "the sweep")


@scenario(120)
async def test_an_answer_tells_nothing_of_what_came_behind_a_stay(stack, net):
    alice, bob = await net.people("alice", "bob")
    group = await net.group(alice, bob)
    seen = await alice.told(f"{MARK} quinoa", group)
    await bob.sees(seen.content)
    await bob.rest.call("DELETE", f"/api/chats/{group}/members/{bob.user_id}", expect=200)
    for out in [alice.send(f"{MARK} quinoa {i}", group) for i in range(300)]:
        await alice.verdict(out, 60)
    await view_is_level(stack)
    await search_is_level(alice)
    for params in ({"q": "quinoa"}, {"q": "quinoa", "in": group}, {"q": f"{MARK} quinoa"}, {"from": alice.user_id}):
        page = (await bob.rest.get("/api/search", **params, expect=200)).body
        assert [m["id"] for m in page["messages"]] == [seen.id] and not page["more"] and "cursor" not in page, (params, page["more"])
    # what was said before a stay as little
    await alice.rest.post(f"/api/chats/{group}/members", {"add": [bob.user_id]}, expect=200)
    again = await alice.told(f"{MARK} quinoa, bob is back", group)
    await view_is_level(stack)
    await search_is_level(alice)
    page = (await bob.rest.get("/api/search", q="quinoa", expect=200)).body
    assert [m["id"] for m in page["messages"]] == [again.id, seen.id] and not page["more"]


@scenario(120)
async def test_of_an_edited_message_a_few_versions_are_kept(stack, net):
    alice, bob = await net.people("alice", "bob")
    group = await net.group(alice)
    out = await alice.told(f"{MARK} version zero", group)
    for i in range(10):  # somebody left between any two edits
        await alice.rest.post(f"/api/chats/{group}/members", {"add": [bob.user_id]}, expect=200)
        await bob.rest.call("DELETE", f"/api/chats/{group}/members/{bob.user_id}", expect=200)
        await alice.changed("edit", alice.messages[out.id], f"{MARK} version v{i}")
    await view_is_level(stack)
    await search_is_level(alice)
    versions = [v["version"] for v in await rows(stack, "SELECT version FROM search.texts WHERE message_id = %s ORDER BY version", out.id)]
    assert len(versions) == 8 and out.seq not in versions
    keys = await rows(stack, "SELECT word FROM search.words WHERE chat_id = %s AND seq = %s ORDER BY 1", group, out.seq)
    assert keys == await rows(stack, "SELECT DISTINCT w.word FROM search.texts t CROSS JOIN unnest(t.words) AS w(word) WHERE t.message_id = %s ORDER BY 1", out.id)
    assert await ids(alice, "v9") == {out.id} and not await ids(alice, "v8")


@scenario(60)
async def test_chats_that_one_has_left_do_not_count(stack, net):
    alice, bob = await net.people("alice", "bob")
    out = await alice.told(f"{MARK} amaranth", await net.direct(alice, bob))
    await view_is_level(stack)
    await search_is_level(bob)
    made_up = ("INSERT INTO view.members (part, role, chat_id, user_id, joined_seq, left_seq, left_at) "
               "SELECT 0, 0, gen_random_uuid(), %s, 1, {0}, {0} FROM generate_series(1, 4097) RETURNING chat_id")
    for left, status in ((2, 200), ("NULL", 400)):
        made = await rows(stack, made_up.format(left), bob.user_id)
        try:
            answer = await bob.rest.get("/api/search", q="amaranth")
            assert answer.status == status, answer.body
            assert status != 200 or [m["id"] for m in answer.body["messages"]] == [out.id]
        finally:
            await rows(stack, "DELETE FROM view.members WHERE chat_id = ANY (%s::uuid[]) RETURNING 1", [m["chat_id"] for m in made])


@scenario(60)
async def test_what_is_asked_has_bounds(stack, net):
    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    await alice.told(f"{MARK} hello", chat)
    await view_is_level(stack)
    await search_is_level(bob)
    for params, said in (({}, "q, from, kind"), ({"q": "?!"}, "q, from, kind"), ({"q": "a" * 257}, "256 bytes"), ({"q": "a b c d e f g h i"}, "8 words"),
                         ({"q": "a", "in": "x"}, "in: "), ({"q": "a", "from": "x"}, "from: "), ({"q": "a", "kind": "x"}, "kind: "), ({"q": "a", "before": "x"}, "before, after"),
                         ({"q": "a", "after": "-1"}, "before, after"), ({"q": "a", "cursor": "1.2"}, "cursor: "), ({"q": "a", "cursor": "1.2.3.4"}, "cursor: "),
                         ({"q": "a", "cursor": "1.2.1024"}, "cursor: "), ({"q": "a", "cursor": ""}, "cursor: ")):
        answer = await alice.rest.get("/api/search", **params)
        assert answer.status == 400 and said in answer.body["error"]["message"], (params, answer.status, answer.body)
    assert (await bob.rest.get("/api/search", q='"', kind="text", expect=200)).body["messages"]


@scenario(60)
async def test_searches_have_a_rate_of_their_own(stack, net):
    [alice] = await net.people("alice")
    doors = {"REST_LISTEN": f"127.0.0.1:{BASE_PORT + 716}", "METRICS_LISTEN": f"127.0.0.1:{BASE_PORT + 717}"}
    with one_more(stack, "edge-rest", "edge-rest-search", doors, without=("RATE_PER_MINUTE",)):
        rest = Rest(f"http://127.0.0.1:{BASE_PORT + 716}", alice.tokens.access)
        net.open.append(rest)
        limits = (await rest.get("/api/config", expect=200)).body["limits"]
        assert (limits["searchesPerMinute"], limits["searchesAtOnce"]) == (60, 20)
        answers = await asyncio.gather(*[rest.get("/api/search", q="level") for _ in range(60)])
        assert {a.status for a in answers} == {200, 429} and sum(a.status == 200 for a in answers) >= 20
        assert (await rest.get("/api/me")).status == 200
