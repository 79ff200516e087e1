"""The rules of the generated corpus.

Every choice shows in the very next word (the test checks it), so that no
sentence has two derivations. Depths go from 0 to `DEEPEST`; the deeper, the
fewer attachments.

Symbols are tuples, the name first. A noun phrase has a kind (see `lexicon`),
a number `"sg"` or `"pl"` and a depth. What hangs on what:

* a verb on its subject: number, and for most verbs the kind;
* a predicate adjective on the subject: kind;
* a reflexive on the subject: number and gender;
* a particle on its verb (`picks ... up`);
* a relative pronoun on its noun, a noun on its determiner or adjective;
* the second half of a pair on the first: `either .. or`, `both .. and`,
  quotation marks;
* `he` or `she` on the name at the sentence's beginning.
"""

from dsl.datasets.generated import lexicon
from dsl.datasets.generated.grammar import PARENT, Grammar, Part, Rule, Symbol
from dsl.datasets.generated.word_symbols import (
    NUMBERS,
    PEOPLE,
    build_words,
    gender,
)

DEEPEST = 3

_DETERMINERS = {"any": NUMBERS, "sg": ("sg",), "pl": ("pl",)}
_DETERMINER_WEIGHTS = {"any": 0.6, "sg": 0.22, "pl": 0.18}
# Chance that something is attached to a noun, by depth.
_ATTACHED = {
    "subject": (0.9, 0.65, 0.3, 0.0),
    "object": (0.35, 0.25, 0.1, 0.0),
}
_NAME = 0.12  # Chance of a name in place of a noun phrase.


def build_grammar() -> Grammar:
    """Builds the grammar of the generated corpus.

    Returns:
        The grammar; every sentence ends with `<eos>`.
    """
    rules: dict[Symbol, list[Rule]] = {}
    _add_sentences(rules)
    for depth in range(DEEPEST + 1):
        _add_subjects(rules, depth)
        _add_objects(rules, depth)
        _add_gap_clauses(rules, depth)
        for kind in lexicon.KINDS:
            for number in NUMBERS:
                for role in _ATTACHED:
                    _add_attachments(rules, role, kind, number, depth)
                _add_predicates(rules, kind, number, depth)
        _add_verb_modifiers(rules, depth)
    return Grammar("sentence", rules, build_words())


def _up(symbol: Symbol) -> Part:
    """Returns a part that hangs on what its rule's symbol hangs on."""
    return Part(symbol, on=PARENT)


def _add_sentences(rules: dict) -> None:
    """Adds the shapes of a whole sentence."""
    end = Part("end")
    clause = Part(("clause", 1))
    shapes = [(0.42, [Part(("common clause", 0)), end])]
    for rank, opener in enumerate(lexicon.CORRELATIVES):
        first = Part(("opener", opener))
        second = Part(("closer", opener), on=0)
        shapes.append((0.9 / (rank + 4), [first, clause, second, clause, end]))
    quoted = [Part("quote"), clause, Part("unquote", on=0)]
    speaker = [Part("quote verb"), Part("speaker")]
    shapes.append((0.1, [*quoted, *speaker, end]))
    for kind in PEOPLE:
        name = Part(("name", kind))
        shapes.append((0.15, [name, Part(("story", kind), on=0), end]))
        _add_story(rules, kind)
    rules["sentence"] = shapes
    rules["speaker"] = [(1.0, [Part(("name", kind))]) for kind in PEOPLE]


def _add_story(rules: dict, kind: str) -> None:
    """Adds what can follow a name at the beginning of a sentence."""
    rules["story", kind] = [
        (
            0.7,
            [
                Part("speech verb", on=PARENT),
                Part("that"),
                Part(("clause", 1)),
                Part(("contrast", kind), on=PARENT),
            ],
        ),
        (0.3, [Part(("predicate", kind, "sg", 0), on=PARENT)]),
    ]
    rules["contrast", kind] = [
        (0.3, []),
        (
            0.7,
            [
                Part("but"),
                Part(("pronoun", kind), on=PARENT),
                Part(("predicate", kind, "sg", 1), on=1),
            ],
        ),
    ]


def _add_subjects(rules: dict, depth: int) -> None:
    """Adds clauses: a subject and what is said of it."""

    def rest(kind: str, number: str, noun: int) -> list[Part]:
        return [
            Part(("attachment", "subject", kind, number, depth), on=noun),
            Part(("predicate", kind, number, depth), on=noun),
        ]

    common = ("common clause", depth)
    _add_noun_phrases(rules, common, "subject", depth, rest)
    rules["clause", depth] = [(1.0 - _NAME, [Part(common)])] + [
        (
            _NAME / 2,
            [
                Part(("name", kind)),
                Part(("predicate", kind, "sg", depth), on=0),
            ],
        )
        for kind in PEOPLE
    ]


def _add_objects(rules: dict, depth: int) -> None:
    """Adds noun phrases that are not subjects."""

    def rest(kind: str, number: str, noun: int) -> list[Part]:
        return [Part(("attachment", "object", kind, number, depth), on=noun)]

    common = ("common object", depth)
    _add_noun_phrases(rules, common, "object", depth, rest)
    alternatives = [(1.0 - _NAME, [Part(common)])]
    alternatives += [(_NAME / 2, [Part(("name", k))]) for k in PEOPLE]
    if depth < DEEPEST:
        inner = Part(("common object", depth + 1))
        for first, second in (("both", "and"), ("neither", "nor")):
            alternatives.append(
                (0.05, [Part(first), inner, Part(second, on=0), inner])
            )
    rules["object", depth] = alternatives


def _add_gap_clauses(rules: dict, depth: int) -> None:
    """Adds `the man near the river admires`, as in `the dog that ...`."""

    def rest(kind: str, number: str, noun: int) -> list[Part]:
        return [
            Part(("attachment", "subject", kind, number, depth), on=noun),
            Part(("transitive", kind, number), on=noun),
        ]

    _add_noun_phrases(rules, ("gap clause", depth), "gap", depth, rest)


def _add_noun_phrases(
    rules: dict, symbol: Symbol, role: str, depth: int, rest
) -> None:
    """Adds determiner, adjectives and noun, and what `rest` puts behind.

    Args:
        rules: Receives the rules.
        symbol: The symbol that they expand.
        role: Sets the symbols between apart from those of other roles.
        depth: As in the module's text.
        rest: Kind, number and index of the noun to the parts behind it.
    """
    rules[symbol] = []
    for form in _DETERMINERS:
        on = None if form == "any" else 0
        parts = [Part(("determiner", form)), Part((role, form, depth, 0), on)]
        rules[symbol].append((_DETERMINER_WEIGHTS[form], parts))
        _add_nouns(rules, role, form, depth, rest)


def _add_nouns(rules: dict, role: str, form: str, depth: int, rest) -> None:
    """Adds what follows a determiner; arguments as _add_noun_phrases."""
    numbers = _DETERMINERS[form]
    nouns, described = [], []
    for rank, kind in enumerate(lexicon.KINDS):
        inner = (role, form, depth, kind)
        rules[inner] = [
            (1.0, [_up(("noun", kind, number)), *rest(kind, number, 0)])
            for number in numbers
        ]
        nouns += [(0.62 / (rank + 8), parts) for _, parts in rules[inner]]
        weight = 0.18 * len(numbers) / (rank + 8)
        adjective = Part(("adjective", kind))
        described.append((weight, [adjective, Part(inner, on=0)]))
    total = sum(weight for weight, _ in nouns + described)
    plain = [Part("plain adjective"), _up((role, form, depth, 1))]
    rules[role, form, depth, 0] = [*nouns, *described, (0.25 * total, plain)]
    rules[role, form, depth, 1] = [*nouns, *described]


def _add_attachments(
    rules: dict, role: str, kind: str, number: str, depth: int
) -> None:
    """Adds nothing, a prepositional phrase or a relative clause."""
    chance = _ATTACHED[role][depth]
    symbol = ("attachment", role, kind, number, depth)
    rules[symbol] = [(1.0 - chance, [])]
    if not chance:
        return
    inner = ("relative", kind, number, depth)
    who = "person" if kind in PEOPLE else "thing"
    rules[symbol] += [
        (0.5 * chance, [Part("preposition"), Part(("object", depth + 1))]),
        (
            0.5 * chance,
            [
                Part(("relative pronoun", who), on=PARENT),
                Part(inner, on=PARENT),
            ],
        ),
    ]
    rules[inner] = [
        (0.6, [Part(("predicate", kind, number, depth + 1), on=PARENT)]),
        (0.4, [Part(("gap clause", depth + 1))]),
    ]


def _add_predicates(rules: dict, kind: str, number: str, depth: int) -> None:
    """Adds what is said of a subject, with or without an early adverb."""
    told = ("telling", kind, number, depth)
    rules["predicate", kind, number, depth] = [
        (0.85, [_up(told)]),
        (0.15, [Part("early adverb"), _up(told)]),
    ]
    thing = Part(("object", min(depth + 1, DEEPEST)))
    modifier = Part(("verb modifier", depth))
    adjective = _up(("predicate adjective", kind))
    reflexive = _up(("reflexive", number, gender(kind, number)))
    rules[told] = [
        (0.36, [_up(("intransitive", kind, number)), modifier]),
        (0.3, [_up(("transitive", kind, number)), thing]),
        (0.12, [_up(("link", number)), adjective]),
        (0.07, [_up(("reflexive verb", number)), reflexive]),
    ]
    for particle in lexicon.PARTICLES:
        verb = _up(("particle verb", particle, number))
        last = Part(("particle", particle), on=0)
        rules[told].append((0.02, [verb, thing, last]))


def _add_verb_modifiers(rules: dict, depth: int) -> None:
    """Adds what can follow an intransitive verb."""
    place = Part(("object", min(depth + 1, DEEPEST)))
    rules["verb modifier", depth] = [
        (0.5, []),
        (0.25, [Part("late adverb")]),
        (0.25, [Part("preposition"), place]),
    ]
