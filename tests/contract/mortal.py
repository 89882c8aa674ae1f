"""A store whose next transaction dies: before its n-th statement, bulk write or message, or before its commit."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from services.shared.store import Store


class Died(BaseException):
    """The process ends here. Not an `Exception`: nothing in it may go on."""


class _Countdown:
    def __init__(self, steps: int) -> None:
        self._left = steps

    def step(self) -> None:
        if self._left == 0:
            raise Died
        self._left -= 1


class _Watched:
    """Anything, with every call of these methods counted."""

    def __init__(self, inner: Any, countdown: _Countdown, methods: tuple[str, ...]) -> None:  # noqa: ANN401
        self._inner, self._countdown, self._methods = inner, countdown, methods

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        found = getattr(self._inner, name)
        if name == "connection":
            return _Watched(found, self._countdown, ("execute",))
        return self._counted(found) if name in self._methods else found

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*given: Any, **named: Any) -> Any:  # noqa: ANN401
            self._countdown.step()
            return call(*given, **named)

        return counted


@contextmanager
def die_at(store: Store, step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Within this block, transactions of the store end with `Died` before their step of that number, from nought on."""
    countdown, begin = _Countdown(step), store.transaction

    @contextmanager
    def mortal() -> Iterator[Any]:
        with begin() as tx:
            yield _Watched(tx, countdown, ("bulk_insert", "send"))
            countdown.step()

    with monkeypatch.context() as patch:
        patch.setattr(store, "transaction", mortal)
        yield
