"""Trees that are not the model's are left out, with the reason."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.tree_graphs import draw_rows, draw_trees, make_model, regressor
from whyport.exporter.bundle.target import Target
from whyport.exporter.export import export_bundle
from whyport.exporter.graphs.compiled import Compiled
from whyport.exporter.kinds.onnx import OnnxModel
from whyport.exporter.source import ModelSource


@pytest.mark.parametrize("what", ["threshold", "missing_left", "value"])
def test_trees_that_are_off_by_the_least(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One threshold is a float32 further, one missing number goes the other way, one leaf is 1e-4 greater."""
    (tmp_path / "model.onnx").write_bytes(make_model([regressor(draw_trees(1))]).SerializeToString())
    pd.DataFrame(draw_rows(3, 120), columns=list("abcd")).fillna(0.5).to_csv(tmp_path / "rows.csv", index=False)
    honest = OnnxModel.compile

    def compile_wrong(self: OnnxModel, draft: object) -> Compiled:
        compiled = honest(self, draft)  # type: ignore[arg-type]
        assert compiled.trees is not None
        array = getattr(compiled.trees, what).copy()
        node = int(np.flatnonzero(compiled.trees.left >= 0)[0])
        if what == "threshold":
            array[node] = np.nextafter(array[node], np.float32(9))
        elif what == "missing_left":
            array[node] = not array[node]
        else:
            array[compiled.trees.left < 0] += 1e-4
        return dataclasses.replace(compiled, trees=dataclasses.replace(compiled.trees, **{what: array}))

    monkeypatch.setattr(OnnxModel, "compile", compile_wrong)
    bundle = export_bundle(ModelSource(str(tmp_path / "model.onnx"), tmp_path / "rows.csv"), Target(tmp_path / "out"))
    capability = bundle.sidecar.capabilities["treeshap"]
    assert "the sum of its trees is not the model's value in " in capability.reason
    assert "trees.npz" not in bundle.sidecar.files
