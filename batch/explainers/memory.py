"""How many rows a method works on at once, so that its memory follows a budget and not rows x references."""


def rows_within(memory: int, row_bytes: int) -> int:
    """As many rows as the budget holds, and always one.

    Args:
        memory: the budget, in bytes.
        row_bytes: what a row needs at the most, in bytes.
    """
    return max(1, memory // row_bytes)
