"""What is told of a training while it goes on, on the terminal and on disk."""

from dsl.experiment import output


class Report:
    """Lines, a bar on a terminal, and events for TensorBoard.

    A context: it ends with the training.

    Args:
        task: The `task.Task`.
        args: The settings.
        run: The run folder.
        trainer: What trains; its `read_statistics()` tells of the epoch.
        progress: The `training.loop.Progress` to go on from.
    """

    def __init__(self, task, args, run, trainer, progress):
        from dsl.training import reporting

        self.task, self.args, self.trainer = task, args, trainer
        self._report = reporting.ProgressReport(
            output.note, args.print_every, self._describe_step
        )
        self._events = None
        if args.tensorboard:
            self._events = reporting.EventLog(run.path / "events")
        if progress.steps:
            output.note(
                f"resumed at epoch {progress.epoch}, step {progress.step}"
            )
        for entry in progress.entries if self._events is not None else []:
            self._events.write(entry)
        self.on_step = self._report.on_step

    def on_epoch(self, entry):
        """See `training.loop.fit`."""
        self._report.log(self._describe_epoch(entry))
        if self._events is not None:
            self._events.write(entry)

    def _describe_step(self, loss, pace):
        """How an epoch goes, after a step with this loss, at so many a second.

        With what is measured in training, where a trainer tells it.
        """
        found, measure = self.trainer.read_statistics(), self.task.measure
        words = [f"loss {loss:.3f}"]
        if measure.name in found:
            words.append(measure.in_words({measure.name: found[measure.name]}))
        done = pace * self.task.count(self.args)
        return "  ".join([*words, f"{done:,.0f} {self.task.throughput}/s"])

    def _describe_epoch(self, entry):
        """One line about an epoch."""
        measure, throughput = self.task.measure, self.task.throughput
        words = [
            f"epoch {entry['epoch']:2d}  rate {entry['learning_rate']:.4g}"
        ]
        for part in ("train", "valid"):
            value = entry.get(f"{part}_{measure.name}")
            if value is not None:
                unit = f" {measure.unit}" if measure.unit else ""
                words.append(f"{part} {measure.text(value)}{unit}")
        done = entry[f"{throughput}_per_second"]
        words.append(f"{done:,.0f} {throughput}/s")
        if "entropy" in entry:
            words.append(f"entropy {entry['entropy']:.3f}")
        return "  ".join(filter(None, [*words, self.task.describe(entry)]))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._report.close()
        if self._events is not None:
            self._events.close()
