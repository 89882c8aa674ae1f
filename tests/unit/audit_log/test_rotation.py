"""Changing the log's keys by command, while the program runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.audit_log.main import signer
from services.shared.errors import ConfigurationError, TransientError
from services.shared.tlog.checkpoint import open_checkpoint
from services.shared.tlog.note import parse_vkey
from tests.unit.audit_log.rehearsal import WHY, FileProgram, begun, run


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileProgram]:
    made = begun(tmp_path, monkeypatch)
    yield made
    made.close()
    made.bus.close()


def test_a_rotation_from_the_first_key_to_the_second(program: FileProgram) -> None:
    program.grow(1)
    keys = program.settings.data_dir / "keys"
    (old,) = map(parse_vkey, run("key").stdout.splitlines())
    new = parse_vkey(run("key", "rotate", *WHY).stdout.strip())
    assert list(map(parse_vkey, run("key").stdout.splitlines())) == [old, new]
    program.settle()
    both = program.sign() or b""
    assert {open_checkpoint(both, key).size for key in (old, new)} == {program.size()}
    gone = run("key", "retire", old.key_id.hex(), *WHY, "--destroy")
    assert (gone.exit_code, "remove it from backups" in gone.stderr) == (0, True)
    assert run("key").stdout.splitlines() == [str(new)]
    assert run("key", "--retired").stdout.splitlines() == [str(new), str(old)]
    assert open_checkpoint(program.grow(9), new).size == program.size()
    assert sorted(path.name for path in keys.glob("*log-ed25519*")) == ["log-ed25519"]


def test_a_retired_secret_is_kept_unless_it_is_to_go(program: FileProgram) -> None:
    program.grow(1)
    old = signer(program.settings).key.key_id.hex()
    run("key", "rotate", *WHY)
    program.settle()
    program.sign()
    keys = program.settings.data_dir / "keys"
    secret = (keys / "log-ed25519").read_bytes()
    assert f"retired-log-ed25519-{old}" in run("key", "retire", old, *WHY).stderr
    aside = keys / f"retired-log-ed25519-{old}"
    assert (aside.read_bytes(), aside.stat().st_mode & 0o777) == (secret, 0o600)


def test_while_the_log_is_being_signed_no_key_changes(program: FileProgram) -> None:
    program.grow(1)
    with program.service.store.exclusive("checkpoint"):
        result = run("key", "rotate", *WHY)
    assert isinstance(result.exception, TransientError)
    assert len(run("key").stdout.splitlines()) == 1


@pytest.mark.parametrize(
    ("reason", "approver"),
    [("", "ciso"), ("x" * 257, "ciso"), ("a\nb", "ciso"), ("fine", "name@city.example"), ("fine", "")],
)
def test_what_may_not_stand_in_the_log_is_refused(program: FileProgram, reason: str, approver: str) -> None:
    result = run("key", "rotate", "--reason", reason, "--approver", approver)
    assert (result.exit_code, "expected" in result.stderr) == (2, True)
    assert len(run("key").stdout.splitlines()) == 1
    assert program.service.store.pending_counts() == {}


def test_a_damaged_retired_key_is_a_sentence(program: FileProgram) -> None:
    (program.settings.data_dir / "keys/retired-00000000.vkey").write_text("nonsense")
    result = run("key", "--retired")
    assert isinstance(result.exception, ConfigurationError)
    assert "is damaged" in str(result.exception)
