"""A simulated city through the whole program: what a newcomer sees first.

The simulator speaks the vendors' own interfaces over HTTP, so the real collectors do the real work; the city's own
applications post to the intake like any sender.
"""

import fcntl
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import httpx
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.audit_log.adapters.reviews.sampler import KEY as SAMPLING_KEY
from services.cost_alerts.main import CostService
from services.embedded import Program, wait_for_signal
from services.shared.access import is_loopback
from services.shared.clock import Clock, SystemClock
from services.shared.errors import ConfigurationError
from services.shared.keys import write_key
from services.shared.logs import configure_logs
from services.shared.loops import Loop
from services.shared.serving import listen
from services.shared.settings import Settings, load_settings
from services.simulator.accounts import DemoAccount
from services.simulator.city import EXAMPLE_CITY
from services.simulator.register import CityRegister
from services.simulator.server import Simulator
from services.simulator.telling import stories_told
from services.simulator.telling_governance import OF_OUTPUTS

app = typer.Typer()

MARKER = "this-is-a-demo"
STALLED_SECONDS = 120.0
"""So long nothing moves before the demo gives up; a simulated vendor asks for a second at most."""

QUIET_SECONDS = 2.5
"""So long nothing new must come before all is decided and told: longer than budgets and mails wait between looks."""

LIVE_PAUSE_SECONDS = 5.0
LINE_EVERY_SECONDS = 5.0
"""Where no line can move, progress is a line of its own this often."""

POLL_SECONDS = 20.0

PUBLIC_CONTACT = "kirjaamo@kaupunki.example"
"""Where the demo's public AI register tells people to write."""

ACCOUNT = ("what", "login", "role", "unit", "password")
"""What is told of an account; its password stands nowhere else."""

OPERATORS_OWN = ("data_dir", "host", "port", "log_format")
"""The settings that a demo takes from its operator. All others are the program's own: a demo mails nobody, writes into
nobody's database and asks no real vendor."""

Tell = Callable[[str], None]


@app.command()
def demo(
    days: Annotated[int, typer.Option(min=1, max=730, help="days of history before today")] = 120,
    seed: Annotated[int, typer.Option(help="the same seed gives the same totals")] = 1,
    once: Annotated[bool, typer.Option("--once", help="stop when caught up and print a summary")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the summary as JSON")] = False,
) -> None:
    """Run a fictional Finnish city through the whole program and look at it in a browser.

    It writes into the folder `demo` of VALVOMO_DATA_DIR, anew each time, and listens on VALVOMO_PORT (0: any free one).

    Example: valvomo demo --days 30 --once --json

    Exit codes: 0 shown, 2 it could not be run, 130 interrupted.
    """
    settings = _demo_settings(load_settings())
    configure_logs(settings.log_format, "error")
    with _folder_of_ours(settings):
        _run(settings, days, seed, once=once, as_json=as_json)


def _run(settings: Settings, days: int, seed: int, *, once: bool, as_json: bool) -> None:
    clock = SystemClock()
    with Simulator(EXAMPLE_CITY, seed=seed, days=days, today=clock.now().date()) as city:
        settings = settings.model_copy(update=city.collector_settings())
        with _progress(Console(stderr=True)) as tell, _running(city, settings, clock, tell) as running:
            program, register, accounts = running
            if not once and not as_json:  # whoever watches has the first figures now
                tell("")
                _show(Console(), program.summary())
                _show_accounts(Console(), program, accounts)
            signing_in = [{name: getattr(one, name) for name in ACCOUNT} for one in accounts]
            found = {"seed": seed, "accounts": signing_in, **_gone_on(program, city, register, tell, once=once)}
            if as_json:
                typer.echo(json.dumps(found))
            elif once:
                _show(Console(), found)
            if not as_json:
                _show_stories(Console(), program, found["stories"])
            if not once:
                _stay(city, Console(stderr=True), clock)


def _gone_on(program: Program, city: Simulator, register: CityRegister, tell: Tell, *, once: bool) -> Mapping[str, Any]:
    """Let happen what becomes known late; the figures when all of it is in the ledger."""
    city.go_on(register, program.settings, program.bus, tell)
    _wait_until_caught_up(program, tell)
    city.end(program.settings)
    tell("forecasts are made")
    for service in program.services:
        if isinstance(service, CostService):
            service.look_ahead()
    # Who looks at once need not wait for the mails.
    _wait_until_caught_up(program, tell, QUIET_SECONDS if once else 0.0)
    found = {**program.summary(), "stories": _stories(program, city)}
    tell("")
    return found


class _Running(NamedTuple):
    """A program at work, the city's register, of which more is to come, and who may sign in."""

    program: Program
    register: CityRegister
    accounts: Sequence[DemoAccount]


def _fix_draws(settings: Settings, seed: int) -> None:
    """Let the log draw its samples by a key that the seed gives: the same seed, the same figures.

    A log that is none of a demo makes a key at random; who knows it can foresee the draws.
    """
    folder = settings.data_dir / "keys"
    folder.mkdir(exist_ok=True)
    write_key(folder / SAMPLING_KEY, sha256(f"draws of demo {seed}".encode()).digest())


@contextmanager
def _running(city: Simulator, settings: Settings, clock: Clock, tell: Tell) -> Iterator[_Running]:
    """The program with the city's whole past read, priced and logged."""
    city.collect_past(settings, tell)
    _fix_draws(settings, city.stories.seed)
    program = Program.build(settings, clock=clock)
    register = city.register(settings)
    register.publish_first(program.bus)  # before the start: what comes is priced once
    accounts = city.accounts(settings)
    city.begin_incidents(settings)
    with program:
        city.push_history(program.address, tell)
        _wait_until_caught_up(program, tell)
        yield _Running(program, register, accounts)


def _demo_settings(settings: Settings) -> Settings:
    """The settings of a demo: its own folder, and nothing that reaches beyond this machine.

    Raises:
        ConfigurationError: it would listen where others can reach it, or its port is taken.
    """
    if not is_loopback(settings.host):
        raise ConfigurationError(
            f"found VALVOMO_HOST {settings.host}; expected 127.0.0.1: a demo is open to all who reach it"
        )
    if settings.port:
        listen(settings.host, settings.port).close()  # told now, not when the city's past has been read
    fields = Settings.model_fields
    ours = {name: field.default for name, field in fields.items() if name not in OPERATORS_OWN}
    ours |= {"data_dir": settings.data_dir / "demo", "poll_interval_seconds": POLL_SECONDS}
    ours |= {"public_register": True, "public_contact": PUBLIC_CONTACT}
    return settings.model_copy(update=ours)


@contextmanager
def _folder_of_ours(settings: Settings) -> Iterator[None]:
    """The demo's folder, emptied, and held against a second demo.

    Raises:
        ConfigurationError: it holds something else, is held by another demo, or cannot be made.
    """
    folder = settings.data_dir
    with _translated(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = folder.with_name("demo.lock").open("w")
    with lock:
        with _translated(folder):
            _take(lock.fileno(), folder)
            _empty(folder)
        yield


@contextmanager
def _translated(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(
            f"the demo cannot use {folder} ({error.strerror or type(error).__name__}); "
            "name another folder with VALVOMO_DATA_DIR"
        ) from None


def _take(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigurationError(
            f"found another demo at work in {folder}; stop it, or name another folder with VALVOMO_DATA_DIR"
        ) from None


def _empty(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).exists():
        raise ConfigurationError(f"found files of another kind in {folder}; name another folder with VALVOMO_DATA_DIR")
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    (folder / MARKER).write_text("made by `valvomo demo`; the next demo empties this folder\n")


@contextmanager
def _progress(screen: Console) -> Iterator[Tell]:
    """A line that moves while the past is read; where none can, a line of its own now and then."""
    if not screen.is_terminal or screen.is_dumb_terminal:
        yield _Lines(screen)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=screen, transient=True) as progress:
        task = progress.add_task("the city's past is read")

        def tell(text: str) -> None:
            progress.update(task, description=text, visible=bool(text))

        yield tell


class _Lines:
    """Tells progress in whole lines, the first at once and then not too many."""

    def __init__(self, screen: Console) -> None:
        self._screen = screen
        self._next = 0.0

    def __call__(self, text: str) -> None:
        if text and time.monotonic() >= self._next:
            self._next = time.monotonic() + LINE_EVERY_SECONDS
            self._screen.print(text, soft_wrap=True, highlight=False, markup=False)


def _wait_until_caught_up(program: Program, tell: Tell, quiet_seconds: float = 0.0) -> None:
    """Return when all is read, priced and logged, and nothing new has come for `quiet_seconds`."""
    moved_at, before = time.monotonic(), ""
    with httpx.Client(base_url=program.address, timeout=60) as client:
        while True:
            _stop_on_trouble(program)
            status = client.get("/api/v1/status").json()
            if (now := _how_far(status)) != before:
                moved_at, before = time.monotonic(), now
            if status["caught_up"] and time.monotonic() >= moved_at + quiet_seconds:
                return
            if time.monotonic() > moved_at + STALLED_SECONDS:
                raise ConfigurationError(
                    f"the demo has not moved for {STALLED_SECONDS:.0f} s ({now}); {_behind(status)} is behind. "
                    "See whether this machine has room and time left, and start it again"
                )
            tell(now)
            time.sleep(0.2)


def _behind(status: Mapping[str, Any]) -> str:
    return ", ".join(one["group"] for one in status["consumers"] if one["lag"] + one["pending"])


def _stop_on_trouble(program: Program) -> None:
    stopped = [problem for service in program.services for problem in service.problems() if " stopped" in problem]
    if stopped:
        raise ConfigurationError(f"the demo cannot go on: {stopped[0]}")


def _how_far(status: Mapping[str, Any]) -> str:
    events = sum(topic["end"] for topic in status["topics"].values())
    left = sum(consumer["lag"] + consumer["pending"] for consumer in status["consumers"])
    return f"{events:,} events on the bus, {left:,} steps to go"


def _show(screen: Console, found: Mapping[str, Any]) -> None:
    """What each unit cost, and what awaits somebody."""
    table = Table(title="What AI cost the city", title_justify="left")
    table.add_column("unit")
    table.add_column("EUR", justify="right")
    for unit, eur in sorted(found["by_unit"].items(), key=lambda item: -Decimal(item[1])):
        table.add_row(unit, f"{Decimal(eur):,.2f}")
    table.add_section()
    table.add_row("all", f"{Decimal(found['total_eur']):,.2f}")
    screen.print(table)
    screen.print(
        f"{found['readings']:,} readings, {found['unpriced']:,} of them without a price; "
        f"{found['findings_open']:,} open findings; {found['log_size']:,} entries in the audit log"
    )


def _stories(program: Program, city: Simulator) -> Mapping[str, Any]:
    """The stories' figures before and after; see `stories_told`."""
    with httpx.Client(base_url=program.address, timeout=60) as client:

        def get(path: str) -> str:
            return client.get(path).raise_for_status().text

        return stories_told(get, lambda path: json.loads(get(path)), city.stories, city.model_without_tariff)


def _show_stories(screen: Console, program: Program, stories: Mapping[str, Any]) -> None:
    """One line for each story, with its figures and the command that tells more; and where to look."""
    for name, one in stories.items():
        if one is not None:
            screen.print(f"  {name.replace('_', ' '):<24} {_figures(name, one)}", soft_wrap=True, highlight=False)
    for what, where in _places(program).items():
        screen.print(f"  {what:<24} {where}", soft_wrap=True, highlight=False)


def _show_accounts(screen: Console, program: Program, accounts: Sequence[DemoAccount]) -> None:
    """Who may sign in, and where. Shown once: the database keeps hashes."""
    table = Table(title=f"Sign in at {program.address}/sign-in", title_justify="left")
    for name in ("as", "login", "password"):
        table.add_column(name, overflow="fold")
    for one in accounts:
        table.add_row(one.what, one.login, one.password)
    screen.print(table)


def _figures(name: str, one: Mapping[str, Any]) -> str:
    """A story's figures, what was told to people, and the command that tells more; on one line."""
    said = _FIGURES.get(name, _restated_figures)(one)
    rings = "" if one["rule"] is None else f"; rule {one['rule']}"
    told = "" if one.get("alert") is None else f"; told to {', '.join(one['alert']['recipients'])}"
    return f"{said}{told or rings}; {one['command']}"


def _pool_figures(one: Mapping[str, Any]) -> str:
    dry = "not dry" if one["exhausted_at"] is None else f"dry on {one['exhausted_at'][:10]}"
    return f"{one['used']} of {one['size']} credits in {one['month']}, {dry}"


def _file_figures(one: Mapping[str, Any]) -> str:
    before, after = (sum(Decimal(day[side]) for day in one["days"]) for side in ("before_eur", "after_eur"))
    return f"{_cents(before)} -> {_cents(after)} EUR"


def _restated_figures(one: Mapping[str, Any]) -> str:
    changes = (f"{unit} {_cents(eur)} -> {_cents(one['after_eur'][unit])}" for unit, eur in one["before_eur"].items())
    return f"{', '.join(changes)} EUR"


def _budget_figures(one: Mapping[str, Any]) -> str:
    used = f"{one['budget']} has used {_cents(one['used_eur'])} of {_cents(one['amount_eur'])} EUR"
    ahead = "" if "forecast_eur" not in one else f", will use {_cents(one['forecast_eur']['mid'])}"
    return f"{used}{ahead}, passed {', '.join(one['thresholds']) or 'no threshold'}"


def _licence_figures(one: Mapping[str, Any]) -> str:
    change = one["change"]
    more = "" if change is None else f"; {change['base_before']} prompts before, {change['paid_after']} after a licence"
    return f"{_cents(one['eur_per_active_person'])} EUR for each who used {one['system']}{more}"


def _finding_figures(one: Mapping[str, Any]) -> str:
    closed = "" if one["closed"] is None else f", closed: {one['closed'].replace('_', ' ')}"
    return f"{one['output']}: {one['finding'].replace('_', ' ')} ({one['severity']}{closed})"


def _incident_figures(one: Mapping[str, Any]) -> str:
    clocks = (f"{whom} {state.replace('_', ' ')}" for whom, state in one["clocks"].items())
    return f"{one['incident']} of {one['use_case']}: {', '.join(clocks)}"


def _share_figures(one: Mapping[str, Any]) -> str:
    return ", ".join(f"{unit} {told['in_time']} of {told['due']} in time" for unit, told in one["units"].items())


_FIGURES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "price_rise": lambda one: f"{one['system']} +{_cents(one['monthly_eur'])} EUR a month from {one['from']}",
    "credit_pool": _pool_figures,
    "unit_over_budget": _budget_figures,
    "forecast_over_budget": _budget_figures,
    "idle_seats": lambda one: f"{one['active']:.0f} of {one['purchased']:.0f} active, {one['month_eur']} EUR idle",
    "licences": _licence_figures,
    "source_outage": lambda one: f"{one['source']}: {one['days']} days from {one['first_day']} on",
    "restated_file": _file_figures,
    "model_without_tariff": lambda one: f"{one['model']}: {one['readings']} readings since {one['since']}",
    "contract_ending": lambda one: f"{one['contract']}: {one['days_left']} days left, act by {one['act_by']}",
    "anomaly": lambda one: f"{one['unit']}: {_cents(one['day_eur'])} EUR a day, usually {_cents(one['usual_eur'])}",
    "use_case": lambda one: f"{one['use_case']}: {_cents(one['eur_per_result'])} EUR for one of its results",
    "invoice": lambda one: f"{_cents(one['ledger_eur'])} -> {_cents(one['invoiced_eur'])} EUR in {one['month']}",
    "uncovered_model": lambda one: f"{one['about']} of {one['system']}: no entry of the AI register covers it",
    "incident_told_in_time": _incident_figures,
    "incident_told_late": _incident_figures,
    "sampled_outputs": lambda one: f"{one['drawn']} of {one['outputs']} drawn in {one['period']}",
    "shares_reviewed": _share_figures,
    **dict.fromkeys(OF_OUTPUTS, _finding_figures),
}


def _cents(eur: object) -> str:
    return f"{Decimal(str(eur)):,.2f}"


def _places(program: Program) -> dict[str, str]:
    at, folder = program.address, program.settings.data_dir
    return {
        "units and budgets": f"{at}/",
        "what awaits a reviewer": f"{at}/reviews",
        "findings, shares": f"{at}/findings",
        "the AI register": f"{at}/ai-register",
        "the public AI register": f"{at}/public/ai-register",
        "pools, changes, invoices": f"{at}/ledger",
        "for Prometheus": f"{at}/metrics",
        "for programs": f"{at}/docs",
        "the log, entry by entry": f"{at}/audit",
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
