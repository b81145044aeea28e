"""Timing calls one by one, with their CPU time, in turns with what they are compared with."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median
from typing import TypeVar

__all__ = ["Block", "alternate", "no_cpu", "of_rounds", "percentile", "ratio", "time_calls"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Some calls in a row: `seconds` of each by the wall clock, CPU seconds of all of them, here and in the server."""

    seconds: Sequence[float]
    cpu: float
    server_cpu: float

    def at(self, percent: float) -> float:
        return percentile(self.seconds, percent)

    @property
    def cpu_each(self) -> float:
        return self.cpu / len(self.seconds)

    @property
    def server_cpu_each(self) -> float:
        return self.server_cpu / len(self.seconds)


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest rank: one of `values`."""
    ordered = sorted(values)
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)]


def no_cpu() -> float:
    """The CPU seconds of a server that there is none of."""
    return 0.0


def time_calls(call: Callable[[T], object], given: Sequence[T], *, server_cpu: Callable[[], float] = no_cpu) -> Block:
    """`call` for each of `given`. What it returns is kept until the clocks have stopped: freeing it is not its work."""
    seconds = []
    kept = []
    server_began, began = server_cpu(), time.process_time()
    for argument in given:
        before = time.perf_counter()
        kept.append(call(argument))
        seconds.append(time.perf_counter() - before)
    cpu = time.process_time() - began
    return Block(seconds=seconds, cpu=cpu, server_cpu=server_cpu() - server_began)


def alternate(contestants: Mapping[str, Callable[[], T]], *, rounds: int) -> dict[str, list[T]]:
    """A, B, C; C, B, A; … so that whatever else the machine does hits all of them. A first round does not count."""
    names = list(contestants)
    found: dict[str, list[T]] = {name: [] for name in names}
    for number in range(rounds + 1):
        for name in reversed(names) if number % 2 else names:
            result = contestants[name]()
            if number:
                found[name].append(result)
    return found


def of_rounds(results: Sequence[T], figure: Callable[[T], float]) -> float:
    """The median over the rounds."""
    return median(figure(result) for result in results)


def ratio(results: Sequence[T], beside: Sequence[T], figure: Callable[[T], float]) -> float:
    """The median of the ratios of each round: both were measured within seconds of each other."""
    return median(figure(one) / figure(other) for one, other in zip(results, beside, strict=True))
