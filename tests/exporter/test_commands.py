import json
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from whyport.exporter.kinds import file_suffixes
from whyport.runtime.bundle.folder import Bundle


@pytest.mark.parametrize("command", ["train", "export"])
def test_help_has_an_example(whyport, command):
    assert f"Example: whyport {command} " in whyport(command, "--help").output


def test_help_of_export_names_every_file_and_breaks_its_examples(whyport):
    said = whyport("export", "--help").output
    assert [suffix for suffix in file_suffixes() if suffix not in said] == []
    assert "--targets weight,length \\\n" in said


def test_help_loads_nothing_heavy():
    program = (
        "import sys; from whyport.exporter import commands; "
        "heavy = {'torch', 'pandas', 'onnx', 'onnxruntime', 'matplotlib', 'sklearn'} & set(sys.modules); "
        "sys.exit(', '.join(heavy) or 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_train_says_what_came_out(whyport, table_path, tmp_path):
    output = whyport(
        "train", table_path, "--target", "label", "--features", "f0,f1", "--architecture", "mlp",
        "--epochs", 1, "--batch-rows", 64, "--learning-rate", 0.01, "--out", tmp_path / "bundle", "--background", 30,
    ).output  # fmt: skip
    assert len(pq.read_table(tmp_path / "bundle" / "background.parquet")) == 30
    for part in ("test_accuracy", "parity", "(tolerance 0.0001)", str(tmp_path / "bundle")):
        assert part in output
    again = whyport("train", table_path, "--target", "label", "--out", tmp_path / "bundle", exit_code=2)
    assert "error: " in again.output
    assert "--overwrite replaces it" in again.output


def test_train_says_what_can_be_trusted(whyport, frame, tmp_path):
    rare = (frame["label"] == "high") & (frame["id"] % 3 == 0)
    table = frame.assign(visit=frame["id"] // 3, sick=rare.astype(int), code=frame["id"] + 1000, told=rare * 2.0)
    table.drop(columns=["id", "label"]).to_parquet(tmp_path / "visits.parquet")
    output = whyport(
        "train", tmp_path / "visits.parquet", "--target", "sick", "--classes", "no,yes", "--split-by", "visit",
        "--class-weights", "balanced", "--validation-fraction", 0.2, "--patience", 1, "--epochs", 2,
        "--features", "f0,f1,code,f8,told", "--architecture", "mlp", "--set", "hidden=4", "--explain-references", 0,
        "--out", tmp_path / "bundle",
    ).output  # fmt: skip
    bundle = Bundle.read(tmp_path / "bundle")
    assert bundle.sidecar.targets == ("no", "yes")
    found = json.loads(bundle.read_bytes("training/metrics.json"))
    assert found["rows"] == {"train": 144, "validation": 48, "test": 48}
    kinds = {"code": "identifier", "f8": "constant", "told": "leak"}
    assert {warning["column"]: warning["kind"] for warning in found["warnings"]} == kinds
    lines = [" ".join(line.split()) for line in output.splitlines()]
    assert "rows 144 to train, 48 to validate, 48 to test" in lines
    assert "model always no" in lines
    for warning in found["warnings"]:
        assert f"warning {warning['text']}" in lines
    for name, value in found["metrics"].items():
        assert bundle.sidecar.provenance.metrics[f"test_{name}"] == value
        assert f"test_{name} {value:.4g} {found['baseline'][name]:.4g}" in lines
    assert any(line.startswith("recall no ") and ", yes " in line for line in lines)


@pytest.mark.parametrize(
    ("options", "exit_code", "message"),
    [
        (["--target", "nothing"], 1, "unknown column 'nothing'"),
        (["--target", "id", "--exclude", "label", "--task", "classification"], 1, "expected class labels"),
        (["--target", "label", "--features", "f0,f1,f2"], 1, "expected at least 4 features, got 3"),
        (["--target", "label", "--set", "depth=3"], 2, "unknown setting of architecture 'hybrid' 'depth'"),
        (["--target", "label", "--architecture", "jungle"], 2, "unknown architecture 'jungle'"),
        (
            ["--target", "label", "--architecture", "forest", "--epochs", "9"],
            2,
            "architecture 'forest': --epochs is for networks; its settings are --set n_estimators",
        ),
        (["--target", "label", "--resume"], 2, "--resume needs --checkpoint"),
        (
            ["--target", "label", "--exclude", "id", "--background", "0"],
            2,
            "--background: expected at least 1 row, got 0",
        ),
        (
            ["--target", "label", "--exclude", "id", "--background", "1000"],
            2,
            "expected at most 192, the training rows",
        ),
        (
            ["--target", "label", "--exclude", "id", "--background", "no.csv"],
            2,
            "--background: there is no file 'no.csv'",
        ),
        (["--target", "label", "--threads", "0"], 2, "threads: expected at least 1, got 0"),
        (["--target", "label", "--exclude", "id", "--device", "tpu"], 2, "unknown device 'tpu'"),
    ],
)
def test_train_refuses(whyport, table_path, tmp_path, options, exit_code, message):
    output = whyport("train", table_path, "--out", tmp_path / "bundle", *options, exit_code=exit_code).output
    assert message in output
    assert not (tmp_path / "bundle").exists()
