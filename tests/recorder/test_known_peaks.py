"""Answers as `memtrace run` gives them: the known peak of the method cache, and what the tests' own reader says."""

import json

import pytest

import support

# Requested bytes of malloc family and maps at the peak, by minor version, from an independent counter.
LRU_CACHE_PEAK = {9: 781_128_968, 11: 777_909_504, 12: 776_860_928, 13: 775_812_352}


def minor_of(python):
    result = python.run(["-c", "import sys; print(sys.version_info[1])"], support.plain_environment())
    return int(result.stdout)


def test_cache_on_a_method(python):
    expected = LRU_CACHE_PEAK.get(minor_of(python))
    if expected is None:
        pytest.skip("no known figure for this version")
    example = support.ROOT / "examples/lru_cache.py"
    result, peak = python.run_by_memtrace([example], "heap", "peak", support.plain_environment())
    assert result.returncode == 0, result.stderr
    assert peak["peak_bytes"] == pytest.approx(expected, rel=0.01)
    top = peak["rows"][0]["stack"][0]
    source = example.read_text().splitlines()
    assert top["function"] == "Algorithms.factorial_plus" and top["file"] == str(example)
    assert "self.factorial_plus(n - 1)" in source[top["line"] - 1]
    by_function = {}
    for row in peak["rows"]:
        name = row["stack"][0]["function"] if row["stack"] else None
        by_function[name] = by_function.get(name, 0) + row["bytes"]
    assert by_function["Algorithms.factorial_plus"] > 0.9 * peak["peak_bytes"]
    assert sum(by_function.values()) == peak["peak_bytes"]


def sums_of_image(image):
    sums = {}
    for site in image["sites"]:
        key = tuple(map(tuple, site["stack"]))
        before = sums.get(key, (0, 0, 0, 0))
        now = site["peak_bytes"], site["peak_blocks"], site["bytes"], site["blocks"]
        sums[key] = tuple(a + b for a, b in zip(before, now))
    return sums


def sums_of_rows(rows):
    return {
        tuple((frame["function"], frame["file"], frame["line"]) for frame in row["stack"]): (
            row["bytes"],
            row["blocks"],
            row["live_bytes"],
            row["live_blocks"],
        )
        for row in rows
    }


@pytest.mark.parametrize("level", support.LEVELS)
@pytest.mark.parametrize("scenario", ["recursion", "many_objects", "two_on_two_lines"])
def test_two_readers_agree(python, probe, level, scenario):
    """A recording is stopped; the program dumps its image by the tests' reader, then memtrace reads it from outside."""
    arguments = [support.HERE / "scenarios.py", probe, scenario, level]
    environment = support.plain_environment(MEMTRACE_START="0")
    result, peak = python.run_by_memtrace(arguments, level, "peak", environment)
    assert result.returncode == 0, result.stderr
    image = json.loads(result.stdout.splitlines()[-1])
    assert image["state"] == support.STATE_STOPPED
    assert (peak["peak_bytes"], peak["peak_blocks"]) == (
        image["peak_bytes"],
        sum(site["peak_blocks"] for site in image["sites"]),
    )
    expected = {key: sums for key, sums in sums_of_image(image).items() if sums[0] or sums[1]}
    assert sums_of_rows(peak["rows"]) == expected
    result, live = python.run_by_memtrace(arguments, level, "live", environment)
    image = json.loads(result.stdout.splitlines()[-1])
    assert (live["live_bytes"], live["live_blocks"]) == (image["live_bytes"], image["live_blocks"])
    found = {key: sums[2:] for key, sums in sums_of_rows(live["rows"]).items()}
    assert found == {key: sums[2:] for key, sums in sums_of_image(image).items() if sums[2] or sums[3]}
