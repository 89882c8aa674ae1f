from decimal import Decimal

import pytest

from services.cost_alerts.domain.use import request_sizes


@pytest.mark.parametrize(
    ("consumed", "expected"),
    [
        pytest.param({"input_tokens": 5}, [5], id="what is read is the size"),
        pytest.param(
            {"cache_read_tokens": 7, "cache_write_1h_tokens": 2, "cache_write_5m_tokens": 3, "input_tokens": 5},
            [17, 17, 17, 17],
            id="cached tokens and cache writes are read too",
        ),
        pytest.param(
            {"input_tokens": 5, "output_tokens": 900}, [5, 5], id="what is written has the size of what is read"
        ),
        pytest.param({"output_tokens": 900}, [None], id="what is written alone does not say what was read"),
        pytest.param({"characters": 40, "input_tokens": 5}, [40, 5], id="other things have their own size"),
        pytest.param({"input_tokens": 5, "requests": 1}, [5, 1], id="one request"),
        pytest.param({"input_tokens": 5, "requests": 0}, [5, 0], id="no request counted"),
        pytest.param({"characters": 3, "input_tokens": 5, "requests": 2}, [None, None, None], id="two have no size"),
        pytest.param({}, [], id="nothing"),
    ],
)
def test_how_large_a_request_is(consumed: dict[str, int], expected: list[int | None]) -> None:
    assert list(request_sizes(list(consumed), [Decimal(one) for one in consumed.values()])) == expected
