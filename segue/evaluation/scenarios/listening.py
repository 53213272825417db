"""The scenario `listening`: simulated listeners ask for playlists, and what each strategy plays them is all that it learns from.

Every strategy drives its own copy of the same seeded world, by Segue's real processors and stages where it is Segue. The world is made up
(`segue.simulation.world`): it tells what a closed loop costs and gains, not what an audience would say.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from segue.evaluation.like_stream import Bootstrap
from segue.evaluation.listening import BUCKETS, Loop, by_bucket, live_through
from segue.evaluation.listening_bandits import Bandit, Demographic, lin_ucb, thompson, ucb
from segue.evaluation.listening_start import MetaStart
from segue.evaluation.listening_strategies import Content, Oracle, Popularity, Segue, Strategy, TwoTower
from segue.evaluation.peers import installed
from segue.evaluation.scenarios.scenario import Options, Progress, Report, Scenario, Sheet, part_of
from segue.simulation.lives import Lives
from segue.simulation.world import World

OURS, UNEXPLORED, TOWER = "segue", "segue-no-exploration", "two-tower"
POPULARITY, CONTENT, ITEMKNN, VOWPAL_WABBIT, ORACLE = "popularity", "content", "itemknn", "vw-squarecb", "oracle"
DEMOGRAPHIC, UCB, LINUCB, THOMPSON, META_START = "demographic", "ucb", "linucb", "thompson", "meta-start"
STARTS = (DEMOGRAPHIC, UCB, LINUCB, THOMPSON, META_START)  # for who and what is new
BASELINES = (POPULARITY, CONTENT, ITEMKNN, TOWER, VOWPAL_WABBIT)
Make = Callable[[World, Lives, int], Strategy]


@dataclass(slots=True)
class Loops:
    """Of one strategy: its loop in the world of each seed; listeners are counted on from one world to the next."""

    each: list[Loop] = field(default_factory=list)

    def of(self, name: str) -> NDArray[np.float64]:
        """A list of all loops as one array."""
        return np.concatenate([np.array(getattr(loop, name), np.float64) for loop in self.each])


def strategies(options: Options) -> tuple[dict[str, Make], list[str]]:
    """Makers by name, and what of the peers is not installed."""
    makers: dict[str, Make] = {
        OURS: lambda _world, _lives, seed: Segue(seed),
        UNEXPLORED: lambda _world, _lives, seed: Segue(seed, {"explore_every": 0}),
        TOWER: lambda _world, _lives, seed: TwoTower(seed),
        CONTENT: lambda world, _lives, _seed: Content(world.listeners, world.tags),
        POPULARITY: lambda world, _lives, _seed: Popularity(world.listeners, len(world.tracks)),
        DEMOGRAPHIC: lambda world, _lives, _seed: Demographic(world.listeners, len(world.tracks)),
        UCB: lambda world, _lives, seed: Bandit(world.listeners, world.tags, seed, ucb),
        LINUCB: lambda world, _lives, seed: Bandit(world.listeners, world.tags, seed, lin_ucb),
        THOMPSON: lambda world, _lives, seed: Bandit(world.listeners, world.tags, seed, thompson),
        META_START: lambda world, _lives, _seed: MetaStart(world.listeners, world.tags),
        ORACLE: lambda _world, lives, _seed: Oracle(lives),
    }
    missing = list[str]()
    if not options.peers:
        return makers, missing
    from segue.evaluation.listening_peers import ItemKNN, VowpalWabbit

    if installed("implicit"):
        makers[ITEMKNN] = lambda world, _lives, _seed: ItemKNN(world.listeners, len(world.tracks))
    if installed("implicit") and installed("vowpalwabbit"):
        makers[VOWPAL_WABBIT] = lambda world, _lives, seed: VowpalWabbit(world.listeners, len(world.tracks), seed)
    for name, package in ((ITEMKNN, "implicit"), (VOWPAL_WABBIT, "implicit or vowpalwabbit")):
        if name not in makers:
            missing.append(f"{package} is not installed, so {name} did not play: pip install 'segue[peers]'")
    return makers, missing


def run(options: Options, progress: Progress) -> Report:
    """Every strategy in the world of every seed, one after the other."""
    makers, missing = strategies(options)
    seen = {name: Loops() for name in makers}
    worlds = [World(seed, listeners=options.listeners) for seed in options.all_seeds]
    visits = len(worlds[0].visits)
    total, done = visits * len(worlds) * len(makers), 0
    for seed, world in zip(options.all_seeds, worlds, strict=True):
        for name, make in makers.items():
            lives = Lives(world)
            told = part_of(progress, done, total, f"{name}, seed {seed}")
            seen[name].each.append(live_through(world, lives, make(world, lives, seed), told))
            done += visits
    progress(total, total, "done")
    report = Report(figures={"seed": options.seed, "seeds": options.seeds, "listeners": options.listeners})
    report.figures |= {"tracks": len(worlds[0].tracks), "playlists": visits}
    _add(report, seen, options)
    report.notes += missing
    _add_cold(
        report,
        seen,
        "new_track",
        "new tracks: share completed and what it lacks, by the visits that had heard the track",
    )
    _add_cold(
        report,
        seen,
        "new_listener",
        "new listeners: share completed and what it lacks, by the tracks that they had heard",
    )
    if options.plot is not None:
        from segue.evaluation.listening_curves import draw

        draw({name: _curves(loops, "finished") for name, loops in seen.items() if name != ORACLE}, options.plot)
        report.notes.append(f"curves: {options.plot}")
    return report


def _add(report: Report, seen: dict[str, Loops], options: Options) -> None:
    listeners = [seed * options.listeners + one for seed, loop in enumerate(seen[OURS].each) for one in loop.listeners]
    bootstrap, done = Bootstrap(listeners, options.seed), {name: loops.of("completed") for name, loops in seen.items()}
    title = f"completed listens of a playlist, {options.listeners:,} listeners, {report.figures['tracks']:,} tracks, seeds: {options.seeds}"
    sheet = Sheet(title, ("", "completed", "95% interval", "regret", "skips", "coverage"))
    for name, loops in sorted(seen.items(), key=lambda each: -float(done[each[0]].mean())):
        key, (low, high) = name.replace("-", "_"), bootstrap.interval(done[name])
        regret = float((loops.of("best") - loops.of("expected")).mean())
        skips = 1.0 - float(loops.of("finished").mean())
        coverage = float(np.mean([len(loop.recommended) for loop in loops.each])) / int(report.figures["tracks"])
        mean = float(done[name].mean())
        report.figures |= {f"{key}_completed": mean, f"{key}_completed_low": low, f"{key}_completed_high": high}
        report.figures |= {f"{key}_regret": regret, f"{key}_skip_rate": skips, f"{key}_coverage": coverage}
        between = f"{low:.2f} to {high:.2f}"
        sheet.rows.append((name, f"{mean:.2f}", between, f"{regret:.2f}", f"{skips:.1%}", f"{coverage:.1%}"))
    report.sheets.append(sheet)
    best = max((name for name in BASELINES if name in done), key=lambda name: float(done[name].mean()))
    for key, other in (("best_baseline", best), ("no_exploration", UNEXPLORED)):
        ratio, (low, high) = (
            float(done[OURS].mean() / max(done[other].mean(), 1e-12)),
            bootstrap.interval_of_ratio(done[OURS], done[other]),
        )
        name = f"segue_over_{key}_ratio"
        report.figures |= {name: ratio, f"{name}_low": low, f"{name}_high": high}
        report.notes.append(f"{OURS} has {ratio:.2f} times the completed listens of {other} ({low:.2f} to {high:.2f})")


def _curves(loops: Loops, of: str) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Listens and the mean of `finished` or `lost` by bucket, of new tracks and of new listeners."""
    values, new = loops.of(of), loops.of("new") > 0.0
    impressions, plays = (loops.of(name).astype(np.int64) for name in ("impressions", "plays"))
    return {"new_track": by_bucket(impressions[new], values[new]), "new_listener": by_bucket(plays, values)}


def _add_cold(report: Report, seen: dict[str, Loops], which: str, title: str) -> None:
    sheet = Sheet(title, ("", *BUCKETS))
    for name, loops in seen.items():
        (listens, shares), (_, lost) = (_curves(loops, of)[which] for of in ("finished", "lost"))
        shown = list[str]()
        for bucket, n, share, regret in zip(BUCKETS, *(each.tolist() for each in (listens, shares, lost)), strict=True):
            key = f"{name.replace('-', '_')}_{which}_{bucket.replace('-', '_to_').replace('+', '_up')}"
            report.figures |= {f"{key}_completed": share, f"{key}_listens": n, f"{key}_regret": regret}
            shown.append(f"{share:.1%}, {regret:.2f} lost, of {n:,}" if n else "")
        sheet.rows.append((name, *shown))
    report.sheets.append(sheet)


LISTENING = Scenario(
    "listening",
    "completed listens in a closed loop with simulated listeners, against popularity, content, ItemKNN, a two-tower model and Vowpal Wabbit",
    run,
)
