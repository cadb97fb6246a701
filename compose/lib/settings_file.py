# SPDX-License-Identifier: MIT
"""compose/settings.env: NAME=value lines, made from the example, secrets drawn at the first start."""

import os
import re
import secrets
from pathlib import Path

from process import Failure
from roles import TABLE
from services import ROOT, Services

EXAMPLE = ROOT / "compose/settings.env.example"
SECRETS = ("JWT_SECRET", "PHONE_PEPPER", "POSTGRES_PASSWORD")
DRAWN = (*SECRETS, "S3_SECRET_KEY")
PORTS = {"kafka": "KAFKA_PORT", "controller": "KAFKA_CONTROLLER_PORT", "postgres": "POSTGRES_PORT", "rest": "REST_PORT",
         "ws": "WS_PORT", "metrics": "METRICS_PORT"}
COPIES = {role.word: f"COPIES_{role.name}" for role in TABLE}
# What is for compose alone; every other name is a role's.
OURS = {*PORTS.values(), *COPIES.values(), "KAFKA_HEAP_MB", "POSTGRES_PASSWORD", "LISTEN_HOST", "S3_PORT"}
# What stands for a service of somebody else's: compose runs none of its own then.
ELSEWHERE = ("KAFKA_BROKER", "DATABASE_URL")
# Worked out from the above for each copy, so that several can run on one machine.
WORKED_OUT = {"INSTANCE", "REST_LISTEN", "WS_LISTEN", "METRICS_LISTEN"}


def parse(path):
    """The file as a dict; Failure naming the line that is not NAME=value."""
    found = {}
    for number, line in enumerate(Path(path).read_text().splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not re.fullmatch(r"[A-Z][A-Z0-9_]*", name):
            raise Failure("read the settings", f"{path} line {number} is not NAME=value: {line.split('=')[0][:40]}")
        if name in WORKED_OUT:
            raise Failure("read the settings", f"{path} line {number}: {name} is worked out by compose and cannot be set here")
        found[name] = value
    return found


def load(state):
    """The settings of a state folder, made at its first use; the example gives what a file leaves out."""
    path = Path(state) / "settings.env"
    if not path.exists():
        text = EXAMPLE.read_text()
        for name in DRAWN:
            text = re.sub(rf"^{name}=$", f"{name}={secrets.token_urlsafe(32)}", text, flags=re.M)
        partial = path.with_suffix(".part")
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        partial.rename(path)
    settings = {**parse(EXAMPLE), **parse(path)}
    for name in SECRETS:
        if not settings[name] and not (name == "POSTGRES_PASSWORD" and settings["DATABASE_URL"]):
            raise Failure("read the settings", f"{path}: {name} is empty")
    if not re.fullmatch(r"[A-Za-z0-9_-]*", settings["POSTGRES_PASSWORD"]):
        raise Failure("read the settings", f"{path}: POSTGRES_PASSWORD may hold letters, digits, - and _ only")
    return settings


def elsewhere(state):
    """Names of the settings by which this state folder uses services that are not its own."""
    path = Path(state) / "settings.env"
    return [name for name, value in (parse(path) if path.exists() else {}).items() if name in ELSEWHERE and value]


def number(settings, name, low, high):
    text = settings[name]
    if not text.isdecimal() or not low <= int(text) <= high:
        raise Failure("read the settings", f"{name}={text} is not a number from {low} to {high}")
    return int(text)


def ports(settings):
    found = {key: number(settings, name, 0 if key == "metrics" else 1, 65000) for key, name in PORTS.items()}
    names = [*PORTS.values(), *(["S3_PORT"] if settings["S3_PORT"] != "0" else [])]
    if len({settings[name] for name in names}) < len(names):
        raise Failure("read the settings", "two ports are the same: " + ", ".join(f"{n}={settings[n]}" for n in names))
    return found


def copies(settings):
    return {role: number(settings, name, 0, 64) for role, name in COPIES.items()}


def for_roles(settings):
    """What the roles get; LISTEN_HOST stays in for services.role_env."""
    return {name: value for name, value in settings.items()
            if (name not in OURS or name == "LISTEN_HOST") and (value or name not in ELSEWHERE)}


def services_of(state, settings, **more):
    """The Services that a state folder with these settings describes."""
    return Services(state, ROOT / "build/release/chasqui", (state / "kafka").resolve(), ports(settings), copies(settings),
                    for_roles(settings), settings["POSTGRES_PASSWORD"],
                    heap_mb=number(settings, "KAFKA_HEAP_MB", 128, 65536),
                    s3_port=number(settings, "S3_PORT", 0, 65000), own_kafka=not settings["KAFKA_BROKER"],
                    own_postgres=not settings["DATABASE_URL"], **more)
