"""LIME's standard errors beside the spread of its coefficients over seeds."""

from pathlib import Path

import numpy as np
import pytest

from whyport.batch.methods.alone import explain
from whyport.batch.methods.engines.onnx import OnnxModel
from whyport.batch.methods.lime.lime import Lime
from whyport.batch.methods.settings import ExplainSettings
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.session import Session

SEEDS = 30


@pytest.mark.heavy
@pytest.mark.parametrize("samples", [100, 1000])
def test_standard_errors_are_the_spread_over_seeds(samples: int, reference_bundle: Path) -> None:
    bundle = Bundle.read(reference_bundle)
    model, background = OnnxModel(Session(bundle, "cpu")), References.read(bundle)
    rows, targets = background.rows[:12] * np.float32(1.1), np.arange(12) % 2
    found = [
        explain(
            Lime(model, background, ExplainSettings.of(seed=seed, samples=samples).of_method("lime")), rows, targets
        )
        for seed in range(SEEDS)
    ]
    spread = np.std([each.values for each in found], axis=0, ddof=1)
    error = np.mean([each.extras["standard_error"] for each in found], axis=0)
    ratio = error / spread
    assert 0.95 < np.median(ratio) < 1.05
    # Of 30 seeds, a spread is itself known to 13 % alone.
    low, high = np.quantile(ratio, [0.05, 0.95])
    assert 0.75 < low < high < 1.4
