"""A process that reads slides for a build: `python -m indexer.building.reader_process`, asked over its standard input.

It is on its own, so that a codec that crashes or a slide that takes all memory ends one slide and not the build. It
ends when its input does, that is when the build does, however that ends.
"""

import logging
import os
import signal
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from encoders.errors import HistoSeekError
from indexer.building.content import content_sha256
from indexer.building.frames import receive, send
from indexer.building.slide_reading import ReadPlan, SlidePart, read_slide
from indexer.slides import SlideSource
from indexer.store.card import BuildSettings


@dataclass(frozen=True, slots=True)
class ReadTask:
    """A slide to read, unless its content under some settings is `known`."""

    source: SlideSource
    known: str | None
    settings: BuildSettings
    plan: ReadPlan


@dataclass(frozen=True, slots=True)
class Content:
    """Digest of a slide's content; its parts follow unless it is the known one."""

    sha256: str
    is_known: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """A slide cannot be read: class and sentence of the error."""

    error: str
    reason: str


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of the reader's log."""

    logger: str
    level: int
    text: str


Answer = Content | SlidePart | Refusal


def answers(task: ReadTask) -> Generator[Answer]:
    """What is to be said of a slide: its content, then its parts; a refusal ends it early."""
    slide = "?"
    try:
        slide = task.source.facts.slide
        content = content_sha256(task.source, task.settings)
        yield Content(content, content == task.known)
        if content != task.known:
            yield from read_slide(task.source, task.plan)
    except MemoryError as error:
        reason = f"Slide {slide} needs more memory than there is ({error}). Read it where there is more."
        yield Refusal("MemoryError", reason)
    except (HistoSeekError, OSError) as error:
        yield Refusal(type(error).__name__, str(error))
    except Exception as error:  # a file that a reader did not foresee must not end the run
        logging.getLogger(__name__).debug("Slide %s", slide, exc_info=True)
        reason = f"Slide {slide} cannot be read: {type(error).__name__}: {error}. Its files are not what was expected."
        yield Refusal(type(error).__name__, reason)


class _Sender(logging.Handler):
    """Sends the reader's log to the build, which shows it as its own."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(logging.INFO)
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        send(self._stream, LogLine(record.name, record.levelno, record.getMessage()))


def serve(questions: BinaryIO, out: BinaryIO) -> None:
    """Answer until there are no more questions."""
    logging.getLogger().addHandler(_Sender(out))
    try:
        while True:
            for answer in _next_answers(questions):
                send(out, answer)
    except (EOFError, BrokenPipeError):
        return


def _next_answers(questions: BinaryIO) -> Iterator[Answer]:
    try:
        task: ReadTask = receive(questions)
    except (ImportError, AttributeError, TypeError) as error:  # what unpickling raises at a class it does not find
        reason = f"The slide's reader cannot be had in another process: {error}. Put its class into a module."
        return iter([Refusal(type(error).__name__, reason)])
    return answers(task)


def main() -> None:
    """Serve over standard input and output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C goes to the whole group; the build says when to end
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not get between the messages
    serve(sys.stdin.buffer, out)
    os._exit(0)  # no one is left to hear of what goes wrong from here


if __name__ == "__main__":
    main()
