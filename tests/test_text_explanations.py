"""Explanations of texts, by the embeddings of their tokens, against closed forms, enumeration and captum."""

import itertools
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from captum.attr import LayerIntegratedGradients
from onnx import numpy_helper
from torch import Tensor, nn

import whyport
from support import text_bundles as made
from support.forging import forge, with_column
from support.killed_runs import check_resumed_bytes
from support.shown import describe_row
from whyport.batch.report.gather.view import ReportSettings, gather
from whyport.batch.report.shap_package import load_shap
from whyport.runtime.bundle.folder import Bundle, write_sidecar
from whyport.runtime.errors import AuditError, BundleError, BundleFormatError, ParityError, UsageError
from whyport.runtime.inputs.texts.tokenizer import Tokenizer
from whyport.runtime.session import Session
from whyport.runtime.terminal import Painted

CLS, SEP, MASK = (made.VOCABULARY.index(token) for token in ("[CLS]", "[SEP]", "[MASK]"))
TEXTS = made.reviews(17, 4)


def tokenizer_of(bundle: Path) -> Tokenizer:
    (encoder, *_) = Session(bundle).columns.encoders
    found: Tokenizer = encoder.tokenizer
    return found


def ids_of(bundle: Path) -> list[list[int]]:
    return [ids for ids, _ in tokenizer_of(bundle).encode(TEXTS)]


def explained(bundle: Path, folder: Path, method: str, **options: Any) -> pa.Table:
    rows, out = folder / "rows.parquet", folder / method
    pq.write_table(made.rows_of(TEXTS, 4), rows)
    whyport.run(bundle, rows, out, explain=method, explain_target="good", batch_rows=7, **options)
    whyport.audit(out)
    return pq.read_table(out)


def shares(table: pa.Table, name: str = "attribution") -> list[np.ndarray]:
    return [np.array(row, dtype=np.float64) for row in table[name].to_pylist()]


EXACT = ("deepshap", "integrated-gradients", "expected-gradients", "shapley", "occlusion", "input-x-gradient")
"""The methods that are exact for a linear network."""


@pytest.mark.parametrize("method", EXACT)
def test_a_linear_network_shares_its_score_by_its_closed_form(bag_bundle: Path, method: str, tmp_path: Path) -> None:
    network = made.make_bag().double()
    table = explained(bag_bundle, tmp_path, method)
    for found, ids in zip(shares(table), ids_of(bag_bundle), strict=True):
        of_token = network.words.weight[ids] @ network.out.weight[1] / len(ids)
        expected = of_token.detach().numpy()
        # Special tokens are those of the reference, too.
        expected[[0, -1]] *= method == "input-x-gradient"  # which measures against zeros alone
        assert len(found) == len(ids)
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert method == "input-x-gradient" or found[0] == found[-1] == 0


def test_references_of_any_baseline_keep_the_special_tokens(bag_bundle: Path, tmp_path: Path) -> None:
    network = made.make_bag().double()
    words, out = network.words.weight.detach().numpy(), network.out.weight.detach().numpy()[1]
    bias = float(network.out.bias.detach()[1])
    bundle = Bundle.read(bag_bundle)
    tokens = {"mask": MASK, "pad": 0}
    assert {each.name: each.figures for each in bundle.sidecar.baselines if each.kind in tokens} == {
        kind: {"input_ids": float(token)} for kind, token in tokens.items()
    }
    assert bundle.sidecar.baselines[0].name == "zero"
    for kind, token in tokens.items():
        folder = tmp_path / kind
        folder.mkdir()
        table = explained(bag_bundle, folder, "deepshap", baseline=kind)
        for found, base, ids in zip(shares(table), table["base_value"].to_pylist(), ids_of(bag_bundle), strict=True):
            reference = [ids[0], *[token] * (len(ids) - 2), ids[-1]]
            np.testing.assert_allclose(found, (words[ids] - words[reference]) @ out / len(ids), atol=1e-5)
            assert base == pytest.approx(float(words[reference].mean(0) @ out) + bias, abs=1e-5)


def test_reference_rows_are_cut_or_repeated_between_the_special_tokens(bag_bundle: Path, tmp_path: Path) -> None:
    network = made.make_bag().double()
    words, out = network.words.weight.detach().numpy(), network.out.weight.detach().numpy()[1]
    bundle = Bundle.read(bag_bundle)
    rows = pq.read_table(bag_bundle / "background.parquet")
    matrix = np.array(rows["features"].to_pylist()).astype(int)
    table = explained(bag_bundle, tmp_path, "deepshap", baseline="background")
    assert len(matrix) == bundle.sidecar.baseline("background").rows
    for found, ids in zip(shares(table), ids_of(bag_bundle), strict=True):
        inside = len(ids) - 2
        references = [
            [CLS, *itertools.islice(itertools.cycle(row[1 : row[-1] - 1].tolist()), inside), SEP] for row in matrix
        ]
        mean = words[np.array(references)].mean(0)
        np.testing.assert_allclose(found, (words[ids] - mean) @ out / len(ids), atol=1e-5)


def test_integrated_gradients_are_those_of_captum(text_bundle: Path, tmp_path: Path) -> None:
    network = made.make_bert().double()

    def forward(ids: Tensor) -> Tensor:
        logits: Tensor = network(ids).logits[:, 1]
        return logits

    oracle = LayerIntegratedGradients(forward, network.bert.embeddings.word_embeddings)
    table = explained(text_bundle, tmp_path, "integrated-gradients", baseline="mask", tolerance=1e-5)
    for found, ids in zip(shares(table), ids_of(text_bundle), strict=True):
        given = torch.tensor([ids])
        reference = torch.tensor([[ids[0], *[MASK] * (len(ids) - 2), ids[-1]]])
        expected = oracle.attribute(given, reference, n_steps=200, method="gausslegendre").sum(2)[0]
        np.testing.assert_allclose(found, expected.detach().numpy(), atol=1e-4)
        assert found[0] == found[-1] == 0
    assert all(table["converged"].to_pylist())


def worth(ids: list[int], players: list[list[int]]) -> dict[tuple[float, ...], float]:
    """The score of BERT for every coalition of players, which are places of tokens; the other places have zeros."""
    network = made.make_bert().double()
    own = network.bert.embeddings.word_embeddings(torch.tensor(ids))
    masks = torch.tensor(list(itertools.product([0.0, 1.0], repeat=len(players))), dtype=torch.float64)
    there = torch.ones(len(masks), len(ids), dtype=torch.float64)
    for i, places in enumerate(players):
        there[:, places] = masks[:, i : i + 1]
    with torch.no_grad():
        scores = network(inputs_embeds=own * there[:, :, None]).logits[:, 1]
    return {tuple(mask): float(score) for mask, score in zip(masks.tolist(), scores, strict=True)}


def shapley_values(value: dict[tuple[float, ...], float]) -> list[float]:
    """Of each player, from the worth of every coalition."""
    players = len(next(iter(value)))
    found = [0.0] * players
    for subset, of_subset in value.items():
        for player in (i for i in range(players) if not subset[i]):
            size = int(sum(subset))
            weight = math.factorial(size) * math.factorial(players - size - 1) / math.factorial(players)
            joined = tuple(1.0 if i == player else each for i, each in enumerate(subset))
            found[player] += weight * (value[joined] - of_subset)
    return found


def test_shapley_values_of_tokens_are_those_of_enumeration(text_bundle: Path, tmp_path: Path) -> None:
    table = explained(text_bundle, tmp_path, "shapley")
    for found, ids in zip(shares(table), ids_of(text_bundle), strict=True):
        players = [[place] for place in range(1, len(ids) - 1)]
        if len(players) <= 6:
            expected = [0.0, *shapley_values(worth(ids, players)), 0.0]
            np.testing.assert_allclose(found, expected, atol=1e-5)
    assert {len(errors) for errors in shares(table, "standard_error")} == {len(found) for found in shares(table)}


def test_words_are_players_of_their_own(text_bundle: Path, tmp_path: Path) -> None:
    """Where all of their tokens are there or not together, their shares are not the sums of their tokens' own."""
    texts = ["lovely filmly goods", "badly", "the badly dullers film was good", "goods " * 8]
    rows, other = tmp_path / "rows.parquet", dict[str, float]()
    pq.write_table(made.rows_of(texts), rows)
    encoded = [ids for ids, _ in tokenizer_of(text_bundle).encode(texts)]
    options: dict[str, Any] = {"explain_target": "good", "batch_rows": 3}
    for method in ("shapley", "occlusion", "lime"):
        for per in ("word", "token"):
            whyport.run(text_bundle, rows, tmp_path / method / per, explain=method, per=per, **options)
            whyport.audit(tmp_path / method / per)
        of_words, of_tokens = (pq.read_table(tmp_path / method / per) for per in ("word", "token"))
        whyport.run(text_bundle, rows, tmp_path / method / "all", explain=("deepshap", method), per="word", **options)
        beside = pq.read_table(tmp_path / method / "all")
        for i, (found, ids) in enumerate(zip(shares(of_words), encoded, strict=True)):
            places: list[list[int]] = []
            for place in range(1, len(ids) - 1):
                places = [*places[:-1], [*places[-1], place]] if is_suffix(ids[place]) else [*places, [place]]
            assert len(found) == len(places) + 2
            np.testing.assert_array_equal(shares(beside, f"{method}.attribution")[i], found)
            value = worth(ids, places)
            if method == "shapley" and len(places) <= 6:
                np.testing.assert_allclose(found, [0.0, *shapley_values(value), 0.0], atol=1e-5)
            if method == "occlusion":
                left = [value[tuple(float(i != j) for j in range(len(places)))] for i in range(len(places))]
                expected = value[(1.0,) * len(places)] - np.array(left)
                np.testing.assert_allclose(found[1:-1], expected, atol=1e-5)
            of_places = shares(of_tokens)[i]
            sums = [of_places[each].sum() for each in places]
            other[method] = max(other.get(method, 0.0), float(np.abs(found[1:-1] - sums).max()))
    assert min(other.values()) > 1e-3


def is_suffix(token: int) -> bool:
    return made.VOCABULARY[token].startswith("##")


@pytest.mark.parametrize("method", ["deepshap", "shapley", "lime", "gradient", "smoothgrad"])
def test_shares_do_not_depend_on_the_bucket(method: str, bag_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    whole = made.export("make_bag", tmp_path / "one", buckets=False)
    assert len(Bundle.read(bag_bundle).sidecar.graphs) > len(Bundle.read(whole).sidecar.graphs)
    found, expected = (
        shares(explained(bundle, folder, method, seed=3))
        for bundle, folder in ((bag_bundle, tmp_path), (whole, tmp_path / "one"))
    )
    if method in ("lime", "smoothgrad"):  # their samples have as many players as the bucket has tokens
        assert [len(row) for row in found] == [len(row) for row in expected]
        return
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_text_and_columns_add_up_together(text_and_table_bundle: Path, tmp_path: Path) -> None:
    table = explained(text_and_table_bundle, tmp_path, "deepshap")
    of_columns = np.array([table[f"attribution.{name}"].to_pylist() for name in made.COLUMNS]).T
    total = np.array([row.sum() for row in shares(table, "attribution.note")]) + of_columns.sum(1)
    difference = np.array(table["score"].to_pylist()) - np.array(table["base_value"].to_pylist())
    np.testing.assert_allclose(total, difference, atol=1e-5)
    assert (of_columns != 0).all()


@pytest.mark.parametrize("fixture", ["bag_bundle", "text_and_table_bundle"])
def test_tokens_stand_beside_their_shares_with_their_places_in_the_text(
    fixture: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    bundle, end = request.getfixturevalue(fixture), ".note" if "table" in fixture else ""
    texts = ["A lovely film, never  dull!", "\u00c9tait-ce good? \U0001f600 yes", "", " ".join(["very"] * 40)]
    rows = tmp_path / "rows.parquet"
    pq.write_table(made.rows_of(texts), rows)
    whyport.run(bundle, rows, tmp_path / "out", explain="deepshap", explain_where="source_row != 2")
    whyport.audit(tmp_path / "out")
    found = pq.read_table(tmp_path / "out").to_pylist()
    assert found[2][f"tokens{end}"] is found[2][f"offsets{end}"] is None
    for row, text in zip(found, texts, strict=True):
        if row["source_row"] == 2:
            continue
        tokens, offsets = row[f"tokens{end}"], row[f"offsets{end}"]
        assert len(tokens) == len(offsets) == len(row[f"attribution{end}"])
        assert (tokens[0], tokens[-1], offsets[0], offsets[-1]) == ("[CLS]", "[SEP]", [0, 0], [0, 0])
        for token, (start, stop) in list(zip(tokens, offsets, strict=True))[1:-1]:
            assert token in ("[UNK]", text[start:stop].lower(), f"##{text[start:stop].lower()}")
    assert found[0][f"tokens{end}"][1:5] == ["a", "lovely", "film", ","]
    assert found[0][f"offsets{end}"][5:7] == [[15, 20], [22, 26]]
    assert len(found[3][f"tokens{end}"]) == made.LENGTH


def test_words_have_the_sums_of_their_tokens(bag_bundle: Path, text_and_table_bundle: Path, tmp_path: Path) -> None:
    texts = ["lovely filmly goods was the actors!", "the badly dullers film", "", "very " * 20]
    rows = tmp_path / "rows.parquet"
    pq.write_table(made.rows_of(texts), rows)
    for bundle, end in ((bag_bundle, ""), (text_and_table_bundle, ".note")):
        folder = tmp_path / f"out{end}"
        for per in ("token", "word"):
            whyport.run(bundle, rows, folder / per, explain="deepshap", per=per, explain_target="good")
            whyport.audit(folder / per)
        tokens, words = (pq.read_table(folder / per).to_pylist() for per in ("token", "word"))
        for of_tokens, of_words, text in zip(tokens, words, texts, strict=True):
            expected: list[float] = []
            for token, share in zip(of_tokens[f"tokens{end}"], of_tokens[f"attribution{end}"], strict=True):
                if token.startswith("##"):
                    expected[-1] += share
                else:
                    expected.append(share)
            np.testing.assert_allclose(of_words[f"attribution{end}"], expected, atol=1e-6)
            assert of_words["completeness_error"] == pytest.approx(of_tokens["completeness_error"], abs=1e-7)
            pieces = list(zip(of_words[f"tokens{end}"], of_words[f"offsets{end}"], strict=True))[1:-1]
            assert [text[start:stop] for _, (start, stop) in pieces] == [word for word, _ in pieces]
        assert words[0][f"tokens{end}"] == ["[CLS]", "lovely", "filmly", "goods", "was", "the", "actors", "!", "[SEP]"]
        assert any("'filmly'" in line for line in describe_row(folder / "word", 0, None, 12))


def test_shap_draws_texts_with_its_own_plot(bag_bundle: Path, tmp_path: Path) -> None:
    shap = load_shap()
    table = explained(bag_bundle, tmp_path, "deepshap")
    (found,) = whyport.to_shap(tmp_path / "deepshap").values()
    for values, data, own, tokens in zip(
        found.values, found.data, table["attribution"].to_pylist(), table["tokens"].to_pylist(), strict=True
    ):
        np.testing.assert_allclose(values, own, atol=1e-6)
        assert [token.strip() for token in data] == tokens
    drawn = shap.plots.text(found[3], display=False)
    assert all(token in drawn for token in table["tokens"].to_pylist()[3])


def test_another_token_than_the_texts_is_found_by_audit(bag_bundle: Path, tmp_path: Path) -> None:
    rows, out = made.write_rows(tmp_path / "rows.parquet", 5), tmp_path / "out"
    whyport.run(bag_bundle, rows, out, explain="gradient")
    (part,) = out.glob("part*.parquet")
    other = with_column("tokens", lambda lists: [*lists[:3], ["[UNK]", *lists[3][1:]], *lists[4:]])
    forge(out, other, part.name)
    with pytest.raises(AuditError, match=r"tokens: computed again it comes out different, rows '3'"):
        whyport.audit(out)


def test_a_killed_run_resumes_to_the_same_bytes(text_bundle: Path, tmp_path: Path) -> None:
    rows = made.write_rows(tmp_path / "rows.parquet")
    options = {"explain": "deepshap", "batch_rows": 8, "part_rows": 8}
    check_resumed_bytes(text_bundle, rows, tmp_path, killed_after=10, **options)


def test_memory_for_one_row_is_enough(bag_bundle: Path, tmp_path: Path) -> None:
    whole = shares(explained(bag_bundle, tmp_path, "deepshap"))
    (tmp_path / "few").mkdir()
    parts = shares(explained(bag_bundle, tmp_path / "few", "deepshap", memory="1kB"))
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.fixture(scope="session")
def run(text_and_table_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    rows = made.write_rows(folder / "rows.parquet", 30)
    whyport.run(text_and_table_bundle, rows, folder / "out", explain="deepshap", explain_target="all", keep=["label"])
    return folder / "out"


def test_show_names_the_tokens_and_paints_them(run: Path) -> None:
    lines = describe_row(run, 3, None, 3)
    row = pq.read_table(run).to_pylist()[3]
    painted = [line for line in lines if isinstance(line, Painted)]
    assert len(painted) == 2
    shares = row["attribution.good.note"] if "attribution.good.note" in row else row["attribution.note"]
    assert len(row["tokens.note"]) == len(shares)
    for line in painted:
        texts = [text.split("(")[0].strip() for text, _ in line.parts]
        assert texts == ["note:", *row["tokens.note"]]
        strong = [(text, colour) for text, colour in line.parts if "(" in text]
        assert len(strong) == 3
        assert all((colour == "red") == ("(+" in text) for text, colour in strong)
    assert any(f"note[3] = {row['tokens.note'][3]!r}" in line for line in describe_row(run, 3, None, 12))


def test_the_report_paints_the_texts_of_its_rows(run: Path, tmp_path: Path) -> None:
    (page, *_) = whyport.report(run, tmp_path / "page.html", label="label", row=3)
    text = page.read_text()
    row = pq.read_table(run).to_pylist()[3]
    painted = text[text.index('class="painted"') :]
    for token in row["tokens.note"]:
        assert f">{token}</span>" in painted
    assert "rgb(214 39 40 / 0.68)" in painted or "rgb(31 119 180 / 0.68)" in painted
    assert "of the baseline &#39;zero&#39;" in painted


def test_dependence_on_a_column_beside_a_text_is_that_of_the_model(run: Path, text_and_table_bundle: Path) -> None:
    view = gather(ReportSettings(run, label="label"))
    found, session = view.dependences[0], Session(text_and_table_bundle)
    rows = pq.read_table(run.parent / "rows.parquet").to_pandas()
    name = found.grid.column.name
    rows = rows.drop_duplicates(name, keep=False)
    own = np.isin(found.found.astype(np.float32), rows[name].to_numpy(dtype=np.float32))
    assert own.sum() > 20
    place = [int(np.argmin(np.abs(rows[name] - value))) for value in found.found[own]]
    columns = [session.task.targets.index(target) for target in found.targets]
    of_rows = rows.iloc[place]
    for given, scores in ((of_rows, found.own), (of_rows.assign(**{name: found.grid.values[0]}), found.scores[:, 0])):
        expected = session.predict(pa.Table.from_pandas(given))["logits"][:, columns]
        np.testing.assert_allclose(scores[own], expected, atol=1e-5)


class ReadsIds(made.Bag):
    """A network that makes its mask of the ids themselves."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """[N, T] and [N, T] to [N, 2]."""
        return super().forward(input_ids, attention_mask * (input_ids != CLS))


class LooksUpTwice(made.Bag):
    """A network with two tables of embeddings."""

    def __init__(self) -> None:
        super().__init__()
        self.more = nn.Embedding(len(made.VOCABULARY), 4)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """[N, T] and [N, T] to [N, 2]."""
        return super().forward(input_ids, attention_mask) + self.out(self.more(input_ids).mean(1) * 0)


def make_reads_ids() -> nn.Module:
    torch.manual_seed(0)
    return ReadsIds().eval()


def make_looks_up_twice() -> nn.Module:
    torch.manual_seed(0)
    return LooksUpTwice().eval()


REFUSED = {
    "make_reads_ids": "the network reads token ids beside their embeddings: expected the scores of the ids",
    "make_looks_up_twice": "expected one nn.Embedding that looks up the token ids of 'input_ids', got words and more",
}


@pytest.mark.parametrize("network", REFUSED)
def test_a_network_whose_embeddings_are_not_all_that_it_reads_predicts_alone(network: str, tmp_path: Path) -> None:
    sample = made.write_rows(tmp_path / "sample.parquet", 60, 0)
    bundle = whyport.export(
        f"{__name__}:{network}",
        sample,
        tmp_path / "bundle",
        input=[made.text_input("input_ids", tmp_path)],
        classes=["bad", "good"],
    )
    whyport.run(bundle.path, sample, tmp_path / "out")
    whyport.verify(bundle.path)
    with pytest.raises(BundleError, match=REFUSED[network]):
        whyport.run(bundle.path, sample, tmp_path / "explained", explain="deepshap")


def test_what_the_view_gives_is_checked_with_the_bundle(bag_bundle: Path) -> None:
    deviations = whyport.verify(bag_bundle).deviations
    assert {"embed.onnx logits", "embedded: logits", "embedded: steps-8: logits"} <= set(deviations)
    assert all(value < 1e-5 for value in deviations.values())


def test_another_embedding_is_a_fault_of_the_bundle(bag_bundle: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(bag_bundle, tmp_path / "bundle")
    model = onnx.load(copy / "embed.onnx")
    (table,) = model.graph.initializer
    table.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(table) * 1.01, table.name))
    (copy / "embed.onnx").write_bytes(model.SerializeToString())
    write_sidecar(copy, Bundle.read(bag_bundle).sidecar)
    with pytest.raises(ParityError, match=r"embed\.onnx logits"):
        whyport.verify(copy)


def test_a_sidecar_whose_view_cannot_be_is_refused_in_words(bag_bundle: Path, tmp_path: Path) -> None:
    rows = made.write_rows(tmp_path / "rows.parquet", 3)
    sidecar = Bundle.read(bag_bundle).sidecar
    (embed,) = [graph for graph in sidecar.graphs if graph.variant == "embedding"]
    (given,) = embed.outputs
    damaged = {
        "taken": replace(embed, inputs=(replace(embed.inputs[0], dtype="float32"),)),
        "name": replace(embed, outputs=(replace(given, name="other"),)),
        "shape": replace(embed, outputs=(replace(given, shape=("N", 3, 4)),)),
    }
    for name, graph in damaged.items():
        copy = shutil.copytree(bag_bundle, tmp_path / name)
        write_sidecar(copy, replace(sidecar, graphs=tuple(graph if each is embed else each for each in sidecar.graphs)))
        with pytest.raises(BundleFormatError, match=r"'input_ids' to be taken, and 'input_ids\.embedding'"):
            whyport.run(copy, rows, tmp_path / "out", explain="lime")
    copy = shutil.copytree(bag_bundle, tmp_path / "figure")
    baselines = tuple(replace(each, figures={}) for each in sidecar.baselines)
    write_sidecar(copy, replace(sidecar, baselines=baselines))
    with pytest.raises(UsageError, match="baseline 'mask': expected the id of its token"):
        whyport.run(copy, rows, tmp_path / "out", explain="lime", baseline="mask")


def test_a_baseline_that_a_tokenizer_lacks_is_refused_by_name(bag_bundle: Path, tmp_path: Path) -> None:
    rows = made.write_rows(tmp_path / "rows.parquet", 3)
    with pytest.raises(UsageError, match="baseline"):
        whyport.run(bag_bundle, rows, tmp_path / "out", explain="deepshap", baseline="blur")
