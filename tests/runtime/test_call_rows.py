import pytest

from whyport.runtime.batching import ROW_VALUES_KEY, suitable_rows


@pytest.mark.parametrize(
    ("values", "rows"),
    [(0, 4096), (1, 4096), (512, 4096), (513, 2048), (4260, 256), (8192, 256), (8193, 128), (10**9, 128)],
)
def test_a_call_of_a_graph_that_computes_more_takes_fewer_rows(values: int, rows: int) -> None:
    assert suitable_rows("cpu", {ROW_VALUES_KEY: str(values)}) == rows


@pytest.mark.parametrize("properties", [{}, {ROW_VALUES_KEY: ""}, {ROW_VALUES_KEY: "-1"}, {ROW_VALUES_KEY: "many"}])
def test_a_graph_that_does_not_say_how_much_it_computes(properties: dict[str, str]) -> None:
    assert suitable_rows("cpu", properties) == 512


def test_a_card_takes_many_rows_of_any_graph() -> None:
    assert suitable_rows("cuda", {ROW_VALUES_KEY: "1000000"}) == 16384
