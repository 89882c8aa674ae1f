"""Who sent a piece of telemetry, and what of its attributes may be kept: the one place that picks attributes."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from services.shared.access import Holder
from services.shared.errors import InvalidEventError
from services.shared.periods import timestamp

Attributes = Mapping[str, str | bool | int | float]
Raw = dict[str, Any]

UNKNOWN_SERVICE = "unknown_service"

TAGS = ("department", "team.id", "cost_center", "org.unit", "service.name", "service.namespace")
"""Attributes that are kept for allocation, and any that begins with `TAG_PREFIX` (which is cut off)."""
TAG_PREFIX = "valvomo.tag."

_PERSONS = ("user.email", "user.account_id", "user.account_uuid", "user.id", "enduser.id")  # the most telling first
_ENVIRONMENTS = ("deployment.environment.name", "deployment.environment")  # current name, then the older one
_MAX_TEXT = 256
_unfit_for_source = re.compile(r"[\s\x00-\x1f\x7f]+")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Origin:
    """One resource of a request: the program that was observed, and what the sender's token lets it say."""

    resource: Attributes
    scope: str
    holder: Holder

    @property
    def service(self) -> str:
        return text(self.resource, "service.name") or UNKNOWN_SERVICE

    def source(self, prefix: str = "otlp") -> str:
        """The CloudEvents source, the same for every retry."""
        return f"{prefix}/{_unfit_for_source.sub('-', self.service)}"[:128]

    def system(self, attributes: Attributes) -> str:
        """`valvomo.system` when it is said, else the only system of the token, else the service's name."""
        return self.said_system(attributes) or self.service

    def said_system(self, attributes: Attributes) -> str | None:
        """The system where it is said or the token leaves no choice: who reviews is another program than who made."""
        said = text(attributes, "valvomo.system") or text(self.resource, "valvomo.system")
        return said or self.holder.only_system

    def use_case(self, attributes: Attributes) -> str | None:
        return first_text({**self.resource, **attributes}, "valvomo.use_case")

    def environment(self, attributes: Attributes) -> str:
        return first_text({**self.resource, **attributes}, *_ENVIRONMENTS) or "production"

    def person(self, attributes: Attributes) -> str | None:
        """An identifier of the person, which the intake replaces by a pseudonym."""
        return first_text({**self.resource, **attributes}, *_PERSONS)

    def consumer(self, attributes: Attributes) -> Raw:
        both = {**self.resource, **attributes}
        return {"person": self.person(attributes), "account": _fit(both.get("organization.id")), "tags": _tags(both)}

    @staticmethod
    def event(kind: str, name: tuple[str, str], *, subject: str, time: datetime, data: Raw) -> Raw:
        """The event as a sender of CloudEvents would have written it; `name` is its source and id."""
        return {
            "specversion": "1.0",
            "type": kind,
            "source": name[0],
            "id": name[1],
            "subject": subject,
            "time": timestamp(time),
            "data": data,
        }


def attributes_of(pairs: Iterable[KeyValue]) -> Attributes:
    """Texts, booleans and numbers; lists, maps and bytes are where content travels, and are not read."""
    found: dict[str, str | bool | int | float] = {}
    for pair in pairs:
        match pair.value.WhichOneof("value"):
            case "string_value":
                found[pair.key] = pair.value.string_value
            case "bool_value":
                found[pair.key] = pair.value.bool_value
            case "int_value":
                found[pair.key] = pair.value.int_value
            case "double_value":
                found[pair.key] = pair.value.double_value
    return found


def text(attributes: Attributes, name: str) -> str | None:
    """A text attribute that says something."""
    found = attributes.get(name)
    return found if isinstance(found, str) and found else None


def first_text(attributes: Attributes, *names: str) -> str | None:
    return next((found for name in names if (found := text(attributes, name))), None)


def count(attributes: Attributes, *names: str) -> int | None:
    """The first of these attributes that is there, as a whole number of tokens.

    Raises:
        InvalidEventError: it is negative, not whole, or not a number.
    """
    for name in names:
        if name in attributes:
            return whole(attributes[name], name)
    return None


def whole(found: object, name: str) -> int:
    """`found` as a count. Exporters written in JavaScript send counts as doubles, and some as text.

    Raises:
        InvalidEventError: it is negative, not whole, or not a number.
    """
    if isinstance(found, str) and found.isascii() and found.isdecimal() and len(found) <= 18:  # noqa: PLR2004
        return int(found)
    if isinstance(found, float) and found.is_integer() and 0 <= found <= 2**53:
        return int(found)
    if isinstance(found, int) and not isinstance(found, bool) and found >= 0:
        return found
    raise InvalidEventError(f"{name}: expected a whole number, not negative")


def moment(nanoseconds: int) -> datetime:
    """The instant that OTLP writes as nanoseconds since 1970; what is finer than a microsecond is cut off.

    Raises:
        InvalidEventError: it is 0, which OTLP writes for "not known".
    """
    if not nanoseconds:
        raise InvalidEventError("found no time; expected when it began and ended")
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)


def _tags(attributes: Attributes) -> dict[str, str]:
    kept = {name: _fit(attributes.get(name)) for name in TAGS}
    own = {
        name.removeprefix(TAG_PREFIX): _fit(said) for name, said in attributes.items() if name.startswith(TAG_PREFIX)
    }
    return {name: said for name, said in {**kept, **own}.items() if name and said}


def _fit(found: object) -> str | None:
    """`found` when it can stand in an event; an `@` may be an address, and no tag needs one."""
    usable = isinstance(found, str) and 0 < len(found) <= _MAX_TEXT and found.isprintable() and "@" not in found
    return str(found) if usable else None
