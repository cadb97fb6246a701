# SPDX-License-Identifier: MIT
"""The checker of pins, stars, rights, timers, lines and searches against a small world in which all is well, and in which exactly one thing is not."""
import copy
import json
import sys
import uuid
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "lib")]
from checker import Data  # noqa: E402
from kept import i28_kept, i29_searched  # noqa: E402

GEN = 1 << 48


def uid(n: int) -> str:
    return str(uuid.UUID(int=n))


A, B, GROUP = uid(1), uid(2), uid(101)


class World:
    """Alice and Bob in a group: five messages, four pinned, one of these deleted, one starred and one no longer, rights and a timer."""

    def __init__(self):
        self.topics, self.n = {"chat.events": [], "chat.actions": []}, 0
        self.tables = {"chats": [], "pins": [], "stars": []}
        self.history = [{"n": 1, "at": 1.0, "e": "mark", "name": "quiet"}]
        began = self.fact(A, "GroupStarted", {"members": [{"userId": A}, {"userId": B}]})
        self.ids = [self.fact(A, "MessageAccepted", {"id": uid(1000 + i), "peer": None, "content": f"word {i}"}) for i in range(5)]
        pins = [self.change(i, "PinChanged", {"pinned": True}) for i in range(3)]
        self.change(1, "MessageDeleted", {})
        pins.append(self.change(3, "PinChanged", {"pinned": True}))  # of three that stand none ends
        pins.append(self.change(0, "PinChanged", {"pinned": False}))
        self.tables["pins"] = [{"chat_id": GROUP, "target": self.ids[i], "seq": seq, "pinned": on}
                               for i, seq, on in ((0, pins[4], False), (1, pins[1], False), (2, pins[2], True), (3, pins[3], True))]
        stars = [self.change(i, "StarChanged", {"starred": on}, B) for i, on in ((2, True), (4, True), (4, False))]
        self.tables["stars"] = [{"chat_id": GROUP, "user_id": B, "target": self.ids[i], "seq": seq, "starred": on}
                                for i, seq, on in ((2, stars[0], True), (4, stars[2], False))]
        rights = self.fact(A, "RightsChanged", {"send": "EVERYONE", "info": "EVERYONE", "add": "ADMINS"})
        timer = self.fact(A, "TimerChanged", {"seconds": 86400})
        self.tables["chats"] = [{"chat_id": GROUP, "send_by": 0, "info_by": 0, "add_by": 1, "rights_seq": rights, "timer_s": 86400, "timer_seq": timer}]
        self.fact(A, "MembershipChanged", {"changes": []})  # of nobody: it was told to nobody
        self.tables["lines"] = [{"chat_id": GROUP, "seq": seq, "line": json.dumps({"t": t, "chatId": GROUP, "seq": seq, "by": A})}
                                for seq, t in ((began, "chat"), (rights, "rights"), (timer, "timer"))]
        self.line("keep", user=A, kind="RightsSet", chat=GROUP, status=200, is_new=True)
        self.line("searched", c="a", user=A, q="word", found=[uid(1000), uid(1002)], want=[uid(1002), uid(1000)])

    def line(self, e: str, **fields) -> None:
        self.history.append({"n": len(self.history) + 1, "at": 1.0, "e": e, **fields})

    def fact(self, user: str, kind: str, fact: dict) -> int:
        self.n += 1
        self.topics["chat.events"].append({"p": 0, "o": self.n, "k": "", "t": self.n, "v": {
            "chatId": GROUP, "userId": user, "clientId": str(self.n), "seq": GEN | self.n,
            "source": {"generation": 1, "partition": 0, "offset": self.n}, "event": [f"chasqui.{kind}", fact]}})
        action = {"RightsChanged": "RightsSet"}.get(kind, kind)
        self.topics["chat.actions"].append({"p": 0, "o": self.n, "k": "", "t": self.n, "v": {
            "chatId": GROUP, "userId": user, "clientId": str(self.n), "action": [f"chasqui.{action}", {}]}})
        return GEN | self.n

    def change(self, i: int, kind: str, more: dict, user: str = A) -> int:
        return self.fact(user, kind, {"messageId": uid(1000 + i), "messageSeq": self.ids[i], **more})

    def data(self) -> Data:
        return Data(copy.deepcopy(self.history), copy.deepcopy(self.topics), copy.deepcopy(self.tables), {})


def test_a_good_world_is_good():
    d = World().data()
    for line in (i28_kept(d), i29_searched(d)):
        assert line.ok, line


def a_fourth_pin(w):
    w.tables["pins"][0]["pinned"] = True


def a_pin_that_was_lost(w):
    w.tables["pins"].pop()


def a_pin_of_what_was_deleted(w):
    w.tables["pins"][1]["pinned"] = True


def a_star_of_another(w):
    w.tables["stars"][0]["user_id"] = A


def a_star_that_came_back(w):
    w.tables["stars"][1]["starred"] = True


def a_star_of_what_was_deleted(w):
    w.change(2, "MessageDeleted", {})


def rights_of_before(w):
    w.tables["chats"][0]["info_by"] = 1


def a_timer_that_was_lost(w):
    w.tables["chats"][0].update(timer_s=0, timer_seq=0)


def a_line_that_was_lost(w):
    w.tables["lines"].pop()


def a_line_of_another(w):
    w.tables["lines"][1]["line"] = w.tables["lines"][1]["line"].replace(A, B)


def a_line_of_nothing(w):
    w.tables["lines"].append({**w.tables["lines"][0], "seq": 7})


def an_answer_of_nothing(w):
    w.topics["chat.actions"] = []


def a_second_answer_of_nothing(w):
    w.line("keep", user=A, kind="RightsSet", chat=GROUP, status=200, is_new=True)


def a_message_that_is_not_found(w):
    w.history[-1]["found"].pop()


def a_message_found_that_does_not_fit(w):
    w.history[-1]["found"].append(uid(1001))


def a_message_found_twice(w):
    w.history[-1]["found"].append(uid(1000))


@pytest.mark.parametrize("spoil, by", [
    *((f, i28_kept) for f in (a_fourth_pin, a_pin_that_was_lost, a_pin_of_what_was_deleted, a_star_of_another, a_star_that_came_back,
                              a_star_of_what_was_deleted, rights_of_before, a_timer_that_was_lost, a_line_that_was_lost, a_line_of_another,
                              a_line_of_nothing, an_answer_of_nothing, a_second_answer_of_nothing)),
    *((f, i29_searched) for f in (a_message_that_is_not_found, a_message_found_that_does_not_fit, a_message_found_twice))])
def test_a_planted_anomaly_is_named(spoil, by):
    w = World()
    spoil(w)
    assert not by(w.data()).ok
