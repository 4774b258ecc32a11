"""Orders cut small, so that all workers have something to do, and little is lost with one."""

from collections.abc import Iterable, Iterator

from whyport.batch.output.parts import PartSpan
from whyport.batch.run.worker import Order

SHARE = 4
"""The least number of orders for each worker, as far as there are parts."""


def pieces(orders: Iterable[Order], workers: int, rows: int) -> list[Order]:
    """The same parts as smaller orders, in order; neighbouring parts stay together, since one reader serves them.

    Args:
        orders: the orders.
        workers: the number of workers.
        rows: the most rows of an order with several parts.
    """
    given = list(orders)
    parts = sum(len(order.spans) for order in given)
    most = max(1, parts // (workers * SHARE))
    return [Order(order.index, spans) for order in given for spans in _cut(order.spans, most, rows)]


def _cut(spans: tuple[PartSpan, ...], most: int, rows: int) -> Iterator[tuple[PartSpan, ...]]:
    piece: tuple[PartSpan, ...] = ()
    for span in spans:
        is_full = len(piece) == most or sum(each.rows for each in piece) + span.rows > rows
        if piece and (is_full or piece[-1].stop != span.start):
            yield piece
            piece = ()
        piece = (*piece, span)
    if piece:
        yield piece
