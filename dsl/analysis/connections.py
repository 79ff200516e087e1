"""Which past word each word of a text was connected to.

While it reads word w_t, a dynamic skip LSTM continues from s_{t-k}, the state
right after word w_{t-k}. So word t is connected to word t - k, k the look-back
distance; k = 1 is the previous word, and 0 stands for a choice not known.
"""

import dataclasses
import itertools
import operator
import unicodedata

import numpy as np

from dsl.choices import check_count
from dsl.datasets.corpus import EOS
from dsl.system.messages import JOINERS, printable

# Of distances 2, 3, ...: for pictures (Okabe and Ito, then Tol: told apart
# with any kind of color vision), and the nearest that can be read on light
# and on dark terminals, of 256.
COLORS = (
    ("#0072b2", 32),
    ("#e69f00", 172),
    ("#009e73", 36),
    ("#cc79a7", 175),
    ("#d55e00", 166),
    ("#56b4e9", 74),
    ("#999933", 143),
    ("#882255", 132),
    ("#666666", 244),
)
# Columns that a line of text needs to say anything.
NARROWEST = 10
_FAINT = "2"
_BEYOND = "…"


@dataclasses.dataclass(frozen=True)
class Sentence:
    """The words of one sentence, and where they were connected.

    Attributes:
        words: w_t, the end of the sentence among them.
        look_back: k_t of each word, 0 if it is not known.
        context: The words right before the sentence, as many as its
            connections reach back to; fewer where the text starts.
    """

    words: tuple[str, ...]
    look_back: tuple[int, ...]
    context: tuple[str, ...] = ()

    def target(self, position):
        """The word that a word was connected to.

        Args:
            position: Index into `words`.

        Returns:
            The word, or None if the distance is not known or reaches back
            beyond the start of the text.
        """
        distance = self.look_back[position]
        index = len(self.context) + position - distance
        if distance == 0 or index < 0:
            return None
        return (self.context + self.words)[index]


def split_sentences(words, look_back, end=EOS):
    """Cuts a text into its sentences.

    Args:
        words: The words that were read, in order, list of strings.
        look_back: k_t of each word, integers, 0 if it is not known.
        end: The word that ends a sentence.

    Returns:
        List of `Sentence`. A last one need not be ended.

    Raises:
        ValueError: If there is not one distance of at least 0 a word.
    """
    words, look_back = checked(words, look_back)
    bounds = [0, *(t + 1 for t, word in enumerate(words) if word == end)]
    if bounds[-1] < len(words):
        bounds.append(len(words))
    return [
        cut(words, look_back, start, stop)
        for start, stop in itertools.pairwise(bounds)
    ]


def as_text(sentence, color=True, width=80):
    """Writes a sentence for a terminal.

    Under each word that was not connected to the previous one stands how many
    words back it was connected, and to which word, `…` before the text.

    Args:
        sentence: A `Sentence`.
        color: Whether to color by distance, with ANSI escape codes.
        width: Columns of a line; longer words are shortened.

    Returns:
        The lines, joined, without a final line end. Characters that are not
        printable stand as escapes, so that no word commands the terminal.

    Raises:
        ValueError: If `width` is too small to say anything.

    Example:
        >>> words = "<eos> the company said it will <eos>".split()
        >>> _, sentence = split_sentences(words, [1, 1, 2, 1, 1, 3, 1])
        >>> print(as_text(sentence, color=False))
        <eos> │ the company said it will <eos>
                    ←2 <eos>        ←3 company
    """
    if width < NARROWEST:
        raise ValueError(
            "`width` is the columns of a line and must be at least "
            f"{NARROWEST}. "
            f"Received: width={width!r}"
        )
    lines, words, marks = [], _Line(color), _Line(color)
    for word, mark, style in _labeled(sentence):
        word, mark = shorten(word, width), shorten(mark, width)
        column = words.end + 1 if words.end else 0
        if mark and marks.end:
            column = max(column, marks.end + 2)
        if column + max(_width(word), _width(mark)) > width:
            lines += [words.text, marks.text]
            words, marks, column = _Line(color), _Line(color), 0
        words.put(column, word, style)
        if mark:
            marks.put(column, mark, style)
    return "\n".join(filter(None, [*lines, words.text, marks.text]))


def legend(num_actions, color=True):
    """Explains what `as_text` writes.

    Args:
        num_actions: K, the largest distance.
        color: As for `as_text`.

    Returns:
        Lines, joined, without a final line end.
    """
    check_count("num_actions", num_actions, "the largest distance")
    marks = [
        _painted(f"←{k}", _style(k), color) for k in range(2, num_actions + 1)
    ]
    lines = [
        "nothing  connected to the previous word;  ?  not known;  "
        f"{_painted('│', _FAINT, color)}  the sentence starts"
    ]
    if marks:
        lines.insert(0, f"{' '.join(marks)}  so many words back, to this word")
    return "\n".join(lines)


def checked(words, look_back, num_actions=None):
    """Checks that words and distances fit each other.

    Args:
        words: Sequence of words.
        look_back: As many integers of at least 0.
        num_actions: The largest distance, or None for any.

    Returns:
        Both, as lists.

    Raises:
        ValueError: If they do not fit.
    """
    try:
        look_back = [operator.index(distance) for distance in look_back]
    except TypeError as error:
        raise ValueError(
            f"`look_back` must be one row of integers. Received: {error}"
        ) from None
    words = list(words)
    if len(words) != len(look_back):
        raise ValueError(
            "`look_back` must hold one distance a word. Received: "
            f"{len(words)} words, {len(look_back)} distances"
        )
    if min(look_back, default=0) < 0:
        raise ValueError(
            "`look_back` must hold distances of at least 1, or 0 for one not "
            f"known. Received: {min(look_back)}"
        )
    if num_actions is not None:
        check_count("num_actions", num_actions, "the largest distance")
        if max(look_back, default=0) > num_actions:
            raise ValueError(
                "`look_back` must hold no distance beyond `num_actions`. "
                f"Received: {max(look_back)}, num_actions={num_actions!r}"
            )
    return words, look_back


def cut(words, look_back, start, stop):
    """A piece of a text, with the words that its connections reach.

    Args:
        words: List of the words of the text.
        look_back: Their distances.
        start: Index of the first word of the piece.
        stop: Index after its last one.

    Returns:
        A `Sentence`.
    """
    look_back = look_back[start:stop]
    reach = max([0, *(k - index for index, k in enumerate(look_back))])
    return Sentence(
        words=tuple(words[start:stop]),
        look_back=tuple(look_back),
        context=tuple(words[max(0, start - reach) : start]),
    )


def _labeled(sentence):
    """Yields word, mark and style of all that stands in a line of text."""
    for word in sentence.context:
        yield printable(word), "", _FAINT
    if sentence.context:
        yield "│", "", _FAINT
    for position, word in enumerate(sentence.words):
        distance, mark = sentence.look_back[position], ""
        if distance == 0:
            mark = "?"
        elif distance > 1:
            target = sentence.target(position)
            mark = f"←{distance} {_BEYOND if target is None else target}"
        yield printable(word), printable(mark), _style(distance)


class _Line:
    """A line of text under construction, and the columns it takes."""

    def __init__(self, color):
        self.color, self.text, self.end = color, "", 0

    def put(self, column, text, style):
        self.text += " " * (column - self.end)
        self.text += _painted(text, style, self.color)
        self.end = column + _width(text)


def _style(distance):
    """Parameters of the escape code that colors a distance."""
    if distance < 2:
        return ""
    return f"38;5;{COLORS[(distance - 2) % len(COLORS)][1]}"


def _painted(text, style, color):
    return f"\x1b[{style}m{text}\x1b[0m" if color and style else text


def _width(text):
    """The columns that a printable text takes on a terminal."""
    return sum(map(_columns, text))


def _columns(character):
    if character in JOINERS or unicodedata.category(character)[0] == "M":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "FW" else 1


def shorten(text, width):
    """The text, or as much of its start as fits with an ellipsis."""
    if _width(text) <= width:
        return text
    ends = itertools.accumulate(map(_columns, text))
    return text[: sum(end < width for end in ends)] + "…"


def past_states(count, num_actions, segment=None):
    """How many past states there are for each word of a text, at most K.

    K where the buffer is carried through the text; the first words, which
    connect to what is before it, included. Otherwise each segment of training
    starts with its previous state alone, which is not kept as a past state.

    Args:
        count: Number of words.
        num_actions: K.
        segment: Length of a segment whose buffer starts empty; None if it is
            carried on.

    Returns:
        Integer array `(count,)`.
    """
    if segment is None:
        return np.full(count, num_actions)
    return np.clip(np.arange(count) % segment, 1, num_actions)
