"""The statement that is signed: a folder's files with their digests, in the in-toto form of OpenSSF's model-signing.

Format: the predicate https://model_signing/signature/v1.0 of https://github.com/sigstore/model-transparency.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Self

from whyport.runtime.errors import SignatureError

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://model_signing/signature/v1.0"
METHOD, HASH = "files", "sha256"
DIGEST = re.compile("[0-9a-f]{64}")

OF_GIT = (".git", ".gitattributes", ".github", ".gitignore")
"""Names that model-signing passes over in every folder."""


@dataclass(frozen=True)
class Manifest:
    """The files of a folder."""

    name: str
    """The folder's name, for readers alone."""
    digests: Mapping[str, str]
    """sha256 by path inside the folder."""
    ignored: tuple[str, ...] = ()
    """Paths inside the folder that are not signed."""

    def payload(self) -> bytes:
        """The statement that is signed."""
        names = sorted(self.digests, key=PurePosixPath)  # model-signing's order
        resources = [{"name": name, "algorithm": HASH, "digest": self.digests[name]} for name in names]
        serialization = {"method": METHOD, "hash_type": HASH, "allow_symlinks": False, "ignore_paths": [*self.ignored]}
        root = _root([self.digests[name] for name in names])
        statement = {
            "_type": STATEMENT,
            "subject": [{"name": self.name, "digest": {HASH: root}}],
            "predicateType": PREDICATE,
            "predicate": {"serialization": serialization, "resources": resources},
        }
        return json.dumps(statement).encode()

    @classmethod
    def read(cls, payload: bytes) -> Self:
        """The files behind a statement; raises SignatureError for another statement, or another kind of digests."""
        try:
            statement = json.loads(payload)
            return cls._of(statement)
        except (KeyError, TypeError, AttributeError) as error:
            raise SignatureError(f"expected a statement of model-signing, got another document: {error!r}") from None
        except (ValueError, RecursionError) as error:
            raise SignatureError(f"expected a statement of model-signing, got {error}") from None

    @classmethod
    def _of(cls, statement: dict[str, Any]) -> Self:
        kinds = statement["_type"], statement["predicateType"]
        if kinds != (STATEMENT, PREDICATE):
            raise ValueError(f"one of {kinds[0]!r} with {kinds[1]!r}")
        (subject,) = statement["subject"]
        serialization = statement["predicate"]["serialization"]
        by = serialization["method"], serialization["hash_type"]
        if by != (METHOD, HASH):
            raise ValueError(f"digests of {by[0]} by {by[1]}, not of files by sha256")
        digests: dict[str, str] = {}
        for each in statement["predicate"]["resources"]:
            if each["algorithm"] != HASH or not DIGEST.fullmatch(each["digest"]):
                raise ValueError(f"no digest by sha256 of {each['name']!r}")
            if each["name"] in digests:
                raise ValueError(f"two digests of {each['name']!r}")
            digests[each["name"]] = each["digest"]
        if _root([*digests.values()]) != subject["digest"][HASH]:
            raise ValueError("digests that contradict each other")
        return cls(str(subject["name"]), digests, tuple(map(str, serialization.get("ignore_paths", ()))))


def _root(digests: list[str]) -> str:
    """The digest of all digests, in their order."""
    return hashlib.sha256(b"".join(map(bytes.fromhex, digests))).hexdigest()
