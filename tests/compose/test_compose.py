# SPDX-License-Identifier: MIT
"""compose/up, down and reset as a person uses them, on ports and in a state folder of their own. One story, in order."""

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lib"))

from files import Files, png, sha256  # noqa: E402
from stack import ROLES, Stack, wait_until  # noqa: E402
import kafka_security  # noqa: E402
import versitygw  # noqa: E402

BASE = int(os.environ.get("CHASQUI_COMPOSE_PORT", "21500"))
PORTS = {"REST_PORT": BASE, "WS_PORT": BASE + 1, "KAFKA_PORT": BASE + 2, "KAFKA_CONTROLLER_PORT": BASE + 3, "POSTGRES_PORT": BASE + 4,
         "METRICS_PORT": BASE + 20}
SECRETS = {"JWT_SECRET": "s" * 40, "PHONE_PEPPER": "p" * 40, "POSTGRES_PASSWORD": "compose-test", "S3_ACCESS_KEY": "compose",
           "S3_SECRET_KEY": "s3" * 20}


def container_file(*words, **secrets):
    env = {**{k: v for k, v in os.environ.items() if k not in SECRETS}, **secrets}
    return subprocess.run(["docker-compose", "-f", ROOT / "compose/compose.yml", "config", *words], capture_output=True, text=True,
                          timeout=60, check=False, env=env)


def test_the_container_file_has_two_of_each_role():
    done = container_file("--services", **SECRETS)
    assert done.returncode == 0, done.stderr
    assert {f"{role}-{i}" for role in ROLES for i in (0, 1)} | {"kafka", "postgres", "s3", "topics", "tables", "log"} == set(done.stdout.split())


def containers():
    """The container file as docker-compose understands it, by service."""
    done = container_file(**SECRETS)
    assert done.returncode == 0, done.stderr
    read = subprocess.run(["/usr/bin/python3", "-c", "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)"],
                          input=done.stdout, capture_output=True, text=True, check=True)
    return json.loads(read.stdout)["services"]


def secrets_of_roles():
    """{secret setting: (required, roles)} of the settings table."""
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \| [^|]+ \| yes \| ([^|]+) \|", (ROOT / "docs/settings.md").read_text(), re.M)
    assert len(rows) >= 9
    return {name: (default.strip() == "required", set(roles.strip().split(", "))) for name, default, roles in rows}


def test_each_container_has_its_own_secrets_only():
    secret = secrets_of_roles()
    assert secret["JWT_SECRET"] == (True, {"edge-rest", "edge-ws"})
    for name, service in containers().items():
        if service["image"] != "chasqui":
            continue
        role, given = service["command"][0], service["environment"]
        for setting, (required, roles) in secret.items():
            assert setting not in given or role in roles, f"{name} has {setting}, which is for {roles}"
            assert not required or role not in roles or role == "admin" or setting in given, f"{name} lacks {setting}"
    for name, service in containers().items():  # nor hidden in another setting
        if name in ("chat-0", "user-1", "topics"):
            assert not [v for v in service["environment"].values() if v and any(s in str(v) for s in SECRETS.values())], name


def test_containers_are_closed():
    """Read-only, no capabilities, no new privileges, bounded in memory and processes; kafka's image alone writes into itself."""
    for name, service in containers().items():
        assert service.get("read_only") or name == "kafka", name
        assert service["cap_drop"] == ["ALL"] and "cap_add" not in service, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"] and 0 < service["pids_limit"] <= 512, name
        assert not service.get("privileged") and "network_mode" not in service and "pid" not in service, name
        assert all(p.startswith("127.0.0.1:") for p in service.get("ports", [])), name
        if service["image"] == "chasqui":
            assert [t.split(":")[0] for t in service["tmpfs"]] == ["/tmp"], name
            # the edges look how full Kafka's disk is; they cannot write to it
            assert service.get("volumes") == (["kafka:/var/lib/kafka/data:ro"] if name.startswith("edge-") else None), name
    docker = (ROOT / "compose/Dockerfile").read_text()
    assert re.search(r"^USER chasqui$", docker, re.M)


def test_containers_say_how_they_are():
    for name, service in containers().items():
        assert "healthcheck" in service or name in ("topics", "tables", "log"), name  # these do one thing and end


def test_the_settings_file_of_compose_up_fits_the_container_file(tmp_path):
    """As its first lines say: docker compose --env-file .state/settings.env. There S3_PORT=0 means no S3, not any port."""
    done = subprocess.run([sys.executable, "-c", "import sys; sys.path.insert(0, 'compose/lib'); import settings_file as s; "
                           "s.load(__import__('pathlib').Path(sys.argv[1]))", tmp_path], cwd=ROOT, check=True, capture_output=True)
    assert done.returncode == 0
    file = dict(line.split("=", 1) for line in (tmp_path / "settings.env").read_text().splitlines()
                if line and not line.startswith("#"))
    assert file["S3_PORT"] == "0"
    done = container_file(**file)
    assert done.returncode == 0, done.stderr
    ports = re.findall(r"127\.0\.0\.1:(\d+):\d+|published: \"?(\d+)", done.stdout)
    assert len(ports) >= 5 and all(int(a or b) > 0 for a, b in ports), ports


def test_the_container_file_wants_its_secrets():
    done = container_file("-q")
    assert done.returncode != 0 and "POSTGRES_PASSWORD" in done.stderr


class Compose:
    def __init__(self, state):
        self.state = state

    def run(self, verb, *words, fails=False):
        """Its output; asserts on how it ended."""
        done = subprocess.run([ROOT / "compose" / verb, "--state", self.state, *words], capture_output=True, text=True, timeout=600,
                              check=False, stdin=subprocess.DEVNULL)
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    def settings(self, **more):
        lines = {**SECRETS, **PORTS, **more}
        (self.state / "settings.env").write_text("".join(f"{name}={value}\n" for name, value in lines.items()))

    def pids(self, what=""):
        """Of the processes that have this state folder: name of its log → pid."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                log = os.readlink(folder / "fd/2")
            except OSError:
                continue
            if log.startswith(f"{self.state}/log/") and what in log and os.getpgid(int(folder.name)) == int(folder.name):
                found[Path(log).stem] = int(folder.name)
        return found


@pytest.mark.parametrize("verb", ["down", "up", "reset", "restore"])
def test_one_verb_at_a_time_and_the_others_say_that_they_wait(verb, tmp_path):
    """The lock in the test's hand is what another verb holds. Let go, the verb does what it would have done."""
    (tmp_path / "run").mkdir()
    words = {"reset": ["--yes"], "restore": ["no-such-file"]}.get(verb, [])
    (tmp_path / "settings.env").write_text("NOBODY_KNOWS_THIS=1\n")  # so that `up` ends early, with words
    with open(tmp_path / "run/compose.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("up (process 1)\n")
        lock.flush()
        waits = subprocess.Popen([sys.executable, ROOT / "compose/lib/control.py", verb, "--state", tmp_path, *words], text=True,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        line = waits.stdout.readline()
        assert line == f"compose/up (process 1) is at work on {tmp_path}: waiting until it is done.\n"
        assert waits.poll() is None
    said = waits.communicate(timeout=120)[0]
    expected = {"down": "Not running.", "reset": "All data is forgotten", "restore": "there is no file", "up": "compose/up failed at"}
    assert expected[verb] in said, said


@pytest.fixture(scope="module")
def compose(tmp_path_factory):
    state = tmp_path_factory.mktemp("compose-state")
    for folder in (state, *state.parents):
        if folder.owner() == state.owner() and folder != Path("/tmp"):
            folder.chmod(0o755)
    kafka = Path(os.environ.get("CHASQUI_STATE") or ROOT / ".state") / "kafka"
    kafka.mkdir(parents=True, exist_ok=True)
    (state / "kafka").symlink_to(kafka.resolve())  # fetched once for all tests
    it = Compose(state)
    it.settings()
    yield it
    it.run("reset", "--yes")


@pytest.fixture(scope="module")
def first(compose):
    """Output of the first start."""
    return compose.run("up")


def quick_start(output):
    """The commands that compose/up prints; above them it may say, as far indented, what it waits for."""
    lines = [line[4:] for line in output.splitlines() if line.startswith("    ")]
    return "\n".join(lines[next(i for i, line in enumerate(lines) if line.startswith("B=")):])


def test_up_says_where_everything_is(first):
    assert f"http://127.0.0.1:{BASE}" in first
    assert f"ws://127.0.0.1:{BASE + 1}/ws" in first
    for step in ("build", "Kafka", "PostgreSQL", "topics", "tables", "roles"):
        assert re.search(rf"^  {step} \.+ +[0-9.]+ s$", first, re.M), step


def answers_of(commands):
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", commands], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    answers, at, text = [], 0, done.stdout.strip()
    while at < len(text):
        value, used = json.JSONDecoder().raw_decode(text[at:].lstrip())
        at += len(text[at:]) - len(text[at:].lstrip()) + used
        answers.append(value)
    return answers


def test_the_quick_start_works_as_printed(first):
    said = []
    while len(said) < 3 and (not said or said[-1].get("error", {}).get("code") == "unavailable"):  # a machine that is slow: "send it again"
        sent, history = answers_of(quick_start(first))
        said.append(sent)
    assert sent.get("message", {}).get("content") == "hello", said
    assert sent["message"]["id"] in [m["id"] for m in history["messages"]] and len(history["messages"]) <= len(said)


def test_up_again_changes_nothing(first, compose):
    before = compose.pids()
    assert "Already running" in compose.run("up")
    assert compose.pids() == before and "chat-0" in before


def test_a_dump_is_restored_into_what_runs(first, compose, tmp_path):
    url = f"postgresql://chasqui:{SECRETS['POSTGRES_PASSWORD']}@127.0.0.1:{PORTS['POSTGRES_PORT']}/chasqui"
    subprocess.run(["pg_dump", "-Fc", "--schema=auth", "--schema=media", "-f", tmp_path / "auth.dump", url], check=True)
    lost = ["psql", "-X", "-At", "-d", url, "-c"]
    before = subprocess.run([*lost, "SELECT count(*) FROM auth.accounts"], capture_output=True, text=True, check=True).stdout
    subprocess.run([*lost, "DELETE FROM auth.accounts"], check=True)
    assert "the doors are open" in compose.run("restore", tmp_path / "auth.dump")
    assert subprocess.run([*lost, "SELECT count(*) FROM auth.accounts"], capture_output=True, text=True, check=True).stdout == before != "0\n"


def test_a_second_one_is_told_which_port_is_taken(first, tmp_path):
    other = Compose(tmp_path)
    (tmp_path / "kafka").symlink_to((Path(os.environ.get("CHASQUI_STATE") or ROOT / ".state") / "kafka").resolve())
    other.settings()
    told = other.run("up", fails=True)
    assert f"port {PORTS['KAFKA_PORT']}" in told and "KAFKA_PORT" in told and "failed at: check ports" in told


def test_a_role_that_dies_is_started_again(first, compose):
    old = compose.pids()["chat-0"]
    os.kill(old, signal.SIGKILL)
    new = wait_until(lambda: (pid := compose.pids().get("chat-0")) and pid != old and pid, 20, "chat runs again")
    assert new != old
    assert "chat-0 ended with SIGKILL" in (compose.state / "log/supervise.log").read_text()


def test_data_outlives_down_and_up(first, compose):
    assert "Ended after" in compose.run("down")
    wait_until(lambda: compose.pids() == {}, 5, "nothing is left")
    assert "Not running" in compose.run("down")
    again = compose.run("up")
    # the quick start again: the same two people, so their chat has the message of the first time, too
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", quick_start(again)], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.count('"content": "hello"') == 3  # the one sent now, and both in the history


def test_a_killed_supervisor_takes_everything_with_it(first, compose):
    os.kill(compose.pids()["supervise"], signal.SIGKILL)
    wait_until(lambda: compose.pids() == {}, 20, "nothing is left")
    assert "Chasqui is up" in compose.run("up")


def test_the_health_of_a_container_is_what_its_role_says(first):
    """The command of the container file, asked of a role that runs here, and where nobody listens."""
    test = containers()["chat-0"]["healthcheck"]["test"]
    assert test[0] == "CMD" and "9100" in test[-1]
    for port, code in ((PORTS["METRICS_PORT"], 0), (PORTS["METRICS_PORT"] + 9, 1)):
        words = [*test[1:-1], test[-1].replace("$$", "$").replace("9100", str(port))]
        assert subprocess.run(words, timeout=10, check=False, capture_output=True).returncode == code, port


def test_wrong_settings_are_refused_before_anything_starts(first, compose):
    compose.run("down")
    compose.settings(LOG_LEVLE="debug")
    assert "nobody knows LOG_LEVLE (LOG_LEVEL?)" in compose.run("up", fails=True)
    compose.settings(LOG_LEVEL="loud", CODE_DRIVER="sms", MEDIA_STORE="ftp:x")
    said = compose.run("up", fails=True)
    for name in ("LOG_LEVEL", "CODE_DRIVER", "MEDIA_STORE"):
        assert f"setting {name} must be" in said, said
    assert compose.pids() == {}
    compose.settings()


def test_files_in_a_bucket(first, compose):
    """With S3_PORT a versitygw runs beside the rest: a file goes in by tus and by a link, out over a redirection, and outlives an end."""
    kept = Path(os.environ.get("CHASQUI_STATE") or ROOT / ".state") / "bin"
    kept.mkdir(parents=True, exist_ok=True)
    if not versitygw.program(kept):
        pytest.skip("no versitygw on the path, and no Go to build it")
    (compose.state / "bin").symlink_to(kept.resolve())  # built once for all tests
    compose.run("down")
    compose.settings(S3_PORT=BASE)
    assert "two ports are the same" in compose.run("up", fails=True)
    compose.settings(S3_PORT=BASE + 10)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", BASE + 10))
        taken.listen()
        assert "S3_PORT" in compose.run("up", fails=True)
    told = compose.run("up")
    assert re.search(r"^  versitygw \.+ +[0-9.]+ s$", told, re.M) and f"S3              http://127.0.0.1:{BASE + 10}/media" in told
    try:
        rest = f"http://127.0.0.1:{BASE}"
        ann, ben = [signed_in(rest, name, number) for name, number in (("Ann", "+4915550000001"), ("Ben", "+4915550000002"))]
        a = Files(rest, ann["accessToken"])
        chat = a.call("POST", "/api/chats", json={"userId": ben["userId"]}).json()["chat"]["chatId"]
        by_tus, by_link = png(seed=1) + bytes(6 << 20), png(seed=2)
        media = [a.send(chat, by_tus)]
        made = a.create(chat, by_link, sha256=sha256(by_link)).json()
        put = made["upload"]["put"]
        assert put["url"].startswith(f"http://127.0.0.1:{BASE + 10}/media/")
        assert requests.put(put["url"], data=by_link, headers=put["headers"], timeout=30, proxies={"http": ""}).status_code == 200
        media.append(made["media"]["id"])
        assert a.complete(media[1]).status_code == 200
        compose.run("down")
        compose.run("up")
        for it, data in zip(media, (by_tus, by_link)):
            assert a.get(it).status_code == 302 and a.read(it).content == data
    finally:
        compose.run("down")
        (compose.state / "bin").unlink()
        compose.settings()


def signed_in(rest, name, number):
    c = requests.post(f"{rest}/api/register", json={"name": name, "phoneNumber": number}, timeout=30).json()
    return requests.post(f"{rest}/api/verify", json={"challenge": c["challenge"], "code": c["devCode"]}, timeout=30).json()


@pytest.fixture
def elsewhere(tmp_path_factory):
    """Kafka and PostgreSQL of somebody else's: behind TLS, the one with a login."""
    folder = tmp_path_factory.mktemp("elsewhere")
    folder.chmod(0o755)
    certificates = kafka_security.Certificates(folder / "ca")
    certificates.sign("broker")
    tokens = kafka_security.TokenService(certificates, folder)
    more, doors = kafka_security.broker_settings(BASE + 30, certificates, tokens.keys, [kafka_security.ADMIN])
    (folder / "password").write_text(kafka_security.password(kafka_security.ADMIN))
    with Stack(base_port=BASE + 30, broker_settings=more) as stack:
        stack.services.java_options += kafka_security.java_options(tokens.keys)
        stack.start_platform()
        yield stack, {"KAFKA_BROKER": f"127.0.0.1:{doors['login']}", "KAFKA_TLS": "1", "KAFKA_CA_FILE": certificates.authority,
                      "KAFKA_SASL": "plain", "KAFKA_USER": kafka_security.ADMIN, "KAFKA_PASSWORD_FILE": folder / "password",
                      "DATABASE_URL": stack.database_url}
    tokens.close()


def test_a_broker_and_a_database_that_are_elsewhere(first, compose, elsewhere, tmp_path):
    """None is started, topics and tables are made there, a message goes its way, and a reset leaves them alone."""
    compose.run("down")
    stack, settings = elsewhere
    other = Compose(tmp_path)
    other.settings(POSTGRES_PASSWORD="", **settings)
    told = other.run("up")
    try:
        assert f"Kafka: none is started, {settings['KAFKA_BROKER']} is used" in told and "PostgreSQL: none is started" in told
        assert not re.search(r"^  (Kafka|PostgreSQL) \.", told, re.M) and "test@" not in told
        running = other.pids()
        assert "chat-0" in running and not {"kafka", "postgres"} & set(running)
        environment = Path(f"/proc/{running['chat-0']}/environ").read_bytes()
        assert b"LOG_DISK=" not in environment and b"DATABASE_URL=" not in environment and b"JWT_SECRET=" not in environment
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", quick_start(told)], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0 and '"content": "hello"' in done.stdout, done.stderr
    finally:
        other.run("down")
    told = other.run("reset", "--yes")
    assert "What KAFKA_BROKER names is not ours" in told and "What DATABASE_URL names is not ours" in told
    assert stack.db().execute("SELECT count(*) FROM view.messages").fetchone() == (1,)


def test_reset_asks_and_forgets(first, compose):
    assert "Nothing was changed" in compose.run("reset")
    assert (compose.state / "kafka-data").exists()
    assert "forgotten" in compose.run("reset", "--yes")
    assert sorted(p.name for p in compose.state.iterdir()) == ["kafka", "kafka.properties", "run", "settings.env"]
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", BASE))


def test_secrets_are_drawn_at_the_first_start(tmp_path):
    done = subprocess.run([sys.executable, "-c", "import sys; sys.path.insert(0, 'compose/lib'); import settings_file as s; "
                           "from pathlib import Path; print(s.load(Path(sys.argv[1]))['JWT_SECRET'])", tmp_path],
                          cwd=ROOT, capture_output=True, text=True, check=True)
    file = tmp_path / "settings.env"
    assert len(done.stdout.strip()) >= 40 and f"JWT_SECRET={done.stdout.strip()}\n" in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
