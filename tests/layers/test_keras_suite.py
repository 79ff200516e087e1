"""Keras' own tests of recurrent layers, with this library's in their place.

Keras ships its tests. Each layer of the library, and each of its cells inside
of `keras.layers.RNN`, stands in wherever they make a recurrent layer or a cell
of two states. An LSTM must give Keras' numbers; so must a layer that keeps
five states where the share of the chosen one is too small to be seen. In the
place of another kind of layer only the shapes of what it gives are held to.
The frame that all layers share stands in for `keras.layers.RNN` itself, around
Keras' own cells, and must give the numbers of those.

`BY_DESIGN` lists what differs, and why. What does not differ fails there.
"""

import functools
import importlib
import inspect
import re
from typing import NamedTuple
from unittest import mock

import keras
import numpy as np
import pytest
from keras import ops
from keras.src import layers as keras_layers
from keras.src.layers.rnn.dropout_rnn_cell import DropoutRNNCell

import dsl
from dsl.layers.recurrent import Recurrent

pytestmark = [
    # Keras' harness trains on a generator, and on the task's loss alone.
    pytest.mark.filterwarnings("ignore:`shuffle=True` was passed"),
    pytest.mark.filterwarnings("ignore:Gradients do not exist for variables"),
]

IS_JAX = keras.backend.backend() == "jax"
# Keras' test files, and what of the library stands in there.
FILES = {
    "lstm_test": ("layer",),
    "rnn_test": ("layer", "cell", "frame"),
    "bidirectional_test": ("layer",),
    "time_distributed_test": ("layer",),
    "stacked_rnn_cells_test": ("cell",),
    "dropout_rnn_cell_test": ("layer", "cell", "frame"),
}
# What of Keras makes way, in `keras.layers` and in the test files themselves.
LAYERS = ("LSTM", "GRU", "SimpleRNN")
CELLS = ("LSTMCell", "GRUCell", "SimpleRNNCell")
OWN_CELLS = ("TwoStatesRNNCell", "RNNCellWithDropout")
MAKES_WAY = re.compile(
    rf"layers\.({'|'.join((*LAYERS, *CELLS, 'Dense'))})\b"
    rf"|\b({'|'.join(OWN_CELLS)})\("
)
# Tests that say nothing of the library: it has no second loop for a GPU, with
# which the first could agree.
APART = (
    "test_fused_lstm_matches_unfused",
    "test_fused_gru_matches_unfused",
    "test_torch_cudnn_bidirectional_gru_dispatch_fires",
    # Compiles the layer once for each of 20 steps, for minutes.
    "test_with_mask_zero",
)
# Those that scripts/test_jax runs too, but for what runs Keras' harness: all
# of them would take minutes there.
ON_JAX = (("lstm_test", "layer"), ("rnn_test", "layer"), ("rnn_test", "frame"))
UNSEEN = 1e-12


class Variant(NamedTuple):
    """A layer and its cell.

    Args:
        layer: Class of the layer.
        cell: Class of the cell.
        arguments: Dict of what both are made with.
        num_weights: How many trainable weights a cell has.
        num_states: K.
    """

    layer: type
    cell: type
    arguments: dict
    num_weights: int
    num_states: int


def variants():
    """Each layer of the library, of one state and of five."""
    yield Variant(dsl.LSTM, dsl.LSTMCell, {}, 3, 1)
    for layer, cell, argument, num_weights in (
        (dsl.DynamicSkipLSTM, dsl.DynamicSkipLSTMCell, "num_actions", 7),
        (dsl.FixedSkipLSTM, dsl.FixedSkipLSTMCell, "skip", 3),
        (dsl.AttentionLSTM, dsl.AttentionLSTMCell, "num_states", 7),
    ):
        yield Variant(layer, cell, {argument: 1}, 3, 1)
        arguments = {argument: 5, "skip_weight": UNSEEN}
        yield Variant(layer, cell, arguments, num_weights, 5)


class Difference(NamedTuple):
    """What a test of Keras' is bound to find.

    Args:
        tests: Their names.
        num_states: Of which layers.
        error: Class of the error.
        message: Pattern of its text.
    """

    tests: tuple
    num_states: tuple
    error: type
    message: str


BY_DESIGN = (
    # A layer of K states returns h, c, those before them, and a count.
    Difference(
        (
            "test_return_state",
            "test_forward_pass_two_states",
            "test_passing_initial_state_two_states",
            "test_statefulness_two_states",
        ),
        (5,),
        ValueError,
        "values to unpack",
    ),
    # No loop of cuDNN's runs any cell of the library.
    Difference(
        ("test_fused_lstm_eligibility", "test_fused_gru_eligibility"),
        (1, 5),
        AssertionError,
        "False is not true",
    ),
    # Keras' SimpleRNN knows no `use_cudnn`; what stands in for it does.
    Difference(
        ("test_keeps_use_cudnn",), (1, 5), AssertionError, "True is not false"
    ),
)


class Namespace:
    """`keras.layers`, but for some names."""

    def __init__(self, **names):
        self.__dict__.update(names)

    def __getattr__(self, name):
        return getattr(keras_layers, name)


class StandIn:
    """Changes names in the module of Keras' tests while one of them runs."""

    module = None

    def setUp(self):
        super().setUp()
        self.num_made = 0
        if IS_JAX:
            # Each layer would compile its loop anew.
            self.enterContext(importlib.import_module("jax").disable_jit())
        for name, value in self.names().items():
            if hasattr(self.module, name):
                patch = mock.patch.object(self.module, name, value)
                patch.start()
                self.addCleanup(patch.stop)

    def tearDown(self):
        super().tearDown()
        # Else the test says nothing of the library.
        assert self.num_made


class Library(StandIn):
    """A variant in the place of what Keras' tests make."""

    variant = None
    kind = None
    trained = set()

    def names(self):
        self.is_lstm = True
        names = {name: self._made("layer", name) for name in LAYERS}
        names |= {name: self._made("cell", name) for name in CELLS}
        names["Dense"] = self._dense
        if self.kind == "layer":
            names["RNN"] = self._rnn
        own = {name: self._made("cell", name) for name in OWN_CELLS}
        return {"layers": Namespace(**names), **own}

    def _made(self, kind, name):
        """A function that makes what stands in for `name`."""
        cls = getattr(self.variant, kind)

        def make(*args, state_size=None, **kwargs):
            self.num_made += 1
            self.is_lstm = self.is_lstm and name.startswith("LSTM")
            if name == "RNNCellWithDropout":
                kwargs = {"dropout": 0.5, "recurrent_dropout": 0.5, **kwargs}
            if name.startswith("GRU"):
                kwargs.pop("reset_after", None)
            return cls(*args, **{**self.variant.arguments, **kwargs})

        return make

    def _rnn(self, cell, **kwargs):
        if not isinstance(cell, self.variant.cell):
            return keras_layers.RNN(cell, **kwargs)
        config = cell.get_config()
        del config["name"]
        return self.variant.layer.from_config({**config, **kwargs})

    def _dense(self, *args, **kwargs):
        return OneStep(self._made("layer", "Dense")(*args, **kwargs))

    def assertAllClose(self, actual, desired, **options):
        if self.is_lstm:
            super().assertAllClose(actual, desired, **options)
        else:
            self.assertEqual(np.shape(actual), np.shape(desired))

    def run_layer_test(self, layer_cls, init_kwargs, **options):
        if layer_cls is self.module.layers.LSTM and self.variant.num_states > 1:
            # Held to no numbers, so that the chosen state may be seen.
            init_kwargs = {**init_kwargs, "skip_weight": 0.7}
        cells = [
            layer
            for layer in layer_cls(**init_kwargs)._flatten_layers()
            if isinstance(layer, self.variant.cell)
        ]
        if not cells:
            return
        # A bias that is left out is one weight less.
        options["expected_num_trainable_weights"] = sum(
            self.variant.num_weights - (not cell.use_bias) for cell in cells
        )
        options["expected_num_seed_generators"] = len(cells)
        # Compiling takes most of the time: each layer trains once, and each
        # cell that is not an LSTM's in another guise.
        file = self.module.__name__.rpartition(".")[2]
        is_new = self.variant.layer is dsl.LSTM or self.variant.num_states > 1
        trains = file == "lstm_test" or (
            file == "rnn_test" and self.kind == "cell" and is_new
        )
        way = (self.variant.layer, self.variant.num_states, self.kind)
        options["run_training_check"] = (
            trains and way not in self.trained and not IS_JAX
        )
        self.trained.add(way)
        if "layer" in init_kwargs:
            # `Bidirectional` and `TimeDistributed` hand no precision on.
            options["run_mixed_precision_check"] = False
        super().run_layer_test(layer_cls, init_kwargs, **options)


@keras.saving.register_keras_serializable(package="tests")
class OneStep(keras.layers.Wrapper):
    """A recurrent layer in the place of a dense one: over a single step."""

    def build(self, input_shape):
        self.layer.build((input_shape[0], 1, input_shape[-1]))

    def call(self, inputs):
        return self.layer(ops.expand_dims(inputs, 1))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.layer.units)


class Frame(StandIn):
    """`Recurrent` in the place of `keras.layers.RNN`."""

    def names(self):
        return {"layers": Namespace(RNN=self._rnn)}

    def _rnn(self, cell, **kwargs):
        self.num_made += 1
        cell = halves(type(cell)).from_config(cell.get_config())
        return Recurrent(cell, **kwargs)

    def run_layer_test(self, layer_cls, init_kwargs, **options):
        # Compiling takes most of the time: one is enough.
        unrolled = init_kwargs.get("unroll", False)
        options["run_training_check"] = unrolled and not IS_JAX
        super().run_layer_test(layer_cls, init_kwargs, **options)


@functools.cache
def halves(cell_class):
    """One of Keras' cells as the frame runs it."""

    class Halves(cell_class, DropoutRNNCell):
        """The cell in the two halves that the frame runs."""

        dropout = recurrent_dropout = 0.0

        @property
        def output_size(self):
            return self.units

        @output_size.setter
        def output_size(self, value):
            assert value == self.units

        def project(self, inputs, training=False):
            return inputs

        def step(self, projected_t, states, training=False):
            options = {}
            if self._call_has_training_arg:
                options["training"] = training
            return (*self.call(projected_t, states, **options), {})

    name = f"Halves{cell_class.__name__}"
    return keras.saving.register_keras_serializable("tests", name)(Halves)


def find_tests(module):
    """The class of tests in one of Keras' files, and their names."""
    (found,) = (
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and value.__module__ == module.__name__
        and hasattr(value, "run_layer_test")
    )
    names = [name for name in dir(found) if name.startswith("test_")]
    return found, [name for name in names if name not in APART]


def suite(file, kind, mixin, chosen, differs=lambda name: None, **members):
    """A class of Keras' tests of a file, those that `chosen` picks."""
    module = importlib.import_module(f"keras.src.layers.rnn.{file}")
    tests, names = find_tests(module)
    members |= {"module": module, "kind": kind, "__module__": __name__}
    # pytest must not find those that are not to run.
    members |= dict.fromkeys([*names, *APART])
    for name in names:
        method = getattr(tests, name)
        if chosen(inspect.getsource(method)):
            test = held_to(method, differs(name))
            if runs_on_jax(file, kind, name, members.get("variant")):
                test = pytest.mark.backend(test)
            members[name] = test
    return type(tests)("Suite", (mixin, tests), members)


def runs_on_jax(file, kind, name, variant):
    """Whether scripts/test_jax runs the test too."""
    if (file, kind) not in ON_JAX or name == "test_basics":
        return False
    # In Keras' second file, the layer that has all that the others have.
    several = (None, dsl.LSTM, dsl.DynamicSkipLSTM)
    return file == "lstm_test" or getattr(variant, "layer", None) in several


def held_to(method, difference):
    """The test, or that it finds the difference."""

    @functools.wraps(method)
    def test(self):
        if difference is None:
            return method(self)
        with pytest.raises(difference.error, match=difference.message):
            method(self)

    return test


def by_design(variant, name):
    """What differs in a test, or None."""
    for difference in BY_DESIGN:
        if name in difference.tests:
            if variant.num_states in difference.num_states:
                return difference


def suites():
    """All classes of tests by their names."""
    for file, kinds in FILES.items():
        for kind in kinds:
            if kind == "frame":
                chosen = re.compile(r"layers\.RNN\b").search
                yield f"Frame_{file}", suite(file, kind, Frame, chosen)
                continue
            for variant in variants():
                cls = getattr(variant, kind)
                yield (
                    f"{cls.__name__}_{variant.num_states}_{file}",
                    suite(
                        file,
                        kind,
                        Library,
                        MAKES_WAY.search,
                        functools.partial(by_design, variant),
                        variant=variant,
                    ),
                )


globals().update(suites())


def test_no_difference_is_listed_for_nothing():
    listed = {name for difference in BY_DESIGN for name in difference.tests}
    modules = (
        importlib.import_module(f"keras.src.layers.rnn.{file}")
        for file in FILES
    )
    known = {name for module in modules for name in find_tests(module)[1]}
    assert listed <= known
