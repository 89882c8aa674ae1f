"""A log of eight entries and others under its name, and a witness that has its own clock."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.shared.tlog.checkpoint import Checkpoint
from services.shared.tlog.cosignature import Cosigner
from services.shared.tlog.merkle import CompactRange, complete_root, consistency_proof, leaf_hash
from services.shared.tlog.note import Signer
from services.shared.tlog.witnessing import write_request
from services.witness.cosigning import Witness
from services.witness.identity import DATABASE, KEY_FILE, load
from services.witness.memory import Memory

GOLDEN = Path(__file__).parents[2] / "golden/vectors"
VECTORS: dict[str, Any] = json.loads((GOLDEN / "checkpoint.json").read_text())
LOG = Signer(VECTORS["keys"]["log"]["name"], bytes.fromhex(VECTORS["keys"]["log"]["seed_hex"]))
WITNESS = VECTORS["keys"]["witness"]
NOW: int = VECTORS["cosignature_v1"]["timestamp"]


class Tree:
    """A log that is all in memory: `tree.note(size)` and `tree.ask(old, size)`."""

    def __init__(self, entries: Sequence[bytes], signer: Signer = LOG) -> None:
        self.signer = signer
        self.leaves = [leaf_hash(entry) for entry in entries]

    @classmethod
    def numbered(cls, count: int, word: str = "entry", signer: Signer = LOG) -> "Tree":
        return cls([f"{word} {number}".encode() for number in range(count)], signer)

    def root(self, size: int) -> bytes:
        tree = CompactRange()
        tree.extend(self.leaves[:size])
        return tree.root()

    def node(self, level: int, index: int) -> bytes:
        return complete_root(self.leaves[index << level : (index + 1) << level])

    def tile(self, level: int, number: int) -> Sequence[bytes]:
        hashes = range(len(self.leaves) >> (8 * level))[number * 256 : (number + 1) * 256]
        return [self.node(8 * level, index) for index in hashes]

    def signed(self, size: int) -> Checkpoint:
        return Checkpoint(self.signer.key.name, size, self.root(size))

    def note(self, size: int) -> bytes:
        return self.signer.sign(self.signed(size).text)

    def ask(self, old: int, size: int) -> bytes:
        """The body of a request with an honest proof."""
        return write_request(old, consistency_proof(old, size, self.node), self.note(size))


CLASSIC = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
EIGHT = Tree([bytes.fromhex(leaf) for leaf in CLASSIC])
"""The log of the vectors."""


def make_witness(folder: Path) -> None:
    """The witness of the vectors, in a folder."""
    folder.mkdir(mode=0o700)
    seed = bytes.fromhex(WITNESS["seed_hex"])
    (folder / KEY_FILE).write_text(seed.hex())
    (folder / KEY_FILE).chmod(0o600)
    Memory.create(folder / DATABASE, str(Cosigner(WITNESS["name"], seed).key))


class Room:
    """A witness in a folder, whose clock stands still."""

    def __init__(self, folder: Path, signers: Sequence[Signer] = (LOG,)) -> None:
        make_witness(folder)
        self.now = NOW
        cosigner, self.memory = load(folder)
        self.witness = Witness(self.memory, cosigner, [signer.key for signer in signers], lambda: self.now)

    def asked(self, body: bytes) -> tuple[int, str]:
        answer = self.witness.add_checkpoint(body)
        return answer.status, answer.body.decode()
