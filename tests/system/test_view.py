# SPDX-License-Identifier: MIT
"""The sinks persistence and status alone, over a log written by hand: what the view holds, who is told, and that neither
repeats, kills, poison nor a rebuild change it."""

import json
import random
import time
import uuid
from collections import Counter

import pytest
from conftest import BASE_PORT
from look import partition_of
from stack import Stack, encode, wait_until

GENERATION = 1 << 48
ACTIONS = 4096  # in each partition; more than any test here needs
TABLES_OF_VIEW = {
    "users": "user_id", "devices": "device_id", "chats": "chat_id", "members": "chat_id, user_id, joined_seq",
    "messages": "chat_id, seq", "rejected": "src_partition, src_offset", "cursors": "chat_id, user_id",
    "tallies": "chat_id, user_id, kind, seq",
    "receipts": "chat_id, user_id, kind, seq", "marks": "chat_id, kind", "mark_advances": "chat_id, kind, low, low_user, next",
}
NOBODY = {"edge-rest": 0, "edge-ws": 0, "chat": 0, "user": 0, "mobile": 0}


@pytest.fixture(scope="module")
def view():
    with Stack(base_port=BASE_PORT + 400, copies=NOBODY) as s:
        yield Log(s.start())


def an_id() -> str:
    return str(uuid.uuid4())


class Log:
    """Writes what processors would, each action at the next offset of its partition."""

    def __init__(self, stack):
        self.stack, self.db, self.producer = stack, stack.db(), stack.producer()
        self.partitions = len(self.producer.list_topics("chat.events", timeout=10).topics["chat.events"].partitions)
        self.next = Counter()  # partition → next offset of chat.actions
        self.inbox_next = Counter()
        self.clock = round(time.time() * 1000) - 3_600_000  # what was refused is kept for 30 days
        self.events = []  # (partition, value) of chat.events, to be repeated
        # a receipt for what chat.actions does not have is a dead letter: the actions behind what is written here
        for i in range(ACTIONS * self.partitions):
            while True:
                try:
                    self.producer.produce("chat.actions", b"", key=b"k", partition=i % self.partitions)
                    break
                except BufferError:
                    self.producer.poll(1)
        self.flush()

    def put(self, topic, record, partition, fields, key=b"k"):
        value = encode(record, fields)
        failed = []
        self.producer.produce(topic, value, key=key, partition=partition,
                              on_delivery=lambda error, _: failed.append(error) if error else None)
        self.producer.poll(0)
        assert not failed, failed
        return value

    def flush(self):
        assert self.producer.flush(30) == 0

    def source(self, partition, counter=None):
        counter = self.next if counter is None else counter
        offset = counter[partition]
        counter[partition] += 1
        if counter is self.inbox_next:  # persistence refuses a log that ends before its rows: the action behind the fact
            self.producer.produce("user.inbox", b"", key=b"k", partition=partition)
        return {"generation": 1, "partition": partition, "offset": offset}

    def at(self):
        self.clock += 10
        return self.clock

    def event(self, chat, user, kind, **fields):
        """Returns the seq."""
        p = partition_of(chat, self.partitions)
        source = self.source(p)
        seq = GENERATION + source["offset"]
        client = fields.pop("client_id", an_id())
        value = self.put("chat.events", "ChatEvent", p, {
            "eventId": uuid.uuid4(), "chatId": uuid.UUID(chat), "seq": seq, "atMs": self.at(), "source": source, "userId": uuid.UUID(user),
            "deviceId": uuid.uuid4(), "clientId": client, "event": (f"chasqui.{kind}", fields)})
        self.events.append((p, value))
        return seq

    def message(self, chat, user, peer=None, text="hello", **fields):
        return self.event(chat, user, "MessageAccepted", id=fields.pop("id", None) or uuid.uuid4(),
                          peer=peer and uuid.UUID(peer), type="TEXT", contentType="text/plain", content=text.encode(), keyId=None,
                          **fields)

    def group(self, chat, owner, *others):
        members = [{"userId": uuid.UUID(u), "role": "MEMBER" if u != owner else "OWNER"} for u in (owner, *others)]
        return self.event(chat, owner, "GroupStarted", name="a group", members=members)

    def change(self, chat, by, *changes):
        """changes: (user, kind). As processors/chat does, a MEMBERS status follows."""
        seq = self.event(chat, by, "MembershipChanged", changes=[{"userId": uuid.UUID(u), "change": k} for u, k in changes])
        self.status(chat, by, "MEMBERS", seq, at_its_source=True)
        return seq

    def status(self, chat, user, kind, seq, peer=None, at_its_source=False):
        p = partition_of(chat, self.partitions)
        source = {"generation": 1, "partition": p, "offset": seq - GENERATION} if at_its_source else self.source(p)
        return p, self.put("delivery.status", "DeliveryStatus", p, {
            "chatId": uuid.UUID(chat), "source": source, "atMs": self.at(), "userId": uuid.UUID(user), "deviceId": uuid.uuid4(),
            "peer": peer and uuid.UUID(peer), "kind": kind, "seq": seq}, key=an_id().encode())

    # Looking

    def rows(self, sql, *args):
        with self.db.cursor() as c:
            return c.execute(sql, args).fetchall()

    def ends(self):
        from confluent_kafka import Consumer, TopicPartition

        c = Consumer({"bootstrap.servers": self.stack.broker, "group.id": "test-view-ends"})
        try:
            return {(t, p): c.get_watermark_offsets(TopicPartition(t, p), timeout=10)[1]
                    for t in ("chat.events", "rejections", "user.events", "delivery.status") for p in range(self.partitions)}
        finally:
            c.close()

    def settle(self, timeout=60):
        """Until both sinks have applied all there is."""
        self.flush()
        ends = self.ends()

        def lag():
            have = {(t, p): n for t, p, n in self.rows("SELECT topic, partition, next FROM view.positions WHERE consumer <> 'search'")}
            lacking = {k: (have.get(k), end) for k, end in ends.items() if have.get(k, 0) < end}
            assert not lacking, lacking
            return True

        wait_until(lag, timeout, "the view to be level")

    def ticks(self, after=()):
        """[(user, chat, delivered, read)] in user.inbox, less those of `after`."""
        found = []
        for _, _, _, value, _ in self.stack.read_topic("user.inbox"):
            if not value:
                continue  # an action of source()
            name, body = self.stack.decode(value)[1]["body"]
            for item in body["items"]:
                assert item["class"] == "STATUS" and body["origin"] == "DELIVERY_STATUS"
                frame = json.loads(b"{" + item["frame"])
                if frame["t"] == "read":
                    continue  # the reader's own other devices are told so, which is no tick
                found += [(str(user), frame["chatId"], frame["delivered"], frame["read"]) for user in item["to"]]
        return found[len(after):] if not after else list((Counter(found) - Counter(after)).elements())

    def dump(self):
        return {t: self.rows(f"SELECT * FROM view.{t} ORDER BY {order}") for t, order in TABLES_OF_VIEW.items()}


def test_direct_chat(view):
    a, b, chat = an_id(), an_id(), an_id()
    one = view.message(chat, a, peer=b, text="öne")
    two = view.message(chat, b, peer=a)
    view.settle()
    assert view.rows("SELECT kind, part, created_by::text, last_seq, changed_seq FROM view.chats WHERE chat_id = %s", chat) == [
        (0, partition_of(chat, 1024), a, two, two)]
    assert sorted(view.rows("SELECT user_id::text, joined_seq, left_seq FROM view.members WHERE chat_id = %s", chat)) == sorted(
        [(a, 0, None), (b, 0, None)])
    before = view.ticks()

    view.status(chat, b, "DELIVERED", one, peer=a)
    view.settle()
    assert view.ticks(before) == [(a, chat, one, 0)]
    # two counts for a; for b it does not, whose own message it is and who has not acknowledged it himself
    view.status(chat, a, "READ", two, peer=b)
    view.status(chat, b, "READ", one, peer=a)
    view.settle()
    news = view.ticks(before)
    assert (b, chat, two, two) in news and (a, chat, one, one) in news
    assert all(user in (a, b) for user, *_ in news)

    (row,) = view.rows('SELECT id, "userID"::text, "groupID", "chatID"::text, type, content, "deliveredAt", "seenAt", "sentAt" '
                       'FROM model.messages WHERE "chatID" = %s AND "userID" = %s', chat, a)
    assert row[1:6] == (a, None, chat, "text", "öne")
    assert row[8] < row[6] < row[7]
    assert view.rows("SELECT delivered, read FROM view.cursors WHERE chat_id = %s AND user_id = %s", chat, a) == [(two, two)]


def test_cursors_do_not_go_back_and_repeats_tell_nobody(view):
    a, b, chat = an_id(), an_id(), an_id()
    seqs = [view.message(chat, a, peer=b) for _ in range(5)]
    p, again = view.status(chat, b, "DELIVERED", seqs[3], peer=a)
    view.settle()
    rows, ticks = view.dump(), view.ticks()
    assert (a, chat, seqs[3], 0) in ticks
    view.producer.produce("delivery.status", again, key=b"again", partition=p)
    view.status(chat, b, "DELIVERED", seqs[1], peer=a)
    view.settle()
    assert view.dump() == rows and view.ticks(ticks) == []


def test_group(view):
    a, b, c, d, chat = (an_id() for _ in range(5))
    started = view.group(chat, a, b, c)
    one = view.message(chat, a)
    view.status(chat, a, "DELIVERED", one)
    view.status(chat, b, "DELIVERED", one)
    view.settle()
    quiet = view.ticks()
    assert not any(t[1] == chat for t in quiet), "c has not got it"
    left = view.change(chat, a, (c, "REMOVE"), (d, "ADD"), (b, "PROMOTE"))
    view.settle()
    assert view.ticks(quiet) == [(a, chat, one, started)], "a cursor begins where its user joined"
    assert sorted(view.rows("SELECT user_id::text, joined_seq, left_seq, role FROM view.members WHERE chat_id = %s", chat)) == sorted([
        (a, started, None, 2), (b, started, None, 1), (c, started, left, 0), (d, left, None, 0)])
    assert view.rows('SELECT count(*) FROM model.users_groups WHERE "groupID" = %s', chat) == [(3,)]

    # who left moves nothing any more, and is told nothing; who came in need not have what was before
    two = view.message(chat, b)
    view.status(chat, c, "READ", two)
    for user in (a, b, d):
        view.status(chat, user, "READ", two)
    view.settle()
    news = view.ticks(quiet)
    assert (b, chat, two, two) in news and {t[0] for t in news} == {a, b}
    # what a sent is read when b has read it; whether d's cursor is in the same tick depends on where the turns were cut
    assert max(t[3] for t in news if t[0] == a) >= one
    quiet = view.ticks()
    three = view.message(chat, b)
    for user in (d, b, a):
        view.status(chat, user, "READ", three)
    view.settle()
    assert {t[0] for t in view.ticks(quiet)} == {b}, "nobody else sent anything since"
    assert view.rows("SELECT count(*) FROM view.cursors WHERE chat_id = %s AND user_id = %s", chat, c) == [(0,)]
    # again a member: a stay of its own
    back = view.change(chat, a, (c, "ADD"))
    gone = view.change(chat, a, (c, "REMOVE"))
    view.settle()
    assert view.rows("SELECT joined_seq, left_seq FROM view.members WHERE chat_id = %s AND user_id = %s ORDER BY 1", chat, c) == [
        (started, left), (back, gone)]


def test_names_and_devices(view):
    user, device = an_id(), an_id()
    p = partition_of(user, view.partitions)

    def say(kind, **fields):
        view.put("user.events", "UserEvent", p, {"eventId": uuid.uuid4(), "userId": uuid.UUID(user), "source": view.source(p, view.inbox_next),
                                                 "atMs": view.at(), "event": (f"chasqui.{kind}", fields)})

    say("UserRegistered", name="Ann")
    say("DeviceAdded", deviceId=uuid.UUID(device), platform="web", label="x")
    say("ProfileChanged", name="Anna")
    view.settle()
    assert view.rows("SELECT name FROM model.users WHERE id = %s", user) == [("Anna",)]
    say("ProfileDetailsChanged", about="here", picture=uuid.UUID(device))
    say("ProfileDetailsChanged", about=None, picture=None)
    say("ProfileDetailsChanged", about="there", picture=None)
    view.settle()
    assert view.rows("SELECT about, picture_id::text FROM view.profiles WHERE user_id = %s", user) == [("there", device)]
    say("ProfileDetailsChanged", about=None, picture=uuid.UUID(int=0))
    say("DeviceRemoved", deviceId=uuid.UUID(device), reason="logout")
    say("UserRegistered", name="")
    view.settle()
    assert view.rows("SELECT name FROM view.users WHERE user_id = %s", user) == [("Anna",)]
    assert view.rows("SELECT about, picture_id FROM view.profiles WHERE user_id = %s", user) == [("there", None)]
    assert view.rows("SELECT removed_at IS NOT NULL FROM view.devices WHERE device_id = %s", device) == [(True,)]


def test_status_waits_for_the_view(view):
    a, b = an_id(), an_id()
    chat = an_id()
    late = next(c for c in iter(an_id, None) if partition_of(c, view.partitions) != partition_of(chat, view.partitions))
    p = partition_of(late, view.partitions)
    first = view.message(chat, a, peer=b)
    ahead = GENERATION + view.next[p]  # the event that has not come yet
    view.next[p] += 1
    view.status(late, b, "DELIVERED", ahead, peer=a)
    view.status(chat, b, "DELIVERED", first, peer=a)
    view.flush()
    wait_until(lambda: view.rows("SELECT 1 FROM view.cursors WHERE chat_id = %s", chat), 30, "the other partition to go on")
    assert view.rows("SELECT 1 FROM view.cursors WHERE chat_id = %s", late) == []
    ticks = view.ticks()
    view.next[p] -= 2  # the event takes the offset that the receipt spoke of
    assert view.message(late, a, peer=b) == ahead
    view.next[p] += 1
    view.settle()
    assert view.ticks(ticks) == [(a, late, ahead, 0)]


def test_receipts_wait_for_a_view_that_was_moved_back(view):
    """Two in one batch: what the role knew of the view lets the first one in, and the second makes it look again."""
    a, b, chat = an_id(), an_id(), an_id()
    p = partition_of(chat, view.partitions)
    other = next(c for c in iter(an_id, None) if partition_of(c, view.partitions) != p)
    first, elsewhere = view.message(chat, a, peer=b), view.message(other, a, peer=b)
    view.status(chat, b, "DELIVERED", first, peer=a)
    view.settle()
    letters = len(list(view.stack.read_topic("delivery.status.dlq")))
    place = "WHERE consumer = 'persistence' AND topic = 'chat.events' AND partition = %s"
    role = view.stack.role("status")
    role.pause()
    view.db.execute(f"UPDATE view.positions SET source_next = %s {place}", (first - GENERATION, p))
    ahead = GENERATION + view.next[p]
    view.next[p] += 1
    view.status(chat, b, "READ", first, peer=a)
    view.status(chat, b, "DELIVERED", ahead, peer=a)
    view.flush()
    role.cont()
    view.status(other, b, "DELIVERED", elsewhere, peer=a)
    view.flush()
    wait_until(lambda: view.rows("SELECT 1 FROM view.cursors WHERE chat_id = %s", other), 30, "the receipt behind the two")
    view.next[p] -= 3  # the event takes the offset that the second receipt spoke of
    assert view.message(chat, a, peer=b) == ahead
    view.next[p] += 2
    view.settle()
    assert view.rows("SELECT delivered, read FROM view.cursors WHERE chat_id = %s AND user_id = %s", chat, b) == [(ahead, first)]
    assert len(list(view.stack.read_topic("delivery.status.dlq"))) == letters


def test_the_same_message_twice(view):
    a, b, chat, same = an_id(), an_id(), an_id(), uuid.uuid4()
    first = view.message(chat, a, peer=b, id=same)
    view.message(chat, a, peer=b, id=same)
    view.settle()
    assert view.rows("SELECT seq FROM view.messages WHERE chat_id = %s", chat) == [(first,)]


@pytest.mark.parametrize("n", [2, 3], ids=["direct", "group"])
def test_what_is_unread_is_exact_however_much_it_is(view, n):
    """Numbers without a hole, whatever comes again and under whatever seq; the difference of two is what counting finds."""
    rng, chat = random.Random(n), an_id()
    people = [an_id() for _ in range(n)]
    other = dict(zip(people, reversed(people))) if n == 2 else {}
    if n > 2:
        view.group(chat, *people)
    said = []  # (seq, sender, mentioned)
    for i in range(600):
        sender, mentions = rng.choice(people), rng.sample(people, rng.randrange(n))
        message = uuid.uuid4()
        said.append((view.message(chat, sender, other.get(sender), id=message, mentions=[uuid.UUID(u) for u in mentions]), sender,
                     set(mentions) - {sender}))
        if i % 7 == 0:  # the same id under another seq, in this turn or a later one: no second message
            view.message(chat, sender, other.get(sender), id=message, mentions=[uuid.UUID(u) for u in people])
        if i % 500 == 0:
            view.settle()
            for p, value in view.events[-20:]:
                view.producer.produce("chat.events", value, key=b"again", partition=p)
    view.settle()
    rows = view.rows("SELECT m.seq, m.sender_id::text, m.number, coalesce(m.own, t.number), m.own IS NULL, t.number IS NULL FROM view.messages m "
                     "LEFT JOIN view.tallies t ON t.kind = 0 AND t.chat_id = m.chat_id AND t.user_id = m.sender_id AND t.seq = m.seq "
                     "WHERE m.chat_id = %s ORDER BY m.seq", chat)
    assert {r[4:] for r in rows} == {(n > 2, n == 2)}  # each is counted in one place
    assert [r[:2] for r in rows] == [x[:2] for x in said]
    assert [r[2] for r in rows] == list(range(1, len(said) + 1))
    for user in people:
        assert [r[3] for r in rows if r[1] == user] == list(range(1, sum(x[1] == user for x in said) + 1))
    seqs = [0, *(x[0] for x in said), 1 << 62]
    for _ in range(200):
        user, (after, before) = rng.choice(people), sorted(rng.sample(seqs, 2))
        new = [x for x in said if after < x[0] < before and x[1] != user]
        asked = (chat, chat, user, after, before)
        counts = view.rows("SELECT view.unread(view.part_of(%s), %s, %s, %s, %s)", *asked) + view.rows(
            "SELECT view.mentioned(view.part_of(%s), %s, %s, %s, %s)", *asked)
        assert counts == [(len(new),), (sum(user in x[2] for x in new),)]


def test_what_follows_a_deletion_tells_no_chat(view):
    """However far the view had come between the two: a rebuild finds them in one turn."""
    a, b, chat, said = an_id(), an_id(), an_id(), uuid.uuid4()
    ref = {"messageId": said, "messageSeq": view.message(chat, a, peer=b, id=said)}
    gone = view.event(chat, a, "MessageDeleted", **ref, **{"from": uuid.UUID(a)})
    view.settle()
    view.event(chat, a, "MessageEdited", **ref, contentType="text/plain", content=b"late", keyId=None)
    view.event(chat, b, "ReactionChanged", **ref, **{"from": uuid.UUID(a)}, reaction="+1")
    view.settle()
    assert view.rows("SELECT changed_seq FROM view.chats WHERE chat_id = %s", chat) == [(gone,)]


STALE, OTHERS = 64, 1000  # rows of a user and partition that stay
REFUSED = "SELECT src_offset FROM view.rejected WHERE user_id = %s AND code = %s ORDER BY src_offset"


def stale(view, user):
    return [GENERATION + x for (x,) in view.rows(REFUSED, user, "stale_target")]


def test_a_change_that_fits_no_message_is_refused_and_no_other(view):
    """Whatever changes a message, by its id and another seq, by another id, in another chat; and by the pair that is right."""
    a, b, chat, other = an_id(), an_id(), an_id(), an_id()
    said, answer = uuid.uuid4(), uuid.uuid4()
    seq = view.message(chat, a, peer=b, id=said)
    later = view.message(chat, b, peer=a, id=answer)
    again = view.message(chat, a, peer=b, id=said)  # a client id from beyond the window: the lowest seq stands
    there = view.message(other, a, peer=b)

    def everything(in_chat, message, at):
        ref, to = {"messageId": message, "messageSeq": at}, {"from": uuid.UUID(a)}
        yield view.event(in_chat, a, "MessageEdited", **ref, contentType="text/plain", content=b"better", keyId=None)
        yield view.event(in_chat, a, "ReactionChanged", **ref, **to, reaction="+1")
        yield view.event(in_chat, a, "PinChanged", **ref, **to, pinned=True)
        yield view.event(in_chat, a, "StarChanged", **ref, starred=True)
        yield view.event(in_chat, a, "VoteChanged", **ref, **to, chosen=1, votedAtMs=view.clock)
        yield view.event(in_chat, a, "PollClosed", **ref, closedAtMs=view.clock)
        yield view.event(in_chat, a, "MessagesHidden", messages=[{"id": said, "seq": seq}, {"id": message, "seq": at}])
        yield view.event(in_chat, a, "MessageDeleted", **ref, **to)

    wrong = [s for pair in ((said, again), (said, later), (answer, seq), (uuid.uuid4(), seq), (said, seq + 1_000_000)) for s in everything(chat, *pair)]
    elsewhere = list(everything(other, said, seq))
    right = list(everything(chat, said, seq))  # also of what is deleted by then, and of what is no poll
    right += list(everything(chat, said, seq))
    view.settle()
    assert sorted(stale(view, a)) == sorted(wrong + elsewhere) and stale(view, b) == []
    assert not set(right) & set(stale(view, a)) and there
    assert view.rows("SELECT DISTINCT code, chat_id FROM view.rejected WHERE user_id = %s ORDER BY chat_id", a) == [
        ("stale_target", x) for x in sorted(map(uuid.UUID, (chat, other)))]


def test_what_was_refused_is_kept_for_a_time_and_the_newest_of_a_user(view):
    a, b, chat = an_id(), an_id(), an_id()
    p = partition_of(chat, view.partitions)

    def change(user):
        return view.event(chat, user, "StarChanged", messageId=uuid.uuid4(), messageSeq=GENERATION + 1, starred=True)

    def refuse(user):
        source = view.source(p)
        view.put("rejections", "Rejection", p, {
            "chatId": uuid.UUID(chat), "source": source, "atMs": view.at(), "userId": uuid.UUID(user), "deviceId": uuid.uuid4(),
            "clientId": an_id(), "id": uuid.uuid4(), "code": "forbidden"})
        return source["offset"]

    for code, most in (("stale_target", STALE), ("forbidden", OTHERS)):  # as many as may be, below all places of the log
        view.rows("INSERT INTO view.rejected SELECT %s, -n, gen_random_uuid(), %s, %s, 'old', %s, %s FROM generate_series(%s::int, %s) n RETURNING 1",
                  p, chat, a, code, view.clock, *((1, most) if code == "forbidden" else (OTHERS + 1, OTHERS + most)))
    seqs = [change(a) for _ in range(5)]
    refused = [refuse(a) for _ in range(5)]
    other = change(b)
    refuse(b)
    late, view.clock = view.clock, 1_700_000_000_000
    change(b)  # older than 30 days: there was never a row
    refuse(b)
    view.clock = late
    view.settle()
    assert stale(view, a)[-6:] == [GENERATION - OTHERS - 1, *seqs] and len(stale(view, a)) == STALE and stale(view, b) == [other]
    kept = [x for (x,) in view.rows(REFUSED, a, "forbidden")]
    assert kept[-6:] == [-1, *refused] and len(kept) == OTHERS
    wait_until(lambda: len(view.rows(REFUSED, b, "forbidden")) == 1, 30, "what is older than 30 days to be dropped")
    view.rows("DELETE FROM view.rejected WHERE client_id = 'old' RETURNING 1")


def test_repeats_change_nothing(view):
    view.settle()
    rows, ticks = view.dump(), view.ticks()
    for p, value in view.events:
        view.producer.produce("chat.events", value, key=b"again", partition=p)
    view.settle()
    assert view.dump() == rows and view.ticks(ticks) == []


def letters(view, topic):
    return [(part, value, {k: v.decode() for k, v in headers}) for part, _, _, value, headers in view.stack.read_topic(f"{topic}.dlq")]


def test_poison(view):
    a, b, chat = an_id(), an_id(), an_id()
    before = len(letters(view, "chat.events"))
    p = partition_of(chat, view.partitions)
    good = [view.message(chat, a, peer=b)]
    view.message(chat, a, peer=b, client_id="a zero \0 is no text for PostgreSQL")
    bad = view.events.pop()[1]
    good.append(view.message(chat, a, peer=b))
    view.producer.produce("chat.events", b"\0noise", key=b"k", partition=p)
    good.append(view.message(chat, b, peer=a))
    view.settle()
    assert [s for (s,) in view.rows("SELECT seq FROM view.messages WHERE chat_id = %s ORDER BY seq", chat)] == good
    found = letters(view, "chat.events")[before:]
    assert Counter((part, value) for part, value, _ in found) == Counter([(p, bad), (p, b"\0noise")])
    for _, _, h in found:
        assert h["src_topic"] == "chat.events" and h["src_partition"] == str(p) and h["worker"] == "persistence" and h["error"]


def test_kills_and_a_database_that_goes_away(view):
    rng = random.Random(7)
    chats = [(an_id(), an_id(), an_id()) for _ in range(40)]
    procs = [view.stack.role("persistence"), view.stack.role("status")]
    for proc in procs:
        proc.auto_restart = True
    sent = Counter()
    last = {}
    try:
        for round_ in range(6):
            for _ in range(1500):
                chat, a, b = rng.choice(chats)
                last[chat] = view.message(chat, a, peer=b)
                sent[chat] += 1
                if rng.random() < 0.3:
                    view.status(chat, b, "READ", last[chat], peer=a)
            view.flush()
            if round_ == 2:
                view.stack.postgres.kill9()
                view.stack.postgres.start().wait_ready(60)
                view.db = view.stack.db()
            else:
                procs[round_ % 2].kill9()
        for chat, a, b in chats:
            view.status(chat, b, "READ", last[chat], peer=a)
        view.settle(120)
    finally:
        for proc in procs:
            proc.auto_restart = False
    ticks = set(view.ticks())
    for chat, a, _ in chats:
        assert view.rows("SELECT count(*), max(seq) FROM view.messages WHERE chat_id = %s", chat) == [(sent[chat], last[chat])]
        assert (a, chat, last[chat], last[chat]) in ticks


def test_a_tick_that_the_log_refuses_is_told_later(view):
    """Its position stands where it was: what was not told is not done."""
    from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

    a, b, chat = an_id(), an_id(), an_id()
    one = view.message(chat, a, peer=b)
    view.settle()
    ticks, role = view.ticks(), view.stack.role("status")
    admin = AdminClient({"bootstrap.servers": view.stack.broker})

    def most(value):
        entry = ConfigEntry("max.message.bytes", value, incremental_operation=AlterConfigOpType.SET)
        done = admin.incremental_alter_configs([ConfigResource(ConfigResource.Type.TOPIC, "user.inbox", incremental_configs=[entry])])
        for future in done.values():
            future.result(30)

    most("1")
    try:
        view.status(chat, b, "DELIVERED", one, peer=a)
        view.flush()
        wait_until(lambda: not role.alive(), 60, "the role to end because a tick is refused")
    finally:
        most("1048576")
    assert view.rows("SELECT 1 FROM view.cursors WHERE chat_id = %s", chat) == [], "nothing of the turn is there"
    assert [x for x in role.log_lines() if x.get("event") == "ended"][-1]["why"].startswith("an output failed")
    role.auto_restart = True  # the partition may take its new limit a moment after the broker said so
    role.start().wait_ready(60)
    view.settle()
    role.auto_restart = False
    assert view.ticks(ticks) == [(a, chat, one, 0)]


def test_rebuild(view):
    view.settle()
    rows, ticks, dead = view.dump(), view.ticks(), letters(view, "chat.events")
    for role in ("persistence", "status", "search"):
        view.stack.role(role).stop()
    a, b, chat = an_id(), an_id(), an_id()
    seq = view.message(chat, a, peer=b)
    view.status(chat, b, "DELIVERED", seq, peer=a)
    view.flush()
    view.stack.admin("rebuild")
    assert view.rows("SELECT count(*) FROM view.messages") == [(0,)]
    for role in ("persistence", "status", "search"):
        view.stack.role(role).start().wait_ready(60)
    view.settle(120)
    wait_until(lambda: not view.rows("SELECT 1 FROM view.rejected WHERE at_ms < %s", view.clock - 30 * 86_400_000), 30, "what is too old to be dropped again")
    after = view.dump()
    for table, old in rows.items():
        lost, new = set(old) - set(after[table]), set(after[table]) - set(old)
        assert not lost and all(uuid.UUID(chat) in r for r in new), f"{table}: {len(lost)} lost, {new} new"
    assert view.ticks(ticks) == [(a, chat, seq, 0)], "only what was not told before"
    assert letters(view, "chat.events") == dead
