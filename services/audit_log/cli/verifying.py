"""`valvomo audit verify`: the verifier, as the program itself brings it."""

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.audit_log.cli.opening import AsJson, progress
from services.shared.clock import SystemClock
from services.shared.errors import ConfigurationError
from services.shared.tlog.note import NoteError, VerifierKey, parse_vkey
from services.verifier.folder import FileReader, read_notes, read_regular
from services.verifier.verify import DAMAGED, STALE, UNVERIFIABLE, VERIFIED, Report, verify

STALE_DAYS = 35
"""A monthly export and some days."""

_VERDICT = {
    VERIFIED: "verified",
    DAMAGED: "damaged or forked",
    UNVERIFIABLE: "cannot be verified",
    STALE: "verified, but stale",
}


def verify_export(
    folder: Annotated[Path, typer.Argument(help="the folder that was exported", exists=True, file_okay=False)],
    key: Annotated[str, typer.Option(help="the log's verifier key, from who is not being audited; or a file with it")],
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(help="a checkpoint that you kept; the log must continue it", exists=True, dir_okay=False),
    ] = None,
    max_age_days: Annotated[
        int, typer.Option(help="how old the newest entry may be before the export is stale; 0: any age", min=0)
    ] = STALE_DAYS,
    as_json: AsJson = False,
) -> None:
    """Verify every byte of an export: entries, tree, all checkpoints.

    Without a checkpoint that you kept, a log that was rewritten or cut off and signed again cannot be told from the
    true one. Exit codes: 0 verified, 1 damaged or forked, 2 cannot be verified (a file, a key is missing), 3 verified
    but stale.

    Example: valvomo audit verify /media/usb/log-2026-11 --key 'city.example/audit+7370cdd4+AQOh…' --checkpoint october
    """
    notes = [*read_notes(folder), *_kept(checkpoint or [], folder)]
    trusted = _key(key, folder)
    files = FileReader(folder)
    with progress() as told:
        report = verify(
            files,
            notes,
            trusted,
            now=SystemClock().now(),
            max_age=timedelta(days=max_age_days) if max_age_days else None,
            progress=lambda done: told(done, None),
        )
    _print(report, files.strangers(), kept=len(checkpoint or []), as_json=as_json)
    raise typer.Exit(report.exit)


def _kept(paths: Sequence[Path], folder: Path) -> Iterator[tuple[str, bytes]]:
    """The auditor's own checkpoints. One that lies in what is verified shows nothing that it does not show itself."""
    for path in paths:
        if path.resolve().is_relative_to(folder.resolve()):
            raise ConfigurationError(f"the checkpoint {path} lies inside the export; give one that you kept elsewhere")
        note = read_regular(path)
        if note is None:
            raise ConfigurationError(f"the checkpoint {path} cannot be read; expected a file")
        yield str(path), note


def _key(text: str, folder: Path) -> VerifierKey:
    """The auditor's key. One that lies in what is verified would prove nothing."""
    path = Path(text)
    if "+" not in text and path.is_file():
        if path.resolve().is_relative_to(folder.resolve()):
            raise ConfigurationError("the key lies inside the export; take it from where the auditor keeps it")
        text = (read_regular(path) or b"").decode("utf-8-sig", errors="replace").strip()
    try:
        return parse_vkey(text)
    except NoteError as error:
        raise ConfigurationError(f"the key cannot be used: {error}") from None


def _print(report: Report, strangers: Sequence[str], *, kept: int, as_json: bool) -> None:
    if as_json:
        damage = [found._asdict() for found in report.damage]
        print(json.dumps({"exit": report.exit, "size": report.size, "root": report.root, "damage": damage}))  # noqa: T201
        return
    screen = Console(soft_wrap=True, markup=False)
    for found in report.damage:
        screen.print(f"{found.kind}: {_printable(found.sentence)}")
    screen.print(f"{_VERDICT[report.exit]}: {report.size} entries under the root {report.root}")
    if strangers:
        first = _printable(strangers[0])
        screen.print(f"{len(strangers)} files are no part of the log and were not verified, the first: {first}")
    if not kept:
        screen.print("No kept checkpoint was given: that nothing was rewritten or cut off before is not shown.")


def _printable(text: str) -> str:
    """Names in an export may be anybody's: none of them moves the cursor or starts a line of its own."""
    return "".join(character if character.isprintable() else "?" for character in text)
