"""Which class is explained, by every method, alone and with others: what a run writes is what the explainers give."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from support.bundles import logits_of
from support.engines import OF_NETWORKS, model_for
from whyport.batch.methods.alone import explain
from whyport.batch.methods.explainer import explainer_class
from whyport.batch.methods.settings import ExplainSettings
from whyport.batch.run.job import Job
from whyport.batch.settings import JobSettings
from whyport.runtime.attribution import Attribution
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.session import Session

CLASSES = ("no", "yes")
ROWS = np.random.default_rng(5).normal(size=(60, 3)).astype(np.float32)
LABELS = np.arange(60) // 3 % 2
PREDICTED = logits_of(ROWS).argmax(axis=1)
CHOICES = {
    "predicted": PREDICTED,
    "no": np.zeros(60, dtype=np.int64),
    "class:yes": np.ones(60, dtype=np.int64),
    "label:truth": LABELS,
}


@pytest.fixture(scope="module")
def expected(mapped_bundle: Path) -> Callable[[str, NDArray[np.int64]], Attribution]:
    """What a method gives for the class of each row."""
    read = Bundle.read(mapped_bundle)
    background = References.read(read)

    def alone(name: str, targets: NDArray[np.int64]) -> Attribution:
        explainer = explainer_class(name)(model_for(name, read), background, ExplainSettings().of_method(name))
        return explain(explainer, ROWS, targets)

    return alone


@pytest.fixture
def run(mapped_bundle: Path, write: Callable[..., Path], tmp_path: Path) -> Callable[..., pa.Table]:
    truth = pa.array(CLASSES).take(pa.array(LABELS))
    source = write(pa.table(dict(zip("abc", ROWS.T, strict=True)) | {"truth": truth}))

    def run(methods: tuple[str, ...], choice: str) -> pa.Table:
        settings = JobSettings((str(source),), tmp_path / "out", methods, explain_target=choice, overwrite=True)
        Job(Bundle.read(mapped_bundle), settings).run()
        (part,) = (tmp_path / "out").glob("part-*.parquet")
        return pq.read_table(part)

    return run


def check(table: pa.Table, prefix: str, suffix: str, attribution: Attribution) -> None:
    """The columns of one method, and of one class where every class has its own, against the method itself."""
    got = np.stack([table[f"{prefix}attribution{suffix}.{feature}"].to_numpy() for feature in "abc"], axis=1)
    np.testing.assert_allclose(got, attribution.values, atol=2e-6)
    base_value = table[f"{prefix}base_value{suffix}"].to_numpy()
    np.testing.assert_allclose(base_value.astype(np.float64), attribution.base_value, atol=2e-6)


@pytest.mark.parametrize("methods", [*((name,) for name in OF_NETWORKS), OF_NETWORKS], ids="+".join)
@pytest.mark.parametrize("choice", CHOICES)
def test_the_chosen_class_is_explained(
    choice: str,
    methods: tuple[str, ...],
    run: Callable[..., pa.Table],
    expected: Callable[[str, NDArray[np.int64]], Attribution],
) -> None:
    assert 10 < PREDICTED.sum() < 50
    assert (PREDICTED != LABELS).any()
    targets = CHOICES[choice]
    table = run(methods, choice)
    assert table["explained_class"].to_pylist() == [CLASSES[target] for target in targets]
    np.testing.assert_allclose(table["score"], logits_of(ROWS)[np.arange(60), targets], atol=1e-5)
    for name in methods:
        check(table, f"{name}." if len(methods) > 1 else "", "", expected(name, targets))


@pytest.mark.parametrize("methods", [*((name,) for name in OF_NETWORKS), OF_NETWORKS], ids="+".join)
def test_every_class_is_explained(
    methods: tuple[str, ...],
    run: Callable[..., pa.Table],
    expected: Callable[[str, NDArray[np.int64]], Attribution],
) -> None:
    table = run(methods, "all")
    for k, name in enumerate(CLASSES):
        np.testing.assert_allclose(table[f"score.{name}"], logits_of(ROWS)[:, k], atol=1e-5)
        for method in methods:
            attribution = expected(method, np.full(60, k))
            check(table, f"{method}." if len(methods) > 1 else "", f".{name}", attribution)


@pytest.mark.parametrize("choice", ["predicted", "all"])
def test_the_rows_are_predicted_once_for_all_methods_and_classes(
    choice: str, run: Callable[..., pa.Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    predict = Session.run

    def counted(
        session: Session, rows: NDArray[np.float32], names: list[str] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        seen.append(np.array_equal(rows, ROWS) and names is not None and "attention" not in names)
        return predict(session, rows, names)

    monkeypatch.setattr(Session, "run", counted)
    run(OF_NETWORKS, choice)
    assert sum(seen) == 1
