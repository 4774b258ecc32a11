"""The file of a signature: a Sigstore bundle with a DSSE envelope, as OpenSSF's model-signing writes it for own keys.

Formats: https://docs.sigstore.dev/about/bundle and https://github.com/secure-systems-lab/dsse (protocol.md).
"""

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from whyport.runtime.errors import SignatureError
from whyport.runtime.signing.keys import fingerprint

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"


@dataclass(frozen=True)
class Envelope:
    """A payload with its signature."""

    payload: bytes
    signature: bytes
    """The ECDSA signature over the payload and its type, as ASN.1."""
    key: str
    """The fingerprint of the key that is said to have signed: a claim, until `check`."""
    sha256: str
    """The digest of the signature's file."""

    @classmethod
    def read(cls, content: bytes) -> Self:
        """The envelope in a signature's file; raises SignatureError for any other content."""
        try:
            document = json.loads(content)
            if document["mediaType"] != MEDIA_TYPE:
                raise ValueError(f"the media type {document['mediaType']!r}")
            envelope = document["dsseEnvelope"]
            if envelope["payloadType"] != PAYLOAD_TYPE:
                raise ValueError(f"a payload of type {envelope['payloadType']!r}")
            (signature,) = envelope["signatures"]
            payload, signed = (_decoded(text) for text in (envelope["payload"], signature["sig"]))
            key = document["verificationMaterial"]["publicKey"]["hint"]
            if re.fullmatch("[0-9a-f]{64}", key) is None:
                raise ValueError(f"no fingerprint of a key, {key!r}")
            return cls(payload, signed, key, hashlib.sha256(content).hexdigest())
        except (KeyError, TypeError, AttributeError) as error:
            raise SignatureError(f"expected a signature by a key, got another document: {error!r}") from None
        except (ValueError, RecursionError) as error:
            raise SignatureError(f"expected a signature by a key, got {error}") from None

    def check(self, key: "EllipticCurvePublicKey") -> None:
        """Raise SignatureError if another key has signed, or something else."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
        from cryptography.hazmat.primitives.hashes import SHA256

        expected = fingerprint(key)
        if self.key != expected:
            raise SignatureError(f"expected a signature by the key {expected}, got one by {self.key}")
        try:
            key.verify(self.signature, pre_authentication(self.payload), ECDSA(SHA256()))
        except InvalidSignature:
            raise SignatureError(f"expected a signature by the key {expected}, got one that is not its own") from None


def seal(payload: bytes, key: "EllipticCurvePrivateKey") -> bytes:
    """The content of a signature's file.

    Args:
        payload: an in-toto statement.
        key: the private key.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256

    signature = key.sign(pre_authentication(payload), ECDSA(SHA256()))
    document: dict[str, Any] = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": fingerprint(key.public_key())}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
        },
    }
    return json.dumps(document).encode()


def pre_authentication(payload: bytes) -> bytes:
    """The bytes under a signature: a payload and its type, each with its length."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def _decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
