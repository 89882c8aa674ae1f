"""What the AI register's view keeps on every store: counts by use case and unit, costs over a rebuild, findings."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.audit_log.adapters.ai_register.versions import read_versions
from services.audit_log.adapters.ai_register.view import output_counts, read_view
from services.audit_log.adapters.entries import SqlEntryLog
from services.audit_log.adapters.indexing import index_some
from services.audit_log.adapters.reviews.cases import SqlCaseFiles
from services.audit_log.domain.ai_register.view import Counts
from services.audit_log.handlers import rebuild
from services.shared.settings import Settings
from tests.contract.log_contract import Program
from tests.unit.audit_log.events import MONDAY
from tests.unit.audit_log.register_city import BENEFITS, CITY, costed, outputs, published, use


def counts(program: Program) -> dict[tuple[str, str], Counts]:
    with program.service.store.reading() as connection:
        return dict(output_counts(connection, program.clock.now()))


class AiRegisterContract(ABC):
    """To be inherited with the address of a store."""

    @abstractmethod
    def store_address(self, request: pytest.FixtureRequest) -> str: ...

    @pytest.fixture
    def program(self, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Program]:
        made = Program(Settings(data_dir=tmp_path / "var", store=SecretStr(self.store_address(request))))
        made.publish(*published(1, CITY))
        made.settle()
        yield made
        made.close()

    def test_outputs_are_counted_by_age_and_by_what_became_of_their_reviews(self, program: Program) -> None:
        program.publish(
            *outputs("benefits", 4, 3), *outputs("benefits", 2, 0, days_ago=60), *outputs("drafts", 2, 0),
            *outputs("benefits", 2, 2, days_ago=200), *outputs("benefits", 3, 3, days_ago=400),
        )  # fmt: skip
        program.settle()
        found = counts(program)
        assert found["benefits", "kymp"] == Counts(4, 6, MONDAY - timedelta(days=10), 8, 5)
        assert found["drafts", "kymp"] == Counts(2, 2, MONDAY - timedelta(days=10), 0, 0)

    def test_time_alone_changes_what_is_counted(self, program: Program) -> None:
        program.publish(*outputs("benefits", 2, 0, days_ago=0))
        program.settle()
        assert counts(program)["benefits", "kymp"][:2] == (2, 2)
        program.clock.advance(timedelta(days=45))
        program.settle()
        assert counts(program)["benefits", "kymp"] == Counts(0, 2, MONDAY, 2, 0)

    def test_the_newest_band_stands_also_after_a_rebuild(self, program: Program) -> None:
        program.publish(costed("benefits", "under_1000"))
        program.settle()
        program.publish(costed("benefits", "over_250000"), costed("chat", "none"))
        program.settle()
        for _ in range(2):
            view = read_view(program.service.store, program.clock.now())
            bands = {name: one.cost.band for name, one in view.entries.items() if one.cost}
            assert bands == {"benefits": "over_250000", "chat": "none"}
            with program.service.store.transaction() as tx:
                rebuild(SqlEntryLog(), SqlCaseFiles(), tx, program.clock.now())

    def test_a_use_is_followed_through_all_that_was_entered_about_it(self, program: Program) -> None:
        later = BENEFITS.model_copy(update={"owner": "somebody else's role"})
        program.publish(
            *published(2, [later]), *published(3, [], gone=[later]), *published(4, [use("x", "kymp", "minimal")])
        )
        program.settle()
        while index_some(program.service.store):
            pass
        with program.service.store.reading() as connection:
            found = read_versions(connection, "benefits")
        assert [one.changed for one in found] == [None, ["owner"], None]
        assert [one.change.fact is None for one in found] == [True, False, False]
        assert [one.change.seq for one in found] == sorted((one.change.seq for one in found), reverse=True)
