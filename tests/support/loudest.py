"""A method that a test adds: one file, and one entry of the table."""

import numpy as np

from whyport.batch.methods.explainer import Explainer, Shares
from whyport.batch.methods.request import Request
from whyport.runtime.bundle.references import References


class Loudest(Explainer):
    """A row's largest value, times an option, at its place; beside it how loud every feature is, and the row."""

    def choose_references(self, background: References) -> None:
        return None

    def extra_shapes(self) -> dict[str, tuple[int, ...]]:
        shape = (len(self.model.bundle.sidecar.columns),)
        return {"loudness": shape, "heard": shape}

    def attribute(self, request: Request) -> Shares:
        rows = request.repeated_rows
        values = (
            np.where(np.abs(rows) == np.abs(rows).max(axis=1, keepdims=True), rows, 0) * self.settings.options["gain"]
        )
        extras = {"loudness": np.abs(rows), "heard": rows}
        return Shares(values.astype(np.float32), request.output, np.ones(len(request), dtype=np.int32), extras)
