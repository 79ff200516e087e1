"""Hits and chance, held against all ways to deal connections out."""

import itertools

import numpy as np
import pytest

from dsl.analysis import dependencies

pytestmark = pytest.mark.backend

LOOK_BACK = [1, 2, 0, 2, 3, 3, 1, 2]
DEPENDENCIES = [0, 2, 2, 1, 3, 2, 1, 2]


@pytest.mark.parametrize("distances", [(2,), (3,), (2, 3), (1, 2, 3), (4,)])
def test_hits_and_chance_over_all_orders(distances):
    found = dependencies.agreement(LOOK_BACK, DEPENDENCIES, distances)
    pairs = [(k, d) for k, d in zip(LOOK_BACK, DEPENDENCIES, strict=True) if k]
    wanted = [d for _, d in pairs]

    def hits(order):
        return sum(
            k == d and k in distances
            for k, d in zip(order, wanted, strict=True)
        )

    every = [
        hits(order) for order in itertools.permutations(k for k, _ in pairs)
    ]
    assert found.hits == hits([k for k, _ in pairs])
    assert found.chance == pytest.approx(np.mean(every))
    assert found.deviation == pytest.approx(np.std(every), abs=1e-12)
    assert found.words == 7 and found.distances == distances
    assert found.connections == sum(k in distances for k, _ in pairs)
    assert found.dependencies == sum(d in distances for d in wanted)


def test_shares():
    found = dependencies.agreement(LOOK_BACK, DEPENDENCIES, (2, 3))
    assert (found.precision, found.recall) == (3 / 5, 3 / 4)
    assert found.chance_precision == pytest.approx((3 * 3 + 2 * 1) / 7 / 5)
    # Of one distance, that of always looking back as far.
    alone = dependencies.agreement(LOOK_BACK, DEPENDENCIES, (2,))
    known = np.array(DEPENDENCIES)[np.array(LOOK_BACK) > 0]
    always = dependencies.agreement([2] * 7, known, (2,))
    assert always.precision == pytest.approx(alone.chance_precision)
    assert always.deviation == 0.0
    none = dependencies.agreement([1], [1], (5,))
    assert (none.precision, none.recall, none.chance_precision) == (None,) * 3
    assert dependencies.agreement([], [], (2,)).words == 0


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"one distance a word.*\(2,\) and"):
        dependencies.agreement([1, 2], [1], (2,))
    with pytest.raises(ValueError, match=r"distances=\(2, 0\)"):
        dependencies.agreement([1], [1], (2, 0))
