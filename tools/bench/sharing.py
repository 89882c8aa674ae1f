"""Two consumers of one group, each in its process, beside one: how fast, and whether the ledger is the same."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from services.cost_alerts.adapters.tables import METADATA
from services.shared.events import USAGE
from services.shared.settings import Settings
from services.shared.store.open import open_store
from tools.bench.fingerprint import Fingerprint, fingerprint
from tools.bench.forms import Pipeline, drain
from tools.bench.loops import Took, timed
from tools.bench.member import Membership, Read

ONE = "one consumer"
TWO = "two consumers of one group"
MEMBERS = 2
GROUPS = "-shared"
PATIENCE_SECONDS = 20.0
SETTLE_SECONDS = 0.5
"""Clients fetch ahead as soon as something was published; nobody shall pay for the others' fetching."""


@dataclass(frozen=True)
class Shared:
    """Took by loop of each round, which part of the records each member had, and both ledgers' fingerprints."""

    took: Sequence[dict[str, Took]]
    parts: Sequence[Sequence[int]]
    one: Fingerprint
    two: Fingerprint


def measure(line: Pipeline, settings: Settings, rounds: int, events: int, tell: Callable[[str], None]) -> Shared:
    """Let one consumer fill the ledger of `line`, and two that of `settings`, from the same topic."""
    store = open_store(settings, "ledger", METADATA)
    took: list[dict[str, Took]] = []
    parts: list[Sequence[int]] = []
    try:
        with _members(settings) as members:
            for number in range(rounds + 1):
                read = _round(line, members, events, two_first=bool(number % 2))
                took.append(read[0])
                parts.append(read[1])
                tell(f"two consumers: round {number} of {rounds}")
        return Shared(took[1:], parts[1:], fingerprint(line.ledger.store), fingerprint(store))
    finally:
        store.close()


def _round(
    line: Pipeline, members: Sequence["subprocess.Popen[str]"], events: int, *, two_first: bool
) -> tuple[dict[str, Took], Sequence[int]]:
    line.publish(events)
    time.sleep(SETTLE_SECONDS)
    if two_first:
        two, parts = _both(line, members)
    one = timed(lambda: drain(line.usage, line.ledger.store, line.bus))
    if not two_first:
        two, parts = _both(line, members)
    return {ONE: one, TWO: two}, parts


def _both(line: Pipeline, members: Sequence["subprocess.Popen[str]"]) -> tuple[Took, Sequence[int]]:
    end, start = sum(line.bus.end_positions((USAGE.name,)).values()), time.monotonic()
    for member in members:
        assert member.stdin is not None
        member.stdin.write(f"{end}\n")
        member.stdin.flush()
    read = [Read(*json.loads(_line(member))) for member in members]
    wall = max(one.last for one in read if one.records) - start
    return Took(wall, sum(one.processor for one in read)), [one.records for one in read]


@contextmanager
def _members(settings: Settings) -> Iterator[Sequence["subprocess.Popen[str]"]]:
    """Members that have caught up and share the partitions."""
    found: dict[str, Any] = settings.model_dump(mode="json", include={"data_dir", "bus", "bus_client"})
    membership = Membership({**found, "store": settings.store.get_secret_value()}, GROUPS, MEMBERS)
    command = [sys.executable, "-m", "tools.bench.member", json.dumps(membership._asdict())]
    members = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(MEMBERS)
    ]
    try:
        for member in members:
            _line(member)
        yield members
    finally:
        for member in members:
            _end(member)


def _end(member: "subprocess.Popen[str]") -> None:
    """It ends when nobody speaks to it any more; one that still waits for the other is not asked."""
    assert member.stdin is not None
    member.stdin.close()
    try:
        member.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        member.kill()
        member.wait()


def _line(member: "subprocess.Popen[str]") -> str:
    assert member.stdout is not None
    line = member.stdout.readline()
    if not line:
        raise RuntimeError(f"a consumer ended with {member.wait()}; its message is above")
    return line
