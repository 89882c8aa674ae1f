"""`valvomo audit hold`: keep entries from being pruned, whatever their age."""

import json
from datetime import datetime
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection

from services.audit_log.adapters.entries import read_frontier
from services.audit_log.adapters.holds import list_holds, place_hold, release_hold
from services.audit_log.adapters.indexing import read_told
from services.audit_log.adapters.pruned import entry_portions, minimum_index
from services.audit_log.cli.filtering import Since, Until, filter_of
from services.audit_log.cli.keys import Approver, Reason
from services.audit_log.cli.opening import MAX_INDEX, AsJson, opened, progress
from services.shared.clock import SystemClock
from services.shared.errors import ConfigurationError
from services.shared.events.log import Hold, HoldRelease
from services.shared.settings import load_settings

hold = typer.Typer(no_args_is_help=True, help="Keep entries of the log from being pruned.")

HoldId = Annotated[str, typer.Argument(metavar="ID", help="name of the hold: a matter's number, nobody's name")]


@hold.command("place")
def place(
    hold_id: HoldId,
    *,
    reason: Reason,
    approver: Approver,
    first: Annotated[int | None, typer.Option(help="the first index that is held", min=0, max=MAX_INDEX)] = None,
    last: Annotated[
        int | None, typer.Option(help="the last one; unsaid: and all that come", min=0, max=MAX_INDEX)
    ] = None,
    since: Since = None,
    until: Until = None,
) -> None:
    """Hold entries, by their indexes or by when they came. The hold stands at once; its entry follows.

    Exit codes: 0 placed, 2 refused: the sentence says why.

    Example: valvomo audit hold place KHO-17 --since 2026-01-01 --until 2026-03-31 --reason appeal --approver lawyer
    """
    by_time = since is not None
    if by_time == (first is not None) or (until is not None and not by_time) or (last is not None and by_time):
        raise ConfigurationError("expected --first (and --last), or --since (and --until)")
    wanted = filter_of(since=since, until=until, state=None)
    with opened(load_settings()) as store:
        if wanted.since is not None:
            with store.reading() as connection:
                first, last = _indexes(connection, wanted.since, wanted.until)
        found = _hold(hold_id, first, last, reason, approver)
        with store.transaction() as tx:
            _refuse_pruned(tx.connection, found)
            place_hold(tx, found, SystemClock().now())
    upto = "all that come" if found.last is None else str(found.last)
    Console(markup=False, soft_wrap=True).print(f"entries {found.first} to {upto} are held by {found.hold}")


@hold.command("release")
def release(hold_id: HoldId, reason: Reason, approver: Approver) -> None:
    """End a hold. It ends when the log holds the entry that says so.

    Exit codes: 0 it will be released, 2 there is no such hold.

    Example: valvomo audit hold release KHO-2026-17 --reason 'judgment is final' --approver lawyer
    """
    try:
        wanted = HoldRelease(hold=hold_id, reason=reason, approver=approver)
    except ValidationError as error:
        raise _refused(error) from None
    with opened(load_settings()) as store, store.transaction() as tx:
        release_hold(tx, wanted, SystemClock().now())
    Console(markup=False, soft_wrap=True).print(f"{hold_id} is released as soon as the log has read it back")


@hold.command("list")
def list_all(as_json: AsJson = False) -> None:
    """List all holds: those that stand, and those that were released.

    Exit codes: 0 listed, 2 the log cannot be read.

    Example: valvomo audit hold list --json
    """
    with opened(load_settings()) as store, store.reading() as connection:
        found = [_document(row) for row in list_holds(connection)]
    if as_json:
        print(json.dumps(found))  # noqa: T201  # the output that was asked for
        return
    table = Table("hold", "from", "to", "state", "reason", "approved by")
    for one in found:
        last = "and all that come" if one["last"] is None else str(one["last"])
        table.add_row(one["hold"], str(one["first"]), last, one["state"], one["reason"], one["approver"])
    Console(markup=False).print(table)


def _document(row: Any) -> dict[str, Any]:  # noqa: ANN401  # a row of the table of holds
    state = "released" if row.released_seq is not None else "stands" if row.placed_seq is not None else "on its way"
    entries = {"placed_entry": row.placed_seq, "released_entry": row.released_seq}
    return {**json.loads(row.document), "state": state, **entries}


def _indexes(connection: Connection, since: datetime, until: datetime | None) -> tuple[int, int | None]:
    """From the first entry of that time to the last one. Partitions interleave, so every entry is looked at."""
    first = last = None
    size = read_frontier(connection).size
    with progress() as told:
        for portion in entry_portions(connection):
            for index, _, body in portion:
                read = read_told(body)
                if read and read.ingest_time >= since and (until is None or read.ingest_time < until):
                    first, last = index if first is None else first, index
            told(portion[-1][0] + 1, size)
    if until is None:
        return size if first is None else first, None
    if first is None:
        raise ConfigurationError("found no entry of that time; nothing is held")
    return first, last


def _hold(name: str, first: int | None, last: int | None, reason: str, approver: str) -> Hold:
    if first is not None and last is not None and last < first:
        raise ConfigurationError(f"found --last {last} before --first {first}; nothing is held")
    try:
        return Hold.model_validate({"hold": name, "first": first, "last": last, "reason": reason, "approver": approver})
    except ValidationError as error:
        raise _refused(error) from None


def _refused(error: ValidationError) -> ConfigurationError:
    wrong = "; ".join(f"{item['loc'][0]}: {item['msg']}" for item in error.errors(include_input=False))
    return ConfigurationError(f"the hold cannot be written as an event: {wrong}")


def _refuse_pruned(connection: Connection, wanted: Hold) -> None:
    pruned = minimum_index(connection)
    if wanted.last is not None and wanted.last < pruned:
        raise ConfigurationError(f"entries below {pruned} were pruned already; an export from before holds them")
