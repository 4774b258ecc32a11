"""The baselines of pictures and texts that a run can be measured against in place of the reference rows."""

from collections.abc import Mapping, Sequence

from whyport.runtime.bundle.inputs import ImagePreparation, Input, TextPreparation
from whyport.runtime.bundle.row import row_shape
from whyport.runtime.bundle.sidecar import Baseline
from whyport.runtime.inputs.texts.tokenizer import Tokenizer

BLUR_SHARE = 1 / 20
"""The standard deviation of a blur, as a share of a picture's longer side: objects go, light and colour stay."""


def baselines_of_pictures(inputs: Sequence[Input]) -> tuple[Baseline, ...]:
    """The mean colour, black, the picture blurred, and its segments in their mean colours, where a model has pictures.

    The blur fits the largest.
    """
    sides = [max(row_shape(each)[:2]) for each in inputs if isinstance(each.prepare, ImagePreparation)]
    if not sides:
        return ()
    return (
        _made("mean", "the mean colour of the sample's pictures", {}),
        _made("zero", "black", {}),
        _made("blur", "each picture itself, blurred", {"sigma": round(max(sides) * BLUR_SHARE, 2)}),
        _made("segment-mean", "each segment of a picture in its own mean colour", {}),
    )


TOKENS = {
    "pad": ("[PAD]", "<pad>", "<|pad|>", "<|endoftext|>"),
    "mask": ("[MASK]", "<mask>"),
}
"""What tokenizers call the tokens that stand for none."""


def baselines_of_texts(inputs: Sequence[Input], files: Mapping[str, bytes]) -> tuple[Baseline, ...]:
    """Embeddings of zeros, and of the tokens that stand for none, where a model has texts whose tokenizers have them.

    Args:
        inputs: the model's inputs.
        files: the content of their tokenizers, by the path in the bundle.
    """
    texts = {each.name: each.prepare for each in inputs if isinstance(each.prepare, TextPreparation)}
    if not texts:
        return ()
    tokenizers = {name: Tokenizer.of(files[prepare.tokenizer], prepare) for name, prepare in texts.items()}
    made = [_made("zero", "embeddings of zeros between a text's special tokens", {})]
    for kind, tokens in TOKENS.items():
        figures = {name: _id(tokenizer, tokens) for name, tokenizer in tokenizers.items()}
        known = {name: float(number) for name, number in figures.items() if number is not None}
        if len(known) == len(figures):
            made.append(_made(kind, f"the {kind} token between a text's special tokens; its ids by input", known))
    return tuple(made)


def _id(tokenizer: Tokenizer, tokens: Sequence[str]) -> int | None:
    """The id of the first of these tokens that a tokenizer has."""
    return next((found for token in tokens if (found := tokenizer.id_of(token)) is not None), None)


def _made(kind: str, method: str, figures: dict[str, float]) -> Baseline:
    return Baseline(name=kind, kind=kind, file=None, rows=None, weighted=False, method=method, figures=figures)
