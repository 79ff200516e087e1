"""Language modeling as a task: see `dsl.experiment.task.Task`."""

from dsl import metrics
from dsl.experiment import kinds, output
from dsl.experiment.flags import CALL, DATA, SEED, SHOWING, WHERE
from dsl.experiment.measures import BITS_PER_CHARACTER, PERPLEXITY
from dsl.experiment.program import check_memory
from dsl.experiment.task import Task
from language_modeling import presets, settings, tables


def load(args, log):
    """The corpus that the settings name."""
    from dsl import datasets

    return datasets.language_model_corpus(
        args.data_dir,
        name=args.corpus,
        vocabulary_size=args.vocabulary_size,
        log=log,
        download=args.download,
    )


def check(args, corpus):
    """Raises a RunError if a text is too short, or the model too large."""
    check_lengths(args, corpus)
    check_size(args, len(corpus.vocabulary))


def check_lengths(args, corpus):
    """Raises a RunError unless each split fills one segment of its use."""
    from dsl.runs.folder import RunError

    segment = args.batch_size * (args.num_unroll_steps + 1)
    evaluated = segment if args.eval_protocol == "batched" else 2
    for split, needed in (
        ("train", segment),
        ("valid", evaluated),
        ("test", evaluated),
    ):
        received = len(getattr(corpus, split))
        if received < needed == 2:
            raise RunError(
                f"the {split} text must hold a token to read and one to "
                f"predict, ends of lines counted. Received: {received} in all"
            )
        if received < needed:
            raise RunError(
                "--batch_size times --num_unroll_steps plus one must fit "
                f"into the {split} text of {received:,} tokens. "
                f"Received: {args.batch_size} x {args.num_unroll_steps + 1}"
            )


def check_size(args, words):
    """Raises a RunError if weights and past states exceed the memory."""
    units, past = args.rnn_size, kinds.num_states(args)
    weights = words * units + args.rnn_layers * 8 * units**2
    weights += _weights_below(args, words)
    states = args.batch_size * units * (past + args.rnn_layers)
    if args.model in kinds.SCORING:
        weights += args.policy_units * (2 * units + past)
    named = "--rnn_size, --rnn_layers, --n_actions, --skip and --policy_units"
    if args.char:
        named = f"--kernel_features, --highway_layers, {named}"
    # Each weight and its gradient, and h beside c, in float32.
    check_memory(4 * (2 * weights + 2 * states), named)


def _weights_below(args, words):
    """Weights from the words to what the first LSTM layer reads, at least."""
    if not args.char:
        return words * args.rnn_size
    units = sum(args.kernel_features)
    windows = zip(args.kernels, args.kernel_features, strict=True)
    convolutions = sum(width * maps for width, maps in windows)
    return (
        args.char_embed_size * convolutions + args.highway_layers * 2 * units**2
    )


def build(args, corpus):
    """The model of the settings, and what trains it."""
    from language_modeling import model

    built = model.build_model(args, len(corpus.vocabulary), corpus.vocabulary)
    return built, model.build_trainer(args, built)


def batches(args, corpus):
    """The segments of the training text, the same ones in each epoch."""
    from dsl.datasets import streams

    rows = streams.batch(corpus.train, args.batch_size)
    segments = streams.Segments(rows, args.num_unroll_steps)
    # Encoding a word costs more than finding it among the others.
    found = streams.DistinctWords(segments) if args.char else segments
    return lambda epoch: found


def validate(args, model, corpus):
    """Perplexity of the validation text, and what training did."""
    from language_modeling import measuring

    def found(trained):
        valid = measuring.evaluate(args, model, corpus.valid, args.eval_actions)
        entry = summary(args, trained, metrics.perplexity(valid["nll"]))
        if corpus.of_characters and not corpus.unknown["valid"]:
            bits = metrics.bits_per_character(valid["nll"])
            entry["valid_bits_per_character"] = bits
        return entry

    return found


def summary(args, trained, valid_perplexity):
    """What to keep of an epoch.

    Args:
        args: The settings.
        trained: The trainer's statistics.
        valid_perplexity: Perplexity of the validation text.

    Returns:
        Flat dict of numbers, and the list of the look-back shares.
    """
    found = {
        "train_perplexity": trained["perplexity"],
        "valid_perplexity": valid_perplexity,
    }
    if kinds.chooses(args):
        if args.policy != "random":  # Otherwise it is not the agent's choice.
            found["entropy"] = trained["entropy"]
        found["look_back"] = metrics.mean_look_back(trained["histogram"])
        found["look_back_histogram"] = trained["histogram"]
    return found


def describe(entry):
    """Bits and look-back distances, as far as an epoch has them."""
    words = []
    if "valid_bits_per_character" in entry:
        bits = entry["valid_bits_per_character"]
        words.append(f"{bits:.3f} bits a character")
    if "look_back" in entry:
        shares = " ".join(f"{p:.2f}" for p in entry["look_back_histogram"])
        words.append(f"look-back {entry['look_back']:.2f} [{shares}]")
    return "  ".join(words)


def test(args, model, corpus, split):
    """What was measured of a text, and the score of each of its words."""
    from language_modeling import measuring

    measured, scores = measuring.measure(args, model, getattr(corpus, split))
    measured |= measuring.bits(scores, corpus, corpus.unknown[split])
    return measured, measuring.scores_by_sentence(scores, corpus)


def reference(args, corpus):
    """The corpus, and what perplexities on it are held to."""
    published, epochs = held_to(args, corpus.name)
    return {
        "corpus": corpus.name,
        "published": published,
        "true_perplexity": corpus.true_perplexity,
        "recipe_epochs": epochs,
    }


def published(args, record):
    """What the settings of a row are held to; see `task.Task`."""
    corpus = record["corpus"] if record else args.corpus or "ptb"
    return held_to(args, corpus)[0]


def held_to(args, corpus_name):
    """What the settings are held to.

    Returns:
        Dict of the published `valid_perplexity`, `test_perplexity` and their
        `source`, None where the preset has none or the settings differ from
        it, the paper's estimator included; and the number of epochs of the
        preset's recipe.
    """
    given = {"model": args.model}
    row = args.model
    if args.model == "fixed_skip":
        given["skip"] = args.skip
        row = f"fixed_skip {args.skip}"
    if args.preset is not None:
        given["preset"] = args.preset
    recipe = settings.FLAGS.resolve(given)
    # The corpus is told apart by its name, however it was asked for.
    free = settings.FLAGS.names(WHERE, DATA, SEED, CALL, SHOWING)
    free |= {"vocabulary_size", "jit", "eval_samples", "given"}
    same = all(
        value == recipe[key]
        for key, value in vars(args).items()
        if key not in free
    )
    found = presets.PUBLISHED.get((args.preset, row))
    if found is None or not same or corpus_name != "ptb":
        found = (None, None, None)
    names = ("valid_perplexity", "test_perplexity", "source")
    return dict(zip(names, found, strict=True)), recipe["max_epochs"]


def schedule(args):
    """SGD's rate: decayed by epochs, or where validation stops improving."""
    from dsl.training.schedules import Schedule

    return Schedule(
        rate=args.learning_rate,
        factor=args.learning_rate_decay,
        constant_epochs=args.constant_epochs,
        margin=args.decay_when,
        floor=args.lr_threshold,
    )


def show(args, corpus):
    """What shows the connections of a model in the texts that were asked for.

    Raises:
        RunError: If a picture is asked for and there is nothing to draw.
        DataError: If a text cannot be used.
    """
    from dsl.runs.folder import RunError

    if args.figure is not None and not kinds.connects(args):
        raise RunError(
            "argument --figure: needs a model that chooses among past states, "
            "or attends to some. Received: --load_model "
            f"{args.load_model}, {kinds.in_words(args.model, vars(args))}"
        )
    from language_modeling import inspection

    texts = inspection.texts_to_show(args, corpus, output.note)
    return lambda model: inspection.show(
        args, model, texts, corpus, output.result
    )


def in_words(measured):
    """What was measured, in a line."""
    from language_modeling import measuring

    return measuring.in_words(measured)


TASK = Task(
    name="language_modeling",
    program="language_modeling/RL_train.py",
    description="Trains a language model: an LSTM whose top layer learns "
    "which of its K past states to connect to, or one to compare it with.",
    flags=settings.FLAGS,
    measures=(PERPLEXITY, BITS_PER_CHARACTER),
    throughput="tokens",
    count=lambda args: args.batch_size * args.num_unroll_steps,
    load=load,
    build=build,
    batches=batches,
    validate=validate,
    test=test,
    reference=reference,
    published=published,
    check=check,
    show=show,
    schedule=schedule,
    describe=describe,
    in_words=in_words,
    run_name=lambda args: f"lm-{args.model}",
    tables=tables.TABLES,
    budgets=tables.BUDGETS,
    columns=tables.columns,
)
