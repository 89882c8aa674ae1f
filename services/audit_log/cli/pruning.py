"""`valvomo audit prune`: destroy the bytes of entries whose retention period has ended, once they lie elsewhere."""

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.audit_log.adapters.comparing import compare
from services.audit_log.adapters.entries import read_frontier, tile_reader
from services.audit_log.adapters.pruned import minimum_index
from services.audit_log.adapters.retention import Pruned, find_limits, give_back_room, prune
from services.audit_log.adapters.reviews.refolding import refuse_unfolded
from services.audit_log.cli.keys import Approver, Reason
from services.audit_log.cli.opening import AsJson, opened, progress
from services.audit_log.cli.rebuilding import alone
from services.audit_log.domain.retention import Range, chosen, months_before, tightest
from services.audit_log.main import key_ring
from services.shared.clock import SystemClock
from services.shared.errors import ConfigurationError
from services.shared.events.log import Pruning
from services.shared.settings import Settings, load_settings
from services.shared.store import Store
from services.shared.tlog.merkle import root_at
from services.shared.tlog.tiles import node_reader
from services.verifier.bar import Bar
from services.verifier.examining import Asked, examine
from services.verifier.verify import VERIFIED, Report

_EXTRACT = "manifest.json"


def prune_log(
    *,
    folder: Annotated[
        Path, typer.Option("--export", help="a whole export, outside the data folder", exists=True, file_okay=False)
    ],
    reason: Reason,
    approver: Approver,
    through: Annotated[
        int | None, typer.Option(help="the last index to prune; unsaid: as far as possible", min=0)
    ] = None,
    without_anchor: Annotated[
        bool, typer.Option("--without-anchor", help="although no anchor holds a checkpoint behind these entries")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="check everything, say what would go, change nothing")
    ] = False,
    vacuum: Annotated[
        bool, typer.Option("--vacuum", help="then give the room back, so that the bytes are gone from the file too")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Destroy the bytes of old entries, after an export of them was verified; write that into the log.

    Entries go that are older than VALVOMO_LOG_RETENTION_MONTHS, that no hold keeps, and that the export holds. Hashes
    stay, so all proofs stay valid. Entries of the register, of outputs that are not settled, and about the log itself
    stay, too. Nothing is pruned when the export does not verify, is of another log, or when what is derived from the
    log is not what the log gives. All goes, or nothing.

    Exit codes: 0 pruned (or would be), 2 refused: the sentence says why.

    Example: valvomo audit prune --export /media/archive/log-2026 --reason 'retention ended' --approver records-manager
    """
    settings, now = _as_owner(load_settings()), SystemClock().now()
    report = _verified(settings, folder, now)
    with opened(settings, guarded=False) as store, alone(store):
        _refuse_other_log(store, report)
        _refuse_differences(store, now)
        wanted = _choose(settings, store, report, now, through=through, anchored=not without_anchor)
        told = Pruning(
            first=0, last=wanted.before - 1, export_size=report.size, export_root=report.root,
            reason=reason, approver=approver,
        )  # fmt: skip
        done = _look(store, wanted, told, now) if dry_run else _prune(store, wanted, told, now)
    if vacuum and not dry_run:
        with opened(settings, guarded=False) as store:
            give_back_room(store)
    _say(done, report, dry_run=dry_run, as_json=as_json)


def _as_owner(settings: Settings) -> Settings:
    """With the address of the role that owns the tables, where there are two roles."""
    return settings.model_copy(update={"store": settings.store_owner}) if settings.store_owner else settings


def _verified(settings: Settings, folder: Path, now: datetime) -> Report:
    """The export, verified with the log's own keys."""
    if not settings.log_retention_months:
        raise ConfigurationError("VALVOMO_LOG_RETENTION_MONTHS is 0: this log keeps everything; nothing was pruned")
    data, place = settings.data_dir.resolve(), folder.resolve()
    if place.is_relative_to(data) or data.is_relative_to(place):
        raise ConfigurationError(f"{folder} lies with the log's own data; expected an export on another disk or medium")
    if (folder / _EXTRACT).exists():
        raise ConfigurationError(f"{folder} is a part of the log; expected a whole export: valvomo audit export FOLDER")
    bar = Bar()
    try:
        report, _ = examine(folder, Asked(key_ring(settings).known(), (), None, None, now), bar)
    finally:
        bar.close()
    if report.exit != VERIFIED:
        why = report.damage[0].sentence if report.damage else "it is in doubt"
        raise ConfigurationError(
            f"the export does not verify, so nothing was pruned: {why}. `valvomo audit verify` lists everything"
        )
    return report


def _refuse_other_log(store: Store, report: Report) -> None:
    with store.reading() as connection:
        frontier = read_frontier(connection)
        node = node_reader(tile_reader(connection, frontier))
        if report.size > frontier.size or root_at(report.size, node).hex() != report.root:
            raise ConfigurationError(
                f"the export verifies, but its {report.size} entries are not the first ones of this log; nothing was "
                "pruned. Find out which of the two was changed before anything else"
            )


def _refuse_differences(store: Store, now: datetime) -> None:
    """What says which entries are still needed must be what the log gives."""
    with store.reading() as connection, progress() as told:
        refuse_unfolded(connection)
        found = next(compare(connection, now, told), None)
    if found is not None:
        raise ConfigurationError(
            f"{found.table} is not what the log gives ({found.key}), so nothing was pruned: see `valvomo audit rebuild "
            "--compare`, find out who changed it, and run `valvomo audit rebuild`"
        )


def _choose(
    settings: Settings, store: Store, report: Report, now: datetime, *, through: int | None, anchored: bool
) -> Range:
    cutoff = months_before(now, settings.log_retention_months)
    with store.reading() as connection, progress() as told:
        limits = find_limits(connection, export_size=report.size, older_than=cutoff, anchored=anchored, progress=told)
        wanted = chosen(minimum_index(connection), tightest(limits), through)
    if isinstance(wanted, str):
        raise ConfigurationError(f"nothing was pruned: {wanted}")
    return wanted


def _prune(store: Store, wanted: Range, told: Pruning, now: datetime) -> Pruned:
    with store.transaction() as tx:
        return prune(tx, wanted, told, now)


def _look(store: Store, wanted: Range, told: Pruning, now: datetime) -> Pruned:
    """What pruning would do, done and taken back."""
    with store.transaction() as tx:
        point = tx.connection.begin_nested()
        found = prune(tx, wanted, told, now)
        point.rollback()
    return found


def _say(done: Pruned, report: Report, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        export = {"export_size": report.size, "export_root": report.root}
        print(json.dumps({**done._asdict(), **export, "dry_run": dry_run}))  # noqa: T201  # what was asked for
        return
    screen = Console(markup=False, soft_wrap=True, highlight=False)
    verb = "would go" if dry_run else "are gone"
    screen.print(
        f"The bytes of {done.gone} entries below {done.before} {verb}; {done.stay} stay because they are needed."
    )
    screen.print(f"With them the cases of {done.outputs} settled outputs.")
    if not dry_run:
        screen.print("Keep the export: it alone holds these entries now. The log tells of it as soon as it runs.")
