"""A question to a simulated vendor and its answer: plain values, so that a vendor is a function. No HTTP here."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, TypeVar

JSON = "application/json"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ask:
    """A request: names of headers in lower case, `base` the server's own address, `now` the vendor's moment (UTC)."""

    method: str
    path: str
    query: Sequence[tuple[str, str]]
    headers: Mapping[str, str]
    body: bytes
    base: str
    now: datetime

    def first(self, name: str, otherwise: str = "") -> str:
        """The first value of a query parameter."""
        return next((value for key, value in self.query if key == name), otherwise)

    def every(self, name: str) -> Sequence[str]:
        """All values of a query parameter that may stand several times."""
        return tuple(value for key, value in self.query if key == name)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. The content type stands among the headers."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": JSON})


Vendor = Callable[[Ask], Reply | None]
"""Answers the questions on a vendor's paths; None: the path is not one of its own."""


class RefusedError(Exception):
    """The vendor refuses the question: status and document of the answer."""

    def __init__(self, status: int, document: Mapping[str, Any]) -> None:
        super().__init__(f"refused with {status}")
        self.reply = as_json(document, status)


def as_json(document: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(status, json.dumps(document).encode(), {"content-type": JSON, **(headers or {})})


def page_of(
    rows: Sequence[T], size: int, cursor: str, asked: object, refuse: Callable[[], RefusedError]
) -> tuple[Sequence[T], str | None]:
    """One page of `rows` and the cursor of the next; cursors are opaque and good for the question `asked` only.

    Raises:
        RefusedError: the cursor belongs to another question.
    """
    start = _place(cursor, asked, refuse) if cursor else 0
    end = start + size
    return rows[start:end], _cursor(end, asked) if end < len(rows) else None


def _cursor(place: int, asked: object) -> str:
    return base64.urlsafe_b64encode(f"{place}:{_digest(asked)}".encode()).decode()


def _place(cursor: str, asked: object, refuse: Callable[[], RefusedError]) -> int:
    try:
        place, digest = base64.urlsafe_b64decode(cursor.encode()).decode().split(":")
        if digest == _digest(asked):
            return int(place)
    except ValueError:
        pass
    raise refuse()


def _digest(asked: object) -> str:
    return sha256(repr(asked).encode()).hexdigest()[:16]
