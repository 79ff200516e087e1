"""Sequence layers over the cells."""

from dsl.layers.attention_lstm import AttentionLSTM
from dsl.layers.character_embedding import CharacterEmbedding
from dsl.layers.character_encoder import CharacterEncoder
from dsl.layers.dynamic_skip_lstm import DynamicSkipLSTM
from dsl.layers.fixed_skip_lstm import FixedSkipLSTM
from dsl.layers.highway import Highway
from dsl.layers.lstm import LSTM
from dsl.layers.recurrent import Recurrent

__all__ = [
    "LSTM",
    "AttentionLSTM",
    "CharacterEmbedding",
    "CharacterEncoder",
    "DynamicSkipLSTM",
    "FixedSkipLSTM",
    "Highway",
    "Recurrent",
]
