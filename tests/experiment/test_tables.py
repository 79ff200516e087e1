"""Tables of run records."""

import pytest
from run_folders import cells, make_record

from dsl.experiment import tables
from dsl.runs import results

pytestmark = pytest.mark.backend


def test_table_aligns_words_left_and_numbers_right():
    columns = [
        ("name", lambda record: record["name"]),
        ("n", lambda record: record["n"]),
    ]
    records = [{"name": "a", "n": "1,000"}, {"name": "longer", "n": "-"}]
    assert tables.table(records, columns).splitlines() == [
        "| name   |     n |",
        "| ------ | ----: |",
        "| a      | 1,000 |",
        "| longer |     - |",
    ]


def test_comparison_shows_measured_beside_published():
    settings = {"skip": 3, "lamda": 0.5, "n_actions": 7}
    published = make_record(
        model="fixed_skip", settings=settings, run_folder="runs/a"
    )
    true = make_record(
        model="lstm",
        corpus="generated",
        test={"perplexity": 9.5},
        published={"test_perplexity": None, "source": "none"},
        true_perplexity={"valid": 7.0, "test": 7.126},
        run_folder="runs/b",
    )
    heading, *rows = cells(tables.comparison([published, true]))
    assert heading == [
        "model",
        "corpus",
        "parameters",
        "test perplexity",
        "sampled mean ± sd",
        "to compare",
        "seconds",
        "run folder",
    ]
    assert rows == [
        [
            "fixed_skip (3, λ=0.5)",
            "ptb",
            "19,780,401",
            "115.13",
            "116.50 ± 0.13",
            "114.5 published",
            "62",
            "runs/a",
        ],
        [
            "lstm",
            "generated",
            "19,780,401",
            "9.50",
            "-",
            "7.13 true",
            "62",
            "runs/b",
        ],
    ]


def test_comparison_refuses_a_figure_that_is_no_number():
    record = make_record(test={"perplexity": "low"}, run_folder="runs/a")
    with pytest.raises(
        results.ResultError, match="runs/a: `test.perplexity` .*: 'low'"
    ):
        tables.comparison([record])


def test_sources_are_named_once_and_only_where_there_is_a_figure():
    none = make_record(published={"test_perplexity": None, "source": "other"})
    records = [make_record(), make_record(), none, make_record(published=None)]
    assert tables.sources(records) == ["A paper, table 2"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"estimator": "reinforce"}, "reinforce"),
        ({"estimator": "straight_through"}, "straight-through"),
        (
            {"policy": "learned", "estimator": "reinforce", "rollouts": 1},
            "reinforce",
        ),
        (
            {"policy": "learned", "estimator": "reinforce", "rollouts": 4},
            "reinforce, 4 rollouts",
        ),
        (
            {"estimator": "reinforce", "rollouts": 4, "task_rollouts": 1},
            "reinforce, 4 rollouts, words from 1",
        ),
        (
            {"estimator": "reinforce", "rollouts": 4, "task_rollouts": 4},
            "reinforce, 4 rollouts",
        ),
        (
            {"policy": "frozen", "estimator": "reinforce", "rollouts": None},
            "frozen policy",
        ),
        (
            {"policy": "random", "estimator": "reinforce"},
            "random distances, shares uniform",
        ),
        (
            {"policy": "random", "look_back_shares": None},
            "random distances, shares uniform",
        ),
        (
            {"policy": "random", "look_back_shares": [1.0, 0.25]},
            "random distances, shares 1.0 0.25",
        ),
        (
            {"estimator": "reinforce", "random_share": 0.5},
            "reinforce, random at 0.5 of the steps",
        ),
        # Shares of another policy say nothing.
        (
            {"policy": "frozen", "look_back_shares": [1.0], "rollouts": 2},
            "frozen policy, 2 rollouts",
        ),
    ],
)
def test_a_model_in_words(settings, words):
    settings = {"n_actions": 5, "lamda": 0.5, **settings}
    record = make_record(settings=settings)
    assert tables.model_in_words(record) == (
        f"dynamic_skip (K=5, λ=0.5, {words})"
    )
    record = make_record(model="lstm", settings=settings)
    assert tables.model_in_words(record) == "lstm"
    heading, row = cells(tables.comparison([make_record()]))
    assert (heading[0], row[0]) == (
        "model",
        "dynamic_skip (K=None, λ=1.0, None)",
    )


def test_a_column_that_no_row_fills_is_left_out():
    columns = [
        ("a", lambda row: row[0]),
        ("b", lambda row: row[1]),
        ("c", lambda row: "-"),
    ]
    found = tables.filled(["--", "-x"], columns)
    assert [heading for heading, _ in found] == ["b"]
