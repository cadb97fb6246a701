# SPDX-License-Identifier: MIT
"""Kafka, PostgreSQL and the roles of one Chasqui on this machine.

Shared by compose/supervise (a Chasqui to use) and tests/lib/stack.py (one that lives for a test).
Standard library only.
"""

import contextlib
import fcntl
import glob
import hashlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

import roles
import versitygw
from process import Failure, Proc, Watcher, check_port_free, log_tail
from roles import ROLES

ROOT = Path(__file__).resolve().parents[2]
POM = ROOT / "compose/kafka/pom.xml"

PORT_STEP = 10  # copy i of an edge listens on its port + 10 i, and so does every role's private port (/metrics)
PASS_ON = ("PATH", "HOME", "LANG", "TZ", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS")
POSTGRES_NICE = 5  # a third of the weight of the others, where the kernel weighs processes and not sessions: docs/performance.md
POSTGRES_UNREACHABLE_HOME = Path("/var/lib/chasqui")

# What fits a machine with two cores that runs everything. Sizes in bytes, times in ms.
BROKER_PROPERTIES = """
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{kafka},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{kafka_advertised}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:{controller}
log.dirs={data}
# nobody creates a topic by misspelling one: `chasqui admin topics` does, from its table
auto.create.topics.enable=false
unclean.leader.election.enable=false
# a group does not wait for further members: a role is back at once after a restart
group.initial.rebalance.delay.ms=0
# a killed broker can register again only when its old session has expired (9 s by default)
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
# few threads: the rest of the two cores is the roles'
num.network.threads=1
num.io.threads=2
background.threads=2
num.replica.fetchers=1
num.recovery.threads.per.data.dir=2
log.cleaner.threads=1
group.coordinator.threads=1
log.cleaner.dedupe.buffer.size=16777216
# some 250 partitions: small segments and indexes, so that an empty topic costs little
log.segment.bytes=67108864
log.index.size.max.bytes=1048576
metadata.log.segment.bytes=16777216
offsets.topic.num.partitions=4
offsets.topic.segment.bytes=16777216
offsets.topic.replication.factor=1
# a role may be away for long and still finds its commits
offsets.retention.minutes=525600
# no transactions and no share groups are used; these topics are made on first use only
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
"""


# With DURABILITY=synced. Records that cannot be made again are synced one request at a time (`chasqui admin topics`); all others, commits
# of groups included, are synced in the background, so that after a loss of power little has to be made again.
SYNCED_PROPERTIES = """
log.flush.scheduler.interval.ms=1000
log.flush.interval.ms=5000
log.initial.task.delay.ms=1000
# a thread that syncs answers nobody meanwhile; syncs at the same time share the disk's work
num.io.threads=8
"""


def broker_properties(ports, data, durability="cached"):
    """`kafka_advertised` in ports: clients are sent there, where a proxy listens."""
    text = BROKER_PROPERTIES.format(**{"kafka_advertised": ports["kafka"], **ports}, data=data)
    return text + SYNCED_PROPERTIES if durability == "synced" else text


def sync_tree(folder):
    """Every file and folder in it, and its own name, are on the disk."""
    for path in (*Path(folder).rglob("*"), Path(folder), Path(folder).parent):  # a single file is fine, too
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


class Progress:
    """Is told what is being done and how long it took; this one ignores it."""

    def begin(self, what):
        pass

    def end(self, what, seconds):
        pass

    def note(self, text):
        pass

    def tell(self, text):
        """Tell the person who started this."""

    @contextlib.contextmanager
    def step(self, what):
        self.begin(what)
        began = time.monotonic()
        yield
        self.end(what, time.monotonic() - began)


def run_step(step, argv, log_path, timeout=1800, **kwargs):
    """Run a command to its end with its output in a log; Failure with the log's tail when it does not succeed."""
    log_path = Path(log_path)
    log_path.parent.mkdir(parents=True, exist_ok=True)
    argv = [str(a) for a in argv]
    kwargs.setdefault("stdin", subprocess.DEVNULL)
    with open(log_path, "ab") as log:
        log.write(f"$ {' '.join(argv[:1] + [a for a in argv[1:] if len(a) < 200])}\n".encode())
        log.flush()
        try:
            code = subprocess.run(argv, stdout=log, stderr=log, timeout=timeout, **kwargs).returncode
        except OSError as error:
            raise Failure(step, f"{argv[0]}: {error.strerror}", log_path) from error
        except subprocess.TimeoutExpired as error:
            raise Failure(step, f"{argv[0]} did not end within {timeout} s", log_path) from error
    if code != 0:
        raise Failure(step, f"{Path(argv[0]).name} ended with exit code {code}\n{log_tail(log_path)}", log_path)


@contextlib.contextmanager
def locked(path):
    """One process at a time (of those that ask)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# --- Kafka ------------------------------------------------------------------------------------


def java():
    found = shutil.which("java")
    if not found:
        raise Failure("Kafka", "no java on the path: run compose/up, which installs it")
    return found


def kafka_fetch(home, progress):
    """The broker's jars by Maven, a formatted folder to copy and a class-data archive, all in `home`, once.

    They are made again when the pom or the Java machine changes.
    """
    with locked(home / "lock"):
        version = subprocess.run([java(), "-version"], capture_output=True, check=False).stderr
        key = hashlib.sha256(POM.read_bytes() + version).hexdigest()
        stamp = home / "stamp"
        if stamp.exists() and stamp.read_text() == key:
            return
        for old in ("libs", "formatted", "trial"):
            shutil.rmtree(home / old, ignore_errors=True)
        (home / "classes.jsa").unlink(missing_ok=True)
        log = home / "fetch.log"
        log.unlink(missing_ok=True)
        with progress.step("Kafka: fetch it by Maven"):
            run_step("fetch Kafka by Maven",
                     ["mvn", "-B", "-q", "-f", POM, "dependency:copy-dependencies", f"-DoutputDirectory={home / 'libs'}",
                      "-DincludeScope=runtime"], log)
        with progress.step("Kafka: format, trial start that archives its classes"):
            _kafka_prepare(home, log)
        stamp.write_text(key)


def _kafka_prepare(home, log):
    trial = home / "trial"
    trial.mkdir()
    ports = {"kafka": free_port(), "controller": free_port()}
    properties = trial / "server.properties"
    properties.write_text(broker_properties(ports, home / "formatted"))
    run_step("format Kafka's storage",
             [java(), "-cp", _class_path(home), "kafka.tools.StorageTool", "format", "--config", properties, "--cluster-id",
              kafka_uuid()], log)
    shutil.copytree(home / "formatted", trial / "data")
    properties.write_text(broker_properties(ports, trial / "data"))
    broker = Proc("kafka", kafka_argv(home, properties, heap_mb=256, extra=[f"-XX:ArchiveClassesAtExit={home / 'classes.jsa'}"]),
                  trial / "kafka.log", "Kafka Server started")
    try:
        broker.start().wait_ready(120)
    finally:
        broker.stop(timeout=60)
    shutil.rmtree(trial)


def _class_path(home):
    return ":".join(sorted(glob.glob(f"{home}/libs/*.jar")))


def kafka_argv(home, properties, heap_mb, extra=()):
    return [java(), "-XX:+UseSerialGC", "-Xms64m", f"-Xmx{heap_mb}m", "-Xss512k", "-XX:+ExitOnOutOfMemoryError", *extra,
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
            "-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
            "-cp", _class_path(home), "kafka.Kafka", properties]


def kafka_uuid():
    """A random id as Kafka writes them. Not one that starts with a dash: Kafka's tools refuse those."""
    while (text := urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# --- PostgreSQL -------------------------------------------------------------------------------


def postgres_bin():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"), key=lambda p: int(p.split("/")[4]))
    if not found:
        raise Failure("PostgreSQL", "no server under /usr/lib/postgresql: run compose/up, which installs it")
    return Path(found[-1]).parent


def postgres_user():
    """PostgreSQL refuses to run as root: then the package's own user runs it, else whoever we are."""
    return "postgres" if os.geteuid() == 0 else None


def postgres_home(state):
    """Where this state folder's database lives: inside it, unless the user postgres cannot get there."""
    user = postgres_user()
    if user:
        who = pwd.getpwnam(user)
        reach = subprocess.run(["test", "-x", str(state)], user=who.pw_uid, group=who.pw_gid, extra_groups=[], check=False)
        if reach.returncode != 0:
            return POSTGRES_UNREACHABLE_HOME / hashlib.sha256(str(state).encode()).hexdigest()[:12]
    return state / "postgres"


def _postgres_strays(data):
    """End what an abruptly killed server left: its memory would keep a new one from starting."""
    for link in glob.glob("/proc/[0-9]*/cwd"):
        try:
            if os.readlink(link) == str(data):
                os.kill(int(link.split("/")[2]), signal.SIGKILL)
        except OSError:
            pass  # gone meanwhile, or not ours


# --- all of it --------------------------------------------------------------------------------


class Services:
    """One Chasqui. `ports` has kafka, controller, postgres, rest, ws and metrics (0: none; else the first of those of the roles);
    `copies` says how many of each role.

    `own_kafka=False` and `own_postgres=False`: the settings KAFKA_BROKER and DATABASE_URL say which ones are used, and none is started.
    `durable=False` leaves out PostgreSQL's fsync (a killed process still loses nothing, only a lost machine does) and
    `quick_jit=True` the second compiler of Java: both for tests.
    """

    def __init__(self, state, executable, kafka_home, ports, copies, settings, database_password, heap_mb=512, durable=True,
                 quick_jit=False, s3_port=0, guard=None, progress=None, on_event=lambda text: None, broker_settings=None, own_kafka=True,
                 own_postgres=True):
        self.broker_settings = dict(broker_settings or {})  # more of Kafka's own
        self.java_options = []  # of its Java machine
        self.state, self.executable, self.kafka_home = Path(state), Path(executable), Path(kafka_home)
        self.ports, self.copies, self.settings = dict(ports), dict(copies), dict(settings)
        self.heap_mb, self.durable, self.quick_jit = heap_mb, durable, quick_jit
        self.guard, self.progress, self.on_event = guard, progress or Progress(), on_event
        self.own_settings = {}  # (role, copy) → settings of that copy alone
        self.own_kafka, self.own_postgres = own_kafka, own_postgres
        self._password = database_password
        self.s3_port = s3_port  # 0: files are kept in a folder
        self.log_dir = self.state / "log"
        self.broker = f"127.0.0.1:{self.ports['kafka']}"
        self.database_url = f"postgresql://chasqui:{database_password}@127.0.0.1:{self.ports['postgres']}/chasqui"
        self.procs = []  # in the order of starting
        self._watcher = None
        self._roles_of = None
        self.log_dir.mkdir(parents=True, exist_ok=True)

    def check_ports(self):
        """Before anything is started: one clear Failure when a port is taken."""
        if self.own_kafka:
            check_port_free(self.ports["kafka"], "KAFKA_PORT")
            check_port_free(self.ports["controller"], "KAFKA_CONTROLLER_PORT")
        if self.own_postgres:
            check_port_free(self.ports["postgres"], "POSTGRES_PORT")
        if self.s3_port:
            check_port_free(self.s3_port, "S3_PORT")
        host = self.settings.get("LISTEN_HOST", "127.0.0.1")
        for i in range(self.copies.get("edge-rest", 1)):
            check_port_free(self.rest_port(i), "REST_PORT", host)
        for i in range(self.copies.get("edge-ws", 1)):
            check_port_free(self.ws_port(i), "WS_PORT", host)
        for role, i in self.role_names():
            if port := self.metrics_port(role, i):
                check_port_free(port, "METRICS_PORT")

    # Kafka

    def start_kafka(self):
        if not self.own_kafka:
            self.progress.tell(f"Kafka: none is started, {self.settings['KAFKA_BROKER']} is used (KAFKA_BROKER)")
            return None
        kafka_fetch(self.kafka_home, self.progress)
        with self.progress.step("Kafka"):
            data = self.state / "kafka-data"
            if not (data / "meta.properties").exists():
                self._format_kafka(data)
            properties = self.state / "kafka.properties"
            more = "".join(f"{name}={value}\n" for name, value in self.broker_settings.items())
            properties.write_text(broker_properties(self.ports, data, self.settings.get("DURABILITY", "cached")) + more)
            extra = [f"-XX:SharedArchiveFile={self.kafka_home / 'classes.jsa'}", *self.java_options]
            if self.quick_jit:
                extra.append("-XX:TieredStopAtLevel=1")
            return self._start("kafka", kafka_argv(self.kafka_home, properties, self.heap_mb, extra), "Kafka Server started", 60)

    def _format_kafka(self, data):
        """A copy of the formatted folder under ids of its own; the last file written makes it whole."""
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(self.kafka_home / "formatted", data, ignore=shutil.ignore_patterns("meta.properties"))
        (data / "meta.properties").write_text(
            f"node.id=1\nversion=1\ncluster.id={kafka_uuid()}\ndirectory.id={kafka_uuid()}\n")
        sync_tree(data)

    # PostgreSQL

    def start_postgres(self):
        if not self.own_postgres:
            self.progress.tell("PostgreSQL: none is started, that of DATABASE_URL is used")
            return None
        with self.progress.step("PostgreSQL"):
            home, tools, user = postgres_home(self.state), postgres_bin(), postgres_user()
            data = home / "data"
            if not (home / "complete").exists():
                self._init_postgres(home, data, tools, user)
            options = {
                "listen_addresses": "127.0.0.1", "port": self.ports["postgres"], "unix_socket_directories": "",
                "max_connections": 100, "shared_buffers": "128MB", "timezone": "UTC", "lc_messages": "C",
                "log_line_prefix": "%m [%p] ", "fsync": "on" if self.durable else "off",
                "full_page_writes": "on" if self.durable else "off",
            }
            # The view may lag behind live messages: its bursts of work yield to gateways and the broker.
            argv = ["nice", "-n", str(POSTGRES_NICE), tools / "postgres", "-D", data]
            for name, value in options.items():
                argv += ["-c", f"{name}={value}"]
            return self._start("postgres", argv, "database system is ready to accept connections", 60, user=user, cwd="/",
                               stop_signal=signal.SIGINT, before_start=lambda: _postgres_strays(data))

    def _init_postgres(self, home, data, tools, user):
        """A new cluster with the database chasqui, owned by the role chasqui, reached over TCP by password only.

        `complete` is written last: a first start that was cut off begins anew.
        """
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        who = {}
        if user:
            entry = pwd.getpwnam(user)
            os.chown(home, entry.pw_uid, entry.pw_gid)
            who = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        log = self.log_dir / "postgres-init.log"
        run_step("make the database cluster",
                 [tools / "initdb", "-D", data, "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8", "--auth-local=reject",
                  "--auth-host=scram-sha-256", "--no-instructions", *([] if self.durable else ["--no-sync"])], log, env=env, cwd="/",
                 **who)
        sql = home / "init.sql"  # the single-user server takes one command a line
        sql.touch(mode=0o600)
        sql.write_text(f"CREATE ROLE chasqui LOGIN PASSWORD '{self._password}';\nCREATE DATABASE chasqui OWNER chasqui;\n")
        with open(sql, "rb") as commands:
            run_step("make the database", [tools / "postgres", "--single", "-D", data, "postgres"], log, env=env,
                     cwd="/", stdin=commands, **who)
        sql.unlink()
        (home / "complete").touch()
        sync_tree(home / "complete")

    # Files

    def start_s3(self):
        """versitygw over a folder of ours, when a port was given."""
        if not self.s3_port:
            return
        executable = versitygw.program(self.state / "bin", self.progress)
        if not executable:
            raise Failure("versitygw", "no versitygw on the path and no Go to build it: set S3_PORT=0, or install one of them")
        with self.progress.step("versitygw"):
            self.procs.append(versitygw.server(executable, self.state / "s3", self.s3_port, self.settings["S3_ACCESS_KEY"],
                                               self.settings["S3_SECRET_KEY"], self.log_dir / "versitygw.log", self.guard))
            self.procs[-1].start().wait_ready(30)

    # Roles

    def role_names(self):
        """(role, copy) of every process wanted, in the order of starting."""
        return [(role, i) for role in ROLES for i in range(self.copies.get(role, 1))]

    def roles_of(self, name):
        """The roles that the table of settings names for a setting; None when it is none of the table's."""
        if self._roles_of is None:
            table = subprocess.run([self.executable, "check-config", "--markdown"], capture_output=True, text=True, timeout=30,
                                   check=True).stdout
            rows = (line.split(" | ") for line in table.splitlines() if line.startswith("| `"))
            self._roles_of = {row[0].strip("| `"): set(row[5].split(", ")) for row in rows}
        return self._roles_of.get(name)

    def role_env(self, role, i=0):
        """The whole environment of one copy of a role (or of `admin`): of the settings, those that its table names for it. `all` has
        every one."""
        env = self._whole_env(role, i)
        return {name: value for name, value in env.items()
                if role == "all" or not (roles := self.roles_of(name)) or roles & {role, "all"}}

    def _whole_env(self, role, i):
        env = {name: os.environ[name] for name in PASS_ON if name in os.environ}
        env.update({
            "KAFKA_BROKER": self.broker, "DATABASE_URL": self.database_url, "INSTANCE": f"{role}-{i}",
            "REST_LISTEN": f"{self.settings.get('LISTEN_HOST', '127.0.0.1')}:{self.rest_port(i)}",
            "WS_LISTEN": f"{self.settings.get('LISTEN_HOST', '127.0.0.1')}:{self.ws_port(i)}",
            "WS_UPSTREAM": f"127.0.0.1:{self.ws_port(0)}", "WS_PUBLIC_URL": f"ws://127.0.0.1:{self.ws_port(0)}/ws",
            "WEB_ROOT": str(self.executable.parent / "web"),
        })
        if preload := os.environ.get("CHASQUI_PRELOAD"):  # for a sanitizer, see tests/tsan
            env["LD_PRELOAD"] = preload
        if port := self.metrics_port(role, i):
            env["METRICS_LISTEN"] = f"127.0.0.1:{port}"
        if self.own_kafka:
            env["LOG_DISK"] = str(self.log_disk())
        env.update({name: str(value) for name, value in (self.settings | self.own_settings.get((role, i), {})).items()})
        env.pop("LISTEN_HOST", None)  # is in the addresses above
        if not env.get("MEDIA_STORE"):
            env["MEDIA_STORE"] = f"s3:http://127.0.0.1:{self.s3_port}/media" if self.s3_port else f"local:{self.state / 'media'}"
        return env

    def log_disk(self):
        """A folder on the file system that Kafka writes to."""
        return self.state / "kafka-data"

    def rest_port(self, i=0):
        return self.ports["rest"] + PORT_STEP * i

    def ws_port(self, i=0):
        return self.ports["ws"] + PORT_STEP * i

    def metrics_port(self, role, i=0):
        """Where copy i of a role shows its numbers, on 127.0.0.1; None when it does not."""
        first = self.ports.get("metrics", 0)
        return first + roles.OF[role].door + PORT_STEP * i if first and role in ROLES else None

    def admin(self, *words, timeout=120):
        """Run `chasqui admin …` to its end."""
        run_step(f"chasqui admin {' '.join(words)}", [self.executable, "admin", *words], self.log_dir / "admin.log", timeout=timeout,
                 env=self.role_env("admin"))

    def prepare(self):
        """Topics and tables; does nothing that was done before."""
        with self.progress.step("topics"):
            self.admin("topics")
        with self.progress.step("tables"):
            self.admin("migrate")

    def rebuild(self):
        """Forget the view; the sinks, when they start, read the log from its beginning."""
        with self.progress.step("forget the view"):
            self.admin("rebuild")

    def check_log(self):
        """Failure when a partition ends before an offset that is named elsewhere. Checked before any role can write to it. What can be
        made again, with DURABILITY=synced, is; that takes a while when groups have to notice first that their members died."""
        with self.progress.step("is the log whole"):
            self.admin("log-was-cut", "--start", timeout=3600)

    def mend_log(self):
        """Go on with a log that lost its tail; does nothing to one that is whole."""
        with self.progress.step("go on with the log as it is"):
            self.admin("log-was-cut", "--yes", timeout=3600)

    def restore(self, dump):
        """The rows of a dump of schemas auth and media that are missing come back, with the doors closed meanwhile. They stay
        closed when it fails: `chasqui admin doors open` opens them."""
        log, tools = self.log_dir / "restore.log", postgres_bin()
        pg_restore = [tools / "pg_restore", "--data-only", "--schema=auth", "--schema=media", "-f", "-", dump]
        with self.progress.step("read the dump"):
            rows = subprocess.run(pg_restore, capture_output=True, check=False)
            if rows.returncode != 0 or b"COPY auth.accounts " not in rows.stdout:
                why = rows.stderr.decode(errors="replace").strip() or "it has no table auth.accounts"
                raise Failure("read the dump", f"{dump} is no dump of schema auth by pg_dump -Fc: {why}")
        with self.progress.step("close the doors"):
            self.admin("doors", "close")
        with self.progress.step("wait for the view"):
            while self._lines("SELECT consumer FROM view.incomplete"):
                time.sleep(0.2)
        script = b"".join(((ROOT / "compose/restore-begin.sql").read_bytes(), rows.stdout,
                           (ROOT / "compose/restore-end.sql").read_bytes()))
        with self.progress.step("put rows back"), open(log, "ab") as out:
            done = subprocess.run([*self._psql(), "--single-transaction", "-v", "ON_ERROR_STOP=1"], input=script, stdout=out, stderr=out,
                                  check=False)
            if done.returncode != 0:
                raise Failure("put rows back", f"nothing was changed, and the doors are still closed\n{log_tail(log)}", log)
        with self.progress.step("open the doors"):
            self.admin("doors", "open")

    def _psql(self):
        return [postgres_bin() / "psql", "-X", "-q", "-d", self.role_env("admin")["DATABASE_URL"]]

    def _lines(self, sql):
        return subprocess.run([*self._psql(), "-At", "-c", sql], capture_output=True, text=True, check=True).stdout.split()

    def start_roles(self):
        """Start every copy at once, then wait for each ready line."""
        with self.progress.step("roles"):
            started = []
            for role, i in self.role_names():
                proc = Proc(f"{role}-{i}", [self.executable, role], self.log_dir / f"{role}-{i}.log", '"event":"ready"',
                            env=self.role_env(role, i), guard=self.guard)
                self.procs.append(proc)
                started.append(proc.start())
            for proc in started:
                proc.wait_ready(60, self.progress.tell)

    def kafkas(self):
        """Kafka's processes, the one there is."""
        return [p for p in self.procs if p.name == "kafka"]

    def roles(self):
        return [p for p in self.procs if p not in self.kafkas() and p.name not in ("postgres", "versitygw")]

    def proc(self, name):
        """The process called kafka, postgres or <role>-<copy>; KeyError when there is none."""
        for proc in self.procs:
            if proc.name == name:
                return proc
        raise KeyError(name)

    # All

    def _start(self, name, argv, ready, timeout, **kwargs):
        try:
            proc = self.proc(name)
        except KeyError:
            proc = Proc(name, argv, self.log_dir / f"{name}.log", ready, guard=self.guard, **kwargs)
            self.procs.append(proc)
        return proc.start().wait_ready(timeout, self.progress.tell)

    def watch(self):
        """From now on, restart whatever has auto_restart and dies."""
        if not self._watcher:
            self._watcher = Watcher(self.procs, self.on_event)

    def stop(self):
        """End everything, edges first, whatever state it is in."""
        if self._watcher:
            self._watcher.stop()
            self._watcher = None
        for proc in reversed(self.procs):
            proc.auto_restart = False
        for proc in reversed(self.roles()):
            proc.cont()
            proc.term()  # all at once, then each is awaited
        for proc in reversed(self.procs):
            if proc.alive():
                self.progress.note(f"ending {proc.name}")
            if not proc.stop():
                self.on_event(f"{proc.name} did not end when asked and was killed")
