"""The arithmetic of a machine: digests of what a run's own engines give for a few rows of the bundle.

Processors differ in the last bits of a sum, and so do the kernels that a library chooses for them. Digests of raw
results tell whether two attempts at a run would write the same bytes.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.explainer import Explainer
from whyport.batch.methods.request import Request
from whyport.batch.scoring.lengths import Ready
from whyport.runtime.bundle.sidecar import CONFORMANCE
from whyport.runtime.bundle.vectors import read_vectors
from whyport.runtime.providers import CPU
from whyport.runtime.session import Session

Arithmetic = dict[str, str]
"""Hexadecimal digests: of the model's outputs, as `outputs`, and of each method's attributions, by its name."""

ROWS = 32
"""The most rows that are computed."""
EVALUATIONS = 4096
"""The most evaluations that all methods spend together, unless one row takes more."""


def arithmetic_of(session: Session, explainers: Mapping[str, Ready]) -> Arithmetic:
    """The digests for a run with these methods; none on a graphics card, where results may differ from call to call.

    The rows are test vectors of the bundle: they are the same wherever the bundle is.
    """
    if session.provider != CPU:
        return {}
    bundle, task = session.bundle, session.task
    spec = bundle.sidecar.row_spec
    rows = read_vectors(bundle.read_bytes(CONFORMANCE), (spec,))[spec.name][:ROWS]
    rows = np.where(np.isfinite(rows), rows, np.array(bundle.sidecar.imputation, dtype=np.float32))
    outputs = session.run(rows)
    found = {"outputs": _digest(outputs)}
    explained = rows if session.embedding is None or not explainers else session.embedding.rows(rows)
    request = Request.of_one_target(explained, outputs[task.score], task.predict(outputs).target)
    for name, ready in explainers.items():
        found[name] = _digest_of(ready.explainer, ready.cut(request), EVALUATIONS // len(explainers))
    return found


def other_arithmetic(known: Sequence[Arithmetic], own: Arithmetic) -> str:
    """The differences between this process's arithmetic and the one of a run, in words."""
    there = known[0] if known else {}
    names = [name for name in dict.fromkeys([*there, *own]) if there.get(name) != own.get(name)]
    bits = f"the last bits of {', '.join(names)} differ here"
    return f"{bits} (another processor, or other settings of its libraries)"


def _digest_of(explainer: Explainer, request: Request, evaluations: int) -> str:
    """The digest of a method's shares, of as many rows as so many evaluations allow, and of at least one."""
    if not len(request):
        return _digest({})
    shares = explainer.explain(request.take(slice(0, 1)))
    references = 1 if explainer.references is None else len(explainer.references.rows)
    rows = evaluations // max(int(shares.evaluations[0]), references)
    if rows > 1:
        shares = explainer.explain(request.take(slice(0, min(rows, len(request)))))
    return _digest({"values": shares.values, "output": shares.output, **shares.extras})


def _digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    """The digest of arrays by name: of their types, shapes and bytes."""
    found = hashlib.sha256()
    for name, values in arrays.items():
        found.update(f"{name} {values.dtype.str} {values.shape} ".encode())
        found.update(np.ascontiguousarray(values).tobytes())
    return found.hexdigest()[:16]
