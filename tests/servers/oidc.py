"""A provider of OpenID Connect: oidc-provider-mock, in a process of its own on a free loopback port."""

import json
import signal
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import httpx

from tests.servers.process import HOST, Running, ServerProcess, free_port

START_SECONDS = 60
STOP_SECONDS = 30


class OidcProvider(Running):
    """One provider; whoever comes with a subject that it knows is let in.

    Args:
        users: subject → further claims of its tokens.
        folder: for its log.
    """

    def __init__(self, users: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
        self._users = users
        self._process = ServerProcess("OpenID Connect provider", folder / "oidc.log")
        self._port = free_port()

    @property
    def issuer(self) -> str:
        return f"http://{HOST}:{self._port}"

    def start(self) -> Self:
        """Start it and wait until it tells its addresses."""
        claims = [json.dumps({"sub": sub, **claims}) for sub, claims in self._users.items()]
        users = [part for one in claims for part in ("--user-claims", one)]
        command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(self._port), "--host", HOST, *users]
        self._process.spawn(command)
        self._process.until(self._ready, START_SECONDS)
        return self

    def remove(self) -> None:
        self._process.end(signal.SIGTERM, STOP_SECONDS)

    def let_in(self, asked: str, sub: str) -> str:
        """What a person does on the provider's page; where their browser is sent back to."""
        answer = httpx.post(asked, data={"sub": sub})
        assert answer.is_redirect, answer.text
        return answer.headers["location"]

    @staticmethod
    def version() -> str:
        return version("oidc-provider-mock")

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.issuer}/.well-known/openid-configuration").is_success
        except httpx.TransportError:
            return False
