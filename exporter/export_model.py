"""The function `export`: the options of `whyport export` as keywords."""

from collections.abc import Iterable
from pathlib import Path

from whyport.runtime.arguments import typed
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.extras import needs
from whyport.runtime.options import as_names


@needs("export")
@typed
def export(
    source: str | Path,
    sample: str | Path,
    out: str | Path,
    *,
    weights: str | Path | None = None,
    input: str | Iterable[str] = (),
    features: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    task: str = "auto",
    classes: str | Iterable[str] = (),
    targets: str | Iterable[str] = (),
    target_unit: dict[str, str] | Iterable[str] | None = None,
    output: str | int | None = None,
    impute: bool = False,
    standardise: bool = False,
    from_probabilities: bool = False,
    background: int | str | Path | None = None,
    explain_references: int = 10,
    trust_pickle: bool = False,
    threads: int = 1,
    seed: int = 0,
    name: str | None = None,
    overwrite: bool = False,
    opset: int | None = None,
    variants: str | Iterable[str] = (),
    max_changed: int | str = "0.5%",
    max_drift: str = "10%",
    keep_slower: bool = False,
) -> Bundle:
    """Export your own model as a verified bundle.

    Args:
        source: "MODULE:NAME", a fitted model or a function without arguments that gives it; or a file of a model, named
            *.onnx or as its kind says. A torch.nn.Module goes from [N, F] float32 to scores [N, K], or to scores and
            attention weights [N, L, L].
        sample: typical rows, CSV or Parquet. They give the features' statistics and the reference rows.
        out: the bundle's folder.
        weights: a state dict: a file named *.pt or *.safetensors.
        input: the inputs of a module that takes several or a sequence, each as "NAME=KIND:COLUMNS:setting=value,...".
            NAME is the argument of forward, KIND is table, sequence, image or text; see docs/sequences.md,
            docs/images.md and docs/text.md.
        features: the columns of a model of one table, in order; by default all columns.
        exclude: one or several columns that are not inputs.
        task: "classification", "regression", whose scores are the quantities themselves, or "auto": the model's own
            task, where it knows one, and otherwise a classification, whose scores are logits.
        classes: the classes' names, in the order of the outputs; one logit a row is the second class's.
        targets: what a regression predicts, in the order of the outputs.
        target_unit: the unit of such a target, as {"weight": "g"} or ["weight=g"].
        output: where the model gives several outputs: the scores' name, attribute, key or position.
        impute: whether missing values are replaced by the sample's medians, inside the graphs.
        standardise: whether features are standardised with the sample's statistics, inside the graphs.
        from_probabilities: whether the model's last step gives probabilities, as a softmax or a forest does. The
            probability is then the score: attributions, base value and completeness error are in it.
        background: reference rows of explanations: how many rows to draw, or a table of them. By default 100.
        explain_references: references of a network's explain.onnx; 0 leaves it and gradient.onnx out.
        trust_pickle: whether a *.pkl, *.pickle or *.joblib may be loaded, which runs the code inside it.
        threads: threads of one operator of PyTorch.
        seed: of every draw, and of the factory's random weights.
        name: the bundle's name; by default its folder's.
        overwrite: whether a bundle at `out` is replaced, once the new one is complete.
        opset: the ONNX operator set of a PyTorch module, 18 to 26; by default 18.
        variants: smaller variants of a network to add: float16, weights-int8, dynamic-int8, int8. They are measured
            with the sample's rows that are no references; see `shrink` for this and the following.
        max_changed: the rows whose prediction may change, a count or a share.
        max_drift: the share by which attributions may move.
        keep_slower: whether variants that are slower, or not smaller, are kept.

    Returns:
        The bundle, read back from its folder.

    Raises:
        WhyportError: anything is wrong with the model, the sample or the options; nothing is written then.
        MissingPackageError: the extra `export` is not installed.
    """
    from whyport.exporter.bundle.target import Target, check_target
    from whyport.exporter.data.background import BackgroundChoice
    from whyport.exporter.data.input_choice import parse_inputs
    from whyport.exporter.data.outcome import parse_units
    from whyport.exporter.data.table import check_header
    from whyport.exporter.shrink.choice import VariantChoice
    from whyport.exporter.source import ModelSource
    from whyport.runtime.task import Regression

    model = ModelSource(
        source=str(source),
        sample=Path(sample),
        weights=None if weights is None else Path(weights),
        inputs=parse_inputs(as_names(input)),
        features=as_names(features),
        excluded=as_names(exclude),
        classes=as_names(classes),
        task=task,
        targets=as_names(targets),
        units=parse_units(as_names(targets) or Regression.generic_names(1), target_unit),
        output=None if output is None else str(output),
        background=BackgroundChoice.parse(None if background is None else str(background), explain_references),
        impute=impute,
        standardise=standardise,
        from_probabilities=from_probabilities,
        trust_pickle=trust_pickle,
    )
    names = as_names(variants)
    choice = VariantChoice.parse(names, max_changed, max_drift, keep_slower=keep_slower) if names else None
    check_target(Path(out), overwrite=overwrite)
    # Any other model may know which of the columns it takes, and what they hold.
    is_plain = model.source.lower().endswith(".onnx")
    if not model.inputs:
        check_header(model.sample, model.features, model.excluded, numbers=is_plain)

    from whyport.exporter.export import export_bundle  # starts PyTorch
    from whyport.exporter.threads import operator_threads

    with operator_threads(threads):
        return export_bundle(model, Target(Path(out), name, overwrite), seed=seed, opset=opset, variants=choice)
