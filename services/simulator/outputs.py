"""What becomes of one AI output of the city's applications: the events of its life, as a sender writes them.

Values in, values out. Events are plain JSON: persons are named, the collector replaces them by pseudonyms.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from random import Random
from typing import Any, Literal

from services.shared.periods import timestamp

Sent = Mapping[str, Any]
"""A CloudEvent in JSON, as an application sends it."""

Fate = Literal["reviewed", "edited", "rejected", "late", "forgotten", "unreviewed_use", "used_first", "superseded"]
"""How an output ends: reviewed in time (as it was, edited, or rejected), reviewed too late, never looked at, used
without any review, used before its review, or replaced by a newer one."""

Pending = Literal["pending"]

OUTPUT_GENERATED = "valvomo.ai.output.generated.v1"
"""The first event of every output."""

FATES: Mapping[Fate, int] = {
    "reviewed": 64,
    "edited": 20,
    "rejected": 5,
    "late": 3,
    "forgotten": 2,
    "unreviewed_use": 2,
    "used_first": 2,
    "superseded": 2,
}
"""Fate → how often, of a hundred."""

OVERDUE_FATES = frozenset[Fate]({"late", "forgotten"})
"""The fates that only time makes a finding of, where a review comes before the use."""

SENT_FATES = frozenset[Fate]({"reviewed", "edited", "rejected", "forgotten"})
"""The fates of an output that is used as soon as it is made."""

LATE_AFTER = timedelta(days=7)
"""Longer than any deadline of the example city's policy."""


@dataclass(frozen=True, slots=True)
class Writer:
    """An application whose outputs are reviewed.

    Attributes:
        source: of its events.
        used_as: how its outputs are put to use.
        a_day: outputs on a usual day.
        asks_first: outputs are to be reviewed before use; else they are sent at once and looked at afterwards.
        feature: of the system that makes them, where that is how the register knows them.
    """

    use_case: str
    system: str
    unit: str
    source: str
    used_as: str
    a_day: int
    reviewers: Sequence[str]
    model: str | None
    asks_first: bool = True
    feature: str | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """An output that was just made. `pace`: by how much its life runs faster than usual; `text`: what stands for it."""

    writer: Writer
    output_id: str
    made_at: datetime
    requester: str | None
    reviewer: str
    length: int
    reading_id: str | None = None
    pace: int = 1
    text: str | None = None

    def after(self, wait: timedelta) -> datetime:
        """The moment (whole second) that comes `wait` after the output was made, by the clock of its pace."""
        return (self.made_at + wait / self.pace).replace(microsecond=0)

    @property
    def text_hash(self) -> str:
        """Stands for the SHA-256 of the text, which does not exist."""
        return sha256((self.text or self.output_id).encode()).hexdigest()


def fate_of(chance: Random, writer: Writer, *, settled: bool) -> Fate:
    """How an output ends. `settled`: it is old enough that all its deadlines are over; a young one is not overdue."""
    possible = [fate for fate in FATES if writer.asks_first or fate in SENT_FATES]
    fates = [fate for fate in possible if settled or fate not in OVERDUE_FATES]
    return chance.choices(fates, [FATES[fate] for fate in fates])[0]


def life(made: Made, fate: Fate | Pending, chance: Random) -> Iterator[Sent]:
    """The events of an output's life."""
    review = timedelta(seconds=chance.randint(600, 7200))
    soon = timedelta(seconds=chance.randint(300, 1500))
    yield generated(made)
    if not made.writer.asks_first:
        yield used(made, timedelta(), made.text_hash)
    match fate:
        case "reviewed" | "edited" | "rejected":
            yield from _reviewed(made, review, fate)
        case "late":
            yield from _reviewed(made, LATE_AFTER, "reviewed")
        case "unreviewed_use":
            yield used(made, soon, made.text_hash)
        case "used_first":
            yield used(made, soon, made.text_hash)
            yield from decided(made, soon + timedelta(hours=2), "approved")
        case "superseded":
            yield from _superseded(made, soon)


def _reviewed(made: Made, wait: timedelta, fate: Literal["reviewed", "edited", "rejected"]) -> Iterator[Sent]:
    decision = "approved" if fate == "reviewed" else fate
    yield from decided(made, wait, decision)
    if made.writer.asks_first and decision != "rejected":
        content = _edited_hash(made) if decision == "edited" else made.text_hash
        yield used(made, wait + timedelta(minutes=5), content)


def decided(made: Made, wait: timedelta, decision: str, **more: object) -> Iterator[Sent]:
    """Somebody opens the output and decides. `more`: what else the application says of it."""
    review_id = f"{made.output_id}/review"
    opened_at, at = made.after(wait - timedelta(minutes=4)), made.after(wait)
    opened = {"output_id": made.output_id, "review_id": review_id, "reviewer": made.reviewer}
    yield _event(made, "review.opened", review_id, opened_at, opened | {"opened_at": timestamp(opened_at)})
    data: dict[str, Any] = opened | {
        "content_hash_reviewed": made.text_hash,
        "decided_at": timestamp(at),
        "decision": decision,
        "evidence": "edited" if decision == "edited" else "explicit_accept",
        **more,
    }
    if decision == "edited":
        data |= {"edited_content_hash": _edited_hash(made)}
    yield _event(made, "review.decided", review_id, at, data)


def generated(made: Made) -> Sent:
    """The application has made an output."""
    data: dict[str, Any] = {
        "output_id": made.output_id,
        "system": made.writer.system,
        "use_case": made.writer.use_case,
        "unit": made.writer.unit,
        "model": made.writer.model,
        "generated_at": timestamp(made.made_at),
        "content_hash": made.text_hash,
        "length": made.length,
        "requester": made.requester,
        "reading_id": made.reading_id,
    }
    if made.writer.feature is not None:
        data["feature"] = made.writer.feature
    return _event(made, "output.generated", made.output_id, made.made_at, data)


def used(made: Made, wait: timedelta, content_hash: str) -> Sent:
    """The output is put to use."""
    at = made.after(wait)
    use_id = f"{made.output_id}/use-{at:%H%M%S}"
    data = {
        "output_id": made.output_id,
        "use_id": use_id,
        "content_hash_used": content_hash,
        "used_at": timestamp(at),
        "kind": made.writer.used_as,
        "actor": made.requester,
    }
    return _event(made, "output.used", use_id, at, data)


def _superseded(made: Made, wait: timedelta) -> Iterator[Sent]:
    at = made.after(wait)
    newer = replace(made, output_id=f"{made.output_id}-b", made_at=at, length=made.length + 40, reading_id=None)
    yield generated(newer)
    data = {"output_id": made.output_id, "superseded_by": newer.output_id, "superseded_at": timestamp(at)}
    yield _event(made, "output.superseded", f"{made.output_id}/superseded", at, data)
    yield from _reviewed(newer, timedelta(minutes=40), "reviewed")


def _edited_hash(made: Made) -> str:
    return sha256(f"{made.output_id} edited".encode()).hexdigest()


def _event(made: Made, kind: str, event_id: str, at: datetime, data: Mapping[str, Any]) -> Sent:
    return {
        "specversion": "1.0",
        "type": f"valvomo.ai.{kind}.v1",
        "source": made.writer.source,
        "id": f"{event_id}#{kind}",
        "subject": made.output_id,
        "time": timestamp(at),
        "data": data,
    }
