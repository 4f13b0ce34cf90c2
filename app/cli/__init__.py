"""The command line: one file a group of verbs, `main` the console script."""

from app.cli.root import main

__all__ = ["main"]
