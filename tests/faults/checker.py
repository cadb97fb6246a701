# SPDX-License-Identifier: MIT
"""What must hold after any faults: each invariant is a function of the history, every partition and every table.

    check(data) -> [Line]      one line an invariant; line.bad says what broke it, line.n what was looked at

Nothing here talks to a process: test_checker.py gives it small worlds with planted anomalies. Numbers I1 to I23 are
those of docs/guarantees.md. The log is the witness: membership, order and verdicts are worked out anew from chat.actions
and chat.events, never taken from the tables or topics that the system made from them.
"""
from __future__ import annotations

import collections
import functools
from dataclasses import dataclass, field
from typing import Any

from beside import said_beside

OFFSET = (1 << 48) - 1
DEDUPE_MS = 10 * 60 * 1000
FD_SLACK = 12
NEAR_MB = 64  # what a process may hold more than at the beginning, once a fault is over: caches, and state that grew with use
NEAR_FDS = {"edge-ws": 100, "edge-rest": 260}  # their clients come and go
CLOCK_MS = 50  # between two clocks of one machine, of which one counts in whole milliseconds
FDS = "fds"


@dataclass
class Line:
    name: str
    what: str
    n: str = ""  # counts, for people
    bad: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.bad

    def __str__(self) -> str:
        text = f"{'ok  ' if self.ok else 'FAIL'} {self.name:4} {self.what}: {self.n}"
        if self.bad:
            text += f"; {len(self.bad)} broken:" + "".join(f"\n       {b}" for b in self.bad[:8])
        return text


@dataclass
class Data:
    """`history`: its lines. `topics`: name → [{"p", "o", "k", "t" (ms), "v"}], v decoded, None for a tombstone or poison
    ("raw" then has its bytes as hex). `tables`: name → rows. `meta`: see dump.py."""

    history: list[dict]
    topics: dict[str, list[dict]]
    tables: dict[str, list[dict]]
    meta: dict[str, Any]

    def lines(self, *kinds: str) -> list[dict]:
        return [x for k in kinds for x in self.by_kind.get(k, ())]

    @functools.cached_property
    def by_kind(self) -> dict[str, list[dict]]:
        found = collections.defaultdict(list)
        for x in self.history:
            found[x["e"]].append(x)
        return found

    def records(self, topic: str) -> list[dict]:
        return [r for r in self.topics.get(topic, ()) if r["v"] is not None]

    @functools.cached_property
    def marks(self) -> dict[str, int]:
        return {x["name"]: x["n"] for x in self.lines("mark")}

    @functools.cached_property
    def devices(self) -> dict[str, dict]:
        return {x["device"]: x for x in self.lines("device")}

    # ---- the log, read as anybody may read it ----------------------------------------------------

    @functools.cached_property
    def events(self) -> list[dict]:
        """Facts of chat.events, each source once, in order of (partition, source)."""
        first: dict[tuple[int, int], dict] = {}
        for r in self.records("chat.events"):
            v = r["v"]
            first.setdefault((v["source"]["partition"], v["source"]["offset"]), {**v, "p": r["p"], "o": r["o"], "t": r["t"]})
        return [first[k] for k in sorted(first)]

    @functools.cached_property
    def copies(self) -> dict[tuple[str, str, str], list[dict]]:
        """Every time that a client id was stored: records of chat.actions in their order, by (chat, sender, client id)."""
        found = collections.defaultdict(list)
        for r in self.records("chat.actions"):
            found[r["v"]["chatId"], r["v"]["userId"], r["v"]["clientId"]].append(r)
        return found

    @functools.cached_property
    def messages(self) -> dict[str, dict]:
        """Accepted messages by id: the first place of each."""
        found: dict[str, dict] = {}
        for e in self.events:
            kind, fact = e["event"]
            if kind.endswith("MessageAccepted"):
                found.setdefault(fact["id"], {
                    "id": fact["id"], "chat": e["chatId"], "seq": e["seq"], "sender": e["userId"], "cid": e["clientId"],
                    "peer": fact["peer"], "content": fact["content"], "beside": said_beside(fact), "t": e["t"]})
        return found

    @functools.cached_property
    def changes(self) -> dict[str, list[dict]]:
        """Message → what changed it, in order of seq: edits, and at the end its deletion. What names no message counts for nothing."""
        found = collections.defaultdict(list)
        for e in self.events:
            kind = e["event"][0].rpartition(".")[2]
            fact = e["event"][1]
            m = self.messages.get(fact["messageId"]) if kind in ("MessageDeleted", "MessageEdited") else None
            if not m or (m["seq"], m["chat"]) != (fact["messageSeq"], e["chatId"]):
                continue
            before = found[m["id"]]
            if not before or not before[-1]["deleted"]:
                before.append({"seq": e["seq"], "deleted": kind == "MessageDeleted", "content": fact.get("content", ""), "by": e["userId"],
                               "p": e["p"], "offset": e["source"]["offset"]})
        return found

    @functools.cached_property
    def signs(self) -> dict[str, list[dict]]:
        """Message → reactions to it, in order of seq, as far as it was not deleted."""
        found = collections.defaultdict(list)
        for e in self.events:
            fact = e["event"][1]
            m = self.messages.get(fact["messageId"]) if e["event"][0].endswith("ReactionChanged") else None
            if not m or (m["seq"], m["chat"]) != (fact["messageSeq"], e["chatId"]):
                continue
            end = next((c["seq"] for c in self.changes.get(m["id"], ()) if c["deleted"]), None)
            if not end or e["seq"] < end:
                found[m["id"]].append({"seq": e["seq"], "by": e["userId"], "reaction": fact["reaction"]})
        return found

    @functools.cached_property
    def hidden(self) -> dict[tuple[str, str], int]:
        """(user, message) → the seq at which the user hid it first. What names no message counts for nothing."""
        found: dict[tuple[str, str], int] = {}
        for e in self.events:
            for x in e["event"][1]["messages"] if e["event"][0].endswith("MessagesHidden") else ():
                m = self.messages.get(x["id"])
                if m and (m["seq"], m["chat"]) == (x["seq"], e["chatId"]):
                    found.setdefault((e["userId"], m["id"]), e["seq"])
        return found

    def content_at(self, message: str, edited: int, deleted: bool) -> str | None:
        """What the message says as of that edit; None: there is no such edit."""
        if deleted:
            return ""
        if not edited:
            return self.messages[message]["content"]
        return next((x["content"] for x in self.changes.get(message, ()) if x["seq"] == edited and not x["deleted"]), None)

    @functools.cached_property
    def states(self) -> dict[tuple[str, str], list[dict]]:
        """(device, message) → what the device showed of a message that was changed, in order."""
        found = collections.defaultdict(list)
        for x in self.lines("changed"):
            found[x["device"], x["id"]].append(x)
        return found

    @functools.cached_property
    def late(self) -> set[str]:
        """Messages accepted when all was quiet already: who had been away came back and sent again what had no verdict for them."""
        quiet = next(x["at"] for x in self.lines("mark") if x["name"] == "quiet")
        since = self.meta["began_ms"] + quiet * 1000 if self.meta.get("began_ms") else float("inf")
        return {m["id"] for m in self.messages.values() if m["t"] > since}

    @functools.cached_property
    def by_key(self) -> dict[tuple[str, str, str], dict]:
        return {(m["chat"], m["sender"], m["cid"]): m for m in self.messages.values()}

    @functools.cached_property
    def stays(self) -> dict[str, dict[str, list[list]]]:
        """Group → user → [[joined, left or None]], from chat.events alone."""
        found: dict[str, dict[str, list[list]]] = {}
        for e in self.events:
            kind, fact = e["event"]
            kind = kind.rpartition(".")[2]
            group = found.setdefault(e["chatId"], {}) if kind in ("GroupStarted", "MembershipChanged") else None
            if kind == "GroupStarted":
                for m in fact["members"]:
                    group.setdefault(m["userId"], []).append([e["seq"], None])
            elif kind == "MembershipChanged":
                for c in fact["changes"]:
                    mine = group.setdefault(c["userId"], [])
                    if c["change"] == "ADD" and not (mine and mine[-1][1] is None):
                        mine.append([e["seq"], None])
                    elif c["change"] == "REMOVE" and mine and mine[-1][1] is None:
                        mine[-1][1] = e["seq"]
        return found

    @functools.cached_property
    def pairs(self) -> dict[str, set[str]]:
        """Direct chat → its two users."""
        found = {x["chat"]: set(x["users"]) for x in self.lines("chat") if x["kind"] == "direct"}
        for m in self.messages.values():
            if m["peer"]:
                found.setdefault(m["chat"], {m["sender"], m["peer"]})
        return found

    @functools.cached_property
    def parted(self) -> dict[str, dict[str, list[list]]]:
        """Direct chat in which somebody blocked the other → user who did → his stays."""
        found: dict[str, dict[str, list[list]]] = {}
        for e in self.events:
            if not e["event"][0].endswith("BlockChanged"):
                continue
            mine = found.setdefault(e["chatId"], {}).setdefault(e["userId"], [[0, None]])
            if e["event"][1]["blocked"] and mine[-1][1] is None:
                mine[-1][1] = e["seq"]
            elif not e["event"][1]["blocked"] and mine[-1][1] is not None:
                mine.append([e["seq"], None])
        return found

    def stays_of(self, chat: str, user: str) -> list[list]:
        if chat in self.pairs:
            return self.parted.get(chat, {}).get(user, [[0, None]]) if user in self.pairs[chat] else []
        return self.stays.get(chat, {}).get(user, [])

    def is_member(self, chat: str, user: str, seq: int) -> bool:
        return any(j < seq and (left is None or seq < left) for j, left in self.stays_of(chat, user))

    def audience(self, m: dict) -> list[str]:
        if m["chat"] in self.pairs:
            return [u for u in sorted(self.pairs[m["chat"]]) if self.is_member(m["chat"], u, m["seq"])]
        return [u for u in self.stays.get(m["chat"], {}) if self.is_member(m["chat"], u, m["seq"])]

    # ---- the history --------------------------------------------------------------------------------

    @functools.cached_property
    def sends(self) -> dict[tuple[str, str, str], dict]:
        """(chat, user, client id) → what was asked and what was answered, over all devices and tries."""
        found: dict[tuple[str, str, str], dict] = {}
        for x in self.history:
            if x["e"] == "send":
                s = found.setdefault((x["chat"], x["user"], x["cid"]), {
                    "first": x["n"], "content": x["content"], "ack": None, "ack_at": None, "ids": set(), "fails": [], "unsure": 0, "tries": 0,
                    "codes": set(), "verdicts": [], "seqs": set(), "sure_no": True})
                s["tries"] += 1
                s["sure_no"] &= x["via"] == "rest"
        by_cid = {(user, cid): s for (_, user, cid), s in found.items()}
        for x in self.history:
            s = by_cid.get((x.get("user"), x.get("cid"))) if "cid" in x else None
            if not s or x["e"] in ("send", "show"):
                continue
            if x["e"] == "ack":
                if not s["ack"]:
                    s["ack"], s["ack_at"] = x["n"], x["at"]
                s["ids"].add(x["id"])
                s["seqs"] |= {x["seq"]} if x.get("seq") else set()
            elif x["e"] == "fail":
                s["fails"].append(x["code"])
            elif x["e"] in ("unknown", "nack"):
                s["unsure"] += 1
                s["codes"].add(x.get("code"))
            elif x["e"] == "verdict":
                s["verdicts"].append(x)
                s["ids"].add(x["id"])
                s["seqs"] |= {x["seq"]} if x.get("seq") else set()
        return found

    @functools.cached_property
    def shown(self) -> dict[str, dict[str, dict]]:
        """Device → message id → where it was first shown."""
        found: dict[str, dict[str, dict]] = collections.defaultdict(dict)
        for x in self.lines("show"):
            found[x["device"]].setdefault(x["id"], x)
        return found

    @functools.cached_property
    def view(self) -> dict[str, list[dict]]:
        found = collections.defaultdict(list)
        for r in self.tables.get("messages", ()):
            found[r["id"]].append(r)
        return found


def short(x: Any) -> str:
    return str(x)[:150]


# ---- the invariants ------------------------------------------------------------------------------------


def i1_acked_is_kept(d: Data) -> Line:
    line = Line("I1", "acknowledged: in the log, and in the view exactly once or rejected with a reason")
    rejected = {(r["v"]["chatId"], r["v"]["userId"], r["v"]["clientId"]): r["v"]["code"] for r in d.records("rejections")}
    asked = d.copies
    rows = collections.Counter((r["chat_id"], r["sender_id"], r["client_id"]) for r in d.tables["messages"])
    acked = kept = refused = 0
    for key, s in d.sends.items():
        if not s["ack"]:
            continue
        acked += 1
        if key not in asked:
            line.bad.append(f"acked, not in chat.actions: {key}")
        elif d.meta.get("began_ms") and asked[key][0]["t"] > d.meta["began_ms"] + s["ack_at"] * 1000 + CLOCK_MS:
            # sent again, it is there; what was acknowledged is not
            line.bad.append(f"acked at {s['ack_at']} s, and its first copy in chat.actions is younger: {key}")
        if rows[key] == 1:
            kept += 1
        elif rows[key] > 1:
            line.bad.append(f"{rows[key]} rows: {key}")
        elif rejected.get(key):
            refused += 1
        else:
            line.bad.append(f"acked and lost: {key}, event {short(d.by_key.get(key))}")
    line.n = f"{acked} acked, {kept} kept, {refused} rejected"
    line.n += "" if d.meta.get("began_ms") else ", times not kept"
    if not acked:
        line.bad.append("nothing was acked")
    return line


def i2_nothing_from_nowhere(d: Data) -> Line:
    line = Line("I2", "every row was sent as it stands, and was not refused at the door")
    for r in d.tables["messages"]:
        s = d.sends.get((r["chat_id"], r["sender_id"], r["client_id"]))
        if not s:
            line.bad.append(f"never sent: {short(r)}")
        elif r["content"] != (s["content"] if not (changes := d.changes.get(r["id"])) or not changes[-1]["deleted"] else ""):
            line.bad.append(f"sent as {s['content']!r}, row has {r['content']!r}")
        elif s["fails"] and s["sure_no"] and not s["unsure"] and not s["ack"] and s["tries"] == len(s["fails"]):
            line.bad.append(f"refused with {s['fails']} and there all the same: {short(r)}")
        first = d.by_key.get((r["chat_id"], r["sender_id"], r["client_id"]))
        if not first or (first["id"], first["seq"]) != (r["id"], r["seq"]):
            line.bad.append(f"row {short(r)} is not the first event {short(first)}")
    view = {r["id"] for r in d.tables["messages"]}
    line.bad += [f"accepted, not in the view: {short(m)}" for i, m in d.messages.items() if i not in view]
    line.n = f"{len(d.tables['messages'])} rows, {len(d.messages)} accepted"
    return line


def _lacking(d: Data, device: dict, until: int | None) -> list[str]:
    have = d.shown.get(device["device"], {})
    return [m["id"] for m in d.messages.values() if device["user"] in d.audience(m)
            and (m["id"] not in have or (until and have[m["id"]]["n"] > until))]


def _ready_at(d: Data, until: int) -> dict[str, int]:
    """Devices that are caught up at that moment, with the number of the line that says so."""
    up: dict[str, int] = {}
    for x in sorted(d.lines("caught_up", "closed", "ready"), key=lambda x: x["n"]):
        if x["n"] > until:
            break
        if x["e"] == "caught_up":
            up[x["device"]] = x["n"]
        else:
            up.pop(x["device"], None)
    return up


def i3_live_devices_have_all(d: Data) -> Line:
    line = Line("I3", "a device that stayed has shown everything of its chats, each once")
    quiet = d.marks["quiet"]
    up = _ready_at(d, quiet)
    for device in up:
        lacks = [i for i in _lacking(d, d.devices[device], quiet) if i not in d.late]
        if lacks:
            line.bad.append(f"{d.devices[device]['c']} lacks {len(lacks)}: {[short(d.messages[i]) for i in lacks[:2]]}")
    line.bad += _shown_twice(d)
    live = sum(x["how"] == "live" for x in d.lines("show"))
    line.n = f"{len(up)} devices, {len(d.lines('show'))} shown, {live} of them live"
    if not up or not live:
        line.bad.append("nobody was there")
    return line


def _shown_twice(d: Data) -> list[str]:
    counts = collections.Counter((x["device"], x["id"]) for x in d.lines("show"))
    return [f"shown {n} times: {k}" for k, n in counts.items() if n > 1]


def i4_late_devices_have_all(d: Data) -> Line:
    line = Line("I4", "a device that was away, or is new, has all of it after its sync")
    quiet, end = d.marks["quiet"], d.marks["end"]
    before, after = _ready_at(d, quiet), _ready_at(d, end)
    late = [x for x in after if after[x] != before.get(x)]
    for device in late:
        lacks = _lacking(d, d.devices[device], end)
        if lacks:
            line.bad.append(f"{d.devices[device]['c']} lacks {len(lacks)}: {[short(d.messages[i]) for i in lacks[:2]]}")
    missing = {x["device"] for x in d.lines("device") if not x.get("mute")} - set(after)
    line.bad += [f"not online at the end: {d.devices[x]['c']}" for x in missing]
    line.n = f"{len(late)} devices"
    if not late:
        line.bad.append("nobody was away")
    return line


def i5_one_order(d: Data) -> Line:
    line = Line("I5", "one order for all: rows, events and readers agree, and what was acked before comes before")
    for i, m in d.messages.items():
        for r in d.view.get(i, ()):
            if (r["chat_id"], r["seq"]) != (m["chat"], m["seq"]):
                line.bad.append(f"{i}: log says {m['seq']}, row {r['seq']}")
    for x in d.lines("show"):
        m = d.messages.get(x["id"])
        contents = {m["content"], *(c["content"] for c in d.changes.get(x["id"], ()))} if m else set()
        contents |= {""} if (x["user"], x["id"]) in d.hidden else set()
        beside = m["beside"] if m and x["content"] else x.get("beside", {})  # of a deleted one nothing is told
        if (not m or (m["seq"], m["chat"], m["sender"], beside) != (x["seq"], x["chat"], x["sender"], x.get("beside", {}))
                or x["content"] not in contents):
            line.bad.append(f"shown {short(x)}, log has {short(m)}")
    chats = collections.defaultdict(list)
    for m in d.messages.values():
        chats[m["chat"]].append(m)
    compared = 0
    # What was acknowledged is the first copy. When that one was refused, a later one may have been accepted, and stands
    # where it stands; the first must stand before, all the same.
    refused = {(r["v"]["source"]["partition"], r["v"]["source"]["offset"]) for r in d.records("rejections")}
    for ms in chats.values():
        latest, what, place = 0, None, 0  # the latest beginning among those so far, and its place
        for m in sorted(ms, key=lambda m: m["seq"]):
            s = d.sends.get((m["chat"], m["sender"], m["cid"]))
            if not s:
                continue
            compared += 1
            first = next(iter(d.copies.get((m["chat"], m["sender"], m["cid"]), ())), None)
            if s["ack"] and s["ack"] < latest and not (
                    first and (first["p"], first["o"]) in refused and first["o"] < place & OFFSET):
                line.bad.append(f"{m['id']} was acked before {what} was sent, and stands after it")
            if s["first"] > latest:
                latest, what, place = s["first"], m["id"], m["seq"]
    line.n = f"{len(chats)} chats, {compared} messages, {len(d.lines('show'))} shown"
    return line


def i6_never_to_a_stranger(d: Data) -> Line:
    line = Line("I6", "nobody is shown or pushed what was said while he was not a member")
    for x in d.lines("show"):
        if not d.is_member(x["chat"], x["user"], x["seq"]):
            line.bad.append(f"{x['c']} was shown {x['id']} at {x['seq']} of {x['chat']}")
    pushes = d.records("mobile.push")
    for r in pushes:
        v = r["v"]
        line.bad += [f"pushed to {u}: {short(v)}" for u in v.get("users") or [v["userId"]] if not d.is_member(v["chatId"], u, v["seq"] + bool(v.get("added")))]
    routed = 0
    for r in d.records("ws.push"):
        for e in r["v"]["entries"]:
            if e["class"] != "MESSAGE" or e["kind"] != "FRAME":
                continue
            for to in e["to"]:
                routed += 1
                m = d.messages.get(e["messageId"])
                own = m and to["userId"] == m["sender"]
                if not own and not d.is_member(e["chatId"], to["userId"], e["seq"]):
                    line.bad.append(f"routed to {to['userId']}: {e['messageId']} at {e['seq']}")
    line.n = f"{len(d.lines('show'))} shown, {len(pushes)} pushed, {routed} routed"
    return line


def i7_ticks(d: Data) -> Line:
    line = Line("I7", "ticks only go forward, say what is true, and everybody is told")
    line.bad += [f"went back: {short(r)}" for r in d.meta.get("audit", ()) if r["what"] in ("cursors", "marks")]
    line.bad += _ticks_that_lie(d)
    line.bad += _cursors_that_differ(d)
    line.bad += _ticks_not_told(d)
    line.bad += _receipts_lost(d)
    line.n = f"{len(d.lines('tick'))} ticks told, {len(d.tables['cursors'])} cursors"
    return line


READ = ("READ", "READ_HIDDEN")


def _told(cursor: dict) -> int:
    """How far others may be told that he has read."""
    return cursor["read"] if cursor.get("told") is None else cursor["told"]


def _ticks_that_lie(d: Data) -> list[str]:
    """A tick needs a receipt of each of the others that is at least as high and was begun before; of a device that knows that its read
    receipts are off, none says `read`."""
    bad = []
    claimed: dict[tuple[str, str, str], int] = collections.defaultdict(int)
    chats = _unchanging(d)
    turned: dict[str, dict] = {}  # user → how he turned his read receipts last
    knows: dict[str, str] = {}  # device → of which turn it was told last
    for x in sorted(d.lines("receipt", "tick", "turn", "hides"), key=lambda x: x["n"]):
        if x["e"] == "turn":
            turned[x["user"]] = x
        if x["e"] == "hides":
            knows[x["device"]] = x["about"]
        users = chats.get(x.get("chat"))
        if not users:
            continue
        if x["e"] == "receipt":
            turn = turned.get(x["user"], {"on": True})
            hidden = not turn["on"] and knows.get(x["device"]) == turn["about"]  # nobody is to be told
            for kind, seq in (("delivered", max(x["delivered"], x["read"])), ("read", 0 if hidden else x["read"])):
                key = (x["chat"], x["user"], kind)
                claimed[key] = max(claimed[key], seq)
            continue
        for kind in ("delivered", "read"):
            said = min(max(claimed[x["chat"], u, kind], joined) for u, joined in users.items() if u != x["user"])
            if x[kind] > said:
                bad.append(f"{x['c']} was told {kind} {x[kind]} of {x['chat']}, the others had said {said}")
    return bad


def _unchanging(d: Data) -> dict[str, dict[str, int]]:
    """Chat → user → where he joined, of chats in which nobody ever left or came later."""
    found = {c: dict.fromkeys(users, 0) for c, users in d.pairs.items() if c not in d.parted}
    for c, users in d.stays.items():
        if all(len(s) == 1 and s[0][1] is None for s in users.values()) and len({s[0][0] for s in users.values()}) == 1:
            found[c] = {u: s[0][0] for u, s in users.items()}
    return found


def _cursors_that_differ(d: Data) -> list[str]:
    want: dict[tuple[str, str], list[int]] = collections.defaultdict(lambda: [0, 0, 0])
    chats = _unchanging(d)
    for r in d.records("delivery.status"):
        v = r["v"]
        joined = chats.get(v["chatId"], {}).get(v["userId"])
        if v["kind"] == "MEMBERS" or joined is None or v["seq"] <= joined:
            continue
        w = want[v["chatId"], v["userId"]]
        w[0] = max(w[0], v["seq"])
        if v["kind"] in READ:
            w[1] = max(w[1], v["seq"])
        if v["kind"] == "READ":
            w[2] = max(w[2], v["seq"])
    have = {(r["chat_id"], r["user_id"]): [r["delivered"], r["read"], _told(r)] for r in d.tables["cursors"] if r["chat_id"] in chats}
    return [f"cursor of {k}: {have.get(k)}, the log says {want.get(k)}" for k in {*want, *have} if want.get(k) != have.get(k)]


def _ticks_not_told(d: Data) -> list[str]:
    """What a device that stayed online shows as delivered and read, against the cursors of all others."""
    bad = []
    quiet = d.marks["quiet"]
    up = _ready_at(d, quiet)
    cursors = {(r["chat_id"], r["user_id"]): (r["delivered"], _told(r)) for r in d.tables["cursors_quiet"]}
    turned = {x["user"] for x in d.lines("turn")}  # who is not told what others read, now and then
    told: dict[tuple[str, str], list[int]] = collections.defaultdict(lambda: [0, 0])
    for x in d.lines("tick"):
        if x["n"] <= quiet:
            t = told[x["device"], x["chat"]]
            t[0], t[1] = max(t[0], x["delivered"]), max(t[1], x["read"])
    mine = collections.defaultdict(list)
    for m in d.messages.values():
        mine[m["chat"], m["sender"]].append(m["seq"])
    for chat, users in _unchanging(d).items():
        for device in up:
            user = d.devices[device]["user"]
            if user not in users:
                continue
            for k, kind in enumerate(("delivered",) if user in turned else ("delivered", "read")):
                level = min((max(cursors.get((chat, u), (0, 0))[k], j) for u, j in users.items() if u != user), default=0)
                due = max((s for s in mine[chat, user] if s <= level), default=0)
                if told[device, chat][k] < due:
                    bad.append(f"{d.devices[device]['c']} was told {kind} {told[device, chat][k]} of {chat}, all others have {due}")
    return bad


def _receipts_lost(d: Data) -> list[str]:
    """What a client said is what delivery.status has: of each device that stayed until all was quiet, and of nobody more."""
    bad = []
    have: dict[tuple[str, str], list[int]] = collections.defaultdict(lambda: [0, 0])
    for r in d.records("delivery.status"):
        v = r["v"]
        if v["kind"] == "MEMBERS":
            continue
        h = have[v["chatId"], v["userId"]]
        h[0] = max(h[0], v["seq"])
        if v["kind"] in READ:
            h[1] = max(h[1], v["seq"])
    quiet, up = d.marks["quiet"], _ready_at(d, d.marks["quiet"])
    last = collections.defaultdict(int)  # chat → its last message: what lies beyond is refused
    for m in d.messages.values():
        last[m["chat"]] = max(last[m["chat"]], m["seq"])
    said: dict[tuple[str, str], list[int]] = collections.defaultdict(lambda: [0, 0])
    chats = _unchanging(d)
    # a gateway makes one of what a device says of a chat in a moment: with a bad one in it all of it is refused, and that is told
    spoilt = {(x["device"], x["chat"]) for x in d.lines("bad_receipt")}
    for x in d.lines("receipt"):
        s, seqs = said[x["chat"], x["user"]], (max(x["delivered"], x["read"]), x["read"])
        s[0], s[1] = max(s[0], seqs[0]), max(s[1], seqs[1])
        if not up.get(x["device"], quiet) < x["n"] <= quiet or x["user"] not in chats.get(x["chat"], ()) or (x["device"], x["chat"]) in spoilt:
            continue
        h = have[x["chat"], x["user"]]
        bad += [f"{x['c']} said {kind} {seq} of {x['chat']}, delivery.status has {h[k]}"
                for k, (kind, seq) in enumerate(zip(("delivered", "read"), seqs)) if h[k] < seq <= last[x["chat"]]]
    users = {x["user"] for x in d.devices.values()}
    bad += [f"nobody said {kind} {h[k]} of {chat} for {user}, who said {said[chat, user][k]}" for (chat, user), h in have.items()
            if user in users for k, kind in enumerate(("delivered", "read")) if h[k] > said[chat, user][k]]
    return bad


def i8_none_or_one(d: Data) -> Line:
    line = Line("I8", "a send whose outcome was unknown ends as none or one; the same client id has one id for all")
    unknown = repeated = 0
    for key, s in d.sends.items():
        unknown += not s["ack"]
        repeated += s["tries"] > 1 or s["unsure"] > 0
        if len(s["ids"]) > 1:
            line.bad.append(f"{key}: ids {s['ids']}")
        if len(s["seqs"]) > 1:
            line.bad.append(f"{key}: seqs {s['seqs']}")
    ids = collections.Counter(r["id"] for r in d.tables["messages"])
    line.bad += [f"{n} rows of {i}" for i, n in ids.items() if n > 1]
    line.n = f"{unknown} never acked, {repeated} sent more than once"
    return line


def i9_positions(d: Data) -> Line:
    line = Line("I9", "positions only go forward and reach the ends; dead letters are the injected poison, each and only")
    line.bad += [f"went back: {short(r)}" for r in d.meta.get("audit", ()) if r["what"] in ("positions", "messages")]
    line.bad += [f"behind: {short(x)}" for x in d.meta.get("behind", ())]
    commits = d.meta.get("commits", ())
    line.bad += [f"outside of its log: {short(x)}" for x in commits if x["at"] >= 0 and not x["first"] <= x["at"] <= x["end"]]
    line.bad += _standing_still(d)
    want: collections.Counter = collections.Counter((x["topic"], x["partition"], x["raw"]) for x in d.lines("poison"))
    got: collections.Counter = collections.Counter()
    for name, records in d.topics.items():
        if name.endswith(".dlq"):
            for r in records:
                got[name[:-4], int(r["h"]["src_partition"]), r["raw"]] += 1
                if r["h"].get("error", "").startswith("killed"):  # no fault here plants a record that kills
                    line.bad.append(f"accused of killing its process: {name} partition {r['h']['src_partition']} offset {r['h'].get('src_offset')}")
    line.bad += [f"no dead letter: {short(k)}" for k in want if not got[k]]
    line.bad += [f"a dead letter that nobody injected: {short(k)}" for k in got if not want[k]]
    line.n = f"{len(d.tables.get('positions', ()))} positions, {len(commits)} commits, {sum(want.values())} poison, {sum(got.values())} dead letters"
    return line


STILL_S = {"edge-ws": 100.0}  # a socket that says no ok holds its slot for so long …
STILL_MOST_S = 20.0  # … nothing else holds anything


def _standing_still(d: Data) -> list[str]:
    """A partition that stands before its end shows it: records not read, turns that repeat, a database that is away."""
    bad: dict[tuple, str] = {}
    since: dict[tuple, tuple[int, float]] = {}  # place → where it stands, and since when that is shown by nothing
    for x in sorted(d.lines("lag"), key=lambda x: x["n"]):
        behind = {(x["group"], b["topic"], b["partition"]): b["next"] for b in x["behind"]}
        for place in [p for p in since if p[0] == x["group"] and (x["shown"] or behind.get(p) != since[p][0])]:
            del since[place]
        for place, at in behind.items() if not x["shown"] else ():
            begun = since.setdefault(place, (at, x["at"]))[1]
            if x["at"] - begun > STILL_S.get(x["group"], STILL_MOST_S):
                bad[place] = f"{place} stands at {at} since {begun} s, and no number shows it"
    return list(bad.values())


def i10_rebuilt(d: Data) -> Line:
    line = Line("I10", "the view made anew from the log has the same rows")
    again = d.meta.get("rebuilt")
    if again is None:
        line.n = "not asked for"
        return line
    # what a loss of power took from delivery.status was made again, and has another place there
    moved = {"marks": {"src_next"}} if any(x["fault"] == "F25" for x in d.lines("fault")) else {}
    for name, rows in again.items():
        a, b = (collections.Counter(repr(sorted((k, v) for k, v in r.items() if k not in moved.get(name, ()))) for r in side)
                for side in (d.tables[name], rows))
        line.bad += [f"{name}: only before: {short(x)}" for x in list((a - b))[:3]]
        line.bad += [f"{name}: only after: {short(x)}" for x in list((b - a))[:3]]
    line.n = f"{len(again)} tables, {sum(map(len, again.values()))} rows"
    return line


def i11_memory(d: Data) -> Line:
    line = Line("I11", "memory stays below its cap; both it and descriptors come back after each fault, and at the end")
    after = d.lines("after")
    for x in after:
        for name, (mb, fds) in x["of"].items():
            base_mb, base_fds = x["base"][name]
            slack = NEAR_FDS.get(name.rpartition("-")[0], FD_SLACK)
            if mb > base_mb + NEAR_MB or fds > base_fds + slack:
                line.bad.append(f"{name} after {x['fault']} at {x['at']} s: {mb} MB, {fds} descriptors; {base_mb} and {base_fds} before")
    m = d.meta.get("memory", {})
    for name, x in m.items():
        if x["most_mb"] > x["cap_mb"]:
            line.bad.append(f"{name}: {x['most_mb']} MB, cap {x['cap_mb']}")
        if x["fds_end"] > x["fds_base"] + FD_SLACK:
            line.bad.append(f"{name}: {x['fds_end']} descriptors, {x['fds_base']} at the beginning")
    most = max(m.items(), key=lambda kv: kv[1]["most_mb"], default=("nobody", {"most_mb": 0}))
    line.n = f"{len(m)} processes, most {most[0]} {most[1]['most_mb']} MB, looked at after {len(after)} faults"
    return line


def i12_recovery(d: Data) -> Line:
    line = Line("I12", "after each fault new sends are accepted again")
    back = d.lines("recovered")
    line.bad += [f"{x['fault']} at {x['at']} s: {x['why']}" for x in d.lines("not_recovered")]
    begun, ended = len(d.lines("fault")), len(back) + len(d.lines("not_recovered"))
    if begun != ended:
        line.bad.append(f"{begun} faults, {ended} looked after")
    worst = max(back, key=lambda x: x["seconds"], default=None)
    line.n = f"{begun} faults" + (f", slowest {worst['fault']} {worst['seconds']} s" if worst else "")
    return line


def _sessions(d: Data) -> dict[str, list[list]]:
    """Device → its sessions as the log has them: [opened, ended or None, session], places in its partition of user.inbox."""
    found = collections.defaultdict(list)
    of: dict[str, list] = {}
    for r in sorted(d.records("user.inbox"), key=lambda r: (r["p"], r["o"])):
        kind, body = r["v"]["body"]
        if not kind.endswith("UserAction"):
            continue
        what, action = body["action"][0].rpartition(".")[2], body["action"][1]
        if what == "SessionOpened":
            of[action["sessionId"]] = [r["o"], None, action["sessionId"]]
            found[body["deviceId"]].append(of[action["sessionId"]])
        elif what in ("SessionClosed", "SessionLost") and action["sessionId"] in of and of[action["sessionId"]][1] is None:
            of[action["sessionId"]][1] = r["o"]
    return found


def _handed_back(d: Data, sessions: dict[str, list[list]]) -> set[tuple[str, str]]:
    """(message, device) that came back when the device had another session, not ended by then, whose sync has it."""
    of = {s[2]: (device, s[0]) for device, all_of in sessions.items() for s in all_of}
    found = set()
    for r in d.records("user.inbox"):
        kind, body = r["v"]["body"]
        if not kind.endswith("UserAction") or not body["action"][0].endswith("SessionLost"):
            continue
        lost = body["action"][1]
        device, opened = of.get(lost["sessionId"], (None, 0))
        if any(opened < at < r["o"] and (end is None or end > r["o"]) for at, end, _ in sessions.get(device, ())):
            found.update((x["messageId"], device) for x in lost["items"])
    return found


def i13_shown_or_pushed(d: Data) -> Line:
    line = Line("I13", "what a device did not get on its socket was pushed, or its next session has it; every push has an outcome")
    quiet = d.marks["quiet"]
    pushed = {(r["v"]["messageId"], x) for r in d.records("mobile.push") for x in r["v"]["devices"]}
    told = {(r["v"]["messageId"], r["v"]["deviceId"]) for r in d.records("push.outcomes")}
    line.bad += [f"no outcome: {x}" for x in pushed - told]
    got = {(x["id"], x["device"]) for x in d.lines("got")}
    back = _handed_back(d, _sessions(d))
    looked = by_push = by_session = 0
    for x in d.lines("device"):
        have = {} if x.get("mute") else d.shown.get(x["device"], {})
        for m in d.messages.values():
            sent = d.sends.get((m["chat"], m["sender"], m["cid"]))
            if not sent or sent["first"] < x["n"]:
                continue  # older than the device, whose first sync has it
            if x["user"] == m["sender"] or x["user"] not in d.audience(m):
                continue
            looked += 1
            shown = have.get(m["id"])
            if (m["id"], x["device"]) in got or (shown and (shown["n"] <= quiet or m["id"] in d.late)):
                continue
            if (m["id"], x["device"]) in pushed:
                by_push += 1
            elif (m["id"], x["device"]) in back:
                by_session += 1
            else:
                line.bad.append(f"{x['c']} has neither frame nor push of {short(m)}")
    line.n = f"{looked} messages to devices, {by_push} of them by push, {by_session} by its next session, {len(pushed)} pushes"
    return line


def i14_the_log_follows(d: Data) -> Line:
    line = Line("I14", "what the log accepted, refused and handed on is what its actions say, each once")
    events = collections.defaultdict(list)
    for e in d.events:
        events[e["source"]["partition"], e["source"]["offset"]].append(e)
    rejections = {(r["v"]["source"]["partition"], r["v"]["source"]["offset"]) for r in d.records("rejections")}
    cursors = {(r["v"]["source"]["partition"], r["v"]["source"]["offset"], r["v"]["userId"], r["v"]["kind"])
               for r in d.records("delivery.status")}
    inbox = collections.defaultdict(set)
    for r in d.records("user.inbox"):
        kind, body = r["v"]["body"]
        if kind.endswith("DeliveryBatch") and body["origin"] == "CHAT_ACTIONS":
            for item in body["items"]:
                inbox[item["partition"], item["offset"]].update(item["to"])
    accepted: dict[tuple[str, str, str], int] = {}
    n = collections.Counter()
    for r in sorted(d.records("chat.actions"), key=lambda r: (r["p"], r["o"])):
        at, v = (r["p"], r["o"]), r["v"]
        kind, body = v["action"]
        kind = kind.rpartition(".")[2]
        n[kind] += 1
        seq = 1 << 48 | r["o"]
        yes, no = bool(events.get(at)), at in rejections
        if kind == "ReceiptsAdvanced":
            line.bad += _receipts_without_trace(d, body, at, seq, cursors, rejections)
        elif kind == "MessageSent":
            key = (v["chatId"], v["userId"], v["clientId"])
            member = d.is_member(v["chatId"], v["userId"], seq)
            again = key in accepted and r["t"] - accepted[key] <= DEDUPE_MS
            want = (member and not again, not member)
            if (yes, no) != want and not (key in accepted and not again):
                line.bad.append(f"{at}: accepted {yes}, rejected {no}, should be {want}: {short(v)}")
            if yes:
                accepted.setdefault(key, r["t"])
                gone = set(d.audience({"chat": v["chatId"], "seq": seq})) - inbox[at]
                if gone:
                    line.bad.append(f"{at}: handed on to all but {gone}")
            elif again and v["userId"] not in inbox[at]:
                line.bad.append(f"{at}: the repeat was not answered: {short(v)}")
        elif kind in ("MessageWithdrawn", "MessageRewritten", "MessageReacted"):
            key = (v["chatId"], v["userId"], v["clientId"])
            if yes == no and (yes or key not in accepted or v["userId"] not in inbox[at]):
                line.bad.append(f"{at}: {kind}, accepted {yes}, rejected {no}: {short(v)}")
            if yes:
                accepted.setdefault(key, r["t"])
        elif yes == no and not (kind == "GroupCreated" and not no):
            line.bad.append(f"{at}: {kind}, accepted {yes}, rejected {no}")
    line.n = ", ".join(f"{v} {k}" for k, v in sorted(n.items()))
    return line


def _receipts_without_trace(d, body, at, seq, cursors, rejections) -> list[str]:
    bad = []
    for x in body["receipts"]:
        if max(x["deliveredSeq"], x["readSeq"], x.get("hiddenSeq", 0)) >= seq or not d.is_member(x["chatId"], x["userId"], seq):
            if at not in rejections:
                bad.append(f"{at}: a receipt that may not be was not refused: {short(x)}")
            continue
        bad += [f"{at}: the receipt left no trace: {kind} {short(x)}"
                for kind, s in (("DELIVERED", x["deliveredSeq"]), ("READ", x["readSeq"]), ("READ_HIDDEN", x.get("hiddenSeq", 0)))
                if s and (*at, x["userId"], kind) not in cursors]
    return bad


def i15_by_the_protocol(d: Data) -> Line:
    line = Line("I15", "nothing came against the protocol, no process reported what it must not, every send got its verdict")
    line.bad += [f"{x.get('c', '')} {x['text']}" for x in d.lines("odd")]
    line.bad += list(d.meta.get("log_faults", ()))
    waiting = [k for k, s in d.sends.items() if s["ack"] and not s["verdicts"] and not s["seqs"] and not s["fails"]]
    line.bad += [f"acked, and the sender never heard the verdict: {k}" for k in waiting]
    line.n = f"{len(d.sends)} sends, {len(d.lines('ready'))} sessions, {len(d.lines('closed'))} closed"
    return line


# What has to have been refused, or done again: by every run that is long enough to see it, and by runs with these faults.
REFUSALS = (("chat", "duplicates_suppressed_total"), ("chat", "rejections_total"), ("chat", "receipts_refused_total"),
            ("edge-ws", "late_closes_total"), ("edge-ws", "handed_back_total"), ("user", "sessions_lost_total"))
REFUSALS_BY_FAULT = {"F15": ("persistence", "dead_letters_total"),
                     "F11.user": ("user", "duplicates_suppressed_total"), "F4.kill": ("edge-ws", "unknown_answers_total"),
                     "F5": ("edge-rest", "unknown_answers_total")}
SHOWN = ("zombie_writes_refused_total", "late_confirmations_total", "resync_closes_total", "silent_sessions_cleared_total",
         "rejoins_total", "unknown_answers_total")


def i16_refusals(d: Data) -> Line:
    line = Line("I16", "each way to refuse, or to do again, was taken")
    seen = {tuple(k.split(" ")): v for k, v in d.meta.get("numbers", {}).items()}
    faults = {x["fault"] for x in d.lines("fault")}
    wanted = {REFUSALS_BY_FAULT[f] for f in faults & set(REFUSALS_BY_FAULT)} | (set(REFUSALS) if len(faults) > 5 else set())
    line.bad = [f"never seen: {role} {name}" for role, name in sorted(wanted) if not seen.get((role, name))]
    shown = sorted(wanted | {k for k in seen if k[1] in SHOWN})
    line.n = ", ".join(f"{role} {name.removesuffix('_total')} {seen.get((role, name), 0)}" for role, name in shown) or "nothing asked for"
    return line


def i18_profiles(d: Data) -> Line:
    line = Line("I18", "what somebody says of himself is the last that the log has of him, and what was answered is there")
    said = collections.defaultdict(list)
    for r in sorted(d.records("user.inbox"), key=lambda r: (r["p"], r["o"])):
        kind, body = r["v"]["body"]
        if kind.endswith("UserAction") and body["action"][0].endswith("ProfileDetailsEdited"):
            said[body["userId"]].append(body["action"][1]["about"])
    shown = {row["user_id"]: row["about"] for row in d.tables["profiles"]}
    line.bad += [f"{user} is shown with {shown.get(user)!r}, and said {all_of[-1]!r} at last"
                 for user, all_of in said.items() if shown.get(user) != all_of[-1]]
    answered = [x for x in d.lines("profile") if x["status"] == 200]
    line.bad += [f"answered, and not in the log: {short(x)}" for x in answered if x["about"] not in said[x["user"]]]
    line.n = f"{sum(map(len, said.values()))} of {len(said)} people, {len(answered)} answered"
    return line


from changed import i19_changes  # noqa: E402  (these need what is above)
from deleted import i24_deleted  # noqa: E402
from hidden import i21_hidden  # noqa: E402
from invited import i23_invited  # noqa: E402
from kept import KEPT  # noqa: E402
from marked import i22_marks  # noqa: E402
from parted import i20_blocks  # noqa: E402
from polled import i25_polls  # noqa: E402
from stale import i30_stale  # noqa: E402
from unread import i17_unread  # noqa: E402

ALL = (i1_acked_is_kept, i2_nothing_from_nowhere, i3_live_devices_have_all, i4_late_devices_have_all, i5_one_order,
       i6_never_to_a_stranger, i7_ticks, i8_none_or_one, i9_positions, i10_rebuilt, i11_memory, i12_recovery,
       i13_shown_or_pushed, i14_the_log_follows, i15_by_the_protocol, i16_refusals, i17_unread, i18_profiles,
       i19_changes, i20_blocks, i21_hidden, i22_marks, i23_invited, i24_deleted, i25_polls, *KEPT, i30_stale)


def check(data: Data) -> list[Line]:
    """All invariants; one that cannot be worked out has failed."""
    lines = []
    for fn in ALL:
        try:
            lines.append(fn(data))
        except Exception as error:  # noqa: BLE001  (a checker that dies must not look like one that is content)
            name = fn.__name__.split("_")[0].upper()
            lines.append(Line(name, fn.__name__, "", [f"cannot be checked: {type(error).__name__}: {error}"]))
    return lines
