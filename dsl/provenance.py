"""What a run was made with: code, packages, and the weights it ended in."""

import hashlib
import os
import subprocess
import sys
from importlib import metadata

PACKAGES = ("keras", "tensorflow", "jax", "numpy")


def weights_sha256(model):
    """sha256 over the names and bytes of all trainable weights, in order."""
    from keras import ops

    digest = hashlib.sha256()
    for variable in model.trainable_variables:
        digest.update(variable.path.encode())
        digest.update(ops.convert_to_numpy(variable).tobytes())
    return digest.hexdigest()


def versions():
    """Versions of Python and of the installed packages that matter."""
    found = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def cores():
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def commit(root):
    """The git commit of the code at `root`, or None outside of a clone."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
