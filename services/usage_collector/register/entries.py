"""Turns written entries into facts, and pydantic's findings into sentences for who wrote them."""

import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Any

from pydantic import ValidationError

from services.shared.events.envelope import Fact
from services.shared.events.register import Match, ReviewRule
from services.usage_collector.register.documents import Entry, Path
from services.usage_collector.register.facts import FactKey, Kind
from services.usage_collector.register.problems import Code, Problem
from services.usage_collector.source import Identity

Pseudonyms = Callable[[Identity], Sequence[str]]
"""An identity → the pseudonyms of its person: more than one when a vendor's id was met on its own before."""

_PERSONAL = {"person", "reviewer", "also"}

EXPECTED: Mapping[str, tuple[str, str]] = {
    "id": ("a text of 1 to 128 characters", "id: kymp"),
    "parent": ("the id of a unit", "parent: city"),
    "name": ("a name in fi, sv or en", "name: {fi: Kaupunkiympäristö, sv: Stadsmiljö, en: Urban Environment}"),
    "cost_centre": ("a text", 'cost_centre: "3010005"'),
    "valid_from": ("a day, the first on which the entry holds", "valid_from: 2026-01-01"),
    "valid_to": ("a day after valid_from, the first on which the entry no longer holds", "valid_to: 2027-01-01"),
    "checked_on": ("the day on which somebody last compared the price with its source", "checked_on: 2026-11-20"),
    "trained_on": ("a day", "trained_on: 2026-02-12"),
    "day": ("the day for which the rates were published", "day: 2026-11-02"),
    "person": ("what a vendor calls a person", "person: aino@city.example"),
    "reviewer": ("what a vendor calls a person", "reviewer: aino@city.example"),
    "unit": ("the id of a unit", "unit: kymp"),
    "vendor": ("a short name of who sends the invoice", "vendor: anthropic"),
    "owner": ("who answers for it", "owner: ict"),
    "price_from": ("tariff or reported", "price_from: tariff"),
    "order": ("a whole number from 0, without quotes", "order: 10"),
    "match": ("what a reading must have: person, account, tags, system or environment", "match: {account: wrk-012}"),
    "tags": ("texts by name", "tags: {department: KYMP}"),
    "system": ("the id of a system", "system: claude-api"),
    "systems": ("a list of ids of systems", "systems: [claude-api]"),
    "sku": ('what is sold, as the vendor reports it, or "*"', "sku: claude-sonnet-4-5"),
    "meter": ("a meter, as input_tokens, output_tokens, seats, assists, or vendor:name", "meter: input_tokens"),
    "model": ("per_unit or per_seat_month", "model: per_unit"),
    "price": ("a decimal in quotes, not negative", 'price: "3.00"'),
    "per": ("a decimal in quotes, more than zero", 'per: "1000000"'),
    "currency": ("a currency of three capital letters (budgets: EUR)", "currency: EUR"),
    "when": ("texts by name: the dimensions for which the price holds", "when: {service_tier: standard}"),
    "time_zone": ("a time zone", "time_zone: Europe/Helsinki"),
    "source": ("where the figure is from", "source: contract EX-2026-0117, annex 2"),
    "document": ("a record number", "document: EX-2026-0117"),
    "period": ("a year, without quotes", "period: 2026"),
    "amount": ("a decimal in quotes, more than zero", 'amount: "200000.00"'),
    "thresholds": ("a list of decimals in quotes", 'thresholds: ["0.5", "0.8", "1.0"]'),
    "recipients": ("a list of roles", "recipients: [finance-kymp]"),
    "epoch": ("a whole number from 0, without quotes", "epoch: 1"),
    "decision": ("a record number", "decision: EX-KV-2025-121"),
    "purpose": ("a sentence", "purpose: Drafts announcements that an editor answers for"),
    "risk_class": (
        "prohibited, high_decision, high_support, public_text, limited, minimal or unclassified",
        "risk_class: limited",
    ),
    "use_cases": ("a list of ids of use cases", "use_cases: [announcements]"),
    "version": ("a whole number from 1, without quotes", "version: 1"),
    "approved_by": ("who approved it, with the record number", "approved_by: City Board 2025-12-08, section 412"),
    "rules": ("a list with a rule per risk class", "rules: [{risk_class: minimal, gate: none}]"),
    "gate": ("never, before_use, after_use or none", "gate: before_use"),
    "deadline_business_hours": ("a whole number from 1, without quotes", "deadline_business_hours: 16"),
    "accepted_evidence": ("a list of explicit_accept, edited, thumb", "accepted_evidence: [explicit_accept, edited]"),
    "rates": ("units of each currency per 1 EUR, as decimals in quotes", 'rates: {USD: "1.1172"}'),
    "account": ("what the vendor calls a workspace, project or subscription", "account: wrk-012"),
    "environment": ("a text", "environment: production"),
}
"""Member → what belongs there, and an example; the same sentences stand in docs/register.md."""


@dataclass(frozen=True, slots=True)
class Item:
    """One fact with the place where it is written."""

    kind: str
    fact_id: str
    fact: Any
    entry: Entry

    @property
    def key(self) -> FactKey:
        return self.kind, self.fact_id

    @property
    def place(self) -> str:
        return f"{self.entry.file}:{self.entry.line}"


def items_of(kind: Kind, entry: Entry, pseudonyms: Pseudonyms, problems: list[Problem]) -> list[Item]:
    """The facts of one entry: one, or for a person with several pseudonyms one for each; none when it has problems."""
    if not entry.sound:
        return []
    facts = [_fact(kind, members, entry, problems) for members in _readings(kind, entry.members, pseudonyms)]
    return [Item(kind.name, kind.fact_id(fact), fact, entry) for fact in facts if fact is not None]


def identity_of(kind: str, written: Mapping[str, object]) -> Identity | None:
    """The person that an entry is about, as written: the register's name first, ids of vendors after it."""
    match = written.get("match")
    person = written.get({"placement": "person", "reviewer": "reviewer"}.get(kind, ""))
    if kind == "allocation" and isinstance(match, dict):
        person = match.get("person")
    also = written.get("also")
    return (
        (person, *(map(str, also) if isinstance(also, tuple) else ())) if isinstance(person, str) and person else None
    )


def _readings(kind: Kind, written: dict[str, object], pseudonyms: Pseudonyms) -> Sequence[dict[str, object]]:
    identity = identity_of(kind.name, written)
    names: Sequence[str | None] = pseudonyms(identity) if identity else [None]
    match kind.name:
        case "placement":
            members = {name: value for name, value in written.items() if name != "also"}
            return [_named(members, "person", name) for name in names]
        case "reviewer":
            return [_named(written, "reviewer", name) for name in names]
        case "allocation":
            return [_rule(written, name) for name in names[:1]]
        case _:
            return [written]


def _rule(written: dict[str, object], pseudonym: str | None) -> dict[str, object]:
    match = written.get("match")
    rule = written | {"match": _named(match, "person", pseudonym)} if isinstance(match, dict) else written
    if "id" in rule:
        return rule
    # A rule without an id is named by what makes it this rule, so that giving it another unit keeps its name.
    said = json.dumps([rule.get("order"), rule.get("match"), rule.get("valid_from")], sort_keys=True, default=str)
    return rule | {"id": f"rule-{rule.get('order')}-{sha256(said.encode()).hexdigest()[:12]}"}


def _named(members: dict[str, object], member: str, pseudonym: str | None) -> dict[str, object]:
    return members | {member: pseudonym} if pseudonym is not None else members


def _fact(kind: Kind, members: dict[str, object], entry: Entry, problems: list[Problem]) -> Fact | None:
    try:
        return kind.model.model_validate(members)
    except ValidationError as error:
        found = [_problem(kind, entry, members, item) for item in error.errors(include_url=False)]
        problems.extend({(problem.line, problem.found): problem for problem in found}.values())
        return None


def _problem(kind: Kind, entry: Entry, members: dict[str, object], error: Any) -> Problem:  # noqa: ANN401  # pydantic's ErrorDetails
    path, value = _locate(members, error["loc"])
    line, name = entry.line_of(path), _name(path)
    if error["type"] == "missing":
        expected, example = EXPECTED.get(str(error["loc"][-1]), ("it", f"{error['loc'][-1]}: …"))
        return Problem(
            entry.file,
            line,
            "missing-member",
            found=f"no {error['loc'][-1]}",
            expected=expected,
            write=f"write for example {example}",
        )
    if error["type"] == "extra_forbidden":
        return _unknown(kind, entry, path, line)
    if error["loc"][-1:] == ("[key]",):
        return _wrong_key(entry, path, line)
    if not path or (name == "rates" and " must be " in error["msg"]):
        expected, _, write = error["msg"].removeprefix("Value error, ").replace(" must be ", " ").partition("; ")
        return Problem(
            entry.file,
            line,
            "bad-value",
            found=f"{_together(entry, expected)}",
            expected=expected,
            write=write if write.startswith("leave") else f"write {write}",
        )
    expected, example = EXPECTED.get(name, (error["msg"], ""))
    code: Code = "not-a-day" if name in ("valid_from", "valid_to", "checked_on", "trained_on", "day") else "bad-value"
    return Problem(
        entry.file,
        line,
        code,
        found=f"{name}: {_shown(name, value)}",
        expected=expected,
        write=_mended(name, value, example),
    )


def _wrong_key(entry: Entry, path: Path, line: int) -> Problem:
    expected, example = EXPECTED.get(str(path[0]), ("another name", ""))
    found = f"the member {str(path[-1])[:60]} in {path[0]}"
    return Problem(entry.file, line, "unknown-member", found, expected, f"write for example {example}")


def _together(entry: Entry, expected: str) -> str:
    words = expected.split()
    named = [f"{name}: {_shown(name, value)}" for name, value in entry.members.items() if name in words]
    return ", ".join(named) or "members that do not go together"


def _locate(members: dict[str, object], loc: tuple[int | str, ...]) -> tuple[Path, object]:
    """The part of pydantic's location that is in the entry as written, and what stands there."""
    value: object = members
    path: list[int | str] = []
    for part in loc:
        if (isinstance(value, dict) and part in value) or (isinstance(value, tuple) and isinstance(part, int)):
            value = value[part]  # type: ignore[index]  # narrowed in both halves of the condition
            path.append(part)
        elif not isinstance(value, dict):
            break
        # else: the name of a branch of a union, which is not in the entry
    return tuple(path), value


def _name(path: Path) -> str:
    names = [part for part in path if isinstance(part, str) and part in EXPECTED]
    return names[-1] if names else str(path[-1]) if path else ""


def _unknown(kind: Kind, entry: Entry, path: Path, line: int) -> Problem:
    known = _members_at(kind, path)
    close = difflib.get_close_matches(str(path[-1]), known, n=1)
    write = f"write {close[0]}" if close else "remove it"
    return Problem(
        entry.file,
        line,
        "unknown-member",
        found=f"the member {str(path[-1])[:60]}",
        expected=f"one of {', '.join(known)}",
        write=write,
    )


def _members_at(kind: Kind, path: Path) -> list[str]:
    inner: dict[str, type[Fact]] = {"match": Match, "rules": ReviewRule}
    model = inner.get(str(path[0]), kind.model) if len(path) > 1 else kind.model
    return list(getattr(model, "model_fields", kind.model.model_fields))


def _shown(name: str, value: object) -> str:
    if name in _PERSONAL:
        return "something else"
    match value:
        case str():
            return repr(value[:60]) if value else "an empty text"
        case date() | int():
            return f"{value} without quotes" if isinstance(value, int) else str(value)
        case dict():
            return "named members" if value else "nothing"
        case _:
            return "a list"


def _mended(name: str, value: object, example: str) -> str:
    wants_text = '"' in example or name in ("id", "unit", "system", "sku", "parent", "account")
    if isinstance(value, int) and wants_text and "[" not in example and "{" not in example:
        return f'write {name}: "{value}"'
    return f"write for example {example}" if example else "write another value"
