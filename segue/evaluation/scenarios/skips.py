"""The scenario `skips`: whether a play of a real log will be skipped, predicted before it is learnt, by what its listener and all others did before.

Segue learns by its processors, from events to blocks of weights; the peers get the very features that its ranker got. LightGBM is refit on
the past alone, Vowpal Wabbit learns online; the base rate is the listener's own. A factorisation machine, which is ours and not served, gets
the features and identities; what each model costs is the time of this process alone, without the features.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from online_models.ranker import OBJECTIVES
from segue.errors import InputError
from segue.evaluation.examples import SKIP, Examples, examples_of
from segue.evaluation.metrics import calibration_error
from segue.evaluation.peers import installed
from segue.evaluation.scenarios.scenario import Options, Progress, Report, Scenario, Sheet, part_of
from segue.evaluation.skip_log import MEASURES, Doubles, Resampled, SkipLog, interval, worth
from segue.evaluation.skip_machine import factorisation_machine, identities_of, knowing_the_end, mean_of, newton
from segue.evaluation.skip_peers import base_rate, light_gbm, vowpal_wabbit
from segue.importers import source_of
from streams.messages import ListeningEvent, Track

DATA = Path("../shared/data/spotify_histories")
DAY_MS, MINUTE_MS = 86_400_000, 60_000
OURS, LIGHTGBM, VOWPAL_WABBIT, BASE_RATE = "segue", "lightgbm", "vowpal-wabbit", "base-rate"
MACHINE, MEAN, KNOWING = "factorisation-machine", "mean-with-machine", "knowing-the-end"


@dataclass(slots=True)
class Guesses:
    """By method: the chance of a skip of every play, float64[n], and what it cost this process, in microseconds a play."""

    chances: dict[str, Doubles] = field(default_factory=dict)
    costs_us: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, predict: Callable[[], Doubles]) -> None:
        begun = time.process_time()
        self.chances[name] = predict()
        self.costs_us[name] = 1e6 * (time.process_time() - begun) / len(self.chances[name])


def log_of(examples: Examples, events: Sequence[ListeningEvent], tracks: Sequence[Track]) -> SkipLog:
    """The plays of a log as a peer meets them."""
    plays = [event for event in events if event.kind in ("play", "skip")]
    numbers = {user: number for number, user in enumerate(dict.fromkeys(event.user_id for event in plays))}
    return SkipLog(
        examples.x[examples.plays],
        np.array([numbers[event.user_id] for event in plays], np.int64),
        np.array([event.kind == "skip" for event in plays], np.bool_),
        np.array([(event.at_ms - (event.played_ms or 0)) // DAY_MS for event in plays], np.int64),
        ended_of(plays),
        identities_of(plays, tracks),
    )


def ended_of(plays: Sequence[ListeningEvent]) -> Doubles:
    """Minutes from the end of a listener's last play to the end of each, float64[n]; of the first, since 1970."""
    last, ended = dict[str, int](), list[float]()
    for play in plays:
        ended.append(max(0, play.at_ms - last.get(play.user_id, 0)) / MINUTE_MS)
        last[play.user_id] = play.at_ms
    return np.array(ended, np.float64)


def run(options: Options, progress: Progress) -> Report:
    """All methods over the whole log."""
    path = options.data or DATA
    source = source_of(path)
    events = list(source.events(path))
    if not any(event.kind in ("play", "skip") for event in events):
        raise InputError(
            f"{path}: holds neither a play nor a skip, expected a log of them; say where it is with --data"
        )
    tracks, told = list(source.tracks(path)), part_of(progress, 0, 100, "segue learns")
    examples = examples_of(events, tracks, options.seed, told, flush_every=2)
    log = log_of(examples, events, tracks)
    report = Report(figures={"seed": options.seed, "events": len(events), "plays": len(log.skipped)})
    report.figures |= {"listeners": int(log.listeners.max()) + 1, "refit_days": options.refit_days}
    guesses = Guesses()
    guesses.add(OURS, lambda: newton(log))
    guesses.chances[OURS] = examples.predicted[examples.plays, SKIP]  # those of the processors
    _add_others(guesses, log, options, report, progress)
    _add(report, log, guesses, options.seed)
    _calibrate(report, examples)
    return report


def _add_others(guesses: Guesses, log: SkipLog, options: Options, report: Report, progress: Progress) -> None:
    seed, days = options.seed, options.refit_days
    guesses.add(BASE_RATE, lambda: base_rate(log))
    guesses.add(MACHINE, lambda: factorisation_machine(log, seed))
    guesses.add(MEAN, lambda: mean_of(guesses.chances[OURS], guesses.chances[MACHINE]))
    guesses.costs_us[MEAN] += guesses.costs_us[OURS] + guesses.costs_us[MACHINE]
    guesses.add(KNOWING, lambda: knowing_the_end(log))
    if not options.peers:
        return
    if installed("lightgbm"):
        guesses.add(
            LIGHTGBM, lambda: light_gbm(log, seed, days, lambda done, of: progress(done, of, "lightgbm is refit"))
        )
    if installed("vowpalwabbit"):
        guesses.add(VOWPAL_WABBIT, lambda: vowpal_wabbit(log, seed))
    for package, name in (("lightgbm", LIGHTGBM), ("vowpalwabbit", VOWPAL_WABBIT)):
        if name not in guesses.chances:
            report.notes.append(f"{package} is not installed, so {name} did not play: pip install 'segue[peers]'")


def _add(report: Report, log: SkipLog, guesses: Guesses, seed: int) -> None:
    columns = ("", "AUC", "95% interval", "log loss", "ECE", "us a play")
    resampled, sheet = Resampled(log, seed), Sheet(_title(log), columns)
    drawn = {name: resampled.measures(each) for name, each in guesses.chances.items()}
    worths = {name: worth(each, log.skipped) for name, each in guesses.chances.items()}
    for name, values in worths.items():
        key = name.replace("-", "_")
        bounds = {measure: interval(drawn[name][measure]) for measure in MEASURES}
        for measure, (low, high) in bounds.items():
            report.figures |= {f"{key}_{measure}": values[measure]}
            report.figures |= {f"{key}_{measure}_low": low, f"{key}_{measure}_high": high}
        low, high = bounds["auc"]
        shown = f"{values['auc']:.4f}", f"{low:.4f} to {high:.4f}", f"{values['log_loss']:.4f}", f"{values['ece']:.4f}"
        report.figures[f"{key}_us"] = guesses.costs_us[name]
        sheet.rows.append((name, *shown, f"{guesses.costs_us[name]:.1f}"))
        if name != OURS:
            low, high = interval(drawn[OURS]["auc"] - drawn[name]["auc"])
            less = f"{OURS}_less_{key}_auc"
            report.figures |= {less: worths[OURS]["auc"] - values["auc"], f"{less}_low": low, f"{less}_high": high}
    report.sheets.append(sheet)


def _title(log: SkipLog) -> str:
    return f"will it be skipped? {len(log.skipped):,} plays of {int(log.listeners.max()) + 1:,} listeners, each predicted before it was learnt"


def _calibrate(report: Report, examples: Examples) -> None:
    """The calibration error of each objective, over the examples that it learnt, by their weights."""
    sheet = Sheet("calibration of each objective, predicted before it was learnt", ("", "examples", "rate", "ECE"))
    for place, name in enumerate(OBJECTIVES):
        times = np.rint(examples.weights[:, place]).astype(np.int64)
        seen, chances = (np.repeat(each[:, place], times) for each in (examples.labels, examples.predicted))
        error = calibration_error(chances, seen)
        report.figures[f"{name}_calibration_error"] = error
        sheet.rows.append(
            (name, f"{int((times > 0).sum()):,}", f"{seen.mean():.3f}" if len(seen) else "", f"{error:.4f}")
        )
    report.sheets.append(sheet)


SKIPS = Scenario(
    "skips",
    "whether a play will be skipped, against a factorisation machine, LightGBM refit daily and Vowpal Wabbit online",
    run,
)
