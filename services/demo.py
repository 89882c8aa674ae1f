"""A simulated city through the whole program: what a newcomer sees first.

The simulator speaks the vendors' own interfaces over HTTP, so the real collectors do the real work; the city's own
applications post to the intake like any sender.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.embedded import Program, wait_for_signal
from services.shared.clock import Clock, SystemClock
from services.shared.errors import ConfigurationError
from services.shared.logs import configure_logs
from services.shared.loops import Loop
from services.shared.settings import Settings, load_settings
from services.simulator.city import EXAMPLE_CITY
from services.simulator.server import Simulator
from services.usage_collector.register.cli import publish_folder

app = typer.Typer()

MARKER = "this-is-a-demo"
CATCH_UP_SECONDS = 900.0
LIVE_PAUSE_SECONDS = 5.0
POLL_SECONDS = 20.0

Tell = Callable[[str], None]


@app.command()
def demo(
    days: Annotated[int, typer.Option(min=1, max=730, help="days of history before today")] = 120,
    seed: Annotated[int, typer.Option(help="the same seed gives the same totals")] = 1,
    once: Annotated[bool, typer.Option("--once", help="stop when caught up and print a summary")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the summary as JSON")] = False,
) -> None:
    """Run a fictional Finnish city through the whole program and look at it in a browser.

    Example: valvomo demo --days 30 --once --json
    """
    settings = _demo_settings(load_settings())
    configure_logs(settings.log_format, "error")
    screen, clock = Console(stderr=True), SystemClock()
    with Simulator(EXAMPLE_CITY, seed=seed, days=days, today=clock.now().date()) as city:
        settings = settings.model_copy(update=city.collector_settings())
        with _progress(screen) as tell, _running(city, settings, clock, tell) as program:
            found = {"seed": seed, **program.summary()}
            tell("")
            if as_json:
                typer.echo(json.dumps(found))
            else:
                _show(screen, program, found)
            if not once:
                _stay(city, screen, clock)


@contextmanager
def _running(city: Simulator, settings: Settings, clock: Clock, tell: Tell) -> Iterator[Program]:
    """The program with the city's whole past read, priced and logged."""
    city.collect_past(settings, tell)
    program = Program.build(settings, clock=clock)
    publish_folder(EXAMPLE_CITY, settings, program.bus, clock)  # before the start: what comes is priced once
    with program:
        city.push_history(program.address, tell)
        _wait_until_caught_up(program, tell)
        yield program


def _demo_settings(settings: Settings) -> Settings:
    """Settings of a demo: its own folder, made anew each time, and never somebody's real data."""
    folder = settings.data_dir / "demo"
    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).exists():
        raise ConfigurationError(f"found files of another kind in {folder}; name another folder with VALVOMO_DATA_DIR")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARKER).write_text("made by `valvomo demo`; the next demo empties this folder\n")
    return settings.model_copy(update={"data_dir": folder, "bus": "sqlite", "poll_interval_seconds": POLL_SECONDS})


@contextmanager
def _progress(screen: Console) -> Iterator[Tell]:
    """A line that moves while the past is read; on no terminal, one line now and then."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=screen, disable=not screen.is_terminal, transient=True) as progress:
        task = progress.add_task("the city's past is read")

        def tell(text: str) -> None:
            progress.update(task, description=text, visible=bool(text))

        yield tell


def _wait_until_caught_up(program: Program, tell: Tell) -> None:
    deadline = time.monotonic() + CATCH_UP_SECONDS
    with httpx.Client(base_url=program.address, timeout=60) as client:
        while not (status := client.get("/api/v1/status").json())["caught_up"]:
            _stop_on_trouble(program)
            if time.monotonic() > deadline:
                raise ConfigurationError(f"the demo did not catch up within {CATCH_UP_SECONDS:.0f} s on this machine")
            tell(_how_far(status))
            time.sleep(0.2)


def _stop_on_trouble(program: Program) -> None:
    stopped = [problem for service in program.services for problem in service.problems() if " stopped" in problem]
    if stopped:
        raise ConfigurationError(f"the demo cannot go on: {stopped[0]}")


def _how_far(status: Mapping[str, Any]) -> str:
    events = sum(topic["end"] for topic in status["topics"].values())
    left = sum(consumer["lag"] + consumer["pending"] for consumer in status["consumers"])
    return f"{events:,} events on the bus, {left:,} steps to go"


def _show(screen: Console, program: Program, found: Mapping[str, Any]) -> None:
    """The figures, and where to look."""
    table = Table(title="What AI cost the city", title_justify="left")
    table.add_column("unit")
    table.add_column("EUR", justify="right")
    for unit, eur in sorted(found["by_unit"].items(), key=lambda item: -float(item[1])):
        table.add_row(unit, f"{float(eur):,.2f}")
    table.add_section()
    table.add_row("all", f"{float(found['total_eur']):,.2f}")
    screen.print(table)
    screen.print(
        f"{found['readings']:,} readings, {found['unpriced']:,} of them without a price; "
        f"{found['findings_open']:,} open findings; {found['log_size']:,} entries in the audit log"
    )
    for what, where in _places(program).items():
        screen.print(f"  {what:<22} {where}", soft_wrap=True, highlight=False)


def _places(program: Program) -> dict[str, str]:
    at, folder = program.address, program.settings.data_dir
    return {
        "units and budgets": f"{at}/",
        "for Prometheus": f"{at}/metrics",
        "for programs": f"{at}/docs",
        "the log's checkpoint": f"{at}/log/checkpoint",
        "mails of alerts": f"{folder / 'mail'}",
    }


def _stay(city: Simulator, screen: Console, clock: Clock) -> None:
    def step() -> float:
        city.live_step(clock.now())
        return LIVE_PAUSE_SECONDS

    live = Loop("live traffic", step)
    live.start()
    screen.print("Live traffic runs; stop with Ctrl-C.")
    try:
        wait_for_signal()
    finally:
        live.stop()
