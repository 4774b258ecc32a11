"""Fast batched inference with ONNX Runtime."""

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.arguments import at_least, typed
from whyport.runtime.attribution import Attribution, attribution, target_index
from whyport.runtime.batching import rows_per_call
from whyport.runtime.bundle.bucket_rules import check_buckets
from whyport.runtime.bundle.buckets import bundle_at, level_count, levels
from whyport.runtime.bundle.class_maps import CAM, cam_graph
from whyport.runtime.bundle.consistency import check_usable
from whyport.runtime.bundle.embedded import embedded_bundle
from whyport.runtime.bundle.folder import Bundle, as_bundle
from whyport.runtime.bundle.graphs import (
    ATTRIBUTION,
    EXPLAINED_TARGET,
    GRADIENT,
    NOT_THERE,
    OLD_NAMES,
    SCORE,
    TARGET_INDEX,
    capability_of,
    named_as_in,
    reasons_graphs,
    reasons_inputs,
)
from whyport.runtime.bundle.lengths import same_lengths
from whyport.runtime.bundle.operators import mixes_rows, model_on_the_cpu
from whyport.runtime.bundle.precisions import bundle_in
from whyport.runtime.bundle.sidecar import CAM_MODEL, EXPLAIN_MODEL, ONNX_MODEL, Sidecar, task_of
from whyport.runtime.errors import (
    BundleError,
    DigestError,
    MissingValueError,
    ProviderError,
    UsageError,
    ValueRangeError,
    unknown,
)
from whyport.runtime.finite import answers, check_on_bad
from whyport.runtime.inputs.feeds import input_feeds
from whyport.runtime.inputs.table import Columns, EncodedRows
from whyport.runtime.providers import DEVICES, Provider, available_cores
from whyport.runtime.runner import Runner
from whyport.runtime.store.path import Place
from whyport.runtime.task import Task

if TYPE_CHECKING:
    from whyport.runtime.embedding import Embedding

logger = logging.getLogger(__name__)

Rows = NDArray[np.float32] | Mapping[str, NDArray[Any]]
"""Rows as a matrix [N, F], or as the tensors that a graph takes, by name."""


@dataclasses.dataclass(frozen=True)
class _Asked:
    """The arguments of a session, before anything depends on the machine."""

    device: str
    threads: int | None
    batch_rows: int | None
    variant: str | None


class Session:
    """A bundle on an execution provider, with batching.

    A session can be pickled where its bundle has a path that the other process can read. It is opened again there, with
    the same arguments, and raises DigestError if the bundle has changed.

    Args:
        bundle: the bundle whose model.onnx is run, or its path.
        device: "cpu", "cuda", or "auto" (CUDA if it works); raises ProviderError if the device is not available, or for
            "cuda" if the model is made of trees, or is another operator that ONNX Runtime has for the CPU alone.
        threads: calls of ONNX Runtime that run side by side on the CPU; by default the cores that this process may
            use. The results do not depend on it.
        batch_rows: rows per call of ONNX Runtime; by default a number that suits the device and the model. It is
            always 1 where a model quantises by the range of all rows of a call.
        variant: the name of a smaller variant of the bundle, such as "int8"; by default the model in full size. Raises
            UsageError where the bundle has no such variant.
    """

    provider: Provider
    """The session's actual provider."""
    task: Task
    """The meaning of the model's outputs."""
    columns: Columns
    """The columns of a user's table that feed the model."""
    variant: str | None
    """The name of the smaller variant that is run; None for the model in full size."""

    @typed
    def __init__(
        self,
        bundle: Bundle | str | Place,
        device: str = "auto",
        *,
        threads: int | None = None,
        batch_rows: int | None = None,
        variant: str | None = None,
    ) -> None:
        for name, number in (("threads", threads), ("batch_rows", batch_rows)):
            if number is not None:
                at_least(name, number, 1)
        self.bundle = bundle_in(as_bundle(bundle), variant)
        self.variant = self.bundle.precision
        self._asked = _Asked(device, threads, batch_rows, self.variant)
        check_usable(self.bundle.sidecar)
        check_buckets(self.bundle.sidecar)
        self.task = task_of(self.bundle.sidecar)
        self.threads = threads or available_cores()
        model = self.bundle.read_bytes(ONNX_MODEL)
        if mixes_rows(model):
            batch_rows = 1  # so that no row's answer depends on the rows beside it
        sizes = None if batch_rows is None else dict.fromkeys(DEVICES, batch_rows)
        device = _own_device(self.bundle.sidecar, model, device)
        self._model = Runner(ONNX_MODEL, model, device, self.threads, sizes)
        self.provider = self._model.provider
        self.batch_rows = self._model.batch_rows
        self._graphs: dict[str, Runner] = {}
        self.columns = Columns.of_bundle(self.bundle)
        self._buckets: dict[int, Session] = {}

    def predict(
        self, rows: Any, outputs: Sequence[str] | None = None, *, on_bad: str = "raise"
    ) -> dict[str, NDArray[Any]]:
        """Run the model on raw feature values.

        Args:
            rows: a mapping from column names to arrays [N], a list of N dictionaries, a pandas-, polars- or Arrow-like
                frame, or an array [N, F]. Numbers of any type, and where the model takes them texts, booleans, dates.
                A missing value is accepted where the model has a way with it. A category or date that training has
                not seen is scored by the model's own rule, with a warning in the log.
            outputs: names of the outputs to compute; by default all of the signature's.
            on_bad: what becomes of rows with an output that is not finite: "raise", or "nan", which gives NaN in every
                output of theirs.

        Returns:
            An array by output name, N long on the first axis; empty arrays for N = 0.

        Raises:
            ColumnError, ValueRangeError, MissingValueError: the rows do not fit. NotFiniteError: the model gives NaN
            or infinity; the first ten rows are named. UsageError: unknown output, or unknown `on_bad`.
        """
        check_on_bad(on_bad)
        return answers(self.run(self.matrix(rows), outputs), on_bad)

    def matrix(self, rows: Any) -> NDArray[np.float32]:
        """The float32 matrix [N, F] that `predict` would use for these rows; raises and warns as `predict` does."""
        encoded = self.encode(rows)
        if encoded.unseen.rows:
            logger.warning("%s", encoded.unseen.text(len(encoded.matrix)))
        if encoded.unseen.cut:
            logger.warning("%s", encoded.unseen.cut_text(len(encoded.matrix)))
        return encoded.matrix

    def encode(self, rows: Any) -> EncodedRows:
        """The same matrix, and the values in it that training has not seen; raises as `predict` does."""
        encoded = self.columns.encode(rows)
        if not np.isfinite(encoded.matrix).all():
            self.columns.check_cells(rows, encoded.matrix)
            self._check_missing(encoded.matrix)
        return encoded

    def run(self, rows: Rows, outputs: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
        """Run the model; what is not finite is given as it is.

        Args:
            rows: a float32 matrix [N, F] that `matrix` made, or the graph's own tensors by name.
            outputs: names of the outputs to compute; by default all of the signature's.
        """
        signature = self.bundle.sidecar.signature
        known = [spec.name for spec in signature.outputs]
        names = known if outputs is None else list(outputs)
        for name in names:
            if name not in known:
                raise UsageError(unknown("output", name, known))
        specs = [signature.output(name) for name in names]
        lengths = self.bundle.sidecar.lengths
        if isinstance(rows, Mapping) or level_count(lengths) == 1:
            return self._model.run(self._feeds(rows), specs)
        made = {spec.name: np.zeros((len(rows), *spec.row_shape()), dtype=np.dtype(spec.dtype)) for spec in specs}
        level = levels(lengths, rows)
        for each in np.unique(level):
            own, bucket = np.flatnonzero(level == each), self.bucket(int(each))
            feeds = bucket._feeds(rows[np.ix_(own, bucket.places)])
            for name, values in bucket._model.run(feeds, specs).items():
                made[name][own] = values
        return made

    def bucket(self, level: int) -> "Session":
        """The session of a bucket of rows of varying length, see `runtime.bundle.buckets`; itself for the longest."""
        if not level:
            return self
        if level not in self._buckets:
            asked = self._asked
            self._buckets[level] = Session(
                bundle_at(self.bundle, level), self.provider.device, threads=asked.threads, batch_rows=asked.batch_rows
            )
        return self._buckets[level]

    @cached_property
    def embedding(self) -> "Embedding | None":
        """The view of its texts by the embeddings of their tokens; None where the bundle has none."""
        from whyport.runtime.embedding import Embedding

        view = embedded_bundle(self.bundle)
        if view is None:
            return None
        asked = self._asked
        of_view = Session(view, self.provider.device, threads=asked.threads, batch_rows=asked.batch_rows)
        return Embedding(self.bundle, of_view)

    @property
    def places(self) -> NDArray[np.int64]:
        """Where the numbers of its rows stand in those of the longest bucket, [F]."""
        sidecar = self.bundle.sidecar
        return np.array(self.bundle.places if self.bundle.whole else range(len(sidecar.features)), dtype=np.int64)

    def explain(self, rows: Any, targets: Any = None, *, classes: Any = None, on_bad: str = "raise") -> Attribution:
        """Explain a class or target of each row by explain.onnx.

        Of a network that is DeepSHAP against the bundle's summary background; of trees the exact Shapley values against
        the whole background.

        Args:
            rows: as `predict` takes them. Where the bundle imputes, an imputed row is explained.
            targets: a class's or target's name or index for all rows, or an array [N] of either. By default the
                predicted classes; of a regression, the first target.
            classes: another name for `targets`.
            on_bad: what becomes of rows whose score or attributions are not finite: "raise", or "nan". Such a row has
                NaN and has not converged; without a score, its predicted target is -1.

        Returns:
            The attributions, with `evaluations` 1: one pass through the graph per row.

        Raises:
            The errors of `predict`. UsageError: no such target. BundleError: the bundle has no explain.onnx.
        """
        check_on_bad(on_bad)
        if classes is not None:
            if targets is not None:
                raise UsageError("classes: another name for targets; expected one of them")
            targets = classes
        matrix = self.matrix(rows)
        index = target_index(targets, self.task, len(matrix))
        sidecar = self.bundle.sidecar
        outputs = self.run_graph(EXPLAIN_MODEL, matrix, index)
        explained = attribution(answers(outputs, on_bad), sidecar.tolerances["completeness"])
        target = explained.target
        if targets is None:  # a row without a score has no predicted class
            target = np.where(np.isfinite(outputs[SCORE.name]), target, -1)
        places = list(sidecar.shared_places)
        return dataclasses.replace(
            explained,
            values=explained.values[:, places],
            target=target,
            feature_names=tuple(sidecar.feature_names[i] for i in places),
            target_names=self.task.targets,
        )

    def run_graph(self, name: str, rows: Rows, index: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """The outputs of explain.onnx or gradient.onnx, by name.

        Args:
            name: the graph's file.
            rows: as `run` takes them.
            index: the class of each row, [N]; below 0, the predicted one.

        Raises:
            BundleError: the bundle has no such graph, or the graph explains another class than it was asked for.
        """
        if not isinstance(rows, Mapping) and self.bundle.sidecar.lengths:
            return self._run_by_length(name, rows, index)
        return self._run_graph(name, rows, index)

    def _run_by_length(self, name: str, rows: NDArray[np.float32], index: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """The same of rows of varying length: a call holds rows of one, in the shortest bucket that holds it."""
        lengths = self.bundle.sidecar.lengths
        made: dict[str, NDArray[Any]] = {}
        for _, own in same_lengths(lengths, rows):
            bucket = self.bucket(int(levels(lengths, rows[own[:1]])[0]))
            places = bucket.places if bucket is not self else np.arange(rows.shape[1])
            for key, values in bucket._run_graph(name, rows[np.ix_(own, places)], index[own]).items():
                is_row = key in (ATTRIBUTION, GRADIENT)
                shape = (rows.shape[1],) if is_row else values.shape[1:]
                whole = made.setdefault(key, np.zeros((len(rows), *shape), dtype=values.dtype))
                if is_row:
                    whole[np.ix_(own, places)] = values
                else:
                    whole[own] = values
        return made or self._run_graph(name, rows, index)

    def _run_graph(self, name: str, rows: Rows, index: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        runner = self._graph(name)
        graph = reasons_graphs(self.bundle.sidecar)[name]
        asked, given = (named_as_in(graph, spec).name for spec in (TARGET_INDEX, EXPLAINED_TARGET))
        outputs = runner.run({**self._feeds(rows, exact=True), asked: index}, graph.outputs)
        explained = outputs[given]
        others = (explained < 0) | (explained >= len(self.task.targets)) | ((index >= 0) & (explained != index))
        if others.any():
            got = f"{explained[others][0]} in {int(others.sum())} of {len(index)} rows, in {name}"
            raise BundleError(f"output {given!r}: expected the {self.task.target} asked for, got {got}")
        names = {old: new for new, old in OLD_NAMES.items()}
        return {names.get(key, key): values for key, values in outputs.items()}

    def class_maps(self, rows: Rows) -> dict[str, NDArray[Any]]:
        """The outputs of cam.onnx by name: the scores [N, K], and the maps "cam" [N, K, y, x].

        The mean of a map over y and x, with the target's bias, is the target's score.

        Args:
            rows: as `run` takes them.

        Raises:
            BundleError: the bundle has no such graph.
        """
        runner = self._graph(CAM_MODEL)
        graph = cam_graph(self.bundle.sidecar)
        assert graph is not None
        return runner.run(self._feeds(rows), graph.outputs)

    def embedded_metadata(self, name: str = ONNX_MODEL) -> dict[str, str]:
        """The metadata_props of model.onnx, or of another graph of the bundle."""
        return (self._model if name == ONNX_MODEL else self._graph(name)).metadata()

    def __reduce__(self) -> "tuple[Callable[..., Session], tuple[Place, str, _Asked]]":
        return _reopen, (self.bundle.place, self.bundle.digest, self._asked)

    def _graph(self, name: str) -> Runner:
        """The runner of a graph, opened when it is first needed."""
        sidecar = self.bundle.sidecar
        if name not in self._graphs:
            capability = sidecar.capabilities.get(CAM if name == CAM_MODEL else capability_of(name), NOT_THERE)
            if not capability.available or all(graph.file != name for graph in sidecar.graphs):
                raise BundleError(f"bundle {sidecar.name!r} has no {name}: {capability.reason}")
            # A call of maps is one of the model; where each row meets every reference, calls are smaller.
            sizes = None if name == CAM_MODEL else rows_per_call(sidecar.width)
            self._graphs[name] = Runner(name, self.bundle.read_bytes(name), self.provider.device, self.threads, sizes)
        return self._graphs[name]

    def _feeds(self, rows: Rows, *, exact: bool = False) -> Mapping[str, NDArray[Any]]:
        """The tensors that the graphs take for the rows; with `exact` those of the graphs that explain."""
        inputs = self.bundle.sidecar.inputs
        if not isinstance(rows, Mapping):
            return input_feeds(inputs, rows, exact=exact)
        specs = reasons_inputs(self.bundle.sidecar.signature.inputs) if exact else ()
        floats = [spec.name for spec in specs if spec.dtype == "float32"]
        return {**rows, **{name: rows[name].astype(np.float32, copy=False) for name in floats}}

    def _check_missing(self, matrix: NDArray[np.float32]) -> None:
        """Refuse infinities, and also NaN where neither the bundle imputes nor the model has its own way."""
        for row, j in np.argwhere(np.isinf(matrix)):
            raise ValueRangeError(f"{self._place(row, j)}: expected a finite value, got {matrix[row, j]}")
        sidecar = self.bundle.sidecar
        refuses = np.isnan(sidecar.imputation) & ~np.array(sidecar.models_missing)
        for row, j in np.argwhere(np.isnan(matrix) & refuses):
            raise MissingValueError(f"{self._place(row, j)}: got NaN, and this bundle does not impute")

    def _place(self, row: int, j: int) -> str:
        return f"column {self.bundle.sidecar.feature_names[j]!r}, row {row}"


def _own_device(sidecar: Sidecar, model: bytes, device: str) -> str:
    """The device for a bundle: ONNX Runtime's providers for cards have no operator for trees, among others.

    It would run them on the CPU without a word. Raises ProviderError where a card is asked for.
    """
    operator = model_on_the_cpu(model) if device in ("auto", "cuda") else None
    if operator is None:
        return device
    if device == "cuda":
        raise ProviderError(
            f"device 'cuda': bundle {sidecar.name!r} is a model of {operator}, which ONNX Runtime computes on the CPU "
            "alone; expected 'cpu' or 'auto'"
        )
    return "cpu"


def _reopen(path: Place, digest: str, asked: _Asked) -> Session:
    """Reopen a pickled session; raises DigestError if the bundle has changed."""
    bundle = Bundle.read(path)
    if bundle.digest != digest:
        raise DigestError(f"bundle {str(path)!r} has changed: expected digest {digest}, got {bundle.digest}")
    return Session(bundle, asked.device, threads=asked.threads, batch_rows=asked.batch_rows, variant=asked.variant)
