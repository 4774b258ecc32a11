"""What smaller variants of a model cost: size, time on one core, changed predictions, and how far the reasons drift.

    python benchmarks/edge.py [--only demo,cnn-200,...] [--out JSON] [--markdown]

Every variant is made and measured by `whyport shrink`, on rows that it was not calibrated with, whatever it costs; the
last column says what becomes of it by default. Beside them are two ways that whyport does not go: float16 arithmetic by
ONNX Runtime's converter, and its dynamic quantisation of explain.onnx.
"""

import argparse
import json
import platform
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.datasets import load_breast_cancer

import image_models
import text_models
import whyport
import wide_model
from as_run import exported, opened
from whyport.exporter.shrink.arithmetic import dynamic_int8
from whyport.exporter.shrink.choice import VariantChoice
from whyport.exporter.shrink.drift import changed_rows, relative_drift
from whyport.exporter.shrink.held_out import read_rows
from whyport.exporter.shrink.measure import MOST_EXPLAINED, Cost
from whyport.exporter.shrink.outcome import KEPT, judged
from whyport.exporter.shrink.timing import milliseconds
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.graphs import ATTRIBUTION, TARGET_INDEX
from whyport.runtime.bundle.sidecar import EXPLAIN_MODEL, ONNX_MODEL
from whyport.runtime.bundle.variants import precisions_of, variant_file
from whyport.runtime.inputs.feeds import input_feeds
from whyport.runtime.providers import load_onnxruntime

REFERENCE = Path(__file__).parents[1] / "models" / "breast_cancer"
TEXT_LENGTH = 64


@dataclass(frozen=True)
class Case:
    """A model, and rows that it is measured with."""

    bundle: Bundle
    rows: Path


def demo(folder: Path) -> Case:
    """The bundle in the repository: convolutions, an LSTM and attention over 30 columns."""
    table = load_breast_cancer(as_frame=True).data
    table.to_parquet(folder / "rows.parquet")
    return Case(Bundle.read(REFERENCE), folder / "rows.parquet")


def wide(folder: Path) -> Case:
    """An MLP over 300 columns with 512 hidden units."""
    bundle = wide_model.train(folder, 300, hidden=512)
    wide_model.write_rows(folder / "rows.parquet", 300, 2000)
    return Case(bundle, folder / "rows.parquet")


def pictures(folder: Path) -> Case:
    """The network of four convolutions over grey pictures of 200 x 200."""
    drawn = {name: image_models.defects(count, seed)[0] for name, count, seed in (("sample", 64, 3), ("rows", 400, 5))}
    files = {name: image_models.write_pictures(folder / f"{name}.parquet", each) for name, each in drawn.items()}
    picture = "image=image:photo:size=200x200,channels=1"
    made = exported(
        "image_models:train_defects", files["sample"], folder / "bundle", input=picture, explain_references=0
    )
    return Case(made, files["rows"])


def steps(folder: Path) -> Case:
    """An LSTM over 24 steps of 8 numbers, with random weights."""
    values = np.random.default_rng(0).normal(size=(2200, 24, 8)).astype(np.float32)
    for name, own in (("sample", values[:200]), ("rows", values[200:])):
        pq.write_table(pa.table({"steps": pa.array(own.tolist())}), folder / f"{name}.parquet")
    made = exported("sequence_speed:make", folder / "sample.parquet", folder / "bundle", input="steps=sequence:steps")
    return Case(made, folder / "rows.parquet")


def texts(folder: Path) -> Case:
    """An encoder of texts with the layers of MiniLM-L6."""
    written = text_models.texts(300)
    for name, own in (("sample", written[:50]), ("rows", written[50:])):
        pq.write_table(pa.table({"note": own}), folder / f"{name}.parquet")
    note = f"input_ids=text:note:tokenizer={text_models.tokenizer(folder)},max_length={TEXT_LENGTH}"
    made = exported(
        "text_models:make",
        folder / "sample.parquet",
        folder / "bundle",
        input=note,
        classes=text_models.CLASSES,
        explain_references=0,
    )
    return Case(made, folder / "rows.parquet")


CASES: dict[str, Callable[[Path], Case]] = {
    "demo": demo,
    "mlp-300": wide,
    "cnn-200": pictures,
    "lstm": steps,
    "minilm": texts,
}


def measured(case: Case, folder: Path) -> dict[str, dict[str, Any]]:
    """The figures of every variant's graphs, by file, with what becomes of each by default."""
    options: dict[str, Any] = {"max_changed": "100%", "max_drift": "100%", "keep_slower": True}
    made = whyport.shrink(case.bundle, out=folder / "small", rows=case.rows, **options)
    found: dict[str, dict[str, Any]] = {}
    default = VariantChoice.parse(())
    names = precisions_of(made.sidecar)
    for graph in made.sidecar.graphs:
        if graph.variant in names and graph.kind in ("predict", "explain"):
            end, reason = judged(Cost(graph.kind, None, {}, {}), dict(graph.figures), default)
            found[graph.file] = {**graph.figures, "by_default": f"{end}: {reason}" if reason else end}
    for name in names:
        model, others = variant_file(ONNX_MODEL, name), variant_file(EXPLAIN_MODEL, name)
        if others in found and found[model]["by_default"] != KEPT:
            found[others]["by_default"] = "as its model"
    return found


def beside(case: Case) -> dict[str, dict[str, Any]]:
    """The same of two ways that whyport does not go, as far as they give a graph that runs."""
    found: dict[str, dict[str, Any]] = {}
    for name, file, make in (
        ("float16 arithmetic", ONNX_MODEL, _float16_arithmetic),
        ("explain.onnx by dynamic quantisation", EXPLAIN_MODEL, dynamic_int8),
    ):
        if file not in case.bundle.sidecar.files:
            continue
        model = onnx.load_from_string(case.bundle.read_bytes(file))
        del model.metadata_props[:]
        try:
            made = make(model)
            found[name] = _compared(case, file, made.SerializeToString())
        except Exception as error:  # of the converter or of ONNX Runtime, which have no common class
            found[name] = {"by_default": f"fails: {str(error).splitlines()[0][:120]}"}
    return found


def _float16_arithmetic(model: onnx.ModelProto) -> onnx.ModelProto:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    return convert_float_to_float16(model, keep_io_types=True)


def _compared(case: Case, file: str, content: bytes) -> dict[str, Any]:
    """The figures of a graph beside the bundle's own."""
    session = opened(case.bundle)
    rows = read_rows(session, case.rows)
    task, sidecar = session.task, case.bundle.sidecar
    if file == EXPLAIN_MODEL:
        rows = rows[:MOST_EXPLAINED]
    feeds = input_feeds(sidecar.inputs, rows, exact=file == EXPLAIN_MODEL)
    if file == EXPLAIN_MODEL:
        feeds[TARGET_INDEX.name] = np.asarray(task.predicted(session.run(rows)[task.score]), dtype=np.int64)
    onnxruntime = load_onnxruntime()
    own, its = (
        onnxruntime.InferenceSession(each, providers=["CPUExecutionProvider"])
        for each in (case.bundle.read_bytes(file), content)
    )
    wanted = ATTRIBUTION if file == EXPLAIN_MODEL else task.score
    (expected,), (got,) = (each.run([wanted], feeds) for each in (own, its))
    few = {name: values[:64] for name, values in feeds.items()}
    spent = milliseconds({"full": case.bundle.read_bytes(file), "its": content}, few, (1, 64))
    figures: dict[str, Any] = {"bytes": len(content), "full_bytes": len(case.bundle.read_bytes(file))}
    for count in (1, 64):
        figures |= {f"milliseconds_{count}": spent["its"][count], f"full_milliseconds_{count}": spent["full"][count]}
    if file == EXPLAIN_MODEL:
        return figures | {"drift": relative_drift(got, expected)}
    return figures | {"rows": len(rows), "changed": changed_rows(task, got, expected) / len(rows)}


COLUMNS = (
    "model",
    "graph",
    "bytes",
    "smaller",
    "ms a row",
    "at 1",
    "at 64",
    "changed",
    "drift",
    "rank",
    "sum",
    "by default",
)


def lines(name: str, figures: dict[str, dict[str, Any]]) -> list[str]:
    """The lines of a Markdown table."""
    made = []
    for file, own in figures.items():
        cells = [name, file, *_cells(own), own.get("by_default", "not made")]
        made.append("| " + " | ".join(cells) + " |")
    return made


def _cells(own: dict[str, Any]) -> list[str]:
    if "bytes" not in own:
        return ["-"] * (len(COLUMNS) - 3)
    speeds = [
        f"{own[f'full_{name}'] / own[name]:.2f} x" if name in own else "-"
        for name in ("milliseconds_1", "milliseconds_64")
    ]
    changed = f"{100 * own['changed']:.2g} %" if "changed" in own else "-"
    drift = own.get("drift", own.get("occlusion_drift"))
    rank = own.get("rank_correlation", own.get("occlusion_rank_correlation"))
    return [
        f"{own['bytes']:,.0f}",
        f"{own['full_bytes'] / own['bytes']:.1f} x",
        f"{own['milliseconds_1']:.3g}" if "milliseconds_1" in own else "-",
        *speeds,
        changed,
        "-" if drift is None else f"{100 * drift:.2g} %",
        "-" if rank is None else f"{rank:.4f}",
        f"{own['completeness_error']:.1e}" if "completeness_error" in own else "-",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(CASES), help="the models, separated by commas")
    parser.add_argument("--out", type=Path, help="a file for all figures, as JSON; what it has of other models stays")
    options = parser.parse_args()
    every: dict[str, Any] = json.loads(options.out.read_text()) if options.out and options.out.exists() else {}
    print("| " + " | ".join(COLUMNS) + " |")
    print("|---" * len(COLUMNS) + "|")
    for name in options.only.split(","):
        with tempfile.TemporaryDirectory() as folder:
            case = CASES[name](Path(folder))
            found = measured(case, Path(folder)) | beside(case)
        print("\n".join(lines(name, found)), flush=True)
        if options.out is not None:
            about = {"machine": platform.machine(), "weights of minilm": text_models.weights()}
            every |= about | {name: found}
            options.out.write_text(json.dumps(every, indent=1) + "\n")


if __name__ == "__main__":
    main()
