# SPDX-License-Identifier: MIT
"""Our codec against fastavro, both ways, for every record type.

ORACLE_TOOL is the helper program of oracle_tool.c. Records are random but seeded, so a failure repeats.
"""

import io
import json
import os
import subprocess
import sys

try:
    import fastavro
    import fastavro.read
    import fastavro.schema
    import pytest
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from maker import Maker  # noqa: E402

COUNT = 300
fastavro.read.LOGICAL_READERS.pop("long-timestamp-millis", None)  # times are any 64 bits here, beyond what a date can be


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


def bare(value):
    """Without the names of enums, which the reader gives to those whose type stands elsewhere, and to no other."""
    if isinstance(value, tuple):
        name, inner = value
        return inner if isinstance(inner, str) else (name, bare(inner))
    if isinstance(value, dict):
        return {key: bare(one) for key, one in value.items()}
    return [bare(one) for one in value] if isinstance(value, list) else value


def write(parsed, value):
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, parsed, value)
    return stream.getvalue()


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
    assert bare(read(parsed, bytes.fromhex(line)[5:])) == bare(value)


def test_one_fact_is_set():
    """What Avro allows and we do not: none of a oneOf, two of it, and the symbol that stands for unknown ones."""
    name, schema_id, schema = next(r for r in RECORDS if r[0] == "UserInbox")
    parsed = fastavro.parse_schema(schema)
    maker = Maker("facts")
    maker.learn(schema)
    (action, batch), own = schema["fields"], "chasqui.DeliveryBatch"
    both = {action["name"]: maker.choice(action, True), batch["name"]: (own, {"origin": "CHAT_ACTIONS", "generation": 1, "items": []})}
    unknown = {batch["name"]: (own, {"origin": "UNKNOWN", "generation": 1, "items": []})}
    for value, why in ((both, "more than one fact"), ({}, "no fact"), (unknown, "unknown enum symbol")):
        value = {action["name"]: None, batch["name"]: None, **value}
        assert tool("recode", name, stdin=frame(schema_id, write(parsed, value)) + "\n") == [f"poison {why}"]


def test_broken_bytes_are_poison():
    name, schema_id, _ = RECORDS[0]
    assert tool("recode", name, stdin=frame(schema_id, b"\x02") + "\n")[0].startswith("poison ")
    assert tool("recode", name, stdin=frame(7, b"\x02") + "\n") == ["poison unknown schema id"]


if __name__ == "__main__":
    sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", __file__]))
