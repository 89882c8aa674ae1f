"""What the signer remembers of what it signed last. Outside the database on purpose: a restored one is a fork."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from services.shared.errors import ConfigurationError
from services.shared.keys import write_durably
from services.shared.tlog.merkle import CompactRange


@dataclass(frozen=True, slots=True)
class SignerMemory:
    """The tree that was signed last, kept outside the database: what comes next must begin with it."""

    path: Path

    def load(self) -> CompactRange | None:
        """The tree as remembered; None before the first signature.

        Raises:
            ConfigurationError: the file cannot be read as such.
        """
        if not self.path.exists():
            return None
        try:
            found = json.loads(self.path.read_text())
            return CompactRange(found["size"], [bytes.fromhex(node) for node in found["nodes"]])
        except (ValueError, KeyError, TypeError):
            raise ConfigurationError(f"{self.path.name} is damaged; restore it: it says what was signed last") from None

    def save(self, size: int, nodes: Sequence[bytes]) -> None:
        document = {"size": size, "nodes": [node.hex() for node in nodes]}
        write_durably(self.path, json.dumps(document).encode())
