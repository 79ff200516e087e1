"""Tables of run records."""

import pytest
from run_folders import make_record

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


def test_sources_are_named_once_and_only_where_there_is_a_figure():
    none = make_record(published={"test_perplexity": None, "source": "other"})
    records = [make_record(), make_record(), none, make_record(published=None)]
    assert tables.sources(records) == ["A paper, table 2"]


def test_a_column_that_no_row_fills_is_left_out():
    columns = [
        ("a", lambda row: row[0]),
        ("b", lambda row: row[1]),
        ("c", lambda row: "-"),
    ]
    found = tables.filled(["--", "-x"], columns)
    assert [heading for heading, _ in found] == ["b"]


def test_what_all_rows_have_in_common_is_the_caption():
    columns = [
        ("row", lambda row: "x"),  # It stays, though all are alike.
        ("a", lambda row: row[0]),
        ("b\x1b", lambda row: row[1] + "\x1b"),
        ("c", lambda row: "1/1"),
    ]
    found, caption = tables.with_caption(["1y", "2y"], columns)
    assert [heading for heading, _ in found] == ["row", "a"]
    assert caption == "All rows: b\x1b y\\x1b, c 1/1."
    found, caption = tables.with_caption(["1y", "2z"], columns[:3])
    assert (len(found), caption) == (3, "")


def test_a_figure_over_seeds():
    records = [{"test": {"x": value}} for value in (0.5, 0.7)]
    cell = tables.over_seeds
    assert cell(records[:1], "test", "x") == "0.50"
    assert cell(records, "test", "x", scale=100) == "60.00 ± 14.14"
    assert cell(records, "test", "x", digits=3) == "0.600 ± 0.141"
    assert cell([*records, {"test": {}}], "test", "x") == "-"
    assert cell([{}], "test", "x") == "-"
    for value in ("low", True, float("nan"), 10**400):
        record = {"test": {"x": value}, "run_folder": "runs/a"}
        with pytest.raises(results.ResultError, match="runs/a: `test.x` must"):
            cell([record], "test", "x")
