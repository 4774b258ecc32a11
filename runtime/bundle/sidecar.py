"""The sidecar of a bundle, bundle.json: its schema as dataclasses.

models/README.md specifies the format for consumers in any language.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Self

from whyport.runtime.bundle.codec import build, encode, load
from whyport.runtime.bundle.signature import Signature
from whyport.runtime.bundle.upgrade import upgrade
from whyport.runtime.errors import BundleFormatError, UsageError, listing
from whyport.runtime.task import Task, find_task

# Increase it if a reader of the old version would misread the new one, or could not read it at all. Describe the change
# in models/README.md, and keep reading every older version that a released whyport has written.
FORMAT_VERSION = 2

SIDECAR = "bundle.json"
ONNX_MODEL = "model.onnx"
TORCHSCRIPT_MODEL = "model.pt"
DEEPSHAP_MODEL = "deepshap.pt"
EXPLAIN_MODEL = "explain.onnx"
GRADIENT_MODEL = "gradient.onnx"
BACKGROUND = "background.parquet"
SUMMARY = "summary.parquet"
CONFORMANCE = "conformance.parquet"
CONFORMANCE_JSON = "conformance.json"

METADATA_KEY = "whyport"
"""The key in every ONNX file's metadata_props for the embedded metadata."""


@dataclass(frozen=True)
class Feature:
    """One feature column, with the statistics of its finite training values, in the column's own unit."""

    name: str
    minimum: float
    maximum: float
    mean: float
    standard_deviation: float
    median: float
    missing_fraction: float
    bin_edges: tuple[float, ...]
    """The inner edges of the bins: bin i is edge[i-1] <= value < edge[i], all compared as float32.

    They are the distinct values, where these are at most ten; otherwise the deciles without repeats, with further edges
    at, just above and after every value of a tenth of the rows or more. Older bundles have the deciles alone."""
    bin_fractions: tuple[float, ...]
    """The share of the training values in each bin, one more than there are edges."""


@dataclass(frozen=True)
class Preprocessing:
    """The treatment of raw values by the graphs before the network sees them."""

    imputation: tuple[float, ...] | None
    """The value that replaces a NaN, by feature; null if the graphs do not impute."""
    standardised: bool


@dataclass(frozen=True)
class Capability:
    """Whether the bundle can serve a family of explanations, and if not, why not."""

    available: bool
    reason: str


@dataclass(frozen=True)
class Tolerances:
    """The largest difference between two engines that is allowed: |a - b| / max(1, |b|)."""

    outputs: float
    gradients: float
    """The tolerance for gradients, in output units per training standard deviation."""
    attributions: float
    completeness: float
    """The tolerance for adding up to score - base value: error / max(1, |score - base value|)."""


@dataclass(frozen=True)
class Parity:
    """The largest deviations measured at export, in the terms of `Tolerances`; null if there is no such graph."""

    batch_sizes: tuple[int, ...]
    onnx_outputs: float | None = None
    torchscript_outputs: float | None = None
    torchscript_gradients: float | None = None
    explain_outputs: float | None = None
    """The deviation of the scores and base values of explain.onnx."""
    explain_attributions: float | None = None
    explain_completeness: float | None = None
    gradient_outputs: float | None = None
    gradient_gradients: float | None = None


@dataclass(frozen=True)
class Summary:
    """The few weighted references of explain.onnx, which represent the whole background."""

    file: str
    rows: int
    method: str
    """The way they were chosen: of all ways tried, the one with the smallest distance."""
    distances: dict[str, float]
    """The distance of every way tried, measured on rows that the references were not chosen with.

    It is the sum of |difference| over the sum of magnitudes, for attributions against the whole background's."""


@dataclass(frozen=True)
class Provenance:
    """The origin of a bundle."""

    source: str
    settings: dict[str, str | int | float | bool | None]
    seed: int | None
    data_digest: str | None
    versions: dict[str, str]
    metrics: dict[str, float]


@dataclass(frozen=True)
class Sidecar:
    """The contents of bundle.json."""

    format_version: int
    """The file's format version; keys that older versions lack are filled in on reading."""
    name: str
    task: str
    signature: Signature
    classes: tuple[str, ...]
    features: tuple[Feature, ...]
    preprocessing: Preprocessing
    capabilities: dict[str, Capability]
    background: str | None
    """The reference sample's file; null if the bundle has none."""
    summary: Summary | None
    """Null if the bundle has no explain.onnx."""
    opset: int
    ir_version: int
    tolerances: Tolerances
    provenance: Provenance
    parity: Parity
    files: dict[str, str]
    """sha256 of every file but bundle.json, by path inside the bundle."""

    def described(self) -> Self:
        """The part of the sidecar that ONNX files carry: without parity and digests, which are not known yet."""
        return dataclasses.replace(self, parity=Parity(batch_sizes=()), files={})

    def embedded(self) -> str:
        """The metadata that every ONNX file carries."""
        return encode(self.described())


def decode_sidecar(text: str) -> Sidecar:
    """A sidecar of this or an older format version; raises BundleFormatError for any other text."""
    return build(Sidecar, upgrade(load(text), FORMAT_VERSION))


def task_of(sidecar: Sidecar) -> Task:
    """The meaning of a model's outputs; raises BundleFormatError for a task that this version does not know."""
    try:
        return find_task(sidecar.task, sidecar.classes)
    except UsageError as error:
        raise BundleFormatError(str(error)) from None


def check_consistency(sidecar: Sidecar) -> None:
    """Check what the types alone do not ensure; raises BundleFormatError."""
    width = len(sidecar.features)
    names = tuple(feature.name for feature in sidecar.features)
    inputs = sidecar.signature.inputs
    if len(inputs) != 1 or inputs[0].columns != names or inputs[0].shape[-1] != width:
        raise BundleFormatError(f"expected one input fed by the {width} features, got {inputs}")
    if len(set(names)) != width:
        raise BundleFormatError(f"expected feature names to differ, got {listing(names)}")
    if len(set(sidecar.classes)) != len(sidecar.classes):
        raise BundleFormatError(f"expected class names to differ, got {listing(sidecar.classes)}")
    task_of(sidecar).check_outputs({spec.name: spec.row_shape() for spec in sidecar.signature.outputs})
    imputation = sidecar.preprocessing.imputation
    if imputation is not None and len(imputation) != width:
        raise BundleFormatError(f"expected {width} imputation values, got {len(imputation)}")
    for name in sidecar.files:
        parts = PurePosixPath(name)
        if parts.is_absolute() or ".." in parts.parts or "\\" in name or parts.as_posix() != name:
            raise BundleFormatError(f"expected file names inside the bundle, got {name!r}")
    required = [ONNX_MODEL, CONFORMANCE, *([sidecar.background] if sidecar.background else [])]
    if sidecar.format_version > 1:
        required.append(CONFORMANCE_JSON)
    if sidecar.summary:
        required += [EXPLAIN_MODEL, sidecar.summary.file]
    for name in required:
        if name not in sidecar.files:
            raise BundleFormatError(f"expected a digest of {name!r}, got digests of {listing(sidecar.files)}")
