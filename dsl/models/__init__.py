"""Models built from the layers."""

from dsl.models.language_model import LanguageModel
from dsl.models.reinforce import Reinforce
from dsl.models.sequence_classifier import SequenceClassifier
from dsl.models.sequence_transducer import SequenceTransducer

__all__ = [
    "LanguageModel",
    "Reinforce",
    "SequenceClassifier",
    "SequenceTransducer",
]
