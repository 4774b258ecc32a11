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
FEATURE: Path = ("features", 0)
OUTPUT: Path = ("signature", "outputs", 0)
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
    *_numbers(*FEATURE, "mean"),
    *_numbers(*FEATURE, "standard_deviation"),
    Hostile((*FEATURE, "standard_deviation"), -0.5),
    Hostile((*FEATURE, "missing_fraction"), -0.1),
    Hostile((*FEATURE, "missing_fraction"), 1.01),
    Hostile((*FEATURE, "bin_edges", 0), BEYOND),
    Hostile((*FEATURE, "bin_fractions", 0), -0.1),
    *_texts(*FEATURE, "name"),
    Hostile((*FEATURE, "name"), ""),
    *_texts("classes", 0),
    *_texts("name"),
    Hostile(("classes",), []),
    Hostile(("classes",), ["x", "x"]),
    Hostile(("features",), []),
    *(Hostile((*OUTPUT, "dtype"), value) for value in ("object", "float", "U10", "", "datetime64[ns]", 3)),
    *(Hostile((*OUTPUT, "shape", 1), value) for value in (0, -1, 2**40, HUGE, 2.5, "two words", "", True, None)),
    Hostile((*OUTPUT, "shape"), []),
    Hostile(("signature", "inputs"), []),
    Hostile(("signature", "outputs"), []),
    *(Hostile(("opset",), value) for value in (0, -3, 10**6, HUGE, True, "18", 18.5)),
    *(Hostile(("ir_version",), value) for value in (0, 10**6, HUGE)),
    *(Hostile(("format_version",), value, "expected a format version") for value in (0, 3, HUGE, True, "2", 2.5, [])),
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
    *(Hostile(("background",), value) for value in ("../outside", "/dev/zero", "NUL", "a\0", 3)),
    *(Hostile(("summary", "file"), value) for value in ("../outside", "", None)),
    *(Hostile(("summary", "rows"), value) for value in (0, -1, HUGE, True, 1.5)),
    Hostile(("summary", "distances", "k-means"), -1.0),
    Hostile(("summary", "distances", "k-means"), BEYOND),
    Hostile(("parity", "batch_sizes", 0), 0),
    Hostile(("provenance", "metrics"), {"accuracy": BEYOND}, "$.provenance.metrics.accuracy"),
    Hostile(("provenance", "metrics"), {"a\0": 1.0}, "$.provenance.metrics, key"),
    Hostile(("provenance", "settings"), {"x": HUGE}, "$.provenance.settings.x"),
    Hostile(("provenance", "settings"), {"x": [1]}, "$.provenance.settings.x"),
    Hostile(("provenance", "seed"), HUGE),
    Hostile(("provenance", "data_digest"), "sha"),
    Hostile(("provenance", "versions"), {"torch": "\ud800"}, "$.provenance.versions.torch"),
    Hostile(("capabilities", "deepshap", "reason"), "\udc80"),
    Hostile(("capabilities", "\ud800"), {"available": False, "reason": ""}, "$.capabilities, key"),
    Hostile(("preprocessing",), {"imputation": [HUGE], "standardised": False}, "$.preprocessing.imputation[0]"),
]
"""Changes that the JSON Schema and the reader both refuse."""

BETWEEN_KEYS = [
    Hostile((*OUTPUT, "shape", 0), 5, "$.signature.outputs[0].shape"),
    Hostile((*OUTPUT, "dtype"), "int64", "output 'logits': expected float32"),
    Hostile((*OUTPUT, "columns"), ["x"], "$.signature.outputs[0].columns"),
    Hostile((*OUTPUT, "name"), "probabilities", "expected tensor names to differ"),
    Hostile(("signature", "inputs", 0, "name"), "logits", "expected tensor names to differ"),
    Hostile(("signature", "inputs", 0, "dtype"), "int64", "$.signature.inputs[0].dtype"),
    Hostile(("signature", "inputs", 0, "shape", 0), 7, "$.signature.inputs"),
    Hostile(("signature", "inputs", 0, "columns", 0), "another", "$.signature.inputs"),
    Hostile(("signature", "outputs", 2, "shape"), ["N", 5000, 5000], "$.signature.outputs[2].shape"),
    Hostile(("signature", "outputs", 2, "shape"), ["N", 7, 6], "$.capabilities.attention"),
    Hostile((*FEATURE, "minimum"), 1e9, "$.features[0]: expected minimum <= median <= maximum"),
    Hostile((*FEATURE, "maximum"), -1e9, "$.features[0]: expected minimum <= median <= maximum"),
    Hostile((*FEATURE, "bin_edges"), [2.0, 1.0], "$.features[0].bin_edges: expected ascending numbers"),
    Hostile((*FEATURE, "bin_edges"), [1.0], "$.features[0].bin_fractions"),
    Hostile((*FEATURE, "bin_fractions", 0), 0.5, "$.features[0].bin_fractions: expected a sum of 1"),
    Hostile(("preprocessing", "imputation"), [1.0], "$.preprocessing.imputation"),
    Hostile(("background",), "nowhere.parquet", "expected a digest of 'nowhere.parquet'"),
    Hostile(("task",), "divination", "unknown task"),
]
"""Changes that the reader alone refuses, because no schema compares values with each other."""
