"""A process that is stopped at any instruction can be read: the image keeps its promises at every single one."""
import json

import pytest

import support


@pytest.fixture(scope="session")
def stepper(compiled):
    return compiled("single_step", "single_step.c", "step.c", "image_reader.c", flags=["-O2"])


def step(stepper, count, resident_size, victim, start, level):
    environment = support.recorded_environment(level, start=start)
    environment["PRELOAD"] = environment.pop("LD_PRELOAD")
    return json.loads(support.run([stepper, count, resident_size, *victim], environment).stdout)


def test_every_instruction_of_a_climb_to_the_same_peak(stepper):
    stepped = step(stepper, 100_000, 4321, [stepper, "victim"], False, "heap")
    assert stepped["steps"] == 100_000
    assert stepped["events"] > 250
    assert stepped["epochs"] >= 3  # the peak was reached again in between


def test_every_instruction_of_objects_that_come_and_go(stepper, python):
    if python.inside:
        pytest.skip("single steps are for an interpreter of this machine")
    victim = [python.path, support.HERE / "step_victim.py"]
    stepped = step(stepper, 40_000, 0, victim, True, "objects")
    assert stepped["steps"] == 40_000
