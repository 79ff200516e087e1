"""The models of all tasks: which settings each reads, and its layer.

A task's top layer goes on from the previous state (lstm), from the one a fixed
number of steps back (fixed_skip), from a weighted sum of the last K
(attention), or from one of these that an agent chooses (dynamic_skip).
"""

import dsl

MODELS = ("lstm", "fixed_skip", "attention", "dynamic_skip")
_AGENT = (
    "previous_bias observation empty_slots "
    # What it learns from.
    "policy estimator rollouts reward baseline policy_weight entropy_weight "
    "final_entropy_weight entropy_steps sequence_entropy_weight temperature "
    "agent_learning_rate "
    # In language modeling.
    "look_back_shares random_share policy_start task_rollouts discount "
    "agent_optimizer "
    # In number prediction.
    "policy_positions credit probability_offset "
    # How its choices are measured.
    "eval_actions eval_samples"
)
# The settings that not every model reads, and the models that do.
READERS = {
    "lamda": MODELS[1:],
    "keep_buffer": MODELS[1:],
    "skip": ("fixed_skip",),
    "n_actions": ("attention", "dynamic_skip"),
    "policy_units": ("attention", "dynamic_skip"),
    **dict.fromkeys(_AGENT.split(), ("dynamic_skip",)),
}


def unread(model):
    """The names of the settings that a model does not read.

    Args:
        model: One of `MODELS`; of anything else nothing is known.
    """
    return {
        name
        for name, readers in READERS.items()
        if model in MODELS and model not in readers
    }


def effective(saved):
    """Of the settings that a run keeps, a dict, those that its model reads."""
    ignored = unread(saved.get("model"))
    return {key: value for key, value in saved.items() if key not in ignored}


def check_read(parser, given, model):
    """Ends with an error if a flag is given that the model does not read.

    Args:
        parser: The parser, which says it.
        given: The names of the flags that are given.
        model: One of `MODELS`.
    """
    for name in sorted(unread(model) & given):
        parser.error(
            f"argument --{name}: must go with a model that reads it "
            f"({', '.join(READERS[name])}). Received: --model {model}"
        )


def num_states(args):
    """How many past states the model of these settings keeps."""
    kept = {"lstm": 1, "fixed_skip": args.skip}
    return kept.get(args.model, args.n_actions)


def chooses(args):
    """Whether the model has past states to choose from."""
    return args.model == "dynamic_skip" and args.n_actions > 1


def learns(args):
    """Whether the model has an agent that learns."""
    return chooses(args) and args.policy == "learned"


def connects(args):
    """Whether the model can tell which past state it went on from most."""
    attends = args.model == "attention" and args.n_actions > 1
    return attends or chooses(args)


def recurrent_layer(args, options, **agent):
    """The layer of the model of these settings.

    It returns what it chose, or attended to, wherever it had a choice.

    Args:
        args: The settings.
        options: Dict of arguments that all layers take.
        **agent: Further arguments of a dynamic skip LSTM.

    Returns:
        A layer of `dsl`, not built yet.
    """
    if args.model == "lstm":
        return dsl.LSTM(args.rnn_size, **options)
    options = {"skip_weight": args.lamda, **options}
    if args.model == "fixed_skip":
        return dsl.FixedSkipLSTM(args.rnn_size, skip=args.skip, **options)
    if args.model == "attention":
        return dsl.AttentionLSTM(
            args.rnn_size,
            num_states=args.n_actions,
            attention_units=args.policy_units,
            return_attention=args.n_actions > 1,
            **options,
        )
    return dsl.DynamicSkipLSTM(
        args.rnn_size,
        num_actions=args.n_actions,
        policy_units=args.policy_units,
        observation=args.observation,
        empty_slots=args.empty_slots,
        previous_bias=args.previous_bias,
        # Without a signal and a gradient the agent stays as it is.
        estimator=args.estimator if learns(args) else "reinforce",
        temperature=args.temperature,
        return_policy=args.n_actions > 1,
        **options,
        **agent,
    )


def policy_signal(args, **task):
    """What the agent of these settings learns from.

    Args:
        args: The settings.
        **task: Further arguments, of what one task alone has.

    Returns:
        A `PolicySignal`, or None without an agent that learns.
    """
    from dsl.policy.signal import PolicySignal

    if not learns(args):
        return None
    return PolicySignal(
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
