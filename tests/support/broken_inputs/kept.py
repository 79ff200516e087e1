"""Runs that are not what can be kept."""

from broken_inputs.case import KEEP, LONG, RED, Case
from broken_inputs.damage import (
    change,
    edit_json,
    link,
    loop,
    make_folder,
    remove,
    write,
)
from broken_inputs.folders import CONFIG_TEXTS
from broken_inputs.tables import METRICS, RECORD_TEXTS, RECORD_VALUES, SCORES


def kept():
    def case(name, damage, *says, arguments=KEEP, code=1, writes=()):
        words = ("keep", name, list(arguments), code, says, "keep", damage)
        return Case(*words, writes=writes)

    for name, texts, path in (
        ("config", CONFIG_TEXTS, "runs/run/config.json"),
        ("record", RECORD_TEXTS, "runs/run/result.json"),
        ("metrics", METRICS, "runs/run/metrics.jsonl"),
    ):
        for what, text in texts.items():
            if what != "empty settings":
                yield case(f"{name} {what}", write(path, text), path)
        if name != "metrics":
            yield case(f"{name} missing", remove(path), path)
        yield case(f"{name} a folder", make_folder(path), path)
        yield case(f"{name} a loop", loop(path), path)
    path = "runs/run/test_scores.npz"
    for name, function in SCORES.items():
        yield case(f"scores {name}", change(path, function), path)
    yield case("scores of another run", link(path, "../plain/test_scores.npz"))
    path = "runs/run/result.json"
    for key, value in RECORD_VALUES:
        # What was measured is looked at where it is used, as in a table.
        measured = key in ("test", "published", "true_perplexity")
        yield case(
            f"{key} {value!a:.40}",
            edit_json(path, **{key: value}),
            *(() if measured else ("runs/run", key)),
            code=(0, 1) if measured else 1,
            writes=("kept", "kept/*") if measured else (),
        )
    for name, command in (("a quote", "a 'b"), ("a number", 1), ("null", None)):
        damage = edit_json(path, command=command)
        yield case(f"command {name}", damage, "runs/run", "command")
    for name, folder, damage in (
        ("there", "runs/other", None),
        ("a file", "text.txt", None),
        ("under a file", "text.txt/kept", None),
        ("a loop", "loop", loop("loop")),
        ("long", LONG, None),
        ("not writable", "/proc/kept", None),
        ("escape", RED, write(RED, "a file")),
    ):
        arguments = ["runs/run", folder]
        yield case(f"to {name}", damage, arguments=arguments)
