"""What others confirm: witnesses' cosignatures, held against the policy that the auditor brings."""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from services.shared.tlog.checkpoint import Checkpoint, parse_checkpoint
from services.shared.tlog.note import NoteError, parse_note
from services.shared.tlog.policy import Policy, quorum_met
from services.verifier.damage import Damage, Notice, damage, notice
from services.verifier.words import printable

_RECEIPT = re.compile(r"anchors/[^/]+/([0-9]{1,19})\.receipt", re.ASCII)
_LINE = "\N{EM DASH} ".encode()

AHEAD = timedelta(days=1)
"""Clocks differ; beyond this a time has not come yet, and no age follows from it."""
_LATEST = 253_402_300_799
"""The last second of the year 9999: beyond it no date can be written."""

Named = tuple[str, bytes]
"""What to call a file, and its bytes."""


@dataclass(slots=True)
class Confirmed:
    """What witnesses confirm: the first `size` entries, last at `newest`; and what is wrong with receipts.

    A later time for fewer entries is not the age of what is confirmed.
    """

    size: int | None = None
    newest: datetime | None = None
    damage: list[Damage] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

    def stale(self, now: datetime, max_age: timedelta | None) -> Iterator[Damage]:
        """Whether the policy is not met, or was met long ago."""
        if self.size is None:
            yield damage("stale", "stale.unanchored")
        elif max_age is not None and self.newest is not None and now - self.newest > max_age:
            when, days = f"{self.newest:%Y-%m-%d %H:%M}", (now - self.newest).days
            yield damage("stale", "stale.cosigned", when=when, days=days)
        elif max_age is not None and self.newest is not None and self.newest - now > AHEAD:
            yield damage(
                "stale", "stale.cosigned_ahead", when=f"{self.newest:%Y-%m-%d %H:%M}", now=f"{now:%Y-%m-%d %H:%M}"
            )


def uncounted(receipts: Iterable[Named]) -> Iterator[Notice]:
    """That there are receipts, when no policy is at hand to hold them against."""
    count = sum(1 for _ in receipts)
    if count:
        yield notice("receipts", "notice.receipts", count=count)


def confirmed(
    policy: Policy, notes: Iterable[Named], receipts: Iterable[Named], fitting: Collection[Checkpoint]
) -> Confirmed:
    """Hold checkpoints and the cosignatures that came for them against a policy.

    Args:
        policy: from the auditor's side.
        notes: the checkpoints.
        receipts: `anchors/<anchor>/<size>.receipt`; those that are no cosignature lines are only counted.
        fitting: the checkpoints that the log's key signed and that fit the entries: what is about others counts not.
    """
    found = Confirmed()
    lines, others = _sorted(receipts)
    found.notices.extend(uncounted(others))
    sizes = set()
    for name, data in notes:
        try:
            checkpoint = parse_checkpoint(parse_note(data).text)
        except NoteError:  # told by who opened it
            continue
        if checkpoint in fitting:
            sizes.add(checkpoint.size)
            _weigh(found, policy, checkpoint.size, (name, data), lines.get(checkpoint.size, []))
    for size in sorted(lines.keys() - sizes):
        for name, _ in lines[size]:
            found.damage.append(damage("anchor", "anchor.lost", note=printable(name), signed=size))
    if found.size is not None and found.newest is not None:
        when = f"{found.newest:%Y-%m-%d %H:%M}"
        found.notices.append(notice("cosigned", "notice.cosigned", size=found.size, when=when))
    return found


def _sorted(receipts: Iterable[Named]) -> tuple[dict[int, list[Named]], list[Named]]:
    """Cosignature lines by the size that they are for, and all other receipts."""
    lines: dict[int, list[Named]] = {}
    others: list[Named] = []
    for name, data in receipts:
        where = _RECEIPT.fullmatch(name)
        if where and data.startswith(_LINE):
            lines.setdefault(int(where[1]), []).append((name, data))
        else:
            others.append((name, data))
    return lines, others


def _weigh(found: Confirmed, policy: Policy, size: int, note: Named, lines: Iterable[Named]) -> None:
    """Add to a note the lines that came for it, each once and only when it is good; then count."""
    whole = note[1]
    if not _good(found, policy, note[0], whole):
        return
    for name, more in lines:
        if more not in whole and _good(found, policy, name, note[1] + more):
            whole += more
    quorum = quorum_met(policy, parse_note(whole))
    if quorum.met:
        newest = None if quorum.newest is None else datetime.fromtimestamp(min(quorum.newest, _LATEST), UTC)
        if found.size is None or size >= found.size:
            found.newest = newest if size != found.size else max(filter(None, (newest, found.newest)), default=None)
            found.size = size


def _good(found: Confirmed, policy: Policy, name: str, note: bytes) -> bool:
    """Whether a note has no line of a witness that does not verify; what is wrong is told under `name`."""
    try:
        wrong = ", ".join(quorum_met(policy, parse_note(note)).wrong)
    except (NoteError, OverflowError) as error:
        wrong = str(error)
    if wrong:
        found.damage.append(damage("anchor", "anchor.bad", note=printable(name), what=printable(wrong)))
    return not wrong
