"""Which outputs a person is to review although the policy asks for a share of them only.

Of a class with a `sample_rate` every output is drawn, or not, by its own id and the salt of its period. The salt is
fixed before the period (its SHA-256 is an entry) and told after it, so that nobody can foresee the draw, the order of
arrival changes nothing, and anybody can draw again. Where that gives fewer than `sample_least`, more are drawn after
the period, in an order that the log's own root fixes.

Comparisons are made in integers; the last part, what an auditor asks of samples, is statistics and no money.
"""

import hmac
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from hashlib import sha256
from math import comb
from typing import Literal, NamedTuple

from services.audit_log.domain.reviews.calendar import due_time
from services.audit_log.domain.reviews.case import Case
from services.audit_log.domain.reviews.duty import EFFECTS, Duty
from services.audit_log.domain.reviews.findings import requested
from services.audit_log.domain.reviews.judging import is_voided
from services.audit_log.domain.telling import SOURCE
from services.shared.events import event_id
from services.shared.events.governance import (
    Output,
    ReviewDemand,
    ReviewRequested,
    RiskClass,
    SampleCommitment,
    SampleCommitted,
    SampleDraw,
    SampleDrawn,
    SampleReveal,
    SampleRevealed,
)
from services.shared.events.outcomes import Finding, FindingOpened
from services.shared.events.register import UNALLOCATED, ReviewRule
from services.shared.periods import Month, day_start, helsinki_day

Kind = Literal["month", "quarter", "year"]
FIRST, SECOND = b"\x00", b"\x01"
"""What a draw is for: the review itself, or a second one by somebody else."""
LATE_NEWS = timedelta(days=1)
"""So long after a period (or after its salt was fixed, where that was later) news of its outputs are waited for."""

_MONTHS: dict[Kind, int] = {"month": 1, "quarter": 3, "year": 12}
_DIGEST_BITS = 256


class SamplePeriod(NamedTuple):
    """A month, quarter or year of Helsinki; `last_day` is inclusive. Its name says which: 2026-11, 2026-Q4, 2026."""

    name: str
    kind: Kind
    first_day: date
    last_day: date

    @property
    def end(self) -> datetime:
        """The instant (UTC) at which it is over."""
        return day_start(self.last_day + timedelta(days=1))


@lru_cache(maxsize=4_096)
def period_of(day: date, kind: Kind) -> SamplePeriod:
    """The period of this kind that a Helsinki day belongs to."""
    months = _MONTHS[kind]
    first = Month(day.year, (day.month - 1) // months * months + 1)
    last = first
    for _ in range(months - 1):
        last = last.next
    return SamplePeriod(_name(first, kind), kind, first.first_day, last.next.first_day - timedelta(days=1))


def parse_period(name: str) -> SamplePeriod:
    """The period of this name.

    Raises:
        ValueError: there is none.
    """
    year, _, part = name.partition("-")
    kind: Kind = "year" if not part else "quarter" if part.startswith("Q") else "month"
    month = {"year": "01", "month": part, "quarter": {"Q1": "01", "Q2": "04", "Q3": "07", "Q4": "10"}.get(part, "")}
    with suppress(ValueError):
        found = period_of(Month.parse(f"{year}-{month[kind]}").first_day, kind)
        if found.name == name:
            return found
    raise ValueError(f"found {name!r}; a period is written 2026-11 (month), 2026-Q4 (quarter) or 2026")


def next_period(period: SamplePeriod) -> SamplePeriod:
    return period_of(period.last_day + timedelta(days=1), period.kind)


def _name(first: Month, kind: Kind) -> str:
    if kind == "year":
        return f"{first.year:04d}"
    return f"{first.year:04d}-Q{(first.number + 2) // 3}" if kind == "quarter" else str(first)


def salt_of(key: bytes, period: str) -> bytes:
    """The 32 secret bytes of a period."""
    return hmac.digest(key, b"valvomo sample" + period.encode(), "sha256")


def commitment_of(salt: bytes) -> str:
    """What is told of a salt before its period (hex)."""
    return sha256(salt).hexdigest()


def is_drawn(salt: bytes, output_id: str, rate: Decimal, purpose: bytes = FIRST) -> bool:
    """Whether SHA-256(salt, purpose, id), as a share of 2^256, is below the rate; exact."""
    return int.from_bytes(sha256(salt + purpose + output_id.encode()).digest()) < _limit(rate)


@lru_cache(maxsize=64)
def _limit(rate: Decimal) -> int:
    """The least whole number that is not below rate × 2^256."""
    above, below = rate.as_integer_ratio()
    return -((-above << _DIGEST_BITS) // below)


def draws(rule: ReviewRule) -> bool:
    """Whether outputs of the rule are drawn for anything, and their period needs a salt."""
    return rule.gate in ("before_use", "after_use") and (rule.sample_rate < 1 or rule.second_rate > 0)


def may_be_drawn(case: Case) -> bool:
    """Whether the case's rule draws, and the output is one that could need a review at all."""
    duty = case.duty
    if case.output is None or duty is None or duty.gate not in ("before_use", "after_use") or is_voided(case):
        return False
    is_inner_step = case.output.step and all(known.use.kind not in EFFECTS for known in case.uses)
    return draws(duty.rule) and not is_inner_step


def period_for(output: Output, duty: Duty) -> SamplePeriod:
    """The period whose salt draws an output: that of the Helsinki day on which it was made."""
    return period_of(helsinki_day(output.generated_at), duty.rule.sample_period)


def is_in_sample(output: Output, duty: Duty, salt: bytes) -> bool:
    """Whether an output of a sampled rule was drawn for review by its hash."""
    return is_drawn(salt, output.output_id, duty.rule.sample_rate)


def draw(output: Output, duty: Duty, salt: bytes) -> tuple[ReviewDemand, ...]:
    """What the draws demand of an output that may be drawn: a review, a second one, or nothing.

    A second review is drawn among those that need a first one. Both are due when any review of the output would be.
    """
    if not is_in_sample(output, duty, salt):
        return ()
    period, due_at = period_for(output, duty).name, duty.due_at
    found: list[ReviewDemand] = []
    if duty.sampled:
        found.append(_demand(output, duty, "sample", period=period, due_at=due_at))
    if is_drawn(salt, output.output_id, duty.rule.second_rate, SECOND):
        found.append(_demand(output, duty, "second", period=period, due_at=due_at))
    return tuple(found)


def is_demanded(case: Case, demand: ReviewDemand) -> bool:
    """Whether the log holds a demand that asks for as much already."""
    return case.second if demand.because == "second" else case.demand is not None


def committed(period: SamplePeriod, salt: bytes, now: datetime) -> SampleCommitted:
    """The salt of a period is fixed."""
    data = SampleCommitment(
        period=period.name,
        first_day=period.first_day,
        last_day=period.last_day,
        commitment=commitment_of(salt),
        committed_at=now,
    )
    name = event_id("sample.committed", period.name)
    return SampleCommitted(id=name, source=SOURCE, subject=period.name, time=now, data=data)


def revealed(period: str, salt: bytes, now: datetime) -> SampleRevealed:
    """The salt of a period that is over."""
    name = event_id("sample.revealed", period)
    data = SampleReveal(period=period, salt=salt.hex(), revealed_at=now)
    return SampleRevealed(id=name, source=SOURCE, subject=period, time=now, data=data)


def closes_at(period: SamplePeriod, committed_at: datetime) -> datetime:
    """From when on a period's population is taken as complete, and its salt told."""
    return max(period.end, committed_at) + LATE_NEWS


class Seed(NamedTuple):
    """The root (hex) of a checkpoint and how many entries it covers."""

    root: str
    size: int


@dataclass
class Stratum:
    """The outputs of one system and class in a closed period, as far as a top-up needs them.

    `drawn`: how many were drawn by their hash; `undrawn`: the ids of all others. `least`: where the policy changed in
    the period, the largest number that it named. `policies`: (id, version) of all that hold for one of them.
    """

    system: str
    risk_class: RiskClass
    least: int = 0
    drawn: int = 0
    undrawn: list[str] = field(default_factory=list)
    units: set[str] = field(default_factory=set)
    policies: set[tuple[str, int]] = field(default_factory=set)

    def add(self, output_id: str, duty: Duty, *, drawn: bool) -> None:
        """One more output."""
        self.least = max(self.least, duty.rule.sample_least)
        self.units.add(duty.unit)
        self.policies.add((duty.policy, duty.policy_version))
        if drawn:
            self.drawn += 1
        else:
            self.undrawn.append(output_id)

    @property
    def population(self) -> int:
        return self.drawn + len(self.undrawn)


def top_up(stratum: Stratum, root: bytes) -> list[str]:
    """The outputs that are drawn to reach the least number; all there are when even those are too few."""
    lacking = max(0, min(stratum.least, stratum.population) - stratum.drawn)
    return order_by_seed(stratum.undrawn, root)[:lacking] if lacking else []


def order_by_seed(output_ids: Iterable[str], root: bytes) -> list[str]:
    """The ids by SHA-256 of root and id: an order that nobody could choose before the root was known."""
    return sorted(output_ids, key=lambda name: (sha256(root + name.encode()).digest(), name))


def drawn_more(period: str, stratum: Stratum, chosen: Sequence[str], seed: Seed, now: datetime) -> SampleDrawn:
    """What a top-up drew, and from what; once per period, system and class."""
    data = SampleDraw(
        period=period,
        system=stratum.system,
        risk_class=stratum.risk_class,
        population=stratum.population,
        drawn_by_hash=stratum.drawn,
        least=stratum.least,
        checkpoint_size=seed.size,
        seed=seed.root,
        output_ids=tuple(chosen),
    )
    name = event_id("sample.drawn", period, stratum.system, stratum.risk_class)
    return SampleDrawn(id=name, source=SOURCE, subject=period, time=now, data=data)


def demanded_more(output: Output, duty: Duty, period: str, now: datetime) -> ReviewRequested:
    """The review of an output that a top-up drew: its time counts from the draw."""
    hours = duty.rule.deadline_business_hours
    due_at = due_time(now, hours) if hours else None
    return requested(_demand(output, duty, "top_up", period=period, due_at=due_at), now)


def too_few(period: str, stratum: Stratum, now: datetime) -> FindingOpened | None:
    """The finding that a whole population is smaller than the least number; None where it is not.

    It is the unit's whose outputs they all are; of several units' nobody's.
    """
    if not 0 < stratum.population < stratum.least:
        return None
    name = event_id("sample_short", period, stratum.system, stratum.risk_class)
    policy, version = max(stratum.policies, key=lambda found: (found[1], found[0]))
    finding = Finding(
        finding_id=name,
        kind="sample_short",
        use_case=None,
        system=stratum.system,
        unit=next(iter(stratum.units)) if len(stratum.units) == 1 else UNALLOCATED,
        policy=policy,
        policy_version=version,
        due_at=None,
        detected_at=now,
        severity="note",
        about=f"{period} {stratum.population}/{stratum.least}",
    )
    return FindingOpened(id=name, source=SOURCE, subject=stratum.system, time=now, data=finding)


def _demand(
    output: Output,
    duty: Duty,
    because: Literal["sample", "top_up", "second"],
    *,
    period: str,
    due_at: datetime | None,
) -> ReviewDemand:
    reviewers = duty.rule.reviewers
    return ReviewDemand(
        output_id=output.output_id,
        policy=duty.policy,
        policy_version=duty.policy_version,
        risk_class=duty.risk_class,
        gate=duty.gate,
        unit=duty.unit,
        due_at=due_at,
        reviewers=max(reviewers, 2) if because == "second" else reviewers,
        because=because,
        period=period,
    )


def sample_size(
    confidence: Decimal, tolerable_rate: Decimal, deviations: int = 0, population: int | None = None
) -> int:
    """How many items to test so that, with `deviations` found, more than `tolerable_rate` is excluded.

    Exact: binomial, or hypergeometric where the population is given.

    Args:
        confidence: between 0 and 1, both exclusive; usually 0.95.
        tolerable_rate: likewise; the share of deviations one could live with.
        deviations: how many may be found.
        population: how many items there are.

    Raises:
        ValueError: a share is out of bounds, or so many deviations are tolerable in no sample of this population.
    """
    if not (0 < confidence < 1 and 0 < tolerable_rate < 1 and deviations >= 0):
        raise ValueError("confidence and tolerable rate are between 0 and 1, deviations at least 0")
    if population is not None and deviations >= _tolerable(tolerable_rate, population):
        raise ValueError(
            f"found {deviations} deviations in a population of {population}: more than {tolerable_rate} of it can not "
            "be excluded by any sample; test all items and report the rate"
        )
    low, high = deviations + 1, deviations + 1
    while not _excludes(high, confidence, tolerable_rate, deviations, population):
        low, high = high + 1, high * 2 if population is None else min(high * 2, population)
    while low < high:
        middle = (low + high) // 2
        if _excludes(middle, confidence, tolerable_rate, deviations, population):
            high = middle
        else:
            low = middle + 1
    return high


def _excludes(size: int, confidence: Decimal, rate: Decimal, deviations: int, population: int | None) -> bool:
    """Whether finding at most `deviations` in `size` items is too unlikely at the tolerable rate."""
    if population is None:
        bad, good = Fraction(rate), 1 - Fraction(rate)
        likely = sum(comb(size, i) * bad**i * good ** (size - i) for i in range(deviations + 1))
    else:
        wrong = _tolerable(rate, population)
        ways = sum(comb(wrong, i) * comb(population - wrong, size - i) for i in range(min(deviations, size) + 1))
        likely = Fraction(ways, comb(population, size))
    return likely <= 1 - Fraction(confidence)


def _tolerable(rate: Decimal, population: int) -> int:
    """The fewest deviations in a population that reach the rate."""
    above, below = rate.as_integer_ratio()
    return -(-population * above // below)
