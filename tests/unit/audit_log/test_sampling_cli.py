"""`valvomo audit sample`: what it lists, what it says of a draw, and with which exit code. And its key."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from services.audit_log.adapters.reviews.sampler import open_salts
from services.audit_log.adapters.reviews.sampling import noted_periods
from services.audit_log.adapters.tables import sample_period
from services.audit_log.cli import app
from services.audit_log.domain.reviews.sampling import commitment_of, committed, parse_period, revealed
from services.shared.errors import ConfigurationError
from services.shared.events.governance import ReviewRequested
from services.shared.settings import Settings
from tests.contract.log_contract import Program
from tests.contract.sampling_contract import close, rule, step, step_after_register, tell, told, write_same_key
from tests.unit.audit_log.events import at

ORIGIN = "log.example/audit"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    monkeypatch.setenv("VALVOMO_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("VALVOMO_LOG_ORIGIN", ORIGIN)
    monkeypatch.chdir(tmp_path)
    write_same_key(tmp_path / "var" / "keys")
    made = Program(Settings(data_dir=tmp_path / "var", log_origin=ORIGIN))
    yield made
    made.close()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["audit", "sample", *arguments])


def test_a_draw_that_is_what_the_salt_gives(program: Program) -> None:
    tell(program, rule(sample_least=25, second_rate="0.5"))
    close(program)
    result = run("verify", "2026-11", "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["differences"], found["outputs"], found["late"]) == (0, [], 40, True)
    demanded = [event.data.because for event in told(program, ReviewRequested)]
    assert [demanded.count(one) for one in ("sample", "second", "top_up")] == [
        found["drawn"], found["second"], found["topped_up"],
    ]  # fmt: skip
    assert found["drawn"] + found["topped_up"] == 25
    shown = run("verify", "2026-11").stdout
    assert "nothing more and nothing less" in shown
    assert "after the period had begun" in shown, "the program began in the middle of November"


def test_a_draw_that_is_not_names_the_outputs(program: Program) -> None:
    tell(program, rule())
    close(program)
    (exempt, *_) = (name for name, state in program.states().items() if state == "exempt")
    real = told(program, ReviewRequested)[0]
    forged = {"data": real.data.model_copy(update={"output_id": exempt}), "id": "forged", "subject": exempt}
    program.publish(real.model_copy(update=forged))
    program.settle()
    result = run("verify", "2026-11")
    assert result.exit_code == 1
    assert f"{exempt}: the log demands a review of it as drawn, and the salt does not draw it" in result.stdout
    found = json.loads(run("verify", "2026-11", "--json").stdout)
    assert found["differences"] == [{"what": "not_drawn", "about": exempt}]


def test_a_salt_that_does_not_fit_is_a_difference(program: Program) -> None:
    tell(program, rule())
    close(program)
    with program.service.store.transaction() as tx:
        tx.connection.execute(update(sample_period).values(salt="0" * 64))
    found = json.loads(run("verify", "2026-11", "--json").stdout)
    assert {"what": "commitment", "about": "2026-11"} in found["differences"]


@pytest.mark.parametrize(
    ("period", "sentence"),
    [
        pytest.param("2026-12", "not told yet", id="a period that runs"),
        pytest.param("2025-Q1", "found no draw of 2025-Q1", id="a period that nobody drew from"),
        pytest.param("Q1/2026", "2026-Q4", id="no period"),
    ],
)
def test_what_cannot_be_said_is_said(program: Program, period: str, sentence: str) -> None:
    step_after_register(program, rule())
    result = run("verify", period)
    assert isinstance(result.exception, ConfigurationError), "which the command line says with exit code 2"
    assert sentence in str(result.exception)


def test_the_list_says_what_is_late_and_what_is_told(program: Program) -> None:
    tell(program, rule(sample_least=30))
    close(program)
    november, december, *_ = json.loads(run("list", "--json").stdout)
    assert (november["period"], november["late"], november["state"]) == ("2026-11", True, "told")
    assert (december["period"], december["late"], december["topped_up"]) == ("2026-12", False, 0)
    assert november["first_day"] == "2026-11-01"
    assert 0 < november["topped_up"] < 30
    assert "(late)" in run("list").stdout


def test_the_key_is_made_once_and_secret(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "other" / "sampling"
    first = open_salts(program.service.store, path.parent)
    assert (len(path.read_bytes()), path.stat().st_mode & 0o777) == (64, 0o600)
    assert open_salts(program.service.store, path.parent).of("2026") == first.of("2026")


def test_without_its_key_a_log_whose_period_runs_does_not_start(program: Program) -> None:
    step_after_register(program, rule())
    (program.settings.data_dir / "keys" / "sampling").unlink()
    with pytest.raises(ConfigurationError, match="sampling"):
        program.restart()
    (program.settings.data_dir / "keys" / "sampling").write_text("0" * 64)
    (program.settings.data_dir / "keys" / "sampling").chmod(0o600)
    with capture_logs() as logs:
        program.service = program._build()
    assert [(one["event"], one["period"]) for one in logs if "hash" in str(one["event"])] == [
        ("nothing is drawn by hash: the period was fixed with another key", period) for period in ("2026-11", "2026-12")
    ]


def test_the_first_commitment_stands_and_a_wrong_salt_is_no_salt(program: Program) -> None:
    """Whoever could write to the bus cannot exchange a draw."""
    step_after_register(program, rule())
    other = committed(parse_period("2026-11"), b"x" * 32, at(1)).model_copy(update={"id": "forged"})
    program.publish(other, revealed("2026-11", b"x" * 32, at(1)))
    program.settle()
    step(program)
    with program.service.store.reading() as connection:
        (noted, *_) = noted_periods(connection)
    assert (noted.commitment != commitment_of(b"x" * 32), noted.salt) == (True, None)
