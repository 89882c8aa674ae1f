"""Errors as they leave over HTTP, in one shape: `application/problem+json` (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit

from fastapi.responses import JSONResponse, RedirectResponse, Response

from services.shared.access import NotAllowedError
from services.shared.errors import InvalidEventError, PlatformError, TransientError
from services.shared.logs import logger

DEFAULT_RETRY_AFTER_SECONDS = 5.0
SIGN_IN = "valvomo.sign_in"
"""Where in a request's scope stands the address to sign in at."""

_PROBLEM = "application/problem+json"
_LONGEST_WAY_BACK = 2_000


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An error as RFC 9457 writes it. `detail` says what was found, what was expected, what to do."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return JSONResponse(body, status, dict(headers or {}), _PROBLEM)


def platform_problem(error: PlatformError) -> Response:
    """The answer to an error of our own tree."""
    match error:
        case TransientError():
            return problem(503, f"not possible just now, try again: {error}", _waiting(error))
        case NotAllowedError():
            return problem(error.status, str(error), _waiting(error))
        case InvalidEventError():
            return problem(400, str(error))
        case _:
            logger("http").error("request failed", error=type(error).__name__, reason=str(error))
            return problem(500, "the program cannot do this in its present state; the log says why")


def _waiting(error: TransientError | NotAllowedError) -> Mapping[str, str] | None:
    wait = error.retry_after_seconds
    if wait is None and isinstance(error, NotAllowedError):
        return None
    return {"Retry-After": str(max(1, round(DEFAULT_RETRY_AFTER_SECONDS if wait is None else wait)))}


def refusal(scope: Mapping[str, Any], error: NotAllowedError) -> Response:
    """The answer to who may not: a browser without a session is sent to sign in, a program is told 401."""
    headers = {name: text.decode("latin-1") for name, text in scope["headers"]}
    if error.status == HTTPStatus.UNAUTHORIZED:
        if _is_browser(headers):
            return RedirectResponse(_sign_in_url(scope, headers), 303)
        return problem(error.status, str(error), _challenge(scope["method"]))
    return platform_problem(error)


def _is_browser(headers: Mapping[bytes, str]) -> bool:
    return "text/html" in headers.get(b"accept", "") and b"authorization" not in headers


def _sign_in_url(scope: Mapping[str, Any], headers: Mapping[bytes, str]) -> str:
    """With the way back: to the page asked for, or to the one whose form was sent."""
    at: str = scope.get(SIGN_IN, "/sign-in")
    if scope["method"] == "GET":
        query = scope.get("query_string", b"").decode("latin-1")
        back = scope["path"] + (f"?{query}" if query else "")
    else:
        back = _page_of(headers.get(b"referer", ""), headers.get(b"host"))
    return f"{at}?next={quote(back, safe='/')}" if 0 < len(back) <= _LONGEST_WAY_BACK else at


def _page_of(referer: str, host: str | None) -> str:
    """The path of the page that a form was sent from, if it is one of ours."""
    try:
        came_from = urlsplit(referer)
    except ValueError:  # any sender may write what is no address
        return ""
    return came_from.path if came_from.netloc == host else ""


def _challenge(method: str) -> Mapping[str, str]:
    offered = 'Bearer realm="valvomo"' + (
        ', Basic realm="valvomo", charset="UTF-8"' if method in {"GET", "HEAD"} else ""
    )
    return {"WWW-Authenticate": offered}
