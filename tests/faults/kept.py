# SPDX-License-Identifier: MIT
"""What must hold of pins, stars, rights, timers and lines, and of what a search finds: invariants of checker.py, which imports this last."""
from __future__ import annotations

import json
from collections import Counter

from checker import Data, Line, short

PINNED_MOST = 3
HOLDERS = {"EVERYONE": 0, "ADMINS": 1}
LINES = {"GroupStarted": "chat", "GroupNamed": "chat", "MembershipChanged": "member", "GroupDescribed": "description", "GroupPictured": "picture",
         "TimerChanged": "timer", "RightsChanged": "rights", "AccountEnded": "account_deleted"}


def _facts(d: Data, kind: str):
    """(event, message) of each fact of that kind that names a message, in order of seq."""
    for e in sorted(d.events, key=lambda e: e["seq"]):
        fact = e["event"][1]
        m = d.messages.get(fact["messageId"]) if e["event"][0].rpartition(".")[2] == kind else None
        if m and (m["seq"], m["chat"]) == (fact["messageSeq"], e["chatId"]):
            yield e, m


def _deleted_at(d: Data, message: str) -> float:
    return next((c["seq"] for c in d.changes.get(message, ()) if c["deleted"]), float("inf"))


def folded_pins(d: Data) -> dict[tuple[str, int], tuple[int, bool]]:
    """(chat, seq of the message) → (seq of the last fact, whether it is pinned): the newest three of those that stand at each pin."""
    rows: dict[tuple[str, int], tuple[int, bool]] = {}
    ends = {(m["chat"], m["seq"]): _deleted_at(d, m["id"]) for m in d.messages.values()}
    for e, m in _facts(d, "PinChanged"):
        key, pinned = (m["chat"], m["seq"]), e["event"][1]["pinned"]
        if ends[key] < e["seq"]:
            continue
        rows[key] = (e["seq"], pinned)
        others = [k for k, (_, on) in rows.items() if on and k[0] == key[0] and k != key] if pinned else []
        stay = sorted((k for k in others if ends[k] >= e["seq"]), key=lambda k: -rows[k][0])[:PINNED_MOST - 1]
        rows.update({k: (rows[k][0], False) for k in others if k not in stay})
    return rows


def folded_stars(d: Data) -> dict[tuple[str, str, int], tuple[int, bool]]:
    """(chat, user, seq of the message) → (seq of the last fact, whether it is starred); none of what is deleted, or hidden by that user."""
    rows = {}
    for e, m in _facts(d, "StarChanged"):
        if _deleted_at(d, m["id"]) == float("inf") and (e["userId"], m["id"]) not in d.hidden:
            rows[m["chat"], e["userId"], m["seq"]] = (e["seq"], e["event"][1]["starred"])
    return rows


def _of_chats(d: Data) -> dict[str, dict]:
    """Chat → what its last fact of each kind sets in its row."""
    want: dict[str, dict] = {}
    for e in sorted(d.events, key=lambda e: e["seq"]):
        kind, fact = e["event"][0].rpartition(".")[2], e["event"][1]
        if kind == "RightsChanged":
            want.setdefault(e["chatId"], {}).update({f"{name}_by": HOLDERS[fact[name]] for name in ("send", "info", "add")}, rights_seq=e["seq"])
        elif kind == "TimerChanged":
            want.setdefault(e["chatId"], {}).update(timer_s=fact["seconds"], timer_seq=e["seq"])
    return want


def _lines_told(d: Data) -> dict[tuple[str, int], tuple[str, str]]:
    """(chat, seq) → the frame that told it, and who did it."""
    kinds = ((e, e["event"][0].rpartition(".")[2]) for e in d.events)
    return {(e["chatId"], e["seq"]): (LINES[kind], e["userId"]) for e, kind in kinds if kind in LINES and e["event"][1].get("changes", True)}


def _lines_kept(d: Data) -> dict[tuple[str, int], tuple[str, str]]:
    rows = [(r, json.loads(r["line"])) for r in d.tables["lines"]]
    return {(r["chat_id"], r["seq"]): (line["t"], line["by"]) if (line["chatId"], line["seq"]) == (r["chat_id"], r["seq"]) else ("another", "")
            for r, line in rows}


def i28_kept(d: Data) -> Line:
    line = Line("I28", "pins, stars, rights, timers and lines are what a fold of the log says, and what was answered is there")
    of_chats, chats = _of_chats(d), {r["chat_id"]: r for r in d.tables["chats"]}
    pairs = (("pins", folded_pins(d), {(r["chat_id"], r["target"]): (r["seq"], r["pinned"]) for r in d.tables.get("pins", ())}),
             ("stars", folded_stars(d), {(r["chat_id"], r["user_id"], r["target"]): (r["seq"], r["starred"]) for r in d.tables.get("stars", ())}),
             *([("lines", _lines_told(d), _lines_kept(d))] if "lines" in d.tables else ()),  # a dump of before has none
             ("chats", of_chats, {chat: {name: chats.get(chat, {}).get(name) for name in row} for chat, row in of_chats.items()}))
    for what, want, have in pairs:
        line.bad += [f"{what} {k}: the log has {want.get(k)}, the view {have.get(k)}" for k in {*want, *have} if want.get(k) != have.get(k)]
    logged = Counter((r["v"]["chatId"], r["v"]["userId"], r["v"]["action"][0].rpartition(".")[2]) for r in d.records("chat.actions"))
    answered = Counter((x["chat"], x["user"], x["kind"]) for x in d.lines("keep") if x["status"] == 200 and x["is_new"])
    line.bad += [f"answered {n} times, and {logged[k]} times in the log: {short(k)}" for k, n in answered.items() if logged[k] < n]
    line.n = f"{len(pairs[0][1])} messages pinned, {len(pairs[1][1])} starred, {len(of_chats)} chats with rights or a timer, {answered.total()} answered"
    return line


def i29_searched(d: Data) -> Line:
    line = Line("I29", "a search finds what a look at every message does")
    looked = d.lines("searched")
    for x in looked:
        found, want = set(x["found"]), set(x["want"])
        line.bad += [f"{x['c']} searches {x['q']!r}: {n} {short(sorted(ids))}" for n, ids in
                     (("not found:", want - found), ("found, and does not fit:", found - want)) if ids]
        line.bad += [f"{x['c']} searches {x['q']!r}: found twice" for _ in range(len(x["found"]) - len(found))][:1]
    line.n = f"{len(looked)} searches, {sum(len(x['want']) for x in looked)} messages"
    return line


KEPT = (i28_kept, i29_searched)
