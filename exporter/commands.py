"""The commands `train` and `export`."""

from pathlib import Path
from typing import Any

import click

from whyport.exporter.shrink_commands import variant_options
from whyport.runtime.options import names_option
from whyport.runtime.paths import LocalPath
from whyport.runtime.terminal import say

OUT = click.option("--out", required=True, type=LocalPath(), metavar="BUNDLE", help="The folder to make.")
NAME = click.option("--name", help="The bundle's name; by default its folder's.")
OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace a bundle, once the new one is complete.")
OPSET = click.option("--opset", type=int, help="ONNX operator set, 18 to 26; by default 18, which every runtime reads.")
# The threads of one small operator wait for each other longer than they work; with one, nothing depends on the cores.
THREADS = click.option(
    "--threads", default=1, show_default=True, help="Threads of one operator: more for large networks."
)
BACKGROUND = click.option(
    "--background",
    metavar="N|FILE",
    help="Reference rows of explanations: how many training or sample rows to draw, or a CSV or Parquet file with the "
    "feature columns and, if some count more, a column weight.  [default: 100, or all where there are fewer]",
)
EXPLAIN_REFERENCES = click.option(
    "--explain-references",
    default=10,
    show_default=True,
    metavar="N",
    help="References of a network's explain.onnx, which represent the background; that of trees has the whole of it. "
    "0 leaves explain.onnx and gradient.onnx out.",
)
TARGET_UNIT = click.option(
    "--target-unit", multiple=True, metavar="TARGET=UNIT", help="The unit of a number, such as weight=g."
)
SEED = click.option("--seed", default=0, show_default=True, help="The same seed on the same machine gives the same.")


@click.command()
@click.argument("data", type=LocalPath())
@names_option("--target", required=True, help="The column with the classes, or one or several with numbers.")
@OUT
@click.option(
    "--task",
    default="auto",
    show_default=True,
    help="classification, regression, or auto: fractions, and several targets, are a regression; texts, truths and "
    "whole numbers that repeat are classes.",
)
@names_option("--classes", metavar="NAMES", help="Names of whole numbers in their order, as no,yes for 0 and 1.")
@TARGET_UNIT
@click.option(
    "--input",
    multiple=True,
    metavar="NAME=KIND:COLUMNS",
    help="A sequence, or a table beside one: sequence or table; the columns of DATA. Settings follow after a colon, as "
    "in x=sequence:steps:features=8. Repeatable.",
)
@click.option("--test", type=LocalPath(), metavar="DATA", help="A table to test with.")
@click.option(
    "--test-fraction", default=0.2, show_default=True, help="Without --test: share of DATA kept for the test."
)
@click.option("--validation", type=LocalPath(), metavar="DATA", help="A table that says which epoch is the best.")
@click.option("--validation-fraction", type=float, help="In place of --validation: share of DATA kept for that.")
@click.option(
    "--split-by",
    metavar="COLUMN",
    help="Rows with one value of COLUMN, such as a person's, stay on one side of a split.",
)
@names_option("--features", help="By default all columns but the targets and that of --split-by.")
@names_option("--exclude", help="Columns that are not features.")
@names_option("--categorical", help="Features whose numbers are codes of categories; text and booleans always are.")
@names_option("--dates", help="Features that are dates, which become numbers: days since 1970-01-01.")
@click.option(
    "--rare",
    default="0",
    show_default=True,
    metavar="N|N%",
    help="Pool categories of fewer training rows than this, a count or a share.",
)
@click.option(
    "--architecture",
    default="hybrid",
    show_default=True,
    help="hybrid (CNN, LSTM, attention), lstm, mlp, forest (random forest) or boosting (boosted trees).",
)
@click.option(
    "--set",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting of the architecture, such as channels=8 or n_estimators=300.",
)
@click.option("--epochs", type=int, help="Of a network.  [default: 50]")
@click.option("--batch-rows", type=int, help="Of a network: rows of one step.  [default: 32]")
@click.option("--learning-rate", type=float, help="Of a network.  [default: 0.005]")
@click.option(
    "--loss",
    default="auto",
    show_default=True,
    help="Of a network's regression: mse, mae or huber. auto is mse, or cross-entropy.",
)
@click.option(
    "--class-weights",
    default="none",
    show_default=True,
    help="balanced: every class counts alike, however few its rows. none: every row counts alike.",
)
@click.option(
    "--patience",
    default=0,
    show_default=True,
    help="Stop after so many epochs (of boosting: stages) without a smaller validation loss; 0 for never.",
)
@BACKGROUND
@EXPLAIN_REFERENCES
@SEED
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@THREADS
@click.option("--checkpoint", type=LocalPath(), metavar="DIR", help="Save a network's state here every epoch.")
@click.option("--resume", is_flag=True, help="Go on from the state in --checkpoint.")
@NAME
@OVERWRITE
@OPSET
def train(data: Path, target: tuple[str, ...], out: Path, **options: Any) -> None:
    """Train a network, or grow trees, on DATA, a CSV or Parquet file, and export the model as a verified bundle.

    Text and booleans are categories. Missing numbers are imputed with the training median, and for networks numbers are
    standardised, both inside the exported graphs: the bundle takes raw values. Boosted trees have a side for missing
    numbers. Whole numbers that are all different, dates, and texts
    that are mostly different are refused as features, unless they are named. With a validation, the best epoch is kept;
    otherwise the last one.

    \b
    Example: whyport train patients.csv --target diagnosis --out bundle
             whyport train patients.parquet --target diagnosis --exclude id --out bundle \\
                 --set channels=8 --epochs 20 --checkpoint state
             whyport train visits.csv --target died --classes no,yes --class-weights balanced \\
                 --split-by patient --validation-fraction 0.2 --patience 5 --out bundle
             whyport train patients.csv --target diagnosis --architecture forest --set n_estimators=300 --out bundle
             whyport train births.csv --target weight --target-unit weight=g --task regression --out bundle
             whyport train patients.csv --target diagnosis --background healthy.csv --out bundle
             whyport train stays.parquet --target died --architecture lstm --input x=sequence:vitals:names=hr|bp \\
                 --input static=table:age,weight --out bundle
    """
    from whyport.exporter.train.train import train as train_bundle

    bundle = train_bundle(data, target, out, **options)

    from whyport.exporter.train.summary import training_lines

    for line in training_lines(bundle):
        say(line)
    _show(bundle)


@click.command()
@click.argument("source")
@click.option("--sample", required=True, type=LocalPath(), metavar="DATA", help="Typical rows, CSV or Parquet.")
@OUT
@click.option(
    "--input",
    multiple=True,
    metavar="NAME=KIND:COLUMNS",
    help="An input of a module that takes several, a sequence, an image or a text: the argument of its forward; table, "
    "sequence, image or text; the columns of DATA. Settings follow after a colon, as in x=sequence:steps:features=8, "
    "photo=image:file:size=224x224,channels=3,mean=0.5|0.5|0.5,deviation=0.5|0.5|0.5 and "
    "input_ids=text:note:tokenizer=FILE,max_length=128. Repeatable.",
)
@click.option("--weights", type=LocalPath(), metavar="FILE", help="State dict: *.pt or *.safetensors.")
@names_option("--features", help="The model's inputs in order; by default all columns.")
@names_option("--exclude", help="Columns of DATA that are not inputs.")
@click.option(
    "--task",
    default="auto",
    show_default=True,
    metavar="TASK",
    help="classification, regression, or auto: the model's own, where it knows it, and otherwise a classification.",
)
@names_option("--classes", metavar="NAMES", help="In the order of the outputs; one logit a row is the second class's.")
@names_option("--targets", metavar="NAMES", help="What a regression predicts, in the order of the outputs.")
@TARGET_UNIT
@click.option(
    "--output",
    metavar="NAME",
    help="Where the model gives several outputs: the scores' name, attribute, key or position, from 0.",
)
@click.option("--impute", is_flag=True, help="Replace missing values by the sample's medians, inside the graphs.")
@click.option("--standardise", is_flag=True, help="Standardise with the sample's statistics, inside the graphs.")
@click.option(
    "--from-probabilities",
    is_flag=True,
    help="The model gives probabilities, as a softmax or a forest does: they are explained themselves, in their unit.",
)
@click.option(
    "--trust-pickle",
    is_flag=True,
    help="Load a pickle or joblib file, which runs whatever code is inside it, with your rights.",
)
@BACKGROUND
@EXPLAIN_REFERENCES
@THREADS
@SEED
@NAME
@OVERWRITE
@OPSET
@variant_options("Smaller variants of a network to add: float16, weights-int8, dynamic-int8, int8; see whyport shrink.")
def export(source: str, sample: Path, out: Path, **options: Any) -> None:
    """Export your own model, SOURCE, as a verified bundle.

    SOURCE is MODULE:NAME, where NAME is a fitted model, or a function without arguments that gives it; or a file of a
    model: plain ONNX (.onnx), Keras 3 (.keras), XGBoost (.json, .ubj), LightGBM (.txt) or CatBoost (.cbm). A pickle or
    joblib file is a program: it is loaded only with --trust-pickle.
    The sample gives the features' statistics and the reference rows.

    A torch.nn.Module goes from [N, F] float32 to scores [N, K], or to scores and attention weights [N, L, L]. With
    methods features(rows) and classify(maps) it also serves Grad-CAM.

    An ONNX file or a Keras model that is a network of known operators is explained as a module is.

    What is explained, the score, is of a network or a linear model the logit, of boosted trees the margin, of forests
    and other classifiers of scikit-learn the probability, and of a regression the quantity itself.

    One logit a row of a network is the second class's, and a sigmoid that gives its probability is cut off; so is a
    last softmax of an ONNX file or a Keras model. Other probabilities of a network or an ONNX file are refused, unless
    --from-probabilities says that they are the scores.

    \b
    Example: whyport export my_models:make --weights best.pt --sample rows.parquet --classes no,yes --out bundle
             whyport export model.onnx --sample rows.csv --features age,income --out bundle --background 200
             whyport export forest.onnx --sample rows.csv --from-probabilities --out bundle
             whyport export my_models:growth --sample rows.csv --task regression --targets weight,length \\
                 --target-unit weight=g --target-unit length=cm --out bundle
    """
    from whyport.exporter.export_model import export as export_bundle

    _show(export_bundle(source, sample, out, **options))


def _show(bundle: Any) -> None:
    from whyport.exporter.shrink.outcome import lines_of

    sidecar = bundle.sidecar
    engines = {"ONNX": "onnx_outputs", "TorchScript": "torchscript_outputs", "gradients": "torchscript_gradients"}
    engines["the model's own framework"] = "native"
    shown = [f"{engine} {sidecar.parity[name]:.2g}" for engine, name in engines.items() if name in sidecar.parity]
    tolerance = sidecar.tolerances["outputs"]
    say(f"{'parity':23} {', '.join(shown)} (tolerance {tolerance:g})")
    for line in lines_of(sidecar):
        say(line)
    say(f"{'bundle':23} {bundle.path}")
