# SPDX-License-Identifier: MIT
"""Commits of a consumer group, with the text that stands beside each offset, read and written through librdkafka itself.

The Python client takes such a text for a C string, which it is not: it hands over, or chokes on, the bytes behind it.
"""

import ctypes
from dataclasses import dataclass

CONSUMER, WAIT_MS = 1, 20_000


class _Partition(ctypes.Structure):  # rd_kafka_topic_partition_t
    _fields_ = [("topic", ctypes.c_char_p), ("partition", ctypes.c_int32), ("offset", ctypes.c_int64), ("metadata", ctypes.c_void_p),
                ("metadata_size", ctypes.c_size_t), ("opaque", ctypes.c_void_p), ("err", ctypes.c_int), ("private", ctypes.c_void_p)]


class _List(ctypes.Structure):  # rd_kafka_topic_partition_list_t
    _fields_ = [("cnt", ctypes.c_int), ("size", ctypes.c_int), ("elems", ctypes.POINTER(_Partition))]


@dataclass
class Commit:
    topic: str
    partition: int
    offset: int  # below 0: none
    text: bytes = b""


def _library():
    lib = ctypes.CDLL("librdkafka.so.1")
    for name, result, arguments in (
            ("rd_kafka_conf_new", ctypes.c_void_p, []),
            ("rd_kafka_conf_set", ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t]),
            ("rd_kafka_new", ctypes.c_void_p, [ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]),
            ("rd_kafka_destroy", None, [ctypes.c_void_p]),
            ("rd_kafka_err2name", ctypes.c_char_p, [ctypes.c_int]),
            ("rd_kafka_topic_partition_list_new", ctypes.POINTER(_List), [ctypes.c_int]),
            ("rd_kafka_topic_partition_list_destroy", None, [ctypes.POINTER(_List)]),
            ("rd_kafka_topic_partition_list_add", ctypes.POINTER(_Partition), [ctypes.POINTER(_List), ctypes.c_char_p, ctypes.c_int32]),
            ("rd_kafka_committed", ctypes.c_int, [ctypes.c_void_p, ctypes.POINTER(_List), ctypes.c_int]),
            ("rd_kafka_commit", ctypes.c_int, [ctypes.c_void_p, ctypes.POINTER(_List), ctypes.c_int])):
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


class Group:
    """`with Group(broker, "chat") as g: g.read("chat.actions", 12)`. Blocks; writing needs a group without members."""

    def __init__(self, broker: str, name: str):
        self.lib, self.why = _library(), ctypes.create_string_buffer(256)
        conf = self.lib.rd_kafka_conf_new()
        for key, value in (("bootstrap.servers", broker), ("group.id", name), ("log_level", "0")):
            assert self.lib.rd_kafka_conf_set(conf, key.encode(), value.encode(), self.why, 256) == 0, self.why.value
        self.handle = self.lib.rd_kafka_new(CONSUMER, conf, self.why, 256)
        assert self.handle, self.why.value

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.lib.rd_kafka_destroy(self.handle)

    def _check(self, code: int, what: str) -> None:
        if code:
            raise RuntimeError(f"{what}: {self.lib.rd_kafka_err2name(code).decode()}")

    def read(self, topic: str, partitions: int) -> list[Commit]:
        asked = self.lib.rd_kafka_topic_partition_list_new(partitions)
        try:
            for p in range(partitions):
                self.lib.rd_kafka_topic_partition_list_add(asked, topic.encode(), p)
            self._check(self.lib.rd_kafka_committed(self.handle, asked, WAIT_MS), f"commits of {topic}")
            found = []
            for i in range(asked.contents.cnt):
                tp = asked.contents.elems[i]
                self._check(tp.err, f"commit of {topic} {tp.partition}")
                text = ctypes.string_at(tp.metadata, tp.metadata_size) if tp.metadata and tp.metadata_size else b""
                found.append(Commit(topic, tp.partition, tp.offset, text))
            return found
        finally:
            self.lib.rd_kafka_topic_partition_list_destroy(asked)

    def write(self, commits: list[Commit]) -> None:
        """Set them; texts as given."""
        told = self.lib.rd_kafka_topic_partition_list_new(len(commits))
        kept = []  # the memory of the texts is ours: it is taken out again before the list is freed
        try:
            for c in commits:
                tp = self.lib.rd_kafka_topic_partition_list_add(told, c.topic.encode(), c.partition)
                tp.contents.offset = c.offset
                if c.text:
                    kept.append(ctypes.create_string_buffer(c.text, len(c.text)))
                    tp.contents.metadata = ctypes.cast(kept[-1], ctypes.c_void_p)
                    tp.contents.metadata_size = len(c.text)
            code = self.lib.rd_kafka_commit(self.handle, told, 0)
            bad = {told.contents.elems[i].err for i in range(told.contents.cnt)} - {0}
            self._check(code or next(iter(bad), 0), "moving commits")
        finally:
            for i in range(told.contents.cnt):
                told.contents.elems[i].metadata = None
                told.contents.elems[i].metadata_size = 0
            self.lib.rd_kafka_topic_partition_list_destroy(told)
