"""`valvomo audit restore`: give a backup that was put back what it lacks."""

import json
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.audit_log.adapters.ceremony import refuse_others
from services.audit_log.adapters.restoring import Evidence, restore
from services.audit_log.cli.keys import Approver, Reason
from services.audit_log.cli.opening import AsJson, opened, progress
from services.audit_log.main import key_ring, signer_memory
from services.shared.bus import EventBus
from services.shared.bus.open import open_bus
from services.shared.clock import SystemClock
from services.shared.events import TOPICS
from services.shared.settings import Settings, load_settings
from services.verifier.folder import read_regular
from services.verifier.notes import NOTES


def restore_log(
    folder: Annotated[
        Path, typer.Option("--from", help="an export, or the folder of an anchor", exists=True, file_okay=False)
    ],
    reason: Reason,
    approver: Approver,
    as_json: AsJson = False,
) -> None:
    """Append what a backup lacks, byte by byte as it was signed, and write that into the log.

    Stop the program and put the newest backup of the log back first. From an export the missing entries are taken as
    they are; from the folder of an anchor, which holds hashes only, they are taken from the bus. What comes out must
    be exactly what was signed, else nothing is changed.

    Exit codes: 0 the log is as it was signed, 2 it could not be made so: the sentence says what is lost.

    Example: valvomo audit restore --from /mnt/anchor --reason 'disk replaced' --approver ciso
    """
    settings, clock = load_settings(), SystemClock()
    with opened(settings) as store, closing(open_bus(settings, clock)) as bus, progress() as told:
        refuse_others(store)
        bus.ensure_topics(TOPICS)
        restored = restore(
            store, _evidence(settings, folder, bus), clock.now(), reason=reason, approver=approver, progress=told
        )
    if as_json:
        document = restored.model_dump(mode="json") if restored else {"first": None, "last": None}
        print(json.dumps(document))  # noqa: T201  # the output that was asked for
        return
    said = "The log lacks nothing that was signed; nothing was changed."
    if restored:
        said = (
            f"Entries {restored.first} to {restored.last} are back, taken from the {restored.filled_from}, under the "
            f"root {restored.root}. Start the program: it reads on where the log ends now."
        )
    Console(stderr=True).print(said, soft_wrap=True, markup=False, highlight=False)


def _evidence(settings: Settings, folder: Path, bus: EventBus) -> Evidence:
    paths = [*sorted((folder / NOTES).glob("*")), folder / "checkpoint"]
    notes = [note for path in paths if (note := read_regular(path)) is not None]
    return Evidence(lambda path: read_regular(folder / path), notes, signer_memory(settings), key_ring(settings), bus)
