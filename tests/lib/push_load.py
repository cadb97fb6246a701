# SPDX-License-Identifier: MIT
"""Pushes by the thousand: records written straight to mobile.push, and what became of each."""
from __future__ import annotations

import collections
import io
import time
import uuid

import fastavro
from look import partition_of
from stack import schemas

FRAME = ('"t":"message","id":"{id}","chatId":"{chat}","seq":{seq},"from":"{sender}","type":"text","content":"number {n}",'
         '"sentAt":{at}}}')


class Outcomes:
    """Topic push.outcomes as far as it goes, read once: by message and device, in order."""

    def __init__(self, stack):
        from confluent_kafka import Consumer, TopicPartition

        self.stack, self.found = stack, collections.defaultdict(list)
        self.consumer = Consumer({"bootstrap.servers": stack.broker, "group.id": "stack-outcomes", "enable.auto.commit": False,
                                  "auto.offset.reset": "error"})
        topic = self.consumer.list_topics("push.outcomes", timeout=60).topics["push.outcomes"]
        self.places = [TopicPartition("push.outcomes", p, 0) for p in topic.partitions]
        self.next = {p.partition: 0 for p in self.places}
        self.consumer.assign(self.places)

    @classmethod
    def of(cls, stack) -> "Outcomes":
        """One for all tests of a stack."""
        if not hasattr(stack, "outcomes_read"):
            stack.outcomes_read = cls(stack)
        return stack.outcomes_read

    def read(self):
        """Up to what is there now."""
        ends = {p.partition: self.consumer.get_watermark_offsets(p, timeout=60)[1] for p in self.places}
        limit = time.monotonic() + 60
        while any(self.next[p] < end for p, end in ends.items()):
            assert time.monotonic() < limit, f"push.outcomes: at {self.next}, not at {ends}"
            for message in self.consumer.consume(1000, 0.2):
                assert not message.error(), message.error()
                o = self.stack.decode(message.value())[1]
                self.found[o["messageId"], o["deviceId"]].append(o)
                self.next[message.partition()] = message.offset() + 1


class Pushes:
    """`tokens`: (kind, token) of one device each. Offsets, ids and times are made up; of the messages the view knows nothing.
    `muted_ms`: their users have muted the chat for so long."""

    def __init__(self, stack, tokens: list[tuple[str, str]], muted_ms: int = 0, mode: str = "NOTIFICATION"):
        self.muted_ms, self.mode = muted_ms, mode
        self.stack, self.partitions = stack, int(stack.services.settings["PARTITIONS"])
        self.rows = [(str(uuid.uuid4()), str(uuid.uuid4()), str(uuid.uuid4()), kind, token) for kind, token in tokens]

    def _register(self, at: int):
        """What processors/user and the view would have done before."""
        kinds = {"FCM_TOKEN": 0, "FCM_FID": 1, "APNS": 2}
        with self.stack.db() as db, db.cursor() as cur, cur.copy(
                "COPY view.push_targets (device_id, user_id, kind, token, app, environment, locale, privacy, registered_at, src_offset) "
                "FROM STDIN") as copy:
            for n, (user, device, _, kind, token) in enumerate(self.rows):
                copy.write_row((device, user, kinds[kind], token, "", 0, "en", 0, at, (1 << 48) + n))

    def produce(self, register: bool = True) -> "Pushes":
        number, (_, schema) = next((n, s) for n, s in schemas().items() if s[0] == "MobilePush")
        producer = self.stack.producer(**{"linger.ms": 20})
        at = int(time.time() * 1000)
        if register:
            self._register(at)
        for n, (user, device, message, kind, token) in enumerate(self.rows):
            frame = FRAME.format(id=message, chat=user, seq=n + 1, sender=device, n=n, at=at)
            address = {"kind": kind, "token": token, "app": "", "environment": "PRODUCTION", "locale": "en", "privacy": "FULL",
                       "mode": self.mode}
            record = {"userId": uuid.UUID(user), "source": {"generation": 1, "partition": 0, "offset": n}, "atMs": at,
                      "chatId": uuid.UUID(user), "seq": n + 1, "messageId": uuid.UUID(message), "senderId": uuid.UUID(device),
                      "frame": frame.encode(), "devices": [uuid.UUID(device)], "attempt": 0, "notBeforeMs": 0,
                      "targets": [{"deviceId": uuid.UUID(device), "registered": n, "registeredMs": at, "address": address,
                                   "mutedUntilMs": at + self.muted_ms if self.muted_ms else 0}]}
            out = io.BytesIO()
            fastavro.schemaless_writer(out, schema, _plain(record))
            producer.produce("mobile.push", b"\0" + number.to_bytes(4, "big") + out.getvalue(), key=user,
                             partition=partition_of(user, self.partitions))
            if n % 1000 == 0:
                producer.poll(0)
        assert producer.flush(60) == 0
        return self

    def outcomes(self) -> dict[str, list[dict]]:
        """All outcomes by token, in order."""
        all_of = Outcomes.of(self.stack)
        all_of.read()
        return {token: list(all_of.found[message, device]) for _, device, message, _, token in self.rows
                if (message, device) in all_of.found}

    def ends(self) -> dict[str, list[str]]:
        """How each token's push ended; a list longer than one means that it ended twice."""
        return {token: [o["outcome"] for o in all_of if o["outcome"] != "RETRIED"] for token, all_of in self.outcomes().items()}

    def wait(self, timeout_s: float) -> dict[str, list[str]]:
        """Until every one has ended."""
        end = time.monotonic() + timeout_s
        while True:
            found = self.ends()
            left = [token for *_, token in self.rows if not found.get(token)]
            if not left:
                return found
            if time.monotonic() > end:
                raise AssertionError(f"{len(left)} of {len(self.rows)} pushes have no outcome after {timeout_s} s, e.g. {left[:3]}")
            time.sleep(0.5)


def _plain(value):
    """UUIDs as the 16 bytes that the schema's fixed wants."""
    if isinstance(value, uuid.UUID):
        return value.bytes
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return value
