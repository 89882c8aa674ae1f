"""What the pages of the AI register show: the units, a page of their uses, one use with its legal records. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, NamedTuple, get_args

from services.audit_log.domain.ai_register.obligations import Missing
from services.audit_log.domain.ai_register.view import (
    CLASS_ORDER,
    FEWEST_OUTPUTS,
    Counts,
    Entry,
    UnitEntry,
    View,
)
from services.audit_log.web.public_register import oversight_sentences
from services.shared.events.governance import RiskClass
from services.shared.events.register import LegalRecord, UseCase
from services.shared.periods import timestamp
from services.shared.web.words import Words, name_in

USES_ON_A_PAGE = 100
RECORDS: Sequence[LegalRecord] = get_args(LegalRecord)
_HIGH: frozenset[RiskClass] = frozenset({"high_decision", "high_support", "unclassified"})


class UnitLine(NamedTuple):
    """A unit in the first table."""

    unit: UnitEntry
    prohibited: int
    high: int
    other: int
    missing: int
    findings: int


class Group(NamedTuple):
    """A unit's uses, or those of them that are on this page."""

    unit: UnitEntry
    entries: Sequence[Entry]


@dataclass(frozen=True)
class RegisterPage:
    """All that the template asks for, reckoned once. `place`: how many uses stand on the pages before."""

    view: View
    unit: str | None
    risk_class: RiskClass | None
    place: int = 0
    classes: tuple[RiskClass, ...] = CLASS_ORDER
    few: int = FEWEST_OUTPUTS

    @cached_property
    def shown(self) -> list[UnitEntry]:
        return [one for one in self.view.of(self.unit, self.risk_class) if one.entries]

    @cached_property
    def uses(self) -> int:
        return sum(len(one.entries) for one in self.shown)

    @cached_property
    def lines(self) -> list[UnitLine]:
        return [_line(one) for one in self.shown]

    @property
    def prohibited(self) -> int:
        return sum(line.prohibited for line in self.lines)

    @property
    def high(self) -> int:
        return sum(line.high for line in self.lines)

    @property
    def unclassified(self) -> int:
        return sum(one.classes.get("unclassified", 0) for one in self.shown)

    def missing(self, *states: str) -> int:
        """Records that are missing, in these states of urgency."""
        found = (lack for one in self.shown for entry in one.entries for lack in entry.missing)
        return sum(lack.state in states for lack in found)

    @cached_property
    def groups(self) -> list[Group]:
        """The uses of this page, by unit."""
        found: list[Group] = []
        begin = 0
        for one in self.shown:
            part = one.entries[max(0, self.place - begin) : max(0, self.place + USES_ON_A_PAGE - begin)]
            found += [Group(one, part)] if part else []
            begin += len(one.entries)
        return found

    @property
    def next_place(self) -> int | None:
        following = self.place + USES_ON_A_PAGE
        return following if following < self.uses else None

    @cached_property
    def most(self) -> int:
        """Outputs of the busiest use on this page: the length of a whole bar."""
        return max((one.counts.long for group in self.groups for one in group.entries), default=0)

    def bar(self, counts: Counts) -> int:
        """Whole per cent of the busiest."""
        return round(100 * counts.long / self.most) if self.most else 0


class RecordLine(NamedTuple):
    """A record of a use case: what the register has, and what the policy asks for that is not there."""

    record: LegalRecord
    value: str | date | None
    missing: Sequence[Missing]


def record_lines(entry: Entry) -> Iterator[RecordLine]:
    """Every record that the law or the city knows of."""
    for record in RECORDS:
        found: Any = getattr(entry.use_case, record)
        value = found.on if record == "art5_checked" and found is not None else found
        yield RecordLine(record, value, [one for one in entry.missing if one.record == record])


def sentences(entry: Entry, words: Words) -> list[str]:
    """How people watch over a use, in words."""
    return list(oversight_sentences(entry.rule, words))


def register_document(shown: RegisterPage) -> dict[str, Any]:
    """The register for programs: the uses that hold today."""
    return {
        "as_of": timestamp(shown.view.now),
        "units": [_unit_document(one) for one in shown.shown],
    }


def _unit_document(one: UnitEntry) -> dict[str, Any]:
    return {
        "unit": one.unit.id,
        "name": one.unit.name,
        "above": [unit.id for unit in one.units[1:]],
        "outputs": counts_document(one.counts),
        "use_cases": [entry_document(entry) for entry in one.entries],
    }


def entry_document(entry: Entry) -> dict[str, Any]:
    """One use for programs."""
    benefit = entry.benefit
    return {
        "use_case": entry.use_case.model_dump(mode="json"),
        "suspended": entry.suspended,
        "missing": [{"record": one.record, "due": one.due.isoformat(), "state": one.state} for one in entry.missing],
        "outputs": counts_document(entry.counts),
        "findings_open": dict(entry.findings),
        "cost_band": entry.cost.band if entry.cost else None,
        "benefit": {
            "results": {month: str(result) for month, result in benefit.months},
            "done": None if benefit.done is None else str(round(benefit.done, 4)),
        },
    }


def counts_document(counts: Counts) -> dict[str, Any]:
    """`reviewed` null: fewer reviews were due than may be told of."""
    told = counts.due >= FEWEST_OUTPUTS
    return {
        "last_30_days": counts.short,
        "last_90_days": counts.long,
        "last_at": timestamp(counts.last_at) if counts.last_at else None,
        "review_due": counts.due if told else None,
        "reviewed": counts.reviewed if told else None,
    }


def use_of(view: View, name: str) -> tuple[Entry | None, UseCase] | None:
    """A use case as it is today; of one that does not hold today, its newest version; None: nobody knows it."""
    entry = view.entries.get(name)
    if entry is not None:
        return entry, entry.use_case
    known = [one for one in view.all_use_cases if one.id == name]
    return (None, max(known, key=lambda one: one.valid_from)) if known else None


def unit_name(one: UnitEntry, words: Words) -> str:
    return name_in(words.language, one.unit.name, one.unit.id)


def _line(one: UnitEntry) -> UnitLine:
    high = sum(one.classes.get(name, 0) for name in _HIGH)
    prohibited = one.classes.get("prohibited", 0)
    return UnitLine(
        one,
        prohibited,
        high,
        len(one.entries) - high - prohibited,
        sum(lack.state != "coming" for entry in one.entries for lack in entry.missing),
        sum(sum(entry.findings.values()) for entry in one.entries),
    )


def given_of(shown: RegisterPage) -> Mapping[str, str]:
    """What was asked for, for links to the same page."""
    asked = {"unit": shown.unit, "risk_class": shown.risk_class}
    return {name: value for name, value in asked.items() if value}
