"""Did the entries of each partition come in the order in which they stood on the bus."""

from collections.abc import Callable, Iterator, Sequence

from services.shared.tlog.entry import EntryError, HeaderReader, Place
from services.verifier.damage import Damage, damage
from services.verifier.look import Here, Looked, stands_behind


class Order:
    """Follows bundle after bundle; only one with a fault in it is read again, entry by entry."""

    def __init__(self, entries: Callable[[Looked], Sequence[bytes | None]]) -> None:
        """`entries`: those of a bundle, None for each that is not what its tile says."""
        self._entries, self._header = entries, HeaderReader()
        self._last: dict[Place, Here] = {}

    def follow(self, looked: Looked) -> Iterator[Damage]:
        """What of the next bundle stood before something that the log had already."""
        last = self._last
        fits = looked.rising and all(
            place not in last or stands_behind(step.first, last[place]) for place, step in looked.steps.items()
        )
        if fits:
            last.update((place, step.last) for place, step in looked.steps.items())
        else:
            yield from self._slowly(looked)

    def _slowly(self, looked: Looked) -> Iterator[Damage]:
        for index, entry in enumerate(self._entries(looked), looked.tile.first):
            if entry is None:
                continue
            try:
                place, offset, moment, _ = self._header(entry)
            except EntryError:  # told by who looked
                continue
            before = self._last.get(place)
            if before is None or stands_behind((offset, moment), before):
                self._last[place] = (offset, moment)
            else:
                yield _fault(index, place, (offset, moment), before)


def _fault(index: int, place: Place, here: Here, before: Here) -> Damage:
    bus: dict[str, str | int] = {"topic": place[1], "partition": place[2]}
    if here[0] > before[0]:
        bus |= {"time": f"{here[1]:%Y-%m-%d %H:%M:%S}", "before": f"{before[1]:%Y-%m-%d %H:%M:%S}"}
        return damage("order", "order.clock", index, index, **bus)
    if here[0] == before[0]:
        return damage("order", "order.twice", index, index, **bus)
    return damage("order", "order.back", index, index, **bus)
