"""The equations again, slowly: float64 NumPy oracles for the tests.

Everything here is written from the paper's equations and from nothing else:
no module of `dsl`, no Keras, no TensorFlow. Loops are plain and each function
is one equation. Gates are in the order i, f, g, o throughout.

A state of the dynamic skip LSTM with K = `num_actions` is the tuple
`(h, c, past_h, past_c, count)` of shapes `(batch, H)`, `(batch, H)`,
`(batch, (K - 1) * H)`, `(batch, (K - 1) * H)` and `(batch, 1)`; the past is
newest first, distances 2 to K. With K = 1 it is `(h, c)`. Where the choice is
relative to the one before, the pointer, `(batch, K)`, stands before the count.

Reference: Gui et al., "Long Short-Term Memory with Dynamic Skip
Connections", AAAI 2019, https://arxiv.org/abs/1811.03873
"""

import itertools

import numpy as np

LSTM_WEIGHTS = ("kernel", "recurrent_kernel", "bias")
POLICY_WEIGHTS = (
    "policy_kernel",
    "policy_bias",
    "policy_output_kernel",
    "policy_output_bias",
)


def sigmoid(x):
    """sigm(x) = 1 / (1 + exp(-x))."""
    return 1.0 / (1.0 + np.exp(-x))


def log_softmax(logits):
    """log p_k = l_k - log sum_j exp(l_j); an entry of -inf stays -inf."""
    shifted = logits - np.max(logits)
    return shifted - np.log(np.sum(np.exp(shifted)))


def softmax(logits):
    """p_k = exp(l_k) / sum_j exp(l_j)."""
    return np.exp(log_softmax(logits))


def entropy_of(log_probabilities):
    """H = -sum_k p_k log p_k, where 0 log 0 = 0."""
    total = 0.0
    for log_p in log_probabilities:
        if log_p > -np.inf:
            total -= np.exp(log_p) * log_p
    return total


def lstm_step(x, h, c, weights, forget_bias=0.0):
    """One step of the LSTM for one sequence.

        i, f, g, o = x W + h U + b
        c' = sigm(f + forget_bias) c + sigm(i) tanh(g),  h' = sigm(o) tanh(c')

    Args:
        x: `(D,)`.
        h: `(H,)`.
        c: `(H,)`.
        weights: `kernel` (D, 4H), `recurrent_kernel` (H, 4H), `bias` (4H,).
        forget_bias: Constant added to f.

    Returns:
        `(h', c')`, each `(H,)`.
    """
    z = x @ weights["kernel"] + h @ weights["recurrent_kernel"]
    if "bias" in weights:
        z = z + weights["bias"]
    units = h.shape[0]
    i = sigmoid(z[:units])
    f = sigmoid(z[units : 2 * units] + forget_bias)
    g = np.tanh(z[2 * units : 3 * units])
    o = sigmoid(z[3 * units :])
    c_next = f * c + i * g
    return o * np.tanh(c_next), c_next


def lstm(inputs, weights, state=None, mask=None, forget_bias=0.0):
    """An LSTM over a batch of sequences.

    A masked step keeps the state and repeats the output (zeros before the
    first unmasked step).

    Args:
        inputs: `(B, T, D)`.
        weights: As in `lstm_step`.
        state: `(h, c)`, each `(B, H)`; zeros if None.
        mask: Boolean `(B, T)` or None.
        forget_bias: Constant added to f.

    Returns:
        `(outputs, h, c)`: `(B, T, H)`, `(B, H)`, `(B, H)`.
    """
    batch, steps, _ = inputs.shape
    units = weights["recurrent_kernel"].shape[0]
    outputs = np.zeros((batch, steps, units))
    last_h, last_c = np.zeros((batch, units)), np.zeros((batch, units))
    for b in range(batch):
        h, c = np.zeros(units), np.zeros(units)
        if state is not None:
            h, c = state[0][b], state[1][b]
        output = np.zeros(units)
        for t in range(steps):
            if mask is None or mask[b, t]:
                h, c = lstm_step(inputs[b, t], h, c, weights, forget_bias)
                output = h
            outputs[b, t] = output
        last_h[b], last_c[b] = h, c
    return outputs, last_h, last_c


def selectable_distances(count, num_actions, empty_slots="mask"):
    """Which distances k = 1..K the agent may choose after `count` steps.

    `s[t-k]` exists iff k = 1 or count >= k. "mask" allows what exists;
    "zeros" allows everything except at the first step, where only k = 1;
    "previous" allows everything.

    Returns:
        Boolean `(K,)`.
    """
    allowed = np.zeros(num_actions, bool)
    for k in range(1, num_actions + 1):
        if empty_slots == "mask":
            allowed[k - 1] = k == 1 or count >= k
        elif empty_slots == "zeros":
            allowed[k - 1] = k == 1 or count >= 1
        else:
            allowed[k - 1] = True
    return allowed


def state_at_distance(k, previous, past, empty_slots="mask"):
    """The state s[t-k] and the distance that is really used.

    Args:
        k: Chosen distance, 1..K.
        previous: s[t-1] as `(h, c)`.
        past: List of s[t-2], s[t-3], ...; only those that exist.
        empty_slots: What a missing state is: zeros, or s[t-1].

    Returns:
        `((h, c), executed distance)`.
    """
    if k == 1:
        return previous, 1
    if k - 2 < len(past):
        return past[k - 2], k
    if empty_slots == "zeros":
        return (np.zeros_like(previous[0]), np.zeros_like(previous[1])), k
    return previous, 1


def observe(x, previous, past, count, num_actions, observation="previous"):
    """What the agent sees: e_t = [x_t ; h[t-1]].

    "mean", as in the published code, replaces h[t-1] by
    (1/K) sum_{k=1..K} h[t-k], missing states counted as zeros, from the
    second step on; the first step sees the initial h.
    """
    if observation == "previous" or count == 0:
        return np.concatenate([x, previous[0]])
    total = previous[0].copy()
    for h, _ in past:
        total = total + h
    return np.concatenate([x, total / num_actions])


def scores_of_query(q, hidden_states, read, num_states, weights, prefix):
    """The scores of K past states, by a query q.

        l_k = (q V + v)_k                                     by location
        l_k = q . (h[t-k] C) + [k = 1] (q V + v)              by key
        l_k = [k = 1] (q V + v), or -10^4 where no move leads  by moves alone
        l_k += m_0 u[t-1, k] + m_1 u[t-1, k-1] + m_2 u[t-1, k-2],
               m = q M + m_0                                  relative

    Args:
        q: `(P,)`.
        hidden_states: List of h[t-1], h[t-2], ...; only those that exist.
        read: u[t-1], the pointer, `(K,)`, or None.
        num_states: K.
        weights: With `<prefix>_output_kernel`, `<prefix>_output_bias`, by key
            `<prefix>_key_kernel`, relative `<prefix>_move_kernel` and
            `<prefix>_move_bias`.
        prefix: "policy" or "attention".
    """
    located = q @ weights[f"{prefix}_output_kernel"]
    located = located + weights[f"{prefix}_output_bias"]
    scores = np.zeros(num_states)
    for k in range(1, num_states + 1):
        if f"{prefix}_key_kernel" not in weights and len(located) == 1:
            near = [read[k - j - 1] for j in range(3) if k - j >= 1]
            scores[k - 1] = located[0] if k == 1 else 0.0
            if k > 1 and not np.any(near):
                scores[k - 1] = -1e4
        elif f"{prefix}_key_kernel" not in weights:
            scores[k - 1] = located[k - 1]
        else:
            if k == 1:
                scores[0] = located[0]
            if k <= len(hidden_states):
                key = hidden_states[k - 1] @ weights[f"{prefix}_key_kernel"]
                scores[k - 1] += q @ key
    if read is not None:
        moves = q @ weights[f"{prefix}_move_kernel"]
        moves = moves + weights[f"{prefix}_move_bias"]
        for k in range(1, num_states + 1):
            for j in range(3):
                if k - j >= 1:
                    scores[k - 1] += moves[j] * read[k - j - 1]
    return scores


def point(read, pointer, count):
    """Where the last skip led to; the previous state is none.

        u[t, k] = w[t, k] + w[t, 1] u[t-1, k-1]   k > 1
        u[t, 1] = w[t, 1] (1 - sum of u[t-1])     for want of another one

    The first step, `count` 0, points to nothing.
    """
    if count == 0:
        return np.zeros(len(read))
    moved = np.zeros(len(read))
    moved[0] = read[0] * (1.0 - np.sum(pointer))
    for k in range(1, len(read)):
        moved[k] = read[k] + read[0] * pointer[k - 1]
    return moved


def policy_query(observation, weights, count=0):
    """q = tanh(e W1 + b1 + P[n]), shape `(P,)`; P only if given."""
    inside = observation @ weights["policy_kernel"] + weights["policy_bias"]
    if "policy_position_kernel" in weights:
        positions = weights["policy_position_kernel"]
        inside = inside + positions[min(count, len(positions) - 1)]
    return np.tanh(inside)


def policy_logits(observation, weights, count=0):
    """l = q W2 + b2, shape `(K,)`: the choice by location."""
    return (
        policy_query(observation, weights, count)
        @ weights["policy_output_kernel"]
        + weights["policy_output_bias"]
    )


def mix(selected, previous, skip_weight):
    """s~ = lambda s[t-k] + (1 - lambda) s[t-1], for h and for c alike."""
    return tuple(
        skip_weight * chosen + (1.0 - skip_weight) * newest
        for chosen, newest in zip(selected, previous, strict=True)
    )


def weighted_state(selection, previous, past, empty_slots="mask"):
    """sum_k w_k s[t-k] for weights w `(K,)`."""
    h, c = np.zeros_like(previous[0]), np.zeros_like(previous[1])
    for k, weight in enumerate(selection, start=1):
        state, _ = state_at_distance(k, previous, past, empty_slots)
        h, c = h + weight * state[0], c + weight * state[1]
    return h, c


def unpack_state(state, row, num_actions, units):
    """One row of a flat state as `(previous, past list, count)`."""
    if state is None:
        return (np.zeros(units), np.zeros(units)), [], 0
    previous = (state[0][row], state[1][row])
    if num_actions == 1:
        return previous, [], 0
    count = int(state[-1][row, 0])
    past = []
    for k in range(2, num_actions + 1):
        if count >= k:
            at = slice((k - 2) * units, (k - 1) * units)
            past.append((state[2][row, at], state[3][row, at]))
    return previous, past, count


def pack_states(rows, num_actions, units):
    """The flat states of `(previous, past list, count)` rows."""
    h = np.stack([previous[0] for previous, _, _ in rows])
    c = np.stack([previous[1] for previous, _, _ in rows])
    if num_actions == 1:
        return h, c
    past_h = np.zeros((len(rows), (num_actions - 1) * units))
    past_c = np.zeros((len(rows), (num_actions - 1) * units))
    for row, (_, past, _) in enumerate(rows):
        for slot, state in enumerate(past):
            past_h[row, slot * units : (slot + 1) * units] = state[0]
            past_c[row, slot * units : (slot + 1) * units] = state[1]
    counts = np.array([[float(count)] for _, _, count in rows])
    return h, c, past_h, past_c, counts


def unpack_read(state, row, num_states, weights, prefix):
    """The pointer, `(K,)`; None where no choice is relative."""
    if f"{prefix}_move_kernel" not in weights:
        return None
    return np.zeros(num_states) if state is None else state[4][row]


def with_read(states, reads):
    """Flat states, with the pointers before the count."""
    if not reads:
        return states
    return (*states[:4], np.stack(reads), states[4])


def choose(allowed, logits, forced=None, noise=None):
    """The distance k: forced, else argmax of allowed logits (+ noise).

    A forced distance that is not allowed is distance 1.
    """
    if forced is not None:
        return int(forced) if allowed[int(forced) - 1] else 1
    scores = np.where(allowed, logits, -np.inf)
    if noise is not None:
        scores = scores + noise
    return int(np.argmax(scores)) + 1


def remember(previous, past, count, num_actions):
    """Slots after a step: s[t-1] moves in, the oldest drops out.

    The initial state (count = 0) is never remembered.
    """
    if count == 0:
        return []
    return ([previous] + past)[: num_actions - 1]


def agent_step(
    x,
    state,
    weights,
    *,
    num_actions,
    empty_slots,
    observation,
    forced,
    noise,
    frozen,
    read,
):
    """One decision of the agent of one sequence.

        e_t = observation,  log pi = log_softmax(l(e_t)),  k_t as in `choose`

    Returns:
        The chosen state s[t-k] as `(h, c)`, a dictionary of what happened, and
        the weights of the K states, which are 0 but for the one that was read.
    """
    previous, past, count = state
    if num_actions == 1:
        return previous, {"look_back": 1, "allowed": True}, None
    seen = frozen
    if seen is None:
        seen = observe(x, previous, past, count, num_actions, observation)
    logits = scores_of_query(
        policy_query(seen, weights, count),
        [previous[0], *(h for h, _ in past)],
        read,
        num_actions,
        weights,
        "policy",
    )
    allowed = selectable_distances(count, num_actions, empty_slots)
    log_policy = log_softmax(np.where(allowed, logits, -np.inf))
    k = choose(allowed, logits, forced, noise)
    chosen, executed = state_at_distance(k, previous, past, empty_slots)
    read = np.zeros(num_actions)
    if executed <= len(past) + 1:
        read[executed - 1] = 1.0
    return (
        chosen,
        {
            "observations": seen,
            "logits": logits,
            "allowed": allowed,
            "log_prob": log_policy[k - 1],
            "entropy": entropy_of(log_policy),
            "look_back": executed,
        },
        read,
    )


def empty_result(batch, steps, features, units, num_actions):
    """Zeros for everything that `dynamic_skip_lstm` records."""
    return {
        "outputs": np.zeros((batch, steps, units)),
        "log_prob": np.zeros((batch, steps)),
        "entropy": np.zeros((batch, steps)),
        "look_back": np.zeros((batch, steps), int),
        "logits": np.zeros((batch, steps, num_actions)),
        "allowed": np.zeros((batch, steps, num_actions), bool),
        "observations": np.zeros((batch, steps, features + units)),
    }


def dynamic_skip_lstm(
    inputs,
    weights,
    state=None,
    *,
    num_actions,
    look_back=None,
    noise=None,
    mask=None,
    skip_weight=1.0,
    empty_slots="mask",
    observation="previous",
    forget_bias=0.0,
    zero_output_for_mask=False,
    observations=None,
    selection=None,
    added=None,
):
    """The dynamic skip LSTM over a batch of sequences.

        k_t ~ pi(. | e_t),  s~ = lambda s[t-k_t] + (1 - lambda) s[t-1]
        s_t = LSTM(x_t, s~)

    Args:
        inputs: `(B, T, D)`.
        weights: Those of `lstm_step`, and `policy_kernel` (D+H, P),
            `policy_bias` (P,), `policy_output_kernel` (P, K),
            `policy_output_bias` (K,) if K > 1; or those of another way to
            choose, see `scores_of_query`.
        state: Initial state as in the module's docstring; zeros if None.
        num_actions: K.
        look_back: Forced distances, integer `(B, T)`, 0 where the policy
            chooses; or None.
        noise: Gumbel noise `(B, T, K)`, or None for the greedy choice.
        mask: Boolean `(B, T)` or None.
        skip_weight: lambda.
        empty_slots: "mask", "zeros" or "previous".
        observation: "previous" or "mean".
        forget_bias: Constant added to f.
        zero_output_for_mask: Whether masked steps put out zeros.
        observations: Frozen e_t `(B, T, D+H)`, which are then not computed:
            a difference quotient sees a gradient that stops there.
        selection: Weights of the K states `(B, T, K)`, used in place of the
            hard choice.
        added: `(B, T, H)`, added to each h_t for all that reads it; or None.

    Returns:
        A dictionary: `outputs` (B, T, H), `states` (flat), `log_prob`,
        `entropy`, `look_back`, each (B, T), `logits` and `allowed`
        (B, T, K), `observations` (B, T, D+H).
    """
    batch, steps, features = inputs.shape
    units = weights["recurrent_kernel"].shape[0]
    result = empty_result(batch, steps, features, units, num_actions)
    rows, reads = [], []
    for b in range(batch):
        previous, past, count = unpack_state(state, b, num_actions, units)
        read = unpack_read(state, b, num_actions, weights, "policy")
        relative = read is not None
        output = np.zeros(units)
        for t in range(steps):
            if mask is not None and not mask[b, t]:
                if not zero_output_for_mask:
                    result["outputs"][b, t] = output
                continue
            chosen, record, new_read = agent_step(
                inputs[b, t],
                (previous, past, count),
                weights,
                num_actions=num_actions,
                empty_slots=empty_slots,
                observation=observation,
                forced=None if look_back is None else look_back[b, t] or None,
                noise=None if noise is None else noise[b, t],
                frozen=None if observations is None else observations[b, t],
                read=read,
            )
            if relative:
                read = point(new_read, read, count)
            if selection is not None:
                chosen = weighted_state(
                    selection[b, t], previous, past, empty_slots
                )
            h, c = mix(chosen, previous, skip_weight)
            output, c = lstm_step(inputs[b, t], h, c, weights, forget_bias)
            if added is not None:
                output = output + added[b, t]
            past = remember(previous, past, count, num_actions)
            previous, count = (output, c), count + 1
            result["outputs"][b, t] = output
            for name, value in record.items():
                result[name][b, t] = value
        rows.append((previous, past, count))
        reads += [read] if relative else []
    result["states"] = with_read(pack_states(rows, num_actions, units), reads)
    return result


def read_past_states(
    inputs,
    weights,
    state,
    read,
    num_states,
    skip_weight,
    mask,
    forget_bias,
    added=None,
    relative=False,
):
    """An LSTM over a batch that reads something of its past states.

        s~ = lambda read(...) + (1 - lambda) s[t-1],  s_t = LSTM(x_t, s~)

    Args:
        inputs: `(B, T, D)`.
        weights: Those of `lstm_step`.
        state: Initial state as in the module's docstring; zeros if None.
        read: Function of x_t, s[t-1], the list of s[t-2], s[t-3], ..., the
            count of steps taken and, where it is relative, the pointer
            (else None), that returns what is
            read, `(h, c)`, and a dictionary of numbers and arrays to record.
        num_states: K.
        skip_weight: lambda.
        mask: Boolean `(B, T)` or None.
        forget_bias: Constant added to f.
        added: `(B, T, H)`, added to each h_t for all that reads it; or None.
        relative: Whether the states hold a pointer.

    Returns:
        A dictionary: `outputs` (B, T, H), `states` (flat), and what was
        recorded, each (B, T, ...), zeros where nothing was.
    """
    batch, steps, _ = inputs.shape
    units = weights["recurrent_kernel"].shape[0]
    result = {"outputs": np.zeros((batch, steps, units))}
    rows, weights_read = [], []
    for b in range(batch):
        previous, past, count = unpack_state(state, b, num_states, units)
        before = None
        if relative:
            before = np.zeros(num_states) if state is None else state[4][b]
        output = np.zeros(units)
        for t in range(steps):
            if mask is not None and not mask[b, t]:
                result["outputs"][b, t] = output
                continue
            selected, record = read(inputs[b, t], previous, past, count, before)
            if relative:
                before = point(record["attention"], before, count)
            h, c = mix(selected, previous, skip_weight)
            output, c = lstm_step(inputs[b, t], h, c, weights, forget_bias)
            if added is not None:
                output = output + added[b, t]
            past = remember(previous, past, count, num_states)
            previous, count = (output, c), count + 1
            result["outputs"][b, t] = output
            for name, value in record.items():
                blank = np.zeros((batch, steps, *np.shape(value)))
                result.setdefault(name, blank)[b, t] = value
        rows.append((previous, past, count))
        weights_read += [before] if relative else []
    result["states"] = with_read(
        pack_states(rows, num_states, units), weights_read
    )
    return result


def fixed_skip_lstm(
    inputs,
    weights,
    state=None,
    *,
    skip,
    skip_weight=1.0,
    mask=None,
    forget_bias=0.0,
    added=None,
):
    """The LSTM that reads s[t-skip] once `skip` steps are done, else s[t-1].

    Arguments and results as in `read_past_states`, K = skip.
    """

    def read(x, previous, past, count, before):
        del x, before
        if skip == 1 or count < skip:
            return previous, {}
        return past[skip - 2], {}

    return read_past_states(
        *(inputs, weights, state, read, skip, skip_weight, mask),
        *(forget_bias, added),
    )


def attention_scores(
    x, previous, past, weights, scoring, num_states, before=None
):
    """l_k for the distances k = 1, 2, ... of the states that exist.

    content:   l_k = v . tanh(A [x ; h[t-k]] + a)
    else as in `scores_of_query`, with q = tanh(A [x ; h[t-1]] + a)
    """

    def hidden(h):
        inside = np.concatenate([x, h]) @ weights["attention_kernel"]
        return np.tanh(inside + weights["attention_bias"])

    hidden_states = [previous[0], *(h for h, _ in past)]
    q, named = hidden(previous[0]), weights
    if scoring == "content":
        # What is left of a query are its moves.
        none = {
            "attention_output_kernel": np.zeros((len(q), num_states)),
            "attention_output_bias": np.zeros(num_states),
        }
        named = {**weights, **none}
    scores = scores_of_query(
        q, hidden_states, before, num_states, named, "attention"
    )[: len(hidden_states)]
    if scoring == "content":
        output = weights["attention_output_kernel"][:, 0]
        scores = scores + [hidden(h) @ output for h in hidden_states]
    return scores


def attention_lstm(
    inputs,
    weights,
    state=None,
    *,
    num_states,
    scoring="location",
    skip_weight=1.0,
    mask=None,
    forget_bias=0.0,
    added=None,
):
    """The LSTM that reads sum_k w_k s[t-k], w = softmax(l).

    The sum is over the states that exist. Arguments and results as in
    `read_past_states`, beside the weights `attention_kernel` (D+H, P),
    `attention_bias` (P,), `attention_output_kernel` (P, K) or (P, 1),
    `attention_output_bias` (K,) or (1,) and what else the scores ask for;
    `attention` (B, T, K) and `entropy` (B, T) are recorded.
    """

    def read(x, previous, past, count, before):
        del count
        attention = np.ones(1)
        if num_states > 1:
            attention = softmax(
                attention_scores(
                    *(x, previous, past, weights, scoring, num_states, before)
                )
            )
        record = {
            "attention": np.pad(attention, (0, num_states - len(attention))),
            "entropy": entropy_of(np.log(attention)),
        }
        return weighted_state(attention, previous, past), record

    return read_past_states(
        *(inputs, weights, state, read, num_states, skip_weight, mask),
        *(forget_bias, added, "attention_move_kernel" in weights),
    )


def soft_selection(observations, allowed, weights, noise, temperature):
    """y = softmax((l + noise) / temperature) over the allowed distances.

    Returns:
        `(B, T, K)`; zero where a distance is not allowed.
    """
    soft = np.zeros(allowed.shape)
    for b, t in np.ndindex(*allowed.shape[:2]):
        if not allowed[b, t].any():
            continue
        scores = policy_logits(observations[b, t], weights)
        if noise is not None:
            scores = scores + noise[b, t]
        scores = np.where(allowed[b, t], scores / temperature, -np.inf)
        soft[b, t] = softmax(scores)
    return soft


def rewards_to_go(r_t, discount=1.0):
    """G_t = sum_{j >= t} discount^(j - t) r_j, for `r_t` of shape (B, T)."""
    batch, steps = r_t.shape
    returns = np.zeros((batch, steps))
    for b in range(batch):
        for t in range(steps):
            for j in range(t, steps):
                returns[b, t] += discount ** (j - t) * r_t[b, j]
    return returns


def all_look_backs(steps, num_actions):
    """Every sequence of distances: integer `(K ** T, T)`."""
    distances = range(1, num_actions + 1)
    return np.array(list(itertools.product(distances, repeat=steps)))


def expected_return(log_prob, reward, entropy_weight=0.0):
    """J = sum_a pi(a) R(a) + beta H(pi), by enumeration.

    Args:
        log_prob: log pi(a_t | ...) `(N, T)`, one row for each of the N
            action sequences.
        reward: R(a) `(N,)`.
        entropy_weight: beta; H = -sum_a pi(a) log pi(a) of whole sequences.
    """
    total = 0.0
    for sequence in range(len(reward)):
        log_pi = np.sum(log_prob[sequence])
        total += np.exp(log_pi) * (reward[sequence] - entropy_weight * log_pi)
    return total


def policy_gradient(objective, weights, names=POLICY_WEIGHTS, step=1e-5):
    """Central differences of `objective(weights)`, element by element.

    Args:
        objective: Function of a dictionary of weights, returning a number.
        weights: Dictionary of arrays.
        names: Which of them to differentiate by.
        step: Half the distance between the two evaluations.

    Returns:
        Dictionary name -> gradient of the weight's shape.
    """
    gradient = {}
    for name in names:
        gradient[name] = np.zeros(weights[name].shape)
        for at in np.ndindex(*weights[name].shape):
            sides = []
            for sign in (1.0, -1.0):
                moved = weights[name].copy()
                moved[at] += sign * step
                sides.append(objective({**weights, name: moved}))
            gradient[name][at] = (sides[0] - sides[1]) / (2.0 * step)
    return gradient


def directional_derivative(function, point, direction, step=1e-5):
    """(f(p + h d) - f(p - h d)) / 2h for dictionaries of arrays p and d."""
    sides = []
    for sign in (1.0, -1.0):
        moved = {
            name: value + sign * step * direction[name]
            for name, value in point.items()
        }
        sides.append(function(moved))
    return (sides[0] - sides[1]) / (2.0 * step)


def global_norm(gradients):
    """sqrt(sum of squares) of all gradients, repeated rows summed first.

    Args:
        gradients: List of arrays, or `(indices, rows, num_rows)` for the
            gradient of an embedding, where an index may occur repeatedly.
    """
    total = 0.0
    for gradient in gradients:
        if isinstance(gradient, tuple):
            indices, rows, num_rows = gradient
            dense = np.zeros((num_rows,) + rows.shape[1:])
            for index, row in zip(indices, rows, strict=True):
                dense[index] += row
            gradient = dense
        total += np.sum(np.square(np.asarray(gradient, np.float64)))
    return np.sqrt(total)


def perplexity(token_log_probs, weights=None):
    """exp(-sum w log p / sum w) over tokens; natural logarithms."""
    token_log_probs = np.asarray(token_log_probs, np.float64).ravel()
    if weights is None:
        weights = np.ones(token_log_probs.shape)
    weights = np.asarray(weights, np.float64).ravel()
    total = 0.0
    for log_p, weight in zip(token_log_probs, weights, strict=True):
        total += weight * log_p
    return np.exp(-total / np.sum(weights))
