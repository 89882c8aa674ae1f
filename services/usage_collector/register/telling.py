"""How `valvomo register` speaks: sentences for people, JSON for programs, exit codes for both."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console

from services.shared.errors import PlatformError
from services.shared.events.envelope import Fact
from services.usage_collector.register.approval import ProposalRefusedError
from services.usage_collector.register.facts import FactKey
from services.usage_collector.register.problems import Problem, RegisterRefusedError

DIFFERENT = 1
REFUSED = 1
NOT_DONE = 2


@contextmanager
def sentences(*, as_json: bool) -> Iterator[None]:
    """Errors as sentences and exit codes instead of tracebacks."""
    try:
        yield
    except RegisterRefusedError as error:
        if as_json:
            print_json({"problems": [problem_row(problem) for problem in error.problems]})
        else:
            complain(str(error))
        raise typer.Exit(REFUSED) from None
    except ProposalRefusedError as error:
        complain(str(error))
        raise typer.Exit(REFUSED) from None
    except PlatformError as error:
        complain(str(error))
        raise typer.Exit(NOT_DONE) from None


def change_rows(differing: Mapping[FactKey, Fact | None], held: Mapping[FactKey, Fact]) -> list[dict[str, Any]]:
    """What changes against what holds, one row per fact: + new, ~ changed, - gone."""
    return [_change_row(key, fact, held) for key, fact in sorted(differing.items(), key=lambda item: item[0])]


def say_changes(rows: Sequence[Mapping[str, Any]]) -> None:
    for row in rows:
        say(f"{row['sign']} {row['kind']} {row['fact_id']}{row['says']}")


def _change_row(key: FactKey, fact: Fact | None, held: Mapping[FactKey, Fact]) -> dict[str, Any]:
    kind, fact_id = key
    before = held.get(key)
    row = {"kind": kind, "fact_id": fact_id}
    if fact is None or before is None:
        return {"sign": "-" if fact is None else "+", **row, "says": ""}
    old, new = before.model_dump(mode="json"), fact.model_dump(mode="json")
    differing = [f"{name}: {old[name]} → {new[name]}" for name in new if old[name] != new[name]]
    return {"sign": "~", **row, "says": " " + "; ".join(differing)}


def shown_whole(row: Mapping[str, Any], fact: Fact | None) -> str:
    """A row with what a new fact says: who approves it has no other place to see it."""
    if row["sign"] != "+" or fact is None:
        return f"{row['sign']} {row['kind']} {row['fact_id']}{row['says']}"
    members = fact.model_dump(mode="json", exclude_defaults=True, exclude={"id"})
    return f"+ {row['kind']} {row['fact_id']} " + "; ".join(f"{name}: {value}" for name, value in members.items())


def problem_row(problem: Problem) -> dict[str, Any]:
    names = ("file", "line", "code", "found", "expected", "write")
    return {name: getattr(problem, name) for name in names}


def tell_warnings(warnings: Sequence[Problem], *, as_json: bool) -> None:
    for warning in () if as_json else warnings:
        complain(f"warning: {warning}")


def print_json(document: Mapping[str, Any]) -> None:
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2))


def say(text: str) -> None:
    typer.echo(text)


def complain(text: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(text)
