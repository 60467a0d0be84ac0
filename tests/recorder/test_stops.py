"""The recorder stops where it was asked to: each condition, its edges, and what the stop finds."""

import json

import pytest

import support

ALLOCATE, FREE, REALLOCATE = 1, 2, 3  # enum mt_operation
IDLE = 0


@pytest.fixture
def play(compiled):
    program = compiled("stops", "stops.c", "step.c", "image_reader.c")

    def run(case):
        result = support.run([program, case], support.recorded_environment("heap", start=False))
        answer = json.loads(result.stdout)
        for stop in answer["stops"]:
            assert stop["operation_then"] == IDLE and stop["is_own"], stop
            if case != "in_threads":
                assert stop["lock"] == 0, stop
            if case not in ("in_threads", "in_handlers"):  # whose stop comes when the handler has returned
                assert stop["live_then"] == stop["live"], stop
        return answer

    return run


def told(answer, *keys):
    return [tuple(stop[key] for key in keys) for stop in answer["stops"]]


def test_heap_stops_once_a_crossing(play):
    answer = play("heap")
    limit = answer["limit"]
    assert told(answer, "fired", "size", "net", "live") == [
        (1, 1, 1, limit + 1), (1, 2000, 2000, limit + 2000)
    ]  # fmt: skip


def test_heap_above_the_limit_already_stops_at_the_next_event(play):
    answer = play("heap_is_above_already")
    assert told(answer, "fired", "size") == [(1 << 3, 10)]


def test_peak_stops_once_a_climb(play):
    answer = play("peak")
    top = answer["top"]
    assert told(answer, "fired", "size", "live") == [(2, 100, top + 100), (2, 1, top + 301)]


def test_peak_above_so_many_bytes(play):
    answer = play("peak_above")
    assert told(answer, "fired", "size", "live") == [(2, 1, answer["top"] + 1001)]


def test_one_large_request(play):
    answer = play("allocation")
    assert told(answer, "fired", "operation", "size", "has_site") == [
        (1 << 2, ALLOCATE, 30000, True),
        (1 << 2 | 1 << 5, REALLOCATE, 60000, True),
        (1 << 2, ALLOCATE, 40000, True),
    ]


def test_the_end_of_a_block(play):
    answer = play("ends")
    freed, moved, mapped = answer["stops"]
    assert (freed["fired"], freed["operation"], freed["address"], freed["net"]) == (1, FREE, answer["freed"], -100)
    assert (moved["fired"], moved["operation"], moved["old_address"]) == (2, REALLOCATE, answer["moved"])
    assert moved["net"] == (1 << 20) - 100 and moved["address"] != answer["moved"]
    assert (mapped["fired"], mapped["operation"], mapped["address"]) == (4, FREE, answer["map"])


def test_the_end_of_a_block_from_before_the_recording(play):
    assert told(play("old_block"), "fired", "operation", "net") == [(1, FREE, 0)]


def test_a_word_that_reaches_its_limit(play):
    answer = play("count")
    assert told(answer, "fired", "operation") == [(1 << 7, ALLOCATE)]
    assert answer["kind"] == 0 and answer["state"] == 0


def test_a_word_whose_memory_goes_away(play):
    answer = play("word_goes")
    assert answer["stops"] == [] and answer["kinds"] == [0, 0, 0]


def test_several_at_once_are_one_stop(play):
    assert told(play("several_at_once"), "fired", "size") == [(1 | 1 << 3 | 1 << 9 | 1 << 15, 10000)]


def test_what_signal_handlers_allocate(play):
    answer = play("in_handlers")
    stops = told(answer, "fired", "size")
    assert set(stops) == {(1, 777)}
    # What comes while the lock is held is not recorded; two handlers may fall into one event.
    assert 0 < len(stops) <= answer["handled"]


def test_a_child_of_fork_stops_for_itself(play):
    answer = play("in_fork")
    assert len(answer["stops"]) == 1 and answer["in_child"] == 1


def test_threads_each_stop(play):
    answer = play("in_threads")
    sizes = [stop["size"] for stop in answer["stops"]]
    assert {size: sizes.count(size) for size in range(5000, 5004)} == dict.fromkeys(range(5000, 5004), 200)


def test_a_stop_taken_away(play):
    answer = play("taken_away")
    assert len(answer["stops"]) == 1 and answer["state"] == 0
