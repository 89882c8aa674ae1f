"""Which real servers this run of the tests had, and what becomes of a test whose server is missing."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NoReturn

import pytest

REQUIRED_BY_NAME = ("kafka", "postgres", "prometheus", "alertmanager", "chromium")
"""What REQUIRE_ADAPTERS may name. Others (an older PostgreSQL) are welcome where they are found."""


class ServerUnavailableError(Exception):
    """This machine cannot run the server; the message says what is missing and what to install."""


@dataclass
class Row:
    tests: int = 0
    version: str = ""
    missing: str = ""
    required: bool = False

    @property
    def state(self) -> str:
        if self.missing:
            return "FAILED" if self.required else "skipped"
        return "ran" if self.version else "not started" if self.tests else "not needed"


@dataclass
class Roll:
    """One row per server; filled while the tests run, printed at their end."""

    required: frozenset[str] = frozenset()
    rows: dict[str, Row] = field(default_factory=dict)

    def expect(self, server: str, tests: int) -> None:
        """Note that `tests` of the collected tests use `server`."""
        self.rows.setdefault(server, Row()).tests += tests

    def ran(self, server: str, version: str) -> None:
        self.rows.setdefault(server, Row()).version = version

    def unavailable(self, server: str, error: ServerUnavailableError) -> NoReturn:
        """Skip the test that asked for `server`, or fail it where REQUIRE_ADAPTERS names the server."""
        row = self.rows.setdefault(server, Row())
        row.missing, row.required = str(error), server in self.required
        if row.required:
            pytest.fail(f"REQUIRE_ADAPTERS names {server}, but {error}", pytrace=False)
        pytest.skip(f"no {server}: {error}")

    def table(self) -> list[str]:
        """The rows as aligned lines, in the order in which the servers were expected."""
        head = ("server", "version", "tests", "state", "why")
        rows = [(name, row.version or "-", str(row.tests), row.state, row.missing) for name, row in self.rows.items()]
        widths = [max(len(line[column]) for line in (head, *rows)) for column in range(len(head))]
        return [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in (head, *rows)
        ]


def required_adapters(known: Iterable[str] = REQUIRED_BY_NAME) -> frozenset[str]:
    """Return the servers that REQUIRE_ADAPTERS names, separated by commas.

    Raises:
        pytest.UsageError: a name is none of the servers that we know: a typing error must not turn a failure
            into a skip.
    """
    named = frozenset(filter(None, os.environ.get("REQUIRE_ADAPTERS", "").replace(" ", "").split(",")))
    if unknown := named - set(known):
        raise pytest.UsageError(
            f"REQUIRE_ADAPTERS names {', '.join(sorted(unknown))}; expected some of {', '.join(known)}"
        )
    return named
