# SPDX-License-Identifier: MIT
"""What must hold of people who deleted their accounts: an invariant of checker.py, which imports this last."""
from __future__ import annotations

from checker import Data, Line


def i24_deleted(d: Data) -> Line:
    line = Line("I24", "who deleted his account shows nothing and is in no group, also after a later add")
    gone = {x["user"] for x in d.lines("deleted_end") if x["status"] == 200}
    shown = {r["user_id"]: (r["name"], r["deleted_at"] is not None) for r in d.tables.get("users", ())}
    line.bad += [f"{user} is shown as {shown.get(user)}" for user in sorted(gone) if shown.get(user) != ("", True)]
    adds, last, told = 0, {}, set()
    for e in d.events:
        kind, fact = e["event"][0].rpartition(".")[2], e["event"][1]
        if kind == "AccountEnded":
            told.add((e["chatId"], e["userId"]))
        elif kind == "MembershipChanged" and e.get("clientId") == "account-deleted" and (e["chatId"], e["userId"]) not in told:
            line.bad.append(f"{e['userId']} left group {e['chatId']} at {e['seq']}, and nobody was told that the account ended")
        members = fact["members"] if kind == "GroupStarted" else fact["changes"] if kind == "MembershipChanged" else ()
        for m in members:
            if m["userId"] in gone:
                last[e["chatId"], m["userId"]] = m.get("change", "ADD")
                adds += m.get("change", "ADD") == "ADD"
    line.bad += [f"{user} is in group {chat}, says the log" for (chat, user), change in last.items() if change != "REMOVE"]
    groups = {chat for chat, _ in last}
    line.bad += [f"{r['user_id']} is in group {r['chat_id']}, says the view" for r in d.tables["members"]
                 if r["user_id"] in gone and r["chat_id"] in groups and r["left_seq"] is None]
    line.n = f"{len(gone)} deleted, {adds} times in a group"
    return line
