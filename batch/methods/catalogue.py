"""The table of explanation methods: everything that the rest of the project knows about a method is read here.

Adding a method is one file and one entry.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module

from whyport.batch.methods.method import (
    AUTO_ENGINE,
    COUNT,
    GRADIENTS,
    ONNX,
    PRESENCE_UNIT,
    REAL,
    SCORE_UNIT,
    SENSITIVITY_UNIT,
    TORCHSCRIPT,
    Extra,
    Implementation,
    Method,
    Option,
    OptionValue,
)
from whyport.runtime.bundle.embedded import EMBEDDED, explained_sidecar
from whyport.runtime.bundle.sidecar import Capability, Sidecar
from whyport.runtime.errors import BundleError, UsageError, listing, unknown

AS_ONE = "; a category, or a group, is one player"
OF_CELLS = "; a category, or a group, has the sum of its cells"
OF_COLUMNS = "; a group has the sum of its columns"
"""What stands together, and how: a category's cells, and the columns of a group."""

STEPS = Option(
    "steps", int, "A fixed number of gradients per row and reference; --max-evaluations then limits nothing.", minimum=1
)


def _max_evaluations(default: int) -> Option:
    text = "The most gradients, or forward passes, for one row; a row that needs more has not converged."
    return Option("max_evaluations", int, text, default, minimum=1)


def _samples(default: int) -> Option:
    return Option("samples", int, "Gradients, or forward passes, per row.", default, minimum=1)


def _by_forward_passes(explainer: str, capability: str | None = None) -> dict[str, Implementation]:
    return {ONNX: Implementation(explainer, capability)}


def _by_gradients(explainer: str) -> dict[str, Implementation]:
    """The entries of an explainer that runs on either engine."""
    return {TORCHSCRIPT: Implementation(explainer, GRADIENTS), ONNX: Implementation(explainer, "gradient-onnx")}


NO_EMBEDDINGS = Capability(available=False, reason="token ids have no values between them")
"""Why a bundle of texts without their embeddings explains none of them."""

METHODS: dict[str, Method] = {
    "gradient": Method(
        engines=_by_gradients("whyport.batch.methods.gradients:Gradient"),
        unit=SENSITIVITY_UNIT,
        cost="1 gradient a row",
        guarantee="none: a sensitivity per unit of the feature, not a share of the score" + OF_CELLS,
        source="Simonyan et al. 2014, arXiv:1312.6034",
    ),
    "input-x-gradient": Method(
        engines=_by_gradients("whyport.batch.methods.gradients:InputXGradient"),
        unit=SCORE_UNIT,
        cost="1 gradient a row",
        guarantee="sums to f(x) - f(0) for linear models, with the commonest categories in place of 0; "
        "completeness_error says how far off it is elsewhere" + OF_CELLS,
        source="Shrikumar et al. 2016, arXiv:1605.01713",
    ),
    "integrated-gradients": Method(
        engines=_by_gradients("whyport.batch.methods.integrals.integrated_gradients:IntegratedGradients"),
        unit=SCORE_UNIT,
        cost="8 to 64 gradients a row of a smooth network at the default tolerance, 25 to 125 where the path has "
        "kinks; --steps fixes them",
        guarantee="sums to f(x) - f(mean of the background) within --tolerance on every row, or converged is false"
        + OF_CELLS,
        source="Sundararajan et al. 2017, arXiv:1703.01365; nested rules first, then each path is refined where it "
        "misses its tolerance",
        options=(STEPS, _max_evaluations(5_000)),
    ),
    "deepshap": Method(
        engines={
            TORCHSCRIPT: Implementation("whyport.batch.methods.deepshap.deepshap:DeepShap", "deepshap"),
            ONNX: Implementation("whyport.batch.methods.deepshap.onnx:OnnxDeepShap", "explain-onnx"),
        },
        unit=SCORE_UNIT,
        cost="1 pass of multipliers a row and reference, which explains every class",
        guarantee="sums to f(x) - mean f(reference) within 1e-4 of the larger of 1 and itself, or converged is false"
        + OF_CELLS,
        source="Lundberg & Lee 2017, arXiv:1705.07874, with a conserving rule for every operator",
    ),
    "treeshap": Method(
        engines={ONNX: Implementation("whyport.batch.methods.treeshap.treeshap:TreeShap", "treeshap")},
        unit=SCORE_UNIT,
        cost="tables of the references once a batch of rows, then 1 look-up a row, player and small subtree",
        guarantee="exact Shapley values of trees, in float64; sums to f(x) - mean f(reference) up to rounding; "
        "with --path-dependent to f(x) - mean f over the training rows, as the trees counted them" + AS_ONE,
        source="Lundberg et al. 2020, doi:10.1038/s42256-019-0138-9; the leaf's game of Laberge & Pequignot 2022, "
        "arXiv:2209.15123, in two tables of subsets",
        options=(
            Option(
                "path_dependent",
                bool,
                "Measure against the training rows as the trees counted them, in place of the background.",
                default=False,
            ),
        ),
    ),
    "expected-gradients": Method(
        engines=_by_gradients("whyport.batch.methods.integrals.integrated_gradients:ExpectedGradients"),
        unit=SCORE_UNIT,
        cost="2 gradients a row and reference or more, 10 to 20 where the path has kinks; --steps fixes them",
        guarantee="sums to f(x) - mean f(reference) within --tolerance on every row, or converged is false" + OF_CELLS,
        source="Erion et al. 2021, arXiv:1906.10670, over every reference instead of samples",
        options=(STEPS, _max_evaluations(5_000)),
    ),
    "shapley": Method(
        engines=_by_forward_passes("whyport.batch.methods.shapley.shapley:Shapley"),
        unit=SCORE_UNIT,
        cost="2 (players - 1) forward passes a pair of permutations, 32 pairs or more a row, for every class; where "
        "--max-evaluations allows it, (2^players - 2) x references; a player is a column, or a group",
        guarantee="unbiased, a standard error on every value, sums to f(x) - mean f(reference) up to rounding; exact "
        "up to 12 players where every coalition fits --max-evaluations: by default up to 7, against 100 references; "
        "converged is false where a standard error exceeds --tolerance" + AS_ONE,
        source="Shapley 1953; Castro et al. 2009; antithetic pairs: Mitchell et al. 2022, arXiv:2104.12199",
        extras=(Extra("standard_error", per_feature=True, is_error_bar=True),),
        options=(
            _max_evaluations(20_000),
            Option(
                "permutations",
                int,
                "A fixed number of permutations per row, whatever --max-evaluations; by default as many as take "
                "every standard error to --tolerance, or every coalition where they fit --max-evaluations.",
                minimum=4,
                reason="for a standard error",
            ),
        ),
    ),
    "grad-cam": Method(
        engines={TORCHSCRIPT: Implementation("whyport.batch.methods.maps.grad_cam:GradCam", "grad-cam")},
        unit="0 to 1 within a row",
        cost="1 forward pass a row and view, and for each target 1 gradient of what follows the convolution",
        guarantee="none: a heatmap from 0 to 1, of where a convolution saw what speaks for the class" + OF_COLUMNS,
        source="Selvaraju et al. 2017, arXiv:1610.02391",
        extras=(
            Extra("grad_cam_map", axes=("y", "x"), option="grad_cam_map"),
            Extra("layer_map", axes=("y", "x"), names="layer"),
            Extra("one_view_map", axes=("y", "x"), option="augment"),
        ),
        options=(
            Option(
                "layer",
                str,
                "The convolution of an image model whose maps are taken, by its module's name; or several, with "
                "commas, or a pattern such as '*': the last one's map is the attribution, and each other has a column "
                "layer_map.NAME. By default the last one, or the maps at which its author has split the network.",
            ),
            Option(
                "augment",
                int,
                "The views of a picture that its map is the mean of: itself and its mirror image, then both darker, "
                "and brighter; one_view_map is that of the picture alone. 6 are pytorch_grad_cam's aug_smooth.",
                minimum=1,
            ),
            Option("grad_cam_map", bool, "Write the maps too, before they are scaled and upsampled.", default=False),
        ),
        grid="whyport.batch.methods.maps.specs:grad_cam_grid",
        of_steps=True,
    ),
    "cam": Method(
        engines=_by_forward_passes("whyport.batch.methods.maps.cam:ClassActivationMaps", "cam"),
        unit=SCORE_UNIT,
        cost="1 forward pass a row, for every class",
        guarantee="sums to f(x) - the bias up to rounding, of a network that ends in a mean over y and x and an affine "
        "function; no gradient" + OF_COLUMNS,
        source="Zhou et al. 2016, arXiv:1512.04150",
        grid="whyport.batch.methods.maps.specs:cam_grid",
    ),
    "attention": Method(
        engines=_by_forward_passes("whyport.batch.methods.maps.attention:Attention", "attention"),
        unit="attention weight",
        cost="1 forward pass a row, for every class",
        guarantee="none: the model's own weights, the same for every class; what is attended to need not matter"
        + OF_COLUMNS,
        source="Bahdanau et al. 2015, arXiv:1409.0473",
        extras=(Extra("attention", per_target=False, output="attention", axes=("query", "key")),),
        of_steps=True,
    ),
    "occlusion": Method(
        engines=_by_forward_passes("whyport.batch.methods.occlusion:Occlusion"),
        unit=SCORE_UNIT,
        cost="1 forward pass a row and player, for every class; a player is a column, or a group",
        guarantee="sums to f(x) - f(mean of the background) for additive models; completeness_error says how far off "
        "it is elsewhere" + AS_ONE,
        source="Zeiler & Fergus 2014, arXiv:1311.2901, for single features",
    ),
    "lime": Method(
        engines=_by_forward_passes("whyport.batch.methods.lime.lime:Lime"),
        unit=PRESENCE_UNIT,
        cost="--samples forward passes a row, 1000 by default, for every class",
        guarantee="none: coefficients of a linear model of which players have the row's values, the others those of "
        "the mean of the background; a standard error on every value; adjusted_r2 says how much of the scores the "
        "linear model has, order_settled how many players' places are no chance" + AS_ONE,
        source="Ribeiro et al. 2016, arXiv:1602.04938, with the kernels and the ridge regression of the package lime",
        extras=(
            Extra("standard_error", per_feature=True, is_error_bar=True),
            Extra("adjusted_r2", number=REAL),
            Extra("order_settled", number=COUNT),
        ),
        options=(_samples(1000),),
    ),
    "smoothgrad": Method(
        engines=_by_gradients("whyport.batch.methods.gradients:SmoothGrad"),
        unit=SENSITIVITY_UNIT,
        cost="--samples gradients a row, 50 by default",
        guarantee="none: a sensitivity per unit of the feature, with noise averaged out" + OF_CELLS,
        source="Smilkov et al. 2017, arXiv:1706.03825",
        options=(
            Option(
                "noise",
                float,
                "The noise, as a share of each feature's training standard deviation.",
                default=0.1,
                above=0,
            ),
            _samples(50),
        ),
    ),
}


def find_method(name: str) -> Method:
    """The entry of a method; raises UsageError for an unknown name."""
    if name not in METHODS:
        raise UsageError(unknown("explanation method", name, METHODS))
    return METHODS[name]


def engine_of(name: str, chosen: str) -> str:
    """The engine that runs a method: the chosen one, or the only one that can.

    Raises UsageError for an unknown method.
    """
    engines = find_method(name).engines
    return chosen if chosen in engines else next(iter(engines))


def engine_beside(variant: str | None, chosen: str) -> str:
    """The engine of a run: where none is chosen, PyTorch, or for a smaller variant ONNX Runtime, which alone has it."""
    if chosen != AUTO_ENGINE:
        return chosen
    return TORCHSCRIPT if variant is None else ONNX


def check_engines(names: Sequence[str], engine: str, variant: str | None) -> None:
    """Raise UsageError for a method that PyTorch would run beside a smaller variant, which ONNX Runtime alone has."""
    by_torch = [name for name in names if engine_of(name, engine) == TORCHSCRIPT] if variant is not None else []
    if by_torch:
        no_other = [name for name in by_torch if ONNX not in find_method(name).engines]
        advice = f"expected no {listing(no_other)}, which PyTorch alone runs" if no_other else "expected engine 'onnx'"
        got = f"got {engine!r} for {listing(by_torch)}: model.pt is the model in full size"
        raise UsageError(f"variant {variant!r}: {advice}, {got}")


def own_grid(names: Sequence[str], sidecar: Sidecar, options: Mapping[str, OptionValue]) -> tuple[int, int] | None:
    """The lengths of y and x of the maps that every one of these methods gives; None where they have not one grid."""
    grids = set()
    for name in names:
        module, _, function = (find_method(name).grid or "").partition(":")
        grids.add(getattr(import_module(module), function)(sidecar, options) if function else None)
    return grids.pop() if len(grids) == 1 else None


def method_options() -> dict[str, dict[str, Option]]:
    """Every option of the methods, by name and then by the methods that declare it, each with its own default."""
    found: dict[str, dict[str, Option]] = {}
    for name, method in METHODS.items():
        for option in method.options:
            found.setdefault(option.name, {})[name] = option
    return found


def check_capabilities(sidecar: Sidecar, engines: Mapping[str, str]) -> None:
    """Raise BundleError with the reason if a bundle cannot serve a method on its engine.

    Args:
        sidecar: the bundle's sidecar.
        engines: the engine of each method.
    """
    view = explained_sidecar(sidecar)
    for name, engine in engines.items():
        if view is None:
            reason = sidecar.capabilities.get(EMBEDDED, NO_EMBEDDINGS).reason
            raise BundleError(f"bundle {sidecar.name!r} cannot serve {name!r}: {reason}")
        needed = METHODS[name].engines[engine].capability
        if needed is None:
            continue
        capability = view.capabilities.get(needed)
        if capability is None or not capability.available:
            reason = capability.reason if capability else f"it has no {needed!r}"
            raise BundleError(f"bundle {sidecar.name!r} cannot serve {name!r}: {reason}")
