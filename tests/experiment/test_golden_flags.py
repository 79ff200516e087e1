"""The flags of both tasks are those that they had, down to their defaults.

`golden_flags.json` holds, for each task, the flags of its program as they were
before they were declared; the settings that a command line without flags
gives; and for further command lines what differs from that, or for a longer
one from the line of its first flag alone, or the error.
"""

import functools
import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from language_modeling import RL_train
from language_modeling.task import TASK as LANGUAGE
from number_prediction import train_RL10_1, train_RL20_1
from number_prediction.task import TASK as NUMBERS

pytestmark = pytest.mark.backend

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = json.loads(Path(__file__).with_name("golden_flags.json").read_text())
NEW = {
    *("seeds", "patience", "load_model", "split", "verbosity"),
    *("scoring", "relative"),
}
every_task = pytest.mark.parametrize(
    "task", [LANGUAGE, NUMBERS], ids=lambda task: task.name
)
PROGRAMS = [
    "language_modeling/RL_train.py",
    "number_prediction/train_RL10_1.py",
    "number_prediction/train_RL20_1.py",
]


@every_task
def test_every_flag_is_spelled_as_it_was(task):
    flags = {
        action.dest: [
            action.option_strings,
            action.choices and list(action.choices),
            action.nargs,
            action.metavar,
        ]
        for action in task.flags.make_parser()._actions
    }
    before = GOLDEN[task.name]["flags"]
    assert {name: flags.get(name) for name in before} == before
    assert {*flags} - {*before} <= {"help", *NEW}
    assert {*flags} >= NEW


def settings(parse, line):
    """What a command line gives, as JSON has it, without what is new."""
    args = vars(parse(line.split()))
    assert args.pop("given") is not None
    return json.loads(json.dumps(args))


def check(found, expected):
    """The settings are those, and what is new is as if it were not there."""
    assert {name: found[name] for name in expected} == expected
    new = {name: found[name] for name in found.keys() - expected.keys()}
    neutral = {"split": ["valid", "test"], "verbosity": "info"}
    assert new == {name: neutral.get(name) for name in new}
    assert {*new} <= NEW


@every_task
def test_a_command_line_gives_the_settings_that_it_gave(task, capsys):
    golden = GOLDEN[task.name]
    known = {"": golden["defaults"]}
    check(settings(task.parse, ""), known[""])
    assert len(golden["lines"]) == (103 if task is LANGUAGE else 55)
    for line, differing in golden["lines"]:
        if isinstance(differing, str):
            with pytest.raises(SystemExit) as stop:
                task.parse(line.split())
            assert stop.value.code == 2
            assert capsys.readouterr().err == differing, line
            continue
        start = " ".join(line.split()[:2])
        known[line] = {**known.get(start, known[""]), **differing}
        check(settings(task.parse, line), known[line])


@pytest.mark.parametrize(
    ("line", "differing"),
    [
        ("", {"length": 20}),
        ("--length 10", {}),
        ("--recipe published_code", {"length": 20, "policy_weight": 0.05}),
    ],
)
def test_the_twin_differs_in_its_length(line, differing):
    usual = settings(train_RL10_1.parse_args, line)
    found = settings(train_RL20_1.parse_args, line)
    assert found == {**usual, **differing}


def seconds(*arguments):
    """Processor time of a process, the least of three."""

    def used():
        found = resource.getrusage(resource.RUSAGE_CHILDREN)
        return found.ru_utime + found.ru_stime

    each = []
    for _ in range(3):
        before = used()
        subprocess.run(
            [sys.executable, *arguments],
            stdout=subprocess.DEVNULL,
            check=True,
            cwd=ROOT,
            timeout=120,
        )
        each.append(used() - before)
    return min(each)


@functools.cache
def patience():
    """0.3 seconds; more where even NumPy takes long to be imported."""
    return max(0.3, 3 * seconds("-c", "import numpy"))


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_is_there_at_once(program):
    assert seconds(str(ROOT / program), "--help") < patience()


FRAMEWORKS = """
import runpy, sys
sys.argv = [sys.argv[1], "--help"]
try:
    runpy.run_path(sys.argv[0])["parse_args"]()
except SystemExit:
    print({"keras", "tensorflow", "jax", "matplotlib"} & {*sys.modules})
"""


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_imports_no_framework(program):
    done = subprocess.run(
        [sys.executable, "-c", FRAMEWORKS, str(ROOT / program)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.startswith(f"usage: {Path(program).name} [-h]")
    assert done.stdout.splitlines()[-1] == "set()", done.stderr


def test_the_programs_read_the_flags_of_their_tasks():
    assert settings(RL_train.parse_args, "") == settings(LANGUAGE.parse, "")
    assert settings(train_RL10_1.parse_args, "") == settings(NUMBERS.parse, "")
