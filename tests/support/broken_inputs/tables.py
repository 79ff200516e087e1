"""Runs that cannot be tabled or compared."""

import io

import numpy as np

from broken_inputs.case import COMPARE, DIGITS, HUGE, LONG, RED, Case
from broken_inputs.damage import (
    _edited,
    as_array,
    bombs,
    broken_lzma,
    change,
    cut,
    edit_json,
    edit_settings,
    first_member,
    flip,
    header,
    loop,
    make_folder,
    members,
    nested,
    write,
)
from broken_inputs.folders import CONFIG_TEXTS

RECORD_TEXTS = {
    "empty": b"",
    "cut": b'{"task": "language_modeling", "mod',
    "a list": b"[]",
    "no keys": b"{}",
    "not UTF-8": b'{"task": "\xff"}',
    "binary": b"\x93NUMPY\x00",
    "deep": nested(100_000).encode(),
    "deep objects": nested(100_000, '{"task":', "}").encode(),
    "many digits": f'{{"seconds": {DIGITS}}}'.encode(),
    "escapes": RED.encode(),
}
RECORD_VALUES = (
    ("task", 1),
    ("model", None),
    ("corpus", ["ptb"]),
    ("settings", []),
    ("parameters", "many"),
    ("parameters", True),
    ("parameters", 1.5),
    ("seconds", "NaN"),
    ("seconds", float("nan")),
    ("seconds", float("inf")),
    ("seconds", 10**400),
    ("steps", ...),
    ("test", ...),
    ("test", {"perplexity": "low"}),
    ("test", {"perplexity": float("nan")}),
    ("test", {"perplexity": 10**400}),
    ("test", {"perplexity": True}),
    ("test", {"perplexity": 1, "perplexity_sampled_mean": [1]}),
    ("test", {"perplexity_sampled_mean": 1, "perplexity_sampled_std": {}}),
    ("test", {"perplexity": {RED: LONG}}),
    ("published", 114.5),
    ("published", {"test_perplexity": "low"}),
    ("true_perplexity", {"test": float("inf")}),
    ("true_perplexity", [1]),
    ("epochs", 3),
    ("run_folder", 3),
)
METRICS = {
    "not UTF-8": b"\xff\n",
    "no JSON": b"{\n",
    "an empty line": b"\n",
    "a list": b"[1]\n",
    "no epoch": b"{}\n",
    "epoch 0": b'{"epoch": 0}\n',
    "epoch true": b'{"epoch": true}\n',
    "epoch twice": b'{"epoch": 1}\n{"epoch": 1}\n',
    "not finite": b'{"epoch": 1, "valid_perplexity": NaN}\n',
    "beyond a float": b'{"epoch": 1, "seconds": 1%s}\n' % (b"0" * 400),
    "many digits": f'{{"epoch": {DIGITS}}}\n'.encode(),
    "below 0": b'{"epoch": 1, "seconds": -1}\n',
    "a word": b'{"epoch": 1, "train_perplexity": "low"}\n',
    "deep": nested(100_000).encode() + b"\n",
    "escapes": f'{{"epoch": "{RED}"}}\n'.encode().replace(b"\x1b", b"\\u001b"),
}


def _scores(**arrays):
    """Rewrites the scores as other arrays."""

    def function(content):
        with np.load(io.BytesIO(content)) as old:
            changed = _edited(dict(old), arrays)
        file = io.BytesIO()
        np.savez(file, **changed)
        return file.getvalue()

    return function


SCORES = {
    "empty": lambda data: b"",
    "text": lambda data: b"no archive\n" * 99,
    **{f"cut at {s}": cut(s) for s in (0.02, 0.3, 0.7, 0.97)},
    "a byte short": cut(1),
    "a flipped bit": flip(0.3),
    "no nll": _scores(nll=...),
    "other shape": _scores(nll=np.ones((3, 2))),
    "other lengths": _scores(nll=np.ones(3)),
    "nothing": _scores(nll=np.ones(0)),
    "not finite": lambda data: _scores(nll=np.full(9, np.nan))(data),
    "integers": _scores(look_back=np.ones(9)),
    "sentences fall": _scores(sentence=np.arange(9)[::-1]),
    "objects": members(lambda old: [(old[0][0], bombs()), *old[1:]]),
    "LZMA, damaged": broken_lzma,
    "a header without its end": first_member(
        lambda _: header("{'descr': '<f8', 'fortran_order': False, (")
    ),
    "a header too large": first_member(
        lambda _: header(
            f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({HUGE},)}}"
        )
    ),
    "a header of odd types": first_member(
        lambda _: header(
            "{'descr': [('a',), 3], 'fortran_order': False, 'shape': (1,)}"
        )
    ),
    "one array alone": lambda data: as_array(np.zeros(3)),
}


def tables():
    both_runs = ("runs/run", "runs/other")

    def case(name, damage, *says, arguments=both_runs, code=1):
        words = ("table", name, list(arguments), code, says)
        return Case(*words, program="table", damage=damage)

    path = "runs/other/result.json"
    yield Case("table", "nothing", [], 2, ("RUN",), "table", silent=True)
    yield Case("table", "a flag", ["--x"], 2, ("RUN",), "table", silent=True)
    yield Case(
        *("table", "an escape", ["runs/run", f"--{RED}"], 2, ("red",)),
        program="table",
        silent=True,
    )
    for name, run, *damage in (
        ("missing", "nowhere"),
        ("a file", "text.txt"),
        ("no record", "runs/open"),
        ("long", LONG),
        ("escape", RED),
        ("newline", "a\nb"),
        ("no bytes", "\udcff"),
        ("loop", "loop", loop("loop")),
        ("another file", "runs/run/config.json"),
    ):
        yield case(name, *damage or [None], arguments=["runs/run", run])
    yield case("a folder", make_folder(path), path)
    for name, text in RECORD_TEXTS.items():
        yield case(name, write(path, text), path)
    for key, value in RECORD_VALUES:
        damage = edit_json(path, **{key: value})
        yield case(f"{key} {value!a:.40}", damage, "runs/other", key)
    for key, value in (
        ("model", RED),
        ("corpus", "a\nb"),
        ("published", {"test_perplexity": 1, "source": ["a"]}),
        ("published", {"test_perplexity": 1, "source": {"a": 1}}),
        ("published", {"test_perplexity": 1, "source": RED}),
        ("published", {"test_perplexity": 1, "source": "a\nb"}),
        ("parameters", 10**400),
        ("parameters", -1),
    ):
        damage = edit_json(path, **{key: value})
        yield case(f"{key} {value!a:.60} shown", damage, code=(0, 1))


def comparisons():
    def case(name, damage, *says, arguments=COMPARE, code=1):
        words = ("compare", name, list(arguments), code, says)
        return Case(*words, program="compare", damage=damage)

    other = "runs/other"
    for words in (
        [],
        ["--level", "95"],
        ["--level", "nan"],
        ["--level", "1e-400"],
        ["--level=-1"],
        ["--level", ""],
        ["--samples", "0"],
        ["--samples", "²"],
        ["--samples", "1e3"],
        ["--samples", HUGE],
        ["--samples", DIGITS],
        ["--sample", "5"],
        ["--figure", "x.jpg"],
        ["--figure", ""],
        ["--figure", f"{RED}.x"],
        [f"--{RED}"],
        ["--level"],
    ):
        runs = ["runs/run"] * bool(words)
        says = (
            ("RUN",)
            if not words
            else ("red" if RED in words[0] else words[0].split("=")[0],)
        )
        name = f"words {' '.join(map(ascii, words))[:40]}"
        yield Case(
            *("compare", name, [*runs, *words], 2, says),
            program="compare",
            silent=True,
        )
    for name, run, *damage in (
        ("missing", "nowhere"),
        ("a file", "text.txt"),
        ("long", LONG),
        ("escape", RED),
        ("newline", "a\nb"),
        ("no bytes", "\udcff"),
        ("loop", "loop", loop("loop")),
        ("empty", "empty", make_folder("empty")),
        ("under a file", "text.txt/a"),
    ):
        yield case(name, *damage or [None], arguments=["runs/run", run])
    for name, text in CONFIG_TEXTS.items():
        if name != "empty settings":
            path = f"{other}/config.json"
            yield case(f"config {name}", write(path, text), path)
    for name, text in METRICS.items():
        path = f"{other}/metrics.jsonl"
        yield case(f"metrics {name}", write(path, text), path)
    yield case("metrics a folder", make_folder(f"{other}/metrics.jsonl"), other)
    for name in ("empty", "deep", "many digits", "not UTF-8"):
        path = f"{other}/result.json"
        yield case(f"record {name}", write(path, RECORD_TEXTS[name]), path)
    for value in ("low", 10**400, float("nan")):
        damage = edit_json(f"{other}/result.json", test={"perplexity": value})
        yield case(f"perplexity {value!a:.9}", damage, other, "perplexity")
    for name, function in SCORES.items():
        path = f"{other}/test_scores.npz"
        yield case(f"scores {name}", change(path, function), path)
    yield case(
        "scores a folder", make_folder(f"{other}/test_scores.npz"), other
    )
    # What does not hinder a comparison, or is said in the table.
    for value in ([1], {"test": ["1f"]}, {"test": {"a": 1}}, None):
        yield case(
            f"hashes {value!a}",
            edit_json(f"{other}/config.json", data_sha256=value),
            code=(0, 1),
        )
    for value in (RED, "a\nb", LONG, [RED], {"a": None}, 10**400):
        yield case(
            f"setting {value!a:.20}",
            edit_settings(f"{other}/config.json", lamda=value),
            code=(0, 1),
        )
    for key in (RED, "a\nb", "a|b", LONG):
        yield case(
            f"name of a setting {key!a:.20}",
            edit_settings(f"{other}/config.json", **{key: 1}),
            code=(0, 1),
        )
    for name, text in (("deep", nested(100_000)), ("many digits", DIGITS)):
        yield case(
            f"metrics {name} in a last line without its end",
            write(f"{other}/metrics.jsonl", text),
            code=(0, 1),
        )
    for path, damage in (
        ("nowhere/x.png", None),
        ("folder.png", make_folder("folder.png")),
        ("loop.svg", loop("loop.svg")),
        (f"{LONG}.pdf", None),
        ("text.txt/x.png", None),
        ("/proc/x.png", None),
    ):
        yield case(
            f"figure {path:.20}",
            damage,
            path[:99],
            arguments=[*COMPARE, "--figure", path],
            code=(1, 2),
        )
