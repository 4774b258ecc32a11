"""Predicts and explains one batch of clean rows, and checks the two engines against each other."""

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.catalogue import engine_of, explainer_class
from whyport.batch.methods.engines.model import Model
from whyport.batch.methods.engines.onnx import OnnxModel
from whyport.batch.methods.settings import TORCHSCRIPT, ExplainSettings
from whyport.batch.rows import CleanRows, ScoredRows
from whyport.batch.scoring.targets import ClassChoice
from whyport.runtime.attribution import Attribution
from whyport.runtime.bundle.references import References
from whyport.runtime.errors import ParityError, listing
from whyport.runtime.parity import row_deviations
from whyport.runtime.session import Session


class Scorer:
    """ONNX Runtime predicts and picks the class; the explainers are told which.

    Args:
        session: the engine of the predictions, and the measure of every completeness error.
        methods: names from EXPLAINERS; without any, nothing but the session is loaded.
        choice: which class of each row is explained.
        settings: the methods' options.
    """

    def __init__(
        self, session: Session, methods: tuple[str, ...], choice: ClassChoice, settings: ExplainSettings
    ) -> None:
        self._session = session
        self._choice = choice
        self._tolerance = session.bundle.sidecar.tolerances.outputs
        self._explainers = {}
        self._base_values: dict[str, NDArray[np.float64] | None] = {}
        self._models: list[Model] = []
        if not methods:
            return
        engines = {name: engine_of(name, settings.engine) for name in methods}
        models = {engine: _open_model(session, engine) for engine in sorted(set(engines.values()))}
        self._models = list(models.values())
        background = References.read(session.bundle)
        for name, engine in engines.items():
            explainer = explainer_class(name, engine)(models[engine], background, settings)
            self._explainers[name] = explainer
            references = explainer.references
            self._base_values[name] = None if references is None else references.mean_of(self._logits)

    def predict(self, rows: CleanRows) -> dict[str, NDArray[np.float32]]:
        """Logits and probabilities, [N, C] each."""
        return self._session.run(rows.matrix, ["logits", "probabilities"])

    def explain(
        self,
        rows: CleanRows,
        predicted: dict[str, NDArray[np.float32]],
        first_row: int,
        explained: NDArray[np.int64] | None = None,
    ) -> ScoredRows:
        """Every method's attributions, measured against ONNX Runtime's scores.

        Args:
            rows: N rows.
            predicted: what `predict` gave for them.
            first_row: the number of the batch's first row in its file.
            explained: which of the rows to explain, ascending, [M]; None for all.

        Raises ParityError naming the rows where an explainer's own score is not ONNX Runtime's.
        """
        logits, probabilities = predicted["logits"], predicted["probabilities"]
        matrix, source_rows = rows.matrix, first_row + rows.kept
        classes = probabilities.argmax(axis=1)
        if not self._explainers:
            return ScoredRows(rows, probabilities, classes, classes, {}, explained)
        targets = self._choice.targets(classes, rows.labels)
        if explained is not None:
            matrix, source_rows = matrix[explained], source_rows[explained]
            targets, logits = targets[explained], logits[explained]
        for model in self._models:
            model.remember(matrix, logits)
        scores = np.take_along_axis(logits, targets[:, None], axis=1)[:, 0]
        if self._choice.is_all:
            count = logits.shape[1]
            matrix, source_rows = matrix.repeat(count, axis=0), source_rows.repeat(count)
            targets, scores = np.tile(np.arange(count), len(logits)), logits.reshape(-1)
        attributions = {}
        for name in self._explainers:
            attributions[name] = self._explain(name, matrix, targets, scores, source_rows)
        return ScoredRows(rows, probabilities, classes, targets, attributions, explained)

    def _explain(
        self,
        name: str,
        matrix: NDArray[np.float32],
        targets: NDArray[np.int64],
        scores: NDArray[np.float32],
        source_rows: NDArray[np.int64],
    ) -> Attribution:
        explainer = self._explainers[name]
        attribution = explainer.explain(matrix, targets)
        off = row_deviations(attribution.output, scores)
        if (off > self._tolerance).any():
            bad = np.unique(source_rows[off > self._tolerance])
            raise ParityError(
                f"method {name!r}: {explainer.model.engine}'s scores differ from model.onnx's: expected a deviation of "
                f"at most {self._tolerance:g}, got {off.max():.3g}, rows {listing(map(str, bad))}"
            )
        base_values = self._base_values[name]
        return explainer.measure(
            attribution, targets, scores.astype(np.float64), None if base_values is None else base_values[targets]
        )

    def _logits(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = self._session.run(rows, ["logits"])["logits"]
        return logits


def _open_model(session: Session, engine: str) -> Model:
    """The bundle's model on that engine."""
    if engine != TORCHSCRIPT:
        return OnnxModel(session)
    # It needs torch, which everything else does without.
    from whyport.batch.methods.engines.torchscript import TorchScriptModel

    return TorchScriptModel(session.bundle, session.provider.device, session.threads)
