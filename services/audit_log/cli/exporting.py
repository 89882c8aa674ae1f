"""`valvomo audit export`: the evidence, as files."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.audit_log.adapters.export import write_export
from services.audit_log.cli.opening import AsJson, opened, progress
from services.shared.settings import load_settings


def export(
    folder: Annotated[Path, typer.Argument(help="an empty or new folder")],
    as_json: AsJson = False,
) -> None:
    """Write the log, as far as its newest checkpoint covers it, into a folder that can be verified anywhere.

    Exit codes: 0 written, 2 could not be written.

    Example: valvomo audit export /media/usb/log-2026-11
    """
    with opened(load_settings()) as store, store.reading() as connection, progress() as told:
        signed = write_export(connection, folder, told)
    if as_json:
        print(json.dumps({"origin": signed.origin, "size": signed.size, "root": signed.root.hex()}))  # noqa: T201
    else:
        Console().print(f"{signed.size} entries written, under the root {signed.root.hex()}", soft_wrap=True)
