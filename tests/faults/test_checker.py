# SPDX-License-Identifier: MIT
"""The checker against small worlds in which all is well, and in which exactly one thing is not."""
import asyncio
import copy
import random
import sys
import uuid
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "lib")]
import checker  # noqa: E402
import coverage  # noqa: E402
import drive  # noqa: E402
import invited_plants  # noqa: E402
import nemesis  # noqa: E402
import three  # noqa: E402
import unread  # noqa: E402
from checker import Data, Line  # noqa: E402
from client import Device  # noqa: E402
from cluster import cut_tails, nodes_at  # noqa: E402
from invited_plants import *  # noqa: E402,F403
from invited_plants import PLANTS_OF_LINKS  # noqa: E402
from people import Mute  # noqa: E402

GEN = 1 << 48


def uid(n: int) -> str:
    return str(uuid.UUID(int=n))


A, B, C, D = map(uid, (1, 2, 3, 4))
CHAT, GROUP, PAIR = uid(100), uid(101), uid(102)
A1, B1, B2, C1 = map(uid, (11, 12, 13, 14))
OF = {A1: A, B1: B, B2: B, C1: C}


class World:
    """Alice and Bob in a direct chat, both and Carol in a group she is removed from; Bob's second device is away."""

    def __init__(self, late_by=()):
        """`late_by`: who shows what is said after all was quiet; nothing is said then when it is empty."""
        self.history, self.n, self.late_by = [], 0, late_by
        self.topics = {t: [] for t in ("chat.actions", "chat.events", "rejections", "delivery.status", "user.inbox", "mobile.push",
                                       "ws.push", "push.outcomes", "chat.events.dlq")}
        self.tables = {t: [] for t in ("messages", "members", "cursors", "cursors_quiet", "positions", "chats", "unread", "profiles", "changes",
                                      "versions", "reactions", "hidden", "chat_marks", "blocks", "invites")}
        self.now = {}  # message → what it is since it was changed
        self.meta = {"began_ms": 1000, "audit": [], "behind": [], "log_faults": [], "rebuilt": {"messages": None},
                     "numbers": {"persistence dead_letters_total": 1},
                     "memory": {"chat-0": {"most_mb": 20, "cap_mb": 100, "fds_base": 10, "fds_end": 11}}}
        self.members = {CHAT: [A, B], GROUP: [A, B, C], PAIR: [A, C]}
        self.miscounted = 0
        self.play()

    def line(self, e: str, **fields) -> None:
        self.n += 1
        self.history.append({"n": self.n, "at": float(self.n), "e": e, **fields})

    def own(self, e: str, device: str, **fields) -> None:
        self.line(e, c=f"c{device[-2:]}", user=OF[device], device=device, **fields)

    def record(self, topic: str, v, **more) -> int:
        rows = self.topics[topic]
        rows.append({"p": 0, "o": len(rows), "k": "", "t": 1000 + len(rows), "v": v, **more})
        return len(rows) - 1

    def action(self, chat: str, user: str, kind: str, body: dict, cid: str = "") -> int:
        return self.record("chat.actions", {"chatId": chat, "userId": user, "clientId": cid, "peer": None,
                                            "action": [f"chasqui.{kind}", body]})

    def event(self, at: int, chat: str, user: str, kind: str, body: dict, cid: str = "") -> None:
        self.record("chat.events", {"chatId": chat, "userId": user, "clientId": cid, "seq": GEN | at,
                                    "source": {"generation": 1, "partition": 0, "offset": at}, "event": [f"chasqui.{kind}", body]})

    def hand_on(self, at: int, chat: str, to: list[str]) -> None:
        self.record("user.inbox", {"body": ["chasqui.DeliveryBatch", {"origin": "CHAT_ACTIONS", "items": [
            {"partition": 0, "offset": at, "chatId": chat, "to": to}]}]})

    def say(self, device: str, chat: str, cid: str, shown_by=(A1, B1), yes: bool = True, again: bool = False) -> int:
        user, content = OF[device], f"content {cid}"
        peer = {CHAT: {A: B, B: A}, PAIR: {A: C, C: A}}.get(chat, {}).get(user)
        self.own("send", device, cid=cid, chat=chat, content=content, via="ws")
        at = self.action(chat, user, "MessageSent", {}, cid)
        i = uid(1000 + int(cid[1:]))
        self.own("ack", device, cid=cid, id=i)
        if again:
            self.hand_on(at, chat, [user])
            return at
        if not yes:
            self.record("rejections", {"chatId": chat, "userId": user, "clientId": cid, "code": "not_found",
                                       "source": {"partition": 0, "offset": at}})
            self.own("verdict", device, cid=cid, id=i, chat=chat, code="not_found")
            return at
        self.event(at, chat, user, "MessageAccepted", {"id": i, "peer": peer, "content": content}, cid)
        self.tables["messages"].append({"chat_id": chat, "seq": GEN | at, "id": i, "sender_id": user, "client_id": cid,
                                        "content": content})
        self.hand_on(at, chat, list(self.members[chat]))
        self.record("ws.push", {"entries": [{"kind": "FRAME", "class": "MESSAGE", "chatId": chat, "seq": GEN | at, "messageId": i,
                                             "to": [{"userId": OF[d], "sessionId": d} for d in shown_by]}]})
        for d in shown_by:
            self.show(d, i, at, chat, user, cid, content)
        self.own("verdict", device, cid=cid, id=i, chat=chat, seq=GEN | at)
        if user != B and B in self.members[chat]:
            self.push(B, B2, chat, at, i)
        return at

    def change(self, device: str, cid: str, content: str, shown_by=(A1, B1)) -> int:
        """An edit; a deletion without content."""
        r, user, n = self.row(cid), OF[device], len(self.tables["changes"])
        body = {"messageId": r["id"], "messageSeq": r["seq"], **({"content": content} if content else {})}
        at = self.action(r["chat_id"], user, "MessageRewritten" if content else "MessageWithdrawn", {}, f"x{n}")
        self.event(at, r["chat_id"], user, "MessageEdited" if content else "MessageDeleted", body, f"x{n}")
        seq = GEN | at
        self.hand_on(at, r["chat_id"], list(self.members[r["chat_id"]]))
        self.record("ws.push", {"entries": [{"kind": "FRAME", "class": "EDIT" if content else "DELETION", "chatId": r["chat_id"], "seq": seq,
                                             "messageId": r["id"], "to": [{"userId": OF[d], "sessionId": d} for d in shown_by]}]})
        self.tables["changes"].append({"chat_id": r["chat_id"], "target": r["seq"], "seq": seq, "edited_seq": seq if content else 0,
                                       "deleted_seq": 0 if content else seq})
        if content:
            self.tables["versions"].append({"chat_id": r["chat_id"], "target": r["seq"], "seq": seq, "content": content})
        else:
            r["content"] = ""
        self.now[r["id"]] = {"edited": seq if content else 0, "deleted": not content, "content": content}
        for d in shown_by:
            self.own("changed", d, id=r["id"], how="live", **self.now[r["id"]])
        return at

    def react(self, device: str, cid: str, sign: str, shown_by=(A1, B1)) -> None:
        r, user, n = self.row(cid), OF[device], len(self.topics["chat.actions"])
        at = self.action(r["chat_id"], user, "MessageReacted", {}, f"r{n}")
        self.event(at, r["chat_id"], user, "ReactionChanged", {"messageId": r["id"], "messageSeq": r["seq"], "reaction": sign}, f"r{n}")
        self.hand_on(at, r["chat_id"], list(self.members[r["chat_id"]]))
        self.tables["reactions"] = [{"chat_id": r["chat_id"], "target": r["seq"], "user_id": user, "seq": GEN | at, "reaction": sign}]
        self.tables["changes"] = [x for x in self.tables["changes"] if x["target"] != r["seq"]] + [
            {"chat_id": r["chat_id"], "target": r["seq"], "seq": GEN | at, "edited_seq": 0, "deleted_seq": 0}]
        for d in shown_by:
            self.own("sign", d, id=r["id"], by=user, seq=GEN | at, reaction=sign)

    def hide(self, device: str, cid: str, gone_at=(B1,)) -> None:
        r, user = self.row(cid), OF[device]
        at = self.action(r["chat_id"], user, "MessagesPutAway", {})
        self.event(at, r["chat_id"], user, "MessagesHidden", {"messages": [{"id": r["id"], "seq": r["seq"]}]})
        self.hand_on(at, r["chat_id"], [user])
        self.tables["hidden"].append({"chat_id": r["chat_id"], "user_id": user, "target": r["seq"], "seq": GEN | at})
        self.own("hide_end", device, chat=r["chat_id"], ids=[r["id"]], status=200)
        for d in gone_at:
            self.own("gone", d, id=r["id"], how="live")

    def show(self, device, i, at, chat, user, cid, content, how="live") -> None:
        self.own("show", device, id=i, seq=GEN | at, chat=chat, sender=user, cid=cid, content=content, how=how)

    def push(self, user, device, chat, at, i) -> None:
        self.record("mobile.push", {"userId": user, "chatId": chat, "seq": GEN | at, "messageId": i, "devices": [device]})
        self.record("push.outcomes", {"messageId": i, "deviceId": device})

    def block(self, blocked: bool) -> int:
        """Carol blocks Alice, or does not any more."""
        at = self.action(PAIR, C, "BlockSet", {}, f"b{len(self.topics['chat.actions'])}")
        seq = GEN | at
        self.event(at, PAIR, C, "BlockChanged", {"peer": A, "blocked": blocked})
        self.hand_on(at, PAIR, [C])
        self.record("ws.push", {"entries": [{"kind": "FRAME", "class": "BLOCK", "chatId": PAIR, "seq": s, "senderId": C,
                                             "to": [{"userId": u, "sessionId": u}]} for u, s in ((C, seq), (A, 0))]})
        if blocked:
            self.tables["members"][-1]["left_seq"] = seq
            self.members[PAIR] = [A]
        else:
            self.tables["members"].append({"chat_id": PAIR, "user_id": C, "joined_seq": seq, "left_seq": None})
            self.members[PAIR] = [A, C]
        self.tables["blocks"] = [{"user_id": C, "chat_id": PAIR, "blocked": blocked}]
        return seq

    def receipt(self, device: str, chat: str, at: int) -> None:
        user, seq = OF[device], GEN | at
        self.own("receipt", device, chat=chat, delivered=seq, read=seq)
        o = self.action(chat, user, "ReceiptsAdvanced", {"receipts": [
            {"chatId": chat, "userId": user, "deliveredSeq": seq, "readSeq": seq}]})
        for kind in ("DELIVERED", "READ"):
            self.record("delivery.status", {"chatId": chat, "userId": user, "kind": kind, "seq": seq,
                                            "source": {"partition": 0, "offset": o}})
        self.tables["cursors"] = [r for r in self.tables["cursors"] if (r["chat_id"], r["user_id"]) != (chat, user)]
        self.tables["cursors"].append({"chat_id": chat, "user_id": user, "delivered": seq, "read": seq})

    def play(self) -> None:
        self.line("chat", chat=CHAT, kind="direct", users=[A, B])
        self.line("chat", chat=GROUP, kind="group", users=[A, B, C])
        self.line("chat", chat=PAIR, kind="direct", users=[A, C])
        for d in (A1, B1, B2, C1):
            self.own("device", d, home=d != B2)
        for d in (A1, B1, C1):
            self.own("ready", d, session=d)
            self.own("caught_up", d, session=d)
        at = self.action(GROUP, A, "GroupCreated", {})
        self.event(at, GROUP, A, "GroupStarted", {"members": [{"userId": u, "role": "MEMBER"} for u in (A, B, C)]})
        for about in ("first", "second"):
            self.record("user.inbox", {"body": ["chasqui.UserAction", {"userId": A, "action": ["chasqui.ProfileDetailsEdited", {"about": about}]}]})
            self.line("profile", user=A, about=about, status=200)
        self.tables["profiles"] = [{"user_id": A, "about": "second"}]
        for asked in ({"archived": True, "draft": "one"}, {"pinned": True}, {"markedUnread": True, "readSeq": 5, "draft": "two"}):
            asked = {"chatId": CHAT, "archived": None, "pinned": None, "markedUnread": None, "readSeq": 0, "draft": None, **asked}
            self.record("user.inbox", {"body": ["chasqui.UserAction", {"userId": A, "action": ["chasqui.ChatMarked", asked]}]})
        last = self.topics["user.inbox"][-1]["o"]
        self.line("chat_mark", user=A, chat=CHAT, draft="one", status=200)
        self.tables["chat_marks"] = [{"user_id": A, "chat_id": CHAT, "archived": False, "pinned": GEN + last - 1, "unread_after": 5, "draft": "two", "src": GEN + last}]
        self.say(A1, CHAT, "m1")
        self.say(B1, CHAT, "m2")
        self.say(A1, GROUP, "m3", shown_by=(A1, B1, C1))
        at = self.action(GROUP, A, "MembersChanged", {})
        self.event(at, GROUP, A, "MembershipChanged", {"changes": [{"userId": C, "change": "REMOVE"}]})
        self.members[GROUP] = [A, B]
        self.say(A1, GROUP, "m4")
        self.say(C1, GROUP, "m5", yes=False)
        invited_plants.play(self, GROUP, A, D)
        self.change(B1, "m2", "better")
        self.react(A1, "m3", "+1")
        self.react(A1, "m3", "-1")
        at = self.change(A1, "m1", "")
        self.tables["members"].append({"chat_id": PAIR, "user_id": C, "joined_seq": 0, "left_seq": None})
        self.say(A1, PAIR, "m10", shown_by=(A1, C1))
        gap = [self.block(True)]
        self.say(A1, PAIR, "m11", shown_by=(A1,))
        gap.append(self.block(False))
        self.say(A1, PAIR, "m12", shown_by=(A1, C1))
        said = [uid(1000 + n) for n in (10, 11, 12)]
        self.hide(C1, "m12", gone_at=(C1,))  # what was hidden is not the last of the list
        self.own("parted", A1, chat=PAIR, history=said, last=said[2], blocked=False, delivered=[said[0], said[2]], **{"except": [gap]})
        self.own("parted", C1, chat=PAIR, history=[said[0], said[2]], last=said[0], blocked=False, delivered=[], **{"except": []})
        m6 = self.say(A1, CHAT, "m6")
        self.hide(B1, "m6")
        self.say(A1, CHAT, "m6", again=True)
        self.receipt(B1, CHAT, m6)
        self.own("tick", A1, chat=CHAT, delivered=GEN | m6, read=GEN | m6, how="live")
        self.line("poison", topic="chat.events", partition=0, raw="fe")
        self.topics["chat.events.dlq"].append({"p": 0, "o": 0, "h": {"src_partition": "0"}, "raw": "fe", "v": None})
        self.line("fault", fault="F15")
        self.line("recovered", fault="F15", seconds=1.0)
        self.line("after", fault="F15", of={"chat-0": [21, 10]}, base={"chat-0": [20, 10]})
        self.line("mark", name="quiet")
        self.tables["cursors_quiet"] = copy.deepcopy(self.tables["cursors"])
        if self.late_by:
            self.say(A1, CHAT, "m8", shown_by=self.late_by)
            self.topics["chat.events"][-1]["t"] = self.meta["began_ms"] + self.n * 1000
        self.own("ready", B2, session=B2, at_least=f"f1.{at + 1}")
        for e in [r["v"] for r in self.topics["chat.events"] if r["v"]["event"][0].endswith("MessageAccepted")]:
            fact = e["event"][1]
            if e["chatId"] == PAIR:
                continue
            now = self.now.get(fact["id"], {"content": fact["content"]})
            gone = fact["id"] == self.row("m6")["id"]
            self.show(B2, fact["id"], e["source"]["offset"], e["chatId"], e["userId"], e["clientId"], "" if gone else now["content"], "sync")
            if gone:
                self.own("gone", B2, id=fact["id"], how="sync")
            if fact["id"] in self.now:
                self.own("changed", B2, id=fact["id"], how="sync", **now)
        self.own("caught_up", B2, session=B2)
        self.line("mark", name="end")
        self.meta["rebuilt"]["messages"] = copy.deepcopy(self.tables["messages"])

    def data(self) -> Data:
        d = Data(self.history, self.topics, self.tables, self.meta)
        self.tables["unread"] = [{"chat_id": chat, "user_id": user, "unread": unread + self.miscounted, "mentioned": mentioned}
                                 for (chat, user), (unread, mentioned) in unread.recount(d).items()]
        return d

    # finding what to spoil

    def lines(self, e: str, **fields) -> list[dict]:
        return [x for x in self.history if x["e"] == e and all(x.get(k) == v for k, v in fields.items())]

    def drop(self, x: dict) -> None:
        self.history.remove(x)

    def row(self, cid: str) -> dict:
        return next(r for r in self.tables["messages"] if r["client_id"] == cid)


def broken(w: World) -> list[str]:
    return [x.name for x in checker.check(w.data()) if not x.ok]


def test_all_well():
    lines = checker.check(World().data())
    assert [str(x) for x in lines if not x.ok] == []
    assert len(lines) == len(checker.ALL) == 28
    assert all(x.n for x in lines)


def test_what_is_said_after_the_quiet_is_looked_at_too():
    assert broken(World(late_by=(A1, B1))) == []
    assert broken(World(late_by=(A1,))) == ["I13"]


def test_what_was_said_ok_to_needs_no_push():
    w = World()
    w.topics["mobile.push"] = [r for r in w.topics["mobile.push"] if r["v"]["messageId"] != uid(1004)]
    assert broken(w) == ["I13"]
    w.own("got", B2, id=uid(1004))
    assert broken(w) == []


def plant_lost_row(w):
    w.tables["messages"].remove(w.row("m4"))


def plant_lost_everywhere(w):
    """Acknowledged, and nothing in the log."""
    w.say(A1, CHAT, "m9")
    for t in ("chat.actions", "chat.events"):
        w.topics[t] = [r for r in w.topics[t] if r["v"]["clientId"] != "m9"]
    w.tables["messages"].remove(w.row("m9"))


def plant_lost_and_sent_again(w):
    """What was acknowledged is gone; the copy that is there was sent again later."""
    next(r for r in w.topics["chat.actions"] if r["v"]["clientId"] == "m1")["t"] += 10**6


def plant_two_rows(w):
    w.tables["messages"].append({**w.row("m1"), "seq": GEN | 90})


def plant_row_from_nowhere(w):
    w.tables["messages"].append({**w.row("m1"), "client_id": "m77", "id": uid(77), "seq": GEN | 90})


def plant_changed_content(w):
    w.row("m1")["content"] = "something else"


def plant_not_shown_live(w):
    w.drop(w.lines("show", device=B1, cid="m4")[0])


def plant_shown_twice(w):
    w.history.append({**w.lines("show", device=B1, cid="m4")[0]})


def plant_sync_lacks_one(w):
    w.drop(w.lines("show", device=B2, cid="m3")[0])


def plant_never_back(w):
    w.drop(w.lines("caught_up", device=B2)[0])


def plant_other_order(w):
    """m6 was sent after m1 was acknowledged, and stands before it."""
    one, six = w.row("m1"), w.row("m6")
    for x in [*w.lines("show"), *w.lines("verdict")]:
        if x.get("seq") in (one["seq"], six["seq"]):
            x["seq"] = one["seq"] + six["seq"] - x["seq"]
    for t in ("chat.events",):
        for r in w.topics[t]:
            if r["v"]["seq"] in (one["seq"], six["seq"]):
                r["v"]["seq"] = one["seq"] + six["seq"] - r["v"]["seq"]
    one["seq"], six["seq"] = six["seq"], one["seq"]


def plant_other_order_and_a_refusal(w):
    """The same, and the one that stands too late was refused once, later: no excuse."""
    plant_other_order(w)
    w.record("rejections", {"chatId": CHAT, "userId": A, "clientId": "m1", "code": "not_found",
                            "source": {"partition": 0, "offset": 99}})


def plant_reader_sees_another_place(w):
    w.lines("show", device=B1, cid="m2")[0]["seq"] += 1


def plant_reader_sees_another_quote(w):
    w.lines("show", device=B1, cid="m2")[0]["beside"] = {"replyTo": {"id": uid(1), "seq": 1}}


def plant_one_unread_too_many(w):
    w.miscounted = 1


def test_a_recount_leaves_out_ones_own_what_was_read_and_what_is_outside_of_the_stay():
    w = World()
    said = {r["client_id"]: r["seq"] for r in w.tables["messages"]}
    want = {(PAIR, A): (0, 0), (PAIR, C): (1, 0), (CHAT, A): (1, 0), (CHAT, B): (0, 0), (GROUP, A): (0, 0), (GROUP, B): (2, 0), (GROUP, C): (1, 0), (GROUP, D): (0, 0)}
    assert unread.recount(w.data()) == want
    for r in w.topics["chat.events"]:
        if r["v"]["seq"] in (said["m3"], said["m6"]):
            r["v"]["event"][1]["mentions"] = [B, C]
    assert unread.recount(w.data()) == want | {(GROUP, B): (2, 1), (GROUP, C): (1, 1)}


def plant_shown_to_a_stranger(w):
    x = w.lines("show", device=B1, cid="m4")[0]
    w.history.append({**x, "device": C1, "user": C, "c": "c14"})


def plant_pushed_to_a_stranger(w):
    m = w.row("m4")
    w.push(C, C1, GROUP, m["seq"] & (GEN - 1), m["id"])


def plant_routed_to_a_stranger(w):
    next(r for r in w.topics["ws.push"] if r["v"]["entries"][0]["messageId"] == w.row("m4")["id"])["v"]["entries"][0]["to"].append(
        {"userId": C, "sessionId": C1})


def plant_edit_back(w):
    """First the edit, then the message as it was sent."""
    x = w.lines("changed", device=A1)[0]
    w.n += 1
    w.history.append({**x, "n": w.n, "edited": 0, "content": "content m2"})


def plant_deletion_back(w):
    x = w.lines("changed", device=B1, deleted=True)[0]
    w.n += 1
    w.history.append({**x, "n": w.n, "edited": next(r for r in w.tables["changes"] if r["edited_seq"])["seq"], "deleted": False, "content": "better"})


def plant_sync_without_the_deletion(w):
    w.drop(w.lines("changed", device=B2, deleted=True)[0])


def plant_live_without_the_edit(w):
    w.drop(w.lines("changed", device=A1, deleted=False)[0])


def plant_deletion_missing_in_the_view(w):
    next(r for r in w.tables["changes"] if r["deleted_seq"])["deleted_seq"] = 0


def plant_version_of_a_deleted_message(w):
    w.tables["versions"].append({**w.tables["versions"][0], "target": w.row("m1")["seq"]})


def plant_last_version_gone(w):
    w.tables["versions"].clear()


def plant_first_sign_kept(w):
    w.tables["reactions"][0]["reaction"] = "+1"


def plant_another_sign_shown(w):
    w.lines("sign", device=B1)[-1]["reaction"] = "+1"


def plant_change_routed_to_a_stranger(w):
    next(r for r in w.topics["ws.push"] if r["v"]["entries"][0]["class"] == "EDIT")["v"]["entries"][0]["to"].append({"userId": C, "sessionId": C1})


def plant_hidden_not_in_the_view(w):
    w.tables["hidden"].clear()


def plant_hidden_still_on_a_device(w):
    w.drop(w.lines("gone", device=B2)[0])


def plant_hidden_for_another(w):
    w.own("gone", A1, id=w.row("m6")["id"], how="live")


def plant_hidden_and_told_by_a_sync(w):
    w.lines("show", device=B2, id=w.row("m6")["id"])[0]["content"] = "content m6"


def plant_tick_back(w):
    w.meta["audit"].append({"what": "cursors", "detail": "5 -> 4"})


def plant_tick_that_lies(w):
    x = w.lines("tick")[0]
    x["n"] = w.lines("receipt")[0]["n"] - 0.5


def plant_read_told_though_off(w):
    """Her device knew that her read receipts were off when it said what she had read."""
    n = w.lines("receipt")[0]["n"]
    w.line("turn", user=B, about="off", on=False)
    w.own("hides", B1, about="off", on=False)
    for i, x in enumerate(w.history[-2:]):
        x["n"] = n - 0.9 + 0.1 * i


def plant_tick_never_told(w):
    w.drop(w.lines("tick")[0])


def plant_cursor_behind(w):
    w.tables["cursors"][0]["read"] -= 1


def plant_second_id(w):
    w.lines("ack", cid="m6")[1]["id"] = uid(66)


def plant_second_seq(w):
    w.history.append({**w.lines("verdict", cid="m6")[0], "seq": GEN | 99})


def plant_position_back(w):
    w.meta["audit"].append({"what": "positions", "detail": "5 -> 4"})


def plant_left_behind(w):
    w.meta["behind"].append({"topic": "chat.events", "partition": 3, "end": 7, "next": 6})


def plant_commit_outside_of_its_log(w):
    """Beyond the end: what comes there would be skipped. And before the beginning."""
    good = {"group": "chat", "topic": "chat.actions", "partition": 0, "first": 2, "end": 9}
    w.meta["commits"] = [{**good, "at": -1}, {**good, "at": 2}, {**good, "at": 9}]
    assert "I9" not in broken(w)
    w.meta["commits"] = [{**good, "at": 1}]
    assert "I9" in broken(w)
    w.meta["commits"] = [{**good, "at": 10}]


def lag(w, at, next, shown=False, group="user"):
    w.n += 1
    w.history.append({"n": w.n, "at": at, "e": "lag", "group": group, "shown": shown,
                      "behind": [{"topic": "user.inbox", "partition": 3, "next": next}] if next else []})


def plant_standing_still_unseen(w):
    """Not when it moves, when a number shows it, or when it was level in between."""
    for at, next, shown in ((100, 5, False), (115, 5, False), (119, 6, False), (130, 6, True), (145, 6, False), (160, 6, False), (162, None, False),
                            (170, 7, False), (185, 7, False)):
        lag(w, at, next, shown)
    assert "I9" not in broken(w)
    for at in (200, 299):
        lag(w, at, 5, group="edge-ws")
    assert "I9" not in broken(w)
    lag(w, 191, 7)


def plant_receipt_lost_at_the_door(w):
    w.topics["delivery.status"] = [r for r in w.topics["delivery.status"] if r["v"]["kind"] != "READ"]


def plant_receipt_in_another_chat(w):
    moved = next(r for r in w.topics["delivery.status"] if r["v"]["kind"] != "MEMBERS")
    moved["v"]["chatId"] = GROUP if moved["v"]["chatId"] == CHAT else CHAT
    moved["v"]["seq"] += 50


def plant_poison_swallowed(w):
    w.topics["chat.events.dlq"].clear()


def plant_good_record_dead_lettered(w):
    w.topics["chat.events.dlq"].append({"p": 0, "o": 1, "h": {"src_partition": "0"}, "raw": "00", "v": None})


def plant_poison_accused_of_killing(w):
    """The injected record is dead-lettered once, as it must be, but not for what is wrong with it."""
    w.topics["chat.events.dlq"][0]["h"]["error"] = "killed its process"


def plant_other_rows_after_rebuild(w):
    w.meta["rebuilt"]["messages"].pop()


def plant_memory(w):
    w.meta["memory"]["chat-0"]["most_mb"] = 101


def plant_descriptors(w):
    w.meta["memory"]["chat-0"]["fds_end"] = 40


def plant_memory_after_a_fault(w):
    w.lines("after")[0]["of"]["chat-0"][0] = 90


def plant_descriptors_after_a_fault(w):
    w.lines("after")[0]["of"]["chat-0"][1] = 30


def plant_not_well_again(w):
    x = w.lines("recovered")[0]
    x.update(e="not_recovered", why="late")


def plant_fault_forgotten(w):
    w.drop(w.lines("recovered")[0])


def plant_no_push(w):
    w.topics["mobile.push"] = [r for r in w.topics["mobile.push"] if r["v"]["messageId"] != w.row("m3")["id"]]


def plant_no_push_for_its_session_had_ended(w):
    """Handed back when the device had been there again and was away again: nobody has it, and nobody was woken."""
    plant_no_push(w)
    m = w.row("m3")
    for session, kind, more in (("s1", "SessionOpened", {}), ("s2", "SessionOpened", {}), ("s2", "SessionClosed", {}),
                                ("s1", "SessionLost", {"items": [{"messageId": m["id"]}]})):
        w.record("user.inbox", {"body": ["chasqui.UserAction", {"deviceId": B2, "action": [f"chasqui.{kind}", {"sessionId": session, **more}]}]})


def plant_no_outcome(w):
    w.topics["push.outcomes"].pop()


def plant_not_handed_on(w):
    at = w.row("m6")["seq"] & (GEN - 1)
    w.topics["user.inbox"] = [r for r in w.topics["user.inbox"] if r["v"]["body"][1].get("items", [{"offset": None}])[0]["offset"] != at]


def plant_receipt_without_trace(w):
    w.topics["delivery.status"].pop()
    for t in ("cursors", "cursors_quiet"):
        w.tables[t][0]["read"] = 0
    w.lines("tick")[0]["read"] = 0


def plant_no_verdict_on_an_action(w):
    w.topics["rejections"].pop()


def plant_accepted_from_a_stranger(w):
    at = w.topics["rejections"].pop()["v"]["source"]["offset"]
    i = uid(1005)
    w.event(at, GROUP, C, "MessageAccepted", {"id": i, "peer": None, "content": "content m5"}, "m5")
    w.hand_on(at, GROUP, [A, B])
    w.tables["messages"].append({"chat_id": GROUP, "seq": GEN | at, "id": i, "sender_id": C, "client_id": "m5", "content": "content m5"})


def plant_repeat_accepted(w):
    at = next(r["o"] for r in reversed(w.topics["chat.actions"]) if r["v"]["clientId"] == "m6")
    w.event(at, CHAT, A, "MessageAccepted", {"id": w.row("m6")["id"], "peer": B, "content": "content m6"}, "m6")


def plant_against_the_protocol(w):
    w.own("odd", A1, text="frame message has n 5 after 3")


def plant_verdict_never_told(w):
    w.drop(w.lines("verdict", cid="m5")[0])


def plant_refusal_never_taken(w):
    w.meta["numbers"].clear()


def plant_mark_takes_another_back(w):
    w.tables["chat_marks"][0]["pinned"] = 0


def plant_older_mark(w):
    w.tables["chat_marks"][0]["draft"] = "one"


def plant_mark_of_nobody(w):
    w.tables["chat_marks"].append({**w.tables["chat_marks"][0], "user_id": B})


def plant_mark_answered_and_never_logged(w):
    w.topics["user.inbox"] = [r for r in w.topics["user.inbox"] if "'one'" not in str(r["v"]["body"])]


def plant_older_profile(w):
    w.tables["profiles"][0]["about"] = "first"


def plant_profile_answered_and_never_logged(w):
    w.topics["user.inbox"] = [r for r in w.topics["user.inbox"] if "first" not in str(r["v"]["body"])]



def plant_left_out_too_much(w):
    """What came after the unblock is not in the history."""
    w.lines("parted", device=C1)[0]["history"].pop()


def plant_left_out_too_little(w):
    w.lines("parted", device=C1)[0]["history"].insert(1, uid(1011))


def plant_list_shows_what_was_left_out(w):
    w.lines("parted", device=C1)[0]["last"] = uid(1011)


def plant_tick_of_what_was_left_out(w):
    w.lines("parted", device=A1)[0]["delivered"].append(uid(1011))


def plant_gap_not_told(w):
    w.lines("parted", device=A1)[0]["except"] = []


def plant_stay_without_an_end(w):
    next(r for r in w.tables["members"] if r["left_seq"])["left_seq"] = None


def plant_block_told_to_the_other(w):
    for r in w.topics["ws.push"]:
        for e in r["v"]["entries"]:
            if e["class"] == "BLOCK":
                e["seq"] = e["seq"] or 1


def plant_left_out_and_routed(w):
    i = uid(1011)
    seq = w.row("m11")["seq"]
    w.record("ws.push", {"entries": [{"kind": "FRAME", "class": "MESSAGE", "chatId": PAIR, "seq": seq, "messageId": i, "to": [{"userId": C, "sessionId": C1}]}]})


PLANTS = {  # what is planted → the invariant that must say so (others may, too)
    plant_lost_row: "I1", plant_lost_everywhere: "I1", plant_lost_and_sent_again: "I1", plant_two_rows: "I1", plant_row_from_nowhere: "I2", plant_changed_content: "I2",
    plant_not_shown_live: "I3", plant_shown_twice: "I3", plant_sync_lacks_one: "I4", plant_never_back: "I4", plant_other_order: "I5",
    plant_other_order_and_a_refusal: "I5", plant_reader_sees_another_place: "I5", plant_reader_sees_another_quote: "I5", plant_one_unread_too_many: "I17", plant_shown_to_a_stranger: "I6", plant_pushed_to_a_stranger: "I6",
    plant_routed_to_a_stranger: "I6", plant_tick_back: "I7", plant_tick_that_lies: "I7", plant_read_told_though_off: "I7", plant_tick_never_told: "I7",
    plant_receipt_lost_at_the_door: "I7", plant_receipt_in_another_chat: "I7", plant_commit_outside_of_its_log: "I9",
    plant_standing_still_unseen: "I9", plant_cursor_behind: "I7", plant_second_id: "I8", plant_second_seq: "I8", plant_position_back: "I9", plant_left_behind: "I9",
    plant_poison_swallowed: "I9", plant_good_record_dead_lettered: "I9",
    plant_poison_accused_of_killing: "I9", plant_other_rows_after_rebuild: "I10", plant_memory: "I11",
    plant_descriptors: "I11", plant_memory_after_a_fault: "I11", plant_descriptors_after_a_fault: "I11",
    plant_not_well_again: "I12", plant_fault_forgotten: "I12", plant_no_push: "I13", plant_no_push_for_its_session_had_ended: "I13",
    plant_no_outcome: "I13",
    plant_not_handed_on: "I14", plant_receipt_without_trace: "I14", plant_no_verdict_on_an_action: "I14",
    plant_accepted_from_a_stranger: "I14", plant_repeat_accepted: "I14", plant_against_the_protocol: "I15",
    plant_verdict_never_told: "I15", plant_refusal_never_taken: "I16",
    plant_older_profile: "I18", plant_profile_answered_and_never_logged: "I18",
    plant_edit_back: "I19", plant_deletion_back: "I19", plant_sync_without_the_deletion: "I19", plant_live_without_the_edit: "I19",
    plant_deletion_missing_in_the_view: "I19", plant_version_of_a_deleted_message: "I19", plant_last_version_gone: "I19",
    plant_left_out_too_much: "I20", plant_left_out_too_little: "I20", plant_list_shows_what_was_left_out: "I20", plant_tick_of_what_was_left_out: "I20",
    plant_gap_not_told: "I20", plant_stay_without_an_end: "I20", plant_block_told_to_the_other: "I20", plant_left_out_and_routed: "I6",
    plant_change_routed_to_a_stranger: "I19", plant_first_sign_kept: "I19", plant_another_sign_shown: "I19",
    plant_hidden_not_in_the_view: "I21", plant_hidden_still_on_a_device: "I21", plant_hidden_for_another: "I21",
    plant_hidden_and_told_by_a_sync: "I21",
    plant_mark_takes_another_back: "I22", plant_older_mark: "I22", plant_mark_of_nobody: "I22", plant_mark_answered_and_never_logged: "I22",
    **PLANTS_OF_LINKS,
}


@pytest.mark.parametrize("plant", PLANTS, ids=lambda p: p.__name__[6:])
def test_a_planted_anomaly_is_named(plant):
    w = World()
    plant(w)
    assert PLANTS[plant] in broken(w)


def test_every_invariant_is_broken_by_some_plant():
    assert set(PLANTS.values()) == {f"I{i}" for i in range(1, 24)}
    assert set(PLANTS) == {f for name, f in globals().items() if name.startswith("plant_")}


def test_an_empty_run_is_not_a_good_one():
    lines = checker.check(Data([], {}, {}, {}))
    assert not all(x.ok for x in lines)
    assert not lines[0].ok and not lines[2].ok


def test_the_plan_is_the_seeds_alone():
    have = {"fatal", "disk", "proxies", "slow", "clock"}
    one = [(f.name, s) for f, s in nemesis.plan("7", 200, have, False)]
    assert one == [(f.name, s) for f, s in nemesis.plan("7", 200, have, False)]
    assert one != [(f.name, s) for f, s in nemesis.plan("8", 200, have, False)]
    assert {name for name, _ in one} == {f.name for f in nemesis.FAULTS if f.needs not in ("brokers", "power")}, "a long run meets every fault"


@pytest.mark.parametrize("broken, good", [((), False), (("I9",), False), (("I1", "I9"), True), (("RUN",), False)])
def test_a_power_cut_that_loses_nothing_proves_nothing(broken, good):
    lines = [Line("RUN", "", "", ["why"])] if "RUN" in broken else [Line(f"I{i}", "", "", ["lost"] * (f"I{i}" in broken)) for i in range(1, 17)]
    assert all(x.ok for x in drive.proof(lambda text: None, lines)) == good


REPORT = """seed 7, long, 10 minutes, drawn faults
[  12.1 s] F7.kill          kill -9 PostgreSQL and start it again: ; 1.6 s, well again 1.3 s later
[ 115.0 s] F2.persistence.1.5 SIGSTOP persistence for 1.5 sessions: persistence-0 for 15 s; 15.6 s, well again 0.1 s later
[ 421.9 s] F7.kill          kill -9 PostgreSQL and start it again: NOT WELL AGAIN: AssertionError: late
"""


def test_coverage_counts_what_reports_say():
    good, bad = "seed 7: 16 of 16 invariants hold\n", "seed 8: 15 of 16 invariants hold  BROKEN\n"
    found = coverage.read([REPORT + good, REPORT + bad, REPORT])
    assert found["F7.kill"] == coverage.Seen(done=6, unwell=3, good=1, broken=1, unjudged=1)
    assert found["F2.persistence.1.5"] == coverage.Seen(done=3, unwell=0, good=1, broken=1, unjudged=1)
    assert found["F19"] == coverage.Seen(), "one that nobody has seen is there all the same"
    assert set(found) == {f.name for f in nemesis.FAULTS}


def test_a_start_while_a_stop_is_under_way_leaves_one_connection():
    class Stub(Device):
        running = 0

        def __init__(self):
            self.name, self._task, self._ws, self._stopping = "d", None, None, False

        async def _run(self):
            Stub.running += 1
            try:
                await asyncio.Event().wait()
            finally:
                Stub.running -= 1

    async def play():
        d = Stub().start()
        await asyncio.sleep(0)
        d._task.add_done_callback(lambda _: d.start())  # before stop() goes on
        await d.stop()
        d.start()
        await asyncio.sleep(0)
        assert Stub.running == 1, "one loop, which the next stop ends"
        await d.stop()
        assert Stub.running == 0

    asyncio.run(play())


def test_a_mute_device_ends_though_a_cancel_is_lost():
    class Stub(Mute):
        def __init__(self):
            self.task = None

        async def run(self):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                pass
            await asyncio.Event().wait()

    async def play():
        m = Stub()
        m.task = asyncio.create_task(m.run())
        await asyncio.sleep(0)
        await asyncio.wait_for(m.end(), 20)
        assert m.task.cancelled()

    asyncio.run(play())


# ---- three brokers -------------------------------------------------------------------------------------


def test_nodes_of_a_cluster_know_each_other_and_keep_three_copies(tmp_path):
    nodes = nodes_at(29000, 3, 2)
    ports = [p for n in nodes for p in (n.kafka, n.controller) if p]
    assert len(set(ports)) == 8 and 29002 not in ports and max(ports) < 29010
    files = [dict(x.split("=", 1) for x in n.properties(nodes, tmp_path, {"a.b": 1}).splitlines()) for n in nodes]
    assert [f["process.roles"] for f in files] == ["broker,controller"] * 3 + ["controller"] * 2
    assert [f["node.id"] for f in files] == ["1", "2", "3", "4", "5"]
    for f in files:
        assert f["controller.quorum.voters"].count("@") == 5 and f["controller.quorum.voters"] == files[0]["controller.quorum.voters"]
        assert (f["min.insync.replicas"], f["offsets.topic.replication.factor"], f["a.b"]) == ("2", "3", "1")
        assert f["unclean.leader.election.enable"] == "false"
    assert "PLAINTEXT://" not in files[3]["listeners"] + files[3]["advertised.listeners"]


def test_only_f6_is_for_three_brokers():
    assert drive.parse(["--fault", "F6"]).brokers == 3 and drive.parse(["--brokers", "3"]).fault == ["F6"]
    assert drive.parse([]).brokers == 1
    for words in (["--fault", "F6", "--fault", "F4"], ["--fault", "F4", "--brokers", "3"], ["--fault", "F6", "--brokers", "1"], ["--fault", "F99"]):
        with pytest.raises(SystemExit):
            drive.parse(words)
    assert not any(f.needs == "brokers" for f, _ in nemesis.plan("1", 200, {"fatal", "disk", "proxies"}, False)), "drawn with one broker"


def test_cut_tails_shortens_last_segments_only(tmp_path):
    for name in ("chat.actions-0/1.log", "chat.actions-0/2.log", "chat.actions-0/2.index", "__cluster_metadata-0/0.log"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * 1000)
    files, cut = cut_tails(tmp_path, random.Random(1))
    sizes = {p.name: p.stat().st_size for p in (tmp_path / "chat.actions-0").iterdir()}
    assert files == 1 and sizes == {"1.log": 1000, "2.log": 1000 - cut, "2.index": 1000} and cut > 0
    assert (tmp_path / "__cluster_metadata-0/0.log").stat().st_size == 1000


def test_acks_counts_only_what_was_sent_since():
    class Heard:
        begin, listeners = 0.0, []

    with three.Acks(Heard, 1) as acks:
        hear = Heard.listeners[0]
        for at, e, cid in ((1, "send", "a"), (2, "send", "b"), (3, "ack", "a"), (4, "send", "a"), (9, "ack", "a")):
            hear({"e": e, "cid": cid, "at": at, "chat": "c"})
        hear({"e": "nack", "cid": "b", "at": 10, "code": "retry"})
        hear({"e": "unknown", "cid": "b", "at": 10, "status": 503})
    assert acks.fresh(0.5) == {0} and acks.fresh(1.5) == set(), "an ack of what was sent before says nothing about now"
    assert acks.told == {"nack retry": 1, "REST 503": 1} and not Heard.listeners
