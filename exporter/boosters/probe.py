"""Files of boosters, first read in a process of their own: a damaged one ends the process inside its library."""

import subprocess
import sys
from pathlib import Path

from whyport.runtime.errors import ExportError

ROWS = "numpy.random.default_rng(0).normal(0, 100, (256, {width})).astype('float32')"
"""Rows that come to many leaves."""

READ = {
    "xgboost": (
        "booster = xgboost.Booster(model_file=path); booster.save_raw('json'); "
        f"booster.predict(xgboost.DMatrix({ROWS.format(width='booster.num_features()')}), validate_features=False)"
    ),
    "lightgbm": (
        "booster = lightgbm.Booster(model_file=path); booster.dump_model(); "
        f"booster.predict({ROWS.format(width='booster.num_feature()')})"
    ),
    "catboost": (
        "model = catboost.CatBoost(); model.load_model(path); "
        f"model.predict({ROWS.format(width='len(model.feature_names_)')})"
    ),
}
"""By library: what reads the file at `path`, and predicts."""

SECONDS = 600


def probe_file(path: Path, library: str) -> None:
    """Raise ExportError for a file that its library crashes on, or never ends with.

    A file that the library refuses by an exception is left to whoever reads it next.

    Args:
        path: the file.
        library: a name of `READ`.
    """
    code = f"import sys, numpy, {library}; path = sys.argv[1]; {READ[library]}"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise ExportError(f"{path.name} is damaged: {library} does not end with it in {SECONDS} s") from None
    if done.returncode < 0:
        raise ExportError(f"{path.name} is damaged: {library} crashes on it")
