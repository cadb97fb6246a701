# SPDX-License-Identifier: MIT
"""schemathesis against docs/openapi.yaml and a whole Chasqui: good and bad data, chains of requests, uploads too.

    api_cases.py [--seed 17] [--seconds 600] [--junit FILE] [-- more words for schemathesis]

Who asks is one of two people who share a group and a file, so that ids from the document's examples lead somewhere.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "build/long/schemathesis"
sys.path[:0] = [str(ROOT / "tests/lib"), str(Path(__file__).parent)]

import jwt  # noqa: E402
from rest import Rest, sign_in  # noqa: E402
from stack import TEST_SETTINGS, Stack  # noqa: E402

PHASES = "examples,coverage,fuzzing,stateful"
# Would end the run's own session; tests/system/test_auth.py has them.
LEFT_OUT = ["logout", "endDevice"]


async def people(url):
    """Two signed-in people in one group: (tokens of the one who asks, ids to ask for)."""
    rest = Rest(url)
    try:
        alice, bob = await asyncio.gather(sign_in(rest, "+4915559900001", "Alice"), sign_in(rest, "+4915559900002", "Bob"))
        mine = Rest(url, alice.access)
        group = (await mine.post("/api/chats", {"clientId": "g1", "name": "cases", "members": [bob.user_id]}, expect=(200, 201))).body["chat"]
        sent = (await mine.post("/api/messages", {"clientId": "m1", "chatId": group["chatId"], "type": "text", "content": "hello"},
                                expect=201)).body["message"]
        await mine.close()
    finally:
        await rest.close()
    return alice, {"user": [alice.user_id, bob.user_id], "device": [alice.device_id], "chat": [group["chatId"]], "message": [sent["id"]]}


def long_token(who):
    """As the roles sign them, for as long as one may live."""
    now = int(time.time())
    return jwt.encode({"iss": "chasqui", "aud": "chasqui", "sub": who.user_id, "did": who.device_id, "iat": now, "exp": now + 6 * 3600},
                      TEST_SETTINGS["JWT_SECRET"], "HS256", headers={"kid": "0"})


def run(url, token, ids, options):
    here = Path(__file__).parent
    words = [Path(sys.executable).parent / "schemathesis", "--config-file", here / "schemathesis.toml", "run", ROOT / "docs/openapi.yaml",
             "--url", url, "-H", f"Authorization: Bearer {token}", "--seed", options.seed, "--max-examples", options.examples,
             "--phases", PHASES, "--checks", "all", "--mode", "all", "--request-timeout", 20, "--continue-on-failure",
             "--max-time", options.seconds, "--warnings", "off", "--no-color"]
    for name in LEFT_OUT:
        words += ["--exclude-operation-id", name]
    # what is made can be read at once, but a file that was only announced
    words += ["--exclude-checks", "ensure_resource_availability"]
    if options.junit:
        words += ["--report-junit-path", options.junit]
    words += options.more
    return subprocess.run([str(w) for w in words], check=False, cwd=OUT, env={
        **os.environ, "SCHEMATHESIS_HOOKS": "api_hooks", "PYTHONPATH": str(Path(__file__).parent), "CHASQUI_CASES_IDS": json.dumps(ids)}).returncode


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--seed", type=int, default=17)
    args.add_argument("--examples", type=int, default=20, help="at most, an operation")
    args.add_argument("--seconds", type=int, default=240)
    args.add_argument("--junit", type=Path)
    args.add_argument("--base-port", type=int, default=int(os.environ.get("CHASQUI_TEST_PORT", "25000")))
    args.add_argument("more", nargs="*")
    options = args.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    with Stack(base_port=options.base_port, settings={"MEDIA_DAILY_MB": "100000"}) as stack:
        stack.start()
        alice, ids = asyncio.run(people(stack.rest_url()))
        code = run(stack.rest_url(), long_token(alice), ids, options)
        died = [p.name for p in stack.roles() if not p.alive()]
    if died:
        print(f"ended meanwhile: {died}")
    return code or bool(died)


if __name__ == "__main__":
    sys.exit(main())
