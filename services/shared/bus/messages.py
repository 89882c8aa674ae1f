"""What all buses ask of messages and topics, and how they tell time."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from services.shared.bus import Message
from services.shared.errors import ConfigurationError, IncompatibleStoreError, InvalidEventError
from services.shared.events.topics import Topic

MAX_MESSAGE_BYTES = 1_000_000
"""Key, value and headers together. An event has at most 60,000 (design 2); a dead letter quotes one and holds more."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def milliseconds(moment: datetime) -> int:
    """Whole milliseconds since 1970, rounded down."""
    return (moment - _EPOCH) // _MILLISECOND


@lru_cache(maxsize=1024)  # records of one batch often carry the same time
def moment_of(milliseconds_since_1970: int) -> datetime:
    """The moment, UTC."""
    return _EPOCH + milliseconds_since_1970 * _MILLISECOND


def check_sizes(messages: Sequence[Message]) -> None:
    """Refuse what is too large for any bus, before anything is written.

    Raises:
        InvalidEventError: a message has more than `MAX_MESSAGE_BYTES`.
    """
    for message in messages:
        size = len(message.key) + len(message.value)
        if message.headers:
            size += sum(len(name) + len(value) for name, value in message.headers)
        if size > MAX_MESSAGE_BYTES:
            raise InvalidEventError(
                f"found a message of {size} bytes for {message.topic}, at most {MAX_MESSAGE_BYTES} are taken; "
                "send a reference instead"
            )


def unknown_topic(name: str) -> ConfigurationError:
    return ConfigurationError(
        f"the topic {name} does not exist on this bus; create it, or start the program with the right to create topics"
    )


def check_topic(topic: Topic, partitions: int, retention_days: int | None) -> None:
    """Whether a topic that exists is the one that is meant.

    Raises:
        IncompatibleStoreError: it has another number of partitions where that is fixed, or keeps records otherwise.
    """
    if topic.partitions not in (None, partitions):
        raise incompatible(topic.name, "partitions", str(partitions), str(topic.partitions))
    if topic.retention_days != retention_days:
        raise incompatible(topic.name, "retention", _days(retention_days), _days(topic.retention_days))


def incompatible(topic: str, setting: str, found: str, expected: str) -> IncompatibleStoreError:
    return IncompatibleStoreError(
        f"topic {topic}: {setting} is {found}, expected {expected}. Set it right on the bus, or copy the records to a "
        "new topic of that name"
    )


def _days(days: int | None) -> str:
    return "for good" if days is None else f"{days} days"
