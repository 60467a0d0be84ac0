"""Odd Python programs, each block with the size, the count and the stack that it must have."""
import ctypes.util
import json

import pytest

import support
import surroundings
from torture_support import HERE
from interpreters import INTERPRETERS, PYENV
from support import ALLOCATORS

PYTHONS = ("system", "3.11.7", "3.13.0")


@pytest.fixture(params=PYTHONS)
def cpython(request):
    path = INTERPRETERS[request.param] or pytest.skip(f"python {request.param} is not installed")
    return support.Python(path)


@pytest.fixture(params=support.LEVELS)
def level(request):
    return request.param


@pytest.fixture
def scenario_library(tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "torture-scenario.so"
    if not path.exists():
        support.compile_c(path, "scenario.c", "step.c", "image_reader.c", flags=["-shared", "-fPIC"])
    return path


class Image:
    def __init__(self, line, sizes):
        """`sizes`: the range of sizes that belong to the scenario."""
        self.image = json.loads(line)
        self.sites = {site["site"]: site for site in self.image["sites"]}
        self.blocks = sorted((size, site) for _, size, site in self.image["blocks"] if size in sizes)
        assert self.image["python_state"] == support.PYTHON_PROVEN, self.image["python_problem"]
        assert sum(self.image["dropped"]) == 0
        assert self.image["live_bytes"] == sum(site["bytes"] for site in self.image["sites"])

    def sizes(self):
        return [size for size, _ in self.blocks]

    def functions(self, size):
        (site,) = [self.sites[site] for known, site in self.blocks if known == size]
        return [name.rpartition(".")[2] for name, _, _ in site["stack"]]

    def allocators(self):
        return [self.sites[site]["allocator"] for _, site in self.blocks]


@pytest.fixture
def play(cpython, level, scenario_library):
    def run(scenario, sizes, **more):
        environment = support.recorded_environment(level, **more)
        result = cpython.run([HERE / "odd_python.py", scenario_library, scenario], environment)
        assert result.returncode == 0, result.stderr
        first, second = result.stdout.splitlines()
        return json.loads(first), Image(second, sizes)

    return run


def test_suspended_generators(play):
    """A suspended generator is on nobody's stack; resumed, it stands on that of who resumed it."""
    _, image = play("generators", range(70_001, 70_010))
    assert image.sizes() == [70_001, 70_002, 70_003]
    assert image.functions(70_001) == ["numbers", "resumes_first", "generators", "<module>"]
    assert image.functions(70_002) == ["generators", "<module>"]
    assert image.functions(70_003) == ["numbers", "resumes_second", "generators", "<module>"]


def test_a_program_that_clears_the_profile_function(play):
    _, image = play("profile_function", range(70_011, 70_020))
    assert image.sizes() == [70_011, 70_012, 70_013]
    for size in image.sizes():
        assert image.functions(size) == ["deep", "profile_function", "<module>"]


def test_tracemalloc_beside_us(play, level):
    """Each bytes object is one block of its length and a header, whoever traces it too; those deleted are gone, also the one
    that was born under tracemalloc and died after it."""
    seen, image = play("traced_by_tracemalloc", range(71_001, 71_100))
    assert seen["traced"]
    assert image.sizes() == [size + seen["header"] for size in (71_001, 71_002, 71_005)]
    kinds = ("PyObject_Malloc", "PyObject_Calloc") if level == "objects" else ("malloc", "calloc")
    assert set(image.allocators()) <= {ALLOCATORS[kind] for kind in kinds}
    for size in image.sizes():
        assert image.functions(size) == ["traced_by_tracemalloc", "<module>"]


def test_greenlets(play, cpython):
    """Each greenlet has a stack of its own, that begins with its function; the main one's is as ever."""
    if not cpython.has_module("greenlet"):
        pytest.skip("this interpreter has no greenlet (Debian package python3-greenlet)")
    _, image = play("greenlets", range(72_001, 72_010))
    assert image.sizes() == [72_001, 72_002, 72_003, 72_004, 72_005]
    for size in (72_001, 72_003):
        assert image.functions(size) == ["deep_a", "outer_a"]
    for size in (72_002, 72_004):
        assert image.functions(size) == ["outer_b"]
    assert image.functions(72_005) == ["greenlets", "<module>"]


def test_sub_interpreters(play, cpython):
    """What lives in one counts once, under its own stack; what died there, or with it, is gone."""
    seen, image = play("subinterpreters", range(73_001, 73_200))
    assert image.sizes() == [73_001 + seen["header"]]
    assert image.functions(image.sizes()[0])[:2] == ["inner", "<module>"]


def test_deep_recursion(play):
    _, image = play("deep_recursion", range(75_001, 75_002))
    assert image.functions(75_001) == ["recurse"] * 1_501 + ["deep_recursion", "<module>"]


def test_frames_that_an_exception_ended(play):
    _, image = play("exceptions", range(76_001, 76_020))
    assert image.sizes() == [76_001, 76_002, 76_011, 76_012]
    for size in (76_001, 76_002):
        assert image.functions(size) == ["fails", "exceptions", "<module>"]
        assert image.functions(size + 10) == ["exceptions", "<module>"]


def test_coroutines(play):
    _, image = play("coroutines", range(77_001, 77_010))
    assert image.functions(77_001) == ["inner", "outer", "coroutines", "<module>"]
    assert image.functions(77_002) == ["outer", "coroutines", "<module>"]


def test_under_jemalloc(play):
    """jemalloc answers a malloc of 70_001 from maps of its own, which nobody asked for: they count no second time."""
    jemalloc = ctypes.util.find_library("jemalloc") or pytest.skip("jemalloc is not installed")
    _, image = play("generators", range(70_001, 70_010), preload=[jemalloc])
    assert image.sizes() == [70_001, 70_002, 70_003]
    assert image.functions(70_003) == ["numbers", "resumes_second", "generators", "<module>"]


# --- embedding -----------------------------------------------------------------------------------------------------

LIBRARIES = {
    "3.11 of Debian": "libpython3.11.so.1.0",
    "3.11.7": PYENV / "3.11.7/lib/libpython3.11.so.1.0",
    "3.13.0": PYENV / "3.13.0/lib/libpython3.13.so.1.0",
}


@pytest.fixture(params=LIBRARIES)
def libpython(request):
    library = LIBRARIES[request.param]
    try:
        ctypes.CDLL(library, mode=0x0008)  # DEEPBIND: it is but asked whether it is there
    except OSError:
        pytest.skip(f"{library} is not installed")
    return request.param, library


@pytest.mark.parametrize("second", [None, "debug", "malloc"])
def test_late_libpython_and_a_second_interpreter(built_program, libpython, level, second):
    """bytes(81_001) dies with the first interpreter; bytes(81_002) lives in the second, as does a block of 402 from
    PyObject_Malloc. 20,000 lists, each with a float: at level `objects` at least 2 events each."""
    name, library = libpython
    program = built_program("embedding", "image_reader.c")
    more = {"PYTHONHOME": str(library.parent.parent)} if not isinstance(library, str) else {}
    command = [program, library] + ([second] if second else [])
    bare = surroundings.run(command, support.plain_environment(**more))
    if bare.returncode != 0:
        pytest.skip(f"{name} itself does not survive a second interpreter with PYTHONMALLOC={second} (status {bare.returncode})")
    result = support.run(command, support.recorded_environment(level, **more))
    found, events, dump = result.stdout.splitlines()
    assert found.split()[0] == str(support.PYTHON_PROVEN)
    assert int(events) > 60_000 if level == "objects" or second == "malloc" else int(events) > 0
    image = Image(dump, range(402, 90_000))
    header = 33
    large = [size for size in image.sizes() if size in range(81_001, 81_100)]
    if second != "debug" or level == "objects":
        assert large == [81_002 + header]
        assert image.functions(81_002 + header) == ["second_function", "<module>"]
    if level == "objects":
        kinds = {image.sites[site]["allocator"] for size, site in image.blocks if size == 81_002 + header}
        assert kinds <= {ALLOCATORS["PyObject_Malloc"], ALLOCATORS["PyObject_Calloc"]}
