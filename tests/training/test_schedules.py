"""The learning rate of each epoch."""

import numpy as np
import pytest

from dsl.training import schedules


def rates(schedule, perplexities):
    """The rate of each epoch."""
    found = []
    for perplexity in perplexities:
        found.append(schedule.rate)
        schedule.finish_epoch(perplexity)
    return found


def test_rates_of_zaremba_small():
    schedule = schedules.Schedule(rate=1.0, factor=0.5, constant_epochs=4)
    found = rates(schedule, range(500, 513))
    assert found[:4] == [1.0] * 4
    np.testing.assert_allclose(found[4:], 0.5 ** np.arange(1, 10))


def test_rates_of_zaremba_medium():
    schedule = schedules.Schedule(rate=1.0, factor=1 / 1.2, constant_epochs=6)
    found = rates(schedule, [100.0] * 39)
    assert found[:6] == [1.0] * 6
    np.testing.assert_allclose(found[6:], 1.2 ** -np.arange(1.0, 34.0))


@pytest.mark.parametrize(
    ("factor", "constant", "last", "expected"),
    [(0.5, 4, 13, 0.5**9), (1 / 1.2, 6, 39, 1.2**-33)],
)
def test_fixed_decay(factor, constant, last, expected):
    found = [
        schedules.fixed_decay(
            2.0, epoch, factor=factor, constant_epochs=constant
        )
        for epoch in range(1, last + 1)
    ]
    assert found[:constant] == [2.0] * constant
    assert found[constant] == pytest.approx(2.0 * factor)
    assert found[-1] == pytest.approx(2.0 * expected)


def test_rates_that_wait_for_the_validation():
    schedule = schedules.Schedule(rate=1.0, factor=0.5, margin=1.0, floor=0.2)
    perplexities = [
        200.0,  # the first epoch sets the reference
        190.0,  # better by enough
        189.5,  # better by too little: decays, and 190 stays the reference
        189.0,  # better than 190 by just enough
        188.5,  # slow improvement decays
        188.2,  # still against 189: decays to the floor
        188.1,  # stays there
        150.0,
        400.0,
    ]
    found = rates(schedule, perplexities)
    expected = [1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.2, 0.2, 0.2]
    np.testing.assert_allclose(found, expected)
    assert schedule.reference == 150.0 and schedule.epoch == 9


def test_conditional_decay_never_raises_the_rate():
    decay = dict(factor=0.5, margin=1.0, floor=0.005)
    assert schedules.conditional_decay(1.0, 90.0, None, **decay) == (1.0, 90.0)
    assert schedules.conditional_decay(1.0, 89.0, 90.0, **decay) == (1.0, 89.0)
    assert schedules.conditional_decay(1.0, 89.1, 90.0, **decay) == (0.5, 90.0)
    assert schedules.conditional_decay(0.006, 95.0, 90.0, **decay)[0] == 0.005
    assert schedules.conditional_decay(0.001, 95.0, 90.0, **decay)[0] == 0.001


def test_a_cosine_falls_and_stays_where_it_ends():
    schedule = schedules.Schedule(
        rate=1.0, factor=1.0, constant_epochs=1, floor=0.2, cosine_epochs=4
    )
    rates = []
    for _ in range(7):
        rates.append(schedule.rate)
        schedule.finish_epoch(1.0)
    half = 0.4 * np.cos(np.pi / 4)
    expected = [1.0, 0.6 + half, 0.6, 0.6 - half, 0.2, 0.2, 0.2]
    np.testing.assert_allclose(rates, expected, rtol=1e-12)


def test_a_cosine_goes_on_where_it_was():
    def make():
        return schedules.Schedule(
            rate=1.0, factor=1.0, constant_epochs=1, cosine_epochs=5
        )

    whole, first, then = make(), make(), make()
    for _ in range(3):
        whole.finish_epoch(1.0)
    for _ in range(2):
        first.finish_epoch(1.0)
    then.restore(first.state())
    then.finish_epoch(1.0)
    assert then.state() == whole.state()
