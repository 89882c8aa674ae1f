"""What is kept and told of anchors on every store: each receipt once, each refusal once, and how it goes now."""

import base64
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.audit_log.ports import AnchorRefusedError
from services.shared.settings import Settings
from tests.unit.audit_log.anchored import ORIGIN, Scripted, World


class AnchorsContract(ABC):
    """Inherited by a test class per store."""

    @abstractmethod
    def store_address(self, request: pytest.FixtureRequest) -> str:
        """What VALVOMO_STORE says."""

    @pytest.fixture
    def world(self, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
        address = SecretStr(self.store_address(request))
        made = World(Settings(data_dir=tmp_path / "var", store=address, log_origin=ORIGIN))
        yield made
        made.close()

    def test_each_anchor_has_its_own_pace_and_what_came_back_is_kept_and_told(self, world: World) -> None:
        every, daily = Scripted("every"), Scripted("daily", timedelta(days=1))
        pusher = world.anchored(every, daily)
        assert pusher.push()
        assert not every.sizes, "nothing is signed"
        first = world.grow(1)
        pusher.step()
        pusher.step()
        second = world.grow(2)
        pusher.step()
        assert (every.sizes, daily.sizes) == ([first, second], [first])
        world.clock.advance(timedelta(days=1))
        pusher.step()
        assert daily.sizes == [first, second]
        world.settle()
        told = world.told("recorded")
        assert {(one.anchor, one.size) for one in told} == {("every", first), ("every", second), ("daily", first),
                                                            ("daily", second)}  # fmt: skip
        assert base64.b64decode(told[0].receipt).startswith(b"receipt ")
        assert [(name, size) for name, size, _ in world.receipts()] == [
            ("daily", first), ("daily", second), ("every", first), ("every", second),
        ]  # fmt: skip
        assert world.sign() is None, "receipts are no growth: silence stays silent"

    def test_a_refusal_is_told_once_and_shown_until_it_is_settled(self, world: World) -> None:
        anchor = Scripted("w")
        anchor.error = AnchorRefusedError("larger", "it has seen 9 entries, the log has 1: it was cut off", 9)
        pusher = world.anchored(anchor)
        size = world.grow(1)
        for _ in range(3):
            pusher.step()
            world.settle()
            world.clock.advance(timedelta(hours=1))
        assert anchor.sizes == [size] * 3
        (told,) = world.told("refused")
        assert (told.anchor, told.size, told.known_size, told.reason) == ("w", size, 9, "larger")
        (problem,) = pusher.refusals
        assert "anchor w refuses the log: it has seen 9 entries" in problem
        anchor.error = None
        pusher.step()
        assert not pusher.refusals

    def test_two_processes_push_once(self, world: World) -> None:
        anchor = Scripted("a")
        world.grow(1)
        with world.service.store.exclusive("anchors") as mine:
            assert mine
            assert world.anchored(anchor).step() > 0
        assert not anchor.sizes
        world.anchored(anchor).step()
        assert len(anchor.sizes) == 1
