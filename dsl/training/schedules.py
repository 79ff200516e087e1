"""The learning rate of each epoch."""

import dataclasses


def conditional_decay(rate, perplexity, reference, *, factor, margin, floor):
    """Decays the rate when validation stops improving (published code).

    The first epoch sets the reference. An epoch whose perplexity is at least
    `margin` below the reference becomes the new one; any other multiplies
    the rate by `factor`, down to `floor`.

    Args:
        rate: Learning rate of the epoch that ended.
        perplexity: Its validation perplexity.
        reference: Perplexity to improve on, or None after the first epoch.
        factor: Multiplier in (0, 1].
        margin: Improvement that counts, in perplexity.
        floor: Smallest rate.

    Returns:
        The next epoch's rate, and the reference.
    """
    if reference is None or perplexity <= reference - margin:
        return rate, perplexity
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


@dataclasses.dataclass
class Schedule:
    """The learning rate of each epoch.

    Attributes:
        rate: Rate of the coming epoch; at first, the initial one.
        factor: Multiplier of a decay.
        constant_epochs: Epochs before a fixed decay; None for the
            conditional one.
        margin: See `conditional_decay`.
        floor: See `conditional_decay`.
        reference: Perplexity to improve on.
        epoch: Epochs finished.
    """

    rate: float
    factor: float
    constant_epochs: int | None = None
    margin: float = 1.0
    floor: float = 0.0
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
            initial_rate: The one that what was restored had begun with.
        """
        # Multiplied last: a rate that has not decayed is the one asked for.
        self.rate = self.initial_rate * (self.rate / initial_rate)

    def finish_epoch(self, perplexity):
        """Moves on to the next epoch, given this one's validation."""
        self.epoch += 1
        if self.constant_epochs is None:
            self.rate, self.reference = conditional_decay(
                self.rate,
                perplexity,
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
