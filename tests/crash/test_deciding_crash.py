"""Kill the log while it decides: every finding is there, and every finding is there once."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import select

from services.audit_log.adapters.entries import read_entries, read_frontier
from services.audit_log.adapters.tables import case_file, finding
from services.shared.events import decode
from services.shared.events.governance import ReviewRequested
from services.shared.events.outcomes import FindingOpened
from services.shared.tlog.entry import parse_entry
from tests.crash.appender_life import open_log
from tests.crash.deciding_life import OUTPUTS, POINTS
from tests.servers.process import dies_with_us

KILLS = 3


@pytest.mark.timeout(120)
def test_a_log_that_is_killed_while_it_decides_says_everything_once(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.crash.deciding_life", str(tmp_path), str(KILLS)]
    lived = subprocess.run(dies_with_us(command), capture_output=True, text=True, check=False)
    assert (lived.returncode, lived.stderr) == (0, ""), lived.stderr
    assert json.loads(lived.stdout) == dict.fromkeys(POINTS, KILLS // len(POINTS))

    count = KILLS * OUTPUTS
    bus, service = open_log(tmp_path)
    with service.store.reading() as connection:
        entries = read_entries(connection, 0, read_frontier(connection).size)
        known = connection.execute(select(finding.c.output_id, finding.c.kind)).all()
        states = Counter(connection.execute(select(case_file.c.state)).scalars())
    service.store.close()
    bus.close()
    events = [decode(parse_entry(raw).value) for raw in entries]
    told = [(event.data.output_id, event.data.kind) for event in events if isinstance(event, FindingOpened)]
    wanted = [(f"o-{number}", "overdue_review") for number in range(count)]
    wanted += [(f"o-{number}", "used_unreviewed") for number in range(0, count, 3)]
    assert sorted(told) == sorted(wanted)
    assert sorted((row.output_id, row.kind) for row in known) == sorted(wanted)
    assert sum(isinstance(event, ReviewRequested) for event in events) == count
    assert states == {"overdue": count - count // 3, "used_unreviewed": count // 3}
