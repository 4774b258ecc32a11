"""Texts among the inputs: the tokenizer's file, and how many tokens the network takes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from whyport.exporter.data.input_choice import TEXT, InputChoice
from whyport.runtime.bundle.columns import REFUSE, Column
from whyport.runtime.bundle.columns import TEXT as TEXT_COLUMN
from whyport.runtime.bundle.constraints import NAME
from whyport.runtime.bundle.inputs import Axis, Input, TextPreparation
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.errors import BundleFormatError, TrainingError, UsageError
from whyport.runtime.inputs.sources import element, is_missing
from whyport.runtime.inputs.texts.tokenizer import Tokenizer

MOST_TOKENS = 1 << 13
"""The most tokens of a text that graphs are made for."""


def tokenizer_files(choices: Sequence[InputChoice]) -> dict[str, str]:
    """The path in the bundle of each text's tokenizer, by the input's name."""
    texts = [each.name for each in choices if each.kind == TEXT]
    return {name: f"tokenizer/tokenizer{f'-{i + 1}' * bool(i)}.json" for i, name in enumerate(texts)}


def read_tokenizers(choices: Sequence[InputChoice]) -> dict[str, bytes]:
    """The content of every text's tokenizer, by its path in the bundle; UsageError where there is none."""
    files: dict[str, bytes] = {}
    by_name = {each.name: each for each in choices}
    for name, path in tokenizer_files(choices).items():
        named = by_name[name].settings.get("tokenizer")
        if named is None:
            raise UsageError(f"--input {name}: expected tokenizer=FILE, the tokenizer.json of the network")
        try:
            files[path] = Path(named).read_bytes()
        except OSError as error:
            raise UsageError(f"--input {name}: cannot read the tokenizer {named!r}: {error.strerror}") from None
    return files


def describe_text(
    frame: pd.DataFrame, choice: InputChoice, tensor: str, mask: str | None, path: str, files: Mapping[str, bytes]
) -> Input:
    """A text, of which a sample shows how often it is missing.

    Args:
        frame: the sample, which has the column.
        choice: what the user says of it.
        tensor: the name of the tensor of ids.
        mask: the network's argument that says which of them are no padding.
        path: the tokenizer's file in the bundle.
        files: the content of the bundle's files.

    Raises:
        UsageError: the choice does not fit, or the file is no tokenizer. TrainingError: there is no text.
    """
    if len(choice.columns) != 1 or choice.columns[0].endswith("*"):
        raise UsageError(f"--input {choice.name}: expected one column of texts, got {', '.join(choice.columns)}")
    if mask is None:
        raise UsageError(
            f"--input {choice.name}: expected a network that is told which tokens are padding, by an argument "
            f"attention_mask or {choice.name}_mask"
        )
    prepare = _preparation(choice, path)
    try:
        Tokenizer.of(files[path], prepare)
    except BundleFormatError as error:
        raise UsageError(f"--input {choice.name}: {choice.settings['tokenizer']}: {error}") from None
    (name,) = choice.columns
    if not NAME.holds(name):
        raise TrainingError(f"column {name!r}: expected {NAME.expected}")
    column = frame[name]
    missing = sum(is_missing(element(column, row)) for row in range(len(column)))
    if missing == len(column):
        raise TrainingError(f"column {name!r}: expected texts, got only missing ones")
    shape = ("N", prepare.max_length)
    return Input(
        name=choice.name,
        columns=(Column(name, TEXT_COLUMN, None, REFUSE, None, missing / len(column), None, None, ()),),
        prepare=prepare,
        tensors=(TensorSpec(tensor, "int64", shape), TensorSpec(mask, "int64", shape)),
        axes=(Axis("token", prepare.max_length, None),),
    )


def _preparation(choice: InputChoice, path: str) -> TextPreparation:
    most = choice.count("max_length")
    if most is None or most > MOST_TOKENS:
        got = "none" if most is None else str(most)
        raise UsageError(
            f"--input {choice.name}: expected max_length=N, the most tokens of a text, up to {MOST_TOKENS}, got {got}"
        )
    buckets = choice.counts("buckets")
    if buckets and buckets[-1] > most:
        raise UsageError(f"--input {choice.name}: expected buckets up to max_length={most}, got {buckets[-1]}")
    buckets = tuple(sorted({*buckets, most})) if buckets else ()
    return TextPreparation("text", path, most, special_tokens=True, padding="max_length", buckets=buckets)
