# SPDX-License-Identifier: MIT
"""What is unread, counted again: an invariant of checker.py, which imports this last."""
from __future__ import annotations

import collections

from checker import Data, Line


def recount(d: Data) -> dict[tuple[str, str], tuple[int, int]]:
    """(chat, user) → messages of others behind his read cursor in his last stay there, of a direct chat in all of them, and those of them that
    mention him: one by one."""
    cursors = {(r["chat_id"], r["user_id"]): r["read"] for r in d.tables["cursors"]}
    chats = collections.defaultdict(list)
    for m in d.messages.values():
        chats[m["chat"]].append(m)
    stays = {(chat, u): d.stays_of(chat, u) for chat in chats if chat in d.pairs for u in d.pairs[chat]}
    stays |= {(chat, u): mine[-1:] for chat, users in d.stays.items() for u, mine in users.items()}
    stays |= {(chat, u): mine for chat, users in d.parted.items() for u, mine in users.items()}
    found = {}
    for (chat, user), mine in stays.items():
        read = cursors.get((chat, user), 0)
        new = [m for m in chats[chat] if m["seq"] > read and m["sender"] != user and (user, m["id"]) not in d.hidden
               and any(joined < m["seq"] and (left is None or m["seq"] < left) for joined, left in mine)]
        found[chat, user] = (len(new), sum(user in m["beside"].get("mentions", ()) for m in new))
    return found


def i17_unread(d: Data) -> Line:
    line = Line("I17", "what is unread, and what of it mentions the reader, is what a recount of the log finds")
    have = {(r["chat_id"], r["user_id"]): (r["unread"], r["mentioned"]) for r in d.tables["unread"]}
    want = recount(d)
    line.bad += [f"unread of {k}: {have.get(k)}, the log has {want.get(k)}" for k in {*want, *have} if have.get(k) != want.get(k)]
    line.n = f"{len(want)} readers, {max((x for x, _ in want.values()), default=0)} unread at most, {sum(x for _, x in want.values())} mentions"
    return line
