"""The ledger thrown away and folded from the bus again: the same reports, and no mail goes out a second time."""

from datetime import date
from pathlib import Path

from tests.end_to_end import trace
from tests.end_to_end.program import Program


def add_budget(register: Path) -> None:
    """A year's budget for one unit that the trace passes at once: 13.8 dollars of 10 euro."""
    trace.write_yaml(
        register / "budgets.yaml",
        [
            {
                "id": "unit-0-2023",
                "unit": "unit-0",
                "period": 2023,
                "amount": "10.00",
                "currency": "EUR",
                "thresholds": ["0.5", "0.8", "1.0"],
                "recipients": ["finance-unit-0"],
            }
        ],
    )


def raise_price(register: Path) -> None:
    """The vendor's price was wrong from the start: ten times as much for what is read."""
    prices = [
        trace.tariff("input_tokens", "25.00", date(2023, 1, 1)),
        trace.tariff("output_tokens", "10.00", date(2023, 1, 1)),
    ]
    trace.write_yaml(register / "tariffs" / "language-model.yaml", prices)


def mails(program: Program) -> list[str]:
    return sorted(file.name for file in (program.data_dir / "mail").glob("*.eml"))


def test_a_rebuilt_ledger_reports_the_same_and_sends_nothing(tmp_path: Path) -> None:
    register = trace.write_register(tmp_path / "register")
    add_budget(register)
    with Program(tmp_path / "data") as program:
        program.start()
        program.command("register", "publish", str(register))
        events = trace.events()
        trace.send(program, events[:10_000])
        program.wait_until_caught_up()
        raise_price(register)
        program.command("register", "publish", str(register))
        trace.send(program, events[10_000:])
        program.wait_until_caught_up()
        program.wait_until("the alert is written", lambda: bool(mails(program)))
        program.stop()
        before, sent = program.report(trace.MONTH), mails(program)
        assert before["total"]["readings"] == trace.READINGS
        assert before["total"]["pricing"] != {"USD": trace.TOTAL_USD}

        program.command("ledger", "rebuild")
        assert program.report(trace.MONTH) == before
        program.start()
        program.wait_until_caught_up()
        assert program.report(trace.MONTH) == before
        assert mails(program) == sent
        program.command("ledger", "check")
