"""Request bodies: what their headers say they are, and what they are once decompressed."""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from services.shared.errors import InvalidEventError, PlatformError
from services.usage_collector.intake import MAX_BATCH_EVENTS, read_json

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
_GZIP = 31  # zlib's number for a gzip header, with the largest window


class UnsupportedBodyError(PlatformError):
    """A media type, character set or compression we do not read (415)."""


class TooLargeBodyError(PlatformError):
    """More bytes, or more events, than one request may bring (413)."""


def media_type(content_type: str) -> str:
    """The media type in lower case, without parameters.

    Raises:
        UnsupportedBodyError: it names a character set that is not UTF-8.
    """
    kind, *parameters = content_type.lower().split(";")
    for parameter in parameters:
        name, _, text = parameter.partition("=")
        if name.strip() == "charset" and text.strip().strip('"') not in {"utf-8", "utf8", "us-ascii"}:
            raise UnsupportedBodyError("found a character set that is not UTF-8; send UTF-8")
    return kind.strip()


def decompressed(body: bytes, encoding: str, limit_bytes: int) -> bytes:
    """`body` without its gzip, at most `limit_bytes` of it: a bomb is not unpacked further than that.

    Raises:
        UnsupportedBodyError: another compression than gzip.
        TooLargeBodyError: it unpacks to more than the limit.
        InvalidEventError: it is damaged or cut off.
    """
    match encoding.strip().lower():
        case "" | "identity":
            return body
        case "gzip" | "x-gzip":
            return _gunzipped(body, limit_bytes)
        case _:
            raise UnsupportedBodyError("found a Content-Encoding we do not read; send gzip, or no compression")


def _gunzipped(body: bytes, limit_bytes: int) -> bytes:
    parts: list[bytes] = []
    left = limit_bytes
    while body or not parts:  # a gzip file may have several members, one after the other
        member = zlib.decompressobj(_GZIP)
        try:
            parts.append(member.decompress(body, left + 1))
        except zlib.error:
            raise InvalidEventError(
                "found a body that says it is gzip and is not; mend the sender's compression"
            ) from None
        left -= len(parts[-1])
        if left < 0:
            raise TooLargeBodyError(f"found a body that unpacks to more than {limit_bytes} bytes; send smaller batches")
        if not member.eof:
            raise InvalidEventError("found a gzip body that is cut off; send the whole body")
        body = member.unused_data
    return b"".join(parts)


def raw_events(kind: str, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> Sequence[object]:
    """The events of a request in CloudEvents' structured, batch or binary mode, as JSON says them.

    Source: CloudEvents 1.0 HTTP protocol binding, section 3.

    Raises:
        UnsupportedBodyError: none of the three.
        TooLargeBodyError: a batch of too many events.
        InvalidEventError: the body is not JSON that can be used.
    """
    if kind == STRUCTURED:
        return [read_json(body)]
    if kind == BATCH:
        return _batch(read_json(body))
    attributes = _attributes(headers)
    if kind == "application/json" and "specversion" in attributes:
        return [{**attributes, "datacontenttype": kind, "data": read_json(body)}]
    raise UnsupportedBodyError(f"expected Content-Type {STRUCTURED}, {BATCH}, or application/json with ce- headers")


def _batch(found: object) -> Sequence[object]:
    if not isinstance(found, list):
        raise InvalidEventError(f"a batch is a JSON array of events; for one event send Content-Type {STRUCTURED}")
    if len(found) > MAX_BATCH_EVENTS:
        raise TooLargeBodyError(
            f"found {len(found)} events, at most {MAX_BATCH_EVENTS} are taken at once; split the batch"
        )
    return found


def _attributes(headers: Sequence[tuple[bytes, bytes]]) -> Mapping[str, Any]:
    attributes: dict[str, str] = {}
    for raw_name, raw_text in headers:
        name = raw_name.decode("latin-1").lower()
        if not name.startswith("ce-"):
            continue
        if name[3:] in attributes or name == "ce-data":
            raise InvalidEventError(
                f"found the header {name} where it cannot be; each attribute comes once, data is the body"
            )
        attributes[name[3:]] = _percent_decoded(name, raw_text)
    return attributes


def _percent_decoded(name: str, text: bytes) -> str:
    try:
        return unquote(text.decode("ascii"), errors="strict")
    except UnicodeDecodeError:
        raise InvalidEventError(f"{name}: expected ASCII with percent-encoded UTF-8") from None
