"""An export opens each file once for all comparisons, and draws each sample once."""

from collections import Counter
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from whyport.exporter.bundle.target import Target
from whyport.exporter.data import samples
from whyport.exporter.export import export_bundle
from whyport.exporter.source import ModelSource

COUNTED = "size of "
"""What the outputs of a graph are called whose values are counted."""

PLAIN = {("model.onnx", "verified"): 1, ("model.onnx", "counted"): 1, ("model.onnx", "replayed"): 1}
PORTABLE = {
    (file, purpose): 1
    for file in ("explain.onnx", "gradient.onnx")
    for purpose in ("simplified", "verified", "counted", "replayed")
}


class Openings:
    """Counts the files that are opened and the samples that are drawn."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.torchscript = 0
        self.onnx: Counter[tuple[str, str]] = Counter()
        self.drawn: Counter[tuple[int, tuple[int, int]]] = Counter()
        self._load, self._session, self._draw = torch.jit.load, onnxruntime.InferenceSession, samples.draw_probes
        monkeypatch.setattr(torch.jit, "load", self._count_torchscript)
        monkeypatch.setattr(onnxruntime, "InferenceSession", self._count_onnx)
        monkeypatch.setattr(samples, "draw_probes", self._count_drawn)

    def _count_torchscript(self, *args: Any, **options: Any) -> Any:
        self.torchscript += 1
        return self._load(*args, **options)

    def _count_onnx(self, content: bytes, options: Any = None, **others: Any) -> Any:
        graph = onnx.load_from_string(content).graph
        counted = {output.name for output in graph.output if output.name.startswith(COUNTED)}
        outputs = {output.name.removeprefix(COUNTED) for output in graph.output}
        named = {"gradient": "gradient.onnx", "attribution": "explain.onnx"}
        file = next((file for name, file in named.items() if name in outputs), "model.onnx")
        if options is not None and options.optimized_model_filepath:
            purpose = "simplified"
        elif counted:
            purpose = "counted"
        else:
            purpose = "verified" if options is not None and options.log_severity_level == 4 else "replayed"
        self.onnx[file, purpose] += 1
        return self._session(content, options, **others)

    def _count_drawn(self, rows: Any, count: int, seed: tuple[int, int], **options: Any) -> Any:
        self.drawn[count, seed] += 1
        return self._draw(rows, count, seed, **options)


@pytest.fixture
def openings(monkeypatch: pytest.MonkeyPatch) -> Openings:
    return Openings(monkeypatch)


def test_a_network_of_two_layers(
    openings: Openings, complete_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import example_networks

    def two_layers() -> nn.Module:
        return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))

    monkeypatch.setattr(example_networks, "two_layers", two_layers, raising=False)
    bundle = export_bundle(ModelSource("example_networks:two_layers", complete_path), Target(tmp_path / "bundle"))
    assert {"model.pt", "deepshap.pt", "explain.onnx", "gradient.onnx"} <= bundle.sidecar.files.keys()
    assert openings.torchscript == 2
    assert openings.onnx == PLAIN | PORTABLE
    assert len(openings.drawn) == 6
    assert set(openings.drawn.values()) == {1}


def test_a_plain_onnx_file(openings: Openings, complete_path: Path, tmp_path: Path) -> None:
    weights = numpy_helper.from_array(torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).numpy(), "w")
    inputs, outputs = (
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", size])] for name, size in (("x", 4), ("y", 3))
    )
    nodes = [helper.make_node("MatMul", ["x", "w"], ["product"]), helper.make_node("Tanh", ["product"], ["y"])]
    graph = helper.make_graph(nodes, "plain", inputs, outputs, [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, tmp_path / "plain.onnx")
    export_bundle(ModelSource(str(tmp_path / "plain.onnx"), complete_path), Target(tmp_path / "bundle"))
    # The user's own file is opened as well: its outputs say how many classes there are.
    assert openings.onnx == PLAIN | PORTABLE | {("model.onnx", "verified"): 2}
    assert openings.torchscript == 2
    assert len(openings.drawn) == 7
    assert set(openings.drawn.values()) == {1}
