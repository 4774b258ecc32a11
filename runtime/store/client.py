"""What is asked of an object store, by obstore; every failure is an OSError.

Names are keys inside a bucket, without a slash in front. Credentials come from the environment and from the machine, as
obstore finds them; nothing here holds any.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from whyport.runtime.errors import MissingPackageError, message_line

ENDPOINT = "AWS_ENDPOINT_URL"
"""The variable of the environment with the address of a server that speaks S3."""


@dataclass(frozen=True)
class Tag:
    """What tells an object from every other one that has had its name."""

    entity: str | None
    """Its ETag, which S3 and Azure compare."""
    version: str | None = None
    """Its version or generation, which Google compares."""


NO_TAG = Tag(None)
"""Of what is in no store."""


@dataclass(frozen=True)
class Meta:
    """What a store says of an object."""

    size: int
    """Bytes."""
    modified_ns: int
    """Nanoseconds since 1970, by the store's clock."""
    tag: Tag


class ChangedError(OSError):
    """The object has another tag than the one that was asked for: somebody has written it meanwhile."""


def use_endpoint(address: str | None) -> None:
    """Ask a server at this address where an address begins with s3://; None leaves it to the environment."""
    if address is not None:
        os.environ[ENDPOINT] = address
        _store.cache_clear()


def head(root: str, key: str) -> Meta:
    """What the store says of an object; raises FileNotFoundError where there is none."""
    with _asking(root, key) as (obstore, store):
        return _meta(obstore.head(store, key))


def read(root: str, key: str) -> bytes:
    """The content of an object."""
    with _asking(root, key) as (obstore, store):
        return bytes(obstore.get(store, key).bytes())


def read_range(root: str, key: str, start: int, stop: int, tag: Tag) -> bytes:
    """Bytes of an object; raises ChangedError where it does not have that tag any more."""
    options: dict[str, Any] = {"range": (start, stop)}
    if tag.entity is not None:
        options["if_match"] = tag.entity
    with _asking(root, key) as (obstore, store):
        return bytes(obstore.get(store, key, options=options).bytes())


def files(root: str, prefix: str) -> Iterator[tuple[str, Meta]]:
    """The objects whose names begin so, by name."""
    with _asking(root, prefix) as (obstore, store):
        found = [(entry["path"], _meta(entry)) for page in obstore.list(store, prefix or None) for entry in page]
    # A store compares whole names between slashes with a prefix.
    yield from sorted(found, key=lambda each: each[0])


def names(root: str, prefix: str) -> Iterator[str]:
    """The names that begin so, as the store gives them."""
    with _asking(root, prefix) as (obstore, store):
        for page in obstore.list(store, prefix or None, chunk_size=50):
            yield from (entry["path"] for entry in page)


def entries(root: str, prefix: str) -> Sequence[str]:
    """The names up to the next slash of what begins so, without the prefix."""
    with _asking(root, prefix) as (obstore, store):
        found = obstore.list_with_delimiter(store, prefix or None)
    folders = [name.removesuffix("/") for name in found["common_prefixes"]]
    return [name.removeprefix(prefix) for name in (*folders, *(entry["path"] for entry in found["objects"]))]


def put(root: str, key: str, content: bytes) -> Tag:
    """Write an object, whole or not at all, over what has the name; gives its tag."""
    with _asking(root, key) as (obstore, store):
        return _tag(obstore.put(store, key, content, use_multipart=False))


def put_new(root: str, key: str, content: bytes) -> Tag:
    """Write an object, whole or not at all; gives its tag. Raises FileExistsError where something has the name.

    It is one request, so that whoever is killed leaves nothing behind.
    """
    with _asking(root, key) as (obstore, store):
        return _tag(obstore.put(store, key, content, mode="create", use_multipart=False))


def put_over(root: str, key: str, content: bytes, tag: Tag) -> Tag:
    """Write an object over the one that has this tag; gives the new tag. Raises ChangedError where it has another."""
    known = {name: each for name, each in (("e_tag", tag.entity), ("version", tag.version)) if each is not None}
    with _asking(root, key) as (obstore, store):
        return _tag(obstore.put(store, key, content, mode=known, use_multipart=False))


def delete(root: str, key: str) -> None:
    """Remove an object; no error where there is none."""
    with _asking(root, key) as (obstore, store):
        obstore.delete(store, key)


def _tag(entry: Any) -> Tag:
    return Tag(entry["e_tag"], entry["version"])


def _meta(entry: Any) -> Meta:
    modified = entry["last_modified"]
    seconds = int(modified.timestamp())
    return Meta(entry["size"], seconds * 10**9 + modified.microsecond * 1000, _tag(entry))


@contextmanager
def _asking(root: str, key: str) -> Iterator[tuple[Any, Any]]:
    """obstore, and its store of that bucket; its errors as Python's own."""
    try:
        import obstore
        from obstore import exceptions
    except ModuleNotFoundError:
        scheme = root.partition("://")[0]
        raise MissingPackageError(f"{scheme}:// needs the package 'obstore': pip install 'whyport[store]'") from None
    place = f"{root}/{key}"
    try:
        yield obstore, _store(root)
    except exceptions.AlreadyExistsError:
        raise FileExistsError(None, "something has this name already", place) from None
    except exceptions.PreconditionError:
        raise ChangedError(None, "it has changed meanwhile", place) from None
    except FileNotFoundError:
        raise FileNotFoundError(None, "nothing has this name", place) from None
    except exceptions.BaseError as error:
        raise OSError(None, message_line(error), place) from None


@cache
def _store(root: str) -> Any:
    from obstore.store import MemoryStore, from_url

    if root.startswith("memory://"):
        return MemoryStore()
    endpoint = os.environ.get(ENDPOINT) or os.environ.get("AWS_ENDPOINT", "")
    if root.startswith("s3://") and endpoint.startswith("http://"):
        # Only an address that says so itself is asked without encryption.
        return from_url(root, client_options={"allow_http": True})
    return from_url(root)
