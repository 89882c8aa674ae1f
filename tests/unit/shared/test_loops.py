"""Background loops: they end when asked, wait out passing trouble, and stop on what nobody foresaw."""

import threading

import pytest

from services.shared.errors import ConfigurationError, TransientError
from services.shared.loops import Loop


def test_a_loop_ends_when_asked() -> None:
    called = threading.Event()

    def step() -> float:
        called.set()
        return 60.0

    loop = Loop("idle", step)
    loop.start()
    assert called.wait(5)
    loop.stop()
    assert loop.problem is None


def test_passing_trouble_is_shown_while_it_lasts_and_waited_out() -> None:
    outcomes = iter([TransientError("the bus is away", retry_after_seconds=0.001), None])
    recovered = threading.Event()
    seen: list[str | None] = []

    def step() -> float:
        outcome = next(outcomes, None)
        if outcome is not None:
            raise outcome
        seen.append(loop.problem)
        recovered.set()
        return 60.0

    loop = Loop("reader", step)
    loop.start()
    assert recovered.wait(5)
    loop.stop()
    assert seen == ["reader waits: the bus is away"]
    assert loop.problem is None


def test_what_nobody_foresaw_stops_the_loop_and_says_so_without_repeating_it(
    capfd: pytest.CaptureFixture[str],
) -> None:
    stopped = threading.Event()

    def step() -> float:
        raise KeyError("anna@example.org")

    loop = Loop("reader", step, on_stop=stopped.set)
    loop.start()
    assert stopped.wait(5)
    assert loop.problem == "reader stopped on an unforeseen KeyError; see the log"
    written = "".join(capfd.readouterr())
    assert "anna" not in written
    assert "test_loops.py" in written


def test_an_error_of_ours_stops_the_loop_with_its_own_sentence() -> None:
    stopped = threading.Event()

    def step() -> float:
        raise ConfigurationError("found no key; run valvomo audit key")

    loop = Loop("signer", step, on_stop=stopped.set)
    loop.start()
    assert stopped.wait(5)
    assert loop.problem == "signer stopped: found no key; run valvomo audit key"
