"""The meters: a closed vocabulary. What one vendor alone counts is `vendor:name`."""

import re
from typing import Annotated

from pydantic import AfterValidator

METERS: dict[str, str] = {
    "input_tokens": "Tokens read by a model, without the cached ones",
    "cache_read_tokens": "Input tokens served from a cache",
    "cache_write_5m_tokens": "Input tokens written to a cache for five minutes",
    "cache_write_1h_tokens": "Input tokens written to a cache for an hour",
    "output_tokens": "Tokens written by a model, its reasoning included",
    "requests": "Calls",
    "web_searches": "Web searches made for a model",
    "assists": "ServiceNow assists drawn",
    "credits": "Credits of the vendor's own kind drawn",
    "seats": "Seats held",
    "conversations": "Conversations with a chatbot",
    "messages": "Messages to or from a chatbot",
    "audio_minutes": "Minutes of audio",
    "characters": "Characters of text",
    "gigabytes": "Gigabytes transferred",
    "capacity_hours": "Hours of reserved capacity",
}
"""Meter → what one unit of it is."""

_VENDOR_METER = re.compile(r"[a-z0-9_-]{1,32}:[!-~]{1,96}", re.ASCII)
_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)


def known_meter(name: str) -> str:
    """`name`, when it is a meter of ours or a vendor's own in the form `vendor:name`.

    Raises:
        ValueError: it is neither.
    """
    if name in METERS or _VENDOR_METER.fullmatch(name):
        return name
    shown = f" {name!r}" if _PLAIN_NAME.fullmatch(name) else ""  # else it may be anything, and reasons are logged
    raise ValueError(f"unknown meter{shown}; use one of {', '.join(METERS)}, or vendor:name")


Meter = Annotated[str, AfterValidator(known_meter)]
