# SPDX-License-Identifier: MIT
"""What must hold of changes that fit no message: an invariant of checker.py, which imports this last."""
from __future__ import annotations

import collections

from checker import Data, Line, short

KEPT = 64  # of a user and partition, the newest
CHANGES = ("MessageEdited", "MessageDeleted", "ReactionChanged", "PinChanged", "StarChanged", "VoteChanged", "PollClosed")


def named(e: dict) -> list[tuple[str, int]]:
    """(id, seq) of each message that a fact is about."""
    kind, fact = e["event"][0].rpartition(".")[2], e["event"][1]
    if kind == "MessagesHidden":
        return [(m["id"], m["seq"]) for m in fact["messages"]]
    return [(fact["messageId"], fact["messageSeq"])] if kind in CHANGES else []


def stale(d: Data) -> dict[tuple[int, int], tuple[str, str, str]]:
    """(partition, offset) → user, chat and client id of each change that fits no message."""
    return {(e["source"]["partition"], e["source"]["offset"]): (e["userId"], e["chatId"], e["clientId"]) for e in d.events
            if any(_fits_none(d, e["chatId"], *pair) for pair in named(e))}


def _fits_none(d: Data, chat: str, i: str, seq: int) -> bool:
    m = d.messages.get(i)
    return not m or (m["seq"], m["chat"]) != (seq, chat)


def newest(rows: dict[tuple[int, int], tuple[str, str, str]]) -> dict[tuple[int, int], tuple[str, str, str]]:
    """Of each user and partition those that stay."""
    places = collections.defaultdict(list)
    for at in sorted(rows):
        places[rows[at][0], at[0]].append(at)
    return {at: rows[at] for mine in places.values() for at in mine[-KEPT:]}


def i30_stale(d: Data) -> Line:
    line = Line("I30", "a change that fits no message has its row, no other has, and syncs tell it to its author alone")
    all_of = stale(d)
    want, asked = newest(all_of), collections.Counter(all_of.values())
    have = {(r["src_partition"], r["src_offset"]): (r["user_id"], r["chat_id"], r["client_id"])
            for r in d.tables.get("rejected", ()) if r["code"] == "stale_target"}
    line.bad += [f"{k}: the log has {want.get(k)}, the view {have.get(k)}" for k in {*want, *have} if want.get(k) != have.get(k)]
    told = collections.Counter((x["device"], x["user"], x["chat"], x["cid"]) for x in d.lines("stale"))
    line.bad += [f"told {n} times, asked for {asked[k[1:]]} times: {short(k)}" for k, n in told.items() if n > asked[k[1:]]]
    line.n = f"{len(want)} changes of nothing, {len(told)} told"
    return line
