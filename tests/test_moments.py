"""A process may be stopped anywhere: inside a collection, while a dict is resized, in the middle of anything."""

import json
import subprocess

import pytest

from interpreters import THOROUGH, MINORS
from surroundings import COMMAND, TIMEOUT, bare_environment, running

ROUNDS = 12
KEPT = 20_000
PROGRAMS = {
    "collecting": "while True: gc.collect()",
    "resizing": "while True:\n    d = {}\n    for i in range(100_000): d[i] = None",
    "freeing": "while True: [Node(i) for i in range(1000)]",
}
PROGRAM = """
import gc, sys
class Node:
    def __init__(self, number): self.number, self.me = number, self
kept = [Node(i) for i in range({kept})]
print("ready", flush=True)
{busy}
"""
QUESTIONS = ["types", "instances --limit 1 Node", "audit --limit 1", "threads --limit 1"]


def ask(process):
    """The answers to QUESTIONS at one moment."""
    script = "".join(f"{question} --json\n" for question in QUESTIONS)
    command = [str(COMMAND), "--pid", str(process.pid)]
    result = subprocess.run(
        command, input=script, env=bare_environment(), capture_output=True, text=True, timeout=TIMEOUT
    )
    return [json.loads(line) for line in result.stdout.splitlines()], result.stderr



@pytest.mark.parametrize("busy", PROGRAMS)
@pytest.mark.parametrize("interpreter", THOROUGH + MINORS, ids=str)
def test_every_moment_is_answered(interpreter, busy, tmp_path):
    interpreter.require()
    program = PROGRAM.format(kept=KEPT, busy=PROGRAMS[busy])
    moments = warned = 0
    with running([*interpreter.inside, interpreter.path, "-c", program], bare_environment(), ready=None) as process:
        assert process.stdout.readline() == "ready\n"
        for _ in range(ROUNDS):
            answers, errors = ask(process)
            refused = [answer["error"]["message"] for answer in answers if "error" in answer]
            assert not refused, refused
            types, instances, audit, _ = answers
            nodes = {row["type"]: row["count"] for row in types["rows"]}["Node"]
            # What is kept is always there; what waits for the collector comes and goes.
            assert KEPT <= nodes <= 2 * KEPT
            assert instances["count"] == nodes
            assert audit["over"] <= audit["objects"] * 0.001
            warned += bool(types["warnings"])
            moments += 1
    print(f"{moments} moments, {warned} with a warning")
