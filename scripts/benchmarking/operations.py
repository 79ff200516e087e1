"""How much arithmetic a training step needs, counted by hand."""


def product(rows, inner, columns):
    """Floating-point operations of one matrix product, `2 m k n`."""
    return 2 * rows * inner * columns


def step_flops(contender, size):
    """Floating-point operations of the matrix products of a training step.

    With N = T B steps in all, for each product its forward pass, the gradient
    of its input and the gradient of its kernel, all three equally large; what
    has no gradient is said below. The gradient of the state before the first
    step is counted: every loop computes it, though nobody reads it. Not
    counted: look-ups of words and characters, elementwise work, the norm and
    the update.

    Args:
        contender: A `plan.Contender`.
        size: Its `plan.Size` or `plan.NumberSize`.

    Returns:
        Integer.
    """
    task = {
        "language_model": language_model_flops,
        "number_prediction": classifier_flops,
    }[size.model]
    flops = task(contender, size)
    if contender.kind == "dynamic":
        flops += agent_flops(contender, size)
    if contender.kind == "attention":
        flops += attention_flops(contender, size)
    if contender.characters:
        flops += encoder_flops(size)
    return flops


def language_model_flops(contender, size):
    """Two layers and a softmax at each step, of R rollouts of the top layer.

        layer 1, 2      3 * (N, H, 4H)      x_t W
        layer 1         3 * (N, H, 4H)      h_{t-1} U
        layer 2         3 * (R N, H, 4H)    h_{t-1} U
        softmax         3 * (R N, H, V)

    Rollouts share what depends on the input of their layer alone.

    Args:
        contender: A `plan.Contender`.
        size: Its `plan.Size`.

    Returns:
        Integer, without the agent.
    """
    rows = size.steps * size.batch
    rolled = contender.rollouts * rows
    units = size.units
    forward = 2 * product(rows, units, 4 * units)
    forward += product(rows, units, 4 * units)
    forward += product(rolled, units, 4 * units)
    forward += product(rolled, units, size.vocabulary)
    return 3 * forward


def encoder_flops(size):
    """What reading words as characters adds to `step_flops`.

    The n different words of a batch are encoded once, each in L characters and
    padding as wide as the widest convolution, of which w see a window each:

        convolutions    3 * (n (L + 1), w E, maps)      each width w
        highway layers  3 * 2 * (n, C, C)               each
        layer 1         3 * (N, C - H, 4H)              C in the place of H

    Args:
        size: A `plan.Size` with an encoder.

    Returns:
        Integer.
    """
    # Late: it needs NumPy, and help does not.
    from benchmarking import text

    encoder, words = size.encoder, text.distinct(size)
    windows = words * (encoder.longest + 1)
    forward = sum(
        product(windows, width * encoder.embedding_units, maps)
        for width, maps in zip(
            encoder.widths, encoder.feature_maps, strict=True
        )
    )
    highway = 2 * product(words, encoder.units, encoder.units)
    forward += encoder.highway_layers * highway
    wider = encoder.units - size.units
    forward += product(size.steps * size.batch, wider, 4 * size.units)
    return 3 * forward


def classifier_flops(contender, size):
    """One layer of R rollouts, and a readout at the last step alone.

        layer           2 * (N, S, 4H)      x_t W: one-hot, no input gradient
        layer           3 * (R N, H, 4H)    h_{t-1} U
        readout         3 * (R B, H, S)

    Args:
        contender: A `plan.Contender`.
        size: Its `plan.NumberSize`.

    Returns:
        Integer, without the agent.
    """
    rows = size.steps * size.batch
    units = size.units
    rolled = product(contender.rollouts * rows, units, 4 * units)
    rolled += product(contender.rollouts * size.batch, units, size.symbols)
    return 2 * product(rows, size.symbols, 4 * units) + 3 * rolled


def agent_flops(contender, size):
    """The agent's part of `step_flops`.

        2 * (N, F, P)       x_t A_x: once, no input gradient
        3 * (R N, H, P)     h_{t-1} A_h: twice, no input gradient
        4 * (R N, P, K)     V tanh(...): twice, and both gradients
        1 * (R B, T, T)     discounted rewards to go; REINFORCE only

    F is the width of the layer's input, H in a language model. The agent runs
    once inside of the loop, to choose, and once after it for all steps
    together, to learn.

    Args:
        contender: A `plan.Contender` of the kind "dynamic".
        size: Its `plan.Size` or `plan.NumberSize`.

    Returns:
        Integer.
    """
    rows = size.steps * size.batch
    rolled = contender.rollouts * rows
    flops = 2 * product(rows, size.features, size.policy_units)
    flops += 3 * product(rolled, size.units, size.policy_units)
    flops += 4 * product(rolled, size.policy_units, contender.num_actions)
    if contender.estimator == "reinforce":
        streams = contender.rollouts * size.batch
        flops += product(streams, size.steps, size.steps)
    return flops


def attention_flops(contender, size):
    """The attention's part of `step_flops`: what scores past states.

        3 * (N, F, P)       x_t A_x
        3 * (N, H, P)       h_t A_h
        2 * (B, H, P)       h_0 A_h: no gradient of h_0
        3 * (N, P, K)       V tanh(...)

    The weighted sums of K states are elementwise work.

    Args:
        contender: A `plan.Contender` of the kind "attention".
        size: Its `plan.Size`.

    Returns:
        Integer.
    """
    rows = size.steps * size.batch
    forward = product(rows, size.features + size.units, size.policy_units)
    forward += product(rows, size.policy_units, contender.num_actions)
    return 3 * forward + 2 * product(size.batch, size.units, size.policy_units)
