# SPDX-License-Identifier: MIT
"""Our codec against fastavro, both ways, for every record type.

ORACLE_TOOL is the helper program of oracle_tool.c. Records are random but seeded, so a failure repeats.
"""

import io
import json
import os
import random
import subprocess
import sys

try:
    import fastavro
    import fastavro.schema
    import pytest
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

COUNT = 300


def tool(*args, stdin=""):
    done = subprocess.run(
        [os.environ["ORACLE_TOOL"], *args], input=stdin, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def records():
    for line in tool("records"):
        name, schema_id, text = line.split("\t")
        yield name, int(schema_id), json.loads(text)


RECORDS = list(records())
IDS = [name for name, _, _ in RECORDS]


def frame(schema_id, body):
    return (b"\0" + schema_id.to_bytes(4, "big") + body).hex()


def read(parsed, body):
    stream = io.BytesIO(body)
    value = fastavro.schemaless_reader(stream, parsed, None, return_record_name=True)
    assert stream.read() == b"", "bytes after the end"
    return value


def write(parsed, value):
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, parsed, value)
    return stream.getvalue()


class Maker:
    """Random values of a schema, with the edges that break varints, lengths and UTF-8."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.named = {}

    def integer(self, bits):
        low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        pick = self.random.randrange(8)
        if pick < 4:
            return (low, high, 0, -1)[pick]
        return self.random.randint(low, high) >> self.random.randrange(bits)

    def text(self):
        size = self.random.choice([0, 1, 7, 8, 9, 63, 64, 200])
        return "".join(self.random.choice("aZ\"\\</\n\0ñ€𝄞") for _ in range(size))

    def record(self, schema):
        return {f["name"]: self.value(f["type"]) for f in schema["fields"]}

    def branch(self, schema):
        pick = self.random.choice(schema)
        named = pick if isinstance(pick, dict) else self.named.get(pick)
        if named:
            return (named["name"], self.value(pick))
        return self.value(pick)

    def value(self, schema):
        if isinstance(schema, list):
            for branch in schema:  # a name may be defined in a branch that is not picked
                self.learn(branch)
            return self.branch(schema)
        self.learn(schema)
        if isinstance(schema, str) and schema in self.named:
            schema = self.named[schema]
        kind = schema if isinstance(schema, str) else schema["type"]
        if kind == "record":
            return self.record(schema)
        if kind == "array":
            size = self.random.choice([0, 1, 2, 5, 70])
            return [self.value(schema["items"]) for _ in range(size)]
        if kind == "enum":
            return self.random.choice(schema["symbols"])
        if kind == "fixed":
            return self.random.randbytes(schema["size"])
        return {
            "null": lambda: None,
            "boolean": lambda: self.random.random() < 0.5,
            "int": lambda: self.integer(32),
            "long": lambda: self.integer(64),
            "string": self.text,
            "bytes": lambda: self.random.randbytes(self.random.choice([0, 1, 16, 300])),
        }[kind]()

    def learn(self, schema):
        """Remember every named type inside."""
        if isinstance(schema, list):
            for branch in schema:
                self.learn(branch)
        elif isinstance(schema, dict):
            if "name" in schema:
                self.named[schema["name"]] = schema
            self.learn(schema.get("items"))
            for field in schema.get("fields", []):
                self.learn(field["type"])


@pytest.mark.parametrize("name,schema_id,schema", RECORDS, ids=IDS)
def test_schema_id_is_the_fingerprint(name, schema_id, schema):
    canonical = fastavro.schema.to_parsing_canonical_form(schema)
    print_hex = fastavro.schema.fingerprint(canonical, "CRC-64-AVRO")
    crc = int.from_bytes(bytes.fromhex(print_hex), "little")
    assert schema_id == 0x40000000 | crc & 0x3FFFFFFF


@pytest.mark.parametrize("name,schema_id,schema", RECORDS, ids=IDS)
def test_fastavro_reads_what_we_write(name, schema_id, schema):
    parsed = fastavro.parse_schema(schema)
    lines = tool("random", name, "42", str(COUNT))
    assert len(lines) == COUNT
    for line in lines:
        framed = bytes.fromhex(line)
        assert framed[:5] == b"\0" + schema_id.to_bytes(4, "big")
        assert write(parsed, read(parsed, framed[5:])) == framed[5:]


@pytest.mark.parametrize("name,schema_id,schema", RECORDS, ids=IDS)
def test_we_read_what_fastavro_writes(name, schema_id, schema):
    parsed = fastavro.parse_schema(schema)
    maker = Maker(name)
    maker.learn(schema)
    lines = [frame(schema_id, write(parsed, maker.value(schema))) for _ in range(COUNT)]
    assert tool("recode", name, stdin="\n".join(lines) + "\n") == lines


@pytest.mark.parametrize("name,schema_id,schema", RECORDS, ids=IDS)
def test_values_survive(name, schema_id, schema):
    """The value itself, not only its bytes: what fastavro wrote and reads back after our pass is the same."""
    parsed = fastavro.parse_schema(schema)
    maker = Maker(name + "!")
    maker.learn(schema)
    value = maker.value(schema)
    (line,) = tool("recode", name, stdin=frame(schema_id, write(parsed, value)) + "\n")
    assert read(parsed, bytes.fromhex(line)[5:]) == value


def test_broken_bytes_are_poison():
    name, schema_id, _ = RECORDS[0]
    assert tool("recode", name, stdin=frame(schema_id, b"\x02") + "\n")[0].startswith("poison ")
    assert tool("recode", name, stdin=frame(7, b"\x02") + "\n") == ["poison unknown schema id"]


if __name__ == "__main__":
    sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", __file__]))
