"""DeepSHAP by the bundle's explain.onnx, against the summary of the background inside it."""

import numpy as np

from whyport.batch.methods.baselines import offered
from whyport.batch.methods.engines.onnx import OnnxModel
from whyport.batch.methods.explainer import Explainer, Shares
from whyport.batch.methods.request import Request
from whyport.batch.methods.settings import MethodSettings
from whyport.runtime.bundle.lengths import of_length
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import EXPLAIN_MODEL
from whyport.runtime.errors import UsageError


class OnnxDeepShap(Explainer):
    """The mean over references of multiplier x (x_i - r_i), in float32 only: rows that miss the tolerance say so."""

    only_rounds = True

    def __init__(self, model: OnnxModel, background: References, settings: MethodSettings) -> None:
        first = offered(model.bundle.sidecar)[0].name
        if settings.baseline not in (None, first):
            raise UsageError(
                f"baseline: expected {first!r}, whose references {EXPLAIN_MODEL} has, or the engine torchscript, got "
                f"{settings.baseline!r}"
            )
        super().__init__(model, background, settings)
        self._session = model.session

    def choose_references(self, background: References) -> References:
        bundle = self.model.bundle
        summary, lengths = References.summary(bundle), bundle.sidecar.lengths
        steps = background.rows[0, [each.place for each in lengths]]  # those of the explained rows
        return References(of_length(lengths, summary.rows, steps), summary.weights)

    def attribute(self, request: Request) -> Shares:
        outputs = self._session.run_graph(EXPLAIN_MODEL, request.repeated_rows, request.target)
        evaluations = np.ones(len(request), dtype=np.int32)
        values = self.players.sum_columns(outputs["attribution"])
        return Shares(values, outputs["score"].astype(np.float64), evaluations)
