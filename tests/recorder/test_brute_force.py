"""The books against a naive model after every event: the core by itself, and through the real hooks with threads."""
import json

import pytest

import support

SOURCES = ["brute_force.c", "model.c", "image_reader.c", *support.CORE]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def play(program, *arguments, environment=None):
    return json.loads(support.run([program, *arguments], environment or support.plain_environment()).stdout)


@pytest.fixture(scope="session")
def fast(compiled):
    return compiled("brute_force", *SOURCES, flags=["-O2", "-rdynamic"])


def test_200_000_random_traces(fast):
    played = play(fast, 200_000, 1)
    assert played["traces"] == 200_000 and played["events"] > 5_000_000


def test_long_traces_over_many_stacks(fast):
    played = play(fast, 40, 2, "wide")
    assert played["events"] > 300_000
    # More sites were used than there are records: those without blocks and a share in the peak are used again.
    assert played["site_records"] < 10_000


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_random_traces_sanitized(compiled, compiler):
    flags = [*SANITIZERS, "-rdynamic"]
    program = compiled(f"brute_force_{compiler}", *SOURCES, flags=flags, compiler=compiler)
    assert play(program, 5_000, 3)["traces"] == 5_000
    assert play(program, 2, 4, "wide")["traces"] == 2


@pytest.mark.parametrize("seed", range(1, 5))
def test_four_threads_through_the_real_hooks(compiled, seed):
    program = compiled("locked_threads", "locked_threads.c", "model.c", "image_reader.c")
    played = play(program, 20_000, seed, environment=support.recorded_environment("heap", start=False))
    assert played["events"] > 60_000 and played["peak_bytes"] > 1_000_000
