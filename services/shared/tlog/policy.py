"""C2SP trust policies: which logs, which witnesses, and how many of these must have cosigned a checkpoint.

Source: c2sp.org/tlog-policy (read November 2026).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from services.shared.tlog.cosignature import CosignerKey, cosigned_at, parse_cosigner_key
from services.shared.tlog.note import Note, NoteError, VerifierKey, parse_vkey

NONE = "none"
_MAX_BYTES = 1_000_000
_MAX_LINES = 10_000
_THRESHOLD = re.compile(r"[1-9][0-9]{0,5}", re.ASCII)
_ITEM = re.compile(r"[^ \t]+")


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness under the policy's name for it; `url`: where checkpoints are submitted."""

    name: str
    key: CosignerKey
    url: str | None


@dataclass(frozen=True, slots=True)
class Group:
    """At least `threshold` of `members` (witnesses or groups) have cosigned."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed policy. `quorum` names a witness or a group, or is `none`: no cosignature is asked for."""

    logs: tuple[tuple[VerifierKey, str | None], ...]
    witnesses: Mapping[str, Witness]
    groups: Mapping[str, Group]
    quorum: str


@dataclass(frozen=True, slots=True)
class Quorum:
    """What a policy finds on a note.

    Attributes:
        met: whether enough witnesses cosigned.
        times: policy's name of each witness that did → when, in POSIX seconds.
        wrong: names of witnesses with a line that does not verify. Such a note is damaged, whatever else it carries.
        newest: the last time since which enough witnesses have cosigned, in POSIX seconds: a witness that does not
            count for the quorum makes nothing newer. None: not met, or none is asked for and none cosigned.
    """

    met: bool
    times: Mapping[str, int]
    wrong: tuple[str, ...] = ()
    newest: int | None = None


@dataclass(slots=True)
class _Draft:
    logs: dict[bytes, tuple[VerifierKey, str | None]] = field(default_factory=dict)
    witnesses: dict[str, Witness] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    members: set[str] = field(default_factory=set)
    quorum: str | None = None


def parse_policy(data: bytes) -> Policy:
    """The policy that a file's bytes write out.

    Raises:
        NoteError: a line is none of a policy, a key cannot be trusted, a name is not defined before it is used or
            twice, or the quorum is missing. The sentence says which line.
    """
    draft = _Draft()
    for number, line in enumerate(_lines(data), 1):
        items = _ITEM.findall(line)
        if items and not items[0].startswith("#"):
            _read_line(draft, items, number)
    if draft.quorum is None:
        raise NoteError("the policy has no line `quorum`; write `quorum none` when no witness is asked for")
    return Policy(tuple(draft.logs.values()), draft.witnesses, draft.groups, draft.quorum)


def quorum_met(policy: Policy, note: Note) -> Quorum:
    """Which of the policy's witnesses cosigned a note, and whether they are enough."""
    times: dict[str, int] = {}
    wrong = []
    for witness in policy.witnesses.values():
        try:
            at = cosigned_at(note, witness.key)
        except NoteError:
            wrong.append(witness.name)
        else:
            times |= {} if at is None else {witness.name: at}
    met = _met_since(policy, times, 0)
    newest = next((at for at in sorted(times.values(), reverse=True) if _met_since(policy, times, at)), None)
    return Quorum(met and not wrong, times, tuple(wrong), newest)


def _met_since(policy: Policy, times: Mapping[str, int], since: int) -> bool:
    """Whether the cosignatures from a time on are enough; where none is asked for, they always are."""
    names = {name for name, at in times.items() if at >= since}
    return policy.quorum in {NONE} | _witnessed(policy, names)


def _witnessed(policy: Policy, names: set[str]) -> set[str]:
    """The witnesses that cosigned, and the groups of which enough did: each group comes after its members."""
    for name, group in policy.groups.items():
        if sum(member in names for member in group.members) >= group.threshold:
            names.add(name)
    return names


def _lines(data: bytes) -> list[str]:
    """Octets with the high bit set mean nothing here, but keys and addresses are UTF-8."""
    if len(data) > _MAX_BYTES or data.count(b"\n") > _MAX_LINES:
        raise NoteError(f"found a policy of {len(data)} bytes, at most {_MAX_BYTES} in {_MAX_LINES} lines are read")
    if any((byte < ord(" ") and byte not in b"\t\n") or byte == 0x7F for byte in data):  # noqa: PLR2004  # DEL
        raise NoteError("a policy has no control characters but tabs and newlines; were its line ends converted?")
    if data and not data.endswith(b"\n"):
        raise NoteError("the policy's last line does not end in a newline: was the file cut?")
    try:
        return data.decode().split("\n")
    except UnicodeDecodeError:
        raise NoteError("a policy is UTF-8; this is not") from None


def _read_line(draft: _Draft, items: list[str], number: int) -> None:
    readers = {"log": _read_log, "witness": _read_witness, "group": _read_group, "quorum": _read_quorum}
    try:
        readers.get(items[0], _refuse_line)(draft, items[1:])
    except NoteError as error:
        raise NoteError(f"line {number} of the policy: {error}") from None


def _refuse_line(_draft: _Draft, _items: list[str]) -> None:
    raise NoteError("expected log, witness, group, quorum or a comment")


def _read_log(draft: _Draft, items: list[str]) -> None:
    if len(items) not in {1, 2}:
        raise NoteError("expected log VKEY [URL]")
    key = parse_vkey(items[0])
    if key.public_key in draft.logs:
        raise NoteError("this log's public key stands in the policy already")
    draft.logs[key.public_key] = (key, items[1] if len(items) > 1 else None)


def _read_witness(draft: _Draft, items: list[str]) -> None:
    if len(items) not in {2, 3}:
        raise NoteError("expected witness NAME VKEY [URL]")
    name, key = items[0], parse_cosigner_key(items[1])
    _check_new(draft, name)
    if any(known.key.public_key == key.public_key for known in draft.witnesses.values()):
        raise NoteError("this witness's public key stands in the policy already: it would count twice")
    draft.witnesses[name] = Witness(name, key, items[2] if len(items) > 2 else None)  # noqa: PLR2004  # the address


def _read_group(draft: _Draft, items: list[str]) -> None:
    if len(items) < 3:  # noqa: PLR2004  # name, threshold, a member
        raise NoteError("expected group NAME all|any|NUMBER MEMBER...")
    name, threshold, *members = items
    _check_new(draft, name)
    for member in members:
        _check_known(draft, member)
        if member in draft.members:
            raise NoteError(f"{member} is a member already: each name counts once")
        draft.members.add(member)
    draft.groups[name] = Group(_threshold(threshold, len(members)), tuple(members))


def _threshold(text: str, members: int) -> int:
    words = {"any": 1, "all": members}
    if text in words:
        return words[text]
    if _THRESHOLD.fullmatch(text) is None or int(text) > members:
        raise NoteError(f"expected all, any or a number from 1 to {members} members")
    return int(text)


def _read_quorum(draft: _Draft, items: list[str]) -> None:
    if len(items) != 1:
        raise NoteError("expected quorum NAME|none")
    if draft.quorum is not None:
        raise NoteError("a policy has one line `quorum`, this is the second")
    if items[0] != NONE:
        _check_known(draft, items[0])
    draft.quorum = items[0]


def _check_new(draft: _Draft, name: str) -> None:
    if name == NONE or name in draft.witnesses or name in draft.groups:
        raise NoteError(f"the name {name} is taken")


def _check_known(draft: _Draft, name: str) -> None:
    if name not in draft.witnesses and name not in draft.groups:
        raise NoteError(f"{name} is not defined on a line before this one")
