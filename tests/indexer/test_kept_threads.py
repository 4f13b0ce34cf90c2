"""Parts of a search on kept threads."""

import multiprocessing
import os
import threading

import pytest

from indexer.vectors.kept_threads import each


def test_parts_are_done_once_each_and_given_in_their_order():
    done = []

    def task(part):
        done.append(part)
        return part * part

    assert each(task, range(40)) == [part * part for part in range(40)]
    assert sorted(done) == list(range(40))
    assert each(task, []) == []


def test_the_first_part_is_done_here_and_none_waits_for_threads_that_are_taken():
    go_on, n = threading.Event(), os.cpu_count() or 1
    taken = threading.Thread(target=each, args=(lambda _: go_on.wait(5), range(n + 1)))
    taken.start()
    try:
        assert each(lambda part: (part, threading.get_ident()), [0])[0][1] == threading.get_ident()
        assert each(lambda part: part, range(5)) == list(range(5))
        assert not go_on.is_set()
    finally:
        go_on.set()
        taken.join()


@pytest.mark.parametrize("wrong", [0, 3])
def test_what_goes_wrong_in_a_part_is_raised(wrong):
    def task(part):
        if part == wrong:
            raise ValueError("this part")
        return part

    with pytest.raises(ValueError, match="this part"):
        each(task, range(4))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_does_its_parts_too():
    each(int, range(4))  # so that threads are kept
    answers = multiprocessing.get_context("fork").Pool(1)
    with answers:
        assert answers.apply_async(each, (int, range(4))).get(timeout=10) == list(range(4))
