"""Whole exports, extracts, single proofs, databases: each is verified by what it is, and told in one kind of report."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path

from services.shared.tlog.checkpoint import Checkpoint
from services.shared.tlog.merkle import EMPTY_ROOT
from services.shared.tlog.note import NoteError, VerifierKey
from services.shared.tlog.policy import Policy
from services.shared.tlog.proof import SUFFIX, ProofError, parse_proof, verify_proof
from services.verifier.anchors import Named, confirmed, uncounted
from services.verifier.bar import Bar
from services.verifier.damage import Damage, Notice, Report, damage, notice
from services.verifier.database import Audit, DatabaseReader, Tables, TablesError
from services.verifier.extract import verify_extract
from services.verifier.folder import FileReader, Papers, read_regular
from services.verifier.jobs import default_jobs
from services.verifier.lines import folder_lines
from services.verifier.look import Read
from services.verifier.manifest import MANIFEST
from services.verifier.notes import Signed, forks, open_all, other_origins
from services.verifier.runs import joined
from services.verifier.telling import Shown
from services.verifier.verify import Verification, stale
from services.verifier.words import printable

_TILES = "tile"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the auditor brings, and how old things may be."""

    keys: Sequence[VerifierKey]
    kept: Sequence[Named]
    policy: Policy | None
    max_age: timedelta | None
    now: datetime
    jobs: int | None = None


def examine(path: Path, asked: Asked, bar: Bar) -> tuple[Report, Shown]:
    """Verify what lies at a path: a proof, an extract or a whole export."""
    if path.name.endswith(SUFFIX):
        return _proof(path, asked)
    manifest = read_regular(path / MANIFEST)
    if manifest is not None and not (path / _TILES).exists():
        return _extract(path, manifest, asked, bar)
    files, papers = FileReader(path), Papers(path)
    whole = _Whole(files, papers.notes, papers.receipts)
    report, shown = whole.examine(asked, bar, lambda: FileReader(path))
    strangers = list(_counted(files.strangers(report.size)))
    return _in_order(report.with_more(list(_unread(papers)), strangers)), shown


def _unread(papers: Papers) -> Iterator[Damage]:
    """A checkpoint that cannot be read could have shown a fork."""
    if papers.unread:
        yield damage("unreadable", "unread", count=len(papers.unread), path=printable(min(papers.unread)))


def examine_tables(
    tables: Tables, asked: Asked, bar: Bar, reopen: Callable[[], Tables] | None = None
) -> tuple[Report, Shown]:
    """Verify a database: as an export of it would be, and what it has beyond that.

    Args:
        tables: in one consistent view.
        asked: what the auditor brings.
        bar: shows how far it is.
        reopen: opens the tables once more, in another process; None: all is done in this one.
    """
    reader = DatabaseReader(tables)
    whole = _Whole(reader, reader.notes, reader.receipts)
    again = (lambda: DatabaseReader(reopen())) if reopen else None
    report, shown = whole.examine(asked, bar, again)
    try:
        report = _audited(report, tables, whole.verification)
    except TablesError as error:  # what was found before stays found
        reader.trouble(error)
    return _in_order(report.with_more(reader.troubles)), shown


def _audited(report: Report, tables: Tables, verification: Verification | None) -> Report:
    if verification is None or verification.tip is None:
        return report
    audit = Audit(tables, verification.tip.size, verification.pruned)
    flat = verification.contradictions
    return report.with_more(list(audit.damage(list(zip(flat[::2], flat[1::2], strict=True)))), list(audit.notices()))


class _Whole:
    """A whole log, wherever its files come from."""

    def __init__(
        self, read: Read, notes: Callable[[], Iterable[Named]], receipts: Callable[[], Iterable[Named]]
    ) -> None:
        self._read, self._notes, self._receipts = read, notes, receipts
        self.verification: Verification | None = None

    def examine(self, asked: Asked, bar: Bar, reopen: Callable[[], Read] | None) -> tuple[Report, Shown]:
        verification = self.verification = Verification(self._read, asked.keys)
        if verification.begin(self._notes(), asked.kept):
            bar.total = verification.tip.size if verification.tip else None
            jobs = (asked.jobs or default_jobs()) if reopen else 1
            verification.walk(reopen or (lambda: self._read), jobs, bar)
        report = verification.report(asked.now, asked.max_age)
        wrong, notices = self._confirmed(asked, verification)
        kept = max((one.checkpoint.size for one in verification.signed if one.kept), default=None)
        return report.with_more(wrong, notices), Shown(kept)

    def _confirmed(self, asked: Asked, verification: Verification) -> tuple[list[Damage], list[Notice]]:
        if asked.policy is None:
            return [], list(uncounted(self._receipts()))
        newest = self._read("checkpoint")
        notes = chain([] if newest is None else [("checkpoint", newest)], self._notes())
        found = confirmed(asked.policy, notes, self._receipts(), verification.fitting)
        return [*found.damage, *found.stale(asked.now, asked.max_age)], found.notices


def _counted(strangers: Iterator[str]) -> Iterator[Notice]:
    first = next(strangers, None)
    if first is not None:
        count = 1 + sum(1 for _ in strangers)
        yield notice("strangers", "notice.strangers", count=count, path=printable(first))


def _extract(folder: Path, manifest: bytes, asked: Asked, bar: Bar) -> tuple[Report, Shown]:
    found: list[Damage] = []
    note = read_regular(folder / "checkpoint")
    if note is None:
        return _nothing(damage("missing", "missing.checkpoint"))
    own = next(open_all([("checkpoint", note)], asked.keys, found, kept=False), None)
    if own is None:
        return _nothing(*found)
    kept = [(one.name, one.checkpoint) for one in _kept(asked, own.checkpoint, found)]
    extracted = verify_extract(manifest, folder_lines(folder), own.checkpoint, kept, bar)
    wrong, notices = _witnessed(asked, "checkpoint", note, own.checkpoint)
    wrong = [*found, *extracted.damage, *stale(extracted.newest, asked.now, asked.max_age), *wrong]
    report = _report(own.checkpoint, wrong, [*extracted.notices, *notices])
    shown = Shown(max((one.size for _, one in kept), default=None), extract=True, entries=extracted.entries)
    return report, shown


def _proof(path: Path, asked: Asked) -> tuple[Report, Shown]:
    """One entry: `N.tlog-proof` with `N.entry` beside it."""
    data, entry = read_regular(path), read_regular(path.with_name(path.name.removesuffix(SUFFIX) + ".entry"))
    if data is None or entry is None:
        return _nothing(damage("missing", "missing.proof", path=printable(path.name)))
    try:
        proof = parse_proof(data)
    except ProofError as error:
        return _nothing(damage("entry", "proof.bad", what=str(error)))
    found: list[Damage] = []
    own = next(open_all([(path.name, proof.checkpoint)], asked.keys, found, kept=False), None)
    if own is None:
        return _nothing(*found)
    try:
        verify_proof(proof, entry, asked.keys)
    except (ProofError, NoteError) as error:
        found.append(damage("entry", "proof.bad", what=str(error)))
    kept = _kept(asked, own.checkpoint, found)
    found.extend(forks(kept, own.checkpoint, {}))
    found.extend(_not_compared(kept, own.checkpoint))
    wrong, notices = _witnessed(asked, path.name, proof.checkpoint, own.checkpoint)
    told = notice("proof", "notice.proof", proof.index, proof.index, size=own.checkpoint.size)
    report = _report(own.checkpoint, [*found, *wrong], [told, *notices])
    compared = any(one.checkpoint.size == own.checkpoint.size for one in kept)
    return report, Shown(own.checkpoint.size if compared else None, extract=True, entries=1)


def _kept(asked: Asked, tip: Checkpoint, found: list[Damage]) -> list[Signed]:
    """The auditor's checkpoints of this log; what is wrong with the others goes to `found`."""
    kept = list(open_all(asked.kept, asked.keys, found, kept=True))
    found.extend(other_origins(kept, tip))
    return [one for one in kept if one.checkpoint.origin == tip.origin]


def _not_compared(kept: Sequence[Signed], tip: Checkpoint) -> Iterator[Damage]:
    """A proof leads to one tree; nothing in it ties that one to a smaller or larger tree."""
    for one in kept:
        size = one.checkpoint.size
        if size != tip.size:
            yield damage("missing", "proof.no_way", who=printable(one.name), kept=size, size=tip.size)


def _witnessed(asked: Asked, name: str, note: bytes, signed: Checkpoint) -> tuple[list[Damage], list[Notice]]:
    if asked.policy is None:
        return [], []
    found = confirmed(asked.policy, [(name, note)], [], {signed})
    return [*found.damage, *found.stale(asked.now, asked.max_age)], found.notices


def _nothing(*wrong: Damage) -> tuple[Report, Shown]:
    return Report(0, EMPTY_ROOT.hex(), wrong), Shown()


def _report(signed: Checkpoint, wrong: Sequence[Damage], notices: Sequence[Notice]) -> Report:
    return _in_order(Report(signed.size, signed.root.hex(), tuple(wrong), tuple(notices)))


def _in_order(report: Report) -> Report:
    """The worst first."""
    return Report(report.size, report.root, tuple(joined(report.damage)), tuple(joined(report.notices)))
