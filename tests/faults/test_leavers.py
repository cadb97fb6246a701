# SPDX-License-Identifier: MIT
"""The checker of deleted accounts against a small world in which all is well, and in which exactly one thing is not."""
import copy
import sys
import uuid
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "lib")]
from checker import Data  # noqa: E402
from deleted import i24_deleted  # noqa: E402

GEN = 1 << 48
OWNER, GONE, GROUP = (str(uuid.UUID(int=n)) for n in (1, 2, 101))


class World:
    """Somebody is added to a group, deletes his account and leaves; added again he leaves again."""

    def __init__(self):
        self.topics, self.tables = {"chat.events": []}, {"members": []}
        self.history = [{"n": 1, "at": 1.0, "e": "deleted_end", "user": GONE, "status": 200, "answered": 200}]
        self.fact("GroupStarted", {"members": [{"userId": OWNER, "role": "OWNER"}]})
        for _ in range(2):
            joined, left = (self.changed(change) for change in ("ADD", "REMOVE"))
            self.tables["members"].append({"chat_id": GROUP, "user_id": GONE, "joined_seq": joined, "left_seq": left})
        self.tables["users"] = [{"user_id": GONE, "name": "", "deleted_at": 7}]

    def fact(self, kind: str, body: dict) -> int:
        at = len(self.topics["chat.events"])
        self.topics["chat.events"].append({"p": 0, "o": at, "k": "", "t": 1, "v": {
            "chatId": GROUP, "userId": OWNER, "clientId": "", "seq": GEN | at, "source": {"generation": 1, "partition": 0, "offset": at},
            "event": [f"chasqui.{kind}", body]}})
        return GEN | at

    def changed(self, change: str) -> int:
        return self.fact("MembershipChanged", {"changes": [{"userId": GONE, "change": change}]})


def plant_named(w):
    w.tables["users"][0]["name"] = "zoe"


def plant_not_known_as_deleted(w):
    w.tables["users"][0]["deleted_at"] = None


def plant_missing(w):
    w.tables["users"].clear()


def plant_added_later(w):
    w.changed("ADD")


def plant_in_the_view(w):
    w.tables["members"][1]["left_seq"] = None


def judged(w: World):
    return i24_deleted(Data(copy.deepcopy(w.history), copy.deepcopy(w.topics), copy.deepcopy(w.tables), {}))


def test_all_is_well():
    assert judged(World()).bad == []


@pytest.mark.parametrize("plant", [plant_named, plant_not_known_as_deleted, plant_missing, plant_added_later, plant_in_the_view],
                         ids=lambda plant: plant.__name__.removeprefix("plant_"))
def test_one_thing_is_wrong(plant):
    w = World()
    plant(w)
    assert len(judged(w).bad) == 1
