from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from support.bundles import BIAS, WEIGHTS
from whyport.batch.report.gather.cases import NOT_KEPT
from whyport.batch.report.gather.view import ReportSettings, View, gather
from whyport.batch.report.picture import Picture
from whyport.batch.report.sections.rows import rows_section
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.errors import AuditError, JobError, UsageError

Write = Callable[..., Path]
Score = Callable[..., Path]


@pytest.fixture
def source(write: Write) -> Path:
    return write(
        pa.table({"id": ["p", "q"], "truth": ["no", "x"], "a": [4.0, 1.0], "b": [1.0, None], "c": [-2.0, 1.0]})
    )


def view_of(out: Path, **settings: Any) -> View:
    return gather(ReportSettings(out, device="cpu", **settings))


def test_the_true_class_is_explained_anew_where_it_differs(score: Score, source: Path, bundle: Path) -> None:
    out = score(source, methods=("gradient", "deepshap"), keep=("id", "truth"))
    (case,) = view_of(out, label="truth", rows=(0,)).cases
    assert (case.predictions, case.truths, case.kept["id"]) == (("yes",), ("no",), "p")
    predicted, true = case.explanations
    assert [(e.target, e.role, e.computed_anew) for e in case.explanations] == [
        ("yes", "predicted", False),
        ("no", "true", True),
    ]
    assert {each.method for each in case.explanations} == {"deepshap"}
    background = References.read(Bundle.read(bundle))
    mean = background.weights @ background.rows
    row = np.array([4.0, 1.0, -2.0])
    for k, each in ((1, predicted), (0, true)):
        np.testing.assert_allclose(each.values, WEIGHTS[k] * (row - mean), atol=1e-5)
        np.testing.assert_allclose(each.score, WEIGHTS[k] @ row + BIAS[k], rtol=1e-6)
        np.testing.assert_allclose(each.base_value, WEIGHTS[k] @ mean + BIAS[k], rtol=1e-5)
    np.testing.assert_array_equal(case.features, row)


def test_every_class_needs_nothing_anew(score: Score, source: Path) -> None:
    out = score(source, methods=("deepshap",), keep=("truth",), explain_target="all")
    (case,) = view_of(out, label="truth", rows=(0,)).cases
    assert [(e.target, e.role, e.computed_anew) for e in case.explanations] == [
        ("yes", "predicted", False),
        ("no", "true", False),
    ]


def test_what_was_not_kept_is_computed_anew_or_summed_up(score: Score, source: Path) -> None:
    out = score(source, methods=("deepshap",), top_k=1)
    (case,) = view_of(out, rows=(0,)).cases
    (each,) = case.explanations
    assert (each.computed_anew, each.names) == (True, ("a", "b", "c"))
    source.unlink()
    view = view_of(out, rows=(0,))
    (each,) = view.cases[0].explanations
    assert (each.computed_anew, each.names) == (False, ("a", "b", "c", NOT_KEPT))
    np.testing.assert_allclose(each.values.sum(), each.score - each.base_value, rtol=1e-6)
    assert np.count_nonzero(each.values[:3]) == 1
    assert view.inputs is None
    assert "cannot be read as it was scored" in view.problems[0]


def test_rows_that_stand_out_are_shown_once(score: Score, write: Write, labelled: pa.Table) -> None:
    view = view_of(score(write(labelled), keep=("truth",), methods=("gradient",)), label="truth")
    kinds = [case.choice.kind for case in view.cases]
    assert kinds == ["most certain", "least certain", "wrong", "wrong"]
    assert len({case.choice.row for case in view.cases}) == 4
    assert all(case.truths != case.predictions for case in view.cases[2:])


def test_a_row_that_is_not_there_is_an_error(score: Score, source: Path) -> None:
    out = score(source)
    with pytest.raises(UsageError, match="row: expected less than 2, got 2"):
        view_of(out, rows=(2,))
    with pytest.raises(JobError, match="rejected"):
        view_of(out, rows=(1,))


def test_the_label_is_the_training_target_where_it_was_kept(score: Score, source: Path, reference_bundle: Path) -> None:
    out = score(source, keep=("truth",))
    assert view_of(out).label is None
    with pytest.raises(UsageError, match="unknown kept column 'id'; known: 'truth'"):
        view_of(out, label="id")
    labelled = score(source, keep=("truth",), methods=("gradient",), explain_target="label:truth", name="labelled")
    assert view_of(labelled).label == "truth"
    with pytest.raises(AuditError, match="expected the bundle with digest"):
        view_of(out, bundle=reference_bundle)


def test_every_explained_target_has_pictures_of_its_own(score: Score, source: Path) -> None:
    view = view_of(score(source, methods=("deepshap",), explain_target="all"), rows=(0,))
    (case,) = view.cases
    several = tuple(replace(case.explanations[0], role="explained", target=name) for name in ("no", "yes"))
    blocks = rows_section(replace(view, cases=(replace(case, explanations=several),)), 20).blocks
    keys = [block.key for block in blocks if isinstance(block, Picture)]
    assert len(keys) == len(set(keys)) >= 4
