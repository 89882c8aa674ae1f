"""A `Fetch` that answers from memory, for tests of sources."""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from services.usage_collector.source import Answer, Identity, Query

Json = Any
"""What a JSON document, or a part of one, holds."""


@dataclass
class FakeFetch:
    """`answer` gets path and query, and gives a document, or bytes as they are."""

    answer: Callable[[str, dict[str, str]], Any]
    asked: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)

    def get(self, path: str, query: Query = (), headers: Mapping[str, str] | None = None) -> Answer:
        self.asked.append((path, list(query)))
        self.headers.append(headers or {})
        found = self.answer(path, dict(query))
        return Answer(found if isinstance(found, bytes) else json.dumps(found).encode())

    def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        raise AssertionError("no source posts")

    def close(self) -> None:
        """Nothing to let go of."""


def nobody(identities: Collection[Identity]) -> dict[Identity, str]:
    """For sources that must not ask who somebody is."""
    assert not identities
    return {}


def numbered(identities: Collection[Identity]) -> dict[Identity, str]:
    return {identity: f"p-{number:04d}" for number, identity in enumerate(sorted(identities), 1)}
