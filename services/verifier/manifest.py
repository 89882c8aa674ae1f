"""The manifest of an extract: what it says of itself.

It is not signed. What it says is compared with what is there; what nothing can show (that a matter has no further
entries) it says itself.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

FORMAT = "valvomo.audit.extract.v1"
MANIFEST = "manifest.json"
ENTRIES, TABLE, CONSISTENCY = FILES = ("entries.jsonl", "entries.csv", "consistency.jsonl")

Scope = Literal["range", "matter"]

_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MEMBERS: Mapping[str, type | tuple[type, ...]] = {
    "format": str,
    "scope": str,
    "asked": dict,
    "first": (int, type(None)),
    "last": (int, type(None)),
    "entries": int,
    "complete": bool,
    "checkpoint": str,
    "files": dict,
}


class ExtractError(ValueError):
    """A line or a manifest is not what it must be; the sentence says how."""


class FileSum(NamedTuple):
    """What the manifest says about a file: SHA-256 in hex, and its lines."""

    sha256: str
    lines: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an extract says of itself.

    Attributes:
        asked: the filters, in words.
        first: the first index asked for (range) or found (matter); None: nothing was found.
        last: likewise the last; inclusive.
        entries: how many there are.
        complete: whether the extract shows that nothing between `first` and `last` was left out. Only of a range.
    """

    scope: Scope
    asked: Mapping[str, str]
    first: int | None
    last: int | None
    entries: int
    files: Mapping[str, FileSum]

    @property
    def complete(self) -> bool:
        return self.scope == "range"

    def encode(self) -> bytes:
        members = {
            "format": FORMAT,
            "scope": self.scope,
            "asked": dict(self.asked),
            "first": self.first,
            "last": self.last,
            "entries": self.entries,
            "complete": self.complete,
            "checkpoint": "checkpoint",
            "files": {name: found._asdict() for name, found in self.files.items()},
        }
        return (json.dumps(members, ensure_ascii=False, indent=2) + "\n").encode(errors="backslashreplace")


def parse_manifest(data: bytes) -> Manifest:
    """What a manifest says.

    Raises:
        ExtractError: it is not of this format, or written otherwise than this format writes it.
    """
    try:
        members = json.loads(data)
    except (ValueError, RecursionError):
        raise ExtractError("the manifest is not JSON") from None
    if not isinstance(members, dict) or members.get("format") != FORMAT:
        raise ExtractError(f"the manifest is not of the format {FORMAT}; a newer verifier may read it")
    if list(members) != list(_MEMBERS) or not all(_is(members[name], kind) for name, kind in _MEMBERS.items()):
        raise ExtractError(f"the manifest has other members than {', '.join(_MEMBERS)}")
    if not all(isinstance(value, str) for value in members["asked"].values()):
        raise ExtractError("the manifest's filters are not texts")
    found = Manifest(
        _scope(members["scope"]), members["asked"], members["first"], members["last"], members["entries"],
        {name: _file_sum(said) for name, said in members["files"].items()},
    )  # fmt: skip
    if tuple(found.files) != FILES or found.encode() != data:
        raise ExtractError("the manifest is not written the way this format writes it, or names other files")
    return found


def _is(value: object, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _scope(text: str) -> Scope:
    if text == "range":
        return "range"
    if text == "matter":
        return "matter"
    raise ExtractError("the manifest's scope is neither range nor matter")


def _file_sum(said: object) -> FileSum:
    if not isinstance(said, dict) or list(said) != ["sha256", "lines"] or not _is(said["lines"], int):
        raise ExtractError("the manifest says about a file other things than sha256 and lines")
    if not isinstance(said["sha256"], str) or _HEX.fullmatch(said["sha256"]) is None:
        raise ExtractError("the manifest names a SHA-256 that is not 64 hex digits")
    return FileSum(said["sha256"], said["lines"])
