"""The city's directory, played by a test that can lie: what is asked of it, and which answers are refused."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from jwt.utils import base64url_encode

from services.shared.clock import SteppedClock
from services.shared.errors import ConfigurationError, TransientError
from services.sign_in.adapters.provider import Begun, Client, Directory
from services.sign_in.domain.directory import DirectoryRefusedError

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
ISSUER = "https://login.example/tenant"
CLIENT = Client(ISSUER, "valvomo", "its secret", "https://valvomo.example/oidc/callback")
BEGUN = Begun("state-1", "nonce-1", "verifier-1" * 5)
KEYS = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("first", "second", "somebody-elses")}


def public(name: str, **more: str) -> dict[str, Any]:
    """A key as a provider publishes it."""
    found: dict[str, Any] = json.loads(ECAlgorithm.to_jwk(KEYS[name].public_key()))
    return found | {"kid": name, "use": "sig"} | more


class Provider:
    """Answers as OpenID Connect has it, but for what a test changes."""

    def __init__(self) -> None:
        self.metadata: dict[str, Any] = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize?p=1",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/keys",
        }
        self.keys = [public("first")]
        self.signs_with = "first"
        self.claims: dict[str, Any] = {}
        self.token: str | None = None
        self.asked: list[str] = []
        self.form: Mapping[str, list[str]] = {}
        self.authorization: str | None = None
        self.instead: Callable[[httpx.Request], httpx.Response | None] = lambda _request: None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        if (other := self.instead(request)) is not None:
            return other
        match request.url.path.rpartition("/")[2]:
            case "openid-configuration":
                return httpx.Response(200, json=self.metadata)
            case "keys":
                return httpx.Response(200, json={"keys": self.keys})
            case "token":
                self.form = parse_qs(request.content.decode())
                self.authorization = request.headers.get("authorization")
                return httpx.Response(200, json={"id_token": self.token or self.signed(), "token_type": "Bearer"})
        return httpx.Response(404)

    def signed(self, **header: str) -> str:
        usual = {
            "iss": ISSUER, "aud": "valvomo", "sub": "s-1", "nonce": BEGUN.nonce,
            "exp": NOW.timestamp() + 300, "iat": NOW.timestamp(), "preferred_username": "aino@example.org",
        }  # fmt: skip
        key = KEYS[self.signs_with]
        return jwt.encode(usual | self.claims, key, "ES256", {"kid": self.signs_with, **header})


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(NOW)


@pytest.fixture
def directory(provider: Provider, clock: SteppedClock) -> Iterator[Directory]:
    made = Directory(CLIENT, clock, httpx.Client(transport=httpx.MockTransport(provider)))
    yield made
    made.close()


def test_the_browser_takes_along_what_the_standard_asks(directory: Directory) -> None:
    parts = urlsplit(directory.start(BEGUN))
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{ISSUER}/authorize"
    challenge = base64url_encode(sha256(BEGUN.verifier.encode()).digest()).decode()
    assert parse_qs(parts.query) == {
        "p": ["1"],
        "response_type": ["code"],
        "client_id": ["valvomo"],
        "redirect_uri": ["https://valvomo.example/oidc/callback"],
        "scope": ["openid profile email"],
        "state": ["state-1"],
        "nonce": ["nonce-1"],
        "code_challenge": [challenge],
        "code_challenge_method": ["S256"],
    }
    assert BEGUN.verifier not in parts.query


def test_the_code_is_exchanged_with_the_verifier_and_our_secret(directory: Directory, provider: Provider) -> None:
    assert directory.finish(BEGUN, "code-1", None)["preferred_username"] == "aino@example.org"
    assert provider.form == {
        "grant_type": ["authorization_code"],
        "code": ["code-1"],
        "redirect_uri": ["https://valvomo.example/oidc/callback"],
        "code_verifier": [BEGUN.verifier],
    }
    assert provider.authorization is not None
    assert provider.authorization.startswith("Basic ")


def test_a_provider_that_wants_the_secret_in_the_form_gets_it_there(directory: Directory, provider: Provider) -> None:
    provider.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    directory.finish(BEGUN, "code-1", None)
    assert provider.form["client_secret"] == ["its secret"]
    assert provider.authorization is None


@pytest.mark.parametrize(
    ("claims", "named"),
    [
        ({"nonce": "another"}, "nonce"),
        ({"aud": "another"}, "aud"),
        ({"iss": "https://evil.example"}, "iss"),
        ({"exp": NOW.timestamp() - 61}, "exp"),
        ({"azp": "another"}, "azp"),
    ],
)
def test_a_signed_token_with_wrong_claims_is_refused(
    directory: Directory, provider: Provider, claims: dict[str, Any], named: str
) -> None:
    provider.claims = claims
    with pytest.raises(DirectoryRefusedError, match=named):
        directory.finish(BEGUN, "code-1", None)


def unsigned(provider: Provider) -> str:
    claims = jwt.decode(provider.signed(), options={"verify_signature": False})
    return jwt.encode(claims, "", "none")


def signed_with_our_secret(provider: Provider) -> str:
    claims = jwt.decode(provider.signed(), options={"verify_signature": False})
    return jwt.encode(claims, "its secret of at least thirty-two bytes", "HS256", {"kid": "first"})


def changed_after_signing(provider: Provider) -> str:
    head, body, signature = provider.signed().split(".")
    return ".".join((head, base64url_encode(b'{"sub":"somebody"}' + body[-2:].encode()).decode(), signature))


def signed_by_somebody_else(provider: Provider) -> str:
    provider.signs_with = "somebody-elses"
    return provider.signed(kid="first")


def of_an_unknown_key(provider: Provider) -> str:
    provider.signs_with = "somebody-elses"
    return provider.signed()


@pytest.mark.parametrize(
    "make",
    [
        unsigned,
        signed_with_our_secret,
        changed_after_signing,
        signed_by_somebody_else,
        of_an_unknown_key,
        lambda _provider: "no token at all",
        lambda _provider: "a.b.c",
    ],
)
def test_a_token_without_the_providers_signature_is_refused(
    directory: Directory, provider: Provider, make: Callable[[Provider], str]
) -> None:
    provider.token = make(provider)
    with pytest.raises(DirectoryRefusedError):
        directory.finish(BEGUN, "code-1", None)


def test_keys_are_kept_and_asked_for_again_when_the_provider_has_new_ones(
    directory: Directory, provider: Provider, clock: SteppedClock
) -> None:
    for _ in range(3):
        directory.finish(BEGUN, "code-1", None)
    assert provider.asked.count("/tenant/keys") == 1
    clock.advance(timedelta(minutes=1))
    provider.keys, provider.signs_with = [public("second"), public("first", use="enc")], "second"
    directory.finish(BEGUN, "code-2", None)
    assert provider.asked.count("/tenant/keys") == 2
    provider.signs_with = "first"
    with pytest.raises(DirectoryRefusedError):
        directory.finish(BEGUN, "code-3", None)
    assert provider.asked.count("/tenant/keys") == 2, "an unknown key does not make us ask all the time"
    clock.advance(timedelta(hours=1))
    with pytest.raises(DirectoryRefusedError):
        directory.finish(BEGUN, "code-4", None)


@pytest.mark.parametrize(
    ("told_always", "issuer", "fine"),
    [
        pytest.param(False, None, True, id="it never says so"),
        pytest.param(True, ISSUER, True, id="it always says so"),
        pytest.param(True, None, False, id="it always says so, but not here"),
        pytest.param(False, "https://evil.example", False, id="another provider's answer"),
    ],
)
def test_the_answer_of_another_provider_never_gets_our_code(
    directory: Directory, provider: Provider, told_always: bool, issuer: str | None, fine: bool
) -> None:
    provider.metadata["authorization_response_iss_parameter_supported"] = told_always
    if fine:
        directory.finish(BEGUN, "code-1", issuer)
        return
    with pytest.raises(DirectoryRefusedError, match="another provider"):
        directory.finish(BEGUN, "code-1", issuer)
    assert "/tenant/token" not in provider.asked


@pytest.mark.parametrize(
    ("metadata", "error"),
    [
        pytest.param({"issuer": "https://evil.example"}, DirectoryRefusedError, id="calls itself otherwise"),
        pytest.param({"token_endpoint": None}, DirectoryRefusedError, id="no endpoint"),
        pytest.param({"token_endpoint": "http://login.example/token"}, ConfigurationError, id="no HTTPS"),
    ],
)
def test_a_provider_that_is_not_the_one_gets_no_code(
    directory: Directory, provider: Provider, metadata: dict[str, Any], error: type[Exception]
) -> None:
    provider.metadata |= metadata
    with pytest.raises(error):
        directory.finish(BEGUN, "code-1", None)
    assert provider.form == {}


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(httpx.Response(503), TransientError, id="away"),
        pytest.param(httpx.Response(429), TransientError, id="busy"),
        pytest.param(httpx.Response(400, json={"error": "invalid_grant"}), DirectoryRefusedError, id="refused"),
        pytest.param(httpx.Response(200, text="<html>"), DirectoryRefusedError, id="no JSON"),
        pytest.param(httpx.Response(200, json=["a"]), DirectoryRefusedError, id="no document"),
        pytest.param(httpx.Response(200, json={"access_token": "x"}), DirectoryRefusedError, id="no ID token"),
        pytest.param(httpx.Response(200, json={"id_token": 7}), DirectoryRefusedError, id="a number"),
        pytest.param(httpx.Response(200, content=b" " * 2_000_000), DirectoryRefusedError, id="too much"),
        pytest.param(httpx.Response(302, headers={"location": "https://evil"}), DirectoryRefusedError, id="elsewhere"),
    ],
)
def test_an_answer_that_is_none_lets_nobody_in(
    directory: Directory, provider: Provider, answer: httpx.Response, error: type[Exception]
) -> None:
    provider.instead = lambda request: answer if request.url.path.endswith("/token") else None
    with pytest.raises(error):
        directory.finish(BEGUN, "code-1", None)


def test_a_provider_that_cannot_be_reached_is_tried_again_but_not_by_everybody_at_once(
    directory: Directory, provider: Provider, clock: SteppedClock
) -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route", request=request)

    provider.instead = away
    with pytest.raises(TransientError, match="does not answer"):
        directory.start(BEGUN)
    clock.advance(timedelta(seconds=9))
    with pytest.raises(TransientError, match="a moment ago"):
        directory.start(BEGUN)
    assert len(provider.asked) == 1
    clock.advance(timedelta(seconds=1))
    with pytest.raises(TransientError, match="does not answer"):
        directory.start(BEGUN)
    provider.instead = lambda _request: None
    clock.advance(timedelta(seconds=10))
    assert directory.start(BEGUN).startswith(ISSUER)
    assert len(provider.asked) == 3


def test_an_issuer_without_https_is_refused_but_on_this_machine(clock: SteppedClock) -> None:
    with pytest.raises(ConfigurationError, match="HTTPS"):
        Directory(Client("http://login.example", "c", "s", "r"), clock)
    Directory(Client("http://127.0.0.1:9", "c", "s", "r"), clock).close()
