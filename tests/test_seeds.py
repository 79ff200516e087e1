"""Many random seeds from one."""

import numpy as np

from dsl import seeds


def test_seeds_are_the_same_at_each_call_and_fit_into_31_bits():
    found = seeds.spread(3435, 1000)
    assert found == seeds.spread(3435, 1000)
    assert all(type(seed) is int and 0 <= seed < 2**31 for seed in found)
    assert max(found) > 2**30
    assert seeds.spread(3435, 3) == found[:3]


def test_no_two_seeds_of_neighbors_are_alike():
    """As they would be if they were counted on from the first."""
    found = [one for seed in range(200) for one in seeds.spread(seed, 20)]
    assert len(set(found)) == len(found)
    gaps = np.abs(np.diff(np.sort(found)))
    assert np.median(gaps) > 2**31 / 4000 / 3


def test_no_seed_gives_no_seeds():
    assert seeds.spread(None, 3) == [None] * 3
    assert seeds.spread(7, 0) == []


def test_any_integer_is_a_seed():
    assert (
        len(set(map(tuple, (seeds.spread(n, 2) for n in (-1, 0, 2**63))))) == 3
    )
