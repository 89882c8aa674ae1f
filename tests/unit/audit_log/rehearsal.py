"""A log on files, as the embedded program has it, so that its commands find what a test has made."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.audit_log.cli import app
from services.shared.bus.open import BUS_FILE
from services.shared.bus.sqlite import SqliteBus
from services.shared.clock import SteppedClock
from services.shared.events import TOPICS
from services.shared.settings import Settings
from tests.contract.log_contract import Program
from tests.unit.audit_log.events import MONDAY, window

ORIGIN = "log.example/audit"
NEXT_ORIGIN = "log.example/second"
WHY = ("--reason", "a drill", "--approver", "ciso")


class FileProgram(Program):
    """With a bus that the command line finds too."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = SteppedClock(MONDAY)
        self.bus = SqliteBus(settings.data_dir / BUS_FILE, self.clock, 2)  # type: ignore[assignment]  # any bus will do
        self.bus.ensure_topics(TOPICS)
        self.service = self._build()

    def grow(self, size: int) -> bytes:
        """The checkpoint over so many entries, or some more."""
        self.publish(*(window(number) for number in range(self.size(), size)))
        self.settle()
        note = self.sign()
        assert note is not None
        return note

    def start(self) -> None:
        self.service = self._build()

    def of_origin(self, origin: str) -> None:
        self.settings = self.settings.model_copy(update={"log_origin": origin})


def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileProgram:
    """A log with nothing in it, and an environment in which the commands find it."""
    monkeypatch.setenv("VALVOMO_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("VALVOMO_LOG_ORIGIN", ORIGIN)
    monkeypatch.chdir(tmp_path)
    return FileProgram(Settings(data_dir=tmp_path / "var", log_origin=ORIGIN))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["audit", *map(str, arguments)])
