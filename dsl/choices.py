"""The names that options go by, and how they are checked.

Free of Keras, so that a script can offer them as flags before it loads.
"""

import numbers

REWARDS = ("log_likelihood", "probability", "correct")
BASELINES = ("none", "running_mean", "batch_mean", "leave_one_out", "value")
ESTIMATORS = ("reinforce", "straight_through")
OBSERVATIONS = ("previous", "mean")
CREDITS = ("all", "path")
SCORINGS = ("location", "content", "key")
AGENT_SCORINGS = ("location", "key", "moves")
ALL_SCORINGS = ("location", "content", "key", "moves")
EMPTY_SLOTS = ("mask", "zeros", "previous")
ACTION_SELECTIONS = ("auto", "sampled", "greedy")
PRECISIONS = ("bfloat16",)  # Others need a loss that is scaled.
CORPORA = ("ptb", "ptb_characters", "wikitext2", "own", "generated")
INDEX_FROM = ("last10", "start")
MOST_LENGTH = 1000  # Symbols of a sequence of number prediction.
MOST_VECTORS = 10_000  # Of a pattern of the copy task, and its silent steps.
MOST_BITS = 1_000  # Of such a vector.
MOST_SYMBOLS = 256  # A number is one byte.
PICTURE_SUFFIXES = (".pdf", ".png", ".svg")


def check_choice(name, value, choices):
    """Raises a ValueError unless `value` is one of `choices`."""
    if value not in choices:
        raise ValueError(
            f"`{name}` must be one of {choices}. Received: {name}={value!r}"
        )


def check_count(name, value, meaning):
    """Raises a ValueError unless `value` is an integer of at least 1."""
    whole = hasattr(value, "__index__") and not isinstance(value, bool)
    if not whole or value < 1:
        raise ValueError(
            f"`{name}` is {meaning} and must be an integer of at least 1. "
            f"Received: {name}={value!r}"
        )


def check_number(name, value, meaning, low, high):
    """Raises a ValueError unless `value` is a number in [low, high]."""
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or not low <= value <= high:
        raise ValueError(
            f"`{name}` is {meaning} and must be in [{low}, {high}]. "
            f"Received: {name}={value!r}"
        )


def is_folder_name(text):
    """Whether a text names a folder inside of another one, and is no path."""
    plain = text not in ("", ".", "..") and "/" not in text
    return plain and text.isprintable()
