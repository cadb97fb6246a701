# SPDX-License-Identifier: MIT
"""What test_checker.py plants about links of groups, for invited.py to find."""
from __future__ import annotations

NOBODY = "00000000-0000-8000-8000-00000000dead"
LINK = "00000000-0000-8000-8000-00000000f00d"
SEQ = 1 << 48


def play(w, group: str, maker: str, guest: str) -> None:
    """One makes a link to the group for one, another joins by it, and it is revoked; then he leaves."""
    def fact(user: str, action: str, event: str, body: dict, cid: str = "") -> int:
        at = w.action(group, user, action, {}, cid)
        w.event(at, group, user, event, body)
        return at

    fact(maker, "InviteAsked", "InviteMade", {"inviteId": LINK, "uses": 1, "ended": []})
    fact(guest, "InviteUsed", "MembershipChanged", {"changes": [{"userId": guest, "change": "ADD"}], "inviteId": LINK}, "i1")
    w.line("invite_end", chat=group, who=guest, cid="i1", status=200)
    at = fact(maker, "InviteWithdrawn", "InviteEnded", {"inviteId": LINK})
    w.tables["invites"] = [{"invite_id": LINK, "used": 1, "ended_seq": SEQ | at}]
    fact(guest, "MembersChanged", "MembershipChanged", {"changes": [{"userId": guest, "change": "REMOVE"}]})


def _first(w, kind: str) -> dict:
    return next(r["v"] for r in w.topics["chat.events"] if r["v"]["event"][0].endswith(kind) and "inviteId" in r["v"]["event"][1])


def _joins_again(w) -> int:
    first = _first(w, "MembershipChanged")
    at = w.action(first["chatId"], first["userId"], "InviteUsed", {})
    w.event(at, first["chatId"], first["userId"], "MembershipChanged", dict(first["event"][1]))
    w.tables["invites"][0]["used"] = 2
    return at


def plant_link_used_too_often(w):
    _first(w, "InviteEnded")["seq"] = (SEQ | _joins_again(w)) + 1


def plant_link_used_when_it_was_revoked(w):
    _joins_again(w)
    _first(w, "InviteMade")["event"][1]["uses"] = 2


def plant_link_of_nobody(w):
    _first(w, "InviteMade")["event"][1]["inviteId"] = NOBODY


def plant_link_counted_wrongly(w):
    w.tables["invites"][0]["used"] = 0


def plant_link_answered_and_never_logged(w):
    first = _first(w, "MembershipChanged")
    w.line("invite_end", chat=first["chatId"], who=first["userId"], cid="i2", status=200)


PLANTS_OF_LINKS = dict.fromkeys((plant_link_used_too_often, plant_link_used_when_it_was_revoked, plant_link_of_nobody, plant_link_counted_wrongly,
                                 plant_link_answered_and_never_logged), "I23")
