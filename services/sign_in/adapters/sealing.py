"""Seals on rows: who can write into the database but has not the key file cannot make an account, a role or a session.

A seal is HMAC-SHA-256 over the row's whole content. It does not show that a row was put back to what it was before;
roles are therefore also told to the audit log, which `valvomo doctor` compares.
"""

import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


class Sealer:
    """Makes and checks seals and keyed hashes, each purpose with a key of its own."""

    def __init__(self, key: bytes) -> None:
        self._rows = hmac.digest(key, b"valvomo sign-in rows", "sha256")
        self._names = hmac.digest(key, b"valvomo sign-in attempts", "sha256")
        self._before = hmac.digest(key, b"valvomo sign-in forms", "sha256")
        self.cookies = hmac.digest(key, b"valvomo sign-in directory", "sha256")
        """For cookies that only this program may read."""

    def seal(self, table: str, row: Mapping[str, Any]) -> bytes:
        """The seal of a row; a member `seal` of it does not count."""
        content = {name: _plain(value) for name, value in row.items() if name != "seal"}
        return hmac.digest(self._rows, json.dumps([table, content], sort_keys=True).encode(), "sha256")

    def is_sealed(self, table: str, row: Mapping[str, Any]) -> bool:
        """Whether a row is as this program wrote it."""
        return hmac.compare_digest(self.seal(table, row), bytes(row["seal"]))

    def hashed(self, kind: str, name: str) -> bytes:
        """A login or an address as it stands beside its failed attempts."""
        return hmac.digest(self._names, json.dumps([kind, name]).encode(), "sha256")

    def form_token(self, cookie: str) -> str:
        """The token of a form that is shown before anybody has signed in, for the browser with this cookie."""
        return hmac.digest(self._before, cookie.encode(), "sha256").hex()


def key_digest(key: bytes) -> bytes:
    """What the database keeps of its key, to know it again."""
    return hmac.digest(key, b"valvomo key check", "sha256")


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return value.hex() if isinstance(value, bytes | bytearray | memoryview) else value
