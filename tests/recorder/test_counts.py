"""The recorder's totals against an independent counting shim that is preloaded behind it, in the same process."""
import json

import pytest

import support

# workload -> scale that keeps a run short
SCALES = {
    "w0_calls": 0.01,
    "w1_small_objects": 0.05,
    "w2_json_str": 0.01,
    "w3_deep_stack": 0.005,
    "w4_big_arrays": 0.03,
    "w5_lru_leak": 0.2,
    "w6_threads": 0.03,
    "w7_compile_stdlib": 0.02,
    "w8_pure_calls": 0.01,
}
# Events between threads have no one order, so the two may see another peak.
THREADED = ("w6_threads", "w4_big_arrays")
# What the recorder's own look-up of functions that this C library lacks makes dlsym() allocate: not the program's.
START_UP_EVENTS = 20


def count(python, arguments, shim, level, tmp_path):
    out = tmp_path / "counts.json"
    environment = support.recorded_environment(
        level, preload=[shim], SHIM_LEVEL=level, SHIM_OUT=str(out), PYTHONDONTWRITEBYTECODE="1"
    )
    result = python.run(arguments, environment)
    assert result.returncode == 0, result.stderr
    counted = json.loads(out.read_text())
    assert not counted["broken"]
    return counted["shim"], counted["recorder"]


@pytest.mark.parametrize("workload", SCALES)
@pytest.mark.parametrize("level", support.LEVELS)
def test_events_of_every_workload(python, level, workload, shim, tmp_path):
    if workload == "w4_big_arrays" and not python.has_module("numpy"):
        pytest.skip("this interpreter has no numpy")
    arguments = [support.WORKLOADS / f"{workload}.py", SCALES[workload]]
    shim_counts, recorder_counts = count(python, arguments, shim, level, tmp_path)
    assert recorder_counts["level"] == support.LEVELS[level]
    assert recorder_counts["dropped"] == 0
    assert shim_counts["events"] > 1_000
    missing = shim_counts["events"] - recorder_counts["events"]
    assert 0 <= missing <= START_UP_EVENTS
    assert recorder_counts["live_bytes"] == shim_counts["live_bytes"]
    assert recorder_counts["live_blocks"] == shim_counts["live_blocks"]
    if workload not in THREADED:
        assert recorder_counts["peak_bytes"] == shim_counts["peak_bytes"]
    else:
        assert recorder_counts["peak_bytes"] == pytest.approx(shim_counts["peak_bytes"], rel=1e-3)
