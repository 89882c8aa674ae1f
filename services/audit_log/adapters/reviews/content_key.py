"""The key under which the city hashes texts: the collector's, where this process can read it.

A reviewer's edited text never comes here, only its SHA-256. What is sent or published is reported with the keyed hash
of it, as the collector makes it; so the edited text must be hashed under the same key, or nobody could see that what
went out is what was approved.
"""

import hmac
from pathlib import Path

from services.shared.errors import ConfigurationError
from services.shared.keys import key_bytes

_FILE = Path("keys") / "content.key"


class ContentKey:
    """The key in a data folder; read when it is needed, because the collector may make it later than we start."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / _FILE

    @property
    def is_here(self) -> bool:
        """Whether a text can be hashed now."""
        return self._path.exists()

    def keyed(self, digest: str) -> str:
        """HMAC-SHA-256 of a SHA-256 (both 64 hex digits, the result in lower case), as the collector makes it.

        Raises:
            ConfigurationError: there is no key here, or it is too open or damaged.
        """
        if not self.is_here:
            raise ConfigurationError(
                "found no key for texts in this process's data folder, so an edited text cannot be matched with what "
                "is sent; put the collector's keys/content.key there, or approve or reject the text as it is"
            )
        return hmac.digest(key_bytes(self._path, make=False), bytes.fromhex(digest), "sha256").hex()
