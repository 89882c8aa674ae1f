"""Every event on the bus: how it is written, read, named and routed. Services meet here and nowhere else."""

import re
from typing import Annotated, Any, Union, get_args

from pydantic import Discriminator, TypeAdapter, ValidationError

from services.shared.errors import InvalidEventError
from services.shared.events import charges, governance, log, outcomes, register, usage
from services.shared.events.envelope import CONTENT_TYPE, MAX_EVENT_BYTES, Event, event_id
from services.shared.events.topics import CHARGES, DEAD_LETTER, GOVERNANCE, OUTCOMES, REGISTER, TOPICS, USAGE, Topic

__all__ = [
    "CHARGES",
    "CONTENT_TYPE",
    "DEAD_LETTER",
    "GOVERNANCE",
    "MAX_EVENT_BYTES",
    "OUTCOMES",
    "REGISTER",
    "TOPICS",
    "USAGE",
    "AnyEvent",
    "Event",
    "Topic",
    "decode",
    "describe",
    "encode",
    "event_id",
    "event_types",
    "key_of",
    "topic_of",
    "types_of",
]

_MODULES = (
    (USAGE, usage),
    (GOVERNANCE, governance),
    (REGISTER, register),
    (CHARGES, charges),
    (OUTCOMES, outcomes),
    (OUTCOMES, log),
)
_EVENTS: dict[type[Event], str] = {
    found: topic.name
    for topic, module in _MODULES
    for found in vars(module).values()
    if isinstance(found, type)
    and issubclass(found, Event)
    and found is not Event
    and found.__module__ == module.__name__
}

AnyEvent: Any = Annotated[Union[tuple(_EVENTS)], Discriminator("type")]  # noqa: UP007  # made from the classes found above
_adapter: TypeAdapter[Event] = TypeAdapter(AnyEvent)
_event_type = re.compile(r"valvomo(\.[a-z_]+)+\.v[0-9]+", re.ASCII).fullmatch
_member_name = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII).fullmatch


def encode(event: Event) -> bytes:
    """The event as it stands on the bus.

    Raises:
        InvalidEventError: it is larger than `MAX_EVENT_BYTES`.
    """
    value = event.model_dump_json().encode()
    if len(value) > MAX_EVENT_BYTES:
        raise InvalidEventError(
            f"found an event of {len(value)} bytes, at most {MAX_EVENT_BYTES} are taken; split it or send references"
        )
    return value


def decode(value: bytes | str) -> Event:
    """The event that these bytes hold.

    Raises:
        InvalidEventError: not JSON, an unknown type, or members that do not fit; the message names the members only.
    """
    if len(value) > MAX_EVENT_BYTES:
        raise InvalidEventError(f"found an event of {len(value)} bytes, at most {MAX_EVENT_BYTES} are taken")
    try:
        return _adapter.validate_json(value)
    except ValidationError as error:
        raise InvalidEventError(describe(error)) from None


def describe(error: ValidationError) -> str:
    """What is wrong with a document, without repeating what it says: no value of a sender's enters a message.

    A member's name is the sender's too when the member is unknown, or a tag: it is shown only when it reads as one.
    """
    problems = [
        _problem(item["loc"], item["type"], item["msg"])
        for item in error.errors(include_input=False, include_url=False, include_context=False)
    ]
    return "; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")  # noqa: PLR2004


def _problem(location: tuple[int | str, ...], kind: str, message: str) -> str:
    if kind == "union_tag_invalid":
        return "type: unknown event type; the known ones are listed in docs/asyncapi.yaml"
    return f"{'.'.join(map(_shown, location)) or 'document'}: {message}"


def _shown(part: int | str) -> str:
    return str(part) if isinstance(part, int) or part == "[key]" or _member_name(part) or _event_type(part) else "…"


def event_types() -> dict[str, type[Event]]:
    """`type` attribute → model, in the order of the topics."""
    return {get_args(model.model_fields["type"].annotation)[0]: model for model in _EVENTS}


def topic_of(event: Event) -> str:
    """The topic an event belongs to."""
    return _EVENTS[type(event)]


def types_of(topic: str) -> tuple[str, ...]:
    """The `type` attributes of a topic's events; empty for a topic that there is not."""
    return tuple(name for name, model in event_types().items() if _EVENTS[model] == topic)


def key_of(event: Event) -> bytes:
    """The key that keeps the records of one thing in one partition, in order (design 2)."""
    match event.data:
        case usage.Reading(reading_id=reading_id):
            key = f"{event.source}\x1f{reading_id}"
        case register.RegisterFact(fact_id=fact_id):
            key = f"{event.type}\x1f{fact_id}"
        case governance.OutputFact(output_id=output_id):
            key = output_id
        case _:
            key = event.subject
    return key.encode()
