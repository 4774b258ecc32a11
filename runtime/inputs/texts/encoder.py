"""One column of texts as the ids of its tokens: the cells of a row, with the number of tokens behind them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.inputs.cells import CellsEncoder
from whyport.runtime.inputs.encoding import CUT
from whyport.runtime.inputs.numbers import OtherTypeError
from whyport.runtime.inputs.sources import element, is_arrow, is_missing, values_of
from whyport.runtime.inputs.texts.tokenizer import Tokenizer

if TYPE_CHECKING:
    import pyarrow as pa

NOT_TEXTS = "columns that are not a text a row"
"""The fault of columns that are no texts, in words."""

TEXTS_TOGETHER = 1 << 10
"""Texts cut in one call: its tokens are in memory twice."""


@final
@dataclass(frozen=True)
class TextEncoder(CellsEncoder):
    """Turns texts into ids of tokens, 0 beyond the last, and their number; tells of the texts that were cut off."""

    tokenizer: Tokenizer

    @property
    def input(self) -> str:
        """The name of the input that its tokens feed."""
        assert self.source.feeds is not None
        return self.source.feeds.name

    tells: ClassVar[str] = CUT
    rule: ClassVar[str] = NOT_TEXTS

    def encode(self, column: Any) -> tuple[NDArray[Any], NDArray[np.int64]]:
        if is_arrow(column):
            if not self.takes(column.type):
                raise OtherTypeError(str(column.type))
            chunks = [self._of_arrow(chunk) for chunk in getattr(column, "chunks", [column])]
        else:
            chunks = [self._of_texts(_python_texts(values_of(column)))]
        numbers = np.concatenate([self._blank(0), *(own for own, _ in chunks)])
        cut = np.concatenate([np.zeros(0, dtype=np.bool_), *(own for _, own in chunks)])
        return numbers, np.flatnonzero(cut)

    def takes(self, kind: "pa.DataType") -> bool:
        from pyarrow import types

        own = kind.value_type if types.is_dictionary(kind) else kind
        takes: bool = types.is_string(own) or types.is_large_string(own) or types.is_string_view(own)
        return takes or bool(types.is_null(own))

    def fault(self, value: Any) -> str:
        if is_missing(value):
            return "expected a text, got null"
        if isinstance(value, bytes):
            return "expected text in UTF-8, got other bytes"
        if not isinstance(value, str):
            return f"expected a text, got {value!r}"
        return f"expected a text of at least one token, got {value[:60]!r}"

    def _of_arrow(self, array: "pa.Array") -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        import pyarrow as pa

        if not isinstance(array, pa.DictionaryArray):
            return self._of_texts(_arrow_texts(array))
        if len(array.dictionary) > len(array):
            return self._of_texts(_arrow_texts(array.dictionary_decode()))
        numbers, cut = self._of_texts([*_arrow_texts(array.dictionary), None])
        place = array.indices.fill_null(len(array.dictionary)).to_numpy(zero_copy_only=False).astype(np.int64)
        return numbers[place], cut[place]

    def _of_texts(self, texts: Sequence[str | None]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The numbers [N, features] of texts, and which of these are cut off, [N]."""
        numbers, cut = self._blank(len(texts)), np.zeros(len(texts), dtype=np.bool_)
        rows = [row for row, text in enumerate(texts) if text is not None]
        for start in range(0, len(rows), TEXTS_TOGETHER):
            own = rows[start : start + TEXTS_TOGETHER]
            found = self.tokenizer.encode([text for row in own if (text := texts[row]) is not None])
            for row, (ids, is_cut) in zip(own, found, strict=True):
                if ids:
                    numbers[row] = 0
                    numbers[row, : len(ids)] = ids
                    numbers[row, -1] = len(ids)
                    cut[row] = is_cut
        return numbers, cut


def _arrow_texts(array: "pa.Array") -> list[str | None]:
    """The texts of an Arrow array; none where one is missing, or is not UTF-8."""
    try:
        found: list[str | None] = array.to_pylist()
        return found
    except UnicodeDecodeError:
        values = (element(array, row) for row in range(len(array)))
        return [value if isinstance(value, str) else None for value in values]


def _python_texts(values: NDArray[Any]) -> list[str | None]:
    """The texts among Python objects, or of an array of texts; raises OtherTypeError for anything else."""
    texts: list[str | None] = []
    for value in values.tolist():
        if not isinstance(value, str) and not is_missing(value):
            raise OtherTypeError(type(value).__name__)
        texts.append(value if isinstance(value, str) and _is_unicode(value) else None)
    return texts


def _is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8: a lone surrogate cannot."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
