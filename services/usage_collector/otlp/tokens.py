"""Token counts as telemetry writes them, into meters: every token in exactly one."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tokens:
    """What one call, or many, used. `input_includes_cached` says how the producer counts; None: not counted."""

    input: int | None = None
    output: int | None = None
    cache_read: int = 0
    cache_write: int = 0
    input_includes_cached: bool = True

    @property
    def is_known(self) -> bool:
        return self.input is not None or self.output is not None

    def meters(self) -> Mapping[str, str]:
        """Meter → quantity as text. A cache write is metered at five minutes: telemetry does not tell its lifetime.

        The conventions count cached tokens into the input; some instrumentations copy the vendor's own figure, which
        leaves them out. More cached than input tokens betrays those.
        """
        counted = {"input_tokens": self._uncached(), "output_tokens": self.output}
        cached = {"cache_read_tokens": self.cache_read or None, "cache_write_5m_tokens": self.cache_write or None}
        return {meter: str(number) for meter, number in {**counted, **cached}.items() if number is not None}

    def _uncached(self) -> int | None:
        cached = self.cache_read + self.cache_write
        if self.input is None or not self.input_includes_cached or cached > self.input:
            return self.input
        return self.input - cached
