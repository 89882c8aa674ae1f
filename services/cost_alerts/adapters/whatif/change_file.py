"""The file of a change: entries as they would be in the register, checked against the register that there is."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import cast

from services.cost_alerts.adapters.whatif.files import (
    Refusals,
    Written,
    checked,
    lines_of,
    read_entries,
    read_members,
)
from services.cost_alerts.domain.exchange import EUR
from services.cost_alerts.domain.view import View
from services.cost_alerts.domain.whatif.change import Change, Entry, Rate, SeatsWanted
from services.cost_alerts.domain.whatif.throughout import question
from services.shared.events.envelope import Fact
from services.shared.events.prices import Contract, Tariff
from services.shared.events.register import AllocationRule

_LISTS: Mapping[str, type[Fact]] = {
    "tariffs": Tariff,
    "contracts": Contract,
    "allocation": AllocationRule,
    "seats": SeatsWanted,
    "rates": Rate,
}
_SECTIONS = (*_LISTS, "without", "name")

Told = Sequence[tuple[Written, Fact]]


@dataclass(frozen=True, slots=True)
class Register:
    """What a change is checked against: the newest register, its days, the (system, SKU) whose seats were counted."""

    view: View
    ids: Collection[str]
    counted: Collection[tuple[str, str]]
    today: date
    last: date


def read_change(path: Path, register: Register) -> Change:
    """The change that a file describes.

    Raises:
        ConfigurationError: anything is wrong with it; each sentence names its line.
    """
    refusals = Refusals(str(path))
    members = read_members(path, refusals)
    for name, member in members.items():
        if name not in _SECTIONS:
            refusals.add(member.line, f"found `{name[:60]}`; expected one of {', '.join(_SECTIONS)}")
        elif name != "name" and not isinstance(member.value, list):
            refusals.add(member.line, f"{name}: found no list; write each entry as a line that begins with -")
    refusals.raise_any()
    if not any(isinstance(member.value, list) and member.value for member in members.values()):
        refusals.add(
            1, f"found no change; expected entries of {', '.join(_SECTIONS[:-1])}: write what would be otherwise"
        )
    told = {name: _told(path, name, members, refusals) for name in _LISTS}
    refusals.raise_any()
    for line, sentence in _problems(told, members, register):
        refusals.add(line, sentence)
    refusals.raise_any()
    return _change(told, members)


def _told(path: Path, section: str, members: Mapping[str, Written], refusals: Refusals) -> Told:
    if section not in members:
        return ()
    entries = [_named(entry, section, number) for number, entry in enumerate(read_entries(path, section))]
    return list(lines_of(entries, [checked(_LISTS[section], one, section, refusals) for one in entries]))


def _named(entry: Written, section: str, number: int) -> Written:
    """A rule need not have an id: it is new then."""
    if section != "allocation" or not isinstance(entry.value, Mapping) or "id" in entry.value:
        return entry
    return Written(entry.line, {**entry.value, "id": f"what-if-{number}"}, entry.lines)


def _change(told: Mapping[str, Told], members: Mapping[str, Written]) -> Change:
    def of(section: str) -> list[Fact]:
        return [fact for _, fact in told[section]]

    seats, rates = cast("list[SeatsWanted]", of("seats")), cast("list[Rate]", of("rates"))
    return Change(
        cast("list[Tariff]", of("tariffs")),
        cast("list[Contract]", of("contracts")),
        cast("list[AllocationRule]", of("allocation")),
        {(one.system, one.sku): one.purchased for one in seats},
        {one.currency: one.per_euro for one in rates},
        _without(members),
    )


def _without(members: Mapping[str, Written]) -> list[str]:
    value = members["without"].value if "without" in members else []
    return [str(one) for one in cast("list[object]", value)]


def _problems(
    told: Mapping[str, Told], members: Mapping[str, Written], register: Register
) -> Iterator[tuple[int, str]]:
    entries = [one for name in ("tariffs", "contracts", "allocation") for one in told[name]]
    for entry, fact in entries:
        yield from _of_entry(entry, cast("Entry", fact), register)
    yield from _twice([*entries, *told["seats"], *told["rates"]])
    yield from _of_rates(told)
    given = {one.currency for _, one in told["rates"] if isinstance(one, Rate)}
    for entry, fact in (*told["tariffs"], *told["contracts"]):
        yield from _of_currencies(entry, _currencies(fact) - given, register)
    yield from _of_seats(told, register)
    for name in _without(members):
        if name not in register.ids:
            line = members["without"].line
            yield line, f"without: found {name[:60]}; expected the id of a tariff, a contract or a rule in the register"


def _of_currencies(entry: Written, currencies: Collection[str], register: Register) -> Iterator[tuple[int, str]]:
    for currency in sorted(currencies):
        if register.view.exchange.before(currency, register.last) is None:
            sentence = (
                f"found the currency {currency}, of which the register has no rate; expected one that has: "
                f'write the price in that, or add - {{currency: {currency}, per_euro: "1.2345"}} to rates'
            )
            yield entry.line, sentence


def _of_rates(told: Mapping[str, Told]) -> Iterator[tuple[int, str]]:
    for entry, rate in told["rates"]:
        if isinstance(rate, Rate) and (not rate.per_euro or rate.currency == EUR):
            found = f"found the rate {rate.per_euro} of {rate.currency}"
            yield entry.line, f"{found}; expected more than nought, and of another currency than EUR"


def _of_seats(told: Mapping[str, Told], register: Register) -> Iterator[tuple[int, str]]:
    for entry, wanted in told["seats"]:
        if isinstance(wanted, SeatsWanted) and (wanted.system, wanted.sku) not in register.counted:
            known = ", ".join(sorted(f"{system} {sku}" for system, sku in register.counted)) or "none yet"
            yield entry.line, f"found seats of {wanted.system} {wanted.sku}; expected those that were counted: {known}"


def _of_entry(entry: Written, fact: Entry, register: Register) -> Iterator[tuple[int, str]]:
    if isinstance(fact, Tariff | Contract) and fact.system not in register.view.systems:
        known = ", ".join(sorted(register.view.systems)) or "none yet"
        yield entry.lines.get("system", entry.line), f"found the system {fact.system}; expected one of {known}"
    units = {one.id for one in register.view.units.all()}
    for unit in sorted(_units_of(fact) - units):
        line = entry.lines.get("unit", entry.line)
        yield line, f"found the unit {unit}; expected one of {', '.join(sorted(units)) or 'none yet'}"
    if fact.valid_to is not None and fact.valid_to <= register.today:
        yield (
            entry.lines.get("valid_to", entry.line),
            f"found valid_to: {fact.valid_to}, which is past; a change is tried on all days: leave valid_to out",
        )


def _twice(entries: Told) -> Iterator[tuple[int, str]]:
    names = [(_answers(fact), entry) for entry, fact in entries]
    counts = Counter(name for name, _ in names)
    for name, entry in names:
        if counts[name] > 1:
            yield entry.line, "found two entries for one and the same; a change is tried on all days: leave one of them"


def _answers(fact: Fact) -> tuple[object, ...]:
    match fact:
        case Tariff():
            return ("tariff", *question(fact))
        case SeatsWanted():
            return ("seats", fact.system, fact.sku)
        case Rate():
            return ("rate", fact.currency)
        case _:
            return (type(fact).__name__, getattr(fact, "id", None))


def _units_of(fact: Entry) -> set[str]:
    """The units that an entry gives a cost to: a rule's, and those that a contract's terms are parted among."""
    if isinstance(fact, AllocationRule):
        return {fact.unit}
    keys = (getattr(term, name, None) for term in getattr(fact, "terms", ()) for name in ("share", "overage_share"))
    return {unit for key in keys if key is not None for unit in key.weights}


def _currencies(fact: Fact) -> set[str]:
    if isinstance(fact, Tariff):
        return {fact.currency} if fact.currency is not None else set()
    found = {getattr(term, name, None) for term in getattr(fact, "terms", ()) for name in ("currency", "burns")}
    return {one for one in found if one is not None}
