"""Real photographs that scikit-image and scikit-learn bring, and random crops of them."""

import numpy as np
from numpy.typing import NDArray
from skimage import data
from sklearn.datasets import load_sample_images

from support.images import encoded


def whole() -> list[NDArray[np.uint8]]:
    """A cat, an astronaut, a cup of coffee, a temple and a flower, each [height, width, 3]."""
    return [data.chelsea(), data.astronaut(), data.coffee(), *load_sample_images().images]


def crops(count: int, seed: int = 0) -> list[bytes]:
    """Square crops of the photographs in turn, every other a PNG file and the rest JPEG."""
    random, originals, found = np.random.default_rng(seed), whole(), []
    for i in range(count):
        picture = originals[i % len(originals)]
        side = int(min(picture.shape[:2]) * random.uniform(0.5, 1))
        top, left = (random.integers(0, length - side + 1) for length in picture.shape[:2])
        found.append(encoded(picture[top : top + side, left : left + side], ("PNG", "JPEG")[i % 2]))
    return found
