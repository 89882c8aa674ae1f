"""What changed between what was told before and what a vendor says now. Values in, values out.

A fact that comes with other content is the next revision. A reading that is gone on a complete re-read is the next
revision, retracted. A seat that is gone from a complete snapshot is given back on that day.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date

from services.shared.errors import SourceChangedError
from services.shared.events.usage import Reading, SeatHolding
from services.usage_collector.facts import REVISED, Known, digest_of, id_of, kind_of
from services.usage_collector.source import VendorFact

DISBELIEVED = 10
"""So many readings do not vanish all at once: an empty answer is then a lost right or a broken interface."""

_NOTHING_LEFT = (
    "{source}: found nothing where {count} {what} stood; expected most of them again. Check the collector's rights at "
    "the vendor; if it is true, run `valvomo collect` with --believe-empty"
)

Key = tuple[str, str]
"""Kind and id of a fact."""


def key_of(fact: VendorFact) -> Key:
    return kind_of(fact), id_of(fact)


def once(facts: Iterable[VendorFact], source: str) -> dict[Key, VendorFact]:
    """The facts by name. The same fact twice is one.

    Raises:
        SourceChangedError: two facts of one name differ: what tells them apart is not read.
    """
    found: dict[Key, VendorFact] = {}
    for fact in facts:
        if found.setdefault(key_of(fact), fact) != fact:
            raise SourceChangedError(
                f"{source}: two rows of one window have the same name and differ; expected what we group by to tell "
                "them apart. Nothing of this window was taken"
            )
    return found


def changed(found: Mapping[Key, VendorFact], before: Mapping[Key, Known]) -> list[VendorFact]:
    """Those of `found` that are new, or differ from what was told, each with the revision it gets now."""
    return [fact for key, one in found.items() if (fact := _next(one, before.get(key))) is not None]


def _next(fact: VendorFact, before: Known | None) -> VendorFact | None:
    if before is None:
        return fact
    if kind_of(fact) not in REVISED or (digest_of(fact) == before.digest and not before.retracted):
        return None
    return fact.model_copy(update={"revision": before.revision + 1})


def gone(
    standing: Mapping[Key, date],
    found: Collection[Key],
    missing: Collection[date],
    source: str,
    *,
    believe_empty: bool = False,
) -> list[Key]:
    """The readings of a window (standing ones, with their day) that the vendor no longer tells.

    `missing`: days that the vendor told nothing about; what stood there stands.

    Raises:
        SourceChangedError: nothing at all is left of many; that is not believed without a person's word.
    """
    vanished = [key for key, day in standing.items() if key not in found and day not in missing]
    if len(vanished) >= DISBELIEVED and not found and not believe_empty:
        raise SourceChangedError(_NOTHING_LEFT.format(source=source, count=len(vanished), what="readings"))
    return vanished


def retracted(reading: Reading) -> Reading:
    return reading.model_copy(update={"revision": reading.revision + 1, "retracted": True})


def seats_now(
    held: Sequence[SeatHolding],
    found: Sequence[SeatHolding],
    day: date,
    source: str,
    *,
    read_to: date | None = None,
    believe_empty: bool = False,
) -> list[SeatHolding]:
    """The holdings after a snapshot of `day`: those found, and those of `held` (still open) that have ended.

    A vendor dates an assignment by its last change, whatever that was: who held the seat before holds it since before,
    and who did not hold it when everything was read up to `read_to` does so since then at the earliest. (Somebody who
    was erased comes back as somebody new: without this, the years of their seat would count twice.)

    Raises:
        SourceChangedError: nobody at all is left of many.
    """
    if len(held) >= DISBELIEVED and not found and not believe_empty:
        raise SourceChangedError(_NOTHING_LEFT.format(source=source, count=len(held), what="seats"))
    since = {_seat(seat): seat.assigned_on for seat in held}
    earliest = min(read_to, day) if read_to else date.min
    now = [
        seat.model_copy(update={"assigned_on": since.get(_seat(seat), max(seat.assigned_on, earliest))})
        for seat in found
    ]
    present = {_seat(seat) for seat in found}
    ended = [
        seat.model_copy(update={"released_on": max(day, seat.assigned_on)})
        for seat in held
        if _seat(seat) not in present
    ]
    return now + ended


def _seat(seat: SeatHolding) -> tuple[str, str, str]:
    return seat.system, seat.sku, seat.person
