"""Verify an export: every byte of it against checkpoints, with keys that come from the auditor.

Everything is hashed again from the entries' bytes. Where entries and tree disagree, the signed root decides which of
them was altered. All damage is listed; one fault does not hide another. Nothing is taken from the export on trust: not
the key, not the size.
"""

from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import chain

from services.shared.tlog.checkpoint import Checkpoint
from services.shared.tlog.merkle import EMPTY_ROOT
from services.shared.tlog.note import VerifierKey
from services.shared.tlog.tiles import Tile
from services.verifier.anchors import AHEAD
from services.verifier.bundles import Bundles
from services.verifier.damage import (
    DAMAGED,
    STALE,
    UNVERIFIABLE,
    VERIFIED,
    Damage,
    Kind,
    Notice,
    Report,
    damage,
    notice,
)
from services.verifier.jobs import look_at_all
from services.verifier.judging import Judge
from services.verifier.look import Looked, Looker, Pruned, Read, missing
from services.verifier.names import Names, NoRoomError
from services.verifier.notes import Signed, cut_off, forks, misfiled, open_all, other_origins, unlisted
from services.verifier.order import Order
from services.verifier.runs import Findings, joined

__all__ = [
    "DAMAGED", "STALE", "UNVERIFIABLE", "VERIFIED",
    "Damage", "Kind", "Notice", "Read", "Report", "Verification", "verify",
]  # fmt: skip

Contradiction = tuple[int, int]
"""An entry, and the first one of its name, which says something else."""

_TOLD_CONTRADICTIONS = 1_000


def verify(
    read: Read,
    notes: Iterable[tuple[str, bytes]],
    keys: VerifierKey | Collection[VerifierKey],
    *,
    now: datetime,
    kept: Iterable[tuple[str, bytes]] = (),
    max_age: timedelta | None = None,
    progress: Callable[[int], None] = lambda _entries: None,
    reopen: Callable[[], Read] | None = None,
    jobs: int = 1,
) -> Report:
    """Verify an export against its own newest checkpoint and every other note.

    Args:
        read: the export's files.
        notes: (what to call it, the signed note): the export's older checkpoints.
        keys: the log's keys, from the auditor's side; several after a rotation.
        now: what "stale" is measured from (UTC).
        kept: the checkpoints that the auditor kept.
        max_age: how old the newest entry may be; None: any age.
        progress: told how many entries have been read.
        reopen: another reader of the same files, for other processes; None: `read` itself serves.
        jobs: how many processes look at the entries.
    """
    verification = Verification(read, [keys] if isinstance(keys, VerifierKey) else keys)
    if verification.begin(notes, kept):
        verification.walk(reopen or (lambda: read), jobs, progress)
    return verification.report(now, max_age)


class Verification:
    """One verification, in its three steps: open the checkpoints, walk over the entries, judge."""

    def __init__(self, read: Read, keys: Collection[VerifierKey]) -> None:
        self._read, self._keys = read, keys
        self._damage = Findings()
        self._notices: list[Notice] = []
        self._newest: datetime | None = None
        self._names_fit = True
        self.signed: list[Signed] = []
        self.tip: Checkpoint | None = None
        self.fitting: set[Checkpoint] = set()
        """The checkpoints that the entries confirm."""
        self.pruned: list[Pruned] = []
        self.contradictions = array("q")
        """Entry, first entry of its name, entry, first ..."""

    def begin(self, notes: Iterable[tuple[str, bytes]], kept: Iterable[tuple[str, bytes]]) -> bool:
        """Open all checkpoints; whether there is one to verify against."""
        found, newest = list[Damage](), self._read("checkpoint")
        if newest is None:
            found.append(damage("missing", "missing.checkpoint"))
        own = chain([] if newest is None else [("checkpoint", newest)], notes)
        self.signed = [
            *open_all(own, self._keys, found, kept=False),
            *open_all(kept, self._keys, found, kept=True),
        ]
        self._damage.add(found)
        self.tip = _tip([one for one in self.signed if not one.kept])
        if self.tip is None:
            return False
        self._damage.add(other_origins(self.signed, self.tip))
        self.signed = [one for one in self.signed if one.checkpoint.origin == self.tip.origin]
        self._damage.add(cut_off(self.signed, self.tip))
        self._damage.add(misfiled(one for one in self.signed if not one.kept))
        self._notices.extend(unlisted(self.signed))
        return True

    def walk(self, reopen: Callable[[], Read], jobs: int, progress: Callable[[int], None]) -> None:
        """Look at every entry and every tile."""
        assert self.tip is not None
        bundles = Bundles(Looker(self._read, self.tip.size), self.tip.size)
        judge, order, absent = Judge(self._read, self.tip, bundles), Order(bundles.undisputed), list[Tile]()
        with Names() as names:
            for looked in look_at_all(reopen, self.tip.size, jobs):
                self._damage.add(looked.damage)
                self._newest = max(filter(None, (self._newest, looked.newest)), default=None)
                judge.add(looked)
                self._damage.add(order.follow(looked))
                self._add_names(names, looked)
                self.pruned += [one for one in looked.pruned if one.holds]
                if not looked.readable:
                    absent.append(looked.tile)
                progress(looked.tile.first + looked.tile.width)
            self._look_for_repeats(names, bundles)
        self._judge(judge)
        self._weigh_absence(absent)

    def _add_names(self, names: Names, looked: Looked) -> None:
        """Where they do not fit, the rest of the verification goes on without them, and says so."""
        if self._names_fit:
            try:
                names.add(looked.names, looked.tile.first)
            except NoRoomError as error:
                self._no_room(error)

    def _no_room(self, error: NoRoomError) -> None:
        self._names_fit = False
        self._damage.add([damage("unreadable", "no_room", what=str(error))])

    def _look_for_repeats(self, names: Names, bundles: Bundles) -> None:
        if not self._names_fit:
            return
        try:
            for indexes in names.repeated():
                self._compare(indexes, bundles)
        except NoRoomError as error:
            self._no_room(error)
        told = len(self.contradictions) // 2
        if told > _TOLD_CONTRADICTIONS:
            self._notices.append(notice("contradiction", "notice.more_contradictions", count=told))

    def _compare(self, indexes: Sequence[int], bundles: Bundles) -> None:
        """Entries of one name: the same bytes again are damage, other bytes a contradiction, which the log keeps."""
        seen: dict[bytes, int] = {}
        for index in indexes:
            digest = bundles.event_digest(index)
            if digest is None:
                continue
            earlier = seen.setdefault(digest, index)
            if earlier != index:
                self._damage.add([damage("duplicate", "duplicate", index, index, earlier=earlier)])
            elif index != indexes[0]:
                self.contradictions.extend((index, indexes[0]))
                if len(self.contradictions) <= 2 * _TOLD_CONTRADICTIONS:
                    told = notice("contradiction", "notice.contradiction", index, index, earlier=indexes[0])
                    self._notices.append(told)

    def _weigh_absence(self, absent: Sequence[Tile]) -> None:
        """Bundles that are not there: pruned, when a later entry of the log says exactly that; else missing."""
        for tile in absent:
            first, last = tile.first, tile.first + tile.width - 1
            by = next((one for one in self.pruned if one.first <= first and last <= one.last), None)
            if by is None:
                self._damage.add([missing(tile)])
            else:
                self._notices.append(notice("pruned", "notice.pruned", first, last, by=by.by))

    def _judge(self, judge: Judge) -> None:
        assert self.tip is not None
        self._damage.add(judge.damage(self.signed))
        roots = judge.roots(self.signed, (one.size for one in self.pruned))
        if roots:  # a log that follows another reads from the bus what that one pruned: it excuses nothing here
            self.pruned = [one for one in self.pruned if one.size in roots and roots[one.size].hex() == one.root]
        self._damage.add(forks(self.signed, self.tip, roots))
        self.fitting = {c for _, c, _ in self.signed if roots.get(c.size) == c.root}

    def report(self, now: datetime, max_age: timedelta | None = None) -> Report:
        """What was found, its age with it."""
        self._damage.add(stale(self._newest, now, max_age))
        if self.tip is not None and self.tip.size == 0 and max_age is not None:
            self._damage.add([damage("stale", "stale.empty")])
        size, root = (self.tip.size, self.tip.root) if self.tip else (0, EMPTY_ROOT)
        return Report(size, root.hex(), self._damage.all(), tuple(joined(self._notices)))


def _tip(own: Sequence[Signed]) -> Checkpoint | None:
    """The checkpoint that says what the export holds; the largest of its older ones when that is damaged."""
    if own and own[0].name == "checkpoint":
        return own[0].checkpoint
    return max((one.checkpoint for one in own), key=lambda one: one.size, default=None)


def stale(newest: datetime | None, now: datetime, max_age: timedelta | None) -> Iterator[Damage]:
    """Whether the newest entry is older than allowed, or its age cannot be told."""
    if newest is None or max_age is None:
        return
    when = f"{newest:%Y-%m-%d %H:%M}"
    if now - newest > max_age:
        yield damage("stale", "stale", when=when, days=(now - newest).days)
    elif newest - now > AHEAD:
        yield damage("stale", "stale.ahead", when=when, now=f"{now:%Y-%m-%d %H:%M}")
