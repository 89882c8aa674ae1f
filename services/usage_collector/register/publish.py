"""Publishes a folder: only what changed, and then the marker after which it counts.

Nobody can lock the topic, so a publisher looks twice. Between its facts and its marker it looks whether somebody else
has published: then it stops without a marker, and its facts never count. After the marker it looks whether what holds
is its folder: facts of the other one may have come in between; then it says what differs once more.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from services.shared.bus import EventBus, Message
from services.shared.clock import Clock
from services.shared.errors import TransientError
from services.shared.events import REGISTER, Event, encode, key_of
from services.shared.events.envelope import Fact
from services.usage_collector.register.facts import (
    UNSIGNED,
    FactKey,
    Facts,
    Signed,
    change_event,
    digest_of,
    marker_event,
)
from services.usage_collector.register.versions import Held, changes, read_held, read_on

_ROUNDS = 3

Wanted = Callable[[Held], Facts]
"""What is to hold, given what holds."""


class PublicationConflictError(TransientError):
    """Somebody else published at the same moment. Nothing of this publication counts; run it again."""


@dataclass(frozen=True, slots=True)
class Publication:
    """What holds now: the version in force, the digest in its marker, and how many facts were said (0: nothing new)."""

    version: int
    changes: int
    digest: str


def publish(wanted: Facts, bus: EventBus, clock: Clock, signed: Signed = UNSIGNED) -> Publication:
    """Make `wanted` the register in force.

    Raises:
        PublicationConflictError: another publication ran at the same time.
        TransientError: the bus is away; what was said has no marker and does not count.
        InvalidEventError: a fact is too large for an event; nothing was published.
    """
    return publish_on(lambda _: wanted, bus, clock, signed)


def publish_on(wanted: Wanted, bus: EventBus, clock: Clock, signed: Signed = UNSIGNED) -> Publication:
    """Make what `wanted` says on top of what holds the register in force; asked again when somebody else's counts.

    Raises:
        PublicationConflictError, TransientError, InvalidEventError: see `publish`; and whatever `wanted` raises.
    """
    bus.ensure_topics((REGISTER,))
    held = read_held(bus)
    target, said = wanted(held), 0
    for _ in range(_ROUNDS):
        differing = changes(held.facts, target)
        if not differing and not held.disputed:
            return Publication(held.version, said, held.digest or digest_of(target))
        version, said = held.highest + 1, _publish_version(held, target, differing, bus, clock, signed)
        read_on(bus, held)
        if held.version != version:
            target = wanted(held)
    if changes(held.facts, target) or held.disputed:
        raise PublicationConflictError(
            "found another publication of the register each time; expected to be the only one; "
            "publish again when it is done"
        )
    return Publication(held.version, said, held.digest or digest_of(target))


def _publish_version(  # noqa: PLR0917  # one step of the loop above
    held: Held, wanted: Facts, differing: Mapping[FactKey, Fact | None], bus: EventBus, clock: Clock, signed: Signed
) -> int:
    version = held.highest + 1
    facts = {**{key: wanted.get(key) for key in held.doubtful}, **differing}
    events: Sequence[Event] = [
        change_event(key, version, fact, clock.now()) for key, fact in sorted(facts.items(), key=lambda item: item[0])
    ]
    marker = message_of(marker_event(version, len(events), digest_of(wanted), clock.now(), signed))
    own = len(bus.publish([message_of(event) for event in events])) if events else 0
    if read_on(bus, held) > own:
        raise PublicationConflictError(
            "found another publication of the register under way; expected to be the only one; "
            "nothing of this one counts, publish again"
        )
    bus.publish([marker])
    return len(events)


def message_of(event: Event) -> Message:
    """An event as it is put on the register topic."""
    return Message(REGISTER.name, key_of(event), encode(event))
