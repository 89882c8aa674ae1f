"""A recorded answer of Anthropic's usage report, read over HTTP, priced to the cent its own cost report tells."""

import json
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from tests.end_to_end import trace
from tests.end_to_end.program import Program

SAMPLE = Path(__file__).parents[1] / "golden" / "sources" / "payloads" / "usage_report_messages.json"
DAYS_USD = {"2026-11-16": "15.51279", "2026-11-17": "25.15033", "2026-11-18": "0.45529"}


class Anthropic(BaseHTTPRequestHandler):
    """Answers the legacy usage report with the recorded days that were asked for."""

    report: ClassVar[list[dict[str, str]]] = json.loads(SAMPLE.read_text())["data"]
    keys_seen: ClassVar[set[str]] = set()

    def do_GET(self) -> None:
        self.keys_seen.add(self.headers["x-api-key"])
        asked = self._asked()
        days = [day for day in self.report if asked["starting_at"] <= day["starting_at"] < asked["ending_at"]]
        body = json.dumps({"data": days, "has_more": False, "next_page": None}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _asked(self) -> dict[str, str]:
        from urllib.parse import parse_qsl, urlsplit

        return dict(parse_qsl(urlsplit(self.path).query))

    def log_message(self, *_unused: object) -> None:
        """Silent: the test says what matters."""


@pytest.fixture
def vendor() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Anthropic)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_three_days_cost_what_the_vendor_says(tmp_path: Path, vendor: str) -> None:
    register = tmp_path / "register"
    trace.write_yaml(register / "units.yaml", [{"id": "city", "name": {"en": "City"}, "valid_from": date(2026, 1, 1)}])
    trace.write_yaml(
        register / "systems.yaml",
        [{"id": "claude-api", "vendor": "anthropic", "name": "Claude", "owner": "city", "price_from": "tariff"}],
    )
    with Program(tmp_path / "data", anthropic_url=vendor, anthropic_key="sk-test", anthropic_api="legacy") as program:
        program.start()
        program.command("register", "seed", str(register), "--system", "claude-api")
        program.command("register", "publish", str(register))
        program.command("collect", "anthropic", "--since", "2026-11-16")
        program.wait_until_caught_up()
        report = json.loads(program.command("report", "--month", "2026-11", "--by", "day", "--format", "json"))
        priced = {row["day"]: row["pricing"] for row in report["rows"]}
        assert priced == {day: {"USD": usd} for day, usd in DAYS_USD.items()}
        assert report["total"]["unpriced"] == 0
        assert Anthropic.keys_seen == {"sk-test"}
        assert "sk-test" not in program.log()
