# SPDX-License-Identifier: MIT
"""A client of docs/protocol.md. sign_in() gives a Session; Client(session) keeps one socket and gives events in order."""
from .client import Client
from .outbox import Full, Refused
from .session import ApiError, Session, SignedOut, Tokens, sign_in

__all__ = ["ApiError", "Client", "Full", "Refused", "Session", "SignedOut", "Tokens", "sign_in"]
