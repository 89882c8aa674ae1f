"""When contracts end, and until when notice must be given; what goes on under the same id does not end."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from services.cost_alerts.domain.contracts import DatedContract
from services.cost_alerts.domain.view import View
from services.shared.periods import day_start

DeadlineKind = Literal["notice", "end"]


@dataclass(frozen=True, slots=True)
class Deadline:
    """The end of a contract (exclusive day), or the last moment for its notice; instants in its own time zone, UTC."""

    contract: str
    system: str
    vendor: str
    kind: DeadlineKind
    day: date
    at: datetime
    renews: bool


def deadlines(view: View, now: datetime) -> Sequence[Deadline]:
    """The deadlines of the contracts in force, by instant; those that have passed are left out."""
    found = [one for system in view.contracts.systems() for one in _of_system(view, system, now)]
    return sorted(found, key=lambda one: (one.at, one.contract, one.kind))


def end_of(view: View, system: str, now: datetime) -> date | None:
    """The day on which the last of the contracts in force on a system ends; None when one has no end, or none is."""
    ends = [_last(view, one) for one in view.contracts.at(system, now)]
    days = [one.fact.valid_to for one in ends if one.fact.valid_to is not None]
    return max(days) if days and len(days) == len(ends) else None


def _of_system(view: View, system: str, now: datetime) -> Iterator[Deadline]:
    last = {one.fact.id: _last(view, one) for one in view.contracts.at(system, now)}
    for contract in last.values():
        for kind, day in _days(contract):
            at = day_start(day, ZoneInfo(contract.fact.time_zone))
            if now < at:
                fact = contract.fact
                yield Deadline(fact.id, fact.system, fact.vendor, kind, day, at, fact.renews)


def _days(contract: DatedContract) -> Iterator[tuple[DeadlineKind, date]]:
    fact = contract.fact
    if fact.valid_to is not None:
        yield "end", fact.valid_to
        if fact.notice_days is not None:
            yield "notice", fact.valid_to - timedelta(days=fact.notice_days)


def _last(view: View, contract: DatedContract) -> DatedContract:
    """The last stretch of a contract that goes on under its id without a day between."""
    while contract.ends is not None:
        following = [
            one for one in view.contracts.at(contract.fact.system, contract.ends) if one.fact.id == contract.fact.id
        ]
        if not following:
            return contract
        contract = following[0]
    return contract
