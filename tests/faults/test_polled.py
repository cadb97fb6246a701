# SPDX-License-Identifier: MIT
"""The checker of polls against a small world in which all is well, and in which exactly one thing is not."""
import sys
import uuid
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "lib")]
from checker import Data  # noqa: E402
from polled import i25_polls, touched  # noqa: E402

GEN = 1 << 48


def uid(n: int) -> str:
    return str(uuid.UUID(int=n))


A, B, C, GROUP = uid(1), uid(2), uid(3), uid(101)
POLL, SHORT, GONE = uid(1001), uid(1002), uid(1003)


class World:
    """Three polls: one that its author closed, an anonymous one that had a time, one that was deleted. Each got votes that count, and some that do not."""

    def __init__(self):
        self.events, self.history, self.n = [], [{"n": 1, "at": 1.0, "e": "mark", "name": "quiet"}], 0
        self.fact(A, "GroupStarted", {"members": [{"userId": A}, {"userId": B}]})
        targets = [self.ask(POLL), self.ask(SHORT, anonymous=True, closesAtMs=100), self.ask(GONE)]
        self.fact(A, "MembershipChanged", {"changes": [{"userId": C, "change": "ADD"}]})
        self.vote(A, POLL, 1)
        b = self.vote(B, POLL, 2)
        self.vote(A, POLL, 3)  # one may choose one
        self.vote(A, POLL, 4)  # there are two
        last = self.vote(A, POLL, 2)
        end = self.fact(A, "PollClosed", {"messageId": POLL, "messageSeq": targets[0], "closedAtMs": 50})
        self.vote(B, POLL, 1)
        self.fact(A, "PollClosed", {"messageId": POLL, "messageSeq": targets[0], "closedAtMs": 60})
        short = self.vote(B, SHORT, 1, at=99)
        self.vote(B, SHORT, 2, at=100)
        self.vote(B, GONE, 1)
        self.fact(A, "MessageDeleted", {"messageId": GONE, "messageSeq": targets[2]})
        self.vote(B, GONE, 2)
        self.polls = [{"chat_id": GROUP, "target": t, "counts": counts, "voters": n, "closed_seq": closed, "changed_seq": changed}
                      for t, counts, n, closed, changed in ((targets[0], [0, 2], 2, end, end), (targets[1], [1, 0], 1, 0, short))]
        self.votes = [{"chat_id": GROUP, "target": t, "user_id": user, "seq": seq, "chosen": chosen}
                      for t, user, seq, chosen in ((targets[0], A, last, 2), (targets[0], B, b, 2), (targets[1], B, short, 1))]
        self.line("vote_end", user=A, id=POLL, status=200, seq=last, mine=2)
        for user, mine in ((A, 0), (B, 1)):
            self.line("poll", user=user, id=SHORT, counts=[1, 0], voters=1, mine=mine, named=[B] * mine)

    def line(self, e: str, **fields) -> None:
        self.history.append({"n": len(self.history) + 1, "at": 1.0, "e": e, **fields})

    def fact(self, user: str, kind: str, fact: dict) -> int:
        self.n += 1
        self.events.append({"p": 0, "o": self.n, "k": "", "t": self.n, "v": {
            "chatId": GROUP, "userId": user, "clientId": str(self.n), "seq": GEN | self.n, "source": {"generation": 1, "partition": 0, "offset": self.n},
            "event": [f"chasqui.{kind}", fact]}})
        return GEN | self.n

    def ask(self, i: str, anonymous: bool = False, closesAtMs: int | None = None) -> int:
        return self.fact(A, "MessageAccepted", {"id": i, "peer": None, "content": "?", "poll": {
            "options": ["a", "b"], "choices": 1, "anonymous": anonymous, "closesAtMs": closesAtMs}})

    def vote(self, user: str, i: str, chosen: int, at: int = 40) -> int:
        seq = next(e["v"]["seq"] for e in self.events if e["v"]["event"][1].get("id") == i)
        return self.fact(user, "VoteChanged", {"messageId": i, "messageSeq": seq, "chosen": chosen, "votedAtMs": at})

    def data(self) -> Data:
        return Data(self.history, {"chat.events": self.events, "chat.actions": []}, {"polls": self.polls, "votes": self.votes}, {})


def test_a_good_world_is_good():
    d = World().data()
    line = i25_polls(d)
    assert not line.bad, line.bad
    assert line.n == "3 polls, 3 voters, 4 votes for nothing, 2 shown" or "3 polls" in line.n
    assert {i: len(seqs) for i, seqs in touched(d).items()} == {POLL: 8, SHORT: 2, GONE: 1}


@pytest.mark.parametrize("spoil", (
    lambda w: w.polls[0].update(counts=[1, 1]), lambda w: w.polls[0].update(voters=3), lambda w: w.polls[0].update(closed_seq=0),
    lambda w: w.polls[1].update(changed_seq=w.polls[1]["changed_seq"] + 1), lambda w: w.polls.pop(), lambda w: w.votes.pop(),
    lambda w: w.votes[0].update(chosen=1), lambda w: w.polls.append({**w.polls[0], "target": 7}),
    lambda w: w.votes.append({**w.votes[0], "target": w.polls[0]["target"] + 2}), lambda w: w.vote(C, SHORT, 1, at=1),
    lambda w: w.history[-1].update(counts=[0, 1]), lambda w: w.history[-1].update(mine=0), lambda w: w.history[-2].update(counts=None),
    lambda w: w.history[-2].update(named=[B]), lambda w: w.history[1].update(seq=w.history[1]["seq"] - 1)))
def test_whatever_is_wrong_is_found(spoil):
    w = World()
    spoil(w)
    assert i25_polls(w.data()).bad
