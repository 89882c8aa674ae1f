"""Who is behind a pseudonym: the collector's own table, and nobody else's.

An identity is looked up by a keyed hash and kept sealed, so that the database alone names nobody; both keys come from
one file (`adapters/keys.py`). Several identities may belong to one person: their mail address, a vendor's id.
"""

import hmac
import math
import secrets
import time
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.shared.errors import ConfigurationError
from services.usage_collector.source import Identity

_NONCE_BYTES = 12
_RANDOM_BYTES = 10
_CACHED = 100_000
_FORGETS_WITHIN_SECONDS = 0.1
"""A question to the database for every person of every request would cost more than all the rest here."""


class PeopleTable(Protocol):
    """Where pseudonyms are kept: identity's keyed hash → pseudonym → sealed identity."""

    def find(self, digests: Collection[bytes]) -> Mapping[bytes, str]: ...

    def add(self, links: Mapping[bytes, str], sealed: Mapping[str, bytes]) -> Mapping[bytes, str]:
        """Keep new links and new persons; what stands for these links afterwards, where others may have been first."""
        ...

    def join(self, pairs: Mapping[str, str]) -> None:
        """Tell, once, that these pseudonyms (old → new) are one person."""
        ...

    def sealed(self, pseudonym: str) -> bytes | None: ...

    def erasures(self) -> int:
        """How many persons have been erased so far."""
        ...


class People:
    """Gives pseudonyms, and tells who is behind one. Thread-safe."""

    def __init__(
        self,
        key: bytes,
        table: PeopleTable,
        fresh: Callable[[], str] | None = None,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lookup = hmac.digest(key, b"valvomo people lookup", "sha256")
        self._seal = AESGCM(hmac.digest(key, b"valvomo people seal", "sha256"))
        self._table = table
        self._fresh = fresh or (lambda: f"p-{secrets.token_hex(_RANDOM_BYTES)}")
        self._cache: dict[bytes, str] = {}
        self._ticks = ticks
        self._erasures, self._asked_at = 0, -math.inf
        self._joined: set[tuple[str, str]] = set()

    def pseudonym(self, identity: str, *also: str) -> str:
        """The pseudonym of one person, made when missing; `also`: other ids of the same person."""
        person = (identity, *also)
        return self.pseudonyms([person])[person]

    def find(self, identity: str) -> str | None:
        """The pseudonym of somebody who has one; none is made."""
        return _first(self._table.find(self.digests((identity,))), self.digests((identity,)))

    def pseudonyms(self, identities: Collection[Identity]) -> dict[Identity, str]:
        """The pseudonyms of many people, in one transaction at most. The first known id of a person decides.

        Ids of one person that had different pseudonyms before keep them, and that these are one person is told.
        """
        self._forget_the_erased()
        digests = {identity: self.digests(identity) for identity in identities}
        known = self._known({digest for some in digests.values() for digest in some})
        if any(digest not in known for some in digests.values() for digest in some):
            known = self._made(digests, known)
        self._tell_of_joined(digests.values(), known)
        return {identity: known[some[0]] for identity, some in digests.items()}

    def who(self, pseudonym: str) -> str | None:
        """The identity first seen for a pseudonym; None when it is not one of ours. Whoever asks must be allowed to.

        Raises:
            ConfigurationError: the key file is not the one this table was written with.
        """
        sealed = self._table.sealed(pseudonym)
        if sealed is None:
            return None
        try:
            return self._seal.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], pseudonym.encode()).decode()
        except InvalidTag:
            raise ConfigurationError("the table of people was sealed with another key; put its key file back") from None

    def digests(self, identity: Identity) -> list[bytes]:
        """What the ids of a person are looked up by."""
        return [self._digest(name) for name in identity]

    def _tell_of_joined(self, persons: Iterable[Sequence[bytes]], known: Mapping[bytes, str]) -> None:
        pairs = {(known[digest], known[some[0]]) for some in persons for digest in some[1:]}
        fresh = {(old, new) for old, new in pairs - self._joined if old != new}
        if fresh:
            for pair in sorted(fresh):
                self._table.join(dict([pair]))
            self._joined = fresh if len(self._joined) > _CACHED else self._joined | fresh

    def _forget_the_erased(self) -> None:
        """Whoever erases somebody is another process."""
        now = self._ticks()
        if now - self._asked_at < _FORGETS_WITHIN_SECONDS:
            return
        erasures, self._asked_at = self._table.erasures(), now
        if erasures != self._erasures:
            self._erasures, self._cache, self._joined = erasures, {}, set()

    def _known(self, digests: Collection[bytes]) -> dict[bytes, str]:
        asked = [digest for digest in digests if digest not in self._cache]
        if asked:
            self._remember(self._table.find(asked))
        return {digest: self._cache[digest] for digest in digests if digest in self._cache}

    def _made(self, digests: Mapping[Identity, list[bytes]], known: dict[bytes, str]) -> dict[bytes, str]:
        links: dict[bytes, str] = {}
        sealed: dict[str, bytes] = {}
        for identity, some in digests.items():
            held = {**known, **links}
            pseudonym = _first(held, some)
            if pseudonym is None:
                pseudonym = self._fresh()
                sealed[pseudonym] = self._sealed(pseudonym, identity[0])
            links |= {digest: pseudonym for digest in some if digest not in held}
        added = self._table.add(links, sealed)
        self._remember(added)
        return {**known, **added}

    def _remember(self, found: Mapping[bytes, str]) -> None:
        if len(self._cache) + len(found) > _CACHED:
            self._cache = {}
        self._cache.update(found)

    def _digest(self, name: str) -> bytes:
        return hmac.digest(self._lookup, normalised(name).encode(), "sha256")

    def _sealed(self, pseudonym: str, name: str) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._seal.encrypt(nonce, name.encode(), pseudonym.encode())


def normalised(name: str) -> str:
    """One spelling of an identity: without regard to case, surrounding blanks, or how its letters are encoded."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).strip().casefold())


def _first(known: Mapping[bytes, str], digests: Iterable[bytes]) -> str | None:
    return next((known[digest] for digest in digests if digest in known), None)
