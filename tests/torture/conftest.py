import pytest
from torture_support import HERE

import support


@pytest.fixture(scope="session")
def built_program(tmp_path_factory):
    """Compiles programs of this folder, each once: built_program("name", *sources of tests/recorder, flags=[...])."""
    folder = tmp_path_factory.mktemp("torture-programs")
    known = {}

    def build(name, *sources, flags=()):
        if name not in known:
            known[name] = support.compile_c(folder / name, HERE / f"{name}.c", *sources, flags=flags)
        return known[name]

    return build
