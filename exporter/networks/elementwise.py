"""Operators of ONNX that work on each element: activations, arithmetic, comparisons, casts."""

from functools import reduce
from typing import Any

import numpy as np
import torch
from onnx import TensorProto
from torch import Tensor
from torch.nn import functional

from whyport.exporter.networks.operators import Attributes, number, operator, simple

FLOATING = {TensorProto.FLOAT, TensorProto.DOUBLE}
"""Everything is computed in the rows' own type, whichever of the two a graph asks for."""
CASTS = {TensorProto.INT64: torch.int64, TensorProto.INT32: torch.int32, TensorProto.BOOL: torch.bool}

simple(
    {
        "Abs": torch.abs, "Cos": torch.cos, "Erf": torch.erf, "Exp": torch.exp, "Log": torch.log,
        "Mish": functional.mish, "Neg": torch.neg, "Reciprocal": torch.reciprocal, "Relu": torch.relu,
        "Sigmoid": torch.sigmoid, "Sin": torch.sin, "Softplus": functional.softplus,
        "Softsign": functional.softsign, "Sqrt": torch.sqrt, "Tanh": torch.tanh,
        "Add": torch.add, "Mul": torch.mul, "Sub": torch.sub,
        "And": torch.logical_and, "Equal": torch.eq, "Greater": torch.gt, "GreaterOrEqual": torch.ge,
        "Less": torch.lt, "LessOrEqual": torch.le, "Not": torch.logical_not, "Or": torch.logical_or,
        "IsNaN": torch.isnan, "Where": torch.where,
        "Dropout": lambda x, *ratio: x, "Identity": lambda x: x,
        "Max": lambda *operands: reduce(torch.maximum, operands),
        "Min": lambda *operands: reduce(torch.minimum, operands),
        "Sum": lambda *operands: reduce(torch.add, operands),
        "Mean": lambda *operands: reduce(torch.add, operands) / len(operands),
    }
)  # fmt: skip


@operator("Div")
def _divide(attributes: Attributes, x: Tensor, divisor: Tensor) -> Tensor:
    # Whole numbers are divided as in C.
    return x / divisor if x.is_floating_point() else torch.div(x, divisor, rounding_mode="trunc")


@operator("Pow", fixed=(1,))
def _power(attributes: Attributes, x: Tensor, exponent: Any) -> Tensor:
    if isinstance(exponent, np.ndarray) and exponent.size > 1:
        return torch.pow(x, torch.from_numpy(exponent).to(x))
    return torch.pow(x, number(attributes, exponent) if isinstance(exponent, np.ndarray) else exponent)


@operator("Clip", fixed=(1, 2))
def _clip(attributes: Attributes, x: Tensor, low: Any = None, high: Any = None) -> Tensor:
    # The bounds were attributes before opset 11.
    bounds = [attributes.get(name) if given is None else number(attributes, given) for name, given in
              (("min", low), ("max", high))]  # fmt: skip
    return x if bounds == [None, None] else torch.clamp(x, *bounds)


@operator("Gelu")
def _gelu(attributes: Attributes, x: Tensor) -> Tensor:
    return functional.gelu(x, approximate=attributes.get("approximate", "none"))


@operator("Swish")
def _swish(attributes: Attributes, x: Tensor) -> Tensor:
    alpha = attributes.get("alpha", 1.0)
    return functional.silu(x) if alpha == 1 else x * torch.sigmoid(alpha * x)


@operator("HardSigmoid")
def _hard_sigmoid(attributes: Attributes, x: Tensor) -> Tensor:
    return torch.clamp(attributes.get("alpha", 0.2) * x + attributes.get("beta", 0.5), 0, 1)


@operator("HardSwish")
def _hard_swish(attributes: Attributes, x: Tensor) -> Tensor:
    return x * torch.clamp(x / 6 + 0.5, 0, 1)


@operator("Elu")
def _elu(attributes: Attributes, x: Tensor) -> Tensor:
    return functional.elu(x, attributes.get("alpha", 1.0))


@operator("Celu")
def _celu(attributes: Attributes, x: Tensor) -> Tensor:
    return functional.celu(x, attributes.get("alpha", 1.0))


@operator("Selu")
def _selu(attributes: Attributes, x: Tensor) -> Tensor:
    scale = attributes.get("gamma", 1.0507009873554805)
    scaled: Tensor = scale * functional.elu(x, attributes.get("alpha", 1.6732632423543772))
    return scaled


@operator("LeakyRelu")
def _leaky_relu(attributes: Attributes, x: Tensor) -> Tensor:
    return functional.leaky_relu(x, attributes.get("alpha", 0.01))


@operator("PRelu")
def _prelu(attributes: Attributes, x: Tensor, slope: Tensor) -> Tensor:
    return torch.relu(x) - slope * torch.relu(-x)


@operator("Cast")
def _cast(attributes: Attributes, x: Tensor) -> Tensor:
    wanted = attributes.get("to")
    if wanted in FLOATING:
        return x if x.is_floating_point() else x.to(torch.float32)
    if wanted not in CASTS:
        attributes.refuse(f"to {TensorProto.DataType.Name(wanted).lower()}")
    return x.to(CASTS[wanted])


@operator("CastLike")
def _cast_like(attributes: Attributes, x: Tensor, like: Tensor) -> Tensor:
    return x if x.is_floating_point() and like.is_floating_point() else x.to(like.dtype)


@operator("Mod")
def _modulo(attributes: Attributes, x: Tensor, divisor: Tensor) -> Tensor:
    return torch.fmod(x, divisor) if attributes.get("fmod") else torch.remainder(x, divisor)
