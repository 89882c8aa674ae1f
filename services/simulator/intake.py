"""The intake as the city's applications see it: they post batches, and try again when they are asked to."""

import json
import time
from collections.abc import Callable, Iterator, Sequence

import httpx

from services.shared.errors import ConfigurationError
from services.simulator.outputs import Sent

BATCH_EVENTS = 500
TIMEOUT_SECONDS = 60.0
MAX_TRIES = 10
_BUSY = frozenset({httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE})


class Intake:
    """Posts events to `POST /v1/events` of the program at `address`."""

    def __init__(self, address: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = httpx.Client(base_url=address, timeout=TIMEOUT_SECONDS)
        self._sleep = sleep

    def close(self) -> None:
        self._client.close()

    def post(self, events: Sequence[Sent]) -> Iterator[int]:
        """Post in batches; how many were taken so far, after each.

        Raises:
            ConfigurationError: the intake is not there, is busy for too long, or refuses an event.
        """
        end = 0
        while end < len(events):
            start, end = end, _end(events, end)
            self._persistently(json.dumps(events[start:end]).encode())
            yield end

    def _persistently(self, body: bytes) -> None:
        answer = self._once(body)
        for _ in range(MAX_TRIES - 1):
            if answer.status_code not in _BUSY:
                break
            self._sleep(float(answer.headers.get("retry-after", "1")))
            answer = self._once(body)
        if answer.status_code != httpx.codes.ACCEPTED:
            raise ConfigurationError(
                f"the intake answered {answer.status_code}, expected 202: {answer.text[:300]}. The city's folder and "
                "this program do not fit together"
            )

    def _once(self, body: bytes) -> httpx.Response:
        try:
            return self._client.post(
                "/v1/events", content=body, headers={"content-type": "application/cloudevents-batch+json"}
            )
        except httpx.HTTPError as error:
            raise ConfigurationError(
                f"the intake cannot be reached ({type(error).__name__}); see whether the program still runs"
            ) from None


def _end(events: Sequence[Sent], start: int) -> int:
    """Where a batch that begins at `start` ends: not between two events about the same thing, if that can be."""
    full = start + BATCH_EVENTS
    if full >= len(events):
        return len(events)
    cuts = (end for end in range(full, start, -1) if events[end]["subject"] != events[end - 1]["subject"])
    return next(cuts, full)
