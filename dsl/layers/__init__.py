"""Sequence layers over the cells."""

from dsl.layers.attention_lstm import AttentionLSTM
from dsl.layers.dynamic_skip_lstm import DynamicSkipLSTM
from dsl.layers.fixed_skip_lstm import FixedSkipLSTM
from dsl.layers.lstm import LSTM
from dsl.layers.recurrent import Recurrent

__all__ = [
    "LSTM",
    "AttentionLSTM",
    "DynamicSkipLSTM",
    "FixedSkipLSTM",
    "Recurrent",
]
