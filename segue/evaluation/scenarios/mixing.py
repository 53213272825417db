"""The scenario `mixing`: what serving loses where listeners are shared out among learners, and one set of weights is mixed of all.

Each example is predicted by the mix as it was handed out last, before its own learner learns it. The same examples, made by the real processors, go to
one learner and to LEARNERS, as Kafka's partitioner shares listeners out; to these with both averages. Worlds are made up; `--data` adds a log.
"""

import numpy as np

from online_models.ranker import CURVATURE, Ranker, RankerMix
from online_models.track import Doubles
from segue.evaluation.examples import SKIP, STEP, Examples, examples_of
from segue.evaluation.metrics import auc, log_loss
from segue.evaluation.scenarios.scenario import Options, Progress, Report, Scenario, Sheet, part_of
from segue.importers import source_of
from segue.simulation.listens import listens
from segue.simulation.lives import Lives
from segue.simulation.world import World
from streams.partitioning import partition_of

LEARNERS = 4
VISITS = 30  # of each listener of a made-up world
FLUSH = 512  # examples between two hand-outs of weights
ONE, CURVATURES, EXAMPLES = "one-learner", "by-curvatures", "by-examples"
METHODS = (ONE, CURVATURES, EXAMPLES)


class Shared:
    """Some learners, and what serving has of them: mixed with their curvatures, and without."""

    def __init__(self, learners: int) -> None:
        self.rankers = [Ranker() for _ in range(learners)]
        self.by_curvatures, self.by_examples = RankerMix(), RankerMix()

    def hand_out(self) -> None:
        for number, ranker in enumerate(self.rankers):
            for key, value in ranker.changed_rows().items():
                self.by_curvatures.apply_row(number, key, value)
                if not key.endswith(CURVATURE.encode()):
                    self.by_examples.apply_row(number, key, value)

    def learn(self, examples: Examples, part: slice, owners: "np.ndarray[tuple[int, ...], np.dtype[np.int64]]") -> None:
        for number, ranker in enumerate(self.rankers):
            theirs = owners[part] == number
            if theirs.any():
                ranker.learn_many(
                    examples.x[part][theirs], examples.labels[part][theirs], examples.weights[part][theirs]
                )


def chances(examples: Examples) -> dict[str, Doubles]:
    """The chance of a skip that serving would have predicted of each play, by method."""
    owners = np.array([partition_of(user.encode(), LEARNERS) for user in examples.users], np.int64)
    one, many = Shared(1), Shared(LEARNERS)
    mixes = {ONE: one.by_examples, CURVATURES: many.by_curvatures, EXAMPLES: many.by_examples}
    predicted = {name: np.empty(len(examples)) for name in mixes}
    for start in range(0, len(examples), STEP):
        part = slice(start, start + STEP)
        for name, mix in mixes.items():
            predicted[name][part] = mix.score_many(examples.x[part])["skip"]
        one.learn(examples, part, np.zeros_like(owners))
        many.learn(examples, part, owners)
        if (start + STEP) % FLUSH == 0:
            one.hand_out()
            many.hand_out()
    return {name: each[examples.plays] for name, each in predicted.items()}


def run(options: Options, progress: Progress) -> Report:
    """Made-up worlds of all seeds, whose figures are averaged; and a log, where one is given."""
    report = Report(figures={"seed": options.seed, "seeds": options.seeds, "listeners": options.listeners})
    report.figures["learners"] = LEARNERS
    total = 100 * (options.seeds + (options.data is not None))
    worlds = list[Examples]()
    for number, seed in enumerate(options.all_seeds):
        world = World(seed, listeners=options.listeners, visits=VISITS)
        events = list(listens(world, Lives(world), seed))
        worlds.append(examples_of(events, world.tracks, seed, part_of(progress, 100 * number, total, f"seed {seed}")))
    _add(report, "world", f"made-up worlds of {options.listeners:,} listeners, {LEARNERS} learners", worlds)
    if options.data is not None:
        source = source_of(options.data)
        log, tracks = list(source.events(options.data)), list(source.tracks(options.data))
        examples = examples_of(
            log, tracks, options.seed, part_of(progress, 100 * options.seeds, total, options.data.name)
        )
        _add(
            report,
            "log",
            f"{options.data.name}, {len(set(examples.users)):,} listeners, {LEARNERS} learners",
            [examples],
        )
    progress(total, total, "done")
    return report


def _add(report: Report, key: str, title: str, logs: list[Examples]) -> None:
    sheet, seen = (
        Sheet(f"skips, {title}", ("", "AUC", "log loss")),
        {name: list[tuple[float, float]]() for name in METHODS},
    )
    for examples in logs:
        skipped = examples.labels[examples.plays, SKIP] > 0.0
        for name, predicted in chances(examples).items():
            seen[name].append((auc(predicted, skipped), log_loss(predicted, skipped)))
    for name, values in seen.items():
        area, loss = (float(each) for each in np.mean(values, axis=0))
        report.figures |= {
            f"{key}_{name.replace('-', '_')}_auc": area,
            f"{key}_{name.replace('-', '_')}_log_loss": loss,
        }
        sheet.rows.append((name, f"{area:.4f}", f"{loss:.4f}"))
    report.sheets.append(sheet)


MIXING = Scenario("mixing", "what four learners lose against one: skips predicted by their mixed weights", run)
