# SPDX-License-Identifier: MIT
"""Each key about a chat begins with its part, and whatever the roles ask goes by such keys: what a role asks is read out of
PostgreSQL's own log, with its plan, while people use everything."""
import asyncio
import uuid
from pathlib import Path

import psycopg
import pytest
from client import MARK, scenario
from conftest import BASE_PORT
from files import Files, png, sha256
from keys import about_chats, indexes, key_faults, plan_faults, plans_of, ways_taken
from look import partition_of, rows_now, view_is_level
from push import Doubles
from stack import ROOT, TEST_SETTINGS, Stack, wait_until

PARTS = 1024
MIGRATIONS = sorted((Path(ROOT) / "sinks/persistence/migrations").glob("*.sql"))
TABLES = {"chats", "chat_names", "members", "messages", "tallies", "changes", "versions", "edits", "reactions", "hidden", "pins", "stars", "polls", "votes", "lines", "endings", "invites", "requests", "cursors", "device_cursors", "receipts", "marks", "mark_advances"}
# The tables are small here: an index is taken wherever there is one that serves, and the plan is that for any value.
EXPLAINING = {"session_preload_libraries": "auto_explain", "auto_explain.log_min_duration": "0", "auto_explain.log_format": "json",
              "auto_explain.log_verbose": "on", "auto_explain.log_analyze": "on", "auto_explain.log_buffers": "on",
              "auto_explain.log_timing": "off", "auto_explain.log_nested_statements": "on", "enable_seqscan": "off", "jit": "off",
              "plan_cache_mode": "force_generic_plan"}
ASKED = ("INSERT INTO view.messages", "UPDATE view.members SET left_seq", "UPDATE view.members m SET role", "INSERT INTO view.cursors",
         "INSERT INTO view.device_cursors", "INSERT INTO view.marks", "FROM view.mark_advances", "FROM view.chat_names", "FROM view.receipts",
         "view.device_cursors d", "FROM view.messages y", "auth.lookups k", "SELECT s.sender_id FROM view.versions v", "y.media_id = $1",
         "WITH own AS MATERIALIZED", "auth.direct_chats d", "INSERT INTO view.tallies", "view.unread_behind(",
         "INSERT INTO view.hidden", "INSERT INTO view.pins", "INSERT INTO view.stars", "INSERT INTO view.polls", "SET closed_seq", "INSERT INTO view.votes", "json_agg(json_build_object('userId'", "m.star_at", "view.pins n", "INSERT INTO view.edits", "JOIN view.edits e", "view.has_link(z.content)", "DELETE FROM view.edits e", "m.due_at <= view.now_ms()",
         "'stale_target', t.at_ms", "r.code = 'stale_target' AND r.src_offset >=")


@pytest.fixture(scope="module")
def doubles(tmp_path_factory):
    d = Doubles(tmp_path_factory.mktemp("push"), BASE_PORT + 863, BASE_PORT + 864)
    try:
        yield d.start()
    finally:
        d.stop()


@pytest.fixture(scope="module")
def telling(doubles, tmp_path_factory):
    settings = {**doubles.settings(), "MEDIA_STORE": f"local:{tmp_path_factory.mktemp('files')}"}
    with Stack(base_port=BASE_PORT + 860, settings=settings) as s:
        s.start_platform().prepare()
        s.postgres.stop()
        (conf,) = s.state.glob("**/postgresql.auto.conf")
        with open(conf, "a", encoding="utf-8") as out:
            out.writelines(f"{name} = '{value}'\n" for name, value in EXPLAINING.items())
        s.postgres.start().wait_ready(60)
        s.services.start_roles()
        wait_until(s.is_whole, 30, "/readyz to say that the view is whole")
        yield s


async def use_everything(net, telling):
    """Each statement of the product about a chat is asked at least once."""
    with telling.db() as db:  # enough of members elsewhere that an index is not read whole
        db.execute("INSERT INTO view.members (part, chat_id, user_id, joined_seq, role) SELECT view.part_of(chat), chat, gen_random_uuid(), 0, 0 "
                   "FROM (SELECT gen_random_uuid() AS chat FROM generate_series(1, 3000)) c")
        db.execute("ANALYZE view.members")
    alice, bob, carol = await net.people("alice", "bob", "carol")
    _, phone = await net.user("dora")
    await phone.rest.call("PUT", f"/api/devices/{phone.device_id}/push", {"kind": "fcm_token", "token": "ok:dora-1234"}, expect=200)
    alone = await net.direct(alice, carol)  # opened, and nothing in it
    group = await net.group(alice, bob, carol, name="keys")
    await alice.rest.call("PATCH", f"/api/chats/{group}", {"name": "more keys"}, expect=200)
    await alice.rest.post(f"/api/chats/{group}/members", {"add": [phone.user_id]}, expect=200)
    await alice.rest.call("PUT", f"/api/chats/{group}/members/{bob.user_id}", {"role": "admin"}, expect=200)
    said = await alice.told(f"{MARK} by part", group)
    direct = await bob.told(f"{MARK} of two", peer=alice.user_id)
    await alice.told(f"{MARK} to a phone", peer=phone.user_id, beside={"mentions": [phone.user_id]})
    await asyncio.gather(bob.sees(said.content), carol.sees(said.content), alice.sees(direct.content))
    for d in (bob, carol):
        await d.rest.post(f"/api/chats/{group}/read", {"seq": said.seq}, expect=202)
    await alice.rest.call("PUT", f"/api/chats/{group}/timer", {"seconds": 86400}, expect=200)
    for what in ("first", "second"):
        invite = (await alice.rest.post(f"/api/chats/{group}/invites", {"clientId": what}, expect=201)).body["invite"]
    await bob.rest.get(f"/api/invites/{group}/{invite['secret']}", expect=200)
    await bob.rest.get(f"/api/chats/{group}/invites", expect=200)
    await alice.rest.call("DELETE", f"/api/chats/{group}/invites/{invite['id']}", expect=200)
    await alice.rest.get(f"/api/chats/{group}/requests", expect=200)
    await bob.rest.get("/api/requests", expect=200)
    assert (await alice.rest.call("PUT", f"/api/chats/{group}/requests/{bob.user_id}")).status == 404
    for what in ("pin", "star"):
        await bob.rest.call("PUT", f"/api/chats/{group}/messages/{said.id}/{what}", expect=200)
    await bob.rest.get("/api/starred", expect=200)
    poll = (await alice.rest.post("/api/messages", {"chatId": group, "content": f"{MARK} asked", "type": "text", "poll": {"options": ["a", "b"]}}, expect=201)).body["message"]
    for method, what, body in (("PUT", "vote", {"options": [0]}), ("DELETE", "vote", None), ("GET", "poll", None), ("GET", "votes", None), ("PUT", "close", None)):
        await alice.rest.call(method, f"/api/chats/{group}/messages/{poll['id']}/{what}", body, expect=200)
    await bob.rest.post(f"/api/chats/{group}/hidden", {"messages": [said.id]}, expect=200)
    await alice.rest.call("DELETE", f"/api/chats/{group}/members/{carol.user_id}", expect=200)
    for method in ("PUT", "DELETE"):
        await carol.rest.call(method, f"/api/users/{phone.user_id}/block", expect=200)
    await carol.rest.get("/api/blocks", expect=200)
    body = {"chatId": group, "content": f"{MARK} by rest", "type": "text", "clientId": "keys"}
    sent = (await alice.rest.post("/api/messages", body, expect=201)).body["message"]
    await alice.rest.call("PATCH", f"/api/chats/{group}/messages/{sent['id']}", {"content": f"{MARK} edited"}, expect=200)
    await alice.rest.call("DELETE", f"/api/chats/{group}/messages/{sent['id']}", expect=200)

    def files():
        own, other = Files(net.rest_url, alice.tokens.access), Files(net.rest_url, bob.tokens.access)
        data = png(seed=7)
        media = own.send(group, data)
        assert own.create(group, data, sha256=sha256(data)).status_code in (200, 201)
        return media, own, other

    media, own, other = await asyncio.to_thread(files)
    shown = {"chatId": group, "type": "image", "mediaId": media, "content": "", "clientId": "keys-shown"}
    await alice.rest.post("/api/messages", shown, expect=201)
    with telling.db() as db:  # enough of files elsewhere that one key is not as good as another
        db.execute("CREATE TEMP TABLE other AS SELECT gen_random_uuid() AS chat, gen_random_uuid() AS id FROM generate_series(1, 3000)")
        db.execute("INSERT INTO view.messages (part, type, chat_id, seq, number, id, sender_id, sent_at, client_id, content_type, content, media_id) "
                   "SELECT view.part_of(chat), 1, chat, 1, 1, id, id, 0, 'x', 'x', '', id FROM other")
        db.execute("INSERT INTO view.tallies SELECT view.part_of(chat), 0, chat, id, 1, 1 FROM other")
        db.execute("ANALYZE view.messages")
    await view_is_level(telling)
    assert (await asyncio.to_thread(other.get, media)).status_code == 200
    own.close()
    other.close()
    for d in (alice, bob, carol, phone):
        listed = await d.rest.get("/api/chats", expect=200)
        for chat in listed.body["chats"]:
            await d.rest.get(f"/api/chats/{chat['chatId']}", expect=404 if chat["role"] == "left" else 200)
            for place in ({}, {"after": 1}, {"before": said.seq + 1000}):
                await d.rest.get(f"/api/chats/{chat['chatId']}/messages", expect=200, **place)
            await d.rest.get(f"/api/chats/{chat['chatId']}/lines", expect=200)
            await d.rest.get(f"/api/chats/{chat['chatId']}/lines", expect=200, after=0)
            for kind in ({}, {"kind": "link"}, {"kind": "image"}):
                await d.rest.get(f"/api/chats/{chat['chatId']}/media", expect=200, **kind)
        latest = (await d.rest.get("/api/sync", expect=200, cursor="latest")).body["cursor"]
        for cursor in ("", latest):
            await d.rest.get("/api/sync", expect=200, cursor=cursor)
    assert alone in [c["chatId"] for c in (await alice.rest.get("/api/chats", expect=200)).body["chats"]]
    await alice.rest.get(f"/api/messages/{said.id}/receipts", expect=200)
    await bob.rest.get(f"/api/messages/{said.id}/receipts", expect=404)
    await alice.rest.post("/api/contacts/lookup", {"phoneNumbers": [net.phone()]}, expect=200)


@scenario(240, stack="telling")
async def test_whatever_is_asked_of_chats_goes_by_part(telling, doubles, net):
    begin = telling.postgres.log_path.stat().st_size
    await use_everything(net, telling)

    def told():
        with open(telling.postgres.log_path, "rb") as log:
            log.seek(begin)
            return plans_of(log.read().decode("utf-8", "replace"))

    def all_asked():
        texts = [text for text, _ in told()]
        return not [words for words in ASKED if not any(words in text for text in texts)]

    await asyncio.to_thread(wait_until, all_asked, 60, "every statement to be asked")
    with telling.db() as db:
        tables, ways = about_chats(db), indexes(db)
    assert tables == TABLES
    faults, taken = {}, set()
    for text, plan in told():
        taken |= ways_taken(plan)
        for fault in plan_faults(plan, tables, ways):
            faults.setdefault(" ".join(text.split()), set()).add(fault)
    assert not faults, "\n".join(f"{text}\n    {', '.join(sorted(of))}" for text, of in faults.items())
    # of a table without a row, one key of two that begin alike is as good as the other
    primary = {name for name, (table, _) in ways.items() if table in tables - {"changes", "versions", "edits", "hidden", "pins", "stars", "polls", "votes", "endings", "invites", "requests"} and name.endswith("_pkey")}
    assert taken >= primary | {"members_by_user", "members_now", "messages_part_id_key", "messages_by_media", "messages_with_files", "messages_with_links", "stars_now"}, \
        f"not looked at: {primary - taken}"


# ---- what reading costs ------------------------------------------------------------------------------

FAR, NEAR, SAID = 1000, 20, 60  # chats that nobody opens, chats that are shown, messages in each of these
LAST = 10 * SAID  # seq of the last one
PAGE = 50  # messages of a history
ROUNDS = 6  # of asking; there are several connections
A_MESSAGE, A_CHAT, A_STAY = 40, 8, 16  # blocks that each of these costs at most
A_PLAN = 1  # and what a chat costs more by another plan, which statistics of the moment can choose
SHOWN = {"list": "keyed AS (", "sync, chats": "AS partition FROM mine", "sync, messages": "m.partition, m.place, m.found",
         "sync, ticks": "max(k.src_part), max(k.src_next)", "history":
         "count(*) OVER () AS found, sum(octet_length(z.content)) OVER (ORDER BY z.seq"}


def plant_chats(db, reader: str, partition: int, partitions: int) -> None:
    """Direct chats of the reader in that partition, written below every place of the log: a few long ones, and many with one message."""
    db.execute("CREATE TEMP TABLE c AS SELECT row_number() OVER () AS i, view.part_of(chat) AS part, chat, gen_random_uuid() AS peer FROM "
               "(SELECT gen_random_uuid() AS chat FROM generate_series(1, %s) OFFSET 0) g WHERE view.part_of(chat) %% %s = %s LIMIT %s",
               (2 * partitions * (NEAR + FAR), partitions, partition, NEAR + FAR))
    db.execute("INSERT INTO view.chats (chat_id, kind, part, created_at, created_by, last_seq, changed_seq) "
               "SELECT chat, 0, part, 0, peer, %s, %s FROM c", (LAST, LAST))
    db.execute("INSERT INTO view.members (part, chat_id, user_id, joined_seq, role) SELECT part, chat, peer, 0, 0 FROM c "
               "UNION ALL SELECT part, chat, %s, 0, 0 FROM c", (reader,))
    db.execute("INSERT INTO view.messages (part, chat_id, seq, number, own, id, sender_id, client_id, type, content_type, content, sent_at) "
               "SELECT c.part, c.chat, 10 * k, k, k, gen_random_uuid(), c.peer, k::text, 0, 'text/plain', 'x', CASE WHEN c.i <= %s THEN 1000 + k ELSE k END "
               "FROM c CROSS JOIN LATERAL generate_series(CASE WHEN c.i <= %s THEN 1 ELSE %s END, %s) k", (NEAR, NEAR, SAID, SAID))
    for table, columns in (("marks", "src_part, src_next,"), ("mark_advances", "")):
        db.execute(f"INSERT INTO view.{table} (part, kind, chat_id, {columns} low, low_user, next, at_ms) SELECT part, kind, chat, "
                   f"{'0, 0,' if columns else ''} %s, %s, %s, 1 FROM c, (VALUES (0), (1)) v(kind)", (LAST, reader, LAST))
    db.execute("VACUUM (FULL, ANALYZE) view.chats, view.members, view.messages, view.marks, view.mark_advances, view.blocks")


async def blocks_touched(stack, rest, chat: str) -> dict[str, int]:
    """How many blocks of PostgreSQL each statement touches that shows somebody his chats, a page of one, and what is new."""
    listed = {"cursor": "latest", "more": True}
    while listed["more"]:
        listed = (await rest.get("/api/sync", expect=200, cursor=listed["cursor"])).body
    begin = stack.postgres.log_path.stat().st_size
    for _ in range(ROUNDS):
        await rest.get("/api/sync", expect=200, cursor=listed["cursor"])
        shown = (await rest.get("/api/chats", expect=200, limit=NEAR)).body["chats"]
        page = (await rest.get(f"/api/chats/{chat}/messages", expect=200, limit=PAGE)).body["messages"]
        assert len(shown) == NEAR and page

    def found():
        with open(stack.postgres.log_path, "rb") as log:
            log.seek(begin)
            plans = plans_of(log.read().decode("utf-8", "replace"), SHOWN.values())
        return {name: [plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] for text, plan in plans if words in text]
                for name, words in SHOWN.items()}

    await asyncio.to_thread(wait_until, lambda: all(len(times) >= ROUNDS for times in found().values()), 20, "the plans")
    return {name: min(times) for name, times in found().items()}  # the first time a connection also reads the catalogue


@scenario(120, stack="telling")
async def test_what_blocks_and_timers_cost_whoever_reads(telling, doubles, net):
    """Against as many chats in which nobody blocks and nothing ends: in blocks touched, not in time."""
    alice, bob = await net.people("alice", "bob")
    direct = await alice.told(f"{MARK} so that the log has a place", peer=bob.user_id)
    await bob.sees(direct.content)
    await asyncio.gather(alice.stop(), bob.stop())
    await view_is_level(telling)
    db = telling.db()
    partitions = int(TEST_SETTINGS["PARTITIONS"])
    plant_chats(db, bob.user_id, partition_of(direct.verdict["chatId"], partitions), partitions)
    (chat,) = [str(x) for (x,) in db.execute("SELECT chat FROM c WHERE i = 1").fetchall()]

    async def touched(what):
        cost = await blocks_touched(telling, bob.rest, chat)
        print(f"{what}: " + ", ".join(f"{name} {n}" for name, n in cost.items()))
        return cost

    def costs_no_more(cost, than):
        assert all(cost[name] <= than[name] * 1.05 + A_PLAN * (FAR + NEAR) for name in SHOWN), (cost, than)

    db.execute("DELETE FROM view.members m WHERE NOT EXISTS (SELECT 1 FROM view.chats c WHERE c.part = m.part AND c.chat_id = m.chat_id)")
    db.execute("VACUUM (FULL, ANALYZE) view.members")
    plain = await touched("plain")
    assert plain["history"] <= A_MESSAGE * (PAGE + 1)
    assert all(plain[name] <= A_CHAT * (FAR + NEAR) for name in SHOWN)
    # blocked before anything came since: the blocker's stay has an end
    db.execute("UPDATE view.members m SET left_seq = %s, left_at = 1 FROM c WHERE c.i > %s AND m.part = c.part AND m.chat_id = c.chat AND m.user_id = %s",
               (LAST + 1, NEAR, bob.user_id))
    db.execute("INSERT INTO view.blocks (user_id, chat_id, peer_id, seq, at_ms) SELECT %s, chat, peer, %s, 1 FROM c WHERE i > %s",
               (bob.user_id, LAST + 1, NEAR))
    db.execute("VACUUM (FULL, ANALYZE) view.members, view.blocks")
    costs_no_more(await touched(f"{FAR} blocks"), plain)
    # a timer in each chat, and in the one that is read, too, where half is over and not swept yet
    db.execute("UPDATE view.chats k SET timer_s = 86400, timer_seq = 1 FROM c WHERE k.part = c.part AND k.chat_id = c.chat")
    db.execute("UPDATE view.messages m SET expires_at = CASE WHEN m.seq <= %s THEN 1 ELSE 1::bigint << 60 END, due_at = 1::bigint << 60 "
               "FROM c WHERE m.part = c.part AND m.chat_id = c.chat", (LAST / 2,))
    db.execute("VACUUM (FULL, ANALYZE) view.chats, view.messages")
    timed = await touched(f"{FAR} blocks, and a timer in each chat")
    costs_no_more(timed, plain)
    # and 64 blocks of the one that is read, each with an end
    db.execute("UPDATE view.members m SET left_seq = 5, left_at = 1 FROM c WHERE c.i = 1 AND m.part = c.part AND m.chat_id = c.chat AND m.user_id = %s", (bob.user_id,))
    db.execute("INSERT INTO view.members (part, chat_id, user_id, joined_seq, left_seq, left_at, role) "
               "SELECT c.part, c.chat, %s, 9 * k, CASE WHEN k < 64 THEN 9 * k + 4 END, CASE WHEN k < 64 THEN 1 END, 0 FROM c, generate_series(1, 64) k WHERE c.i = 1", (bob.user_id,))
    db.execute("VACUUM (FULL, ANALYZE) view.members")
    often = await touched("and 64 blocks of the one that is read")
    for table in ("chats", "members", "messages", "marks", "mark_advances", "blocks"):
        db.execute(f"DELETE FROM view.{table} t USING c WHERE t.chat_id = c.chat")
    db.close()
    assert often["history"] <= A_MESSAGE * (PAGE + 1)
    assert all(often[name] <= timed[name] + A_STAY * 64 + A_PLAN * (FAR + NEAR) for name in SHOWN), (often, timed)


# ---- what searching costs ----------------------------------------------------------------------------

SEARCHED = {"places": "w.at_ms, w.seq FROM search.words w", "messages": "AS q(part, chat_id, seq, ord)"}
A_PLACE, PLACES, READ = 4, 256, 128  # blocks of a key of a place; places and messages of one search
A_STAY_SEARCHED = 12  # blocks of a stay
MANY = 20_000  # more messages of one chat with that word: 160 blocks of the index


async def blocks_of_a_search(stack, rest, query: str) -> dict[str, int]:
    begin = stack.postgres.log_path.stat().st_size
    for _ in range(ROUNDS):
        page = (await rest.get("/api/search", expect=200, q=query)).body
        assert page["messages"] and page["more"] and page["late"] == 0

    def found():
        with open(stack.postgres.log_path, "rb") as log:
            log.seek(begin)
            plans = plans_of(log.read().decode("utf-8", "replace"), SEARCHED.values())
        return {name: [plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] for text, plan in plans if words in text]
                for name, words in SEARCHED.items()}

    await asyncio.to_thread(wait_until, lambda: all(len(times) >= ROUNDS for times in found().values()), 20, "the plans")
    return {name: min(times) for name, times in found().items()}


@scenario(120, stack="telling")
async def test_what_a_search_costs_however_much_was_said(telling, doubles, net):
    alice, bob = await net.people("alice", "bob")
    said = await alice.told("marrow of bones", peer=bob.user_id)
    await bob.sees(said.content)
    await asyncio.gather(alice.stop(), bob.stop())
    await view_is_level(telling)
    own, db = said.verdict["chatId"], telling.db()
    keys = "SELECT DISTINCT word FROM search.words WHERE chat_id = %s"
    await asyncio.to_thread(wait_until, lambda: len(db.execute(keys, (own,)).fetchall()) > 3, 20, "search to have the message")
    partitions = int(TEST_SETTINGS["PARTITIONS"])
    plant_chats(db, bob.user_id, partition_of(own, partitions), partitions)
    db.execute(f"CREATE TEMP TABLE k AS {keys}", (own,))
    db.execute("UPDATE view.messages m SET content = convert_to(%s, 'UTF8') FROM c WHERE m.part = c.part AND m.chat_id = c.chat", (said.content,))
    db.execute("INSERT INTO search.words SELECT m.part, m.chat_id, k.word, m.sent_at, m.seq FROM c JOIN view.messages m ON m.part = c.part AND m.chat_id = c.chat, k")
    db.execute("VACUUM (FULL, ANALYZE) view.messages, search.words")
    plain = await blocks_of_a_search(telling, bob.rest, "marrow bones")
    # of one chat older ones, too: as many entries of the index as there may be places are read, and no more
    db.execute("INSERT INTO search.words SELECT c.part, c.chat, k.word, -n, n FROM c, generate_series(1, %s) n, k WHERE c.i = 1", (MANY,))
    db.execute("VACUUM (FULL, ANALYZE) search.words")
    many = await blocks_of_a_search(telling, bob.rest, "marrow bones")
    print(f"a search: {plain}; of {MANY} more: {many}")
    for table in ("view.chats", "view.members", "view.messages", "view.marks", "view.mark_advances", "search.words"):
        db.execute(f"DELETE FROM {table} t USING c WHERE t.chat_id = c.chat")
    db.close()
    assert plain["places"] <= A_STAY_SEARCHED * (FAR + NEAR) + A_PLACE * PLACES and plain["messages"] <= A_MESSAGE * READ
    # a larger index may have a level more, which each stay and each place goes down
    assert many["places"] <= plain["places"] + FAR + NEAR + PLACES + A_PLACE * A_STAY_SEARCHED and many["messages"] <= plain["messages"] * 1.05, (plain, many)


# ---- what changing costs -----------------------------------------------------------------------------

CHANGING = tuple(f'"Relation Name": "{table}"' for table in ("versions", "edits", "reactions"))
OFTEN = 20_000  # changes of one message, with somebody who left between any two


async def blocks_of_changes(stack, alice, message) -> int:
    """How many blocks the statements touch that an edit and a sign come to, and their author's next look at the chat."""
    begin = stack.postgres.log_path.stat().st_size
    text = f"{MARK} {uuid.uuid4()}"
    await alice.changed("edit", message, text)
    await alice.changed("react", message, text[-8:])
    await view_is_level(stack)
    page = (await alice.rest.get(f"/api/chats/{message.chat_id}/messages", expect=200)).body["messages"]
    assert [m["content"] for m in page if m["id"] == message.id] == [text]

    def found():
        with open(stack.postgres.log_path, "rb") as log:
            log.seek(begin)
            plans = plans_of(log.read().decode("utf-8", "replace"), CHANGING)
        return [(text, plan) for text, plan in plans if "due_at" not in text]  # a sweep looks into all parts, whatever is changed

    def all_told():
        texts = [text for text, _ in found()]
        return all(any(words in text for text in texts) for words in ("count(*) OVER () AS found", "INSERT INTO view.versions", "DELETE FROM view.reactions"))

    await asyncio.to_thread(wait_until, all_told, 20, "the plans")
    return sum(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] for _, plan in found())


@scenario(120, stack="telling")
async def test_what_one_more_change_costs_after_many(telling, doubles, net):
    alice, bob = await net.people("alice", "bob")
    chat = await net.group(alice, bob)
    plain, often = [await bob.sees((await alice.told(f"{MARK} {what}", chat)).content) for what in ("plain", "often")]
    plain, often = alice.messages[plain.id], alice.messages[often.id]
    await blocks_of_changes(telling, alice, plain)  # what is asked for the first time looks into the catalogue, too
    once = await blocks_of_changes(telling, alice, plain)
    with telling.db() as db:
        db.execute("INSERT INTO view.members (part, chat_id, user_id, joined_seq, left_seq, role) SELECT part, chat_id, gen_random_uuid(), "
                   "-2 * n, -2 * n + 1, 0 FROM view.messages, generate_series(1, %s) n WHERE id = %s", (OFTEN, often.id))
        for table, more, values in (("versions", "at_ms, content_type, content", "1, 'text/plain', 'x'"), ("edits", "edit_id, said", "gen_random_uuid(), ''"),
                                    ("reactions", "at_ms, user_id, reaction", f"1, '{alice.user_id}', '+'")):
            db.execute(f"INSERT INTO view.{table} (part, chat_id, target, seq, {more}) SELECT part, chat_id, seq, -2 * n, {values} "
                       "FROM view.messages, generate_series(1, %s) n WHERE id = %s", (OFTEN, often.id))
        await blocks_of_changes(telling, alice, often)  # of many the newest stay
        db.autocommit = True
        db.execute("VACUUM (FULL, ANALYZE) view.members, view.versions, view.edits, view.reactions")
    many = await blocks_of_changes(telling, alice, often)
    print(f"a change: {once} blocks; after {OFTEN}: {many}")
    with telling.db() as db:
        db.execute("DELETE FROM view.members WHERE chat_id = %s AND left_seq < 0", (chat,))
    assert many <= 2 * once + 100


def test_a_statement_that_passes_by_part_is_seen(telling):
    """The bite of the test before."""
    an_id = str(uuid.uuid4())
    with telling.db() as db:
        tables, ways = about_chats(db), indexes(db)

        def faults(sql, *values):
            return plan_faults(db.execute(f"EXPLAIN (VERBOSE, FORMAT JSON) {sql}", values).fetchone()[0][0]["Plan"], tables, ways)

        for sql in ("SELECT 1 FROM view.messages WHERE id = %s", "SELECT 1 FROM view.chats WHERE chat_id = %s",
                    "SELECT count(*) FROM view.receipts r JOIN view.members m USING (chat_id) WHERE r.part = 5 AND r.user_id = %s",
                    "DELETE FROM view.cursors WHERE user_id = %s"):
            assert faults(sql, an_id), sql
        assert not faults("SELECT 1 FROM view.messages WHERE part = %s AND id = %s", 5, an_id)
        assert not faults("SELECT 1 FROM view.members m JOIN view.chats c USING (part, chat_id) WHERE m.user_id = %s", an_id)


def test_part_begins_every_key_about_a_chat(telling):
    with telling.db() as db:
        assert key_faults(db) == []
        with db.transaction(force_rollback=True):
            db.execute("CREATE TABLE view.bite (chat_id uuid PRIMARY KEY)")
            db.execute("CREATE INDEX bite_by_sender ON view.messages (sender_id)")
            db.execute("CREATE UNIQUE INDEX bite_by_id ON view.messages (id)")
            assert key_faults(db) == ["view.bite has no part, smallint NOT NULL", "bite_pkey of view.bite begins with chat_id",
                                      "bite_by_id of view.messages begins with id", "bite_by_sender of view.messages begins with sender_id"]


def test_part_is_the_same_in_sql_and_elsewhere(telling):
    ids = [str(uuid.uuid4()) for _ in range(500)] + ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"]
    found = rows_now(telling, "SELECT i::text AS id, view.part_of(i) AS part FROM unnest(%s::uuid[]) i", ids)
    assert {r["id"]: r["part"] for r in found} == {i: partition_of(i, PARTS) for i in ids}
    # and what the sinks wrote
    assert rows_now(telling, "SELECT chat_id FROM view.messages WHERE part <> view.part_of(chat_id)") == []


def test_a_view_of_before_is_converted(telling):
    """The rows of the old tables are all in the new ones; old sinks and old readers are sent away, not served wrongly."""
    old, new, *later = [m for m in MIGRATIONS if m.name < "0011"], *[m for m in MIGRATIONS if m.name >= "0011"]
    with telling.db() as db, db.transaction(force_rollback=True):
        for table in TABLES:
            db.execute(f"CREATE TEMP TABLE kept_{table} AS SELECT * FROM view.{table}")
        db.execute("DROP SCHEMA model CASCADE")
        db.execute("DROP SCHEMA view CASCADE")
        for m in old:
            db.execute(m.read_text())
        shape = {}
        for table in TABLES - {"tallies", "changes", "versions", "edits", "reactions", "hidden", "pins", "stars", "polls", "votes", "lines", "endings", "invites", "requests"}:
            columns = [c for (c,) in db.execute("SELECT column_name FROM information_schema.columns WHERE table_schema = 'view' AND "
                                                "table_name = %s AND column_name <> 'part'", (table,)).fetchall()]
            shape[table] = ", ".join(columns)
            more = (", part", ", 0") if table == "chats" else ("", "")
            db.execute(f"DELETE FROM view.{table}")
            db.execute(f"INSERT INTO view.{table} ({shape[table]}{more[0]}) SELECT {shape[table]}{more[1]} FROM kept_{table}")
        db.execute("GRANT SELECT ON model.messages TO PUBLIC")
        before = db.execute("SELECT * FROM model.messages ORDER BY id").fetchall()
        db.execute(new.read_text())
        assert key_faults(db) == []
        for table, columns in shape.items():
            whole = f"part, {columns}"
            (there,), (kept,) = [db.execute(f"SELECT count(*) FROM {t}").fetchone() for t in (f"view.{table}", f"kept_{table}")]
            assert there == kept > 0, table
            assert db.execute(f"SELECT {whole} FROM view.{table} EXCEPT SELECT {whole} FROM kept_{table}").fetchall() == [], table
        assert db.execute("SELECT * FROM model.messages ORDER BY id").fetchall() == before
        assert db.execute("SELECT relacl::text FROM pg_class WHERE oid = 'model.messages'::regclass").fetchone()[0].startswith("{")
        assert db.execute("SELECT to_regnamespace('view_before')").fetchone() == (None,)

        def refused(sql, state):
            with pytest.raises(psycopg.Error) as e, db.transaction():
                db.execute(sql)
            assert e.value.sqlstate == state, e.value

        refused("INSERT INTO view.members (chat_id, user_id, joined_seq, role) SELECT chat_id, user_id, 1, 0 FROM kept_members", "55V02")
        refused("INSERT INTO view.cursors (chat_id, user_id) SELECT chat_id, user_id FROM kept_cursors ON CONFLICT (chat_id, user_id) "
                "DO NOTHING", "42P10")
        refused("SELECT view.whole(false)", "55V01")
        refused("SELECT view.whole(true, 2)", "55V01")
        refused("SELECT view.whole(false, 1)", "55V01")
        assert db.execute("SELECT view.whole(false, 2)").fetchone() == (True,)
        for m in later:
            db.execute(m.read_text())
        # the numbers that messages get then are those that they had when they were written
        numbers = "SELECT part, chat_id, seq, number, own, id, sender_id, content FROM"
        assert db.execute(f"{numbers} view.messages EXCEPT {numbers} kept_messages").fetchall() == []
        assert db.execute("SELECT * FROM view.tallies EXCEPT SELECT * FROM kept_tallies").fetchall() == []
        assert db.execute("SELECT count(*) FROM view.tallies").fetchone() == db.execute("SELECT count(*) FROM kept_tallies WHERE kind = 0").fetchone()
        assert db.execute("SELECT count(*) FROM view.messages").fetchone() == db.execute("SELECT count(*) FROM kept_messages").fetchone()
        assert db.execute("SELECT * FROM model.messages ORDER BY id").fetchall() == before
        assert key_faults(db) == []
        refused("INSERT INTO view.messages (part, type, chat_id, seq, id, sender_id, sent_at, client_id, content_type, content) "
                "SELECT part, type, chat_id, seq + 1, id, sender_id, sent_at, client_id, content_type, content FROM kept_messages", "55V02")
        refused("SELECT view.whole(false, 4)", "55V01")
