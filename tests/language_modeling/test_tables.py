"""Tables of language models: every row of the plan, from what is kept."""

import dataclasses
import functools
import importlib.util
import json
import shutil

import numpy as np
import pytest
from run_folders import cells, make_run, write_scores

from dsl.experiment import plan, reproduction
from dsl.experiment.comparing import reading
from dsl.runs import results
from language_modeling import tables
from language_modeling.task import TASK
from scripts import reproduce

pytestmark = pytest.mark.backend

# The systems of the interval by hand in tests/test_compare.py: the first
# sentence has one token, the second three.
LSTM, SKIP = (2.0, 3.0, 3.0, 3.0), (5.0, 4.0, 4.0, 4.0)
SENTENCE = (4, 7, 7, 7)


def keep(folder, table, name, tokens, *flags, factor=1.0, record=(), **test):
    """A run that is kept, every token of which costs a factor more."""
    (run,) = TASK.tables[table].runs((1, 2, 3), [name])
    known = ["1" if flag == plan.SOURCE else flag for flag in run.flags]
    args = TASK.parse([*known, *flags])
    perplexity = factor * np.exp(np.log(tokens).mean())
    changes = {
        "model": args.model,
        "settings": {"seed": args.seed},
        "command": f"RL_train.py --name {name}",
        "seconds": 60.0,
        "cores": 2,
        "epochs": [{"epoch": 1, "valid_perplexity": 8.0 * factor}],
        "valid": {"perplexity": 8.0 * factor, "epoch": 1},
        "test": {"perplexity": perplexity, **test},
        "recipe_epochs": 13,
        **dict(record),
    }
    return make_run(
        plan.home(TASK, folder / table, table, run.row) / name,
        scores=(np.log(tokens) + np.log(factor), SENTENCE),
        record=changes,
        **TASK.of_run(args),
    )


def sampled(mean, deviation=0.5, **more):
    return {
        "perplexity_sampled_mean": mean,
        "perplexity_sampled_std": deviation,
        **more,
    }


def render(rows, brief=False, **options):
    """A table by fewer draws, or another level."""
    task = dataclasses.replace(
        TASK, columns=functools.partial(tables.columns, **options)
    )
    return plan.render(task, rows, brief)


def shown(folder, table, samples=500, **options):
    """The cells of a table by row and heading, and its commands."""
    rows = plan.load(TASK, folder / table, table, **options)
    text, *below = render(rows, samples=samples).split("\n\n")
    header, *body = cells(text)
    found = {line[0]: dict(zip(header, line, strict=True)) for line in body}
    commands = [part for part in below if not part.startswith("Published: ")]
    return found, "\n".join(commands).splitlines()


@pytest.fixture
def seeds(tmp_path):
    """Two of three seeds of two rows; a factor of 2 more or less each."""
    for seed, factor in ((1, 2.0), (2, 0.5)):
        options = {"factor": factor, "record": {"seconds": 180.0 * seed}}
        keep(tmp_path, "small_4_epochs", f"lstm-{seed}", LSTM, **options)
        test = sampled(10.0 + seed, 3.0 + seed, perplexity_previous=7.0 * seed)
        name = f"reinforce-{seed}"
        keep(tmp_path, "small_4_epochs", name, SKIP, **options, **test)
    return tmp_path


def test_the_seeds_of_a_row_together(seeds):
    found, commands = shown(seeds, "small_4_epochs")
    a, b = (np.exp(np.log(tokens).mean()) for tokens in (LSTM, SKIP))
    # Two seeds: their distance over the root of 2.
    spread = 1.5 / 2**0.5
    assert found["lstm"] == {
        "row": "lstm",
        "model": "lstm",
        "dev": f"10.00 ± {8 * spread:.2f}",
        "test": f"{1.25 * a:.2f} ± {spread * a:.2f}",
        "test, sampled actions ± sd over draws": "-",
        "difference to lstm": "-",
        "95 % interval over sentences": "-",
        "excludes 0": "-",
        "always the previous state": "-",
        "seeds": "2/3",
        "epochs run/recipe": "1/13",
        "wall time a run (cores)": "4 min (2)",
    }
    difference = f"{b - a:+.2f} ± {1.5 * (b - a) / 2**0.5:.2f}"
    assert found["reinforce"] == {
        **found["lstm"],
        "row": "reinforce",
        "model": "dynamic_skip (K=5, λ=1.0, reinforce, 2 rollouts)",
        "test": f"{1.25 * b:.2f} ± {spread * b:.2f}",
        # The root of the mean of 16 and 25.
        "test, sampled actions ± sd over draws": "11.50 ± 4.53",
        # Twice and half of what lies between the two.
        "difference to lstm": difference,
        "95 % interval over sentences": "[+1.00, +3.00]",
        "excludes 0": "yes",
        "always the previous state": "10.50",
    }
    assert commands == [
        "    RL_train.py --name lstm-1",
        "    RL_train.py --name reinforce-1",
    ]


def test_a_row_is_held_to_the_runs_of_its_seeds(seeds):
    keep(seeds, "small_4_epochs", "straight_through-2", SKIP)
    found, _ = shown(seeds, "small_4_epochs")
    a, b = (np.exp(np.log(tokens).mean()) for tokens in (LSTM, SKIP))
    one = found["straight_through"]
    assert one["difference to lstm"] == f"{b - a / 2:+.2f}"
    # Of the sentences, (5 to 1), and (4 to 1.5) three times.
    assert one["95 % interval over sentences"] == "[+2.50, +4.00]"
    shutil.rmtree(seeds / "small_4_epochs/lstm-2")
    found, _ = shown(seeds, "small_4_epochs")
    assert found["straight_through"]["difference to lstm"] == "-"


def test_bits_of_a_text_of_characters(tmp_path):
    record = {"data": {"of_characters": True}}
    options = {"record": record, "bits_per_character": 1.25}
    keep(tmp_path, "small", "lstm-1", LSTM, **options)
    found, _ = shown(tmp_path, "small")
    assert found["lstm"]["bits per character"] == "1.250"
    options["record"] = {"data": {"of_characters": False}}
    keep(tmp_path, "medium", "lstm-1", LSTM, **options)
    assert "bits per character" not in shown(tmp_path, "medium")[0]["lstm"]


def test_the_level_is_that_of_the_interval(seeds):
    rows = plan.load(TASK, seeds / "small_4_epochs", "small_4_epochs")
    text = render(rows, samples=500, level=0.3)
    # Half of the draws hold both sentences, and only those count here.
    a, b = (np.exp(np.log(tokens).mean()) for tokens in (LSTM, SKIP))
    assert "| 30 % interval over sentences |" in text
    assert f"[{b - a:+.2f}, {b - a:+.2f}]" in text


def test_an_interval_may_hold_0(tmp_path):
    keep(tmp_path, "small", "lstm-1", LSTM)
    keep(tmp_path, "small", "straight_through-1", (1.0, 4.0, 4.0, 4.0))
    row = shown(tmp_path, "small")[0]["straight_through"]
    interval = row["95 % interval over sentences"]
    assert (interval, row["excludes 0"]) == ("[-1.00, +1.00]", "no")


def test_every_row_of_the_plan_is_shown(tmp_path):
    keep(tmp_path, "small", "reinforce-1", SKIP, **sampled(11.0))
    found, commands = shown(tmp_path, "small")
    assert list(found) == ["lstm", "reinforce", "straight_through", "random"]
    tests = [row["test"] for row in found.values()]
    assert tests == ["not run", "4.23", "not run", "not run"]
    assert [row["seeds"] for row in found.values()] == [
        *("0/1", "1/1", "0/1", "0/1")
    ]
    lstm = found["lstm"]
    assert lstm["published test"] == "114.5"
    assert "random distances, shares as learned" in found["random"]["model"]
    # Without the first row there is nothing to set the others beside.
    assert not any("difference" in heading for heading in lstm)
    assert commands == ["    RL_train.py --name reinforce-1"]


def test_the_sources_of_published_figures_are_named_once(tmp_path):
    rows = plan.load(TASK, tmp_path, "quick")
    _, *below = plan.render(TASK, rows).split("\n\n")
    assert [part.partition(":")[0] for part in below] == 2 * ["Published"]
    assert "Zaremba" in below[0] and below[0].endswith("within the first.")
    assert "Gui et al. 2019, PTB table: 2 x 650 units" in below[1]


@pytest.mark.parametrize("table", list(TASK.tables))
def test_a_table_of_nothing_is_not_run(tmp_path, table):
    found, commands = shown(tmp_path / "none", table)
    assert list(found) == list(TASK.tables[table].plans)
    assert {row["test"] for row in found.values()} == {"not run"}
    assert len({row["model"] for row in found.values()}) == len(found)
    assert commands == []
    usual = {"row", "model", "test", "seeds"}
    if table in ("quick", "small", "medium", "char_large"):
        usual.add("published test")
    # Zaremba et al. have one for their small model, too, which is not known
    # here; quick is also held to the paper's dynamic skip.
    if table in ("quick", "medium", "char_large"):
        usual.add("published dev")
    assert set(found["lstm"]) == usual


def test_published_figures_are_those_of_the_text_that_was_read(tmp_path):
    keep(tmp_path, "small", "lstm-1", LSTM, record={"corpus": "generated"})
    assert "published test" not in shown(tmp_path, "small")[0]["lstm"]


def test_the_control_has_what_was_learned(tmp_path):
    epochs = [{"epoch": 1, "look_back_histogram": [0.75, 0.25]}]
    learned = keep(
        tmp_path, "small", "reinforce-1", SKIP, record={"epochs": epochs}
    )
    shares = ["--look_back_shares", "0.75,0.25"]
    run = keep(tmp_path, "small", "random-1", LSTM, *shares)
    row = shown(tmp_path, "small")[0]["random"]
    assert "random distances, shares 0.75 0.25" in row["model"]
    changed = results.load(learned)
    changed["epochs"][0]["look_back_histogram"] = [0.5, 0.5]
    results.save(changed, learned / "result.json")
    with pytest.raises(results.ResultError, match="--look_back_shares "):
        plan.load(TASK, run.parent, "small")
    (learned / "result.json").unlink()
    with pytest.raises(results.ResultError, match="reinforce-1.*no such file"):
        plan.load(TASK, run.parent, "small")


def test_rows_that_two_tables_share_are_read_from_the_first(tmp_path):
    keep(tmp_path, "small_4_epochs", "lstm-1", LSTM)
    keep(tmp_path, "sweep_k", "k3-1", SKIP)
    found, _ = shown(tmp_path, "sweep_k")
    run = [name for name, row in found.items() if row["test"] != "not run"]
    assert run == ["lstm", "k3"]
    assert found["k3"]["95 % interval over sentences"] == "[+1.00, +3.00]"


def test_other_seeds_and_some_of_the_runs(seeds):
    options = {"seeds": (2, 4), "only": ["reinforce-2", "lstm-4"]}
    folder, table = seeds / "small_4_epochs", "small_4_epochs"
    rows = plan.load(TASK, folder, table, **options)
    assert [row.names for row in rows] == [("lstm-4",), ("reinforce-2",)]
    assert [len(row.runs) for row in rows] == [0, 1]
    found, _ = shown(seeds, "small_4_epochs", seeds=(2, 4))
    assert found["lstm"]["seeds"] == "1/2"


def test_a_command_keeps_to_its_line(tmp_path):
    command = "RL_train.py --model 'a|b'\n<!-- end -->"
    keep(tmp_path, "small", "lstm-1", LSTM, record={"command": command})
    _, commands = shown(tmp_path, "small")
    assert commands == ["    RL_train.py --model 'a|b'\\n<!-- end -->"]


# What is wrong.


@pytest.mark.parametrize("value", ["low", [1], 10**400, float("nan")])
@pytest.mark.parametrize(
    "key",
    ["perplexity", "perplexity_previous", "perplexity_sampled_mean"],
)
def test_a_figure_that_is_no_number_is_one_line(seeds, key, value):
    path = seeds / "small_4_epochs/reinforce-2/result.json"
    record = json.loads(path.read_text())
    record["test"][key] = value
    path.write_text(json.dumps(record))
    with pytest.raises(results.ResultError) as error:
        shown(seeds, "small_4_epochs")
    assert "reinforce-2" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("part", ["valid", "test"])
def test_a_run_without_its_perplexity_is_one_line(tmp_path, part):
    keep(tmp_path, "small", "lstm-1", LSTM, record={part: {}})
    with pytest.raises(results.ResultError) as error:
        shown(tmp_path, "small")
    assert str(error.value) == (
        f"{tmp_path}/small/lstm-1: must hold the perplexity of valid and test."
    )


def test_a_run_without_scores_is_one_line(seeds):
    (seeds / "small_4_epochs/lstm-2/test_scores.npz").unlink()
    with pytest.raises(results.ResultError, match="-2: must hold test_scores"):
        shown(seeds, "small_4_epochs")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "lstm-2",
            "lstm-2 cannot be pooled: it was scored on 2 tokens, lstm-1",
        ),
        ("reinforce-1", "reinforce-2 cannot be pooled: "),
    ],
)
def test_runs_of_other_texts_are_one_line(seeds, name, message):
    run = seeds / "small_4_epochs" / name
    write_scores(run, np.ones(2), np.arange(2))
    with pytest.raises(results.ResultError, match=message):
        shown(seeds, "small_4_epochs")


def test_rows_of_other_texts_are_one_line(tmp_path):
    keep(tmp_path, "small", "lstm-1", LSTM)
    run = keep(tmp_path, "small", "reinforce-1", SKIP)
    write_scores(run, np.ones(2), np.arange(2))
    message = "^reinforce: it was scored on 2 tokens, lstm-1 on 4.$"
    with pytest.raises(results.ResultError, match=message):
        shown(tmp_path, "small")


def test_a_run_of_another_row_is_refused(tmp_path):
    run = keep(tmp_path, "small", "lstm-1", LSTM)
    run.rename(run.with_name("straight_through-1"))
    with pytest.raises(results.ResultError, match="other settings: --model"):
        shown(tmp_path, "small")


def test_the_seeds_of_a_row_are_those_that_pool(seeds):
    """What a page shows is what scripts/compare --pool_seeds would."""
    folder = seeds / "small_4_epochs"
    groups = reading.pooled(reading.load(sorted(folder.iterdir())))
    rows = plan.load(TASK, folder, "small_4_epochs")
    assert [[run["name"] for run in row.runs] for row in rows if row.runs] == [
        [run["name"] for run in group["runs"]] for group in groups
    ]


def test_the_short_form_of_a_table(seeds):
    rows = plan.load(TASK, seeds / "small_4_epochs", "small_4_epochs")
    text = render(rows[:1] + rows[4:5], brief=True, samples=500)
    caption, table = text.split("\n\n")
    assert caption == "All rows: seeds 2/3."
    assert cells(table)[0] == ["row", "test", "to lstm [95 % interval]"]


# The sweeps over K and lambda.


def parsed(table, row):
    """The settings of a row, of which the swept one is left out."""
    (run,) = TASK.tables[table].runs(only=[row])
    found = TASK.of_run(TASK.parse(run.flags))
    name = {"sweep_k": "n_actions", "sweep_lambda": "lamda"}[table]
    return found.pop(name), found


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("sweep_k", list(range(1, 11))),
        ("sweep_lambda", [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
    ],
)
def test_each_row_has_its_value_and_nothing_else_of_its_own(table, values):
    rows = tables.SWEEPS[table].points
    assert list(rows) == values
    assert parsed(table, rows[values[0]])[1]["model"] == "lstm"
    usual = parsed(table, "reinforce")[1]
    for value in values[1:]:
        assert parsed(table, rows[value]) == (value, usual)
    assert (usual["rollouts"], usual["max_epochs"]) == (2, 4)
    assert TASK.tables[table].flags == TASK.tables["small_4_epochs"].flags


def swept(folder, table, *flags):
    """The jobs of a sweep, by name."""
    where = ["--results", f"{folder}/x", "--train_dir", f"{folder}/runs"]
    args = reproduction.parse_args([TASK.name, table, *where, *flags])
    return {
        job.name: job
        for run in TASK.tables[table].runs(args.seeds, args.only)
        for job in [reproduction.job(TASK, args, table, run)]
    }


def test_what_two_tables_share_is_run_once(tmp_path):
    works = swept(tmp_path, "sweep_k")
    shared = ["small_4_epochs-lstm-1", "small_4_epochs-reinforce-1"]
    assert list(works) == [
        *(shared[0], "sweep_k-k2-1", "sweep_k-k3-1", "sweep_k-k4-1"),
        *(shared[1], *(f"sweep_k-k{k}-1" for k in range(6, 11))),
    ]
    # As trained: one that is shared, and one that is not.
    for name in (shared[0], "sweep_k-k2-1"):
        command = works[name].start()
        assert command[command.index("--name") + 1] == name
        settings = TASK.of_run(TASK.parse(command[2:]))
        scores = np.log(LSTM), SENTENCE
        make_run(tmp_path / "runs" / name, scores=scores, **settings)
        works[name].finish()
        assert works[name].start() is None
    kept = tmp_path / "x"
    assert [path.name for path in (kept / "sweep_k").iterdir()] == ["k2-1"]
    (one,) = (kept / "small_4_epochs").iterdir()
    assert one.name == "lstm-1"
    works = swept(tmp_path, "sweep_lambda")
    assert list(works) == [
        shared[0],
        *(f"sweep_lambda-lambda{x}-1" for x in (0.2, 0.4, 0.6, 0.8)),
        shared[1],
    ]
    to_run = [name for name, job in works.items() if job.start() is not None]
    assert to_run == list(works)[1:]
    # More seeds, by the flag.
    only = ["--only", "lstm-2", "lambda0.2-3"]
    works = swept(tmp_path, "sweep_lambda", "--seeds", "2", "3", *only)
    assert list(works) == [
        *("small_4_epochs-lstm-2", "sweep_lambda-lambda0.2-3")
    ]
    last = works["sweep_lambda-lambda0.2-3"].start()
    assert last[-2:] == ["--seed", "3"]


def keep_point(folder, table, name, valid, test, *more):
    """A kept run with its perplexities."""
    record = {"valid": {"perplexity": valid}, "test": {"perplexity": test}}
    return keep(folder, table, name, LSTM, *more, record=record)


def test_points_of_what_is_kept(tmp_path):
    keep_point(tmp_path, "sweep_lambda", "lstm-1", 4.0, 3.0)
    keep_point(tmp_path, "sweep_lambda", "lstm-2", 5.0, 6.0)
    keep_point(tmp_path, "sweep_lambda", "lambda0.4-2", 2.0, 1.0)
    folder, sweep = tmp_path / "sweep_lambda", tables.SWEEPS["sweep_lambda"]
    rows = plan.load(TASK, folder, "sweep_lambda", (1, 2))
    expected = [
        (0.0, [4.0, 5.0], [3.0, 6.0]),
        (0.2, [], []),
        (0.4, [2.0], [1.0]),
        *((value, [], []) for value in (0.6, 0.8, 1.0)),
    ]
    pytest.importorskip("matplotlib")
    from dsl.experiment.comparing import sweep as sweeps

    assert sweeps.points(sweep, rows, TASK.measure) == expected
    assert sweeps.points(sweep, rows[:3], TASK.measure) == expected


def draw(tmp_path):
    """Draws a sweep, into a folder `f`."""
    where = ["--results", f"{tmp_path}/x", "--figures", f"{tmp_path}/f"]
    return reproduce.main(
        reproduce.parse_args(["language_modeling", "sweep_k", *where])
    )


def test_the_picture_and_what_it_lacks(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    for name in ("lstm-1", "k3-1"):
        keep_point(tmp_path / "x", "sweep_k", name, 4.0, 3.0)
    assert draw(tmp_path) == 0
    said = capsys.readouterr()
    assert said.err == (
        "not run: k2-1, k4-1, reinforce-1, k6-1, k7-1, k8-1, k9-1, k10-1\n"
    )
    assert said.out == "".join(
        f"Figure: {tmp_path}/f/{name}.png\n"
        for name in ("perplexity", "sweep_k")
    )
    picture = (tmp_path / "f" / "sweep_k.png").read_bytes()
    assert picture[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("nothing", "x: no run of sweep_k is kept there that was asked for."),
        ("settings", "k2-1: was made with other settings: --entropy_weight"),
        ("record", "k2-1: must hold the perplexity of valid and test."),
        ("folder", "--figures: must be a folder, made if missing. Received: "),
    ],
)
def test_what_cannot_be_drawn_is_one_line(tmp_path, capsys, damage, message):
    pytest.importorskip("matplotlib")
    if damage != "nothing":
        more = ["--entropy_weight", "0.5"] * (damage == "settings")
        test = None if damage == "record" else 3.0
        keep_point(tmp_path / "x", "sweep_k", "k2-1", 4.0, test, *more)
    if damage == "folder":
        (tmp_path / "f").touch()
    assert draw(tmp_path) == 1
    # Before the folder is made, it is said what is not run.
    *noted, error = capsys.readouterr().err.splitlines()
    assert error.startswith("reproduce.py: ") and message in error
    assert [line[:9] for line in noted] == ["not run: "] * (damage == "folder")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sweep_k", "--seeds", "x"], "--seeds: must be an integer"),
        (["sweep_k", "--seeds", "2", "--only", "k2-1"], "Received: 'k2-1'"),
        (["sweep_k", "--only", "lambda0.2-1"], "Received: 'lambda0.2-1'"),
    ],
)
def test_a_wrong_argument_is_a_usage_error(capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        reproduction.parse_args([TASK.name, *arguments])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_without_matplotlib_one_line_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as stop:
        reproduction.parse_args([TASK.name, "sweep_k", "--figures", "f"])
    assert stop.value.code == 2
    assert "--figures needs the package matplotlib" in capsys.readouterr().err


def test_the_lines_are_means_between_bars():
    pytest.importorskip("matplotlib")
    from dsl.experiment.comparing import sweep as sweeps

    points = [(1, [9.0], [7.0]), (2, [], []), (3, [5.0, 6.0], [3.0, 5.0])]
    figure = sweeps.draw("K", points, "--preset small", TASK.measure)
    (axes,) = figure.axes
    valid, test = (line.get_ydata() for line in axes.lines)
    np.testing.assert_array_equal(valid, [9.0, np.nan, 5.5])
    np.testing.assert_array_equal(test, [7.0, np.nan, 4.0])
    bars = axes.collections[1].get_segments()
    assert bars[-1].tolist() == [[3, 3], [3, 5]]
    ticks = [tick.get_text() for tick in axes.get_xticklabels()]
    assert ticks == ["1\nplain", "2", "3"]
    np.testing.assert_array_equal(axes.get_xticks(), [1, 2, 3])
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["validation", "test"]
