"""Shares of the segments of pictures, against enumeration, sums of pixels, and the package `lime`."""

import itertools
import math
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lime.lime_image import LimeImageExplainer
from numpy.typing import NDArray
from PIL import Image

import whyport
from support import image_bundle as made
from support.forging import forge, with_column
from support.killed_runs import check_resumed_bytes
from support.shown import describe_row
from whyport.batch.methods.lime.neighbourhood import Neighbourhood, by_cosine
from whyport.batch.output.label_maps import labels_of, png_of
from whyport.batch.report.figures.canvas import drawing
from whyport.batch.report.gather.view import ReportSettings, gather
from whyport.batch.report.page import sections_of
from whyport.batch.report.sections.pictures import pictures_section
from whyport.runtime.errors import AuditError, UsageError
from whyport.runtime.session import Session

HEIGHT, WIDTH = made.SIZE


def explained(bundle: Path, rows: Path, out: Path, method: str, **options: Any) -> pa.Table:
    whyport.run(bundle, rows, out, explain=method, explain_target="class 1", **{"per": "segment", **options})
    whyport.audit(out)
    return pq.read_table(out)


def maps(table: pa.Table) -> list[NDArray[np.int64]]:
    """The segments of each row, by Pillow alone."""
    return [np.asarray(Image.open(BytesIO(each))).astype(np.int64) for each in table["segments"].to_pylist()]


def shares(table: pa.Table, name: str = "attribution") -> list[NDArray[np.float64]]:
    return [np.array(row) for row in table[name].to_pylist()]


def pictures_of(bundle: Path, rows: Path) -> NDArray[np.float32]:
    """The pictures as the model sees them, [N, H, W, 3]."""
    return Session(bundle, "cpu").matrix(pq.read_table(rows)).reshape(-1, HEIGHT, WIDTH, 3)


def scores_of(session: Session, pictures: NDArray[Any]) -> NDArray[np.float64]:
    rows = np.asarray(pictures, dtype=np.float32).reshape(len(pictures), -1)
    found: NDArray[np.float64] = session.run(rows, ["logits"])["logits"].astype(np.float64)
    return found


@pytest.mark.parametrize("segments", ["grid", "slic"])
@pytest.mark.parametrize("method", ["deepshap", "input-x-gradient"])
def test_a_segment_has_the_sum_of_its_pixels(
    method: str, segments: str, image_bundle: Path, image_rows: Path, tmp_path: Path
) -> None:
    options = {"baseline": "mean"}
    table = explained(image_bundle, image_rows, tmp_path / "out", method, segments=segments, segment_count=9, **options)
    of_pixels = explained(image_bundle, image_rows, tmp_path / "pixels", method, per="pixel", **options)

    counts = set()
    for own, labels, pixels in zip(shares(table), maps(table), of_pixels["attribution"].to_pylist(), strict=True):
        assert labels.shape == made.SIZE
        assert set(np.unique(labels)) == set(range(len(own)))
        expected = np.bincount(labels.ravel(), weights=np.array(pixels).ravel())
        np.testing.assert_allclose(own, expected, atol=2e-6)
        counts.add(len(own))
    assert len(counts) == 1 if segments == "grid" else len(counts) > 1


@pytest.mark.parametrize("baseline", ["mean", "zero", "segment-mean"])
def test_shapley_is_the_mean_over_every_order(
    baseline: str, image_bundle: Path, image_rows: Path, tmp_path: Path
) -> None:
    table = explained(image_bundle, image_rows, tmp_path / "out", "shapley", segment_count=4, baseline=baseline)
    session = Session(image_bundle, "cpu")
    own_bundle = session.bundle.sidecar.inputs[0].columns[0]
    colour = np.rint([channel.numbers.mean for channel in own_bundle.channels])

    rows = list(zip(pictures_of(image_bundle, image_rows), maps(table), shares(table), strict=True))
    for picture, labels, own in rows[:5]:
        reference = np.zeros_like(picture) + (colour if baseline == "mean" else 0)
        if baseline == "segment-mean":
            for k in range(4):
                reference[labels == k] = np.rint(picture[labels == k].mean(axis=0))
        coalitions = list(itertools.product((False, True), repeat=4))
        mixed = [np.where(np.array(members)[labels][..., None], picture, reference) for members in coalitions]
        worth = dict(zip(coalitions, scores_of(session, np.stack(mixed))[:, 1], strict=True))
        for k in range(4):
            without = [members for members in coalitions if not members[k]]
            gains = [worth[(*members[:k], True, *members[k + 1 :])] - worth[members] for members in without]
            weights = [math.factorial(sum(members)) * math.factorial(3 - sum(members)) / 24 for members in without]
            assert own[k] == pytest.approx(np.dot(weights, gains), abs=1e-6)


def test_drawn_orders_are_within_their_standard_errors(image_bundle: Path, image_rows: Path, tmp_path: Path) -> None:
    options = {"segments": "slic", "segment_count": 9, "baseline": "mean"}
    exact = explained(image_bundle, image_rows, tmp_path / "exact", "shapley", max_evaluations=10_000, **options)
    drawn = explained(image_bundle, image_rows, tmp_path / "drawn", "shapley", permutations=80, **options)

    off, bars = (
        np.concatenate(each)
        for each in ([*map(np.subtract, shares(drawn), shares(exact))], shares(drawn, "standard_error"))
    )
    several = bars > 0
    assert several.sum() > 20
    assert (np.abs(off)[several] < 4.5 * bars[several] + 1e-6).all()
    assert np.abs(off)[~several].max(initial=0) < 1e-5


class Replayed(np.random.RandomState):
    """A source of chance that gives masks which were drawn before."""

    def __init__(self, masks: NDArray[np.bool_]) -> None:
        super().__init__(0)
        self._masks = masks

    def randint(self, *_: Any, **__: Any) -> Any:
        return self._masks.astype(np.int64).reshape(-1)


@pytest.mark.parametrize("baseline", ["segment-mean", "zero"])
def test_lime_has_the_coefficients_of_the_package(
    baseline: str, image_bundle: Path, image_rows: Path, tmp_path: Path
) -> None:
    options = {"segments": "slic", "segment_count": 12, "baseline": baseline, "samples": 300}
    table = explained(image_bundle, image_rows, tmp_path / "out", "lime", **options)
    session, compared = Session(image_bundle, "cpu"), 0

    rows = zip(pictures_of(image_bundle, image_rows), maps(table), shares(table), strict=True)
    for picture, labels, own in rows:
        if compared == 3 or len(own) < 4:
            continue
        package = LimeImageExplainer(random_state=Replayed(Neighbourhood.draw(0, 300, len(own), by_cosine).masks))
        found = package.explain_instance(
            picture,
            lambda images: scores_of(session, images),
            top_labels=2,
            hide_color=None if baseline == "segment-mean" else 0,
            num_samples=300,
            segmentation_fn=lambda _, labels=labels: labels,
            batch_size=300,
            random_seed=0,
        )
        expected = np.array([value for _, value in sorted(found.local_exp[1])])
        assert np.corrcoef(own, expected)[0, 1] > 0.999
        compared += 1
    assert compared == 3


def test_a_picture_of_one_colour_is_explained(image_bundle: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.parquet"
    flat = BytesIO()
    Image.new("L", (40, 30)).save(flat, "PNG")
    pq.write_table(pa.table({"photo": [flat.getvalue()] * 2}), rows)
    for method in ("lime", "shapley", "occlusion", "deepshap"):
        for count in (1, 7):
            out = tmp_path / f"{method}{count}"
            table = explained(image_bundle, rows, out, method, segments="slic", segment_count=count)
            assert all(len(own) == labels.max() + 1 for own, labels in zip(shares(table), maps(table), strict=True))


def test_beside_a_table_the_columns_have_the_inputs_names(
    image_and_table_bundle: Path, image_rows: Path, tmp_path: Path
) -> None:
    table = explained(image_and_table_bundle, image_rows, tmp_path / "out", "shapley", segment_count=4, keep="age")

    assert {"segments.photo", "attribution.photo", "attribution.age", "attribution.dose"} <= set(table.column_names)
    sums = [sum(own) for own in table["attribution.photo"].to_pylist()]
    total = np.array(sums) + table["attribution.age"].to_numpy() + table["attribution.dose"].to_numpy()
    np.testing.assert_allclose(total, table["score"].to_numpy() - table["base_value"].to_numpy(), atol=1e-5)


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bytes(image_bundle: Path, image_rows: Path, tmp_path: Path) -> None:
    options = {"explain": ["lime"], "per": "segment", "segments": "slic", "samples": 60, "segment_count": 8}
    check_resumed_bytes(image_bundle, image_rows, tmp_path, killed_after=8, batch_rows=4, part_rows=4, **options)


def test_rows_are_explained_alike_in_any_batch(image_bundle: Path, image_rows: Path, tmp_path: Path) -> None:
    options = {"segments": "slic", "segment_count": 8, "samples": 50}
    one, other = (
        explained(image_bundle, image_rows, tmp_path / str(rows), "lime", batch_rows=rows, **options)
        for rows in (5, 64)
    )
    assert one["segments"].to_pylist() == other["segments"].to_pylist()
    for first, second in zip(shares(one), shares(other), strict=True):
        np.testing.assert_allclose(first, second, atol=1e-6)


def test_the_strongest_alone_are_named_by_segment(image_bundle: Path, image_rows: Path, tmp_path: Path) -> None:
    options = {"segments": "slic", "segment_count": 9}
    whole = explained(image_bundle, image_rows, tmp_path / "whole", "occlusion", **options)
    few = explained(image_bundle, image_rows, tmp_path / "few", "occlusion", top_k=2, **options)

    rows = zip(shares(whole), few["top_feature"].to_pylist(), shares(few, "top_attribution"), strict=True)
    for own, names, values in rows:
        order = np.argsort(-np.abs(own), kind="stable")[:2]
        assert names == [f"photo[{k}]" for k in order]
        np.testing.assert_allclose(values, own[order], atol=1e-6)


def test_audit_finds_another_map(image_bundle: Path, image_rows: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    explained(image_bundle, image_rows, out, "occlusion", segment_count=6)
    (part,) = out.glob("part*.parquet")
    upside_down = with_column("segments", lambda maps: [png_of(labels_of(maps[0])[::-1]), *maps[1:]])
    forge(out, upside_down, part.name)

    with pytest.raises(AuditError, match="segments: computed again it comes out different, rows '0'"):
        whyport.audit(out)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"per": "patch", "segments": "slic"}, "segments: expected per 'segment' beside it, got 'patch'"),
        ({"per": "patch", "segment_count": 5}, "segment_count: expected per 'segment' beside it"),
        ({"segments": "quick"}, "unknown way to cut segments 'quick'"),
        ({"segment_count": 0}, "segment_count: expected 1 to 9999, got 0"),
        ({"explain": "grad-cam"}, "expected methods that explain pixels beside 'segment', got 'grad-cam'"),
        ({"players": {"all": ["photo"]}}, "expected no players beside 'segment'"),
        ({"per": "patch", "baseline": "segment-mean"}, "expected per 'segment' beside 'segment-mean', got 'patch'"),
        ({"layout": "wide"}, "layout: expected auto or list, got 'wide'"),
        ({"explain": "lime", "segment_count": 900, "samples": 50}, "samples: expected at least 122 for lime"),
    ],
)
def test_what_does_not_fit_is_refused(
    options: dict[str, Any], words: str, image_bundle: Path, image_rows: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=words):
        whyport.run(image_bundle, image_rows, tmp_path / "out", **{"explain": "occlusion", "per": "segment", **options})


def test_a_model_without_pictures_has_no_segments(reference_bundle: Path, image_rows: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a model with images for 'segment', got one of tables"):
        whyport.run(reference_bundle, image_rows, tmp_path / "out", explain="lime", per="segment")


def test_show_names_the_strongest_segments(image_bundle: Path, image_rows: Path, tmp_path: Path) -> None:
    table = explained(image_bundle, image_rows, tmp_path / "out", "occlusion", segment_count=4)
    strongest = int(np.argmax(np.abs(shares(table)[2])))

    lines = [str(line) for line in describe_row(tmp_path / "out", 2, None, 3)]

    (place,) = [line for line in lines if f"photo[{strongest}]" in line]
    y, x = np.nonzero(maps(table)[2] == strongest)
    assert place.split("] = ")[1] == f"y {y.min()} to {y.max()}, x {x.min()} to {x.max()}, {len(y)} pixels"
    assert f"{shares(table)[2][strongest]:+.5g}" in place
    drawn = [line[3:-1] for line in lines if line.startswith("  |")]
    assert [len(line) for line in drawn] == [2 * WIDTH] * HEIGHT
    signs = np.array([[line[2 * k] for k in range(WIDTH)] for line in drawn])
    (sign,) = set(signs[y, x])
    assert sign == ("+" if shares(table)[2][strongest] > 0 else "-")


def test_show_of_a_row_that_is_not_explained_has_no_segments(
    image_bundle: Path, image_rows: Path, tmp_path: Path
) -> None:
    explained(image_bundle, image_rows, tmp_path / "out", "occlusion", segment_count=4, explain_where="source_row == 0")
    lines = [str(line) for line in describe_row(tmp_path / "out", 2, None, 3)]
    assert any("not by occlusion" in line for line in lines)
    assert not any("photo[" in line for line in lines)


def test_the_report_paints_each_segment_with_its_share(image_bundle: Path, image_rows: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = {"per": "segment", "segments": "slic", "segment_count": 9, "explain_target": "all"}
    whyport.run(image_bundle, image_rows, out, explain="shapley", **options)
    view = gather(ReportSettings(out, rows=(3,)))
    section = pictures_section(view)
    assert section is not None
    (picture,) = section.pictures
    (row,) = pq.read_table(out).slice(3, 1).to_pylist()
    labels = np.asarray(Image.open(BytesIO(row["segments"])))
    with drawing():
        panes = picture.draw().axes
        for k in (0, 1):
            expected = np.array(row[f"attribution.class {k}"])[labels]
            shown = [axes.images[-1].get_array() for axes in panes[5 * k + 1 : 5 * k + 5]]
            np.testing.assert_allclose(shown[0], expected, atol=1e-7)
            np.testing.assert_allclose(shown[1] + shown[2], expected, atol=1e-7)
    assert sections_of(view, 20)
