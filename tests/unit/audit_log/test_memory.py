"""What the signer remembers."""

import errno
import os
from pathlib import Path

import pytest

from services.audit_log.adapters.memory import SignerMemory
from services.shared.errors import ConfigurationError, TransientError
from services.shared.tlog.merkle import CompactRange, leaf_hash


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


def no_room(_descriptor: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")
