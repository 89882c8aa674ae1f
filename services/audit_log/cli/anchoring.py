"""`valvomo audit anchors`: where checkpoints go, when one last got there, what is wrong."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from services.audit_log.adapters.anchors.pushing import Report
from services.audit_log.anchoring import make_pusher
from services.audit_log.cli.opening import AsJson, opened
from services.shared.clock import SystemClock
from services.shared.errors import TransientError
from services.shared.periods import timestamp
from services.shared.settings import load_settings

_HOUR_SECONDS = 3600


def anchors(
    push: Annotated[bool, typer.Option("--push", help="take the newest checkpoint to all of them now")] = False,
    as_json: AsJson = False,
) -> None:
    """List the anchors that the settings name: the newest checkpoint that each has, how old it is, what is wrong.

    Exit codes: 0 every anchor has a checkpoint of the last 26 hours and refuses nothing, 1 one of them does not, 2
    the settings cannot be used, or the running program is asking the anchors at this moment.

    Example: valvomo audit anchors --push
    """
    clock = SystemClock()
    settings = load_settings()
    with opened(settings) as store:
        pusher = make_pusher(settings, store, clock)
        if push and not pusher.push(at_once=True):
            raise TransientError("the running program is asking the anchors at this moment; try again in a minute")
        found = pusher.reports()
    _print(found, clock.now(), as_json=as_json)
    raise typer.Exit(1 if any(report.overdue or report.standing.problem for report in found) else 0)


def _print(found: Sequence[Report], now: datetime, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([_document(report) for report in found], indent=1))  # noqa: T201
    elif found:
        Console().print(_table(found, now))
    else:
        Console().print("no anchors are set: checkpoints stay in this house; see docs/anchors.md")


def _document(report: Report) -> dict[str, object]:
    standing = report.standing
    return {
        "anchor": report.name,
        "kind": report.kind,
        "size": standing.size,
        "anchored_at": timestamp(standing.anchored_at) if standing.anchored_at else None,
        "failures": standing.failures,
        "refusal": standing.refusal or None,
        "problem": standing.problem or None,
        "overdue": report.overdue,
    }


def _table(found: Sequence[Report], now: datetime) -> Table:
    table = Table(title="Anchors of the log", title_justify="left")
    for name in ("anchor", "entries", "age", "state"):
        table.add_column(name)
    for report in found:
        size = "none" if report.standing.size is None else str(report.standing.size)
        table.add_row(report.name, size, _age(report, now), _state(report))
    return table


def _age(report: Report, now: datetime) -> str:
    at = report.standing.anchored_at
    return "" if at is None else f"{(now - at).total_seconds() / _HOUR_SECONDS:.1f} h"


def _state(report: Report) -> str:
    late = "overdue" if report.overdue else ""
    return "; ".join(part for part in (late, report.standing.problem) if part) or "fine"
