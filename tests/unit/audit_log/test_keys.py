"""The files beside the database: the key, and what the signer remembers."""

import errno
import os
import stat
from pathlib import Path

import pytest

from services.audit_log.adapters.keys import SignerMemory, secret, write_durably
from services.audit_log.domain.merkle import CompactRange, leaf_hash
from services.shared.errors import ConfigurationError, TransientError


def test_a_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keys/log"
    made = secret(path, make=True)
    assert len(made) == 32
    assert secret(path, make=True) == secret(path, make=False) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_key_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    secret(tmp_path / "log", make=True)
    (tmp_path / "log").chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        secret(tmp_path / "log", make=True)


def test_a_missing_key_is_only_made_when_asked(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="found no key in log"):
        secret(tmp_path / "log", make=False)
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize("data", [b"", b"x" * 31, b"x" * 64])
def test_something_else_than_a_key_is_refused(tmp_path: Path, data: bytes) -> None:
    write_durably(tmp_path / "log", data)
    with pytest.raises(ConfigurationError, match=f"found {len(data)} bytes"):
        secret(tmp_path / "log", make=True)


def test_the_signer_remembers(tmp_path: Path) -> None:
    memory, tree = SignerMemory(tmp_path / "signed"), CompactRange()
    assert memory.load() is None
    tree.extend(map(leaf_hash, [b"a", b"b", b"c"]))
    memory.save(tree.size, tree.nodes)
    found = memory.load()
    assert found is not None
    assert (found.size, found.root()) == (3, tree.root())
    assert not list(tmp_path.glob("*.new"))


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"size": 3, "nodes": []}', '{"size": 1, "nodes": ["zz"]}', '{"size": "1", "nodes": []}']
)
def test_a_damaged_memory_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "signed").write_text(text)
    with pytest.raises(ConfigurationError, match="signed is damaged"):
        SignerMemory(tmp_path / "signed").load()


@pytest.mark.parametrize("keep", [True, False], ids=["a file was there", "no file was there"])
def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, keep: bool) -> None:
    memory, tree = SignerMemory(tmp_path / "signed"), CompactRange()
    if keep:
        memory.save(tree.size, tree.nodes)
    before = memory.path.read_bytes() if keep else None
    tree.extend(map(leaf_hash, [b"a", b"b", b"c"]))
    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(TransientError, match="signed cannot be written"):
        memory.save(tree.size, tree.nodes)
    assert (memory.path.read_bytes() if memory.path.exists() else None) == before
    with pytest.raises(TransientError, match="key cannot be written"):
        secret(tmp_path / "key", make=True)
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
    assert secret(tmp_path / "key", make=True) == others
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
