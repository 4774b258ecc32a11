"""Explanations by super-pixels of pictures beside the bare forward passes: parts of inputs_speed.py.

transformers' MobileNetV2 with random weights. Super-pixels are SLIC's, about 50 a picture, and what is not there has
the colour of the mean picture. The bare passes take as many pictures that are there already, through the same session
of ONNX Runtime, in calls of the fastest of a few sizes.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from skimage import data
from torch import nn

import image_models
from as_run import AsRun, added_memory, exported, opened
from timing import fastest, in_turn

PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")
SAMPLES, PERMUTATIONS = 1000, 20
CALLS = (1, 2, 4, 8, 16)
"""Pictures in a call of the bare passes."""
SEARCHED = 96
"""Pictures by which the fastest size is found."""


def make() -> nn.Module:
    """Pictures [N, 3, height, width] to scores [N, 10]."""
    from transformers import MobileNetV2Config, MobileNetV2ForImageClassification

    torch.manual_seed(0)
    return MobileNetV2ForImageClassification(MobileNetV2Config(num_labels=10)).eval()


def lime(folder: Path, rows: int, repeats: int) -> dict[str, Any]:
    """`lime` with 1 000 samples on pictures of 160 x 160."""
    return _beside_bare(folder, 160, {"lime": {"samples": SAMPLES}}, rows, repeats)


def of_150_528_cells(folder: Path, rows: int, repeats: int) -> dict[str, Any]:
    """`lime` and `shapley` on pictures of 224 x 224 x 3."""
    methods = {"lime": {"samples": SAMPLES}, "shapley": {"permutations": PERMUTATIONS}}
    return _beside_bare(folder, 224, methods, rows, repeats)


def _beside_bare(
    folder: Path, size: int, methods: dict[str, dict[str, Any]], rows: int, repeats: int
) -> dict[str, Any]:
    photos = [getattr(data, name)() for name in PHOTOS]
    sample, file = (
        image_models.write_pictures(folder / f"{name}-{size}.parquet", [photos[i % len(photos)] for i in range(count)])
        for name, count in (("sample", 12), ("rows", rows))
    )
    bundle = exported(
        f"{__name__}:make",
        sample,
        folder / f"bundle-{size}",
        explain_references=0,
        input=f"pixel_values=image:photo:size={size}x{size},channels=3,mean=0.5,deviation=0.5",
    )
    each = {"per": "segment", "segments": "slic", "baseline": "mean"}
    options = {method: each | {"explain": method} | own for method, own in methods.items()}
    session = opened(bundle)
    runs = {method: AsRun.of(session, file, own) for method, own in options.items()}
    pictures = next(iter(runs.values())).matrix[:1].repeat(max(CALLS), axis=0)

    def bare(call: int, count: int) -> Callable[[], None]:
        def run() -> None:
            for start in range(0, count, call):
                session.run(pictures[: min(call, count - start)], ["logits"])

        return run

    best = fastest({call: bare(call, SEARCHED) for call in CALLS})
    calls: dict[str, Callable[[], Any]] = {"bare passes": bare(best, rows * SAMPLES)}
    calls |= runs
    seconds, made = in_turn(calls, repeats)
    passes = {method: int(made[method].attributions[method].evaluations[0]) for method in methods}
    one_pass = seconds["bare passes"] / (rows * SAMPLES)
    return {
        "weights": "random",
        "cells": int(pictures.shape[1]),
        "cpu_seconds_per_row": {name: round(spent / rows, 3) for name, spent in seconds.items()},
        "passes per row": {"bare passes": SAMPLES, **passes},
        "over as many bare passes": {
            method: round(seconds[method] / rows / (one_pass * count), 3) for method, count in passes.items()
        },
        "bare passes, best rows a call": best,
        "MB that explaining adds": {method: added_memory(bundle, file, own) for method, own in options.items()},
    }
