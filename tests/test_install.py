"""`make install` and `make uninstall`: what they put where, that it works from there, that nothing is left."""

import pathlib
import re
import shutil

import pytest

from interpreters import SYSTEM
from surroundings import BUILD, LLDB, PROGRAMS, ROOT, bare_environment, gcore, run, running


def make(target, destination, prefix="/opt/memtrace", **variables):
    result = run(["make", "-C", ROOT, "-s", target, f"BUILD={BUILD}", f"DESTDIR={destination}", f"PREFIX={prefix}"],
                 bare_environment(**variables))  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in pathlib.Path(folder).rglob("*") if not path.is_dir())


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    with running([SYSTEM, PROGRAMS / "orders.py"]) as process:
        yield gcore(process.pid, tmp_path_factory.mktemp("core") / "core.orders")


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    """What was installed, at another place than it was installed for."""
    destination = tmp_path_factory.mktemp("destination")
    make("install", destination)
    return pathlib.Path(shutil.move(destination / "opt/memtrace", destination / "a new place"))


def test_works_where_it_lies(moved, core, tmp_path):
    asked = "memtrace instances --limit 1 Order"
    adapters = moved / "share/memtrace"
    answers = [
        run(["gdb", "-nx", "-batch", "-c", core, SYSTEM, "-ex", f"source {adapters}/gdb/memtrace.py", "-ex", asked],
            bare_environment(), cwd=tmp_path),
        run([LLDB, "-x", "-b", "-c", core, SYSTEM, "-o", f"command script import '{adapters}/lldb/memtrace_lldb.py'",
             "-o", asked], bare_environment(), cwd=tmp_path),
        run([moved / "bin/memtrace", "--core", core, *asked.split()[1:]], bare_environment(), cwd=tmp_path),
    ]  # fmt: skip
    for answer in answers:
        assert answer.returncode == 0 and "1,000 Orders" in answer.stdout, answer.stdout + answer.stderr


def test_records_where_it_lies(moved):
    # The whole path is given to the loader, which takes blanks for the end of a name.
    place = moved.parent / "moved"
    shutil.copytree(moved, place)
    result = run([place / "bin/memtrace", "run", "--", SYSTEM, "-c", "kept = bytearray(7_000_000)"], bare_environment())
    assert re.search(r"^ +1  7,000,\d+ .* <string>:1$", result.stdout + result.stderr, re.M), result.stdout + result.stderr


def test_says_the_lines_and_their_files(tmp_path):
    home = tmp_path / "home"
    said = make("install", tmp_path / "d", HOME=str(home), XDG_CONFIG_HOME="")
    assert f"gdb, in {home}/.gdbinit:\n    source /opt/memtrace/share/memtrace/gdb/memtrace.py\n" in said
    lldb = "    command script import /opt/memtrace/share/memtrace/lldb/memtrace_lldb.py\n"
    assert f"lldb, in {home}/.lldbinit:\n{lldb}" in said
    for variable, folder in (("", home / ".config"), (str(tmp_path / "xdg"), tmp_path / "xdg")):
        (folder / "gdb").mkdir(parents=True)
        (folder / "gdb/gdbinit").touch()
        said = make("install", tmp_path / "d", HOME=str(home), XDG_CONFIG_HOME=variable)
        assert f"gdb, in {folder}/gdb/gdbinit:\n" in said


@pytest.mark.parametrize("xdg", [False, True])
def test_that_file_is_the_one_gdb_reads(tmp_path, xdg):
    """gdb reads one of the two, and says nothing of the other."""
    (tmp_path / ".config/gdb").mkdir(parents=True)
    (tmp_path / ".gdbinit").write_text("echo home\\n\n")
    if xdg:
        (tmp_path / ".config/gdb/gdbinit").write_text("echo xdg\\n\n")
    said = make("install", tmp_path / "d", HOME=str(tmp_path), XDG_CONFIG_HOME="")
    named = re.search(r"gdb, in (.*):", said).group(1)
    assert named.endswith("/gdb/gdbinit") == xdg
    read = run(["gdb", "-batch"], bare_environment(HOME=str(tmp_path), XDG_CONFIG_HOME=""), cwd="/").stdout
    assert read.split() == ["xdg" if xdg else "home"]


def test_uninstall_removes_just_that(tmp_path):
    others = ["opt/memtrace/bin/theirs", "opt/memtrace/share/doc/theirs/README.md", "opt/memtrace/lib/memtrace/theirs.so"]
    for name in others:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    make("install", tmp_path)
    installed = files(tmp_path)
    assert "opt/memtrace/share/doc/memtrace/LICENSE" in installed and len(installed) > 15 + len(others)
    (tmp_path / "opt/memtrace/share/memtrace/gdb/__pycache__").mkdir()  # Python's doing
    make("uninstall", tmp_path)
    assert files(tmp_path) == sorted(others)
    left = {str(path.relative_to(tmp_path / "opt/memtrace")) for path in tmp_path.rglob("*memtrace*") if path.is_dir()}
    assert left == {".", "lib/memtrace"}
