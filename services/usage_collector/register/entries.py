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
from services.shared.events.plans import Amendment, BenefitTarget, CarryOver
from services.shared.events.prices import (
    Capacity,
    Discount,
    Fee,
    Minimum,
    Pool,
    Rounding,
    SplitKey,
    Tier,
    UnusedSeats,
)
from services.shared.events.register import Art5Check, Covered, EscalationStep, LegalDate, Match, ReviewRule
from services.usage_collector.register.documents import Entry, Path
from services.usage_collector.register.expected import EXPECTED, expected_of
from services.usage_collector.register.facts import FactKey, Kind
from services.usage_collector.register.problems import Code, Problem, WarningCode
from services.usage_collector.source import Identity

Pseudonyms = Callable[[Identity], Sequence[str]]
"""An identity → the pseudonyms of its person: more than one when a vendor's id was met on its own before."""

_PERSONAL = {"person", "reviewer", "reports_to", "also"}
_DAYS = {
    "valid_from", "valid_to", "checked_on", "trained_on", "trained_until", "day", "on", "workers_informed_on",
    "in_use_since", "in_use_before", "design_changed_on", "published_on",
}  # fmt: skip
_FREE_NAMES = {"tags", "when", "rates", "multipliers", "weights", "accepted_by_source"}
_INNER: Mapping[str, type[Fact]] = {
    "match": Match,
    "rules": ReviewRule,
    "escalation": EscalationStep,
    "legal_dates": LegalDate,
    "covers": Covered,
    "art5_checked": Art5Check,
    "tiers": Tier,
    "round_up": Rounding,
    "discounts": Discount,
    "share": SplitKey,
    "overage_share": SplitKey,
    "amendments": Amendment,
    "carry_over": CarryOver,
    "benefit": BenefitTarget,
}
_TERMS: Mapping[str, type[Fact]] = {
    "pool": Pool,
    "capacity": Capacity,
    "fee": Fee,
    "minimum": Minimum,
    "unused_seats": UnusedSeats,
}


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

    def problem(self, path: Path | str, code: Code | WarningCode, *, found: str, expected: str, write: str) -> Problem:
        """Something wrong with a member of this entry, or with what is inside it."""
        line = self.entry.line_of((path,) if isinstance(path, str) else path)
        return Problem(self.entry.file, line, code, found=found, expected=expected, write=write)


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


def people_of(kind: str, written: Mapping[str, object]) -> Sequence[Identity]:
    """Every person an entry names: whom it is about, and whom a reviewer reports to."""
    identity, superior = identity_of(kind, written), _superior(kind, written)
    return [one for one in (identity, superior) if one is not None]


def _superior(kind: str, written: Mapping[str, object]) -> Identity | None:
    superior = written.get("reports_to") if kind == "reviewer" else None
    return (superior,) if isinstance(superior, str) and superior else None


def _readings(kind: Kind, written: dict[str, object], pseudonyms: Pseudonyms) -> Sequence[dict[str, object]]:
    identity = identity_of(kind.name, written)
    names: Sequence[str | None] = pseudonyms(identity) if identity else [None]
    match kind.name:
        case "placement":
            members = {name: value for name, value in written.items() if name != "also"}
            return [_named(members, "person", name) for name in names]
        case "reviewer":
            superior = _superior(kind.name, written)
            members = _named(written, "reports_to", pseudonyms(superior)[0]) if superior else written
            return [_named(members, "reviewer", name) for name in names]
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
    if error["type"].startswith("union_tag"):
        path, value = (*path, "kind"), value.get("kind") if isinstance(value, dict) else None
    if error["type"] in ("missing", "union_tag_not_found"):
        return _missing(kind, entry, path if error["type"] != "missing" else (*path, error["loc"][-1]))
    if error["type"] == "extra_forbidden":
        return _unknown(kind, entry, path)
    if error["loc"][-1:] == ("[key]",):
        return _wrong_key(entry, path)
    if isinstance(value, dict) and error["type"] == "value_error" and " must " in error["msg"]:
        return _not_together(kind, entry, path, value, error["msg"])
    return _wrong_value(kind, entry, path, value, error["msg"])


def _wrong_value(kind: Kind, entry: Entry, path: Path, value: object, said: str) -> Problem:
    name = _name(path)
    known = None if name in _FREE_NAMES else expected_of((kind.name, *_texts(path)))
    expected, example = known or EXPECTED.get(name, (said, ""))
    return Problem(
        entry.file,
        entry.line_of(path),
        "not-a-day" if name in _DAYS else "bad-value",
        found=f"{name}: {_shown(name, value)}",
        expected=expected,
        write=_mended(name, value, example),
    )


def _missing(kind: Kind, entry: Entry, path: Path) -> Problem:
    name = str(path[-1])
    expected, example = expected_of((kind.name, *_texts(path))) or ("it", f"{name}: …")
    line = entry.line_of(path)
    return Problem(entry.file, line, "missing-member", f"no {name}", expected, f"write for example {example}")


def _wrong_key(entry: Entry, path: Path) -> Problem:
    expected, example = EXPECTED.get(str(path[0]), ("another name", ""))
    found = f"the member {str(path[-1])[:60]} in {path[0]}"
    line = entry.line_of(path)
    return Problem(entry.file, line, "unknown-member", found, expected, f"write for example {example}")


def _not_together(kind: Kind, entry: Entry, path: Path, written: Mapping[str, object], message: str) -> Problem:
    """What a model says of several of its members: `X must be …; for example …`."""
    rule = message.removeprefix("Value error, ")
    alone = rule.partition(" must be positive")
    if alone[1] and "more than zero" in EXPECTED.get(alone[0], ("",))[0]:
        return _wrong_value(kind, entry, (*path, alone[0]), written.get(alone[0]), rule)
    for said, told in ((" must be a ", " as a "), (" must be ", " "), (" must ", " to ")):
        rule = rule.replace(said, told, 1)
    expected, _, write = rule.partition("; ")
    words = [word.strip(",:") for word in expected.split()]
    named = [name for name in dict.fromkeys(words) if name in _members_at(kind, entry, (*path, ""))]
    shown = [f"{name}: {_shown(name, value)}" for name, value in written.items() if name in named]
    return Problem(
        entry.file,
        entry.line_of(path),
        "bad-value",
        found=", ".join(shown) or " and ".join(f"no {name}" for name in named) or "members that do not go together",
        expected=expected,
        write=write if write.startswith("leave") else f"write {write}",
    )


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


def _texts(path: Path) -> tuple[str, ...]:
    return tuple(part for part in path if isinstance(part, str))


def _name(path: Path) -> str:
    """The innermost member; what stands inside a member with free names is told as that member."""
    names = [part for part in _texts(path) if part in EXPECTED]
    free = [name for name in names if name in _FREE_NAMES]
    return free[0] if free else names[-1] if names else str(path[-1]) if path else ""


def _unknown(kind: Kind, entry: Entry, path: Path) -> Problem:
    known = _members_at(kind, entry, path)
    close = difflib.get_close_matches(str(path[-1]), known, n=1)
    write = f"write {close[0]}" if close else "remove it"
    return Problem(
        entry.file,
        entry.line_of(path),
        "unknown-member",
        found=f"the member {str(path[-1])[:60]}",
        expected=f"one of {', '.join(known)}",
        write=write,
    )


def _members_at(kind: Kind, entry: Entry, path: Path) -> list[str]:
    """The members that may stand beside the last one of `path`."""
    around = _texts(path[:-1])
    model = _INNER.get(around[-1], kind.model) if around else kind.model
    if around[-1:] == ("terms",):
        _, term = _locate(entry.members, path[:-1])
        model = _TERMS.get(str(term.get("kind")), Pool) if isinstance(term, dict) else Pool
    return list(model.model_fields)


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
