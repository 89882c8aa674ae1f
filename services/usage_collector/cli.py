"""`valvomo collect`, `valvomo import` and `valvomo register`: what a person does with the collector by hand."""

import json
from collections import Counter as Tally
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from services.shared.bus.open import open_bus
from services.shared.clock import SystemClock
from services.shared.errors import ConfigurationError
from services.shared.events import TOPICS, encode
from services.shared.logs import configure_logs
from services.shared.metrics import SOURCE_ERRORS, counter
from services.shared.periods import day_start
from services.shared.settings import Settings, load_settings
from services.shared.store import Store
from services.shared.store.open import open_store
from services.usage_collector.adapters.people import open_people
from services.usage_collector.adapters.state import CollectorState
from services.usage_collector.adapters.tables import METADATA
from services.usage_collector.import_cli import app as import_app
from services.usage_collector.importing import send_all
from services.usage_collector.main import SOURCES, make_pollers
from services.usage_collector.poller import Collected, Poller
from services.usage_collector.register.cli import app as register_app

app = typer.Typer()
app.add_typer(register_app, name="register")
app.add_typer(import_app)

Vendor = StrEnum("Vendor", list(SOURCES))  # type: ignore[misc]  # the choices are the registry's names
DAY = "%Y-%m-%d"
EARLIEST_YEAR = 2000


@app.command()
def collect(
    source: Annotated[Vendor, typer.Argument(help="the vendor to read now")],
    since: Annotated[
        datetime | None, typer.Option(formats=[DAY], help="read again from this day on, as far as the vendor keeps it")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the events; publish and remember nothing")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="print what was done as JSON; a dry run prints events as lines")
    ] = False,
    believe_empty: Annotated[
        bool, typer.Option("--believe-empty", help="the vendor really took everything back: retract what is gone")
    ] = False,
) -> None:
    """Read one vendor now, once, up to the present.

    A dry run still gives pseudonyms to persons it meets for the first time. Exit codes: 0 read, 2 it could not be read.

    Example: valvomo collect anthropic --since 2026-11-01 --dry-run
    """
    settings, start = load_settings(), _start(since)
    configure_logs(settings.log_format, settings.log_level)
    with closing(open_store(settings, "collector", METADATA)) as store, _progress() as progress:
        done = {
            poller.source.name: poller.collect(
                start,
                dry_run=dry_run,
                believe_empty=believe_empty,
                tell=partial(progress, poller.source.name),
            )
            for poller in _pollers(settings, store, source)
        }
        if not dry_run:
            _publish(settings, store)
    _print(done, dry_run=dry_run, as_json=as_json)


def _start(since: datetime | None) -> datetime | None:
    """The start of the day that was asked for.

    Raises:
        ConfigurationError: no vendor knows anything of that day.
    """
    if since is None:
        return None
    if since.year < EARLIEST_YEAR or since.date() > SystemClock().now().date():
        raise ConfigurationError(
            f"found --since {since.date()}; expected a day between {EARLIEST_YEAR}-01-01 and today"
        )
    return day_start(since.date())


def _pollers(settings: Settings, store: Store, source: str) -> list[Poller]:
    clock = SystemClock()
    state = CollectorState(store)
    people = open_people(settings.data_dir, store)
    return make_pollers(settings, state, people, clock, counter(SOURCE_ERRORS, CollectorRegistry()), only=[source])


def _publish(settings: Settings, store: Store) -> None:
    clock = SystemClock()
    with closing(open_bus(settings, clock)) as bus:
        bus.ensure_topics(TOPICS)
        send_all(store, bus, clock)


def _print(done: dict[str, Collected], *, dry_run: bool, as_json: bool) -> None:
    if dry_run:
        for event in (event for one in done.values() for event in one.events):
            print(encode(event).decode())  # noqa: T201  # the output that was asked for
    elif as_json:
        print(json.dumps({name: _counts(one) for name, one in done.items()}))  # noqa: T201
    else:
        for name, one in done.items():
            kinds = ", ".join(f"{count} {kind}" for kind, count in _kinds(one).items()) or "nothing new"
            Console().print(f"{name}: {one.windows} windows read, {kinds}")


def _counts(one: Collected) -> dict[str, object]:
    return {"windows": one.windows, "facts": one.facts, "events": _kinds(one)}


def _kinds(one: Collected) -> dict[str, int]:
    return dict(sorted(Tally(event.type for event in one.events).items()))


class _Telling:
    """A line that moves while windows are read; silent where nobody watches."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("asking the vendor")

    def __call__(self, name: str, done: Collected) -> None:
        self._bar.update(self._task, description=f"{name}: {done.windows} windows, {len(done.events)} events")


@contextmanager
def _progress() -> Iterator[_Telling]:
    screen = Console(stderr=True)
    columns: Sequence[SpinnerColumn | TextColumn | TimeElapsedColumn] = [
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    ]
    with Progress(*columns, console=screen, disable=not screen.is_terminal, transient=True) as bar:
        yield _Telling(bar)
