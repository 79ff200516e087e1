"""Measures: which value is better, and how it reads."""

import pytest

from dsl.experiment.measures import (
    ACCURACY,
    BITS_PER_CHARACTER,
    PERPLEXITY,
    Measure,
)
from dsl.runs.results import ResultError

pytestmark = pytest.mark.backend

ERROR = Measure("squared_error", "error", floor=0.0, digits=4)
GAIN = Measure("gain", ceiling=100.0)


def records(*values, **more):
    return [{"test": {"accuracy": value, **more}} for value in values]


def test_the_loss_falls_where_a_value_betters():
    assert PERPLEXITY.loss(90.0) < PERPLEXITY.loss(100.0)
    assert ACCURACY.loss(0.9) < ACCURACY.loss(0.8)


def test_what_is_monitored_falls_to_what_nothing_betters():
    assert (PERPLEXITY.monitor, PERPLEXITY.least) == ("valid_perplexity", None)
    assert (ERROR.monitor, ERROR.least) == ("valid_squared_error", 0.0)
    assert (ACCURACY.monitor, ACCURACY.least) == ("valid_error", 0.0)
    assert (GAIN.monitor, GAIN.least) == ("valid_error", 0.0)
    assert (ERROR.loss(0.25), ACCURACY.loss(0.75)) == (0.25, 0.25)
    assert (GAIN.loss(100.0), GAIN.loss(-4.0)) == (0.0, 104.0)


def test_numbers_stand_in_their_unit():
    assert ACCURACY.heading == "accuracy, %"
    assert ACCURACY.text(0.97) == "97.00"
    assert PERPLEXITY.heading == "perplexity"
    assert BITS_PER_CHARACTER.heading == "bits per character"
    assert BITS_PER_CHARACTER.text(1.23456) == "1.235"
    assert ERROR.in_words({"squared_error": 0.00125}) == "error 0.0013"


def test_what_was_measured_in_a_line():
    measured = {
        "accuracy": 0.97,
        "accuracy_sampled_mean": 0.9,
        "accuracy_sampled_std": 0.01,
    }
    assert ACCURACY.in_words(measured) == "accuracy 97.00 %"
    assert ACCURACY.sampled_in_words(measured) == ""
    assert ACCURACY.in_words({**measured, "sampled_n": 5}) == (
        "accuracy 97.00 % (sampled 90.00 +- 1.00, n=5)"
    )


def test_the_cells_of_seeds():
    assert ACCURACY.cell(records(0.5)) == "50.00"
    assert ACCURACY.cell(records(0.5, 0.6)) == "55.00 ± 7.07"
    assert ACCURACY.cell(records(0.5), "valid") == "-"
    found = records(0.5, accuracy_sampled_mean=0.4)
    assert ACCURACY.cell(found, suffix="_sampled_mean") == "40.00"
    with pytest.raises(ResultError, match="`test.accuracy` must be a finite"):
        ACCURACY.cell(records("low"))


def test_a_measure_of_some_data_alone():
    measured = {"test": {"bits_per_character": 1.2345}}
    letters = {**measured, "data": {"of_characters": True}}
    assert BITS_PER_CHARACTER.cell([letters, letters]) == "1.234 ± 0.000"
    for data in (None, {}, {"of_characters": False}):
        others = [letters, {**measured, "data": data}]
        assert BITS_PER_CHARACTER.cell(others) == "-"
    assert BITS_PER_CHARACTER.cell([measured]) == "-"


def test_the_cells_of_sampled_actions():
    cell, pooled = ACCURACY.sampled_cell, ACCURACY.pooled_sampled_cell
    mean, deviation = "accuracy_sampled_mean", "accuracy_sampled_std"
    (none,) = records(0.5)
    (alone,) = records(0.5, **{mean: 0.4})
    first, second = (
        records(0.5, **{mean: value, deviation: spread})[0]
        for value, spread in ((0.4, 0.03), (0.6, 0.04))
    )
    assert (cell(none), cell(alone)) == ("-", "40.00")
    assert cell(first) == "40.00 ± 3.00"
    assert pooled([first, none]) == "-"
    assert pooled([first, alone]) == "40.00"
    # The root of the mean of their squares.
    assert pooled([first, second]) == "50.00 ± 3.54"


def test_the_worst_seed():
    assert ACCURACY.worst_cell(records(0.9, 0.5, 0.7)) == "50.00"
    found = [{"test": {"perplexity": value}} for value in (90.0, 120.0, 80.0)]
    assert PERPLEXITY.worst_cell(found) == "120.00"
    lacking = [*records(0.9), {"test": {}, "run_folder": "runs/b"}]
    with pytest.raises(ResultError, match="runs/b: `test.accuracy` is missing"):
        ACCURACY.worst_cell(lacking)


def test_what_is_published():
    found = {"test_accuracy": 0.704, "valid_accuracy": 0.69649}
    assert ACCURACY.published_cell(found) == "70.4"
    assert ACCURACY.published_cell(found, "valid") == "69.6"
    assert PERPLEXITY.published_cell({"test_perplexity": 114.5}) == "114.5"
    for nothing in (None, {}, {"test_accuracy": None}):
        assert ACCURACY.published_cell(nothing) == "-"
    with pytest.raises(ResultError):
        ACCURACY.published_cell({"test_accuracy": "high"})


def test_the_best_of_the_epochs():
    def epochs(name, *values):
        return [{f"valid_{name}": value} for value in values]

    assert PERPLEXITY.best_valid(epochs("perplexity", 9.0, 7.0, 8.0)) == "7.00"
    assert ACCURACY.best_valid(epochs("accuracy", 0.5, 0.7, 0.6)) == "70.00"
    assert ACCURACY.best_valid([{}, *epochs("accuracy", 0.5)]) == "50.00"
    assert ACCURACY.best_valid([]) == ACCURACY.best_valid([{}]) == "-"
