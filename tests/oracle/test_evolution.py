# SPDX-License-Identifier: MIT
"""FULL_TRANSITIVE, as stock tools see it: every version of a public schema reads what every other version wrote.

The judges are the resolvers of fastavro and of Java's Avro, whose check of compatibility is the one that registries use. The versions are
those of schemas/history and two planted later ones: one with a fact more, a symbol more in each enum and an optional field more in each
record that is no item of an array; and one without a fact and the optional fields. Both judges have to make the same of each record. Changes
that break readers have to be refused by both.

Items of arrays do not grow: Java's Avro 1.12.2 looks whether the rest of a record is long enough for the items that an array claims, and
takes the length of the reader's item for that, so it refuses a record of a writer whose items were shorter.
"""

import copy
import hashlib
import io
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

try:
    import fastavro
    import fastavro.read
    import fastavro.schema
    import pytest
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "compose/lib"))

from maker import Maker  # noqa: E402
from services import java, locked, run_step  # noqa: E402

SOURCE, POM = ROOT / "tests/oracle/evolution/Evolution.java", ROOT / "tests/oracle/evolution/pom.xml"
RECORDS_A_PAIR = 12
fastavro.read.LOGICAL_READERS.pop("long-timestamp-millis", None)  # times are any 64 bits here, beyond what a date can be

# ---- the judges --------------------------------------------------------------------------------------


def fetch() -> Path:
    """Java's Avro by Maven and our class beside it, once for each version of either."""
    where = Path(os.environ.get("CHASQUI_STATE") or ROOT / ".state") / "avro"
    with locked(where / "lock"):
        key = hashlib.sha256(POM.read_bytes() + SOURCE.read_bytes()).hexdigest()
        stamp, log = where / "stamp", where / "fetch.log"
        if not stamp.exists() or stamp.read_text() != key:
            log.unlink(missing_ok=True)
            run_step("fetch Java's Avro by Maven", ["mvn", "-B", "-q", "-f", POM, "dependency:copy-dependencies",
                                                    f"-DoutputDirectory={where / 'libs'}", "-DincludeScope=runtime"], log)
            run_step("compile its caller", ["javac", "-cp", f"{where / 'libs'}/*", "-d", where / "classes", SOURCE], log)
            stamp.write_text(key)
    return where


@pytest.fixture(scope="session")
def judge_java():
    """(reader, writer, bytes of records) → (COMPATIBLE or why not, the records as the reader writes them or why it cannot)."""
    where = fetch()
    with subprocess.Popen([java(), "-XX:+UseSerialGC", "-Xmx128m", "-cp", f"{where / 'classes'}:{where / 'libs'}/*", "Evolution"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as proc:

        def ask(reader, writer, bodies):
            proc.stdin.write(f"{json.dumps(reader)}\t{json.dumps(writer)}\t{','.join(b.hex() for b in bodies)}\n")
            proc.stdin.flush()
            verdict, records = proc.stdout.readline().rstrip("\n").split("\t")
            return verdict, records

        yield ask
        proc.stdin.close()


def write(parsed, value) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, parsed, value)
    return out.getvalue()


def read(body: bytes, writer, reader):
    stream = io.BytesIO(body)
    value = fastavro.schemaless_reader(stream, writer, reader, return_record_name=True)
    assert stream.read() == b"", "bytes after the end"
    return value


# ---- the versions ------------------------------------------------------------------------------------


def each_type(schema, items=True):
    """Every record and enum inside, as they stand in the schema, to be looked at or changed; `items`: items of arrays, too."""
    if isinstance(schema, list):
        for branch in schema:
            yield from each_type(branch, items)
    elif isinstance(schema, dict):
        for kind in each_type(schema.get("items"), items):
            if items or kind["type"] == "enum":
                yield kind
        for field in list(schema.get("fields", [])):
            yield from each_type(field["type"], items)
        if schema["type"] in ("record", "enum"):
            yield schema


def more(schema):
    """A later version: a fact more, a symbol more in each enum, an optional field more in each record that is no item."""
    later = copy.deepcopy(schema)
    for kind in list(each_type(later, items=False)):
        if kind["type"] == "enum":
            kind["symbols"].append("PLANTED")
            continue
        for group in sorted({f["oneOf"] for f in kind["fields"] if "oneOf" in f}):
            fact = {"type": "record", "name": f"Planted{kind['name']}", "fields": [{"name": "why", "type": "string"}]}
            kind["fields"].append({"name": f"planted{kind['name']}", "oneOf": group, "type": ["null", fact], "default": None})
        kind["fields"].append({"name": "plantedNote", "type": ["null", "string"], "default": None})
    return later


def less(schema):
    """A later version: the last fact is gone, and optional fields of plain types are."""
    later = copy.deepcopy(schema)
    for kind in list(each_type(later, items=False)):
        if kind["type"] == "record":
            for group in {f["oneOf"] for f in kind["fields"] if "oneOf" in f}:
                kind["fields"].remove([f for f in kind["fields"] if f.get("oneOf") == group][-1])
            kind["fields"] = [f for f in kind["fields"] if f["type"] != ["null", "string"]]
    return later


def newest(versions: dict[str, dict]) -> dict:
    return versions[max(versions, key=lambda stem: int(stem.rpartition("-")[2]))]


def public() -> dict[str, dict[str, dict]]:
    """For each schema of the topics that docs/asyncapi.yaml promises: its versions by name."""
    names = sorted(set(re.findall(r"\.\./schemas/history/(\w+)-\d+\.avsc", (ROOT / "docs/asyncapi.yaml").read_text())))
    assert len(names) >= 7, names
    found = {}
    for name in names:
        found[name] = {p.stem: json.loads(p.read_text()) for p in sorted((ROOT / "schemas/history").glob(f"{name}-*.avsc"))}
        now = newest(found[name])
        found[name].update({"with more": more(now), "with less": less(now)})
    return found


PUBLIC = public()
PAIRS = [(name, w, r) for name, versions in PUBLIC.items() for w, r in itertools.product(versions, repeat=2)]


def facts(schema, value) -> set[str]:
    """The facts that are set, of the top record."""
    return {f["name"] for f in schema["fields"] if "oneOf" in f and value[f["name"]] is not None}


# ---- what has to be so -------------------------------------------------------------------------------


@pytest.mark.parametrize("name,writer,reader", PAIRS, ids=["/".join(p) for p in PAIRS])
def test_each_version_reads_each(judge_java, name, writer, reader):
    w, r = PUBLIC[name][writer], PUBLIC[name][reader]
    parsed_w, parsed_r = fastavro.parse_schema(w), fastavro.parse_schema(r)
    maker = Maker(f"{name}/{writer}/{reader}")
    maker.learn(parsed_w)
    values = [maker.value(parsed_w) for _ in range(RECORDS_A_PAIR)]
    bodies = [write(parsed_w, v) for v in values]
    seen = [read(body, parsed_w, parsed_r) for body in bodies]
    for value, got in zip(values, seen):
        known = {f["name"] for f in r["fields"]}
        assert facts(r, got) == facts(w, value) & known, "the fact that is set, or none where the reader does not know it"
    verdict, records = judge_java(r, w, bodies)
    assert verdict == "COMPATIBLE"
    assert records.split(",") == [write(parsed_r, v).hex() for v in seen], "both judges make the same of it"


def test_what_a_reader_does_not_know():
    """A fact more is no fact, a symbol more is UNKNOWN, and a time is a time."""
    now = newest({stem: schema for stem, schema in PUBLIC["chat_event"].items() if "-" in stem})
    later = PUBLIC["chat_event"]["with more"]
    parsed_now, parsed_later = fastavro.parse_schema(now), fastavro.parse_schema(later)
    maker = Maker("unknown")
    maker.learn(parsed_later)
    values = [maker.value(parsed_later) for _ in range(2000)]  # facts are many, and each wants its symbols
    got = [(v, read(write(parsed_later, v), parsed_later, parsed_now)) for v in values]
    assert any(v["plantedChatEvent"] is not None and not facts(now, g) for v, g in got)
    symbols = {(v["messageAccepted"][1]["type"], g["messageAccepted"][1]["type"]) for v, g in got if v["messageAccepted"]}
    assert ("PLANTED", "UNKNOWN") in symbols and ("TEXT", "TEXT") in symbols
    at = next(f for f in now["fields"] if f["name"] == "atMs")
    assert at["type"] == {"type": "long", "logicalType": "timestamp-millis"}


def record(*fields):
    return {"type": "record", "name": "chasqui.Any", "fields": list(fields)}


def fact(name, kind):
    return {"type": "record", "name": f"chasqui.{name}", "fields": [{"name": "n", "type": kind}]}


def one_of(*symbols, **more_of_it):
    return {"name": "kind", "type": {"type": "enum", "name": "chasqui.Kind", "symbols": list(symbols), **more_of_it}}


NUMBER = {"name": "n", "type": "int"}
# writer, its record, reader: what Java's Avro calls incompatible and neither can read
BROKEN = {
    "a branch more in a union of records": (record({"name": "event", "type": [fact("A", "int"), fact("B", "string")]}),
                                            {"event": ("chasqui.B", {"n": "x"})}, record({"name": "event", "type": [fact("A", "int")]})),
    "a symbol more without a default": (record(one_of("A", "B")), {"kind": "B"}, record(one_of("A"))),
    "a field more without a default": (record(NUMBER), {"n": 1}, record(NUMBER, {"name": "m", "type": "int"})),
    "another name": (record(NUMBER), {"n": 1}, record({"name": "number", "type": "int"})),
    "another type": (record(NUMBER), {"n": 1}, record({"name": "n", "type": "string"})),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_breaks_readers_is_refused(judge_java, what):
    writer, value, reader = BROKEN[what]
    parsed_w, parsed_r = fastavro.parse_schema(writer), fastavro.parse_schema(reader)
    body = write(parsed_w, value)
    with pytest.raises(fastavro.read.SchemaResolutionError):
        read(body, parsed_w, parsed_r)
    verdict, records = judge_java(reader, writer, [body])
    assert verdict != "COMPATIBLE" and "Exception" in records, (verdict, records)


if __name__ == "__main__":
    lacking = [tool for tool in ("java", "javac", "mvn") if not shutil.which(tool)]
    if lacking:
        print(f"skipped: {', '.join(lacking)} not found")
        sys.exit(77)
    sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", __file__]))
