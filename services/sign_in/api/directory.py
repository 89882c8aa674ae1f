"""Signing in through the city's directory: there, and back again.

What must be known when the browser comes back is in a cookie that only this program can read, so any process may
answer; it lasts ten minutes and is taken away on the way back.
"""

import base64
import json
import secrets
from dataclasses import asdict
from datetime import datetime, timedelta
from hmac import compare_digest

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from services.shared.clock import Clock
from services.shared.errors import TransientError
from services.shared.logs import logger
from services.shared.sessions import COOKIE, Grant, cookie_in, cookie_name
from services.sign_in.adapters.provider import Begun, Directory
from services.sign_in.api.pages import Cookies, Pages
from services.sign_in.domain.directory import DirectoryRefusedError, told_of
from services.sign_in.domain.sessions import safe_next
from services.sign_in.door import Door, Refused

_COOKIE = f"{COOKIE}-directory"
_LASTS = timedelta(minutes=10)
_NONCE_BYTES, _RANDOM_BYTES = 12, 32
_LONGEST_CODE = 4_096


class DirectoryRoutes:
    """`/oidc/start` and `/oidc/callback`."""

    def __init__(
        self, directory: Directory, roles: dict[str, Grant], door: Door, pages: Pages, *, cookies: Cookies, clock: Clock
    ) -> None:
        self._directory, self._roles, self._door, self._pages = directory, roles, door, pages
        self._cookies, self._clock = cookies, clock
        self._sealed = AESGCM(door.sealer.cookies)
        self._log = logger("sign-in")
        self.router = APIRouter(include_in_schema=False)
        self.router.add_api_route("/oidc/start", self.start, methods=["GET"])
        self.router.add_api_route("/oidc/callback", self.back, methods=["GET"])

    def start(self, request: Request) -> Response:
        """On to the directory."""
        next_page = safe_next(request.query_params.get("next"))
        begun = Begun(*(secrets.token_urlsafe(_RANDOM_BYTES) for _ in range(3)))
        try:
            answer = RedirectResponse(self._directory.start(begun), 303)
        except TransientError as error:
            self._log.warning("directory away", reason=str(error))
            return self._pages.asked(request, next_page, "away")
        except DirectoryRefusedError as error:
            self._log.error("directory refused", reason=str(error))
            return self._pages.asked(request, next_page, "directory")
        self._cookies.write(answer, _COOKIE, self._seal(begun, next_page), int(_LASTS.total_seconds()))
        return answer

    def back(self, request: Request) -> Response:
        """Back from the directory: signed in, or the form with what went wrong."""
        answer = self._answer(request)
        self._cookies.write(answer, _COOKIE, "", 0)
        return answer

    def _answer(self, request: Request) -> Response:
        kept = self._opened(request)
        if kept is None:
            return self._pages.asked(request, None, "stale")
        begun, next_page = kept
        try:
            told = told_of(self._claims(request, begun), self._roles)
        except TransientError as error:
            self._log.warning("directory away", reason=str(error))
            return self._pages.asked(request, next_page, "away")
        except DirectoryRefusedError as error:
            self._log.warning("sign-in refused", how="directory", reason=str(error))
            return self._pages.asked(request, next_page, "directory")
        found = self._door.enter_from_directory(told, self._cookies.session(request))
        if isinstance(found, Refused):
            return self._pages.asked(request, next_page, "directory")
        return self._pages.entered(found, next_page)

    def _claims(self, request: Request, begun: Begun) -> dict[str, object]:
        asked = request.query_params
        if not compare_digest(asked.get("state", "").encode(), begun.state.encode()):
            raise DirectoryRefusedError("the answer belongs to another sign-in (state)")
        code = asked.get("code", "")
        if "error" in asked or not 0 < len(code) <= _LONGEST_CODE:
            raise DirectoryRefusedError("the directory let nobody in")
        return dict(self._directory.finish(begun, code, asked.get("iss")))

    def _seal(self, begun: Begun, next_page: str) -> str:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        told = json.dumps({**asdict(begun), "next": next_page, "until": (self._clock.now() + _LASTS).isoformat()})
        return base64.urlsafe_b64encode(nonce + self._sealed.encrypt(nonce, told.encode(), None)).decode().rstrip("=")

    def _opened(self, request: Request) -> tuple[Begun, str] | None:
        """What this browser's cookie keeps; None when there is none, or it is too old, or not ours."""
        cookie = cookie_in(request.headers.get("cookie"), cookie_name(_COOKIE, secure=self._cookies.secure))
        try:
            raw = base64.urlsafe_b64decode((cookie or "") + "=" * (-len(cookie or "") % 4))
            told = json.loads(self._sealed.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], None))
        except (ValueError, InvalidTag):
            return None
        if datetime.fromisoformat(told["until"]) <= self._clock.now():
            return None
        return Begun(told["state"], told["nonce"], told["verifier"]), told["next"]
