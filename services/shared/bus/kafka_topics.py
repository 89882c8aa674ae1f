"""What a topic on Kafka must be like, whichever client asks."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.shared.bus.messages import incompatible
from services.shared.errors import IncompatibleStoreError
from services.shared.events.topics import Topic

MAX_BATCH_BYTES = 1_048_588
"""Kafka's own default. Holds one message of `MAX_MESSAGE_BYTES` with its wrapping."""
SAFE_REPLICAS = 2
_DAY_MILLISECONDS = 86_400_000


@dataclass(frozen=True, slots=True)
class FoundTopic:
    """A topic as the broker describes it. `replicas`: the fewest of any of its partitions."""

    partitions: int
    replicas: int
    settings: Mapping[str, str]

    @property
    def expires(self) -> bool:
        return self.settings.get("retention.ms") != "-1"


def settings_of(topic: Topic, replicas: int) -> dict[str, str]:
    """The settings that a topic is made with, and must have.

    The time of a record is the broker's, so that a rebuild tells the same story as the first run; it never falls as
    long as the brokers' clocks are not set back. Records go by age alone, and only where the topic says so.
    """
    return {
        "message.timestamp.type": "LogAppendTime",
        "cleanup.policy": "delete",
        "retention.ms": str(-1 if topic.retention_days is None else topic.retention_days * _DAY_MILLISECONDS),
        "retention.bytes": "-1",
        "max.message.bytes": str(MAX_BATCH_BYTES),
        "min.insync.replicas": str(min(SAFE_REPLICAS, replicas)),
        "unclean.leader.election.enable": "false",
    }


_AT_LEAST = frozenset({"max.message.bytes", "min.insync.replicas"})


def check_found(topic: Topic, found: FoundTopic) -> None:
    """Whether a topic that exists is the one that is meant.

    Raises:
        IncompatibleStoreError: it would lose, expire, compact, refuse or misdate records, or has another number of
            partitions where the number is fixed.
    """
    if topic.partitions not in (None, found.partitions):
        raise incompatible(topic.name, "partitions", str(found.partitions), str(topic.partitions))
    for name, expected in settings_of(topic, found.replicas).items():
        value = found.settings.get(name)
        if value is None or not _is_enough(name, value, expected):
            raise _wrong_setting(topic.name, name, str(value), expected)


def _is_enough(name: str, found: str, expected: str) -> bool:
    return int(found) >= int(expected) if name in _AT_LEAST else found == expected


def _wrong_setting(topic: str, name: str, found: str, expected: str) -> IncompatibleStoreError:
    at_least = "at least " if name in _AT_LEAST else ""
    return IncompatibleStoreError(
        f"topic {topic}: {name} is {found}, expected {at_least}{expected}. Change it: kafka-configs.sh --alter "
        f"--entity-type topics --entity-name {topic} --add-config {name}={expected}"
    )
