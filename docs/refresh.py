"""Run the commands shown in README.md and put their real output back in.

`python docs/refresh.py` rewrites every fenced block that begins with `$ histoseek`; run `make demo` first, since the
commands ask the demo's index.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
BLOCK = re.compile(r"(?P<fence>```console\n\$ (?P<command>histoseek [^\n]*)\n)(?P<output>.*?)(?P<end>```)", re.DOTALL)


def commands(text: str) -> list[str]:
    """Commands of the console blocks, in order."""
    return [match["command"] for match in BLOCK.finditer(text)]


def run(command: str, folder: Path) -> str:
    """Output of one command as a terminal of 110 columns shows it, progress left out."""
    environment = os.environ | {"COLUMNS": "110", "NO_COLOR": "1", "TERM": "dumb"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(  # noqa: S603 - the commands are the README's own
        ["bash", "-c", command],  # noqa: S607
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"`{command}` ended with {done.returncode}:\n{done.stderr}")
    return "\n".join(line.rstrip() for line in done.stdout.strip("\n").splitlines()) + "\n"


def refreshed(text: str, folder: Path) -> str:
    """The same text with every block's output made again in `folder`."""
    return BLOCK.sub(lambda match: f"{match['fence']}{run(match['command'], folder)}{match['end']}", text)


if __name__ == "__main__":
    README.write_text(refreshed(README.read_text(encoding="utf-8"), README.parent), encoding="utf-8")
