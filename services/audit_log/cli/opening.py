"""What several commands need alike: the log's database, a progress bar, the answer as JSON."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from services.audit_log.adapters.tables import METADATA
from services.shared.settings import Settings
from services.shared.store import Store
from services.shared.store.open import open_store

MAX_INDEX = 2**63 - 1
"""What the database can count to."""

READER = "command"
"""Who reads: whoever may work on the server."""

AsJson = Annotated[bool, typer.Option("--json", help="print the result as JSON")]


@contextmanager
def opened(settings: Settings, *, guarded: bool = True) -> Iterator[Store]:
    """The log's database; not `guarded`: for an administrator's ceremony."""
    store = open_store(settings, "log", METADATA, guarded=guarded)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def progress(what: str = "entries") -> Iterator[Callable[[int, int | None], None]]:
    """Told (entries done, entries in all), or of `what` else there is; a bar where a person watches."""
    screen = Console(stderr=True)
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, disable=not screen.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
