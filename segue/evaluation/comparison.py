"""Goal: no change loses quality unseen: the figures of a head, held to those of a base. Not a goal: whether a difference means anything; the intervals say that.

Each watched figure may be so much worse; what is better is never refused. Only what a change of ours can move is watched, not the peers.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from segue.errors import InputError

Value = float | int | str | None
REPLAY = "replay"  # the one that names no scenario
SAME = (
    "source",
    "surface",
    "seed",
    "seeds",
    "events",
    "guesses",
    "targets",
    "listeners",
    "tracks",
    "rounds",
    "arms",
    "refit_days",
    "held_out",
    "playlists",
    "learners",
)


class Watched(NamedTuple):
    """A figure that may be worse by `tolerance`; lower : whether less of it is better."""

    name: str
    tolerance: float
    lower: bool = False


WATCHED: dict[str, tuple[Watched, ...]] = {
    REPLAY: (
        Watched("skip_auc", 0.002),
        Watched("skip_log_loss", 0.003, lower=True),
        Watched("skip_ece", 0.005, lower=True),
        Watched("hit_at_20", 0.006),
        Watched("hr_at_10", 0.006),
        Watched("ndcg_at_10", 0.006),
        Watched("dead_letters", 0.0, lower=True),
    ),
    "skips": (
        Watched("segue_auc", 0.002),
        Watched("segue_log_loss", 0.003, lower=True),
        Watched("complete_calibration_error", 0.005, lower=True),
        Watched("skip_calibration_error", 0.005, lower=True),
        Watched("like_calibration_error", 0.005, lower=True),
    ),
    "likes": (
        Watched("segue_hr_at_10", 0.004),
        Watched("segue_recall_at_50", 0.006),
        Watched("segue_ndcg_at_10", 0.003),
        Watched("segue_two_tower_hr_at_10", 0.004),
        Watched("segue_co_listening_hr_at_10", 0.004),
    ),
    "bandits": (
        Watched("linear_linucb_shared_of_random", 0.01, lower=True),
        Watched("linear_thompson_shared_of_random", 0.01, lower=True),
        Watched("logistic_thompson_logistic_of_random", 0.01, lower=True),
        Watched("disjoint_linucb_disjoint_of_random", 0.02, lower=True),
        Watched("disjoint_thompson_disjoint_of_random", 0.02, lower=True),
    ),
    "drift": (
        Watched("care_log_loss_after", 0.005, lower=True),
        Watched("care_plays_to_recover", 500, lower=True),
        Watched("false_alarms", 0, lower=True),
    ),
    # not the ratio to the best baseline: which baselines there are depends on the peers that are installed
    "listening": (Watched("segue_completed", 0.1),),
    "mixing": (Watched("world_by_curvatures_auc", 0.005), Watched("world_by_curvatures_log_loss", 0.005, lower=True)),
    "recall": (Watched("segue_recall_at_20", 0.004), Watched("channel_long_term_recall_at_20", 0.004)),
}


class Change(NamedTuple):
    """A watched figure before and after, and whether it is worse by more than it may be."""

    watched: Watched
    base: float
    head: float
    lost: bool


def compare(base: Mapping[str, Value], head: Mapping[str, Value]) -> list[Change]:
    """Every watched figure of a run, in order.

    Raises
    ------
    InputError
        where the two are not of the same run, or a figure is missing
    """
    kind = _kind(base)
    if _kind(head) != kind:
        raise InputError(f"the base is of {kind}, the head of {_kind(head)}: expected two of the same scenario")
    if kind not in WATCHED:
        raise InputError(f"nothing is watched of {kind}: expected one of {', '.join(WATCHED)}")
    for name in SAME:
        if base.get(name) != head.get(name):
            raise InputError(
                f"{name} is {base.get(name)} in the base and {head.get(name)} in the head: expected the same run"
            )
    return [
        _change(watched, _number(base, watched.name, "base"), _number(head, watched.name, "head"))
        for watched in WATCHED[kind]
    ]


def _kind(figures: Mapping[str, Value]) -> str:
    return str(figures.get("scenario", REPLAY))


def _change(watched: Watched, base: float, head: float) -> Change:
    worse = head - base if watched.lower else base - head
    return Change(watched, base, head, not worse <= watched.tolerance + 1e-12)


def _number(figures: Mapping[str, Value], name: str, whose: str) -> float:
    value = figures.get(name)
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{name} of the {whose} is {value!r}: expected a number")
    return float(value)
