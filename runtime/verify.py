"""The check of a bundle against itself: its files by their digests, its test vectors by replay."""

from dataclasses import dataclass

from whyport.runtime.arguments import typed
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.extras import needs
from whyport.runtime.session import Session
from whyport.runtime.store.path import Place


@dataclass(frozen=True)
class Verification:
    """The result of a check: its extent, and the deviations from the test vectors."""

    files: int
    """The number of files whose digests were compared."""
    provider: str
    """The execution provider that ran the test vectors."""
    deviations: dict[str, float]
    """The largest deviation from the test vectors, by output."""


@needs("batch")
@typed
def verify(bundle: Bundle | str | Place, device: str = "auto") -> Verification:
    """Check every file of a bundle against its digest, and replay its test vectors.

    Args:
        bundle: a bundle, or its path.
        device: "auto", "cpu" or "cuda".

    Raises:
        BundleError: the bundle cannot be trusted. ParityError: an output deviates by more than the bundle's tolerance.
        ProviderError: no such device.
    """
    from whyport.runtime.conformance import replay

    session = Session(bundle, device)
    return Verification(len(session.bundle.sidecar.files), session.provider.name, replay(session))
