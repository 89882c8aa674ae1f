"""The envelope: CloudEvents 1.0 in structured JSON, on the bus and in files alike."""

import json
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
)

from services.shared.periods import timestamp, utc

MAX_EVENT_BYTES = 60_000
"""A larger event is refused before the bus; an audit log entry holds at most 65,535 bytes."""

_PRINTABLE = r"^[\x20-\x7e]*$"
"""What W3C Trace Context writes; a NUL could not be kept by every database."""

CONTENT_TYPE = "application/cloudevents+json"


def _written_out(found: object) -> object:
    if isinstance(found, str | datetime):
        return found
    raise ValueError("a time is written as RFC 3339 text, for example 2026-11-17T00:00:00Z")


Utc = Annotated[
    AwareDatetime,
    BeforeValidator(_written_out),
    AfterValidator(utc),
    PlainSerializer(timestamp, return_type=str, when_used="json"),
]
"""An instant with a time zone, kept in UTC, written as RFC 3339 with `Z`."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""A name: 1 to 256 characters, no control characters."""

Id = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""An identifier: 1 to 128 characters, no control characters, no personal data."""

Pseudonym = Annotated[str, StringConstraints(min_length=3, max_length=64, pattern=r"^p-[A-Za-z0-9_-]+$")]
"""A person as the collector's own table names them."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""Lower-case hex of a SHA-256 digest."""

ContentHash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""Lower-case hex of 32 bytes: a sender's SHA-256, or the collector's HMAC-SHA-256 of that digest."""


class Fact(BaseModel):
    """Base of everything inside an event: frozen, unknown members refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, ser_json_timedelta="iso8601")


class Event(Fact):
    """Base of every event on the bus. A subclass fixes `type` and gives `data` its model.

    `source` and `id` name the event; the same pair with the same bytes is the same event. `time` is when the fact
    was made known by its source (UTC).
    """

    specversion: Literal["1.0"] = "1.0"
    id: Annotated[str, StringConstraints(min_length=1, max_length=192, pattern=r"^[^\x00-\x1f\x7f]+$")]
    source: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\s\x00-\x1f\x7f]+$")]
    subject: Name
    time: Utc
    type: str
    datacontenttype: Literal["application/json"] = "application/json"
    data: Fact
    traceparent: Annotated[str, StringConstraints(max_length=64, pattern=_PRINTABLE)] | None = Field(
        default=None, exclude_if=lambda value: value is None
    )
    tracestate: Annotated[str, StringConstraints(max_length=512, pattern=_PRINTABLE)] | None = Field(
        default=None, exclude_if=lambda value: value is None
    )


def event_id(*parts: str | int | datetime) -> str:
    """Name the same fact the same way every time; no two facts share a name. 64 hex digits."""
    return sha256(json.dumps([_plain(part) for part in parts], ensure_ascii=False).encode()).hexdigest()


def _plain(part: str | int | datetime) -> str | int:
    return part.astimezone(UTC).isoformat() if isinstance(part, datetime) else part
