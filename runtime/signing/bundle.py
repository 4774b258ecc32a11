"""Signatures of bundles: over bundle.json, which has the digest of every other file, and over these digests."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from whyport.runtime.bundle.folder import Bundle, as_bundle
from whyport.runtime.bundle.sidecar import SIDECAR
from whyport.runtime.errors import BundleFormatError, SignatureError, UsageError, listing
from whyport.runtime.signing.keys import read_public
from whyport.runtime.signing.manifest import OF_GIT, Manifest
from whyport.runtime.signing.signature import (
    SignatureMark,
    Signed,
    check_unsigned,
    files_in,
    is_within,
    read_signed,
    write_signature,
)
from whyport.runtime.store.path import Place, as_place, has_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

SIGNATURE_FILE = "model.sig"
"""The file of a bundle's signature, beside bundle.json: model-signing's own name for it."""


def sign_bundle(bundle: Bundle, key: "EllipticCurvePrivateKey", *, overwrite: bool) -> int:
    """Sign a bundle, whose files reading has checked; returns the number of files.

    Raises UsageError if it is signed already, or if files lie there that are not its own.
    """
    place = bundle.place / SIGNATURE_FILE
    check_unsigned(place, overwrite=overwrite)
    foreign = sorted(files_in(bundle.place) - {SIGNATURE_FILE, SIDECAR, *bundle.sidecar.files})
    if foreign:
        raise UsageError(f"expected the bundle's own files alone, got {listing(foreign)}, in {bundle.path}")
    digests = {SIDECAR: bundle.digest, **bundle.sidecar.files}
    write_signature(place, Manifest(bundle.place.name, digests, (SIGNATURE_FILE, *OF_GIT)), key)
    return len(digests)


def required_bundle(bundle: Bundle | str | Place, key: str | Path | None, name: str = "require_signature") -> Bundle:
    """The bundle, which a key must have signed; where none is given, whatever bundle it is.

    At a path, the signature and bundle.json's digest are compared before anything in the folder is used.

    Args:
        bundle: a bundle, or its path.
        key: the file of the public key.
        name: the option's name, for messages.

    Raises:
        SignatureError: it is not signed, or by another key, or something was changed. UsageError: no such key.
    """
    if key is None:
        return as_bundle(bundle)
    public = read_public(name, Path(key))
    signed = _signed(bundle.place if isinstance(bundle, Bundle) else as_place(bundle), public)
    found = as_bundle(bundle)
    _check(found, signed)
    return found


def bundle_mark(bundle: Bundle, key: str | Path | None = None) -> SignatureMark | None:
    """The signature of a bundle as reports name it: compared with a key, where one is given; None without a signature.

    Raises as `required_bundle`.
    """
    if key is None:
        return SignatureMark.claimed(bundle.place / SIGNATURE_FILE)
    return check_bundle(bundle, read_public("require_signature", Path(key))).mark


def check_bundle(bundle: Bundle, key: "EllipticCurvePublicKey") -> Signed:
    """The statement that a key has signed of a bundle; raises SignatureError where it is another bundle."""
    signed = read_signed(bundle.place / SIGNATURE_FILE, key)
    _check(bundle, signed)
    return signed


def check_alone(bundle: Bundle, signed: Signed) -> None:
    """Raise SignatureError for files in a bundle's folder that are not its own, unless they were signed too."""
    digests = signed.manifest.digests
    ignored = (*signed.manifest.ignored, SIGNATURE_FILE)
    own = {SIDECAR, *bundle.sidecar.files}
    there = {name for name in files_in(bundle.place) if not any(is_within(name, each) for each in ignored)}
    odd = sorted((there - own - digests.keys()) | (digests.keys() - own - there))
    if odd:
        raise SignatureError(
            f"expected the files that were signed alone, got others or fewer: {listing(odd)}, in {bundle.path}"
        )
    for name in sorted(there - own):
        got = hashlib.sha256((bundle.place / name).read_bytes()).hexdigest()
        if got != digests[name]:
            raise SignatureError(
                f"expected sha256 {digests[name]}, which was signed, got {got}, in {bundle.place / name}"
            )


def _signed(place: Place, key: "EllipticCurvePublicKey") -> Signed:
    """The statement that a key has signed of the bundle at a place, whose bundle.json is compared with it."""
    if not has_file(place / SIDECAR):
        raise BundleFormatError(f"expected a bundle, a folder with {SIDECAR}, got {str(place)!r}")
    signed = read_signed(place / SIGNATURE_FILE, key)
    _check_sidecar(place, hashlib.sha256((place / SIDECAR).read_bytes()).hexdigest(), signed)
    return signed


def _check(bundle: Bundle, signed: Signed) -> None:
    """Raise SignatureError where a bundle, whose files fit bundle.json, is not the one that was signed."""
    _check_sidecar(bundle.path, bundle.digest, signed)
    for name, digest in bundle.as_stored.sidecar.files.items():
        expected = signed.manifest.digests.get(name, digest)
        if digest != expected:
            raise SignatureError(f"expected sha256 {expected}, which was signed, got {digest}, in {bundle.path / name}")


def _check_sidecar(place: Place, digest: str, signed: Signed) -> None:
    expected = signed.manifest.digests.get(SIDECAR)
    if expected is None:
        raise SignatureError(f"expected a signature of {SIDECAR}, got one of other files, in {place}")
    if digest != expected:
        raise SignatureError(f"expected sha256 {expected}, which was signed, got {digest}, in {place / SIDECAR}")
