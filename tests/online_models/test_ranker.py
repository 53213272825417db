"""The ranker: River's numbers and numpy's, blocks, the average of partitions, AUC."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import linear_model, optim

from online_models.dense_logistic import DenseLogisticRegression
from online_models.features import FEATURES
from online_models.ranker import (
    BINS,
    BLOCK,
    OBJECTIVES,
    PRIORS,
    Objective,
    Ranker,
    RankerMix,
    auc_of,
    auc_of_histogram,
    decode_block,
)
from online_models.track import Doubles


def examples(size: int, seed: int) -> tuple[Doubles, list[bool]]:
    """Features, and labels that depend on two of them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(size, len(FEATURES)))
    return x, (x[:, 0] - 2.0 * x[:, 3] + rng.normal(size=size) > 0.5).tolist()


def by_name(values: Doubles) -> dict[str, float]:
    return dict(zip(FEATURES, values.tolist(), strict=True))


def taught(size: int = 300, seed: int = 1, objectives: tuple[str, ...] = OBJECTIVES) -> Ranker:
    ranker = Ranker()
    for values, label in zip(*examples(size, seed), strict=True):
        for objective in objectives:
            ranker.learn_one(objective, values, label)
    return ranker


def predict(ranker: Ranker, objective: str, x: Doubles) -> list[float]:
    return [ranker.objectives[objective].predict_one(values) for values in x]


def mixed(*rankers: Ranker) -> RankerMix:
    mix = RankerMix()
    for partition, ranker in enumerate(rankers):
        for key, value in ranker.changed_rows().items():
            mix.apply_row(partition, key, value)
    return mix


def test_numpy_serves_the_probabilities_that_river_predicts() -> None:
    ranker, (x, _) = taught(), examples(200, 2)
    scores = mixed(ranker).score_many(x)

    for objective in OBJECTIVES:
        np.testing.assert_allclose(scores[objective], predict(ranker, objective, x), rtol=0, atol=1e-9)


def test_numpy_serves_the_priors_of_objectives_that_nobody_learnt() -> None:
    scores = RankerMix().score_many(np.random.default_rng(1).normal(size=(3, len(FEATURES))))

    for objective in OBJECTIVES:
        np.testing.assert_allclose(scores[objective], PRIORS[objective])


def test_dense_model_takes_the_steps_of_rivers_own() -> None:
    dense = DenseLogisticRegression(len(FEATURES), prior=0.5, lr=0.05)
    stock = linear_model.LogisticRegression(optim.AdaGrad(0.05), intercept_lr=0.01, clip_gradient=2.0)
    for number, (values, label) in enumerate(zip(*examples(400, 4), strict=True)):
        x, weight = by_name(values), 1.0 + number % 3

        assert stock.predict_proba_one(x)[True] == pytest.approx(dense.predict_one(values), abs=1e-12)
        dense.learn_one(values, label, weight)
        stock.learn_one(x, label, weight)

    assert list(stock.weights.values()) == pytest.approx(dense.w.tolist(), rel=1e-9)
    assert list(stock.optimizer.g2.values()) == pytest.approx(dense.optimizer.g2.tolist(), rel=1e-9)
    assert stock.intercept == pytest.approx(dense.intercept, rel=1e-9)


def test_partitions_are_averaged_by_their_examples() -> None:
    few, many = taught(100, 1), taught(300, 2)
    objective = OBJECTIVES[0]
    mix = mixed(few, many)
    weights = [ranker.objectives[objective].model.w for ranker in (few, many)]
    intercepts = [ranker.objectives[objective].model.intercept for ranker in (few, many)]
    x, _ = examples(50, 3)
    logits = x @ (0.25 * weights[0] + 0.75 * weights[1]) + 0.25 * intercepts[0] + 0.75 * intercepts[1]

    np.testing.assert_allclose(mix.score_many(x)[objective], 1.0 / (1.0 + np.exp(-logits)), atol=1e-9)


def test_newer_block_of_a_partition_takes_the_place_of_its_older_one() -> None:
    ranker, mix = taught(50), RankerMix()
    x, labels = examples(60, 5)
    for values, label in zip(x, labels, strict=True):
        for key, value in ranker.changed_rows().items():
            mix.apply_row(7, key, value)
        ranker.learn_one("skip", values, label)
    for key, value in ranker.changed_rows().items():
        mix.apply_row(7, key, value)

    np.testing.assert_allclose(mix.score_many(x)["skip"], predict(ranker, "skip", x), atol=1e-9)


def test_block_without_examples_leaves_the_priors() -> None:
    mix = RankerMix()
    mix.apply_row(0, BLOCK + b"skip", Objective(0.9, 0.05).encode())

    np.testing.assert_allclose(mix.score_many(np.zeros((1, len(FEATURES))))["skip"], PRIORS["skip"])


def test_rows_that_are_no_blocks_are_left_out() -> None:
    mix, value = RankerMix(), taught(10).changed_rows()[BLOCK + b"skip"]
    for key, row in ((b"m", b"\x01"), (BLOCK + b"forgotten", value), (BLOCK + b"skip", None)):
        mix.apply_row(0, key, row)

    assert {name: {} for name in OBJECTIVES} == mix.blocks


def test_restored_ranker_learns_on_as_if_nothing_had_happened() -> None:
    ranker, again = taught(200), Ranker()
    for key, value in ranker.changed_rows().items():
        again.restore(key, value)
    x, labels = examples(100, 6)
    for values, label in zip(x, labels, strict=True):
        predictions = [each.learn_one("skip", values, label, 2.0) for each in (ranker, again)]

        assert predictions[0] == predictions[1]

    assert ranker.objectives["skip"].encode() == again.objectives["skip"].encode()


def test_only_changed_blocks_are_written() -> None:
    ranker = taught(10)
    ranker.changed_rows()
    ranker.learn_one("like", np.ones(len(FEATURES)), True)

    assert list(ranker.changed_rows()) == [BLOCK + b"like"]
    assert ranker.changed_rows() == {}


def test_features_of_another_release_start_at_zero() -> None:
    ranker = taught(100)
    value = ranker.objectives["skip"].encode()
    renamed = value.replace(b"listener_rate", b"fallen_rating", 1)
    again, mix = Objective(0.5, 0.05), RankerMix()
    again.restore(renamed)
    mix.apply_row(0, BLOCK + b"skip", renamed)
    x = np.random.default_rng(1).normal(size=(20, len(FEATURES)))
    blind = x.copy()
    blind[:, FEATURES.index("listener_rate")] = 0.0

    assert again.model.w[FEATURES.index("listener_rate")] == 0.0
    np.testing.assert_allclose(mix.score_many(x)["skip"], predict(ranker, "skip", blind), atol=1e-9)


def test_block_of_a_newer_release_is_refused() -> None:
    with pytest.raises(ValueError, match="ranker block version"):
        decode_block(b"\x09")


def test_restoring_an_objective_that_is_no_more_changes_nothing() -> None:
    ranker = Ranker()
    ranker.restore(BLOCK + b"forgotten", b"\x09")

    assert ranker.changed_rows() == {}


def test_learning_answers_the_prediction_from_before() -> None:
    ranker, x = taught(20), np.ones(len(FEATURES))
    before = predict(ranker, "skip", x[None, :])[0]

    assert ranker.learn_one("skip", x, True) == before


def test_weight_counts_as_a_larger_step() -> None:
    x = np.ones(len(FEATURES))
    light, heavy = Objective(0.02, 0.05), Objective(0.02, 0.05)
    light.learn_one(x, False)
    heavy.learn_one(x, False, 4.0)

    assert heavy.model.intercept < light.model.intercept


def test_ranker_learns_what_the_labels_depend_on() -> None:
    ranker = taught(2000)
    weights = ranker.objectives["skip"].model.w

    assert weights[3] < -0.5 < 0.2 < weights[0]
    assert mixed(ranker).auc("skip") > 0.85


def test_auc_of_partitions_counts_all_of_their_predictions() -> None:
    few, many = taught(50, 1), taught(500, 2)
    blocks = [ranker.objectives["skip"].encode() for ranker in (few, many)]

    assert auc_of(blocks) == mixed(few, many).auc("skip")
    assert sum(decode_block(block).examples for block in blocks) == 550


def test_auc_of_nothing_is_not_a_number() -> None:
    assert np.isnan(RankerMix().auc("skip"))
    assert np.isnan(auc_of([]))


@settings(derandomize=True, deadline=None, max_examples=50)
@given(
    negatives=st.lists(st.integers(0, 9), min_size=1, max_size=20),
    positives=st.lists(st.integers(0, 9), min_size=1, max_size=20),
)
def test_auc_is_the_share_of_pairs_in_order(negatives: list[int], positives: list[int]) -> None:
    histogram = np.array([np.bincount(side, minlength=BINS) for side in (negatives, positives)])
    pairs = [(below < above) + (below == above) / 2 for below in negatives for above in positives]

    assert auc_of_histogram(histogram) == pytest.approx(sum(pairs) / len(pairs))
