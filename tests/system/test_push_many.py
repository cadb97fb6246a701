# SPDX-License-Identifier: MIT
"""Thousands of pushes at services that fail in every way they know: each one is accounted for by an outcome."""
import asyncio
import collections
import json
import random
import time
import uuid

import pytest
from conftest import BASE_PORT
from look import all_end_in_good_order, log_faults, records
from push import TOPIC, Doubles, apns_token, faults_of, google_schema
from push_load import Pushes
from stack import ROLES, Proc, Stack, wait_until

IN_FLIGHT = 400
NOBODY = dict.fromkeys(ROLES, 0)


@pytest.fixture(scope="module")
def doubles(tmp_path_factory):
    d = Doubles(tmp_path_factory.mktemp("push"), BASE_PORT + 803, BASE_PORT + 804)
    try:
        yield d.start()
    finally:
        d.stop()


@pytest.fixture(scope="module")
def pushing(doubles):
    settings = {**doubles.settings(), "PUSH_IN_FLIGHT": IN_FLIGHT}
    with Stack(base_port=BASE_PORT + 800, settings=settings, copies={**NOBODY, "mobile": 1}) as s:
        yield s.start()


def paused(stack, times: int, provider: str):
    """The role has said so often that the provider is paused."""
    def look():
        lines = [x for x in stack.role("mobile").log_lines() if x["event"] == "provider_paused" and x["provider"] == provider]
        return len(lines) >= times and lines
    return wait_until(look, 30, f"{provider} paused {times} times")


# token → how its push has to end, and how often it may be asked for
CLASSES = {
    "ok": ("FCM_TOKEN", lambda n: f"ok:{n:08d}", {"ACCEPTED"}, 1),
    "unregistered": ("FCM_TOKEN", lambda n: f"unregistered:{n:08d}", {"TOKEN_DEAD"}, 1),
    "sender": ("FCM_TOKEN", lambda n: f"sender:{n:08d}", {"TOKEN_DEAD", "DROPPED"}, 1),  # dropped until Google took something
    "bad token": ("FCM_FID", lambda n: f"bad-token:{n:08d}", {"TOKEN_DEAD"}, 1),
    "bad request": ("FCM_TOKEN", lambda n: f"bad-request:{n:08d}", {"DROPPED"}, 1),
    "quota": ("FCM_TOKEN", lambda n: f"quota:1:{n:08d}", {"ACCEPTED"}, 2),
    "unavailable": ("FCM_TOKEN", lambda n: f"unavailable:1:{n:08d}", {"ACCEPTED"}, 2),
    "retry-after": ("FCM_TOKEN", lambda n: f"after:1:{n:08d}", {"ACCEPTED"}, 2),
    "internal": ("FCM_TOKEN", lambda n: f"internal:2:{n:08d}", {"ACCEPTED"}, 3),
    "apns ok": ("APNS", lambda n: apns_token("aa", n), {"ACCEPTED"}, 1),
    "apns gone": ("APNS", lambda n: apns_token("de1", n), {"TOKEN_DEAD"}, 1),
    "apns bad": ("APNS", lambda n: apns_token("bad", n), {"TOKEN_DEAD", "DROPPED"}, 1),
    "apns other": ("APNS", lambda n: apns_token("f0", n), {"TOKEN_DEAD", "DROPPED"}, 1),
    "apns refused": ("APNS", lambda n: apns_token("400", n), {"DROPPED"}, 1),
    "apns device busy": ("APNS", lambda n: apns_token("4291", n), {"ACCEPTED"}, 2),
    "apns internal": ("APNS", lambda n: apns_token("5001", n), {"ACCEPTED"}, 2),
    "apns busy": ("APNS", lambda n: apns_token("5031", n), {"ACCEPTED"}, 2),
}
MANY, EACH = 10_000, 500


def test_every_one_of_ten_thousand_is_accounted_for(pushing, doubles):
    tokens, want = [], {}
    for name, (kind, make, ends, tries) in CLASSES.items():
        fill = {"ok": 1500, "apns ok": 1000}.get(name, EACH)
        for n in range(fill):
            token = make(n)
            tokens.append((kind, token))
            want[token] = (name, ends, tries)
    random.Random(7).shuffle(tokens)
    assert len(tokens) == MANY == len(want)
    p = Pushes(pushing, tokens).produce()
    ends = p.wait(240)
    wrong = {token: (want[token][0], got) for token, got in ends.items() if len(got) != 1 or got[0] not in want[token][1]}
    assert not wrong, f"{len(wrong)}: {list(wrong.items())[:5]}"
    # no request that the outcome does not count: one whose answer never came is one try more, and may not have reached the double
    tries, said = doubles.tries(), {token: all_of[-1]["attempt"] for token, all_of in p.outcomes().items()}
    off = {token: (want[token][0], tries[token], said[token]) for token in want if not want[token][2] <= tries[token] <= said[token]}
    assert not off, f"{len(off)}: {list(off.items())[:5]}"
    # what died before is told to processors/user, each with its registration
    dead = collections.Counter(got[0] for got in ends.values())["TOKEN_DEAD"]
    told = [pushing.decode(v)[1]["body"] for _, _, _, v, _ in pushing.read_topic("user.inbox")]
    assert sum(body[1]["action"][0] == "chasqui.PushUnregistered" for body in told) == dead
    # the place in mobile.push is kept at the end of it
    level(pushing)


def level(stack):
    """Both groups have committed everything."""
    from confluent_kafka import Consumer, TopicPartition

    def look():
        for group in ("mobile", "mobile-apns"):
            c = Consumer({"bootstrap.servers": stack.broker, "group.id": group, "enable.auto.commit": False})
            try:
                places = [TopicPartition("mobile.push", p) for p in range(int(stack.services.settings["PARTITIONS"]))]
                for tp in c.committed(places, timeout=20):
                    if c.get_watermark_offsets(tp, timeout=20)[1] != max(tp.offset, 0):
                        return False
            finally:
                c.close()
        return True

    wait_until(look, 30, "both groups at the end of mobile.push", every=0.5)


def test_a_kill_sends_no_more_than_what_was_under_way_twice(pushing, doubles):
    tokens = [("FCM_TOKEN", f"ok:kill-{n:06d}") for n in range(4000)] + [("APNS", apns_token("ab", n)) for n in range(1000)]
    mobile = pushing.role("mobile")
    before = len(doubles.requests())
    p = Pushes(pushing, tokens).produce()
    for killed in range(2):
        wait_until(lambda k=killed: len(doubles.requests()) > before + 700 * (k + 1), 60, "some hundreds to be under way")
        mobile.kill9()
        mobile.start().wait_ready(60)
        mobile.kill9()  # with its start noted, and little or nothing taken
        mobile.start().wait_ready(60)
    ends = p.wait(120)
    assert all(got == ["ACCEPTED"] for got in ends.values()), [x for x in ends.items() if x[1] != ["ACCEPTED"]][:5]
    tries = doubles.tries()
    asked = [tries[token] for _, token in tokens]
    assert min(asked) >= 1
    again = sum(asked) - len(tokens)
    assert again <= 4 * 2 * IN_FLIGHT, f"{again} were sent again after four kills of two services with {IN_FLIGHT} under way"
    level(pushing)


def test_partitions_that_move_lose_nothing(pushing, doubles):
    own = pushing.role("mobile")
    second = Proc("mobile-second", own.argv, own.log_path.with_name("mobile-second.log"), '"event":"ready"',
                  env={**pushing.services.role_env("mobile"), "INSTANCE": "mobile-1", "METRICS_LISTEN": ""})
    tokens = [("FCM_TOKEN", f"ok:move-{n:06d}") for n in range(3000)] + [("APNS", apns_token("a1", n)) for n in range(500)]
    before = len(doubles.requests())
    p = Pushes(pushing, tokens).produce()
    wait_until(lambda: len(doubles.requests()) > before + 500, 60, "some hundreds to be under way")
    try:
        second.start().wait_ready(60)
        more = [("FCM_TOKEN", f"ok:moved-{n:06d}") for n in range(1000)]
        q = Pushes(pushing, more).produce()
        wait_until(lambda: len(doubles.requests()) > before + 2500, 60, "more of them")
    finally:
        assert second.stop()
    ends = {**p.wait(120), **q.wait(120)}
    assert all(set(got) == {"ACCEPTED"} for got in ends.values())
    tries = doubles.tries()
    asked = [tries[token] for _, token in tokens + more]
    assert min(asked) >= 1 and sum(asked) - len(asked) <= 2 * 2 * IN_FLIGHT
    level(pushing)


@pytest.mark.parametrize("mode", ["stall", "reset", "down", "goaway"])
def test_google_fails(pushing, doubles, mode):
    """F23: stalls, resets, is down, says goodbye in the middle: all get there afterwards."""
    doubles.control(fcm=mode)
    try:
        p = Pushes(pushing, [("FCM_TOKEN", f"ok:{mode}-{n:05d}") for n in range(300)]).produce()
        # few: a connection that is reset may have shown only one of all that were under way on it, and from then on they go one by one
        wait_until(lambda: len([r for r in doubles.requests("fcm") if f"ok:{mode}-" in r["body"]]) >= 3, 60, "some to be tried")
    finally:
        doubles.control(fcm="ok")
    ends = p.wait(120)
    assert all(got == ["ACCEPTED"] for got in ends.values())


def lines(stack, event: str, since: int = 0) -> list[dict]:
    return [x for x in stack.role("mobile").log_lines()[since:] if x["event"] == event]


def test_one_connection_in_ten_requests_is_reset(pushing, doubles):
    """Each takes all its streams along, and they are sent again: fewer are under way then, and that is said."""
    unknown = pushing.metrics("mobile")["pushes_unknown_total"]
    doubles.control(fcm="reset-tenth")
    try:
        p = Pushes(pushing, [("FCM_TOKEN", f"ok:tenth-{n:05d}") for n in range(300)]).produce()
        ends = p.wait(150)
    finally:
        doubles.control(fcm="ok")
    assert all(got == ["ACCEPTED"] for got in ends.values())
    assert lines(pushing, "provider_narrowed") and pushing.metrics("mobile")["pushes_unknown_total"] > unknown
    answered = collections.Counter(doubles.token_of(r) for r in doubles.requests("fcm") if "ok:tenth-" in r["body"] and r["status"] == 200)
    twice = sum(answered.values()) - len(answered)
    assert len(answered) == 300 and twice < IN_FLIGHT, f"{twice} were taken more than once"


def test_a_retry_after_of_days_is_said_and_cut(pushing):
    mobile = pushing.role("mobile")
    since = len(mobile.log_lines())
    p = Pushes(pushing, [("FCM_TOKEN", "quota-for-days:1:00000")]).produce()  # one: another would ask for it again after the kill
    wait_until(lambda: lines(pushing, "provider_slowed", since), 30, "what Google asks for")
    (line,) = lines(pushing, "provider_slowed", since)
    assert line["level"] == "warn" and "asks for 999999 s, gets 600 s" in line["why"] and "QUOTA_EXCEEDED" in line["why"]
    wait_until(lambda: pushing.metrics("mobile")["providers_slowed"] == 1, 10, "the gauge")
    ends = Pushes(pushing, [("APNS", apns_token("a5", n)) for n in range(20)]).produce().wait(30)
    assert all(got == ["ACCEPTED"] for got in ends.values())  # Apple goes on
    mobile.kill9()  # rather than ten minutes
    mobile.start().wait_ready(60)
    assert all(got == ["ACCEPTED"] for got in p.wait(60).values()) and pushing.metrics("mobile")["providers_slowed"] == 0


def test_bogus_tokens_hold_up_nobody_after_a_restart(pushing):
    """What was taken before the restart has proven the configuration: only the tokens can be wrong."""
    ends = Pushes(pushing, [("APNS", apns_token("a6", n)) for n in range(50)]).produce().wait(60)
    assert all(got == ["ACCEPTED"] for got in ends.values())
    mobile = pushing.role("mobile")
    wait_until(lambda: proven(pushing), 30, "the proof to be committed")
    mobile.kill9()
    mobile.start().wait_ready(60)
    since = len(mobile.log_lines())
    p = Pushes(pushing, [("APNS", apns_token("bad", n)) for n in range(60)] + [("APNS", apns_token("a7", n)) for n in range(60)]).produce()
    for token, got in p.wait(60).items():
        assert got == (["TOKEN_DEAD"] if token.startswith("bad") else ["ACCEPTED"]), (token, got)
    assert not lines(pushing, "provider_paused", since)


def proven(stack) -> bool:
    """The commit of one partition says so."""
    from confluent_kafka import Consumer, TopicPartition

    c = Consumer({"bootstrap.servers": stack.broker, "group.id": "mobile-apns", "enable.auto.commit": False})
    try:
        places = [TopicPartition("mobile.push", p) for p in range(int(stack.services.settings["PARTITIONS"]))]
        return any("p" in (place.metadata or "") for place in c.committed(places, timeout=20))
    finally:
        c.close()


def test_both_services_gone_and_back(pushing, doubles):
    mobile = pushing.role("mobile")
    doubles.proc.kill9()
    p = Pushes(pushing, [("FCM_TOKEN", f"ok:gone-{n:05d}") for n in range(200)]
               + [("APNS", apns_token("ad", n)) for n in range(200)]).produce()
    for provider in ("fcm", "apns"):
        paused(pushing, 1, provider)
    # it waits without turning in circles
    began, used = time.monotonic(), cpu(mobile.pid)
    time.sleep(2)
    assert (cpu(mobile.pid) - used) / (time.monotonic() - began) < 0.5
    doubles.start()
    ends = p.wait(120)
    assert all(got == ["ACCEPTED"] for got in ends.values())


def cpu(pid: int) -> float:
    """Seconds of processor time."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_the_view_away(pushing, doubles):
    """Nobody waits for it longer than five seconds; what it would have said is left out."""
    pushing.postgres.kill9()
    try:
        p = Pushes(pushing, [("FCM_TOKEN", f"ok:blind-{n:05d}") for n in range(50)]).produce(register=False)
        ends = p.wait(60)
        assert all(got == ["ACCEPTED"] for got in ends.values())
        r = [json.loads(r["body"])["message"] for r in doubles.requests("fcm") if "ok:blind-" in r["body"]]
        assert len(r) == 50 and all("badge" not in m["data"] and m["notification"]["title"] == "New message" for m in r)
        assert [x for x in pushing.role("mobile").log_lines() if x["event"] == "database_away"]
        # what is muted came with the push, and needs nobody to say so
        ends = Pushes(pushing, [("FCM_TOKEN", f"ok:hush-{n:05d}") for n in range(20)], muted_ms=3600_000).produce(register=False).wait(60)
        assert all(got == ["MUTED"] for got in ends.values()) and not [r for r in doubles.requests("fcm") if "ok:hush-" in r["body"]]
    finally:
        pushing.postgres.start().wait_ready(60)
    ends = Pushes(pushing, [("FCM_TOKEN", f"ok:seeing-{n:05d}") for n in range(50)]).produce().wait(60)
    assert all(got == ["ACCEPTED"] for got in ends.values())


def test_poison_goes_to_the_dead_letters_once(pushing):
    producer = pushing.producer()
    producer.produce("mobile.push", b"\0\0\0\0\1no avro", partition=3)
    producer.produce("mobile.push", b"", partition=3)
    assert producer.flush(20) == 0
    ends = Pushes(pushing, [("FCM_TOKEN", f"ok:after-poison-{n:05d}") for n in range(50)]).produce().wait(60)
    assert all(got == ["ACCEPTED"] for got in ends.values())
    letters = wait_until(lambda: pushing.read_topic("mobile.push.dlq"), 20, "the dead letters")
    assert len(letters) == 2 and {dict(h)["worker"] for *_, h in letters} == {b"mobile"}
    level(pushing)


# ---- second opinions


def test_requests_are_what_googles_own_schema_says(pushing, doubles):
    ends = Pushes(pushing, [("FCM_TOKEN", f"ok:data-{n:05d}") for n in range(20)], mode="DATA").produce().wait(60)
    assert all(got == ["ACCEPTED"] for got in ends.values())
    schemas = google_schema()
    request = schemas["SendMessageRequest"]
    for wrong in ({"to": "x"}, {"message": {"data": {"a": 1}}}, {"message": {"android": {"priority": "urgent"}}},
                  {"message": {"apns": {"headers": {"apns-priority": 10}}}}, {"validateOnly": "true"}):
        assert faults_of(wrong, request, schemas), f"the check does not see {wrong}"
    bodies = [r["body"] for r in doubles.requests("fcm") if r["path"].endswith(":send")]
    assert len(bodies) > 100
    for body in bodies:
        assert faults_of(json.loads(body), request, schemas) == [] and len(body.encode()) <= 4096, body
    sent = [r for r in doubles.requests("apns")]
    assert all(r["headers"]["apns-push-type"] == "alert" and "aps" in json.loads(r["body"]) and len(r["body"].encode()) <= 4096 for r in sent)


def test_the_assertion_by_a_stock_reader(pushing, doubles):
    import urllib.parse

    import jwt

    (form,) = [urllib.parse.parse_qs(r["body"]) for r in doubles.requests("oauth")][-1:]
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    (assertion,) = form["assertion"]
    assert jwt.get_unverified_header(assertion) == {"alg": "RS256", "typ": "JWT", "kid": "googlekey1"}
    claims = jwt.decode(assertion, (doubles.folder / "google.pub").read_text(), algorithms=["RS256"],
                        audience="https://oauth2.googleapis.com/token", issuer="push@demo.iam.gserviceaccount.com",
                        options={"require": ["exp", "iat", "iss", "aud"]})
    assert claims["scope"] == "https://www.googleapis.com/auth/firebase.messaging" and claims["exp"] - claims["iat"] <= 3600


# token → what Google's client makes of the answer, how the push ends with us
READINGS = {
    "ok:agreed-1": (None, {"ACCEPTED"}),
    "unregistered:agreed": ("UnregisteredError", {"TOKEN_DEAD"}),
    "sender:agreed": ("SenderIdMismatchError", {"TOKEN_DEAD"}),  # ours, once Google took something: an operator's error otherwise
    "bad-request:agreed": ("InvalidArgumentError", {"DROPPED"}),
    "quota:ever:agreed": ("QuotaExceededError", {"ACCEPTED"}),  # once it is given: that client gives up after some tries
}


def test_googles_own_client_reads_answers_as_we_do(pushing, doubles, monkeypatch):
    import firebase_admin
    from firebase_admin import credentials, exceptions, messaging

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(doubles.folder / "cert.pem"))
    monkeypatch.setattr(messaging._MessagingService, "FCM_URL", f"{doubles.fcm_url}/v1/projects/{{0}}/messages:send")
    app = firebase_admin.initialize_app(credentials.Certificate(doubles.account()), name="second")
    try:
        for token, (want, _) in READINGS.items():
            try:
                messaging.send(messaging.Message(token=token, data={"a": "b"}), app=app)
                got = None
            except exceptions.FirebaseError as e:
                got = type(e).__name__
            assert got == want, token
        with pytest.raises(messaging.ThirdPartyAuthError):
            messaging.send(messaging.Message(token="third-party:agreed"), app=app)
    finally:
        firebase_admin.delete_app(app)
    ours = [("FCM_TOKEN", token.replace("quota:ever", "quota:1")) for token in READINGS]
    Pushes(pushing, [("FCM_TOKEN", "ok:agreed-0")]).produce().wait(60)  # so that Google has taken something
    ends = Pushes(pushing, ours).produce().wait(60)
    for (_, token), (_, want) in zip(ours, READINGS.values()):
        assert len(ends[token]) == 1 and ends[token][0] in want, (token, ends[token])
    # one app whose platform Google cannot reach: its push is dropped and said, and all others go on
    (ended,) = Pushes(pushing, [("FCM_TOKEN", "third-party:ours")]).produce().wait(60).values()
    assert ended == ["DROPPED"]
    said = [x for x in pushing.role("mobile").log_lines() if x["event"] == "platform_unreached"]
    assert said and said[-1]["provider"] == "fcm" and "THIRD_PARTY_AUTH_ERROR" in said[-1]["why"]
    (ended,) = Pushes(pushing, [("FCM_TOKEN", "ok:agreed-2")]).produce().wait(60).values()
    assert ended == ["ACCEPTED"]


# ---- configurations


class Otherwise:
    """The role with some settings changed, in place of the stack's own, which is back afterwards."""

    def __init__(self, stack, **settings):
        self.stack, self.own = stack, stack.role("mobile")
        env = {**stack.services.role_env("mobile"), **settings}
        self.proc = Proc("mobile-otherwise", self.own.argv, self.own.log_path.with_name(f"mobile-otherwise-{time.time_ns()}.log"),
                         '"event":"ready"', env=env)

    def __enter__(self):
        self.own.term()
        self.own.wait(20)
        return self.proc.start().wait_ready(60)

    def __exit__(self, *error):
        assert self.proc.stop()
        self.own.start().wait_ready(60)


def test_a_legacy_key_gets_one_clear_line(pushing):
    key = "AAAAbcdefgh:APA91bHun4MxP5egoKMwt2KZFBaFUH-1RYqx"
    with Otherwise(pushing, FCM_SERVER_KEY=key) as mobile:
        ends = Pushes(pushing, [("FCM_TOKEN", "ok:legacy-1"), ("APNS", apns_token("ae", 1))]).produce().wait(60)
        assert [sorted(set(x)) for x in sorted(ends.values())] == [["ACCEPTED"], ["NO_PROVIDER"]]
        (line,) = [x for x in mobile.log_lines() if x["level"] == "error"]
        assert line["why"] == "legacy FCM key: API shut down 2024-07-22; supply a service account"
        assert key not in mobile.log_path.read_text()


@pytest.mark.parametrize("key, why", [("/nowhere/account.json", "cannot be read"), ('{"type":"authorized_user"}', "no service account"),
                                      ("{", "no JSON")])
def test_a_wrong_key_keeps_the_place_and_the_other_goes_on(pushing, key, why):
    waiting = Pushes(pushing, [("FCM_TOKEN", f"ok:wrong-{why}-{n}".replace(" ", "-")) for n in range(20)])
    with Otherwise(pushing, FCM_SERVER_KEY=key) as mobile:
        waiting.produce()
        ends = Pushes(pushing, [("APNS", apns_token("ae", n)) for n in range(20)]).produce().wait(60)
        assert all(got == ["ACCEPTED"] for got in ends.values())
        (line,) = [x for x in mobile.log_lines() if x["level"] == "error"]
        assert (line["event"], line["provider"]) == ("provider_paused", "fcm") and why in line["why"]
        assert not waiting.ends()
    assert all(got == ["ACCEPTED"] for got in waiting.wait(60).values())


def test_a_few_users_prove_nothing_where_nothing_was_taken_yet(pushing):
    """Tokens of a few users, however many, do not pause a provider that has taken nothing; those of twenty users do, until it takes one."""
    with Otherwise(pushing, APNS_TOPIC=f"{TOPIC},org.example.other") as mobile:  # another configuration: it has still to be proven
        few = [str(uuid.uuid4()) for _ in range(4)]
        p = Pushes(pushing, [("APNS", apns_token("bad", n)) for n in range(64)])
        p.rows = [(few[n % 4], *row[1:]) for n, row in enumerate(p.rows)]
        assert all(got == ["DROPPED"] for got in p.produce().wait(60).values())
        assert not [x for x in mobile.log_lines() if x["event"] == "provider_paused"]
        q = Pushes(pushing, [("APNS", apns_token("bad", n)) for n in range(30)]).produce()
        wait_until(lambda: [x for x in mobile.log_lines() if x["event"] == "provider_paused" and "BadDeviceToken" in x["why"]], 30, "a pause")
    # with the configuration of before they are what they are
    assert all(set(got) <= {"DROPPED", "TOKEN_DEAD"} for got in q.wait(60).values())


def test_apple_needs_its_three_names(pushing):
    with Otherwise(pushing, APNS_TEAM_ID="") as mobile:
        assert "APNS_TEAM_ID" in [x for x in mobile.log_lines() if x["level"] == "error"][0]["why"]
        ends = Pushes(pushing, [("FCM_TOKEN", "ok:without-apple-1")]).produce().wait(60)
        assert list(ends.values()) == [["ACCEPTED"]]


def test_a_device_that_is_throttled_for_long_holds_up_nobody(pushing, doubles):
    slow = [("APNS", apns_token("429f", n)) for n in range(30)]
    fast = [("APNS", apns_token("ac", n)) for n in range(2000)]
    stuck = Pushes(pushing, slow).produce()
    ends = Pushes(pushing, fast).produce().wait(120)
    assert set(map(tuple, ends.values())) == {("ACCEPTED",)}
    # they went back to the topic, with the time of their next try, and the place moves on
    parked = wait_until(lambda: [o for all_of in stuck.outcomes().values() for o in all_of if o["outcome"] == "RETRIED"], 90,
                        "some of them parked", every=1)
    assert all("TooManyRequests" in o["detail"] and o["status"] == 429 and o["attempt"] >= 4 for o in parked)
    later = [r for _, _, r in asyncio.run(records(pushing, "mobile.push")) if r["notBeforeMs"]]
    assert later and all(r["attempt"] >= 4 and len(r["devices"]) == len(r["targets"]) == 1 for r in later)


def test_the_role_ends_in_good_order(pushing):
    asyncio.run(all_end_in_good_order(pushing))
    assert log_faults(pushing) == []
