"""What the connections of a text have in common, as tables."""

from dsl.analysis import dependencies, significance
from dsl.experiment import tables

LEVEL = 0.05


def significant(words, look_back, num_actions, log):
    """Shows which words, and pairs, take a distance more than by chance.

    Args:
        words: The words that were read, in order.
        look_back: k_t of each word.
        num_actions: K, the largest distance.
        log: Function that takes a line.
    """
    options = words, look_back, num_actions
    for title, findings, columns in (
        (
            "words that take a distance more often than words do on average",
            significance.single_words(*options),
            _WORDS,
        ),
        (
            "words that look back at one word more than at others",
            significance.word_pairs(*options),
            _PAIRS,
        ),
    ):
        found = [one for one in findings if one.q_value <= LEVEL]
        if findings:
            log("")
            tests = f"{len(findings):,} tests are significant"
            log(f"{title}: {len(found):,} of {tests}")
        if found:
            log(tables.table(significance.strongest(found, LEVEL), columns))


def of_grammar(corpus, split, look_back, num_actions, log):
    """Shows which connections hit what the grammar of a text knows.

    Args:
        corpus: A `dsl.datasets.corpus.Corpus`.
        split: Name of the text that was read, all of it but the last word.
        look_back: k_t of each word.
        num_actions: K, the largest distance.
        log: Function that takes a line.
    """
    known = dependencies.grammar_distances(corpus.sha256, split)
    if known is None:
        return
    far = tuple(range(2, num_actions + 1))
    each = [(k,) for k in far]
    rows = [
        (words, dependencies.agreement(look_back, hung_on, distances))
        for words, hung_on in known.items()
        for distances in (each + [far] if len(far) > 1 else each)
    ]
    log("")
    log("connections to the word that a word hangs on by the grammar")
    log(tables.table(rows, _AGREEMENT))


def _per_cent(share):
    return "-" if share is None else f"{100 * share:.1f}"


def _small(value):
    """Below 1e-300, floats soon hold nothing but 0."""
    return "<1e-300" if value < 1e-300 else f"{value:.1g}"


def _distances(row):
    first, *rest = row[1].distances
    return f"{first} to {rest[-1]}" if rest else str(first)


_TIMES = (
    ("share", lambda one: f"{one.share:.2g}"),
    ("by chance", lambda one: f"{one.chance:.2g}"),
    ("ratio", lambda one: f"{one.ratio:.1f}"),
    ("times", lambda one: str(one.times)),
    ("q", lambda one: _small(one.q_value)),
)
_DISTANCE = ("distance", lambda one: str(one.distance))
_WORD = ("word", lambda one: one.words[0])
_WORDS = (_DISTANCE, _WORD, *_TIMES)
_PAIRS = (
    *(_DISTANCE, _WORD),
    ("connected to", lambda one: one.words[1]),
    *_TIMES,
)
_AGREEMENT = (
    ("what hangs on it", lambda row: row[0]),
    ("words back", _distances),
    ("connections", lambda row: f"{row[1].connections:,}"),
    ("hits", lambda row: f"{row[1].hits:,}"),
    (
        "by chance ± sd",
        lambda row: f"{row[1].chance:.1f} ± {row[1].deviation:.1f}",
    ),
    ("precision, %", lambda row: _per_cent(row[1].precision)),
    (
        "by chance; of one distance also a fixed skip",
        lambda row: _per_cent(row[1].chance_precision),
    ),
    ("dependencies", lambda row: f"{row[1].dependencies:,}"),
    ("recall, %", lambda row: _per_cent(row[1].recall)),
)
