"""Key files: made once, whole or not at all, for their owner only."""

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from services.shared.errors import ConfigurationError, TransientError
from services.shared.keys import key_bytes, write_durably, write_key


def test_a_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keys/log"
    made = key_bytes(path, make=True)
    assert len(made) == 32
    assert key_bytes(path, make=True) == key_bytes(path, make=False) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_key_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    key_bytes(tmp_path / "log", make=True)
    (tmp_path / "log").chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        key_bytes(tmp_path / "log", make=True)


def test_a_missing_key_is_only_made_when_asked(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="found no key in log"):
        key_bytes(tmp_path / "log", make=False)
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize("data", [b"", b"ab", b"x" * 31, b"zz" * 32, b"ab" * 33, "é".encode() * 32])
def test_something_else_than_a_key_is_refused(tmp_path: Path, data: bytes) -> None:
    write_durably(tmp_path / "log", data)
    with pytest.raises(ConfigurationError, match="64 hex digits"):
        key_bytes(tmp_path / "log", make=True)


def test_a_full_disk_leaves_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(TransientError, match="key cannot be written"):
        key_bytes(tmp_path / "key", make=True)
    assert not list(tmp_path.glob("key*"))


def no_room(_descriptor: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_of_two_that_start_at_once_one_key_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one comes between the look and the link."""
    sync, others = os.fsync, b"o" * 32

    def other_is_faster(descriptor: int) -> None:
        sync(descriptor)
        if not (tmp_path / "key").exists():
            (tmp_path / "key").touch(0o600)
            (tmp_path / "key").write_bytes(others)

    monkeypatch.setattr(os, "fsync", other_is_faster)
    assert key_bytes(tmp_path / "key", make=True) == others
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_all_who_start_at_once_read_one_key(tmp_path: Path) -> None:
    barrier, found = threading.Barrier(8), list[bytes]()

    def start() -> None:
        barrier.wait()
        found.append(key_bytes(tmp_path / "key", make=True))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        key_bytes(tmp_path / "keys/log", make=True)


def test_the_bytes_themselves_are_read_as_older_logs_wrote_them(tmp_path: Path) -> None:
    write_durably(tmp_path / "log", bytes(range(32)))
    assert key_bytes(tmp_path / "log", make=False) == bytes(range(32))


def test_a_key_is_never_written_over_another(tmp_path: Path) -> None:
    write_key(tmp_path / "log", b"a" * 32)
    with pytest.raises(ConfigurationError, match="already"):
        write_key(tmp_path / "log", b"b" * 32)
    assert key_bytes(tmp_path / "log", make=False) == b"a" * 32
