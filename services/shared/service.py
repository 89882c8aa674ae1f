"""What a service is to the process that runs it: routes, background work, metrics, and whether it is ready."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from fastapi import APIRouter


class Service(Protocol):
    """One of the three services, built and not yet started. Its metrics are on the registry it was built with."""

    name: str

    @property
    def router(self) -> APIRouter:
        """What it answers over HTTP."""
        ...

    def start(self) -> None:
        """Begin the background work."""
        ...

    def stop(self) -> None:
        """End it; what was under way is finished or left as if it had not begun."""
        ...

    def problems(self) -> Sequence[str]:
        """Why `/readyz` is red, a sentence each; empty when ready."""
        ...


@runtime_checkable
class TellsFigures(Protocol):
    """A service with figures to tell at the end of a demo. Optional: a service without this method has none."""

    def summary(self) -> Mapping[str, Any]:
        """A few figures that say what the service holds, by name."""
        ...
