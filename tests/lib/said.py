# SPDX-License-Identifier: MIT
"""What a client of tests knows of a message, and of what it says itself."""
from __future__ import annotations

from dataclasses import dataclass, field

MARK = "psst-psst"  # stands in nearly every content that tests send, so that one look finds them in a log


@dataclass
class Message:
    id: str
    client_id: str
    chat_id: str
    seq: int
    sender: str
    peer: str | None
    type: str
    content: str
    sent_at: int
    edited: int = 0  # seq of the edit that `content` is of
    deleted: bool = False
    beside: dict = field(default_factory=dict)  # replyTo, mentions, forwarded and what it shows, as far as it has them
    reactions: dict = field(default_factory=dict)  # sign → how many gave it, as a sync said
    mine: str = ""  # one's own sign
    signs: dict = field(default_factory=dict)  # user → (seq, sign), as frames said
    expires: int = 0  # ms; 0: never
    gone: str = ""  # why nothing of it is to be seen any more
    starred: bool = False  # as a sync said
    options: int = 0  # of a poll

    @staticmethod
    def of(f: dict) -> "Message":
        return Message(f["id"], f["clientId"], f["chatId"], f["seq"], f["from"], f.get("peer"), f["type"],
                       f["content"], f["sentAt"], f.get("edited", {}).get("seq", 0), "deleted" in f,
                       {k: f[k] for k in ("replyTo", "mentions", "forwarded", "location", "contact", "voice", "preview") if k in f},
                       {r["reaction"]: r["count"] for r in f.get("reactions", ())}, f.get("myReaction", ""),
                       expires=f.get("expiresAt", 0), gone=f.get("gone", ""), starred=f.get("starred", False), options=len(f.get("poll", {}).get("options", ())))


@dataclass(eq=False)
class Outgoing:
    """One message on its way. `acks`, `nacks` and `verdict` hold what the server said."""

    client_id: str
    chat_id: str | None
    peer: str | None
    content: str
    type: str
    media_id: str | None = None
    beside: dict = field(default_factory=dict)  # replyTo, mentions, forwardedFrom, location, contact, voice, preview
    state: str = "queued"  # queued, sent, nacked, acked
    acks: list[str] = field(default_factory=list)
    nacks: list[str] = field(default_factory=list)
    verdict: dict | None = None  # the own `message` or `rejected` frame, or the row of a sync
    acked_at: int = 0  # tickets
    verdict_at: int = 0
    tries: int = 0

    @property
    def id(self) -> str | None:
        return self.acks[0] if self.acks else self.verdict["id"] if self.verdict else None

    @property
    def seq(self) -> int | None:
        return self.verdict.get("seq") if self.verdict else None

    @property
    def rejected(self) -> str | None:
        return self.verdict["code"] if self.verdict and self.verdict.get("t") == "rejected" else None

    def frame(self) -> dict:
        f = {"t": "message.send", "clientId": self.client_id, "content": self.content, "type": self.type, **self.beside}
        if self.media_id:
            f["mediaId"] = self.media_id
        if self.chat_id:
            f["chatId"] = self.chat_id
        if self.peer:
            f["peer"] = self.peer
        return f


@dataclass(eq=False)
class OutgoingChange(Outgoing):
    """An edit, a deletion for everybody or a sign (`content`), of a message that stands."""

    message: Message | None = None
    kind: str = ""  # edit, delete, react

    def frame(self) -> dict:
        f = {"t": f"message.{self.kind}", "clientId": self.client_id, "chatId": self.chat_id,
             "messageClientId": self.message.client_id, "messageSeq": self.message.seq}
        f |= {"content": self.content} if self.kind == "edit" else {"messageFrom": self.message.sender}
        if self.kind == "react":
            f["reaction"] = self.content
        if self.peer:
            f["peer"] = self.peer
        return f
