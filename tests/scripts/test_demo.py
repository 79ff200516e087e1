"""The demo, with trainers that only write down how they were called."""

import json
import re
import shutil
import signal
import time

import pytest
from project_copy import ROOT, Copy

from dsl.experiment import plan
from dsl.experiment.task import find
from dsl.runs import results
from scripts import demo as program

# Leaves a run like those of the task, by ten nats or so: the second of two
# language models is the worse one, or by `$BETTER` the better one.
FAKE_TRAINER = """
import json, os, pathlib, sys
sys.path[:0] = [{root!r}, {support!r}]
import run_folders
arguments = sys.argv[1:]
value = lambda flag: arguments[arguments.index(flag) + 1]
if os.environ.get("STOP"):
    sys.exit(int(os.environ["STOP"]))
assert os.environ["KERAS_BACKEND"] == "tensorflow"
if "--load_model" in arguments:
    pathlib.Path(value("--figure")).write_text(json.dumps(arguments))
    print("drawn")
    sys.exit()
model = value("--model") if "--model" in arguments else "dynamic_skip"
folder = pathlib.Path(value("--train_dir"), value("--name"))
print("trained", folder.name)
if "number_prediction" in __file__:
    from number_prediction.task import TASK
    shares = [0.3] if model == "lstm" else [0.99951, 0.9]
    settings = TASK.of_run(TASK.parse(arguments))
    run_folders.make_number_run(folder, settings, shares)
else:
    from language_modeling.task import TASK
    *nll, sentence = run_folders.make_text()
    second = (model == "lstm") == bool(os.environ.get("BETTER"))
    run_folders.make_run(
        folder,
        scores=(nll[second], sentence),
        record={{"model": model, "true_perplexity": {{"test": 30.77}}}},
        **TASK.of_run(TASK.parse(arguments)),
    )
(folder / "arguments.json").write_text(json.dumps(arguments))
"""

SAVING_TRAINER = """
import pathlib, signal, sys, time
folder = pathlib.Path({folder!r})
def stop(*_):
    time.sleep(0.3)
    (folder / "saved").touch()
    print("interrupted; saved", file=sys.stderr)
    sys.exit(130)
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
(folder / "ready").touch()
time.sleep(60)
"""


@pytest.fixture
def demo(tmp_path):
    copy = Copy(tmp_path)
    for script in ROOT.glob("scripts/*.py"):
        shutil.copy(script, copy.root / "scripts")
    for folder in (
        *("dsl", "language_modeling", "number_prediction"),
        *("results/language_modeling/demo", "results/number_prediction/T11"),
    ):
        shutil.copytree(ROOT / folder, copy.root / folder)
    text = FAKE_TRAINER.format(
        root=str(ROOT), support=str(ROOT / "tests" / "support")
    )
    for name in program.ROWS:
        (copy.root / find(name).program).write_text(text)
    copy.pretend_setup()
    return copy


def flags_of(folder):
    """The flags of each training, by its task and run."""
    return {
        "/".join(path.parent.parts[-2:]): json.loads(path.read_text())
        for path in folder.glob("*/demo-*/arguments.json")
    }


def test_demo_trains_two_pairs_and_ends_with_tables_and_a_picture(demo):
    done = demo.call("demo", "--max_steps", "2", "--dropout", "0.25")
    assert done.returncode == 0, done.stderr
    (folder,) = demo.root.glob("runs/demo-*")
    found = flags_of(folder)
    assert sorted(found) == [
        "language_modeling/demo-lstm-1",
        "language_modeling/demo-straight_through-1",
        "number_prediction/demo-dynamic-1-1",
        "number_prediction/demo-lstm-1",
    ]
    for name, words in found.items():
        assert "--max_steps=2" in words
        assert ("0.25" in words) == name.startswith("language_modeling")
        if name.startswith("number_prediction"):
            data = words[words.index("--data_dir") + 1]
            assert data.startswith(str(demo.root / "data/number_prediction"))
    begun = re.findall("^== (.*)$", done.stderr, flags=re.MULTILINE)
    assert begun == [
        "1 of 4: number_prediction, lstm",
        "2 of 4: number_prediction, dynamic-1",
        "3 of 4: language_modeling, lstm",
        "4 of 4: language_modeling, straight_through",
    ]
    picture = folder / "sentences.png"
    drawn = json.loads(picture.read_text())
    run = drawn[drawn.index("--load_model") + 1]
    assert run.endswith("language_modeling/demo-straight_through-1")
    sentences = (folder / "sentences.txt").read_text().splitlines()
    assert len(sentences) == 4 and "<eos>" not in "".join(sentences)
    assert f"\n{picture}\n" in done.stdout
    last = done.stdout.splitlines()[-1]
    assert last.startswith(".venv/bin/python language_modeling/RL_train.py --l")


def rows_of(text):
    return [line for line in text.splitlines() if line.startswith("| ")]


def test_what_the_tables_say_is_what_was_measured(demo):
    done = demo.call("demo", "--max_steps", "2")
    rows = rows_of(done.stdout)
    names = [row.split("|")[1].strip() for row in rows]
    assert [each for each in names if set(each) != {"-"}] == [
        *("row", "lstm", "dynamic-1"),
        *("row", "lstm", "straight_through"),
        *("row", "lstm", "straight_through", "random"),
    ]
    assert all(len(row) <= 100 and row.count("|") <= 8 for row in rows)
    shown = done.stdout.partition("Which past word")[0].splitlines()
    assert all(len(line) <= 100 for line in shown)
    text = " ".join(done.stdout.split())
    assert "**99.95**" in text and "30.00" in text
    assert "All rows: true test 30.77" in text
    assert "this run is a smoke test and judges nothing" in text
    # Both records have one perplexity, which stands above the table.
    worse = re.search(r"straight_through \| \+", text)
    demo.environment["BETTER"] = "1"
    done = demo.call("demo")
    better = re.search(r"straight_through \| -", done.stdout)
    assert worse and better
    assert "smoke test" not in done.stdout


def test_demo_writes_where_it_is_told(demo, tmp_path):
    """And goes on there: what is done is not done again."""
    first, second = (
        demo.call("demo", "--train_dir", tmp_path / "my runs") for _ in range(2)
    )
    assert (first.returncode, second.returncode) == (0, 0), second.stderr
    assert len(list(tmp_path.glob("my runs/*/demo-*/result.json"))) == 4
    assert first.stdout.count("trained") == 4
    assert "trained demo" not in second.stdout
    other = demo.call("demo", "--train_dir", tmp_path / "my runs", "--lamda=1")
    assert other.returncode == 2  # Which a plain LSTM does not read.
    where = ["--train_dir", tmp_path / "my runs"]
    other = demo.call("demo", *where, "--dropout", "0.25")
    assert other.returncode == 1
    assert "was made with other settings: --dropout 0.0" in other.stderr
    assert not (demo.root / "runs").exists()


def test_another_text_takes_the_place_of_the_generated_one(demo, tmp_path):
    for split in ("train", "valid", "test"):
        (tmp_path / f"{split}.txt").write_text("a b c\nd\ne f\n" * 99)
    done = demo.call("demo", "--data_dir", tmp_path)
    assert done.returncode == 0, done.stderr
    (folder,) = demo.root.glob("runs/demo-*")
    words = flags_of(folder)["language_modeling/demo-lstm-1"]
    assert "--corpus" not in words
    assert words[words.index("--data_dir") + 1] == str(tmp_path)
    sentences = (folder / "sentences.txt").read_text()
    assert sentences == "a b c\ne f\n" * 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_demo_reaches_its_training(demo, tmp_path, number):
    """Which takes its time to save, and is waited for."""
    (demo.root / "number_prediction/train_RL10_1.py").write_text(
        SAVING_TRAINER.format(folder=str(tmp_path))
    )
    with demo.start("demo") as process:
        while not (tmp_path / "ready").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        said = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert said.endswith("\ninterrupted; saved\n")
    assert (tmp_path / "saved").exists()


@pytest.mark.parametrize("code", [1, 2, 3, 130])
def test_demo_ends_with_the_exit_code_of_a_failed_run(demo, code):
    demo.environment["STOP"] = str(code)
    done = demo.call("demo")
    assert done.returncode == code
    assert done.stderr.count("== ") == 1


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--no_such_flag"], 2),
        (["--lamda", "0.5"], 2),  # Which a plain LSTM does not read.
        (["--max_steps", "0"], 2),
        (["--max_steps"], 2),
        (["--data_dir", "nowhere"], 3),
    ],
)
def test_a_fault_is_said_before_anything_is_trained(demo, options, code):
    done = demo.call("demo", *options)
    assert (done.returncode, done.stdout) == (code, "")
    assert re.match(r"(demo|RL_train)\.py: ", done.stderr)
    assert done.stderr.count("\n") == 1
    assert not (demo.root / "runs").exists()


def test_demo_help_and_usage_errors_need_no_setup(tmp_path):
    copy = Copy(tmp_path)
    done = copy.call("demo", "--max_steps", "5", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: scripts/demo ")
    for arguments in (
        ["--train_dir"],
        ["--model", "lstm"],
        ["--name=x"],
    ):
        done = copy.call("demo", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"scripts/demo: {arguments[0][:6]}")
        assert done.stderr.count("\n") == 1
    assert not (copy.root / ".venv").exists()


# What is kept.


def rows_kept():
    return plan.load(
        find("language_modeling"),
        ROOT / "results" / "language_modeling" / "demo",
        "demo",
    )


def test_all_that_the_table_names_is_kept():
    assert [len(row.runs) for row in rows_kept()] == [3, 3, 1]


@pytest.mark.parametrize(
    ("each", "words"),
    [
        ([-1.0, -2.0], "by seed: -1.00, -2.00: better with every seed"),
        ([1.0, 2.0], "worse with every seed"),
        ([1.0, -2.0], "no gain can be claimed"),
        ([-1.0], "one seed, which says nothing of the next"),
    ],
)
def test_what_the_seeds_say(each, words, monkeypatch):
    found = {"other": {"each": each}}
    monkeypatch.setattr(program.intervals, "of_rows", lambda *_: found)
    said = program.verdict(rows_kept())
    assert words in " ".join(said.split())


def page_of_the_demo():
    page = ROOT / "results" / "language_modeling" / "demo" / "README.md"
    return page.read_text("utf-8")


def best_valid(folder):
    return f"{results.load(folder)['valid']['perplexity']:.2f}"


def test_the_page_of_the_demo_has_what_it_was_chosen_by():
    """Each validation perplexity, of what was chosen and of what was not."""
    page = page_of_the_demo()
    for row in rows_kept():
        each = [f"{one['valid']['perplexity']:.2f}" for one in row.records]
        assert re.search(rf"\| +{' +[|] +'.join(each)} \|", page), row.name
    tried = ROOT / "results" / "language_modeling" / "demo_tried"
    paths = sorted(tried.iterdir())
    assert len(paths) > 5
    for path in paths:
        shown = rf"^\| {path.name} .* {best_valid(path)} \|$"
        assert re.search(shown, page, re.MULTILINE), path.name
