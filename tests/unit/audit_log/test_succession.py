"""A log that cannot go on is closed, and the next one begun, by command."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.shared.errors import ConfigurationError
from services.shared.events import decode
from services.shared.events.log import LogSucceeded
from services.shared.tlog.entry import parse_entry
from tests.unit.audit_log.rehearsal import NEXT_ORIGIN, WHY, FileProgram, begun, run

COMMAND = ("succeed", "--origin", NEXT_ORIGIN, "--responsible", "cio", *WHY)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileProgram]:
    made = begun(tmp_path, monkeypatch)
    yield made
    made.close()
    made.bus.close()


def test_after_the_loss_of_the_key_another_log_follows(
    program: FileProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = program.settings.data_dir
    last = program.grow(300)
    (data / "keys/log-ed25519").unlink()
    program.close()
    with pytest.raises(ConfigurationError, match="valvomo audit succeed"):
        program.start()
    refused = run(*COMMAND)
    assert f"found VALVOMO_LOG_ORIGIN = log.example/audit, expected {NEXT_ORIGIN}" in str(refused.exception)
    assert (data / "log.db").exists()

    monkeypatch.setenv("VALVOMO_LOG_ORIGIN", NEXT_ORIGIN)
    program.of_origin(NEXT_ORIGIN)
    result = run(*COMMAND)
    assert (result.exit_code, "Lost: nothing: the 300 entries" in result.stderr) == (0, True), result.exception
    assert len(list(data.glob("log-closed-*.db"))) == len(list(data.glob("checkpoints-closed-*"))) == 1
    program.start()
    program.settle()
    program.sign()
    first = decode(parse_entry(program.entries()[0]).value)
    assert isinstance(first, LogSucceeded)
    assert (first.data.checkpoint or "").encode() == last
    assert program.size() == 301
    assert program.verify(program.export(tmp_path / "export")).exit == 0
    program.close()
    again = run(*COMMAND)
    assert "names one log for good" in str(again.exception)


def test_a_damaged_plan_is_a_sentence(program: FileProgram, monkeypatch: pytest.MonkeyPatch) -> None:
    program.grow(1)
    program.close()
    monkeypatch.setenv("VALVOMO_LOG_ORIGIN", NEXT_ORIGIN)
    plan = program.settings.data_dir / "keys/log-succession.json"
    for text in ("", "{}", json.dumps({"tag": "x", "event": "{}", "begun_at": "2026-01-01"})):
        plan.write_text(text)
        result = run(*COMMAND)
        assert isinstance(result.exception, ConfigurationError)
        assert "is damaged" in str(result.exception)
    plan.unlink()
    program.start()


def test_a_running_program_is_not_succeeded(program: FileProgram, monkeypatch: pytest.MonkeyPatch) -> None:
    program.grow(1)
    monkeypatch.setenv("VALVOMO_LOG_ORIGIN", NEXT_ORIGIN)
    result = run(*COMMAND)
    assert "stop the program" in str(result.exception)
    program.close()
    program.start()  # refused is not begun: the log goes on as it was
    program.close()
    assert run(*COMMAND).exit_code == 0
    program.of_origin(NEXT_ORIGIN)
    program.start()
