"""Programs that are not Python: exact totals where the work is known, and results that are what they are without us."""
import ctypes.util
import json
import shutil

import pytest

import support
from support import ALLOCATORS

THREADS, BLOCKS = 4, 20_000


@pytest.fixture(scope="session")
def programs(compiled):
    return compiled("programs", "programs.c", "step.c", "image_reader.c")


@pytest.fixture
def play(programs):
    def run(mode, **more):
        environment = support.recorded_environment("heap", start=False)
        environment.update(more)
        return support.run([programs, mode], environment)

    return run


def by_allocator(image):
    sums = {}
    for site in image["sites"]:
        bytes_, blocks = sums.get(site["allocator"], (0, 0))
        sums[site["allocator"]] = bytes_ + site["bytes"], blocks + site["blocks"]
    return {allocator: held for allocator, held in sums.items() if held != (0, 0)}


def test_program_break(play):
    grown, shrunk, moved = json.loads(play("program_break").stdout)
    assert (grown["bytes"], grown["size"], grown["allocator"]) == (100_000, 100_000, ALLOCATORS["sbrk"])
    assert (shrunk["bytes"], shrunk["size"]) == (-60_000, 40_000)
    assert moved["bytes"] == 30_000


def test_functions_obtained_by_dlsym(play):
    image = json.loads(play("by_pointer").stdout)
    assert by_allocator(image) == {ALLOCATORS["malloc"]: (1001, 1), ALLOCATORS["calloc"]: (1002, 1)}
    assert image["events"] == 2


def test_threads_at_once(play):
    image = json.loads(play("many_threads").stdout)
    kept = [i for i in range(BLOCKS) if i % 3 == 0]
    moved = [i for i in kept if i % 5 == 0]
    expected_bytes = sum(
        len(moved) * (20 + me) + (len(kept) - len(moved)) * (10 + me) for me in range(THREADS)
    )
    assert image["live_bytes"] == expected_bytes
    assert image["live_blocks"] == THREADS * len(kept) == len(image["blocks"])
    assert image["events"] == THREADS * (BLOCKS + BLOCKS // 5 + BLOCKS - len(kept))
    assert sum(image["dropped"]) == 0


def test_70_000_short_threads_do_not_grow_the_recorder(play):
    result = play("short_threads")
    image = json.loads(result.stdout)
    assert sum(image["dropped"]) == 0
    assert image["events"] >= 4 * 70_000
    assert image["live_blocks"] <= 2
    assert int(result.stderr.split()[0]) < 20_000  # thread slots
    assert image["recorder_bytes"] < 8 << 20


def test_fork_while_threads_allocate(play):
    image = json.loads(play("forks").stdout)
    assert [1003] == [size for _, size, _ in image["blocks"] if size in (1003, 1004)]
    assert sum(image["dropped"]) == 0


def test_spawn_and_vfork(play):
    image = json.loads(play("spawns").stdout)
    assert sum(image["dropped"]) == 0


def test_environment_of_what_the_program_becomes(play):
    """Children and successors see the user's own environment."""
    libm = ctypes.util.find_library("m")
    for mine in ({}, {"LD_PRELOAD": f"{support.RECORDER}:{libm}"}, {"LD_PRELOAD": f"{libm} {support.RECORDER}"}):
        lines = play("replaces_itself", **mine).stdout.splitlines()
        assert not [line for line in lines if line.startswith("MEMTRACE_") or "memtrace-recorder" in line]
        assert [line for line in lines if line.startswith("LD_PRELOAD")] == ([f"LD_PRELOAD={libm}"] if mine else [])
        expected = sorted(f"{name}={value}" for name, value in support.plain_environment().items())
        assert sorted(line for line in lines if not line.startswith("LD_PRELOAD")) == expected


def test_maps_of_a_signal_handler_are_recorded_or_counted_as_dropped(play):
    result = play("signals")
    image = json.loads(result.stdout)
    maps = int(result.stderr.split()[0])
    recorded = len([size for _, size, _ in image["blocks"] if size == 777])
    assert maps == 3000
    assert recorded + image["dropped"][0] == maps


def test_a_program_that_runs_out_of_memory_lives_on(play):
    image = json.loads(play("limited").stdout)
    assert image["live_bytes"] >= 1000
    assert image["live_bytes"] == sum(site["bytes"] for site in image["sites"])


def test_cpp_program(compiled, probe):
    program = compiled("objects", "objects.cc", probe, compiler="g++")
    result = support.run([program], support.recorded_environment("heap", start=False))
    image = json.loads(result.stdout)
    sizes = sorted(size for _, size, _ in image["blocks"])
    assert sizes == [100 * 8] + [5000 + i for i in range(60)]
    rows = 100 * 8 + sum(5000 + i for i in range(100))
    assert image["peak_bytes"] > rows + 4 + 2000  # the rows, the int, and a string inside the exception


@pytest.mark.parametrize("preloaded", [True, False])
def test_100_000_small_blocks_under_jemalloc(compiled, preloaded):
    program = compiled("small_blocks", "small_blocks.c", "image_reader.c")
    jemalloc = ctypes.util.find_library("jemalloc")
    if preloaded and jemalloc is None:
        pytest.skip("jemalloc is not installed")
    environment = support.recorded_environment("heap", preload=[jemalloc] if preloaded else [])
    result = support.run([program], environment)
    seen = json.loads(result.stdout)
    packed = seen.pop("packed")
    assert seen == {"alive": 100_000, "strange": 0, "overwritten": 0, "left": 0}
    assert packed > 10_000 if preloaded else packed == 0


COMMANDS = {
    "ls": ["ls", "-la", "/usr/share/doc"],
    "sort": ["sort", "--parallel=2", "/usr/share/dict/words", "/etc/passwd", "/etc/services"],
    "perl": ["perl", "-e", 'my %h; $h{$_ % 977} .= "x$_" for 1..50000; print map {length $h{$_}} sort keys %h; exit 3'],
    "shell": ["sh", "-c", "for i in 1 2; do ls /etc | wc -l; done; (exit 7); echo $?; env | sort; ls /proc/self/fd"],
    "gcc": ["gcc", "-x", "c", "-fsyntax-only", "-Wall", str(support.HERE / "model.c")],
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("level", support.LEVELS)
def test_results_are_what_they_are_without_us(name, level):
    command = COMMANDS[name]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    # A shell may yet become the program that is meant, so it keeps the variables, unless it is known not to.
    nobody = {"MEMTRACE_PID": "1"} if name == "shell" else {}
    recorded = support.bytes_of(command, support.recorded_environment(level, **nobody))
    assert recorded == support.bytes_of(command, support.plain_environment())


@pytest.mark.parametrize("name", ["ls", "perl"])
def test_events_of_other_programs(shim, name, tmp_path):
    """The counting shim again; perl allocates tens of thousands of blocks of every size."""
    if shutil.which(COMMANDS[name][0]) is None:
        pytest.skip(f"{name} is not installed")
    out = tmp_path / "counts.json"
    support.bytes_of(COMMANDS[name], support.recorded_environment("heap", preload=[shim], SHIM_OUT=str(out)))
    counted = json.loads(out.read_text())
    shim_counts, recorder_counts = counted["shim"], counted["recorder"]
    # The shim alone saw what the recorder's own start made dlsym() allocate, to say what this C library lacks.
    assert 0 <= shim_counts["events"] - recorder_counts["events"] <= 20
    assert 0 <= shim_counts["peak_bytes"] - recorder_counts["peak_bytes"] <= 200
    for what in ("live_bytes", "live_blocks"):
        assert recorder_counts[what] == shim_counts[what]
