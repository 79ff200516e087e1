"""The learning rate of each epoch."""

import dataclasses
import math


def conditional_decay(rate, value, reference, *, factor, margin, floor):
    """Decays the rate when validation stops improving (published code).

    The first epoch sets the reference. An epoch whose value is at least
    `margin` below the reference becomes the new one; any other multiplies
    the rate by `factor`, down to `floor`.

    Args:
        rate: Learning rate of the epoch that ended.
        value: Its validation, the smaller the better; the published one is
            the perplexity.
        reference: Value to improve on, or None after the first epoch.
        factor: Multiplier in (0, 1].
        margin: Improvement that counts.
        floor: Smallest rate.

    Returns:
        The next epoch's rate, and the reference.
    """
    if reference is None or value <= reference - margin:
        return rate, value
    return max(rate * factor, min(floor, rate)), reference


def fixed_decay(rate, epoch, *, factor, constant_epochs):
    """Zaremba's schedule: constant, then one factor an epoch.

    Args:
        rate: Initial learning rate.
        epoch: 1 for the first epoch.
        factor: Multiplier in (0, 1].
        constant_epochs: Epochs at the initial rate.

    Returns:
        The rate of this epoch.
    """
    return rate * factor ** max(epoch - constant_epochs, 0)


def cosine_decay(rate, epoch, *, epochs, floor):
    """Falls along half a cosine, and stays where it ends.

        floor + (rate - floor) (1 + cos(pi min(n / N, 1))) / 2

    Args:
        rate: Initial learning rate.
        epoch: n + 1: 1 for the first epoch.
        epochs: N, epochs until it ends.
        floor: Rate at its end.

    Returns:
        The rate of this epoch.

    Reference: Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts.
    """
    part = min((epoch - 1) / epochs, 1.0)
    return floor + (rate - floor) * 0.5 * (1.0 + math.cos(math.pi * part))


@dataclasses.dataclass
class Schedule:
    """The learning rate of each epoch.

    Attributes:
        rate: Rate of the coming epoch; at first, the initial one.
        factor: Multiplier of a decay.
        constant_epochs: Epochs before a fixed decay; None for the
            conditional one.
        margin: See `conditional_decay`.
        floor: See `conditional_decay` and `cosine_decay`.
        cosine_epochs: Epochs of a decay along a cosine, which takes the place
            of the others; None for these.
        reference: See `conditional_decay`.
        epoch: Epochs finished.
    """

    rate: float
    factor: float
    constant_epochs: int | None = None
    margin: float = 1.0
    floor: float = 0.0
    cosine_epochs: int | None = None
    reference: float | None = None
    epoch: int = 0

    def __post_init__(self):
        self.initial_rate = self.rate

    def state(self):
        """What `restore` needs to go on from here, a dict of numbers."""
        return {
            "rate": self.rate,
            "reference": self.reference,
            "epoch": self.epoch,
            "initial_rate": self.initial_rate,
        }

    def restore(self, state):
        """Goes on from where `state` was called."""
        self.rate = state["rate"]
        self.reference = state["reference"]
        self.epoch = state["epoch"]

    def rescale(self, initial_rate):
        """Takes its own initial rate in the place of the one restored.

            rate = initial_rate_now (rate / initial_rate_then)

        Args:
            initial_rate: The initial rate of the training that was restored.
        """
        # Multiplied last: a rate that has not decayed is the initial one.
        self.rate = self.initial_rate * (self.rate / initial_rate)

    def finish_epoch(self, value):
        """Moves on to the next epoch.

        Args:
            value: The validation of this one, the smaller the better.
        """
        self.epoch += 1
        if self.cosine_epochs is not None:
            self.rate = cosine_decay(
                self.initial_rate,
                self.epoch + 1,
                epochs=self.cosine_epochs,
                floor=self.floor,
            )
        elif self.constant_epochs is None:
            self.rate, self.reference = conditional_decay(
                self.rate,
                value,
                self.reference,
                factor=self.factor,
                margin=self.margin,
                floor=self.floor,
            )
        else:
            self.rate = fixed_decay(
                self.initial_rate,
                self.epoch + 1,
                factor=self.factor,
                constant_epochs=self.constant_epochs,
            )
