"""The scenario `drift`: how soon the chance of a skip is right again once everybody's taste has turned, with the ranker's care and without.

Listeners of a made-up world hear tracks that nobody chose for them; at half time they like what they did not like. Both rankers meet the same
examples, which the real processors made. The same world without the turn counts the false alarms. Not a claim about how real tastes drift.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from online_models.ranker import Ranker
from online_models.track import Doubles
from segue.evaluation.examples import Examples, examples_of, predict, skip_losses
from segue.evaluation.scenarios.scenario import Options, Progress, Report, Scenario, Sheet, part_of
from segue.simulation.listens import Turned, listens
from segue.simulation.lives import Lives
from segue.simulation.world import World

VISITS = 60  # of each listener
BEFORE = 3000  # plays before the turn, whose loss is the one to come back to
WINDOW = 500  # plays of a mean that is compared with it
NEAR = 1.05
MAKERS: dict[str, Callable[[], Ranker]] = {"care": Ranker, "no-care": lambda: Ranker(loosened=1.0)}


@dataclass(frozen=True, slots=True)
class Course:
    """Of one ranker in one world: the loss of each play, how many plays came before the turn, plays from it to the first alarm, and alarms before it."""

    losses: Doubles
    turn: int
    found_after: int | None
    false_alarms: int

    @property
    def before(self) -> float:
        return float(self.losses[max(0, self.turn - BEFORE) : self.turn].mean())

    @property
    def after(self) -> float:
        return float(self.losses[self.turn :].mean())

    @property
    def back_after(self) -> int:
        """Plays from the turn to the end of the first window whose loss is near to what it was before; all of them where there is none."""
        sums = np.cumsum(np.concatenate([[0.0], self.losses[self.turn :]]))
        near = np.flatnonzero((sums[WINDOW:] - sums[:-WINDOW]) / WINDOW <= NEAR * self.before)
        return int(near[0]) + WINDOW if len(near) else len(self.losses) - self.turn


def course(examples: Examples, turned_ms: int, ranker: Ranker) -> Course:
    """What a ranker predicted of a world that turned at a moment."""
    predicted, alarms = predict(examples, ranker)
    turn = int((examples.at_ms[examples.plays] < turned_ms).sum())
    began = int((examples.at_ms < turned_ms).sum())
    found = [place - began for place in alarms if place >= began]
    return Course(skip_losses(examples, predicted), turn, found[0] if found else None, len(alarms) - len(found))


def run(options: Options, progress: Progress) -> Report:
    """Both rankers in the world of every seed, turned; the one with care in the world that did not turn."""
    seen: dict[str, list[Course]] = {name: [] for name in MAKERS}
    still, total = list[Course](), 200 * options.seeds
    for number, seed in enumerate(options.all_seeds):
        world = World(seed, listeners=options.listeners, visits=VISITS)
        turned_ms = world.visits[len(world.visits) // 2].at_ms
        for place, lives in enumerate((Turned(world, turned_ms), Lives(world))):
            events = list(listens(world, lives, seed))
            told = part_of(progress, 100 * (2 * number + place), total, f"seed {seed}")
            examples = examples_of(events, world.tracks, seed, told)
            if isinstance(lives, Turned):
                for name, make in MAKERS.items():
                    seen[name].append(course(examples, turned_ms, make()))
            else:
                still.append(course(examples, int(examples.at_ms[-1]) + 1, Ranker()))
    progress(total, total, "done")
    report = Report(figures={"seed": options.seed, "seeds": options.seeds, "listeners": options.listeners})
    _add(report, seen, still)
    if options.plot is not None:
        from segue.evaluation.drift_curves import draw

        draw(
            {name: [each.losses for each in courses] for name, courses in seen.items()},
            [each.turn for each in seen["care"]],
            options.plot,
        )
        report.notes.append(f"curves: {options.plot}")
    return report


def _add(report: Report, seen: dict[str, list[Course]], still: list[Course]) -> None:
    plays = sum(len(each.losses) for each in still)
    sheet = Sheet(
        "log loss of skips in worlds whose tastes turn at half time", ("", "before", "after", "plays until it is back")
    )
    for name, courses in seen.items():
        key, back = name.replace("-", "_"), [each.back_after for each in courses]
        before, after = (float(np.mean([getattr(each, part) for each in courses])) for part in ("before", "after"))
        report.figures |= {
            f"{key}_log_loss_before": before,
            f"{key}_log_loss_after": after,
            f"{key}_plays_to_recover": float(np.mean(back)),
        }
        sheet.rows.append((name, f"{before:.4f}", f"{after:.4f}", ", ".join(f"{each:,}" for each in back)))
    report.sheets.append(sheet)
    found = [each.found_after for each in seen["care"] if each.found_after is not None]
    false = sum(each.false_alarms for each in (*still, *seen["care"]))
    report.figures |= {
        "turns_found": len(found),
        "found_after": float(np.mean(found)) if found else float("nan"),
        "false_alarms": false,
    }
    report.notes.append(
        f"{len(found)} of {len(still)} turns found, after {', '.join(f'{each:,}' for each in found)} examples; "
        f"{false} false alarms in {plays:,} plays of worlds that do not turn, and before the turns"
    )


DRIFT = Scenario(
    "drift", "how soon skips are predicted again once tastes have turned, with the ranker's care and without", run
)
