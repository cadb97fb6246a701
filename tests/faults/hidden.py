# SPDX-License-Identifier: MIT
"""What must hold of messages that one user hides: an invariant of checker.py, which imports this last."""
from __future__ import annotations

from checker import Data, Line, _ready_at, short


def i21_hidden(d: Data) -> Line:
    line = Line("I21", "what one user hid is gone for him on every device, and for nobody else")
    want = {(user, d.messages[i]["chat"], d.messages[i]["seq"]): seq for (user, i), seq in d.hidden.items()}
    have = {(r["user_id"], r["chat_id"], r["target"]): r["seq"] for r in d.tables.get("hidden", ())}
    line.bad += [f"hidden {k}: the log has {want.get(k)}, the view {have.get(k)}" for k in {*want, *have} if want.get(k) != have.get(k)]
    gone = {(x["device"], x["id"]) for x in d.lines("gone")}
    line.bad += [f"gone, and nobody hid it: {short(x)}" for x in d.lines("gone") if (x["user"], x["id"]) not in d.hidden]
    for device in _ready_at(d, d.marks["end"]):
        user, shown = d.devices[device]["user"], d.shown.get(device, {})
        line.bad += [f"{d.devices[device]['c']} shows {i}, which was hidden" for who, i in d.hidden if who == user and i in shown and (device, i) not in gone]
    since = {}  # (user, message) → when he was told that it is hidden
    for x in d.lines("hide_end"):
        for i in x["ids"] if x["status"] == 200 else ():
            since.setdefault((x["user"], i), x["n"])
            if (x["user"], i) not in d.hidden:
                line.bad.append(f"answered, and nothing in the log: {short(x)}")
    line.bad += [f"told after it was hidden: {short(x)}" for x in d.lines("show")
                 if x["how"] == "sync" and x["content"] and x["n"] > since.get((x["user"], x["id"]), x["n"]) and _asked_since(d, x, since)]
    line.n = f"{len(d.hidden)} hidden, {len(gone)} gone from devices"
    return line


def _asked_since(d: Data, x: dict, since: dict) -> bool:
    """The sync that told it began after the answer: that of a session which opened then."""
    ready = max((r["n"] for r in d.lines("ready") if r["device"] == x["device"] and r["n"] < x["n"]), default=0)
    return ready > since[x["user"], x["id"]]
