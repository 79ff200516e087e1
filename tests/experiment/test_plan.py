"""Tables of runs: what is run for each row, what is kept, how it reads."""

import dataclasses
import json
import re

import pytest
from run_folders import cells, make_number_run, make_run, make_text

from copy_task.task import TASK as COPIES
from dsl.datasets import numbers as data
from dsl.experiment import plan
from dsl.experiment.plan import Column, Plan, Table
from dsl.experiment.task import ROOT
from dsl.runs.results import ResultError
from language_modeling.task import TASK as LANGUAGE
from number_prediction import presets
from number_prediction import tables as number_tables
from number_prediction.task import TASK as NUMBERS

pytestmark = pytest.mark.backend

TABLES = [
    pytest.param(task, name, id=f"{task.name}/{name}")
    for task in (LANGUAGE, NUMBERS, COPIES)
    for name in task.tables
]
WIDEST = 100
MOST_COLUMNS = 7

SMALL = Table(
    f"--length 5 --data_seed {plan.SEED}",
    {"a": Plan("--lamda 1"), "b": Plan("--lamda 0.5", (1, 3))},
)


@pytest.fixture
def small(monkeypatch):
    """A table of two rows, in the place of one of number prediction."""
    monkeypatch.setitem(NUMBERS.tables, "T51", SMALL)
    return NUMBERS.tables["T51"]


# What is run.


def test_every_row_of_a_seed_comes_before_the_next_seed():
    names = [run.name for run in SMALL.runs()]
    assert (names, SMALL.seeds()) == (["a-1", "b-1", "b-3"], [1, 3])
    assert SMALL.names() == ["a", "b", "a-1", "b-1", "b-3"]
    assert SMALL.names([7]) == ["a", "b", "a-7", "b-7"]
    run = SMALL.runs()[2]
    assert run.flags == (
        "--length 5 --data_seed 3 --lamda 0.5 --seed 3".split()
    )


def test_seeds_that_are_asked_for_are_those_of_every_row():
    names = [run.name for run in SMALL.runs([3, 2])]
    assert names == ["a-3", "b-3", "a-2", "b-2"]
    names = [run.name for run in SMALL.runs([3, 2], ["b", "a-2"])]
    assert names == ["b-3", "a-2", "b-2"]
    assert [run.name for run in SMALL.runs(only=["b-3", "a"])] == [
        *("a-1", "b-3")
    ]


def test_what_a_row_needs_are_the_runs_of_its_source():
    table = LANGUAGE.tables["small_4_epochs"]
    needed = [run.name for run in table.needs("random")]
    assert needed == ["reinforce-1", "reinforce-2", "reinforce-3"]
    assert table.needs("lstm") == []


@pytest.mark.parametrize(("task", "name"), TABLES)
def test_the_runs_of_a_table_have_names_and_settings_of_their_own(task, name):
    table = task.tables[name]
    runs = table.runs()
    # A row and a run are both asked for by --only.
    rows = {run.row for run in runs}
    known = {*rows, *(run.name for run in runs)}
    assert len(known) == len(runs) + len(rows)
    found = set()
    for run in runs:
        flags = ["1" if x == plan.SOURCE else x for x in run.flags]
        args = task.parse(flags)
        assert args.seed == run.seed and run.name.endswith(f"-{run.seed}")
        found.add(json.dumps(task.effective(task.of_run(args))))
    assert len(found) == len(runs)


@pytest.mark.parametrize("name", LANGUAGE.tables)
def test_words_differ_in_seed_and_model_alone(name):
    same = set()
    for run in LANGUAGE.tables[name].runs():
        flags = ["1" if x == plan.SOURCE else x for x in run.flags]
        args = LANGUAGE.parse(flags)
        same.add((args.preset, args.max_epochs, args.constant_epochs))
    assert len(same) == 1


@pytest.mark.parametrize("name", NUMBERS.tables)
def test_digits_are_those_of_the_seed_and_of_one_kind(name):
    kinds = set()
    for run in NUMBERS.tables[name].runs():
        args = NUMBERS.parse(run.flags)
        assert (args.data_seed, args.produce) == (run.seed, True)
        kinds.add(data.Settings(args.length, args.index_from, args.symbols))
        where = NUMBERS.where("d", name, run.seed)
        assert where == ["--data_dir", f"d/{name}/seed-{run.seed}"]
    assert len(kinds) == 1
    (_, usual) = NUMBERS.where(None, name, 2)
    assert usual == f"data/number_prediction/{name}/seed-2"


def test_every_table_has_its_budget():
    tables = [name for some in LANGUAGE.budgets.values() for name in some]
    assert sorted(tables) == sorted(LANGUAGE.tables)


def test_what_stands_beside_the_papers_rows_has_one_seed():
    for table in ("T11", "T21"):
        for row in number_tables.CONTROLS:
            assert NUMBERS.tables[table].plans[row].seeds == (1,)
    start = NUMBERS.tables["T21_start"].plans
    assert start["dynamic-1-grown"].seeds == (1, 2, 3)


def test_every_figure_of_the_paper_has_its_row():
    figures = []
    for name, length in (("T11", 10), ("T21", 20)):
        for row in ("lstm", "attention", "dynamic-1", "dynamic-0.5"):
            runs = NUMBERS.tables[name].runs(only=[row])
            args = NUMBERS.parse(runs[0].flags)
            assert args.length == length
            assert [run.seed for run in runs] == [1, 2, 3, 4, 5]
            figures.append(presets.published(args))
    wanted = [0.01 * test for _, test in presets.PUBLISHED.values()]
    assert [one["test_accuracy"] for one in figures] == pytest.approx(wanted)


def test_what_each_model_does_not_read():
    every = set(NUMBERS.of_run(NUMBERS.parse([])))
    for model, read in (
        ("lstm", set()),
        ("attention", {"lamda", "n_actions", "policy_units"}),
        ("fixed_skip", {"lamda", "skip"}),
        ("dynamic_skip", {"lamda", "n_actions", "policy_units", "credit"}),
    ):
        saved = dict.fromkeys(every) | {"model": model}
        found = set(NUMBERS.effective(saved))
        assert found >= read | {"length", "epoch", "rnn_size", "forget_bias"}
        other = {"lamda", "n_actions", "policy_units", "skip", "credit"}
        assert not found & (other - read)


# What is kept.


def keep(folder, *names, table="T51", **options):
    for run in NUMBERS.tables[table].runs((1, 2, 3), names):
        settings = NUMBERS.of_run(NUMBERS.parse(run.flags))
        make_number_run(folder / run.name, settings, (0.5,), **options)


def test_rows_come_from_the_plan(tmp_path, small):
    keep(tmp_path / "T51", "b-1", "b-3")
    found = plan.load(NUMBERS, tmp_path / "T51", "T51")
    assert [row.name for row in found] == ["a", "b"]
    assert [row.names for row in found] == [("a-1",), ("b-1", "b-3")]
    assert [row.settings["lamda"] for row in found] == [1.0, 0.5]
    seeds = [[one["settings"]["seed"] for one in row.records] for row in found]
    assert seeds == [[], [1, 3]]
    assert [plan.seeds(row) for row in found] == ["0/1", "2/2"]
    assert found[1].model.startswith("dynamic_skip (K=10, λ=0.5, reinforce")
    (one,) = plan.load(NUMBERS, tmp_path / "T51", "T51", only=["b-3"])
    assert (one.name, one.names, len(one.runs)) == ("b", ("b-3",), 1)
    more = plan.load(NUMBERS, tmp_path / "T51", "T51", (1, 2))
    assert [row.names for row in more] == [("a-1", "a-2"), ("b-1", "b-2")]
    rows = plan.load(NUMBERS, tmp_path / "none", "T11")
    assert [row.name for row in rows] == list(NUMBERS.tables["T11"].plans)


def test_a_kept_run_of_another_row_is_refused(tmp_path, small):
    keep(tmp_path / "T51", "b-1")
    (tmp_path / "T51/b-1").rename(tmp_path / "T51/b-3")
    with pytest.raises(ResultError, match="_seed 1, here 3; --seed 1, here 3"):
        plan.load(NUMBERS, tmp_path / "T51", "T51")
    (tmp_path / "T51/b-3").rename(tmp_path / "T51/a-1")
    with pytest.raises(ResultError, match="--lamda 0.5, here 1.0"):
        plan.load(NUMBERS, tmp_path / "T51", "T51")


def test_a_kept_run_without_what_is_measured_is_refused(tmp_path, small):
    keep(tmp_path / "T51", "a-1")
    path = tmp_path / "T51/a-1/result.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "test": {}}))
    with pytest.raises(
        ResultError, match="a-1: must hold the accuracy of valid and test"
    ):
        plan.load(NUMBERS, tmp_path / "T51", "T51")


def test_what_differs_and_what_may_grow(tmp_path, small):
    keep(tmp_path, "a-1")
    (run,) = SMALL.runs(only=["a-1"])
    path = tmp_path / "a-1"
    assert plan.differences(NUMBERS, path, run.flags) == {}
    assert not plan.is_short(NUMBERS, path, run.flags)
    longer = [*run.flags, "--epoch", "9"]
    found = plan.differences(NUMBERS, path, longer)
    assert found == {"epoch": "--epoch 6, here 9"}
    assert not plan.is_short(NUMBERS, path, longer)
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(
        json.dumps({**config, "growing": ["epoch"]})
    )
    assert plan.is_short(NUMBERS, path, longer)
    others = [*longer, "--rnn_size", "3"]
    assert list(plan.differences(NUMBERS, path, others)) == [
        *("rnn_size", "epoch")
    ]
    assert not plan.is_short(NUMBERS, path, others)
    # Where it lies, or how its data were asked for, is no other run.
    assert not plan.differences(
        NUMBERS, path, [*run.flags, "--produce", "--data_dir", "x"]
    )
    with pytest.raises(
        ResultError, match="made with other settings: --epoch 6, here 9[.]$"
    ):
        plan.check_settings(NUMBERS, path, longer)


def test_flags_are_filled_with_what_was_learned(tmp_path):
    table = LANGUAGE.tables["small"]
    (run,) = table.runs(only=["random"])
    folder = tmp_path / "small"
    with pytest.raises(ResultError, match="reinforce-1/result.json: no such"):
        plan.fill(LANGUAGE, folder, "small", run)
    (row,) = plan.load(LANGUAGE, folder, "small", only=["random"])
    assert row.settings["look_back_shares"] == ["as learned"]
    (agent,) = table.runs(only=["reinforce"])
    nll, _, sentence = make_text(9)
    make_run(
        folder / agent.name,
        scores=(nll, sentence),
        record={
            "valid": {"perplexity": 9.0, "epoch": 1},
            "epochs": [{"epoch": 1, "look_back_histogram": [0.75, 0.25]}],
        },
        **LANGUAGE.of_run(LANGUAGE.parse(agent.flags)),
    )
    found = plan.fill(LANGUAGE, folder, "small", run)
    assert found[found.index("--look_back_shares") + 1] == "0.750,0.250"
    assert plan.SOURCE not in found
    assert plan.fill(LANGUAGE, folder, "small", agent) is agent.flags


def test_rows_of_another_table_are_kept_there(tmp_path):
    home = plan.home(LANGUAGE, tmp_path / "sweep_k", "sweep_k", "lstm")
    assert home == tmp_path / "small_4_epochs"
    home = plan.home(LANGUAGE, tmp_path / "sweep_k", "sweep_k", "k2")
    assert home == tmp_path / "sweep_k"


# How it reads.


@pytest.fixture
def shown(tmp_path, small):
    """A function of columns to the rendered table of what is kept."""
    keep(tmp_path / "T51", "a-1", "b-1")
    rows = plan.load(NUMBERS, tmp_path / "T51", "T51")

    def render(*columns, **options):
        task = dataclasses.replace(NUMBERS, columns=lambda rows: columns)
        return plan.render(task, rows, **options)

    return render


ROW = Column("row", lambda row: row.name, brief=True)
SAME = Column("test, %", plan.of_records(lambda some: "50.00"), brief="test")
SEEDS = Column("seeds", plan.seeds, brief=True)
LONG = Column("model", lambda row: row.model)
EMPTY = Column("nothing", lambda row: "-", brief=True)


def test_all_columns_and_the_commands_below(shown):
    table, *commands = shown(ROW, SAME, LONG, EMPTY).split("\n\n")
    assert cells(table)[0] == ["row", "test, %", "model"]
    (commands,) = commands
    lines = commands.splitlines()
    # One for each row, of its first seed.
    assert len(lines) == 2 and all(line[:4] == "    " for line in lines)
    assert lines[0].endswith("--produce --seed 1")


def test_the_short_form_says_once_what_all_rows_have(shown):
    caption, table = shown(ROW, SAME, SEEDS, LONG, EMPTY, brief=True).split(
        "\n\n"
    )
    assert caption == "All rows: test 50.00."
    assert cells(table) == [["row", "seeds"], ["a", "1/1"], ["b", "1/2"]]


def test_sources_stand_below(tmp_path):
    rows = plan.load(NUMBERS, tmp_path, "T11")
    for brief in (True, False):
        text = plan.render(NUMBERS, rows, brief)
        assert text.endswith(f"\n\nPublished: {presets.SOURCE}.")


@pytest.mark.parametrize(("task", "name"), TABLES)
def test_the_short_form_can_be_read(task, name):
    """As all tables are kept."""
    folder = ROOT / "results" / task.name / name
    rows = plan.load(task, folder, name)
    text = plan.render(task, rows, brief=True)
    lines = [x for x in text.splitlines() if x.startswith("|")]
    header, *body = cells("\n".join(lines))
    assert len(header) <= MOST_COLUMNS and len(body) == len(rows)
    assert max(map(len, lines)) <= WIDEST
    assert not re.search("^    ", text, re.MULTILINE)
    # What all rows have is said above, and no cell of it below.
    apart = list(zip(*body, strict=True))[1:]
    assert all(len(set(column)) > 1 for column in apart) or len(rows) == 1


# What stands out in the short form.


@pytest.mark.parametrize(
    ("values", "bold"),
    [
        ((0.5, 0.75, 0.25), [1]),
        ((0.75, 0.5, 0.75), [0, 2]),
        ((0.75, 0.75, 0.75), []),
        # As they are shown they are the same.
        ((0.75, 0.750001, 0.25), [0, 1]),
    ],
)
def test_all_best_rows_are_bold_unless_all_are_the_same(values, bold):
    rows = [
        plan.Row(str(n), {}, {}, (), ({"record": {"test": {"accuracy": x}}},))
        for n, x in enumerate(values)
    ]
    measure = NUMBERS.measure
    column = Column("test", plan.of_records(measure.cell), best=measure)
    found = plan._with_best(rows, column)
    cells_of = [found.cell(row) for row in rows]
    assert [n for n, cell in enumerate(cells_of) if "**" in cell] == bold


def test_a_kept_run_that_goes_on_beyond_its_record_is_named(tmp_path, small):
    run = SMALL.runs()[0]
    folder = tmp_path / "T51" / run.name
    settings = NUMBERS.of_run(NUMBERS.parse(run.flags))
    make_number_run(folder, settings, [0.5])
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["growing"] = ["epoch"]
    config["settings"]["epoch"] += 1
    path.write_text(json.dumps(config))
    with pytest.raises(ResultError, match="a-1"):
        plan.load(NUMBERS, tmp_path / "T51", "T51")
