# SPDX-License-Identifier: MIT
"""The checker of changes that fit no message against a small world in which all is well, and in which exactly one thing is not."""
import sys
import uuid
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "lib")]
from checker import Data  # noqa: E402
from stale import KEPT, i30_stale  # noqa: E402

GEN = 1 << 48


def uid(n: int) -> str:
    return str(uuid.UUID(int=n))


A, B, GROUP, OTHER, SAID, ANSWER = uid(1), uid(2), uid(101), uid(102), uid(1001), uid(1002)


class World:
    """Two messages, changes that fit them, and changes that fit neither: another seq, another chat, one of two that are hidden."""

    def __init__(self):
        self.events, self.rows, self.n = [], [], 0
        self.history = [{"n": i, "at": 1.0, "e": "device", "device": d, "user": u} for i, (d, u) in enumerate((("a1", A), ("a2", A), ("b1", B)))]
        said = self.fact(A, "MessageAccepted", {"id": SAID, "peer": None, "content": "?"})
        answer = self.fact(B, "MessageAccepted", {"id": ANSWER, "peer": None, "content": "!"})
        self.change(A, "MessageEdited", SAID, said, content="better")
        self.change(B, "StarChanged", SAID, said)
        self.fact(B, "MessagesHidden", {"messages": [{"id": ANSWER, "seq": answer}]})
        first = self.bad(A, self.change(A, "MessageEdited", SAID, answer, content="worse"))
        self.bad(B, self.fact(B, "MessagesHidden", {"messages": [{"id": ANSWER, "seq": answer}, {"id": SAID, "seq": answer}]}))
        self.bad(A, self.fact(A, "PinChanged", {"messageId": SAID, "messageSeq": said}, OTHER), OTHER)
        for n in range(KEPT):
            last = self.bad(A, self.change(A, "VoteChanged", uid(2000 + n), said))
        del self.rows[0], self.rows[1]  # of A the newest
        for device, user, cid in (("a1", A, first), ("a1", A, last), ("a2", A, last)):
            self.line("stale", device=device, user=user, chat=GROUP, cid=cid)

    def line(self, e: str, **fields) -> None:
        self.history.append({"n": len(self.history) + 1, "at": 1.0, "e": e, **fields})

    def fact(self, user: str, kind: str, fact: dict, chat: str = GROUP) -> int:
        self.n += 1
        self.events.append({"p": 0, "o": self.n, "k": "", "t": self.n, "v": {
            "chatId": chat, "userId": user, "clientId": str(self.n), "seq": GEN | self.n,
            "source": {"generation": 1, "partition": 0, "offset": self.n}, "event": [f"chasqui.{kind}", fact]}})
        return GEN | self.n

    def change(self, user: str, kind: str, i: str, seq: int, **fields) -> int:
        return self.fact(user, kind, {"messageId": i, "messageSeq": seq, **fields})

    def bad(self, user: str, seq: int, chat: str = GROUP) -> str:
        self.rows.append({"src_partition": 0, "src_offset": seq - GEN, "user_id": user, "chat_id": chat, "client_id": str(seq - GEN), "code": "stale_target"})
        return str(seq - GEN)

    def data(self) -> Data:
        return Data(self.history, {"chat.events": self.events, "chat.actions": []}, {"rejected": self.rows}, {})


def test_a_good_world_is_good():
    line = i30_stale(World().data())
    assert not line.bad, line.bad
    assert line.n == f"{KEPT + 1} changes of nothing, 3 told"


@pytest.mark.parametrize("spoil", (
    lambda w: w.rows.pop(), lambda w: w.rows.pop(0), lambda w: w.rows[0].update(user_id=A), lambda w: w.rows[-1].update(client_id="x"),
    lambda w: w.bad(A, GEN | 3), lambda w: w.change(A, "MessageDeleted", SAID, GEN | 1000), lambda w: w.history[-1].update(user=B),
    lambda w: w.history.append(w.history[-1]), lambda w: w.history[-1].update(cid="3"), lambda w: w.history[-1].update(chat=OTHER)))
def test_whatever_is_wrong_is_found(spoil):
    w = World()
    spoil(w)
    assert i30_stale(w.data()).bad
