# SPDX-License-Identifier: MIT
"""What must hold of polls: an invariant of checker.py, which imports this last."""
from __future__ import annotations

import collections
from typing import Any

from checker import Data, Line, short


def touched(d: Data) -> dict[str, list[int]]:
    """Message → seqs of votes for it, and of its ends, whatever they count for, as far as it was not deleted."""
    found = collections.defaultdict(list)
    for e, i in _facts(d, "VoteChanged", "PollClosed"):
        found[i].append(e["seq"])
    return found


def _facts(d: Data, *kinds: str) -> list[tuple[dict, str]]:
    """What names a message by both id and seq, below the message's deletion."""
    found = []
    for e in d.events:
        kind, fact = e["event"]
        m = d.messages.get(fact["messageId"]) if kind.rpartition(".")[2] in kinds else None
        if not m or (m["seq"], m["chat"]) != (fact["messageSeq"], e["chatId"]):
            continue
        end = _deleted(d, m["id"])
        if not end or e["seq"] < end:
            found.append((e, m["id"]))
    return found


def _deleted(d: Data, i: str) -> int | None:
    return next((c["seq"] for c in d.changes.get(i, ()) if c["deleted"]), None)


def _folded(d: Data) -> dict[str, dict]:
    """Poll → its result, as whoever has nothing but the log works it out."""
    polls: dict[str, dict[str, Any]] = {}
    for e in d.events:
        kind, fact = e["event"]
        if kind.endswith("MessageAccepted") and fact.get("poll") and d.messages[fact["id"]]["seq"] == e["seq"]:
            polls[fact["id"]] = {**fact["poll"], "chat": e["chatId"], "target": e["seq"], "closed": 0, "votes": {}, "late": 0}
    for e, i in sorted(_facts(d, "PollClosed"), key=lambda x: x[0]["seq"]):
        poll = polls.get(i)
        if poll and not poll["closed"] and (poll["closesAtMs"] is None or e["event"][1]["closedAtMs"] < poll["closesAtMs"]):
            poll["closed"] = e["seq"]
    for e, i in sorted(_facts(d, "VoteChanged"), key=lambda x: x[0]["seq"]):
        poll, fact = polls.get(i), e["event"][1]
        if not poll:
            continue
        in_time = (not poll["closed"] or e["seq"] < poll["closed"]) and (poll["closesAtMs"] is None or fact["votedAtMs"] < poll["closesAtMs"])
        if in_time and fact["chosen"] >> len(poll["options"]) == 0 and fact["chosen"].bit_count() <= poll["choices"]:
            poll["votes"][e["userId"]] = (e["seq"], fact["chosen"])
        else:
            poll["late"] += 1
    for poll in polls.values():
        chosen = [c for _, c in poll["votes"].values()]
        poll["counts"] = [sum(c >> n & 1 for c in chosen) for n in range(len(poll["options"]))]
        poll["voters"] = sum(c != 0 for c in chosen)
        poll["last"] = max([poll["target"], poll["closed"], *(seq for seq, _ in poll["votes"].values())])
    return polls


def i25_polls(d: Data) -> Line:
    line = Line("I25", "a poll has the result that the log gives it, for all who are shown one, and a vote of each voter, not of strangers")
    polls = _folded(d)
    have = {(r["chat_id"], r["target"]): r for r in d.tables.get("polls", ())}
    votes: dict[tuple, dict] = collections.defaultdict(dict)
    for r in d.tables.get("votes", ()):
        votes[r["chat_id"], r["target"]][r["user_id"]] = (r["seq"], r["chosen"])
    for i, poll in polls.items():
        key = (poll["chat"], poll["target"])
        row, given = have.pop(key, None), votes.pop(key, {})
        if _deleted(d, i):
            line.bad += [f"{i}: deleted, and the view has {short(x)}" for x in (row, given) if x]
            continue
        want = (poll["counts"], poll["voters"], poll["closed"], poll["last"])
        if not row or (row["counts"], row["voters"], row["closed_seq"], row["changed_seq"]) != want:
            line.bad.append(f"{i}: the log gives {want}, the view {short(row)}")
        if given != poll["votes"]:
            line.bad.append(f"{i}: the log has the votes {short(poll['votes'])}, the view {short(given)}")
        line.bad += [f"{i}: a vote of {user}, who was not there" for user, (seq, _) in poll["votes"].items()
                     if not (d.is_member(poll["chat"], user, poll["target"]) and d.is_member(poll["chat"], user, seq))]
    line.bad += [f"a poll from nowhere: {short(x)}" for x in [*have.values(), *votes.values()]]
    line.bad += _answers_that_lie(d, polls)
    line.n = f"{len(polls)} polls, {sum(len(p['votes']) for p in polls.values())} voters, {sum(p['late'] for p in polls.values())} votes for nothing, {len(d.lines('poll'))} shown"
    return line


def _answers_that_lie(d: Data, polls: dict[str, dict]) -> list[str]:
    bad = []
    told = {(e["event"][1]["messageId"], e["seq"], e["userId"]): e["event"][1]["chosen"] for e, _ in _facts(d, "VoteChanged")}
    for x in d.lines("vote_end"):
        if x["status"] == 200 and x["seq"] and not _deleted(d, x["id"]) and told.get((x["id"], x["seq"], x["user"])) != x["mine"]:
            bad.append(f"a vote answered, and not in the log: {short(x)}")
    for x in d.lines("poll"):  # at the end, by each who is in the chat
        poll = polls.get(x["id"])
        if not poll or (x["counts"], x["voters"], x["mine"]) != (poll["counts"], poll["voters"], poll["votes"].get(x["user"], (0, 0))[1]):
            bad.append(f"{x['user']} is shown {short(x)}, not {short(poll)}")
        if poll and poll["anonymous"] and set(x["named"]) - {x["user"]}:
            bad.append(f"{x['user']} is told who voted in an anonymous poll: {short(x)}")
    return bad
