"""What Keras finds of the library after a bare `import dsl`."""

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import dsl
from dsl import registration

pytestmark = pytest.mark.backend

ROOT = Path(__file__).resolve().parents[1]

LOAD = """
import importlib.util, json, sys
import dsl

# A look at whether Keras is there is not its import.
importlib.util.find_spec("keras")
if "keras" in sys.modules:
    sys.exit("import dsl has imported Keras")
import keras

folder = sys.argv[1]
for name in ("layers.keras", "layers.h5", "words.keras"):
    model = keras.models.load_model(f"{folder}/{name}")
    assert model.built and model.optimizer is not None, name
    print(name, type(model.optimizer).__name__)
with open(f"{folder}/model.json") as file:
    model = keras.models.model_from_json(file.read())
model.load_weights(f"{folder}/model.weights.h5")
print("model.json", type(model.optimizer).__name__)
print(json.dumps([float(abs(x).sum()) for x in model.get_weights()]))
if set(sys.modules) & {"tensorflow", "jax"} != {keras.config.backend()}:
    sys.exit("another backend has been imported")
"""


def small_model():
    cell = dsl.DynamicSkipLSTMCell(4, num_actions=3, policy_units=2)
    return keras.Sequential(
        [
            keras.Input((None, 3)),
            keras.layers.RNN(cell, return_sequences=True),
            dsl.LSTM(
                3,
                return_sequences=True,
                recurrent_initializer=dsl.GateOrthogonal(1),
            ),
            dsl.AttentionLSTM(3, num_states=2, attention_units=2),
        ]
    )


def grouped():
    return dsl.GroupedOptimizer(keras.optimizers.SGD(0.1))


def test_a_new_process_loads_everything(tmp_path):
    model = small_model()
    model.compile(grouped(), "mse")
    model.save(tmp_path / "layers.keras")
    (tmp_path / "model.json").write_text(model.to_json())
    model.save_weights(tmp_path / "model.weights.h5")
    # Keras names losses and optimizers of its own in an HDF5 file.
    model.compile("sgd", keras.losses.MeanSquaredError())
    model.save(tmp_path / "layers.h5")
    words = dsl.LanguageModel(
        5, [dsl.LSTM(3, return_sequences=True, return_state=True)], 3
    )
    words.compile(grouped(), "mse")
    words.build((2, 3))
    words.save(tmp_path / "words.keras")
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": keras.config.backend()},
    )
    assert done.returncode == 0, done.stderr
    *names, found = done.stdout.splitlines()
    assert names == [
        "layers.keras GroupedOptimizer",
        "layers.h5 SGD",
        "words.keras GroupedOptimizer",
        "model.json GroupedOptimizer",
    ]
    expected = [np.abs(weight).sum() for weight in model.get_weights()]
    np.testing.assert_allclose(json.loads(found), expected, rtol=1e-6)


@pytest.fixture
def forgotten():
    """Keras' registry without what modules have registered so far."""
    registry = keras.saving.get_custom_objects()
    before = dict(registry)
    for name in [name for name in before if name.startswith("dsl>")]:
        del registry[name]
    yield registry
    registry.clear()
    registry.update(before)


def test_keras_first(forgotten):
    config = keras.saving.serialize_keras_object(dsl.LSTM(4))
    with pytest.raises(TypeError, match="Could not locate class 'LSTM'"):
        keras.saving.deserialize_keras_object(config)
    importlib.reload(dsl)
    ours = sorted(name for name in forgotten if name.startswith("dsl>"))
    assert ours == [f"dsl>{name}" for name in sorted(dsl.__all__)]
    assert keras.saving.deserialize_keras_object(config).units == 4


SAVING = """
found = {}
def get_custom_objects():
    return found
"""
AT_ONCE = """
import sys
import FIRST
from dsl import registration
import keras
from keras import saving

print(*saving.get_custom_objects())
print([x for x in sys.meta_path if type(x).__module__ == "dsl.registration"])
"""


@pytest.mark.parametrize(
    ("first", "within"),
    [
        ("dsl", ""),
        ("keras", "import dsl"),
        ("keras", ""),
        ("dsl", "import dsl"),
    ],
)
def test_nothing_waits_for_keras_once_it_is_there(tmp_path, first, within):
    """Whichever comes first, or while the other is half imported."""
    (tmp_path / "keras" / "saving").mkdir(parents=True)
    package = tmp_path / "keras" / "__init__.py"
    package.write_text(f"{within}\nfrom keras import saving\n")
    (tmp_path / "keras" / "saving" / "__init__.py").write_text(SAVING)
    done = subprocess.run(
        [sys.executable, "-c", AT_ONCE.replace("FIRST", first)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
    )
    assert done.returncode == 0, done.stderr
    names = " ".join(f"dsl>{name}" for name in dsl.HOMES)
    assert done.stdout == f"{names}\n[]\n"


def test_what_has_been_registered_stays(forgotten):
    forgotten["dsl>LSTM"] = dsl.LSTM
    registration.register(dsl.HOMES)
    assert forgotten["dsl>LSTM"] is dsl.LSTM


def test_every_class_that_can_be_saved_is_known():
    registered = re.compile(r"register_keras_serializable\((.*)\)\nclass (\w+)")
    found = {
        name: package
        for path in ROOT.glob("dsl/**/*.py")
        for package, name in registered.findall(path.read_text())
    }
    assert len(found) > 10
    assert set(found) == set(dsl.__all__)
    assert set(found.values()) == {'package="dsl"'}
    for name in dsl.__all__:
        registered = keras.saving.get_registered_name(getattr(dsl, name))
        assert registered == f"dsl>{name}"


def test_modules_are_attributes_of_the_library(monkeypatch):
    for name in ("cells", "layers", "models", "policy"):
        monkeypatch.delitem(dsl.__dict__, name, raising=False)
        assert getattr(dsl, name) is sys.modules[f"dsl.{name}"]
    for name in ("lstm", "_private", "layers.lstm", "__wrapped__"):
        assert not hasattr(dsl, name)


def test_a_module_that_misses_another_says_which(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    monkeypatch.delitem(sys.modules, "dsl.seeds", raising=False)
    monkeypatch.delitem(sys.modules, "dsl.draws")
    monkeypatch.delitem(dsl.__dict__, "draws", raising=False)
    with pytest.raises(ModuleNotFoundError, match="keras"):
        _ = dsl.draws
