"""Runs side by side: the interval, the tables and the picture."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import small_files
from run_folders import (
    cells,
    make_number_run,
    make_record,
    make_run,
    make_text,
    write_scores,
)

from dsl import metrics
from dsl.runs import results

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts"))

import compare

from dsl.experiment.comparing import reading
from dsl.experiment.measures import ACCURACY, PERPLEXITY
from language_modeling.task import TASK

pytestmark = pytest.mark.backend


# The script.


def run_script(capsys, *arguments):
    """Exit code and what was printed, within this process."""
    code = compare.main(compare.parse_args([*map(str, arguments)]))
    return code, *capsys.readouterr()


@pytest.fixture
def three(tmp_path):
    """A finished reference, a finished run and one that goes on."""
    nll_a, nll_b, sentence = make_text()
    return [
        make_run(tmp_path / "lstm", scores=(nll_a, sentence), model="lstm"),
        make_run(tmp_path / "skip", scores=(nll_b, sentence), model="skip"),
        make_run(tmp_path / "late", epochs=1, finished=False, model="skip"),
    ]


def test_tables_of_three_runs(three, capsys):
    code, out, err = run_script(capsys, *three, "--samples", 500)
    assert (code, err) == (0, "")
    overview, intervals, note = out.split("\n\n")
    assert cells(overview) == [
        [
            "run",
            "model",
            "state",
            "epochs",
            "best valid perplexity",
            "test perplexity",
            "test, sampled mean ± sd",
            "training seconds",
        ],
        ["lstm", "lstm", "finished", "2", "100.00", "115.13"]
        + ["116.50 ± 0.13", "20"],
        ["skip", "skip", "finished", "2", "100.00", "115.13"]
        + ["116.50 ± 0.13", "20"],
        ["late", "skip", "running or interrupted", "1", "200.00", "-"]
        + ["-", "10"],
    ]
    nll_a, nll_b, sentence = make_text()
    found = metrics.paired_bootstrap(nll_a, nll_b, sentence, samples=500)
    assert cells(intervals) == [
        ["run", "perplexity", "difference to lstm", "95 % interval"]
        + ["excludes 0"],
        ["lstm", f"{metrics.perplexity(nll_a):.2f}", "-", "-", "-"],
        [
            "skip",
            f"{metrics.perplexity(nll_b):.2f}",
            f"{found['difference']:+.2f}",
            f"[{found['low']:+.2f}, {found['high']:+.2f}]",
            "yes" if found["low"] > 0 else "no",
        ],
    ]
    assert note.splitlines() == [
        "Intervals: paired bootstrap, 500 draws of all 400 sentences; they "
        "speak of the test text, not of the seed.",
        "Not compared, no test_scores.npz: late.",
    ]


def test_the_best_epoch_need_not_be_the_last(tmp_path, capsys):
    run = make_run(tmp_path / "a", epochs=2)
    with open(run / "metrics.jsonl", "a") as file:
        file.write('{"epoch": 3, "valid_perplexity": 150.0}\n')
    code, out, err = run_script(capsys, run)
    assert (code, err) == (0, "")
    (row,) = cells(out)[1:]
    assert row[2:4] == ["3", "100.00"]


@pytest.mark.parametrize(
    ("shift", "verdict"), [(0.1, "yes"), (-0.1, "yes"), (0.0, "no")]
)
def test_an_interval_excludes_zero_or_not(tmp_path, capsys, shift, verdict):
    nll, _, sentence = make_text()
    first = make_run(tmp_path / "a", scores=(nll, sentence))
    second = make_run(tmp_path / "b", scores=(nll + shift, sentence))
    _, out, _ = run_script(
        capsys, first, second, "--samples", 100, "--level", 0.5
    )
    heading, _, row = cells(out.split("\n\n")[1])
    assert heading[3] == "50 % interval"
    assert row[4] == verdict
    assert row[2][0] == ("-" if shift < 0 else "+")
    if not shift:
        assert row[2:4] == ["+0.00", "[+0.00, +0.00]"]


def differences(*settings):
    runs = [{"task": TASK, "config": {"settings": one}} for one in settings]
    return reading.differences(runs)


def test_settings_that_differ_have_a_column():
    base = {"name": "a", "seed": 1, "resume": False, "shares": None, "x|y": 0}
    other = base | {"name": "b", "resume": True, "shares": [0.5, 0.5], "lr": 1}
    assert differences(base, other) == ["shares", "lr"]
    assert differences(base, base, base | {"x|y": 1}) == ["x|y"]
    assert differences(base | {"seed": 1.0}, base) == []
    assert differences(base) == []
    # A run from before there was such a setting.
    assert differences(base, base | {"new": None}) == []
    # Among those runs that read the setting.
    lstm = {"model": "lstm", "lamda": 1.0, "skip": 9, "rnn_size": 3}
    fixed = {"model": "fixed_skip", "lamda": 1.0, "skip": 3, "rnn_size": 3}
    assert differences(lstm, fixed) == ["model"]
    other = fixed | {"skip": 5}
    assert differences(lstm, fixed, other) == ["model", "skip"]


def test_a_lower_rate_after_divergence_is_another_setting(tmp_path, capsys):
    """Neither the first rate nor the last tells what was run."""
    nll, _, sentence = make_text()
    runs = [
        make_run(
            tmp_path / name,
            scores=(nll, sentence),
            model="lstm",
            learning_rate=0.5,
            seed=seed,
        )
        for seed, name in enumerate("ab")
    ]
    config = results.load_config(runs[1])
    change = {"learning_rate": 0.5, "before": 1.0, "epoch": 3, "steps": 9}
    results.save({**config, "rates": [change]}, runs[1] / "config.json")
    code, out, err = run_script(capsys, *runs, "--pool_seeds")
    assert (code, err) == (0, "")
    assert "1.0, 0.5 from epoch 3" in out
    rows = [row[0] for row in cells(out.split("\n\n")[0])]
    assert rows == ["run", "a", "b"]


def test_a_setting_is_written_as_it_is(tmp_path, capsys):
    runs = [
        make_run(tmp_path / "a", finished=False, shares=None, mode="x|y"),
        make_run(tmp_path / "b", finished=False, shares=[0.5, 1], mode="z"),
        make_run(tmp_path / "c", finished=False, mode="z"),
    ]
    _, out, _ = run_script(capsys, *runs)
    lines = out.splitlines()
    assert lines[2].startswith("| a   | none     | x\\|y | running")
    assert lines[3].startswith("| b   | [0.5, 1] | z    | running")
    assert lines[4].startswith("| c   | -        | z    | running")


def test_folders_of_one_name_are_told_apart(tmp_path, monkeypatch, capsys):
    make_run(tmp_path / "x" / "run", finished=False)
    make_run(tmp_path / "y" / "run", finished=False)
    monkeypatch.chdir(tmp_path / "x")
    _, out, _ = run_script(capsys, "run", "../y/run/")
    assert [row[0] for row in cells(out.split("\n\n")[0])[1:]] == [
        "run",
        "../y/run",
    ]
    monkeypatch.chdir(tmp_path / "x" / "run")
    assert run_script(capsys, ".")[1].splitlines()[2].startswith("| run ")


def test_other_texts_are_not_compared(three, tmp_path, capsys):
    nll, _, sentence = make_text()
    longer = make_run(
        tmp_path / "longer",
        scores=(np.append(nll, 1.0), np.append(sentence, 400)),
    )
    ends = sentence.copy()
    ends[np.argmax(sentence == 1)] = 0
    moved = make_run(tmp_path / "moved", scores=(nll, ends))
    other = make_run(tmp_path / "other", scores=(nll, sentence))
    config = results.load_config(other) | {"data_sha256": {"test": "1"}}
    results.save(config, other / "config.json")
    code, out, err = run_script(
        capsys, *three, longer, moved, other, "--samples", 50
    )
    assert (code, err) == (0, "")
    intervals, note = out.split("\n\n")[1:]
    assert [row[0] for row in cells(intervals)] == ["run", "lstm", "skip"]
    assert note.splitlines()[1:] == [
        f"longer cannot be compared: it was scored on {len(nll) + 1:,} "
        f"tokens, lstm on {len(nll):,}.",
        "moved cannot be compared: its sentences end elsewhere than those of "
        "lstm.",
        "other cannot be compared: its test text is another one than that of "
        "lstm.",
        "Not compared, no test_scores.npz: late.",
    ]
    _, out, _ = run_script(capsys, three[0], moved)
    assert out.split("\n\n")[1] == (
        "moved cannot be compared: its sentences end elsewhere than those of "
        "lstm.\n"
    )


def test_other_vocabularies_are_not_compared(tmp_path, capsys):
    """The same text, of which other words were replaced."""
    nll, _, sentence = make_text(9)
    found = [make_run(tmp_path / x, scores=(nll, sentence)) for x in "abc"]
    for run, words in zip(found, ("1", "1", "2"), strict=True):
        config = results.load_config(run)
        config["data_sha256"]["vocabulary"] = words
        results.save(config, run / "config.json")
    code, out, err = run_script(capsys, *found, "--samples", 10)
    assert (code, err) == (0, "")
    assert out.endswith(
        "\nc cannot be compared: its vocabulary is another one "
        "than that of a.\n"
    )
    assert [row[0] for row in cells(out.split("\n\n")[1])[1:]] == ["a", "b"]


def test_corpora_are_told_apart(tmp_path, capsys):
    """By their names, where runs are of several; as early as that is known."""
    first = make_run(tmp_path / "a")
    late = make_run(tmp_path / "b", finished=False, corpus="own")
    third = make_run(tmp_path / "c", record={"corpus": "wikitext2"})
    _, out, _ = run_script(capsys, first, late)
    assert "corpus" not in out
    config = results.load_config(late) | {"data": {"name": "own-0a1b2c3d"}}
    results.save(config, late / "config.json")
    _, out, _ = run_script(capsys, first, late, third)
    rows = cells(out.split("\n\n")[0])
    column = rows[0].index("corpus")
    assert [row[column] for row in rows[1:]] == [
        "ptb",
        "own-0a1b2c3d",
        "wikitext2",
    ]


def test_bits_of_texts_of_characters(tmp_path, capsys):
    measured = {"perplexity": 4.0, "bits_per_character": 2.0}
    runs = [
        make_run(
            tmp_path / name,
            record={"test": measured, "data": {"of_characters": characters}},
        )
        for name, characters in (("letters", True), ("words", False))
    ]
    _, out, _ = run_script(capsys, *runs)
    rows = cells(out.split("\n\n")[0])
    column = rows[0].index("test bits per character")
    assert [row[column] for row in rows[1:]] == ["2.000", "-"]
    _, out, _ = run_script(capsys, runs[1])
    assert "bits" not in out


def test_a_reference_without_scores(three, capsys):
    code, out, _ = run_script(capsys, three[2], three[0])
    assert code == 0
    assert out.endswith(
        "\n\nNo intervals: late, the reference, has no test_scores.npz.\n"
    )


def test_one_run_alone_has_no_second_table(three, capsys):
    code, out, err = run_script(capsys, three[0])
    assert (code, err) == (0, "")
    assert len(cells(out)) == 2


def test_a_run_of_another_task_has_no_perplexity(tmp_path, capsys):
    run = make_run(tmp_path / "digits", epochs=0)
    results.save(make_record(test={"error": 0.5}), run / "result.json")
    (run / "metrics.jsonl").write_text('{"epoch": 1, "valid_error": 0.5}\n')
    code, out, err = run_script(capsys, run)
    assert (code, err) == (0, "")
    assert cells(out)[1] == ["digits", "finished", "1", "-", "-", "-", "0"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("config.json", None, "no such file; every run folder has one."),
        ("config.json", "{", "not valid JSON: Expecting .* at line 1."),
        ("config.json", "[1]", 'holds no "settings".'),
        ("config.json", '{"settings": 1}', 'holds no "settings".'),
        ("config.json", b"\xff", "cannot be read: not UTF-8 text."),
        ("metrics.jsonl", "{\n", "line 1: not valid JSON: Expecting .*[.]"),
        ("result.json", "{}", "`task` is missing."),
        ("test_scores.npz", "PK", "damaged, or not the arrays .*[.]"),
    ],
)
def test_a_wrong_run_is_one_line_and_exit_1(three, capsys, name, text, message):
    path = three[1] / name
    if text is None:
        path.unlink()
    else:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    code, out, err = run_script(capsys, *three)
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert re.search(message, err)
    assert err.startswith(f"compare.py: {path}: ")


def test_a_wrong_figure_is_one_line_and_exit_1(three, capsys):
    results.save(
        make_record(test={"perplexity": "low"}), three[0] / "result.json"
    )
    code, out, err = run_script(capsys, *three)
    assert (code, out) == (1, "")
    assert err == (
        f"compare.py: {three[0]}: `test.perplexity` must be a finite number. "
        "Received: 'low'\n"
    )


@pytest.mark.parametrize("hashes", [["1"], {"a": 1}])
def test_odd_hashes_are_compared_as_they_are(tmp_path, capsys, hashes):
    nll, _, sentence = make_text(9)
    runs = [make_run(tmp_path / x, scores=(nll, sentence)) for x in "ab"]
    config = results.load_config(runs[1]) | {"data_sha256": {"test": hashes}}
    results.save(config, runs[1] / "config.json")
    code, out, err = run_script(capsys, *runs, "--samples", 10)
    assert (code, err) == (0, "")
    assert out.endswith("its test text is another one than that of a.\n")
    results.save(config, runs[0] / "config.json")
    code, out, err = run_script(capsys, *runs, "--samples", 10)
    assert (code, err) == (0, "")
    assert "cannot be compared" not in out


SHARE = "must be a number above 0 and below 1."
COUNT = "must be an integer at least 1 and at most 2147483647."
SUFFIX = "must end in .pdf, .png, .svg."


@pytest.fixture
def usage_error(capsys, monkeypatch):
    """Function of arguments that gives what is said of them."""
    monkeypatch.setattr(sys, "argv", ["scripts/compare.py"])

    def refused(*arguments):
        with pytest.raises(SystemExit, match="^2$"):
            compare.parse_args([*map(str, arguments)])
        out, err = capsys.readouterr()
        assert out == ""
        said = re.fullmatch(r"compare.py: error: (.*) \(see --help\)\n", err)
        return said[1]

    return refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: RUN"),
        (["--level", "95"], f"argument --level: {SHARE} Received: '95'"),
        (["--level", "0"], f"argument --level: {SHARE} Received: '0'"),
        (["--level", "1"], f"argument --level: {SHARE} Received: '1'"),
        (["--level", "nan"], f"argument --level: {SHARE} Received: 'nan'"),
        (["--level", "x"], f"argument --level: {SHARE} Received: 'x'"),
        (["--samples", "0"], f"argument --samples: {COUNT} Received: '0'"),
        (["--samples", "1e3"], f"argument --samples: {COUNT} Received: '1e3'"),
        (
            ["--samples", f"1{'0' * 30}"],
            f"argument --samples: {COUNT} Received: '1{'0' * 30}'",
        ),
        (
            ["--figure", "x.jpg"],
            f"argument --figure: {SUFFIX} Received: 'x.jpg'",
        ),
        (["--figure", "png"], f"argument --figure: {SUFFIX} Received: 'png'"),
        (["--pool", "x"], "unrecognized arguments: --pool x"),
        (["--sample", "5"], "unrecognized arguments: --sample 5"),
        (["--x\x1b[31m\nred"], r"unrecognized arguments: --x\x1b[31m red"),
    ],
)
def test_a_wrong_argument_is_exit_2(usage_error, arguments, message):
    runs = ["run"] * bool(arguments)
    assert usage_error(*runs, *arguments) == message


def test_missing_matplotlib_is_said_before_anything_else(
    usage_error, monkeypatch
):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert usage_error("no such run", "--figure", "x.png") == (
        "--figure needs the package matplotlib: .venv/bin/pip install "
        "'.[plots]'"
    )
    assert compare.parse_args(["run"]).figure is None


# Runs that differ in nothing but the seed, taken together.


def run_of(name, nll=(1.0, 2.0), /, **settings):
    """A run as `reading.load` returns it; None for `nll` if not scored."""
    scores = {"nll": np.array(nll), "sentence": np.arange(2)}
    return {
        "name": name,
        "task": TASK,
        "config": {"settings": {"seed": 1, **settings}},
        "epochs": [],
        "record": None,
        "scores": None if nll is None else scores,
    }


def names_of(groups):
    return [[run["name"] for run in group["runs"]] for group in groups]


def test_groups_are_in_the_order_of_their_first_runs():
    groups = reading.pooled(
        [
            run_of("skip-1", model="skip", lr=1.0),
            run_of("lstm-1", model="lstm", lr=1.0),
            run_of("slow", model="skip", lr=0.5),
            run_of("skip-2", lr=1.0, model="skip", seed=2),
            run_of("lstm-9", model="lstm", lr=1.0, seed=9),
            run_of("skip-3", model="skip", lr=1.0, seed=3),
        ]
    )
    assert names_of(groups) == [
        ["skip-1", "skip-2", "skip-3"],
        ["lstm-1", "lstm-9"],
        ["slow"],
    ]
    assert [(group["name"], group["seeds"]) for group in groups] == [
        ("skip-1 and 2 more", 3),
        ("lstm-1 and 1 more", 2),
        ("slow", 1),
    ]


@pytest.mark.parametrize("key", sorted({*reading.ignored(TASK), "seed"}))
def test_what_is_no_setting_of_the_model_keeps_no_runs_apart(key):
    runs = [run_of("a", **{key: 1}), run_of("b", **{key: 2}), run_of("c")]
    assert names_of(reading.pooled(runs)) == [["a", "b", "c"]]


@pytest.mark.parametrize(
    "settings",
    [{"lr": 2}, {"lr": None}, {"lr": "1"}, {"lr": [1]}, {"lr": 1, "new": 0}],
)
def test_any_other_setting_does(settings):
    runs = [run_of("a", lr=1), run_of("b", **settings, seed=2)]
    assert names_of(reading.pooled(runs)) == [["a"], ["b"]]


def test_a_setting_that_the_model_does_not_read_keeps_no_runs_apart():
    runs = [
        run_of("a", model="lstm", lamda=1.0, discount=0.5),
        run_of("b", model="lstm", lamda=0.5, skip=3),
        run_of("c", model="fixed_skip", lamda=1.0, skip=3),
        run_of("d", model="fixed_skip", lamda=1.0, skip=5),
    ]
    assert names_of(reading.pooled(runs)) == [["a", "b"], ["c"], ["d"]]


def test_nor_does_one_from_before_there_was_such_a_setting():
    runs = [run_of("a"), run_of("b", shares=None), run_of("c", shares=[1])]
    assert names_of(reading.pooled(runs)) == [["a", "b"], ["c"]]


def test_perplexity_of_a_group_is_the_geometric_mean_of_its_seeds():
    costs = np.log([[2.0, 8.0], [9.0, 9.0], [1.0, 36.0]])
    seeds = [run_of(f"r{n}", nll, seed=n) for n, nll in enumerate(costs)]
    (group,) = reading.pooled(seeds)
    assert group["each"] == pytest.approx([4.0, 9.0, 6.0])
    nll = group["scores"]["nll"]
    assert nll.shape == (2,)
    assert metrics.perplexity(nll) == pytest.approx(6.0)
    assert metrics.perplexity(nll) == pytest.approx(np.exp(costs.mean()))
    # Of each token, too.
    np.testing.assert_allclose(np.exp(nll), [18 ** (1 / 3), 2592 ** (1 / 3)])
    assert group["scores"]["sentence"].tolist() == [0, 1]
    # The runs themselves are left as they were.
    assert seeds[0]["scores"]["nll"].tolist() == costs[0].tolist()
    assert "each" not in seeds[0]


def test_a_group_with_an_unscored_run_has_no_scores():
    first, other = run_of("a"), run_of("b", None, seed=2)
    for runs in ([first, other], [other, first]):
        (group,) = reading.pooled(runs)
        assert group["scores"] is None
        assert "each" not in group
        assert group["seeds"] == 2


@pytest.fixture
def seeds(tmp_path):
    """Two seeds of two models; every run costs a factor of 2 more or less.

    Taken together, they are the two systems of the interval by hand above.
    """
    tokens = {"lstm": [2.0, 3.0, 3.0, 3.0], "skip": [5.0, 4.0, 4.0, 4.0]}
    runs = []
    for seed, factor in ((1, 2.0), (2, 0.5)):
        for model, perplexities in tokens.items():
            name = f"{model}-{seed}"
            test = {
                "perplexity": 100.0 * factor,
                "perplexity_sampled_mean": 10.0 + seed,
                "sampled_n": 5,
                **({"perplexity_previous": 7.0} if name == "skip-1" else {}),
            }
            record = {
                "model": model,
                "settings": {"seed": seed},
                "command": f"RL_train.py --name {name}",
                "test": test,
            }
            runs.append(
                make_run(
                    tmp_path / name,
                    scores=(
                        np.log(perplexities) + np.log(factor),
                        [4, 7, 7, 7],
                    ),
                    record=record,
                    model=model,
                    seed=seed,
                )
            )
    return runs


WHOLE = (2 * 3**3) ** 0.25, (5 * 4**3) ** 0.25


def test_pooled_runs_are_compared_as_one(seeds, capsys):
    code, out, err = run_script(
        capsys, *seeds, "--pool_seeds", "--samples", 500
    )
    assert (code, err) == (0, "")
    overview, intervals, _ = out.split("\n\n")
    assert [row[0] for row in cells(overview)[1:]] == [
        *("lstm-1", "skip-1", "lstm-2", "skip-2"),
    ]
    a, b = WHOLE
    assert cells(intervals) == [
        ["run", "perplexity", "of each seed"]
        + ["difference to lstm-1 and 1 more", "95 % interval", "excludes 0"],
        ["lstm-1 and 1 more", f"{a:.2f}", f"{2 * a:.2f} {a / 2:.2f}"]
        + ["-", "-", "-"],
        ["skip-1 and 1 more", f"{b:.2f}", f"{2 * b:.2f} {b / 2:.2f}"]
        + [f"{b - a:+.2f}", "[+1.00, +3.00]", "yes"],
    ]
    # One by one without the flag.
    _, out, _ = run_script(capsys, *seeds, "--samples", 500)
    assert [row[0] for row in cells(out.split("\n\n")[1])[1:]] == [
        *("lstm-1", "skip-1", "lstm-2", "skip-2"),
    ]
    assert "of each seed" not in out


def test_groups_of_one_run_are_as_without_pooling(three, capsys):
    options = ("--samples", 20)
    alone = run_script(capsys, *three[:2], *options)
    assert run_script(capsys, *three[:2], *options, "--pool_seeds") == alone


def test_a_group_with_an_unscored_run_is_not_compared(seeds, capsys):
    (seeds[3] / "test_scores.npz").unlink()
    code, out, err = run_script(capsys, *seeds, "--pool_seeds")
    assert (code, err) == (0, "")
    assert out.endswith(
        "\n\nNot compared, no test_scores.npz: skip-1 and 1 more.\n"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("tokens", "it was scored on 2 tokens, skip-1 on 4."),
        ("ends", "its sentences end elsewhere than those of skip-1."),
        ("text", "its test text is another one than that of skip-1."),
    ],
)
def test_seeds_scored_on_different_texts_are_one_line_and_exit_1(
    seeds, capsys, change, message
):
    if change == "tokens":
        write_scores(seeds[3], np.ones(2), np.arange(2))
    elif change == "ends":
        write_scores(seeds[3], np.ones(4), np.arange(4))
    else:
        config = results.load_config(seeds[3]) | {"data_sha256": {"test": "1"}}
        results.save(config, seeds[3] / "config.json")
    code, out, err = run_script(capsys, *seeds, "--pool_seeds", "--samples", 10)
    assert (code, out) == (1, "")
    assert err == f"compare.py: skip-2 cannot be pooled: {message}\n"


def test_a_run_named_twice_is_one_line_and_exit_1(three, capsys):
    again = three[0].parent / "x" / ".." / three[0].name
    code, out, err = run_script(capsys, three[0], three[1], again)
    assert (code, out, err) == (1, "", f"compare.py: {again}: named twice.\n")


# The picture.


@pytest.fixture
def figure():
    pytest.importorskip("matplotlib")
    from dsl.experiment.comparing import figure

    return figure


def epochs_of(values):
    return [
        {"epoch": 1 + i, "valid_perplexity": v, "train_perplexity": 2 * v}
        for i, v in enumerate(values)
    ]


def test_the_curves_are_those_of_the_runs(figure):
    drawn = figure.draw(
        [("_a$b$", epochs_of([200.0, 90.0])), ("b", epochs_of([300.0]))],
        PERPLEXITY,
    )
    (axes,) = drawn.axes
    curves = [
        (line.get_linestyle(), line.get_xydata().tolist())
        for line in axes.get_lines()
    ]
    assert curves == [
        ("-", [[1, 200], [2, 90]]),
        ("--", [[1, 400], [2, 180]]),
        ("-", [[1, 300]]),
        ("--", [[1, 600]]),
    ]
    assert axes.get_yscale() == "log"
    colors = [line.get_color() for line in axes.get_lines()]
    assert colors[0] == colors[1] != colors[2] == colors[3]
    (legend,) = drawn.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == ["validation", "training", "_a$b$", "b"]
    assert not any(text.get_parse_math() for text in legend.get_texts())
    keys = legend.get_lines()
    assert [key.get_linestyle() for key in keys] == ["-", "--", "-", "-"]
    assert [key.get_color() for key in keys[2:]] == colors[::2]


def test_many_long_names_stay_inside_and_beside_the_curves(figure):
    names = [f"{'a-rather-long-name' * 3}-{n:02d}" for n in range(40)]
    curves = [(name, epochs_of([200, 90])) for name in names]
    drawn = figure.draw(curves, PERPLEXITY)
    drawn.draw_without_rendering()
    (legend,), (axes,) = drawn.legends, drawn.axes
    inside, whole = legend.get_window_extent(), drawn.bbox
    assert 0 <= inside.y0 < inside.y1 <= whole.y1
    assert axes.get_window_extent().x1 < inside.x0 < inside.x1 <= whole.x1
    assert axes.get_window_extent().width > 0.4 * whole.height
    looks = {(line.get_color(), line.get_marker()) for line in axes.get_lines()}
    assert len(looks) == 40


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([100.0, 90.0], {"100", "120", "140", "200"}),
        ([300.0, 30.0], {"30", "50", "70", "100", "200", "500"}),
        ([10_000.0, 30.0], {"50", "100", "1,000", "10,000"}),
        ([100.0], {"100", "200"}),
    ],
)
def test_perplexities_are_plain_numbers(figure, values, labels):
    drawn = figure.draw([("a", epochs_of(values))], PERPLEXITY)
    drawn.draw_without_rendering()
    shown = {tick.get_text() for tick in drawn.axes[0].get_yticklabels()}
    assert labels <= shown
    assert not len(drawn.axes[0].yaxis.get_minorticklocs())
    epochs = [tick.get_text() for tick in drawn.axes[0].get_xticklabels()]
    assert {"1", str(len(values))} <= set(epochs)
    assert all(text.isdecimal() for text in epochs)


@pytest.mark.parametrize(
    ("name", "start"),
    [("x.png", b"\x89PNG"), ("x.pdf", b"%PDF"), ("x.SVG", b"<?xml")],
)
def test_the_picture_is_written(figure, three, tmp_path, capsys, name, start):
    path = tmp_path / name
    options = ("--samples", 10, "--figure", path)
    code, out, err = run_script(capsys, *three, *options)
    assert (code, err) == (0, "")
    assert out.endswith(f"\n\nFigure: {path}\n")
    assert path.read_bytes().startswith(start)


def test_a_picture_without_a_folder(usage_error, three, tmp_path):
    folder = tmp_path / "x.png"
    folder.mkdir()
    missing = tmp_path / "no such folder" / "x.png"
    for path, kind in ((missing, ""), (folder, ", a folder")):
        assert usage_error(*three, "--figure", path) == (
            "argument --figure: must be a file in a folder that exists. "
            f"Received: '{path}'{kind}"
        )


def test_names_that_no_font_has_are_told_once(figure, three, tmp_path, capsys):
    odd = three[0].with_name("漢\x1b[31m\n字")
    three[0].rename(odd)
    path = tmp_path / "x.png"
    options = ("--samples", 10, "--figure", path)
    code, out, err = run_script(capsys, odd, *options)
    assert (code, err) == (0, "")
    assert out.endswith(
        f"\nFigure: {path}; boxes stand where its font has no shape, for 漢, "
        "字\n"
    )


def test_a_picture_that_cannot_be_written(figure, three, tmp_path, capsys):
    path = tmp_path / "x.png"
    options = ("--samples", 10, "--figure", path)
    with small_files.disk_full_after(100):
        code, out, err = run_script(capsys, *three, *options)
    assert (code, len(cells(out.split("\n\n")[0]))) == (1, 4)
    assert err == f"compare.py: {path}: cannot be written: File too large.\n"


def test_nothing_to_draw(figure, tmp_path, capsys):
    run = make_run(tmp_path / "a", epochs=0, finished=False)
    path = tmp_path / "x.png"
    code, _, err = run_script(capsys, run, "--figure", path)
    assert code == 1
    assert err == (
        f"compare.py: {path}: not written, no epoch has any perplexity yet.\n"
    )
    assert not path.exists()
    other = make_run(tmp_path / "b", epochs=0, finished=False)
    (other / "metrics.jsonl").write_text('{"epoch": 1}\n')
    assert run_script(capsys, other, "--figure", path)[0] == 1


# Number prediction, which has accuracies.


@pytest.fixture
def numbers(tmp_path):
    """Two seeds of one model, and one of another with sampled actions."""
    return [
        make_number_run(
            tmp_path / name,
            {"seed": seed, "data_seed": seed, "model": model},
            shares,
            valid=(0.5, 0.7, 0.6),
        )
        for name, seed, model, shares in (
            ("a", 1, "lstm", (0.5,)),
            ("b", 2, "lstm", (0.6,)),
            ("c", 1, "dynamic_skip", (0.9, 0.8)),
        )
    ]


def test_accuracies_beside_each_other(numbers, capsys):
    code, out, err = run_script(capsys, *numbers)
    assert (code, err) == (0, "")
    header, *rows = cells(out)
    assert header[-4:-1] == [
        "best valid accuracy, %",
        "test accuracy, %",
        "test, sampled mean ± sd",
    ]
    assert "perplexity" not in out
    assert [row[-4:-1] for row in rows] == [
        ["70.00", "50.00", "-"],
        ["70.00", "60.00", "-"],
        ["70.00", "90.00", "80.00 ± 0.20"],
    ]


def test_accuracies_of_seeds_together(numbers, capsys):
    code, out, err = run_script(capsys, *numbers, "--pool_seeds")
    assert (code, err) == (0, "")
    _, *rows = cells(out.split("\n\n")[1])
    assert rows == [
        ["a and 1 more", "2 of 2", "55.00 ± 7.07", "-"],
        ["c", "1 of 1", "90.00", "80.00"],
    ]
    for one in numbers:
        (one / "result.json").unlink()
    code, out, err = run_script(capsys, *numbers, "--pool_seeds")
    assert (code, err) == (0, "")
    assert out.count("running or interrupted") == 3


def test_accuracies_and_perplexities_are_one_line(numbers, tmp_path, capsys):
    other = make_run(tmp_path / "words")
    for options in ([], ["--pool_seeds"]):
        code, out, err = run_script(capsys, numbers[0], other, *options)
        assert (code, out) == (1, "")
        assert err == (
            "compare.py: words is of language_modeling and cannot be compared "
            "with a of number_prediction.\n"
        )


def test_accuracies_are_drawn_in_percent(figure, numbers, tmp_path, capsys):
    path = tmp_path / "x.png"
    code, _, err = run_script(capsys, *numbers, "--figure", path)
    assert (code, err) == (0, "")
    assert path.read_bytes().startswith(b"\x89PNG")
    curves = [(run["name"], run["epochs"]) for run in reading.load(numbers)]
    (axes,) = figure.draw(curves, ACCURACY).axes
    assert axes.get_yscale() == "linear"
    assert axes.get_ylabel() == "accuracy, %"
    found = {line.get_linestyle(): line for line in axes.get_lines()}
    for style in ("-", "--"):  # Training is as good in these runs.
        points = found[style].get_xydata().tolist()
        assert points == [[1, 50], [2, 70], [3, 60]]
    for run in numbers:
        (run / "metrics.jsonl").write_text('{"epoch": 1}\n')
    path.unlink()
    code, _, err = run_script(capsys, *numbers, "--figure", path)
    assert code == 1 and not path.exists()
    assert err == (
        f"compare.py: {path}: not written, no epoch has any accuracy yet.\n"
    )


@pytest.mark.parametrize("value", ["x", -0.5, None, 1e999])
def test_a_wrong_accuracy_of_an_epoch_is_one_line(numbers, capsys, value):
    line = json.dumps({"epoch": 1, "valid_accuracy": value})
    (numbers[1] / "metrics.jsonl").write_text(f"{line}\n")
    code, out, err = run_script(capsys, *numbers)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "metrics.jsonl: line 1: `valid_accuracy` must be" in err


@pytest.mark.parametrize("task", [[], {}, 3, None, "../chess"])
def test_a_run_of_no_known_task_is_named(tmp_path, task):
    folder = make_run(tmp_path / "a", finished=False)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "task": task}))
    with pytest.raises(results.ResultError, match=r"a: a task must be one of"):
        reading.load([folder])
