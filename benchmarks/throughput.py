"""Rate of `whyport run` from end to end, beside ONNX Runtime on arrays in memory, pyarrow, and a common pandas loop.

    python benchmarks/throughput.py [--rows N] [--repeats N] [--out JSON]

Trains the demo model and resamples its table to a large Parquet file. Each repeat then times everything once, in turn,
so that a drift of the machine's speed affects all alike. Figures are medians over the repeats; ratios are of the
medians. The same follows for a trivial model on tables of several widths, beside only pyarrow: see pass_through.py.
Stages overlap, so their seconds may sum to more than the total.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import torch

from demo_model import EagerModel, resample, train
from pass_through import MODELS, measure_pass_through
from whyport.batch.methods.catalogue import METHODS
from whyport.batch.run.job import Job
from whyport.batch.settings import JobSettings
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.sidecar import ONNX_MODEL
from whyport.runtime.providers import available_cores
from whyport.runtime.session import Session
from whyport.runtime.task import first_largest

RAW_ROWS = (256, 1024, 2048, 4096, 8192, 16384)
LOOP_ROWS = (32, 1024)
# Slower contenders get a share of the rows: one in this many.
SHARES = {
    "gradient": 10,
    "input-x-gradient": 10,
    "integrated-gradients": 100,
    "deepshap": 100,
    "expected-gradients": 2000,
    "shapley": 5000,
    "grad-cam": 10,
    "attention": 10,
    "occlusion": 100,
    "smoothgrad": 100,
    "pandas loop batch 32": 10,
    "pandas loop batch 1024": 1,
}


def write_inputs(folder: Path, rows: int) -> pd.DataFrame:
    """Write Parquet files of different sizes; returns the largest table."""
    table = resample(rows)
    for share in {1, *SHARES.values()}:
        table[: rows // share].to_parquet(folder / f"rows-{share}.parquet", index=False)
    return table


def pandas_loop(source: Path, target: Path, bundle: Bundle, model: Callable[..., torch.Tensor], batch: int) -> None:
    """The common loop: the whole table in pandas, PyTorch batch by batch."""
    frame = pd.read_parquet(source)
    names = [*bundle.sidecar.column_names]
    probabilities = []
    with torch.no_grad():
        for start in range(0, len(frame), batch):
            rows = torch.tensor(frame[names].iloc[start : start + batch].to_numpy(), dtype=torch.float32)
            probabilities.append(model(rows).numpy())
    scored = np.concatenate(probabilities)
    for k, name in enumerate(bundle.sidecar.targets):
        frame[f"probability.{name}"] = scored[:, k]
    frame["prediction"] = np.array(bundle.sidecar.targets)[first_largest(scored)]
    frame.drop(columns=names).to_parquet(target)


def timings(folder: Path, bundle: Bundle, table: pd.DataFrame) -> dict[str, tuple[int, Callable[[], Any]]]:
    """The actions to time: name -> (rows, action)."""
    torch.set_num_threads(available_cores())
    matrix = table.to_numpy(dtype=np.float32)
    raw = onnxruntime.InferenceSession(bundle.read_bytes(ONNX_MODEL), providers=["CPUExecutionProvider"])
    session = Session(bundle, "cpu")
    logits = EagerModel(bundle)

    def model(rows: torch.Tensor) -> torch.Tensor:
        return torch.softmax(logits(rows), dim=1)

    def run_raw(batch: int) -> None:
        for start in range(0, len(matrix), batch):
            raw.run(["logits", "probabilities"], {"features": matrix[start : start + batch]})

    def job(share: int, *methods: str) -> Callable[[], Any]:
        inputs = (str(folder / f"rows-{share}.parquet"),)
        settings = JobSettings(inputs=inputs, out=folder / "out", methods=methods, device="cpu", overwrite=True)
        return lambda: Job(bundle, settings).run()

    actions: dict[str, tuple[int, Callable[[], Any]]] = {}
    for rows in RAW_ROWS:
        actions[f"onnxruntime batch {rows}"] = (len(table), lambda rows=rows: run_raw(rows))
    actions["whyport Session"] = (len(table), lambda: session.run(matrix, ["logits", "probabilities"]))
    actions["whyport run"] = (len(table), job(1))
    for name in METHODS:
        actions[f"whyport run --explain {name}"] = (len(table) // SHARES[name], job(SHARES[name], name))
    for rows in LOOP_ROWS:
        name = f"pandas loop batch {rows}"
        source = folder / f"rows-{SHARES[name]}.parquet"
        actions[name] = (
            len(table) // SHARES[name],
            lambda rows=rows, source=source: pandas_loop(source, folder / "loop.parquet", bundle, model, rows),
        )
    return actions


def measure(actions: dict[str, tuple[int, Callable[[], Any]]], repeats: int) -> tuple[dict[str, float], Any]:
    """Median rows/s by name, and the stages of the last `whyport run`."""
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    stages = None
    for _ in range(repeats):
        for name, (_, action) in actions.items():
            started = time.perf_counter()
            result = action()
            seconds[name].append(time.perf_counter() - started)
            if name == "whyport run":
                stages = result.performance.seconds
    return {name: round(actions[name][0] / statistics.median(times)) for name, times in seconds.items()}, stages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "throughput.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = write_inputs(folder, arguments.rows)
        bundle = train(folder)
        session_rows = Session(bundle, "cpu").batch_rows
        rates, stages = measure(timings(folder, bundle, table), arguments.repeats)
        trivial = [measure_pass_through(folder / f"{f}-{h}", f, h, arguments.repeats) for f, h in MODELS]
    raw = max(rate for name, rate in rates.items() if name.startswith("onnxruntime"))
    ratios = {
        "whyport run / ONNX Runtime at its best batch size": rates["whyport run"] / raw,
        "whyport run / whyport Session": rates["whyport run"] / rates["whyport Session"],
        **{
            f"whyport run / pandas loop batch {n}": rates["whyport run"] / rates[f"pandas loop batch {n}"]
            for n in LOOP_ROWS
        },
    }
    result = {
        "settings": {
            "rows": arguments.rows,
            "repeats": arguments.repeats,
            "cores": available_cores(),
            "session_batch_rows": session_rows,
            "features": len(bundle.sidecar.columns),
        },
        "rows_per_second": rates,
        "ratios": {name: round(ratio, 3) for name, ratio in ratios.items()},
        "seconds_by_stage": {name: round(value, 3) for name, value in stages.items()},
        "trivial_model": trivial,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    for section in ("rows_per_second", "ratios", "seconds_by_stage"):
        print(f"\n{section.replace('_', ' ')}")
        for name, value in result[section].items():
            print(f"  {name:52} {value:>12}")
    for measured in trivial:
        print("\ntrivial model")
        for name, value in measured.items():
            print(f"  {name:52} {value!s:>12}")


if __name__ == "__main__":
    main()
