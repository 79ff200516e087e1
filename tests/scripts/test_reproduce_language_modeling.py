"""A table of runs: each once, in order, from wherever it stopped."""

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import run_folders
from run_folders import cells, make_run, make_text

from dsl.datasets import generated
from dsl.runs import provenance, results

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import reproduce_language_modeling as reproduce

from dsl.experiment import jobs
from dsl.experiment.comparing import reading
from language_modeling import kept, plan, report, settings

pytestmark = pytest.mark.backend

SMALL = ["lstm-1", "reinforce-1", "straight_through-1", "random-1"]


@pytest.fixture
def trainings(tmp_path, monkeypatch):
    """Calls of RL_train.py, which leave a finished run or an exit code."""
    calls, codes = [], {}

    def call(command):
        flags = command[2:]
        calls.append(flags)
        assert command[:2] == [sys.executable, str(reproduce.SCRIPT)]
        args = settings.parse_args(flags)
        run = Path(args.train_dir) / args.name
        if code := codes.get(args.name, 0):
            run.mkdir(parents=True)
            return code
        if run.exists():
            assert args.resume
            shutil.rmtree(run)
        finish(run, args)
        return 0

    def launch(command, cores, log):
        return run_folders.Ended(call(command))

    monkeypatch.setattr(jobs, "launch", launch)
    return calls, codes


def finish(run, args, **changes):
    """A finished run of these settings, best after its second epoch."""
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
    kept = settings.of_run(args)
    record |= changes
    return make_run(run, scores=(nll, sentence), record=record, **kept)


def run(tmp_path, *arguments):
    places = ["--train_dir", f"{tmp_path}/runs", "--results", f"{tmp_path}/x"]
    return reproduce.main(reproduce.parse_args([*arguments, *places]))


def names(calls):
    return [flags[flags.index("--name") + 1] for flags in calls]


def test_each_run_is_made_once_and_kept(tmp_path, trainings, capsys):
    calls, _ = trainings
    assert run(tmp_path, "small") == 0
    assert names(calls) == [f"small-{name}" for name in SMALL]
    assert not any("--resume" in flags for flags in calls)
    kept = tmp_path / "x" / "small"
    assert sorted(path.name for path in kept.iterdir()) == sorted(SMALL)
    assert results.load(kept / "lstm-1")["valid"]["perplexity"] == 9.0
    # The control has the distances that were learned.
    assert "--look_back_shares 0.625,0.375" in " ".join(calls[3])
    calls.clear()
    assert run(tmp_path, "small") == 0
    assert calls == []
    assert "lstm-1: kept in " in capsys.readouterr().out


def test_only_what_is_asked_for_is_run(tmp_path, trainings):
    calls, _ = trainings
    assert run(tmp_path, "small", "--only", "straight_through-1") == 0
    assert names(calls) == ["small-straight_through-1"]


def test_what_is_kept_is_printed_at_the_end(tmp_path, trainings, capsys):
    assert run(tmp_path, "small", "--only", "lstm-1", "reinforce-1") == 0
    out, err = capsys.readouterr()
    assert err == "" and out.startswith("\nsmall\n\n| row ")
    folder = tmp_path / "x/small"
    text = report.table(kept.load(folder, "small"))
    assert out == f"\nsmall\n\n{text}\n"
    assert [row[0] for row in cells(text)[1:5]] == [name[:-2] for name in SMALL]
    assert text.count("| not run |") == 2


def test_of_a_budget_each_table_is_printed(tmp_path, trainings, capsys):
    assert run(tmp_path, "--budget", "paper", "--only", "lstm-1") == 0
    out = capsys.readouterr().out
    titles = re.findall(r"^\w+$", out, re.MULTILINE)
    assert titles == list(plan.BUDGETS["paper"])
    assert out.count("\n| lstm ") == 2 and out.count("| not run |") == 8


def test_generated_sentences_are_held_to_their_grammar(tmp_path, monkeypatch):
    # Distances of the words read, and of the next ones from there.
    arcs = np.array([0, 2, 3, 3, 1, 2, 4])
    monkeypatch.setattr(generated, "SHA256", {"test": "0" * 64})
    monkeypatch.setattr(
        generated, "load_with_arcs", lambda: (None, {"test": arcs})
    )
    looks = {
        "lstm": [0, 0, 0, 0, 0, 0],
        "fixed_skip_3": [0, 0, 0, 0, 0, 0],
        # Scored in part, so that its words are not those of the grammar.
        "fixed_skip_5": [0, 0, 0, 0, 0],
        "reinforce": [1, 2, 2, 3, 1, 3],
        "straight_through": [1, 1, 1, 1, 1, 1],
    }
    for name, flags in plan.runs("generated"):
        row, _, seed = name.rpartition("-")
        if row not in looks:
            continue
        args = settings.parse_args(flags)
        nll = np.full(len(looks[row]), np.log(20.0))
        folder = finish(
            tmp_path / "generated" / name,
            args,
            corpus="generated",
            test={"perplexity": 20.0 * int(seed)},
            true_perplexity={"test": 16.0},
        )
        changes = {"look_back": np.array(looks[row], "int32")}
        sentence = np.zeros(len(nll), "int32")
        run_folders.write_scores(folder, nll, sentence, changes)
    rows = kept.load(tmp_path / "generated", "generated")
    header, *found = cells(report.table(rows))
    found = {row[0]: dict(zip(header, row, strict=False)) for row in found}
    assert not any("published" in name for name in header)
    # Over one sentence.
    assert not any("interval" in name for name in header)
    read = "connections that hit what the word read hangs on, % (by chance)"
    ahead = "connections that hit what the next word hangs on, % (by chance)"
    assert [found[name]["true test"] for name in looks] == ["16.00"] * 5
    assert found["attention"]["true test"] == "-"
    excess = (np.log(20 / 16) + np.log(40 / 16)) / 2
    assert (
        found["lstm"]["nats a word above the true"]
        == found["reinforce"]["nats a word above the true"]
        == f"{excess:.3f}"
    )
    # The word read hangs on 0 2 3 3 1 2, the next one on 1 2 2 0 1 3.
    assert {
        name: (found[name][read], found[name][ahead]) for name in looks
    } == {
        "lstm": ("-", "-"),
        # All six, of which two and one hit.
        "fixed_skip_3": ("33.3 (33.3)", "16.7 (16.7)"),
        "fixed_skip_5": ("-", "-"),
        # Of four, at 2 2 3 3, two hit, and three; in the mean 8/6 and 6/6.
        "reinforce": ("50.0 (33.3)", "75.0 (25.0)"),
        "straight_through": ("-", "-"),
    }


def test_other_seeds_are_those_of_the_table(tmp_path, trainings, capsys):
    only = ["--only", "lstm-4"]
    assert run(tmp_path, "small", "--seeds", "4", "5", *only) == 0
    lstm, *_ = cells(capsys.readouterr().out)[2:]
    assert lstm[0] == "lstm" and "1/2" in lstm


def test_ctrl_c_while_a_table_is_read_is_one_line(
    tmp_path, trainings, capsys, monkeypatch
):
    def load(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(kept, "load", load)
    assert run(tmp_path, "small", "--only", "lstm-1") == 130
    error = capsys.readouterr().err
    assert error == "reproduce_language_modeling.py: interrupted.\n"
    # What had happened before counts.
    trainings[1]["small-reinforce-1"] = 3
    assert run(tmp_path, "small", "--only", "reinforce-1") == 3
    assert capsys.readouterr().err == ""


def test_a_stopped_run_ends_the_table_and_goes_on_later(
    tmp_path, trainings, capsys
):
    calls, codes = trainings
    codes["small-reinforce-1"] = 130
    assert run(tmp_path, "small") == 130
    assert capsys.readouterr().out.count("| not run |") == 3
    assert names(calls) == ["small-lstm-1", "small-reinforce-1"]
    codes.clear()
    calls.clear()
    assert run(tmp_path, "small") == 0
    assert names(calls) == [f"small-{name}" for name in SMALL[1:]]
    assert ["--resume" in flags for flags in calls] == [True, False, False]


def test_a_finished_run_is_kept_without_another_training(tmp_path, trainings):
    calls, _ = trainings
    _, flags = plan.runs("small")[0]
    finish(tmp_path / "runs/small-lstm-1", settings.parse_args(flags))
    assert run(tmp_path, "small", "--only", "lstm-1") == 0
    assert calls == []
    assert (tmp_path / "x/small/lstm-1/result.json").exists()


@pytest.mark.parametrize("growing", [["max_epochs"], ["seed"], None])
def test_a_finished_run_of_fewer_epochs_goes_on(tmp_path, trainings, growing):
    """If it is of a kind that can."""
    calls, _ = trainings
    _, flags = plan.runs("small")[0]
    short = settings.parse_args([*flags, "--max_epochs", "3"])
    folder = finish(tmp_path / "runs/small-lstm-1", short)
    config = json.loads((folder / "config.json").read_text())
    config["growing"] = growing
    (folder / "config.json").write_text(json.dumps(config))
    goes_on = growing == ["max_epochs"]
    code = run(tmp_path, "small", "--only", "lstm-1")
    assert (code == 0, len(calls)) == (goes_on, goes_on)
    assert all("--resume" in flags for flags in calls)
    assert (tmp_path / "x/small/lstm-1/result.json").exists() == goes_on


def test_a_run_that_was_stopped_beyond_its_result_goes_on(tmp_path, trainings):
    calls, _ = trainings
    _, flags = plan.runs("small")[0]
    args = settings.parse_args(flags)
    record = {"settings": {"max_epochs": args.max_epochs - 1}}
    folder = finish(tmp_path / "runs/small-lstm-1", args, **record)
    config = json.loads((folder / "config.json").read_text())
    config["growing"] = ["max_epochs"]
    (folder / "config.json").write_text(json.dumps(config))
    assert run(tmp_path, "small", "--only", "lstm-1") == 0
    assert len(calls) == 1 and "--resume" in calls[0]


def test_a_run_whose_rate_was_lowered_is_refused(tmp_path, trainings, capsys):
    """Though it ended with the rate of the table."""
    args = settings.parse_args(dict(plan.runs("small"))["lstm-1"])
    folder = finish(tmp_path / "x/small/lstm-1", args)
    config = json.loads((folder / "config.json").read_text())
    change = {"learning_rate": 1.0, "before": 2.0, "epoch": 3, "steps": 9}
    config["rates"] = [change]
    (folder / "config.json").write_text(json.dumps(config))
    assert run(tmp_path, "small", "--only", "lstm-1") == 1
    says = "--learning_rate '2.0, 1.0 from epoch 3', here 1.0"
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("place", ["runs/small-{}", "x/small/{}"])
def test_a_run_of_other_settings_is_refused(tmp_path, trainings, capsys, place):
    flags = dict(plan.runs("small"))
    for name in ("reinforce-1", "lstm-1"):
        args = settings.parse_args(flags[name])
        args.entropy_weight = 0.5
        finish(tmp_path / place.format(name), args)
    assert run(tmp_path, "small", "--only", "reinforce-1") == 1
    error = capsys.readouterr().err
    assert "made with other settings: --entropy_weight 0.5, here 0.0" in error
    assert error.count("\n") == 1
    # What a plain model does not read does not count; but a table that holds
    # a wrong run is not shown.
    is_kept = place.startswith("x")
    assert run(tmp_path, "small", "--only", "lstm-1") == int(is_kept)
    out, again = capsys.readouterr()
    assert again == (error if is_kept else "")
    assert ("| lstm " in out) != is_kept


def test_seeds_of_every_model_pool(tmp_path, trainings):
    assert run(tmp_path, "small_4_epochs") == 0
    kept = sorted((tmp_path / "x/small_4_epochs").iterdir())
    groups = reading.pooled(reading.load(kept))
    seeds = [len(usual) for usual in plan.TABLES["small_4_epochs"][1].values()]
    assert sorted(group["seeds"] for group in groups) == sorted(seeds)
    assert set(seeds) == {1, 3}
    random = results.load_config(kept[0].with_name("random-2"))["settings"]
    # Means over the seeds 1, 2 and 3.
    assert random["look_back_shares"] == [0.75, 0.25]


def test_a_control_without_its_learned_run_is_one_line(
    tmp_path, trainings, capsys
):
    assert run(tmp_path, "small", "--only", "random-1") == 1
    error = capsys.readouterr().err
    assert error.startswith("reproduce_language_modeling.py: ")
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
    tmp_path, trainings, capsys, histogram, message
):
    calls, _ = trainings
    for name, flags in plan.runs("small_4_epochs"):
        if not name.startswith("reinforce"):
            continue
        changes = {}
        if name == "reinforce-2":
            epochs = [{"epoch": 2, "look_back_histogram": histogram}]
            changes["epochs"] = epochs
        kept = tmp_path / "x/small_4_epochs" / name
        finish(kept, settings.parse_args(flags), **changes)
    assert run(tmp_path, "small_4_epochs", "--only", "random-1") == 1
    assert calls == []
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


@pytest.mark.parametrize("table", list(plan.TABLES))
def test_the_runs_of_a_table_differ_in_seed_and_model_alone(table):
    runs = plan.runs(table)
    assert len({name for name, _ in runs}) == len(runs)
    same = set()
    for name, flags in runs:
        flags = [flag.replace("{shares}", "1") for flag in flags]
        args = settings.parse_args(flags)
        assert name.endswith(f"-{args.seed}")
        same.add((args.preset, args.max_epochs, args.constant_epochs))
    assert len(same) == 1


def test_controls_wait_for_what_was_learned(tmp_path, trainings):
    """Also where several run at once, and whatever comes first."""
    calls, _ = trainings
    only = ["--only", "random-1", "reinforce-1", "lstm-1"]
    assert run(tmp_path, "small", *only, "--processes", "3") == 0
    assert names(calls) == [
        "small-lstm-1",
        "small-reinforce-1",
        "small-random-1",
    ]


def test_as_many_processes_as_cores(monkeypatch):
    monkeypatch.setattr(provenance, "cores", lambda: 7)
    parse_args = reproduce.parse_args
    assert parse_args(["small", "--processes", "cores"]).processes == 7
    assert parse_args(["small", "--processes", "3"]).processes == 3


def test_shards_are_parts_of_the_table(tmp_path, trainings):
    calls, _ = trainings
    found = []
    for part in ("1/2", "2/2"):
        calls.clear()
        assert run(tmp_path, "small", "--shard", part) == 0
        found.append([name.removeprefix("small-") for name in names(calls)])
    assert found == [SMALL[::2], SMALL[1::2]]


@pytest.mark.parametrize("processes", ["1", "3"])
def test_a_control_of_what_another_shard_learns_comes_last(
    tmp_path, trainings, capsys, processes
):
    """One missing run is in the way of its controls alone."""
    calls, _ = trainings
    shards = [
        ["small_4_epochs", "--processes", processes, "--shard", f"{n}/2"]
        for n in (1, 2)
    ]
    missing = "reinforce-2/result.json: no such file"
    assert run(tmp_path, *shards[0]) == 1
    assert missing in capsys.readouterr().err
    rows = len(plan.runs("small_4_epochs"))
    controls = ["small_4_epochs-random-1", "small_4_epochs-random-3"]
    assert len(calls) == rows - rows // 2 - 2
    assert not {*controls} & {*names(calls)}
    assert run(tmp_path, *shards[1]) == 0
    calls.clear()
    assert run(tmp_path, *shards[0]) == 0
    assert names(calls) == controls


def test_a_budget_is_several_tables(tmp_path, trainings):
    """A run that stands in two of them is run once."""
    calls, _ = trainings
    only = ["--only", "lstm-1", "reinforce-1", "k2-1", "lambda0.2-1"]
    assert run(tmp_path, *only, "--budget", "hours") == 0
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


def test_every_table_has_its_budget():
    tables = [table for some in plan.BUDGETS.values() for table in some]
    assert sorted(tables) == sorted(plan.TABLES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "one of the arguments --budget table is required"),
        ("small --budget hours", "not allowed with argument"),
        ("--budget days", "invalid choice: 'days'"),
        ("--budget paper --only lstm-2", "Received: 'lstm-2'"),
        ("--budget hours --figures f", "Received: --budget hours"),
    ],
)
def test_a_table_or_a_budget_is_needed(capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        reproduce.parse_args(arguments.split())
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--only lstm-9", "Received: 'lstm-9'"),
        ("--processes 0", "Received: '0'"),
        ("--shard 3/2", "must be I/N with I from 1 to N. Received: '3/2'"),
        ("--shard 2", "Received: '2'"),
        ("--shard 0/1", "Received: '0/1'"),
        ("--shard -1/1", "expected one argument"),
    ],
)
def test_wrong_flags_are_usage_errors(capsys, flags, message):
    with pytest.raises(SystemExit) as stop:
        reproduce.parse_args(["small", *flags.split()])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
