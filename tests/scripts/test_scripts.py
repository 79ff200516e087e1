"""Set-up and command lines, as seen by somebody who types them."""

import json
import os
import re
import resource
import signal
import sys
import time

import pytest
from project_copy import (
    BARE_PYTHON,
    BROKEN_PYTHON,
    GOOD_PYTHON,
    OLD_PYTHON,
    ROOT,
    SHELL,
    Copy,
    call,
)
from run_folders import make_record

from tests.experiment.test_entry import PROGRAMS


def name(path):
    return str(path.relative_to(ROOT))


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
        "usage: scripts/setup [dev | jax | plots] [-- COMMAND ...]\n",
    )


def test_what_shares_an_environment_asks_for_the_same_versions():
    found = {}
    for kind in ("", "-dev", "-plots"):
        text = (ROOT / f"requirements{kind}.txt").read_text()
        for package, version in re.findall(r"^([\w-]+)==(.+)$", text, re.M):
            assert found.setdefault(package, version) == version


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

    for kind in ("dev", "plots"):
        further = copy.call("setup", kind)
        assert further.returncode == 0
        assert f" requirements-{kind}.txt (" in further.stderr
        assert "making" not in further.stderr
        for ready in ([], ["dev"], [kind]):
            assert copy.call("setup", *ready).stderr == ""

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
