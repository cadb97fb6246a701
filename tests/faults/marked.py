# SPDX-License-Identifier: MIT
"""What must hold of where users put their chats: an invariant of checker.py, which imports this last."""
from __future__ import annotations

from checker import Data, Line, short

GENERATION = 1 << 48  # a source as a seq


def _folded(d: Data) -> dict[tuple[str, str], dict]:
    """(user, chat) → what the log says at last."""
    state: dict[tuple[str, str], dict] = {}
    for r in sorted(d.records("user.inbox"), key=lambda r: (r["p"], r["o"])):
        kind, body = r["v"]["body"]
        if not (kind.endswith("UserAction") and body["action"][0].endswith("ChatMarked")):
            continue
        asked, src = body["action"][1], GENERATION + r["o"]
        row = state.setdefault((body["userId"], asked["chatId"]), {"archived": False, "pinned": 0, "unread_after": None, "draft": None})
        row["src"] = src
        if asked["archived"] is not None:
            row["archived"] = asked["archived"]
        if asked["pinned"] is not None:
            row["pinned"] = src if asked["pinned"] and not asked["archived"] else 0
        if asked["archived"]:
            row["pinned"] = 0
        elif asked["pinned"]:
            row["archived"] = False
        if asked["markedUnread"] is not None:
            row["unread_after"] = asked["readSeq"] if asked["markedUnread"] else None
        if asked["draft"] is not None:
            row["draft"] = asked["draft"] or None
    return state


def i22_marks(d: Data) -> Line:
    line = Line("I22", "of what a user marks of a chat the last that the log has counts, and what was answered is there")
    want = _folded(d)
    have = {(r["user_id"], r["chat_id"]): r for r in d.tables.get("chat_marks", ())}
    line.bad += [f"marked by nobody: {k}" for k in have.keys() - want.keys()]
    for k, row in want.items():
        shown = {name: have.get(k, {}).get(name) for name in row}
        if shown != row:
            line.bad.append(f"marks {k}: the log has {row}, the view {shown}")
    logged = {body["action"][1]["draft"] for r in d.records("user.inbox") for kind, body in (r["v"]["body"],)
              if kind.endswith("UserAction") and body["action"][0].endswith("ChatMarked")}
    answered = [x for x in d.lines("chat_mark") if x["status"] == 200]
    line.bad += [f"answered, and not in the log: {short(x)}" for x in answered if x["draft"] not in logged]
    line.n = f"{len(want)} chats marked, {len(answered)} answered"
    return line
