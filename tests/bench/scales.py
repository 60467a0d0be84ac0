"""The workloads, and how much of each is one measure."""
import pathlib

WORKLOADS = pathlib.Path(__file__).resolve().parent / "workloads"

# What `--scale 1` multiplies: about one CPU second bare.
SCALES = {
    "w0_calls": 0.6,
    "w1_small_objects": 0.3,
    "w2_json_str": 0.25,
    "w3_deep_stack": 0.2,
    "w4_big_arrays": 0.25,
    "w5_lru_leak": 0.25,
    "w6_threads": 0.25,
    "w7_compile_stdlib": 0.2,
    "w8_pure_calls": 0.6,
}
# The median over these is the headline.
ALLOCATING = ("w1_small_objects", "w2_json_str", "w3_deep_stack", "w5_lru_leak", "w6_threads", "w7_compile_stdlib")
NEEDS_NUMPY = ("w4_big_arrays",)


def script(workload):
    return WORKLOADS / f"{workload}.py"
