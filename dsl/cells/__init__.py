"""Ordinary Keras cells: weights, one-step equations, configuration."""

from dsl.cells.attention_lstm import AttentionLSTMCell
from dsl.cells.dynamic_skip_lstm import DynamicSkipLSTMCell
from dsl.cells.fixed_skip_lstm import FixedSkipLSTMCell
from dsl.cells.lstm import LSTMCell

__all__ = [
    "AttentionLSTMCell",
    "DynamicSkipLSTMCell",
    "FixedSkipLSTMCell",
    "LSTMCell",
]
