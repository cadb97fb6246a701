# SPDX-License-Identifier: MIT
"""Everything that a system has at rest: every record of every partition, every row, how far everybody is.

Written as JSON lines into a folder, so that a run can be checked again (`tests/faults/run --check FOLDER`).
"""
from __future__ import annotations

import json
import time
import uuid
from pathlib import Path

from checker import Data
from commits import Group
from history import read_lines
from look import ends_now, rows_now
from roles import TABLE

TABLES = {"messages": "SELECT chat_id, seq, id, sender_id, client_id, content, reply_id, reply_seq, mentions::text, forwarded, contents, preview, number FROM view.messages",
          "tallies": "SELECT * FROM view.tallies",
          # of everybody's last stay in each group, and of all stays in a direct chat, as the list of chats counts it
          "unread": "SELECT i.part, i.chat_id, i.user_id, sum(view.unread(i.part, i.chat_id, i.user_id, i.after, i.before))::bigint AS unread, "
                    "sum(view.mentioned(i.part, i.chat_id, i.user_id, i.after, i.before))::bigint AS mentioned FROM (SELECT m.part, m.chat_id, "
                    "m.user_id, greatest(coalesce(r.read, 0), m.joined_seq) AS after, coalesce(m.left_seq, 9223372036854775807) AS before, "
                    "k.kind = 0 OR m.joined_seq = max(m.joined_seq) OVER (PARTITION BY m.part, m.chat_id, m.user_id) AS counts "
                    "FROM view.members m JOIN view.chats k USING (part, chat_id) LEFT JOIN view.cursors r USING (part, chat_id, user_id)) i "
                    "WHERE i.counts GROUP BY 1, 2, 3",
          "members": "SELECT * FROM view.members", "blocks": "SELECT * FROM view.blocks", "chats": "SELECT * FROM view.chats",
          "chat_names": "SELECT * FROM view.chat_names", "users": "SELECT * FROM view.users",
          "profiles": "SELECT * FROM view.profiles", "settings": "SELECT * FROM view.settings",
          "chat_marks": "SELECT * FROM view.chat_marks",
          "rejected": "SELECT * FROM view.rejected", "cursors": "SELECT * FROM view.cursors",
          "receipts": "SELECT * FROM view.receipts", "marks": "SELECT * FROM view.marks",
          "changes": "SELECT * FROM view.changes", "versions": "SELECT chat_id, target, seq, content, preview FROM view.versions",
          "edits": "SELECT chat_id, target, seq, edit_id, encode(said, 'hex') AS said FROM view.edits",
          "reactions": "SELECT chat_id, target, user_id, seq, reaction FROM view.reactions",
          "hidden": "SELECT chat_id, user_id, target, seq FROM view.hidden",
          "pins": "SELECT chat_id, target, seq, pinned FROM view.pins",
          "stars": "SELECT chat_id, user_id, target, seq, starred FROM view.stars",
          "requests": "SELECT chat_id, user_id, invite_id, seq, expires_at, ended_seq FROM view.requests",
          "invites": "SELECT chat_id, invite_id, used, ended_seq FROM view.invites",
          "lines": "SELECT chat_id, seq, line FROM view.lines",
          "polls": "SELECT chat_id, target, options, choices, anonymous, closes_at, closed_seq, counts, voters, changed_seq FROM view.polls",
          "votes": "SELECT chat_id, target, user_id, seq, chosen FROM view.votes",
          "positions": "SELECT * FROM view.positions"}
NOT_REBUILT = ("positions", "receipts")  # where a replay may be cut elsewhere, or repeats are folded
FOLLOWED = [(topic, group) for role in TABLE for topic in role.follows for group in role.groups]
ROLE_OF = {group: role.word for role in TABLE for group in role.groups}
IN_THE_VIEW = ("persistence", "status", "search")  # whose places are rows of view.positions
STUCK = ("lag_records", "turns_repeated", "slow_partitions", "database_away")  # the numbers that show a partition which stands still

# Triggers that note whatever goes back; what the nemesis does itself (application_name nemesis) is left out.
AUDIT = """
CREATE SCHEMA audit;
CREATE TABLE audit.backwards (at timestamptz NOT NULL DEFAULT now(), what text NOT NULL, detail text NOT NULL);
CREATE FUNCTION audit.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF current_setting('application_name') <> 'nemesis' THEN
        INSERT INTO audit.backwards (what, detail)
        VALUES (TG_TABLE_NAME, TG_OP || ' ' || row_to_json(OLD)::text || ' -> ' || COALESCE(row_to_json(NEW)::text, ''));
    END IF;
    RETURN COALESCE(NEW, OLD);
END $$;
CREATE TRIGGER audit BEFORE UPDATE ON view.positions FOR EACH ROW
    WHEN (NEW.next < OLD.next OR NEW.source_next < OLD.source_next) EXECUTE FUNCTION audit.note();
CREATE TRIGGER audit BEFORE UPDATE ON view.cursors FOR EACH ROW
    WHEN (NEW.delivered < OLD.delivered OR NEW.read < OLD.read) EXECUTE FUNCTION audit.note();
CREATE TRIGGER audit BEFORE UPDATE ON view.marks FOR EACH ROW WHEN (NEW.low < OLD.low) EXECUTE FUNCTION audit.note();
CREATE TRIGGER audit BEFORE DELETE ON view.messages FOR EACH ROW EXECUTE FUNCTION audit.note();
CREATE TRIGGER emptied BEFORE UPDATE ON view.messages FOR EACH ROW
    WHEN (NEW.content <> '' OR NEW.media_id IS NOT NULL OR (NEW.seq, NEW.id, NEW.sender_id) <> (OLD.seq, OLD.id, OLD.sender_id))
    EXECUTE FUNCTION audit.note();
CREATE TRIGGER audit BEFORE UPDATE ON view.changes FOR EACH ROW
    WHEN (NEW.seq < OLD.seq OR NEW.edited_seq < OLD.edited_seq OR OLD.deleted_seq <> 0) EXECUTE FUNCTION audit.note();
CREATE TRIGGER gone BEFORE DELETE ON view.changes FOR EACH ROW EXECUTE FUNCTION audit.note();
"""


def install_audit(stack) -> None:
    with stack.db() as c:
        c.execute(AUDIT)


def plain(value):
    """As JSON has it: bytes as text, ids as text, what is only for sockets left out."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if k != "frame"}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


def read_log(stack, timeout_s: float = 120) -> dict[str, list[dict]]:
    """Every record of every topic, in order of partition and offset."""
    from confluent_kafka import Consumer, KafkaError, TopicPartition

    c = Consumer({"bootstrap.servers": stack.broker, "group.id": "faults-dump", "enable.auto.commit": False,
                  "auto.offset.reset": "error", "enable.partition.eof": True})
    found: dict[str, list[dict]] = {}
    try:
        left = {}
        for name, topic in c.list_topics(timeout=30).topics.items():
            if name.startswith("__"):
                continue
            found[name] = []
            for p in topic.partitions:
                low, high = c.get_watermark_offsets(TopicPartition(name, p), timeout=30)
                if high > low:
                    left[name, p] = (low, high)
        c.assign([TopicPartition(t, p, low) for (t, p), (low, _) in left.items()])
        quiet = 0
        while left and quiet < timeout_s:
            m = c.poll(1.0)
            if m is None:
                quiet += 1
                continue
            key = (m.topic(), m.partition())
            if m.error():
                if m.error().code() != KafkaError._PARTITION_EOF:
                    raise AssertionError(f"{key}: {m.error()}")
                left.pop(key, None)
                continue
            if key not in left:
                continue
            found[m.topic()].append(record(stack, m))
            if m.offset() + 1 >= left[key][1]:
                del left[key]
        assert not left, f"the log's end was not reached: {left}"
    finally:
        c.close()
    for records in found.values():
        records.sort(key=lambda r: (r["p"], r["o"]))
    return found


def record(stack, m) -> dict:
    raw = m.value()
    r = {"p": m.partition(), "o": m.offset(), "k": (m.key() or b"").decode("utf-8", "replace"), "t": m.timestamp()[1], "v": None}
    if m.topic().endswith(".dlq"):
        r["h"] = {k: (v or b"").decode("utf-8", "replace") for k, v in m.headers() or []}
        r["raw"] = (raw or b"").hex()[:200]
        return r
    if raw is not None:
        try:
            r["v"] = plain(stack.decode(raw)[1])
        except Exception:  # noqa: BLE001  (poison)
            r["raw"] = raw.hex()[:200]
    return r


def read_tables(stack, names=TABLES) -> dict[str, list[dict]]:
    return {name: [plain(r) for r in rows_now(stack, TABLES[name])] for name in names}


def behind(stack) -> list[dict]:
    """Partitions of which a consumer lacks something: positions in the view, commits of everybody else."""
    return _behind(stack, _ends(stack))


def behind_still(stack, seconds: float = 30) -> list[dict]:
    """The same once nobody lacks anything, or after so long: gateways say every few seconds that they are alive, and one look may
    come between such a record and its commit."""
    until_s = time.monotonic() + seconds
    while (lacking := behind(stack)) and time.monotonic() < until_s:
        time.sleep(0.2)
    return lacking


def _ends(stack) -> dict[tuple[str, int], int]:
    return ends_now(stack, sorted({topic for topic, _ in FOLLOWED}))


def _behind(stack, ends) -> list[dict]:
    have = {(r["consumer"], r["topic"], r["partition"]): r["next"] for r in rows_now(stack, "SELECT * FROM view.positions")}
    for topic, group in FOLLOWED:
        if group not in IN_THE_VIEW:
            with Group(stack.broker, group) as g:
                for c in g.read(topic, 1 + max(p for t, p in ends if t == topic)):
                    have[group, topic, c.partition] = c.offset
    return [{"group": group, "topic": topic, "partition": p, "end": end, "next": have.get((group, topic, p), 0)}
            for topic, group in FOLLOWED for (t, p), end in sorted(ends.items())
            if t == topic and have.get((group, topic, p), 0) != end and end > 0]


def standing(stack) -> list[dict]:
    """Each group, what it lacks, and whether a number of one of its copies shows that; a copy that does not answer shows it, too,
    and so do partitions that nobody owns (a copy that ended keeps its own for a session), and a broker or a database that is away."""
    groups = sorted(ROLE_OF)
    try:
        ends = _ends(stack)
        lacking, wanted = _behind(stack, ends), _partitions(ends)
    except Exception:  # noqa: BLE001  (whichever of the two is away)
        return [{"group": g, "shown": True, "behind": []} for g in groups]
    return [{"group": g, "shown": _shows(stack, ROLE_OF[g], wanted[ROLE_OF[g]]), "behind": [x for x in lacking if x["group"] == g]}
            for g in groups]


def _partitions(ends) -> dict[str, int]:
    """How many partitions the copies of each role own together."""
    return {role: sum(t == topic for topic, group in FOLLOWED if ROLE_OF[group] == role for t, _ in ends) for role in ROLE_OF.values()}


def _shows(stack, role: str, wanted: int) -> bool:
    owned = 0
    for i in range(stack.services.copies.get(role, 1)):
        try:
            numbers = stack.metrics(role, i)
        except (OSError, AssertionError):
            return True
        if any(numbers.get(name) for name in STUCK):
            return True
        owned += numbers.get("partitions", 0)
    return owned < wanted


def commits(stack) -> list[dict]:
    """How far each group has committed in Kafka (-1: nothing), beside the ends of the log."""
    from confluent_kafka import Consumer, TopicPartition

    found = []
    c = Consumer({"bootstrap.servers": stack.broker, "group.id": "faults-dump", "enable.auto.commit": False})
    try:
        meta = c.list_topics(timeout=30).topics
        for topic, group in FOLLOWED:
            with Group(stack.broker, group) as g:
                for x in g.read(topic, len(meta[topic].partitions)):
                    first, end = c.get_watermark_offsets(TopicPartition(topic, x.partition), timeout=30)
                    found.append({"group": group, "topic": topic, "partition": x.partition, "at": x.offset, "first": first, "end": end})
    finally:
        c.close()
    return found


def save(folder: Path, topics: dict, tables: dict, meta: dict) -> None:
    for kind, all_of in (("topic", topics), ("table", tables)):
        for name, rows in all_of.items():
            with open(folder / f"{kind}-{name}.jsonl", "w", encoding="utf-8") as out:
                for r in rows:
                    out.write(json.dumps(r, ensure_ascii=False, default=str) + "\n")
    (folder / "meta.json").write_text(json.dumps(meta, default=str))


def load(folder: Path) -> Data:
    def of(kind):
        return {p.name[len(kind) + 1:-6]: read_lines(p) for p in folder.glob(f"{kind}-*.jsonl")}

    return Data(read_lines(folder / "history.jsonl"), of("topic"), of("table"), json.loads((folder / "meta.json").read_text()))
