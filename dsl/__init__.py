"""Recurrent networks that learn which past state to connect to."""

import importlib

_HOMES = {
    "AttentionLSTM": "dsl.layers",
    "AttentionLSTMCell": "dsl.cells",
    "CharacterEmbedding": "dsl.layers",
    "CharacterEncoder": "dsl.layers",
    "DynamicSkipLSTM": "dsl.layers",
    "DynamicSkipLSTMCell": "dsl.cells",
    "FixedSkipLSTM": "dsl.layers",
    "FixedSkipLSTMCell": "dsl.cells",
    "Highway": "dsl.layers",
    "LSTM": "dsl.layers",
    "LSTMCell": "dsl.cells",
    "LanguageModel": "dsl.models",
    "SequenceClassifier": "dsl.models",
}

__all__ = list(_HOMES)


def __dir__():
    return __all__


def __getattr__(name):
    # Resolved on first use, so that reading a corpus or a run record does
    # not wait for Keras.
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'dsl' has no attribute {name!r}")
