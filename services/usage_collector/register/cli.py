"""`valvomo register`: check a folder, compare it with what is published, publish it, seed it with list prices."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from services.shared.bus import EventBus
from services.shared.bus.open import open_bus
from services.shared.clock import Clock, SystemClock
from services.shared.errors import ConfigurationError
from services.shared.events import REGISTER
from services.shared.periods import helsinki_day
from services.shared.settings import Settings, load_settings
from services.shared.store.open import open_store
from services.usage_collector.adapters.people import open_people
from services.usage_collector.adapters.tables import METADATA
from services.usage_collector.register.approval import propose, publish_at_once, waiting_changes
from services.usage_collector.register.approval_cli import approve, person_id, proposals, reason_of
from services.usage_collector.register.facts import Facts, Signed
from services.usage_collector.register.folder import Folder, load_folder
from services.usage_collector.register.problems import Problem
from services.usage_collector.register.proposals import Proposed
from services.usage_collector.register.publish import Publication
from services.usage_collector.register.publish import publish as publish_facts
from services.usage_collector.register.telling import (
    DIFFERENT,
    change_rows,
    print_json,
    problem_row,
    say,
    say_changes,
    sentences,
    tell_warnings,
)
from services.usage_collector.register.versions import changes, read_held
from services.usage_collector.source import Who

app = typer.Typer(no_args_is_help=True, help="The city's register: units, systems, prices, budgets, people, policies.")
app.command()(proposals)
app.command()(approve)

DirArgument = Annotated[
    Path | None, typer.Argument(metavar="[DIR]", help="The register folder; VALVOMO_REGISTER_DIR when left out")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs")]


@app.command()
def check(folder: DirArgument = None, as_json: JsonOption = False) -> None:
    """Validate a register folder; nothing is published.

    Example: valvomo register check deploy/example-city

    Exit codes: 0 it can be published, 1 it cannot (each problem with file, line and what to write), 2 no folder given.
    """
    with sentences(as_json=as_json):
        found = load_folder(_folder(folder, load_settings()), today=_today())
        tell_warnings(found.warnings, as_json=as_json)
        counts = {kind: count for kind, count in found.entries.items() if count}
        if as_json:
            print_json(
                {"problems": [], "warnings": [problem_row(warning) for warning in found.warnings], "facts": counts}
            )
        else:
            say(
                f"{len(found.facts)} facts can be published: "
                + ", ".join(f"{count} {kind}" for kind, count in counts.items())
            )


@app.command()
def diff(folder: DirArgument = None, as_json: JsonOption = False) -> None:
    """Compare a folder with what is published: + new, ~ changed, - gone.

    Example: valvomo register diff deploy/example-city

    Exit codes: 0 the same, 1 different or refused, 2 not compared: the bus or the database is away.
    """
    with sentences(as_json=as_json), _opened(folder) as (found, bus):
        held = read_held(bus)
        rows = change_rows(changes(held.facts, found.facts), held.facts)
        if as_json:
            print_json({"version": held.version, "changes": rows})
        else:
            say_changes(rows)
            say(f"{len(rows)} changes to version {held.version}" if rows else f"version {held.version} is this folder")
        if rows:
            raise typer.Exit(DIFFERENT)


@app.command()
def publish(
    folder: DirArgument = None,
    author: Annotated[
        str | None, typer.Option(metavar="ID", help="Who publishes: a role or user id, never a name")
    ] = None,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why; it is kept for good, so no names")] = None,
    as_json: JsonOption = False,
) -> None:
    """Publish what changed, as one new version of the register. Nothing changed: nothing is published.

    With VALVOMO_REGISTER_APPROVAL, changes of tariffs, contracts and budgets are proposed to a second person instead.

    Example: valvomo register publish deploy/example-city --author u4711 --reason "price list of October"

    Exit codes: 0 published, proposed or nothing to do, 1 refused, 2 the bus is away or somebody else publishes.
    """
    with sentences(as_json=as_json):
        signed = Signed(author=person_id(author, "--author"), reason=reason_of(reason))
        with _opened(folder) as (found, bus):
            tell_warnings(found.warnings, as_json=as_json)
            done, waiting = _publish(found.facts, bus, signed)
            if as_json:
                print_json(_published_row(done, waiting, found.warnings))
            else:
                _say_published(done, waiting)


def _publish(facts: Facts, bus: EventBus, signed: Signed) -> tuple[Publication, Proposed | None]:
    if not load_settings().register_approval:
        return publish_facts(facts, bus, SystemClock(), signed), None
    if signed.author is None and waiting_changes(read_held(bus).facts, facts):
        raise ConfigurationError(
            "found no --author; expected one, as a second person must approve tariffs, contracts and budgets "
            "(VALVOMO_REGISTER_APPROVAL); write for example --author u4711"
        )
    done = publish_at_once(facts, bus, SystemClock(), signed)
    waiting = None if signed.author is None else propose(facts, bus, SystemClock(), signed.author, signed.reason)
    return done, waiting


def _published_row(done: Publication, waiting: Proposed | None, warnings: Sequence[Problem]) -> Mapping[str, Any]:
    return {
        "version": done.version,
        "changes": done.changes,
        "digest": done.digest,
        "proposal": None if waiting is None else waiting.fact.model_dump(mode="json"),
        "warnings": [problem_row(warning) for warning in warnings],
    }


def _say_published(done: Publication, waiting: Proposed | None) -> None:
    if done.changes:
        say(f"version {done.version}: {done.changes} changes")
    elif waiting is None:
        say(f"nothing changed; version {done.version} holds")
    if waiting is not None:
        name = waiting.fact.proposal
        say(
            f"proposal {name} by {waiting.fact.author}: {len(waiting.changes)} changes wait for a second person; "
            f"valvomo register approve {name} --as ID"
        )


@app.command()
def seed(  # noqa: PLR0917  # options of a command line
    folder: DirArgument = None,
    system: Annotated[str, typer.Option(help="The system that gets the tariffs, as in systems.yaml")] = "claude-api",
    vendor: Annotated[str, typer.Option(help="Whose list prices")] = "anthropic",
    sku: Annotated[
        list[str] | None,
        typer.Option(help="A model as the vendor reports it; repeat for more. The usual ones when left out"),
    ] = None,
    valid_from: Annotated[
        str,
        typer.Option(
            metavar="DAY", help="First day (UTC) on which today's prices hold; 1 January of this year when left out"
        ),
    ] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Write over the file when there is one")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write tariffs/VENDOR.yaml from the list prices in the package genai-prices, for people to check and publish.

    Example: valvomo register seed deploy/example-city --system claude-api

    Exit codes: 0 written, 2 not written.
    """
    from services.usage_collector.register import seeds  # noqa: PLC0415  # its data take a while to load

    with sentences(as_json=as_json):
        target = _folder(folder, load_settings()) / "tariffs" / f"{vendor}.yaml"
        if target.exists() and not replace:
            raise ConfigurationError(
                f"found {target} already; expected no such file; "
                "add --replace to write over it, then look at `valvomo register diff`"
            )
        found = seeds.seed(vendor, system, sku or (), valid_from=_day(valid_from), checked_on=_today())
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(seeds.seed_file(vendor, found), encoding="utf-8")
        if as_json:
            print_json({"file": str(target), "tariffs": len(found.tariffs), "left_out": list(found.left_out)})
        else:
            for sentence in found.left_out:
                say(f"left out: {sentence}")
            say(
                f"{len(found.tariffs)} tariffs written to {target}; compare them with the vendor's prices, then publish"
            )


def publish_folder(folder: Path, settings: Settings, bus: EventBus, clock: Clock) -> Publication:
    """Make `folder` the register in force, with pseudonyms from the collector's table; nobody is asked to approve.

    Raises:
        RegisterRefusedError: the folder has problems; nothing was published.
        TransientError: the bus or the database is away, or somebody else is publishing.
    """
    with _people(settings) as who:
        return publish_facts(load_folder(folder, today=helsinki_day(clock.now()), who=who).facts, bus, clock)


@contextmanager
def _opened(folder: Path | None) -> Iterator[tuple[Folder, EventBus]]:
    """The folder with true pseudonyms, and the bus; both databases are closed afterwards."""
    settings = load_settings()
    path = _folder(folder, settings)
    load_folder(path, today=_today())  # refused before any database is made
    bus = open_bus(settings, SystemClock())
    try:
        bus.ensure_topics((REGISTER,))
        with _people(settings) as who:
            yield load_folder(path, today=_today(), who=who), bus
    finally:
        bus.close()


@contextmanager
def _people(settings: Settings) -> Iterator[Who]:
    store = open_store(settings, "collector", METADATA)
    try:
        yield open_people(settings.data_dir, store).pseudonyms
    finally:
        store.close()


def _folder(given: Path | None, settings: Settings) -> Path:
    folder = given or settings.register_dir
    if folder is None:
        raise ConfigurationError(
            "found no register folder; expected DIR or the setting VALVOMO_REGISTER_DIR; "
            "write for example: valvomo register check deploy/example-city"
        )
    return folder


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text) if text else _today().replace(month=1, day=1)
    except ValueError:
        raise ConfigurationError(
            f"found --valid-from {text!r}; expected a day; write for example --valid-from 2026-01-01"
        ) from None


def _today() -> date:
    return helsinki_day(SystemClock().now())
