"""The verifier as a program of its own."""

import argparse
import io
import json
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from services.verifier.bar import Bar
from services.verifier.damage import UNVERIFIABLE, Report
from services.verifier.database import TablesError
from services.verifier.examining import Asked, examine, examine_tables
from services.verifier.inputs import InputError, read_kept, read_keys, read_policy
from services.verifier.jobs import default_jobs
from services.verifier.sqlite import SqliteTables
from services.verifier.telling import Shown, tell
from services.verifier.words import DEFAULT, LANGUAGES, Language, printable

STALE_DAYS = 35
"""A monthly export and some days."""
_LONGEST_DAYS = 4_000_000
"""More than the calendar has."""

_EPILOG = """\
exit codes: 0 verified; 1 damaged or forked; 2 cannot be verified (a file or the key is missing); 3 verified but stale.
Without a checkpoint that you kept, a log that was rewritten or cut off and signed again cannot be told from the true
one. Key, checkpoints and policy come from where the auditor keeps them, never from what is verified.

example: python valvomo-verify.pyz /media/usb/log --key 'city.example/audit+7370cdd4+AQOh...' --checkpoint october
"""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="valvomo-verify",
        description="Verify an export of an audit log, an extract, a single proof (.tlog-proof), or a database.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("export", nargs="?", type=Path, help="the folder that was exported, or a .tlog-proof")
    made.add_argument("--database", type=Path, help="the log's SQLite file, instead of an export")
    made.add_argument(
        "--key", action="append", default=[], help="the log's verifier key, or a file with it; repeatable"
    )
    made.add_argument("--checkpoint", action="append", default=[], type=Path, help="one that you kept; repeatable")
    made.add_argument("--policy", type=Path, help="which witnesses must have confirmed the log (c2sp.org/tlog-policy)")
    made.add_argument("--max-age-days", type=int, default=STALE_DAYS, help="0: any age (default: %(default)s)")
    made.add_argument("--jobs", type=int, default=default_jobs(), help="processes (default: %(default)s)")
    made.add_argument("--json", action="store_true", help="print the result as JSON")
    made.add_argument("--language", choices=LANGUAGES, default=DEFAULT, help="of the text (default: %(default)s)")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify what the command line names; the exit code."""
    asked = parser().parse_args(arguments)
    bar = Bar()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that lacks a letter must not hide a verdict
    try:
        report, shown = _examined(asked, bar)
    except InputError as error:
        print(f"valvomo-verify: {error}", file=sys.stderr)  # noqa: T201  # a program's words
        return UNVERIFIABLE
    finally:
        bar.close()
    show(report, shown, asked.language, as_json=asked.json)
    return report.exit


def show(report: Report, shown: Shown, language: Language, *, as_json: bool) -> None:
    """Print the result, for a program or for a person."""
    lines = [json.dumps(report.document())] if as_json else tell(report, shown, language)
    for line in lines:
        print(line)  # noqa: T201  # see above


def what_is_asked(
    keys: Sequence[str],
    checkpoints: Sequence[Path],
    policy: Path | None,
    max_age_days: int,
    *,
    evidence: Path | None,
    jobs: int | None = None,
) -> Asked:
    """The auditor's side of a verification.

    Raises:
        InputError: something cannot be used.
    """
    trusted = read_policy(policy, evidence)
    return Asked(
        keys=read_keys(keys, trusted, evidence),
        kept=list(read_kept(checkpoints, evidence)),
        policy=trusted,
        max_age=timedelta(days=min(max_age_days, _LONGEST_DAYS)) if max_age_days > 0 else None,
        now=datetime.now(UTC),
        jobs=jobs,
    )


def _examined(options: argparse.Namespace, bar: Bar) -> tuple[Report, Shown]:
    if (options.export is None) == (options.database is None):
        raise InputError("expected one thing to verify: the folder of an export, or --database FILE")
    if options.export is not None and not _exists(options.export):
        raise InputError(f"{options.export} is not there; expected the folder of an export, or a .tlog-proof")
    if options.max_age_days < 0:
        raise InputError(f"found --max-age-days {options.max_age_days}, expected days from 0 on; 0: any age")
    given = (options.key, options.checkpoint, options.policy, options.max_age_days)
    asked = what_is_asked(*given, evidence=options.export, jobs=options.jobs)
    return examine(options.export, asked, bar) if options.export else examine_file(options.database, asked, bar)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, RuntimeError):  # a name that is too long, a closed folder, links in a circle
        return False


def examine_file(path: Path, asked: Asked, bar: Bar) -> tuple[Report, Shown]:
    """Verify an SQLite file.

    Raises:
        InputError: there is none, or it cannot be opened.
    """
    try:
        with closing(SqliteTables(path)) as tables:
            return examine_tables(tables, asked, bar, lambda: SqliteTables(path))
    except TablesError as error:
        what = printable(str(error))  # SQLite quotes names out of the file
        raise InputError(f"the database cannot be read: {what}; expected the log's SQLite file") from None
