"""Signing on a disk that is full."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.shared.errors import TransientError
from tests.unit.audit_log.events import window
from tests.unit.audit_log.rehearsal import FileProgram, begun


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileProgram]:
    made = begun(tmp_path, monkeypatch)
    yield made
    made.close()
    made.bus.close()


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file of this process grows beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_nothing_is_signed_that_is_not_stored(program: FileProgram) -> None:
    program.grow(10)
    program.publish(*(window(number) for number in range(10, 20)))
    with full_disk(4_096):
        with pytest.raises(TransientError, match=r"log\.db"):
            program.service.consumer.step()
        assert program.sign() is None
    assert program.size() == 10
    program.settle()
    with full_disk(4_096), pytest.raises(TransientError, match=r"log\.db"):
        program.sign()
    latest = program.settings.data_dir / "checkpoints/latest"
    assert latest.read_bytes().split(b"\n")[1] == b"10", "the row could not be written, so the note never was"
    assert program.sign() == latest.read_bytes()
    assert latest.read_bytes().split(b"\n")[1] == b"20"


@pytest.mark.parametrize("room", [0, 60], ids=["none at all", "for a part of it"])
def test_a_checkpoint_that_cannot_be_written_as_a_file_is_written_later(program: FileProgram, room: int) -> None:
    program.grow(10)
    folder = program.settings.data_dir / "checkpoints"
    before = folder / "latest"
    known = before.read_bytes()
    before.unlink()
    with full_disk(room), pytest.raises(TransientError, match="cannot be written"):
        program.sign()
    assert not before.exists()
    assert program.sign() is None
    assert before.read_bytes() == known
