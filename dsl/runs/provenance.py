"""What a run was made with: code, packages, and the weights it ended in."""

import hashlib
import os
import subprocess
import sys
from importlib import metadata

# What tells git of another clone than the one that a folder is in, as within
# a hook: `git rev-parse --local-env-vars`, but for those of its settings.
_OTHER = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)

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
    numbers = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            numbers[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return numbers


def cores():
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def memory():
    """Bytes of memory that this machine has, or None where nothing tells."""
    if not hasattr(os, "sysconf"):
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def commit(root):
    """The git commit of the code at `root`, or None outside of a clone."""
    environment = {
        key: value for key, value in os.environ.items() if key not in _OTHER
    }
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=True,
            timeout=10,
            env=environment,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
