"""What a trained model does on a text, and which words it connects."""

import shutil
import sys

import numpy as np

from dsl import metrics
from dsl.analysis import arcs, connections
from dsl.datasets import folders
from dsl.experiment import kinds, tables
from dsl.experiment.measures import PERPLEXITY
from dsl.runs.folder import RunError
from dsl.system import pictures
from dsl.system.messages import printable
from language_modeling import findings, measuring


def texts_to_show(args, corpus, log):
    """The texts that were asked for.

    Args:
        args: The flags of this call.
        corpus: The corpus that the model was trained on.
        log: Function that takes a line.

    Returns:
        Dict from the name of a text to a pair: its word ids, and how many of
        its words were replaced by "<unk>".

    Raises:
        DataError: If a text of the user's cannot be used.
    """
    if args.text is not None:
        return {
            args.text: folders.words_of_file(args.text, corpus.vocabulary, log)
        }
    return {
        split: (getattr(corpus, split), corpus.unknown[split])
        for split in args.split
    }


def show(args, model, texts, corpus, log):
    """Measures texts, and shows the connections of the last one's sentences.

    Args:
        args: The settings of the run, with the flags of this call.
        model: The language model with the weights to show.
        texts: What `texts_to_show` returned.
        corpus: The corpus that the model was trained on.
        log: Function that takes a line.

    Raises:
        RunError: If a picture was asked for, and no sentence can be drawn.
    """
    if args.figure is not None:
        *_, (last, _) = texts.values()
        check_drawable(words_read(last, corpus))
    # A text of the user's may have the name of a split.
    of_corpus = args.text is None
    true = (of_corpus and corpus.true_perplexity) or {}
    rows, shown = [], None
    for name, (tokens, unknown) in texts.items():
        for protocol in protocols(args, tokens):
            args.eval_protocol = protocol
            measured, scores = measuring.measure(args, model, tokens)
            measured |= measuring.bits(scores, corpus, unknown)
            rows.append(
                {
                    "text": name,
                    "protocol": protocol,
                    "measured": measured,
                    "true": true.get(name),
                }
            )
            found = measuring.in_words(measured)
            log(
                f"{printable(name)}, {protocol}: {found}, "
                f"{measured['tokens']:,} tokens"
            )
            if protocol == "stream":
                shown = name, tokens, measured, scores
    log("")
    log(tables.table(rows, tables.filled(rows, _COLUMNS)))
    if kinds.connects(args):
        name, tokens, measured, scores = shown
        words = words_read(tokens, corpus)
        look_back = scores["look_back"].ravel()
        segment = None if args.keep_buffer else args.num_unroll_steps
        held = connections.past_states(len(look_back), args.n_actions, segment)
        # Further back there was nothing: a start from zeros, no connection.
        look_back = np.where(look_back <= held, look_back, 0)
        show_connections(args, words, look_back, measured, log)
        # Words that could not choose freely tell nothing of a preference.
        look_back = np.where(held == args.n_actions, look_back, 0)
        findings.significant(words, look_back, args.n_actions, log)
        if of_corpus:
            findings.of_grammar(corpus, name, look_back, args.n_actions, log)


def protocols(args, tokens):
    """Both protocols where the text fills a segment of every stream."""
    fills = len(tokens) >= args.batch_size * (args.num_unroll_steps + 1)
    return ["batched", "stream"] if fills else ["stream"]


def words_read(tokens, corpus):
    """The words of a text that a model reads; the last is only predicted."""
    return [corpus.vocabulary[token] for token in tokens[:-1]]


def sentences_to_show(words, look_back):
    """The sentences in which a word can be connected to another."""
    sentences = connections.split_sentences(words, look_back)
    return [sentence for sentence in sentences if len(sentence.words) > 1]


def check_drawable(words):
    """Raises a RunError unless there is a sentence to draw."""
    if not sentences_to_show(words, np.zeros(len(words), int)):
        raise RunError(
            "argument --figure: needs a sentence of two words or more. "
            "Received: none"
        )


def show_connections(args, words, look_back, measured, log):
    """Which past word each word was connected to, or attends to most.

    Args:
        args: The settings of the run, with the flags of this call.
        words: The words that were read, in order.
        look_back: k_t of each word, with greedy actions.
        measured: The first that `measuring.measure` returned of the text.
        log: Function that takes a line.
    """
    sentences = sentences_to_show(words, look_back)[: args.sentences]
    color = sys.stdout.isatty()
    width = max(shutil.get_terminal_size().columns, connections.NARROWEST)
    log("")
    if "attention" in measured:
        each = enumerate(measured["attention"], start=1)
        weights = "  ".join(f"{k}: {weight:.2f}" for k, weight in each)
        log(f"mean attention to each distance  {weights}")
        log("each word is shown with the past word that it attends to most")
    log(connections.legend(args.n_actions, color))
    for sentence in sentences:
        log("")
        log(connections.as_text(sentence, color, width))
    if args.figure is not None:
        lacking = arcs.draw(sentences, args.figure, args.n_actions)
        log(f"{printable(args.figure)}: written{pictures.in_words(lacking)}")


def _cell(key):
    def cell(row):
        value = row["measured"].get(key)
        return "-" if value is None else f"{value:.2f}"

    return cell


def _true(row):
    """The true perplexity, and the excess over it.

    The excess needs all words but one: the first of the text is not scored.
    """
    true = row["true"]
    if true is None:
        return "-"
    if row["protocol"] != "stream":
        return f"{true:.2f}"
    excess = metrics.excess_nll(row["measured"]["perplexity"], true)
    return f"{true:.2f} ({excess:.3f})"


_COLUMNS = (
    ("text", lambda row: row["text"]),
    ("protocol", lambda row: row["protocol"]),
    ("greedy", _cell("perplexity")),
    (
        "sampled ± sd over draws",
        lambda row: PERPLEXITY.sampled_cell({"test": row["measured"]}),
    ),
    ("previous state", _cell("perplexity_previous")),
    ("random, same shares", _cell("perplexity_random_mean")),
    ("true (nats a word above it)", _true),
)
