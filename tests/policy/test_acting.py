"""How the layers that choose act, in one object."""

import dataclasses

import pytest

from dsl.policy.acting import ONCE, Acting


def test_the_task_is_learned_from_all_rollouts_unless_told():
    assert Acting(3).task_rollouts == 3
    assert Acting(3, 2).task_rollouts == 2
    assert (ONCE.num_rollouts, ONCE.task_rollouts) == (1, 1)


def test_other_distances_leave_the_rest():
    acting = Acting(3, 2, "greedy").taking([[1]])
    assert acting.call_arguments() == {
        "num_rollouts": 3,
        "action_selection": "greedy",
        "look_back": [[1]],
    }
    assert acting.task_rollouts == 2
    assert acting.taking(None).look_back is None


def test_it_stays_as_it_is():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ONCE.num_rollouts = 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_rollouts": 0}, "`num_rollouts` is the number of rollouts"),
        ({"task_rollouts": 0}, "`task_rollouts` is a number of rollouts"),
        (
            {"num_rollouts": 2, "task_rollouts": 3},
            "`task_rollouts` are some of .*task_rollouts=3 of 2",
        ),
    ],
)
def test_what_is_no_number_of_rollouts(options, message):
    with pytest.raises(ValueError, match=message):
        Acting(**options)
