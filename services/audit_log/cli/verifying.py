"""`valvomo audit verify`: the verifier, as the program itself brings it."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from services.audit_log.adapters.evidence import SqlTables
from services.audit_log.cli.opening import AsJson, opened
from services.shared.errors import ConfigurationError
from services.shared.settings import Settings, load_settings
from services.verifier.bar import Bar
from services.verifier.command import STALE_DAYS, examine_file, show, what_is_asked
from services.verifier.damage import Report
from services.verifier.examining import Asked, examine, examine_tables
from services.verifier.inputs import InputError
from services.verifier.telling import Shown
from services.verifier.words import DEFAULT, Language


def verify_export(  # noqa: PLR0917  # the options of a command line
    folder: Annotated[
        Path | None, typer.Argument(help="the folder that was exported, or a .tlog-proof", exists=True)
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(help="the log's verifier key, from who is not being audited; or a file with it; repeatable"),
    ] = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(help="a checkpoint that you kept; the log must continue it", exists=True, dir_okay=False),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(help="which witnesses must have confirmed the log (c2sp.org/tlog-policy)", exists=True),
    ] = None,
    database: Annotated[bool, typer.Option("--database", help="the database of the settings, not an export")] = False,
    max_age_days: Annotated[
        int, typer.Option(help="how old the newest entry may be before the export is stale; 0: any age", min=0)
    ] = STALE_DAYS,
    jobs: Annotated[int | None, typer.Option(help="processes that read; as many as processors", min=1)] = None,
    language: Annotated[Language, typer.Option(help="of the text")] = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Verify every byte of an export, an extract, a proof or the database: entries, tree, all checkpoints.

    Without a checkpoint that you kept, a log that was rewritten or cut off and signed again cannot be told from the
    true one. Exit codes: 0 verified, 1 damaged or forked, 2 cannot be verified (a file, a key is missing), 3 verified
    but stale.

    Example: valvomo audit verify /media/usb/log-2026-11 --key 'city.example/audit+7370cdd4+AQOh…' --checkpoint october
    """
    if (folder is None) is not database:
        raise ConfigurationError("expected one thing to verify: the folder of an export, or --database")
    bar = Bar()
    try:
        asked = what_is_asked(key or [], checkpoint or [], policy, max_age_days, evidence=folder, jobs=jobs)
        report, shown = examine(folder, asked, bar) if folder else _examine_database(load_settings(), asked, bar)
    except InputError as error:
        raise ConfigurationError(str(error)) from None
    finally:
        bar.close()
    show(report, shown, language, as_json=as_json)
    raise typer.Exit(report.exit)


def _examine_database(settings: Settings, asked: Asked, bar: Bar) -> tuple[Report, Shown]:
    """An SQLite file is only read, whatever is wrong with it; a server's tables are read in one view."""
    if settings.store.get_secret_value() == "sqlite":
        return examine_file(settings.data_dir / "log.db", asked, bar)
    with opened(settings) as store, store.reading() as connection, closing(SqlTables(connection)) as tables:
        return examine_tables(tables, asked, bar)
