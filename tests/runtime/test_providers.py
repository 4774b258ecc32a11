"""What is asked for is what one gets: shown without a card, by a stand-in for ONNX Runtime."""

from types import SimpleNamespace
from typing import Any

import pytest

from whyport.runtime.errors import ProviderError, UsageError
from whyport.runtime.providers import CPU, CUDA, candidates, check_distributions, open_session

OFFERS_BOTH = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
OFFERS_CPU = ["AzureExecutionProvider", "CPUExecutionProvider"]


class FakeOnnxRuntime:
    """Offers some providers, of which only some work: the others fall back to the CPU, as in ONNX Runtime."""

    def __init__(self, offered: list[str], working: list[str]) -> None:
        self.offered, self.working = offered, working
        self.asked: list[Any] = []
        self.preloaded = False

    def get_available_providers(self) -> list[str]:
        return self.offered

    def preload_dlls(self) -> None:
        self.preloaded = True

    def InferenceSession(self, model: bytes, options: object, providers: list[Any]) -> Any:  # noqa: N802
        self.asked += providers
        got = [name for name, _ in providers if name in self.working]
        return SimpleNamespace(get_providers=lambda: [*got, *([] if CPU.name in got else [CPU.name])])


def test_cuda_is_got_where_it_works_with_tf32_off() -> None:
    fake = FakeOnnxRuntime(OFFERS_BOTH, [CUDA.name, CPU.name])
    for device in ("cuda", "auto"):
        _, provider = open_session(b"", device, None, fake)
        assert provider is CUDA
    assert fake.preloaded
    assert fake.asked == [("CUDAExecutionProvider", {"use_tf32": "0"})] * 2


def test_a_silent_fallback_is_an_error_where_cuda_was_asked_for() -> None:
    fake = FakeOnnxRuntime(OFFERS_BOTH, [CPU.name])
    with pytest.raises(ProviderError, match="asked for CUDAExecutionProvider, got CPUExecutionProvider"):
        open_session(b"", "cuda", None, fake)


def test_auto_takes_the_cpu_where_cuda_does_not_work() -> None:
    fake = FakeOnnxRuntime(OFFERS_BOTH, [CPU.name])
    session, provider = open_session(b"", "auto", None, fake)
    assert provider is CPU
    assert session.get_providers() == [CPU.name]
    assert [name for name, _ in fake.asked] == [CUDA.name, CPU.name]


def test_the_cpu_never_tries_cuda() -> None:
    fake = FakeOnnxRuntime(OFFERS_BOTH, OFFERS_BOTH)
    assert open_session(b"", "cpu", None, fake)[1] is CPU
    assert not fake.preloaded


def test_cuda_is_refused_where_this_onnx_runtime_does_not_offer_it() -> None:
    with pytest.raises(ProviderError, match=r"offers AzureExecutionProvider, .*pip install 'whyport\[gpu\]'"):
        candidates("cuda", OFFERS_CPU)
    assert candidates("auto", OFFERS_CPU) == (CPU,)


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown device 'gpu'.*; known: 'auto', 'cpu', 'cuda'"):
        candidates("gpu", OFFERS_CPU)


def test_one_distribution_is_right() -> None:
    assert check_distributions(["numpy", "onnxruntime"]) == "onnxruntime"
    assert check_distributions(["onnxruntime-gpu"]) == "onnxruntime-gpu"
    assert check_distributions(iter(["onnxruntime-gpu"])) == "onnxruntime-gpu"


@pytest.mark.parametrize(
    ("installed", "message"),
    [
        (["numpy"], r"not installed: choose pip install 'whyport\[cpu\]', or 'whyport\[gpu\]'"),
        (["onnxruntime", "onnxruntime-gpu"], "both installed and overwrite each other: choose one"),
    ],
)
def test_no_distribution_or_both_is_an_error_that_says_which_to_choose(installed: list[str], message: str) -> None:
    with pytest.raises(ProviderError, match=message):
        check_distributions(installed)
