"""`valvomo person`: what is kept about somebody, for themselves; and making them nobody, for good.

Only the collector knows who is behind a pseudonym. Everything else is found by the pseudonym: on the bus, and by its
entry in the audit log.
"""

import csv
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from services.audit_log.adapters.entries import entries_named
from services.audit_log.adapters.tables import METADATA as LOG
from services.audit_log.cli.opening import progress
from services.shared.bus import EventBus
from services.shared.bus.open import open_bus
from services.shared.clock import SystemClock
from services.shared.errors import ConfigurationError, PlatformError
from services.shared.events import GOVERNANCE, REGISTER, USAGE
from services.shared.periods import timestamp
from services.shared.settings import Settings, load_settings
from services.shared.store import Store
from services.shared.store.open import open_store
from services.usage_collector.adapters.people import open_people
from services.usage_collector.adapters.tables import METADATA
from services.usage_collector.erasing import Subject, erase, find_subject, overwrite_traces, tell_of_export
from services.usage_collector.people import normalised

app = typer.Typer()
person = typer.Typer(no_args_is_help=True, help="What is kept about a person: hand it out, or make them nobody.")
app.add_typer(person, name="person")

TOPICS = (USAGE.name, GOVERNANCE.name, REGISTER.name)
_AT_ONCE = 2_000
_ENTRIES_AT_ONCE = 500
_PEOPLE = "people.csv"
_WORDS = re.compile(r"[^\s,;{}\[\]\"']+")

Who = Annotated[str, typer.Argument(help="an address or a vendor's id as a source tells it, or a pseudonym (p-…)")]
Approver = Annotated[str, typer.Option(help="the role that has decided it, for example data-protection-officer")]


@dataclass(slots=True)
class Kept:
    """An event that names the person, as it stands on the bus, and its entry in the log."""

    topic: str
    event: Mapping[str, Any]
    entry: int | None = None


@person.command()
def export(
    who: Who,
    output: Annotated[Path, typer.Option(help="a new file, which only its owner may read")],
) -> None:
    """Write what is kept about a person into a file, for them: every event that names their pseudonym.

    The file is JSON with its headings in Finnish, Swedish and English. It holds personal data: hand it over by a safe
    way and delete it. That it was made is an entry of the audit log, by key id.

    Exit codes: 0 written, 2 nobody of that name is known, or it could not be written.

    Example: valvomo person export aino.virtanen@example.org --output aino.json
    """
    settings, clock = load_settings(), SystemClock()
    if output.exists():
        raise ConfigurationError(f"there is a file {output.name} already; nothing was written, choose a new name")
    with _collector(settings) as store, closing(open_bus(settings, clock)) as bus:
        subject = find_subject(store, open_people(settings.data_dir, store), who)
        with progress("events") as told:
            kept = list(events_about(bus, subject.pseudonyms, told))
        problem = add_entries(settings, kept)
        _write_new(output, document(subject, kept, clock.now()))
        tell_of_export(store, subject, clock.now())
    said = f"{len(kept)} events about this person were written to {output.name}"
    _say(said if problem is None else f"{said}; entries of the log are not named: {problem}")


@person.command(name="erase")
def erase_person(
    who: Who,
    legal_basis: Annotated[str, typer.Option(help="for example 'GDPR 17(1)(b)'; it is kept in the log")],
    approver: Approver,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
) -> None:
    """Destroy who is behind a pseudonym: nobody can say afterwards whose events these are.

    Totals, the audit log and its proofs stay as they are, and the pseudonym stays in them as nobody's. Should a source
    tell of this person again, they are somebody new. The erasure is an entry of the log, by key id.

    Exit codes: 0 erased, 1 erased, but the register's folder still names them, 2 not erased.

    Example: valvomo person erase aino.virtanen@example.org --legal-basis 'GDPR 17(1)(b)' --approver dpo
    """
    settings = load_settings()
    with _collector(settings) as store:
        subject = find_subject(store, open_people(settings.data_dir, store), who)
        if not yes:
            _ask(subject)
        erase(store, subject, legal_basis=legal_basis, approver=approver, now=SystemClock().now())
        overwritten = overwrite_traces(store)
    told = "key id" if len(subject.key_ids) == 1 else "key ids"
    _say(f"erased; the log will tell it by the {told} {', '.join(subject.key_ids)}")
    if not overwritten:
        _say(
            "The database may keep the deleted bytes for a while in unused parts of its files (docs/persons.md): they "
            "name nobody to whoever lacks people.key"
        )
    if names_person(settings, {who, subject.identity or who}):
        _say(
            f"{_PEOPLE} or a YAML file in the register's folder still names this person: remove the row or the entry "
            "and publish the register, or they are met anew at the next publication"
        )
        raise typer.Exit(1)


def events_about(bus: EventBus, pseudonyms: Sequence[str], told: Callable[[int, int], None]) -> Iterator[Kept]:
    """Every event of usage, governance and register that names one of these, in the order of their partitions."""
    ends = bus.end_positions(TOPICS)
    read, whole = 0, sum(ends.values())
    wanted = [f'"{pseudonym}"'.encode() for pseudonym in pseudonyms]
    for partition, end in sorted(ends.items()):
        offset = 0
        while offset < end and (records := bus.read(partition, offset, _AT_ONCE)):
            offset = records[-1].offset + 1
            told(read := read + len(records), whole)
            for record in records:
                if any(name in record.value for name in wanted):
                    yield Kept(record.topic, json.loads(record.value))


def add_entries(settings: Settings, kept: Sequence[Kept]) -> str | None:
    """Name the log's entry of each event; why that could not be done."""
    try:
        if settings.store.get_secret_value() == "sqlite" and not (settings.data_dir / "log.db").exists():
            raise ConfigurationError("found no log.db in VALVOMO_DATA_DIR; ask where the log is kept")
        with closing(open_store(settings, "log", LOG)) as store, store.reading() as connection:
            for start in range(0, len(kept), _ENTRIES_AT_ONCE):
                some = kept[start : start + _ENTRIES_AT_ONCE]
                found = entries_named(connection, [_name(one.event) for one in some])
                for one in some:
                    one.entry = found.get(_name(one.event))
    except PlatformError as error:
        return str(error)
    return None


def _name(event: Mapping[str, Any]) -> tuple[str, str]:
    return event["source"], event["id"]


_HEADINGS = {
    "fi": "Nämä tiedot Valvomo säilyttää sinusta. Kukaan muu kuin kerääjä ei tiedä, kenen tunniste on.",
    "sv": "Detta har Valvomo sparat om dig. Ingen annan än insamlaren vet vem pseudonymen hör till.",
    "en": "This is what Valvomo keeps about you. Nobody but the collector knows whose pseudonym it is.",
}
_TOPIC_NAMES = {
    USAGE.name: {"fi": "Käyttö", "sv": "Användning", "en": "Use"},
    GOVERNANCE.name: {"fi": "Tuotokset ja tarkastus", "sv": "Resultat och granskning", "en": "Outputs and reviews"},
    REGISTER.name: {"fi": "Rekisterin tiedot", "sv": "Registrets uppgifter", "en": "Register"},
}


def document(subject: Subject, kept: Sequence[Kept], now: datetime) -> dict[str, Any]:
    """What a data subject is given (GDPR 15 and 20)."""
    return {
        "about": _HEADINGS,
        "made_at": timestamp(now),
        "identity": subject.identity,
        "pseudonym": subject.pseudonym,
        "other_pseudonyms": list(subject.others),
        "ids_known": subject.ids,
        "kept": [{"topic": topic, "heading": _TOPIC_NAMES[topic], "events": _shown(kept, topic)} for topic in TOPICS],
    }


def _shown(kept: Sequence[Kept], topic: str) -> list[dict[str, Any]]:
    return [{"log_entry": one.entry, **one.event} for one in kept if one.topic == topic]


def names_person(settings: Settings, names: set[str]) -> bool:
    """Whether the register's folder on this machine still holds one of these names."""
    if settings.register_dir is None:
        return False
    texts = {
        path.name: _text(path) for path in (settings.register_dir / _PEOPLE, *settings.register_dir.glob("*.yaml"))
    }
    cells = [cell for row in csv.reader(texts.pop(_PEOPLE).replace(";", ",").splitlines()) for cell in row]
    parts = [*cells, *(part for cell in cells for part in cell.split())]  # `also` has ids with blanks between
    held = {normalised(part) for part in (*parts, *(word for text in texts.values() for word in _WORDS.findall(text)))}
    return not held.isdisjoint(normalised(name) for name in names)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return ""


def _ask(subject: Subject) -> None:
    _say(
        f"Goes, for good: who {' and '.join(subject.pseudonyms)} is ({subject.ids} ids lead there). Stays: every "
        "total, every entry of the log and its proof, with a pseudonym that is nobody's. Backups: see docs/persons.md."
    )
    typer.confirm("Erase this person?", abort=True, err=True)


def _write_new(path: Path, told: Mapping[str, Any]) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigurationError(
            f"there is a file {path.name} already; nothing was written, choose a new name"
        ) from None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(told, file, ensure_ascii=False, indent=1)
        file.write("\n")


@contextmanager
def _collector(settings: Settings) -> Iterator[Store]:
    if settings.store.get_secret_value() == "sqlite" and not (settings.data_dir / "collector.db").exists():
        raise ConfigurationError("found no collector.db in VALVOMO_DATA_DIR; ask where the collector runs")
    with closing(open_store(settings, "collector", METADATA)) as store:
        yield store


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)  # noqa: T201  # for the person at the terminal
