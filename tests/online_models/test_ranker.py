"""The ranker: River's numbers and numpy's, blocks, the average of partitions, AUC."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import linear_model, optim

from online_models.checks.made_up import AT_MS, catalogue, rows_of
from online_models.dense_logistic import DenseLogisticRegressions
from online_models.drift import Alarm
from online_models.features import FEATURES, features_of
from online_models.histograms import auc_of_histogram, calibration_of_histogram
from online_models.listener import Listener
from online_models.ranker import (
    BINS,
    BLOCK,
    OBJECTIVES,
    PRIORS,
    Ranker,
    RankerMix,
    auc_of,
    decode_block,
)
from online_models.starting_weights import SKIP_WEIGHTS
from online_models.track import Doubles

SKIP = OBJECTIVES.index("skip")


def examples(size: int, seed: int) -> tuple[Doubles, Doubles]:
    """Features, and labels that depend on two of them, float64[size, 1]."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(size, len(FEATURES)))
    return x, np.float64(x[:, [0]] - 2.0 * x[:, [3]] + rng.normal(size=(size, 1)) > 0.5)


def by_name(values: Doubles) -> dict[str, float]:
    return dict(zip(FEATURES, values.tolist(), strict=True))


def teach(ranker: Ranker, x: Doubles, labels: Doubles, *objectives: str, weight: float = 1.0) -> Doubles:
    """The same labels for each objective, or for those that are named."""
    chosen = [weight * (not objectives or name in objectives) for name in OBJECTIVES]
    return ranker.learn_many(x, np.tile(labels, len(OBJECTIVES)), np.tile(chosen, (len(x), 1)))


def taught(size: int = 300, seed: int = 1) -> Ranker:
    ranker = Ranker()
    teach(ranker, *examples(size, seed))
    return ranker


def predict(ranker: Ranker, objective: str, x: Doubles) -> Doubles:
    return ranker.predict_many(x)[:, OBJECTIVES.index(objective)]


def mixed(*rankers: Ranker) -> RankerMix:
    mix = RankerMix()
    for partition, ranker in enumerate(rankers):
        for key, value in ranker.changed_rows().items():
            mix.apply_row(partition, key, value)
    return mix


def unheard() -> Doubles:
    """The features of a new track, with an artist and tags, to an unknown listener, float64[1, len(FEATURES)]."""
    table = catalogue(1)
    return features_of(Listener("ann"), table, rows_of(table, 1), AT_MS)


def test_numpy_serves_the_probabilities_that_river_predicts() -> None:
    ranker, (x, _) = taught(), examples(200, 2)
    scores = mixed(ranker).score_many(x)

    for objective in OBJECTIVES:
        np.testing.assert_allclose(scores[objective], predict(ranker, objective, x), rtol=0, atol=1e-9)


def test_objectives_that_nobody_learnt_are_served_as_a_learner_starts() -> None:
    x = np.random.default_rng(1).normal(size=(3, len(FEATURES)))
    scores = RankerMix().score_many(x)

    for objective in OBJECTIVES:
        np.testing.assert_allclose(scores[objective], predict(Ranker(), objective, x))


def test_priors_are_predicted_of_a_track_nobody_heard_to_a_listener_nobody_knows() -> None:
    x = unheard()
    scores = RankerMix().score_many(x)

    for objective in OBJECTIVES:
        np.testing.assert_allclose(scores[objective], PRIORS[objective])
        np.testing.assert_allclose(predict(Ranker(), objective, x), PRIORS[objective])


def test_starting_weights_are_of_features_that_there_are() -> None:
    assert set(SKIP_WEIGHTS) <= set(FEATURES)


def test_dense_model_takes_the_steps_of_rivers_own() -> None:
    dense = DenseLogisticRegressions(len(FEATURES), priors=[0.5, 0.5], drift=0.0, batch=1)
    stock = [
        linear_model.LogisticRegression(optim.Newton(1.0, 20.0), intercept_lr=0.01, clip_gradient=2.0) for _ in range(2)
    ]
    x, label = examples(400, 4)
    labels, weights = np.hstack([label, 1.0 - label]), np.stack([1.0 + np.arange(400) % 3, np.arange(400) % 2], 1)
    predicted = dense.learn_many(x, labels, weights)
    for values, y, w, p in zip(x, labels.tolist(), weights.tolist(), predicted, strict=True):
        for place, model in enumerate(stock):
            assert model.predict_proba_one(by_name(values))[True] == pytest.approx(p[place], abs=1e-9)
            if w[place]:
                model.learn_one(by_name(values), bool(y[place]), w[place])

    for place, model in enumerate(stock):
        assert list(model.weights.values()) == pytest.approx(dense.w[place].tolist(), rel=1e-6, abs=1e-9)
        assert model.intercept == pytest.approx(dense.intercepts[place], rel=1e-9)


def test_micro_batch_is_predicted_and_stepped_at_once() -> None:
    x, label = examples(10, 7)
    ones = np.ones((10, 1))
    whole, halves = (DenseLogisticRegressions(len(FEATURES), priors=[0.5], drift=0.0, batch=batch) for batch in (10, 5))
    first = whole.learn_many(x, label, ones)
    halves.learn_many(x, label, ones)
    gradients = (0.5 - label) * x
    curvature = 20.0 * np.eye(x.shape[1]) + gradients.T @ gradients

    assert (first == 0.5).all()
    np.testing.assert_allclose(whole.w[0], -np.linalg.solve(curvature, gradients.sum(0)), atol=1e-12)
    np.testing.assert_allclose(whole.optimizer.inverse[0], np.linalg.inv(curvature), atol=1e-12)
    assert not np.allclose(whole.w, halves.w)


def test_models_that_share_a_curvature_step_by_the_mean_of_their_squares() -> None:
    x, label = examples(10, 7)
    model = DenseLogisticRegressions(len(FEATURES), priors=[0.5, 0.2], steps_by=[0, 0], drift=0.0)
    model.learn_many(x, np.hstack([label, label]), np.ones((10, 2)))
    slopes = np.array([0.5, 0.2]) - label
    curvature = 20.0 * np.eye(x.shape[1]) + x.T @ (x * (slopes * slopes).mean(1, keepdims=True))

    np.testing.assert_allclose(model.w, -np.linalg.solve(curvature, x.T @ slopes).T, atol=1e-12)
    np.testing.assert_allclose(model.optimizer.inverse, [np.linalg.inv(curvature)], atol=1e-12)


def test_a_curvature_that_is_none_is_told_and_not_stepped_by() -> None:
    model = DenseLogisticRegressions(3, priors=[0.5])
    model.optimizer.inverse *= -1e6

    with pytest.raises(AssertionError, match="dpotrf: info 1 of 2 examples, expected 0"):
        model.learn_many(np.ones((2, 3)), np.ones((2, 1)), np.ones((2, 1)))
    assert not model.w.any()


def test_a_share_is_predicted_by_its_mean() -> None:
    model, x = DenseLogisticRegressions(1, priors=[0.5]), np.array([[1.0]])
    for share in [0.9, 0.9, 0.3] * 300:
        model.learn_many(x, np.array([[share]]), np.ones((1, 1)))

    assert model.predict_many(x)[0, 0] == pytest.approx(0.7, abs=0.02)


def test_examples_may_come_one_by_one_or_together() -> None:
    x, label = examples(64, 8)
    together, one_by_one = (DenseLogisticRegressions(len(FEATURES), priors=[0.5], batch=1) for _ in range(2))
    predicted = together.learn_many(x, label, np.ones((64, 1)))
    single = [one_by_one.learn_many(x[[n]], label[[n]], np.ones((1, 1)))[0, 0] for n in range(64)]

    assert predicted[:, 0].tolist() == single
    assert together.w.tolist() == one_by_one.w.tolist()


def test_drift_ends_at_what_was_known_in_the_beginning() -> None:
    model = DenseLogisticRegressions(3, priors=[0.5], drift=1.0)
    model.learn_many(np.eye(3)[[0] * 40], np.ones((40, 1)), np.ones((40, 1)))

    assert model.optimizer.inverse[0, 1, 1] == 1.0 / 20.0
    assert model.optimizer.inverse[0, 0, 0] > 1.0 / 20.0


def test_partitions_are_averaged_by_their_curvatures() -> None:
    few, many = taught(100, 1), taught(300, 2)
    mix = mixed(few, many)
    precisions = [np.linalg.inv(ranker.model.optimizer.inverse[0]) for ranker in (few, many)]
    known = precisions[0] @ few.model.w[SKIP] + precisions[1] @ many.model.w[SKIP]
    weights, intercepts = mix.weights()

    np.testing.assert_allclose(weights[:, SKIP], np.linalg.solve(precisions[0] + precisions[1], known), atol=1e-9)
    assert intercepts[SKIP] == pytest.approx(0.25 * few.model.intercepts[SKIP] + 0.75 * many.model.intercepts[SKIP])


def test_what_one_partition_alone_knows_is_its_word() -> None:
    tellers, (x, label) = [Ranker(loosened=1.0), Ranker(loosened=1.0)], examples(2000, 1)
    for place, ranker in enumerate(tellers):
        seen = x.copy()
        seen[:, place * 3] = 0.0  # the first never sees the first feature, the second not the fourth
        teach(ranker, seen, label)
    weights = mixed(*tellers).weights()[0][:, SKIP]

    assert weights[[0, 3]] == pytest.approx([tellers[1].model.w[SKIP, 0], tellers[0].model.w[SKIP, 3]], rel=0.2)


def test_partitions_without_a_curvature_are_averaged_by_their_examples() -> None:
    few, many = taught(100, 1), taught(300, 2)
    mix = RankerMix()
    for partition, ranker in enumerate((few, many)):
        mix.apply_row(partition, BLOCK + b"complete", ranker.encode("complete"))
    mix.apply_row(0, BLOCK + b"complete/curvature", few.encode_curvature("complete"))
    weights = [ranker.model.w[0] for ranker in (few, many)]
    intercepts = [ranker.model.intercepts[0] for ranker in (few, many)]
    x, _ = examples(50, 3)
    logits = x @ (0.25 * weights[0] + 0.75 * weights[1]) + 0.25 * intercepts[0] + 0.75 * intercepts[1]

    np.testing.assert_allclose(mix.score_many(x)[OBJECTIVES[0]], 1.0 / (1.0 + np.exp(-logits)), atol=1e-9)


def test_newer_block_of_a_partition_takes_the_place_of_its_older_one() -> None:
    ranker, mix = taught(50), RankerMix()
    x, labels = examples(60, 5)
    for n in range(60):
        for key, value in ranker.changed_rows().items():
            mix.apply_row(7, key, value)
        teach(ranker, x[[n]], labels[[n]], "skip")
    for key, value in ranker.changed_rows().items():
        mix.apply_row(7, key, value)

    np.testing.assert_allclose(mix.score_many(x)["skip"], predict(ranker, "skip", x), atol=1e-9)


def test_block_without_examples_leaves_the_priors() -> None:
    mix = RankerMix()
    mix.apply_row(0, BLOCK + b"skip", Ranker().encode("skip"))

    np.testing.assert_allclose(mix.score_many(unheard())["skip"], PRIORS["skip"])


def test_rows_that_are_no_blocks_are_left_out() -> None:
    mix, value = RankerMix(), taught(10).changed_rows()[BLOCK + b"skip"]
    for key, row in ((b"m", b"\x01"), (BLOCK + b"forgotten", value), (BLOCK + b"skip", None)):
        mix.apply_row(0, key, row)

    assert {name: {} for name in OBJECTIVES} == mix.blocks


def test_restored_ranker_learns_on_as_if_nothing_had_happened() -> None:
    ranker, again = taught(200), Ranker()
    for key, value in ranker.changed_rows().items():
        again.restore(key, value)
    predictions = [teach(each, *examples(100, 6), "skip", weight=2.0) for each in (ranker, again)]

    assert predictions[0].tolist() == predictions[1].tolist()
    assert [ranker.encode(name) for name in OBJECTIVES] == [again.encode(name) for name in OBJECTIVES]


def test_learner_that_finds_no_curvature_goes_on_from_the_squares() -> None:
    ranker, again = taught(200), Ranker()
    again.restore(BLOCK + b"skip", ranker.encode("skip"))
    of = again.model.optimizer

    np.testing.assert_allclose(np.diag(of.inverse[0]), 1.0 / (of.eps + ranker.model.optimizer.g2[SKIP]))
    assert predict(again, "skip", examples(9, 1)[0]).tolist() == predict(ranker, "skip", examples(9, 1)[0]).tolist()


def test_curvature_may_come_before_its_block_or_after() -> None:
    ranker = taught(200)
    rows = list(ranker.changed_rows().items())
    restored = [Ranker(), Ranker()]
    for again, order in zip(restored, (rows, rows[::-1]), strict=True):
        for key, value in order:
            again.restore(key, value)

    for again in restored:
        assert np.array_equal(again.model.optimizer.inverse, ranker.model.optimizer.inverse)


def test_curvature_is_written_where_a_hundredth_of_the_examples_is_new() -> None:
    ranker, key = taught(300), BLOCK + b"complete/curvature"
    written = []
    for size in (0, 2, 1):
        if size:
            teach(ranker, *examples(size, size))
        written.append(key in ranker.changed_rows())

    assert written == [True, False, False]
    teach(ranker, *examples(1, 3))
    assert key in ranker.changed_rows()


def test_loosened_curvature_is_written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ranker, again = taught(300), Ranker()
    rows = ranker.changed_rows()
    with monkeypatch.context() as patch:
        patch.setattr(ranker.watch, "learn_many", lambda *_: [Alarm(SKIP, 0.5, 0.75)])
        teach(ranker, *examples(1, 2))
    for key, value in (rows | ranker.changed_rows()).items():
        again.restore(key, value)

    assert again.model.optimizer.inverse[0].tolist() == ranker.model.optimizer.inverse[0].tolist()
    teach(ranker, *examples(1, 3))
    assert BLOCK + b"complete/curvature" not in ranker.changed_rows()


def test_curvature_of_another_release_is_taken_by_the_features_that_are_known() -> None:
    ranker, again = taught(100), Ranker()
    renamed = ranker.encode_curvature("complete").replace(b"listener_rate", b"fallen_rating", 1)
    again.restore(BLOCK + b"complete/curvature", renamed)
    new = FEATURES.index("listener_rate")
    theirs, ours = ranker.model.optimizer.inverse[0], again.model.optimizer.inverse[0]

    np.testing.assert_allclose(
        np.delete(np.delete(ours, new, 0), new, 1), np.delete(np.delete(theirs, new, 0), new, 1), rtol=1e-6
    )
    assert ours[new].tolist() == (np.eye(len(FEATURES))[new] / again.model.optimizer.eps).tolist()


def test_only_changed_blocks_are_written() -> None:
    ranker = taught(10)
    ranker.changed_rows()
    teach(ranker, *examples(1, 1), "like")

    assert list(ranker.changed_rows()) == [BLOCK + b"like", BLOCK + b"like/curvature"]
    assert ranker.changed_rows() == {}


@pytest.mark.parametrize(("name", "start"), [("listener_rate", 0.0), ("track_lately", 0.7)])
def test_features_of_another_release_start_as_they_do_with_nothing_learnt(name: str, start: float) -> None:
    ranker, place = taught(100), FEATURES.index(name)
    renamed = ranker.encode("skip").replace(name.encode(), b"x" * len(name), 1)
    again, mix = Ranker(), RankerMix()
    again.restore(BLOCK + b"skip", renamed)
    mix.apply_row(0, BLOCK + b"skip", renamed)
    expected = ranker.model.w[SKIP].copy()
    expected[place] = start

    assert again.model.w[SKIP].tolist() == expected.tolist()
    np.testing.assert_allclose(mix.weights()[0][:, SKIP], expected, atol=1e-12)
    assert again.model.optimizer.g2[SKIP, place] == 0.0


def test_histogram_of_a_release_without_tags_is_none_since_it_counted_otherwise() -> None:
    ranker, again, mix = taught(100), Ranker(), RankerMix()
    older = ranker.encode("like").replace(b"tag_effect", b"old_effect", 1)
    for key, value in ((BLOCK + b"like", older), (BLOCK + b"skip", ranker.encode("skip"))):
        again.restore(key, value)
        mix.apply_row(0, key, value)

    assert (again.histograms[OBJECTIVES.index("like")].sum(), again.examples[OBJECTIVES.index("like")]) == (0, 100)
    assert again.histograms[SKIP].tolist() == ranker.histograms[SKIP].tolist()
    assert np.isnan(mix.calibration_error("like"))
    assert mix.calibration_error("skip") == calibration_of_histogram(ranker.histograms[SKIP])


def test_block_of_a_newer_release_is_refused() -> None:
    with pytest.raises(ValueError, match="ranker block version"):
        decode_block(b"\x09")


def test_restoring_an_objective_that_is_no_more_changes_nothing() -> None:
    ranker = Ranker()
    ranker.restore(BLOCK + b"forgotten", b"\x09")

    assert ranker.changed_rows() == {}


def test_learning_answers_the_prediction_from_before() -> None:
    ranker, (x, label) = taught(20), examples(1, 2)
    before = ranker.predict_many(x)

    assert teach(ranker, x, label).tolist() == before.tolist()


def test_weight_counts_as_a_larger_step() -> None:
    light, heavy = Ranker(), Ranker()
    teach(light, np.ones((1, len(FEATURES))), np.zeros((1, 1)))
    teach(heavy, np.ones((1, len(FEATURES))), np.zeros((1, 1)), weight=4.0)

    assert (heavy.model.intercepts < light.model.intercepts).all()


def test_example_of_one_objective_moves_no_other() -> None:
    ranker, before = taught(20), taught(20)
    teach(ranker, *examples(30, 3), "like")

    moved = (ranker.model.w != before.model.w).any(1) | (ranker.examples != before.examples)
    assert moved.tolist() == [name == "like" for name in OBJECTIVES]


def test_ranker_learns_what_the_labels_depend_on() -> None:
    ranker = taught(2000)
    weights, before = ranker.model.w[SKIP].copy(), ranker.histograms[SKIP].copy()
    teach(ranker, *examples(1000, 9))

    assert weights[3] < -0.5 < 0.2 < weights[0]
    assert auc_of_histogram(ranker.histograms[SKIP] - before) > 0.85


def test_auc_of_partitions_counts_all_of_their_predictions() -> None:
    few, many = taught(50, 1), taught(500, 2)
    blocks = [ranker.encode("skip") for ranker in (few, many)]

    assert auc_of(blocks) == mixed(few, many).auc("skip")
    assert sum(decode_block(block).examples for block in blocks) == 550


def test_calibration_error_is_the_distance_of_what_was_predicted_from_what_came() -> None:
    ranker, place = Ranker(), OBJECTIVES.index("share_heard")
    x, weights = np.zeros((1, len(FEATURES))), np.array([[float(name == "share_heard") for name in OBJECTIVES]])
    ranker.model.intercept_lr = 0.0
    for share in (0.2, 0.5, 0.61):
        ranker.learn_many(x, np.full((1, len(OBJECTIVES)), share), weights)

    assert ranker.histograms[place].sum(1).tolist() == [300 - 131, 131]
    assert calibration_of_histogram(ranker.histograms[place]) == pytest.approx(
        PRIORS["share_heard"] - 1.31 / 3, abs=0.003
    )
    assert mixed(ranker).calibration_error("share_heard") == calibration_of_histogram(ranker.histograms[place])
    assert np.isnan(RankerMix().calibration_error("skip"))


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
