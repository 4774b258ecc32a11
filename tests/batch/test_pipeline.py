"""Items ahead and calls behind: in order, bounded, with errors in the caller, and no thread left over."""

import threading
from collections.abc import Generator, Iterator

import pytest

from whyport.batch.pipeline import DoBehind, FetchAhead


class StageError(Exception):
    pass


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def counting(stop: int, seen: list[int], fails_at: int = -1) -> Generator[int, None, None]:
    """The numbers below `stop`; what was done is seen."""
    try:
        for i in range(stop):
            if i == fails_at:
                raise StageError(i)
            seen.append(i)
            yield i
    finally:
        seen.append(-1)


@pytest.mark.parametrize("ahead", [1, 2, 100])
@pytest.mark.parametrize("items", [0, 1, 5])
def test_items_come_in_order_and_end(ahead: int, items: int) -> None:
    with FetchAhead(counting(items, []), ahead, "fetch") as fetched:
        assert list(fetched) == list(range(items))
        assert list(fetched) == []


def test_items_are_made_in_another_thread() -> None:
    def names() -> Generator[str, None, None]:
        yield threading.current_thread().name

    with FetchAhead(names(), 1, "fetch") as fetched:
        assert next(fetched).startswith("fetch")


def test_no_more_items_are_made_than_asked_for() -> None:
    seen: list[int] = []
    with FetchAhead(counting(100, seen), 3, "fetch") as fetched:
        assert next(fetched) == 0
    # Three ahead of the first.
    assert seen[-1] == -1
    assert set(seen[:-1]) <= {0, 1, 2, 3}


def test_an_error_comes_where_the_item_would_have() -> None:
    seen: list[int] = []
    with FetchAhead(counting(5, seen, fails_at=2), 4, "fetch") as fetched:
        assert [next(fetched), next(fetched)] == [0, 1]
        with pytest.raises(StageError, match="2"):
            next(fetched)
    assert seen == [0, 1, -1]


def test_the_generator_is_closed_where_its_user_fails() -> None:
    seen: list[int] = []

    def use() -> None:
        with FetchAhead(counting(100, seen), 2, "fetch") as fetched:
            next(fetched)
            raise StageError("mine")

    with pytest.raises(StageError, match="mine"):
        use()
    assert seen[-1] == -1


def test_calls_are_done_in_order_in_another_thread() -> None:
    done: list[tuple[int, str]] = []
    with DoBehind(2, "do") as behind:
        for i in range(20):
            behind.call(lambda i=i: done.append((i, threading.current_thread().name)))
        behind.wait()
        assert [i for i, _ in done] == list(range(20))
    assert all(name.startswith("do") for _, name in done)


def test_whoever_calls_waits_for_room() -> None:
    started, going = threading.Semaphore(0), threading.Event()

    def slow() -> None:
        started.release()
        going.wait()

    with DoBehind(2, "do") as behind:
        behind.call(slow)
        behind.call(slow)
        third = threading.Thread(target=behind.call, args=(slow,))
        third.start()
        third.join(0.05)
        assert third.is_alive()
        going.set()
        third.join()
        behind.wait()
    assert sum(started.acquire(blocking=False) for _ in range(4)) == 3


@pytest.mark.parametrize("raised_by", ["call", "wait"])
def test_after_an_error_nothing_more_is_done(raised_by: str) -> None:
    done: list[int] = []
    going = threading.Event()

    def fail() -> None:
        going.wait()
        raise StageError("disk")

    with DoBehind(3, "do") as behind:
        behind.call(fail)
        behind.call(lambda: done.append(1))
        behind.call(lambda: done.append(2))
        going.set()
        with pytest.raises(StageError, match="disk"):
            behind.wait() if raised_by == "wait" else behind.call(lambda: done.append(3))
        behind.wait()
    assert done == []


def test_what_waits_is_dropped_where_the_caller_fails() -> None:
    done: list[int] = []
    going = threading.Event()

    def use() -> None:
        with DoBehind(3, "do") as behind:
            behind.call(lambda: going.wait() and None)
            behind.call(lambda: done.append(1))
            releasing.start()
            raise StageError("mine")

    # Leaving waits for the first call, so another thread has to let it end, once the second is dropped.
    releasing = threading.Timer(0.05, going.set)
    with pytest.raises(StageError, match="mine"):
        use()
    releasing.join()
    assert done == []
