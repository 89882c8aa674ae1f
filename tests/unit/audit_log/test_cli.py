"""The command line of the log: what it writes, what it says, and with which exit code."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.audit_log.cli import app
from services.audit_log.main import signer
from services.shared.errors import ConfigurationError
from services.shared.settings import Settings
from tests.contract.log_contract import Program
from tests.unit.audit_log.events import window

ORIGIN = "log.example/audit"


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a log of 300 signed entries; `kept` beside it is a checkpoint over the first 200."""
    data = tmp_path / "var"
    monkeypatch.setenv("VALVOMO_DATA_DIR", str(data))
    monkeypatch.setenv("VALVOMO_LOG_ORIGIN", ORIGIN)
    monkeypatch.chdir(tmp_path)
    program = Program(Settings(data_dir=data, log_origin=ORIGIN))
    program.publish(*(window(number) for number in range(200)))
    program.settle()
    (tmp_path / "kept").write_bytes(program.sign() or b"")
    program.publish(*(window(number) for number in range(200, 300)))
    program.settle()
    program.sign()
    program.close()
    return data


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["audit", *map(str, arguments)])


def key_of(data: Path) -> str:
    return str(signer(Settings(data_dir=data, log_origin=ORIGIN)).key)


def test_the_way_of_the_evidence(log: Path, tmp_path: Path) -> None:
    assert run("key").stdout.strip() == key_of(log)
    written = json.loads(run("export", tmp_path / "out", "--json").stdout)
    assert (written["origin"], written["size"]) == (ORIGIN, 300)
    result = run(
        "verify",
        tmp_path / "out",
        "--key",
        key_of(log),
        "--checkpoint",
        tmp_path / "kept",
        "--max-age-days",
        0,
        "--json",
    )
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"exit": 0, "size": 300, "root": written["root"], "damage": [], "notices": []}


@pytest.mark.parametrize("place", ["tile/entries/000", "tile/0/000", "checkpoint", "checkpoints/000000000200"])
def test_damage_has_exit_code_1_and_a_sentence(log: Path, tmp_path: Path, place: str) -> None:
    run("export", tmp_path / "out")
    path = tmp_path / "out" / place
    data = bytearray(path.read_bytes())
    data[-20] ^= 4
    path.write_bytes(bytes(data))
    result = run("verify", tmp_path / "out", "--key", key_of(log), "--json")
    assert result.exit_code == json.loads(result.stdout)["exit"] == 1
    (damage, *_) = json.loads(result.stdout)["damage"]
    assert set(damage) == {"kind", "first", "last", "sentence"}
    assert (damage["first"] == 255) is place.startswith("tile"), "both files end with entry 255"
    text = run("verify", tmp_path / "out", "--key", key_of(log))
    assert text.exit_code == 1
    assert damage["sentence"] in text.stdout
    assert "damaged or forked" in text.stdout


def test_what_is_missing_has_exit_code_2(log: Path, tmp_path: Path) -> None:
    run("export", tmp_path / "out")
    (tmp_path / "out/tile/entries/000").unlink()
    assert run("verify", tmp_path / "out", "--key", key_of(log)).exit_code == 2
    (tmp_path / "out/checkpoint").unlink()
    assert run("verify", tmp_path / "out", "--key", key_of(log)).exit_code == 2


def test_an_old_export_has_exit_code_3(log: Path, tmp_path: Path) -> None:
    run("export", tmp_path / "out")
    result = run("verify", tmp_path / "out", "--key", key_of(log), "--max-age-days", 1, "--json")
    assert result.exit_code == 3
    assert [found["kind"] for found in json.loads(result.stdout)["damage"]] == ["stale"]


def test_without_a_kept_checkpoint_the_limit_is_said(log: Path, tmp_path: Path) -> None:
    run("export", tmp_path / "out")
    told = "No kept checkpoint was given"
    assert told in run("verify", tmp_path / "out", "--key", key_of(log)).stdout
    assert told not in run("verify", tmp_path / "out", "--key", key_of(log), "--checkpoint", tmp_path / "kept").stdout


def test_a_key_from_inside_the_export_is_refused(log: Path, tmp_path: Path) -> None:
    run("export", tmp_path / "out")
    (tmp_path / "out/key").write_text(key_of(log))
    with pytest.raises(ConfigurationError, match="inside the export"):
        CliRunner().invoke(
            app, ["audit", "verify", str(tmp_path / "out"), "--key", str(tmp_path / "out/key")], catch_exceptions=False
        )
    (tmp_path / "auditors-key").write_text(key_of(log) + "\n")
    assert run("verify", tmp_path / "out", "--key", tmp_path / "auditors-key", "--max-age-days", 0).exit_code == 0


def test_a_checkpoint_from_inside_the_export_is_refused(log: Path, tmp_path: Path) -> None:
    run("export", tmp_path / "out")
    result = run("verify", tmp_path / "out", "--key", key_of(log), "--checkpoint", tmp_path / "out/checkpoint")
    assert isinstance(result.exception, ConfigurationError)
    assert "inside the export" in str(result.exception)


@pytest.mark.parametrize("place", ["checkpoint", "tile/entries/000"])
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to(path.name), Path.mkdir], ids=str)
def test_what_is_no_file_is_missing_and_holds_nobody(
    log: Path, tmp_path: Path, place: str, make: Callable[[Path], None]
) -> None:
    run("export", tmp_path / "out")
    (tmp_path / "out" / place).unlink()
    make(tmp_path / "out" / place)
    make(tmp_path / "out/checkpoints/000000000999")
    result = run("verify", tmp_path / "out", "--key", key_of(log))
    assert (result.exit_code, "missing or cannot be read" in result.stdout) == (2, True)


def test_a_file_without_end_is_read_in_part(log: Path, tmp_path: Path) -> None:
    run("export", tmp_path / "out")
    (tmp_path / "out/checkpoint").unlink()
    (tmp_path / "out/checkpoint").symlink_to("/dev/zero")
    assert run("verify", tmp_path / "out", "--key", key_of(log)).exit_code == 2


def test_what_is_no_part_of_the_log_is_named_and_moves_no_cursor(log: Path, tmp_path: Path) -> None:
    run("export", tmp_path / "out")
    (tmp_path / "out/tile/entries/999").write_text("never signed")
    (tmp_path / "out/checkpoints/a\x1b[2J\nverified: all").write_text("x")
    result = run("verify", tmp_path / "out", "--key", key_of(log))
    assert "1 files are no part of the log and were not verified, the first: tile/entries/999" in result.stdout
    assert "\x1b" not in result.stdout
    assert "\nverified" not in result.stdout


@pytest.mark.parametrize("key", [b"\xff\x00", b""])
def test_a_key_file_that_holds_no_key_is_refused_in_words(log: Path, tmp_path: Path, key: bytes) -> None:
    run("export", tmp_path / "out")
    (tmp_path / "key").write_bytes(key)
    result = run("verify", tmp_path / "out", "--key", tmp_path / "key")
    assert isinstance(result.exception, ConfigurationError)


def test_a_key_saved_by_an_editor_of_windows_is_read(log: Path, tmp_path: Path) -> None:
    run("export", tmp_path / "out")
    (tmp_path / "key").write_bytes(b"\xef\xbb\xbf" + key_of(log).encode() + b"\r\n")
    assert run("verify", tmp_path / "out", "--key", tmp_path / "key", "--max-age-days", 0).exit_code == 0


def test_an_export_that_cannot_be_written_is_said_in_words(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert log.exists()
    monkeypatch.setattr(Path, "write_bytes", no_room)
    result = run("export", tmp_path / "out")
    assert isinstance(result.exception, ConfigurationError)
    assert "No space left" in str(result.exception)


def no_room(*_: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_mistyped_key_is_refused_in_words(log: Path, tmp_path: Path) -> None:
    run("export", tmp_path / "out")
    result = run("verify", tmp_path / "out", "--key", "log.example/audit+00000000+AAAA")
    assert isinstance(result.exception, ConfigurationError)
    assert "key cannot be used" in str(result.exception)


def test_no_key_before_the_first_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALVOMO_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.chdir(tmp_path)
    result = run("key")
    assert isinstance(result.exception, ConfigurationError)
    assert not (tmp_path / "var/keys/log-ed25519").exists()
