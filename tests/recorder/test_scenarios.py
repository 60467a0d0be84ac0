"""The scenarios that users of allocation recorders rely on, each with its exact number: on every CPython that the
recorder knows, under every allocator setting on two of them, and the most telling ones on every other build."""

import json
import os

import pytest

import support
from interpreters import EVERYWHERE, MINORS, THOROUGH, VARIANTS
from support import ALLOCATORS, PYTHON_ALLOCATORS

SETTINGS = {
    "unset": {},
    "pymalloc": {"PYTHONMALLOC": "pymalloc"},
    "malloc": {"PYTHONMALLOC": "malloc"},
    "debug": {"PYTHONMALLOC": "debug"},
    "dev": {"PYTHONDEVMODE": "1"},
}
STRESS = os.environ.get("MEMTRACE_STRESS") == "1"  # `make stress`: all settings everywhere
PLACES = [(interpreter, setting) for interpreter in THOROUGH for setting in SETTINGS]
PLACES += [(interpreter, setting) for interpreter in MINORS for setting in (SETTINGS if STRESS else ["unset"])]
# The recorder comes by dlopen into the interpreter that runs already, instead of being preloaded.
ATTACHED = "attached"
PLACES += [(interpreter, ATTACHED) for interpreter in (EVERYWHERE if STRESS else [THOROUGH[0], MINORS[0], *MINORS[2:]])]
# Set on a scenario that depends on how an interpreter is built.
on_variants_too = pytest.mark.on_variants_too
SIZE = 984
KIB = 1024


def pytest_generate_tests(metafunc):
    if "interpreter" in metafunc.fixturenames:
        has_variants = STRESS or metafunc.definition.get_closest_marker("on_variants_too") is not None
        places = PLACES + [(interpreter, "unset") for interpreter in VARIANTS] * has_variants
        metafunc.parametrize("interpreter, setting", places, indirect=["interpreter"], ids=str, scope="session")


@pytest.fixture(params=support.LEVELS)
def level(request):
    return request.param


@pytest.fixture
def play(python_anywhere, setting, interpreter, probe):
    """Runs a scenario; returns what it saw, its steps, and the image after the recording."""

    def run(scenario, level="objects", **more):
        if setting == ATTACHED:
            environment = support.attached_environment(**more)
        else:
            environment = support.recorded_environment(level, start=False, **SETTINGS[setting], **more)
        result = python_anywhere.run([support.HERE / "scenarios.py", probe, scenario, level], environment)
        assert result.returncode == 0, result.stderr
        first, second = result.stdout.splitlines()
        report, image = json.loads(first), json.loads(second)
        assert report["seen"]["state"] == support.STATE_STOPPED
        assert image["state"] == support.STATE_STOPPED and image["level"] == support.LEVELS[level]
        may_be_unproven = scenario in NO_PYTHON_EVENTS or (level == "heap" and has_mimalloc(interpreter))
        assert image["python_state"] == support.PYTHON_PROVEN or may_be_unproven, image["python_problem"]
        assert sum(image["dropped"]) == 0
        assert_sums(image)
        return report["seen"], report["steps"], image

    return run


def require_preloaded(setting):
    if setting == ATTACHED:
        pytest.skip("about `memtrace run` and the variables of the preload")


NO_PYTHON_EVENTS = ("nothing",)


def has_mimalloc(interpreter):
    """Then the interpreter takes its memory from the kernel, in pieces so large that a whole scenario may need none."""
    return ("PYTHONMALLOC", "mimalloc") in interpreter.variables


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


@on_variants_too
def test_row_1_nothing_between_start_and_stop(play, level):
    _, _, image = play("nothing", level)
    assert (image["events"], image["live_blocks"], image["peak_bytes"], image["sites"]) == (0, 0, 0, [])


@on_variants_too
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


@on_variants_too
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


@on_variants_too
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


@on_variants_too
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


@on_variants_too
def test_row_18_thread_that_python_did_not_make(play, level):
    seen, (allocation, free), _ = play("foreign_thread", level)
    assert seen["error"] == 0
    born(allocation, "malloc")
    died(free)
    assert [allocation["tid"]] == seen["tids"]


@on_variants_too
def test_row_19_killed_while_recording(python_anywhere, setting, level, probe):
    require_preloaded(setting)
    arguments = [support.HERE / "scenarios.py", probe, "vallocs_until_killed", level]
    environment = support.plain_environment(**SETTINGS[setting])
    result, report = python_anywhere.run_by_memtrace(arguments, level, "live --by allocator", environment)
    assert result.returncode in (-9, 128 + 9), result.stderr
    assert [(row["blocks"], row["bytes"]) for row in report["rows"] if row["key"] == "valloc"] == [(50, 50 * KIB)]


def test_row_20_exit_at_once(python_anywhere, setting, level, probe):
    require_preloaded(setting)
    arguments = [support.HERE / "scenarios.py", probe, "exit_at_once", level]
    environment = support.plain_environment(MEMTRACE_START="0", **SETTINGS[setting])
    result, report = python_anywhere.run_by_memtrace(arguments, level, "live", environment)
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


@on_variants_too
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


@on_variants_too
def test_more_than_100_000_object_events(play):
    seen, _, image = play("many_objects", "objects")
    before, held, after = seen["events_at"]
    assert held - before > 100_000 and after - held > 100_000
    assert seen["counts"][0] >= 120_000 and seen["counts"][1] < 1_000
    assert image["events"] > 200_000


def site_of_block(image, address):
    sites = {site["site"]: site for site in image["sites"]}
    (index,) = [site for known, _, site in image["blocks"] if known == address]
    return sites[index]


def blocks_of(image, *names):
    indexes = {site["site"] for site in sites_of(image, *names)}
    return sorted(size for _, size, site in image["blocks"] if site in indexes)


def test_row_42_ten_leaks_of_one_function(play, level):
    _, _, image = play("leaks_of_one_function", level)
    (site,) = sites_of(image, "valloc")
    assert (site["blocks"], site["bytes"]) == (10, 10 * KIB)
    assert site["stack"][0][0].endswith("leak")


def test_row_43_a_leak_between_frees(play, level):
    _, _, image = play("leak_between_frees", level)
    assert (image["events"], image["live_blocks"], image["live_bytes"]) == (7, 1, 2 * KIB)
    assert [size for _, size, _ in image["blocks"]] == [2 * KIB]
    assert image["peak_bytes"] == 3 * KIB


def test_row_44_memory_that_is_older_than_the_recording(play, level):
    """Its free is no event; what a realloc makes of it is a birth, for the old block never counted."""
    _, (freed, moved, free), _ = play("older_blocks", level)
    assert (freed["events"], freed["bytes"], freed["blocks"], freed["ignored"]) == (0, 0, 0, 1)
    born(moved, "realloc", 4 * KIB)
    died(free, 4 * KIB)


def test_row_45_two_threads(play, level):
    _, steps, image = play("two_threads", level)
    assert len(steps) == 4
    of_thread = {}
    for step in steps:
        born(step, "posix_memalign", 2 * KIB)
        of_thread[step["tid"]] = of_thread.get(step["tid"], 0) + step["size"]
    assert list(of_thread.values()) == [4 * KIB, 4 * KIB]
    in_sites = {}
    for site in sites_of(image, "posix_memalign"):
        in_sites[site["tid"]] = in_sites.get(site["tid"], 0) + site["bytes"]
    assert in_sites == of_thread


@on_variants_too
def test_row_53_lines_are_those_of_the_allocation(play, level):
    seen, _, image = play("lines_of_allocation", level)
    assert seen["after"] == 3
    site = site_of_block(image, seen["address"])
    assert site["stack"] == seen["stack"]
    assert len(site["stack"]) == 5  # leaf, middle, the scenario, started, the module


def test_row_54_two_maps_of_the_root_frame(play, level):
    seen, _, image = play("maps_of_the_root_frame", level)
    stacks = sorted(site["stack"] for site in sites_of(image, "mmap") if site["bytes"] == 2048)
    file = str(support.HERE / "scenarios.py")
    assert stacks == [[["<module>", file, seen["line"]]], [["<module>", file, seen["line"] + 1]]]


@on_variants_too
def test_row_55_maps_at_two_depths(play, level):
    _, _, image = play("maps_at_two_depths", level)
    stacks = [site["stack"] for site in sites_of(image, "mmap") if site["bytes"] == 2048]
    assert sorted(map(len, stacks)) == [1, 21]


def test_row_56_a_stack_is_one_site(play, level):
    """Equal stacks of a thread are one site, whenever they come; another line of the caller is another."""
    seen, _, image = play("chains", level)
    direct, indirect, other_line = [
        [site_of_block(image, address)["site"] for address in addresses] for addresses in seen["addresses"]
    ]
    assert len(set(direct)) == len(set(indirect)) == 1
    assert len({*direct, *indirect, *other_line}) == 3


@on_variants_too
@pytest.mark.parametrize("scenario", ["restart_with_another_caller", "thread_of_two_sessions"])
def test_rows_57_and_60_sessions_show_their_own_stacks(play, level, scenario):
    seen, _, second = play(scenario, level)
    (address_1, stack_1), (address_2, stack_2) = seen["stacks"]
    assert site_of_block(seen["first_image"], address_1)["stack"] == stack_1
    assert site_of_block(second, address_2)["stack"] == stack_2
    assert stack_1 != stack_2
    # The first session's block is still there, but it is no longer in the books.
    assert [size for size in blocks_of(second, "valloc")] == [SIZE]
    assert second["session"] == seen["first_image"]["session"] + 1


@on_variants_too
def test_row_58_a_thread_that_is_older_than_the_recording(play, level):
    seen, _, image = play("older_thread", level)
    ((address, stack),) = seen["stacks"]
    assert site_of_block(image, address)["stack"] == stack
    assert stack[-1][0].endswith("_bootstrap")


@on_variants_too
def test_row_59_both_sides_of_the_gil(play, level):
    seen, _, image = play("both_sides_of_the_gil", level)
    for size in (1234, 4321):
        (address,) = [address for address, known, _ in image["blocks"] if known == size]
        site = site_of_block(image, address)
        assert site["allocator"] == ALLOCATORS["malloc"]
        assert site["stack"] == seen["stack"]


def test_row_63_threads_of_c(play, level):
    """100 threads x 100 blocks; between the meetings nothing else runs, so the events are those of the blocks alone."""
    seen, _, image = play("crew", level)
    assert seen["error"] == 0
    before, held, after = seen["events_at"]
    assert (held - before, after - held) == (10_000, 10_000)
    sites = [site for site in sites_of(seen["image"], "posix_memalign") if site["blocks"]]
    assert [(site["blocks"], site["bytes"], site["stack"]) for site in sites] == [(100, 100 * 2048, [])] * 100
    assert len({site["tid"] for site in sites}) == 100
    assert blocks_of(image, "posix_memalign") == []


@on_variants_too
def test_row_64_python_in_a_thread_of_c(play, level):
    seen, _, image = play("python_in_foreign_thread", level)
    assert seen["error"] == 0
    site = site_of_block(image, seen["address"])
    assert (site["blocks"], site["bytes"], site["allocator"]) == (1, 1234, ALLOCATORS["valloc"])
    assert site["stack"] == seen["stack"]


def worked(child, count):
    """`count` blocks of 1234 bytes were born in a child, and all died: each one event of its own books."""
    births, deaths = child["halves"]
    assert child["image_pid"] == child["pid"]
    assert (births["events"], births["blocks"], births["bytes"]) == (count, count, count * 1234)
    assert (births["size"], births["allocator"]) == (1234, ALLOCATORS["valloc"])
    assert (deaths["events"], deaths["blocks"], deaths["bytes"], deaths["ignored"]) == (count, -count, -count * 1234, 0)


@on_variants_too
def test_row_70_children_of_a_fork(play, level):
    """They go on with a copy of the books; the parent's know nothing of it: 15,111 births there, 1 here."""
    seen, steps, _ = play("fork_pool", level)
    born(steps[0], "valloc", 1234)
    died(steps[1], 1234)
    assert (seen["left"], seen["files"], len(seen["children"])) == (0, [], 3)
    for child in seen["children"]:
        worked(child, 5_037)


@pytest.mark.parametrize("follow", [False, True])
def test_rows_70_and_71_other_programs(play, setting, level, follow):
    require_preloaded(setting)
    seen, _, _ = play("other_programs", level, **({"MEMTRACE_FOLLOW": "1"} if follow else {}))
    assert [child["watched"] for child in seen["children"]] == [int(follow)] * 3
    for child in seen["children"]:
        if follow:
            worked(child, 5_037)
        else:
            assert child["variables"] == []


def test_row_72_raw_callocs_of_children(play, level, setting, interpreter):
    """At level `heap` it is what the domain asks calloc for that counts: under the debug allocator three words
    more; from 3.15 on mimalloc serves the raw domain too, and asks nobody."""
    seen, _, image = play("raw_callocs_of_children", level)
    assert len(seen["children"]) == 10
    for (step,) in seen["children"]:
        if level == "objects":
            born(step, "PyMem_RawCalloc", 1234)
        elif has_mimalloc(interpreter) and interpreter.minor >= 15:
            assert (step["events"], step["bytes"], step["blocks"]) == (0, 0, 0)
        else:
            padding = 3 * 8 if setting in ("debug", "dev") or interpreter.is_debug_build else 0
            assert (step["events"], step["bytes"], step["blocks"]) == (1, 1234 + padding, 1)
    assert not [size for _, size, _ in image["blocks"] if size == 1234]


@on_variants_too
def test_lines_of_a_hot_loop(play, level):
    seen, _, image = play("hot_loop", level)
    assert len(seen["stacks"]) == 10
    for address, stack in seen["stacks"]:
        assert site_of_block(image, address)["stack"] == stack
    assert len({stack[1][2] for _, stack in seen["stacks"]}) == 2
