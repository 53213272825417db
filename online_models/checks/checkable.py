"""A model as the checks see it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from online_models.track import Doubles

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Check:
    """One sentence about one model. Called, it raises AssertionError where the sentence is not true."""

    model: str
    sentence: str
    run: Callable[[], None]

    def __call__(self) -> None:
        self.run()

    def __str__(self) -> str:
        return f"{self.model}: {self.sentence}"


@dataclass(frozen=True, slots=True)
class Pattern(Generic[M]):
    """Something that the model can learn: `teach` shows it once, `predict` says how much the model believes it."""

    teach: Callable[[M], None]
    predict: Callable[[M], float]
    lessons: int = 20


@dataclass(frozen=True, slots=True)
class Bounded(Generic[M]):
    """A model with small bounds, and lessons enough to go past them.

    sizes : by name, how much is held and how much may be; at the end of the lessons each is at its bound
    """

    make: Callable[[], M]
    teach: Callable[[M, int], None]
    lessons: int
    sizes: Callable[[M], Mapping[str, tuple[int, int]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkable(Generic[M]):
    """How the checks make, teach and ask a model. All is a function of its arguments: no clock, no randomness of its own.

    make : seed -> a new model
    teach : (model, n) -> the model learns the n-th of a fixed series of lessons, n >= 0
    ask : float64, the answers to a fixed series of questions
    state : everything that it has learnt, as bytes
    low, high : between which its answers lie
    restore : a second model, made from the rows that the first one writes
    commutes : its lessons are sums, so any order of them leads to the same answers
    hostile : answers to numbers that are valid and extreme, taught and asked one after the other
    empty : answers to questions about nothing; each must be empty
    interface : checks of the interface that it implements, each of which takes a maker of new models
    """

    name: str
    make: Callable[[int], M]
    teach: Callable[[M, int], None]
    ask: Callable[[M], Doubles]
    state: Callable[[M], bytes]
    low: float = -float("inf")
    high: float = float("inf")
    restore: Callable[[M], M] | None = None
    commutes: bool = False
    pattern: Pattern[M] | None = None
    bounded: Bounded[M] | None = None
    hostile: Callable[[M], Iterable[Doubles]] | None = None
    empty: Callable[[M], Iterable[Doubles]] | None = None
    interface: tuple[Callable[[Callable[[], M]], None], ...] = ()
