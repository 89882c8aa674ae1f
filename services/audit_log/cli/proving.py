"""`valvomo audit proof`: one entry with its proof, for somebody who asks the log nothing."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.audit_log.adapters.export import writing
from services.audit_log.adapters.matters import proof_of
from services.audit_log.cli.opening import MAX_INDEX, AsJson, opened
from services.shared.settings import load_settings
from services.shared.tlog.checkpoint import parse_checkpoint
from services.shared.tlog.note import parse_note
from services.shared.tlog.proof import SUFFIX, Proof

ENTRY_SUFFIX = ".entry"
"""The exact bytes, which the proof is of."""


def prove(
    entry: Annotated[int, typer.Argument(help="index of the entry, from 0", min=0, max=MAX_INDEX)],
    output: Annotated[Path | None, typer.Option(help="an empty or new folder; without it, `proof-ENTRY`")] = None,
    as_json: AsJson = False,
) -> None:
    """Write one entry (ENTRY.entry), the proof that it is in the signed log (ENTRY.tlog-proof) and the checkpoint.

    The proof is in the format of c2sp.org/tlog-proof, and holds the checkpoint with all its signatures: where a witness
    has cosigned one that covers the entry, the newest of those. Every tool for that format can verify it; so does
    `valvomo audit verify ENTRY.tlog-proof`, which looks for ENTRY.entry beside it.

    Exit codes: 0 written, 2 there is no such entry under a checkpoint, or the folder cannot be written.

    Example: valvomo audit proof 4711 --output /media/usb/entry-4711
    """
    folder = output or Path(f"proof-{entry}")
    with opened(load_settings()) as store, store.reading() as connection:
        body, proof = proof_of(connection, entry)
    paths = _write(folder, body, proof)
    signed = parse_checkpoint(parse_note(proof.checkpoint).text)
    if as_json:
        found = {"index": entry, "origin": signed.origin, "size": signed.size, "root": signed.root.hex()}
        print(json.dumps(found | {"files": [str(path) for path in paths]}))  # noqa: T201  # the output that was asked for
    else:
        Console().print(f"entry {entry} of {signed.size} is proved by the files in {folder}", soft_wrap=True)


def _write(folder: Path, body: bytes, proof: Proof) -> list[Path]:
    name = str(proof.index)
    files = {name + ENTRY_SUFFIX: body, "checkpoint": proof.checkpoint, name + SUFFIX: proof.encode()}
    with writing(folder):
        for path, data in files.items():
            (folder / path).write_bytes(data)
    return [folder / path for path in files]
