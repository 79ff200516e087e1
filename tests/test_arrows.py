"""Who imports whom: from the top floor of the house downwards only."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TASKS = sorted(
    path.parent.name
    for path in ROOT.glob("*/__init__.py")
    if path.parent.name not in ("dsl", "scripts")
)
# The modules that lie in `dsl/` itself: equations, and what all have in common.
GROUND = "ground"
# By room, the rooms that it may import from, itself apart.
ARROWS = {
    GROUND: (),
    "system": (),
    "loops": (GROUND,),
    "policy": (GROUND, "loops"),
    "cells": (GROUND, "loops", "policy"),
    "layers": (GROUND, "loops", "policy", "cells"),
    "models": (GROUND, "loops", "policy", "cells"),
    "runs": (GROUND, "system"),
    "datasets": (GROUND, "system"),
}
_NETWORKS = (GROUND, "loops", "policy", "cells", "models")
ARROWS["scoring"] = (*_NETWORKS, "datasets", "system")
ARROWS["analysis"] = (*_NETWORKS, "datasets", "system")
ARROWS["training"] = (*_NETWORKS, "runs", "system")
ARROWS["experiment"] = tuple(ARROWS)
ARROWS |= {task: tuple(ARROWS) for task in TASKS}
ARROWS["scripts"] = tuple(ARROWS)
FILES = [
    path
    for folder in ("dsl", "scripts", *TASKS)
    for path in sorted((ROOT / folder).rglob("*.py"))
]


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_of(path) for path in FILES}


def room(module):
    """The room of a module; the package `dsl` itself has all of them."""
    first, *rest = module.split(".")
    if first != "dsl" or not rest:
        return first
    return rest[0] if (ROOT / "dsl" / rest[0]).is_dir() else GROUND


def imports(source):
    """The modules of the project that a source imports, wherever it does."""
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [x if x in MODULES else node.module for x in whole]
        yield from (name for name in names if name in MODULES)


def against_an_arrow(here, source):
    """The modules that a source of a room may not import."""
    allowed = {here, *ARROWS[here]}
    if here in ("experiment", "scripts", *TASKS):
        allowed.add("dsl")  # The public names.
    return sorted({x for x in imports(source) if room(x) not in allowed})


@pytest.mark.parametrize("path", FILES, ids=lambda path: module_of(path))
def test_every_import_goes_along_an_arrow(path):
    module = module_of(path)
    if module == "dsl":
        return  # It hands on names of every room, and imports late.
    assert against_an_arrow(room(module), path.read_text()) == []


def test_every_room_has_its_arrows():
    assert {room(module) for module in MODULES} <= {"dsl", *ARROWS}
    assert len(TASKS) >= 2


@pytest.mark.parametrize(
    ("here", "source", "found"),
    [
        ("loops", "from dsl.policy import choosing", ["dsl.policy.choosing"]),
        ("cells", "def f():\n    import dsl.layers", ["dsl.layers"]),
        ("models", "from dsl import LSTM", ["dsl"]),
        ("runs", "from dsl.experiment import entry", ["dsl.experiment.entry"]),
        (TASKS[0], f"import {TASKS[1]}", [TASKS[1]]),
        (TASKS[0], "from scripts import render", ["scripts.render"]),
        ("experiment", f"import {TASKS[0]}", [TASKS[0]]),
        ("experiment", "from dsl import LSTM, choices", []),
    ],
)
def test_what_goes_against_one_is_seen(here, source, found):
    assert against_an_arrow(here, source) == found


@pytest.mark.parametrize("path", FILES, ids=lambda path: module_of(path))
def test_no_room_below_the_experiment_knows_a_task_or_a_command_line(path):
    module = module_of(path)
    if not module.startswith("dsl") or room(module) == "experiment":
        return
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
    assert "argparse" not in names
