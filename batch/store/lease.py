"""The lock of a folder in a store: a small object that its holder renews, and that ends when it is not renewed.

It keeps two runs from working at once in vain. It is not what keeps the output right: parts are created once, and
equal, whoever makes them; and what a run alone may replace, it replaces while it holds the lease.
"""

import json
import logging
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import Self

from whyport.batch.store.local import writing
from whyport.runtime.errors import JobError, OutputError
from whyport.runtime.store import client
from whyport.runtime.store.path import StorePath

logger = logging.getLogger(__name__)

LEASE_NAME = "_lock"
LEASE_SECONDS, RENEWED_SECONDS = 60, 15
SURE_SECONDS = 5
"""A lease that was renewed so lately is held."""


class Lease:
    """Holds a folder in a store; leaving the context gives it back.

    Args:
        folder: the folder.
        shared: whether others may share it; nobody can have it alone meanwhile.
        take_over: whether another's lease is ended, though it may be at work.

    Raises:
        JobError: another process holds it, which is named.
        OutputError: the store cannot be written to, or does not keep the promise that an object is created only once.
    """

    def __init__(self, folder: StorePath, *, shared: bool, take_over: bool = False) -> None:
        self._folder = folder
        self._shared = shared
        self._take_over = take_over
        own = f"{LEASE_NAME}-{secrets.token_hex(8)}" if shared else LEASE_NAME
        self._path = folder / own
        self._holder = f"process {os.getpid()} on {socket.gethostname()}"
        self._tag = client.NO_TAG
        self._renewed = 0.0
        self._is_lost = False
        self._ended = Event()
        self._renewing = Lock()
        self._thread = Thread(target=self._renew_often, name="whyport-lease", daemon=True)

    def __enter__(self) -> Self:
        with writing(self._folder):
            now = self._probe()
            self._check_others(now, self._others())
            self._take(now)
            try:
                # Whoever came at the same time sees one of us; a store has no lock over both.
                self._check_others(now, self._others())
            except JobError:
                self._give_back()
                raise
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(SURE_SECONDS)
        if self._thread.is_alive():  # the store does not answer: the lease ends by itself
            return
        with suppress(OSError):
            self._give_back()

    def check(self) -> None:
        """Raise JobError where the lease is not held any more: another run may be at work."""
        if time.monotonic() - self._renewed > SURE_SECONDS:
            with writing(self._path):
                self._renew()
        if self._is_lost:
            raise JobError(f"another run has taken over {str(self._folder)!r}; what it needs is there")

    def _probe(self) -> int:
        """The store's time in nanoseconds, learned by creating an object twice, which must fail.

        Raises OutputError where it does not: a store that ignores conditions would let a late run replace parts.
        """
        root, key = self._folder.root_url, (self._folder / f"{LEASE_NAME}-probe-{secrets.token_hex(8)}").key
        client.put_new(root, key, b"1")
        try:
            client.put_new(root, key, b"2")
        except FileExistsError:
            return client.head(root, key).modified_ns
        finally:
            client.delete(root, key)
        raise OutputError(
            "expected a store that creates an object only once (If-None-Match), got one that replaces it, "
            f"in {self._folder}"
        )

    def _others(self) -> Iterator[tuple[StorePath, client.Meta]]:
        """The leases that speak against this one."""
        root = self._folder.root_url
        for path in self._folder.glob(f"{LEASE_NAME}*"):
            is_shared = path.name != LEASE_NAME
            if path == self._path or "probe" in path.name or (is_shared and self._shared):
                continue
            with suppress(FileNotFoundError):
                yield path, client.head(root, path.key)

    def _check_others(self, now: int, others: Iterator[tuple[StorePath, client.Meta]]) -> None:
        """Raise JobError for a lease that is alive; one that has ended, or is taken over, is removed."""
        for path, meta in others:
            age = (now - meta.modified_ns) / 1e9
            if age < LEASE_SECONDS and not self._take_over:
                raise self._refusal(path, age)
            client.delete(path.root_url, path.key)

    def _take(self, now: int) -> None:
        root, key, document = self._path.root_url, self._path.key, self._document()
        try:
            self._tag = client.put_new(root, key, document)
        except FileExistsError:
            meta = client.head(root, key)
            if client.read(root, key) == document:  # the answer to a first attempt was lost
                self._tag, self._renewed = meta.tag, time.monotonic()
                return
            age = (now - meta.modified_ns) / 1e9
            if age < LEASE_SECONDS and not self._take_over:
                raise self._refusal(self._path, age) from None
            try:
                self._tag = client.put_over(root, key, self._document(), meta.tag)
            except client.ChangedError:
                raise self._refusal(self._path, 0) from None
            logger.info("the lease of a run that has ended was taken over, in %s", self._folder)
        self._renewed = time.monotonic()

    def _refusal(self, path: StorePath, age: float) -> JobError:
        try:
            holder = json.loads(path.read_text())["holder"]
        except (OSError, ValueError, KeyError, TypeError):
            holder = "another process"
        return JobError(
            f"another run writes to {str(self._folder)!r}: {holder}, {max(age, 0):.0f} seconds ago; if it is dead, its "
            f"lease ends after {LEASE_SECONDS}, and --take-over ends it now"
        )

    def _document(self) -> bytes:
        # Every renewal has other bytes, and so another tag.
        return json.dumps({"holder": self._holder, "renewal": secrets.token_hex(8)}).encode()

    def _renew_often(self) -> None:
        while not self._ended.wait(RENEWED_SECONDS):
            with suppress(OSError):  # the next attempt may come in time
                self._renew()

    def _renew(self) -> None:
        with self._renewing:
            if self._is_lost:
                return
            try:
                path = self._path
                self._tag = client.put_over(path.root_url, path.key, self._document(), self._tag)
                self._renewed = time.monotonic()
            except (client.ChangedError, FileNotFoundError):
                self._is_lost = True

    def _give_back(self) -> None:
        """Remove the lease, where it is still this one."""
        root, key = self._path.root_url, self._path.key
        if not self._is_lost and client.head(root, key).tag == self._tag:
            client.delete(root, key)
