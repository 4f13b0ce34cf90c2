"""The command line: one file a group of verbs, `main` the console script."""

import os

# Threads of OpenBLAS spin for 2^26 cycles before they sleep, as long as most of what is done between two products:
# where many small ones are made, half of the processor time went into waiting. Read where NumPy is first imported.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "18")

from app.cli.root import main

__all__ = ["main"]
