"""The ranker: all objectives, and the average that serving multiplies with."""

from collections.abc import Iterator
from functools import cache

import numpy as np

from online_models.checks.checkable import Checkable, Pattern
from online_models.checks.made_up import TIMES_MS, catalogue, hostile_listens, rows_of
from online_models.features import FEATURES, features_of
from online_models.listener import Listener
from online_models.ranker import BLOCK, CURVATURE, CURVED, OBJECTIVES, Ranker, RankerMix
from online_models.track import Doubles

_DRAWN = np.random.default_rng(5).normal(size=(32, len(FEATURES)))
_KEY = BLOCK + OBJECTIVES[0].encode()


@cache
def hostile_features() -> list[Doubles]:
    """The features that extreme times and durations lead to, float64[n, len(FEATURES)] each."""
    listener, table, features = Listener("ann"), catalogue(4), list[Doubles]()
    for event in hostile_listens():
        features += [features_of(listener, table, rows_of(table, 4), at_ms) for at_ms in TIMES_MS]
        listener.learn_one(event)
    return features


def _teach(ranker: Ranker, n: int, label: bool | None = None) -> None:
    values = _DRAWN[[n % len(_DRAWN)]]
    labels = np.full((1, len(OBJECTIVES)), float(values[0, 0] > 0.0 if label is None else label))
    ranker.learn_many(values, labels, np.full(labels.shape, 1.0 + n % 3))


def _encode(ranker: Ranker) -> bytes:
    return b"".join([*map(ranker.encode, OBJECTIVES), *map(ranker.encode_curvature, CURVED)])


def _restore(ranker: Ranker) -> Ranker:
    again = Ranker()
    for key, value in ranker.changed_rows().items():
        again.restore(key, value)
    return again


def _hostile(ranker: Ranker) -> Iterator[Doubles]:
    for x in hostile_features():
        ones = np.ones((len(x), len(OBJECTIVES)))
        yield np.concatenate([ranker.learn_many(x, ones, ones), ranker.predict_many(x)])


RANKER: Checkable[Ranker] = Checkable(
    name="ranker",
    make=lambda seed: Ranker(),
    teach=_teach,
    ask=lambda ranker: ranker.predict_many(_DRAWN[:8]),
    state=_encode,
    low=0.0,
    high=1.0,
    restore=_restore,
    pattern=Pattern(
        teach=lambda ranker: _teach(ranker, 0, True),
        predict=lambda ranker: float(ranker.predict_many(_DRAWN[:1]).min()),
    ),
    hostile=_hostile,
    empty=lambda ranker: [ranker.predict_many(np.zeros((0, len(FEATURES))))],
)


@cache
def _rows(n: int, label: bool | None = None) -> tuple[tuple[bytes, bytes], ...]:
    """The rows of a learner partition that saw n + 1 examples, all of them with `label` if it is given: a block, and its curvature."""
    ranker = Ranker()
    for place in range(n + 1):
        _teach(ranker, n + place if label is None else 0, label)
    block, curvature = ranker.encode(OBJECTIVES[0]), ranker.encode_curvature(CURVED[0])
    return (_KEY, block), (_KEY + CURVATURE.encode(), curvature)


def _apply(mix: RankerMix, n: int, label: bool | None = None) -> None:
    for key, value in _rows(n, label):
        mix.apply_row(n, key, value)


def _restore_mix(mix: RankerMix) -> RankerMix:
    again = RankerMix()
    for n in mix.blocks[OBJECTIVES[0]]:
        _apply(again, n)
    return again


def _mix_state(mix: RankerMix) -> bytes:
    precisions = [each.tobytes() for by in mix.precisions.values() for _, each in sorted(by.items())]
    return b"".join([repr(mix.blocks).encode(), *precisions, _scores(mix, _DRAWN).tobytes()])


def _scores(mix: RankerMix, x: Doubles) -> Doubles:
    return np.concatenate(list(mix.score_many(x).values()))


RANKER_MIX: Checkable[RankerMix] = Checkable(
    name="ranker-mix",
    make=lambda seed: RankerMix(),
    teach=_apply,
    ask=lambda mix: _scores(mix, _DRAWN),
    state=_mix_state,
    low=0.0,
    high=1.0,
    restore=_restore_mix,
    commutes=True,
    pattern=Pattern(
        teach=lambda mix: _apply(mix, 400, True),
        predict=lambda mix: float(mix.score_many(_DRAWN[:1])[OBJECTIVES[0]][0]),
        lessons=1,
    ),
    hostile=lambda mix: (_scores(mix, x) for x in hostile_features()),
    empty=lambda mix: mix.score_many(np.zeros((0, len(FEATURES)))).values(),
)
