"""native/layout: the generated table is what the data says, the same every time, and what live interpreters say."""
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

from interpreters import EVERYWHERE

ROOT = pathlib.Path(__file__).resolve().parent.parent
GENERATOR = ROOT / "native/layout/generate.py"
OFFSETS = ROOT / "native/layout/offsets.json"
FLAVOURS = [(minor, 0) for minor in range(9, 16)] + [(13, 1), (14, 1), (15, 1)]


def generate(offsets=OFFSETS, **environment):
    return subprocess.run(
        [sys.executable, str(GENERATOR), str(offsets)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def rows_of(text):
    rows = []
    for body in re.findall(r"^    \{\n(.*?)^    \},$", text, re.S | re.M):
        fields = re.findall(r"^\s*\.(\w+) = (\S+),$", body, re.M)
        rows.append({name: int(value) if re.fullmatch(r"-?\d+", value) else value for name, value in fields})
    return {(row["minor"], row["free_threaded"]): row for row in rows}


@pytest.fixture(scope="module")
def table():
    result = generate()
    assert result.returncode == 0, result.stderr
    return rows_of(result.stdout)


def test_every_flavour_is_there_with_every_field(table):
    assert sorted(table) == sorted(FLAVOURS)
    header = (ROOT / "native/layout/frame_layout.h").read_text()
    body = re.search(r"struct mt_frame_layout \{(.*?)\n\};", header, re.S).group(1)
    declared = re.sub(r"/\*.*?\*/", "", body, flags=re.S)
    names = {name for line in declared.split(";") for name in re.findall(r"(\w+)\s*(?=,|$)", line.strip())}
    for row in table.values():
        assert set(row) == names


def test_output_is_the_same_every_time(table):
    assert generate(PYTHONHASHSEED="1").stdout == generate(PYTHONHASHSEED="2").stdout


def test_built_table_is_up_to_date():
    built = pathlib.Path(os.environ.get("BUILD", ROOT / "build")) / "generated/frame_layout.c"
    if not built.exists():
        pytest.skip(f"{built} is not built")
    assert built.read_text() == generate().stdout


def test_output_compiles(tmp_path, table):
    source = tmp_path / "frame_layout.c"
    source.write_text(generate().stdout)
    command = ["gcc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-I", str(ROOT / "native"), "-c", str(source)]
    subprocess.run(command + ["-o", str(tmp_path / "frame_layout.o")], check=True, timeout=60)


def moved(struct, field, by):
    def change(offsets):
        structs = json.loads(json.dumps(offsets["layouts"]["3.13"]["structs"][struct]))
        structs[field][0] += by
        offsets["layouts"]["3.13"]["patches"].append({"from": "3.13.15", "structs": {struct: structs}})

    return change


def moved_in_debug(offsets):
    changed = json.loads(json.dumps(offsets["layouts"]["3.11"]["structs"]["PyCodeObject"]))
    changed["co_linetable"][0] += 8
    offsets["overlays"]["py_debug"]["versions"]["3.11.2"] = {"PyCodeObject": changed}


def lost(offsets):
    del offsets["layouts"]["3.12"]["structs"]["_PyInterpreterFrame"]["owner"]


def widened(offsets):
    offsets["layouts"]["3.10"]["structs"]["PyFrameObject"]["f_lasti"][1] = 8


@pytest.mark.parametrize(
    "change, complaint",
    [
        (moved("PyThreadState", "current_frame", 8), "thread_frame is 72 in 3.13.0 (release) but 80 in 3.13.15"),
        (moved("PyASCIIObject", "state.kind", 1), "str_kind_shift is 2 in 3.13.0 (release) but 10 in 3.13.15"),
        (moved_in_debug, "code_lines is 136 in 3.11.0 (release) but 144 in 3.11.2 (py_debug)"),
        (lost, "_PyInterpreterFrame.owner is missing"),
        (widened, "PyFrameObject.f_lasti"),
    ],
)
def test_a_field_that_moves_inside_a_minor_stops_the_build(tmp_path, change, complaint):
    offsets = json.loads(OFFSETS.read_text())
    change(offsets)
    changed = tmp_path / "offsets.json"
    changed.write_text(json.dumps(offsets))
    result = generate(changed)
    assert result.returncode != 0 and result.stdout == ""
    assert complaint in result.stderr


@pytest.mark.parametrize("interpreter", EVERYWHERE, indirect=True, ids=str)
def test_live_interpreter_agrees(table, interpreter):
    result = subprocess.run(
        [*interpreter.inside, interpreter.path, str(ROOT / "tests/layout_probe.py")],
        input=json.dumps(table[interpreter.minor, 0]),
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **dict(interpreter.variables)},
    )
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert re.fullmatch(r"checks \d+", lines[-1]) and int(lines[-1].split()[1]) > 100, result.stdout
    assert lines[:-1] == []
