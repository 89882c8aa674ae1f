"""What a password must be: long enough, not among the commonest, not the login; nothing about kinds of letters.

Source: OWASP ASVS 4.0.3, 2.1 (12 to 128 characters, no composition rules); NIST SP 800-63B, 5.1.1.2.
"""

import unicodedata
from typing import Literal

SHORTEST, LONGEST = 12, 128
ONE_TIME_DAYS = 7
"""So long a password that somebody else has given can be used, once, to choose one's own."""

Fault = Literal["short", "long", "common", "login"]
_FEW_LETTERS = 4
_WORDS = (
    "password", "passw0rd", "p@ssword", "p@ssw0rd", "salasana", "losenord", "lösenord", "qwerty", "qwertyuiop",
    "asdfgh", "asdfghjkl", "zxcvbnm", "letmein", "welcome", "tervetuloa", "valkommen", "välkommen", "iloveyou",
    "minarakastan", "admin", "administrator", "master", "monkey", "dragon", "football", "baseball", "superman",
    "sunshine", "princess",
    "changeme", "vaihdaminut", "kesä", "kesa", "talvi", "sommar", "vinter", "summer", "winter", "helsinki", "finland",
    "suomi", "perkele", "kaupunki", "valvomo", "company", "secret", "salainen", "hemligt", "trustno", "abc", "qazwsx",
    "1q2w3e4r", "1qaz2wsx", "zaq", "test", "user", "root", "guest",
)  # fmt: skip
"""The words of the commonest passwords; what is made of one of them, figures and marks around it is refused."""


def fault(password: str, login: str) -> Fault | None:
    """Why a password cannot be used; None when it can. Letters are counted, not bytes."""
    plain = unicodedata.normalize("NFKC", password)
    if len(plain) < SHORTEST:
        return "short"
    if len(plain) > LONGEST:
        return "long"
    told = plain.casefold()
    name = login.casefold().partition("@")[0]
    if told == login.casefold() or (len(name) >= _FEW_LETTERS and name in told and len(told) < len(name) + SHORTEST):
        return "login"
    return "common" if _is_common(told) else None


def _is_common(told: str) -> bool:
    if len(set(told)) <= _FEW_LETTERS or any(told in run or told[::-1] in run for run in _RUNS):
        return True
    rest = told
    for word in sorted(_WORDS, key=len, reverse=True):
        rest = rest.replace(word, "")
    return rest != told and (len(rest) < _FEW_LETTERS or not any(letter.isalpha() for letter in rest))


_RUNS = tuple(row * LONGEST for row in ("abcdefghijklmnopqrstuvwxyz", "1234567890", "qwertyuiopasdfghjklzxcvbnm"))
