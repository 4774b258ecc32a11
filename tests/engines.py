"""The engine that each explanation method runs on."""

from batch.explainers import EXPLAINERS, TORCHSCRIPT
from batch.explainers.model import Model
from batch.explainers.onnx_model import OnnxModel
from batch.explainers.torchscript import TorchScriptModel
from runtime.bundle import Bundle
from runtime.session import Session


def model_for(name: str, bundle: Bundle) -> Model:
    """A bundle's model as that method takes it."""
    by_torch = TORCHSCRIPT in EXPLAINERS[name].homes
    return TorchScriptModel(bundle, "cpu") if by_torch else OnnxModel(Session(bundle, "cpu"))
