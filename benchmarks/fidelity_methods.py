"""The explanation methods that are compared: whyport's from a bundle, shap's and captum's on the eager network.

shap and captum get the network without the preprocessing, on standardised rows. This changes no feature's share, so
none of their errors is due to the preprocessing.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import captum.attr
import numpy as np
import shap
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fidelity_models import Trained
from fidelity_softmax import composed_softmax
from whyport.batch.methods.alone import explain
from whyport.batch.methods.engines.onnx import OnnxModel
from whyport.batch.methods.engines.torchscript import TorchScriptModel
from whyport.batch.methods.explainer import explainer_class
from whyport.batch.methods.settings import ExplainSettings
from whyport.batch.methods.shapley.shapley import Shapley
from whyport.exporter.deepshap import build_program
from whyport.runtime.bundle.references import References
from whyport.runtime.session import Session

SAMPLES = 200
COALITIONS = 128
STEPS = 50


@dataclass(frozen=True)
class Question:
    """The question to every method: the shares of N rows' features in the logits of their classes."""

    trained: Trained
    references: References
    rows: NDArray[np.float32]
    """The raw rows, [N, F]."""
    targets: NDArray[np.int64]
    """The explained class of each row, [N]."""

    def standardised(self) -> tuple[nn.Module, Tensor, Tensor]:
        """A copy of the network for hooks, and the standardised rows [N, F] and references [R, F]."""
        rows, references = (self.trained.preprocess(torch.tensor(raw)) for raw in (self.rows, self.references.rows))
        return copy.deepcopy(self.trained.network), rows, references


Explain = Callable[[Question], NDArray[Any]]


@dataclass(frozen=True)
class Method:
    """A way to compute the shares [N, F], and the rows against which they are meant to add up."""

    explain: Explain
    against: Callable[[References], References] = lambda references: references
    """The rows whose mean score is the base value, by the references."""


def whyport(name: str) -> Explain:
    """A method of `whyport run --explain`, with its default settings."""

    def attributions(question: Question) -> NDArray[Any]:
        model = TorchScriptModel(question.trained.bundle, "cpu")
        explainer = explainer_class(name)(model, question.references, ExplainSettings().of_method(name))
        return explain(explainer, question.rows, question.targets).values

    return attributions


def whyport_shapley(question: Question) -> NDArray[Any]:
    """Sampled Shapley values, in as many forward passes as shap_kernel takes, instead of the possible enumeration."""
    passes, features = COALITIONS * len(question.references.rows), question.rows.shape[1]
    settings = ExplainSettings.of(permutations=2 * (passes // (2 * (features - 1)))).of_method("shapley")
    model = OnnxModel(Session(question.trained.bundle, "cpu"))
    return explain(Shapley(model, question.references, settings), question.rows, question.targets).values


def composed_deepshap(question: Question) -> NDArray[Any]:
    """whyport's DeepSHAP, with softmax replaced by the operators that compute it."""
    rows, references = torch.tensor(question.rows), torch.tensor(question.references.rows)
    with composed_softmax():
        program = build_program(nn.Sequential(question.trained.preprocess, question.trained.network), rows)
    weights = torch.from_numpy(question.references.weights).float()
    with torch.no_grad():
        values = program.attribute(program.activations(rows), program.activations(references), weights)
    return _of_targets(values.transpose(1, 2).numpy(), question)


def shap_deep(question: Question) -> NDArray[Any]:
    """shap.DeepExplainer without its check of the sum: where it fails, there would be nothing to compare."""
    network, rows, references = question.standardised()
    return _of_targets(shap.DeepExplainer(network, references).shap_values(rows, check_additivity=False), question)


def shap_gradient(question: Question) -> NDArray[Any]:
    """Expected gradients from samples."""
    network, rows, references = question.standardised()
    explainer = shap.GradientExplainer(network, references)
    return _of_targets(explainer.shap_values(rows, nsamples=SAMPLES, rseed=0), question)


def shap_kernel(question: Question) -> NDArray[Any]:
    """Shapley values by regression on sampled coalitions; each sample takes one forward pass per reference."""
    network, rows, references = question.standardised()

    @torch.no_grad()
    def logits(inputs: NDArray[Any]) -> NDArray[Any]:
        return network(torch.from_numpy(inputs).float()).numpy()

    explainer = shap.KernelExplainer(logits, references.numpy())
    return _of_targets(explainer.shap_values(rows.numpy(), nsamples=COALITIONS, silent=True), question)


def shap_permutation(question: Question) -> NDArray[Any]:
    """Shapley values by permutations and their reverses; each step takes one forward pass per reference."""
    network, rows, references = question.standardised()

    @torch.no_grad()
    def logits(inputs: NDArray[Any]) -> NDArray[Any]:
        return network(torch.from_numpy(inputs).float()).numpy()

    masker = shap.maskers.Independent(references.numpy(), max_samples=len(references))
    explainer = shap.PermutationExplainer(logits, masker, seed=0)
    explained = explainer(rows.numpy(), max_evals=max(COALITIONS, 2 * rows.shape[1] + 1), silent=True)
    return _of_targets(explained.values, question)


def captum_deep(question: Question) -> NDArray[Any]:
    """DeepLIFT's rescale rule, averaged over the references."""
    network, rows, references = question.standardised()
    return _by_captum(captum.attr.DeepLiftShap(network), question, rows, baselines=references)


def captum_gradient(question: Question) -> NDArray[Any]:
    """Expected gradients from samples, without noise."""
    network, rows, references = question.standardised()
    return _by_captum(captum.attr.GradientShap(network), question, rows, baselines=references, n_samples=SAMPLES)


def captum_integrated(question: Question) -> NDArray[Any]:
    """Integrated gradients from the mean reference."""
    network, rows, references = question.standardised()
    explainer, mean = captum.attr.IntegratedGradients(network), references.mean(0, keepdim=True)
    return _by_captum(explainer, question, rows, baselines=mean, n_steps=STEPS)


def _by_captum(explainer: Any, question: Question, rows: Tensor, **options: Any) -> NDArray[Any]:
    targets = torch.from_numpy(question.targets)
    return explainer.attribute(rows, target=targets, **options).detach().numpy()


def _of_targets(values: NDArray[Any], question: Question) -> NDArray[Any]:
    """[N, F] of [N, F, C]."""
    return np.asarray(values)[np.arange(len(question.rows)), :, question.targets]


def _zeros(references: References) -> References:
    return References(rows=np.zeros_like(references.rows[:1]), weights=np.ones(1))


METHODS = {
    "whyport deepshap": Method(whyport("deepshap")),
    "whyport expected-gradients": Method(whyport("expected-gradients")),
    "whyport integrated-gradients": Method(whyport("integrated-gradients"), References.mean),
    "whyport input-x-gradient": Method(whyport("input-x-gradient"), _zeros),
    f"whyport shapley, passes of {COALITIONS} coalitions": Method(whyport_shapley),
    "shap DeepExplainer": Method(shap_deep),
    f"shap GradientExplainer, {SAMPLES} samples": Method(shap_gradient),
    f"shap KernelExplainer, {COALITIONS} coalitions": Method(shap_kernel),
    f"shap PermutationExplainer, {COALITIONS} coalitions": Method(shap_permutation),
    "captum DeepLiftShap": Method(captum_deep),
    f"captum GradientShap, {SAMPLES} samples": Method(captum_gradient),
    f"captum IntegratedGradients, {STEPS} steps": Method(captum_integrated, References.mean),
}
