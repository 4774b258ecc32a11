import numpy as np
import pytest
import torch

from support.categories import category_column, category_columns, category_encoding, category_rows, every_code
from whyport.exporter.graphs.categories import ONE_HOT, build_encoding, embedding_width
from whyport.exporter.graphs.preprocess import build_preprocessing
from whyport.exporter.graphs.torchscript import quiet
from whyport.runtime.bundle.columns import Categories

COLUMNS = category_columns()
TOWN, COLOUR, YEAR = 4, 1, 6


@pytest.fixture(scope="module")
def encoding():
    return category_encoding(COLUMNS)


def tables(encoding) -> list[np.ndarray | None]:
    """The cells of every code, by column, from the parts' own state alone."""
    found: list[np.ndarray | None] = []
    parts = {part.column: part for part in encoding.parts if hasattr(part, "column")}
    for j, column in enumerate(COLUMNS):
        if column.categories is None:
            found.append(None)
            continue
        counts = [*column.categories.counts, column.categories.other, column.categories.missing]
        known = parts[j].known.detach().double().numpy()
        average = np.array([count for count in counts if count]) @ known / sum(counts)
        rows = iter(known)
        found.append(np.array([next(rows) if count else average for count in counts]))
    return found


def test_cells_are_looked_up(encoding):
    rows = every_code(COLUMNS)
    expected = [
        rows[:, j : j + 1] if table is None else table[rows[:, j].astype(int)]
        for j, table in enumerate(tables(encoding))
    ]
    with quiet():
        scripted = torch.jit.script(encoding.compiled())
    for module in (encoding, encoding.compiled(), scripted):
        got = module(torch.from_numpy(rows)).detach().numpy()
        np.testing.assert_allclose(got, np.concatenate(expected, axis=1), rtol=1e-6)
    widths = [part.shape[1] for part in expected]
    assert [len(cells) for cells in encoding.cells] == widths
    assert [cell for cells in encoding.cells for cell in cells] == list(range(encoding.width))


def test_few_categories_have_a_cell_each_and_pooled_and_missing_ones_too():
    encoding = build_encoding(
        [category_column("colour", Categories("text", ("red", "green", "blue"), (6, 3, 1), 4, 6))]
    )
    assert encoding is not None
    np.testing.assert_array_equal(encoding(torch.arange(5.0)[:, None]), np.eye(5))


def test_what_training_never_saw_is_an_average_category():
    encoding = build_encoding(
        [category_column("colour", Categories("text", ("red", "green", "blue"), (6, 3, 1), 0, 0))]
    )
    assert encoding is not None
    cells = encoding(torch.tensor([[0.0], [1.0], [2.0], [3.0], [4.0]]))
    np.testing.assert_allclose(cells, [*np.eye(3), [0.6, 0.3, 0.1], [0.6, 0.3, 0.1]])


def test_a_category_without_training_rows_is_an_average_one_too():
    encoding = build_encoding(
        [category_column("colour", Categories("text", ("red", "green", "blue"), (6, 0, 2), 0, 0))]
    )
    assert encoding is not None
    cells = encoding(torch.tensor([[0.0], [1.0], [2.0]]))
    np.testing.assert_allclose(cells, [[1, 0], [0.75, 0.25], [0, 1]])


def test_many_categories_share_the_cells_of_an_embedding(encoding):
    assert len(encoding.cells[TOWN]) == embedding_width(20) == 9
    assert [embedding_width(codes) for codes in (17, 100, 10_000)] == [8, 16, 16]
    at_the_bound = Categories("text", tuple(map(str, range(ONE_HOT))), (1,) * ONE_HOT, 0, 0)
    widest = build_encoding([category_column("c", at_the_bound)])
    assert widest is not None
    assert widest.width == ONE_HOT
    assert not list(widest.parameters())


def test_an_embedding_is_trained_and_its_average_follows():
    encoding = category_encoding(COLUMNS)
    (embedding,) = encoding.parameters()
    rows = category_rows(COLUMNS, 200, 5)
    optimizer = torch.optim.SGD([embedding], lr=0.1)
    before = embedding.detach().clone()
    encoding(torch.from_numpy(rows))[:, list(encoding.cells[TOWN])].square().sum().backward()
    optimizer.step()
    changed = (embedding.detach() != before).any(dim=1).numpy()
    assert set(np.flatnonzero(changed)) == set(rows[:, TOWN].astype(int))
    unseen = torch.from_numpy(rows[:1])
    unseen[0, TOWN] = 20
    expected = np.arange(1, 21) @ embedding.detach().double().numpy() / 210
    got = encoding(unseen)[0, list(encoding.cells[TOWN])].detach()
    np.testing.assert_allclose(got, expected, rtol=1e-5)
    np.testing.assert_allclose(encoding.compiled()(unseen), encoding(unseen).detach())
    assert not list(encoding.compiled().parameters())


@pytest.mark.parametrize("code", [5.0, -1.0, np.nan])
def test_a_code_that_is_none_of_the_columns_fails(encoding, code):
    rows = torch.from_numpy(every_code(COLUMNS)[:2])
    rows[0, COLOUR] = code
    with pytest.raises((IndexError, RuntimeError), match="index"):
        encoding.compiled()(rows)


def test_numbers_alone_need_no_encoding():
    assert build_encoding([column for column in COLUMNS if column.categories is None]) is None


def test_the_preprocessing_changes_the_numbers_alone(encoding):
    preprocess = build_preprocessing(COLUMNS, standardise=True, encoding=encoding)
    rows = every_code(COLUMNS)
    cells = encoding(torch.from_numpy(rows)).detach()
    expected = cells.double().numpy().copy()
    for column, place in ((COLUMNS[0], encoding.cells[0]), (COLUMNS[3], encoding.cells[3])):
        values = np.where(np.isnan(expected[:, place]), column.imputation, expected[:, place])
        expected[:, place] = (values - column.statistics.mean) / column.spread
    np.testing.assert_allclose(preprocess(cells), expected, rtol=1e-4, atol=1e-5)
