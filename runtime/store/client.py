"""Requests to a store, by obstore or of Hadoop; every failure is an OSError, and a StoreError where no other fits.

Names are keys inside a bucket, without a slash in front. Credentials come from the environment and from the machine, as
obstore finds them; nothing here holds any.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from threading import Timer
from typing import Any

from whyport.runtime.errors import MissingPackageError, StoreError
from whyport.runtime.store import hadoop
from whyport.runtime.store.reason import reason_of

logger = logging.getLogger(__name__)

ENDPOINT = "AWS_ENDPOINT_URL"
"""The variable of the environment with the address of a server that speaks S3."""

SILENT_SECONDS = 30
"""A server that sends nothing for so long does not answer."""
SLOW_BYTES = 8 << 20
"""Bytes that a slow line sends in that time: a quarter of a megabyte per second."""
LONGEST_SECONDS = 24 * 3600
RETRIES, RETRIED_SECONDS, LONGEST_PAUSE = 30, 60, 5
"""A request is made again so often and for so long, after pauses of so many seconds at most."""
TOLD_SECONDS = 10
"""A person is told that an answer is waited for."""


@dataclass(frozen=True)
class Tag:
    """The mark that tells an object from every other one that has had its name."""

    entity: str | None
    """Its ETag, which S3 and Azure compare."""
    version: str | None = None
    """Its version or generation, which Google compares."""


NO_TAG = Tag(None)
"""The tag of a file on a disk."""


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


class TooLongError(OSError):
    """The object has more bytes than are wanted."""


def use_endpoint(address: str | None) -> None:
    """Ask a server at this address where an address begins with s3://; None leaves it to the environment."""
    if address is not None:
        os.environ[ENDPOINT] = address
        _server.cache_clear()


def head(root: str, key: str) -> Meta:
    """What the store says of an object; raises FileNotFoundError where there is none."""
    with _asking(root, key) as store:
        return _meta(store.head(key))


def read(root: str, key: str, most_bytes: int | None = None) -> bytes:
    """The content of an object; raises TooLongError where it has more bytes than that."""
    with _asking(root, key) as store:
        found = store.get(key)
        size = found.meta["size"]
        if most_bytes is None or size <= most_bytes:
            return bytes(found.bytes())
    raise TooLongError(None, f"expected at most {most_bytes} bytes, got {size}", f"{root}/{key}")


def read_range(root: str, key: str, start: int, stop: int, tag: Tag) -> bytes:
    """Bytes of an object; raises ChangedError where it does not have that tag any more."""
    options: dict[str, Any] = {"range": (start, stop)}
    if tag.entity is not None:
        options["if_match"] = tag.entity
    with _asking(root, key) as store:
        return bytes(store.get(key, options=options).bytes())


def files(root: str, prefix: str) -> Iterator[tuple[str, Meta]]:
    """The objects whose names begin so, by name."""
    with _asking(root, prefix) as store:
        found = [(entry["path"], _meta(entry)) for page in store.list(prefix or None) for entry in page]
    # A store compares whole names between slashes with a prefix.
    yield from sorted(found, key=lambda each: each[0])


def names(root: str, prefix: str) -> Iterator[str]:
    """The names that begin so, as the store gives them."""
    with _asking(root, prefix) as store:
        for page in store.list(prefix or None, chunk_size=50):
            yield from (entry["path"] for entry in page)


def entries(root: str, prefix: str) -> tuple[Sequence[str], Sequence[str]]:
    """The folders and the objects up to the next slash of what begins so, without the prefix."""
    with _asking(root, prefix) as store:
        found = store.list_with_delimiter(prefix or None)
    folders = [name.removesuffix("/").removeprefix(prefix) for name in found["common_prefixes"]]
    return folders, [entry["path"].removeprefix(prefix) for entry in found["objects"]]


def put(root: str, key: str, content: bytes) -> Tag:
    """Write an object, whole or not at all, over what has the name; gives its tag."""
    with _asking(root, key, len(content)) as store:
        return _tag(store.put(key, content, use_multipart=False))


def put_new(root: str, key: str, content: bytes) -> Tag:
    """Write an object, whole or not at all; gives its tag. Raises FileExistsError where something has the name.

    It is one request, so that whoever is killed leaves nothing behind.
    """
    with _asking(root, key, len(content)) as store:
        return _tag(store.put(key, content, mode="create", use_multipart=False))


def put_over(root: str, key: str, content: bytes, tag: Tag) -> Tag:
    """Write an object over the one that has this tag; gives the new tag. Raises ChangedError where it has another."""
    known = {name: each for name, each in (("e_tag", tag.entity), ("version", tag.version)) if each is not None}
    with _asking(root, key, len(content)) as store:
        return _tag(store.put(key, content, mode=known, use_multipart=False))


def delete(root: str, *keys: str) -> None:
    """Remove objects, in any order; no error where there is none."""
    try:
        with _asking(root, keys[0]) as store:
            store.delete([*keys])
    except FileNotFoundError:  # S3 says nothing of it, others do
        for key in keys if len(keys) > 1 else ():
            delete(root, key)


def _tag(entry: Any) -> Tag:
    return Tag(entry["e_tag"], entry["version"])


def _meta(entry: Any) -> Meta:
    modified = entry["last_modified"]
    seconds = int(modified.timestamp())
    return Meta(entry["size"], seconds * 10**9 + modified.microsecond * 1000, _tag(entry))


@contextmanager
def _asking(root: str, key: str, sent: int | None = None) -> Iterator[Any]:
    """The store of that bucket; its errors as Python's own, and StoreError for all others.

    Args:
        root: the bucket's address.
        key: the name inside it.
        sent: the bytes that are sent.
    """
    failures = _failures(root)
    place = f"{root}/{key}"
    telling = Timer(TOLD_SECONDS * _share(sent or 0), logger.warning, ("the store has not answered yet, in %s", place))
    telling.daemon = True
    telling.start()
    try:
        yield _server(root, None if sent is None else _share(sent))
    except failures.exists:
        raise FileExistsError(None, "something has this name already", place) from None
    except failures.changed:
        raise ChangedError(None, "it has changed meanwhile", place) from None
    except FileNotFoundError:
        raise FileNotFoundError(None, "nothing has this name", place) from None
    except failures.other as error:
        raise StoreError(None, reason_of(str(error)), place) from None
    finally:
        telling.cancel()


@dataclass(frozen=True)
class _Failures:
    """The exceptions by which a kind of store says that something did not come about."""

    exists: type[Exception]
    changed: type[Exception]
    other: type[Exception]


def _failures(root: str) -> _Failures:
    if _is_hadoop(root):
        return _Failures(FileExistsError, hadoop.ConditionError, OSError)
    try:
        from obstore import exceptions
    except ModuleNotFoundError:
        scheme = root.partition("://")[0]
        raise MissingPackageError(f"{scheme}:// needs the package 'obstore': pip install 'whyport[store]'") from None
    return _Failures(exceptions.AlreadyExistsError, exceptions.PreconditionError, exceptions.BaseError)


def _share(sent: int) -> int:
    """How much longer than a small one a request may take that sends so many bytes: a power of two."""
    return 1 << max((sent - 1) // SLOW_BYTES, 0).bit_length()


@cache
def _memory(root: str) -> Any:
    from obstore.store import MemoryStore

    return MemoryStore()


@cache
def _hadoop(root: str) -> hadoop.HadoopStore:
    return hadoop.HadoopStore.of(root)


def _is_hadoop(root: str) -> bool:
    return root.startswith(f"{hadoop.SCHEME}://")


@cache
def _server(root: str, share: int | None) -> Any:
    """A bucket for requests that send so many times as much as small ones, or that send nothing."""
    if _is_hadoop(root):
        return _hadoop(root)
    from obstore.store import from_url

    if root.startswith("memory://"):
        return _memory(root)
    # An answer of any length comes in pieces. While something is sent there is none.
    whole = LONGEST_SECONDS if share is None else min(SILENT_SECONDS * share, LONGEST_SECONDS)
    options: Any = {"timeout": timedelta(seconds=whole)}
    if share is None:
        options["read_timeout"] = timedelta(seconds=SILENT_SECONDS)
    endpoint = os.environ.get(ENDPOINT) or os.environ.get("AWS_ENDPOINT", "")
    if root.startswith("s3://") and endpoint.startswith("http://"):
        # Only an address that says so itself is asked without encryption.
        options["allow_http"] = True
    pauses: Any = {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=LONGEST_PAUSE), "base": 2}
    retries: Any = {"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRIED_SECONDS), "backoff": pauses}
    return from_url(root, client_options=options, retry_config=retries)
