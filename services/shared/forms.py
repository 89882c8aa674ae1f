"""Who decides, and what they sent: for pages with forms, and for programs that decide in a person's name.

A form brings `form_token` as a hidden field, a JSON request the header X-Form-Token: a page of another site can make a
browser send our cookie, but cannot read this. Bearer tokens need none, since no browser adds them by itself.
"""

import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl

from fastapi import Request
from starlette.exceptions import HTTPException

from services.shared.access import Holder, NotAllowedError, Role

MAX_FORM_BYTES = 64 * 1024
MAX_FORM_FIELDS = 5_000
FORM_TOKEN = "form_token"  # noqa: S105  # the name of the field
_TOKEN_HEADER = "x-form-token"  # noqa: S105
_FORM = "application/x-www-form-urlencoded"
_READ = "valvomo.form"


def holder_of(request: Request) -> Holder:
    """Who sent a request that the guard let through."""
    found = request.scope.get("valvomo.holder")
    if not isinstance(found, Holder):
        raise NotAllowedError("this request came past the guard; serve the routes by make_app", 401)
    return found


def person_of(request: Request, *roles: Role) -> Holder:
    """The person who signed in, with one of these roles (none named: whoever); `units` are those where they have it.

    Raises:
        NotAllowedError: nobody has signed in (401); a token, which is no person, or a person without such a role (403).
    """
    holder = holder_of(request)
    if holder.person is None:
        if "authorization" in request.headers and holder.is_known:
            raise NotAllowedError("a token is no person; sign in, and do this under your own name", 403)
        raise NotAllowedError("found nobody signed in; a person must do this: sign in first", 401)
    wanted = frozenset(roles)
    if wanted and not wanted & holder.roles:
        raise NotAllowedError(f"your account may not do this; it needs one of: {' or '.join(sorted(wanted))}", 403)
    return holder.acting_as(wanted) if wanted else holder


async def form_of(request: Request) -> Mapping[str, str]:
    """The fields of a person's form; the last of several of one name. At most 64 KiB.

    Raises:
        NotAllowedError: nobody has signed in (401), or the form is not from our page (403).
        HTTPException: it is too large (413), or no form (415, 400).
    """
    return {name: values[-1] for name, values in (await form_lists(request)).items()}


async def form_lists(request: Request) -> Mapping[str, list[str]]:
    """The same with every value of a name, in their order."""
    holder = person_of(request)  # before anything is read
    fields = await raw_form(request)
    _check(holder, fields.get(FORM_TOKEN, [""])[-1])
    return {name: values for name, values in fields.items() if name != FORM_TOKEN}


def check_token_header(request: Request) -> None:
    """Refuse a JSON request that comes by a session and does not prove that our page wrote it.

    Raises:
        NotAllowedError: the header X-Form-Token is missing or another one's (403).
    """
    holder = holder_of(request)
    if holder.person is not None:
        _check(holder, request.headers.get(_TOKEN_HEADER, ""))


async def raw_form(request: Request) -> Mapping[str, list[str]]:
    """A form as it was sent, without any check of who sent it: for signing in. Read once, however often it is asked."""
    found: Mapping[str, list[str]] | None = request.scope.get(_READ)
    if found is None:
        found = request.scope[_READ] = _parsed(await _body(request))
    return found


async def _body(request: Request) -> bytes:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        raise HTTPException(415, f"found another kind of body; expected a form ({_FORM})")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_FORM_BYTES:
            raise HTTPException(413, f"found a form of more than {MAX_FORM_BYTES} bytes; send less at once")
    return body


def _parsed(body: bytes) -> Mapping[str, list[str]]:
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FORM_FIELDS)
    except ValueError:
        raise HTTPException(400, "found a form that cannot be read; send it as a page does, in UTF-8") from None
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


def _check(holder: Holder, shown: str) -> None:
    expected = (holder.form_token or "").encode()
    if not expected or not hmac.compare_digest(expected, shown.encode("utf-8", "surrogatepass")):
        raise NotAllowedError("this form is not from a page of your session; open the page again and send it anew", 403)
