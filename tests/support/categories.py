"""A table with columns of every kind, as codes, and what a bundle is made of from it."""

import dataclasses
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from whyport.exporter.bundle.package import make_package
from whyport.exporter.bundle.write import write_bundle
from whyport.exporter.data.samples import Samples
from whyport.exporter.data.statistics import describe_numbers
from whyport.exporter.draft import Draft
from whyport.exporter.graphs.categories import EncodeCategories, build_encoding
from whyport.exporter.kinds.pytorch import compile_network
from whyport.runtime.bundle.columns import CATEGORY, IMPUTE, MODEL, Categories, Column
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import Provenance

TOWNS = tuple(f"town {i:02d}" for i in range(20))
"""More categories than have a cell each."""


def category_column(name: str, categories: Categories) -> Column:
    total = sum(categories.counts) + categories.other + categories.missing
    share = categories.missing / total
    return Column(name, CATEGORY, None, MODEL, None, share, None, categories, ())


def category_columns() -> tuple[Column, ...]:
    """Numbers, texts with pooled and missing ones, an embedding, booleans and numbers, one named as a tensor is."""
    numbers = np.random.default_rng(0).normal(size=(2, 300)) * [[3.0], [0.5]] + [[170.0], [1.0]]
    return (
        describe_numbers("height", numbers[0], missing=IMPUTE),
        category_column("colour", Categories("text", ("red", "green", "blue"), (60, 30, 10), 4, 6)),
        category_column("features", Categories("text", ("a", "b"), (50, 50), 0, 0)),
        describe_numbers("dose", numbers[1], missing=IMPUTE),
        category_column("town", Categories("text", TOWNS, tuple(range(1, 21)), 0, 0)),
        category_column("smoker", Categories("boolean", ("false", "true"), (70, 30), 0, 10)),
        category_column("year", Categories("number", ("2019", "2020", "2.5"), (20, 30, 60), 0, 0)),
    )


def category_rows(columns: tuple[Column, ...], count: int, seed: int) -> NDArray[np.float32]:
    """Training rows [count, F]: codes as often as the columns say."""
    rng = np.random.default_rng(seed)
    rows = np.empty((count, len(columns)), dtype=np.float32)
    for j, column in enumerate(columns):
        if column.categories is None:
            rows[:, j] = rng.normal(column.statistics.mean, column.spread, size=count)
        else:
            counts = np.array([*column.categories.counts, column.categories.other, column.categories.missing])
            rows[:, j] = rng.choice(len(counts), size=count, p=counts / counts.sum())
    return rows


def every_code(columns: tuple[Column, ...]) -> NDArray[np.float32]:
    """Rows in which every column has every code, unseen and missing ones among them; numbers are missing in some."""
    longest = max(column.categories.codes for column in columns if column.categories)
    rows = category_rows(columns, longest, 9)
    for j, column in enumerate(columns):
        if column.categories is not None:
            rows[:, j] = np.arange(longest) % column.categories.codes
    rows[::5, 0] = np.nan
    return rows


def category_encoding(columns: tuple[Column, ...]) -> EncodeCategories:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        encoding = build_encoding(columns)
    assert encoding is not None
    return encoding


def category_draft(columns: tuple[Column, ...], encoding: EncodeCategories) -> Draft:
    rows = category_rows(columns, 300, 1)
    background = rows[:30]
    return Draft(
        name="categories",
        targets=("no", "yes"),
        features=columns,
        standardise=True,
        provenance=Provenance("a test", {}, 0, None, {}, {}),
        references=References(background, np.full(len(background), 1 / len(background))),
        samples=Samples(rows, 0, missing=True, columns=columns),
        summary=6,
        encoding=encoding,
    )


def network_of(width: int, *, linear: bool = False) -> nn.Module:
    """A network from cells [N, width] to two logits."""
    with torch.random.fork_rng():
        torch.manual_seed(4)
        if linear:
            return nn.Linear(width, 2)
        return nn.Sequential(nn.Linear(width, 12), nn.ReLU(), nn.Linear(12, 2))


def category_bundle(path: Path, network: nn.Module, columns: tuple[Column, ...], summary: int = 6) -> Bundle:
    """The bundle of a network over the cells of `category_encoding`; a summary of 0 leaves explain.onnx out."""
    draft = dataclasses.replace(category_draft(columns, category_encoding(columns)), summary=summary)
    return write_bundle(path, make_package(draft, compile_network(network, draft), {}))
