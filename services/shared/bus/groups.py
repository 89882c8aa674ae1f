"""Consumer groups within one process, and the consumer of the memory and SQLite buses."""

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from services.shared.bus import LoadPositions, Positions, Record, TopicPartition
from services.shared.errors import IncompatibleStoreError, TransientError

FOREVER = math.inf
PartitionsOf = Callable[[str], Collection[TopicPartition]]
"""Topic → its partitions.

Raises ConfigurationError for a topic that does not exist.
"""


class Bounds(NamedTuple):
    """A partition holds the offsets from `start` (inclusive) to `end` (exclusive); `expires`: whether old ones go."""

    start: int
    end: int
    expires: bool


class Log(Protocol):
    """What the consumer needs of the bus that made it."""

    bell: threading.Condition
    """Rung when records came, a group changed or the bus was closed."""
    patience_seconds: float
    """How long to wait for the bell before looking what other processes wrote."""
    closed: bool

    def fetch(self, partition: TopicPartition, offset: int, limit: int) -> Sequence[Record]: ...
    def bounds(self, partition: TopicPartition) -> Bounds: ...
    def has_grown(self, positions: Positions) -> bool:
        """Whether any of these positions can be read. Called under the bell: no I/O."""
        ...

    def look_around(self) -> None:
        """Notice what other processes wrote."""
        ...


def checked_position(partition: TopicPartition, position: int, bounds: Bounds) -> int:
    """Where to read on from a stored position (0: nothing was read yet): never past a hole that nobody was told of.

    Raises:
        IncompatibleStoreError: the position lies beyond the end, or before the start of a topic that never expires.
    """
    name = f"{partition.topic}/{partition.partition}"
    if position > bounds.end:
        raise IncompatibleStoreError(
            f"the position of {name} is {position}, but the bus ends at {bounds.end}: the bus is older than the "
            "database (restored, or emptied). Restore the bus that belongs to it, or rebuild from this bus"
        )
    if position < bounds.start and not bounds.expires:
        raise IncompatibleStoreError(
            f"the position of {name} is {position}, but the bus begins at {bounds.start}: records that are to be kept "
            "for good are gone. Restore them, or rebuild from a complete bus"
        )
    return max(position, bounds.start)


class Claim(Protocol):
    """The right of this process to read for a group."""

    def hold(self) -> None:
        """Take it, unless it is held already.

        Raises:
            TransientError: another process has it.
        """
        ...

    def release(self) -> None: ...


class NoClaim:
    """For a bus that only one process sees."""

    def hold(self) -> None: ...
    def release(self) -> None: ...


class Member:
    """One consumer's place in a group. Compared by identity."""

    def __init__(self, topics: Collection[str]) -> None:
        self.topics = frozenset(topics)


def share(
    partitions: Collection[TopicPartition], members: Sequence[Member], current: Mapping[TopicPartition, Member]
) -> dict[TopicPartition, Member]:
    """Who reads what: evenly, with as few moves as that allows. Partitions of a topic go to members that want it."""
    result = {partition: current[partition] for partition in partitions if current.get(partition) in members}
    load = Counter(result.values())

    def least(topic: str) -> Member | None:
        return min((member for member in members if topic in member.topics), key=load.__getitem__, default=None)

    for partition in sorted(set(partitions) - result.keys()):
        if member := least(partition.topic):
            result[partition] = member
            load[member] += 1
    for partition, owner in sorted(result.items(), key=lambda item: item[0]):
        idlest = least(partition.topic)
        if idlest and load[owner] - load[idlest] > 1:
            result[partition] = idlest
            load.update({owner: -1, idlest: 1})
    return result


class Group:
    """The members of one group in this process.

    A partition changes hands only when its owner polls again (or leaves): what it had fetched is handled by then, so
    that the next owner loads positions that count it.
    """

    def __init__(self, bell: threading.Condition, partitions_of: PartitionsOf, claim: Claim) -> None:
        self._bell = bell
        self._partitions_of = partitions_of
        self._claim = claim
        self._members: list[Member] = []
        self._owner: dict[TopicPartition, Member] = {}
        self._target: dict[TopicPartition, Member] = {}

    def join(self, topics: Collection[str]) -> Member:
        member = Member(topics)
        with self._bell:
            self._members.append(member)
            self._share_anew()
        return member

    def leave(self, member: Member) -> None:
        """Give everything back."""
        with self._bell:
            if member in self._members:
                self._members.remove(member)
                self._owner = {partition: owner for partition, owner in self._owner.items() if owner is not member}
                self._share_anew()
            if not self._members:
                self.release()

    def release(self) -> None:
        """Let another process read for this group."""
        self._claim.release()

    def is_unsettled(self, member: Member) -> bool:
        """Whether `settle` would change what the member owns. Called under the bell."""
        return any(self._owner.get(partition) is not member for partition in self._free_for(member)) or any(
            owner is member and self._target.get(partition) is not member for partition, owner in self._owner.items()
        )

    def settle(self, member: Member) -> frozenset[TopicPartition]:
        """Let go what others shall read, take what is free; what is owned now.

        Raises:
            TransientError: another process reads for this group.
        """
        with self._bell:
            self._claim.hold()
            if self.is_unsettled(member):
                kept = {
                    p: owner for p, owner in self._owner.items() if owner is not member or self._target.get(p) is member
                }
                self._owner = kept | dict.fromkeys(self._free_for(member), member)
                self._bell.notify_all()
            return frozenset(partition for partition, owner in self._owner.items() if owner is member)

    def _free_for(self, member: Member) -> list[TopicPartition]:
        return [p for p, wanted in self._target.items() if wanted is member and self._owner.get(p, member) is member]

    def _share_anew(self) -> None:
        topics = sorted({topic for member in self._members for topic in member.topics})
        partitions = [partition for topic in topics for partition in self._partitions_of(topic)]
        self._target = share(partitions, self._members, self._owner)
        self._bell.notify_all()


class Groups:
    """The groups of one bus in this process, made when first asked for."""

    def __init__(
        self, bell: threading.Condition, partitions_of: PartitionsOf, claim_of: Callable[[str], Claim]
    ) -> None:
        self._bell = bell
        self._partitions_of = partitions_of
        self._claim_of = claim_of
        self._groups: dict[str, Group] = {}

    def __getitem__(self, name: str) -> Group:
        with self._bell:
            if name not in self._groups:
                self._groups[name] = Group(self._bell, self._partitions_of, self._claim_of(name))
            return self._groups[name]

    def release(self) -> None:
        with self._bell:
            for group in self._groups.values():
                group.release()


class GroupConsumer:
    """A member of a `Group` that reads a `Log`."""

    def __init__(self, log: Log, group: Group, topics: Collection[str], load_positions: LoadPositions) -> None:
        self._log = log
        self._group = group
        self._load_positions = load_positions
        self._positions: dict[TopicPartition, int] = {}
        self._turn = 0
        self._member = group.join(topics)

    def poll(self, timeout_seconds: float, max_records: int) -> Sequence[Record]:
        if self._log.closed:
            raise TransientError("the bus was closed; open it again")
        deadline = time.monotonic() + timeout_seconds
        while True:
            self._settle()
            found = self._take(max_records)
            left = deadline - time.monotonic()
            if found or left <= 0 or self._log.closed:
                return found
            self._wait(left)

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset(self._positions)

    def seek(self, positions: Positions) -> None:
        ours = {partition: position for partition, position in positions.items() if partition in self._positions}
        self._positions.update({p: checked_position(p, position, self._log.bounds(p)) for p, position in ours.items()})

    def report(self, positions: Positions) -> None:
        """Nobody displays this bus's lag but the program itself, which knows the positions."""

    def close(self) -> None:
        self._positions.clear()
        self._group.leave(self._member)

    def _settle(self) -> None:
        owned = self._group.settle(self._member)
        for lost in self._positions.keys() - owned:
            del self._positions[lost]
        gained = owned - self._positions.keys()
        if gained:
            stored = self._load_positions(gained)
            bounds = {partition: self._log.bounds(partition) for partition in gained}
            self._positions.update({p: checked_position(p, stored.get(p, 0), held) for p, held in bounds.items()})

    def _take(self, most: int) -> Sequence[Record]:
        found: list[Record] = []
        moved: dict[TopicPartition, int] = {}
        for partition in self._in_turn():
            records = self._log.fetch(partition, self._positions[partition], most - len(found))
            if records:
                moved[partition] = records[-1].offset + 1
                found.extend(records)
            if len(found) >= most:
                break
        self._positions.update(moved)  # only now: a fault above must not skip what was fetched before it
        return found

    def _in_turn(self) -> list[TopicPartition]:
        """All partitions, each time beginning with the next one, so that a busy one does not starve the others."""
        partitions = sorted(self._positions)
        self._turn = (self._turn + 1) % max(1, len(partitions))
        return partitions[self._turn :] + partitions[: self._turn]

    def _wait(self, seconds: float) -> None:
        with self._log.bell:
            self._log.bell.wait_for(self._is_called, min(seconds, self._log.patience_seconds))
        self._log.look_around()

    def _is_called(self) -> bool:
        return self._log.closed or self._log.has_grown(self._positions) or self._group.is_unsettled(self._member)
