"""What comes in over HTTP, event by event: who may send it, whom it names, what it lacks, and whether it can be.

A sender's event is completed (defaults of design 3), cleaned (persons become pseudonyms, SHA-256 digests become keyed
hashes), validated, and written again by our own encoder. Good events of a batch are kept; each refused one gets a
reason. When `accept` returns, the accepted ones are durable on the bus.
"""

import hmac
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any, get_args
from urllib.parse import urlsplit

from pydantic import AwareDatetime, BaseModel, TypeAdapter, ValidationError

from services.shared.access import Holder
from services.shared.bus import EventBus, Message
from services.shared.clock import Clock
from services.shared.errors import ConfigurationError, IncompatibleStoreError, InvalidEventError, TransientError
from services.shared.events import Event, describe, encode, event_types, key_of, topic_of
from services.shared.events.governance import OutputGenerated, ReviewDecided
from services.shared.events.usage import UsageRecorded
from services.shared.logs import logger
from services.usage_collector.publishing import GroupPublisher

MAX_BATCH_EVENTS = 1_000
FUTURE = timedelta(hours=24)
"""A charge period may not start later than this from now."""

UNUSABLE_RETRY_SECONDS = 60.0
TROUBLE_SHOWN = timedelta(seconds=60)
"""So long a bus that was away is told by `problem`; for ever would be a trap: who is not ready is sent no events."""

_OURS = frozenset({"valvomo.ai.output.voided.v1", "valvomo.ai.review.requested.v1", "valvomo.ai.review.escalated.v1"})
PUSHABLE = tuple(
    name
    for name in event_types()
    if name == "valvomo.usage.recorded.v1"
    or (name.startswith(("valvomo.ai.output.", "valvomo.ai.review.")) and name not in _OURS)
)
"""The event types that applications may send; all others are made by Valvomo itself."""

Raw = Mapping[str, Any]
"""An event as JSON says it."""

Pseudonymise = Callable[[str], str]
"""Identity of a person → their pseudonym (`p-…`), the same one every time."""

HashDigest = Callable[[str], str]
"""Hex SHA-256 of a text → hex HMAC-SHA-256 of that digest under the collector's key."""

_models = {name: TypeAdapter(event_types()[name]) for name in PUSHABLE}
_pseudonym = re.compile(r"p-[A-Za-z0-9_-]{1,62}", re.ASCII).fullmatch
_digest = re.compile(r"[0-9a-f]{64}", re.ASCII).fullmatch
_at_sign = re.compile("@|\N{FULLWIDTH COMMERCIAL AT}|\N{SMALL COMMERCIAL AT}|%40".encode()).search
_mail_address = re.compile(
    '[^\\s"@:/](@|\N{FULLWIDTH COMMERCIAL AT}|\N{SMALL COMMERCIAL AT}|%40)[\\w-]+(\\.[\\w-]+)*\\.[^\\W\\d_]{2,}'
).search
_moment = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d", re.ASCII).match
_PERSONS = ("person", "requester", "actor", "reviewer")
_HASHES = (
    "content_hash", "content_hash_used", "content_hash_reviewed", "edited_content_hash", "conversation_hash",
)  # fmt: skip
_NESTED = ("consumer", "rendering")
"""Members of the data whose own members are cleaned likewise."""

_OWN_SOURCES = "valvomo"
_REVIEW = "valvomo.ai.review.decided.v1"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An event that was not taken. `index` null: the body as a whole. `id`: the sender's, where it can be shown."""

    index: int | None
    id: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the events of one request."""

    accepted: int
    refused: Sequence[Refusal] = ()


def looks_like_mail(text: str) -> bool:
    """Whether an e-mail address seems to stand somewhere in a text."""
    return _mail_address(text) is not None


def keyed_hash(key: bytes) -> HashDigest:
    """HMAC-SHA-256 under `key`, of the digest's 32 bytes. Equal texts still match; nobody can guess a text back."""
    return lambda digest: hmac.digest(key, bytes.fromhex(digest), "sha256").hex()


@dataclass(slots=True)
class Intake:
    """Takes events in. Thread-safe; requests of the same moment share one commit on the bus."""

    bus: EventBus
    hash_digest: HashDigest
    pseudonymise: Pseudonymise
    clock: Clock
    _publisher: GroupPublisher = field(init=False)
    _trouble: tuple[str, datetime | None] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._publisher = GroupPublisher(self.bus)

    @property
    def problem(self) -> str | None:
        """Why events cannot be taken; None when the last ones could, or nobody has tried for a minute."""
        if self._trouble is None:
            return None
        reason, until = self._trouble
        return f"intake: {reason}" if until is None or self._is_shown(until) else None

    def _is_shown(self, until: datetime) -> bool:
        return until - TROUBLE_SHOWN <= self.clock.now() < until  # the clock may have been set back

    def accept(self, raws: Sequence[object], holder: Holder) -> Outcome:
        """Publish what can be published and say why the rest cannot; the order of the events is kept.

        Raises:
            TransientError: the bus is away, or cannot be used until a person has mended it; nothing is promised, send
                everything again (duplicates do no harm).
        """
        batch = _Batch(self, holder, self.clock.now() + FUTURE)
        messages, refused = [], []
        for index, raw in enumerate(raws):
            try:
                messages.append(batch.message(raw))
            except InvalidEventError as error:
                refused.append(Refusal(index, _shown_id(raw), str(error)))
        if messages:
            self._publish(messages)
        return Outcome(len(messages), refused)

    def _publish(self, messages: Sequence[Message]) -> None:
        """A bus that is damaged or may not be written is no fault of the sender, who must keep the events: 503."""
        try:
            self._publisher.publish(messages)
            self._trouble = None
        except TransientError as error:
            self._trouble = (str(error), self.clock.now() + TROUBLE_SHOWN)
            raise
        except (ConfigurationError, IncompatibleStoreError) as error:
            self._trouble = (str(error), None)
            logger("intake").error("bus unusable", reason=str(error))
            raise TransientError(
                "the bus cannot take events until a person has mended it; keep them", UNUSABLE_RETRY_SECONDS
            ) from error


class _Batch:
    """One request's events on their way: remembers the pseudonyms it has asked for."""

    def __init__(self, intake: Intake, holder: Holder, latest_start: datetime) -> None:
        self._holder = holder
        self._latest_start = latest_start
        self._hash = intake.hash_digest
        self._pseudonym_of = cache(intake.pseudonymise)

    def message(self, raw: object) -> Message:
        """The message for the bus. Raises `InvalidEventError` with the reason for the sender."""
        event = self._event(raw)
        self._refuse_forbidden(event)
        value = encode(event)
        if _at_sign(value) and looks_like_mail(value.decode()):
            raise InvalidEventError(
                "found what looks like an e-mail address; name persons in person, requester, actor or reviewer only"
            )
        return Message(topic_of(event), key_of(event), value)

    def _event(self, raw: object) -> Event:
        if not isinstance(raw, dict):
            raise InvalidEventError("found no JSON object, expected a CloudEvent")
        model = _model_of(raw)
        data = raw.get("data")
        document = {**raw, "data": self._completed(raw, self._cleaned(data))} if isinstance(data, dict) else raw
        try:
            return model.validate_python(document)
        except ValidationError as error:
            raise InvalidEventError(describe(error)) from None

    def _cleaned(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The data without identities and plain digests, its parts likewise."""
        cleaned = dict(data)
        for members in (cleaned, *self._parts(cleaned)):
            self._replace_persons(members)
            self._replace_hashes(members)
        return cleaned

    @staticmethod
    def _parts(cleaned: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for name in _NESTED:
            if isinstance(cleaned.get(name), dict):
                cleaned[name] = part = dict(cleaned[name])
                yield part

    def _completed(self, raw: Raw, data: dict[str, Any]) -> dict[str, Any]:
        """A review says whose output it is of; who may report one system only need not."""
        only = self._holder.only_system
        if raw.get("type") == _REVIEW and only is not None and data.get("system") is None:
            data["system"] = only
        return data

    def _replace_persons(self, members: dict[str, Any]) -> None:
        for name in _PERSONS:
            identity = members.get(name)
            if isinstance(identity, str) and not _pseudonym(identity):
                members[name] = self._pseudonym_of(_identity(identity, name))

    def _replace_hashes(self, members: dict[str, Any]) -> None:
        for name in _HASHES:
            digest = members.get(name)
            if isinstance(digest, str) and _digest(digest):
                members[name] = self._hash(digest)

    def _refuse_forbidden(self, event: Event) -> None:
        _refuse_ours(event)
        if not self._holder.may_use_source(event.source):
            raise InvalidEventError("source: this token may not send under this source; ask for it in the tokens file")
        system = getattr(event.data, "system", None)
        if system is not None and not self._holder.may_report(system):
            raise InvalidEventError("data.system: this token may not report this system; ask for it in the tokens file")
        if isinstance(event, ReviewDecided) and system is None and not self._holder.may_report_all:
            raise InvalidEventError(
                "data.system: found a review that does not say which system made the output; this token may report "
                "some systems only, so name one of them"
            )
        if isinstance(event, UsageRecorded) and event.data.charge_period_start > self._latest_start:
            raise InvalidEventError(
                "data.charge_period_start: starts more than 24 hours ahead; check the sender's clock and time zone"
            )


def _refuse_ours(event: Event) -> None:
    """What Valvomo says itself has its own way to the bus; nobody else may speak in its name."""
    if event.source.casefold().split("/")[0] == _OWN_SOURCES:
        raise InvalidEventError("source: what begins with valvomo/ is said by Valvomo itself; use a name of your own")
    if isinstance(event, ReviewDecided) and event.data.made_in == "valvomo":
        raise InvalidEventError(
            "data.made_in: only Valvomo itself tells of reviews that were made on its pages; expected vendor or app"
        )
    if isinstance(event, OutputGenerated) and event.data.content_ref is not None:
        _refuse_secrets(event.data.content_ref)


def _refuse_secrets(link: str) -> None:
    """A link may hold a name and a password before its host."""
    try:
        place = urlsplit(link).netloc
    except ValueError:
        raise InvalidEventError("data.content_ref: found a link whose host cannot be read; copy it again") from None
    if "@" in place:
        raise InvalidEventError("data.content_ref: found a name or a password before the host; leave it out")


def _model_of(raw: Mapping[str, Any]) -> TypeAdapter[Event]:
    name = raw.get("type")
    model = _models.get(name) if isinstance(name, str) else None
    if model is None:
        raise InvalidEventError(f"type: applications may send {', '.join(PUSHABLE)}; everything else is refused")
    if "specversion" not in raw:
        raise InvalidEventError('specversion: Field required; expected "1.0"')
    _refuse_loose_times(name, raw)
    return model


def _refuse_loose_times(name: str | None, raw: Mapping[str, Any]) -> None:
    """A number would be read as seconds or milliseconds by its size: a guess that could move money to another month."""
    data = raw.get("data")
    members = [("time", raw.get("time"))]
    if isinstance(data, dict):
        members += [(f"data.{member}", data[member]) for member in _moments(str(name)) if member in data]
    for place, found in members:
        if found is not None and not (isinstance(found, str) and _moment(found)):
            raise InvalidEventError(f'{place}: expected a moment as RFC 3339 text, for example "2026-11-17T00:00:00Z"')


@cache
def _moments(name: str) -> tuple[str, ...]:
    data = event_types()[name].model_fields["data"].annotation
    if not (isinstance(data, type) and issubclass(data, BaseModel)):
        return ()
    return tuple(member for member, info in data.model_fields.items() if _is_moment(info.annotation))


def _is_moment(annotation: object) -> bool:
    return annotation in (datetime, AwareDatetime) or any(_is_moment(part) for part in get_args(annotation))


def _identity(text: str, member: str) -> str:
    identity = text.strip()
    if not identity or len(identity) > 320 or not identity.isprintable():  # noqa: PLR2004  # the longest mail address
        raise InvalidEventError(f"{member}: expected a pseudonym, or an identifier of 1 to 320 printable characters")
    return identity


def _shown_id(raw: object) -> str | None:
    found = raw.get("id") if isinstance(raw, dict) else None
    return found[:192] if isinstance(found, str) and found.isprintable() else None


def read_json(body: bytes) -> Any:  # noqa: ANN401  # whatever JSON holds
    """The value that `body` writes in JSON (UTF-8), with nothing lost on the way.

    Raises:
        InvalidEventError: not UTF-8, not JSON, a member that stands twice, NaN or Infinity, or nested too deeply.
    """
    try:
        return json.loads(body.decode(), object_pairs_hook=_members, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise InvalidEventError(f"found bytes at {error.start} that are not UTF-8; send JSON in UTF-8") from None
    except json.JSONDecodeError as error:
        raise InvalidEventError(
            f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}; send the whole document"
        ) from None
    except RecursionError:
        raise InvalidEventError("found JSON that is nested too deeply; an event needs five levels") from None
    except ValueError as error:
        raise InvalidEventError(
            f"not usable JSON: {error}" if str(error).startswith("found") else "found a number of too many digits"
        ) from None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("found a member twice in one object; which one holds would be a guess")
    return members


def _refuse_constant(name: str) -> Any:  # noqa: ANN401
    raise ValueError(f"found {name}, which is no JSON")
