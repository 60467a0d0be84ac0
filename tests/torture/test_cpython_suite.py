"""CPython's own tests pass, fail and skip recorded as they do bare."""

import json

import pytest
import support
from interpreters import INTERPRETERS
from torture_support import HERE, STRESS

import surroundings

# Debian has them in libpython3.11-testsuite, pyenv's interpreters bring them along. What takes long is left to `make stress`.
QUICK = ["test_gc", "test_fork1"]
SLOW = ["test_signal", "test_subprocess", "test_threading", "test_capi"]
TRIES = 3  # of a test that came out different: some depend on the machine's load
LIMIT = 900  # seconds, of one run


@pytest.fixture(params=["system", "3.13.0"])
def cpython(request):
    return INTERPRETERS[request.param] or pytest.skip(f"python {request.param} is not installed")


def outcomes(cpython, names, environment, folder):
    result = folder / "outcomes.json"
    work = folder / "work"
    work.mkdir(exist_ok=True)
    ran = surroundings.run([cpython, HERE / "cpython_suite.py", result, *names], environment, timeout=LIMIT, cwd=work)
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    return json.loads(result.read_text())


@pytest.mark.parametrize("level", support.LEVELS)
@pytest.mark.parametrize("module", QUICK + SLOW)
def test_same_outcomes(cpython, module, level, tmp_path):
    if (module in SLOW or level == "heap") and not STRESS:
        pytest.skip("in `make stress` only: all of it takes minutes")
    found = surroundings.run([cpython, "-c", f"import test.{module}"], support.plain_environment())
    if found.returncode != 0:
        pytest.skip(f"{cpython} has no test.{module} (Debian package libpython3.11-testsuite)")
    bare = outcomes(cpython, [f"test.{module}"], support.plain_environment(), tmp_path)
    recorded = outcomes(cpython, [f"test.{module}"], support.recorded_environment(level), tmp_path)
    assert len(bare) > 3
    different = {test for test in {*bare, *recorded} if bare.get(test) != recorded.get(test)}
    for _ in range(TRIES):
        if different:
            bare = outcomes(cpython, sorted(different), support.plain_environment(), tmp_path)
            recorded = outcomes(cpython, sorted(different), support.recorded_environment(level), tmp_path)
            different = {test for test in different if bare.get(test) != recorded.get(test)}
    assert {test: (bare.get(test), recorded.get(test)) for test in different} == {}
