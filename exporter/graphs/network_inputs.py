"""The arguments of a network's forward, cut out of the flat row."""

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn

from whyport.exporter.graphs.lookups import GivenEmbeddings, Lookup
from whyport.exporter.graphs.pixels import PixelScale, ScalePixels
from whyport.runtime.bundle.inputs import Input, TablePreparation, TextPreparation
from whyport.runtime.bundle.row import mask_of, row_shape, row_size
from whyport.runtime.errors import ExportError, UsageError, first_line, listing, unknown

MASK_TYPES = (torch.bool, torch.float32, torch.int64)
"""The types that a mask is tried in, 1 at the steps of the row and 0 at padding."""

TYPES_OF_TOKENS = "token_type_ids"
"""The argument that tells the tokens of two texts apart; of one text they are 0."""


@dataclass(frozen=True)
class Argument:
    """One argument of a network's forward, and where its cells are in the flat row."""

    name: str
    start: int
    shape: tuple[int, ...]
    """The shape of a row of it."""
    size: int
    """How many cells it has."""
    mask: str | None = None
    """The argument that says which steps are no padding, behind whose cells the number of steps stands."""
    pixels: PixelScale | None = None
    """What becomes of the cells, where they are pixels."""
    are_ids: bool = False
    """Whether its cells are ids of tokens, which the network takes as whole numbers."""

    are_embeddings: bool = False
    """Whether its cells are the embeddings of tokens, which stand in for what the network looks up itself."""

    @property
    def is_text(self) -> bool:
        """Whether the network takes ids of tokens for it."""
        return self.are_ids or self.are_embeddings


SPLIT = ("features", "classify")
"""The methods of a network that is split at its feature maps."""


class TakeInputs(nn.Module):
    """A network of several arguments as one of flat rows.

    What is padding is 0 when it reaches the network, whatever the cells hold.

    Args:
        network: takes tensors [N, ...], and gives what networks give.
        arguments: its arguments, in order.
        mask_type: the type of its masks.
        zeros: the arguments that are 0 for every id, each with the argument of the ids.
        lookups: the look-ups that are replaced in the network, in the order of its calls.
    """

    def __init__(
        self,
        network: nn.Module,
        arguments: Sequence[Argument],
        mask_type: torch.dtype = torch.bool,
        zeros: Mapping[str, str] = MappingProxyType({}),
        lookups: Sequence[Lookup] = (),
    ) -> None:
        super().__init__()
        self.network = network
        self.looked_up = [(each.module, each.input) for each in lookups]
        self.arguments = arguments
        self.mask_type = mask_type
        self.scaling = nn.ModuleList(
            nn.Identity() if each.pixels is None else ScalePixels(each.pixels) for each in arguments
        )
        self.zeros = dict(zeros)
        for i, each in enumerate(arguments):
            if each.mask is not None:
                self.register_buffer(f"steps_{i}", torch.arange(each.shape[0]).to(torch.float32), persistent=False)

    def forward(self, cells: Tensor):  # type: ignore[no-untyped-def]
        """Cells [N, P] to what the network gives."""
        values, masks = self.split(cells)
        if not masks:
            return self.network(*values)
        named = {each.name: value for each, value in zip(self.arguments, values, strict=True)}
        self._hand_over(named)
        zeros = {name: torch.zeros_like(named[of]) for name, of in self.zeros.items()}
        return self.network(**named, **masks, **zeros)

    def _hand_over(self, named: dict[str, Tensor]) -> None:
        """Give embeddings among the arguments to where they are looked up; ids that nobody reads take their place."""
        places = {module: self.network.get_submodule(module) for module, _ in self.looked_up}
        for module, place in places.items():
            assert isinstance(place, GivenEmbeddings)
            place.given = [named[name] for own, name in self.looked_up if own == module]
        for name in dict(self.looked_up).values():
            named[name] = torch.zeros_like(named[name][:, :, 0], dtype=torch.int64)

    def split(self, cells: Tensor) -> tuple[list[Tensor], dict[str, Tensor]]:
        """The arguments [N, ...] of cells [N, P] in order, and the masks [N, T] by name."""
        values: list[Tensor] = []
        masks: dict[str, Tensor] = {}
        for i, each in enumerate(self.arguments):
            end = each.start + each.size
            own = cells[:, each.start : end].reshape(-1, *each.shape)
            if each.mask is not None:
                mask = self.get_buffer(f"steps_{i}") < cells[:, end : end + 1]
                own = torch.where(mask if each.are_ids else mask.unsqueeze(-1), own, 0.0)
                masks[each.mask] = mask.to(self.mask_type)
            values.append(own.to(torch.int64) if each.are_ids else self.scaling[i](own))
        return values, masks


class SplitTakeInputs(TakeInputs):
    """`TakeInputs` without masks, of a network that is split at its feature maps."""

    def features(self, cells: Tensor) -> Tensor:
        """Feature maps [N, channels, positions] of cells [N, P]."""
        maps: Tensor = self.network.features(*self.split(cells)[0])  # type: ignore[operator]
        return maps

    def classify(self, maps: Tensor):  # type: ignore[no-untyped-def]
        """Feature maps to what the network gives."""
        return self.network.classify(maps)  # type: ignore[operator]


def positional_arguments(network: nn.Module) -> tuple[str, ...]:
    """The names of the arguments of a network's forward that an input can be given to, in order."""
    arguments = inspect.signature(network.forward).parameters
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(name for name, each in arguments.items() if each.kind in kinds)


def taking(
    network: nn.Module,
    inputs: Sequence[Input],
    rows: Tensor,
    scales: Mapping[str, PixelScale] = MappingProxyType({}),
    lookups: Sequence[Lookup] = (),
) -> nn.Module:
    """The network over flat rows of these inputs, which are its arguments by name; itself, where it takes one table.

    Args:
        network: the user's.
        inputs: the model's inputs.
        rows: two or more rows [N, F], to try the masks with.
        scales: what becomes of the pixels of each image, by the input's name.
        lookups: the look-ups that are replaced in the network, by embeddings among the inputs.

    Raises:
        UsageError: an input is no argument, or an argument without a default is no input.
        ExportError: the network takes no mask of any type.
    """
    if len(inputs) == 1 and isinstance(inputs[0].prepare, TablePreparation):
        return network
    arguments = _arguments(network, inputs, scales, [each.input for each in lookups])
    if not any(each.mask for each in arguments):
        is_split = all(callable(getattr(network, name, None)) for name in SPLIT)
        return (SplitTakeInputs if is_split else TakeInputs)(network, arguments)
    network.eval()
    faults = {}
    zeros = _types_of_tokens(network, arguments)
    # A network of ids takes the mask as it takes these.
    for kind in sorted(MASK_TYPES, key=lambda kind: kind != torch.int64) if _has_texts(arguments) else MASK_TYPES:
        made = TakeInputs(network, arguments, kind, zeros, lookups)
        try:
            with torch.no_grad():
                made(rows)
        except Exception as error:
            faults[kind] = first_line(error)
        else:
            return made
    tried = "; ".join(f"{str(kind).removeprefix('torch.')}: {fault}" for kind, fault in faults.items())
    raise ExportError(f"the network fails with a mask of any type: {tried}")


def _has_texts(arguments: Sequence[Argument]) -> bool:
    return any(each.is_text for each in arguments)


def _types_of_tokens(network: nn.Module, arguments: Sequence[Argument]) -> dict[str, str]:
    """The types of the tokens of one text, where the network cannot do without them."""
    asked = inspect.signature(network.forward).parameters.get(TYPES_OF_TOKENS)
    if asked is None or asked.default is not inspect.Parameter.empty:
        return {}
    return {TYPES_OF_TOKENS: next(each.name for each in arguments if each.is_text)} if _has_texts(arguments) else {}


def _arguments(
    network: nn.Module, inputs: Sequence[Input], scales: Mapping[str, PixelScale], embedded: Sequence[str]
) -> list[Argument]:
    """The arguments in order; raises as `taking`."""
    parameters = inspect.signature(network.forward).parameters
    positional = positional_arguments(network)
    names = [each.name for each in inputs]
    masks = {each.name: found.name for each in inputs if (found := mask_of(each)) is not None}
    texts = [each.name for each in inputs if isinstance(each.prepare, TextPreparation)]
    for name in names:
        if name not in positional:
            raise UsageError(f"--input: {unknown('argument', name, positional)}")
    given = {*names, *masks.values(), *([TYPES_OF_TOKENS] if texts or embedded else [])}
    lacking = [name for name in positional if parameters[name].default is inspect.Parameter.empty and name not in given]
    if lacking:
        raise UsageError(f"the network's forward also takes {listing(lacking)}: expected an --input for each")
    expected = [name for name in positional if name not in given or name in names]
    if names != expected[: len(names)]:
        raise UsageError(
            f"--input: expected them in the order of the network's forward, {listing(expected)}, got {listing(names)}"
        )
    arguments: list[Argument] = []
    start = 0
    for each in inputs:
        shape = row_shape(each)
        mask, pixels = masks.get(each.name), scales.get(each.name)
        kinds = each.name in texts, each.name in embedded
        arguments.append(Argument(each.name, start, shape, math.prod(shape), mask, pixels, *kinds))
        start += row_size(each)
    return arguments
