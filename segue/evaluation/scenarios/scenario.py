"""What a scenario is: from options to tables for people and flat figures for scripts. It prints nothing and knows no terminal."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

Figure = float | int | str
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Options:
    """What a scenario is told; each takes what it knows.

    seed : of the first run; seeds : how many runs, with seeds that follow; rounds : of each; peers : whether others' software runs too
    data : where its log is, None for where the scenario expects it; ask_every : every so-manieth event is guessed
    refit_days : days of the log between the fits of a peer that learns in batches
    listeners : how many are simulated; plot : where curves go, None for nowhere
    """

    seed: int = 1
    seeds: int = 3
    rounds: int = 10_000
    peers: bool = True
    data: Path | None = None
    ask_every: int = 1
    refit_days: int = 1
    listeners: int = 50
    plot: Path | None = None

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


def part_of(progress: Progress, before: int, total: int, what: str) -> Callable[[int], None]:
    """How a part of a run tells what it has done, as that of the whole: of `total`, `before` are done when it begins."""
    return lambda done: progress(before + done, total, what)
