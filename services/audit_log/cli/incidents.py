"""`valvomo incident`: say what went wrong with a use of AI, whom it was told, and that it is over."""

import json
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from services.audit_log.adapters.ai_register.incident_desk import Accepted, IncidentDesk, Refused, Teller
from services.audit_log.adapters.ai_register.incident_files import list_incidents
from services.audit_log.cli.keys import Approver
from services.audit_log.cli.opening import AsJson, opened
from services.audit_log.domain.ai_register.incidents import NewEnd, NewIncident, NewNotification, local_moment
from services.audit_log.web.incidents import KINDS, WHOM, document
from services.shared.clock import SystemClock
from services.shared.errors import ConfigurationError
from services.shared.events import describe
from services.shared.settings import load_settings

incident = typer.Typer(no_args_is_help=True, help="Incidents with uses of AI, and the clocks of Article 73.")

Kind = StrEnum("Kind", list(KINDS))  # type: ignore[misc]  # made from what the events know
Whom = StrEnum("Whom", list(WHOM))  # type: ignore[misc]  # the same

IncidentId = Annotated[str, typer.Argument(metavar="ID", help="of the incident; `valvomo incident list` shows it")]
_MOMENT = "2026-11-16T10:00 in Helsinki's time, or RFC 3339"


def _moment(text: str) -> datetime:
    try:
        return local_moment(text)
    except ValueError:
        raise typer.BadParameter(f"expected {_MOMENT}") from None


@incident.command("open")
def open_one(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="what happened, in a few words and without names")],
    *,
    kind: Annotated[Kind, typer.Option(help="of Article 73; `other` has no clock")],
    aware_at: Annotated[datetime, typer.Option(parser=_moment, metavar="MOMENT", help=f"since when: {_MOMENT}")],
    approver: Approver,
    unit: Annotated[str | None, typer.Option(help="where neither the output nor the use case tells it")] = None,
    use_case: Annotated[str | None, typer.Option(help="id of the use case")] = None,
    system: Annotated[str | None, typer.Option(help="id of the system")] = None,
    output: Annotated[str | None, typer.Option(help="id of the output")] = None,
    incident_id: Annotated[str | None, typer.Option("--id", help="a matter's number; unsaid: one is made")] = None,
    as_json: AsJson = False,
) -> None:
    """Open an incident. It stands in the list when the log has read it back.

    Exit codes: 0 opened, 2 refused: the sentence says why.

    Example: valvomo incident open "wrong benefit refused" --kind serious --aware-at 2026-11-16T10:00
    --use-case tyollisyys-palvelutarve --approver data-protection-officer
    """
    with opened(load_settings()) as store:
        done = _done(
            lambda desk: desk.open(
                Teller(approver),
                NewIncident.model_validate({
                    "incident_id": incident_id, "kind": kind.value, "what": what, "aware_at": aware_at, "unit": unit,
                    "use_case": use_case, "system": system, "output_id": output,
                }),
            ),
            IncidentDesk(store, SystemClock()),
        )  # fmt: skip
    _say(done, f"{done.incident_id} is opened as soon as the log has read it back", as_json=as_json)
    if done.to_suspend and not as_json:
        _print(
            f"The use case {done.to_suspend} is in use still. If it may be a risk, write suspended_from into "
            "usecases.yaml and publish the register (Article 26(5))."
        )


@incident.command("notify")
def notify_one(
    incident_id: IncidentId,
    *,
    whom: Annotated[Whom, typer.Option(help="who was told: first the provider, then the authority")],
    at: Annotated[datetime, typer.Option(parser=_moment, metavar="MOMENT", help=f"when: {_MOMENT}")],
    approver: Approver,
    reference: Annotated[str | None, typer.Option(help="record number of what was sent")] = None,
    as_json: AsJson = False,
) -> None:
    """Say who was told of an incident, and when.

    Exit codes: 0 said, 2 refused: the sentence says why.

    Example: valvomo incident notify KYMP-12 --whom provider --at 2026-11-16T12:30 --approver data-protection-officer
    """
    with opened(load_settings()) as store:
        done = _done(
            lambda desk: desk.notify(
                Teller(approver),
                NewNotification.model_validate(
                    {"incident_id": incident_id, "whom": whom.value, "notified_at": at, "reference": reference}
                ),
            ),
            IncidentDesk(store, SystemClock()),
        )
    _say(done, f"that the {whom.value} was told of {incident_id} is on its way to the log", as_json=as_json)


@incident.command("close")
def close_one(
    incident_id: IncidentId,
    outcome: Annotated[str, typer.Argument(metavar="OUTCOME", help="what was found and done, without names")],
    *,
    approver: Approver,
    not_reportable: Annotated[
        bool, typer.Option("--not-reportable", help="nobody had to be told after all; the outcome says why")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Close an incident: when provider and authority were told, or with --not-reportable.

    A clock that has run out stays late, whatever the outcome.

    Exit codes: 0 closed, 2 refused: the sentence says why.

    Example: valvomo incident close KYMP-12 "prompt mended, decisions corrected" --approver data-protection-officer
    """
    with opened(load_settings()) as store:
        done = _done(
            lambda desk: desk.close(
                Teller(approver), NewEnd(incident_id=incident_id, outcome=outcome, not_reportable=not_reportable)
            ),
            IncidentDesk(store, SystemClock()),
        )
    _say(done, f"{incident_id} is closed as soon as the log has read it back", as_json=as_json)


@incident.command("list")
def list_all(
    *,
    all_of_them: Annotated[bool, typer.Option("--all", help="closed ones, too")] = False,
    as_json: AsJson = False,
) -> None:
    """List incidents with their clocks; open ones, or with --all every one.

    Exit codes: 0 nothing is late, 1 a clock has run out and nobody was told, 2 the log cannot be read.

    Example: valvomo incident list --json
    """
    now = SystemClock().now()
    with opened(load_settings()) as store, store.reading() as connection:
        found = [document(one, now) for one in list_incidents(connection, still_open=None if all_of_them else True)]
    if as_json:
        print(json.dumps(found))  # noqa: T201  # the output that was asked for
    else:
        _table(found)
    if any(clock["state"] == "late" for one in found for clock in one["clocks"]):
        raise typer.Exit(1)


def _table(found: list[dict[str, Any]]) -> None:
    table = Table("incident", "kind", "unit", "what", "aware at", "clocks", "closed")
    for one in found:
        clocks = "\n".join(f"{clock['whom']}: {clock['state']}, {clock['due_at']}" for clock in one["clocks"])
        closed = one["closed"]["closed_at"] if one["closed"] else "–"
        table.add_row(one["incident_id"], one["kind"], one["unit"], one["what"], one["aware_at"], clocks, closed)
    Console(markup=False).print(table)


def _done(act: Any, desk: IncidentDesk) -> Accepted:  # noqa: ANN401  # one of the desk's three acts
    try:
        done: Accepted | Refused = act(desk)
    except ValidationError as error:
        raise ConfigurationError(f"this cannot stand in the log: {describe(error)}") from None
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    if isinstance(done, Refused):
        raise ConfigurationError(done.sentence)
    return done


def _say(done: Accepted, sentence: str, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(done._asdict()))  # noqa: T201  # the output that was asked for
    else:
        _print(sentence)


def _print(sentence: str) -> None:
    Console(markup=False, soft_wrap=True).print(sentence)
