# SPDX-License-Identifier: MIT
"""A client of docs/protocol.md. sign_in() or link() gives a Session; Client(session) keeps one socket and gives events in order, a Book
merges them."""
from .account import approve, change_number, delete_account, link
from .book import Book
from .client import Client, Event
from .outbox import Full, Refused
from .session import ApiError, Session, SignedOut, Tokens, sign_in

__all__ = ["ApiError", "Book", "Client", "Event", "Full", "Refused", "Session", "SignedOut", "Tokens", "approve", "change_number", "delete_account", "link", "sign_in"]
