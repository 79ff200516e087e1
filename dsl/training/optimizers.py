"""Two groups of variables, each clipped by the norm that its paper meant."""

import keras
from keras import ops


def is_policy(variable):
    """Whether a variable belongs to the agent: a "policy..." in its path."""
    return any(part.startswith("policy") for part in variable.path.split("/"))


def merge_rows(gradient):
    """Sums the rows of a sparse gradient that belong to the same word.

    An embedding's gradient on TensorFlow lists one row per position. A norm
    taken over these rows is too small where a word repeats.

    Args:
        gradient: A tensor, or an object with `values` `(n, ...)` and
            `indices` `(n,)`.

    Returns:
        The rows to take a norm over: the tensor itself, or `(n, ...)` with
        each word's sum in one row and zeros elsewhere.
    """
    if not hasattr(gradient, "dense_shape"):
        return gradient
    order = ops.argsort(gradient.indices)
    sorted_ids = ops.take(gradient.indices, order)
    starts = ops.cast(sorted_ids[1:] != sorted_ids[:-1], "int32")
    segment = ops.concatenate([ops.zeros((1,), "int32"), ops.cumsum(starts)])
    return ops.segment_sum(
        ops.take(gradient.values, order, axis=0),
        segment,
        num_segments=ops.shape(gradient.indices)[0],
    )


def global_norm(gradients):
    """Euclidean norm of all gradients together, repeated words summed first.

    Args:
        gradients: Iterable of tensors or sparse gradients.

    Returns:
        Float32 scalar.
    """
    squares = [
        ops.sum(ops.square(ops.cast(merge_rows(g), "float32")))
        for g in gradients
    ]
    return ops.sqrt(sum(squares))


def clip_by_global_norm(gradients, max_norm):
    """Scales gradients so that their global norm is at most `max_norm`.

        g <- g * min(1, max_norm / ||g||)

    Pascanu et al. 2013, arXiv:1211.5063.

    Args:
        gradients: List of tensors or sparse gradients.
        max_norm: Positive number, or None for no clipping.

    Returns:
        List of gradients, sparse ones still sparse.
    """
    if max_norm is None:
        return list(gradients)
    norm = global_norm(gradients)
    scale = max_norm / ops.maximum(norm, max_norm)
    return [_scaled(g, scale) for g in gradients]


def _scaled(gradient, scale):
    if not hasattr(gradient, "dense_shape"):
        return gradient * ops.cast(scale, gradient.dtype)
    values = gradient.values * ops.cast(scale, gradient.values.dtype)
    return type(gradient)(values, gradient.indices, gradient.dense_shape)


@keras.saving.register_keras_serializable(package="dsl")
class RMSProp(keras.optimizers.RMSprop):
    """RMSProp whose mean squares start at 1, as in TensorFlow 1.

        s <- rho s + (1 - rho) g^2,   s = 1 at first
        m <- momentum m + rate g / sqrt(s + epsilon),   w <- w - m

    Keras starts s at 0, and so with steps of some three times the rate a
    weight; here the first tens of steps are much smaller than later ones.

    Args:
        learning_rate: The rate.
        **kwargs: As for `keras.optimizers.RMSprop`.
    """

    def add_optimizer_variables(self, trainable_variables, name, **kwargs):
        if name == "velocity":
            kwargs["initializer"] = "ones"
        return super().add_optimizer_variables(
            trainable_variables, name, **kwargs
        )


@keras.saving.register_keras_serializable(package="dsl")
class GroupedOptimizer(keras.optimizers.Optimizer):
    """One optimizer for the model, and optionally another for the agent.

    Each group is clipped by its own global norm before its optimizer sees
    it; without `policy_optimizer` the agent is part of the model's group, as
    in the published code. That of the agent counts its updates from the first
    one with a gradient: an Adam that has corrected the bias of nothing but
    zeros would start with steps several times its rate.

    Args:
        optimizer: Keras optimizer of the model's variables. Its learning rate
            is this optimizer's.
        policy_optimizer: Keras optimizer of the variables for which
            `is_policy` holds, or None.
        max_norm: Largest global norm of the model's gradient, or None.
        policy_max_norm: The same for the agent's.

    Raises:
        ValueError: If a norm is not positive.
    """

    def __init__(
        self,
        optimizer,
        policy_optimizer=None,
        max_norm=None,
        policy_max_norm=None,
        name="grouped_optimizer",
    ):
        for key, norm in (
            ("max_norm", max_norm),
            ("policy_max_norm", policy_max_norm),
        ):
            if norm is not None and norm <= 0:
                raise ValueError(
                    f"`{key}` is the largest norm of a gradient and must be "
                    f"positive or None. Received: {key}={norm!r}"
                )
        super().__init__(learning_rate=0.0, name=name)
        self.optimizer = keras.optimizers.get(optimizer)
        self.policy_optimizer = policy_optimizer and keras.optimizers.get(
            policy_optimizer
        )
        self.max_norm = max_norm
        self.policy_max_norm = policy_max_norm

    @property
    def learning_rate(self):
        """Learning rate of the model's optimizer."""
        return self.optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        self.optimizer.learning_rate = value

    @property
    def variables(self):
        own = [self.iterations, *self.optimizer.variables]
        if self.policy_optimizer is not None:
            own.extend(self.policy_optimizer.variables)
        return own

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        model, policy = self._split(variables, variables)
        self.optimizer.build([v for _, v in model])
        if self.policy_optimizer is not None:
            self.policy_optimizer.build([v for _, v in policy])

    def _split(self, gradients, variables):
        pairs = list(zip(gradients, variables, strict=True))
        if self.policy_optimizer is None:
            return pairs, []
        return (
            [(g, v) for g, v in pairs if not is_policy(v)],
            [(g, v) for g, v in pairs if is_policy(v)],
        )

    def apply(self, grads, trainable_variables=None):
        if trainable_variables is None:
            trainable_variables = self._trainable_variables
        if not self.built:
            self.build(trainable_variables)
        model, policy = self._split(grads, trainable_variables)
        _apply(self.optimizer, model, self.max_norm)
        if policy:
            self._apply_policy(policy)
        self.iterations.assign_add(1)

    def _apply_policy(self, pairs):
        count = self.policy_optimizer.iterations
        begins = ops.logical_or(
            count > 0, global_norm(g for g, _ in pairs if g is not None) > 0
        )
        _apply(self.policy_optimizer, pairs, self.policy_max_norm)
        count.assign(count * ops.cast(begins, count.dtype))

    def get_config(self):
        serialize = keras.optimizers.serialize
        return {
            "name": self.name,
            "optimizer": serialize(self.optimizer),
            "policy_optimizer": self.policy_optimizer
            and serialize(self.policy_optimizer),
            "max_norm": self.max_norm,
            "policy_max_norm": self.policy_max_norm,
        }


def _apply(optimizer, pairs, max_norm):
    """Clips and applies; a variable that no loss reaches stays."""
    pairs = [(g, v) for g, v in pairs if g is not None]
    clipped = clip_by_global_norm([g for g, _ in pairs], max_norm)
    optimizer.apply(clipped, [v for _, v in pairs])
