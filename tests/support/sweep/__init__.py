"""Every network of the sweep, by family: what people write, one operator at a time."""

from support.sweep import (
    activations,
    arithmetic,
    attention,
    comparisons,
    composition,
    convolutions,
    embedding,
    functions,
    indexing,
    normalisation,
    padding,
    pooling,
    powers,
    precision,
    products,
    recurrence,
    reductions,
    resizing,
    wrappers,
    written,
)
from support.sweep.network import Case, Network

FAMILIES: dict[str, dict[str, Case]] = {
    "activation layers": activations.CASES,
    "functions of one value": functions.CASES,
    "powers": powers.CASES,
    "arithmetic": arithmetic.CASES,
    "comparisons and choices": comparisons.CASES,
    "reductions and norms": reductions.CASES,
    "products of activations": products.CASES,
    "convolutions": convolutions.CASES,
    "pooling": pooling.CASES,
    "resizing and folding": resizing.CASES,
    "padding": padding.CASES,
    "normalisation": normalisation.CASES,
    "dropout, shapes and parametrizations": wrappers.CASES,
    "recurrent layers": recurrence.CASES,
    "attention": attention.CASES,
    "embeddings and encodings": embedding.CASES,
    "indexing and moving": indexing.CASES,
    "precision and control": precision.CASES,
    "compositions": composition.CASES,
    "several together": written.CASES,
}

CASES: dict[str, Case] = {name: case for family in FAMILIES.values() for name, case in family.items()}

__all__ = ["CASES", "FAMILIES", "Case", "Network"]
