"""Log lines: one JSON object each, or a readable form on a terminal. Never a person, an address or a text.

Bind `event_id`, `topic`, `partition`, `offset` where they are known. `refuse_personal` drops members whose name says
that they hold what must not be written, so that a slip shows as `[withheld]` and not as a name.
"""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

import structlog

_FRAMES = 12
_WITHHELD = frozenset(
    {
        "person",
        "email",
        "mail",
        "name",
        "user",
        "recipient",
        "token",
        "secret",
        "password",
        "authorization",
        "key",
        "prompt",
        "output",
        "body",
        "value",
    }
)


def configure_logs(log_format: str = "auto", level: str = "info") -> None:
    """Send every line, also those of libraries, through one chain to standard error."""
    as_json = log_format == "json" or (log_format == "auto" and not sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        refuse_personal,
        structlog.processors.format_exc_info,
    ]
    renderer: Any = structlog.processors.JSONRenderer(sort_keys=True) if as_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=_StandardErrorFactory(),
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processor=renderer)
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)


def logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose lines say which part of the program wrote them."""
    return structlog.get_logger(part=name)  # type: ignore[no-any-return]  # binds at the first line: modules ask early


def frames(error: BaseException) -> list[str]:
    """Where an unforeseen error came from, for a log line: without its message, which may hold anybody's text."""
    found = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in found[-_FRAMES:]]


def refuse_personal(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace members that may hold a person or a secret."""
    for name in _WITHHELD.intersection(line):
        line[name] = "[withheld]"
    return line


class _StandardErrorFactory:
    """Writes to the standard error of the moment, so that a test or a progress bar may replace it."""

    def __call__(self, *_args: object) -> structlog.PrintLogger:
        return structlog.PrintLogger(sys.stderr)
