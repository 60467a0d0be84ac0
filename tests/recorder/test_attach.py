"""The recorder in a process that already runs: loaded by dlopen, attached, detached, attached again. All of the exact
scenarios are played this way too: test_scenarios.py, `attached`."""

import ctypes.util
import json
import shutil

import pytest

import support
import surroundings
from interpreters import EVERYWHERE
from support import ALLOCATORS, RECORDER, attached_environment

RECORDING, ALREADY, OTHER, FORBIDDEN, BAD_LEVEL = 0, 1, 2, 5, 6  # enum mt_attach_result
DETACHED, NOT_ATTACHED = 0, 1  # enum mt_detach_result
THREADS, KEPT = 4, 500


@pytest.fixture(scope="session")
def program(compiled):
    return compiled("attached", "attached.c", "image_reader.c")


@pytest.fixture(params=support.LEVELS)
def level(request):
    return str(support.LEVELS[request.param])


def play(program, mode, level, **more):
    return json.loads(support.run([program, mode, level], attached_environment(**more)).stdout)


def assert_only_the_kept_blocks_live(image):
    kept = {}
    for _, size, _ in image["blocks"]:
        kept[size] = kept.get(size, 0) + 1
    expected = {1000 + thread: KEPT for thread in range(THREADS)}
    assert {size: count for size, count in kept.items() if size in expected} == expected
    # Nothing of the load. Maps that an allocator makes inside of a call that began before the attach count on their own.
    maps = {site["site"] for site in image["sites"] if site["allocator"] in (ALLOCATORS["mmap"], ALLOCATORS["mremap"])}
    others = [block for block in image["blocks"] if block[1] not in expected and block[2] not in maps]
    assert others == []
    assert image["live_bytes"] == sum(site["bytes"] for site in image["sites"])
    assert image["peak_bytes"] == sum(site["peak_bytes"] for site in image["sites"])
    assert sum(image["dropped"]) == 0


@pytest.mark.parametrize("mode", ["load", "often"])
def test_attached_while_threads_allocate(program, mode, level):
    image = play(program, mode, level)
    assert_only_the_kept_blocks_live(image)
    if mode == "often":
        assert image["session"] == 201


def test_attached_before_another_allocator(program):
    jemalloc = ctypes.util.find_library("jemalloc")
    if jemalloc is None:
        pytest.skip("jemalloc is not installed")
    assert_only_the_kept_blocks_live(play(program, "load", "1", LD_PRELOAD=jemalloc))


def test_detach_leaves_every_word_as_it_was(program, level):
    seen = play(program, "slots", level, LD_BIND_NOW="1")
    assert seen["words"] > 3000
    assert seen["changed"] > 20
    assert seen["left"] == 0
    assert seen["same_pages"] is True


def test_a_page_that_may_not_be_changed(program, level):
    """Attaching is given up, and what it had changed until then is put back."""
    seen = play(program, "forbidden", level, LD_BIND_NOW="1")
    assert (seen["result"], seen["recording"], seen["detached"]) == (FORBIDDEN, False, NOT_ATTACHED)
    assert seen["changed"] > 20
    assert (seen["left"], seen["same_pages"]) == (0, True)


def test_libraries_that_are_loaded_later(program, compiled, tmp_path):
    """Hooked before their constructors run; and found by the RUNPATH of the library that loads them."""
    shared = ["-shared", "-fPIC"]
    other = compiled("later-library.so", "later.c", flags=shared)
    (tmp_path / "libraries").mkdir()
    shutil.copy(other, tmp_path / "libraries/later-library.so")
    loader = support.compile_c(
        tmp_path / "loader.so", "later.c", flags=[*shared, "-DLOADER", "-Wl,-rpath,$ORIGIN/libraries"]
    )
    image = play(program, "later", "1", LOADER=str(loader))
    allocators = {site["site"]: site["allocator"] for site in image["sites"]}
    born = {size: allocators[site] for _, size, site in image["blocks"]}
    assert (born[4321], born[1234]) == (ALLOCATORS["malloc"], ALLOCATORS["calloc"])


def test_blocks_that_are_older(program, level):
    image = play(program, "older", level)
    assert [size for _, size, _ in image["blocks"]] == [5000]
    assert (image["events"], image["frees_ignored"], image["peak_bytes"]) == (1, 1, 5000)


def test_refusals(program, tmp_path):
    copy = shutil.copy(RECORDER, tmp_path / "copy.so")
    results = play(program, "refusals", "2", RECORDER_COPY=str(copy))
    assert results == [NOT_ATTACHED, BAD_LEVEL, RECORDING, ALREADY, OTHER, DETACHED, NOT_ATTACHED]


def test_in_front_of_the_preloaded_one_nothing_is_attached(program, tmp_path):
    """Attaching the preloaded recorder itself starts it; a copy of it is refused."""
    copy = shutil.copy(RECORDER, tmp_path / "copy.so")
    environment = support.recorded_environment("heap", start=False, ATTACH_RECORDER=RECORDER, RECORDER_COPY=str(copy))
    results = json.loads(support.run([program, "refusals", "1"], environment).stdout)
    assert results == [NOT_ATTACHED, BAD_LEVEL, RECORDING, ALREADY, OTHER, DETACHED, NOT_ATTACHED]


def test_it_takes_a_pointer_of_static_thread_local_storage():
    """The loader keeps little of it for libraries that come later."""
    listing = surroundings.run(["readelf", "-lW", RECORDER]).stdout
    sizes = [line.split()[5] for line in listing.splitlines() if line.split()[:1] == ["TLS"]]
    assert [int(size, 16) for size in sizes] == [8]


def ask(pid, *command):
    result = surroundings.run([surroundings.COMMAND, "--pid", pid, *command, "--json"])
    return json.loads(result.stdout)


MIDDLE = "recorded from the middle: what was allocated before is not known"


def at_line(answer, line):
    rows = [row for row in answer["rows"] if any(frame["line"] == line for frame in row["stack"][-1:])]
    return sum(row["bytes"] for row in rows), sum(row["blocks"] for row in rows)


@pytest.mark.parametrize("interpreter", EVERYWHERE, indirect=True, ids=str)
def test_python_that_already_runs(interpreter, python_anywhere):
    command = [*python_anywhere.inside, "/usr/bin/env"]
    command += [f"{name}={value}" for name, value in python_anywhere.variables.items()]
    command += [python_anywhere.path, support.HERE / "attached.py", RECORDER]
    with surroundings.running(command, support.plain_environment(), ready=None) as process:
        said = json.loads(process.stdout.readline())
        surroundings.wait_until_pid_sleeps(said["pid"])
        answer = ask(said["pid"], "live")
        assert said["results"] == [RECORDING]
        assert answer["warnings"] == [MIDDLE] == ask(said["pid"], "peak")["warnings"]
        status = ask(said["pid"], "status")
        assert (status["recording"], status["attached"]) == (True, True)
        assert [lack["what"] for lack in status["degraded"]] == ["older memory"]
        older = ask(said["pid"], "born", hex(said["older"]))
        assert "allocated before the recorder was attached" in older["error"]["message"]
        assert at_line(answer, said["objects"]) == (100 * (2000 + 33), 100)
        assert at_line(answer, said["malloc"]) == (7 * 12345, 7)
        assert at_line(answer, said["realloc"]) == (54321, 1)
        assert at_line(answer, said["imported"])[1] > 500
        process.stdin.write("\n")
        process.stdin.flush()
        said = json.loads(process.stdout.readline())
        surroundings.wait_until_pid_sleeps(said["pid"])
        answer = ask(said["pid"], "live")
        assert said["results"] == [DETACHED, NOT_ATTACHED, RECORDING]
        assert at_line(answer, said["malloc"]) == (778, 1)
        assert answer["live_blocks"] < 500
