"""What a run says in a log, and that a request to terminate ends it like Ctrl+C."""

import math
import os
import signal

import pytest

from app.cli.run_flags import ended_by_sigterm, run_options, wait_seconds
from app.cli.run_lines import RunLines, duration
from indexer.errors import DataError


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_lines_come_now_and_then_with_pace_and_time_left():
    said, clock = [], Clock()
    lines = RunLines(said.append, clock)
    for second in range(41):
        clock.now = second
        lines.update("tiles", 50 * second, 61_000, "B4")
        lines.update("slides", second // 20, 242, "B4")
        lines.update("sidecar", 0, 2)
    lines.end()
    assert said[0] == "slides 0 of 242, tiles 750 of about 61,000, 50 tiles/s, 20 min left (B4)"
    assert said[1] == "slides 1 of 242, tiles 1,500 of about 61,000, 50 tiles/s, 20 min left (B4)"
    assert said[-1] == "slides 2 of 242, tiles 2,000 of about 61,000, 50 tiles/s, 20 min left"
    assert len(said) == 3


def test_a_run_without_tiles_counts_slides():
    said, clock = [], Clock()
    lines = RunLines(said.append, clock)
    lines.update("slides", 0, 1000)
    clock.now = 20.0
    lines.update("slides", 100, 1000, "S100")
    assert said == ["slides 100 of 1,000, 5 slides/s, 3 min left (S100)"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(20, "20 s"), (240, "4 min"), (11_520, "3 h 12 min"), (3_600, "1 h 0 min")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_a_request_to_terminate_is_an_interruption_and_only_for_the_time_of_the_run():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), ended_by_sigterm():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


def test_runs_of_shards_wait_for_each_other():
    assert wait_seconds(0.0, None) == 0
    assert math.isinf(wait_seconds(0.0, "1/4"))
    assert wait_seconds(5.0, "1/4") == 5


def test_options_left_out_suit_the_device():
    rest = {"workers": None, "batch_size": None, "fail_fast": False}
    assert run_options([], shard="2/3", device="cpu", **rest).batch_size is None
    assert run_options([], shard=None, device="cuda:1", **rest).batch_size == 256
    with pytest.raises(DataError, match="4/3"):
        run_options([], shard="4/3", device="cpu", **rest)
