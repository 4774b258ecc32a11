"""The function `train`: the options of `whyport train` as keywords."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from whyport.runtime.arguments import typed
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.extras import needs
from whyport.runtime.options import as_names


@needs("export")
@typed
def train(
    data: str | Path,
    target: str | Iterable[str],
    out: str | Path,
    *,
    task: str = "auto",
    classes: str | Iterable[str] = (),
    target_unit: Mapping[str, str] | Iterable[str] | None = None,
    input: str | Iterable[str] = (),
    test: str | Path | None = None,
    test_fraction: float = 0.2,
    validation: str | Path | None = None,
    validation_fraction: float | None = None,
    split_by: str | None = None,
    features: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    categorical: str | Iterable[str] = (),
    dates: str | Iterable[str] = (),
    rare: int | str = "0",
    architecture: str = "hybrid",
    set: Mapping[str, int | float | bool | str] | Iterable[str] | None = None,
    epochs: int | None = None,
    batch_rows: int | None = None,
    learning_rate: float | None = None,
    loss: str = "auto",
    class_weights: str = "none",
    patience: int = 0,
    background: int | str | Path | None = None,
    explain_references: int = 10,
    seed: int = 0,
    device: str = "auto",
    threads: int = 1,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    name: str | None = None,
    overwrite: bool = False,
    opset: int | None = None,
) -> Bundle:
    """Train a network, or grow trees, on a table and export the model as a verified bundle.

    Columns of text and booleans are categories. Missing numbers are imputed with the training median, and for networks
    numbers are standardised, inside the exported graphs: the bundle takes raw values. Boosted trees have a side for
    missing numbers.

    Whole numbers that are all different, dates, and texts that are mostly different are refused as features, unless
    they are named in `features`, `categorical` or `dates`.

    Args:
        data: a CSV or Parquet file.
        target: the column with the classes, or one or several columns with numbers.
        out: the bundle's folder.
        task: "classification", "regression", or "auto": numbers with fractions, and several targets, are a regression.
        classes: names for whole numbers in their order, as ["no", "yes"] for 0 and 1; or texts in another order.
        target_unit: the unit of each number, such as {"weight": "g"} or ["weight=g"].
        input: sequences, and tables beside them, each as "NAME=KIND:COLUMNS:setting=value,..."; KIND is sequence or
            table; see docs/sequences.md. Rows whose lists do not fit are left out.
        test: a table to test with.
        test_fraction: without `test`, the share of the data kept for the test.
        validation: a table that says which epoch is the best.
        validation_fraction: in its place, the share of the data kept for that.
        split_by: a column whose rows of one value stay together, on one side of each split.
        features: one or several columns; by default all but the targets and `split_by`.
        exclude: one or several columns that are not features.
        categorical: one or several feature columns whose values are categories although they are numbers.
        dates: one or several feature columns of dates, which become numbers: days since 1970-01-01.
        rare: categories of fewer training rows than this are pooled into one: a count, or a share such as "1%".
        architecture: "hybrid" (CNN, LSTM, attention), "lstm", "mlp", "forest" (random forest) or "boosting" (boosted
            trees).
        set: settings of the architecture, such as {"channels": 8} or ["channels=8"].
        epochs: of a network, passes over the training rows; by default 50.
        batch_rows: of a network, rows of one step; by default 32.
        learning_rate: of a network's optimiser; by default 0.005.
        loss: of a network's regression "mse", "mae" or "huber", in standard deviations of the target; "auto" is "mse".
        class_weights: "balanced" lets every class count alike, "none" every row.
        patience: stop after so many epochs (stages, of boosting) without a smaller validation loss; 0 for never.
        background: reference rows of explanations: how many training rows to draw, or a table of them. By default 100.
        explain_references: references of a network's explain.onnx; 0 leaves it and gradient.onnx out.
        seed: of the split, the weights and every draw.
        device: what a network is trained on: "auto", "cpu" or "cuda".
        threads: threads of one operator of PyTorch, or of the growth of trees.
        checkpoint: a folder where a network's state is saved every epoch.
        resume: whether to go on from the state in `checkpoint`.
        name: the bundle's name; by default its folder's.
        overwrite: whether a bundle at `out` is replaced, once the new one is complete.
        opset: the ONNX operator set, 18 to 26; by default 18.

    Returns:
        The bundle, read back from its folder.

    Raises:
        WhyportError: anything is wrong with the table or the options; nothing is written then.
        MissingPackageError: the extra `export` is not installed.
    """
    from whyport.exporter.bundle.target import Target, check_target
    from whyport.exporter.data.background import BackgroundChoice
    from whyport.exporter.data.dataset import TableChoice
    from whyport.exporter.data.input_choice import parse_inputs
    from whyport.exporter.data.kinds import KindChoice
    from whyport.exporter.data.outcome import TargetChoice, parse_units
    from whyport.exporter.data.split import SplitChoice
    from whyport.runtime.limits import RowLimit

    targets = as_names(target)
    choice = TableChoice(
        data=Path(data),
        target=TargetChoice(targets, task, as_names(classes), parse_units(targets, target_unit)),
        features=as_names(features),
        excluded=as_names(exclude),
        split=SplitChoice(_path(test), test_fraction, _path(validation), validation_fraction, split_by),
        kinds=KindChoice(as_names(categorical), as_names(dates), RowLimit.parse("rare", rare)),
        inputs=parse_inputs(as_names(input)),
    )
    check_target(Path(out), overwrite=overwrite)
    choice.check_headers()

    from whyport.exporter.threads import operator_threads  # starts PyTorch
    from whyport.exporter.train.architectures import parse_settings
    from whyport.exporter.train.network import CheckpointFolder
    from whyport.exporter.train.recipe import train_bundle
    from whyport.exporter.train.settings import TrainSettings, refuse_options_of_networks, refuse_sequences

    given = [f"{key}={value}" for key, value in set.items()] if isinstance(set, Mapping) else as_names(set or ())
    network = parse_settings(architecture, given)
    if choice.inputs:
        refuse_sequences(architecture)
    refuse_options_of_networks(
        architecture,
        network,
        {
            "--epochs": epochs is not None,
            "--batch-rows": batch_rows is not None,
            "--learning-rate": learning_rate is not None,
            "--loss": loss != "auto",
            "--device": device not in ("auto", "cpu"),
            "--checkpoint": checkpoint is not None,
            "--resume": resume,
            "--opset": opset is not None,
        },
    )
    steps = {"epochs": epochs, "batch_rows": batch_rows, "learning_rate": learning_rate}
    given_steps: dict[str, Any] = {name: value for name, value in steps.items() if value is not None}
    settings = TrainSettings(
        architecture, network, seed=seed, loss=loss, class_weights=class_weights, patience=patience, **given_steps
    )
    with operator_threads(threads):
        return train_bundle(
            choice,
            settings,
            Target(Path(out), name, overwrite),
            device=device,
            folder=CheckpointFolder(_path(checkpoint), resume),
            opset=opset,
            background=BackgroundChoice.parse(None if background is None else str(background), explain_references),
        )


def _path(given: str | Path | None) -> Path | None:
    return None if given is None else Path(given)
