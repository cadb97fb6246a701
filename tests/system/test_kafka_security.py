# SPDX-License-Identifier: MIT
"""Kafka and PostgreSQL behind TLS: who gets in, who does not and how it is said, and all roles on the rights of docs/topics.md."""

import asyncio
import contextlib
import os
import pwd
import signal
import subprocess
from pathlib import Path

import pytest
from client import MARK, scenario, until
from conftest import BASE_PORT
from kafka_security import ADMIN, Certificates, TokenService, broker_settings, grant, java_options, password, rights
from look import rows_when
from process import Proc
from services import postgres_home
from stack import ROLES, ROOT, TEST_SETTINGS, Stack, wait_until

PORT = BASE_PORT + 500
# Each way in is used by several roles, with more than one kind of client among them.
BY_CERTIFICATE, BY_PASSWORD = ("chat", "user", ADMIN), ("edge-rest", "edge-ws", "persistence")
BY_TOKEN = tuple(role for role in ROLES if role not in (*BY_CERTIFICATE, *BY_PASSWORD))


class Secured:
    """The stack, and what a client needs to come in by each door."""

    def __init__(self, folder):
        folder.chmod(0o755)
        self.certificates, self.strangers = Certificates(folder / "ca"), Certificates(folder / "others", "other-ca")
        for name in ("broker", *BY_CERTIFICATE, "nobody"):
            self.certificates.sign(name)
        self.strangers.sign("chat")
        self.tokens = TokenService(self.certificates, folder)
        (folder / "password").write_text(password("edge-ws") + "\n")
        self.password_file = folder / "password"
        (folder / "ca").chmod(0o755)
        more, self.doors = broker_settings(PORT, self.certificates, self.tokens.keys, BY_PASSWORD)
        self.stack = Stack(base_port=PORT, broker_settings=more, settings={"PARTITIONS": "4"},
                           own_settings={(name, 0): self.way_in(name) for name in (*BY_CERTIFICATE, *BY_PASSWORD, *BY_TOKEN)})

    def way_in(self, name):
        """Settings of a role, as its operator would give them."""
        common = {"KAFKA_TLS": "1", "KAFKA_CA_FILE": str(self.certificates.authority)}
        if name in BY_CERTIFICATE:
            pem, key = (self.certificates.folder / f"{name}.{end}" for end in ("pem", "key"))
            return {**common, "KAFKA_BROKER": f"127.0.0.1:{self.doors['mtls']}", "KAFKA_CERT_FILE": str(pem), "KAFKA_KEY_FILE": str(key)}
        common |= {"KAFKA_BROKER": f"127.0.0.1:{self.doors['login']}", "KAFKA_USER": name}
        if name == "edge-ws":
            return {**common, "KAFKA_SASL": "plain", "KAFKA_PASSWORD_FILE": str(self.password_file)}
        common["KAFKA_PASSWORD"] = password(name)
        if name in BY_PASSWORD:
            return {**common, "KAFKA_SASL": "plain"}
        return {**common, "KAFKA_SASL": "oauthbearer", "KAFKA_TOKEN_URL": self.tokens.url, "KAFKA_TOKEN_SCOPE": "kafka all",
                "KAFKA_TOKEN_CA_FILE": str(self.certificates.authority)}

    def client(self, name):
        """The same for a client of the test's own, in the words of its library."""
        pem, key = (self.certificates.folder / f"{name}.{end}" for end in ("pem", "key"))
        return {"bootstrap.servers": f"127.0.0.1:{self.doors['mtls']}", "security.protocol": "ssl",
                "ssl.ca.location": str(self.certificates.authority), "ssl.certificate.location": str(pem), "ssl.key.location": str(key)}

    def start(self):
        from confluent_kafka.admin import AdminClient

        self.stack.services.java_options += java_options(self.tokens.keys)
        self.stack.start_platform()
        self.database_by_tls()
        self.stack.prepare()
        grant(AdminClient(self.client(ADMIN)), rights((ROOT / "docs/topics.md").read_text()))
        self.stack.services.start_roles()

    def database_by_tls(self):
        """PostgreSQL takes TLS from now on, and the roles want it, with the right name."""
        data = postgres_home(self.stack.state) / "data"
        owner = pwd.getpwuid(data.stat().st_uid)
        for ours, theirs in zip(self.certificates.sign("postgres"), ("server.crt", "server.key"), strict=True):
            (data / theirs).write_bytes(ours.read_bytes())
            (data / theirs).chmod(0o600)
            os.chown(data / theirs, owner.pw_uid, owner.pw_gid)
        with open(data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write("ssl = on\n")
        self.stack.postgres.signal(signal.SIGHUP)
        plain = self.stack.services.database_url
        self.stack.services.settings["DATABASE_URL"] = f"{plain}?sslmode=verify-full&sslrootcert={self.certificates.authority}"
        wait_until(lambda: self.stack.db().execute("SHOW ssl").fetchone() == ("on",), what="PostgreSQL to speak TLS")

    def environment(self, role, **settings):
        """Of a further process of a role; None takes a setting away."""
        env = {**self.stack.services.role_env(role), "INSTANCE": "", "METRICS_LISTEN": "", **settings}
        return {name: str(value) for name, value in env.items() if value is not None}

    def admin(self, *words, **settings):
        """(exit code, what it said) of `chasqui admin …`."""
        done = subprocess.run([self.stack.services.executable, "admin", *words], env=self.environment(ADMIN, **settings), text=True,
                              capture_output=True, timeout=60, check=False, stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout + done.stderr

    @contextlib.contextmanager
    def process(self, role, **settings):
        s = self.stack.services
        proc = Proc(f"{role}-more", [s.executable, role], s.log_dir / f"{role}-more.log", '"event":"ready"',
                    env=self.environment(role, **settings), guard=s.guard)
        proc.log_path.unlink(missing_ok=True)
        try:
            yield proc.start()
        finally:
            proc.stop()


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    found = Secured(tmp_path_factory.mktemp("secured"))
    try:
        with found.stack:
            found.start()
            yield found
    finally:
        found.tokens.close()


@pytest.fixture(scope="module")
def locked(secured):
    return secured.stack


@scenario(stack="locked", limit_s=90)
async def test_a_message_goes_the_whole_road_behind_tls_on_the_rights_of_each_role(secured, locked, net):
    """Also what T40 wants: each role has a name of its own, and does all that it does with the rights of docs/topics.md."""
    alice, bob = await net.people("alice", "bob")
    out = await alice.told(f"{MARK} by TLS", peer=bob.user_id)
    got = await bob.sees(out.content)
    bob.read(got.chat_id)
    await alice.wait(lambda: alice.ticks[got.chat_id]["read"] >= got.seq, 30, "the read tick")
    assert await rows_when(locked, "SELECT * FROM view.messages WHERE id = %s", out.id)
    said = [x for p in locked.roles() for x in p.log_lines() if x.get("event") in ("topic_settings_unknown", "topic_drift", "not_watched")]
    assert not said, "the rights are enough to look at the topics"
    # every way in was used
    assert {client for client, _ in secured.tokens.asked} >= set(BY_TOKEN)
    assert all(form["scope"] == "kafka all" for _, form in secured.tokens.asked)
    # nobody lacked a right
    odd = [(p.name, line) for p in locked.roles() for line in p.log_lines()
           if line["level"] in ("warn", "error") and line["event"] != "large_buffers_not_kept"]  # which a sanitizer's malloc does not know
    assert not odd, odd


@scenario(stack="locked", limit_s=150)
async def test_a_broker_behind_tls_comes_back(secured, locked, net):
    """Its death is no end of a connection in the sense of TLS: every role waits all the same, and none ends."""
    alice, bob = await net.people("alice", "bob")
    await alice.told(f"{MARK} before", peer=bob.user_id)
    starts = {p.name: p.starts for p in locked.roles()}
    await asyncio.to_thread(locked.kafka.kill9)
    await asyncio.to_thread(locked.kafka.start)
    out = await alice.told(f"{MARK} after", peer=bob.user_id, timeout_s=60)
    await bob.sees(out.content, 60)
    assert {p.name: p.starts for p in locked.roles()} == starts and all(p.alive() for p in locked.roles())


@pytest.mark.parametrize(("settings", "said"), [
    ({"KAFKA_BROKER": "SSL://127.0.0.1:9092"}, "KAFKA_BROKER must be host:port without a scheme"),
    ({"KAFKA_CA_FILE": "{ca}"}, "KAFKA_CA_FILE has no effect: KAFKA_TLS is 0"),
    ({"KAFKA_TLS": "1", "KAFKA_CA_FILE": "{folder}/none.pem"}, "KAFKA_CA_FILE: {folder}/none.pem: No such file"),
    ({"KAFKA_TLS": "1", "KAFKA_CA_FILE": "{folder}/ca.key"}, "KAFKA_CA_FILE cannot be used"),
    ({"KAFKA_TLS": "1", "KAFKA_CERT_FILE": "{folder}/one.pem"}, "KAFKA_CERT_FILE and KAFKA_KEY_FILE go together"),
    ({"KAFKA_TLS": "1", "KAFKA_CERT_FILE": "{folder}/one.pem", "KAFKA_KEY_FILE": "{folder}/ca.key"}, "cannot be used"),  # another's key
    ({"KAFKA_TLS": "1", "KAFKA_KEY_PASSWORD": "hush"}, "KAFKA_KEY_PASSWORD has no effect"),
    ({"KAFKA_SASL": "scram"}, "KAFKA_SASL must be none, plain or oauthbearer"),
    ({"KAFKA_SASL": "plain", "KAFKA_USER": "u", "KAFKA_PASSWORD": "hush"}, "KAFKA_LOGIN_IN_CLEAR"),
    ({"KAFKA_USER": "u"}, "KAFKA_USER has no effect: KAFKA_SASL is none"),
    ({"KAFKA_TLS": "1", "KAFKA_SASL": "plain", "KAFKA_USER": "u"}, "one of KAFKA_PASSWORD and KAFKA_PASSWORD_FILE"),
    ({"KAFKA_TLS": "1", "KAFKA_SASL": "plain", "KAFKA_USER": "u", "KAFKA_PASSWORD_FILE": "{folder}/none"}, "{folder}/none: No such file"),
    ({"KAFKA_TLS": "1", "KAFKA_SASL": "plain", "KAFKA_USER": "u", "KAFKA_PASSWORD_FILE": "{folder}/long"}, "one line of 1 to 1024 bytes"),
    ({"KAFKA_TLS": "1", "KAFKA_SASL": "plain", "KAFKA_USER": "u", "KAFKA_PASSWORD_FILE": "{folder}/empty"}, "one line of 1 to 1024 bytes"),
    ({"KAFKA_TLS": "1", "KAFKA_SASL": "plain", "KAFKA_USER": "u", "KAFKA_PASSWORD": "hush", "KAFKA_TOKEN_URL": "https://x"}, "KAFKA_TOKEN_URL has no"),
    ({"KAFKA_TLS": "1", "KAFKA_SASL": "oauthbearer", "KAFKA_USER": "u", "KAFKA_PASSWORD": "hush", "KAFKA_TOKEN_URL": "http://x"}, "https address"),
    ({"KAFKA_SASL": "plain", "KAFKA_USER": "u", "KAFKA_PASSWORD": "hush", "KAFKA_LOGIN_IN_CLEAR": "1"}, None),
    ({"KAFKA_TLS": "1", "KAFKA_CA_FILE": "{ca}", "KAFKA_CERT_FILE": "{folder}/one.pem", "KAFKA_KEY_FILE": "{folder}/one.key"}, None),
    ({"KAFKA_TLS": "1", "KAFKA_SASL": "plain", "KAFKA_USER": "u", "KAFKA_PASSWORD_FILE": "{folder}/longest"}, None),
])
def test_check_config_judges_settings_together(authority, settings, said):
    """One line a mistake, with the setting's name and no secret; None: it is taken."""
    known = {"folder": authority.folder, "ca": authority.authority}
    env = {**TEST_SETTINGS, "DATABASE_URL": "host=x", **{name: value.format(**known) for name, value in settings.items()}}
    done = subprocess.run([Path(os.environ.get("CHASQUI_BUILD") or ROOT / "build/release") / "chasqui", "check-config"], env=env, text=True,
                          capture_output=True, timeout=30, check=False)
    assert "hush" not in done.stdout + done.stderr
    if said is None:
        assert (done.returncode, done.stderr) == (0, "")
    else:
        assert done.returncode == 2 and said.format(**known) in done.stderr, done.stderr
        assert all(line.startswith("chasqui: ") for line in done.stderr.splitlines()), done.stderr


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    found = Certificates(tmp_path_factory.mktemp("authority"))
    found.sign("one")
    for name, size in (("empty", 0), ("longest", 1024), ("long", 1025)):
        (found.folder / name).write_text("x" * size + "\r\n")
    return found


PLAIN = {"KAFKA_CERT_FILE": None, "KAFKA_KEY_FILE": None, "KAFKA_SASL": "plain", "KAFKA_USER": "edge-rest"}
TOKEN = {**PLAIN, "KAFKA_SASL": "oauthbearer", "KAFKA_USER": "status"}


@pytest.mark.parametrize(("door", "settings", "said"), [
    ("mtls", {"KAFKA_TLS": "0", "KAFKA_CA_FILE": None, "KAFKA_CERT_FILE": None, "KAFKA_KEY_FILE": None}, "KAFKA_TLS"),
    ("mtls", {"KAFKA_CA_FILE": "{others}/other-ca.pem"}, "KAFKA_CA_FILE"),
    ("mtls", {"KAFKA_BROKER": "localhost:{port}"}, "names in KAFKA_BROKER"),  # the certificate is 127.0.0.1's
    ("mtls", {"KAFKA_CERT_FILE": None, "KAFKA_KEY_FILE": None}, "KAFKA_CERT_FILE"),
    ("mtls", {"KAFKA_CERT_FILE": "{others}/chat.pem", "KAFKA_KEY_FILE": "{others}/chat.key"}, "KAFKA_CERT_FILE"),
    ("login", {**PLAIN, "KAFKA_PASSWORD": "wrong"}, "KAFKA_PASSWORD"),
    ("login", {"KAFKA_CERT_FILE": None, "KAFKA_KEY_FILE": None}, "KAFKA_SASL"),  # no login at all
    ("login", {**TOKEN, "KAFKA_PASSWORD": "wrong", "KAFKA_TOKEN_URL": "{token}", "KAFKA_TOKEN_CA_FILE": "{ca}"}, "KAFKA_TOKEN_URL"),
    ("login", {**TOKEN, "KAFKA_PASSWORD": password("status"), "KAFKA_TOKEN_URL": "{token}"}, "KAFKA_TOKEN_URL"),  # not the system's CA
], ids=["plain", "authority", "name", "no certificate", "certificate", "password", "no login", "token secret", "token authority"])
def test_who_cannot_come_in_is_told_which_setting_to_look_at(secured, door, settings, said):
    port = secured.doors[door]
    known = {"others": secured.strangers.folder, "ca": secured.certificates.authority, "port": port, "token": secured.tokens.url}
    given = {"KAFKA_BROKER": f"127.0.0.1:{port}", **settings}
    code, words = secured.admin("topics", **{name: value and value.format(**known) for name, value in given.items()})
    assert code == 1 and "the broker refuses us" in words and said in words.partition("look at ")[2], words
    assert password("") not in words and "wrong" not in words.partition("look at")[0].replace("wrong version", "")


def test_a_role_that_cannot_come_in_waits_and_says_so(secured):
    with secured.process("edge-rest", KAFKA_PASSWORD="wrong", REST_LISTEN="127.0.0.1:0") as proc:
        lines = wait_until(lambda: [x for x in proc.log_lines() if x["event"] == "waiting_for_kafka"], 30, "it to say that it waits")
        assert "KAFKA_USER and KAFKA_PASSWORD" in lines[0]["why"] and lines[0]["level"] == "warn"
        assert proc.alive() and not proc.is_ready()


def test_a_running_role_that_is_refused_says_so_and_goes_on_when_it_may(secured):
    """A service that gives one short token, for all clients of the process, and the next one only later."""
    secured.tokens.short["mobile"] = [1, 10]
    with secured.process("mobile") as proc:
        proc.wait_ready(30)
        line = wait_until(lambda: next((x for x in proc.log_lines() if x["event"] == "kafka_refused"), None), 40, "it to say that it is refused")
        assert line["level"] == "warn" and "KAFKA_TOKEN_URL" in line["look_at"] and "401" in line["why"]
        asked = len(secured.tokens.asked)
        secured.tokens.short["mobile"] = [1, 3600]
        wait_until(lambda: len(secured.tokens.asked) > asked, 30, "it to ask again")
        assert proc.alive()
    del secured.tokens.short["mobile"]


def test_postgresql_by_tls_with_the_right_authority_only(secured):
    code, words = secured.admin("migrate")
    assert code == 0, words
    url = secured.stack.services.database_url
    code, words = secured.admin("migrate", DATABASE_URL=f"{url}?sslmode=verify-full&sslrootcert={secured.strangers.authority}")
    assert code == 1 and "certificate verify failed" in words
    with secured.stack.db() as db:  # our own is the one connection in clear
        rows = db.execute("SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'chasqui' AND pid <> pg_backend_pid()")
        found = [ssl for (ssl,) in rows]
    assert len(found) >= 4 and all(found)


# ---- T40: who may write to which topic -------------------------------------------------------------


def asked_for_everything(client, topics):
    """{(what, topic): the broker let us} for a client's Write and Read of each topic. What is allowed is not tried: it would be done."""
    from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition

    told = {}
    producer = Producer({**client, "enable.idempotence": False, "message.timeout.ms": 20000})
    for topic in topics["write"]:
        producer.produce(topic, b"not yours", on_delivery=lambda error, _, t=topic: told.update({("write", t): error and error.name()}))
    producer.flush(30)
    consumer = Consumer({**client, "group.id": "chasqui-floor", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, OFFSET_END) for topic in topics["read"]])
    try:
        def all_told():
            message = consumer.poll(0.2)
            if message is not None:
                told["read", message.topic()] = message.error() and message.error().name()
            return all(("read", t) in told for t in topics["read"])

        wait_until(all_told, 30, "an answer for each topic")
    finally:
        consumer.close()
    return told


def refused_all(told):
    """Every answer is the broker's no."""
    assert told and set(told.values()) <= {"TOPIC_AUTHORIZATION_FAILED", "_TOPIC_AUTHORIZATION_FAILED"}, told


@pytest.mark.parametrize("name", ["chat", "user"])
def test_t40_a_role_writes_and_reads_its_own_topics_only(secured, name):
    table = rights((ROOT / "docs/topics.md").read_text())
    reads, writes = table[name]
    every = {t for sides in table.values() for side in sides for t in side}
    others = {"write": sorted(every - set(writes)), "read": sorted(every - set(reads))}
    assert len(others["write"]) >= 10 and len(others["read"]) >= 10
    told = asked_for_everything(secured.client(name), others)
    assert len(told) == len(others["write"]) + len(others["read"])
    refused_all(told)


def test_t40_without_a_name_nothing_is_shown(secured):
    """Not even the names of topics: by the door that asks for no certificate one is ANONYMOUS, by the other one a name without rights."""
    from confluent_kafka.admin import AdminClient

    client = {"bootstrap.servers": f"127.0.0.1:{secured.doors['open']}", "security.protocol": "ssl",
              "ssl.ca.location": str(secured.certificates.authority)}
    for stranger in (client, secured.client("nobody")):
        assert AdminClient(stranger).list_topics(timeout=20).topics == {}
    with secured.process("chat", KAFKA_BROKER=f"127.0.0.1:{secured.doors['open']}", KAFKA_CERT_FILE=None, KAFKA_KEY_FILE=None) as proc:
        assert proc.wait(30) == 1
        (line,) = [x for x in proc.log_lines() if x["event"] == "topics_wrong"]
        assert "does not let us Describe it" in line["why"]


def test_t40_a_role_under_another_roles_name_ends_and_says_why(secured):
    with secured.process("persistence", **{**dict.fromkeys(secured.way_in("persistence")), **secured.way_in("chat")}) as proc:
        assert proc.wait(60) == 1
        assert any("AUTHORIZATION_FAILED" in line.get("why", "") for line in proc.log_lines() if line["level"] == "error"), proc.log_lines()


def test_the_checks_bite():
    for told in ({}, {("write", "members"): None}, {("write", "members"): "_MSG_TIMED_OUT"}):
        with pytest.raises(AssertionError):
            refused_all(told)
