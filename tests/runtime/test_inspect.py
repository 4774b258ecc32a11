"""What inspect prints of every case of the format."""

from pathlib import Path

import pytest

from support.golden import GOLDEN, bundle_of
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.inspect import bundle_lines
from whyport.runtime.variant_figures import in_words


def lines_of(name: str, folder: Path) -> list[str]:
    return list(bundle_lines(Bundle.read(bundle_of(name, folder / name))))


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_every_column_target_and_file_is_named(name: str, tmp_path: Path) -> None:
    lines = lines_of(name, tmp_path)
    text = "\n".join(lines)
    sidecar = Bundle.read(tmp_path / name).sidecar
    for word in (*sidecar.column_names, *sidecar.targets, *sidecar.files, *(each.name for each in sidecar.baselines)):
        assert word in text
    assert all(line == line.rstrip() for line in lines)
    if sidecar.score.task == "regression":
        assert "class" not in text


def test_categories_are_counted_with_their_rules(tmp_path: Path) -> None:
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in lines_of("categories", tmp_path)}
    counted = 'surgery 420, medicine 310, intensive care, "A" 95'
    assert lines["ward"] == (
        f"category 1.0%, model; 3 of type text: {counted}; unseen as in 12 rare rows, none as in 8 missing rows"
    )
    assert lines["smoker"] == (
        "category 0.0%, model; 2 of type boolean: false 600, true 245; unseen as an average one, none as an average one"
    )
    assert lines["admitted"] == "19360 210.5 19358 0.0%, impute; days since 1970-01-01"
    assert lines["age"] == "53.1 17.2 54 2.0%, impute; years"


def test_quantities_have_units_and_other_inputs_their_preparation(tmp_path: Path) -> None:
    assert "targets     weight (kg), pressure (mmHg)" in lines_of("regression", tmp_path)
    image = "\n".join(lines_of("image", tmp_path))
    prepared = "mode RGB, orient True, resize [256, 256], crop [224, 224], limit 50000000"
    assert f"prepare     photo: image, {prepared}" in image
    assert "red 123.7 ± 58.4" in image
    sequence = "\n".join(lines_of("sequence", tmp_path))
    assert "length varies, buckets [16, 32, 64, 128]" in sequence
    assert "input       values float32 [N, T, 2]" in sequence
    assert "model.int8.onnx (int8)" in "\n".join(lines_of("variant", tmp_path))
    trees = lines_of("trees", tmp_path)
    assert trees[0] == "trees  classification-by-margin, format version 3"
    assert "trees       trees.npz: trees 300, leaves 9300" in trees
    assert "score       output 'margin', of kind margin" in trees


def test_a_smaller_variant_is_told_with_its_times_at_1_and_64_and_its_drift() -> None:
    figures = {"bytes": 20_000, "full_bytes": 60_000, "rows": 200, "changed": 0.005, "occlusion_drift": 0.14}
    times = {"milliseconds_1": 0.05, "full_milliseconds_1": 0.1, "milliseconds_64": 0.01, "full_milliseconds_64": 0.03}
    assert in_words(figures | times) == (
        "20,000 bytes, 3.0 x smaller, 0.05 ms a row, 2 x as fast, 0.01 ms a row in calls of 64, 3 x as fast, "
        "0.5 % of 200 predictions changed, reasons by occlusion drift by 14 %"
    )
    assert in_words({"drift": 0.01}) == "reasons drift by 1 %"
    assert in_words({}) == "not measured"
