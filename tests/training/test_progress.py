"""What a checkpoint may tell of where a training stands."""

import dataclasses
import math

import pytest

from dsl.training import schedules
from dsl.training.progress import Progress

ENTRY = {
    "epoch": 1,
    "learning_rate": 1.0,
    "valid": 2.0,
    "shares": [0.5, 0.5],
    "seconds": 0.5,
    "steps": 5,
}
SAVED = {
    "epoch": 2,
    "step": 3,
    "steps": 8,
    "seconds": 0.25,
    "schedule": {"rate": 1.0, "reference": None, "epoch": 1},
    "best": 2.0,
    "entries": [ENTRY],
}
FORGED = {
    "epoch": ("one", -3, 0, 1, 3, True, 2.0, None, 10**25, [2], {}),
    "step": ("two", -1, 2, True, 3.0, None, 10**25, [3], {}),
    "steps": ("five", -1, 7, True, 8.0, None, 10**25, [8], {}),
    "seconds": ("now", -1.0, False, None, 1e301, math.inf, 10**25, [1.0]),
    "best": ("low", True, [2.0], {}, None, 1e301, math.nan),
    "entries": (
        *(3, None, {}, "", [], [{}], [[]], [1], ["a"], [None]),
        *([ENTRY, ENTRY], [{**ENTRY, "odd": {"a": {}}}], [{"epoch": 1}]),
    ),
    "schedule": ("fast", None, [], [1], {}, {"rate": 1.0}),
}
FORGED_ENTRY = {
    "epoch": ("one", 0, 2, True, 1.0, None, 10**25, ...),
    "steps": ("five", 4, True, 5.0, None, 10**25, ...),
    "seconds": ("now", True, None, [1.0], 1e301, math.nan, ...),
    "valid": ("low", None, [1.0], {}, 10**400, ...),
    "shares": ("even", ["a"], [[1]], [True], [math.inf], {"a": {}}),
    "odd": ("text", {"a": "b"}, [None, "a"]),
}
FORGED_SCHEDULE = {
    "rate": ("fast", -1.0, None, [1.0], True, math.nan, ...),
    "initial_rate": ("fast", -1.0, None, [1.0], True, math.nan),
    "reference": ("low", True, [1.0], {}, math.inf),
    "epoch": ("one", 0, 2, -1, True, 1.0, None, 10**25, ...),
}


def edit(values, key, value):
    changed = {**values, key: value}
    return {key: one for key, one in changed.items() if one is not ...}


def deep(depth):
    value = 1.0
    for _ in range(depth):
        value = [value]
    return value


def test_what_was_saved_is_read_back():
    for measured in ((), ("valid", "learning_rate")):
        progress = Progress.from_saved(SAVED, measured)
        assert dataclasses.asdict(progress) == SAVED
    negative = {**SAVED, "best": -2.0, "entries": [{**ENTRY, "valid": -2.0}]}
    assert Progress.from_saved(negative, ("valid",)).best == -2.0
    start = dataclasses.asdict(
        Progress(schedule=schedules.Schedule(1.0, 1.0).state())
    )
    assert Progress.from_saved(start).epoch == 1


@pytest.mark.parametrize(
    "saved",
    [
        *(None, [], 3, "far", True, {}, {**SAVED, "more": 1}),
        *(edit(SAVED, key, ...) for key in SAVED),
        *(edit(SAVED, k, x) for k, values in FORGED.items() for x in values),
        *(
            {**SAVED, "entries": [edit(ENTRY, key, x)]}
            for key, values in FORGED_ENTRY.items()
            for x in values
        ),
        *(
            {**SAVED, "schedule": edit(SAVED["schedule"], key, x)}
            for key, values in FORGED_SCHEDULE.items()
            for x in values
        ),
        *({**SAVED, "best": deep(n)} for n in (100, 900, 970, 10**5)),
        {**SAVED, "entries": [{**ENTRY, "shares": deep(970)}]},
    ],
)
def test_what_no_training_saves_is_refused(saved):
    with pytest.raises(ValueError, match="^progress.* Received: ") as caught:
        Progress.from_saved(saved, ("valid", "seconds"))
    assert len(str(caught.value)) < 500
