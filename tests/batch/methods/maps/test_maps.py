"""Grad-CAM and attention, on the reference bundle against captum and PyTorch, and as columns of a run."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from captum.attr import LayerAttribution, LayerGradCam
from numpy.typing import NDArray

import whyport
from support.bundles import attention_of
from support.engines import model_for
from support.forging import elements, forge, with_column
from whyport.batch.methods.alone import explain
from whyport.batch.methods.explainer import Explainer, explainer_class
from whyport.batch.methods.settings import ExplainSettings
from whyport.batch.run.job import Job
from whyport.batch.settings import JobSettings
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import TORCHSCRIPT_MODEL
from whyport.runtime.errors import AuditError, BundleError

TENSOR = pa.fixed_shape_tensor(pa.float32(), (3, 3), dim_names=("query", "key"))


class Split(torch.nn.Module):
    """A bundle's TorchScript as a layer that captum can put its hooks on, and what follows."""

    class Maps(torch.nn.Module):
        def __init__(self, module: Any) -> None:
            super().__init__()
            self.module = module

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return self.module.features(rows)

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.module = torch.jit.load(io.BytesIO((path / TORCHSCRIPT_MODEL).read_bytes())).eval()
        self.maps = self.Maps(self.module)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.module.classify(self.maps(rows))[0]


def create(name: str, path: Path, **settings: Any) -> Explainer:
    bundle = Bundle.read(path)
    return explainer_class(name)(
        model_for(name, bundle), References.read(bundle), ExplainSettings.of(**settings).of_method(name)
    )


class Image(torch.nn.Module):
    """Feature maps over y and x, or over more axes: the row itself, its scores the weighted mean of each channel."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def features(self, rows: torch.Tensor) -> torch.Tensor:
        return rows.reshape(len(rows), *self.shape)

    def classify(self, maps: torch.Tensor) -> tuple[torch.Tensor]:
        of_channel = maps.flatten(2).mean(2)
        return (torch.stack([of_channel[:, 0] - 2 * of_channel[:, 1], of_channel[:, 1]], 1),)


def test_maps_over_three_axes_are_refused(reference_bundle: Path) -> None:
    bundle = Bundle.read(reference_bundle)
    model = model_for("grad-cam", bundle)
    model._module = Image(1, 5, 3, 2)
    expected = r"expected feature maps .* or \[N, channels, y, x\], got \['N', 1, 5, 3, 2\]"
    with pytest.raises(BundleError, match=expected):
        model.class_maps(np.zeros((2, 30), dtype=np.float32), np.zeros(2, dtype=np.int64))


def test_maps_over_y_and_x(reference_bundle: Path) -> None:
    model = model_for("grad-cam", Bundle.read(reference_bundle))
    model._module = Image(2, 5, 3)
    rows = np.random.default_rng(0).normal(size=(300, 30)).astype(np.float32)

    maps, scores = model.class_maps(rows, np.arange(300) % 2)

    channels = rows.reshape(300, 2, 5, 3).astype(np.float64)
    weights = np.array([[1, -2], [0, 1]])[np.arange(300) % 2] / 15
    np.testing.assert_allclose(maps, np.maximum(0, np.einsum("nc,ncyx->nyx", weights, channels)), atol=1e-6)
    np.testing.assert_allclose(scores, np.einsum("nc,ncyx->n", weights, channels), atol=1e-5)


@pytest.fixture(scope="module")
def real_rows(reference_bundle: Path) -> NDArray[np.float32]:
    background = References.read(Bundle.read(reference_bundle)).rows
    return np.tile(background, (6, 1)) * np.linspace(0.8, 1.2, 600, dtype=np.float32)[:, None]


@pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated:DeprecationWarning")
def test_grad_cam_is_captums(reference_bundle: Path, real_rows: NDArray[np.float32]) -> None:
    targets = np.arange(600) % 2
    got = explain(create("grad-cam", reference_bundle, grad_cam_map=True), real_rows, targets)
    split = Split(reference_bundle)
    rows = torch.tensor(real_rows, requires_grad=True)
    maps = LayerGradCam(split, split.maps).attribute(rows, torch.tensor(targets), relu_attributions=True).detach()
    assert maps.shape == (600, 1, 7)
    largest = maps.amax(2, keepdim=True)
    np.testing.assert_allclose(got.extras["grad_cam_map"], maps[:, 0], atol=1e-5 * float(largest.max()))
    scaled = torch.where(largest > 0, maps / largest, 0.0)
    expected = LayerAttribution.interpolate(scaled, 30, interpolate_mode="linear")[:, 0]
    np.testing.assert_allclose(got.values, expected, atol=1e-5)
    assert got.values.min() >= 0
    assert got.values.max() <= 1
    assert (got.values.std(axis=0) > 0).all()


def test_a_map_without_a_positive_value_stays_zero(mapped_bundle: Path) -> None:
    # The mean weight of the first class is negative, that of the second positive.
    rows = np.array([[1, 2, 3], [1, 2, 3], [0, 0, 0]], dtype=np.float32)
    got = explain(create("grad-cam", mapped_bundle), rows, np.array([0, 1, 1]))
    np.testing.assert_allclose(got.values, [[0, 0, 0], [1 / 3, 2 / 3, 1], [0, 0, 0]], atol=1e-6)


def test_nothing_is_left_on_the_model(reference_bundle: Path, real_rows: NDArray[np.float32]) -> None:
    explainer = create("grad-cam", reference_bundle)
    explain(explainer, real_rows, np.zeros(600, dtype=np.int64))
    for module in explainer.model._module.modules():  # type: ignore[attr-defined]
        assert not module._forward_hooks
        assert not module._backward_hooks
    assert all(parameter.grad is None for parameter in explainer.model._module.parameters())  # type: ignore[attr-defined]


@pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated:DeprecationWarning")
def test_attention_is_the_models(reference_bundle: Path, real_rows: NDArray[np.float32]) -> None:
    got = explain(create("attention", reference_bundle), real_rows, np.zeros(600, dtype=np.int64))
    with torch.no_grad():
        weights = Split(reference_bundle).module(torch.tensor(real_rows))[2]
    np.testing.assert_allclose(got.extras["attention"], weights, atol=1e-5)
    expected = torch.nn.functional.interpolate(weights.mean(1, keepdim=True), 30, mode="linear")[:, 0]
    np.testing.assert_allclose(got.values, expected, atol=1e-5)


@pytest.fixture
def run(mapped_bundle: Path, write: Callable[..., Path], table: pa.Table, tmp_path: Path) -> Callable[..., Path]:
    source = write(table.slice(0, 60))

    def run(**settings: Any) -> Path:
        options: dict[str, Any] = {"methods": ("attention",), "device": "cpu"} | settings
        explain = ExplainSettings.of(**{"grad_cam_map": True} if "grad-cam" in options["methods"] else {})
        job = JobSettings((str(source),), tmp_path / "out", explain=explain, **options)
        Job(Bundle.read(mapped_bundle), job).run()
        assert whyport.audit(job.out, sample=60, device="cpu")[-1].startswith("sample")
        return job.out

    return run


def read(out: Path) -> pa.Table:
    (part,) = out.glob("part-*")
    return pq.read_table(part)


def matrix(table: pa.Table) -> NDArray[np.float32]:
    return np.stack([table[name].to_numpy() for name in "abc"], axis=1).astype(np.float32)


@pytest.mark.parametrize("choice", ["predicted", "all"])
def test_attention_is_a_tensor_column(choice: str, run: Callable[..., Path], table: pa.Table) -> None:
    got = read(run(explain_target=choice))
    assert got.schema.field("attention").type == TENSOR
    expected = attention_of(matrix(table.slice(0, 60)))
    np.testing.assert_allclose(got["attention"].combine_chunks().to_numpy_ndarray(), expected, atol=1e-6)
    first = "attribution.no.a" if choice == "all" else "attribution.a"
    np.testing.assert_allclose(got[first].to_numpy(), expected[:, :, 0].mean(axis=1), atol=1e-6)


def test_a_row_that_is_not_explained_has_no_arrays(run: Callable[..., Path]) -> None:
    got = read(run(methods=("attention", "grad-cam"), explain_target="all", explain_where="source_row < 7"))
    names = ["attention.attention", "grad-cam.grad_cam_map.no", "grad-cam.grad_cam_map.yes"]
    for name in names:
        assert got[name].is_valid().to_pylist() == [True] * 7 + [False] * 53
    assert got["grad-cam.grad_cam_map.no"].type == pa.list_(pa.float32())
    assert {len(values) for values in got["grad-cam.grad_cam_map.no"].to_pylist()[:7]} == {3}


def test_no_row_explained_is_no_error(run: Callable[..., Path]) -> None:
    got = read(run(methods=("attention", "grad-cam"), explain_where="source_row < 0"))
    assert got["attention.attention"].null_count == 60
    assert got["grad-cam.grad_cam_map"].null_count == 60


@pytest.mark.parametrize(("method", "name"), [("attention", "attention"), ("grad-cam", "grad_cam_map")])
def test_a_forged_array_is_found(method: str, name: str, run: Callable[..., Path]) -> None:
    out = run(methods=(method,))
    (part,) = out.glob("part-*")
    changed = elements(lambda values: [value + 0.5 for value in values])
    if name == "attention":
        forge(out, lambda table: _with_tensor(table, changed), part.name)
    else:
        forge(out, with_column(name, changed), part.name)
    with pytest.raises(AuditError, match=f"{name}: computed again it comes out different, rows"):
        whyport.audit(out, sample=60, device="cpu")


def _with_tensor(table: pa.Table, change: Callable[[Any], Any]) -> pa.Table:
    i = table.column_names.index("attention")
    storage = pa.array(change(table["attention"].to_pylist()), TENSOR.storage_type)
    return table.set_column(i, table.schema.field(i), pa.ExtensionArray.from_storage(TENSOR, storage))


def test_a_bundle_without_them_says_why(bundle: Path, write: Callable[..., Path], table: pa.Table) -> None:
    source = write(table)
    for name, reason in (("grad-cam", "no convolution"), ("attention", "no attention")):
        with pytest.raises(BundleError, match=f"bundle 'linear' cannot serve '{name}': {reason}"):
            Job(Bundle.read(bundle), JobSettings((str(source),), source.parent / "out", (name,), device="cpu"))
