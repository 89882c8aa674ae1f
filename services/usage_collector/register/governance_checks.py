"""What must be true of uses of AI and of who reviews their outputs, and what the law will ask of them."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date

from services.shared.events.register import LegalDate, LegalRecord, UseCase
from services.usage_collector.register.documents import Path
from services.usage_collector.register.entries import Item
from services.usage_collector.register.expected import EXPECTED
from services.usage_collector.register.problems import Problem
from services.usage_collector.register.spans import end_of

_ByKind = Mapping[str, Sequence[Item]]

DECIDING = ("high_decision", "high_support")
"""The classes of high-risk uses, and of those that prepare decisions."""
_PRODUCTION = "production"


def governance_targets(item: Item) -> Iterator[tuple[Path, str, str]]:
    """What the entry names of other kinds: where it is written, the kind, the id."""
    if item.kind == "usecase":
        yield from ((("replaces",), "usecase", one) for one in item.fact.replaces)


def governance_problems(by_kind: _ByKind) -> Iterator[Problem]:
    """Uses that came from themselves, exceptions that the law does not have, reviewers above themselves."""
    yield from _circles(by_kind.get("usecase", ()))
    for item in by_kind.get("usecase", ()):
        yield from _exception(item)
        yield from _suspension(item)
    for item in by_kind.get("reviewer", ()):
        yield from _superior(item)
        yield from _training(item)


def governance_warnings(by_kind: _ByKind, today: date) -> Iterator[Problem]:
    """What a person should look at: what nobody says why, what the law will ask for, training that is over."""
    live = [item for item in by_kind.get("usecase", ()) if end_of(item) > today]
    uses = [item for item in live if item.fact.environment == _PRODUCTION]
    for item in uses:
        yield from _prohibited(item)
        yield from _reasons(item)
    yield from _replaced(by_kind.get("usecase", ()))
    yield from _records(uses, by_kind.get("policy", ()), today)
    for item in by_kind.get("reviewer", ()):
        yield from _training_ended(item, today)


def _circles(uses: Sequence[Item]) -> Iterator[Problem]:
    before: dict[str, set[str]] = {}
    for item in uses:
        before.setdefault(item.fact.id, set()).update(item.fact.replaces)
    for item in uses:
        seen: set[str] = set()
        waiting = list(item.fact.replaces)
        while waiting:
            one = waiting.pop()
            waiting += before.get(one, set()) - seen
            seen |= {one, *before.get(one, set())}
        if item.fact.id in seen:
            yield item.problem(
                "replaces",
                "cycle",
                found=f"{item.fact.id!r} that came from itself",
                expected="ids of earlier use cases",
                write="write what it was renamed, split or merged from; a new version of an entry needs no replaces",
            )


def _exception(item: Item) -> Iterator[Problem]:
    if item.fact.art6_3 is not None and item.fact.profiling:
        yield item.problem(
            "art6_3",
            "profiling",
            found="an exception of Article 6(3) for a use that profiles persons",
            expected="no exception: profiling is always high-risk (AI Act, Article 6(3))",
            write="leave art6_3 out, or write profiling: false if nobody is profiled",
        )


def _suspension(item: Item) -> Iterator[Problem]:
    began, resumed = item.fact.suspended_from, item.fact.resumed_at
    if resumed is not None and (began is None or resumed <= began):
        yield item.problem(
            "resumed_at",
            "suspension",
            found="resumed_at without a suspension before it",
            expected="a moment later than suspended_from",
            write="write since when it must not be used into suspended_from, or leave resumed_at out",
        )


def _superior(item: Item) -> Iterator[Problem]:
    if item.fact.reports_to == item.fact.reviewer:
        yield item.problem(
            "reports_to",
            "own-superior",
            found="a reviewer who reports to themself",
            expected="another person",
            write="write who may not be the second reviewer, or leave reports_to out",
        )


def _training(item: Item) -> Iterator[Problem]:
    began, ended = item.fact.trained_on, item.fact.trained_until
    if ended is not None and (began is None or ended <= began):
        yield item.problem(
            "trained_until",
            "training",
            found=f"trained_until: {ended}, {'without trained_on' if began is None else f'trained_on: {began}'}",
            expected="a day after the training, the first on which it no longer counts",
            write="write the day of the training into trained_on, and a later one here",
        )


def _prohibited(item: Item) -> Iterator[Problem]:
    fact: UseCase = item.fact
    if fact.risk_class == "prohibited" and fact.suspended_from is None:
        yield item.problem(
            "risk_class",
            "prohibited-use",
            found=f"{fact.id!r}, a prohibited use, without suspended_from",
            expected="a moment from which it must not be used (AI Act, Article 5)",
            write="write suspended_from, or the class that it really has",
        )


def _reasons(item: Item) -> Iterator[Problem]:
    fact: UseCase = item.fact
    if fact.risk_class in DECIDING and fact.annex_iii is None and fact.decision_effect in (None, "none"):
        yield item.problem(
            "risk_class",
            "unexplained-class",
            found=f"risk_class: {fact.risk_class} without a reason",
            expected="annex_iii, or a decision_effect of preparatory or decision",
            write='write for example annex_iii: "5(a)"',
        )
    if fact.art6_3 is not None and fact.annex_iii is None:
        yield item.problem(
            "art6_3",
            "unexplained-class",
            found="an exception of Article 6(3) without annex_iii",
            expected="the point of Annex III that the use would fall under",
            write='write for example annex_iii: "5(a)"',
        )


def _replaced(uses: Sequence[Item]) -> Iterator[Problem]:
    ends: dict[str, date] = {}
    for item in uses:
        ends[item.fact.id] = max(end_of(item), ends.get(item.fact.id, date.min))
    for item in uses:
        for one in item.fact.replaces:
            if ends.get(one, date.min) > item.fact.valid_from:
                yield item.problem(
                    "replaces",
                    "replaced-goes-on",
                    found=f"{one!r}, which holds beside {item.fact.id!r} that replaces it",
                    expected=f"that it ends on {item.fact.valid_from} at the latest",
                    write=f"write valid_to: {item.fact.valid_from} there, if no part of it goes on",
                )


def _records(uses: Sequence[Item], policies: Sequence[Item], today: date) -> Iterator[Problem]:
    """What a date of the policy asks for and a use case does not have; told with its earliest date, and at once."""
    asking = sorted(
        (asked for item in policies if end_of(item) > today for asked in item.fact.legal_dates),
        key=lambda asked: (asked.on, asked.id),
    )
    for item in uses:
        told: set[LegalRecord] = set()
        for asked in asking:
            missing = _missing(asked, item.fact, told)
            told.update(missing)
            if missing:
                yield item.problem(
                    "id",
                    "missing-record",
                    found=f"no {', '.join(missing)} of {item.fact.id!r}",
                    expected=f"that on record {_since(asked.on, today)} ({asked.id}: {asked.article})",
                    write=f"write for example {EXPECTED[missing[0]][1]}",
                )


def _since(day: date, today: date) -> str:
    return f"since {day}" if day <= today else f"from {day} on"


def _missing(asked: LegalDate, use: UseCase, told: AbstractSet[LegalRecord]) -> Sequence[LegalRecord]:
    """What the date asks for and the use case lacks, but for what was told with an earlier date."""
    wanted = asked.requires if asked.concerns(use) else ()
    return [record for record in wanted if record not in told and getattr(use, record) is None]


def _training_ended(item: Item, today: date) -> Iterator[Problem]:
    ended = item.fact.trained_until
    if ended is not None and ended <= today < end_of(item):
        yield item.problem(
            "trained_until",
            "training-ended",
            found=f"trained_until: {ended}, in a mandate that goes on",
            expected="a training that counts for as long as the mandate",
            write="write the days of the new training, or valid_to; reviews since then do not count where the policy "
            "asks for training",
        )
