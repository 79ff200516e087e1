"""Texts and pictures of the user's."""

import gzip

from broken_inputs.case import LOAD, LONG, MEASURE, PLAIN, RED, Case
from broken_inputs.damage import loop, make_folder, readable, write
from broken_inputs.flags import usage


def texts():
    def case(name, code, damage, *says, path="text.txt"):
        arguments = [*MEASURE, "--text", path]
        return Case("text", name, arguments, code, says, damage=damage)

    for name, path, damage in (
        ("missing", "nowhere.txt", None),
        ("a folder", "runs", None),
        ("under a file", "text.txt/text", None),
        ("loop", "loop", loop("loop")),
        ("long", LONG, None),
        ("escape", f"{RED}.txt", None),
        ("newline", "a\nb.txt", None),
        ("no bytes", "\udcff.txt", None),
    ):
        rule = "regular file" if name == "a folder" else "must be readable"
        yield case(name, 3, damage, readable(path), rule, path=path)
    yield case("empty", 3, write("text.txt", b""), "text.txt", "must not be")
    for name, content in (
        ("blanks", b" \t \n" * 50),
        ("lines", b"\n\r\n\n"),
        ("other blanks", "\u3000\u2003\x0c\x1c\n".encode()),
    ):
        damage = write("text.txt", content)
        yield case(name, 3, damage, "text.txt", "at least one word")
    for name, content in (
        ("latin-1", "café\n".encode("latin-1")),
        ("cut within a letter", "word1 é".encode()[:-1]),
        ("surrogates", b"\xed\xa0\x80"),
    ):
        damage = write("text.txt", content)
        yield case(name, 3, damage, "text.txt", "UTF-8", "byte")
    for name, content in (
        ("binary", bytes(range(256))),
        ("UTF-16 without its mark", "word1 word2\n".encode("utf-16-le")),
        ("gzip", gzip.compress(b"word1\n", mtime=0)),
        ("zeros", bytes(100)),
    ):
        damage = write("text.txt", content)
        yield case(name, 3, damage, "text.txt", "text file", "zero byte")
    damage = write("text.gz", gzip.compress(b"word1\n")[:-1])
    yield case("cut gzip", 3, damage, "text.gz", "gzip", path="text.gz")
    # Odd, and yet texts.
    for name, content in (
        ("escapes", RED.encode()),
        ("byte order mark", b"\xef\xbb\xbfword1 word2\n"),
        ("UTF-16", "word1 word2\n".encode("utf-16")),
        ("CR", b"word1 word2\rword3\r"),
        ("controls", b"word1 \x1b[31m \x07 \x7f word2\x1a"),
        ("unseen", "wo\u200brd1 \xa0word2\ufffd <eos>\n".encode()),
        ("one word", b"word1"),
        ("ends of sentences", b"<eos> <eos>"),
        ("one line of 5 MB", b" " * 5_000_000 + b"word1 word2"),
        ("one word of 5 MB", b"w" * 5_000_000 + b" word1\n"),
    ):
        yield case(name, 0, write("text.txt", content))


def figures():
    for path in (
        *("", "x", "png", ".png", "x.jpg", "x.png.gz", "x.png "),
        *(f"{RED}.gif", "a\nb.bmp", "x.p\x00ng"),
    ):
        arguments = [*LOAD, f"--figure={path}"]
        says = ("--figure", ".png", repr(path))
        yield usage("figure", f"suffix {path!a}", arguments, *says)
    for name, path, damage in (
        ("no folder", "nowhere/x.png", None),
        ("a slash", "x.svg/", None),
        ("under a file", "text.txt/x.png", None),
        ("a folder", "folder.png", make_folder("folder.png")),
        ("folder a loop", "loop/x.svg", loop("loop")),
        ("long", f"{LONG}.pdf", None),
        ("long folder", f"{LONG}/x.pdf", None),
        ("escape", f"{RED}/x.png", None),
    ):
        arguments = [*LOAD, "--figure", path]
        yield usage(
            *("figure", name, arguments, "--figure", readable(path)[:9]),
            damage=damage,
        )
    arguments = [*PLAIN, "--figure", "x.png"]
    yield Case("figure", "plain model", arguments, 2, ("--figure", "lstm"))
