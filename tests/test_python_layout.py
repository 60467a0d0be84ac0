"""Where CPython's layout comes from: the built-in tables agree with the debug information of real builds, every interpreter
opens (live, stripped, embedded, in cores without its files), and what can't be read is refused by name."""

import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys

import pytest

import roots
from interpreters import EVERYWHERE, PYENV
from surroundings import (
    BUILD,
    ROOT,
    TIMEOUT,
    bare_environment,
    gcore,
    require_program,
    run,
    running,
    wait_until_asleep,
)

sys.path.insert(0, str(ROOT / "native/layout"))
import generate_python  # noqa: E402

GENERATOR = ROOT / "native/layout/generate_python.py"
OFFSETS = ROOT / "native/layout/offsets.json"
PRINT_LAYOUT = BUILD / "python_layout/print_layout"
OPEN_PYTHON = BUILD / "python_layout/open_python"
DEBUG, JIT = 1, 2
WAITING = "import sys; print('ready'); sys.stdout.flush(); sys.stdin.readline()"
WAITING_AS = "import sys; sys.hexversion = {}; print('ready'); sys.stdout.flush(); sys.stdin.readline()"

# Builds whose debug information is at hand: pyenv's have their own, Debian's have packages in the roots.
DESCRIBED = [i for i in EVERYWHERE if not i.variables and i.suite != "trixie" and i.name != "3.11-system"]
# Where a build differs from its release: the vendor's patch lowers the alignment of PyGC_Head. The reader finds the
# generations by a pointer that leads to them.
DIFFERENCES = {("forky", 13): {"_gc_runtime_state.generations": (24, 20)}}
MOST_FIELDS = {9: 1090, 10: 1200, 11: 1250, 12: 1400, 13: 1700, 14: 1800, 15: 1900}


@pytest.fixture(scope="module", autouse=True)
def programs():
    made = run(["make", "-C", ROOT, "-s", f"BUILD={BUILD}", "python-layout"], os.environ, 5 * TIMEOUT)
    assert made.returncode == 0, made.stdout + made.stderr


def version_of(interpreter):
    return re.match(r"3\.\d+\.\d+((a|b|rc)\d+)?", interpreter.told_version()).group()


def variant_of(interpreter):
    """Debug builds of 3.9 to 3.11 and the JIT of 3.13 and 3.14 move nothing; Debian's 3.15 have the JIT in them."""
    jit = JIT if interpreter.minor == 15 else 0
    return (DEBUG if interpreter.is_debug_build and interpreter.minor >= 12 else 0) | jit


def described_variant(variant):
    return (", debug build" if variant & DEBUG else "") + (", JIT" if variant & JIT else "")


def opened(*arguments):
    """What open_python says: [version, layout, verified or not] of what opens, else [code, message]."""
    result = run([OPEN_PYTHON, *arguments])
    assert result.returncode in (0, 1), result.stderr
    return result.stdout.splitlines()[:3]


def opened_milliseconds(*arguments):
    return float(run([OPEN_PYTHON, *arguments]).stdout.splitlines()[3])


# --- the tables ---------------------------------------------------------------------------------------------------


def files_of(interpreter):
    """Where their debug files begin, then the files."""
    if interpreter.suite is None:
        prefix = PYENV / interpreter.name.removesuffix("-pyenv")
        folder = next(prefix.glob("lib/python3.*"))
        return ["", *prefix.glob("lib/libpython3.*.so.1.0"), *sorted(folder.glob("lib-dynload/*.so"))]
    root = roots.directory() / interpreter.suite
    return [root, str(root) + interpreter.path]


@pytest.mark.parametrize("interpreter", DESCRIBED, indirect=True, ids=str)
def test_fields_equal_debug_information(interpreter, record_property):
    version = int(generate_python.hexadecimal(version_of(interpreter)), 16)
    result = run([PRINT_LAYOUT, f"{version:x}", variant_of(interpreter), *files_of(interpreter)])
    assert result.returncode == 0, result.stderr
    rows = [line.rsplit(" ", 2) for line in result.stdout.splitlines()]
    compared = {name: (int(ours), int(theirs)) for name, ours, theirs in rows if theirs != "-"}
    different = {name: pair for name, pair in compared.items() if pair[0] != pair[1]}
    record_property("compared", len(compared))
    print(f"{len(compared)} of {len(rows)} fields compared, {len(different)} differ")
    assert different == DIFFERENCES.get((interpreter.suite, interpreter.minor), {})
    assert len(compared) >= MOST_FIELDS[interpreter.minor]


@pytest.mark.parametrize("version, known", json.loads(OFFSETS.read_text())["versions"].items())
def test_size_of_every_measured_release(version, known):
    hexadecimal = generate_python.hexadecimal(version)
    rows = run([PRINT_LAYOUT, hexadecimal, 0]).stdout.splitlines()
    assert f"sizeof(_PyRuntimeState) {known['gil']['_PyRuntime_size']} -" in rows


def test_generated_tables_are_the_same_every_time(tmp_path):
    for seed in ("1", "2"):
        command = [sys.executable, GENERATOR, OFFSETS, tmp_path / seed]
        subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": seed}, check=True, timeout=TIMEOUT)
    names = sorted(path.name for path in (tmp_path / "1").iterdir())
    assert len(names) == 2 + len(range(9, 16))
    for name in names:
        text = (tmp_path / "1" / name).read_text()
        assert text == (tmp_path / "2" / name).read_text()
        assert text == (BUILD / "generated" / name).read_text(), f"{name} is not up to date: run `make`"


# --- opening ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interpreter", EVERYWHERE, indirect=True, ids=str)
def test_opens_live(interpreter):
    command = [*interpreter.inside, interpreter.path, "-c", WAITING]
    with running(command, bare_environment(**dict(interpreter.variables))) as process:
        version = version_of(interpreter)
        layout = f"the built-in layout of {version}" + described_variant(variant_of(interpreter))
        assert opened(process.pid) == [version, layout, "verified"]
        assert opened_milliseconds(process.pid) < 500  # 2 to 4 on an idle machine


def stripped_command(interpreter, folder):
    """(a command that runs a stripped copy of it, its variables)"""
    require_program("strip")
    if interpreter.suite is None and str(interpreter.path).startswith(str(PYENV)):
        library = next((PYENV / interpreter.name.removesuffix("-pyenv")).glob("lib/libpython3.*.so.1.0"))
        subprocess.run(["strip", "-s", library, "-o", folder / library.name], check=True, timeout=TIMEOUT)
        return [interpreter.path], {"LD_LIBRARY_PATH": str(folder)}
    root = "" if interpreter.suite is None else str(roots.directory() / interpreter.suite)
    copy = folder / os.path.basename(interpreter.path)
    subprocess.run(["strip", "-s", root + interpreter.path, "-o", copy], check=True, timeout=TIMEOUT)
    return [*interpreter.inside, copy], {"PYTHONHOME": "/usr"}


@pytest.mark.parametrize("interpreter", [i for i in EVERYWHERE if not i.variables], indirect=True, ids=str)
def test_opens_stripped(interpreter, tmp_path):
    command, variables = stripped_command(interpreter, tmp_path)
    with running([*command, "-c", WAITING], bare_environment(**variables)) as process:
        version = version_of(interpreter)
        layout = f"the built-in layout of {version}" + described_variant(variant_of(interpreter))
        assert opened(process.pid) == [version, layout, "verified"]


@pytest.fixture
def embedding(tmp_path):
    """Builds the embedding program with more arguments for the compiler; skips where there is no libpython to link."""

    def build(*arguments):
        program = tmp_path / "embedding"
        flags = run(["python3.11-config", "--includes"]) if shutil.which("python3.11-config") else None
        if flags is None or flags.returncode != 0:
            pytest.skip("there are no headers of Python 3.11 (python3-dev)")
        source = ROOT / "tests/python_layout/embedding.c"
        built = run(["gcc", source, *flags.stdout.split(), "-o", program, *arguments])
        if built.returncode != 0:
            pytest.skip(f"no libpython3.11 to link: {built.stderr[-200:]}")
        return program

    return build


def go_on(process):
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "ready\n"
    wait_until_asleep(process)


def test_opens_only_between_beginning_and_end(embedding):
    with running([embedding("-lpython3.11")], bare_environment()) as process:
        code, message = opened(process.pid)
        assert code == "unsupported" and "has not begun yet" in message
        go_on(process)
        assert opened(process.pid)[2] == "verified"
        go_on(process)
        code, message = opened(process.pid)
        assert code == "unsupported" and "or has ended" in message


@pytest.mark.parametrize("is_stripped", [False, True])
def test_opens_where_the_symbol_is_hidden(embedding, is_stripped):
    archives = list(pathlib.Path("/usr/lib/python3.11").glob("config-3.11-*/libpython3.11.a"))
    if not archives:
        pytest.skip("there is no libpython3.11.a (libpython3.11-dev)")
    libraries = ["-no-pie", archives[0], "-Wl,--exclude-libs,ALL", "-lm", "-lz", "-lexpat", "-ldl", "-lutil"]
    program = embedding(*libraries, *(["-s"] if is_stripped else []))
    with running([program], bare_environment()) as process:
        go_on(process)
        assert opened(process.pid)[1:] == ["the built-in layout of " + opened(process.pid)[0], "verified"]


# --- versions that nobody measured --------------------------------------------------------------------------------


def release(version):
    return generate_python.hexadecimal(version)


def library_that_says(version, folder, minor):
    """A copy of pyenv's library whose Py_Version (or own word) is another."""
    found = [path for path in PYENV.glob(f"3.{minor}.*/lib/libpython3.{minor}.so.1.0")]
    if not found:
        pytest.skip(f"pyenv has no 3.{minor}")
    own = found[0].parents[1].name
    image = bytearray(found[0].read_bytes())
    number = struct.pack("<Q", int(release(own), 16))
    places = [match.start() for match in re.finditer(re.escape(number), bytes(image))]
    assert places or version == own
    for place in places:
        image[place : place + 8] = struct.pack("<Q", int(release(version), 16))
    copy = folder / found[0].name
    copy.write_bytes(image)
    return found[0].parents[1] / f"bin/python3.{minor}", copy


def strip(copy, *options):
    require_program("strip")
    subprocess.run(["strip", *options, copy], check=True, timeout=TIMEOUT)


def running_as(python, copy, version):
    environment = bare_environment(LD_LIBRARY_PATH=str(copy.parent))
    return running([python, "-c", WAITING_AS.format(release(version))], environment)


@pytest.mark.parametrize(
    "minor, version, nearest",
    [(11, "3.11.99", "3.11.16"), (13, "3.13.0rc2", "3.13.0"), (13, "3.13.99", "3.13.0")],
)
def test_unknown_release_takes_the_nearest_table_that_fits(tmp_path, minor, version, nearest):
    python, copy = library_that_says(version, tmp_path, minor)
    strip(copy, "-s")
    with running_as(python, copy, version) as process:
        assert opened(process.pid) == [version, f"the layout of {nearest}, unverified", "unverified"]


@pytest.mark.parametrize("separate", [None, "beside", ".debug"])
@pytest.mark.parametrize("minor", [11, 13])
def test_alpha_takes_debug_information(tmp_path, minor, separate):
    version = f"3.{minor}.0a3"
    python, copy = library_that_says(version, tmp_path, minor)
    if separate is not None:
        require_program("objcopy")
        folder = tmp_path if separate == "beside" else tmp_path / separate
        folder.mkdir(exist_ok=True)
        debug = folder / (copy.name + ".dbg")
        subprocess.run(["objcopy", "--only-keep-debug", copy, debug], check=True, timeout=TIMEOUT)
        strip(copy, "-s")
        subprocess.run(["objcopy", f"--add-gnu-debuglink={debug}", copy], check=True, timeout=TIMEOUT)
    with running_as(python, copy, version) as process:
        assert opened(process.pid) == [version, "debug information", "verified"]


def test_release_whose_state_has_another_size_is_refused(tmp_path):
    python, copy = library_that_says("3.12.14", tmp_path, 12)
    strip(copy, "-s")
    with running_as(python, copy, "3.12.14") as process:
        code, message = opened(process.pid)
        assert code == "format" and "_PyRuntime has 459944 bytes, not 459280" in message


# --- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["2.7.18", "3.7.16", "3.8.18"])
def test_older_versions_are_refused_by_name(version):
    python = PYENV / version / "bin/python"
    if not python.exists():
        pytest.skip(f"pyenv has no {version}")
    with running([python, "-c", WAITING], bare_environment()) as process:
        code, message = opened(process.pid)
        minor = ".".join(version.split(".")[:2])
        assert code == "unsupported"
        assert re.match(rf"CPython {minor}\S* in pid {process.pid} .* is not read: 3.9 to 3.15 are$", message)


def test_other_programs_are_refused():
    with running(["/bin/cat"], bare_environment(), ready=None) as process:
        wait_until_asleep(process)
        code, message = opened(process.pid)
        assert code == "not-found"
        assert re.match(rf"no CPython in pid {process.pid} \(\S+cat\)$", message)


def test_replaced_library(tmp_path):
    """An update of the package while the process runs."""
    python, copy = library_that_says("3.10.13", tmp_path, 10)
    with running_as(python, copy, "3.10.13") as process:
        maps = pathlib.Path(f"/proc/{process.pid}/maps").read_text()
        assert str(copy) in maps
        copy.rename(tmp_path / "old")
        # The administrator reaches the old file through the mapping itself.
        assert opened(process.pid)[0] == ("3.10.13" if os.geteuid() == 0 else "not-found")


# --- cores --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("minor", [10, 12, 13])
def test_core_without_its_files(tmp_path, minor):
    require_program("gdb")
    found = list(PYENV.glob(f"3.{minor}.*/bin/python3.{minor}"))
    if not found:
        pytest.skip(f"pyenv has no 3.{minor}")
    version = found[0].parents[1].name
    with running([found[0], "-c", WAITING], bare_environment()) as process:
        core = gcore(process.pid, tmp_path / "core")
    assert opened(core) == [version, f"the built-in layout of {version}", "verified"]
    elsewhere = tmp_path / "alone" / "core"
    elsewhere.parent.mkdir()
    here = str(PYENV).encode()
    elsewhere.write_bytes(core.read_bytes().replace(here, b"/" + b"x" * (len(here) - 1)))
    if minor >= 13:
        assert opened(elsewhere) == [version, f"the built-in layout of {version}", "verified"]
        return
    code, message = opened(elsewhere)
    assert code == "not-found"
    assert re.search(rf"without the file /x+/.*/libpython3.{minor}.so.1.0: lay that very file beside the core$", message)
    shutil.copy(found[0].parents[1] / f"lib/libpython3.{minor}.so.1.0", elsewhere.parent)
    assert opened(elsewhere) == [version, f"the built-in layout of {version}", "verified"]


def test_core_without_its_program(tmp_path, python):
    require_program("gdb")
    program = tmp_path / "here" / "python3.11"
    program.parent.mkdir()
    shutil.copy(os.path.realpath(python), program)
    with running([program, "-c", WAITING], bare_environment(PYTHONHOME="/usr")) as process:
        core = gcore(process.pid, tmp_path / "core")
    shutil.move(program, tmp_path / "kept")
    code, message = opened(core)
    assert code == "not-found" and message.endswith(f"{program}: give that very file as --exe FILE")
    assert opened(core, tmp_path / "kept")[2] == "verified"


# --- documentation ------------------------------------------------------------------------------------------------


def spans(versions):
    """["3.9.0", "3.9.1", "3.9.3"] -> "3.9.0 to 3.9.1, 3.9.3" """
    out = []
    for version in versions:
        major, minor, micro, level, _ = generate_python.version_key(version)
        follows = out and level == 0xF and out[-1][1] == (major, minor, micro - 1)
        if follows:
            out[-1] = [out[-1][0], (major, minor, micro), version]
        else:
            out.append([version, (major, minor, micro) if level == 0xF else None, version])
    return ", ".join(first if first == last else f"{first} to {last}" for first, _, last in out)


def test_documented_releases_are_those_of_the_data():
    offsets = json.loads(OFFSETS.read_text())
    rows = dict(re.findall(r"^\| (3\.\d+) \| ([^|]+) \|", (ROOT / "docs/support.md").read_text(), re.M))
    expected = {f"3.{minor}": spans(generate_python.releases_of(offsets, minor)) for minor in range(9, 16)}
    assert {minor: releases.strip() for minor, releases in rows.items()} == expected
