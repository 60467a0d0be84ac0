"""Other debuggers than this machine's: too old ones, lldb 14 of Debian 12, gdb 16. What none of them can do is said."""

import re
import shutil
import sys

import pytest

from doors import GDB_ADAPTER, LLDB_ADAPTER
from interpreters import SYSTEM
from surroundings import LLDB, PROGRAMS, ROOT, clean_environment, gcore, run, running

sys.path.insert(0, str(ROOT / "native/door"))
import check_debuggers

LLDB_14 = "/usr/lib/llvm-14/lib/python3.11/dist-packages"


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    """Of an interpreter that lies in /tmp, where the roots see it too."""
    folder = tmp_path_factory.mktemp("core")
    python = shutil.copy(SYSTEM, folder / "python3.11")
    with running([python, "-S", PROGRAMS / "orders.py"]) as process:
        yield python, gcore(process.pid, folder / "core.orders")


def ask_lldb_14(root, python, core, lines, **environment):
    script = [word for line in (f"command script import {LLDB_ADAPTER}", *lines) for word in ("-o", line)]
    target = ["-c", core, python] if core else []
    return run([*root, "lldb-14", "-x", "-b", *target, *script], clean_environment(**environment))


def test_lldb_14_without_its_python(bookworm):
    """As Debian 12 packages it: one sentence says what to do."""
    result = ask_lldb_14(bookworm, None, None, ["memtrace help"])
    told = f"memtrace: this lldb does not find its own Python module: start it with PYTHONPATH={LLDB_14}, or use lldb 16"
    assert result.returncode != 0 and told in result.stderr
    assert check_debuggers.verdict(result.stdout, result.stderr).startswith(told)


def test_lldb_14_with_the_remedy(bookworm, core):
    python, core = core
    asked = ["memtrace instances --limit 2 Order", "memory read -c 8 $mt1", "memtrace who-holds 1", "help"]
    result = ask_lldb_14(bookworm, python, core, asked, PYTHONPATH=LLDB_14)
    assert result.returncode == 0, result.stderr
    first = re.search(r"^ +1  (0x[0-9a-f]+) ", result.stdout, re.M).group(1)
    assert f"{first}: 01 00 00 00" in result.stdout
    assert "refcount 1 = 1 found" in result.stdout and "__main__.orders[" in result.stdout
    assert "memtrace -- Tell what the memory" in result.stdout  # plain `help` crashes this lldb where there are containers


def test_lldb_14_errors(bookworm):
    result = ask_lldb_14(bookworm, None, None, ["memtrace nope", "memtrace show"], PYTHONPATH=LLDB_14)
    assert result.returncode == 1 and "unknown command `nope`" in result.stderr
    assert "(lldb) memtrace show" not in result.stdout


def test_gdb_16(trixie, core):
    python, core = core
    script = ["memtrace instances --limit 2 Order", "x/1gx $mt1", "with memtrace limit 1 -- memtrace types",
              "show memtrace limit", "complete memtrace set li", "complete memtrace instances Ord"]  # fmt: skip
    words = [word for line in (f"source {GDB_ADAPTER}", *script) for word in ("-ex", line)]
    result = run([*trixie, "gdb", "-nx", "-batch", "-c", core, python, *words])
    first = re.search(r"^ +1  (0x[0-9a-f]+) ", result.stdout, re.M).group(1)
    assert f"{first}:\t0x0000000000000001" in result.stdout
    assert result.stdout.splitlines()[-3:] == ["memtrace's limit is 20.", "memtrace set limit", "memtrace instances Order"]


@pytest.mark.parametrize("version", ["12.1", "Fedora Linux 11.2-1.fc35", "7.12"])
def test_old_gdb(version):
    lines = [f"python gdb.VERSION = {version!r}", f"source {GDB_ADAPTER}", "memtrace peak"]
    result = run(["gdb", "-nx", "-batch", *(word for line in lines for word in ("-ex", line))])
    told = f"memtrace: gdb {version} is too old: use gdb 13 or later\n"
    assert result.returncode == 1 and result.stderr == told * 2  # when it is loaded, and by the command


def test_check_debuggers(tmp_path):
    """Each on PATH has its line: what works, what was built without Python, what hangs about."""
    (tmp_path / "gdb-99").write_text("#!/bin/sh\necho GNU gdb 99\necho 'Python scripting is not supported' >&2\nexit 1\n")
    (tmp_path / "lldb-99").write_text("#!/bin/sh\nexit 1\n")
    for path in tmp_path.iterdir():
        path.chmod(0o755)
    (tmp_path / LLDB).symlink_to(shutil.which(LLDB))
    (tmp_path / "gdb").symlink_to(shutil.which("gdb"))
    checked = run(
        [SYSTEM, "-B", ROOT / "native/door/check_debuggers.py", GDB_ADAPTER, LLDB_ADAPTER],
        {**clean_environment(), "PATH": f"{tmp_path}"},
    )
    lines = {line.split()[0].rpartition("/")[2]: line for line in checked.stdout.splitlines()}
    assert lines["gdb"].endswith(" works") and lines[LLDB].endswith(" works"), checked.stdout + checked.stderr
    assert lines["gdb-99"].endswith(" was built without Python: install one that has it")
    assert lines["lldb-99"].endswith(" does not work: it said nothing")
