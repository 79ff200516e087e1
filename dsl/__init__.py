"""Recurrent networks that learn which past state to connect to."""

import importlib

from dsl import registration

HOMES = {
    "AttentionLSTM": "dsl.layers",
    "AttentionLSTMCell": "dsl.cells",
    "CharacterEmbedding": "dsl.layers",
    "CharacterEncoder": "dsl.layers",
    "DynamicSkipLSTM": "dsl.layers",
    "DynamicSkipLSTMCell": "dsl.cells",
    "FixedSkipLSTM": "dsl.layers",
    "FixedSkipLSTMCell": "dsl.cells",
    "GateOrthogonal": "dsl.initializers",
    "GroupedOptimizer": "dsl.training.optimizers",
    "Highway": "dsl.layers",
    "LSTM": "dsl.layers",
    "LSTMCell": "dsl.cells",
    "LanguageModel": "dsl.models",
    "PolicySignal": "dsl.policy.signal",
    "RMSProp": "dsl.training.optimizers",
    "Recurrent": "dsl.layers",
    "Reinforce": "dsl.models",
    "SequenceClassifier": "dsl.models",
    "SequenceTransducer": "dsl.models",
}
"""The module of each class that Keras can save and load."""

__all__ = list(HOMES)

registration.register(HOMES)


def __dir__():
    return __all__


def __getattr__(name):
    # Resolved on first use, so that reading a corpus or a run record does
    # not wait for Keras.
    if name in HOMES:
        return getattr(importlib.import_module(HOMES[name]), name)
    if name.isidentifier() and not name.startswith("_"):
        try:
            return importlib.import_module(f"dsl.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"dsl.{name}":
                raise
    raise AttributeError(f"module 'dsl' has no attribute {name!r}")
