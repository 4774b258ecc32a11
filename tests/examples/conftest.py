"""Small bundles for the programs in other languages."""

from pathlib import Path

import pytest

from support.explained_bundles import ONE_LOGIT, QUANTITIES, explained_bundle
from support.recurrent_bundles import recurrent_bundle
from support.visits import COLUMNS, visits
from whyport import shrink, train

TRAINED = 240


@pytest.fixture(scope="session")
def category_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Categories of every type, rare ones among them, dates, and a column with the name of another tensor."""
    folder = tmp_path_factory.mktemp("visits")
    visits(TRAINED, 0).to_csv(folder / "visits.csv", index=False)
    known = {"features": COLUMNS, "categorical": "grade", "dates": "admitted", "rare": "20"}
    fast = {"architecture": "mlp", "epochs": 3, "background": "20", "explain_references": 3}
    return train(folder / "visits.csv", "outcome", folder / "bundle", **known, **fast).path


@pytest.fixture(scope="session")
def quantity_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two quantities, one with a unit."""
    return explained_bundle(tmp_path_factory.mktemp("quantities") / "bundle", QUANTITIES)


@pytest.fixture(scope="session")
def one_logit_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of one logit."""
    return explained_bundle(tmp_path_factory.mktemp("one_logit") / "bundle", ONE_LOGIT)


@pytest.fixture(scope="session")
def long_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recurrent network of many steps."""
    return recurrent_bundle(tmp_path_factory.mktemp("walks"))


@pytest.fixture(scope="session")
def shrunk_bundle(reference_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference bundle with two smaller variants; int8 has no gradients of its own."""
    out = tmp_path_factory.mktemp("shrunk") / "bundle"
    return shrink(reference_bundle, out=out, variants=("float16", "int8"), keep_slower=True).path
