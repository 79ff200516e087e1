"""Configurations of runs, and how one differs from another.

A configuration is the dict in a run's `config.json`: its `settings`, the
`backend`, and of which of the settings a run may go on with more, `growing`.
"""

import json

from dsl.messages import short


def growing(config):
    """Names of the settings that may grow, of a file that may be damaged."""
    names = config.get("growing")
    if not isinstance(names, list):
        return []
    return [name for name in names if isinstance(name, str)]


def grown(old, new):
    """The settings that may grow and did.

    Args:
        old: The configuration that a run was started with.
        new: That of now.

    Returns:
        Dict of their values of now.
    """
    pairs = {
        name: [config["settings"].get(name) for config in (old, new)]
        for name in growing(old)
    }
    return {
        name: after
        for name, (before, after) in pairs.items()
        if type(before) is type(after) is int and after > before
    }


def differing(old, new, free):
    """The settings, and the backend, that are not the same.

    Args:
        old: The configuration that a run was started with.
        new: That of now.
        free: Names of the settings that may differ.

    Returns:
        List of texts, one a setting, with both values.
    """
    before, after = (
        {**config["settings"], "(backend)": config.get("backend")}
        for config in (old, new)
    )
    # As JSON has them, in which the old ones were kept.
    after = json.loads(json.dumps(after))
    found = []
    for key in [*after, *(key for key in before if key not in after)]:
        # A setting of later code that is not given changes nothing.
        if key in free or before.get(key) == after.get(key):
            continue
        flag = key if key.startswith("(") else f"--{key}"
        old, new = (
            short(one[key]) if key in one else "unknown"
            for one in (before, after)
        )
        found.append(f"{flag} {old}, now {new}")
    return found


def hashes(value):
    """The beginnings of the hashes, if that is what it is, for a message."""
    if not isinstance(value, dict):
        return short(value)
    found = ", ".join(f"{key} {str(one)[:8]}" for key, one in value.items())
    return found if len(found) <= 120 else f"{found[:117]}..."
