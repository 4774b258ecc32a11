"""Hostile sidecars: one value of a sound one changed, and the path that a reader should name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Path = Sequence[str | int]


@dataclass(frozen=True)
class Hostile:
    """A change of one value."""

    path: Path
    value: Any
    named: str = ""
    """The path in the message; by default that of the value."""

    def applied(self, document: dict[str, Any]) -> None:
        """Change a sidecar in place."""
        inner: Any = document
        for key in self.path[:-1]:
            inner = inner[key]
        inner[self.path[-1]] = self.value

    @property
    def place(self) -> str:
        """The path in the message."""
        return self.named or "$" + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in self.path)

    def __str__(self) -> str:
        return f"{self.place}={self.value!r:.40}"


HUGE, BEYOND = 10**400, float("inf")
"""An integer beyond float64, and what 1e999 is read as."""
COLUMN: Path = ("inputs", 0, "columns", 0)
NUMBERS: Path = (*COLUMN, "numbers")
OUTPUT: Path = ("graphs", 0, "outputs", 0)
BACKGROUND: Path = ("baselines", 0)
SUMMARY: Path = ("baselines", 1)
DIGEST = "0" * 64


def _numbers(*path: str | int) -> list[Hostile]:
    return [Hostile(path, value) for value in (BEYOND, -BEYOND, HUGE, True, "1", None)]


def _texts(*path: str | int) -> list[Hostile]:
    return [Hostile(path, value) for value in ("a\0b", "\ud800", "a\udfff", 3, None)]


def _file(name: str) -> Hostile:
    return Hostile(("files", name), DIGEST, named="$.files, key")


SINGLE_VALUES = [
    *(
        Hostile(("tolerances", key), value)
        for key in ("outputs", "completeness")
        for value in (-1e-9, 1.5, BEYOND, HUGE)
    ),
    *(Hostile(("parity", key), -1e-9) for key in ("onnx_outputs", "torchscript_gradients", "explain_completeness")),
    *_numbers(*NUMBERS, "mean"),
    *_numbers(*NUMBERS, "standard_deviation"),
    Hostile((*NUMBERS, "standard_deviation"), -0.5),
    Hostile((*COLUMN, "missing_fraction"), -0.1),
    Hostile((*COLUMN, "missing_fraction"), 1.01),
    Hostile((*NUMBERS, "bin_edges", 0), BEYOND),
    Hostile((*NUMBERS, "bin_fractions", 0), -0.1),
    *_texts(*COLUMN, "name"),
    Hostile((*COLUMN, "name"), ""),
    *_texts("score", "targets", 0, "name"),
    *_texts("name"),
    Hostile(("score", "targets"), []),
    Hostile(("score", "targets"), [{"name": "x", "unit": None}] * 2),
    Hostile(("score", "task"), "divination"),
    Hostile(("score", "kind"), "guess"),
    Hostile(("inputs", 0, "columns"), []),
    Hostile(("inputs",), []),
    *(Hostile((*COLUMN, "kind"), value) for value in ("sound", "", None)),
    *(Hostile((*COLUMN, "missing"), value) for value in ("ignore", None)),
    *(Hostile((*COLUMN, "imputation"), value) for value in (BEYOND, HUGE, "1")),
    *(Hostile(("inputs", 0, "prepare", "kind"), value) for value in ("sound", None)),
    Hostile(("inputs", 0, "prepare"), {"kind": "text"}),
    *(Hostile(("graphs", 0, "kind"), value) for value in ("oracle", None)),
    *(Hostile((*BACKGROUND, "kind"), value) for value in ("oracle", None)),
    Hostile(("players", "names"), ["x", "x"]),
    *(Hostile(("players", "cells"), value) for value in ([[-1]], [["a"]], [0])),
    *(Hostile((*OUTPUT, "dtype"), value) for value in ("object", "float", "U10", "", "datetime64[ns]", 3)),
    *(Hostile((*OUTPUT, "shape", 1), value) for value in (0, -1, 2**40, HUGE, 2.5, "two words", "", True, None)),
    Hostile((*OUTPUT, "shape"), []),
    Hostile(("inputs", 0, "tensors"), []),
    Hostile(("graphs",), []),
    *(Hostile(("opset",), value) for value in (0, -3, 10**6, HUGE, True, "18", 18.5)),
    *(Hostile(("ir_version",), value) for value in (0, 10**6, HUGE)),
    *(Hostile(("format_version",), value, "expected a format version") for value in (0, 4, HUGE, True, "2", 2.5, [])),
    *(
        _file(name)
        for name in (
            "../outside",
            "a/../../outside",
            "/etc/hostname",
            "a\\b",
            "./model.pt",
            "a//b",
            "a/",
            "",
            ".",
            "C:/x",
            "CON",
            "aux.txt",
            "a/nul",
            "com1.parquet",
            "a\0b",
            "a\nb",
            "a\n",
            "trailing.",
            "trailing ",
            "\ud800",
            "what?",
        )
    ),
    *(
        Hostile(("files", "model.onnx"), value)
        for value in ("0" * 63, "0" * 65, "G" * 64, DIGEST + "\n", "A" * 64, None)
    ),
    *(Hostile((*BACKGROUND, "file"), value) for value in ("../outside", "/dev/zero", "NUL", "a\0", 3)),
    *(Hostile((*SUMMARY, "file"), value) for value in ("../outside", "")),
    *(Hostile((*SUMMARY, "rows"), value) for value in (0, -1, HUGE, True, 1.5)),
    Hostile((*SUMMARY, "figures", "k-means"), BEYOND),
    Hostile(("provenance", "metrics"), {"accuracy": BEYOND}, "$.provenance.metrics.accuracy"),
    Hostile(("provenance", "metrics"), {"a\0": 1.0}, "$.provenance.metrics, key"),
    Hostile(("provenance", "settings"), {"x": HUGE}, "$.provenance.settings.x"),
    Hostile(("provenance", "settings"), {"x": [1]}, "$.provenance.settings.x"),
    Hostile(("provenance", "seed"), HUGE),
    Hostile(("provenance", "data_digest"), "sha"),
    Hostile(("provenance", "versions"), {"torch": "\ud800"}, "$.provenance.versions.torch"),
    Hostile(("capabilities", "deepshap", "reason"), "\udc80"),
    Hostile(("capabilities", "\ud800"), {"available": False, "reason": ""}, "$.capabilities, key"),
    Hostile(("inputs", 0, "prepare", "standardised"), 1),
]
"""Changes that the JSON Schema and the reader both refuse."""

BETWEEN_KEYS = [
    Hostile((*OUTPUT, "shape", 0), 5, "$.graphs[0].outputs[0].shape"),
    Hostile((*OUTPUT, "dtype"), "int64", "output 'logits': expected float32"),
    Hostile((*OUTPUT, "name"), "probabilities", "expected tensor names to differ"),
    Hostile((*OUTPUT, "name"), "another", "expected an output 'logits'"),
    Hostile(("graphs", 0, "inputs", 0, "name"), "logits", "expected tensor names to differ"),
    Hostile(("graphs", 0, "inputs", 0, "name"), "another", "$.graphs: expected the inputs' tensors"),
    Hostile(("graphs", 0, "kind"), "torch", "$.graphs: expected"),
    Hostile(("graphs", 1, "kind"), "predict", "$.graphs: expected kinds and variants to differ"),
    Hostile(("inputs", 0, "tensors", 0, "dtype"), "int64", "$.inputs[0].tensors[0].dtype"),
    Hostile(("inputs", 0, "tensors", 0, "shape", 0), 7, "$.inputs[0].tensors"),
    Hostile((*COLUMN, "name"), "mean texture", "$.inputs[0].columns: expected column names to differ"),
    Hostile((*COLUMN, "kind"), "image", "$.inputs[0].columns[0].kind: expected a column of a table"),
    Hostile((*COLUMN, "kind"), "category", "$.inputs[0].columns[0].categories"),
    Hostile((*COLUMN, "numbers"), None, "$.inputs[0].columns[0].numbers"),
    Hostile((*COLUMN, "imputation"), None, "$.inputs[0].columns[0].imputation"),
    Hostile((*COLUMN, "missing"), "refuse", "$.inputs[0].columns[0].imputation"),
    Hostile(("graphs", 0, "outputs", 2, "shape"), ["N", 5000, 5000], "$.graphs[0].outputs[2].shape"),
    Hostile(("graphs", 0, "outputs", 2, "shape"), ["N", 7, 6], "$.capabilities.attention"),
    Hostile((*NUMBERS, "minimum"), 1e9, "$.inputs[0].columns[0].numbers: expected minimum <= median <= maximum"),
    Hostile((*NUMBERS, "maximum"), -1e9, "$.inputs[0].columns[0].numbers: expected minimum <= median <= maximum"),
    Hostile((*NUMBERS, "bin_edges"), [2.0, 1.0], "$.inputs[0].columns[0].numbers.bin_edges: expected ascending"),
    Hostile((*NUMBERS, "bin_edges"), [1.0], "$.inputs[0].columns[0].numbers.bin_fractions"),
    Hostile((*NUMBERS, "bin_fractions", 0), 0.5, "$.inputs[0].columns[0].numbers.bin_fractions: expected a sum of 1"),
    Hostile(("players", "cells"), [[0], [0]], "$.players.cells"),
    Hostile((*BACKGROUND, "file"), "nowhere.parquet", "expected a digest of 'nowhere.parquet'"),
    Hostile(("score", "output"), "another", "$.score.output: expected 'logits'"),
    Hostile(("score", "task"), "regression", "$.score.probabilities: expected them"),
]
"""Changes that the reader alone refuses, because no schema compares values with each other."""

_OLD_FEATURE: Path = ("features", 0)
_OLD_OUTPUT: Path = ("signature", "outputs", 0)

OLD_KEYS = [
    *_numbers(*_OLD_FEATURE, "mean"),
    *_numbers(*_OLD_FEATURE, "standard_deviation"),
    *_texts(*_OLD_FEATURE, "name"),
    *_texts("classes", 0),
    Hostile((*_OLD_FEATURE, "missing_fraction"), 1.01),
    Hostile((*_OLD_FEATURE, "bin_fractions", 0), -0.1),
    Hostile((*_OLD_FEATURE, "bin_edges"), [2.0, 1.0], "$.features[0].bin_edges: expected ascending numbers"),
    Hostile(("classes",), ["x", "x"]),
    Hostile(("features",), []),
    Hostile(("signature", "inputs"), []),
    Hostile(("signature", "inputs", 0, "columns", 0), "another", "$.signature.inputs"),
    Hostile(("signature", "inputs", 0, "dtype"), "int64", "$.signature.inputs[0].dtype"),
    Hostile((*_OLD_OUTPUT, "columns"), ["x"], "$.signature.outputs[0].columns"),
    *(Hostile((*_OLD_OUTPUT, "shape", 1), value) for value in (0, -1, 2**40, HUGE, 2.5, "two words", True, None)),
    Hostile(("preprocessing", "imputation"), [1.0], "$.preprocessing.imputation"),
    Hostile(("preprocessing",), {"imputation": [HUGE], "standardised": False}, "$.preprocessing.imputation[0]"),
    *(Hostile(("background",), value) for value in ("../outside", "/dev/zero", "NUL", "a\0", 3)),
    Hostile(("parity", "batch_sizes", 0), 0),
    Hostile(("task",), "divination", "unknown task"),
]
"""Changes of a sidecar of version 1 or 2, and what they are refused with."""
