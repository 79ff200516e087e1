"""The kinds of recurrent layer that `--model` names, one line each.

A task's top layer goes on from the previous state (lstm), from the one a fixed
number of steps back (fixed_skip), from a weighted sum of the last K
(attention), or from one of these that an agent chooses (dynamic_skip).
"""

import dataclasses
from collections.abc import Callable

import dsl


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of recurrent layer.

    Args:
        layer: Function of the settings and of a dict of arguments that all
            layers take, and of further ones, that gives the layer, not built
            yet.
        states: Name of the setting that holds how many past states it keeps;
            None keeps the previous one alone.
        words: Function of the saved settings, a dict, to what a table says of
            the layer, in parts.
        skips: Whether it mixes the previous state with others, by lambda.
        scores: Whether a network of its own looks at the past states.
        chooses: Whether that network is an agent, which takes one of them.
    """

    layer: Callable
    states: str | None = None
    words: Callable = lambda settings: []
    skips: bool = False
    scores: bool = False
    chooses: bool = False


def _lstm(args, options):
    return dsl.LSTM(args.rnn_size, **options)


def _fixed_skip(args, options):
    return dsl.FixedSkipLSTM(
        args.rnn_size, skip=args.skip, skip_weight=args.lamda, **options
    )


def _attention(args, options):
    return dsl.AttentionLSTM(
        args.rnn_size,
        num_states=args.n_actions,
        skip_weight=args.lamda,
        attention_units=args.policy_units,
        **_scoring_options(args),
        return_attention=args.n_actions > 1,
        **options,
    )


def _dynamic_skip(args, options, **agent):
    return dsl.DynamicSkipLSTM(
        args.rnn_size,
        num_actions=args.n_actions,
        skip_weight=args.lamda,
        policy_units=args.policy_units,
        observation=args.observation,
        empty_slots=args.empty_slots,
        previous_bias=args.previous_bias,
        **_scoring_options(args),
        # Without a signal and a gradient the agent stays as it is.
        estimator=args.estimator if learns(args) else "reinforce",
        temperature=args.temperature,
        return_policy=args.n_actions > 1,
        **options,
        **agent,
    )


def _scoring_options(args):
    """How past states are scored; by location where nothing is said."""
    scoring = {} if args.scoring is None else {"scoring": args.scoring}
    return {**scoring, "relative": bool(args.relative)}


def _skip_in_words(settings):
    return [str(settings.get("skip")), _lambda_in_words(settings)]


def _slots_in_words(settings):
    parts = [f"K={settings.get('n_actions')}", _lambda_in_words(settings)]
    if settings.get("scoring") is not None:
        parts.append(f"by {settings['scoring']}")
    return parts + ["relative"] * bool(settings.get("relative"))


def _lambda_in_words(settings):
    return f"λ={settings.get('lamda')}"


def _agent_in_words(settings):
    """How an agent learned, or what takes its place."""
    parts = _slots_in_words(settings)
    if settings.get("policy") == "random":
        shares = settings.get("look_back_shares")
        words = "uniform" if shares is None else " ".join(map(str, shares))
        parts.append(f"random distances, shares {words}")
    elif settings.get("policy") not in (None, "learned"):
        parts.append(f"{settings['policy']} policy")
    else:
        parts.append(str(settings.get("estimator")).replace("_", "-"))
    if settings.get("random_share") is not None:
        parts.append(f"random at {settings['random_share']} of the steps")
    if settings.get("rollouts") not in (None, 1):
        parts.append(f"{settings['rollouts']} rollouts")
        if settings.get("task_rollouts") not in (None, settings["rollouts"]):
            parts.append(f"words from {settings['task_rollouts']}")
    if settings.get("recipe") not in (None, "best"):
        parts.append(f"recipe {settings['recipe']}")
    return parts


KINDS = {
    "lstm": Kind(_lstm),
    "fixed_skip": Kind(_fixed_skip, "skip", _skip_in_words, skips=True),
    "attention": Kind(
        _attention, "n_actions", _slots_in_words, skips=True, scores=True
    ),
    "dynamic_skip": Kind(
        _dynamic_skip,
        "n_actions",
        _agent_in_words,
        skips=True,
        scores=True,
        chooses=True,
    ),
}


def _names(trait):
    return tuple(name for name, one in KINDS.items() if getattr(one, trait))


MODELS = tuple(KINDS)
SKIPPING, SCORING, CHOOSING = map(_names, ("skips", "scores", "chooses"))


def num_states(args):
    """How many past states the model of these settings keeps."""
    name = KINDS[args.model].states
    return 1 if name is None else getattr(args, name)


def chooses(args):
    """Whether the model has past states to choose from."""
    return args.model in CHOOSING and num_states(args) > 1


def learns(args):
    """Whether the model has an agent that learns."""
    # A task that imposes no distances has no such flag.
    return chooses(args) and getattr(args, "policy", "learned") == "learned"


def connects(args):
    """Whether the model can tell which past state it went on from most."""
    return args.model in SCORING and num_states(args) > 1


def recurrent_layer(args, options, **agent):
    """The layer of the model of these settings.

    It returns what it chose, or attended to, wherever it had a choice.

    Args:
        args: The settings.
        options: Dict of arguments that all layers take.
        **agent: Further arguments of a layer with an agent.

    Returns:
        A layer of `dsl`, not built yet.
    """
    kind = KINDS[args.model]
    return kind.layer(args, options, **(agent if kind.chooses else {}))


def in_words(model, settings):
    """A model in words: its layers, how its agent learned, what it reads.

    Args:
        model: Its name; also one that this code does not know.
        settings: Dict of the settings of its run.
    """
    parts = KINDS[model].words(settings) if model in KINDS else []
    words = f"{model} ({', '.join(parts)})" if parts else str(model)
    return f"{words}, characters" if settings.get("char") else words


def jit_compile(args):
    """XLA as asked for; otherwise only where nothing runs without it."""
    if args.jit is None:
        import keras

        return keras.backend.backend() == "jax"
    return args.jit


def policy_signal(args, **task):
    """What the agent of these settings learns from.

    Args:
        args: The settings.
        **task: Further arguments, of what one task alone has.

    Returns:
        A `PolicySignal`, or None without an agent that learns.
    """
    if not learns(args):
        return None
    return dsl.PolicySignal(
        estimator=args.estimator,
        reward=args.reward,
        baseline=args.baseline,
        num_rollouts=args.rollouts,
        policy_weight=args.policy_weight,
        entropy_weight=args.entropy_weight,
        final_entropy_weight=args.final_entropy_weight,
        entropy_steps=args.entropy_steps or 0,
        sequence_entropy_weight=args.sequence_entropy_weight,
        **task,
    )
