"""Disks that fill up, and files that never end."""

import contextlib
import resource
import signal
import socket


@contextlib.contextmanager
def disk_full_after(size):
    """Lets no file of this process grow beyond `size` bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def endless(path):
    """Makes a link to a device in the place of a file."""
    path.symlink_to("/dev/zero")


def make_socket(path):
    """Makes a socket in the place of a file."""
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))
