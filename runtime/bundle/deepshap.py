"""The names inside deepshap.pt that its writer and its readers share; models/README.md describes them.

deepshap.pt is TorchScript. `Program` lists the methods and buffers that a reader may use. The record parts.json says
which parts of the program a fused kernel can replace, and which buffers of a rule that kernel needs:

- lstm: option `order`, the steps of time in the order of the forward pass; buffer `weight` [4H, H + I];
- softmax: over the last axis; no options and no buffers;
- maximum_of_pairs: option `sign`, -1 for a minimum; buffer `pairs`, the two positions behind each output;
- maximum_of_windows: option `sign` as before; buffer `windows` [O, k], for every output of a plane the positions of its
  window in the plane, -1 for none; planes are behind each other in the input, and all have the same windows;
- relu: no options and no buffers;
- small_products: options `rows`, `columns` and `inner`, the sizes of the matrices; no buffers.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Protocol

from whyport.runtime.bundle.codec import load
from whyport.runtime.errors import BundleFormatError, listing

ACTIVATIONS, ATTRIBUTE, FINISH = "activations", "attribute", "finish"

PARTS_RECORD = "parts.json"
"""The record inside deepshap.pt that describes its parts."""

PASS_PAIRS = 400
"""Pairs of a row and a reference in one pass, which explains every class: more multipliers would leave the cache."""

PASS_BYTES = 1 << 26
"""The memory of the largest value in such a pass: long rows have fewer pairs in it."""


def pairs_per_pass(pair_bytes: int) -> int:
    """The number of pairs in a pass, at least one.

    Args:
        pair_bytes: the size of the largest value of one pair, in every class.
    """
    return max(1, min(PASS_PAIRS, PASS_BYTES // max(pair_bytes, 1)))


Propagate = Callable[[Sequence[Any], Sequence[Any], Sequence[Any]], list[Any]]
"""The next multipliers, from multipliers, activations of rows and activations of references."""


class Program(Protocol):
    """The methods and buffers of deepshap.pt; every `Any` is a tensor."""

    identity: Any
    """The multipliers before the first part, [C, 1, 1, 1, C]."""
    rules: Any
    """The module that holds the rules, see `rule`."""

    def activations(self, rows: Any) -> list[Any]:
        """Tensors with N on the first axis, the logits [N, C] first, for finite rows [N, F]."""

    def attribute(self, of_rows: list[Any], of_references: list[Any], weights: Any) -> Any:
        """The attributions [N, C, F] of every logit, from `activations` of N rows and R references, weighted [R]."""

    def finish(self, multipliers: list[Any], of_rows: list[Any], of_references: list[Any], weights: Any) -> Any:
        """The attributions [N, C, F] from the multipliers after the last part."""


class KernelName(StrEnum):
    """A fused kernel that may replace a part."""

    LSTM = "lstm"
    SOFTMAX = "softmax"
    MAXIMUM_OF_PAIRS = "maximum_of_pairs"
    MAXIMUM_OF_WINDOWS = "maximum_of_windows"
    RELU = "relu"
    SMALL_PRODUCTS = "small_products"


@dataclass(frozen=True)
class Part:
    """One part of the program that a fused kernel can replace."""

    kernel: str
    """A `KernelName`, or a name that a later version added."""
    options: Mapping[str, Any]
    rule: int
    """The index of the rule that holds the kernel's buffers, see `rule`."""
    given: Sequence[Sequence[int]]
    """The positions of the multipliers that sum to the multiplier of each of the rule's outputs."""
    passed: Sequence[int]
    """The positions of the multipliers that pass unchanged; in the part's result they precede the rule's own."""
    reads: Sequence[int]
    """The positions in `activations` that the rule reads."""


def part_name(index: int) -> str:
    """The name of the method that computes a part: part_0, part_1, ..."""
    return f"part_{index}"


def part(program: Program, index: int) -> Propagate:
    """The method that computes a part."""
    method: Propagate = getattr(program, part_name(index))
    return method


def rule(program: Program, index: int) -> Any:
    """The module rules.<index>, whose attributes are the buffers of one rule."""
    return getattr(program.rules, str(index))


def write_parts(parts: Sequence[Part | None]) -> str:
    """The record parts.json: an entry per part; null if no kernel can replace it."""
    return json.dumps([part and asdict(part) for part in parts])


def read_parts(text: str) -> list[Part | None]:
    """The entries of parts.json, without keys that a later version added; raises BundleFormatError for other text."""
    known = Part.__dataclass_fields__
    entries = load(text)
    if not isinstance(entries, list) or not all(_is_part(entry) for entry in entries):
        raise BundleFormatError(f"{PARTS_RECORD}: expected a list of null or of parts with {listing(known)}")
    return [entry and Part(**{key: entry[key] for key in known}) for entry in entries]


def _is_part(entry: Any) -> bool:
    """Whether an entry is null, or has every key of a part with a value of its JSON type."""
    types = {"kernel": str, "options": dict, "rule": int}
    return entry is None or (
        isinstance(entry, dict)
        and all(isinstance(entry.get(key), types.get(key, list)) for key in Part.__dataclass_fields__)
    )
