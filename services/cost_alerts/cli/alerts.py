"""`valvomo alerts`: what was told and still holds, who acts on it, and messages that never arrived."""

import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Column, Table

from services.cost_alerts.adapters.alerts import (
    AlertState,
    CrossingState,
    SqlAlerts,
    alert_states,
    alerts_named,
    crossing_states,
)
from services.cost_alerts.adapters.failed import Failed, failed, try_again
from services.cost_alerts.api.alerts import document_of
from services.cost_alerts.cli.opening import opened_ledger
from services.cost_alerts.handlers.acknowledging import acknowledge as keep
from services.shared.clock import SystemClock
from services.shared.errors import ConfigurationError
from services.shared.events.outcomes import Acknowledgement
from services.shared.periods import HELSINKI, helsinki_day
from services.shared.store import Store

app = typer.Typer(no_args_is_help=True, help="What somebody should act on, who does, and messages that never arrived.")

JsonOption = Annotated[bool, typer.Option("--json", help="print JSON for programs")]
SHOWN_CHARACTERS = 12
"""So much of an id tells it from the others; a prefix is enough to name one."""

T = TypeVar("T")


@app.command("list")
def list_alerts(
    everything: Annotated[bool, typer.Option("--all", help="also what is over")] = False, as_json: JsonOption = False
) -> None:
    """Conditions that hold, and budget thresholds passed this year; newest first.

    Exit codes: 0 nobody needs to act, 1 something that nobody has acknowledged holds, 2 it could not be read.

    Example: valvomo alerts list
    """
    with opened_ledger() as store, store.reading() as connection:
        conditions = alert_states(connection, also_over=everything)
        year = helsinki_day(SystemClock().now()).year
        crossings = [one for one in crossing_states(connection) if everything or one.crossing.period == year]
    found: list[AlertState | CrossingState] = [*conditions, *(one for one in crossings if one.crossing.spoken)]
    found.sort(key=lambda one: one.raised_at, reverse=True)
    if as_json:
        typer.echo(json.dumps([document_of(one) for one in found], ensure_ascii=False))
    else:
        Console().print(_table(found) if found else "nothing is open")
    raise typer.Exit(1 if any(_awaits(one) for one in conditions) else 0)


@app.command()
def show(
    alert: Annotated[str, typer.Argument(metavar="ID", help="its id, or how the id begins")],
    as_json: JsonOption = False,
) -> None:
    """Show one alert: what it is about, its figures, who was told, who acts.

    Exit codes: 0 shown, 2 there is no such alert.

    Example: valvomo alerts show 8f2c41d09a7b
    """
    with opened_ledger() as store:
        found = _chosen(store, alert)
    document = document_of(found)
    if as_json:
        typer.echo(json.dumps(document, ensure_ascii=False))
        return
    for name, value in document.items():
        Console().print(f"{name}: {_plain(value)}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def acknowledge(
    alert: Annotated[str, typer.Argument(metavar="ID", help="its id, or how the id begins")],
    role: Annotated[str, typer.Option("--role", help="one of the roles that were told")],
    as_json: JsonOption = False,
) -> None:
    """Say that a role has seen an alert and acts on it. The first one counts and is recorded as an event.

    Exit codes: 0 recorded, or somebody was sooner; 2 there is no such alert, or the role was not told of it.

    Example: valvomo alerts acknowledge 8f2c41d09a7b --role finance-kymp
    """
    with opened_ledger() as store:
        found = _chosen(store, alert)
        roles = _told(store, found)
        if role not in roles:
            raise ConfigurationError(
                f"found the role {role!r}, which was not told of this alert; expected one of: "
                f"{', '.join(roles) or 'nobody was told'}"
            )
        told = Acknowledgement(alert_id=found.alert_id, role=role, via="command")
        is_first = keep(store, SqlAlerts(), told, SystemClock().now())
        found = _chosen(store, found.alert_id)
    if as_json:
        typer.echo(json.dumps(document_of(found), ensure_ascii=False))
        return
    by = found.acknowledged
    assert by is not None, "it has just been acknowledged, by this role or before"
    typer.echo(f"acknowledged by {by.role}" if is_first else f"{by.role} has acknowledged it before")


@app.command("failed")
def failed_messages(as_json: JsonOption = False) -> None:
    """Messages to people that were given up, by role; addresses stay in the recipients file.

    Exit codes: 0 none, 1 some wait for a person, 2 it could not be read.

    Example: valvomo alerts failed
    """
    with opened_ledger() as store, store.reading() as connection:
        found = failed(connection)
    if as_json:
        typer.echo(json.dumps([one._asdict() for one in found], ensure_ascii=False))
    else:
        Console().print(_failed_table(found) if found else "every message has arrived, or still waits")
    raise typer.Exit(1 if found else 0)


@app.command()
def retry(
    messages: Annotated[list[str] | None, typer.Argument(metavar="ID…", help="ids, or how they begin")] = None,
    everything: Annotated[bool, typer.Option("--all", help="all that were given up")] = False,
    as_json: JsonOption = False,
) -> None:
    """Try given-up messages again, when their mail server, address or receiver has been mended.

    Exit codes: 0 they wait to be sent again, 2 there is no such message.

    Example: valvomo alerts retry --all
    """
    if bool(messages) == everything:
        raise ConfigurationError("expected the ids of messages, or --all: `valvomo alerts failed` shows them")
    with opened_ledger() as store:
        with store.reading() as connection:
            known = failed(connection)
        chosen = known if everything else [_one(name, known) for name in messages or ()]
        with store.transaction() as tx:
            count = try_again(tx, [one.message_id for one in chosen], SystemClock().now())
    typer.echo(json.dumps({"waiting": count}) if as_json else f"{count} wait to be sent again")


def _chosen(store: Store, name: str) -> AlertState | CrossingState:
    with store.reading() as connection:
        found = alerts_named(connection, name)
    return _only(found, name, "alert", "valvomo alerts list --all", lambda one: one.alert_id)


def _one(name: str, known: Sequence[Failed]) -> Failed:
    found = [one for one in known if one.message_id.startswith(name)]
    return _only(found, name, "message", "valvomo alerts failed", lambda one: one.message_id)


def _only(found: Sequence[T], name: str, what: str, command: str, id_of: Callable[[T], str]) -> T:
    """The one that is meant: of its whole id, or the only one whose id begins so."""
    exact = [one for one in found if id_of(one) == name]
    if len(exact or found) != 1 or not name:
        count = "no" if not found else f"{len(found)}"
        raise ConfigurationError(f"found {count} {what} whose id begins with {name!r}, expected one: see `{command}`")
    return (exact or found)[0]


def _told(store: Store, found: AlertState | CrossingState) -> Sequence[str]:
    """The roles that were told: also those of budgets above, whom a crossing's message told of theirs."""
    if isinstance(found, AlertState):
        return found.condition.recipients
    with store.reading() as connection:
        others = [one.crossing for one in crossing_states(connection) if one.crossing.told_by == found.alert_id]
    return list(dict.fromkeys(role for one in (found.crossing, *others) for role in one.recipients))


def _awaits(state: AlertState) -> bool:
    return state.resolved_at is None and state.acknowledged is None


def _table(found: Sequence[AlertState | CrossingState]) -> Table:
    table = Table(Column("id", no_wrap=True), "kind", "about", "raised", "act by", "who acts")
    for one in found:
        raised = f"{one.raised_at.astimezone(HELSINKI):%Y-%m-%d}"
        table.add_row(one.alert_id[:SHOWN_CHARACTERS], *_what(one), raised, *_standing(one))
    return table


def _what(state: AlertState | CrossingState) -> tuple[str, str]:
    """Kind with its severity, and what it is about."""
    if isinstance(state, CrossingState):
        return "threshold_crossed", _escaped(state.crossing.budget)
    return f"{state.condition.kind} ({state.condition.severity})", _escaped(state.condition.about)


def _standing(state: AlertState | CrossingState) -> tuple[str, str]:
    """Until when somebody must have acted, and who does."""
    by = "" if state.acknowledged is None else state.acknowledged.role
    if isinstance(state, CrossingState):
        return "", by
    until = "" if state.condition.until is None else state.condition.until.isoformat()
    return until, by if state.resolved_at is None else "over"


def _failed_table(found: Sequence[Failed]) -> Table:
    table = Table(Column("id", no_wrap=True), "way", "role", "tries", "reason")
    for one in found:
        table.add_row(
            one.message_id[:SHOWN_CHARACTERS], one.destination, one.recipient, str(one.attempts), _escaped(one.reason)
        )
    return table


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")


def _plain(value: Any) -> str:  # noqa: ANN401  # a member of a document
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
