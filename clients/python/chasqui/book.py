# SPDX-License-Identifier: MIT
"""What the events of a Client come to: messages and chats as docs/protocol.md merges them. Pure: no network, no storage, no clock.
Everything may be told twice, and frames in any order."""
from __future__ import annotations

from collections import OrderedDict
from copy import deepcopy

CHANGES_MAX = 1000  # of messages that are not here
FILES_MAX = 1000  # of which something was told
PIN_FACTS_MAX = 64  # of a chat
OWN_VOTES_MAX = 8  # of a poll
PINNED_MESSAGES = 3
OF_MESSAGES = ("edited", "deleted", "reaction", "starred", "vote", "poll_closed")
GONE_WITH_CONTENT = ("mediaId", "media", "replyTo", "mentions", "forwarded", "location", "contact", "voice", "preview", "poll", "edited",
                     "myReaction", "starred")
OF_ROWS = ("timer", "description", "picture", "rights", "blocked", "deleted", "requests", "lastMessage")  # absent: not any more
ROLES = {"add": "member", "remove": "left", "promote": "admin", "demote": "member", "make_owner": "owner"}


def _without(frame: dict, *names: str) -> dict:
    return {name: value for name, value in frame.items() if name not in names}


class Book:
    """messages: by id, as in a history; those that were told first are forgotten first.
    chats: by chatId, with the members that lists have, as far as it was told; `pins` oldest first.
    me: what this user shows of himself.
    unsure: ids of messages whose `reactions` or `poll` may count others by now: ask the history, and take() its row."""

    def __init__(self, user_id: str, messages_max: int = 5000, chats_max: int = 10000):
        self.user_id, self.messages_max, self.chats_max = user_id, messages_max, chats_max
        self.messages: OrderedDict[str, dict] = OrderedDict()
        self.chats: OrderedDict[str, dict] = OrderedDict()
        self.me: dict = {}
        self.unsure: set[str] = set()
        self._early: list[dict] = []  # changes whose message is not here, or has another seq
        self._files: dict[str, dict] = {}  # by mediaId: what frames told of files
        self._seqs: dict[str, dict] = {}  # by id: what was said of it with seqs of their own
        self._facts: dict[str, dict] = {}  # by chatId: the same of pins, and of what a group says of itself

    def take(self, event: dict) -> list[dict]:
        """An event of a Client, or {"t": "message", **row} of a history: the messages that are others now."""
        kind = event["t"]
        if kind == "message":
            return self._message(_without(event, "t", "n"))
        if kind in OF_MESSAGES:
            return self._change(event)
        if kind == "hidden":
            changes = [{"t": "hidden", "chatId": event["chatId"], "messageId": m["id"], "messageSeq": m["seq"]} for m in event["messages"]]
            return [message for change in changes for message in self._change(change)]
        if kind in ("media", "media_deleted"):
            return self._file(event)
        if kind == "page":
            self._page(event)
        elif kind == "reset":
            self._forget()
        elif kind == "profile":
            self._profile(event)
        elif "chatId" in event:
            self._of_chat(event)
        return []

    def shown(self, message: dict, now_ms: int) -> bool:
        """Is it to be shown?"""
        return not message.get("gone") and not message.get("expiresAt", now_ms + 1) <= now_ms

    def tick(self, message: dict) -> str:
        """none (not this user's), sent, delivered or read."""
        chat, seq = self.chats.get(message["chatId"]), message["seq"]
        if message["from"] != self.user_id:
            return "none"
        if not chat or any(hole["after"] < seq < hole["before"] for hole in chat["except"]):
            return "sent"
        return "read" if seq <= chat["read"] else "delivered" if seq <= chat["delivered"] else "sent"

    def _forget(self) -> None:
        for every in (self.messages, self.chats, self.unsure, self._files, self._seqs, self._facts, self._early, self.me):
            every.clear()

    # ---- messages

    def _message(self, row: dict) -> list[dict]:
        """The lowest seq of an id is its place."""
        held = self.messages.get(row["id"])
        if held and held["seq"] < row["seq"]:
            return []
        is_row = "deliveredAt" in row  # of a history or a sync: as it is by now
        if held and held["seq"] == row["seq"]:
            return self._merge(held, row) if is_row else []
        kept = deepcopy(row)
        self._seqs.pop(row["id"], None)
        if is_row:
            self.unsure.discard(row["id"])
        if mine := (kept.get("poll") or {}).get("mine"):
            self._seqs_of(row["id"])["votes"] = [mine]
        self.messages[row["id"]] = kept
        self._shows(kept)
        if len(self.messages) > self.messages_max:
            oldest, _ = self.messages.popitem(last=False)
            self._seqs.pop(oldest, None)
            self.unsure.discard(oldest)
        for change in [c for c in self._early if c["messageId"] == row["id"]]:
            self._change(change)
        return [kept]

    def _file(self, frame: dict) -> list[dict]:
        """A file was looked into, or taken away for good; it may be told before the message that shows it."""
        media_id = frame["mediaId"]
        if self._files.get(media_id, {}).get("gone"):
            return []
        self._files.pop(media_id, None)
        told = {"gone": True} if frame["t"] == "media_deleted" else {name: frame[name] for name in ("width", "height", "durationMs", "thumbnail")}
        self._files[media_id] = told
        if len(self._files) > FILES_MAX:
            del self._files[next(iter(self._files))]
        return [held for held in self.messages.values() if held.get("mediaId") == media_id and self._shows(held)]

    def _shows(self, held: dict) -> bool:
        """Let a message have what is known of its file."""
        told = self._files.get(held.get("mediaId", ""))
        if not told or held.get("media", {}).get("gone"):
            return False
        held["media"] = dict(told) if told.get("gone") else {**held.get("media", {}), **told}
        return True

    def _seqs_of(self, message_id: str) -> dict:
        return self._seqs.setdefault(message_id, {"star": 0, "given": {}, "votes": []})

    def _merge(self, held: dict, row: dict) -> list[dict]:
        """What the server says of a message that is here."""
        before = deepcopy(held)
        self.unsure.discard(held["id"])
        if row.get("gone") or row.get("deleted"):
            self._vanish(held, row.get("gone"), row.get("deleted"))
        if not held.get("gone") and not held.get("deleted"):
            row = deepcopy(row)
            if held.get("poll") and row.get("poll"):
                row["poll"] = self._poll(held, row["poll"])
            if held.get("edited", {}).get("seq", 0) > row.get("edited", {}).get("seq", 0):
                row |= {name: held[name] for name in ("edited", "content", "preview") if name in held}
            for name in ("reactions", "myReaction", "starred", "preview"):
                if name not in row:
                    held.pop(name, None)
            held |= row
            self._shows(held)
        return [held] if held != before else []

    def _vanish(self, held: dict, gone: str | None, deleted: dict | None) -> bool:
        """A deletion absorbs: nothing counts after it. Of several the first counts. True when that is new."""
        before = dict(held)
        for name in GONE_WITH_CONTENT:
            held.pop(name, None)
        held |= {"content": "", "reactions": []}
        if gone:
            held.setdefault("gone", gone)
        was = held.get("deleted")
        if deleted and not (was and "seq" in was and "seq" in deleted and was["seq"] <= deleted["seq"]):
            held["deleted"] = deleted
        self.unsure.discard(held["id"])
        if held["chatId"] in self.chats:
            self._pins(self._chat(held["chatId"]))
        return held != before

    def _change(self, frame: dict) -> list[dict]:
        """Both id and seq have to match."""
        held = self.messages.get(frame["messageId"])
        self._early = [c for c in self._early if c is not frame]
        if not held or held["seq"] > frame["messageSeq"]:
            self._early = [*self._early, frame][-CHANGES_MAX:]  # a lower seq may still be told
            if frame["t"] == "deleted" and frame["chatId"] in self.chats:
                self._pins(self._chat(frame["chatId"]))
        if not held or held["seq"] != frame["messageSeq"]:
            return []
        if (held.get("gone") or held.get("deleted")) and frame["t"] not in ("hidden", "deleted"):
            return []
        return [held] if self._changed(held, frame) else []

    def _changed(self, held: dict, frame: dict) -> bool:
        kind = frame["t"]
        if kind == "hidden":
            return self._vanish(held, "hidden", None)
        if kind == "deleted":
            return self._vanish(held, None, {name: frame[name] for name in ("seq", "by", "at")})
        if kind == "edited":
            if frame["seq"] <= held.get("edited", {}).get("seq", 0):
                return False
            held.pop("preview", None)
            held |= {"edited": {"seq": frame["seq"], "at": frame["at"]}} | {name: frame[name] for name in ("content", "preview") if name in frame}
            return True
        if kind == "starred":
            return self._starred(held, frame)
        if kind == "reaction":
            return self._reacted(held, frame)
        return self._polled(held, frame)

    def _starred(self, held: dict, frame: dict) -> bool:
        seqs = self._seqs_of(held["id"])
        if frame["seq"] <= seqs["star"]:
            return False
        seqs["star"] = frame["seq"]
        held.pop("starred", None)
        if frame["starred"]:
            held["starred"] = True
        return True

    def _reacted(self, held: dict, frame: dict) -> bool:
        """A user has one reaction, that with the highest seq. Which one somebody had given before is not always known: the server is."""
        given, by, sign = self._seqs_of(held["id"])["given"], frame["by"], frame["reaction"]
        last = given.get(by)
        if last and frame["seq"] <= last[0]:
            return False
        before = held.get("myReaction", "") if by == self.user_id else last[1] if last else ""
        given[by] = frame["seq"], sign
        if by == self.user_id:
            held.pop("myReaction", None)
            if sign:
                held["myReaction"] = sign
        elif not last:
            self.unsure.add(held["id"])
        counts = {row["reaction"]: row["count"] for row in held.get("reactions", ())}
        if before:
            counts[before] = counts.get(before, 1) - 1
        if sign:
            counts[sign] = counts.get(sign, 0) + 1
        held["reactions"] = [{"reaction": one, "count": count} for one, count in counts.items() if count > 0]
        return True

    # ---- polls

    def _poll(self, held: dict, row: dict) -> dict:
        """The later result, the latest own vote that counts, the first end."""
        poll, merged = held["poll"], _without(row, "mine")
        if poll.get("seq", 0) > row.get("seq", 0):
            merged |= {name: poll[name] for name in ("seq", "counts", "voters") if name in poll}
        ends = [one["closed"] for one in (poll, row) if one.get("closed")]
        if ends:
            merged["closed"] = min(ends, key=lambda end: end["seq"])
        if row.get("mine"):
            self._voted(held["id"], row["mine"])
        return self._with_mine(held["id"], merged)

    def _voted(self, message_id: str, vote: dict) -> None:
        seqs = self._seqs_of(message_id)
        if all(other["seq"] != vote["seq"] for other in seqs["votes"]):
            seqs["votes"] = sorted([*seqs["votes"], vote], key=lambda one: one["seq"])[-OWN_VOTES_MAX:]

    def _with_mine(self, message_id: str, poll: dict) -> dict:
        """A vote behind the end of its poll counts for nothing, also one that was accepted."""
        def counts(vote: dict) -> bool:
            options, closed = vote["options"], poll.get("closed")
            fits = len(options) <= poll.get("choices", 1) and all(place < len(poll["options"]) for place in options)
            in_time = "closesAt" not in poll or vote.get("at") is None or vote["at"] < poll["closesAt"]
            return fits and in_time and not (closed and vote["seq"] > closed["seq"])

        mine = next((vote for vote in reversed(self._seqs_of(message_id)["votes"]) if counts(vote)), None)
        return poll | {"mine": {"seq": mine["seq"], "options": mine["options"]}} if mine else poll

    def _polled(self, held: dict, frame: dict) -> bool:
        if not held.get("poll"):
            return False
        before, poll = held["poll"], _without(held["poll"], "mine")
        seq, at = frame["seq"], frame.get("at")
        if frame["t"] == "poll_closed" and not (poll.get("closed") and poll["closed"]["seq"] <= seq):
            poll["closed"] = {"seq": seq, "at": at}
        if frame["t"] == "vote" and "options" in frame:
            self._voted(held["id"], {"seq": seq, "options": frame["options"], "at": at})
        held["poll"] = self._with_mine(held["id"], poll)
        if frame["t"] == "vote" and seq > poll.get("seq", 0):
            self.unsure.add(held["id"])
        return held["poll"] != before or held["id"] in self.unsure

    # ---- chats

    def _chat(self, chat_id: str) -> dict:
        if chat_id not in self.chats:
            self.chats[chat_id] = {"chatId": chat_id, "delivered": 0, "read": 0, "except": [], "mySeq": {"delivered": 0, "read": 0}, "pins": []}
            if len(self.chats) > self.chats_max:
                oldest, _ = self.chats.popitem(last=False)
                self._facts.pop(oldest, None)
        return self.chats[chat_id]

    def _facts_of(self, chat_id: str) -> dict:
        return self._facts.setdefault(chat_id, {"pins": [], "seqs": {}})

    def _page(self, page: dict) -> None:
        for row in page["chats"]:
            self._row(row)
        for row in page.get("marks") or ():
            self._marks(self._chat(row["chatId"]), row["marks"])
        if page.get("me"):
            self._profile(page["me"])

    def _row(self, row: dict) -> None:
        """What a list says of a chat takes the place of what is here; ticks and read cursors only grow."""
        chat = self._chat(row["chatId"])
        for name in OF_ROWS:
            if name not in row:
                chat.pop(name, None)
        chat |= deepcopy(_without(row, "marks", "pins", "delivered", "read", "except", "mySeq")) | {"except": row.get("except", [])}
        self._grow(chat, row)
        self._grow(chat["mySeq"], row.get("mySeq", {}))
        self._facts_of(row["chatId"])["pins"] = [pin | {"pinned": True} for pin in row.get("pins", ())]
        self._pins(chat)
        if row.get("marks"):
            self._marks(chat, row["marks"])

    @staticmethod
    def _grow(seqs: dict, more: dict) -> None:
        for name in ("delivered", "read"):
            seqs[name] = max(seqs[name], more.get(name, 0))

    def _profile(self, told: dict) -> None:
        privacy = {**self.me.get("privacy", {}), **told.get("privacy", {})}
        self.me |= _without(told, "t", "n", "at", "privacy") | ({"privacy": privacy} if privacy else {})

    def _of_chat(self, frame: dict) -> None:
        kind, chat_id, seq = frame["t"], frame["chatId"], frame.get("seq", 0)
        if kind == "status":
            self._grow(self._chat(chat_id), frame)
            self._chat(chat_id)["except"] = frame.get("except", [])
        elif kind == "read":
            self._grow(self._chat(chat_id)["mySeq"], {"read": seq})
        elif kind == "marked":
            self._marked(self._chat(chat_id), frame)
        elif kind == "pinned":
            self._pinned(self._chat(chat_id), _without(frame, "t", "n", "chatId", "clientId"))
        elif kind == "member":
            for change in frame["changes"]:
                if change["userId"] == self.user_id and change["change"] in ROLES:
                    self._says(chat_id, "role", seq, {"role": ROLES[change["change"]]})
        elif kind == "account_deleted" and "peer" in frame:
            self._says(chat_id, kind, seq, {"deleted": True, "name": ""})
        elif kind in ("blocked", "unblocked"):
            self._says(chat_id, "blocked", seq, {"blocked": kind == "blocked"})
        elif kind == "chat":
            self._says(chat_id, "chat", seq, {"kind": "group", "name": frame["name"]})
            for member in frame.get("members", ()):
                if member["userId"] == self.user_id:
                    self._says(chat_id, "role", seq, {"role": member["role"]})
        elif kind in ("description", "picture"):
            self._says(chat_id, kind, seq, {kind: frame.get(kind)})
        elif kind == "timer":
            self._says(chat_id, kind, seq, {"timer": frame["seconds"]})
        elif kind == "rights":
            self._says(chat_id, kind, seq, {"rights": {name: frame[name] for name in ("send", "info", "add")}})

    def _says(self, chat_id: str, what: str, seq: int, told: dict) -> None:
        """Of several that say the same thing of a chat that with the highest seq counts."""
        chat, seqs = self._chat(chat_id), self._facts_of(chat_id)["seqs"]
        if seq >= seqs.get(what, 0):
            seqs[what] = seq
            chat |= told

    def _pinned(self, chat: dict, fact: dict) -> None:
        facts = self._facts_of(chat["chatId"])
        others = [other for other in facts["pins"] if other["seq"] != fact["seq"]]
        facts["pins"] = sorted([*others, fact], key=lambda one: one["seq"])[-PIN_FACTS_MAX:]
        self._pins(chat)

    def _deleted_at(self, message_id: str, message_seq: int) -> int | None:
        """Where a pinned message was deleted: from there on it is not pinned, and does not count among the three."""
        if held := self.messages.get(message_id):
            return (held.get("deleted") or {}).get("seq") if held["seq"] == message_seq else None
        return next((c["seq"] for c in self._early if c["t"] == "deleted" and (c["messageId"], c["messageSeq"]) == (message_id, message_seq)), None)

    def _pins(self, chat: dict) -> None:
        """The newest three, as all facts in their order have it: one that was ended by others does not come back."""
        facts = list(self._facts_of(chat["chatId"])["pins"])
        for fact in list(facts):
            if fact["pinned"] and "messageId" in fact and (seq := self._deleted_at(fact["messageId"], fact["messageSeq"])):
                facts.append({"seq": seq, "messageSeq": fact["messageSeq"], "pinned": False})
        pins: list[dict] = []
        for fact in sorted(facts, key=lambda one: one["seq"]):
            pins = [pin for pin in pins if pin["messageSeq"] != fact["messageSeq"]]
            if fact["pinned"]:
                pins = [*pins, _without(fact, "pinned")][-PINNED_MESSAGES:]
        over = [m["id"] for m in map(self.messages.get, [pin.get("messageId") for pin in pins]) if m and (m.get("gone") or m.get("deleted"))]
        chat["pins"] = [pin for pin in pins if pin.get("messageId") not in over]

    # ---- marks: their seq is one order for all chats, and no seq of a chat

    @staticmethod
    def _marks(chat: dict, marks: dict) -> None:
        if marks["seq"] > chat.get("marks", {}).get("seq", 0):
            chat["marks"] = dict(marks)

    @staticmethod
    def _marked(chat: dict, frame: dict) -> None:
        """A frame names what changed. What is off is absent."""
        before = chat.get("marks", {})
        if frame["seq"] <= before.get("seq", 0):
            return
        changed = {name: frame[name] for name in ("seq", "archived", "mutedUntil") if name in frame}
        if "pinned" in frame:
            changed["pinnedSeq"] = frame["seq"] if frame["pinned"] else 0
        for name, beside in (("markedUnread", "readSeq"), ("draft", "draftAfter")):
            if name in frame:
                changed |= {name: frame[name], beside: frame.get(beside, 0) if frame[name] else 0}
        chat["marks"] = {name: value for name, value in (before | changed).items() if value}
