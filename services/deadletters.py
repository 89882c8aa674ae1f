"""`valvomo dead-letters`: nothing is lost, and a person decides what becomes of it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from services.shared import deadletters
from services.shared.bus import EventBus
from services.shared.bus.open import open_bus
from services.shared.clock import SystemClock
from services.shared.deadletters import Copy, Letter
from services.shared.errors import ConfigurationError
from services.shared.events import TOPICS
from services.shared.logs import configure_logs
from services.shared.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="Records that no retry could help: look at them, send them again.")

AsJson = Annotated[bool, typer.Option("--json", help="print the result as JSON")]
SHOWN_CHARACTERS = 12
"""So much of a letter's id tells it from the others; a prefix is enough to name one."""


@app.command("list")
def list_letters(as_json: AsJson = False) -> None:
    """List the dead letters that nobody has replayed, oldest first.

    Exit codes: 0 none waits, 1 some wait for a person, 2 could not look.

    Example: valvomo dead-letters list --json
    """
    with _bus() as bus:
        letters = deadletters.waiting_letters(bus)
    if as_json:
        print(json.dumps([_plain(letter) for letter in letters], indent=1))  # noqa: T201
    else:
        Console().print(_table(letters) if letters else "no dead letters wait")
    raise typer.Exit(1 if letters else 0)


@app.command()
def show(
    letter: Annotated[str, typer.Argument(help="its id, or how the id begins")],
    as_json: AsJson = False,
) -> None:
    """Show one dead letter with the record as it came, which may hold anything, persons too.

    Exit codes: 0 shown, 2 there is no such letter.

    Example: valvomo dead-letters show 8f2c41d09a7b
    """
    with _bus() as bus:
        (found,) = deadletters.chosen(deadletters.waiting_letters(bus), [letter])
        copy = deadletters.original(bus, found)
    told = _plain(found) | _readable(copy)
    if as_json:
        print(json.dumps(told, indent=1))  # noqa: T201
    else:
        for name, value in told.items():
            Console().print(f"{name}: {value}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def replay(
    letters: Annotated[list[str] | None, typer.Argument(help="their ids, or how the ids begin")] = None,
    everything: Annotated[bool, typer.Option("--all", help="all that wait")] = False,
    as_json: AsJson = False,
) -> None:
    """Publish the records of dead letters again, with their original bytes, to their topics and keys.

    Do it when the program or the register has been mended; who read a record well the first time passes over it.

    Exit codes: 0 published, 2 could not be.

    Example: valvomo dead-letters replay 8f2c41d09a7b
    """
    if bool(letters) == everything:
        raise ConfigurationError("expected the ids of dead letters, or --all: `valvomo dead-letters list` shows them")
    with _bus() as bus:
        waiting = deadletters.waiting_letters(bus)
        count = deadletters.replay(bus, deadletters.chosen(waiting, letters) if letters else waiting, SystemClock().now)
    if as_json:
        print(json.dumps({"replayed": count}))  # noqa: T201
    else:
        Console().print(f"{count} replayed")


@contextmanager
def _bus() -> Iterator[EventBus]:
    settings = load_settings()
    configure_logs(settings.log_format, settings.log_level)  # to standard error: an answer in JSON stays JSON
    bus = open_bus(settings, SystemClock())
    try:
        bus.ensure_topics(TOPICS)
        yield bus
    finally:
        bus.close()


def _table(letters: list[Letter]) -> Table:
    table = Table("id", "group", "topic", "position", "came", "bytes", "tries", "reason")
    for letter in letters:
        table.add_row(
            letter.letter_id[:SHOWN_CHARACTERS],
            letter.group,
            letter.topic,
            f"{letter.partition}/{letter.offset}",
            f"{letter.ingest_time:%Y-%m-%d %H:%M:%S}Z",
            str(letter.length),
            str(letter.attempts),
            letter.reason.replace("[", r"\["),
        )
    return table


def _plain(letter: Letter) -> dict[str, Any]:
    told = asdict(letter)
    return told | {name: told[name].isoformat() for name in ("ingest_time", "set_aside_at")}


def _readable(copy: Copy) -> dict[str, Any]:
    """Bytes as text, with escapes for what a terminal must not be sent."""
    return {"key": _text(copy.key), "value": _text(copy.value)}


def _text(value: bytes) -> str:
    text = value.decode(errors="backslashreplace")
    return "".join(
        character if character.isprintable() or character == "\n" else ascii(character)[1:-1] for character in text
    )
