"""Speed of DeepSHAP on a small dense regression, beside shap.DeepExplainer at the fastest of its batch sizes.

    python benchmarks/dense_speed.py [--rows N] [--repeats N] [--out JSON]

The model is the one of examples/seeds/S3: 37 features, five layers of 10 units with ReLU, one value in grams. Both
explain the same rows against the same 100 reference rows, in turn, on one thread; figures are medians of CPU seconds.
shap.DeepExplainer is right on such a network, so that the attributions are compared as well.
"""

import argparse
import io
import json
import platform
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import shap
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from timing import cpu_seconds, in_turn
from whyport import train
from whyport.batch.methods.alone import explain
from whyport.batch.methods.engines.torchscript import TorchScriptModel
from whyport.batch.methods.explainer import explainer_class
from whyport.batch.methods.settings import ExplainSettings
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.parity import deviation

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "examples" / "seeds"))

import moulding  # noqa: E402  its folder is no package

CALL_ROWS = (1, 8, 32, 128, 512)
SEARCH_ROWS = 512
TARGET = "part weight"


class Network(nn.Module):
    """The bundle's network in eager PyTorch, from raw rows to grams: shap needs its layers.

    Args:
        bundle: a bundle that `whyport train` made with the architecture mlp.
    """

    def __init__(self, bundle: Bundle) -> None:
        super().__init__()
        module = torch.jit.load(io.BytesIO(bundle.read_bytes("model.pt")))  # type: ignore[no-untyped-call]
        state = module.state_dict()
        weights = [name for name in state if name.endswith("weight")]
        layers: list[nn.Module] = []
        for name in weights:
            weight, bias = state[name], state[name.removesuffix("weight") + "bias"]
            layer = nn.Linear(weight.shape[1], weight.shape[0])
            layer.load_state_dict({"weight": weight, "bias": bias})
            layers += [layer, nn.ReLU()]
        columns = bundle.sidecar.columns
        first = layers[0]
        assert isinstance(first, nn.Linear)
        with torch.no_grad():  # the standardisation goes into the first layer
            scale = torch.tensor([1 / (column.spread or 1) for column in columns])
            mean = torch.tensor([column.statistics.mean for column in columns])
            first.weight.mul_(scale)
            first.bias.sub_(first.weight @ mean)
        self.stack = nn.Sequential(*layers[:-1])

    def forward(self, rows: Tensor) -> Tensor:
        """Values [N, 1] of raw rows [N, F], in the standardised unit of the target."""
        return self.stack(rows)  # type: ignore[no-any-return]


def measure(bundle: Bundle, rows: NDArray[np.float32], repeats: int) -> dict[str, Any]:
    """Rows per CPU second of both, and how far their attributions and sums are apart."""
    references = References.read(bundle)
    model = TorchScriptModel(bundle, "cpu", threads=1)
    ours = explainer_class("deepshap")(model, references, ExplainSettings().of_method("deepshap"))
    network = Network(bundle).eval()
    theirs = shap.DeepExplainer(network, torch.tensor(references.rows))

    def peer(some: NDArray[np.float32], call_rows: int) -> NDArray[np.float64]:
        parts = [some[start : start + call_rows] for start in range(0, len(some), call_rows)]
        found = [theirs.shap_values(torch.from_numpy(part), check_additivity=False) for part in parts]
        return np.concatenate([np.asarray(values)[..., 0] for values in found])

    explain(ours, rows[:64])
    peer(rows[:8], 8)
    search = {size: SEARCH_ROWS / cpu_seconds(lambda n=size: peer(rows[:SEARCH_ROWS], n)) for size in CALL_ROWS}
    best = max(search, key=search.__getitem__)
    peer_rows = rows[: SEARCH_ROWS * 2]
    calls: dict[str, Callable[[], Any]] = {
        "deepshap": lambda: explain(ours, rows),
        "shap.DeepExplainer": lambda: peer(peer_rows, best),
    }
    seconds, _ = in_turn(calls, repeats)
    attribution = explain(ours, rows)
    values = peer(peer_rows, best)
    # shap explains the network's own output: the unit is the target's after the bundle's last layer.
    scale = float(np.sum(attribution.values[: len(values)] * values) / np.sum(values**2))
    rates = {
        "deepshap": len(rows) / seconds["deepshap"],
        "shap.DeepExplainer": len(peer_rows) / seconds["shap.DeepExplainer"],
    }
    return {
        "rows_per_cpu_second": {name: round(rate, 1) for name, rate in rates.items()},
        "ratio": round(rates["deepshap"] / rates["shap.DeepExplainer"], 1),
        "shap_rows_per_call": best,
        "shap_rates_by_rows_per_call": {str(size): round(rate, 1) for size, rate in search.items()},
        "attributions_apart": float(f"{deviation(attribution.values[: len(values)], scale * values):.3g}"),
        "worst_completeness_error_over_score": float(f"{np.max(attribution.error / np.abs(attribution.output)):.3g}"),
        "converged": float(np.mean(attribution.converged)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=16384)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "dense_speed.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    table = moulding.shots()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "shots.parquet"
        table.to_parquet(data, index=False)
        bundle = train(
            data,
            target=TARGET,
            out=Path(folder) / "bundle",
            task="regression",
            architecture="mlp",
            set={"hidden": 10, "layers": 5},
        )
        columns = table.drop(columns=TARGET).to_numpy(np.float32)
        rows = np.random.default_rng(0).permutation(np.resize(columns, (arguments.rows, columns.shape[1])))
        rows = (rows + np.random.default_rng(1).normal(0, 0.01, rows.shape)).astype(np.float32)
        result = {
            "settings": {
                "machine": platform.processor() or platform.machine(),
                "rows": arguments.rows,
                "repeats": arguments.repeats,
                "threads": 1,
                "references": 100,
                "versions": {name: version(name) for name in ("torch", "numba", "shap", "numpy")},
            }
        } | measure(bundle, rows, arguments.repeats)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
