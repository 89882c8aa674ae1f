"""`valvomo ledger explain`: the command."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import datetime
from typing import Annotated, Any

import typer

from services.cost_alerts.adapters.explain import Explained, Explainer
from services.cost_alerts.adapters.explaining.finding import Asked
from services.cost_alerts.adapters.tables import METADATA
from services.cost_alerts.cli.months import parse_month
from services.cost_alerts.domain.report import Basis
from services.explain.evidence import Evidences, find_evidence
from services.explain.sentences import evidence, explanation, figure
from services.shared.errors import ConfigurationError
from services.shared.periods import Month
from services.shared.settings import load_settings
from services.shared.store.open import open_store

NEEDS_A_PERSON = 1


def explain(
    charge: Annotated[str | None, typer.Argument(help="a charge's id, or how it begins (x_ChargeId)")] = None,
    *,
    reading: Annotated[str | None, typer.Option(help="every charge of the reading of this id")] = None,
    source: Annotated[str | None, typer.Option(help="the reading's source, when several have that id")] = None,
    month: Annotated[
        Month | None, typer.Option(parser=parse_month, metavar="YYYY-MM", help="list what a month's figure is made of")
    ] = None,
    unit: Annotated[str | None, typer.Option(help="of the month: what this unit pays")] = None,
    system: Annotated[str | None, typer.Option(help="of the month: what this system costs")] = None,
    meter: Annotated[str | None, typer.Option(help="of the month: one meter")] = None,
    day: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="of the month: one Helsinki day")] = None,
    basis: Annotated[Basis, typer.Option(help="booked or incurred, as in `valvomo report`")] = "booked",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="so many charges, or readings, are shown")] = 20,
    skip: Annotated[int, typer.Option(min=0, help="leave out the first so many charges")] = 0,
    show_consumer: Annotated[bool, typer.Option("--show-consumer", help="tell the pseudonym of who used it")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as JSON")] = False,
) -> None:
    """Walk any euro back to its events, tariff, documents, approver and log entries.

    Begin with a figure of a report (--month and what else names its cell), then explain one of its charges.

    Exit codes: 0 explained, also when bus or log cannot be read from here, which is said; 1 an event is not in the
    log, or the steps do not lead to the ledger's amount; 2 there is no such charge, or it could not be read.

    Example: valvomo ledger explain --month 2026-10 --unit kymp
    """
    given = [one for one in (charge, reading, month) if one is not None]
    if len(given) != 1:
        raise ConfigurationError("expected one of a charge's id, --reading and --month; see --help for an example")
    settings = load_settings()
    with closing(open_store(settings, "ledger", METADATA)) as store:
        explainer = Explainer(store, show_consumer=show_consumer, most_readings=limit)
        if month is not None:
            asked = Asked(month, basis, unit, system, meter, None if day is None else day.date())
            _print(figure, explainer.figure(asked, skip=skip, limit=limit), as_json=as_json)
            return
        found = [explainer.charge(charge)] if charge is not None else explainer.reading(reading or "", source)
    told = [(one, find_evidence(settings, one.evidence)) for one in found]
    _tell(told, as_json=as_json, alone=charge is not None)
    if any(evidences.lacking or not one.document["arithmetic"]["adds_up"] for one, evidences in told):
        raise typer.Exit(NEEDS_A_PERSON)


def _tell(told: Sequence[tuple[Explained, Evidences]], *, as_json: bool, alone: bool) -> None:
    if as_json:
        documents = [{**one.document, "evidence": evidences.document()} for one, evidences in told]
        typer.echo(json.dumps(documents[0] if alone else {"charges": documents}, ensure_ascii=False))
        return
    for one, evidences in told:
        for line in (*explanation(one.document), *evidence(evidences), ""):
            typer.echo(line)


def _print(sentences: Callable[[dict[str, Any]], Iterator[str]], document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(document, ensure_ascii=False))
        return
    for line in sentences(document):
        typer.echo(line)
