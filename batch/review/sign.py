"""The functions `sign` and `lineage`: a bundle or a run signed by a key of one's own; the chain that led to a run."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from whyport.runtime.arguments import typed
from whyport.runtime.bundle.sidecar import SIDECAR
from whyport.runtime.errors import UsageError
from whyport.runtime.extras import needs
from whyport.runtime.store.path import Place, as_place, has_file


@dataclass(frozen=True)
class NewSignature:
    """A signature that was made."""

    place: Place
    """Its file."""
    files: int
    """The number of files that it covers."""
    key: str
    """The key's fingerprint: sha256 of the public key as PEM."""


@needs("sign", "batch")
@typed
def sign(path: str | Place, key: str | Path, *, overwrite: bool = False, password: str | None = None) -> NewSignature:
    """Sign a bundle, or a finished run, in the format of OpenSSF's model-signing; nothing is sent anywhere.

    Args:
        path: the folder of the bundle or of the run.
        key: a file with an EC private key of the curve P-256, as PEM.
        overwrite: whether a signature that is there is replaced.
        password: of an encrypted key; by default that in the environment's WHYPORT_KEY_PASSWORD.

    Returns:
        The signature: `model.sig` in a bundle, `_report.json.sig` in a run.

    Raises:
        UsageError: there is no such folder or key, or it is signed already. BundleError, AuditError: the folder is not
            what it says. JobError: the run is not finished. OSError: the signature cannot be written.
    """
    from whyport.runtime.signing.keys import password_of_environment

    asked = password_of_environment if password is None else lambda: password
    return sign_folder(as_place(path), Path(key), asked, overwrite=overwrite)


def sign_folder(place: Place, key: Path, password: Callable[[], str], *, overwrite: bool) -> NewSignature:
    """As `sign`, with a password that is asked for where the key is encrypted."""
    from whyport.runtime.signing.keys import fingerprint, read_private

    is_bundle = has_file(place / SIDECAR)
    if not is_bundle and not has_file(place / "_job.json"):
        raise UsageError(f"expected a bundle or a run, got a folder without bundle.json or _job.json, {str(place)!r}")
    private = read_private("key", key, password)
    if is_bundle:
        from whyport.runtime.bundle.folder import Bundle
        from whyport.runtime.signing.bundle import SIGNATURE_FILE, sign_bundle

        files = sign_bundle(Bundle.read(place), private, overwrite=overwrite)
        return NewSignature(place / SIGNATURE_FILE, files, fingerprint(private.public_key()))
    from whyport.batch.output.folder import SIGNATURE_FILE as RUN_SIGNATURE
    from whyport.batch.review.run_signature import sign_run

    files = sign_run(place, private, overwrite=overwrite)
    return NewSignature(place / RUN_SIGNATURE, files, fingerprint(private.public_key()))


@needs("batch", "sign")
@typed
def lineage(
    out: str | Place,
    *,
    row: int | None = None,
    file: str | None = None,
    bundle: str | Place | None = None,
    key: str | Path | Iterable[str | Path] = (),
    format: str = "text",
) -> list[str]:
    """The chain from the training data's digest to a finished run, or to one row of it.

    Args:
        out: the run's output folder.
        row: the row's number in its input, from 0; None for the whole run.
        file: the input, if the run has several: its `source_file`, or the end of that name after a slash.
        bundle: the bundle's path, if it was moved since the run.
        key: one or several files with public keys: the signatures of these are compared.
        format: "text", "json" for one line with an object, or "markdown".

    Returns:
        The lines to print, as text a link each.

    Raises:
        UsageError: there is no such row, file or key. JobError: there is no finished run. AuditError: the row's part is
            not the report's. SignatureError: a signature of a given key does not fit.
    """
    from whyport.batch.review.document import check_format, rendered

    check_format(format)
    from whyport.batch.review.lineage import Lineage

    keys = [Path(each) for each in ([key] if isinstance(key, str | Path) else key)]
    found = Lineage(as_place(out), None if bundle is None else as_place(bundle), keys).chain(row, file)
    return rendered(found, format)
