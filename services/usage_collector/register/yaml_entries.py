"""Reads a YAML list into entries that remember the line of every member.

YAML guesses types: `no` becomes false, `2.50` a binary fraction, `0301005` an octal number. Here a guess that could
lose anything is refused, with the line and what to write instead.
"""

import re
from dataclasses import dataclass
from datetime import date

import yaml

from services.usage_collector.register.documents import Entry, Notes, Path
from services.usage_collector.register.problems import Code

_TAG = "tag:yaml.org,2002:"
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_MOMENT = re.compile(
    r"(19|2[0-9])[0-9]{2}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})",
    re.ASCII,
)
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}", re.ASCII)
_LIST = "a list of entries"
_SWITCHES = {
    "annex_iii_only", "carries_over", "indirect", "one_click", "profiling", "public", "renews", "training_required",
}  # fmt: skip
"""The members that are meant to be true or false; anywhere else that is a text somebody forgot to quote."""
_NAMES_LIKE_SWITCHES = {"off", "on"}
"""A discount's member and a day's, which YAML takes for false and true."""
_MOMENTS = {"suspended_from", "resumed_at"}
"""The members that are a moment, with its time zone: without one nobody knows which."""
_FAST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEEPEST = 100
"""Levels of brackets and indentation; beyond, the fast reader would not raise an error but end the process."""


def read_entries(text: str, notes: Notes) -> list[Entry]:
    """The entries of one YAML file, those with a problem of their own marked as not `sound`."""
    root = None if _tabs_refused(text, notes) else _composed(text, notes)
    if root is None:
        return []
    if not isinstance(root, yaml.SequenceNode):
        mend = "write each entry as a line that begins with -"
        notes.refuse(_line(root), "not-a-list", found=_shape(root), expected=_LIST, write=mend)
        return []
    return [entry for node in root.value if (entry := _entry(node, notes)) is not None]


def _tabs_refused(text: str, notes: Notes) -> bool:
    indented = ((number, line[: len(line) - len(line.lstrip())]) for number, line in enumerate(text.splitlines(), 1))
    lines = [number for number, indent in indented if "\t" in indent]
    for number in lines:
        notes.refuse(
            number, "tab", found="a tab before the text", expected="spaces", write="write two spaces for the tab"
        )
    return bool(lines)


def _composed(text: str, notes: Notes) -> yaml.Node | None:
    """The document's root; None when it is empty or refused."""
    try:
        return _read(text, notes, _FAST)
    except (yaml.YAMLError, RecursionError):
        return _explained(text, notes)


def _read(text: str, notes: Notes, loader: type[yaml.SafeLoader]) -> yaml.Node | None:
    return None if _features_refused(text, notes, loader) else yaml.compose(text, loader)


def _explained(text: str, notes: Notes) -> yaml.Node | None:
    """The slower reader once more: its sentences are the better ones."""
    try:
        return _read(text, notes, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(filter(None, (error.context, error.problem))).replace("\n", " ")
        mend = "check quotes, brackets and indentation just before"
        line = mark.line + 1 if mark is not None else 1
        notes.refuse(line, "not-yaml", found=f"no YAML ({said})", expected=_LIST, write=mend)
    except (yaml.YAMLError, RecursionError):
        found = "control characters, or brackets without end"
        notes.refuse(1, "not-yaml", found=found, expected=_LIST, write="remove them from the file")
    return None


def _features_refused(text: str, notes: Notes, loader: type[yaml.SafeLoader]) -> bool:
    before = len(notes.problems)
    for event in _events(text, loader):
        anchor = getattr(event, "anchor", None)
        if anchor or getattr(event, "tag", None):
            alias = isinstance(event, yaml.AliasEvent)
            found = f"the alias *{anchor}" if alias else f"the anchor &{anchor}" if anchor else "a type tag"
            line = event.start_mark.line + 1  # type: ignore[union-attr]  # every event of a text has a mark
            notes.refuse(line, "yaml-feature", found=found, expected="plain entries", write="write the text itself")
    return len(notes.problems) > before


def _events(text: str, loader: type[yaml.SafeLoader]) -> list[yaml.Event]:
    """All of them, before any is looked at: what is no YAML is told once, and nothing too deep is composed."""
    found: list[yaml.Event] = []
    depth = 0
    for event in yaml.parse(text, loader):
        found.append(event)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise RecursionError
    return found


def _entry(node: yaml.Node, notes: Notes) -> Entry | None:
    if not isinstance(node, yaml.MappingNode):
        mend = "write for example - {id: kymp, valid_from: 2026-01-01}"
        notes.refuse(_line(node), "not-an-entry", found=_shape(node), expected="an entry with members", write=mend)
        return None
    before = len(notes.problems)
    lines: dict[Path, int] = {}
    members = _Converter(notes, lines).mapping(node, ())
    return Entry(notes.file, _line(node), members, lines, sound=len(notes.problems) == before)


@dataclass(frozen=True, slots=True)
class _Converter:
    """Turns the nodes of one entry into str, int, date, dict and tuple; notes what it refuses and leaves it out."""

    notes: Notes
    lines: dict[Path, int]

    def mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, object]:
        members: dict[str, object] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key is None:
                continue
            if key in members:
                found = f"`{key}` a second time in one entry"
                self._refuse(key_node, "duplicate-member", found, "each member once", "remove one of the two")
                continue
            self.lines[(*path, key)] = _line(key_node)
            members[key] = self._value(value_node, (*path, key))
        return members

    def _key(self, node: yaml.Node) -> str | None:
        if isinstance(node, yaml.ScalarNode) and (node.tag == _TAG + "str" or node.value in _NAMES_LIKE_SWITCHES):
            return str(node.value)
        code: Code = "bare-boolean" if node.tag == _TAG + "bool" else "bad-value"
        self._refuse(node, code, f"{_shape(node)} as a member's name", "text", "put the name in quotes")
        return None

    def _value(self, node: yaml.Node, path: Path) -> object:
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return tuple(self._item(child, (*path, index)) for index, child in enumerate(node.value))
        return self._scalar(node, next((part for part in reversed(path) if isinstance(part, str)), ""))

    def _item(self, node: yaml.Node, path: Path) -> object:
        self.lines[path] = _line(node)
        return self._value(node, path)

    def _scalar(self, node: yaml.Node, name: str) -> object:
        text = str(node.value)
        said, quoted = f"{name}: {text[:60]}", f'write "{text[:60]}" in quotes'
        if name in _MOMENTS and text:
            return self._moment(node, text, said)
        match node.tag.removeprefix(_TAG):
            case "str":
                return text
            case "int" if _WHOLE.fullmatch(text):
                return int(text)
            case "timestamp" if _DAY.fullmatch(text):
                return self._day(node, text, said)
            case "int":
                self._refuse(node, "bare-number", f"{said}, which YAML takes for another number", "text", quoted)
            case "bool" if name in _SWITCHES and text in ("true", "false"):
                return text == "true"
            case "float":
                self._refuse(node, "float", f"{said}, which YAML would round", "a decimal in quotes", quoted)
            case "bool":
                self._refuse(node, "bare-boolean", f"{said}, which YAML takes for true or false", "text", quoted)
            case "null":
                self._refuse(
                    node, "empty-value", f"{name} without a value", "a value", f"write one, or leave {name} out"
                )
            case _:
                self._refuse(node, "not-a-day", said, "a day without a time", f"write for example {text[:10]}")
        return None

    def _moment(self, node: yaml.Node, text: str, said: str) -> str | None:
        if _MOMENT.fullmatch(text):
            return text
        day = text[:10] if _DAY.fullmatch(text[:10]) else "2026-11-02"
        mend = f"write for example {day}T08:00:00+02:00, or the same moment as {day}T06:00:00Z"
        self._refuse(node, "not-a-moment", said, "a day, a time and their time zone", mend)
        return None

    def _day(self, node: yaml.Node, text: str, said: str) -> date | None:
        try:
            return date.fromisoformat(text)
        except ValueError:
            self._refuse(node, "not-a-day", said, "a day of the calendar", "write a day that exists")
            return None

    def _refuse(self, node: yaml.Node, code: Code, found: str, expected: str, write: str) -> None:
        self.notes.refuse(_line(node), code, found=found, expected=expected, write=write)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _shape(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "named members"
    return "a list" if isinstance(node, yaml.SequenceNode) else f"the text {str(node.value)[:60]!r}"
