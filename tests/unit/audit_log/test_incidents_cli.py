"""`valvomo incident`: what it tells the log, what it says, and with which exit code."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.audit_log.cli import app
from services.shared.errors import ConfigurationError
from services.shared.settings import Settings
from tests.contract.log_contract import Program
from tests.unit.audit_log.events import register_events

AWARE = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
"""The commands ask the clock of the machine."""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    monkeypatch.setenv("VALVOMO_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("VALVOMO_LOG_ORIGIN", "log.example/audit")
    monkeypatch.chdir(tmp_path)
    made = Program(Settings(data_dir=tmp_path / "var", log_origin="log.example/audit"))
    made.publish(*register_events())
    made.settle()
    yield made
    made.close()


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["incident", *map(str, arguments)])


def open_one(*more: object, aware_at: datetime = AWARE) -> Result:
    known = ("--kind", "serious", "--aware-at", aware_at.isoformat(), "--approver", "dpo", "--id", "i-1")
    return run("open", "a wrong refusal", *known, "--use-case", "benefits", *more)


def test_the_life_of_an_incident(program: Program) -> None:
    opened = open_one()
    assert opened.exit_code == 0, opened.output
    assert "i-1 is opened as soon as" in opened.output
    assert "The use case benefits is in use still" in opened.output
    program.settle()
    listed = run("list")
    assert listed.exit_code == 0
    assert "serious" in listed.output
    for whom in ("provider", "authority"):
        assert run("notify", "i-1", "--whom", whom, "--at", AWARE.isoformat(), "--approver", "dpo").exit_code == 0
    program.settle()
    closed = run("close", "i-1", "the prompt was mended", "--approver", "dpo", "--json")
    assert json.loads(closed.output) == {"incident_id": "i-1", "to_suspend": None}
    program.settle()
    assert json.loads(run("list", "--json").output) == []
    (found,) = json.loads(run("list", "--all", "--json").output)
    assert (found["opened_by"], found["unit"], found["closed"]["closed_by"]) == ("dpo", "kymp", "dpo")
    assert [one["state"] for one in found["clocks"]] == ["done", "done"]


def test_the_list_says_by_its_exit_code_that_a_clock_ran_out(program: Program) -> None:
    assert open_one(aware_at=AWARE - timedelta(days=20)).exit_code == 0
    program.settle()
    assert run("list").exit_code == 1
    assert run("list", "--json").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("open", "x@y.fi was refused it", "--use-case", "benefits"), "address"),
        (("open", "a wrong refusal"), "found no unit"),
        (("open", "a wrong refusal", "--unit", "u" * 200), "unit"),
    ],
)
def test_what_is_refused_says_why(program: Program, arguments: tuple[str, ...], said: str) -> None:
    more = ("--kind", "serious", "--aware-at", AWARE.isoformat(), "--approver", "dpo")
    result = run(*arguments, *more)
    assert isinstance(result.exception, ConfigurationError)
    assert said in str(result.exception)
    assert "x@y.fi" not in str(result.exception)


def test_what_is_not_known_is_refused(program: Program) -> None:
    result = run("close", "i-9", "nothing came of it", "--approver", "dpo")
    assert isinstance(result.exception, ConfigurationError)
    assert "found no incident of this id" in str(result.exception)
    assert run("notify", "i-9", "--whom", "provider", "--at", "noon", "--approver", "dpo").exit_code == 2
    assert run("notify", "i-9", "--whom", "press", "--at", AWARE.isoformat(), "--approver", "dpo").exit_code == 2
    assert run("list", "--json").output == "[]\n"
