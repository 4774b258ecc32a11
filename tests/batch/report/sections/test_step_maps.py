"""Grad-CAM of an exported convolution over a sequence: its values, its lines, and its pictures, step by step."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor, nn

import whyport
from support.sequence_bundles import STEPS, VALUES, WIDTH
from support.shown import describe_row
from whyport.batch.report.figure_data import FigureData
from whyport.batch.report.figures.canvas import drawing
from whyport.batch.report.gather.view import ReportSettings, View, gather
from whyport.batch.report.page import sections_of
from whyport.batch.report.picture import Picture

INPUT = "vitals=sequence:vitals:names=hr|bp|t"


class Convolution(nn.Module):
    """A convolution over the steps, of which a linear layer scores the means."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(WIDTH, 4, 3, padding=1)
        self.out = nn.Linear(4, 2)

    def features(self, vitals: Tensor) -> Tensor:
        """[N, 6, 3] to maps [N, 4, 6]."""
        return torch.relu(self.convolution(vitals.transpose(1, 2)))

    def classify(self, maps: Tensor) -> Tensor:
        """Maps to logits [N, 2]."""
        return self.out(maps.mean(2))

    def forward(self, vitals: Tensor) -> Tensor:
        """[N, 6, 3] to [N, 2]."""
        return self.classify(self.features(vitals))


def make() -> nn.Module:
    torch.manual_seed(3)
    return Convolution().eval()


def expected_maps() -> np.ndarray:
    """The maps of both classes [N, 2, T] in closed form: a_k is the weight of channel k over T."""
    network = make()
    with torch.no_grad():
        maps, weights = network.features(torch.from_numpy(VALUES)).numpy(), network.out.weight.numpy()
    raw = np.maximum(np.einsum("ck,nkt->nct", weights, maps), 0)
    largest = raw.max(2, keepdims=True)
    return np.divide(raw, largest, out=np.zeros_like(raw), where=largest > 0)


def explained(stored: pa.Table) -> np.ndarray:
    """The class that each row is explained for, by its position."""
    return np.array([int(name.removeprefix("class ")) for name in stored["explained_class"].to_pylist()])


@pytest.fixture(scope="module")
def run(sequence_rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("maps")
    source = f"{__name__}:make"
    whyport.export(source, sequence_rows, folder / "bundle", input=[INPUT], background=4, explain_references=0)
    whyport.run(folder / "bundle", sequence_rows, folder / "out", explain="grad-cam")
    return folder / "out"


@pytest.fixture(scope="module")
def view(run: Path) -> View:
    return gather(ReportSettings(run, rows=(3,)))


@pytest.fixture(scope="module")
def pictures(view: View) -> dict[str, Picture]:
    found = {picture.key: picture for section in sections_of(view, 20) for picture in section.pictures}
    data = FigureData()  # whose columns are of one length
    for key, picture in found.items():
        data.add(key, picture.data())
    return found


def test_every_feature_of_a_step_has_the_steps_value(run: Path) -> None:
    stored = pq.read_table(next(run.glob("part*.parquet")))
    values = stored["attribution"].combine_chunks().to_numpy_ndarray()
    classes = explained(stored)
    wanted = expected_maps()[np.arange(len(values)), classes]
    np.testing.assert_allclose(values, np.repeat(wanted[..., None], WIDTH, axis=2), atol=1e-5)


def test_a_row_is_shown_by_step(run: Path) -> None:
    lines = list(describe_row(run, 3, None, 2))
    title = next(i for i, line in enumerate(lines) if "vitals by step: 0 to 1 within a row" in line)
    largest = expected_maps()[3].argmax(1)
    assert lines[title + 1].split()[:2] == ["1", "step"]
    assert int(lines[title + 1].split()[2]) in largest
    assert not any("by feature" in line for line in lines)


def test_the_pictures_are_of_steps(view: View, pictures: dict[str, Picture]) -> None:
    wanted = expected_maps()[3]
    assert not any(key.startswith(("series", "heat-vitals")) for key in pictures)
    for key in ("grad-cam-0", "looked-vitals-0-predicted"):
        with drawing():
            figure = pictures[key].draw()
        panels, scale = figure.axes[:WIDTH], figure.axes[WIDTH:]
        assert len(scale) == 1
        for i, axes in enumerate(panels):
            strip = axes.images[0].get_array()[0]
            assert min(np.abs(strip - own).max() for own in wanted) < 1e-5
            series = VALUES[..., i]
            distances = (VALUES[3, :, i] - series.mean()) / series.std()
            np.testing.assert_allclose(axes.lines[0].get_ydata(), distances, atol=1e-3)
            assert axes.lines[0].get_xdata().tolist() == list(range(STEPS))


def test_the_means_are_by_step(run: Path, pictures: dict[str, Picture]) -> None:
    stored = pq.read_table(next(run.glob("part*.parquet")))
    values, classes = stored["attribution"].combine_chunks().to_numpy_ndarray(), explained(stored)
    means = [values[classes == k, :, 0].mean(axis=0) for k in set(classes.tolist())]
    with drawing():
        drawn = [
            [bar.get_height() for bar in picture.draw().axes[0].patches]
            for key, picture in pictures.items()
            if key.startswith("heat-grad-cam-vitals")
        ]
    assert drawn
    for heights in drawn:
        of_all = values[:, :, 0].mean(axis=0)
        assert min(np.abs(np.array(heights) - own).max() for own in (of_all, *means)) < 1e-6
