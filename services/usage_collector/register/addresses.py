"""No e-mail address gets into events, which are kept for good: people belong only where pseudonyms replace them."""

from collections.abc import Iterator, Mapping

from services.usage_collector.intake import looks_like_mail
from services.usage_collector.register.documents import Entry, Path
from services.usage_collector.register.problems import Problem

_REPLACED: Mapping[str, frozenset[Path]] = {
    "placement": frozenset({("person",), ("also",)}),
    "reviewer": frozenset({("reviewer",), ("reports_to",)}),
    "allocation": frozenset({("match", "person")}),
}
"""Kind → the members that are published as pseudonyms."""


def address_problems(kind: str, entry: Entry) -> Iterator[Problem]:
    """E-mail addresses in an entry where they would be published as they are; the sentence does not repeat them."""
    for path, text in _texts((), entry.members):
        if not any(path[: len(replaced)] == replaced for replaced in _REPLACED.get(kind, ())) and looks_like_mail(text):
            yield Problem(
                entry.file,
                entry.line_of(path),
                "mail-address",
                found=f"an e-mail address in {path[0]}",
                expected="none: what is published is kept for good",
                write="write a role, a unit or a record number",
            )


def _texts(path: Path, value: object) -> Iterator[tuple[Path, str]]:
    """Every text in an entry, names of members among them, with where it stands."""
    match value:
        case str():
            yield path, value
        case dict():
            for name, inner in value.items():
                yield from _texts((*path, name), name)
                yield from _texts((*path, name), inner)
        case tuple() | list():
            for position, inner in enumerate(value):
                yield from _texts((*path, position), inner)
