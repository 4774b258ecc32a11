import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from numpy.typing import NDArray

from support.bundles import IMPUTATION, linear_bundle, logits_of, softmax
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import (
    BundleFormatError,
    DigestError,
    MissingValueError,
    NotFiniteError,
    UsageError,
    ValueRangeError,
)
from whyport.runtime.runner import run_bound
from whyport.runtime.session import Session

ROWS = np.random.default_rng(1).normal(size=(257, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle.read(linear_bundle(tmp_path_factory.mktemp("session") / "bundle"))


@pytest.mark.parametrize("batch_rows", [1, 2, 7, 256, 257, 4096])
def test_predictions_are_the_closed_form_at_every_batch_size(bundle: Bundle, batch_rows: int) -> None:
    outputs = Session(bundle, "cpu", batch_rows=batch_rows).predict(ROWS)
    np.testing.assert_allclose(outputs["logits"], logits_of(ROWS), atol=1e-5)
    np.testing.assert_allclose(outputs["probabilities"], softmax(logits_of(ROWS)), atol=1e-6)


def test_frames_are_matched_by_column_name(bundle: Bundle) -> None:
    frame = pd.DataFrame(ROWS, columns=["a", "b", "c"])[["c", "a", "b"]]
    outputs = Session(bundle, "cpu").predict(frame, ["logits"])
    assert list(outputs) == ["logits"]
    np.testing.assert_allclose(outputs["logits"], logits_of(ROWS), atol=1e-5)


def test_a_list_of_dictionaries_is_rows(bundle: Bundle) -> None:
    rows = [dict(zip("abc", row, strict=True)) for row in ROWS.tolist()]
    np.testing.assert_allclose(Session(bundle, "cpu").predict(rows)["logits"], logits_of(ROWS), atol=1e-5)


def test_a_path_is_opened_as_its_bundle(bundle: Bundle) -> None:
    assert Session(bundle.path, "cpu").bundle == bundle
    assert Session(str(bundle.path), "cpu").bundle == bundle


def test_a_pickled_session_is_opened_again_with_the_same_arguments(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bundle.path.parent)
    opened = Session(bundle.path.name, "cpu", threads=3, batch_rows=7)
    monkeypatch.chdir(tmp_path)
    pickled = pickle.dumps(opened)
    session = pickle.loads(pickled)
    assert (session.bundle.digest, session.threads, session.batch_rows) == (bundle.digest, 3, 7)
    np.testing.assert_allclose(session.predict(ROWS)["logits"], logits_of(ROWS), atol=1e-5)
    assert len(pickled) < 1000
    again = pickle.loads(pickle.dumps(session))
    np.testing.assert_array_equal(again.predict(ROWS)["logits"], session.predict(ROWS)["logits"])


def test_a_pickled_session_depends_on_no_machine(bundle: Bundle) -> None:
    session = Session(bundle)
    _, arguments = session.__reduce__()
    assert (arguments[2].device, arguments[2].threads, arguments[2].batch_rows) == ("auto", None, None)


@pytest.mark.parametrize("changed", ["model.onnx", "bundle.json"])
def test_a_changed_bundle_is_not_opened_again(tmp_path: Path, changed: str) -> None:
    path = linear_bundle(tmp_path / "bundle")
    pickled = pickle.dumps(Session(path, "cpu"))
    if changed == "bundle.json":
        document = json.loads((path / changed).read_text())
        (path / changed).write_text(json.dumps(document | {"name": "another"}))
    else:
        (path / changed).write_bytes(b"another")
    with pytest.raises(DigestError, match="has changed: expected"):
        pickle.loads(pickled)
    shutil.rmtree(path)
    with pytest.raises(BundleFormatError, match="expected a bundle"):
        pickle.loads(pickled)


def test_no_rows_give_empty_arrays(bundle: Bundle) -> None:
    outputs = Session(bundle, "cpu").predict(np.empty((0, 3)))
    assert {name: (values.shape, values.dtype) for name, values in outputs.items()} == {
        "logits": ((0, 2), np.float32),
        "probabilities": ((0, 2), np.float32),
    }


def test_no_rows_do_not_abort_a_recurrent_model(reference_bundle: Path) -> None:
    program = (
        "import sys, numpy; from whyport import Bundle, Session; b = Bundle.read(sys.argv[1]); "
        "print(Session(b, 'cpu').predict(numpy.empty((0, len(b.sidecar.columns))))['logits'].shape)"
    )
    done = subprocess.run([sys.executable, "-c", program, reference_bundle], capture_output=True, text=True, check=True)
    assert done.stdout == "(0, 2)\n"


def test_nan_is_imputed_inside_the_graph(bundle: Bundle) -> None:
    rows = ROWS.copy()
    rows[::3, 1] = np.nan
    expected = logits_of(np.where(np.isnan(rows), IMPUTATION, rows))
    np.testing.assert_allclose(Session(bundle, "cpu").predict(rows)["logits"], expected, rtol=1e-5, atol=1e-5)


def test_nan_is_refused_where_the_graph_does_not_impute(tmp_path: Path) -> None:
    session = Session(Bundle.read(linear_bundle(tmp_path / "bundle", imputes=False)), "cpu")
    rows = ROWS.copy()
    rows[5, 2] = np.nan
    with pytest.raises(MissingValueError, match="column 'c', row 5: got NaN, and this bundle does not impute"):
        session.predict(rows)


def test_an_infinity_is_refused(bundle: Bundle) -> None:
    rows = ROWS.copy()
    rows[3, 0], rows[7, 1] = np.nan, -np.inf
    with pytest.raises(ValueRangeError, match="column 'b', row 7: expected a finite value, got -inf"):
        Session(bundle, "cpu").predict(rows)


def test_an_unknown_output_is_refused(bundle: Bundle) -> None:
    with pytest.raises(UsageError, match="unknown output 'logit' .*did you mean 'logits'"):
        Session(bundle, "cpu").predict(ROWS, ["logit"])


@pytest.mark.parametrize("options", [{"batch_rows": 0}, {"threads": 0}])
def test_batches_and_threads_are_at_least_one(bundle: Bundle, options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=r"(batch_rows|threads): expected at least 1, got 0"):
        Session(bundle, "cpu", **options)


@pytest.mark.parametrize("threads", [1, 2, 3, 100])
def test_results_are_those_of_the_calls_one_by_one_whatever_the_threads(reference_bundle: Path, threads: int) -> None:
    bundle = Bundle.read(reference_bundle)
    rows = np.random.default_rng(2).normal(15, 5, size=(7 * 64 + 5, 30)).astype(np.float32)
    plain = onnxruntime.InferenceSession(bundle.read_bytes("model.onnx"), providers=["CPUExecutionProvider"])
    calls = [plain.run(["probabilities"], {"features": rows[i : i + 64]})[0] for i in range(0, len(rows), 64)]
    outputs = Session(bundle, "cpu", threads=threads, batch_rows=64).run(rows, ["probabilities"])
    np.testing.assert_array_equal(outputs["probabilities"], np.concatenate(calls))


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_in_any_call_is_raised_and_ends_the_others(
    bundle: Bundle, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(bundle, "cpu", threads=threads, batch_rows=1)
    done = []

    def fail(feeds: dict[str, NDArray[np.float32]], names: list[str]) -> list[NDArray[np.float32]]:
        done.append(feeds)
        raise IndexError("of the call")

    monkeypatch.setattr(session._model, "_call", fail)
    with pytest.raises(IndexError, match="of the call"):
        session.run(ROWS)
    assert len(done) <= threads


def test_io_binding_gives_the_same_values(bundle: Bundle) -> None:
    session = onnxruntime.InferenceSession(bundle.read_bytes("model.onnx"), providers=["CPUExecutionProvider"])
    batch = onnxruntime.OrtValue.ortvalue_from_numpy(ROWS, "cpu", 0)
    (logits,) = run_bound(session, {"features": batch}, ["logits"])
    np.testing.assert_array_equal(logits, Session(bundle, "cpu").predict(ROWS)["logits"])


def test_runtime_never_imports_torch(bundle: Bundle) -> None:
    program = (
        "import sys, numpy; import whyport.runtime.commands, whyport.runtime.conformance; "
        "from whyport import Bundle, Session; "
        "session = Session(Bundle.read(sys.argv[1])); session.predict(numpy.zeros((2, 3))); "
        "whyport.runtime.conformance.replay(session); {extra}; print('torch' in sys.modules)"
    )
    for extra, imported in (("0", "False"), ("import torch", "True")):  # the second proves that the first can fail
        command = [sys.executable, "-c", program.format(extra=extra), bundle.path]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == f"{imported}\n"


UNANSWERED = np.array([[1, 1, 0], [4, 2, 0], [0, 0, 0], [0, 0, -9]], dtype=np.float32)
"""Rows of a bounded model: finite, NaN, finite, infinite."""


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return Session(linear_bundle(tmp_path_factory.mktemp("session") / "bounded", bounded=True), "cpu")


def test_rows_without_a_finite_output_are_refused_by_number(bounded: Session) -> None:
    match = r"^output 'logits': expected finite numbers, got NaN, in 2 of 4 rows: 1, 3$"
    with pytest.raises(NotFiniteError, match=match):
        bounded.predict(UNANSWERED)
    with pytest.raises(NotFiniteError, match=r"^output 'probabilities': expected finite numbers, got NaN, in 2 of 4"):
        bounded.predict(UNANSWERED, ["probabilities"])
    bounded.predict(UNANSWERED[[0, 2]])


def test_rows_without_a_finite_output_are_nan_if_asked_for(bounded: Session) -> None:
    outputs = bounded.predict(UNANSWERED, on_bad="nan")
    for name, of_finite in (("logits", logits_of), ("probabilities", lambda rows: softmax(logits_of(rows)))):
        assert np.isnan(outputs[name][[1, 3]]).all()
        np.testing.assert_allclose(outputs[name][[0, 2]], of_finite(UNANSWERED[[0, 2]]), atol=1e-5)
    with pytest.raises(UsageError, match=r"on_bad: unknown policy for bad rows 'nul'"):
        bounded.predict(UNANSWERED, on_bad="nul")


def test_explanations_of_rows_without_a_score_are_refused_or_nan(
    reference_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(reference_bundle, "cpu")
    row = np.array([[column.statistics.mean for column in session.bundle.sidecar.columns]], dtype=np.float32)
    whole, rows, run_graph = session.explain(row), row.repeat(3, axis=0), Session.run_graph

    def broken(self: Session, *arguments: Any) -> dict[str, NDArray[Any]]:
        outputs = run_graph(self, *arguments)
        outputs["attribution"][1, :2] = np.inf, -np.inf
        outputs["score"][1] = np.nan
        return outputs

    monkeypatch.setattr(Session, "run_graph", broken)
    with pytest.raises(NotFiniteError, match=r"in 1 of 3 rows: 1$"):
        session.explain(rows)
    found = session.explain(rows, on_bad="nan")
    assert found.is_finite.tolist() == [True, False, True]
    assert np.isnan([found.values[1].max(), found.error[1], found.output[1], found.base_value[1]]).all()
    assert found.converged is not None
    assert found.converged.tolist() == [True, False, True]
    assert found.target.tolist() == [whole.target[0], -1, whole.target[0]]
    assert "2 rows converged, 1 not finite" in repr(found)
    np.testing.assert_allclose(found.values[[0, 2]], whole.values[[0, 0]], atol=1e-5)
    assert session.explain(rows, 1, on_bad="nan").target.tolist() == [1, 1, 1]
