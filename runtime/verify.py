"""The check of a bundle against itself: its files by their digests, its test vectors by replay."""

from dataclasses import dataclass
from pathlib import Path

from whyport.runtime.arguments import typed
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.variants import precisions_of
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
    """The largest deviation from the test vectors, by output; of a smaller variant behind its name."""
    signed_by: str | None = None
    """The fingerprint of the key whose signature was asked for; None where none was."""


@needs("batch", "sign")
@typed
def verify(bundle: Bundle | str | Place, device: str = "auto", *, key: str | Path | None = None) -> Verification:
    """Check every file of a bundle against its digest, and replay its test vectors.

    Args:
        bundle: a bundle, or its path.
        device: "auto", "cpu" or "cuda".
        key: a file with the public key that must have signed the bundle; the folder then has no other files.

    Raises:
        BundleError: the bundle cannot be trusted. ParityError: an output deviates by more than the bundle's tolerance.
        SignatureError: the bundle is not signed by the key, or not as it is. ProviderError: no such device.
        UsageError: there is no such key.
    """
    from whyport.runtime.conformance import replay

    signed_by = None
    if key is not None:
        bundle, signed_by = _signed(bundle, key)
    session = Session(bundle, device)
    deviations = replay(session)
    for name in precisions_of(session.bundle.sidecar):
        found = replay(Session(session.bundle, device, variant=name))
        deviations |= {f"{name}: {output}": value for output, value in found.items()}
    return Verification(len(session.bundle.sidecar.files), session.provider.name, deviations, signed_by)


def _signed(bundle: Bundle | str | Place, key: str | Path) -> tuple[Bundle, str]:
    """The bundle, compared with its signature, and the key's fingerprint."""
    from whyport.runtime.signing.bundle import check_alone, check_bundle, required_bundle
    from whyport.runtime.signing.keys import read_public

    found = required_bundle(bundle, key, "key")
    signed = check_bundle(found, read_public("key", Path(key)))
    check_alone(found, signed)
    return found, signed.key
