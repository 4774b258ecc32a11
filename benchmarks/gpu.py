"""Checks of a bundle on a CUDA GPU: parity with the CPU, prediction rate by batch size, gradients through cuDNN.

A bundle of trees, trained for it, is refused there by name: ONNX Runtime has no operator for trees on a card.

    python benchmarks/gpu.py [BUNDLE] [--out JSON]

Needs whyport[gpu,batch,explain,train]. Without a GPU it says so, writes nothing and exits with 1.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer

from whyport import train
from whyport.batch.methods.engines.torchscript import TorchScriptModel
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.errors import ProviderError
from whyport.runtime.parity import deviation
from whyport.runtime.session import Session

BATCH_ROWS = (1, 64, 1024, 4096, 16384, 32768)  # cuDNN normalises at most 65 535 rows at once
REPEATS = 5
PARITY_ROWS = 4099


def sample(bundle: Bundle, rows: int) -> NDArray[np.float32]:
    """Rows like the background's, none of them a copy of another."""
    generator = np.random.default_rng(0)
    background = References.read(bundle).rows
    drawn = background[generator.integers(len(background), size=rows)]
    return (drawn * generator.normal(1, 0.05, size=drawn.shape)).astype(np.float32)


def prediction_rates(bundle: Bundle, device: str) -> dict[int, float]:
    """Median rows/s by batch size."""
    rates = {}
    for batch_rows in BATCH_ROWS:
        session = Session(bundle, device, batch_rows=batch_rows)
        rows = sample(bundle, min(max(batch_rows * 8, 4096), 1 << 18))
        session.predict(rows[: 2 * batch_rows])
        seconds = []
        for _ in range(REPEATS):
            started = time.perf_counter()
            session.predict(rows)
            seconds.append(time.perf_counter() - started)
        rates[batch_rows] = round(len(rows) / statistics.median(seconds), 1)
    return rates


def gradient_check(bundle: Bundle, rows: NDArray[np.float32]) -> dict[str, float]:
    """Gradients in evaluation mode on the GPU against the CPU's, in logits per training standard deviation."""
    targets = np.arange(len(rows)) % len(bundle.sidecar.targets)
    spread = np.array([column.spread for column in bundle.sidecar.columns])
    on_card = TorchScriptModel(bundle, "cuda")
    expected, _ = TorchScriptModel(bundle, "cpu").gradients(rows, targets)
    on_card.gradients(rows, targets)
    started = time.perf_counter()
    got, _ = on_card.gradients(rows, targets)
    seconds = time.perf_counter() - started
    return {"deviation": deviation(got * spread, expected * spread), "rows_per_second": round(len(rows) / seconds, 1)}


def trees_on_a_card(folder: Path) -> dict[str, str]:
    """How a bundle of trees answers: to "cuda" with an error, and to "auto" with the CPU."""
    frame = load_breast_cancer(as_frame=True).frame
    frame.to_csv(folder / "rows.csv", index=False)
    settings = {"architecture": "boosting", "set": {"max_iter": 10}, "explain_references": 0}
    bundle = train(folder / "rows.csv", "target", folder / "bundle", task="classification", **settings)
    try:
        Session(bundle, "cuda")
    except ProviderError as error:
        return {"cuda": f"refused: {error}", "auto": Session(bundle, "auto").provider.name}
    raise SystemExit("trees were expected to be refused on a card")


def check(bundle: Bundle) -> dict[str, Any]:
    """Measure everything on one GPU."""
    rows = sample(bundle, PARITY_ROWS)
    expected = Session(bundle, "cpu").predict(rows)
    got = Session(bundle, "cuda").predict(rows)
    parity = {name: deviation(got[name], values) for name, values in expected.items()}
    gradients = gradient_check(bundle, rows)
    tolerances = bundle.sidecar.tolerances
    return {
        "card": torch.cuda.get_device_name(0),
        "bundle": bundle.sidecar.name,
        "parity": parity,
        "gradients": gradients,
        "passed": max(parity.values()) <= tolerances["outputs"] and gradients["deviation"] <= tolerances["gradients"],
        "rows_per_second": {device: prediction_rates(bundle, device) for device in ("cuda", "cpu")},
    }


def main() -> None:
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", nargs="?", type=Path, default=here.parent / "models" / "breast_cancer")
    parser.add_argument("--out", type=Path, default=here / "results" / "gpu.json")
    arguments = parser.parse_args()
    bundle = Bundle.read(arguments.bundle)
    if not torch.cuda.is_available():
        raise SystemExit("no CUDA card that PyTorch can use: nothing was checked")
    try:
        Session(bundle, "cuda")
    except ProviderError as error:
        raise SystemExit(f"no CUDA card that ONNX Runtime can use: nothing was checked\n{error}") from None
    with tempfile.TemporaryDirectory() as folder:
        result = check(bundle) | {"trees": trees_on_a_card(Path(folder))}
    text = json.dumps(result, indent=2)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(text + "\n")
    print(text)
    if not result["passed"]:
        raise SystemExit("the card's results differ from the CPU's by more than the bundle's tolerances")


if __name__ == "__main__":
    main()
