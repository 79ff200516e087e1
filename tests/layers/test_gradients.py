"""The derivative by hand against the framework's, and against quotients."""

import cases
import numpy as np
import pytest
import reference
from gradients import gradients
from keras import ops


def random_loss(layer, num_actions, seed=20, rollouts=1, **arguments):
    """A loss with a random coefficient for every number a layer returns.

    Returns:
        Function of the inputs and the states h, c, past_h, past_c, and the
        coefficients by name.
    """
    rng = np.random.default_rng(seed)
    rows = rollouts * cases.BATCH
    slots = (num_actions - 1) * cases.UNITS
    shapes = {
        "outputs": (rows, cases.STEPS, cases.UNITS),
        "h": (rows, cases.UNITS),
        "c": (rows, cases.UNITS),
        "past_h": (rows, slots),
        "past_c": (rows, slots),
        "log_prob": (rows, cases.STEPS),
        "entropy": (rows, cases.STEPS),
    }
    if num_actions == 1:
        shapes = {name: shapes[name] for name in ("outputs", "h", "c")}
    weights = {name: rng.normal(size=size) for name, size in shapes.items()}

    def loss(inputs, *states):
        outputs, *finals, policy = layer(
            inputs, initial_state=list(states) or None, **arguments
        )
        named = {**policy, "outputs": outputs}
        names = ("h", "c", "past_h", "past_c")[: len(finals)]
        named.update(zip(names, finals, strict=False))
        total = 0.0
        for name, weight in weights.items():
            value = ops.cast(named[name], layer.compute_dtype)
            weight = ops.cast(weight, layer.compute_dtype)
            total = total + ops.sum(weight * value)
        return total

    return loss, weights


def all_gradients(layer, num_actions, inputs, state, **arguments):
    """Value of the random loss, and gradients by name."""
    loss, _ = random_loss(layer, num_actions, **arguments)
    tensors = [inputs] if state is None else [inputs, *state]
    tensors = cases.cast(tensors, layer.compute_dtype)
    variables = layer.trainable_variables
    value, by_variable, by_tensor = gradients(loss, variables, tensors)
    names = [variable.name for variable in variables]
    names += ("inputs", "h", "c", "past_h", "past_c", "count")[: len(tensors)]
    return value, dict(zip(names, by_variable + by_tensor, strict=True))


GRADIENT_CASES = {
    "one action": {"num_actions": 1, "state": True, "mask": "holes"},
    "two actions": {"num_actions": 2, "skip_weight": 1.0},
    "carried": {"num_actions": 3, "state": True},
    "five actions": {"num_actions": 5, "state": True, "skip_weight": 1.0},
    "right mask": {"num_actions": 3, "mask": "right"},
    "left mask": {"num_actions": 3, "mask": "left", "state": True},
    "holes": {"num_actions": 5, "mask": "holes", "state": True},
    "forced": {
        "num_actions": 5,
        "state": True,
        "forced": True,
        "mask": "holes",
    },
    "greedy": {"num_actions": 5, "state": True, "training": False},
    "lambda 0": {"num_actions": 3, "state": True, "skip_weight": 0.0},
    "zeros": {"num_actions": 5, "empty_slots": "zeros", "state": True},
    "previous": {"num_actions": 5, "empty_slots": "previous", "state": True},
    "mean": {"num_actions": 5, "observation": "mean", "mask": "left"},
    "positions": {"num_actions": 3, "policy_positions": 4, "mask": "left"},
    "published": {
        "num_actions": 5,
        "empty_slots": "zeros",
        "observation": "mean",
        "state": True,
    },
    "forget bias": {"num_actions": 3, "forget_bias": 0.7, "state": True},
    "backwards": {"num_actions": 3, "go_backwards": True, "mask": "right"},
    "zero output": {
        "num_actions": 3,
        "zero_output_for_mask": True,
        "mask": "holes",
    },
}


@pytest.mark.parametrize("estimator", ["reinforce", "straight_through"])
@pytest.mark.parametrize("case", GRADIENT_CASES)
def test_fast_gradient_equals_autodiff(case, estimator):
    options = {**GRADIENT_CASES[case], "estimator": estimator}
    num_actions = options.pop("num_actions")
    state = options.pop("state", False)
    arguments = {
        "mask": cases.MASKS[options.pop("mask", "none")],
        "training": options.pop("training", True),
    }
    if options.pop("forced", False):
        arguments["look_back"] = cases.random_look_back(num_actions)
    found = [
        all_gradients(
            cases.dynamic(num_actions, seed=5, autodiff=autodiff, **options),
            num_actions,
            cases.random_inputs(),
            cases.random_state(num_actions) if state else None,
            **arguments,
        )
        for autodiff in (False, True)
    ]
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-5)
    for name, expected in found[1][1].items():
        np.testing.assert_allclose(
            found[0][1][name],
            expected,
            atol=2e-5 * max(1.0, np.abs(expected).max()),
            err_msg=name,
        )


@pytest.mark.parametrize("estimator", ["reinforce", "straight_through"])
def test_fast_gradient_equals_autodiff_with_rollouts(estimator):
    found = [
        all_gradients(
            cases.dynamic(3, seed=6, autodiff=autodiff, estimator=estimator),
            3,
            cases.random_inputs(),
            cases.random_state(3),
            training=True,
            mask=cases.MASKS["holes"],
            num_rollouts=2,
            rollouts=2,
        )
        for autodiff in (False, True)
    ]
    for name, expected in found[1][1].items():
        np.testing.assert_allclose(
            found[0][1][name],
            expected,
            atol=2e-5 * max(1.0, np.abs(expected).max()),
            err_msg=name,
        )


@pytest.mark.backend
@pytest.mark.parametrize("autodiff", [False, True])
@pytest.mark.parametrize("observation", ["previous", "mean"])
def test_policy_loss_and_task_loss_do_not_mix(observation, autodiff):
    """Exactly zero: the agent's inputs and choices carry no gradient."""
    state = cases.cast(cases.random_state(3), "float32")
    layer = cases.dynamic(3, observation=observation, autodiff=autodiff, seed=5)

    def policy_loss(inputs, *state):
        *_, policy = layer(inputs, initial_state=list(state), training=True)
        return ops.sum(ops.sin(policy["log_prob"]) + policy["entropy"])

    def task_loss(inputs, *state):
        *results, _ = layer(inputs, initial_state=list(state), training=True)
        return sum(ops.sum(ops.sin(value)) for value in results)

    tensors = [*cases.cast([cases.random_inputs()], "float32"), *state]
    for loss, reached in ((policy_loss, True), (task_loss, False)):
        variables = layer.trainable_variables
        _, found, by_tensor = gradients(loss, variables, tensors)
        for variable, gradient in zip(variables, found, strict=True):
            of_agent = variable.name.startswith("policy")
            assert np.any(gradient != 0.0) == (of_agent == reached)
        if reached:
            assert not any(np.any(gradient != 0.0) for gradient in by_tensor)


def oracle_loss(point, weights, frozen, options, estimator="reinforce"):
    """The random loss by the oracle, as a differentiation sees it.

    Choices and the agent's observations stay what they were at the start;
    with "straight_through" the choice moves as its softmax moves.

    Args:
        point: Weights, `inputs` and states by name.
        weights: Coefficients of the loss by name.
        frozen: What the oracle returned at the start.
        options: Arguments of the oracle.
        estimator: As for the layer.
    """
    names = ("h", "c", "past_h", "past_c", "count")
    noise, temperature = options["noise"], options.get("temperature", 1.0)
    keep = {"num_actions", "mask", "skip_weight", "empty_slots", "observation"}
    kept = {name: options[name] for name in keep if name in options}
    selection = np.eye(kept["num_actions"])[frozen["action"]]
    if estimator == "straight_through":
        fixed = (frozen["observations"], frozen["allowed"])
        now = reference.soft_selection(*fixed, point, noise, temperature)
        then = reference.soft_selection(
            *fixed, frozen["weights"], noise, temperature
        )
        selection = selection + now - then
    found = reference.dynamic_skip_lstm(
        point["inputs"],
        point,
        tuple(point[name] for name in names),
        look_back=np.maximum(frozen["action"] + 1, 1),
        observations=frozen["observations"],
        selection=selection,
        **kept,
    )
    named = {**found, **dict(zip(names, found["states"], strict=True))}
    return sum(np.sum(weights[name] * named[name]) for name in weights)


QUOTIENT_CASES = {
    "lambda 1": {"skip_weight": 1.0},
    "lambda 0.3": {"skip_weight": 0.3},
    "mask": {"mask": cases.MASKS["holes"], "skip_weight": 0.3},
    "zeros": {"empty_slots": "zeros", "skip_weight": 1.0},
    "mean": {"observation": "mean", "skip_weight": 0.3},
}


@pytest.mark.parametrize("autodiff", [False, True])
@pytest.mark.parametrize("estimator", ["reinforce", "straight_through"])
@pytest.mark.parametrize(
    "case",
    [
        "lambda 1",
        "lambda 0.3",
        pytest.param("mask", marks=pytest.mark.backend),
        "zeros",
        "mean",
    ],
)
def test_gradient_equals_difference_quotients(
    case, estimator, autodiff, monkeypatch
):
    """Independent of any framework: the oracle, moved a little."""
    num_actions, options = 3, dict(QUOTIENT_CASES[case])
    point = cases.random_weights(num_actions)
    state = cases.random_state(num_actions, counts=(4, 9, 5))
    arguments = {"mask": options.pop("mask", None)}
    layer = cases.dynamic(
        num_actions,
        point,
        seed=5,
        autodiff=autodiff,
        dtype=cases.EXACT_DTYPE,
        estimator=estimator,
        temperature=0.7,
        **options,
    )
    rng = np.random.default_rng(40)
    noise = rng.gumbel(size=(cases.BATCH, cases.STEPS, num_actions))
    cases.fix_noise(monkeypatch, noise)
    loss, weights = random_loss(layer, num_actions, training=True, **arguments)
    inputs = cases.random_inputs()
    variables = layer.trainable_variables
    tensors = cases.cast([inputs, *state], cases.EXACT_DTYPE)
    _, by_variable, by_tensor = gradients(loss, variables, tensors)
    names = [variable.name for variable in variables]
    names += ["inputs", "h", "c", "past_h", "past_c"]
    found = dict(zip(names, by_variable + by_tensor[:-1], strict=True))
    options |= {"num_actions": num_actions, "noise": noise, **arguments}
    frozen = reference.dynamic_skip_lstm(inputs, point, state, **options)
    frozen["action"] = frozen["look_back"] - 1
    frozen["weights"] = point
    options["temperature"] = 0.7
    point = {**point, "inputs": inputs, "count": state[4]}
    point.update(zip(("h", "c", "past_h", "past_c"), state, strict=False))
    for name in names:
        direction = {key: np.zeros_like(point[key]) for key in point}
        direction[name] = rng.normal(size=point[name].shape)
        expected = reference.directional_derivative(
            lambda moved: oracle_loss(
                moved, weights, frozen, options, estimator
            ),
            point,
            direction,
        )
        np.testing.assert_allclose(
            np.sum(direction[name] * found[name]),
            expected,
            rtol=20.0 * cases.EXACT,
            atol=cases.EXACT,
            err_msg=name,
        )
