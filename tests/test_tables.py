"""One contract over tasks, kinds of columns and methods: shares are of source columns, add up, and pass the audit."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from torch import nn

import whyport as library
from enumeration import exact_shapley
from support.bundles import linear_bundle
from support.categories import category_bundle, category_columns, category_encoding
from whyport.batch.methods.catalogue import METHODS, engine_of
from whyport.batch.methods.method import ENGINES, TORCHSCRIPT
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import Capability, task_of
from whyport.runtime.errors import BundleError
from whyport.runtime.inputs.table import Columns

ROWS = 24
ENOUGH = 200_000
"""Evaluations with which every path and every coalition of a row fits."""
PROMISE = ("deepshap", "integrated-gradients", "expected-gradients", "shapley")
"""The methods that add up on every row."""
MISSING_NUMBERS = {"amount", "height", "a"}


@dataclass(frozen=True)
class Case:
    """A bundle and a table of a night, with missing values and with categories that training never saw."""

    bundle: Bundle
    night: pd.DataFrame

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the source columns."""
        return self.bundle.sidecar.column_names


def raw_table(rows: int, seed: int) -> pd.DataFrame:
    """Numbers, texts of few and of many kinds, booleans, codes and dates; values are missing in three of them."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "amount": rng.normal(50, 20, rows) * rng.choice([1, np.nan], rows, p=[0.9, 0.1]),
            "length": rng.normal(0, 1, rows),
            "region": rng.choice(["north", "south", "west", None], rows, p=[0.4, 0.3, 0.2, 0.1]),
            "shop": rng.choice([f"shop {i:02d}" for i in range(20)], rows),
            "member": rng.choice([True, False], rows),
            "grade": rng.integers(1, 5, rows),
            "since": [dt.date(2020, 1, 1) + dt.timedelta(days=int(day)) for day in rng.integers(0, 900, rows)],
        }
    )
    score = frame["region"].eq("north") * 2.0 + frame["member"] - 1.5 + frame["length"]
    answer = np.select([score < -0.5, score < 0.7], ["low", "middle"], "high")
    return frame.assign(answer=answer, price=100.5 + 30 * score, delay=5.5 + score)


def raw_night() -> pd.DataFrame:
    frame = raw_table(ROWS, 1).drop(columns=["answer", "price", "delay"])
    frame.loc[:3, "region"] = "overseas"
    frame.loc[4, "shop"] = None
    frame.loc[5, "since"] = None
    return frame


def trained(folder: Path, **options: object) -> Case:
    table = folder / "table.parquet"
    raw_table(240, 0).to_parquet(table)
    bundle = library.train(
        table, out=folder / "bundle", categorical=["grade"], dates=["since"], architecture="mlp", epochs=3,
        set={"hidden": 6, "layers": 1}, background=8, explain_references=2, device="cpu", **options,
    )  # fmt: skip
    return Case(bundle, raw_night())


def classes(folder: Path) -> Case:
    return trained(folder, target="answer", exclude=["price", "delay"])


def quantities(folder: Path) -> Case:
    return trained(folder, target=["price", "delay"], exclude="answer", target_unit={"price": "EUR"})


def one_logit(folder: Path) -> Case:
    columns = category_columns()
    width = category_encoding(columns).width
    network = nn.Sequential(nn.Linear(width, 6), nn.Tanh(), nn.Linear(6, 1))
    rng = np.random.default_rng(2)
    night = {
        "height": rng.normal(170, 3, ROWS) * rng.choice([1, np.nan], ROWS, p=[0.9, 0.1]),
        "colour": rng.choice(["red", "green", "purple", None], ROWS),
        "features": rng.choice(["a", "b"], ROWS),
        "dose": rng.normal(1, 0.5, ROWS),
        "town": rng.choice([f"town {i:02d}" for i in range(22)], ROWS),
        "smoker": pd.array(rng.choice([True, False, None], ROWS), "boolean"),
        "year": rng.choice([2019.0, 2.5, 1999.0], ROWS),
    }
    return Case(category_bundle(folder / "bundle", network, columns, 2), pd.DataFrame(night))


def numbers_with_maps(folder: Path) -> Case:
    """The linear model by hand, with feature maps and attention."""
    rows = np.random.default_rng(3).normal(size=(ROWS, 3))
    rows[3, 0] = np.nan
    bundle = Bundle.read(linear_bundle(folder / "bundle", maps=True))
    return Case(bundle, pd.DataFrame(rows, columns=list("abc")))


CASES: dict[str, Callable[[Path], Case]] = {
    each.__name__: each for each in (classes, quantities, one_logit, numbers_with_maps)
}


@pytest.fixture(scope="session")
def made() -> dict[str, Case]:
    """The cases that are made already: a parameter's fixture may be set up more than once."""
    return {}


@pytest.fixture(scope="session", params=CASES)
def case(request: pytest.FixtureRequest, made: dict[str, Case], tmp_path_factory: pytest.TempPathFactory) -> Case:
    name = request.param
    return made[name] if name in made else made.setdefault(name, CASES[name](tmp_path_factory.mktemp(name)))


def reason_against(case: Case, method: str, engine: str) -> str | None:
    """Why the bundle cannot serve a method on the engine; None if it can."""
    needed = METHODS[method].engines[engine_of(method, engine)].capability
    if needed is None:
        return None
    capability = case.bundle.sidecar.capabilities.get(needed, Capability(False, f"it has no {needed!r}"))
    return None if capability.available else capability.reason


@dataclass(frozen=True)
class Scored:
    """A finished run."""

    case: Case
    engine: str
    out: Path
    table: pa.Table

    def column(self, name: str) -> NDArray[np.float64]:
        """A column of numbers."""
        return self.table[name].to_numpy().astype(np.float64)


@pytest.fixture(scope="session", params=ENGINES)
def scored(request: pytest.FixtureRequest, case: Case, tmp_path_factory: pytest.TempPathFactory) -> Scored:
    """The night explained by every method that the bundle has, for every target."""
    folder, engine = tmp_path_factory.mktemp(f"scored-{request.param}"), request.param
    case.night.to_parquet(folder / "night.parquet")
    methods = [name for name in METHODS if reason_against(case, name, engine) is None]
    drawn = {"samples": 12} if "smoothgrad" in methods else {}
    library.run(
        case.bundle, folder / "night.parquet", folder / "out", explain=methods, explain_target="all", engine=engine,
        on_bad_row="impute", max_evaluations=ENOUGH, device="cpu", **drawn,
    )  # fmt: skip
    (part,) = (folder / "out").glob("part-*.parquet")
    return Scored(case, engine, folder / "out", pq.read_table(part))


def test_every_row_is_scored_and_the_audit_agrees(scored: Scored) -> None:
    case = scored.case
    assert scored.table.num_rows == ROWS
    assert scored.table["imputed_count"].to_pylist() == [
        sum(pd.isna(row[name]) for name in {*MISSING_NUMBERS, "since"} & set(case.columns))
        for _, row in case.night.iterrows()
    ]
    lines = list(library.audit(scored.out, sample=6, device="cpu"))
    assert lines[-1].startswith("sample    6 rows computed again")


@pytest.mark.parametrize("method", METHODS)
def test_shares_are_of_source_columns_and_add_up(scored: Scored, method: str, tmp_path: Path) -> None:
    case, table = scored.case, scored.table
    reason = reason_against(case, method, scored.engine)
    if reason is not None:
        with pytest.raises(BundleError) as refused:
            library.run(case.bundle, scored.out, tmp_path / "out", explain=method, engine=scored.engine)
        assert f"cannot serve {method!r}: {reason}" in str(refused.value)
        return
    for target in task_of(case.bundle.sidecar).targets:
        prefix = f"{method}.attribution.{target}."
        names = [name for name in table.column_names if name.startswith(prefix)]
        assert names == [prefix + column for column in case.columns]
        shares = np.stack([scored.column(name) for name in names], axis=1)
        assert np.isfinite(shares).all()
        if not METHODS[method].adds_up:
            assert table[f"{method}.base_value.{target}"].null_count == ROWS
            continue
        difference = scored.column(f"score.{target}") - scored.column(f"{method}.base_value.{target}")
        missing = np.abs(shares.sum(axis=1) - difference)
        scale = np.maximum(1.0, np.abs(difference))
        error = scored.column(f"{method}.completeness_error.{target}")
        np.testing.assert_allclose(error / scale, missing / scale, atol=1e-5)
        if method in PROMISE:
            assert table[f"{method}.converged.{target}"].to_pylist() == [True] * ROWS
            assert (error <= np.maximum(0.01 * np.abs(difference), 0.001)).all()


def test_shapley_is_the_enumeration_over_source_columns(scored: Scored) -> None:
    case = scored.case
    session, sidecar = library.Session(case.bundle, "cpu"), case.bundle.sidecar
    rows = Columns.of(sidecar.columns).encode(case.night).matrix
    rows = np.where(np.isnan(rows), np.array(sidecar.imputation), rows)
    references = References.read(case.bundle)
    target = len(sidecar.targets) - 1

    def score(mixed: NDArray[np.float64]) -> NDArray[np.float64]:
        scores = session.run(mixed.astype(np.float32), [session.task.score])[session.task.score]
        return scores[:, target].astype(np.float64)

    names = [f"shapley.attribution.{sidecar.targets[target]}.{column}" for column in case.columns]
    for row in (0, 4, 5):
        exact = exact_shapley(score, rows[row].astype(np.float64), references.rows.astype(float), references.weights)
        got = [scored.table[name][row].as_py() for name in names]
        np.testing.assert_allclose(got, exact, rtol=1e-5, atol=1e-5 * max(1.0, np.abs(exact).max()))


def test_groups_share_one_value(case: Case, tmp_path: Path) -> None:
    case.night.to_parquet(tmp_path / "night.parquet")
    first, *_, last = case.columns
    groups = {"both": (last, first)}
    methods = ["shapley"] + (["deepshap"] if reason_against(case, "deepshap", TORCHSCRIPT) is None else [])
    for out, players in (("alone", None), ("grouped", groups)):
        library.run(
            case.bundle, tmp_path / "night.parquet", tmp_path / out, explain=methods, players=players,
            explain_target=case.bundle.sidecar.targets[0], on_bad_row="impute", max_evaluations=ENOUGH, device="cpu",
        )  # fmt: skip
    alone, grouped = (pq.read_table(tmp_path / out) for out in ("alone", "grouped"))
    prefix = "shapley.attribution." if len(methods) > 1 else "attribution."
    names = [name.removeprefix(prefix) for name in grouped.column_names if name.startswith(prefix)]
    assert names == ["both", *case.columns[1:-1]]
    if len(methods) > 1:
        summed = sum(alone[f"deepshap.attribution.{name}"].to_numpy() for name in groups["both"])
        np.testing.assert_allclose(grouped["deepshap.attribution.both"].to_numpy(), summed, atol=1e-4)
    assert list(library.audit(tmp_path / "grouped", sample=5, device="cpu"))[-1].startswith("sample    5 rows")
