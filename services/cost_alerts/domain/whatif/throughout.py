"""The register's prices held still: as they are on a day, for good; or gone on with, where they would merely end."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from typing import TypeVar

from services.shared.events.envelope import Fact
from services.shared.events.prices import PER_SEAT, Contract, Tariff

P = TypeVar("P", Tariff, Contract)

Question = tuple[object, ...]
"""What a tariff is the answer to."""


def question(tariff: Tariff) -> Question:
    """Tariffs of one question cannot hold at the same time: one takes the place of the other."""
    conditions = frozenset(tariff.when.items())
    return (tariff.system, tariff.sku, tariff.meter, tariff.model in PER_SEAT, conditions)


def gone_on(facts: Iterable[Fact], today: date) -> list[Fact]:
    """Prices of today and of later days, without the ends that nothing follows.

    A tariff ends for good only where another one answers its question later, and a contract only where one on the same
    system begins later: what is paid when neither is known is not nought. A contract with something paid once keeps
    its end: that is spread over the days up to it.
    """
    kept, tariffs, contracts = _parted(facts)
    for of_question in _by(tariffs, question).values():
        kept += _open_ended(of_question, of_question, today)
    for of_system in _by(contracts, lambda one: (one.system,)).values():
        kept += _open_ended(of_system, of_system, today)
    return kept


def frozen(facts: Iterable[Fact], today: date) -> list[Fact]:
    """The prices of `today` from then on, as if none that is announced ever came."""
    kept, tariffs, contracts = _parted(facts)
    for of_question in _by(tariffs, question).values():
        kept += _open_ended([one for one in of_question if one.valid_from <= today], (), today)
    kept += _open_ended([one for one in contracts if one.valid_from <= today], (), today)
    return kept


def _open_ended(
    facts: Iterable[Tariff | Contract], followers: Sequence[Tariff | Contract], today: date
) -> Iterator[Fact]:
    for fact in facts:
        end = fact.valid_to
        ends_unfollowed = end is not None and end > today and not any(one.valid_from >= end for one in followers)
        yield fact.model_copy(update={"valid_to": None}) if ends_unfollowed and not _is_paid_once(fact) else fact


def _is_paid_once(fact: Tariff | Contract) -> bool:
    return isinstance(fact, Contract) and any(getattr(term, "every", None) == "once" for term in fact.terms)


def _parted(facts: Iterable[Fact]) -> tuple[list[Fact], list[Tariff], list[Contract]]:
    others: list[Fact] = []
    tariffs: list[Tariff] = []
    contracts: list[Contract] = []
    for fact in facts:
        match fact:
            case Tariff():
                tariffs.append(fact)
            case Contract():
                contracts.append(fact)
            case _:
                others.append(fact)
    return others, tariffs, contracts


def _by(facts: Iterable[P], key: Callable[[P], Question]) -> dict[Question, list[P]]:
    found: dict[Question, list[P]] = defaultdict(list)
    for fact in facts:
        found[key(fact)].append(fact)
    return found
