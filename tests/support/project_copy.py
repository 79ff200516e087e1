"""A copy of the project's set-up, and of what else a script needs of it."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def is_bash(path):
    return path.is_file() and path.read_bytes().startswith(
        b"#!/usr/bin/env bash\n"
    )


SHELL = sorted(filter(is_bash, ROOT.glob("scripts/*")))


def call(*command, **options):
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


TOOLS = "bash cat cmp date dirname env mkdir rm sed uname"
OLD_PYTHON = '#!/usr/bin/env bash\necho 3.9.1\n[[ "$*" != *3,\\ 11* ]]\n'
BROKEN_PYTHON = "#!/usr/bin/env bash\necho not found >&2\nexit 127\n"
BARE_PYTHON = '#!/usr/bin/env bash\necho 3.12.1\n[[ "$*" != *ensurepip* ]]\n'
GOOD_PYTHON = f'#!/usr/bin/env bash\nexec "{sys._base_executable}" "$@"\n'


class Copy:
    """A copy of the project's set-up in a folder with a space in its name."""

    def __init__(self, folder):
        self.root = folder / "a copy"
        (self.root / "scripts").mkdir(parents=True)
        for script in SHELL:
            shutil.copy(script, self.root / "scripts")
        for file in ROOT.glob("requirements*.txt"):
            (self.root / file.name).write_text("# nothing\n")
        self.commands = folder / "commands"
        self.commands.mkdir()
        for tool in TOOLS.split():
            (self.commands / tool).symlink_to(shutil.which(tool))
        self.environment = {
            "PATH": str(self.commands),
            "HOME": str(folder),
            "PYTHONPATH": str(folder / "trap"),
            "PIP_USER": "1",
        }
        # Importing anything from the user's PYTHONPATH ends Python.
        (folder / "trap").mkdir()
        (folder / "trap" / "argparse.py").write_text("raise SystemExit(99)")

    def python(self, command, text):
        path = self.commands / command
        path.write_text(text)
        path.chmod(0o755)

    def call(self, script, *arguments):
        return call(
            self.root / "scripts" / script,
            *arguments,
            cwd=self.commands,
            env=self.environment,
        )

    def pretend_setup(self):
        """An environment with all packages, and nothing to check it."""
        (self.root / ".venv" / "bin").mkdir(parents=True)
        (self.root / "scripts" / "setup").write_text(
            "#!/usr/bin/env bash\n"
            'unset PYTHONPATH\n[ "$1" = -- ] || shift\nshift\nexec "$@"\n'
        )
        python = self.root / ".venv" / "bin" / "python"
        python.write_text(
            f'#!/usr/bin/env bash\nexec "{sys.executable}" "$@"\n'
        )
        python.chmod(0o755)

    def pretend_environment(self):
        """An environment that the set-up itself takes for ready."""
        (self.root / ".venv" / "bin").mkdir(parents=True)
        python = self.root / ".venv" / "bin" / "python"
        python.write_text(GOOD_PYTHON)
        python.chmod(0o755)
        version = f"{sys.version.split()[0]} on {os.uname().sysname} "
        (self.root / ".venv" / "installed-requirements.txt").write_text(
            f"# Python {version}{os.uname().machine}\n# nothing\n"
        )

    def start(self, script="setup"):
        return subprocess.Popen(
            [str(self.root / "scripts" / script)],
            env=self.environment,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=hear_ctrl_c,
        )


def hear_ctrl_c():
    """As at a terminal: what runs in the background ignores SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
