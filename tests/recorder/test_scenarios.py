"""Rows 1-26 of the scenarios that users of allocation recorders rely on: each with its exact number, under every
allocator setting of CPython."""
import json

import pytest

import support
from support import ALLOCATORS, PYTHON_ALLOCATORS

SETTINGS = {
    "unset": {},
    "pymalloc": {"PYTHONMALLOC": "pymalloc"},
    "malloc": {"PYTHONMALLOC": "malloc"},
    "debug": {"PYTHONMALLOC": "debug"},
    "dev": {"PYTHONDEVMODE": "1"},
}
SIZE = 984
KIB = 1024


@pytest.fixture(params=SETTINGS)
def setting(request):
    return request.param


@pytest.fixture(params=support.LEVELS)
def level(request):
    return request.param


@pytest.fixture
def play(python, setting, probe):
    """Runs a scenario; returns what it saw, its steps, and the image after the recording."""

    def run(scenario, level="objects"):
        environment = support.recorded_environment(level, start=False, **SETTINGS[setting])
        result = python.run([support.HERE / "scenarios.py", probe, scenario, level], environment)
        assert result.returncode == 0, result.stderr
        first, second = result.stdout.splitlines()
        report, image = json.loads(first), json.loads(second)
        assert report["seen"]["state"] == support.STATE_STOPPED
        assert image["state"] == support.STATE_STOPPED and image["level"] == support.LEVELS[level]
        assert image["python_state"] == support.PYTHON_PROVEN or scenario in NO_PYTHON_EVENTS, image["python_problem"]
        assert sum(image["dropped"]) == 0
        assert_sums(image)
        return report["seen"], report["steps"], image

    return run


NO_PYTHON_EVENTS = ("nothing",)


def assert_sums(image):
    """The image agrees with itself: totals, sites and blocks."""
    assert image["live_bytes"] == sum(site["bytes"] for site in image["sites"])
    assert image["live_blocks"] == sum(site["blocks"] for site in image["sites"]) == len(image["blocks"])
    assert image["peak_bytes"] == sum(site["peak_bytes"] for site in image["sites"])
    by_site = {}
    for _, size, site in image["blocks"]:
        by_site[site] = by_site.get(site, 0) + size
    assert by_site == {site["site"]: site["bytes"] for site in image["sites"] if site["blocks"]}


def born(step, how, size=SIZE):
    assert (step["events"], step["bytes"], step["blocks"]) == (1, size, 1), step
    assert (step["is_live"], step["size"], step["allocator"]) == (1, size, ALLOCATORS[how]), step


def died(step, size=SIZE):
    assert (step["events"], step["bytes"], step["blocks"], step["ignored"]) == (1, -size, -1, 0), step
    assert step["is_live"] == 0, step


def sites_of(image, *names):
    wanted = {ALLOCATORS[name] for name in names}
    return [site for site in image["sites"] if site["allocator"] in wanted]


def locations(sites):
    return {tuple(map(tuple, site["stack"])) for site in sites}


def test_row_1_nothing_between_start_and_stop(play, level):
    _, _, image = play("nothing", level)
    assert (image["events"], image["live_blocks"], image["peak_bytes"], image["sites"]) == (0, 0, 0, [])


def test_rows_2_to_7_each_allocator(play, level):
    _, steps, _ = play("malloc_kinds", level)
    assert [step["call"] for step in steps[::2]] == "malloc valloc calloc memalign posix_memalign aligned_alloc".split()
    for allocation, free in zip(steps[::2], steps[1::2]):
        born(allocation, allocation["call"])
        died(free)


def test_row_8_pvalloc_is_not_rounded(play, level):
    _, steps, _ = play("pvalloc", level)
    born(steps[0], "pvalloc")
    died(steps[1])


def test_rows_9_and_10_realloc(play, level):
    _, (malloc, realloc, free), _ = play("realloc", level)
    born(malloc, "malloc", 1)
    assert (realloc["events"], realloc["bytes"], realloc["blocks"]) == (1, SIZE - 1, 0)
    assert (realloc["is_live"], realloc["size"], realloc["allocator"]) == (1, SIZE, ALLOCATORS["realloc"])
    assert realloc["old_is_live"] == 0
    died(free)


def test_row_11_cpp_vector(compiled, probe):
    program = compiled("vector", "vector.cc", probe, compiler="g++")
    result = support.run([program], support.recorded_environment("heap", start=False))
    reserve, drop = json.loads(result.stdout)
    born(reserve, "malloc")
    died(drop)


def test_rows_12_and_13_sized_frees(play, level):
    seen, steps, _ = play("sized_free", level)
    born(steps[0], "malloc")
    died(steps[1])
    if "free_sized" not in seen:
        born(steps[2], "memalign")
        died(steps[3])


def test_row_14_python_domains_at_level_objects(play):
    _, steps, _ = play("domains", "objects")
    assert len(steps) == 3 * 7
    for start, domain in zip(range(0, 21, 7), ("PyMem_Raw", "PyMem_", "PyObject_")):
        malloc, free, calloc, free_calloc, small, realloc, free_realloc = steps[start : start + 7]
        born(malloc, domain + "Malloc")
        died(free)
        born(calloc, domain + "Calloc")
        died(free_calloc)
        born(small, domain + "Malloc", 1)
        assert (realloc["events"], realloc["bytes"], realloc["blocks"]) == (1, SIZE - 1, 0)
        assert (realloc["size"], realloc["allocator"]) == (SIZE, ALLOCATORS[domain + "Realloc"])
        assert realloc["old_is_live"] == 0
        died(free_realloc)


def test_row_15_python_domains_at_level_heap(play):
    _, steps, image = play("domains", "heap")
    assert len(steps) == 3 * 7
    assert not any(step["allocator"] in PYTHON_ALLOCATORS for step in steps)
    assert not any(site["allocator"] in PYTHON_ALLOCATORS for site in image["sites"])


def test_row_16_stack_three_calls_deep(play):
    seen, _, image = play("deep_stack", "objects")
    site_of = {site["site"]: site for site in image["sites"]}
    (site,) = [site_of[index] for address, _, index in image["blocks"] if address == seen["address"]]
    assert site["allocator"] == ALLOCATORS["PyObject_Malloc"]
    names = [function for function, _, _ in site["stack"]]
    assert names == ["third", "second", "first", "deep_stack", "started", "<module>"]
    assert {file for _, file, _ in site["stack"]} == {str(support.HERE / "scenarios.py")}
    assert site["stack"][0][2] == seen["line"]
    source = (support.HERE / "scenarios.py").read_text().splitlines()
    called = [source[line - 1].strip() for _, _, line in site["stack"][1:]]
    assert called == ["third()", "second()", "first()", "body()", "started(BODIES[scenario])"]


def test_row_17_anonymous_mmap(play, level):
    seen, _, _ = play("python_mmap", level)
    assert seen["counts"] == [0, 1, 0]


def test_row_18_thread_that_python_did_not_make(play, level):
    seen, (allocation, free), _ = play("foreign_thread", level)
    assert seen["error"] == 0
    born(allocation, "malloc")
    died(free)
    assert [allocation["tid"]] == seen["tids"]


def test_row_19_killed_while_recording(python, setting, level, probe):
    arguments = [support.HERE / "scenarios.py", probe, "vallocs_until_killed", level]
    environment = support.plain_environment(**SETTINGS[setting])
    result, report = python.run_by_memtrace(arguments, level, "live --by allocator", environment)
    assert result.returncode in (-9, 128 + 9), result.stderr
    assert [(row["blocks"], row["bytes"]) for row in report["rows"] if row["key"] == "valloc"] == [(50, 50 * KIB)]


def test_row_20_exit_at_once(python, setting, level, probe):
    arguments = [support.HERE / "scenarios.py", probe, "exit_at_once", level]
    environment = support.plain_environment(MEMTRACE_START="0", **SETTINGS[setting])
    result, report = python.run_by_memtrace(arguments, level, "live", environment)
    assert result.returncode == 0, result.stderr
    assert (report["live_blocks"], report["live_bytes"], report["rows"]) == (0, 0, [])


def peak_of(image):
    return [(site["peak_blocks"], site["peak_bytes"]) for site in image["sites"] if site["peak_blocks"]]


def test_row_21_the_same_twice(play, level):
    _, _, image = play("twice_1024", level)
    assert (image["events"], image["peak_bytes"], peak_of(image)) == (4, KIB, [(1, KIB)])


@pytest.mark.parametrize("order", ["small_then_large", "large_then_small"])
def test_row_22_only_the_larger(play, level, order):
    _, _, image = play(order, level)
    assert (image["events"], image["peak_bytes"], peak_of(image)) == (4, 2 * KIB, [(1, 2 * KIB)])


def test_row_23_two_on_one_line(play, level):
    _, _, image = play("two_on_one_line", level)
    sites = sites_of(image, "valloc")
    assert len(locations(sites)) == 1
    assert sum(site["blocks"] for site in sites) == 2 and sum(site["bytes"] for site in sites) == 2 * KIB
    assert sum(site["peak_bytes"] for site in sites) == 2 * KIB


def test_row_24_two_on_two_lines(play, level):
    _, _, image = play("two_on_two_lines", level)
    sites = sites_of(image, "valloc")
    assert len(locations(sites)) == 2
    assert sorted(site["bytes"] for site in sites) == [KIB, 2 * KIB]
    assert sum(site["peak_bytes"] for site in sites) == 3 * KIB
    lines = sorted(site["stack"][0][2] for site in sites)
    assert lines[1] == lines[0] + 1


def test_row_25_one_left(play, level):
    _, _, image = play("large_left", level)
    assert (image["events"], image["peak_bytes"], peak_of(image)) == (3, 2 * KIB, [(1, 2 * KIB)])
    assert [size for _, size, _ in image["blocks"]] == [2 * KIB]


def test_row_26_recursion(play, level):
    _, _, image = play("recursion_exact", level)
    assert (image["events"], image["live_blocks"]) == (20, 0)
    assert (image["peak_bytes"], peak_of(image)) == (31_744, [(6, 31_744)])
    _, _, image = play("recursion", level)
    sites = [site for site in sites_of(image, "valloc") if site["peak_blocks"]]
    assert sorted(site["peak_bytes"] // KIB for site in sites) == [1, 2, 4, 6, 8, 10]
    assert sum(site["peak_bytes"] for site in sites) == 31_744
    depths = {site["peak_bytes"] // KIB: [f for f, _, _ in site["stack"]].count("recurse") for site in sites}
    assert depths == {n: 11 - n for n in (1, 2, 4, 6, 8, 10)}


def test_more_than_100_000_object_events(play):
    seen, _, image = play("many_objects", "objects")
    before, held, after = seen["events_at"]
    assert held - before > 100_000 and after - held > 100_000
    assert seen["counts"][0] >= 120_000 and seen["counts"][1] < 1_000
    assert image["events"] > 200_000
