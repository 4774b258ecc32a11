"""Where a network looks its tokens' embeddings up: found by running it, and replaced by embeddings that are given.

Token ids have no values between them, so that nothing can be explained along a path of ids. The embeddings have.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from whyport.runtime.errors import ExportError


@dataclass(frozen=True, eq=False)
class Lookup:
    """The one place where a network looks up the embeddings of a text's tokens."""

    input: str
    """The argument of the ids."""
    module: str
    """The name of the nn.Embedding in the network."""
    table: Tensor
    """[ids, dimensions]: the embedding of every id."""

    @property
    def dimensions(self) -> int:
        """The length of an embedding."""
        return int(self.table.shape[1])


class GivenEmbeddings(nn.Module):
    """In place of a look-up: gives what was put into `given`, the first of a call first, whatever the ids are."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[Tensor] = []

    def forward(self, ids: Tensor) -> Tensor:
        """Embeddings [N, T, dimensions] for ids [N, T]."""
        return self.given.pop(0)


def find_lookups(network: nn.Module, taking: nn.Module, rows: Tensor, ids: Mapping[str, Tensor]) -> tuple[Lookup, ...]:
    """The place where each text's ids are looked up, in the order of the network's calls.

    Args:
        network: the user's, in evaluation mode.
        taking: the network over flat rows.
        rows: rows [N, F] to run it with.
        ids: the ids [N, T] of each text in these rows, by the argument's name.

    Raises:
        ExportError: a text's ids are looked up nowhere, or more than once.
    """
    calls: list[tuple[str, Tensor]] = []

    def listen(name: str, module: nn.Module) -> torch.utils.hooks.RemovableHandle:
        return module.register_forward_pre_hook(lambda _, given: calls.append((name, given[0])))

    tables = {name: module for name, module in network.named_modules() if isinstance(module, nn.Embedding)}
    handles = [listen(name, module) for name, module in tables.items()]
    try:
        with torch.no_grad():
            taking(rows)
    finally:
        for handle in handles:
            handle.remove()
    found = [
        Lookup(argument, name, tables[name].weight.detach())
        for name, given in calls
        for argument, own in ids.items()
        if given.shape == own.shape and torch.equal(given, own)
    ]
    for argument in ids:
        names = [each.module for each in found if each.input == argument]
        if len(names) != 1:
            raise ExportError(
                f"expected one nn.Embedding that looks up the token ids of {argument!r}, got "
                f"{' and '.join(names) or 'none'}"
            )
    return tuple(found)


def without_lookups(network: nn.Module, lookups: Sequence[Lookup]) -> nn.Module:
    """A copy of a network with its look-ups replaced; it shares all weights."""
    shared = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    made = copy.deepcopy(network, shared)
    for name in dict.fromkeys(each.module for each in lookups):
        parent, _, own = name.rpartition(".")
        setattr(made.get_submodule(parent), own, GivenEmbeddings())
    return made
