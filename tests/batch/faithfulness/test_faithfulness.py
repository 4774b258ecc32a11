"""Figures of explanations: closed forms on a linear model, and captum's infidelity and sensitivity."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from captum.metrics import infidelity, sensitivity_max
from numpy.typing import NDArray

import whyport as library
from support.command import Whyport
from whyport.batch.faithfulness.curves import Curves
from whyport.batch.faithfulness.faithfulness import measure_soundness
from whyport.batch.faithfulness.infidelity import DRAWS as SETS
from whyport.batch.faithfulness.infidelity import Infidelity, drawn_sets
from whyport.batch.faithfulness.randomisation import ALL, LAST, shuffle
from whyport.batch.faithfulness.removal import Removal
from whyport.batch.faithfulness.stability import DRAWS, Stability, moved
from whyport.batch.methods.request import Request
from whyport.batch.run.job import Job
from whyport.batch.settings import JobSettings
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import UsageError

WEIGHTS = np.array([2.0, -1.0, 0.5, 0.25])


def removal_of(scores: Callable[[NDArray[Any]], NDArray[Any]], *references: list[float]) -> Removal:
    """Removes the columns of rows, each a player, of a model of one target."""
    model = SimpleNamespace(scores=lambda rows: scores(rows)[:, None])
    explainer: Any = SimpleNamespace(model=model, players=SimpleNamespace(columns_of=lambda chosen: chosen))
    rows = np.array(references, dtype=np.float32)
    return Removal(explainer, rows, np.full(len(rows), 1 / len(rows)))


def test_curves_of_a_linear_model_are_sums_of_its_shares() -> None:
    removal = removal_of(lambda rows: rows @ WEIGHTS, [0, 0, 0, 0], [2, 2, 2, 2])
    row = np.array([3.0, 2.0, -1.0, 5.0], dtype=np.float32)
    shares = WEIGHTS * (row - 1)
    curves = Curves(signed=True)
    curves.add(removal, row, shares, 0, np.random.default_rng(5))
    ordered = np.sort(shares)[::-1]
    expected = np.concatenate([[0], np.cumsum(ordered)])
    places = np.linspace(0, 1, 5)
    for name in ("deletion", "insertion"):
        assert curves.means[name] == pytest.approx(np.interp(np.linspace(0, 1, 21), places, expected), abs=1e-6)
    rng = np.random.default_rng(5)
    chance = np.mean([np.concatenate([[0], np.cumsum(shares[rng.permutation(4)])]) for _ in range(3)], axis=0)
    area = np.trapezoid(expected - chance, places)
    assert [curves.areas[name].mean for name in ("deletion", "insertion")] == pytest.approx([area, area], abs=1e-6)
    wrong = Curves(signed=True)
    wrong.add(removal, row, -shares, 0, np.random.default_rng(5))
    assert (wrong.areas["deletion"].mean or 0) < 0 < area


def test_infidelity_is_captums() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1)).double()

    def scores(rows: NDArray[Any]) -> NDArray[Any]:
        with torch.no_grad():
            return network(torch.tensor(rows).double())[:, 0].numpy()

    row = np.array([0.5, -1.0, 2.0, 1.5], dtype=np.float32)
    reference = np.array([0.25, 1.0, -0.5, 0.0], dtype=np.float32)
    shares = np.array([0.3, -0.2, 0.1, 0.05])
    sets = drawn_sets(4, np.random.default_rng(1))
    found = Infidelity()
    found.add(removal_of(scores, reference.tolist()), row, shares, 0, sets)

    def perturb(inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        change = torch.tensor(sets * (row - reference)).double()
        return change, inputs - change

    local = torch.tensor(shares / (row - reference))[None].double()
    arguments = {"inputs": torch.tensor(row)[None].double(), "attributions": local, "n_perturb_samples": SETS}
    expected = infidelity(lambda rows: network(rows)[:, 0], perturb, **arguments)
    assert found.absolute.values == pytest.approx(expected.tolist(), rel=1e-6)


def test_exact_shares_of_a_linear_model_have_no_infidelity() -> None:
    removal, row = removal_of(lambda rows: rows @ WEIGHTS, [1, 1, 1, 1]), np.arange(4, dtype=np.float32)
    found = Infidelity()
    found.add(removal, row, WEIGHTS * (row - 1), 0, drawn_sets(4, np.random.default_rng(0)))
    assert found.absolute.mean == pytest.approx(0, abs=1e-12)


@pytest.fixture(scope="module")
def explained(mapped_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a linear model by methods of every unit, which explains some of its rows."""
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("sound")
    rows = np.random.default_rng(3).normal(size=(40, 3))
    pq.write_table(pa.table(dict(zip("abc", rows.T, strict=True))), folder / "rows.parquet")
    methods = ("deepshap", "gradient", "occlusion", "grad-cam", "attention")
    settings = JobSettings(
        inputs=(str(folder / "rows.parquet"),),
        out=folder / "out",
        device="cpu",
        methods=methods,
        explain_where="source_row >= 10",
    )
    Job(Bundle.read(mapped_bundle), settings).run()
    return folder / "out"


def test_max_sensitivity_is_captums(explained: Path) -> None:
    from whyport.batch.faithfulness.sample import draw, predicted_rows, scorer_of
    from whyport.batch.review.finished_run import FinishedRun
    from whyport.runtime.session import Session

    run = FinishedRun.read(explained)
    bundle = run.open_bundle()
    scorer = scorer_of(run, bundle, Session(bundle, "cpu"))
    (predicted,) = predicted_rows(run, bundle, scorer, draw(run, 1, 0))
    ((ready, request),) = scorer.explainers_of(predicted)
    explainer = ready["deepshap"].explainer
    shares = explainer.explain(request).values.astype(np.float64)
    found = Stability()
    found.add(explainer, request, shares, np.random.default_rng(4))

    def explain(rows: torch.Tensor | tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        matrix = (rows[0] if isinstance(rows, tuple) else rows).numpy()
        targets = np.full(len(matrix), request.target[0])
        asked = Request.of_one_target(matrix, explainer.model.scores(matrix), targets)
        return (torch.tensor(explainer.explain(asked).values).double(),)

    rng = np.random.default_rng(4)
    near = iter([moved(bundle.sidecar, request.rows, rng) for _ in range(DRAWS)])

    def perturb(rows: torch.Tensor) -> torch.Tensor:
        return torch.tensor(np.concatenate([next(near) for _ in rows]))

    expected = sensitivity_max(explain, torch.tensor(request.rows), perturb, n_perturb_samples=DRAWS)
    assert found.figures.values == pytest.approx(expected.tolist(), rel=1e-5)


def test_a_run_has_figures_for_every_method_and_names_what_is_left_out(explained: Path) -> None:
    found = measure_soundness(explained, sample=12, seed=1)
    assert found.rows == 12
    assert all(each.explanations == 12 for each in found.measured.values())
    exact = found.measured["deepshap"]
    assert exact.infidelity.absolute.mean == pytest.approx(0, abs=1e-9)
    assert (exact.curves.areas["deletion"].mean or 0) > 0
    assert found.measured["gradient"].stability.figures.mean == 0  # the same everywhere
    assert exact.layers == {LAST: exact.layers[LAST], ALL: exact.layers[ALL]}
    assert {name: sorted(each.left_out) for name, each in found.measured.items()} == {
        "deepshap": [],
        "gradient": ["baseline", "infidelity"],
        "occlusion": [],
        "grad-cam": ["baseline", "infidelity"],
        "attention": ["baseline", "infidelity", "randomisation"],
    }
    assert len(found.agreement) == 10
    assert found.agreement["deepshap", "occlusion"]["spearman"].mean == pytest.approx(1)
    assert measure_soundness(explained, sample=12, seed=1).measured["deepshap"].curves.areas == exact.curves.areas


def test_weights_are_shuffled_in_memory_alone(reference_bundle: Path) -> None:
    before = {path.name: path.read_bytes() for path in reference_bundle.iterdir() if path.is_file()}
    content = Bundle.read(reference_bundle).read_bytes("model.pt")
    import io
    import warnings

    def load() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return torch.jit.load(io.BytesIO(content))  # type: ignore[no-untyped-call]

    first, second, original = load(), load(), dict(load().named_parameters())
    assert shuffle(first, LAST, 3) == ["network.head.weight"]
    names = shuffle(second, ALL, 3)
    assert len(names) > 5
    for name, tensor in second.named_parameters():
        same = torch.equal(tensor, original[name])
        assert same == (name not in names), name
        assert torch.equal(tensor.flatten().sort().values, original[name].flatten().sort().values)
    assert {path.name: path.read_bytes() for path in reference_bundle.iterdir() if path.is_file()} == before


def test_the_command_and_the_function_give_the_same(explained: Path, whyport: Whyport) -> None:
    output = whyport("faithfulness", explained, "--sample", 3, "--format", "json", "--device", "cpu").output
    assert [output.rstrip("\n")] == library.faithfulness(explained, sample=3, format="json", device="cpu")
    document = json.loads(output)
    assert [row["method"] for row in document["methods"]] == [
        "deepshap",
        "gradient",
        "occlusion",
        "grad-cam",
        "attention",
    ]
    assert len(document["details"][0]["curves"]) == 21
    text = whyport("faithfulness", explained, "--sample", 3).output
    assert "left out    infidelity: it gives no shares" in text
    assert "## deepshap" in whyport("faithfulness", explained, "--sample", 2, "--format", "markdown").output


def test_a_run_without_explanations_is_refused(bundle: Path, table: pa.Table, write: Callable[..., Path]) -> None:
    source = write(table)
    settings = JobSettings(inputs=(str(source),), out=source.parent / "out", device="cpu")
    Job(Bundle.read(bundle), settings).run()
    with pytest.raises(UsageError, match="expected a run that explains its rows"):
        measure_soundness(source.parent / "out")


def test_a_report_has_the_figures_as_a_section(
    bundle: Path, table: pa.Table, write: Callable[..., Path], whyport: Whyport
) -> None:
    source = write(table[:40])
    out, page = source.parent / "out", source.parent / "page.html"
    settings = JobSettings(inputs=(str(source),), out=out, device="cpu", methods=("occlusion",))
    Job(Bundle.read(bundle), settings).run()
    whyport("report", out, "--out", page, "--faithfulness", 2, "--device", "cpu")
    text = page.read_text()
    for expected in ('id="soundness"', "max-sensitivity", "another draw of the background"):
        assert expected in text
