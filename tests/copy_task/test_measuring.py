"""What copies are worth, against sums by hand."""

import math

import keras
import numpy as np
import pytest

from copy_task import measuring
from copy_task import model as building
from copy_task.task import TASK
from dsl.datasets import copying
from dsl.models.cross_entropy import bit_nll

pytestmark = pytest.mark.backend

PUBLISHED = copying.Settings(low=0.001)


def logits_of(examples, sure=50.0):
    """Of a perfect copy."""
    return np.where(examples.targets > 0.5, sure, -sure)


def test_a_perfect_copy():
    examples = copying.stream(copying.Settings(), 50, 1)
    found = measuring.measure(logits_of(examples), examples)
    for name in ("loss", "answer_loss", "bits_per_sequence", "bit_errors"):
        assert abs(found[name]) < 1e-12
    assert found["exact"] == found["exact_high"] == 1.0
    # 50 of 50: at least 92.9 % (Wilson 1927).
    assert found["exact_low"] == pytest.approx(0.9287, abs=1e-4)
    floor = measuring.published_floor(examples)
    assert found["published_loss"] == pytest.approx(floor, abs=1e-9)


def test_who_knows_nothing_pays_a_bit_a_bit():
    examples = copying.stream(copying.Settings(bits=3), 400, 2)
    logits = np.zeros_like(examples.targets)
    found = measuring.measure(logits, examples)
    assert found["loss"] == pytest.approx(math.log(2.0))
    expected = 3 * examples.lengths.mean()
    assert found["bits_per_sequence"] == pytest.approx(expected)
    half = 1.96 * 3 * examples.lengths.std(ddof=1) / 20
    assert found["bits_per_sequence_high"] == pytest.approx(
        expected + half, rel=1e-4
    )


def test_a_wrong_bit_spoils_its_sequence_alone():
    examples = copying.stream(copying.Settings(4, 4, bits=2), 10, 3)
    logits = logits_of(examples)
    step = 2 + 4 + 1
    logits[3, step, 0] *= -1
    # Beside the answers nothing is counted.
    logits[5, 0, 1] = 50.0
    found = measuring.measure(logits, examples)
    assert found["exact"] == 0.9
    assert found["bit_errors"] == pytest.approx(1 / 80)


def test_the_floor_of_the_published_loss():
    """The entropy of a soft target, and what is clipped."""
    examples = copying.stream(PUBLISHED, 3000, 4)
    ones = (examples.targets > 0.5).mean()
    zero = -(0.001 * math.log(0.001) + 0.999 * math.log(0.999))
    floor = measuring.published_floor(examples)
    expected = zero * (1 - ones) - math.log(0.9999) * ones
    assert floor == pytest.approx(expected, abs=1e-9)
    assert floor == pytest.approx(0.00693, abs=2e-5)


def test_the_published_loss_of_bits_and_of_soft_targets_agree():
    """What a model of bits expects of a soft target is 0.001 + 0.999 p."""
    hard = copying.stream(copying.Settings(), 100, 5)
    soft = copying.stream(PUBLISHED, 100, 5)
    p = np.random.default_rng(6).uniform(0.02, 0.98, hard.targets.shape)
    expected = 0.001 + 0.999 * p
    logits = [np.log(x / (1 - x)) for x in (p, expected)]
    assert measuring.published_loss(logits[0], hard) == pytest.approx(
        measuring.published_loss(logits[1], soft), abs=1e-9
    )
    # And it is the cross-entropy, where nothing is clipped.
    np.testing.assert_allclose(
        measuring.published_loss(logits[1], soft),
        keras.ops.convert_to_numpy(bit_nll(logits[1], soft.targets)).mean(),
        rtol=1e-5,
    )


def test_the_published_size_and_a_start_that_knows_nothing():
    args = TASK.parse(["--preset", "published"])
    model = building.build_model(args)
    assert model.count_params() == 1_326_088
    examples = copying.stream(PUBLISHED, 20, 7)
    scorer = measuring.make_scorer(args, model)
    scored = scorer.score(examples.inputs)
    assert scored["logits"].shape == (20, 42, 8)
    found = measuring.measure(scored["logits"], examples)
    assert found["loss"] == pytest.approx(math.log(2.0), abs=0.01)


FOLLOWING = "--model dynamic_skip --scoring moves --lamda 1 --policy_units 1"


def test_more_past_states_where_a_pattern_is_longer():
    args = TASK.parse(f"{FOLLOWING} --rnn_size 5 --rnn_layers 1".split())
    model = building.build_model(args)
    longer = building.reaching(args, model, 30)
    assert model.recurrent_layers[-1].num_actions == 5
    assert longer.recurrent_layers[-1].num_actions == 32
    for one, other in zip(
        model.get_weights(), longer.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    alone = TASK.parse(f"{FOLLOWING} --rnn_size 5 --n_actions 1".split())
    plain = building.build_model(alone)
    assert building.reaching(alone, plain, 30) is plain
    located = TASK.parse("--model dynamic_skip --rnn_size 5".split())
    kept = building.build_model(located)
    assert building.reaching(located, kept, 30) is kept
