"""YAML files that people write for a what-if, read so that every sentence about them can name a line."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import ValidationError

from services.shared.errors import ConfigurationError
from services.shared.events.envelope import Fact

F = TypeVar("F", bound=Fact)

Value = str | int | bool | date | Sequence["Value"] | Mapping[str, "Value"]
_TAG = "tag:yaml.org,2002:"
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_MOST_BYTES = 1_000_000
_MOST_TOLD = 20
_DEEPEST = 50
_PERSONAL = {"person"}


class _WrongError(Exception):
    """A part of the file cannot be taken: the line, and what to say."""

    def __init__(self, line: int, sentence: str) -> None:
        super().__init__(sentence)
        self.line = line


@dataclass(frozen=True, slots=True)
class Written:
    """A member of the file's top, or an entry of its lists: what it says, and on which line; `lines`: by member."""

    line: int
    value: Value
    lines: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Refusals:
    """Sentences about a file, told all at once."""

    file: str
    told: list[tuple[int, str]] = field(default_factory=list)

    def add(self, line: int, sentence: str) -> None:
        self.told.append((line, sentence))

    def raise_any(self) -> None:
        """Refuse the file when anything is wrong with it.

        Raises:
            ConfigurationError: with every sentence, each with its line.
        """
        told = [f"{self.file}:{line}: {sentence}" for line, sentence in sorted(set(self.told))]
        if told:
            left = len(told) - _MOST_TOLD
            more = [f"and {left} more"] if left > 0 else []
            raise ConfigurationError("\n".join([*told[:_MOST_TOLD], *more]))


def read_members(path: Path, refusals: Refusals) -> Mapping[str, Written]:
    """The members of the top of a YAML file.

    Raises:
        ConfigurationError: it cannot be read, is no YAML, or is not made of named members.
    """
    try:
        root = _composed(_text(path))
        members = _members(root)
    except _WrongError as error:
        refusals.add(error.line, str(error))
        refusals.raise_any()
    found: dict[str, Written] = {}
    for name, (line, node) in members.items():
        try:
            found[name] = Written(line, _value(node), {})
        except _WrongError as error:
            refusals.add(error.line, str(error))
    return found


def read_entries(path: Path, section: str) -> Sequence[Written]:
    """The entries of a list at the top of a file that `read_members` has taken, each with the lines of its members."""
    _, node = _members(_composed(_text(path)))[section]
    if not isinstance(node, yaml.SequenceNode):
        return ()
    return [_entry(child) for child in node.value]


def checked(model: type[F], entry: Written, section: str, refusals: Refusals) -> F | None:
    """The entry as a fact; None, with sentences told, when it is none."""
    if not isinstance(entry.value, Mapping):
        refusals.add(entry.line, f"{section}: found no entry with members; write for example - {{id: …, system: …}}")
        return None
    try:
        return model.model_validate(dict(entry.value))
    except ValidationError as error:
        for one in error.errors(include_url=False, include_context=False):
            _tell(entry, f"{section} {entry.value.get('id', '')}".rstrip(), one["loc"], one, refusals)
        return None


def _tell(entry: Written, name: str, loc: Sequence[int | str], error: Mapping[str, object], refusals: Refusals) -> None:
    member = ".".join(str(part) for part in loc if not isinstance(part, int)) or "its members"
    line = entry.lines.get(str(loc[0]) if loc else "", entry.line)
    said = str(error["msg"]).removeprefix("Value error, ")
    match error["type"]:
        case "missing":
            refusals.add(line, f"{name}: found no {member}; expected one: write it as in the register")
        case "extra_forbidden":
            refusals.add(line, f"{name}: found the member {member[:60]}; expected those of the register: remove it")
        case _:
            value = error.get("input")
            shown = (
                f"{value!r:.60}" if isinstance(value, str | int) and not _PERSONAL & set(map(str, loc)) else "a value"
            )
            refusals.add(line, f"{name}: found {member}: {shown}; expected another: {said[0].lower()}{said[1:]}")


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"{path}: found no file that can be read ({error.strerror}); expected the YAML file of the what-if"
        ) from None
    if len(raw) > _MOST_BYTES:
        raise ConfigurationError(f"{path}: found {len(raw):,} bytes; expected a file of at most {_MOST_BYTES:,}")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: found bytes that are no UTF-8; save the file as UTF-8 text") from None


def _composed(text: str) -> yaml.Node | None:
    try:
        depth = 0
        for event in yaml.parse(text, yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > _DEEPEST:
                line = 0 if event.start_mark is None else event.start_mark.line
                raise _WrongError(line + 1, "found an alias, or brackets without end; write the entries out")
        return yaml.compose(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        raise _WrongError(line, f"found no YAML ({error.problem}); check quotes and indentation before it") from None
    except yaml.YAMLError:
        raise _WrongError(1, "found characters that no YAML has; remove them") from None


def _members(node: yaml.Node | None) -> dict[str, tuple[int, yaml.Node]]:
    if node is None:
        return {}
    if not isinstance(node, yaml.MappingNode):
        raise _WrongError(_line(node), "found no named members; write for example tariffs: and a list below it")
    found: dict[str, tuple[int, yaml.Node]] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.value in found:
            raise _WrongError(
                _line(key), f"found `{key.value!s:.60}` a second time, or no name; write each member once"
            )
        found[key.value] = (_line(key), value)
    return found


def _entry(node: yaml.Node) -> Written:
    lines = {name: line for name, (line, _) in _members(node).items()} if isinstance(node, yaml.MappingNode) else {}
    return Written(_line(node), _value(node), lines)


def _value(node: yaml.Node) -> Value:
    if isinstance(node, yaml.MappingNode):
        return {name: _value(value) for name, (_, value) in _members(node).items()}
    if isinstance(node, yaml.SequenceNode):
        return [_value(child) for child in node.value]
    return _scalar(node)


def _scalar(node: yaml.Node) -> Value:
    text = str(node.value)
    kind = node.tag.removeprefix(_TAG)
    if kind == "str":
        return text
    if kind == "int" and _WHOLE.fullmatch(text):
        return int(text)
    if kind == "bool" and text in ("true", "false"):
        return text == "true"
    if kind == "timestamp" and _DAY.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise _WrongError(_line(node), f"found the day {text}; expected one of the calendar") from None
    raise _WrongError(
        _line(node),
        f"found {text[:60] or 'nothing'} without quotes, which YAML takes for something else; "
        f'expected text: write "{text[:60]}"',
    )


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def lines_of(entries: Sequence[Written], facts: Sequence[Fact | None]) -> Iterator[tuple[Written, Fact]]:
    """Entries beside the facts they are, those that are none left out."""
    for entry, fact in zip(entries, facts, strict=True):
        if fact is not None:
            yield entry, fact
