"""The city's directory over OpenID Connect: discovery, authorization code with PKCE, and its keys as they change.

Source: OpenID Connect Core 1.0 and Discovery 1.0; RFC 7636 (PKCE, S256), RFC 9207 (iss in the answer).
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import jwt
from jwt.utils import base64url_encode

from services.shared.access import is_loopback
from services.shared.clock import Clock
from services.shared.errors import ConfigurationError, TransientError
from services.sign_in.domain.directory import DirectoryRefusedError, check_claims

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
"""Signatures by a key pair only: neither `none` nor what is signed with our own secret."""

PATIENCE_SECONDS = 10.0
_KEPT = timedelta(hours=1)
_ASKED_AGAIN_AFTER = timedelta(seconds=10)
"""So soon a token with an unknown key makes us fetch the keys again; sooner, anybody could make us ask all the time."""

_AWAY_FOR = timedelta(seconds=10)
"""So long a provider that did not answer is taken to be away: else everybody who tries would wait for their turn to
wait, and take up what all other requests need, too."""

_MOST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Client:
    """This program as the directory knows it. `redirect_uri`: where browsers come back to."""

    issuer: str
    client_id: str
    secret: str
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in that is under way, as its browser's cookie keeps it."""

    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class _Kept:
    at: datetime
    document: Mapping[str, Any]


class Directory:
    """One provider. Thread-safe.

    Raises:
        ConfigurationError: the issuer's address is not HTTPS and not on this machine.
    """

    def __init__(self, client: Client, clock: Clock, http: httpx.Client | None = None) -> None:
        _refuse_plain(client.issuer)
        self._client, self._clock = client, clock
        self._http = http or httpx.Client(timeout=PATIENCE_SECONDS)
        self._kept: dict[str, _Kept] = {}
        self._away: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        self._http.close()

    def start(self, begun: Begun) -> str:
        """Where the browser is sent to sign in.

        Raises:
            TransientError, DirectoryRefusedError: the provider is away, or not the one it should be.
        """
        asked = {
            "response_type": "code",
            "client_id": self._client.client_id,
            "redirect_uri": self._client.redirect_uri,
            "scope": "openid profile email",
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": base64url_encode(sha256(begun.verifier.encode()).digest()).decode(),
            "code_challenge_method": "S256",
        }
        endpoint = self._endpoint("authorization_endpoint")
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"

    def finish(self, begun: Begun, code: str, issuer: str | None) -> Mapping[str, Any]:
        """The checked claims of who comes back with `code`. `issuer`: the answer's own `iss`, where it has one.

        Raises:
            DirectoryRefusedError: another provider's answer, or a token that does not hold.
            TransientError: the provider is away.
        """
        told_always = self._metadata().get("authorization_response_iss_parameter_supported") is True
        if issuer != self._client.issuer and (told_always or issuer is not None):
            raise DirectoryRefusedError("the answer is of another provider (iss)")
        token = self._exchanged(code, begun.verifier).get("id_token")
        if not isinstance(token, str):
            raise DirectoryRefusedError("the provider sent no ID token")
        claims = self._verified(token)
        check_claims(
            claims,
            issuer=self._client.issuer,
            client_id=self._client.client_id,
            nonce=begun.nonce,
            now=self._clock.now(),
        )
        return claims

    def _exchanged(self, code: str, verifier: str) -> Mapping[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._client.redirect_uri,
            "code_verifier": verifier,
        }
        methods = self._metadata().get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        basic = None
        if "client_secret_basic" in methods:
            basic = (self._client.client_id, self._client.secret)
        else:
            form |= {"client_id": self._client.client_id, "client_secret": self._client.secret}
        return self._asked("POST", self._endpoint("token_endpoint"), data=form, auth=basic)

    def _verified(self, token: str) -> Mapping[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            algorithm = header.get("alg")
            if algorithm not in ALGORITHMS:
                raise DirectoryRefusedError("the token is signed in a way that is not accepted (alg)")
            key = jwt.PyJWK(dict(self._key(header.get("kid"))), algorithm)
            unchecked = {f"verify_{name}": False for name in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")}
            claims: Mapping[str, Any] = jwt.decode(token, key, [algorithm], options=unchecked)  # type: ignore[arg-type]  # checked by `check_claims`
        except jwt.PyJWTError:
            raise DirectoryRefusedError("the token's signature does not hold") from None
        return claims

    def _key(self, kid: object) -> Mapping[str, Any]:
        found = self._key_in(self._document("jwks_uri", _KEPT), kid)
        if found is None:  # the provider may have new keys
            found = self._key_in(self._document("jwks_uri", _ASKED_AGAIN_AFTER), kid)
        if found is None:
            raise DirectoryRefusedError("the token's key is none of the provider's")
        return found

    @staticmethod
    def _key_in(document: Mapping[str, Any], kid: object) -> Mapping[str, Any] | None:
        keys = [key for key in document.get("keys", ()) if isinstance(key, dict) and key.get("use", "sig") == "sig"]
        if kid is None:
            return keys[0] if len(keys) == 1 else None
        return next((key for key in keys if key.get("kid") == kid), None)

    def _metadata(self) -> Mapping[str, Any]:
        at = f"{self._client.issuer.rstrip('/')}/.well-known/openid-configuration"
        found = self._kept_or_asked(at, _KEPT)
        if found.get("issuer") != self._client.issuer:
            raise DirectoryRefusedError(
                "the provider calls itself otherwise than VALVOMO_OIDC_ISSUER does; write the issuer exactly as it does"
            )
        return found

    def _endpoint(self, name: str) -> str:
        found = self._metadata().get(name)
        if not isinstance(found, str):
            raise DirectoryRefusedError(f"the provider tells no {name}")
        _refuse_plain(found)
        return found

    def _document(self, name: str, at_most: timedelta) -> Mapping[str, Any]:
        return self._kept_or_asked(self._endpoint(name), at_most)

    def _kept_or_asked(self, url: str, at_most: timedelta) -> Mapping[str, Any]:
        with self._lock:
            kept, now = self._kept.get(url), self._clock.now()
            if kept is None or now - kept.at >= at_most:
                kept = self._kept[url] = _Kept(now, self._asked_unless_away(url, now))
            return kept.document

    def _asked_unless_away(self, url: str, now: datetime) -> Mapping[str, Any]:
        if url in self._away and timedelta() <= now - self._away[url] < _AWAY_FOR:
            raise TransientError("the directory did not answer a moment ago; try again in some seconds")
        try:
            found = self._asked("GET", url)
        except TransientError:
            self._away[url] = self._clock.now()
            raise
        self._away.pop(url, None)
        return found

    def _asked(self, method: str, url: str, **what: Any) -> Mapping[str, Any]:  # noqa: ANN401  # httpx's own
        try:
            answer = self._http.request(method, url, headers={"accept": "application/json"}, **what)
        except httpx.HTTPError as error:
            raise TransientError(f"the directory does not answer ({type(error).__name__}); try again") from None
        if answer.is_server_error or answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise TransientError(f"the directory answered {answer.status_code}; try again")
        if not answer.is_success or len(answer.content) > _MOST_BYTES:
            raise DirectoryRefusedError(f"the directory answered {answer.status_code}")
        try:
            found = json.loads(answer.content)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise DirectoryRefusedError("the directory's answer is no JSON document")
        return found


def _refuse_plain(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        raise ConfigurationError(
            "found an address of the directory without HTTPS; expected https://… (http only on this machine). "
            "Change VALVOMO_OIDC_ISSUER"
        )
