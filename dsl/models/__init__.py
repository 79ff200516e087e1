"""Models built from the layers."""

from dsl.models.language_model import LanguageModel
from dsl.models.sequence_classifier import SequenceClassifier

__all__ = ["LanguageModel", "SequenceClassifier"]
