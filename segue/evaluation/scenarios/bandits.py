"""The scenario `bandits`: what Segue's policies and their peers lose against the best arm, and how fast each decides, in seeded worlds.

One process, one thread, all on the same contexts and rewards; not a claim about listeners.
"""

import time
from dataclasses import dataclass, field

import numpy as np

from segue.evaluation.bandit_peers import SQUARECB, peer_players
from segue.evaluation.bandit_players import Player, our_players
from segue.evaluation.bandit_worlds import ARMS, KINDS, BanditWorld, bandit_world
from segue.evaluation.metrics import mean_interval
from segue.evaluation.peers import installed
from segue.evaluation.scenarios.scenario import Options, Progress, Report, Scenario, Sheet

OURS, PEERS = ("linucb-shared", "linucb-disjoint"), {"river-linucb", *SQUARECB}
NO_VOWPAL_WABBIT = "Vowpal Wabbit is not installed, so it did not play: pip install 'segue[peers]'"


@dataclass(slots=True)
class Played:
    """Of one player in one kind of world, a value for each seed: regret, and seconds of processor time for all its choices and lessons."""

    regret: list[float] = field(default_factory=list)
    choosing_s: list[float] = field(default_factory=list)
    learning_s: list[float] = field(default_factory=list)

    def decisions_per_s(self, rounds: int) -> float:
        return rounds * len(self.regret) / max(sum(self.choosing_s), 1e-9)

    def rounds_per_s(self, rounds: int) -> float:
        return rounds * len(self.regret) / max(sum(self.choosing_s) + sum(self.learning_s), 1e-9)


def play(world: BanditWorld, player: Player) -> tuple[float, float, float]:
    """Regret over all rounds, seconds of choosing, seconds of learning."""
    clock, regret, choosing, learning = time.process_time, 0.0, 0.0, 0.0
    best = world.means.max(1)
    for number, context in enumerate(world.contexts):
        begun = clock()
        arm = player.choose(context)
        chosen = clock()
        player.learn(float(world.rewards[number, arm]))
        learning += clock() - chosen
        choosing += chosen - begun
        regret += float(best[number] - world.means[number, arm])
    return regret, choosing, learning


def run(options: Options, progress: Progress) -> Report:
    """Every player in every world, one after the other."""
    report = Report(figures={"rounds": options.rounds, "arms": ARMS, "seed": options.seed, "seeds": options.seeds})
    if options.peers and not installed("vowpalwabbit"):
        report.notes.append(NO_VOWPAL_WABBIT)
    for place, kind in enumerate(KINDS):
        seen: dict[str, Played] = {}
        floors: dict[str, list[float]] = {"random": [], "best-fixed-arm": []}
        for number, seed in enumerate(options.all_seeds):
            world = bandit_world(kind, seed, options.rounds)
            floors["random"].append(world.random_regret)
            floors["best-fixed-arm"].append(world.fixed_regret)
            players = our_players(world, seed) | (peer_players(world, seed) if options.peers else {})
            for name, make in players.items():
                progress(place * options.seeds + number, len(KINDS) * options.seeds, f"{kind} {seed}: {name}")
                played = seen.setdefault(name, Played())
                regret, choosing, learning = play(world, make())
                played.regret.append(regret)
                played.choosing_s.append(choosing)
                played.learning_s.append(learning)
        _add(report, kind, options, seen, floors)
        _compare(report, kind, options, seen)
    progress(len(KINDS) * options.seeds, len(KINDS) * options.seeds, "done")
    return report


def _add(report: Report, kind: str, options: Options, seen: dict[str, Played], floors: dict[str, list[float]]) -> None:
    columns = ("", "regret", "95% interval", "of random", "decisions/s", "rounds/s")
    sheet = Sheet(f"{kind} world, {ARMS} arms, {options.rounds:,} rounds, seeds: {options.seeds}", columns)
    for name, played in seen.items():
        mean, low, high = mean_interval(np.array(played.regret))
        share = float((np.array(played.regret) / np.array(floors["random"])).mean())
        decisions, rounds = played.decisions_per_s(options.rounds), played.rounds_per_s(options.rounds)
        speeds = (f"{decisions:,.0f}", f"{rounds:,.0f}")
        sheet.rows.append((name, f"{mean:,.0f}", _between(low, high), f"{share:.1%}", *speeds))
        key = f"{kind}_{name.replace('-', '_')}"
        report.figures |= {
            f"{key}_regret": mean,
            f"{key}_regret_low": low,
            f"{key}_regret_high": high,
            f"{key}_of_random": share,
            f"{key}_decisions_per_s": decisions,
            f"{key}_rounds_per_s": rounds,
        }
    for name, regrets in floors.items():
        mean, low, high = mean_interval(np.array(regrets))
        sheet.rows.append((name, f"{mean:,.0f}", _between(low, high), "", "", ""))
        report.figures[f"{kind}_{name.replace('-', '_')}_regret"] = mean
    report.sheets.append(sheet)


def _between(low: float, high: float) -> str:
    return f"{low:,.0f} to {high:,.0f}" if np.isfinite(low) else ""


def _compare(report: Report, kind: str, options: Options, seen: dict[str, Played]) -> None:
    """Segue's LinUCB beside each peer, seed by seed: the one that shares what it learns where arms have features."""
    ours = next(name for name in OURS if name in seen)
    for peer in sorted(seen.keys() & PEERS):
        regrets = np.array(seen[ours].regret) / np.maximum(np.array(seen[peer].regret), 1e-9)
        faster = seen[ours].decisions_per_s(options.rounds) / seen[peer].decisions_per_s(options.rounds)
        key = f"{kind}_over_{peer.replace('-', '_')}"
        report.figures |= {f"{key}_regret_ratio": float(regrets.mean()), f"{key}_speed_ratio": faster}
        report.notes.append(
            f"{kind} world: {ours} has {regrets.mean():.2f} times the regret of {peer} "
            f"({regrets.min():.2f} to {regrets.max():.2f}), and makes {faster:.1f} times its decisions a second"
        )


BANDITS = Scenario(
    "bandits", "regret and speed of the bandits, against River's LinUCB and Vowpal Wabbit's SquareCB", run
)
