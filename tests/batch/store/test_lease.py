"""The lease of a folder in a store: one holder, who is named; a dead one's ends; no store that would not keep it."""

import time
from threading import Barrier, Thread

import pytest

from store_server import StoreServer
from whyport.batch.store import lease as leases
from whyport.batch.store.lease import Lease
from whyport.runtime.errors import JobError, OutputError
from whyport.runtime.store.path import StorePath


@pytest.fixture
def folder(root: str) -> StorePath:
    return StorePath(f"{root}/out")


def test_one_holds_it_and_is_named(folder: StorePath) -> None:
    with Lease(folder, shared=False) as held:
        for shared in (False, True):
            with pytest.raises(JobError, match=r"another run writes to '.*/out': process \d+ on .*, \d+ seconds ago"):
                Lease(folder, shared=shared).__enter__()
        held.check()
    assert not folder.exists()
    with Lease(folder, shared=False):
        pass
    assert not folder.exists()


def test_several_share_it_and_nobody_has_it_alone_meanwhile(folder: StorePath) -> None:
    with Lease(folder, shared=True), Lease(folder, shared=True):
        with pytest.raises(JobError, match="another run writes to"):
            Lease(folder, shared=False).__enter__()
        assert len(list(folder.iterdir())) == 2
    assert not folder.exists()


def test_a_dead_one_ends_after_its_time(folder: StorePath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lease, "_renew", lambda self: None)  # as of a process that is stopped
    for shared in (False, True):
        late = Lease(folder, shared=shared)
        late.__enter__()
        with pytest.raises(JobError, match="--take-over ends it now"):
            Lease(folder, shared=False).__enter__()
        monkeypatch.setattr(leases, "LEASE_SECONDS", 0)
        with Lease(folder, shared=False):
            pass
        monkeypatch.setattr(leases, "LEASE_SECONDS", 60)
        late.__exit__()


def test_who_was_taken_over_learns_it_before_it_changes_anything(
    folder: StorePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "SURE_SECONDS", 0)
    late = Lease(folder, shared=False)
    late.__enter__()
    late.check()
    with Lease(folder, shared=False, take_over=True) as held:
        with pytest.raises(JobError, match="another run has taken over"):
            late.check()
        late.__exit__()
        held.check()  # the late one has not removed it


def test_it_is_renewed(folder: StorePath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEWED_SECONDS", 0.05)
    with Lease(folder, shared=False) as held:
        first = (folder / "_lock").head().tag
        deadline = time.monotonic() + 30
        while (folder / "_lock").head().tag == first and time.monotonic() < deadline:
            time.sleep(0.02)
        assert (folder / "_lock").head().tag != first
        held.check()
    assert not folder.exists()


def test_of_many_at_once_one_has_it(folder: StorePath) -> None:
    won, barrier = [], Barrier(8)

    def claim() -> None:
        mine = Lease(folder, shared=False)
        barrier.wait()
        try:
            mine.__enter__()
        except JobError:
            return
        won.append(mine)

    threads = [Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    won[0].__exit__()
    assert not folder.exists()


def test_a_store_that_ignores_conditions_is_refused(server: StoreServer) -> None:
    server.ignored = ("if-none-match",)
    with pytest.raises(OutputError, match=r"expected a store that creates an object only once .*, in s3://"):
        Lease(StorePath(f"{server.root}/out"), shared=False).__enter__()
    assert not StorePath(f"{server.root}/out").exists()
