"""Training that can be stopped at any moment and goes on as if it had not been.

The same loop for every task: epochs of steps, a checkpoint every so often, a
validation after each epoch, the best weights kept.
"""

import dataclasses
import math
import time

import numpy as np

from dsl.runs.errors import DivergedError, RunError
from dsl.system import interrupts
from dsl.training.progress import Progress


def resume(trainer, run, schedule, measured=()):
    """Brings a training back to its last checkpoint.

    Args:
        trainer: A built and compiled trainer; takes the saved variables.
        run: The `dsl.runs.folder.RunFolder`.
        schedule: A new `schedules.Schedule`; takes the saved state.
        measured: Names of what each epoch that is done must have a number for.

    Returns:
        The `Progress`, at the very start if there is no checkpoint. A
        run that diverged and has a lower learning rate now goes back to the
        end of its best epoch, or to the start.

    Raises:
        RunError: If a checkpoint is gone, damaged or of another run.
    """
    back, before = run.restart.is_due(), None
    if back:
        saved, before = run.restart.load(trainer)
    else:
        saved = run.load_last(trainer)
    progress = Progress(schedule=schedule.state())
    if saved is not None:
        progress = _restore(saved, measured, schedule, before, run)
        if progress.best is not None:
            # Nothing better may come, and these are what is measured at last.
            run.check_best()
    run.begin(progress.entries if back else None)
    if back:
        run.save_last(trainer, dataclasses.asdict(progress))
    elif progress.step == 0 and run.is_best(progress.epoch - 1):
        # Whatever ended it may have come before this.
        run.restart.keep()
    if saved is not None:
        run.write_metrics(progress.entries)
    return progress


def _restore(saved, measured, schedule, before, run):
    """The progress that was saved; the schedule goes on from there too.

    `before` is the initial rate then, if there is another one now; for
    `measured`, see `resume`.
    """
    try:
        progress = Progress.from_saved(saved, measured)
        schedule.restore(progress.schedule)
        if before is not None:
            schedule.rescale(before)
            progress.schedule = schedule.state()
    except (ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise RunError(
            f"{run.last if before is None else run.restart.path}: was not "
            "written by this program."
        ) from error
    return progress


def fit(
    trainer,
    model,
    epoch_data,
    finish_epoch,
    schedule,
    run,
    progress,
    *,
    monitor,
    max_epochs,
    max_steps=None,
    patience=None,
    floor=0.0,
    is_done=lambda entry: False,
    checkpoint_every=500,
    on_step=None,
    on_epoch=None,
):
    """Trains from where `progress` stands to the end.

    Ctrl-C and SIGTERM are heard after the step at hand, which is then saved.

    Args:
        trainer: A built and compiled Keras model with `train_on_batch`,
            `begin_epoch()`, called before the first step of each epoch, and
            `read_statistics()`, a dict of means over the epoch.
        model: The Keras model whose best weights are kept.
        epoch_data: Function of the epoch's number, from 1, that gives its
            batches: a sequence of pairs (x, y), the same at each call.
        finish_epoch: Function of the trainer's statistics, with number, `steps`
            and `seconds` of the `epoch`, that validates and returns what to
            keep of the epoch, a dict of numbers and lists of numbers.
        schedule: The `dsl.training.schedules.Schedule`, which gets the value
            of `monitor` of each epoch.
        run: The `dsl.runs.folder.RunFolder` for checkpoints and metrics.
        progress: What `resume` returned; moves on.
        monitor: Key of `finish_epoch`'s dict whose smallest value tells the
            best weights. It may be negative: of a measure whose largest value
            is best, monitor the negative.
        max_epochs: Epochs in all.
        max_steps: Steps in all, or None.
        patience: Epochs in a row without a new best value after which
            training ends, or None.
        floor: Value of `monitor` that nothing can better: with `patience`, it
            ends training at once. None if there is no such value.
        is_done: Function of the last epoch's entry to whether training ends
            with it.
        checkpoint_every: Steps between two checkpoints; there is one after
            each epoch anyway.
        on_step: Called as `on_step(progress, steps, loss)` after each step of
            an epoch of so many steps.
        on_epoch: Called with each finished epoch's entry.

    Raises:
        DivergedError: If the loss, a weight or the validation is NaN or
            infinite. That is noted in the run, which may go back from there;
            see `resume`.
        KeyboardInterrupt: After Ctrl-C or SIGTERM, once saved.
        OSError: If a checkpoint cannot be written; the one before stays.
        ValueError: If an epoch has no batch.
    """

    def save():
        run.save_last(trainer, dataclasses.asdict(progress))

    def after_step(steps, loss):
        if on_step is not None:
            on_step(progress, steps, loss)
        if progress.steps % checkpoint_every == 0:
            save()

    def train_epoch():
        data = epoch_data(progress.epoch)
        steps = _count_steps(data, progress, max_steps, run.last)
        trainer.optimizer.learning_rate = schedule.rate
        with interrupts.held_back() as stop:
            _train(trainer, data, steps, progress, after_step, stop)
            save()
        entry = _entry(trainer, steps, finish_epoch, schedule, progress)
        _check_finite(entry)
        with interrupts.held_back():
            keep(entry)

    def keep(entry):
        better = progress.best is None or entry[monitor] < progress.best
        if better:
            progress.best = float(entry[monitor])
            run.save_best(model, entry)
        schedule.finish_epoch(entry[monitor])
        progress.finish_epoch(entry, schedule)
        save()
        if better or not run.restart.path.exists():
            run.restart.keep()
        run.restart.forget_divergence()
        run.write_metrics(progress.entries)
        if on_epoch is not None:
            on_epoch(entry)

    def ends_early():
        entries = progress.entries
        return (
            _is_stale(entries, monitor, patience, floor)
            or bool(entries)
            and is_done(entries[-1])
        )

    while _is_unfinished(progress, max_epochs, max_steps) and not (
        progress.step == 0 and ends_early()
    ):
        try:
            train_epoch()
        except DivergedError:
            run.restart.note_divergence(
                epoch=progress.epoch,
                steps=progress.steps,
                learning_rate=schedule.rate,
            )
            raise


def _is_unfinished(progress, max_epochs, max_steps):
    # An epoch whose steps are done still waits for its validation.
    if progress.step > 0:
        return True
    return progress.epoch <= max_epochs and progress.steps != max_steps


def _is_stale(entries, monitor, patience, floor):
    """Whether the best entry is `patience` epochs old, or at the floor."""
    if patience is None or not entries:
        return False
    values = [entry[monitor] for entry in entries]
    best = min(values)
    return best == floor or len(values) - 1 - values.index(best) >= patience


def _count_steps(data, progress, max_steps, last):
    """Steps of the epoch at hand, those that are done included."""
    steps = len(data)
    if progress.step > steps:
        raise RunError(
            f"{last}: must be of a step of an epoch of {steps}. "
            f"Received: step {progress.step}"
        )
    if max_steps is not None:
        steps = min(steps, progress.step + max_steps - progress.steps)
    if steps == 0:
        raise ValueError("an epoch must have at least one batch. Received: 0")
    return steps


def _train(trainer, data, steps, progress, after_step, stop):
    """The steps of an epoch that are left, or those until a stop."""
    if progress.step == 0:
        trainer.begin_epoch()
    started = time.perf_counter() - progress.seconds
    while progress.step < steps and not stop:
        x, y = data[progress.step]
        loss = float(trainer.train_on_batch(x, y))
        if not math.isfinite(loss):
            raise DivergedError(
                "the loss must stay finite; a lower learning rate may help. "
                f"Received: loss={loss} at step "
                f"{progress.step + 1} of epoch {progress.epoch}"
            )
        progress.step += 1
        progress.steps += 1
        progress.seconds = time.perf_counter() - started
        after_step(steps, loss)


def _entry(trainer, steps, finish_epoch, schedule, progress):
    """What to keep of the epoch whose steps are done."""
    statistics = {
        **trainer.read_statistics(),
        "epoch": progress.epoch,
        "steps": steps,
        "seconds": progress.seconds,
    }
    return {
        "epoch": progress.epoch,
        "learning_rate": schedule.rate,
        **finish_epoch(statistics),
        "seconds": progress.seconds,
        "steps": progress.steps,
    }


def _check_finite(entry):
    for key, value in entry.items():
        if not np.isfinite(value).all():
            raise DivergedError(
                f"the {key.replace('_', ' ')} must stay finite; a lower "
                f"learning rate may help. Received: {value} after epoch "
                f"{entry['epoch']}"
            )
