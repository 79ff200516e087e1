"""A table of runs: each once, in order, from wherever it stopped."""

import dataclasses
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import run_folders
from run_folders import cells, make_number_run, make_run, make_text

from dsl.experiment import jobs, plan, reproduction
from dsl.experiment.comparing import reading
from dsl.experiment.task import ROOT, Task
from dsl.runs import provenance, results
from language_modeling.task import TASK as LANGUAGE
from number_prediction.task import TASK as NUMBERS
from scripts import reproduce

pytestmark = pytest.mark.backend

SMALL = ["lstm-1", "reinforce-1", "straight_through-1", "random-1"]
T51 = ["lstm-1", "dynamic-1-1", "lstm-2", "dynamic-1-2", "lstm-3"]
T51 += ["dynamic-1-3"]


def finish_words(run, args, **changes):
    """A finished run of language modeling, best after its second epoch."""
    nll, _, sentence = make_text(20)
    # The best epoch is neither the first nor the last.
    learned = [0.5 + args.seed / 8, 0.5 - args.seed / 8]
    histograms = [1.0, 0.0], learned, [0.0, 1.0]
    record = {
        "valid": {"perplexity": 9.0, "epoch": 2},
        "epochs": [
            {"epoch": epoch, "look_back_histogram": histogram}
            for epoch, histogram in enumerate(histograms, start=1)
        ],
    }
    settings = LANGUAGE.of_run(args)
    record |= changes
    return make_run(run, scores=(nll, sentence), record=record, **settings)


def finish_digits(run, args):
    """A finished run of number prediction."""
    return make_number_run(run, NUMBERS.of_run(args), (0.9,))


@dataclasses.dataclass(frozen=True)
class Bench:
    """A task, and a table of it that is tried.

    Attributes:
        task: The `Task`.
        table: Name of the table.
        runs: Names of its runs, in order.
        finish: Function of a path and settings that makes a finished run.
        agent: A row with an agent.
    """

    task: Task
    table: str
    runs: list
    finish: Callable
    agent: str

    def flags(self, name):
        """The flags of a run."""
        (run,) = self.task.tables[self.table].runs(only=[name])
        return run.flags

    def settings(self, name, *more):
        """The settings of a run."""
        return self.task.parse([*self.flags(name), *more])

    def named(self, runs):
        """The names of the run folders."""
        return [f"{self.table}-{name}" for name in runs]


WORDS = Bench(LANGUAGE, "small", SMALL, finish_words, "reinforce")
DIGITS = Bench(NUMBERS, "T51", T51, finish_digits, "dynamic-1")
BENCHES = {"language_modeling": WORDS, "number_prediction": DIGITS}


@pytest.fixture(autouse=True)
def three_seeds(monkeypatch):
    """T51 with three seeds of each of its two rows."""
    table = NUMBERS.tables["T51"]
    plans = {
        name: dataclasses.replace(one, seeds=(1, 2, 3))
        for name, one in table.plans.items()
    }
    monkeypatch.setitem(NUMBERS.tables, "T51", plan.Table(table.flags, plans))


@pytest.fixture(params=BENCHES)
def bench(request):
    """Each task in its turn."""
    return BENCHES[request.param]


@pytest.fixture
def trainings(monkeypatch):
    """Calls of a program, which leave a finished run or an exit code."""
    calls, codes = [], {}
    benches = {str(one.task.path): one for one in BENCHES.values()}

    def call(command):
        bench, flags = benches[command[1]], command[2:]
        calls.append(flags)
        assert command[0] == sys.executable
        args = bench.task.parse(flags)
        run = Path(args.train_dir) / args.name
        if code := codes.get(args.name, 0):
            run.mkdir(parents=True)
            return code
        if run.exists():
            assert args.resume
            shutil.rmtree(run)
        bench.finish(run, args)
        return 0

    def launch(command, cores, log):
        return run_folders.Ended(call(command))

    monkeypatch.setattr(jobs, "launch", launch)
    return calls, codes


@pytest.fixture
def run(tmp_path):
    """The program, in a folder of its own."""

    def main(bench, *arguments):
        words = list(arguments)
        if "--budget" not in words:
            words.insert(0, bench.table)
        words += ["--train_dir", f"{tmp_path}/runs"]
        words += ["--results", f"{tmp_path}/x", "--data_dir", f"{tmp_path}/d"]
        found = reproduce.parse_args([bench.task.name, *words])
        return reproduce.main(found)

    return main


def names(calls):
    return [flags[flags.index("--name") + 1] for flags in calls]


def edit(folder, **changes):
    """Changes the configuration of a run."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


# What is run, of every task.


def test_each_run_is_made_once_and_kept(
    tmp_path, trainings, run, bench, capsys
):
    calls, _ = trainings
    assert run(bench) == 0
    assert names(calls) == bench.named(bench.runs)
    assert not any("--resume" in flags for flags in calls)
    copies = tmp_path / "x" / bench.table
    assert sorted(path.name for path in copies.iterdir()) == sorted(bench.runs)
    text = "".join(path.read_text("latin-1") for path in copies.glob("*/*"))
    assert str(tmp_path) not in text
    calls.clear()
    capsys.readouterr()
    assert run(bench) == 0
    assert calls == []
    out, err = capsys.readouterr()
    rows = plan.load(bench.task, copies, bench.table)
    text = plan.render(bench.task, rows)
    assert out == f"\n{bench.table}\n\n{text}\n" and "not run" not in text
    assert err.splitlines() == [
        f"{name}: kept in {copies / name}" for name in bench.runs
    ]


def test_only_what_is_asked_for_is_run(trainings, run, bench):
    calls, _ = trainings
    last = bench.runs[-2]
    assert run(bench, "--only", last) == 0
    assert names(calls) == bench.named([last])


def test_a_row_is_all_its_runs(trainings, run, bench):
    calls, _ = trainings
    wanted = [name for name in bench.runs if name.startswith("lstm-")]
    assert run(bench, "--only", "lstm") == 0
    assert names(calls) == bench.named(wanted)


def test_what_is_kept_is_printed_at_the_end(
    tmp_path, trainings, run, bench, capsys
):
    only = bench.runs[:2]
    assert run(bench, "--only", *only) == 0
    out, err = capsys.readouterr()
    assert err == "" and out.startswith(f"\n{bench.table}\n\n| row ")
    rows = plan.load(bench.task, tmp_path / "x" / bench.table, bench.table)
    text = plan.render(bench.task, rows)
    assert out == f"\n{bench.table}\n\n{text}\n"
    shown = [row[0] for row in cells(text)[1 : 1 + len(rows)]]
    assert shown == list(bench.task.tables[bench.table].plans)
    assert text.count("| not run |") == len(rows) - 2


def test_other_seeds_are_in_place_of_those_of_the_table(
    trainings, run, bench, capsys
):
    """Be there more, or others."""
    calls, _ = trainings
    assert run(bench, "--seeds", "5", "4", "--only", "lstm") == 0
    assert names(calls) == bench.named(["lstm-5", "lstm-4"])
    calls.clear()
    capsys.readouterr()
    assert run(bench, "--seeds", "4", "6", "--only", "lstm-4") == 0
    assert calls == []
    lstm, *_ = cells(capsys.readouterr().out)[2:]
    assert lstm[0] == "lstm" and "1/2" in lstm


def test_ctrl_c_while_a_table_is_read_is_one_line(
    trainings, run, bench, capsys, monkeypatch
):
    def load(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(plan, "load", load)
    assert run(bench, "--only", "lstm-1") == 130
    assert capsys.readouterr().err == "reproduce.py: interrupted.\n"
    # What had happened before counts.
    second = bench.runs[1]
    trainings[1][f"{bench.table}-{second}"] = 3
    assert run(bench, "--only", second) == 3
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("code", [1, 3, 130])
def test_a_stopped_run_ends_the_table_and_goes_on_later(
    trainings, run, bench, code, capsys
):
    calls, codes = trainings
    first, second, *_ = bench.named(bench.runs)
    codes[second] = code
    assert run(bench) == code
    # What is kept by then is shown.
    out = capsys.readouterr().out
    rows = len(bench.task.tables[bench.table].plans)
    assert out.count("| not run |") == rows - 1
    assert "not run" not in cells(out)[2]
    assert names(calls) == [first, second]
    codes.clear()
    calls.clear()
    assert run(bench) == 0
    assert names(calls) == bench.named(bench.runs[1:])
    resumed = ["--resume" in flags for flags in calls]
    assert resumed == [True, *[False] * (len(calls) - 1)]


def test_a_finished_run_is_kept_without_another_training(
    tmp_path, trainings, run, bench
):
    calls, _ = trainings
    folder = tmp_path / f"runs/{bench.table}-lstm-1"
    bench.finish(folder, bench.settings("lstm-1"))
    assert run(bench, "--only", "lstm-1") == 0
    assert calls == []
    kept = tmp_path / "x" / bench.table
    assert (kept / "lstm-1/result.json").exists()


@pytest.mark.parametrize("growing", ["epochs", "seed", None])
def test_a_finished_run_of_fewer_epochs_goes_on(
    tmp_path, trainings, run, bench, growing
):
    """If it is of a kind that can."""
    calls, _ = trainings
    (epochs,) = bench.task.flags.growing
    short = bench.settings("lstm-1", f"--{epochs}", "3")
    folder = bench.finish(tmp_path / f"runs/{bench.table}-lstm-1", short)
    known = {"epochs": [epochs], "seed": ["seed"], None: None}
    edit(folder, growing=known[growing])
    goes_on = growing == "epochs"
    code = run(bench, "--only", "lstm-1")
    assert (code == 0, len(calls)) == (goes_on, goes_on)
    assert all("--resume" in flags for flags in calls)
    kept = tmp_path / "x" / bench.table / "lstm-1/result.json"
    assert kept.exists() == goes_on


def test_a_run_that_was_stopped_beyond_its_result_goes_on(
    tmp_path, trainings, run, bench
):
    calls, _ = trainings
    (epochs,) = bench.task.flags.growing
    args = bench.settings("lstm-1")
    folder = bench.finish(tmp_path / f"runs/{bench.table}-lstm-1", args)
    edit(folder, growing=[epochs])
    record = json.loads((folder / "result.json").read_text())
    record["settings"] = {epochs: getattr(args, epochs) - 1}
    (folder / "result.json").write_text(json.dumps(record))
    assert run(bench, "--only", "lstm-1") == 0
    assert len(calls) == 1 and "--resume" in calls[0]


def test_a_run_whose_rate_was_lowered_is_refused(
    tmp_path, trainings, run, bench, capsys
):
    """Though it ended with the rate of the table."""
    args = bench.settings("lstm-1")
    folder = bench.finish(tmp_path / "x" / bench.table / "lstm-1", args)
    rate = args.learning_rate
    edit(
        folder,
        rates=[{"learning_rate": rate, "before": 2.0, "epoch": 3, "steps": 9}],
    )
    assert run(bench, "--only", "lstm-1") == 1
    says = f"--learning_rate '2.0, {rate} from epoch 3', here {rate}"
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("place", ["runs/{}-{}", "x/{}/{}"])
def test_a_run_of_other_settings_is_refused(
    tmp_path, trainings, run, bench, capsys, place
):
    agent = f"{bench.agent}-1"
    for name in (agent, "lstm-1"):
        args = bench.settings(name)
        args.entropy_weight = 0.5
        bench.finish(tmp_path / place.format(bench.table, name), args)
    assert run(bench, "--only", agent) == 1
    error = capsys.readouterr().err
    assert error.startswith("reproduce.py: ")
    assert "made with other settings: --entropy_weight 0.5, here 0.0" in error
    assert error.count("\n") == 1
    # What a plain model does not read does not count; but a table that holds
    # a wrong run is not shown.
    is_kept = place.startswith("x")
    assert run(bench, "--only", "lstm-1") == int(is_kept)
    out, again = capsys.readouterr()
    assert again.splitlines()[-1:] == error.splitlines() * is_kept
    assert ("| lstm " in out) != is_kept


def test_shards_are_parts_of_the_table(trainings, run, bench):
    calls, _ = trainings
    found = []
    for part in ("1/2", "2/2"):
        calls.clear()
        assert run(bench, "--shard", part) == 0
        found.append(names(calls))
    every = bench.named(bench.runs)
    assert found == [every[::2], every[1::2]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "one of the arguments --budget table is required"),
        ("tiny", "argument table: must be among "),
        ("{table} --budget hours", "not allowed with argument"),
        ("--budget days", "argument --budget: must be among "),
        ("{table} --only lstm gru", "--only: must be among lstm, "),
        ("{table} --only lstm gru", "Received: 'gru'"),
        ("{table} --only lstm-9", "Received: 'lstm-9'"),
        ("{table} --only lstm-1 --seeds 2", "lstm-2, "),
        ("{table} --seeds x", "--seeds: must be an integer"),
        ("{table} --processes 0", "Received: '0'"),
        ("{table} --processes x", "must be `cores` or an integer at least 1"),
        ("{table} --shard 3/2", "must be I/N with I from 1 to N. Received: "),
        ("{table} --shard 2", "Received: '2'"),
        ("{table} --shard 0/1", "Received: '0/1'"),
        ("{table} --shard -1/1", "expected one argument"),
        ("{table} --train_dir=", "--train_dir: must be a name. Received: ''"),
    ],
)
def test_wrong_words_are_usage_errors(bench, capsys, arguments, message):
    words = arguments.format(table=bench.table).split()
    with pytest.raises(SystemExit) as stop:
        reproduce.parse_args([bench.task.name, *words])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("reproduce.py: error: ")
    assert message in error and error.count("\n") == 1


def test_a_task_may_have_no_budgets(capsys):
    with pytest.raises(SystemExit):
        reproduce.parse_args(["number_prediction", "--budget", "hours"])
    assert "among those of the task, none. Received: 'hours'" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("words", ["", "chess small", "--budget hours"])
def test_a_task_that_there_is_not_is_a_usage_error(words, capsys):
    with pytest.raises(SystemExit) as stop:
        reproduce.parse_args(words.split())
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert "task" in error and error.count("\n") == 1


def test_as_many_processes_as_cores(monkeypatch, bench):
    monkeypatch.setattr(provenance, "cores", lambda: 7)

    def processes(number):
        words = [bench.task.name, bench.table, "--processes", number]
        return reproduce.parse_args(words).processes

    assert (processes("cores"), processes("3")) == (7, 3)


def test_runs_are_kept_beside_the_task(bench):
    args = reproduce.parse_args([bench.task.name, bench.table])
    assert args.results == str(ROOT / "results" / bench.task.name)
    assert args.tables == [bench.table]


CHILD = """
import pathlib, signal, sys, time
asked = []
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: asked.append(1))
pathlib.Path("ready").touch()
while not asked:
    time.sleep(0.01)
time.sleep(0.5)
pathlib.Path("saved").touch()
sys.exit(130)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_table_waits_for_its_training(tmp_path, number):
    """The training takes its time to save; no other one is started."""
    child = tmp_path / "child.py"
    child.write_text(CHILD)
    parent = (
        "import dataclasses, sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from dsl.experiment import reproduction\n"
        "from number_prediction.task import TASK\n"
        f"task = dataclasses.replace(TASK, program={str(child)!r})\n"
        "reproduction.find = lambda name: task\n"
        "places = ['--train_dir', 'runs', '--results', 'x']\n"
        "words = [TASK.name, 'T51', *places]\n"
        "args = reproduction.parse_args(words)\n"
        "sys.exit(reproduction.main(args))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent], cwd=tmp_path
    ) as process:
        while not (tmp_path / "ready").exists():
            assert process.poll() is None
            time.sleep(0.01)
        (tmp_path / "ready").unlink()
        os.kill(process.pid, number)
        assert process.wait() == 130
    assert (tmp_path / "saved").exists()
    assert not (tmp_path / "ready").exists()


# Budgets, which language modeling alone has.


def test_of_a_budget_each_table_is_printed(trainings, run, capsys):
    assert run(WORDS, "--budget", "paper", "--only", "lstm-1") == 0
    out = capsys.readouterr().out
    titles = re.findall(r"^\w+$", out, re.MULTILINE)
    assert titles == list(LANGUAGE.budgets["paper"])
    assert out.count("\n| lstm ") == 2 and out.count("| not run |") == 8


def test_a_budget_is_several_tables(trainings, run):
    """A run that stands in two of them is run once."""
    calls, _ = trainings
    only = ["--only", "lstm-1", "reinforce-1", "k2-1", "lambda0.2-1"]
    assert run(WORDS, *only, "--budget", "hours") == 0
    assert sorted(names(calls)) == [
        "char_4_epochs-lstm-1",
        "char_4_epochs-reinforce-1",
        "generated-lstm-1",
        "generated-reinforce-1",
        "medium_start-lstm-1",
        "medium_start-reinforce-1",
        "small-lstm-1",
        "small-reinforce-1",
        "small_4_epochs-lstm-1",
        "small_4_epochs-reinforce-1",
        "sweep_k-k2-1",
        "sweep_lambda-lambda0.2-1",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--budget paper --only lstm-2", "Received: 'lstm-2'"),
        ("--budget hours --figures f", "draws one table. Received: --budget"),
    ],
)
def test_what_a_budget_or_a_table_has_not(capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        reproduce.parse_args(["language_modeling", *arguments.split()])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


# Runs that need what others have learned, of language modeling.


def test_the_control_has_the_distances_that_were_learned(trainings, run):
    calls, _ = trainings
    assert run(WORDS) == 0
    assert "--look_back_shares 0.625,0.375" in " ".join(calls[3])


def test_seeds_of_every_model_pool(tmp_path, trainings, run):
    bench = dataclasses.replace(WORDS, table="small_4_epochs")
    assert run(bench) == 0
    kept = sorted((tmp_path / "x/small_4_epochs").iterdir())
    groups = reading.pooled(reading.load(kept))
    plans = LANGUAGE.tables["small_4_epochs"].plans
    seeds = [len(one.seeds) for one in plans.values()]
    assert sorted(group["seeds"] for group in groups) == sorted(seeds)
    assert set(seeds) == {1, 3}
    random = results.load_config(kept[0].with_name("random-2"))["settings"]
    # Means over the seeds 1, 2 and 3.
    assert random["look_back_shares"] == [0.75, 0.25]


def test_a_control_without_its_learned_run_is_one_line(trainings, run, capsys):
    assert run(WORDS, "--only", "random-1") == 1
    error = capsys.readouterr().err
    assert error.startswith("reproduce.py: ")
    assert "reinforce-1/result.json: no such file" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("histogram", "message"),
    [
        ([1.0], "reinforce-2: its look_back_histogram must be of as many"),
        ([0.5, "0.5"], "reinforce-2: must hold the look_back_histogram"),
        ([1.5, -0.5], "numbers of at least 0. Received: [1.5, -0.5]"),
        ([], "Received: []"),
        ("11", "Received: '11'"),
        (None, "Received: None"),
    ],
)
def test_a_control_needs_shares_of_all_distances(
    tmp_path, trainings, run, capsys, histogram, message
):
    calls, _ = trainings
    bench = dataclasses.replace(WORDS, table="small_4_epochs")
    for name in ("reinforce-1", "reinforce-2", "reinforce-3"):
        changes = {}
        if name == "reinforce-2":
            epochs = [{"epoch": 2, "look_back_histogram": histogram}]
            changes["epochs"] = epochs
        kept = tmp_path / "x/small_4_epochs" / name
        finish_words(kept, bench.settings(name), **changes)
    assert run(bench, "--only", "random-1") == 1
    assert calls == []
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_controls_wait_for_what_was_learned(trainings, run):
    """Also where several run at once, and whatever comes first."""
    calls, _ = trainings
    only = ["--only", "random-1", "reinforce-1", "lstm-1"]
    assert run(WORDS, *only, "--processes", "3") == 0
    assert names(calls) == [
        "small-lstm-1",
        "small-reinforce-1",
        "small-random-1",
    ]


@pytest.mark.parametrize("processes", ["1", "3"])
def test_a_control_of_what_another_shard_learns_comes_last(
    trainings, run, capsys, processes
):
    """One missing run is in the way of its controls alone."""
    calls, _ = trainings
    bench = dataclasses.replace(WORDS, table="small_4_epochs")
    every = [run.name for run in LANGUAGE.tables["small_4_epochs"].runs()]
    shards = [every[n::3] for n in range(3)]
    # Each learns one agent, and has one control of them all.
    for shard, agent, control in zip(
        shards, ("3", "1", "2"), ("1", "2", "3"), strict=True
    ):
        assert {f"reinforce-{agent}", f"random-{control}"} <= {*shard}

    def call(number):
        calls.clear()
        words = ["--processes", processes, "--shard", f"{number}/3"]
        return run(bench, *words)

    for number, missing in ((1, "reinforce-1"), (2, "reinforce-2")):
        assert call(number) == 1
        error = capsys.readouterr().err
        assert f"{missing}/result.json: no such file" in error
        others = [x for x in shards[number - 1] if "random" not in x]
        assert sorted(names(calls)) == sorted(bench.named(others))
    assert call(3) == 0
    assert names(calls)[-1] == "small_4_epochs-random-3"
    for number in (1, 2):
        assert call(number) == 0
        assert names(calls) == [f"small_4_epochs-random-{number}"]


# The examples of number prediction.


def test_all_rows_of_a_seed_read_the_same_examples(tmp_path, trainings, run):
    """And no other seed does."""
    calls, _ = trainings
    assert run(DIGITS) == 0
    for flags in calls:
        args = NUMBERS.parse(flags)
        assert args.data_dir == f"{tmp_path}/d/T51/seed-{args.seed}"
        assert args.data_seed == args.seed
    copies = tmp_path / "x" / "T51"
    text = "".join(path.read_text() for path in copies.glob("*/*"))
    assert "/some where" not in text
    assert results.load(copies / "lstm-2")["settings"]["data_seed"] == 2
    assert results.load(copies / "lstm-2")["command"] == (
        "python number_prediction/train_RL10_1.py --produce --seed 2"
    )


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--only", "dynamic-1"], T51[1::2]),
        (["--only", "lstm-3", "dynamic-1-2"], ["dynamic-1-2", "lstm-3"]),
        (["--seeds", "3", "1"], [*T51[4:], *T51[:2]]),
        (["--only", "lstm", "--seeds", "2"], ["lstm-2"]),
    ],
)
def test_rows_and_seeds_are_asked_for_together(
    trainings, run, arguments, wanted
):
    calls, _ = trainings
    assert run(DIGITS, *arguments) == 0
    assert names(calls) == [f"T51-{name}" for name in wanted]


@pytest.mark.parametrize("place", ["runs/T51-lstm-1", "x/T51/lstm-1"])
def test_examples_of_another_seed_are_another_run(
    tmp_path, trainings, run, capsys, place
):
    args = DIGITS.settings("lstm-1")
    args.data_seed = 7
    finish_digits(tmp_path / place, args)
    assert run(DIGITS, "--only", "lstm-1") == 1
    error = capsys.readouterr().err
    assert "made with other settings: --data_seed 7, here 1" in error


# Pictures.


def test_without_matplotlib_the_usage_error_says_how_to_get_it(
    monkeypatch, capsys
):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for words in (["number_prediction", "T51"], ["language_modeling"]):
        table = [] if len(words) == 2 else ["sweep_k"]
        with pytest.raises(SystemExit) as stop:
            reproduce.parse_args([*words, *table, "--figures", "f"])
        assert stop.value.code == 2
        assert capsys.readouterr().err == (
            "reproduce.py: error: --figures needs the package matplotlib: "
            ".venv/bin/pip install '.[plots]' (see --help)\n"
        )


def keep_digits(folder, row, seeds, **options):
    for seed in seeds:
        name = f"{row}-{seed}"
        settings = NUMBERS.of_run(DIGITS.settings(name))
        make_number_run(folder / name, settings, (0.5,), **options)


def test_pictures_of_what_is_kept(tmp_path, trainings, run, capsys):
    pytest.importorskip("matplotlib")
    calls, _ = trainings
    shares = [[0.02] * 50] * 50
    keep_digits(tmp_path / "x/T51", "lstm", (1, 2))
    assert run(DIGITS, "--figures", f"{tmp_path}/f") == 0
    # No agent has learned.
    assert [path.name for path in (tmp_path / "f").iterdir()] == [
        "accuracy.png"
    ]
    assert capsys.readouterr() == (
        f"Figure: {tmp_path}/f/accuracy.png\n",
        "not run: lstm-3, dynamic-1-1, dynamic-1-2, dynamic-1-3\n",
    )
    keep_digits(
        tmp_path / "x/T51",
        *("dynamic-1", (1,)),
        policy=shares,
        policy_by_step=[*shares, shares[0]],
    )
    assert run(DIGITS, "--figures", f"{tmp_path}/g") == 0
    assert (capsys.readouterr().out.count("Figure: "), calls) == (3, [])
    for name in ("accuracy.png", "policy.png", "policy_by_step.png"):
        picture = (tmp_path / "g" / name).read_bytes()
        assert picture.startswith(b"\x89PNG") and len(picture) > 10_000


@pytest.mark.parametrize("folder", ["f", "file"])
def test_pictures_that_cannot_be_drawn_are_one_line(
    tmp_path, run, capsys, folder
):
    pytest.importorskip("matplotlib")
    (tmp_path / "file").touch()
    if folder == "file":
        keep_digits(tmp_path / "x/T51", "lstm", (1,))
    assert run(DIGITS, "--figures", f"{tmp_path}/{folder}") == 1
    *notes, error = capsys.readouterr().err.splitlines()
    assert error.startswith("reproduce.py: ")
    assert all(note.startswith("not run: ") for note in notes)
    reason = {"f": "no run of T51 is kept", "file": "/file: File exists"}
    assert reason[folder] in error


def test_the_program_of_old_names_is_this_one():
    """They are what earlier pages say."""
    for name in BENCHES:
        script = ROOT / f"scripts/reproduce_{name}"
        done = subprocess.run(
            ["bash", "-n", str(script)], capture_output=True, check=True
        )
        assert done.stderr == b""
        text = script.read_text()
        assert f'/reproduce" {name} "$@"' in text and os.access(script, os.X_OK)
    assert reproduce.parse_args is reproduction.parse_args
