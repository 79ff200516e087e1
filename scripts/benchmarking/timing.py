"""Takes times, in a process of its own for each number of cores."""

import dataclasses
import functools
import logging
import multiprocessing
import os
import random
import signal
import sys
import time
from multiprocessing import resource_tracker

from benchmarking import operations

from dsl.system import interrupts, messages, startup

# Of so many products in a row, a round keeps the fastest.
PRODUCTS = 3
# Threads of one contender spin for a while after their work.
REST = 0.005


class BenchmarkError(messages.Failure, RuntimeError):
    """A measurement failed; the message is one clear line."""


def available_cores():
    """Numbers of the cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def run(job, backend):
    """Measures a job in a fresh process that is held to its cores.

    Args:
        job: A `plan.Job`.
        backend: "tensorflow" or "jax".

    Returns:
        What `measure` returns.

    Raises:
        BenchmarkError: If the process fails; it has said why.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(
        target=_measure_held, args=(job, backend, sender), daemon=True
    )
    # An interrupt is for this process to hear. What is blocked when a process
    # starts is blocked in it; the start of the tracker would unblock it.
    resource_tracker.ensure_running()
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        process.join()
        raise BenchmarkError(
            f"the process that timed {job.table}, {job.size.name} ended early "
            f"with exit code {process.exitcode}."
        ) from None
    finally:
        process.terminate()
        process.join()


def _measure_held(job, backend, sender):
    interrupts.stop_with_parent(multiprocessing.parent_process().pid)
    hold(job.cores, backend)
    startup.import_keras()
    if job.size.model == "number_prediction":
        startup.keep_freed_memory()  # As its program does.
    sender.send(measure(job))


def hold(cores, backend):
    """Holds this process to some cores; before any framework is imported."""
    chosen = available_cores()[:cores]
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, chosen)
    os.environ.update(
        KERAS_BACKEND=backend,
        OMP_NUM_THREADS=str(cores),
        MKL_NUM_THREADS=str(cores),
        TF_NUM_INTRAOP_THREADS=str(cores),
        TF_NUM_INTEROP_THREADS=str(cores),
        # The limit is that of processor cores.
        CUDA_VISIBLE_DEVICES="-1",
        JAX_PLATFORMS="cpu",
    )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Its warning about many new functions: here each belongs to a contender.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if cores == 1:
        flags = os.environ.get("XLA_FLAGS", "")
        eigen = "--xla_cpu_multi_thread_eigen=false"
        os.environ["XLA_FLAGS"] = f"{flags} {eigen}".strip()


def measure(job):
    """Times the contenders of a job and the matrix product, taking turns.

    Args:
        job: A `plan.Job`. This process is held to its cores already.

    Returns:
        Dict for the record: `table`, `model`, `cores`, `size`, `matmul`
        (`shape` and `seconds` of each round) and `rows`, for each contender
        its fields, `flops`, `first_seconds` (first step, with compilation)
        and `seconds` of each round.
    """
    from benchmarking import contenders

    rows, timers = [], {}
    for contender in job.contenders:
        size = contender.resized(job.size)
        step = contenders.build(contender, size, job.cores)
        first = seconds(step)
        log(job, f"{contender.name}: first step {first:.1f} s")
        timers[contender.name] = functools.partial(seconds, step)
        rows.append(
            {
                **dataclasses.asdict(contender),
                "steps": size.steps,
                "flops": operations.step_flops(contender, size),
                "first_seconds": first,
            }
        )
    multiply = contenders.matmul(job.matmul)
    timers["matmul"] = lambda: min(seconds(multiply) for _ in range(PRODUCTS))
    taken = take_turns(timers, job.rounds, functools.partial(log, job))
    return {
        "table": job.table,
        "model": job.size.model,
        "cores": job.cores,
        "size": dataclasses.asdict(job.size),
        "matmul": {"shape": list(job.matmul), "seconds": taken["matmul"]},
        "rows": [{**row, "seconds": taken[row["name"]]} for row in rows],
    }


def take_turns(timers, rounds, log):
    """Lets each timer run once a round, so that all see the same weather.

    The order changes from round to round: nobody always follows the same
    one. A round that does not count comes first.

    Args:
        timers: Dict of functions without arguments that return seconds.
        rounds: Rounds that count.
        log: Told a line now and then.

    Returns:
        Dict of lists of seconds, one number a round.
    """
    taken = {name: [] for name in timers}
    shuffle = random.Random(0).shuffle
    order = list(timers)
    for count in range(rounds + 1):
        shuffle(order)
        for name in order:
            time.sleep(REST)
            spent = timers[name]()
            if count:
                taken[name].append(spent)
        if count == rounds or count % 5 == 1:
            log(f"round {count} of {rounds}")
    return taken


def seconds(call):
    """How long one call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def log(job, line):
    """Says on the error stream how far a job is."""
    cores = "1 core" if job.cores == 1 else f"{job.cores} cores"
    print(
        f"{job.table}, {job.size.name}, {cores}: {line}",
        file=sys.stderr,
        flush=True,
    )
