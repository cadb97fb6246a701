#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each test of a threat is given one answer that must not be, and has to fail.

The seam is the test's own socket: what any client of this process receives passes `Spoiler`, which puts the bad answer in place of the good one. The product is as
it is. A few tests look at files or metrics instead; for those a row names what they look with. Rows are by test; a threat whose tests are units is shown by a planted bug
(tests/threats/planted), or by a test beside it.

    tests/threats/spoiled.py [--junit FILE] [TEST…]
"""

import argparse
import os
import re
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Row:
    test: str  # under tests/system, without its parameters
    old: bytes  # a pattern
    new: bytes  # of the same length, or ZEROS
    after: bytes = b""  # not before this was sent or received
    times: int = 0  # 0: whenever it comes


def status(old: int, new: int) -> tuple[bytes, bytes]:
    return b"HTTP/1.1 %d" % old, b"HTTP/1.1 %d" % new


ZEROS = b""  # in place of each digit
CLOSED_4401, CLOSED_1000 = rb"\x11\x31", b"\x03\xe8"

ROWS = [
    Row("test_auth.py::test_t5_logout_closes_the_devices_sockets", CLOSED_4401, CLOSED_1000),
    Row("test_ws_wire.py::test_t5_logout_closes_sockets_on_every_gateway", CLOSED_4401, CLOSED_1000),
    Row("test_devices.py::test_t5_all_others_are_logged_out_at_once", *status(401, 200)),
    Row("test_auth.py::test_t6_t10_what_is_no_token", *status(401, 200)),
    Row("test_rights.py::test_t12_t13_t15_t17_rights_of_every_route", *status(404, 200)),
    Row("test_rights.py::test_t12_t14_t16_rights_of_every_frame", rb'"code":"not_found"', b'"code":"forbidden"'),
    Row("test_media.py::test_t13_links_are_bound", *status(401, 200)),
    Row("test_rights.py::test_t15_a_group_is_never_without_an_owner", rb'"role":"owner"', b'"role":"admin"'),
    Row("test_rights.py::test_t16_what_one_says_of_his_own_messages_ticks_nothing", rb'"seenAt":null', b'"seenAt":1234'),
    Row("test_pages.py::test_t17_who_left_sees_the_group_as_it_was_then", rb'"name":"Football"', b'"name":"Surprise"', after=b"Surprise party"),
    Row("test_accounts.py::test_t18_nobody_says_how_anothers_device_is_woken", *status(403, 200)),
    Row("test_input.py::test_t21_rest_refuses_what_is_no_json", *status(400, 200)),
    Row("test_input.py::test_t21_a_socket_refuses_what_is_no_json", rb'"code":"bad_request"', b'"code":"unavailable"'),
    Row("test_input.py::test_t22_unknown_members_are_ignored_on_every_route", *status(200, 400), after=b"__proto__"),
    Row("test_input.py::test_t22_unknown_members_are_ignored_in_every_frame", rb'"t":"ack"', b'"t":"err"', after=b'"t":"pong"'),
    Row("test_input.py::test_t24_names_are_refused_or_kept_on_every_route", *status(400, 201)),
    Row("test_input.py::test_t24_content_is_kept_and_counted_in_bytes", *status(413, 201)),
    Row("test_media.py::test_t26_what_is_refused", rb"attachment;", b"inline;    "),
    Row("test_framing.py::test_t28_there_is_no_way_to_http_2", *status(400, 101)),
    Row("test_rest_door.py::test_t29_who_is_slow_is_cut_off", *status(408, 200)),
    Row("test_rest_door.py::test_t30_a_body_over_its_limit_is_refused_unread", *status(413, 200)),
    Row("test_accounts.py::test_t32_buckets_survive_reconnecting", *status(429, 200)),
    Row("test_accounts.py::test_t33_the_17th_device_ends_the_oldest_wholly", *status(401, 200)),
    Row("test_accounts.py::test_t33_log_ins_at_once_end_one_device_each", *status(401, 200)),
    Row("test_accounts.py::test_t34_known_and_unknown_numbers_are_answered_alike", rb'"code":"bad_code"', b'"code":"no_such_"', times=1),
    Row("test_accounts.py::test_t34_a_list_of_contacts_can_be_looked_up_and_a_country_cannot", *status(429, 200)),
    Row("test_accounts.py::test_t34_lookups_from_one_address_and_in_all", *status(429, 200)),
    Row("test_accounts.py::test_t35_codes", *status(429, 200)),
    Row("test_accounts.py::test_t35_codes_asked_for_at_once", *status(429, 200), times=1),
    Row("test_accounts.py::test_t35_guesses_from_one_address", *status(429, 401)),
    Row("test_accounts.py::test_t36_another_code_gives_no_more_guesses", *status(429, 401)),
    Row("test_accounts.py::test_t37_nobody_is_locked_out_of_his_number", *status(200, 429), after=b"rate_limited"),
    Row("test_accounts.py::test_t37_an_address_used_up_by_others", *status(200, 429), after=b"rate_limited"),
    Row("test_devices.py::test_t48_a_link_gives_one_device_once", *status(401, 202)),
    Row("test_devices.py::test_t48_links_end", *status(401, 202)),
    Row("test_devices.py::test_t48_guesses_are_told_to_wait_and_lock_nobody_out", *status(429, 404)),
    Row("test_devices.py::test_t49_an_approval_is_one_sessions_own", *status(404, 200)),
    Row("test_devices.py::test_t49_an_approval_ends_with_its_session", *status(401, 200)),
    Row("test_devices.py::test_t50_links_are_bounded", *status(429, 200)),
    Row("test_bystanders.py::test_t39_a_flood_of_receipts_is_counted_to_its_user", rb"rate_refused_total\S* \d+", ZEROS),
]
# Tests that look elsewhere than into a socket: what they look with, and what it finds then.
LOOKS = {
    "test_bystanders.py::test_t38_a_fan_out_bomb_costs_others_nothing_and_the_log_little": ("test_bystanders", "log_bytes"),
    "test_zz_logs.py::test_t43_logs_carry_no_content_tokens_or_numbers": ("test_zz_logs", "log_faults"),
}


class Spoiler:
    """What the sockets of this process receive and send, while a row is on."""

    def __init__(self, row: Row):
        self.row, self.left = row, row.times or -1
        self.on = not row.after
        self.done = 0

    def see(self, data: bytes) -> None:
        self.on = self.on or self.row.after in data

    def spoil(self, data: bytes) -> bytes:
        if self.on and self.left:
            def bad(match):
                if not self.left:
                    return match[0]
                self.left -= 1
                self.done += 1
                return self.row.new if self.row.new != ZEROS else re.sub(rb"\d", b"0", match[0])

            spoiled = re.sub(self.row.old, bad, data)
            assert len(spoiled) == len(data), self.row
            return spoiled
        self.see(data)
        return data


def install(spoiler: Spoiler) -> list:
    """Every socket of Python's passes `spoiler`. What was there before."""
    plain = {name: getattr(socket.socket, name) for name in ("recv", "recv_into", "send", "sendall")}

    def recv(self, *args):
        return spoiler.spoil(plain["recv"](self, *args))

    def recv_into(self, buffer, *args):
        n = plain["recv_into"](self, buffer, *args)
        view = memoryview(buffer).cast("B")
        view[:n] = spoiler.spoil(bytes(view[:n]))
        return n

    def send(self, data, *args):
        spoiler.see(bytes(data))
        return plain["send"](self, data, *args)

    def sendall(self, data, *args):
        spoiler.see(bytes(data))
        return plain["sendall"](self, data, *args)

    for function in (recv, recv_into, send, sendall):
        setattr(socket.socket, function.__name__, function)
    return list(plain.items())


class Plugin:
    """pytest's part: a row while its test runs, and the outcome turned round."""

    def __init__(self):
        self.rows = {r.test: r for r in ROWS}
        self.spoiler = None
        self.looked = 0

    def spoil_look(self, module: str, name: str):
        """The function of that module finds more each time it is asked."""
        place, plain = sys.modules[module], getattr(sys.modules[module], name)

        def look(*args, **words):
            found = plain(*args, **words)
            self.looked += 1
            return found + [f"spoiled {self.looked}"] if isinstance(found, list) else found + self.looked * 10**9

        setattr(place, name, look)
        return place, name, plain

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        key = item.nodeid.split("[")[0].rsplit("/", 1)[-1]
        row, undo = self.rows.get(key), None
        self.spoiler, self.looked = None, 0
        if row:
            self.spoiler = Spoiler(row)
            plain = install(self.spoiler)
        else:
            undo = self.spoil_look(*LOOKS[key])
        try:
            return (yield)
        finally:
            if undo:
                setattr(*undo)
            else:
                for name, function in plain:
                    setattr(socket.socket, name, function)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item, call):
        report = yield
        if call.when != "call":
            return report
        spoiled = self.looked or (self.spoiler and self.spoiler.done)
        bites = report.failed and type(call.excinfo.value).__name__ in ("AssertionError", "ApiError")
        if spoiled and bites:
            report.outcome, report.longrepr, report.sections = "passed", None, []
        elif not report.failed:
            report.outcome = "failed"
            report.longrepr = f"{item.name} was given an answer that must not be, and passed" if spoiled else f"{item.name}: nothing came that the row could spoil"
        return report


def main() -> int:
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--junit")
    args.add_argument("tests", nargs="*", help="names of tests; without, all")
    options = args.parse_args()
    os.chdir(ROOT)
    wanted = [t for t in [r.test for r in ROWS] + list(LOOKS) if not options.tests or t.split("::")[1] in options.tests]
    words = ["-v", "-p", "no:cacheprovider", *(f"tests/system/{t}" for t in wanted)]
    return pytest.main([*words, *([f"--junitxml={options.junit}"] if options.junit else [])], plugins=[Plugin()])


if __name__ == "__main__":
    sys.exit(main())
