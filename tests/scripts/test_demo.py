"""The demo, with trainers that only write down how they were called."""

import json
import re
import shutil
import signal
import time

import pytest
from project_copy import ROOT, Copy

from dsl.runs import results
from language_modeling import settings
from scripts.demonstration import plan, tables

# Leaves a run like those of the task, by ten nats or so: the second of two
# language models is the worse one, or by `$BETTER` the better one.
FAKE_TRAINER = """
import json, os, pathlib, sys
sys.path[:0] = [{root!r}, {support!r}]
import run_folders
from dsl.runs import results
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
    folder.mkdir()
    results.save(
        run_folders.make_record(
            task="number_prediction",
            model=model,
            test={{"accuracy": 0.3 if model == "lstm" else 0.99951}},
            published={{"test_accuracy": 0.805, "source": "A paper"}},
        ),
        folder / "result.json",
    )
else:
    *nll, sentence = run_folders.make_text()
    second = (model == "lstm") == bool(os.environ.get("BETTER"))
    run_folders.make_run(
        folder,
        scores=(nll[second], sentence),
        record={{"model": model, "true_perplexity": {{"test": 30.77}}}},
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
        *("dsl", "language_modeling", "number_prediction", "results/demo"),
        *("scripts/demonstration", "results/number_prediction/T11"),
    ):
        shutil.copytree(ROOT / folder, copy.root / folder)
    text = FAKE_TRAINER.format(
        root=str(ROOT), support=str(ROOT / "tests" / "support")
    )
    for script in (plan.NUMBERS, plan.WORDS):
        (copy.root / script.relative_to(ROOT)).write_text(text)
    copy.pretend_setup()
    return copy


def flags_of(folder):
    """The flags of each training, by the task and model in its name."""
    return {
        re.fullmatch(r"demo-(.*)-\d+-\d+-\d+", path.parent.name)[1]: json.loads(
            path.read_text()
        )
        for path in folder.glob("demo-*/arguments.json")
    }


def test_demo_trains_two_pairs_and_ends_with_tables_and_a_picture(demo):
    done = demo.call("demo", "--max_steps", "2", "--seed", "7")
    assert (done.returncode, done.stderr) == (0, "")
    (folder,) = demo.root.glob("runs/demo-*")
    found = flags_of(folder)
    assert sorted(found) == [
        *("numbers-dynamic_skip", "numbers-lstm"),
        *("words-dynamic_skip", "words-lstm"),
    ]
    for model in plan.MODELS:
        numbers, words = found[f"numbers-{model}"], found[f"words-{model}"]
        assert "--max_steps=2" in numbers and "--max_steps=2" in words
        data = numbers[numbers.index("--data_dir") + 1]
        assert data == str(demo.root / "data" / "number_prediction")
        assert "--seed 7" not in " ".join(numbers)
        assert " --seed 7 " in " ".join(words)
    begun = re.findall("^== (.*)$", done.stdout, flags=re.MULTILINE)
    assert begun == [
        "1 of 4: number prediction, plain LSTM",
        "2 of 4: number prediction, dynamic skip",
        "3 of 4: language model, plain LSTM",
        "4 of 4: language model, dynamic skip",
    ]
    (picture,) = folder.glob("demo-sentences-*.png")
    drawn = json.loads(picture.read_text())
    assert "words-dynamic_skip" in drawn[drawn.index("--load_model") + 1]
    sentences = picture.with_suffix(".txt").read_text().splitlines()
    assert len(sentences) == 4 and "<eos>" not in "".join(sentences)
    assert f"\n{picture}\n" in done.stdout
    last = done.stdout.splitlines()[-1]
    assert last.startswith(".venv/bin/python language_modeling/RL_train.py --l")


def rows_of(text):
    return [line for line in text.splitlines() if line.startswith("| ")]


def test_what_the_tables_say_is_what_was_measured(demo):
    done = demo.call("demo", "--max_steps", "2")
    text = "Number prediction" + done.stdout.split("Number prediction")[-1]
    rows = rows_of(text)
    first = [row.split("|")[1].strip() for row in rows]
    names = [*plan.MODELS.values()]
    assert [each for each in first if set(each) != {"-"}] == [
        *("model", *names) * 2,
        *("model", *names, "random control"),
    ]
    assert all(len(row) <= 100 and row.count("|") <= 8 for row in rows)
    said = text.partition("Which past word")[0]
    assert all(len(line) <= 100 for line in said.splitlines())
    text = " ".join(text.split())
    assert "| dynamic skip | 80.5 | 99.95 |" in text
    assert "is 69.95 points ahead of the plain LSTM. One seed is" in text
    assert "The true one is 30.77." in text
    assert re.search(r"The dynamic skip is [\d.]+ worse than the plain", text)
    assert "this run is a smoke test and judges nothing" in text
    demo.environment["BETTER"] = "1"
    done = demo.call("demo")
    assert "The dynamic skip is" in done.stdout
    assert not re.search(r"dynamic skip is [\d.]+ worse", done.stdout)
    assert "smoke test" not in done.stdout


def test_demo_writes_where_it_is_told(demo, tmp_path):
    for _ in range(2):
        done = demo.call("demo", "--train_dir", tmp_path / "my runs")
        assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("my runs/demo-*/result.json"))) == 8
    assert not (demo.root / "runs").exists()


def test_another_text_takes_the_place_of_the_generated_one(demo, tmp_path):
    for split in ("train", "valid", "test"):
        (tmp_path / f"{split}.txt").write_text("a b c\nd\ne f\n" * 99)
    done = demo.call("demo", "--data_dir", tmp_path)
    assert done.returncode == 0, done.stderr
    (folder,) = demo.root.glob("runs/demo-*")
    words = flags_of(folder)["words-lstm"]
    assert "--corpus" not in words
    assert words[words.index("--data_dir") + 1] == str(tmp_path)
    (sentences,) = folder.glob("demo-sentences-*.txt")
    assert sentences.read_text() == "a b c\ne f\n" * 2


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
    assert (process.returncode, said) == (130, "interrupted; saved\n")
    assert (tmp_path / "saved").exists()


@pytest.mark.parametrize("code", [1, 2, 3, 130])
def test_demo_ends_with_the_exit_code_of_a_failed_run(demo, code):
    demo.environment["STOP"] = str(code)
    done = demo.call("demo")
    assert done.returncode == code
    assert done.stdout.count("== ") == 1


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


@pytest.mark.parametrize("row", [*plan.MODELS, plan.CONTROL])
def test_what_is_kept_has_the_settings_of_the_demo(row):
    for seed, folder in plan.kept_words(row).items():
        wanted = settings.parse_args(plan.of_words(row, seed))
        found = results.load(folder)["settings"]
        for key, value in settings.of_run(wanted).items():
            if key in found:
                assert found[key] == value, (folder, key)


def page_of_the_demo():
    return (ROOT / "results" / "demo" / "README.md").read_text("utf-8")


def test_the_page_of_the_demo_has_the_table_of_what_is_kept():
    assert "\n".join(rows_of(tables.kept())) in page_of_the_demo()


def best_valid(folder):
    return f"{results.load(folder)['valid']['perplexity']:.2f}"


def test_the_page_of_the_demo_has_what_it_was_chosen_by():
    """Each validation perplexity, of what was chosen and of what was not."""
    page = page_of_the_demo()
    for row in (*plan.MODELS, plan.CONTROL):
        each = map(best_valid, plan.kept_words(row).values())
        assert re.search(rf"\| +{' +[|] +'.join(each)} \|", page), row
    tried = sorted((ROOT / "results" / "demo" / "tried").iterdir())
    assert len(tried) > 5
    for path in tried:
        shown = rf"^\| {path.name} .* {best_valid(path)} \|$"
        assert re.search(shown, page, re.MULTILINE), path.name
