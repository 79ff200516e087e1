"""The word symbols of the generated corpus: which words, how likely."""

from collections.abc import Sequence

from dsl.datasets.corpus import EOS
from dsl.datasets.generated import lexicon
from dsl.datasets.generated.grammar import Symbol

NUMBERS = ("sg", "pl")
PEOPLE = ("man", "woman")

# Name of each word symbol that another word decides, to how much of the
# symbol the words between tell. The rest only that other word tells.
DEPENDENT = {
    "intransitive": 1,
    "transitive": 1,
    "link": 1,
    "predicate adjective": 1,
    "reflexive verb": 1,
    "reflexive": 2,
    "particle verb": 2,
    "particle": 1,
    "closer": 1,
    "pronoun": 1,
}


def zipf(words: str | Sequence[str], offset: float = 2.0) -> dict[str, float]:
    """Weighs words by their rank, 1 / (rank + offset), rank from 0.

    Args:
        words: The words, or a text of them, most frequent first.
        offset: Above 0; the larger, the flatter.

    Returns:
        Word to weight.
    """
    if isinstance(words, str):
        words = words.split()
    return {word: 1.0 / (rank + offset) for rank, word in enumerate(words)}


def gender(kind: str, number: str) -> str:
    """Returns what a reflexive agrees with, besides the number."""
    if number == "pl":
        return "all"
    return kind if kind in PEOPLE else "neuter"


def build_words() -> dict[Symbol, dict[str, float]]:
    """Builds the word symbols and the weights of their words."""
    words = {
        ("determiner", "any"): zipf(lexicon.COMMON_DETERMINERS, 0.5),
        ("determiner", "sg"): zipf(lexicon.SINGULAR_DETERMINERS, 1.0),
        ("determiner", "pl"): zipf(lexicon.PLURAL_DETERMINERS),
        ("relative pronoun", "person"): zipf("who that", 1.0),
        ("relative pronoun", "thing"): zipf("that which", 1.0),
        "preposition": zipf(lexicon.PREPOSITIONS),
        "plain adjective": zipf(lexicon.PLAIN_ADJECTIVES, 4.0),
        "early adverb": zipf(lexicon.EARLY_ADVERBS),
        "late adverb": zipf(lexicon.LATE_ADVERBS),
        "speech verb": zipf(lexicon.SPEECH_VERBS),
        "quote verb": zipf(lexicon.QUOTE_VERBS),
        "quote": zipf("``"),
        "unquote": zipf("''"),
        "end": zipf(EOS),
    }
    for word in ("that", "but", "both", "and", "neither", "nor"):
        words[word] = zipf(word)
    for opener, closer in lexicon.CORRELATIVES.items():
        words["opener", opener] = zipf(opener)
        words["closer", opener] = zipf(closer)
    for kind in lexicon.KINDS:
        words["adjective", kind] = zipf(lexicon.ADJECTIVES[kind], 4.0)
        words["predicate adjective", kind] = words["adjective", kind]
    for kind in PEOPLE:
        words["name", kind] = zipf(lexicon.NAMES[kind], 4.0)
        words["pronoun", kind] = zipf(lexicon.PRONOUNS[kind])
        words["reflexive", "sg", kind] = zipf(lexicon.REFLEXIVES[kind])
    words["reflexive", "sg", "neuter"] = zipf(lexicon.NEUTER_REFLEXIVE)
    words["reflexive", "pl", "all"] = zipf(lexicon.PLURAL_REFLEXIVE)
    for number in NUMBERS:
        words.update(_build_inflected(number))
    return words


def _build_inflected(number: str) -> dict[Symbol, dict[str, float]]:
    """Builds the nouns and verbs of one number."""

    def verbs(text: str) -> dict[str, float]:
        found = text.split()
        if number == "sg":
            found = [lexicon.add_s(verb) for verb in found]
        return zipf(found, 6.0)

    words = {
        ("link", number): zipf(lexicon.LINK_VERBS[number], 1.0),
        ("reflexive verb", number): verbs(lexicon.REFLEXIVE_VERBS),
    }
    for particle, text in lexicon.PARTICLES.items():
        words["particle", particle] = zipf(particle)
        words["particle verb", particle, number] = verbs(text)
    for kind in lexicon.KINDS:
        nouns = lexicon.NOUNS[kind].split()
        if number == "pl":
            nouns = [lexicon.plural(noun) for noun in nouns]
        words["noun", kind, number] = zipf(nouns, 4.0)
        intransitive = lexicon.INTRANSITIVE_VERBS[kind]
        words["intransitive", kind, number] = verbs(intransitive)
        words["transitive", kind, number] = verbs(
            lexicon.TRANSITIVE_VERBS[kind]
        )
    return words
