"""The calls for memory that recorders forget, each with the number that design.md's definitions give.

The definitions: sizes are requested bytes, not rounded; anonymous maps with any access count; reservations (PROT_NONE) and
files are classes of their own, outside the total; a call that fails is no event; whatever one call changes is one event.
"""
import json

import pytest

import support
from support import ALLOCATORS

PAGE = 4096


@pytest.fixture
def play(built_program):
    def run(mode, **more):
        program = built_program("maps", "step.c", "image_reader.c")
        result = support.run([program, mode], {**support.recorded_environment("heap", start=False), **more})
        steps, image = map(json.loads, result.stdout.splitlines())
        assert all(entry["as_expected"] for entry in steps), steps
        assert sum(image["dropped"]) == 0
        assert image["live_bytes"] == sum(site["bytes"] for site in image["sites"]) == sum(size for _, size, _ in image["blocks"])
        return {entry["name"]: entry for entry in steps}, image

    return run


def changed(entry, events, bytes_, blocks):
    """What one call did to the books, and that it freed nothing that was unknown."""
    step = entry["step"]
    assert (step["events"], step["bytes"], step["blocks"]) == (events, bytes_, blocks), entry
    assert step["ignored"] == 0, entry


def lives(entry, size, how):
    step = entry["step"]
    assert (step["is_live"], step["size"], step["allocator"]) == (1, size, ALLOCATORS[how]), entry


def is_gone(entry):
    assert entry["step"]["is_live"] == 0, entry


def test_mremap(play):
    steps, _ = play("mremaps")
    changed(steps["map"], 1, 10_000, 1)
    lives(steps["map"], 10_000, "mmap")
    changed(steps["grow"], 1, 30_000 - 10_000, 0)  # the old block dies and the new one is born in one event
    lives(steps["grow"], 30_000, "mremap")
    changed(steps["shrink"], 1, 5_000 - 30_000, 0)
    lives(steps["shrink"], 5_000, "mremap")
    changed(steps["move"], 1, 0, 0)
    lives(steps["move"], 5_000, "mremap")
    is_gone(steps["what was moved away"])
    changed(steps["fail"], 0, 0, 0)
    lives(steps["fail"], 5_000, "mremap")


def test_partial_munmap(play):
    steps, image = play("munmaps")
    size = 10 * PAGE - 100
    changed(steps["map"], 1, size, 1)
    changed(steps["head"], 1, -PAGE, 0)  # the rest is one block that starts a page later
    lives(steps["head"], size - PAGE, "mmap")
    changed(steps["tail"], 1, -(PAGE - 100), 0)  # of the last page 100 bytes were never asked for
    lives(steps["tail"], 8 * PAGE, "mmap")
    changed(steps["middle"], 1, -PAGE, 1)  # one block becomes two
    lives(steps["middle"], 3 * PAGE, "mmap")
    lives(steps["what is behind the middle"], 4 * PAGE, "mmap")
    changed(steps["fail"], 0, 0, 0)
    changed(steps["a hole"], 0, 0, 0)
    changed(steps["all that is left"], 1, -7 * PAGE, -2)
    assert image["live_bytes"] == 0


def test_munmap_across_two_maps(play):
    steps, _ = play("across")
    changed(steps["first"], 1, 4 * PAGE, 1)
    changed(steps["second"], 1, 4 * PAGE - 50, 1)
    changed(steps["across both"], 1, -2 * PAGE, 0)  # the last page of the one, the first of the other
    lives(steps["across both"], 3 * PAGE, "mmap")
    lives(steps["what is left of the second"], 3 * PAGE - 50, "mmap")


def test_map_fixed_over_a_live_map(play):
    steps, _ = play("fixed")
    changed(steps["map"], 1, 5 * PAGE, 1)
    changed(steps["over its middle"], 1, 0, 2)  # 2 pages die and 2 are born; 1 block becomes 2, and there is the new one
    lives(steps["over its middle"], 2 * PAGE, "mmap")
    lives(steps["what is behind"], 2 * PAGE, "mmap")
    changed(steps["reservation over it"], 1, -2 * PAGE, -1)
    assert steps["reservation over it"]["reserved"] == 2 * PAGE
    changed(steps["failing map"], 0, 0, 0)
    lives(steps["failing map"], PAGE, "mmap")


def test_reservations_and_files_are_outside_the_total(play):
    steps, _ = play("reservations")
    for name in ("reserve", "commit a part", "give back", "map a file", "unmap the file"):
        changed(steps[name], 0, 0, 0)
        is_gone(steps[name])
    assert steps["reserve"]["reserved"] == 1 << 30
    assert steps["map a file"]["files"] == 3 * PAGE


def test_realloc_in_all_its_ways(play):
    steps, _ = play("reallocs")
    changed(steps["zero bytes"], 1, 0, 1)
    lives(steps["zero bytes"], 0, "malloc")
    changed(steps["realloc of nothing"], 1, 1000, 1)
    lives(steps["realloc of nothing"], 1000, "realloc")
    changed(steps["reallocarray"], 1, 3000 - 1000, 0)
    lives(steps["reallocarray"], 3000, "reallocarray")
    for failure in ("reallocarray overflows", "realloc fails", "calloc overflows"):
        changed(steps[failure], 0, 0, 0)
        lives(steps[failure], 3000, "reallocarray")
    changed(steps["realloc to zero"], 1, -3000, -1)  # glibc: a free
    is_gone(steps["realloc to zero"])
    changed(steps["free of nothing"], 0, 0, 0)


def test_program_break(play):
    steps, _ = play("breaks")
    changed(steps["ask"], 0, 0, 0)
    changed(steps["take"], 1, 50_000, 1)
    lives(steps["take"], 50_000, "sbrk")
    changed(steps["fail to take"], 0, 0, 0)
    changed(steps["fail to set"], 0, 0, 0)
    changed(steps["set lower"], 1, -30_000, 0)
    lives(steps["set lower"], 20_000, "sbrk")
    changed(steps["give back the rest"], 1, -20_000, -1)


def test_signal_handler_outside_an_event_is_exact(play):
    steps, _ = play("handler")
    changed(steps["signal"], 3, 3001, 1)  # 3001 kept; 3002 born and dead
    lives(steps["signal"], 3001, "malloc")


def test_tls_destructors(play):
    """The thread keeps 4001; 4002 dies in the first round of destructors, 4003 is born there and dies in the second, where
    4004 is born and kept."""
    _, image = play("destructors")
    assert sorted(size for _, size, _ in image["blocks"] if 4001 <= size <= 4004) == [4001, 4004]
