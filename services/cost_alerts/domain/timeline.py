"""The history of a use: how it is charged from one register version on, and from when on differently.

Charges are a pure function of the events. A reading is priced at the version of its own recorded time and at every
later one that changes the result; so a rebuild, and a consumer that is late, arrive at the same history.
"""

from dataclasses import dataclass
from datetime import datetime

from services.cost_alerts.domain.covering import lines
from services.cost_alerts.domain.pricing import Line, Pricer
from services.cost_alerts.domain.use import Use
from services.cost_alerts.domain.view import Book


@dataclass(frozen=True, slots=True)
class Stretch:
    """The lines of a use from register version `version` on, with their prices made ready, in the order of the lines.

    `since`: when that version was published; None for the first stretch of a timeline.
    """

    version: int
    since: datetime | None
    pricers: tuple[Pricer, ...]


def timeline(book: Book, use: Use, version: int) -> tuple[Stretch, ...]:
    """How `use` is charged from `version` on: the first stretch, and one more for each version with another effect."""
    made = lines(book.view(version), use)
    stretches = [_stretch(version, None, made)]
    for later in book.touching(version, use.profile.system, use.day):
        remade = lines(book.view(later), use)
        if _effects(remade) != _effects(made):
            stretches.append(_stretch(later, book.published_at(later), remade))
            made = remade
    return tuple(stretches)


def likeness(book: Book, use: Use, version: int) -> tuple[object, ...]:
    """What uses of one day, tariff segment, currency and size have in common when their timelines are equal.

    Who used it matters only by who pays: a day of hundreds of people has as many timelines as they have units.
    """
    profile = use.profile
    versions = (version, *book.touching(version, profile.system, use.day))
    owners = tuple(book.view(each).allocation.owner(profile, use.day) for each in versions)
    return (profile.system, profile.sku, profile.meters, profile.dimensions, owners)


def _stretch(version: int, since: datetime | None, made: tuple[Line, ...]) -> Stretch:
    return Stretch(version, since, tuple(map(Pricer, made)))


def _effects(made: tuple[Line, ...]) -> list[tuple[object, ...]]:
    return [line.effect for line in made]
