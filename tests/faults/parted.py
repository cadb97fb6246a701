# SPDX-License-Identifier: MIT
"""What must hold of direct chats in which one blocks the other: an invariant of checker.py, which imports this last."""
from __future__ import annotations

from checker import Data, Line, short


def i20_blocks(d: Data) -> Line:
    line = Line("I20", "a block leaves out exactly its interval, everywhere, and only the blocker hears of it")
    line.bad += _rows_that_differ(d)
    line.bad += _told_to_others(d)
    asked = 0
    for x in d.lines("parted"):
        asked += 1
        line.bad += [f"{x['c']} of {x['chat']}: {what}" for what in _shown_wrongly(d, x)]
    left_out = sum(not d.is_member(m["chat"], u, m["seq"]) for m in d.messages.values() for u in d.parted.get(m["chat"], ()))
    blocks = sum(len(mine) for users in d.parted.values() for mine in users.values())
    line.n = f"{len(d.parted)} chats, {blocks} stays, {left_out} messages left out, asked {asked} times"
    return line


def _rows_that_differ(d: Data) -> list[str]:
    want = {(chat, u, joined): left for chat, users in d.parted.items() for u, mine in users.items() for joined, left in mine}
    have = {(r["chat_id"], r["user_id"], r["joined_seq"]): r["left_seq"] for r in d.tables["members"]
            if r["user_id"] in d.parted.get(r["chat_id"], ())}
    bad = [f"stay {k}: the log has {want.get(k, 'none')}, the view {have.get(k, 'none')}" for k in {*want, *have}
           if want.get(k, "none") != have.get(k, "none")]
    now = {(chat, u): mine[-1][1] is not None for chat, users in d.parted.items() for u, mine in users.items()}
    rows = {(r["chat_id"], r["user_id"]): r["blocked"] for r in d.tables["blocks"]}
    return bad + [f"{k} blocks: the log says {now.get(k, False)}, the view {rows.get(k, False)}" for k in {*now, *rows}
                  if now.get(k, False) != rows.get(k, False)]


def _told_to_others(d: Data) -> list[str]:
    """An entry with a seq has a frame; the other's entries have neither."""
    bad = []
    for r in d.records("ws.push"):
        for e in r["v"]["entries"]:
            if e["kind"] == "FRAME" and e["class"] == "BLOCK" and e["seq"]:
                bad += [f"told of {e['senderId']}'s block: {short(to)}" for to in e["to"] if to["userId"] != e["senderId"]]
    return bad


def _shown_wrongly(d: Data, x: dict) -> list[str]:
    """What REST said at the end, to one of the two."""
    user, chat = x["user"], x["chat"]
    (other,) = d.pairs[chat] - {user}
    mine = sorted((m for m in d.messages.values() if m["chat"] == chat and d.is_member(chat, user, m["seq"])), key=lambda m: m["seq"])
    stays, others = d.stays_of(chat, user), d.stays_of(chat, other)
    last = next((m["id"] for m in reversed(mine) if (user, m["id"]) not in d.hidden), None)
    want = {"history": [m["id"] for m in mine], "last": last, "blocked": stays[-1][1] is not None,
            "except": [[left, joined] for (_, left), (joined, _) in zip(others, others[1:])]}
    bad = [f"{k} {short(x[k])}, the log has {short(v)}" for k, v in want.items() if x[k] != v]
    ticked = {m["id"] for m in mine if m["sender"] == user and not d.is_member(chat, other, m["seq"])} & set(x["delivered"])
    return bad + [f"delivered, and left out: {i}" for i in ticked]
