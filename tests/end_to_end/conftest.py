"""What several end-to-end tests share: a demo of a month that has ended, and the program at work on what it left."""

import shutil
from collections.abc import Iterator

import pytest

from services.shared.tokens import EVERY_ROLE, EVERY_SCOPE, new_token
from tests.end_to_end.city import City
from tests.end_to_end.demo import WITH_A_MONTH, Shown, ended, start
from tests.end_to_end.program import Program


@pytest.fixture(scope="session")
def month_demo(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """A demo of thirty days or more, which has ended. Who asks commands of it changes nothing that others look at."""
    folder = tmp_path_factory.mktemp("month")
    return ended(start(folder, "--once", "--json", "--days", str(WITH_A_MONTH)), folder)


@pytest.fixture(scope="session")
def city(month_demo: Shown, tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """The program at work on a copy of that demo, with a tokens file: nobody reads or decides without saying who."""
    accounts = {one["what"]: one for one in month_demo.figures["accounts"]}
    folder = tmp_path_factory.mktemp("city")
    shutil.copytree(month_demo.data_dir / "demo", folder / "data")
    token, entry = new_token(
        "everything", scopes=sorted(EVERY_SCOPE), roles=sorted(EVERY_ROLE), systems=["*"], sources=["*"],
        otlp_purpose="telemetry",
    )  # fmt: skip
    tokens = folder / "tokens.yaml"
    tokens.write_text(entry)
    settings = {"tokens_file": tokens, "public_register": True, "public_contact": "kirjaamo@kaupunki.example"}
    with Program(folder / "data", checkpoint_interval_seconds=0.5, **settings) as program:
        yield City(program.start(), accounts, month_demo.figures["stories"], token)
