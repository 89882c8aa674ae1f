"""The whole interface, asked by a program that reads its description: nobody comes in unknown, and nothing breaks."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode
from schemathesis.schemas import APIOperation, BaseSchema

from tests.end_to_end.city import City, Who

OPEN = frozenset({"/healthz", "/readyz", "/alerts/ack", "/public/ai-register", "/public/ai-register.json"})
"""What anybody may ask: probes, the page whose link proves who may, and the public register."""

REFUSED = {401, 403}
PUBLISHED = Path(__file__).parents[2] / "docs" / "schemas" / "public"
EXAMPLES = 6
CALMLY = settings(
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
PASSING_ON = frozenset({"content-length", "host", "transfer-encoding", "connection", "authorization", "cookie"})
"""What a made-up request does not say by itself."""


Operation = APIOperation[Any, Any, Any, Any]
Wanted = Callable[[Operation], bool]


@dataclass
class Asked:
    """The interface with the headers of somebody."""

    city: City
    schema: BaseSchema
    headers: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, case: schemathesis.Case[Any], client: httpx.Client) -> httpx.Response:
        """Ask what was made up."""
        made = case.as_transport_kwargs(base_url=self.city.address)
        own = {name: value for name, value in made["headers"].items() if name.lower() not in PASSING_ON}
        body = made.get("data")
        content = json.dumps(made["json"]).encode() if "json" in made else body
        return client.request(
            made["method"], made["url"], params=made.get("params"), headers=own | dict(self.headers),
            content=content if isinstance(content, bytes | str) else None,
            data=content if isinstance(content, dict) else None,
        )  # fmt: skip

    def operations(self) -> Iterator[Operation]:
        for found in self.schema.get_all_operations():
            operation = found.ok()  # type: ignore[union-attr]  # one that cannot be read raises
            assert operation is not None
            yield operation


@pytest.fixture(scope="module")
def description(city: City) -> dict[str, Any]:
    answer = httpx.get(f"{city.address}/openapi.json", headers=bearer(city.token))
    found = answer.raise_for_status().json()
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def schema(description: dict[str, Any]) -> BaseSchema:
    return schemathesis.openapi.from_dict(description)


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=30) as found:
        yield found


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def session_of(city: City, who: Who) -> dict[str, str]:
    """The cookie of somebody who has signed in, and what their programs must send with it."""
    with httpx.Client(base_url=city.address) as visitor:
        form = visitor.get("/sign-in")
        fields = {
            "form_token": hidden(form.text, "form_token"), "next": "/account",
            "login": city.accounts[who]["login"], "password": city.accounts[who]["password"],
        }  # fmt: skip
        visitor.post("/sign-in", data=fields, headers={"origin": city.address})
        token = hidden(visitor.get("/account").text, "form_token")
        cookies = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
    return {"cookie": cookies, "x-form-token": token, "origin": city.address}


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None, f"no {name} on the page"
    return found[1]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="nothing"),
        pytest.param(bearer("vt_of-nobody-" + "x" * 32), id="a token of nobody"),
        pytest.param({"cookie": "session=" + "x" * 43}, id="a session of nobody"),
        pytest.param({"authorization": "Basic " + "eDp5"}, id="a password of nobody"),
    ],
)
def test_nobody_comes_in_unknown(
    city: City, schema: BaseSchema, client: httpx.Client, headers: Mapping[str, str]
) -> None:
    asked, seen = Asked(city, schema, headers), 0
    came_in: dict[str, int] = {}
    for operation in asked.operations():
        if operation.path in OPEN:
            continue
        seen += 1
        [answer, *_] = answers_of(asked, client, operation, GenerationMode.POSITIVE, most=1)
        if answer.status_code not in REFUSED:
            came_in[operation.label] = answer.status_code
    assert came_in == {}
    assert seen > 40


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_request_breaks_it(city: City, schema: BaseSchema, client: httpx.Client, mode: GenerationMode) -> None:
    asked = Asked(city, schema, bearer(city.token))
    assert broken(asked, client, mode, lambda _operation: True) == []
    assert city.program.running
    assert "Traceback" not in city.program.log()


@pytest.mark.parametrize("who", ["reviewer", "auditor"])
def test_no_decision_breaks_it(city: City, schema: BaseSchema, client: httpx.Client, who: Who) -> None:
    asked = Asked(city, schema, session_of(city, who))
    assert broken(asked, client, GenerationMode.POSITIVE, decides) == []
    assert city.program.running


def decides(operation: Operation) -> bool:
    return operation.method == "post" and operation.path.startswith("/api/v1/")


def broken(asked: Asked, client: httpx.Client, mode: GenerationMode, wanted: Wanted) -> list[str]:
    """The requests that were answered as if the fault were the program's."""
    return [
        f"{answer.status_code} {answer.request.method} {answer.request.url}: {answer.text[:300]}"
        for operation in filter(wanted, asked.operations())
        for answer in answers_of(asked, client, operation, mode, most=EXAMPLES)
        if answer.is_server_error
    ]


def answers_of(
    asked: Asked, client: httpx.Client, operation: Operation, mode: GenerationMode, *, most: int
) -> list[httpx.Response]:
    """What is answered to made-up requests, the same in each run; none where nothing can be wrong in a request."""
    found: list[httpx.Response] = []

    @seed(7)
    @settings(CALMLY, max_examples=most)
    @given(case=operation.as_strategy(mode))
    def ask(case: schemathesis.Case[Any]) -> None:
        found.append(asked(case, client))

    with suppress(Unsatisfiable):
        ask()
    return found


def test_the_public_register_is_as_it_says_it_is(city: City, client: httpx.Client) -> None:
    """Nobody signs in for it, and it tells of the demo's uses what its published schema lets it tell."""
    document = client.get(f"{city.address}/public/ai-register.json").raise_for_status().json()
    schema = json.loads((PUBLISHED / "ai-register.schema.json").read_text())
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(document)
    assert {one["id"] for one in document["use_cases"]} >= {"tyollisyys-palvelutarve", "neuvontabotti"}
    assert "p-" not in {value[:2] for value in re.findall(r'"([^"]*)"', json.dumps(document))}


def test_pages_of_ones_own_are_ones_own(city: City, client: httpx.Client) -> None:
    """Pages that the description does not list: they ask for themselves who is there."""
    page = client.get(f"{city.address}/account", headers={"accept": "text/html"})
    assert page.status_code in {302, 303, 401}
    for path in ("/account/password", "/account/sessions", "/sign-out"):
        assert client.post(f"{city.address}{path}").status_code in {401, 403}
