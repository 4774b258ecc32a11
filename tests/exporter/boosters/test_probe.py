from pathlib import Path

import pytest

from support.boosters import AMOUNT, ROWS
from whyport.exporter.boosters import probe
from whyport.exporter.boosters.probe import probe_file
from whyport.runtime.errors import ExportError


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "model.ubj is damaged: json crashes on it"),
        ("import os; os.abort()", "model.ubj is damaged: json crashes on it"),
        ("import time; time.sleep(60)", "model.ubj is damaged: json does not end with it in 3 s"),
    ],
)
def test_a_file_that_its_library_crashes_on_is_refused(code, message, monkeypatch):
    monkeypatch.setitem(probe.READ, "json", code)
    monkeypatch.setattr(probe, "SECONDS", 3)
    with pytest.raises(ExportError, match=message):
        probe_file(Path("model.ubj"), "json")


@pytest.mark.parametrize("library", ["xgboost", "lightgbm", "catboost"])
def test_a_sound_file_is_read(library, tmp_path, monkeypatch):
    module = pytest.importorskip(library)
    path = tmp_path / {"xgboost": "model.ubj", "lightgbm": "model.txt", "catboost": "model.cbm"}[library]
    if library == "xgboost":
        module.train({}, module.DMatrix(ROWS, AMOUNT), 2).save_model(path)
    elif library == "lightgbm":
        module.train({"verbosity": -1, "num_threads": 1}, module.Dataset(ROWS, AMOUNT), 2).save_model(path)
    else:
        module.CatBoostRegressor(iterations=2, verbose=0, allow_writing_files=False).fit(ROWS, AMOUNT).save_model(path)
    # Whoever crashes behind the prediction has read the file, and predicted.
    monkeypatch.setitem(probe.READ, library, f"{probe.READ[library]}; import os; os.abort()")
    with pytest.raises(ExportError, match=f"{library} crashes on it"):
        probe_file(path, library)


def test_an_exception_is_left_to_whoever_reads_the_file_next(monkeypatch):
    monkeypatch.setitem(probe.READ, "json", "json.loads(path)")
    assert probe_file(Path("model.ubj"), "json") is None  # an ExportError would end the export
