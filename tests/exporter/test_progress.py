"""Lines that say what an export is doing, each before what it announces."""

import logging
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import whyport

EXPECTED = [
    r"compiling deepshap\.pt, of \d+ operators",
    r"choosing the references of explain\.onnx",
    r"compiling explain\.onnx",
    r"compiling gradient\.onnx",
    r"comparing explain\.onnx with PyTorch",
    r"comparing gradient\.onnx with PyTorch",
]


def test_an_export_says_what_it_is_doing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = np.random.default_rng(0).normal(size=(40, 4))
    sample = tmp_path / "rows.csv"
    pd.DataFrame(rows, columns=list("abcd")).to_csv(sample, index=False)
    few = {"background": "12", "explain_references": 3}
    with caplog.at_level(logging.INFO, logger="whyport"):
        whyport.export("example_networks:linear", sample, tmp_path / "bundle", **few)
    lines = [record.getMessage() for record in caplog.records]
    found = [next((i for i, line in enumerate(lines) if re.fullmatch(each, line)), None) for each in EXPECTED]
    assert None not in found, lines
    assert found == sorted(found)
    assert "comparing the engines of model.onnx" in lines
