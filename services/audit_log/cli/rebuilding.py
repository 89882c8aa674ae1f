"""`valvomo audit rebuild`: what is derived from the log, made again from it, or compared with it."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from services.audit_log.adapters.comparing import Difference, compare
from services.audit_log.adapters.entries import SqlEntryLog, read_frontier
from services.audit_log.adapters.holds import lock_everything
from services.audit_log.adapters.indexing import clear_index, index_some, indexed_size
from services.audit_log.adapters.reviews.cases import SqlCaseFiles
from services.audit_log.adapters.reviews.refolding import note_folded, refuse_unfolded
from services.audit_log.adapters.tables import METADATA
from services.audit_log.cli.opening import AsJson, opened, progress
from services.audit_log.handlers import GROUP, TOPICS, rebuild
from services.shared.bus.open import open_bus
from services.shared.clock import SystemClock
from services.shared.errors import ConfigurationError, TransientError
from services.shared.settings import Settings, load_settings
from services.shared.store import Store
from services.shared.store.horizon import RebuildHorizon

_SHOWN = 200
"""Differences that are listed; more are counted."""
_TRIES = 100
_TRY_SECONDS = 0.1
_DIFFERENT = 1

Told = Callable[[int, int | None], None]


def rebuild_projections(
    compare_only: Annotated[
        bool, typer.Option("--compare", help="change nothing: list what differs from what the log gives")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make everything that is derived from the log again; with --compare, find what somebody edited beside the log.

    Derived are the states of outputs, findings, holds, the register's copy and the index of the search. The log itself
    is not touched. Comparing also covers which events the log has seen (entry_name) and which contradict
    another (conflict); those cannot be rebuilt: restore the log. Comparing needs room for a temporary copy of what is
    derived, in the folder that TMPDIR names.

    Exit codes: 0 rebuilt, or nothing differs; 1 something differs; 2 it could not be done.

    Example: valvomo audit rebuild --compare
    """
    settings = load_settings()
    with opened(settings) as store, progress() as told:
        if compare_only:
            with store.reading() as connection:
                refuse_unfolded(connection)
                found, more = _first(compare(connection, SystemClock().now(), told))
        else:
            size = _rebuild(settings, store, told)
    if not compare_only:
        _say({"rebuilt": True, "size": size}, f"made again from {size} entries", as_json=as_json)
        return
    _print(found, more, as_json=as_json)
    raise typer.Exit(_DIFFERENT if found else 0)


def _first(differences: Iterator[Difference]) -> tuple[list[Difference], int]:
    """The first ones, and how many more there are."""
    return list(islice(differences, _SHOWN)), sum(1 for _ in differences)


def _rebuild(settings: Settings, store: Store, told: Told) -> int:
    with store.reading() as connection:
        size = read_frontier(connection).size
    _refuse_before_caught_up(settings, store)
    with alone(store):
        with store.transaction() as tx:
            lock_everything(tx)
            note_folded(tx)
            rebuild(SqlEntryLog(), SqlCaseFiles(), tx, SystemClock().now(), lambda done: told(done, size))
            clear_index(tx)
        while index_some(store):
            with store.reading() as connection:
                told(indexed_size(connection), size)
    return size


def _refuse_before_caught_up(settings: Settings, store: Store) -> None:
    """What was decided in an earlier life is not decided again."""
    with closing(open_bus(settings, SystemClock())) as bus:
        horizon = RebuildHorizon(store, METADATA, bus, {GROUP: TOPICS})
        with store.reading() as connection:
            if not horizon.passed(connection):
                raise ConfigurationError(
                    "the log has not read yet what the bus held at its first start; run the program until "
                    "`valvomo doctor` says that it has caught up, then rebuild"
                )


@contextmanager
def alone(store: Store) -> Iterator[None]:
    """While nobody else indexes; a running program does so for moments."""
    for _ in range(_TRIES):
        with store.exclusive("index") as mine:
            if mine:
                yield
                return
        time.sleep(_TRY_SECONDS)
    raise TransientError("another process has been indexing the log for some time; nothing was changed, try again")


def _print(found: Sequence[Difference], more: int, *, as_json: bool) -> None:
    if not found:
        _say({"differences": [], "more": 0}, "nothing differs from what the log gives", as_json=as_json)
        return
    if as_json:
        _say({"differences": [one._asdict() for one in found], "more": more}, "", as_json=True)
        return
    table = Table("table", "row", "stored", "from the log", title="Not what the log gives")
    for one in found:
        table.add_row(one.table, one.key, one.stored or "(no row)", one.log or "(no row)")
    screen = Console(markup=False)
    screen.print(table)
    rest = f", of which {more} are not listed" if more else ""
    screen.print(f"{len(found) + more} rows differ{rest}. `valvomo audit rebuild` makes them again from the log; find")
    screen.print("out first who could write to the database. Names and contradictions are not made again: restore the")
    screen.print("log as it was.")


def _say(document: dict[str, object], sentence: str, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(document))  # noqa: T201  # the output that was asked for
    else:
        Console(markup=False, soft_wrap=True).print(sentence)
