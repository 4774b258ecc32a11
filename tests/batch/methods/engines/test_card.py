"""What differs on a CUDA card, as far as it shows without one; the sizes of passes."""

from pathlib import Path
from typing import Any

import pytest
import torch

from whyport.batch.methods.engines.card import full_float32
from whyport.batch.methods.engines.torchscript import (
    RECURRENT,
    TorchScriptModel,
    card_pass_rows,
    flatten_recurrent_weights,
    pass_rows,
)
from whyport.runtime.bundle.folder import Bundle

CUDNN: Any = torch.backends.cudnn


def precisions() -> set[str]:
    return {CUDNN.conv.fp32_precision, CUDNN.rnn.fp32_precision}


def test_cudnn_keeps_all_of_float32_until_the_last_has_left() -> None:
    before = precisions()
    with pytest.raises(RuntimeError), full_float32():  # noqa: PT012
        with full_float32():
            assert precisions() == {"ieee"}
        assert precisions() == {"ieee"}
        raise RuntimeError
    assert precisions() == before != {"ieee"}


def test_wide_rows_are_fewer_in_a_pass() -> None:
    assert [card_pass_rows(features) for features in (1, 32, 64, 1024, 1_000_000)] == [16384, 16384, 8192, 512, 256]
    assert [pass_rows(cells) for cells in (1, 1024, 4000, 40_000, 150_528, 1_000_000)] == [256, 128, 32, 3, 1, 1]


def test_recurrent_layers_are_flattened_as_pytorch_does_it(
    reference_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = TorchScriptModel(Bundle.read(reference_bundle), "cpu")._module
    seen: list[str] = []
    flatten = torch.nn.RNNBase.flatten_parameters
    monkeypatch.setattr(
        torch.nn.RNNBase, "flatten_parameters", lambda layer: (seen.append(layer.original_name), flatten(layer))[1]
    )
    flatten_recurrent_weights(module)
    assert set(seen) == {"LSTM"} <= RECURRENT
