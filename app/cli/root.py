"""The `histoseek` command: its verbs, and what an error looks like from outside."""

import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from app.cli import (
    align_verb,
    annotate_verb,
    api_key_verb,
    data_verbs,
    decompose_verb,
    demo_verb,
    doctor_verb,
    evaluate_verb,
    explain_verb,
    groups_verbs,
    index_verbs,
    ingest_verb,
    predict_verb,
    run_verb,
    search_verbs,
    serve_verb,
    space_verbs,
    train_verb,
)
from app.cli.output import FAILED, complain, say
from encoders.errors import HistoSeekError

_HELP = """A search engine for tissue: slides, tiles, spots, cells and transcriptomes in one embedding space.

Exit codes: 0 done, 1 failed, 2 usage, 3 finished with failed items."""

_INTERRUPTED = 130  # what typer ends with after Ctrl+C

command = typer.Typer(
    name="histoseek",
    help=_HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _verbs in (
    doctor_verb,
    demo_verb,
    data_verbs,
    space_verbs,
    train_verb,
    ingest_verb,
    index_verbs,
    search_verbs,
    predict_verb,
    run_verb,
    decompose_verb,
    align_verb,
    annotate_verb,
    groups_verbs,
    evaluate_verb,
    explain_verb,
    serve_verb,
    api_key_verb,
):
    _verbs.register(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(version("histoseek"))
        raise typer.Exit


@command.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Options of the command as a whole."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run `histoseek` on `arguments` (those of the process by default) and exit with its code."""
    try:
        command(args=arguments, prog_name="histoseek")
    except SystemExit as stop:
        if stop.code == _INTERRUPTED:
            say("Stopped. What was finished is kept: the same command goes on from there.")
        raise
    except HistoSeekError as error:
        complain(str(error))
        sys.exit(FAILED)
    except OSError as error:  # no disk space, no permission: the system's own words name the file
        complain(f"{error}. Free space or choose another folder, then run the same command again to go on.")
        sys.exit(FAILED)
    sys.exit(0)
