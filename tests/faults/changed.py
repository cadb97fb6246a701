# SPDX-License-Identifier: MIT
"""What must hold of messages that are edited, deleted and reacted to: an invariant of checker.py, which imports this last."""
from __future__ import annotations

import collections

from checker import Data, Line, _ready_at, short
from polled import touched


def i19_changes(d: Data) -> Line:
    line = Line("I19", "what was edited or deleted is so everywhere, and never comes back")
    rows = {(r["chat_id"], r["target"]): r for r in d.tables.get("changes", ())}
    versions = collections.defaultdict(dict)
    for r in d.tables.get("versions", ()):
        versions[r["chat_id"], r["target"]][r["seq"]] = r["content"]
    given = collections.defaultdict(dict)
    for r in sorted(d.tables.get("reactions", ()), key=lambda r: r["seq"]):
        given[r["chat_id"], r["target"]][r["user_id"]] = (r["seq"], r["reaction"])
    votes = touched(d)
    for i in {**d.changes, **d.signs, **votes}:
        m, changes, signs = d.messages[i], d.changes.get(i, ()), d.signs.get(i, ())
        last = changes[-1] if changes else {"seq": 0, "deleted": False}
        key = (m["chat"], m["seq"])
        edits = {x["seq"]: x["content"] for x in changes if not x["deleted"]}
        want = (max(last["seq"], *(x["seq"] for x in signs), *votes.get(i, ()), 0) if not last["deleted"] else last["seq"], max(edits, default=0),
                last["seq"] if last["deleted"] else 0)
        final = {} if last["deleted"] else {x["by"]: (x["seq"], x["reaction"]) for x in signs}
        if given.pop(key, {}) != final:
            line.bad.append(f"{i}: the log ends with the signs {short(final)}, the view has others")
        row = rows.pop(key, None)
        if not row or (row["seq"], row["edited_seq"], row["deleted_seq"]) != want:
            line.bad.append(f"{i}: changed as {want}, the view has {short(row)}")
        kept = versions.pop(key, {})
        if last["deleted"] and (kept or any(r["content"] for r in d.view[i])):
            line.bad.append(f"{i}: deleted at {last['seq']}, and the view has its text")
        if edits and not last["deleted"] and kept.get(max(edits)) != edits[max(edits)]:
            line.bad.append(f"{i}: the view lacks its last version")
        line.bad += [f"{i}: a version from nowhere: {seq}" for seq, content in kept.items() if edits.get(seq) != content]
    line.bad += [f"changed from nowhere: {short(r)}" for r in [*rows.values(), *versions, *given]]
    told = {(i, x["by"], x["seq"]): x["reaction"] for i, signs in d.signs.items() for x in signs}
    late = {i for i, changes in d.changes.items() if changes[-1]["deleted"]}
    line.bad += [f"a sign from nowhere: {short(x)}" for x in d.lines("sign") if x["id"] in d.messages and x["id"] not in late
                 and told.get((x["id"], x["by"], x["seq"])) != x["reaction"]]
    line.bad += [f"went back: {short(r)}" for r in d.meta.get("audit", ()) if r["what"] == "changes"]
    line.bad += _states_that_lie(d)
    line.bad += _states_that_lack(d)
    line.bad += _changes_to_strangers(d)
    deleted = sum(x[-1]["deleted"] for x in d.changes.values())
    line.n = f"{sum(map(len, d.changes.values()))} changes, {deleted} messages deleted, {sum(map(len, d.signs.values()))} reactions, {len(d.lines('changed'))} shown"
    return line


def _states_that_lie(d: Data) -> list[str]:
    """A device goes from edit to edit, upwards, to the deletion, and shows what the log says."""
    bad = []
    for (device, i), states in d.states.items():
        before = {"edited": 0, "deleted": False}
        for x in states:
            if before["deleted"] or x["edited"] < before["edited"]:
                bad.append(f"{x['c']}: {i} came back: {short(before)}, then {short(x)}")
            if i not in d.messages or x["content"] != d.content_at(i, x["edited"], x["deleted"]):
                bad.append(f"{x['c']}: {i} shown as {short(x)}")
            before = x
    return bad


def _next_of(frontier: str) -> dict[int, int]:
    """Partition → first source that a session need not find in its sync, of the `at` of ready."""
    return {p: int(n) for p, n in enumerate(frontier.partition(".")[2].split(",")) if n}


def _states_that_lack(d: Data) -> list[str]:
    """Whoever is caught up shows what happened before his session and to what he could see; at the end, all of it."""
    bad = []
    at_least: dict[str, str] = {}
    end = d.marks["end"]
    caught = []
    for x in sorted(d.lines("ready", "caught_up"), key=lambda x: x["n"]):
        if x["e"] == "ready":
            at_least[x["device"]] = x.get("at_least", "")
        else:
            caught.append((x["device"], x["n"], _next_of(at_least.get(x["device"], ""))))
    caught += [(device, end, None) for device in _ready_at(d, end)]
    for i, changes in d.changes.items():
        m = d.messages[i]
        for device, n, upto in caught:
            user, shown = d.devices[device]["user"], d.shown.get(device, {}).get(i)
            if not shown or shown["n"] > n or (user, i) in d.hidden:
                continue
            mine = [c for c in changes if d.is_member(m["chat"], user, c["seq"]) and (upto is None or c["offset"] < upto.get(c["p"], 0))
                    # an edit is told to who was there since the message; a sync tells it to the others
                    and (upto is not None or c["deleted"] or _was_there(d, m["chat"], user, m["seq"], c["seq"]))]
            if not mine:
                continue
            state = next((x for x in reversed(d.states.get((device, i), ())) if x["n"] <= n), {"edited": 0, "deleted": False})
            if not state["deleted"] and (mine[-1]["deleted"] or state["edited"] < mine[-1]["seq"]):
                bad.append(f"{d.devices[device]['c']}: caught up at {n}, lacks {short(mine[-1])} of {i}, has {short(state)}")
    return bad


def _was_there(d: Data, chat: str, user: str, begin: int, end: int) -> bool:
    """Without a break, from the message at `begin` until just before `end`."""
    return any(j < begin and (left is None or end < left) for j, left in d.stays_of(chat, user))


def _changes_to_strangers(d: Data) -> list[str]:
    bad = []
    for r in d.records("ws.push"):
        for e in r["v"]["entries"]:
            if e["kind"] != "FRAME" or e["class"] not in ("EDIT", "DELETION", "REACTION", "CHANGE") or e["messageId"] not in d.messages:
                continue
            m = d.messages[e["messageId"]]
            bad += [f"{e['class']} of {m['id']} at {e['seq']} routed to {to['userId']}" for to in e["to"]
                    if not (d.is_member(m["chat"], to["userId"], m["seq"]) and d.is_member(m["chat"], to["userId"], e["seq"]))
                    or e["class"] == "EDIT" and not _was_there(d, m["chat"], to["userId"], m["seq"], e["seq"])]
    return bad
