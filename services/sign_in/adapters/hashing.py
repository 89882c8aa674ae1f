"""Passwords as argon2id hashes.

Source: OWASP Password Storage Cheat Sheet (argon2id, 19 MiB, 2 iterations, 1 lane), read 2026-11.
"""

import unicodedata
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MEMORY_KIB, ITERATIONS, LANES = 19_456, 2, 1
AT_ONCE = 4
"""So many hashes are made at a time, whoever asks: each needs the memory above. They have threads of their own, since
the allocator keeps for each thread what it has once used."""


class Hashing:
    """Makes and checks hashes. Thread-safe."""

    def __init__(self, memory_kib: int = MEMORY_KIB, iterations: int = ITERATIONS) -> None:
        self._hasher = PasswordHasher(time_cost=iterations, memory_cost=memory_kib, parallelism=LANES)
        self._threads = ThreadPoolExecutor(AT_ONCE, "hashing")
        self._nobodys = self._hasher.hash("")

    def hash(self, password: str) -> str:
        return self._threads.submit(self._hasher.hash, _plain(password)).result()

    def matches(self, kept: str | None, password: str) -> bool:
        """Whether a password is the one of a hash. Without a hash the same work is done, and the answer is no."""
        try:
            self._threads.submit(self._hasher.verify, kept or self._nobodys, _plain(password)).result()
        except (VerificationError, InvalidHashError):
            return False
        return kept is not None

    def is_old(self, kept: str) -> bool:
        """Whether a hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(kept)


def _plain(password: str) -> str:
    """One spelling: keyboards and systems encode the same letter in several ways."""
    return unicodedata.normalize("NFKC", password)
