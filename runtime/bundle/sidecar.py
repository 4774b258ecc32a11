"""The sidecar of a bundle, bundle.json: its schema as dataclasses.

models/README.md specifies the format for consumers in any language.
"""

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Self

from whyport.runtime.bundle.codec import build, encode, load
from whyport.runtime.bundle.constraints import (
    Ascending,
    AtLeastOne,
    Count,
    Different,
    Digest,
    FileName,
    Name,
    Number,
    Share,
    Size,
    Text,
    Tolerance,
    Version,
    Whole,
    Within,
)
from whyport.runtime.bundle.signature import Signature
from whyport.runtime.bundle.upgrade import upgrade
from whyport.runtime.errors import BundleFormatError, UsageError
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

    name: Name
    minimum: Number
    maximum: Number
    mean: Number
    standard_deviation: Size
    median: Number
    missing_fraction: Share
    bin_edges: Annotated[tuple[Number, ...], Ascending()]
    """The inner edges of the bins: bin i is edge[i-1] <= value < edge[i], all compared as float32.

    They are the distinct values, where these are at most ten; otherwise the deciles without repeats, with further edges
    at, just above and after every value of a tenth of the rows or more. Older bundles have the deciles alone."""
    bin_fractions: tuple[Share, ...]
    """The share of the training values in each bin, one more than there are edges."""


@dataclass(frozen=True)
class Preprocessing:
    """The treatment of raw values by the graphs before the network sees them."""

    imputation: tuple[Number, ...] | None
    """The value that replaces a NaN, by feature; null if the graphs do not impute."""
    standardised: bool


@dataclass(frozen=True)
class Capability:
    """Whether the bundle can serve a family of explanations, and if not, why not."""

    available: bool
    reason: Text


@dataclass(frozen=True)
class Tolerances:
    """The largest difference between two engines that is allowed: |a - b| / max(1, |b|)."""

    outputs: Tolerance
    gradients: Tolerance
    """The tolerance for gradients, in output units per training standard deviation."""
    attributions: Tolerance
    completeness: Tolerance
    """The tolerance for adding up to score - base value: error / max(1, |score - base value|)."""


@dataclass(frozen=True)
class Parity:
    """The largest deviations measured at export, in the terms of `Tolerances`; null if there is no such graph."""

    batch_sizes: tuple[Count, ...]
    onnx_outputs: Size | None = None
    torchscript_outputs: Size | None = None
    torchscript_gradients: Size | None = None
    explain_outputs: Size | None = None
    """The deviation of the scores and base values of explain.onnx."""
    explain_attributions: Size | None = None
    explain_completeness: Size | None = None
    gradient_outputs: Size | None = None
    gradient_gradients: Size | None = None


@dataclass(frozen=True)
class Summary:
    """The few weighted references of explain.onnx, which represent the whole background."""

    file: FileName
    rows: Count
    method: Text
    """The way they were chosen: of all ways tried, the one with the smallest distance."""
    distances: dict[Text, Size]
    """The distance of every way tried, measured on rows that the references were not chosen with.

    It is the sum of |difference| over the sum of magnitudes, for attributions against the whole background's."""


@dataclass(frozen=True)
class Provenance:
    """The origin of a bundle."""

    source: Text
    settings: dict[Text, Text | Whole | Number | bool | None]
    seed: Whole | None
    data_digest: Digest | None
    versions: dict[Text, Text]
    metrics: dict[Text, Number]


@dataclass(frozen=True)
class Sidecar:
    """The contents of bundle.json."""

    format_version: Annotated[int, Within(1, FORMAT_VERSION)]
    """The file's format version; keys that older versions lack are filled in on reading."""
    name: Text
    task: Text
    signature: Signature
    classes: Annotated[tuple[Text, ...], AtLeastOne(), Different("class names")]
    features: Annotated[tuple[Feature, ...], AtLeastOne()]
    preprocessing: Preprocessing
    capabilities: dict[Text, Capability]
    background: FileName | None
    """The reference sample's file; null if the bundle has none."""
    summary: Summary | None
    """Null if the bundle has no explain.onnx."""
    opset: Version
    ir_version: Version
    tolerances: Tolerances
    provenance: Provenance
    parity: Parity
    files: dict[FileName, Digest]
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
