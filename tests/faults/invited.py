# SPDX-License-Identifier: MIT
"""What must hold of links by which people join groups: an invariant of checker.py, which imports this last."""
from __future__ import annotations

import dataclasses

from checker import Data, Line, short


@dataclasses.dataclass
class Link:
    chat: str
    made: int
    most: int
    joins: list[int] = dataclasses.field(default_factory=list)
    ended: int = 0


def i23_invited(d: Data) -> Line:
    line = Line("I23", "a link lets in no more than may, nobody behind its end, and who was answered is in")
    links: dict[str, Link] = {}
    joined = set()
    for e in d.events:
        kind, fact, seq = e["event"][0].rpartition(".")[2], e["event"][1], e["seq"]
        if kind == "InviteMade":
            links.setdefault(fact["inviteId"], Link(e["chatId"], seq, fact["uses"]))
        for i in fact.get("ended", ()) if kind == "InviteMade" else [fact["inviteId"]] if kind == "InviteEnded" else ():
            links[i].ended = links[i].ended or seq
        if kind != "MembershipChanged" or not fact.get("inviteId"):
            continue
        link = links.get(fact["inviteId"])
        if not link or link.chat != e["chatId"]:
            line.bad.append(f"in by no link of the group: {e['userId']} at {seq}")
            continue
        link.joins.append(seq)
        joined.update((e["chatId"], c["userId"]) for c in fact["changes"] if c["change"] == "ADD")
    for i, link in links.items():
        if link.most and len(link.joins) > link.most:
            line.bad.append(f"link {i} let in {len(link.joins)}, and {link.most} may")
        line.bad += [f"link {i} let in at {seq}, and ended at {link.ended}" for seq in link.joins if link.ended and seq > link.ended]
    want = {i: (len(link.joins), link.ended) for i, link in links.items()}
    have = {r["invite_id"]: (r["used"], r["ended_seq"]) for r in d.tables.get("invites", ())}
    line.bad += [f"link {i}: the log has {want.get(i)}, the view {have.get(i)}" for i in {*want, *have} if want.get(i) != have.get(i)]
    asked = d.lines("invite_end")
    stored = {(x["chat"], x["who"], x["cid"]) for x in asked
              if any(r["v"]["action"][0].endswith(".InviteUsed") for r in d.copies.get((x["chat"], x["who"], x["cid"]), ()))}
    line.bad += [f"answered, and in no log: {short(x)}" for x in asked if x["status"] == 200 and (x["chat"], x["who"], x["cid"]) not in stored]
    line.n = f"{len(links)} links, {sum(len(link.joins) for link in links.values())} joined by them, {len(joined)} of these different, {len(asked)} answered"
    return line
