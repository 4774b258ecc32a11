"""Operators of ONNX that are products of matrices."""

import torch
from torch import Tensor

from whyport.exporter.networks.operators import Attributes, operator, simple

simple({"MatMul": torch.matmul})


@operator("Gemm")
def _gemm(attributes: Attributes, left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    left = left.T if attributes.get("transA") else left
    right = right.T if attributes.get("transB") else right
    product, alpha, beta = left @ right, attributes.get("alpha", 1.0), attributes.get("beta", 1.0)
    product = product if alpha == 1 else product * alpha
    if bias is None:
        return product
    return product + (bias if beta == 1 else bias * beta)


@operator("Einsum")
def _einsum(attributes: Attributes, *operands: Tensor) -> Tensor:
    product: Tensor = torch.einsum(attributes.get("equation"), *operands)
    return product
