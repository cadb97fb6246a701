# SPDX-License-Identifier: MIT
"""Last of all, over what the roles wrote during every test before."""
from client import Secrets
from look import log_faults


def test_logs_carry_no_content_tokens_or_numbers(stack):
    assert log_faults(stack) == []


def test_there_was_something_to_look_for(stack, request):
    if len(request.session.items) > 10:
        assert len(Secrets.contents) > 100 and len(Secrets.tokens) > 20 and len(Secrets.phones) > 10
