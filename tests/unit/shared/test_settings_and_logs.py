"""Settings that cannot be used are named; log lines never show a person or a secret."""

import json
from pathlib import Path

import pytest

from services.shared.errors import ConfigurationError
from services.shared.logs import configure_logs, logger
from services.shared.metrics import ALL
from services.shared.settings import load_settings


def test_a_wrong_setting_is_named_and_its_value_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALVOMO_BUS", "redis://secret-host")
    with pytest.raises(ConfigurationError, match="VALVOMO_BUS") as refusal:
        load_settings()
    assert "secret-host" not in str(refusal.value)


def test_secrets_are_not_printed() -> None:
    settings = load_settings(store="postgresql://me:hunter2@127.0.0.1/x", anthropic_key="sk-ant-hunter2")
    assert "hunter2" not in repr(settings)


def test_the_environment_is_read_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "valvomo.toml").write_text('port = 9000\nlog_origin = "kaupunki.example/log"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VALVOMO_PORT", "9100")
    settings = load_settings()
    assert (settings.port, settings.log_origin) == (9100, "kaupunki.example/log")


def test_an_unknown_setting_in_the_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "valvomo.toml").write_text("prot = 9000\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="VALVOMO_PROT"):
        load_settings()


@pytest.mark.parametrize("written", [b"port = [\n", b"anthropic_key = hunter2\n", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_told_without_what_it_holds(
    written: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "valvomo.toml").write_bytes(written)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=r"valvomo\.toml is not TOML") as refusal:
        load_settings()
    assert "hunter2" not in str(refusal.value)


def test_a_line_is_one_json_object_and_withholds_what_may_be_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("json")
    logger("intake").info(
        "refused", event_id="8f2c.0", topic="valvomo.usage", offset=7, person="anna@example.org", token="hunter2"
    )
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    parsed = json.loads(line)
    assert (parsed["event"], parsed["event_id"], parsed["offset"], parsed["part"]) == ("refused", "8f2c.0", 7, "intake")
    assert "anna" not in line
    assert "hunter2" not in line


def test_metric_names_are_unique_and_end_as_their_kind_says() -> None:
    names = [metric.name for metric in ALL]
    assert len(names) == len(set(names))
    for metric in ALL:
        assert metric.name.startswith("valvomo_")
        assert metric.name.endswith("_total") == (metric.kind == "counter")
