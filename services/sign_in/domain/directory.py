"""What the city's directory (OpenID Connect) tells of a person: who they are, and which roles they have here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from services.shared.errors import ConfigurationError, PlatformError
from services.shared.sessions import Grant
from services.sign_in.domain.accounts import ROLES

ROLES_CLAIM = "roles"
SKEW = timedelta(seconds=60)
"""So much the clocks of directory and program may differ."""

_LATEST = 253_402_300_800
"""The end of the year 9999, in seconds since 1970."""


class DirectoryRefusedError(PlatformError):
    """The directory's answer cannot be trusted, or it let nobody in. The message names what was wrong, never whom."""


@dataclass(frozen=True, slots=True)
class Told:
    """Who came in: `login` and further ids lead to the pseudonym."""

    login: str
    also: tuple[str, ...]
    grants: frozenset[Grant]


def role_map(pairs: Sequence[str]) -> Mapping[str, Grant]:
    """`VALVOMO_OIDC_ROLES` read: value of the claim → role and unit.

    Raises:
        ConfigurationError: an entry is not `value=role` or `value=role@unit`.
    """
    found: dict[str, Grant] = {}
    for pair in pairs:
        value, _, rest = pair.rpartition("=")
        role, _, unit = rest.partition("@")
        if not value or role not in ROLES:
            raise ConfigurationError(
                f"VALVOMO_OIDC_ROLES holds an entry that says no role; expected value=role or value=role@unit with a "
                f"role of {', '.join(ROLES)}"
            )
        found[value] = Grant(role, unit or None)
    return found


def told_of(claims: Mapping[str, Any], roles: Mapping[str, Grant]) -> Told:
    """Who the claims of a checked ID token name.

    An address counts only when the directory says that it has verified it: who may write any address into their own
    profile must not become somebody else by it.

    Raises:
        DirectoryRefusedError: they name nobody.
    """
    email = claims.get("email") if claims.get("email_verified") is True else None
    names = [text for text in (claims.get("preferred_username"), email, claims.get("oid")) if isinstance(text, str)]
    unique = tuple(dict.fromkeys(name.strip() for name in names if name.strip() and name.isprintable()))
    if not unique:
        raise DirectoryRefusedError("the directory's token names nobody (preferred_username, verified email or oid)")
    return Told(unique[0], unique[1:], frozenset(_grants(claims.get(ROLES_CLAIM), roles)))


def _grants(claimed: object, roles: Mapping[str, Grant]) -> Iterable[Grant]:
    values = claimed if isinstance(claimed, list) else []
    return (roles[value] for value in values if isinstance(value, str) and value in roles)


def check_claims(claims: Mapping[str, Any], *, issuer: str, client_id: str, nonce: str, now: datetime) -> None:
    """What a right signature does not show: that the token is of now, for this program, and for this sign-in.

    Source: OpenID Connect Core 1.0, 3.1.3.7.

    Raises:
        DirectoryRefusedError: it is another's, too old, or from the future; clocks may differ by `SKEW`.
    """
    if claims.get("iss") != issuer:
        raise DirectoryRefusedError("the token is of another issuer (iss)")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if client_id not in audiences:
        raise DirectoryRefusedError("the token was made for another program (aud)")
    if (len(audiences) > 1 or "azp" in claims) and claims.get("azp") != client_id:
        raise DirectoryRefusedError("the token was made for another program (azp)")
    if claims.get("nonce") != nonce:
        raise DirectoryRefusedError("the token belongs to another sign-in (nonce)")
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise DirectoryRefusedError("the token names no subject (sub)")
    _check_times(claims, now.timestamp(), SKEW.total_seconds())


def _check_times(claims: Mapping[str, Any], now: float, skew: float) -> None:
    if _seconds(claims, "exp") + skew <= now:
        raise DirectoryRefusedError("the token has expired (exp)")
    if _seconds(claims, "iat") - skew > now or ("nbf" in claims and _seconds(claims, "nbf") - skew > now):
        raise DirectoryRefusedError("the token is of the future (iat, nbf); look at this machine's clock")


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    # NaN would be neither past nor future, and JSON as Python reads it has one.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _LATEST:
        raise DirectoryRefusedError(f"the token has no time where one must stand ({name})")
    return float(value)
