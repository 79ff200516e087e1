"""Set-up and command lines, as seen by somebody who types them."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from run_folders import make_record

from tests.experiment.test_entry import PROGRAMS

ROOT = Path(__file__).resolve().parents[2]


def is_bash(path):
    return path.is_file() and path.read_bytes().startswith(
        b"#!/usr/bin/env bash\n"
    )


SHELL = sorted(filter(is_bash, ROOT.glob("scripts/*")))


def name(path):
    return str(path.relative_to(ROOT))


def call(*command, **options):
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


@pytest.mark.parametrize("script", [*SHELL, ROOT / ".ci/run"], ids=name)
def test_shell_script_is_well_formed(script):
    done = call("bash", "-n", script)
    assert (done.returncode, done.stderr) == (0, "")
    assert os.access(script, os.X_OK)
    assert "set -eu\n" in script.read_text()


@pytest.mark.parametrize("script", PROGRAMS, ids=name)
def test_help_is_fast_and_quiet(script, tmp_path):
    """In less than half a second of the processor, whatever else runs."""
    seconds = []
    for _ in range(3):
        start = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = call(sys.executable, script, "--help", cwd=tmp_path)
        end = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(
            end.ru_utime - start.ru_utime + end.ru_stime - start.ru_stime
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("usage: ")
        if seconds[-1] < 0.5:
            break
    assert min(seconds) < 0.5
    assert not any(tmp_path.iterdir())
    # Which leaves out all docstrings.
    bare = call(sys.executable, "-OO", script, "--help", cwd=tmp_path)
    assert (bare.returncode, bare.stderr) == (0, "")
    assert bare.stdout == done.stdout


@pytest.mark.parametrize("script", PROGRAMS, ids=name)
def test_an_unknown_option_is_one_message_and_exit_2(script, tmp_path):
    done = call(sys.executable, script, "--no_such_option", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(re.findall("error: ", done.stderr)) == 1
    assert done.stderr.splitlines()[-1].startswith(f"{script.name}: error: ")


@pytest.mark.parametrize("script", PROGRAMS, ids=name)
def test_arguments_are_read_before_keras_is_imported(script):
    for argument in ("--help", "--no_such_option"):
        done = call(sys.executable, "-X", "importtime", script, argument)
        imported = {
            line.rpartition("|")[2].strip().partition(".")[0]
            for line in done.stderr.splitlines()
            if line.startswith("import time:")
        }
        assert "argparse" in imported
        assert not {"keras", "tensorflow", "jax"} & imported


# The table.


def run_folder(folder, **changes):
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(make_record(**changes)))
    return folder


def test_table_of_two_runs(tmp_path):
    first = run_folder(tmp_path / "a", model="lstm")
    second = run_folder(tmp_path / "b")
    done = call(sys.executable, ROOT / "scripts/table.py", first, second)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[2].startswith("| lstm ") and str(first) in lines[2]
    assert lines[3].startswith("| dynamic_skip ") and str(second) in lines[3]
    assert lines[4:] == ["", "Published: A paper, table 2"]


def test_table_of_a_run_without_a_record(tmp_path):
    good = run_folder(tmp_path / "a")
    done = call(sys.executable, ROOT / "scripts/table.py", good, tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"table.py: {tmp_path / 'result.json'}: no such file; "
        "a run writes it when it is done.\n"
    )


# The set-up, in a copy whose requirement files are empty, so that pip needs
# no network, and with a search path on which only chosen commands lie.

TOOLS = "bash cat cmp date dirname env mkdir rm sed uname"
OLD_PYTHON = '#!/usr/bin/env bash\necho 3.9.1\n[[ "$*" != *3,\\ 11* ]]\n'
BROKEN_PYTHON = "#!/usr/bin/env bash\necho not found >&2\nexit 127\n"
BARE_PYTHON = '#!/usr/bin/env bash\necho 3.12.1\n[[ "$*" != *ensurepip* ]]\n'
GOOD_PYTHON = f'#!/usr/bin/env bash\nexec "{sys._base_executable}" "$@"\n'


class Copy:
    """A copy of the project's set-up in a folder with a space in its name."""

    def __init__(self, folder):
        self.root = folder / "a copy"
        (self.root / "scripts").mkdir(parents=True)
        for script in SHELL:
            shutil.copy(script, self.root / "scripts")
        for file in ROOT.glob("requirements*.txt"):
            (self.root / file.name).write_text("# nothing\n")
        self.commands = folder / "commands"
        self.commands.mkdir()
        for tool in TOOLS.split():
            (self.commands / tool).symlink_to(shutil.which(tool))
        self.environment = {
            "PATH": str(self.commands),
            "HOME": str(folder),
            "PYTHONPATH": str(folder / "trap"),
            "PIP_USER": "1",
        }
        # Importing anything from the user's PYTHONPATH ends Python.
        (folder / "trap").mkdir()
        (folder / "trap" / "argparse.py").write_text("raise SystemExit(99)")

    def python(self, command, text):
        path = self.commands / command
        path.write_text(text)
        path.chmod(0o755)

    def call(self, script, *arguments):
        return call(
            self.root / "scripts" / script,
            *arguments,
            cwd=self.commands,
            env=self.environment,
        )

    def pretend_setup(self):
        """An environment that is there already, and nothing to check it."""
        (self.root / ".venv" / "bin").mkdir(parents=True)
        (self.root / "scripts" / "setup").write_text(
            '#!/usr/bin/env bash\nunset PYTHONPATH\nshift\nexec "$@"\n'
        )
        self.commands.joinpath("python3").rename(
            self.root / ".venv" / "bin" / "python"
        )

    def pretend_environment(self):
        """An environment that the set-up itself takes for ready."""
        (self.root / ".venv" / "bin").mkdir(parents=True)
        python = self.root / ".venv" / "bin" / "python"
        python.write_text(GOOD_PYTHON)
        python.chmod(0o755)
        version = f"{sys.version.split()[0]} on {os.uname().sysname} "
        (self.root / ".venv" / "installed-requirements.txt").write_text(
            f"# Python {version}{os.uname().machine}\n# nothing\n"
        )

    def start(self, script="setup"):
        return subprocess.Popen(
            [str(self.root / "scripts" / script)],
            env=self.environment,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=hear_ctrl_c,
        )


def hear_ctrl_c():
    """As at a terminal: what runs in the background ignores SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def copy(tmp_path):
    return Copy(tmp_path)


def test_setup_without_python_says_what_is_needed(copy):
    done = copy.call("setup")
    assert (done.returncode, done.stderr) == (
        1,
        "setup: Python 3.11, 3.12 or 3.13 is needed. Found: no python3.\n",
    )


def test_setup_with_unusable_pythons_says_what_was_found(copy):
    copy.python("python3", OLD_PYTHON)
    copy.python("python3.12", BROKEN_PYTHON)
    done = copy.call("setup")
    assert (done.returncode, done.stderr) == (
        1,
        "setup: Python 3.11, 3.12 or 3.13 is needed. "
        "Found: python3 is 3.9.1.\n",
    )


def test_setup_without_ensurepip_says_what_to_install(copy):
    copy.python("python3", BARE_PYTHON)
    done = copy.call("setup")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "sudo apt-get install python3.12-venv" in done.stderr


def test_setup_refuses_an_unknown_argument(copy):
    done = copy.call("setup", "everything")
    assert (done.returncode, done.stderr) == (
        2,
        "usage: scripts/setup [dev | jax] [-- COMMAND ...]\n",
    )


def test_setup_makes_the_environment_once(copy):
    copy.python("python3.13", BROKEN_PYTHON)
    copy.python("python3.12", BARE_PYTHON)
    copy.python("python3", GOOD_PYTHON)
    first = copy.call("setup")
    assert first.returncode == 0, first.stderr
    assert "making .venv with Python 3." in first.stderr
    assert first.stderr.count("\n") == 3

    start = time.perf_counter()
    second = copy.call("setup")
    assert (second.returncode, second.stderr) == (0, "")
    assert time.perf_counter() - start < 5

    developer = copy.call("setup", "dev")
    assert developer.returncode == 0
    assert "making" not in developer.stderr
    assert copy.call("setup").stderr == ""

    (copy.root / "requirements.txt").write_text("# something else\n")
    changed = copy.call("setup")
    assert "making" not in changed.stderr
    assert "installing requirements.txt" in changed.stderr

    (copy.root / "requirements.txt").write_text("no-such-package==0 @\n")
    failed = copy.call("setup")
    assert failed.returncode == 1
    assert "setup: pip could not install requirements.txt" in failed.stderr
    (copy.root / "requirements.txt").write_text("# right again\n")
    assert "making" not in copy.call("setup").stderr

    # What a set-up leaves that was killed.
    (copy.root / ".venv.unfinished").touch()
    assert "making .venv" in copy.call("setup").stderr
    assert sorted(path.name for path in copy.root.glob(".*")) == [".venv"]


HANGING = r"""#!/usr/bin/env bash
[[ "$*" = *-m\ venv* ]] || exec "{python}" "$@"
# In a process that is not the one that was started.
"{python}" -c "import time, pathlib; pathlib.Path('{ready}').touch()
time.sleep(100)" & wait
"""


@pytest.mark.parametrize(
    ("script", "number"),
    [("setup", signal.SIGTERM), ("compare", signal.SIGINT)],
)
def test_a_signal_ends_a_setup_with_all_it_started(copy, script, number):
    ready = copy.root / "ready"
    text = HANGING.format(python=sys._base_executable, ready=ready)
    copy.python("python3", text)
    with copy.start(script) as process:
        while not ready.exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        # Ends once nobody holds its error stream any more.
        said = process.communicate(timeout=30)[1].splitlines()
    assert process.returncode == 130
    assert len(said) == 2 and said[0].startswith("setup: making .venv ")
    assert said[1] == "setup: interrupted."
    assert (copy.root / ".venv.unfinished").exists()


def test_what_follows_a_setup_runs_where_it_was_called(copy):
    copy.pretend_environment()
    done = copy.call("setup", "--", "bash", "-c", "pwd; exit 7", "x", "--")
    assert (done.returncode, done.stderr) == (7, "")
    assert done.stdout == f"{copy.commands}\n"


def test_two_setups_at_once_make_one_environment(copy):
    copy.python("python3", GOOD_PYTHON)
    both = [copy.start(), copy.start()]
    said = "".join(process.communicate(timeout=120)[1] for process in both)
    assert [process.returncode for process in both] == [0, 0], said
    assert said.count("making .venv") == 1
    assert said.count("is ready") == 1


# The demo, with a trainer that only writes down how it was called.

FAKE_TRAINER = """
import json, os, pathlib, sys
arguments = sys.argv[1:]
value = lambda flag: arguments[arguments.index(flag) + 1]
if "--stop" in arguments:
    sys.exit(int(value("--stop")))
folder = pathlib.Path(value("--train_dir"), value("--name"))
folder.mkdir(parents=True)
(folder / "arguments.json").write_text(json.dumps(arguments))
record = json.loads(pathlib.Path(__file__).with_name("r.json").read_text())
if "--model" in arguments:
    record["model"] = value("--model")
(folder / "result.json").write_text(json.dumps(record))
assert os.environ["KERAS_BACKEND"] == "tensorflow"
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
def demo(copy):
    copy.python("python3", GOOD_PYTHON)
    numbers = make_record(
        task="number_prediction",
        test={"accuracy": 0.99951, "accuracy_sampled_mean": 0.98},
        published={"test_accuracy": 0.805, "source": "A paper, table 9"},
    )
    for script, record in (
        ("language_modeling/RL_train.py", make_record()),
        ("number_prediction/train_RL10_1.py", numbers),
    ):
        path = copy.root / script
        path.parent.mkdir()
        path.write_text(FAKE_TRAINER)
        path.with_name("r.json").write_text(json.dumps(record))
    for script in ROOT.glob("scripts/*.py"):
        shutil.copy(script, copy.root / "scripts")
    shutil.copytree(ROOT / "dsl", copy.root / "dsl")
    return copy


def test_demo_trains_all_models_and_prints_a_table_of_each_task(demo):
    for _ in range(2):
        done = demo.call("demo", "--max_steps", "2", "--data_dir", "a b")
        assert done.returncode == 0, done.stderr
        words, numbers = done.stdout.split("\n\n")[:2]
        for shown, expected in (
            (words, ["model", "lstm", "dynamic_skip"]),
            (numbers, ["model", "dynamic_skip"]),
        ):
            models = re.findall(r"^\| (\S+)", shown, flags=re.MULTILINE)
            assert models[:1] + models[2:] == expected
        assert " 99.95 |" in numbers and " 80.5 published |" in numbers
        assert "Published: A paper, table 9" in done.stdout
    written = sorted(demo.root.glob("runs/demo-*/demo-*/arguments.json"))
    assert len(written) == 6
    for path in written:
        arguments = json.loads(path.read_text())
        if "numbers" in path.parent.name:
            assert arguments[:3] == ["--produce", "--epoch", "1"]
            data = arguments[arguments.index("--data_dir") + 1]
            assert data == str(demo.root / "data" / "number_prediction")
            continue
        assert arguments[:2] == ["--preset", "quick"]
        assert arguments[-4:] == ["--max_steps", "2", "--data_dir", "a b"]


def test_demo_writes_where_it_is_told(demo, tmp_path):
    demo.pretend_setup()
    done = demo.call("demo", "--train_dir", tmp_path / "my runs")
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("my runs/demo-*/result.json"))) == 3
    assert not (demo.root / "runs").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_demo_reaches_its_training(demo, tmp_path, number):
    """Which takes its time to save, and is waited for."""
    demo.pretend_setup()
    (demo.root / "language_modeling/RL_train.py").write_text(
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
    demo.pretend_setup()
    done = demo.call("demo", "--stop", code)
    assert (done.returncode, done.stdout) == (code, "")
    # A flag that is wrong is found before anything is trained.
    assert not list(demo.root.glob("runs/*/*/arguments.json"))


def test_demo_help_and_usage_errors_need_no_setup(copy):
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
