"""From settings to a model, and to what trains it."""

import keras

import dsl
from dsl.datasets import characters
from dsl.experiment import kinds
from dsl.seeds import spread
from dsl.training.optimizers import GroupedOptimizer
from dsl.training.streams import StreamTrainer


def build_model(args, vocabulary_size, words=None):
    """The model of the settings, in their precision.

    Args:
        args: The settings.
        vocabulary_size: Number of words.
        words: The word of each id, which --char spells.
    """
    before = keras.config.dtype_policy()
    if args.mixed_precision is not None:
        keras.config.set_dtype_policy(f"mixed_{args.mixed_precision}")
    try:
        return _build_model(args, vocabulary_size, words)
    finally:
        keras.config.set_dtype_policy(before)


def _build_model(args, vocabulary_size, words):
    """Plain LSTM layers, and on top the one that the model is named for."""
    start, *seeds = spread(args.seed, 2 + args.rnn_layers)
    # A seed generator makes each weight a draw of its own.
    uniform = keras.initializers.RandomUniform(
        -args.param_init,
        args.param_init,
        seed=keras.random.SeedGenerator(start),
    )

    def options(n):
        return {
            "kernel_initializer": uniform,
            "recurrent_initializer": uniform,
            "bias_initializer": uniform,
            "unit_forget_bias": False,
            "forget_bias": args.forget_bias,
            "return_sequences": True,
            "return_state": True,
            "seed": seeds[n],
            "name": f"layer_{n}",
        }

    top = args.rnn_layers - 1
    model = dsl.LanguageModel(
        vocabulary_size,
        [
            *(dsl.LSTM(args.rnn_size, **options(n)) for n in range(top)),
            kinds.recurrent_layer(args, options(top)),
        ],
        embedding_units=None if args.char else args.rnn_size,
        embedding=character_embedding(args, words, uniform)
        if args.char
        else None,
        dropout=args.dropout,
        initializer=uniform,
        seed=seeds[-1],
        name="language_model",
    )
    model.build((args.batch_size, args.num_unroll_steps))
    return model


def character_embedding(args, words, initializer):
    """What reads words as characters, from its settings."""
    if words is None:
        raise ValueError("a model of characters needs `words`. Received: None")
    alphabet = characters.alphabet(words)
    return dsl.CharacterEmbedding(
        characters.spell(words, alphabet, args.max_word_length),
        dsl.CharacterEncoder(
            len(alphabet),
            args.char_embed_size,
            widths=args.kernels,
            feature_maps=args.kernel_features,
            highway_layers=args.highway_layers,
            initializer=initializer,
            name="character_encoder",
        ),
        name="embedding",
    )


def build_trainer(args, model):
    """The model with its learning signal and optimizers, compiled."""
    signal = kinds.policy_signal(args, discount=args.discount)
    own = signal is not None and args.agent_optimizer == "adam"
    trainer = StreamTrainer(
        model,
        args.batch_size,
        signal,
        args.keep_buffer,
        num_rollouts=args.rollouts if kinds.chooses(args) else 1,
        task_rollouts=args.task_rollouts if kinds.chooses(args) else None,
        look_back_shares=look_back_shares(args),
        random_share=1.0 if args.random_share is None else args.random_share,
        policy_start=args.policy_start if kinds.chooses(args) else 0,
        seed=args.seed,
    )
    trainer.compile(
        optimizer=GroupedOptimizer(
            keras.optimizers.SGD(args.learning_rate),
            keras.optimizers.Adam(args.agent_learning_rate) if own else None,
            max_norm=args.max_grad_norm,
        ),
        jit_compile=kinds.jit_compile(args),
    )
    trainer.build((args.batch_size, args.num_unroll_steps))
    trainer.optimizer.build(trainer.trainable_variables)
    return trainer


def look_back_shares(args):
    """Shares of the distances 1..K that are drawn in the agent's place."""
    drawn = args.policy == "random" or args.random_share is not None
    if not kinds.chooses(args) or not drawn:
        return None
    if args.look_back_shares is None:
        return [1.0] * args.n_actions
    missing = args.n_actions - len(args.look_back_shares)
    return [*args.look_back_shares, *[0.0] * missing]
