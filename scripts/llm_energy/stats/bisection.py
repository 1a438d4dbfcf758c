"""Bisection of an ordered grid for its last good point."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Bracket:
    """Bounds of the last good point of a grid, as far as points were judged."""

    low: int
    """The highest point that was judged good; -1 before there is one."""
    high: int
    """The lowest point that was judged not good; the number of points before there is one."""
    visited: tuple[int, ...]
    """Points that were judged, in order."""

    @property
    def next(self) -> int | None:
        """The point to judge next; None where the search is at its end."""
        return (self.low + self.high) // 2 if self.high - self.low > 1 else None

    @property
    def most(self) -> int:
        """Most points that are still to be judged."""
        return most_points(self.high - self.low - 1)


def bisect(count: int, good: Callable[[int], bool | None]) -> Bracket:
    """Bisect a grid of `count` points as far as they are judged.

    Which points are visited follows from the judgements alone, so that a search that was
    interrupted goes on where it was. It ends after `most_points` at most, however the judgements
    scatter; where they fall once along the grid, `low` is then its last good point.

    Args:
        good: judgement of a point, by its index from 0; None where it has none yet.
    """
    bracket = Bracket(-1, count, ())
    while (point := bracket.next) is not None and (judged := good(point)) is not None:
        low, high = (point, bracket.high) if judged else (bracket.low, point)
        bracket = Bracket(low, high, (*bracket.visited, point))
    return bracket


def most_points(count: int) -> int:
    """Return the most points of a grid of `count` that a bisection judges: ⌈log2(count + 1)⌉."""
    return count.bit_length()
