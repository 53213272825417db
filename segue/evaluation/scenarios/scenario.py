"""What a scenario is: from options to tables for people and flat figures for scripts. It prints nothing and knows no terminal."""

from collections.abc import Callable
from dataclasses import dataclass, field

Figure = float | int | str
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Options:
    """seed : of the first run; seeds : how many runs, with seeds that follow; rounds : of each; peers : whether others' software runs too."""

    seed: int = 1
    seeds: int = 3
    rounds: int = 10_000
    peers: bool = True

    @property
    def all_seeds(self) -> range:
        return range(self.seed, self.seed + self.seeds)


@dataclass(slots=True)
class Sheet:
    """A table: a title, the heads of its columns, and rows of as many texts."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)


@dataclass(slots=True)
class Report:
    """What a scenario found.

    figures : flat, for `--json`; docs/cli-figures.md explains them
    notes : what a reader must know, such as a peer that is not installed
    """

    sheets: list[Sheet] = field(default_factory=list)
    figures: dict[str, Figure] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A name, a sentence, and how it is run; progress is told (done, of so many, what comes)."""

    name: str
    about: str
    run: Callable[[Options, Progress], Report]
