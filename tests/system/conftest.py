# SPDX-License-Identifier: MIT
"""One Stack for all tests that kill nothing, or mend what they broke."""

import itertools
import os
import sys
from pathlib import Path

import pytest

LIB = Path(__file__).resolve().parents[1] / "lib"
sys.path.insert(0, str(LIB))
os.environ.setdefault("LSAN_OPTIONS", f"suppressions={LIB / 'lsan.supp'}:print_suppressions=0")
from stack import Stack  # noqa: E402

BASE_PORT = int(os.environ.get("CHASQUI_TEST_PORT", "25000"))  # two runs at once need two


# What `tests/run --quick` leaves to the whole run: what takes long, or a Stack of its own, and is not the only one of its
# kind. `file`, or `file::test` with all its parameters.
THOROUGH = """
test_accounts::test_a_provider_that_hangs_holds_up_nobody
test_accounts::test_the_ceiling_of_all_codes
test_accounts::test_t32_buckets_survive_reconnecting
test_bystanders
test_connect::test_fifty_connections_under_load
test_costs
test_expired
test_kafka_security::test_a_broker_behind_tls_comes_back
test_log::test_rebuild_gives_the_same_rows_and_no_ticks
test_media_pool::test_a_stranger_does_not_wait_for_anothers_large_pictures
test_media_pool::test_what_was_waiting_is_looked_into_after_a_kill
test_media_s3::test_what_links_bring_after_the_end
test_media_s3::test_parts_and_pieces
test_media_s3::test_wrong_secret_and_no_room
test_media_s3::test_no_room_in_the_bucket
test_metrics::test_sessions_of_a_silent_gateway
test_outage::test_readiness_notices_a_silent_broker
test_outage::test_a_gateway_that_waits_for_the_broker_rests
test_outage::test_after_a_nack_the_socket_takes_nothing_else_first
test_pages::test_everybody_comes_to_the_end_of_many_chats
test_poison::test_a_record_that_is_too_large_for_its_dead_letter_is_cut
test_push::test_nobody_confirmed
test_push::test_a_killed_gateway
test_push::test_a_provider_in_trouble_waits_and_the_other_goes_on
test_push_many
test_rest_door::test_t29_who_is_slow_is_cut_off
test_rest_door::test_a_body_counts_until_its_request_is_over
test_rest_door::test_descriptors_are_kept_for_everything_else
test_routing::test_a_socket_that_died
test_routing::test_a_gateway_that_was_killed
test_view::test_receipts_wait_for_a_view_that_was_moved_back
test_view::test_kills_and_a_database_that_goes_away
""".split()


def pytest_configure(config):
    config.addinivalue_line("markers", "thorough: not in tests/run --quick")


def pytest_collection_modifyitems(items):
    names = {}
    for item in items:
        file = item.path.stem
        for name in (file, f"{file}::{item.originalname}"):
            names.setdefault(name, []).append(item)
    whole = {"test_accounts", "test_zz_logs"} <= names.keys()  # not one file, or one test of it
    stale = [name for name in THOROUGH if name not in names and name.partition("::")[0] in names
             or not (Path(__file__).parent / f"{name.partition('::')[0]}.py").exists()]
    if whole and stale:
        raise pytest.UsageError(f"tests/system/conftest.py, THOROUGH: there is no {', '.join(stale)}")
    for name in THOROUGH:
        for item in names.get(name, ()):
            item.add_marker(pytest.mark.thorough)


def claimed(items, folder):
    """The items of the files that this pytest may run: a file is of who made its name in `folder` first. Files that look back on a
    whole run (test_zz_...) are everybody's.
    """
    for path, group in itertools.groupby(items, key=lambda item: item.path):
        try:
            if not path.stem.startswith("test_zz_"):
                (folder / path.stem).touch(exist_ok=False)
        except FileExistsError:
            continue
        yield from group


def pytest_runtestloop(session):
    """As pytest's own, but of several pytests side by side (CHASQUI_CLAIMS, a folder of theirs) each file is run by one."""
    folder = os.environ.get("CHASQUI_CLAIMS")
    if not folder or session.config.option.collectonly:
        return None
    if session.testsfailed:
        raise session.Interrupted(f"{session.testsfailed} errors while collecting")
    mine = claimed(session.items, Path(folder))
    item = next(mine, None)
    while item:
        following = next(mine, None)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
        item = following
    return True


@pytest.fixture(scope="session")
def stack():
    keep = os.environ.get("CHASQUI_KEEP")  # a folder for its state, which then stays
    with Stack(base_port=BASE_PORT, copies={"edge-ws": 2, "media": int(os.environ.get("MEDIA_COPIES", "1"))}, state=keep) as s:
        yield s.start()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Under a failed test: what the roles complained about, and where their logs are."""
    report = yield
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, Stack):
                report.sections.append((f"stack {value.base_port}", complaints(value)))
    return report


def complaints(stack, most=20):
    found = []
    for proc in stack.services.procs:
        found += [f"{proc.name}: {line}" for line in proc.log_lines() if line.get("level") in ("warn", "error")]
    return "\n".join([*found[-most:], f"logs: {stack.services.log_dir} (CHASQUI_KEEP=folder keeps them)"])
