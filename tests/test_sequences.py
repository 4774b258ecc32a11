"""A network over sequences, and one over a sequence and a table, from export to audit."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor, nn

import whyport
from support.sequence_bundles import INPUTS, ROWS, STATIC, STEPS, VALUES, WIDTH, make
from whyport.batch.output.layouts import FEATURES_KEY
from whyport.runtime.errors import MissingValueError, UsageError
from whyport.runtime.session import Session


def standardised(rows: np.ndarray, by: np.ndarray) -> torch.Tensor:
    axes = tuple(range(by.ndim - 1))
    return torch.from_numpy((rows - by.mean(axes)) / by.std(axes))


def test_predictions_are_the_network_s(sequence_bundle: Path, sequence_rows: Path) -> None:
    given = standardised(VALUES, VALUES.astype(np.float64)), standardised(STATIC, STATIC.astype(np.float64))
    expected = make().double()(*given).detach().numpy()

    for rows in (pq.read_table(sequence_rows), {"vitals": VALUES, "age": STATIC[:, 0], "dose": STATIC[:, 1]}):
        np.testing.assert_allclose(Session(sequence_bundle).predict(rows)["logits"], expected, atol=1e-5)


def test_the_model_takes_tensors_as_the_network_does(sequence_bundle: Path) -> None:
    signature = whyport.Bundle.read(sequence_bundle).sidecar.signature

    assert [(spec.name, spec.shape) for spec in signature.inputs] == [
        ("vitals", ("N", STEPS, WIDTH)),
        ("static", ("N", 2)),
    ]


@pytest.mark.parametrize("method", ["deepshap", "expected-gradients", "integrated-gradients", "occlusion"])
def test_a_run_explains_every_cell_and_its_shares_add_up(
    sequence_bundle: Path, sequence_rows: Path, tmp_path: Path, method: str
) -> None:
    out = tmp_path / "out"
    whyport.run(sequence_bundle, sequence_rows, out, explain=method, layout="list", keep="id")

    (part,) = out.glob("part*.parquet")
    table = pq.read_table(part)
    shares = np.array(table["attribution"].to_pylist())
    assert shares.shape == (ROWS, STEPS * WIDTH + 2)
    if method != "occlusion":
        difference = table["score"].to_numpy() - table["base_value"].to_numpy()
        tolerance = 1e-5 if method == "deepshap" else 0.01  # integrals are refined until they are within a percent
        np.testing.assert_allclose(shares.sum(1), difference, atol=tolerance)
        assert table["converged"].to_numpy().all()
    names = table.schema.metadata[FEATURES_KEY.encode()].decode()
    assert names.startswith('["vitals[0].hr", "vitals[0].bp"')
    assert names.endswith('"age", "dose"]')
    whyport.audit(out)


def test_verify_replays_the_test_vectors(sequence_bundle: Path) -> None:
    assert {"explain.onnx attribution", "logits"} <= set(whyport.verify(sequence_bundle).deviations)


def test_rows_whose_lists_do_not_fit_are_rejected_with_the_reason(
    sequence_bundle: Path, sequence_rows: Path, tmp_path: Path
) -> None:
    values = VALUES.tolist()
    values[3], values[5], values[8][2][1] = None, values[5][:4], float("nan")
    table = pq.read_table(sequence_rows)
    bad = table.set_column(0, "vitals", pa.array(values))
    pq.write_table(bad, tmp_path / "bad.parquet")
    out = tmp_path / "out"

    whyport.run(sequence_bundle, tmp_path / "bad.parquet", out, explain="deepshap", keep="id")

    rejected = pq.read_table(next((out / "_rejected").glob("*.parquet")))
    assert dict(zip(rejected["id"].to_pylist(), rejected["reason"].to_pylist(), strict=True)) == {
        3: "column 'vitals': expected a list of 6 steps of 3 numbers, got null",
        5: "column 'vitals': expected a list of 6 steps of 3 numbers, got 4 steps",
        8: "column 'vitals': expected a finite number at [2].bp, got NaN",
    }
    with pytest.raises(MissingValueError, match="column 'vitals', row 3: expected a list of 6 steps of 3 numbers"):
        Session(sequence_bundle).predict(bad)


class Static(nn.Module):
    """A linear model of one table, by the name of its argument."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(2, 2)

    def forward(self, static: Tensor) -> Tensor:
        """[N, 2] to [N, 2]."""
        scores: Tensor = self.out(static)
        return scores


def test_one_table_may_be_named_too(sequence_rows: Path, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    whyport.export(f"{__name__}:Static", sequence_rows, out, input="static=table:age,dose", explain_references=2)

    (spec,) = whyport.Bundle.read(out).sidecar.signature.inputs
    assert spec.name == "static"
    assert "logits" in whyport.verify(out).deviations


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (("vitals=sequence:vitals",), "the network's forward also takes 'static': expected an --input for each"),
        ((*INPUTS, "more=table:id"), "unknown argument 'more'"),
        (INPUTS[::-1], "expected them in the order of the network's forward"),
    ],
)
def test_inputs_are_the_arguments_of_forward(
    sequence_rows: Path, tmp_path: Path, inputs: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        whyport.export("support.sequence_bundles:make", sequence_rows, tmp_path / "bundle", input=inputs)
