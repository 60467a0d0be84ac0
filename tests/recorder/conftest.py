import pytest

import support
from interpreters import INTERPRETERS


def pytest_configure(config):
    config.addinivalue_line("markers", "on_variants_too: a scenario that depends on how an interpreter is built")


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    """Compiles C sources of this folder, each program once: compiled("program", "a.c", "b.c", flags=[...])."""
    folder = tmp_path_factory.mktemp("recorder-programs")
    known = {}

    def compile_once(name, *sources, **options):
        if name not in known:
            known[name] = support.compile_c(folder / name, *sources, **options)
        return known[name]

    return compile_once


@pytest.fixture(scope="session")
def probe(compiled):
    """The library of single steps that scenarios load."""
    flags = ["-shared", "-fPIC", "-include", support.HERE / "old_glibc.h"]
    return compiled("scenario.so", "scenario.c", "step.c", "image_reader.c", flags=flags)


@pytest.fixture
def python_anywhere(interpreter):
    """Any interpreter of interpreters.EVERYWHERE: the tests choose."""
    return support.Python(interpreter.path, interpreter.inside, interpreter.variables)


@pytest.fixture(scope="session")
def shim(compiled):
    return compiled("counting_shim.so", "counting_shim.c", flags=["-O2", "-shared", "-fPIC"])


@pytest.fixture(scope="session", params=["system", "3.13"])
def python(request):
    """The interpreters that stacks are recorded on: the system's, and a CPython 3.13 of pyenv or of Debian trixie."""
    if request.param == "system":
        path = INTERPRETERS["system"] or pytest.skip("there is no /usr/bin/python3")
        return support.Python(path)
    if INTERPRETERS["3.13.0"] is not None:
        return support.Python(INTERPRETERS["3.13.0"])
    return support.Python("/usr/bin/python3.13", request.getfixturevalue("trixie"))
