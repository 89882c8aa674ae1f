"""Signing in with a password, one's own account, signing out.

Before anybody has signed in, a cookie of its own binds the form to the browser: else another site could sign a person
in as somebody else, and read what they then do.
"""

import hmac
import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from services.shared.access import NotAllowedError
from services.shared.forms import FORM_TOKEN, form_of, person_of, raw_form
from services.shared.sessions import COOKIE, cookie_in, cookie_name
from services.shared.web.words import LANGUAGES, Words, preferred
from services.sign_in.adapters.sessions import StoredSessions
from services.sign_in.domain.accounts import Account
from services.sign_in.domain.sessions import Session, safe_next
from services.sign_in.door import Door, Entered, Refused
from services.sign_in.web.pages import Problem, SignInForm, account_page, sign_in_page

_BEFORE = f"{COOKIE}-before"
_BEFORE_BYTES = 16
_BEFORE_SECONDS = 3_600
_LONGEST_LOGIN = 254

Form = Annotated[Mapping[str, str], Depends(form_of)]


async def _unchecked(request: Request) -> Mapping[str, str]:
    return {name: values[-1] for name, values in (await raw_form(request)).items()}


Unchecked = Annotated[Mapping[str, str], Depends(_unchecked)]


@dataclass(frozen=True, slots=True)
class Cookies:
    """How our cookies are written. `secure`: for HTTPS only, bound to the host."""

    secure: bool
    seconds: int

    def session(self, request: Request) -> str | None:
        """The token of the session that a browser brings, whether it holds or not."""
        return cookie_in(request.headers.get("cookie"), cookie_name(COOKIE, secure=self.secure))

    def before(self, request: Request) -> str | None:
        return cookie_in(request.headers.get("cookie"), cookie_name(_BEFORE, secure=self.secure))

    def begin(self, answer: Response, token: str) -> None:
        self.write(answer, COOKIE, token, self.seconds)
        self.write(answer, _BEFORE, "", 0)

    def end(self, answer: Response) -> None:
        self.write(answer, COOKIE, "", 0)

    def write(self, answer: Response, name: str, value: str, seconds: int) -> None:
        answer.set_cookie(
            cookie_name(name, secure=self.secure),
            value,
            max_age=seconds,
            path="/",
            secure=self.secure,
            httponly=True,
            samesite="lax",
        )


def words_of(request: Request) -> Words:
    """In the language that the address or the browser asks for."""
    asked = request.query_params.get("lang")
    language = next((one for one in LANGUAGES if one == asked), None)
    return Words(language or preferred(request.headers.get("accept-language")))


class Pages:
    """The routes of passwords and accounts."""

    def __init__(self, door: Door, sessions: StoredSessions, cookies: Cookies, *, directory: bool) -> None:
        self._door, self._sessions, self._cookies, self._directory = door, sessions, cookies, directory
        self.router = APIRouter(include_in_schema=False)
        self.router.add_api_route("/sign-in", self.form, methods=["GET"])
        self.router.add_api_route("/sign-in", self.enter, methods=["POST"])
        self.router.add_api_route("/sign-out", self.leave, methods=["POST"])
        self.router.add_api_route("/account", self.account, methods=["GET"])
        self.router.add_api_route("/account/password", self.change_password, methods=["POST"])
        self.router.add_api_route("/account/sessions", self.end_sessions, methods=["POST"])

    def form(self, request: Request) -> Response:
        """The form of signing in."""
        return self.asked(request, request.query_params.get("next"))

    def asked(self, request: Request, next_page: str | None, problem: Problem | None = None, wait: int = 0) -> Response:
        """The form, with what went wrong before."""
        before = self._cookies.before(request) or secrets.token_urlsafe(_BEFORE_BYTES)
        shown = SignInForm(self._door.sealer.form_token(before), safe_next(next_page), self._directory, problem, wait)
        answer = HTMLResponse(sign_in_page(words_of(request), shown), _STATUS.get(problem or "", 200))
        if wait:
            answer.headers["Retry-After"] = str(wait)
        self._cookies.write(answer, _BEFORE, before, _BEFORE_SECONDS)
        return answer

    def enter(self, request: Request, form: Unchecked) -> Response:
        """Sign in, or the form again."""
        next_page, login = form.get("next"), form.get("login", "")
        before = self._cookies.before(request)
        expected = None if before is None else self._door.sealer.form_token(before)
        if expected is None or not hmac.compare_digest(expected.encode(), form.get(FORM_TOKEN, "").encode()):
            return self.asked(request, next_page, "stale")
        if not login.strip() or len(login) > _LONGEST_LOGIN:
            return self.asked(request, next_page, "wrong")
        found = self._door.enter(
            login, form.get("password", ""), self._address_of(request), self._cookies.session(request)
        )
        if isinstance(found, Refused):
            wait = math.ceil(found.wait.total_seconds())
            return self.asked(request, next_page, "later" if wait else "wrong", wait)
        return self.entered(found, next_page)

    def entered(self, found: Entered, next_page: str | None) -> Response:
        """On to the page that was asked for, with the session's cookie."""
        answer = RedirectResponse("/account" if found.must_change else safe_next(next_page), 303)
        self._cookies.begin(answer, found.token)
        return answer

    def leave(self, request: Request, form: Form) -> Response:  # noqa: ARG002  # asked for to be checked
        """Sign out: the session ends here, not only in the browser."""
        if token := self._cookies.session(request):
            self._door.leave(token)
        return self._out()

    def account(self, request: Request) -> Response:
        """Who I am here."""
        return self._shown(request, request.query_params.get("said"))

    def change_password(self, request: Request, form: Form) -> Response:
        """Choose another password."""
        person = _person(request)
        if form.get("new") != form.get("again"):
            return self._shown(request, "differ", 422)
        found = self._door.change_password(person, form.get("old", ""), form.get("new", ""), self._address_of(request))
        if isinstance(found, Refused):
            return self._shown(request, "later" if found.wait else "wrong", 429 if found.wait else 422)
        if not isinstance(found, Entered):
            return self._shown(request, found, 422)
        answer = RedirectResponse(f"/account?said=changed&lang={words_of(request).language}", 303)
        self._cookies.begin(answer, found.token)
        return answer

    def end_sessions(self, request: Request, form: Form) -> Response:  # noqa: ARG002
        """End every session of mine, wherever it is."""
        self._door.end_sessions(_person(request))
        return self._out()

    def _shown(self, request: Request, said: str | None, status: int = 200) -> Response:
        here, account = self._here(request)
        others = list(self._door.sessions_of(account.person))
        return HTMLResponse(account_page(words_of(request), account, here, others, said), status)

    def _here(self, request: Request) -> tuple[Session, Account]:
        person_of(request)
        found = self._sessions.session(self._cookies.session(request) or "")
        if found is None:  # it ended between the guard's look and ours
            raise NotAllowedError("your session has ended; sign in again", 401)
        return found

    def _address_of(self, request: Request) -> str | None:
        """Where a request comes from, as the socket says; no header is believed.

        HTTPS means a proxy in front, and its address is everybody's: one sender's failures would put off all others.
        """
        return None if self._cookies.secure or request.client is None else request.client.host

    def _out(self) -> Response:
        answer = RedirectResponse("/sign-in", 303)
        self._cookies.end(answer)
        return answer


_STATUS: Mapping[str, int] = {"wrong": 401, "later": 429, "stale": 403, "directory": 403, "away": 503}


def _person(request: Request) -> str:
    person = person_of(request).person
    assert person is not None, "person_of lets only persons pass"
    return person
