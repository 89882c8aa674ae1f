"""What the auditor brings: keys, kept checkpoints, a policy. Never from inside what is verified."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from services.shared.tlog.note import NoteError, VerifierKey, parse_vkey
from services.shared.tlog.policy import Policy, parse_policy
from services.verifier.folder import read_regular


class InputError(Exception):
    """Something that was given cannot be used; the sentence says what and why."""


def read_keys(texts: Sequence[str], policy: Policy | None, evidence: Path | None) -> list[VerifierKey]:
    """The log's keys: as they were given, or from files, or from the policy.

    Raises:
        InputError: one cannot be used, lies inside the evidence, or there is none.
    """
    keys = [_key(text, evidence) for text in texts]
    keys += [key for key, _ in policy.logs] if policy else []
    if not keys:
        raise InputError("no key was given; expected --key, or a policy that names the log")
    return keys


def _key(text: str, evidence: Path | None) -> VerifierKey:
    """A key that lies in what is verified would prove nothing."""
    if "+" not in text and _is_file(Path(text)):
        if _inside(Path(text), evidence):
            raise InputError("the key lies inside the export; take it from where the auditor keeps it")
        text = (read_regular(Path(text)) or b"").decode("utf-8-sig", errors="replace").strip()
    try:
        return parse_vkey(text)
    except NoteError as error:
        raise InputError(f"the key cannot be used: {error}") from None


def read_kept(paths: Sequence[Path], evidence: Path | None) -> Iterator[tuple[str, bytes]]:
    """The auditor's own checkpoints. One that lies in what is verified shows nothing that it does not show itself.

    Raises:
        InputError: one lies there, or cannot be read.
    """
    for path in paths:
        if _inside(path, evidence):
            raise InputError(f"the checkpoint {path} lies inside the export; give one that you kept elsewhere")
        note = read_regular(path)
        if note is None:
            raise InputError(f"the checkpoint {path} cannot be read; expected a file")
        yield str(path), note


def read_policy(path: Path | None, evidence: Path | None) -> Policy | None:
    """The auditor's trust policy.

    Raises:
        InputError: it lies inside the evidence, cannot be read, or is none.
    """
    if path is None:
        return None
    if _inside(path, evidence):
        raise InputError(f"the policy {path} lies inside the export; give one that you keep elsewhere")
    data = read_regular(path)
    if data is None:
        raise InputError(f"the policy {path} cannot be read; expected a file")
    try:
        return parse_policy(data)
    except NoteError as error:
        raise InputError(f"the policy {path} cannot be used: {error}") from None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long, or a folder that is closed to us
        return False


def _inside(path: Path, evidence: Path | None) -> bool:
    try:
        return evidence is not None and evidence.is_dir() and path.resolve().is_relative_to(evidence.resolve())
    except (OSError, RuntimeError, ValueError):  # links in a circle; nothing can be read there either
        return False
