# SPDX-License-Identifier: MIT
"""Last of all: how the roles end, and what they wrote during every test before."""
import asyncio

from client import Secrets
from look import all_end_in_good_order, log_faults


def test_every_role_ends_in_good_order(stack):
    asyncio.run(all_end_in_good_order(stack))


def test_t43_logs_carry_no_content_tokens_or_numbers(stack):
    assert log_faults(stack) == []


def test_there_was_something_to_look_for(stack, request):
    if len(request.session.items) > 10:
        assert len(Secrets.contents) > 10 and len(Secrets.tokens) > 10 and len(Secrets.phones) > 5
