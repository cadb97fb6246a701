# SPDX-License-Identifier: MIT
"""A whole Chasqui for a test: real Kafka, real PostgreSQL, every role, on ports of its own.

    with Stack(base_port=21000) as stack:
        stack.start()
        ... stack.rest_url(), stack.ws_url(), stack.role("chat").kill9() ...

Nothing outlives it: stop() ends every process and removes the temporary folder, at the end of the block, at an
exception and at Ctrl-C alike, and a guard process does it when the test itself is killed.
CHASQUI_BUILD names the build folder (default build/release), CHASQUI_STATE the folder where compose/up keeps the
Kafka it fetched (default .state), which is used here too.
"""

import atexit
import datetime
import http.client
import json
import os
import shutil
import signal
import struct
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "compose/lib"))

from cluster import Cluster, nodes_at  # noqa: E402
from process import Failure, Guard, Proc  # noqa: E402, F401  (Failure and Proc are for the tests)
from roles import ROLES  # noqa: E402
from services import Progress, Services  # noqa: E402

# The limits are there for strangers; a test is not one. Tests of a limit give their own value.
TEST_SETTINGS = {
    "JWT_SECRET": "test-secret-test-secret-test-secret-0001",
    "PHONE_PEPPER": "test-pepper-test-pepper-test-pepper-0001",
    "CODE_DRIVER": "log",
    "CODE_PER_NUMBER_HOUR": "100000",
    "CODE_PER_NUMBER_DAY": "100000",
    "CODE_PER_ADDRESS_HOUR": "100000000",
    "CODE_TOTAL_HOUR": "100000000",
    "GUESS_PER_NUMBER_DAY": "100000000",
    "GUESS_PER_ADDRESS_HOUR": "100000000",
    "GUESS_TOTAL_HOUR": "100000000",
    "LOOKUP_STRANGERS_DAY": "100000",
    "LOOKUP_PER_ADDRESS_DAY": "100000000",
    "LOOKUP_TOTAL_DAY": "100000000",
    "LINK_PER_ADDRESS_HOUR": "100000000",
    "LINK_TOTAL_HOUR": "100000000",
    "LINK_GUESS_PER_ADDRESS_HOUR": "100000000",
    "RATE_PER_MINUTE": "100000000",
    "DIRECT_PEERS_DAY": "100000000",
    "CONNECTIONS_PER_ADDRESS": "100000",
    # more than one machine's default, so that work is spread and rebalances have something to move
    "PARTITIONS": "8",
    "SLOTS": "8",
}
SCHEMA_ID_BIT = 0x40000000


def wait_until(fn, timeout=10.0, what="condition", every=0.02):
    """The first true value of fn(), or AssertionError with `what` and the last value when time runs out.

    An exception of fn() counts as not yet, and is shown when it was the last thing seen.
    """
    end = time.monotonic() + timeout
    while True:
        try:
            last = fn()
            if last:
                return last
        except Exception as error:  # noqa: BLE001  (whatever it is, it may pass)
            last = error
        if time.monotonic() > end:
            raise AssertionError(f"after {timeout} s still not so: {what}; last seen: {last!r}")
        time.sleep(every)


PRIVATE = 1000  # Stacks side by side have bases within so much, and runs side by side twice as much between them


class Stack:
    """See the module's text. `copies` and `settings` change the defaults (one of each role, TEST_SETTINGS); `own_settings` are
    those of one copy: {("edge-rest", 1): {…}}.

    Ports used: base_port (Kafka), +1 (its controller), +2 (PostgreSQL), +10+10i and +11+10i (copy i of edge-rest and
    edge-ws); +3 to +9 are free for what a test starts beside it. The private ports of copy i of the roles begin at
    +PRIVATE+10i, away from the rest: there may be ten roles.
    With `brokers` other than 1, or further `controllers`, Kafka is a Cluster (cluster.py), which takes some of those.
    """

    def __init__(self, build=None, state=None, base_port=21000, copies=None, settings=None, keep=False, durable=False,
                 quick_jit=True, heap_mb=512, verbose=None, ports=None, broker_settings=None, brokers=1, controllers=0, own_settings=None):
        self.build = Path(build or os.environ.get("CHASQUI_BUILD") or ROOT / "build/release").resolve()
        self.base_port, self.keep = base_port, keep or bool(state)
        self.state = Path(state) if state else Path(tempfile.mkdtemp(prefix=f"chasqui-{base_port}-"))
        self.state.mkdir(parents=True, exist_ok=True)
        self.state.chmod(0o755)  # the user postgres has to get in
        verbose = verbose if verbose is not None else bool(os.environ.get("STACK_VERBOSE"))
        say = (lambda text: print(f"[stack {base_port}] {text}", file=sys.stderr, flush=True)) if verbose else (lambda text: None)
        progress = Progress()
        progress.end = lambda what, seconds: say(f"{what}: {seconds:.1f} s")
        self._guard = Guard([] if self.keep else [self.state])
        kafka_home = Path(os.environ.get("CHASQUI_STATE") or ROOT / ".state") / "kafka"
        single = brokers == 1 and not controllers
        self.services = (Services if single else Cluster)(
            self.state, self.build / "chasqui", kafka_home.resolve(),
            ports={"kafka": base_port, "controller": base_port + 1, "postgres": base_port + 2, "rest": base_port + 10,
                   "ws": base_port + 11, "metrics": base_port + PRIVATE, **(ports or {})},
            copies={**{role: 1 for role in ROLES}, **(copies or {})}, settings={**TEST_SETTINGS, **(settings or {})},
            database_password="test", heap_mb=heap_mb, durable=durable, quick_jit=quick_jit, guard=self._guard,
            progress=progress, on_event=say, broker_settings=broker_settings,
            **({} if single else {"nodes": nodes_at(base_port, brokers, controllers)}))
        self.services.own_settings.update(own_settings or {})
        self._stopped = False
        atexit.register(self.stop)

    # Life

    def __enter__(self):
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _exit_in_order)
        return self

    def __exit__(self, *error):
        self.stop()

    def start_platform(self):
        """Kafka and PostgreSQL only, empty."""
        try:
            self.services.check_ports()
            self.services.start_kafka()
            self.services.start_postgres()
            self.services.watch()
        except BaseException:
            self.stop()
            raise
        return self

    def prepare(self):
        """Topics and tables. A stack without a sink has nobody who fills the view: what it holds is what the test puts there."""
        self.services.prepare()
        nobody = [r for r in ("persistence", "status") if not self.services.copies.get(r, 1)]
        if nobody:
            with self.db() as c:
                c.execute("DELETE FROM view.incomplete WHERE consumer = ANY (%s)", (nobody,))
        return self

    def start(self):
        """Everything, ready to be used."""
        self.start_platform()
        try:
            self.prepare()
            self.services.start_roles()
            if self.services.copies.get("edge-rest", 1):
                wait_until(self.is_whole, 30, "/readyz to say that the view is whole")
        except BaseException:
            self.stop()
            raise
        return self

    def is_whole(self):
        """Whether edge-rest reads the view; it asks about once a second. True where its door wants more than a plain request."""
        try:
            return urllib.request.urlopen(self.rest_url() + "/readyz", timeout=5).status == 200
        except urllib.error.HTTPError as error:
            return error.code != 503
        except (OSError, http.client.HTTPException):
            return True

    def stop(self):
        """End everything. With keep (or a state folder that was given) the folder stays."""
        if self._stopped:
            return
        self._stopped = True
        self.services.stop()
        if not self.keep:
            shutil.rmtree(self.state, ignore_errors=True)
        self._guard.release()
        atexit.unregister(self.stop)

    # What it has

    def rest_url(self, i=0):
        return f"http://127.0.0.1:{self.services.rest_port(i)}"

    def ws_url(self, i=0):
        return f"ws://127.0.0.1:{self.services.ws_port(i)}/ws"

    @property
    def broker(self):
        return self.services.broker

    @property
    def database_url(self):
        return self.services.database_url

    @property
    def kafka(self):
        return self.services.proc("kafka")

    @property
    def kafkas(self):
        """Every node of Kafka."""
        return self.services.kafkas()

    @property
    def postgres(self):
        """Its term() is PostgreSQL's smart shutdown, which waits for clients; stop() is the fast one."""
        return self.services.proc("postgres")

    def role(self, name, i=0):
        """The Proc of copy i of a role."""
        return self.services.proc(f"{name}-{i}")

    def roles(self):
        return self.services.roles()

    def metrics(self, role, i=0):
        """The numbers that copy i of a role shows: metrics.Numbers."""
        import metrics

        return metrics.read(self.services.metrics_port(role, i))

    def admin(self, *words):
        """Run `chasqui admin …`; Failure when it does not succeed."""
        self.services.admin(*words)

    # Looking inside

    def db(self):
        """A new psycopg connection, autocommit; close it."""
        import psycopg

        return psycopg.connect(self.database_url, autocommit=True)

    def producer(self, **config):
        """A confluent_kafka Producer, acks=all."""
        from confluent_kafka import Producer

        return Producer({"bootstrap.servers": self.broker, "acks": "all", "linger.ms": 0, **config})

    def read_topic(self, name, timeout=20.0):
        """Every record there is now: (partition, offset, key or None, value or None, [(header, value)]), by partition and
        offset. Keys and values are bytes."""
        from confluent_kafka import Consumer, KafkaError, TopicPartition

        consumer = Consumer({"bootstrap.servers": self.broker, "group.id": "stack-read-topic", "enable.auto.commit": False,
                             "auto.offset.reset": "error", "enable.partition.eof": True})
        try:
            topic = consumer.list_topics(name, timeout=timeout).topics[name]
            if topic.error is not None:
                raise AssertionError(f"topic {name}: {topic.error}")
            left = {}  # partition -> end offset not reached yet
            places = []
            for partition in topic.partitions:
                low, high = consumer.get_watermark_offsets(TopicPartition(name, partition), timeout=timeout)
                if high > low:
                    left[partition] = high
                    places.append(TopicPartition(name, partition, low))
            consumer.assign(places)
            records = []
            end = time.monotonic() + timeout
            while left:
                if time.monotonic() > end:
                    raise AssertionError(f"topic {name}: end not reached after {timeout} s, left {left}")
                message = consumer.poll(0.2)
                if message is None:
                    continue
                if message.error():
                    # the end counts when compaction took away the last records before it
                    if message.error().code() != KafkaError._PARTITION_EOF:
                        raise AssertionError(f"topic {name}: {message.error()}")
                    left.pop(message.partition(), None)
                    continue
                if message.partition() not in left:
                    continue  # came after this reading began
                records.append((message.partition(), message.offset(), message.key(), message.value(), message.headers() or []))
                if message.offset() + 1 >= left[message.partition()]:
                    del left[message.partition()]
            return sorted(records, key=lambda r: r[:2])
        finally:
            consumer.close()

    def decode(self, value):
        """(record name, dict) of a value in Confluent framing. Ids are UUID text, times ms; of the fields of a oneOf the one that is
        set stands under the oneOf's name, as (full name of its record, dict): `event["event"][0] == "chasqui.MessageAccepted"`."""
        return decode(value)


def _exit_in_order(number, _frame):
    sys.exit(128 + number)  # unwinds the with blocks and runs atexit


# --- Avro -------------------------------------------------------------------------------------

_schemas = None  # schema id -> (record name, parsed schema)
_named = {}  # full name -> type; one that several schemas define is the same in all of them


def schema_now(name):
    """The schema as readers get it: the newest version of schemas/history, where schemas/*.avsc names shared types."""
    versions = (ROOT / "schemas/history").glob(f"{name}-*.avsc")
    return json.loads(max(versions, key=lambda path: int(path.stem.rpartition("-")[2])).read_text())


def schemas():
    """Every record schema that this build writes, by its embedded id."""
    global _schemas
    if _schemas is None:
        import fastavro.schema

        found = {}
        for path in sorted((ROOT / "schemas").glob("*.avsc")):
            plain = schema_now(path.stem)
            canonical = fastavro.schema.to_parsing_canonical_form(plain)
            number = SCHEMA_ID_BIT | (crc_64_avro(canonical.encode()) & 0x3FFFFFFF)
            found[number] = (plain["name"], fastavro.schema.parse_schema(plain))
            _learn(found[number][1])
        _schemas = found
    return _schemas


def crc_64_avro(data):
    """The Avro specification's 64-bit Rabin fingerprint, as a number."""
    empty = 0xC15D213AA4D7A795
    table = []
    for i in range(256):
        value = i
        for _ in range(8):
            value = (value >> 1) ^ (empty if value & 1 else 0)
        table.append(value)
    value = empty
    for byte in data:
        value = (value >> 8) ^ table[(value ^ byte) & 0xFF]
    return value


def decode(value):
    """See Stack.decode."""
    import io

    import fastavro
    import fastavro.read

    magic, number = struct.unpack(">bI", value[:5])
    assert magic == 0, f"not in Confluent framing: {value[:16]!r}"
    name, schema = schemas()[number]
    body = io.BytesIO(value[5:])
    record = fastavro.schemaless_reader(body, schema)
    assert body.read() == b"", f"bytes left after a {name}"
    return name, _readable(_fold(schema, record))


def encode(name, record):
    """A record of that name in Confluent framing: ids as 16 bytes or UUIDs, times in ms, a oneOf as decode() has it."""
    import io

    import fastavro

    number, schema = next((n, s) for n, (found, s) in schemas().items() if found == name)
    body = io.BytesIO()
    fastavro.schemaless_writer(body, schema, _plain(_unfold(schema, record)))
    return struct.pack(">bI", 0, number) + body.getvalue()


def _learn(schema):
    """Every named type inside."""
    if isinstance(schema, list):
        for branch in schema:
            _learn(branch)
    elif isinstance(schema, dict):
        if "name" in schema:
            _named[schema["name"]] = schema
        _learn(schema.get("items"))
        for field in schema.get("fields", []):
            _learn(field["type"])


def _resolved(schema):
    """The type behind a name, or behind ["null", T]."""
    if isinstance(schema, list):
        (schema,) = [branch for branch in schema if branch != "null"]
    return _named.get(schema, schema) if isinstance(schema, str) else schema


def _fold(schema, value):
    """`value` with the fields of each oneOf as one, (full name, dict)."""
    schema = _resolved(schema)
    if isinstance(value, list):
        return [_fold(schema["items"], item) for item in value]
    if not isinstance(value, dict):
        return value
    out = {}
    for field in schema["fields"]:
        kind = _resolved(field["type"])
        inner = _fold(kind, value[field["name"]])
        if "oneOf" not in field:
            out[field["name"]] = inner
        elif inner is not None:
            assert field["oneOf"] not in out, f"two fields of oneOf {field['oneOf']}: {value}"
            out[field["oneOf"]] = kind["name"], inner
    assert {f["oneOf"] for f in schema["fields"] if "oneOf" in f} <= set(out), f"no field of a oneOf: {value}"
    return out


def _unfold(schema, value):
    """_fold() undone."""
    schema = _resolved(schema)
    if isinstance(value, list):
        return [_unfold(schema["items"], item) for item in value]
    if not isinstance(value, dict):
        return value
    out = dict(value)
    for field in schema["fields"]:
        kind, name = _resolved(field["type"]), field["name"]
        if name in value:
            out[name] = _unfold(kind, value[name])
        elif field.get("oneOf") in value and value[field["oneOf"]][0] == kind["name"]:
            out[name] = _unfold(kind, out.pop(field["oneOf"])[1])
    return out


def _plain(value):
    """UUIDs as bytes, all the way down."""
    if isinstance(value, uuid.UUID):
        return value.bytes
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _readable(value):
    """UUIDs as text and times as ms, all the way down."""
    if isinstance(value, datetime.datetime):
        return (value - datetime.datetime.fromtimestamp(0, datetime.timezone.utc)) // datetime.timedelta(milliseconds=1)
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, bytes) and len(value) == 16:
        return str(uuid.UUID(bytes=value))
    if isinstance(value, dict):
        return {key: _readable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_readable(item) for item in value]
    if isinstance(value, tuple):
        return tuple(_readable(item) for item in value)
    return value
