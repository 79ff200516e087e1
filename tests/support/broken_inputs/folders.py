"""Where runs are to be, and run folders whose settings are broken."""

import glob

from broken_inputs.case import (
    DIGITS,
    LOAD,
    LONG,
    MEASURE,
    NEW,
    RED,
    RESUME,
    TINY,
    Case,
)
from broken_inputs.damage import (
    both,
    change,
    copy,
    cut,
    edit_json,
    edit_settings,
    insert,
    link,
    loop,
    make_folder,
    nested,
    readable,
    remove,
    write,
)


def run_names():
    for name in (
        *(".", "..", "a/b", "/tmp/a", "a/", "../new", "nul\0", "a\nb"),
        *(RED, "\x7f", "a\u202eb", "\ud800", "\udcff", "tab\t", "\u2028"),
    ):
        case = [*TINY, f"--name={name}"]
        says = ("plain folder name", repr(name))
        yield Case("run name", f"new {name!a}", case, 2, says)
        if len(name) < 3:
            case = [*case, "--resume"]
            yield Case("run name", f"resume {name!a}", case, 2, says)
    for name in (LONG, "ü" * 200, "n" * 250):
        case, says = [*TINY, f"--name={name}"], (name[:9], "too long")
        yield Case("run name", f"{len(name)} {name[:1]!a} long", case, 2, says)
        yield Case(
            "run name",
            f"{len(name)} {name[:1]!a} long, resume",
            [*case, "--resume"],
            2,
            (name[:9],),
        )
    for name, damage in (
        ("folder", make_folder("runs/new")),
        ("file", write("runs/new", "a file")),
        ("loop", loop("runs/new")),
        ("broken link", link("runs/new", "nowhere")),
        ("link", link("runs/new", "run")),
    ):
        says = ("runs/new",)
        yield Case("run name", name, NEW, 2, says, damage=damage)
        if name not in ("link", "folder"):
            case = [*NEW, "--resume"]
            yield Case(
                "run name", f"{name}, resume", case, 2, says, damage=damage
            )
    for name in ("missing", "..."):
        case = [*TINY, "--name", name, "--resume"]
        says = (f"runs/{name}", "no such run")
        yield Case("run name", f"resume {name}", case, 2, says)


def train_dirs():
    for name, path, damage in (
        ("a file", "text.txt", None),
        ("under a file", "text.txt/runs", None),
        ("loop", "loop", loop("loop")),
        ("broken link", "link", link("link", "nowhere/else")),
        ("long", LONG, None),
        ("long below", f"deep/{LONG}/runs", None),
        ("not writable", "/proc/runs", None),
        ("device", "/dev/null", None),
        ("escape", RED, write(RED, "a file")),
        ("newline", "a\nb", write("a\nb", "a file")),
    ):
        says = (readable(path)[:9],)
        for end in ([], ["--resume"]):
            yield Case(
                "train_dir",
                f"{name}{', resume' if end else ''}",
                [*NEW, "--train_dir", path, *end],
                2,
                says,
                damage=damage,
            )
    yield Case(
        "train_dir",
        "made for a name that is too long",
        [*TINY, "--train_dir", "deep/runs", "--name", LONG],
        2,
        ("deep/runs", "too long"),
    )


# Run folders.

CONFIG_TEXTS = {
    "empty": b"",
    "a brace": b"{",
    "binary": b"\x93NUMPY\x00\xff",
    "not UTF-8": b'{"settings": "\xff"}',
    "UTF-16": '{"settings": {}}'.encode("utf-16"),
    "a list": b"[]",
    "a string": b'"settings"',
    "null": b"null",
    "NaN": b"NaN",
    "a number too long": f'{{"settings": {DIGITS}}}'.encode(),
    "settings null": b'{"settings": null}',
    "settings a list": b'{"settings": ["rnn_size"]}',
    "no settings": b'{"setting": {}}',
    "empty settings": b'{"task": "language_modeling", "settings": {}}',
    "deep lists": nested(100_000).encode(),
    "deep objects": nested(100_000, '{"settings":', "}").encode(),
    "escapes": RED.encode(),
}
# Values that the flags would not take.
ILLEGAL = (
    ("rnn_size", 0),
    ("rnn_size", "many"),
    ("rnn_size", 2.5),
    ("rnn_size", True),
    ("rnn_size", {"a": 1}),
    ("rnn_size", []),
    ("rnn_size", 10**30),
    ("rnn_layers", -1),
    ("dropout", 1.0),
    ("dropout", float("nan")),
    ("dropout", float("inf")),
    ("lamda", "\x1b[31m"),
    ("model", "gru"),
    ("model", ""),
    ("model", ["lstm"]),
    ("preset", "huge"),
    ("preset", True),
    ("preset", 5),
    ("estimator", "ppo"),
    ("estimator", False),
    ("policy", True),
    ("keep_buffer", "yes"),
    ("keep_buffer", 1),
    ("seed", -1),
    ("look_back_shares", "a\nb"),
    ("look_back_shares", [0, 0]),
    ("look_back_shares", [1, 1]),
    ("char", "yes"),
    ("kernels", [1]),
    ("kernel_features", "[0]"),
    ("baseline", "leave_one_out\x1b"),
    ("rollouts", 1),
    ("task_rollouts", 3),
    ("final_entropy_weight", None),
)


def configs():
    for run, arguments in (("run", LOAD), ("open", RESUME)):
        yield from _configs(f"runs/{run}/config.json", run, arguments)
    path = "runs/run/config.json"
    for key, value in ILLEGAL:
        yield Case(
            "config",
            f"run, {key} {value!a}",
            LOAD,
            2,
            ("runs/run", "config.json"),
            damage=edit_settings(path, **{key: value}),
        )
    for key, value in (("rnn_size", 9), ("seed", True), ("lamda", None)):
        yield Case(
            "config",
            f"open, {key} {value!a}",
            RESUME,
            2,
            ("runs/open", f"--{key}", "now"),
            damage=edit_settings("runs/open/config.json", **{key: value}),
        )
    for value in ("jax", None, ["tensorflow"], ...):
        yield Case(
            "config",
            f"open, backend {value!a}",
            RESUME,
            2,
            ("runs/open", "backend"),
            damage=edit_json("runs/open/config.json", backend=value),
        )


def _configs(path, run, arguments):
    def case(name, damage, *says):
        name = f"{run}, {name}"
        return Case("config", name, arguments, 2, says, damage=damage)

    yield case("missing", remove(path), path)
    yield case("a folder", make_folder(path), path)
    yield case("loop", loop(path), path)
    yield case("cut", change(path, cut(0.4)), path)
    yield case("more", change(path, lambda data: data + b"{}"), path)
    for name, text in CONFIG_TEXTS.items():
        says = ("settings",) if name == "empty settings" else (path,)
        yield case(name, write(path, text), f"runs/{run}", *says)
    edits = {
        "a setting more": {"new_flag": 1},
        "a setting less": {"dropout": ...},
        "an escape more": {RED: 1},
        "a line more": {"a\nb": 1},
        "a surrogate more": {"\udcff": 1},
        "a long one more": {LONG * 30: 1},
    }
    for name, edit in edits.items():
        yield case(
            name, edit_settings(path, **edit), f"runs/{run}", "differing"
        )
    for value in ({}, None, [], "1f", {"train": RED}, ..., 10**400):
        damage = edit_json(path, data_sha256=value)
        yield case(f"hashes {value!a:.20}", damage, f"runs/{run}", "trained on")
    # Read without fault, and yet too deep for what comes after.
    for depth in (300, 900, 930, 950, 960, 970, 980):
        for key in ("data_sha256", "lamda"):
            damage = insert(path, key, nested(depth))
            yield case(f"{key} {depth} deep", damage, f"runs/{run}")


def run_folders():
    for name, path, damage in (
        ("missing", "runs/nowhere", None),
        ("a file", "text.txt", None),
        ("under a file", "text.txt/run", None),
        ("an empty folder", "empty", make_folder("empty")),
        ("loop", "loop", loop("loop")),
        ("long", LONG, None),
        ("escape", RED, None),
        ("newline", "a\nb", None),
        ("no bytes", "\udcff", None),
        ("device", "/dev/null", None),
    ):
        says = (readable(path), "config.json")
        arguments = ["--no-download", "--load_model", path]
        yield Case(
            "run folder", f"load, {name}", arguments, 2, says, damage=damage
        )
    for flags, says in (
        ("--n_actions 3", "--n_actions 5, now 3"),
        ("--preset small", "--preset 'quick', now 'small'"),
        ("--model lstm --rnn_size 7", "--rnn_size 8, now 7"),
    ):
        arguments = [*LOAD, *flags.split()]
        says = ("runs/run", says)
        yield Case("run folder", f"load, {flags}", arguments, 2, says)
    config = "runs/run/config.json"
    yield Case(
        "run folder",
        "load, of another task",
        LOAD,
        2,
        ("a run of language_modeling. Received: one of 'number_prediction'",),
        damage=edit_json(config, task="number_prediction"),
    )
    lock = "runs/open/lock"
    for name, damage in (
        ("lock a folder", make_folder(lock)),
        ("lock a loop", loop(lock)),
    ):
        says = ("runs/open",)
        yield Case("run folder", name, RESUME, 2, says, damage=damage)
    record = "runs/open/result.json"
    for name, text in (
        ("empty", ""),
        ("cut", '{"task": "lan'),
        ("a list", "[]"),
        ("not UTF-8", b"\xff"),
        ("deep", nested(100_000)),
        ("keys missing", "{}"),
    ):
        says = (record,)
        damage = write(record, text)
        case = ("run folder", f"result {name}", RESUME, (1, 2), says)
        yield Case(*case, damage=damage)
    for key, value in (
        ("test", {"tokens": 9}),
        ("test", {"perplexity": "low"}),
        ("test", {"perplexity": 1, "sampled_n": 2}),
        ("published", None),
        ("published", {}),
        ("true_perplexity", {}),
        ("true_perplexity", {"test": "low"}),
        ("test", {"perplexity": 10**400}),
        ("published", {"test_perplexity": RED, "source": "a"}),
    ):
        yield Case(
            "run folder",
            f"result {key} {value!a:.40}",
            RESUME,
            (0, 1, 2) if not value or key == "published" else (1, 2),
            ("result.json",),
            damage=both(
                copy("runs/run/result.json", record),
                edit_json(record, **{key: value}),
            ),
        )
    for published in ({"source": None}, {"source": [1]}, {"source": RED}):
        yield Case(
            "run folder",
            f"result published {published!a}",
            RESUME,
            (0, 1, 2),
            ("result.json",),
            damage=both(
                copy("runs/run/result.json", record),
                edit_json(
                    record, published={"test_perplexity": 1, **published}
                ),
            ),
        )


def odd_names():
    """Names that a terminal cannot show, of files and folders that are whole.

    They may do; and if so, nothing of them reaches the terminal as it is.
    """
    for name in (RED, "\udcff"):
        written = glob.escape(name)
        for flag, target in (
            ("--train_dir", None),
            ("--data_dir", "data"),
            ("--load_model", "runs/plain"),
            ("--text", "text.txt"),
        ):
            new = [*NEW, "--model", "lstm", "--max_steps", "1"]
            yield Case(
                "odd name",
                f"{flag} {name!a}",
                [*(MEASURE if target else new), flag, name],
                (0, 2, 3),
                (flag[2:],),
                damage=link(name, target) if target else None,
                writes=() if target else (written, f"{written}/*"),
                names=True,
            )
