"""Encoded pictures from Parquet to predictions and shares, and from the exporter to the bundle."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import whyport
from support import image_bundle, images
from whyport.batch.report.shap_package import load_shap
from whyport.runtime.errors import MissingValueError
from whyport.runtime.session import Session

HEIGHT, WIDTH = image_bundle.SIZE


def network_input(contents: list[bytes]) -> torch.Tensor:
    """The pictures as torchvision's usual transforms give them: float64 [N, 3, height, width]."""
    pictures = [Image.open(BytesIO(each)).convert("RGB").resize((WIDTH, HEIGHT), Image.BILINEAR) for each in contents]
    values = torch.tensor(np.stack([np.asarray(each) for each in pictures]), dtype=torch.float64) / 255
    mean, deviation = (torch.tensor(each, dtype=torch.float64) for each in (image_bundle.MEAN, image_bundle.DEVIATION))
    return ((values - mean) / deviation).permute(0, 3, 1, 2)


def logits_of(contents: list[bytes]) -> NDArray[np.float64]:
    with torch.no_grad():
        scores: NDArray[np.float64] = image_bundle.make().double()(network_input(contents)).numpy()
    return scores


def test_the_scores_of_encoded_pictures_are_those_of_the_network(image_bundle: Path, image_rows: Path) -> None:
    table = pq.read_table(image_rows)

    got = Session(image_bundle, "cpu").predict(table)["logits"]

    np.testing.assert_allclose(got, logits_of(table["photo"].to_pylist()), atol=1e-6)


def test_a_run_over_parquet_writes_the_same_scores(image_bundle: Path, image_rows: Path, tmp_path: Path) -> None:
    report = whyport.run(image_bundle, [image_rows], tmp_path / "out", keep=["id"])

    written = pq.read_table(tmp_path / "out")
    expected = torch.softmax(torch.tensor(logits_of(pq.read_table(image_rows)["photo"].to_pylist())), 1)
    assert report.rows_out == image_rows_count(image_rows)
    np.testing.assert_allclose(written["probability.class 0"], expected[:, 0], atol=1e-6)


def image_rows_count(path: Path) -> int:
    return int(pq.read_metadata(path).num_rows)


def test_the_sidecar_describes_the_image_with_statistics_per_channel(image_bundle: Path) -> None:
    sidecar = whyport.Bundle.read(image_bundle).sidecar
    (own,) = sidecar.inputs
    (column,) = own.columns

    assert (own.name, column.name, column.kind, own.prepare.kind) == ("photo", "photo", "image", "image")
    assert own.tensors[0].dtype == "uint8"
    assert own.tensors[0].shape == ("N", HEIGHT, WIDTH, 3)
    assert [(axis.name, axis.length) for axis in own.axes] == [("y", HEIGHT), ("x", WIDTH)]
    contents = pq.read_table(image_bundle.parent / "sample.parquet")["photo"].to_pylist()
    pixels = (network_input(contents).permute(0, 2, 3, 1).reshape(-1, 3)).numpy()
    units = np.array(image_bundle_scale())
    for k, channel in enumerate(column.channels):
        values = np.rint((pixels[:, k] * units[1, k] + units[0, k]) * 255)
        assert channel.numbers.mean == pytest.approx(values.mean())
        assert channel.numbers.standard_deviation == pytest.approx(values.std())
    assert [channel.name for channel in column.channels] == ["red", "green", "blue"]


def image_bundle_scale() -> tuple[tuple[float, ...], tuple[float, ...]]:
    from support import image_bundle as made

    return made.MEAN, made.DEVIATION


def test_the_cells_of_a_channel_share_one_description_and_have_names_of_their_own(image_bundle: Path) -> None:
    sidecar = whyport.Bundle.read(image_bundle).sidecar

    assert len(sidecar.features) == len(sidecar.feature_names) == len(set(sidecar.feature_names)) == HEIGHT * WIDTH * 3
    assert len(set(map(id, sidecar.features))) == 3
    assert sidecar.feature_names[WIDTH * 3 + 4] == "photo[1][1].green"


def test_an_image_has_few_references(image_bundle: Path) -> None:
    background = whyport.Bundle.read(image_bundle).sidecar.baseline("background")

    assert background is not None
    assert background.rows == 10


@pytest.mark.parametrize("method", ["deepshap", "gradient", "integrated-gradients"])
def test_shares_of_cells_add_up(method: str, image_bundle: Path, image_rows: Path, tmp_path: Path) -> None:
    report = whyport.run(image_bundle, [image_rows], tmp_path / "out", explain=[method])

    assert report.explained == {method: image_rows_count(image_rows)}
    assert all(each.not_converged == 0 for each in report.methods.values())


def test_explain_onnx_gives_shares_of_every_cell(image_bundle: Path, image_rows: Path) -> None:
    session = Session(image_bundle, "cpu")

    explained = session.explain(pq.read_table(image_rows))

    assert explained.values.shape == (image_rows_count(image_rows), HEIGHT * WIDTH * 3)
    assert explained.converged.all()


def test_an_image_beside_a_table_scores_as_the_network_does(image_and_table_bundle: Path, image_rows: Path) -> None:
    table = pq.read_table(image_rows)
    session = Session(image_and_table_bundle, "cpu")

    got = session.predict(table)["logits"]

    static = session.bundle.sidecar.inputs[1].columns
    numbers = np.stack([(table[each.name].to_numpy() - each.statistics.mean) / each.spread for each in static], 1)
    network = image_bundle.make_beside_table().double()
    with torch.no_grad():
        expected = network(network_input(table["photo"].to_pylist()), torch.tensor(numbers)).numpy()
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_a_bundle_of_pictures_verifies(image_and_table_bundle: Path) -> None:
    deviations = whyport.verify(image_and_table_bundle).deviations

    assert "explain.onnx attribution" in deviations
    assert deviations.pop("prepare.onnx photo") <= 1  # of 255
    assert max(deviations.values()) < 1e-5


def test_the_test_vectors_name_a_deviation_a_channel(image_bundle: Path, image_and_table_bundle: Path) -> None:
    def deviations(bundle: Path) -> list[float]:
        found: list[float] = json.loads((bundle / "conformance.json").read_text())["standard_deviations"]
        return found

    cells = deviations(image_and_table_bundle)
    assert len(cells) == HEIGHT * WIDTH * 3 + 2
    assert deviations(image_bundle) == cells[:3] == cells[3:6]


def test_the_graph_of_gradients_takes_pictures_between_whole_numbers(image_bundle: Path, image_rows: Path) -> None:
    session = Session(image_bundle, "cpu")
    rows = session.matrix(pq.read_table(image_rows))
    step = np.zeros_like(rows)
    step[:, 7] = 0.25
    index = np.zeros(len(rows), dtype=np.int64)

    low, high = (session.run_graph("gradient.onnx", rows + sign * step, index)["score"] for sign in (-1, 1))

    assert (low != high).any()


def test_a_row_without_a_picture_is_rejected_and_its_neighbours_stay(
    image_bundle: Path, image_rows: Path, tmp_path: Path
) -> None:
    contents: list[Any] = pq.read_table(image_rows)["photo"].to_pylist()
    expected = Session(image_bundle, "cpu").predict({"photo": contents})["logits"]
    contents[1], contents[3] = None, b"no picture"
    path = images.write_pictures(tmp_path / "rows.parquet", contents)

    report = whyport.run(image_bundle, [path], tmp_path / "out", keep=["id"])

    assert sum(report.rejected.values()) == 2
    written = pq.read_table(tmp_path / "out")
    kept = [i for i in range(len(contents)) if i not in (1, 3)]
    assert written["id"].to_pylist() == kept
    chances = np.exp(expected - expected.max(1, keepdims=True))
    np.testing.assert_allclose(
        written["probability.class 0"], (chances / chances.sum(1, keepdims=True))[kept, 0], atol=1e-7
    )


def test_in_memory_the_row_without_a_picture_is_named(image_bundle: Path) -> None:
    session = Session(image_bundle, "cpu")
    contents = images.pictures(2, (9, 9))

    with pytest.raises(MissingValueError, match=r"^column 'photo', row 1: expected a picture, got null$"):
        session.predict({"photo": [contents[0], None]})


def test_one_channel_is_grey(tmp_path: Path) -> None:
    sample = images.write_pictures(tmp_path / "sample.parquet", images.pictures(12, (9, 9), 1))

    made = whyport.export(
        f"{__name__}:make_grey", sample, tmp_path / "bundle", input="x=image:photo:size=6x6,channels=1"
    )

    contents = images.pictures(3, (20, 14), 3, seed=5)
    got = Session(made, "cpu").predict({"photo": contents})["logits"]
    greys = [Image.open(BytesIO(each)).convert("RGB").convert("L").resize((6, 6), Image.BILINEAR) for each in contents]
    values = torch.tensor(np.stack([np.asarray(each) for each in greys])[:, None], dtype=torch.float64) / 255
    with torch.no_grad():
        expected = make_grey().double()(values)
    np.testing.assert_allclose(got, expected, atol=1e-6)
    assert made.sidecar.feature_names[:2] == ("photo[0][0].grey", "photo[0][1].grey")


class Grey(torch.nn.Module):
    """[N, 1, 6, 6] to [N, 2]."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Conv2d(1, 2, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.layer(x).flatten(1)
        return scores


def make_grey() -> torch.nn.Module:
    torch.manual_seed(1)
    return Grey().eval()


def test_a_column_of_numbers_is_no_column_of_pictures(image_bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"photo": [1.0, 2.0]}), path)

    with pytest.raises(whyport.ColumnError, match="feature columns that are not encoded pictures, binary"):
        whyport.run(image_bundle, [path], tmp_path / "out")


def test_shap_draws_pictures_with_its_own_plot(image_bundle: Path, image_rows: Path, tmp_path: Path) -> None:
    import matplotlib.pyplot as plt

    shap = load_shap()
    whyport.run(image_bundle, [image_rows], tmp_path / "out", explain="deepshap", explain_target="class 0")
    (found,) = whyport.to_shap(tmp_path / "out").values()
    written = pq.read_table(tmp_path / "out")
    shares = np.stack(written["attribution"].combine_chunks().to_numpy_ndarray())
    np.testing.assert_allclose(found.values[..., 0], shares, atol=1e-6)
    contents = [pq.read_table(image_rows)["photo"][row].as_py() for row in written["source_row"].to_pylist()]
    for pixels, content in zip(found.data, contents, strict=True):
        expected = Image.open(BytesIO(content)).convert("RGB").resize((WIDTH, HEIGHT), Image.BILINEAR)
        np.testing.assert_array_equal(pixels, np.asarray(expected))
    shap.image_plot(found[:2], show=False)
    plt.close("all")
