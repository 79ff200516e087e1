"""The same numbers on every backend.

`golden_backends.json` was written on TensorFlow by

    KERAS_BACKEND=tensorflow PYTHONPATH=. python tests/test_backends.py
"""

import ast
import functools
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import small_models
from gradients import gradients
from keras import ops
from small_models import ACTIONS, BATCH, STEPS

import dsl
from dsl.policy.acting import ONCE
from dsl.policy.signal import PolicySignal
from dsl.training.optimizers import GroupedOptimizer

pytestmark = pytest.mark.backend

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = Path(__file__).with_name("golden_backends.json")
SEGMENTS = 10
# One matrix product after the other: float32 sums in another order.
RELATIVE = 1e-4


class ForcedModel(dsl.LanguageModel):
    """A language model whose distances follow from the words."""

    def call(self, tokens, states=None, training=False, acting=ONCE, **more):
        acting = acting.taking(1 + tokens % ACTIONS)
        return super().call(tokens, states, training, acting=acting, **more)


def build():
    """A trainer whose agent has an optimizer of its own."""
    model = small_models.build(cls=ForcedModel)
    signal = PolicySignal(
        baseline="value", value_units=3, discount=0.9, entropy_weight=0.3
    )
    optimizer = GroupedOptimizer(
        keras.optimizers.SGD(0.3), keras.optimizers.Adam(0.01), max_norm=2.0
    )
    trainer = small_models.trainer(model, signal, optimizer, graph=True)
    rng = np.random.default_rng(6)
    for variable in signal.value.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    return trainer


def summary(arrays):
    """Norm and two entries of each array."""
    arrays = [np.asarray(array, np.float64) for array in arrays]
    return {
        "norms": [np.linalg.norm(array) for array in arrays],
        "first": [array.flat[0] for array in arrays],
        "last": [array.flat[-1] for array in arrays],
    }


def to_numpy(variables):
    return [ops.convert_to_numpy(variable) for variable in variables]


@functools.cache
def numbers():
    """What is compared, as lists of floats."""
    trainer = build()
    batches = small_models.batches(SEGMENTS)
    x, y = (ops.array(part) for part in batches[0])
    outputs = trainer.language_model(x)
    found = {
        "logits": ops.convert_to_numpy(outputs["logits"]).ravel()[::7],
        "log_prob": ops.convert_to_numpy(outputs["policy"]["log_prob"]).ravel(),
        "entropy": ops.convert_to_numpy(outputs["policy"]["entropy"]).ravel(),
        "look_back": ops.convert_to_numpy(
            outputs["policy"]["look_back"]
        ).ravel(),
        "states": summary(to_numpy(outputs["states"][:4]))["norms"],
    }
    embedding = trainer.language_model.embedding.embeddings
    learned = [v for v in trainer.trainable_variables if v is not embedding]

    def loss():
        outputs = trainer(x, training=True)
        return trainer.compute_loss(x, y, outputs, training=True)

    found["loss"], of_variables, _ = gradients(loss, learned)
    found["gradients"] = summary(of_variables)
    trainer.begin_epoch()
    found["losses"] = [trainer.train_on_batch(*batch) for batch in batches]
    statistics = trainer.read_statistics()
    found["perplexity"] = statistics["perplexity"]
    found["histogram"] = statistics["histogram"]
    found["weights"] = summary(to_numpy(trainer.trainable_variables))
    found["carried"] = summary(to_numpy(trainer.carried.states))
    return keras.tree.map_structure(plain, found)


def plain(value):
    """Rounded to what float32 holds, for a file that people can read."""
    if isinstance(value, np.ndarray):
        return [plain(item) for item in value.tolist()]
    return float(f"{float(value):.7g}")


GROUPS = [
    "logits",
    "log_prob",
    "entropy",
    "look_back",
    "states",
    "loss",
    "gradients",
    "losses",
    "perplexity",
    "histogram",
    "weights",
    "carried",
]


@pytest.mark.parametrize("group", GROUPS)
def test_numbers_are_those_of_tensorflow(group):
    golden = json.loads(GOLDEN.read_text())
    assert sorted(golden) == sorted(GROUPS)
    found, expected = numbers()[group], golden[group]
    assert type(found) is type(expected)
    keras.tree.map_structure(
        lambda left, right: np.testing.assert_allclose(
            left, right, rtol=RELATIVE, atol=1e-5
        ),
        found,
        expected,
    )


def test_the_golden_numbers_say_something():
    """Every distance is taken, everything learns, and nothing is zero."""
    golden = json.loads(GOLDEN.read_text())
    assert min(golden["histogram"]) > 0.1
    assert set(golden["look_back"]) == {1.0, 2.0, 3.0}
    assert min(golden["gradients"]["norms"]) > 1e-3
    assert len(golden["losses"]) == SEGMENTS
    assert golden["losses"][-1] < golden["losses"][0] - 5.0
    before = summary(to_numpy(build().trainable_variables))["last"]
    for left, right in zip(before, golden["weights"]["last"], strict=True):
        assert abs(left - right) > 1e-3


def test_the_first_loss_of_the_epoch_is_that_of_the_gradient():
    found = numbers()
    np.testing.assert_allclose(found["loss"], found["losses"][0], rtol=1e-5)
    assert len(found["log_prob"]) == BATCH * STEPS


def imported_at_module_level(path):
    """First parts of the names that a file imports when it is imported."""
    pending = list(ast.parse(path.read_text()).body)
    while pending:
        node = pending.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]
        pending.extend(ast.iter_child_nodes(node))


def test_no_module_of_the_library_imports_a_backend():
    files = sorted(ROOT.glob("dsl/**/*.py"))
    assert len(files) > 20
    for path in files:
        found = set(imported_at_module_level(path))
        assert not found & {"tensorflow", "jax", "torch"}, path


@pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX is not installed"
)
def test_jax_needs_no_tensorflow():
    """Not even where it is installed: importing it fails here."""
    code = (
        "import sys; sys.modules['tensorflow'] = None\n"
        "import dsl, dsl.layers, dsl.models\n"
        "import dsl.training.loop, dsl.training.optimizers\n"
        "import dsl.policy.signal, dsl.runs.folder, dsl.training.streams\n"
        "from language_modeling import model, task\n"
        "assert 'jax' in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "jax"},
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(numbers(), indent=1) + "\n")
