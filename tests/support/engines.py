"""The engine that each explanation method runs on."""

from whyport.batch.methods.catalogue import METHODS
from whyport.batch.methods.engines.model import Model
from whyport.batch.methods.engines.onnx import OnnxModel
from whyport.batch.methods.engines.torchscript import TorchScriptModel
from whyport.batch.methods.method import TORCHSCRIPT
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.session import Session

OF_NETWORKS = tuple(name for name in METHODS if name not in ("treeshap", "cam"))
"""The methods that a bundle of a network over a table can serve."""

TERM_BY_TERM = tuple(name for name in OF_NETWORKS if name != "lime")
"""The methods whose values on a linear model are those of its terms; a ridge's penalty makes lime's smaller."""


def model_for(name: str, bundle: Bundle) -> Model:
    """A bundle's model as that method takes it."""
    by_torch = TORCHSCRIPT in METHODS[name].engines
    return TorchScriptModel(bundle, "cpu") if by_torch else OnnxModel(Session(bundle, "cpu"))
