"""Predicts and explains one batch of clean rows, and compares the two engines' scores."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from whyport.batch.arrow import take
from whyport.batch.methods.baselines import ChosenBaseline
from whyport.batch.methods.catalogue import engine_of
from whyport.batch.methods.engines.model import Model
from whyport.batch.methods.engines.onnx import OnnxModel
from whyport.batch.methods.explainer import explainer_class, rows_within
from whyport.batch.methods.method import TORCHSCRIPT
from whyport.batch.methods.per import CELL, WORD
from whyport.batch.methods.players import Labels, PlayerMap, groups_within
from whyport.batch.methods.reduction import Reduction
from whyport.batch.methods.request import Request
from whyport.batch.methods.scale import score_scale
from whyport.batch.methods.segments.pictures import SegmentedPictures
from whyport.batch.methods.settings import ExplainSettings, MethodSettings
from whyport.batch.methods.token_references import TokenReferences
from whyport.batch.rows import CleanBatch, PredictedRows, ScoredRows
from whyport.batch.scoring.lengths import ExplainersOfLengths, Ready, joined
from whyport.batch.scoring.words import WordSums, word_players
from whyport.batch.targets import TargetChoice
from whyport.runtime.attribution import Attribution
from whyport.runtime.batching import batch_slices
from whyport.runtime.bundle.buckets import levels
from whyport.runtime.bundle.lengths import padding
from whyport.runtime.bundle.references import References
from whyport.runtime.errors import BundleError, ParityError, listing
from whyport.runtime.finite import UnansweredRows
from whyport.runtime.inputs.texts.encoder import TextEncoder
from whyport.runtime.inputs.texts.tokenizer import Tokens
from whyport.runtime.parity import row_deviations
from whyport.runtime.session import Session

EMBEDDED_BYTES = 16
"""The most bytes of a value of an embedded row, while it is made, sorted by length and explained."""


Way = tuple[Sequence[str], Sequence[Labels]]
"""Some methods, and each row's own players for them; none where all rows have the same."""


class Scorer:
    """Scores batches: ONNX Runtime predicts and measures every completeness error, and the explainers give shares.

    Args:
        session: the engine of the predictions.
        methods: names from the catalogue; without any, only the session is loaded.
        choice: which target of each row is explained.
        settings: the methods' options.
        reduction: what has a share in place of a cell; None for the cells.
    """

    def __init__(
        self,
        session: Session,
        methods: tuple[str, ...],
        choice: TargetChoice,
        settings: ExplainSettings,
        reduction: Reduction | None = None,
    ) -> None:
        self._session = session
        self._choice = choice
        self._reduction = reduction
        self._tolerance = session.bundle.sidecar.tolerances["outputs"]
        self._settings = settings
        self._models: dict[tuple[str, int], Model] = {}
        """By the engine and the bucket."""
        self._methods = methods
        self._measured_against_nothing: dict[str, Ready] = {}
        """By name: they need no references, so that one serves every row of one length."""
        self._pictures = SegmentedPictures.of(session.bundle.sidecar, CELL if reduction is None else reduction.per)
        self._embedding = session.embedding if methods else None
        self._explaining = session if self._embedding is None else self._embedding.session
        """The session whose rows are explained: of texts, by their embeddings."""
        self._tokens: TokenReferences | None = None
        if methods:
            baseline = ChosenBaseline.of(session.bundle, settings.baseline)
            if self._embedding is not None:
                self._tokens = TokenReferences.of(session, self._embedding, settings.baseline)
            lengths = self._explaining.bundle.sidecar.lengths
            fit = None if self._tokens is None else self._fitted
            self._by_length = ExplainersOfLengths(lengths, baseline, self._make, settings.memory, fit)
            self._by_length.usual()  # what a bundle cannot serve is refused before the first row

    @property
    def explainers(self) -> dict[str, Ready]:
        """The methods, by name; of rows of varying length, for those of the test vectors."""
        return self._by_length.usual() if self._methods else {}

    @cached_property
    def _word_games(self) -> tuple[str, ...]:
        """The methods that have words as players; the others have sums of tokens."""
        if self._reduction is None or self._reduction.per != WORD or self._settings.players:
            return ()
        engine = self._settings.engine
        return tuple(name for name in self._methods if explainer_class(name, engine_of(name, engine)).plays)

    @cached_property
    def _most_tokens(self) -> dict[str, int]:
        """The most tokens of each text, by the input's name."""
        return {each.name: each.steps for each in self._explaining.bundle.sidecar.lengths}

    @cached_property
    def scale(self) -> NDArray[np.float64]:
        """The scale of each target's score, [K], see `score_scale`."""
        return score_scale(self._session.task, References.read(self._session.bundle), partial(_scores, self._session))

    @cached_property
    def _players(self) -> PlayerMap:
        """The players of the longest rows, and of pictures in as many segments as can be."""
        per = MethodSettings.per if self._reduction is None else self._reduction.per
        return PlayerMap.of(self._explaining.bundle.sidecar, self._settings.players, per)

    def predict(self, batch: CleanBatch, source_file: str = "") -> PredictedRows:
        """The model's predictions for a batch's clean rows; rows whose outputs are not finite are rejected."""
        task = self._session.task
        outputs = self._session.run(batch.rows.matrix, task.outputs)
        unanswered = UnansweredRows.of(outputs)
        if len(unanswered):
            rows = batch.rows.without(unanswered.rows, unanswered.reasons)
            batch = replace(batch, rows=rows)
            outputs = {name: np.delete(values, unanswered.rows, axis=0) for name, values in outputs.items()}
        return PredictedRows(source_file, batch, outputs[task.score], task.predict(outputs))

    def explain(self, predicted: PredictedRows, explained: NDArray[np.int64] | None = None) -> ScoredRows:
        """Every method's attributions, measured against ONNX Runtime's scores.

        Args:
            predicted: N rows, from `predict`.
            explained: indices of the rows to explain, ascending, [M]; None for all.

        Raises ParityError naming the rows where an explainer's own score differs from ONNX Runtime's.
        """
        default = predicted.prediction.target
        if not self._methods:
            return ScoredRows(predicted, default, {}, explained)
        source_rows = predicted.source_rows if explained is None else predicted.source_rows[explained]
        request = self._request(predicted, explained)
        rows = request.rows
        texts = self._texts_of(predicted, explained)
        tokens = self._tokens_of(texts)
        labels = [self._pictures.labels(row) for row in rows] if self._pictures.segmenters else []
        ways = self._ways(labels, tokens)
        parts: dict[str, list[tuple[NDArray[np.int64], Attribution]]] = {name: [] for name in self._methods}
        for ready, cut, explanations in self._parts(request, ways):
            own_rows = source_rows[np.unique(request.row[explanations])]
            for name, own in ready.items():
                parts[name].append((explanations, self._attributed(name, own, cut, own_rows)))
        attributions = {name: self._reduced(joined(found)) for name, found in parts.items()}
        if not tokens or self._reduction is None or self._reduction.per != WORD:
            return ScoredRows(predicted, request.target, attributions, explained, tokens, segments=labels)
        positions = self._reduction.positions
        sums = WordSums(positions, {name: [own.word for own in each] for name, each in tokens.items()}, request.row)
        attributions = {name: sums.of(each) for name, each in attributions.items()}
        words = {
            name: [own.words(text) for own, text in zip(tokens[name], each, strict=True)]
            for name, each in texts.items()
        }
        steps = sums.steps(positions.steps_of(rows))
        return ScoredRows(predicted, request.target, attributions, explained, words, steps)

    def explainers_of(self, predicted: PredictedRows) -> Iterator[tuple[dict[str, Ready], Request]]:
        """The explainers of rows, by method: for rows that share references together, with the request for these."""
        request = self._request(predicted, None)
        tokens = self._tokens_of(self._texts_of(predicted, None))
        labels = [self._pictures.labels(row) for row in request.rows] if self._pictures.segmenters else []
        for ready, part, _ in self._parts(request, self._ways(labels, tokens)):
            yield ready, part

    def _request(self, predicted: PredictedRows, explained: NDArray[np.int64] | None) -> Request:
        """The request for all explanations of some of the rows."""
        rows, scores = predicted.rows.matrix, predicted.scores
        targets = self._choice.targets(predicted.prediction.target, predicted.rows.labels, scores)
        if explained is not None:
            rows, scores, targets = rows[explained], scores[explained], targets[explained]
        return Request.of_targets(rows, scores, targets)

    def _ways(self, labels: Sequence[Labels], tokens: Mapping[str, Sequence[Tokens]]) -> "list[Way]":
        """The methods that have the same players, with these of each row where rows have their own."""
        if not (self._word_games and tokens):
            return [(self._methods, labels)]
        others = [name for name in self._methods if name not in self._word_games]
        words: Way = (self._word_games, word_players(tokens, self._most_tokens))
        return [words, *([(others, ())] if others else [])]

    def _parts(
        self, request: Request, ways: "Sequence[Way]"
    ) -> Iterator[tuple[dict[str, Ready], Request, NDArray[np.int64]]]:
        """The parts of a request whose rows share references: explainers by method, rows, places of explanations."""
        for first, some in self._as_explained(request):
            row = int(request.row[first]) if len(some) else 0
            for methods, of_rows in ways:
                for ready, part, inside in self._by_length.split(some, of_rows[row : row + len(some.rows)]):
                    own = {name: ready[name] for name in methods}
                    yield own, next(iter(ready.values())).cut(part), first + inside

    @property
    def tokenised(self) -> Mapping[str, TextEncoder]:
        """What cuts texts into tokens that are explained, by the texts' columns."""
        return self._session.columns.tokenised if self._methods else {}

    def _tokens_of(self, texts: Mapping[str, Sequence[str]]) -> dict[str, list[Tokens]]:
        """The tokens of texts, by their inputs."""
        return {
            name: encoder.tokenizer.tokens(texts[name])
            for encoder in self.tokenised.values()
            if (name := encoder.input) in texts
        }

    def _texts_of(self, predicted: PredictedRows, explained: NDArray[np.int64] | None) -> dict[str, list[str]]:
        """The texts of the explained rows, by their inputs, where the batch has them."""
        kept = predicted.rows.kept if explained is None else predicted.rows.kept[explained]
        texts = predicted.batch.texts
        return {
            encoder.input: take(texts[name], kept).to_pylist()
            for name, encoder in self.tokenised.items()
            if name in texts
        }

    def _as_explained(self, request: Request) -> Iterator[tuple[int, Request]]:
        """Parts of a request with the rows that are explained, each with the place of its first explanation.

        Embeddings of texts are hundreds of times their ids: a part has as many as the memory budget holds.
        """
        if self._embedding is None or not len(request):
            yield 0, request
            return
        first, width = 0, len(self._explaining.bundle.sidecar.features)
        for rows in batch_slices(len(request.rows), rows_within(self._settings.memory, EMBEDDED_BYTES * width)):
            part = request.take(rows)
            yield first, Request(self._embedding.rows(part.rows), part.scores, part.row, part.target)
            first += len(part)

    def _fitted(self, references: References, steps: Sequence[float]) -> References:
        """The embedded references of texts of so many tokens."""
        assert self._tokens is not None
        return self._tokens.fitted(self._session.bundle.sidecar.lengths, references, steps)

    def _reduced(self, attribution: Attribution) -> Attribution:
        return attribution if self._reduction is None else self._reduction.reduced(attribution)

    def _attributed(self, name: str, ready: Ready, request: Request, source_rows: NDArray[np.int64]) -> Attribution:
        """The attributions of rows of one length."""
        explainer = ready.explainer
        shares = explainer.explain(request)
        off = row_deviations(shares.output, request.output, self.scale[request.target])
        is_off = ~(off <= self._tolerance)
        # Of a smaller variant, reasons are of its weights without its arithmetic: each row's error says how far off.
        if is_off.any() and self._session.variant is None:
            bad = np.unique(source_rows[request.row[is_off]])
            raise ParityError(
                f"method {name!r}: {explainer.scored_by}'s scores differ from model.onnx's: expected a deviation of "
                f"at most {self._tolerance:g}, got {off.max():.3g}, rows {listing(map(str, bad))}"
            )
        return ready.whole(explainer.measure(shares, request, ready.base_values))

    def _make(self, references: References, labels: Labels | None) -> dict[str, Ready]:
        """Explainers against references of one length, by name; `labels` are one row's segments, or words."""
        methods = self._methods if labels is None or not self._word_games else self._word_games
        return {name: self._made(name, references, labels) for name in methods}

    def _made(self, name: str, references: References, labels: Labels | None) -> Ready:
        """A method's explainer against references of one length, in the bucket that holds them."""
        engine = engine_of(name, self._settings.engine)
        level = int(levels(self._explaining.bundle.sidecar.lengths, references.rows[:1])[0])
        if (engine, level) not in self._models:
            self._models[engine, level] = _open_model(self._explaining.bucket(level), engine)
        if name in self._measured_against_nothing and labels is None:
            return self._measured_against_nothing[name]
        model, settings = self._models[engine, level], self._settings.of_method(name)
        if self._reduction is not None:
            settings = replace(settings, per=self._reduction.per)
        alike = self._alike(references)
        if level:
            assert alike is not None
            alike = alike[list(model.bundle.places)]
            settings = replace(settings, players=groups_within(settings.players, model.bundle.sidecar))
            references = References(references.rows[:, list(model.bundle.places)], references.weights)
        settings = replace(settings, alike=alike)
        if labels is not None:
            players_of_all = model.players(settings.players, settings.per)
            settings = replace(settings, row_players=players_of_all.of_row(model.bundle.sidecar, labels))
        with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is refused below, in words
            explainer = explainer_class(name, engine)(model, references, settings)
        base_values = explainer.base_values(partial(self._mean_score, name, self._explaining.bucket(level)))
        ready = Ready(explainer, base_values, self._players.names)
        if explainer.references is None and labels is None and not self._explaining.bundle.sidecar.lengths:
            self._measured_against_nothing[name] = ready
        return ready

    def _alike(self, references: References) -> NDArray[np.bool_] | None:
        """Which features, [F], rows as long as the references have alike with these: padding, lengths, special tokens.

        None where every row is of one length.
        """
        sidecar = self._explaining.bundle.sidecar
        if not sidecar.lengths:
            return None
        found: NDArray[np.bool_] = padding(sidecar.lengths, references.rows[:1])[0]
        found[[each.place for each in sidecar.lengths]] = True
        if self._tokens is not None:
            found |= self._tokens.special(references.rows[0, [each.place for each in sidecar.lengths]].tolist())
        return found

    def _mean_score(self, method: str, session: Session, references: References) -> NDArray[np.float64]:
        """The mean score of every target over the references, [K]; raises BundleError where a score is not finite."""
        scores = _scores(session, references.rows)
        unanswered = UnansweredRows.of({self._explaining.task.score: scores})
        if len(unanswered):
            raise BundleError(
                f"method {method!r} cannot measure against reference rows without a score: {unanswered.summary}, "
                f"in {self._explaining.bundle.path}"
            )
        return references.mean_of(lambda rows: scores)


def _scores(session: Session, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The scores of every target, [N, K], of rows [N, F]."""
    name = session.task.score
    scores: NDArray[np.float32] = session.run(rows, [name])[name]
    return scores


def _open_model(session: Session, engine: str) -> Model:
    """The bundle's model on the named engine."""
    if engine != TORCHSCRIPT:
        return OnnxModel(session)
    # This module needs torch, and nothing else here does.
    from whyport.batch.methods.engines.torchscript import TorchScriptModel

    return TorchScriptModel(session.bundle, session.provider.device, session.threads)
