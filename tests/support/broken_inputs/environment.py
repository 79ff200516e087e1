"""What is around a program: variables, tools, and the clock."""

import os
import time

from broken_inputs.case import (
    COMPARE,
    DONE,
    GRADIENTS,
    KEEP,
    LOAD,
    LONG,
    NEW,
    NUMBERS,
    OVERHEAD,
    PRODUCE,
    RED,
    RESUME,
    TABLE,
    Case,
)

BACKENDS = (
    *("numpy", "torch", "openvino", "theano", "TensorFlow", "tensorflow "),
    *("jax\n", "tensorflow,jax", RED, LONG),
)
NO_DATA = ("nowhere", "text.txt", "text.txt/data", LONG, RED, "a\nb", "\udcff")
# Those that work with Keras.
ON_KERAS = (
    ("RL_train", NEW),
    ("RL_train", RESUME),
    ("RL_train", LOAD),
    ("gradient_norms", GRADIENTS),
    ("overhead", OVERHEAD),
    ("train_RL10_1", NUMBERS),
)
# Those that start in no time, and what they write.
QUICK = (
    ("table", TABLE, ()),
    ("compare", COMPARE, ()),
    ("keep", KEEP, ("kept", "kept/*")),
    ("produce_data", PRODUCE, ()),
    ("RL_train", ["--help"], ()),
)
# Variables, as a shell sets them.
VARIABLES = {
    "warnings as errors": "PYTHONWARNINGS=error",
    "without docstrings": "PYTHONOPTIMIZE=2",
    "an ASCII terminal": "PYTHONIOENCODING=ascii",
    "an ASCII system": "LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0",
    "no such language": "LC_ALL=xx_XX LANG=xx",
    "no variables": "-i",
    "no column": "COLUMNS=0 LINES=0 TERM=",
}


def variable(name, value):
    """Sets a variable."""
    return lambda folder, patch: patch.setenv(name, value)


def tool(name, script):
    """Puts a script in the place of a command; None for no command at all."""

    def around(folder, patch):
        tools = folder.parent / "tools"
        patch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
        if script is None:
            patch.setenv("PATH", str(tools))
            return
        tools.mkdir()
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)

    return around


def clock(year):
    """Sets the clock to a year."""

    def around(folder, patch):
        moment = (year - 1970) * 31_557_600.0
        local = time.localtime

        def then(seconds=None):
            return local(moment if seconds is None else seconds)

        patch.setattr(time, "time", lambda: moment)
        patch.setattr(time, "localtime", then)

    return around


def environment():
    for program, arguments in ON_KERAS:
        for value in BACKENDS:
            yield Case(
                "environment",
                f"{program} {arguments[-1]}, KERAS_BACKEND {value!a:.20}",
                list(arguments),
                2,
                ("KERAS_BACKEND", repr(value)[:20]),
                program,
                around=variable("KERAS_BACKEND", value),
                silent=True,
            )
    for program, arguments in ON_KERAS[:5]:
        for value in NO_DATA:
            yield Case(
                "environment",
                f"{program} {arguments[-1]}, DSL_DATA_DIR {value!a:.20}",
                list(arguments),
                3,
                ("DSL_DATA_DIR",),
                program,
                around=variable("DSL_DATA_DIR", value),
            )
    for name, script in (
        ("no UTF-8", r"printf '\377\033[31m\n'"),
        ("nothing", "exit 0"),
        ("a failure", "echo failed >&2; exit 3"),
        ("two lines", "echo one; echo two"),
        ("ended by a signal", "kill -9 $$"),
        ("much", "head -c 1000000 /dev/zero | tr '\\0' x"),
        ("no git", None),
    ):
        yield Case(
            "environment",
            f"git, {name}",
            DONE,
            0,
            around=tool("git", script),
        )
    for year in (1970, 1979, 2107, 2108, 2200):
        for program, arguments, writes in QUICK[:4]:
            yield Case(
                "environment",
                f"{program} in {year}",
                list(arguments),
                0,
                program=program,
                writes=writes,
                around=clock(year),
            )
    for name, variables in VARIABLES.items():
        for program, arguments, writes in QUICK:
            yield Case(
                "environment",
                f"{program}, {name}",
                list(arguments),
                0,
                program=program,
                writes=writes,
                shell=f'env {variables} "$@"',
            )
