"""What the ledger's commands open: its database, and a bar for whoever watches long work."""

import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from services.cost_alerts.adapters.tables import METADATA
from services.shared.settings import load_settings
from services.shared.store import Store
from services.shared.store.open import open_store

Tell = Callable[[int, int], None]
"""How much is done, of how much."""


@contextmanager
def opened_ledger() -> Iterator[Store]:
    """The ledger's database as the settings name it.

    Raises:
        ConfigurationError, IncompatibleStoreError: what to change is in the sentence.
    """
    with closing(open_store(load_settings(), "ledger", METADATA)) as store:
        yield store


@contextmanager
def progress(text: str) -> Iterator[Tell]:
    """A bar that moves while somebody watches."""
    columns = (TextColumn(text), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as shown:
        task = shown.add_task(text)

        def tell(done: int, total: int) -> None:
            shown.update(task, completed=done, total=total)

        yield tell
