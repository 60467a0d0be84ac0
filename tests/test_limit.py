"""A limit for the heap: `memtrace run --max-heap`, and MEMTRACE_MAX_HEAP for programs that others start. Past it there is
a report or a core, and the program is ended; before it nothing changes."""

import json
import os
import pathlib
import resource
import signal

import pytest

import surroundings
from surroundings import COMMAND, EXAMPLES, LLDB, PROGRAMS, RECORDER

PASSED = 99
MB = 1_000_000
SYSTEM_PYTHON = "/usr/bin/python3"
GROWING = PROGRAMS / "past_the_limit.py"
MEMORY_GROUPS = pathlib.Path("/sys/fs/cgroup/memory"), pathlib.Path("/sys/fs/cgroup")


def gate(program, limit, *options):
    command = [COMMAND, "run", "--max-heap", limit, *options, "--", *program]
    return surroundings.run(command, surroundings.bare_environment())


def growing(threads=1, total=600):
    return [SYSTEM_PYTHON, GROWING, str(threads), str(total)]


def preloaded(limit, **more):
    return surroundings.bare_environment(LD_PRELOAD=str(RECORDER), MEMTRACE_MAX_HEAP=limit, **more)


# --- the examples: a gate that the mended program passes --------------------------------------------------------------


@pytest.mark.parametrize("options", [[], ["--bytearray"]], ids=["numpy", "bytearray"])
def test_clinging_onto_memory_fails_and_is_named(options):
    result = gate([SYSTEM_PYTHON, EXAMPLES / "holding.py", *options], "250M")
    assert result.returncode == PASSED, result.stderr
    first, place, *_ = result.stdout.splitlines()
    assert first.startswith("heap passed 250 MB: now 3") and first.endswith(" bytes"), first
    assert place.startswith("in duplicate_data ") and "holding.py:" in place, place
    assert "local `data_pow` of process_data()" in result.stdout
    assert all(len(line) <= 80 for line in result.stdout.splitlines())


def test_clinging_onto_memory_mended_passes():
    result = gate([SYSTEM_PYTHON, EXAMPLES / "holding_mended.py"], "250M")
    assert result.returncode == 0 and "heap passed" not in result.stdout, result.stdout


def test_cached_method_fails_and_its_cache_is_named():
    result = gate([SYSTEM_PYTHON, EXAMPLES / "lru_cache.py", "3"], "25M")
    assert result.returncode == PASSED, result.stderr
    report = result.stdout
    assert report.splitlines()[0].startswith("heap passed 25 MB: now 2"), report
    assert "lru_cache.py:" in report.splitlines()[1], report
    # The row with most of it, and who holds a block of it.
    assert [line for line in report.splitlines() if line.strip().startswith("1 ") and "factorial_plus" in line], report
    assert "a value in the cache of Algorithms.factorial_plus" in report, report


def test_cached_method_mended_passes():
    assert gate([SYSTEM_PYTHON, EXAMPLES / "lru_cache_mended.py", "3"], "25M").returncode == 0


# --- memtrace run -----------------------------------------------------------------------------------------------------


def test_without_a_crossing_the_status_is_the_programs():
    assert gate([SYSTEM_PYTHON, "-c", "raise SystemExit(7)"], "500M").returncode == 7


def test_any_thread_may_cross(tmp_path):
    report = tmp_path / "report.json"
    result = gate(growing(threads=4), "200Mi", "--json", "--out", report)
    assert result.returncode == PASSED and "whole" not in result.stdout, result.stderr
    answer = json.loads(report.read_text())
    assert answer["limit_bytes"] == 200 << 20
    assert 200 << 20 < answer["live_bytes"] <= (200 << 20) + answer["net_bytes"]
    assert answer["live_bytes"] == answer["peak"]["peak_bytes"]
    assert answer["born"]["stack"][0]["function"] == "work"
    assert len(answer["threads"]["rows"]) == 4 and answer["tid"] in [row["tid"] for row in answer["threads"]["rows"]]
    assert answer["children"] == []


def test_children_are_said():
    program = "import subprocess; c = subprocess.Popen(['sleep', '20']); print(c.pid, flush=True); x = bytearray(9 ** 9)"
    result = gate([SYSTEM_PYTHON, "-c", program], "100M")
    child = int(result.stdout.split()[0])
    os.kill(child, signal.SIGKILL)  # it went on
    assert result.returncode == PASSED and f"its children go on: {child}" in result.stdout


def test_wrong_sizes_are_refused():
    for size in ("0", "many", "5X", "-3"):
        assert gate([SYSTEM_PYTHON, "-c", ""], size).returncode == 2


# --- the core ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    path = tmp_path_factory.mktemp("limit") / "core of it"
    result = gate(growing(threads=3), "150M", "--core", path)
    assert result.returncode == PASSED, result.stderr
    return path


def test_the_core_answers(core):
    def ask(*command):
        result = surroundings.run([COMMAND, "--core", core, command[0], "--json", *command[1:]], surroundings.bare_environment())
        assert result.returncode == 0, result.stdout
        return json.loads(result.stdout)

    status = ask("status")
    assert status["limit_bytes"] == 150 * MB and status["live_bytes"] > 150 * MB
    assert status["degraded"] == []
    assert ask("peak")["peak_bytes"] == status["live_bytes"]
    assert len(ask("threads")["rows"]) == 3
    assert max(row["own_bytes"] for row in ask("instances", "bytes")["rows"]) > 10 * MB
    assert core.stat().st_blocks * 512 < core.stat().st_size + 4096


def test_the_core_opens_in_debuggers(core):
    environment = surroundings.bare_environment()
    commands = ["-ex", "print memtrace_image.limit_bytes", "-ex", "info threads"]
    gdb = surroundings.run(["gdb", "-nx", "-batch", *commands, SYSTEM_PYTHON, core], environment)
    assert "$1 = 150000000" in gdb.stdout and gdb.stdout.count("LWP") >= 3, gdb.stdout + gdb.stderr
    lldb = surroundings.run(
        [LLDB, "-x", "-b", "-o", "target variable memtrace_image.limit_bytes", "-o", "thread list", "-c", core, SYSTEM_PYTHON],
        environment,
    )
    assert "150000000" in lldb.stdout and "thread #3" in lldb.stdout, lldb.stdout + lldb.stderr


# --- started by somebody else -----------------------------------------------------------------------------------------


def test_the_report_needs_little_memory(tmp_path):
    """It may count against the limit of the same cgroup: less than the heap of small blocks that it is about."""
    command, needed = tmp_path / "memtrace", tmp_path / "needed"
    command.write_text(
        f"#!{SYSTEM_PYTHON} -I\nimport resource, subprocess, sys\n"
        f"status = subprocess.call([{str(COMMAND)!r}, *sys.argv[1:]])\n"
        f"open({str(needed)!r}, 'w').write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))\n"
        "sys.exit(status)\n"
    )
    command.chmod(0o755)
    program = "kept = []\nwhile True: kept.append([str(len(kept))])"
    environment = preloaded("80M", MEMTRACE_COMMAND=str(command), MEMTRACE_REPORT=str(tmp_path / "report"))
    result = surroundings.run([SYSTEM_PYTHON, "-c", program], environment)
    assert result.returncode == PASSED, result.stderr
    assert "global `kept` of module __main__" in (tmp_path / "report").read_text()
    assert int(needed.read_text()) * 1024 < 80 * MB


def test_the_environment_ends_it_with_a_report(tmp_path):
    environment = preloaded("200M", MEMTRACE_REPORT=str(tmp_path / "report.%p"))
    result = surroundings.run(growing(threads=3), environment)
    assert result.returncode == PASSED and "whole" not in result.stdout, result.stderr
    (report,) = tmp_path.iterdir()
    assert report.name.split(".")[1].isdigit()
    assert report.read_text().startswith("heap passed 200 MB: now 2")
    assert "in work past_the_limit.py" in report.read_text()


def test_the_environment_ends_it_with_a_core(tmp_path):
    core = tmp_path / "core"
    environment = preloaded("100M", MEMTRACE_REPORT=str(core), MEMTRACE_MAX_HEAP_ACTION="core")
    assert surroundings.run(growing(), environment).returncode == PASSED
    result = surroundings.run([COMMAND, "--core", core, "peak", "--json"], surroundings.bare_environment())
    assert json.loads(result.stdout)["peak_bytes"] > 100 * MB


def test_without_the_command_it_aborts():
    environment = preloaded("100M", MEMTRACE_COMMAND="/nonexistent/memtrace")
    result = surroundings.run(growing(), environment, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))
    assert result.returncode == -signal.SIGABRT


def test_what_is_no_limit_is_ignored_and_said(tmp_path):
    ask = f"import os, subprocess; subprocess.run(['{COMMAND}', '--pid', str(os.getpid()), 'status', '--json'])"
    for limit, why in {"much": "was no size", "0%": "was no size", "101%": "was no size"}.items():
        result = surroundings.run([SYSTEM_PYTHON, "-c", ask], preloaded(limit))
        degraded = json.loads(result.stdout)["degraded"]
        assert [why in lack["why"] for lack in degraded if "limit" in lack["what"]] == [True], degraded


# --- a share of what the process may have -----------------------------------------------------------------------------


@pytest.fixture
def group(request):
    """A memory cgroup of 200 MB, as a function that puts a process into it."""
    size = 200 * MB
    for root, file in zip(MEMORY_GROUPS, ("memory.limit_in_bytes", "memory.max")):
        path = root / f"memtrace-test-{os.getpid()}"
        try:
            path.mkdir()
        except OSError:
            continue
        request.addfinalizer(path.rmdir)
        if (path / file).exists():
            (path / file).write_text(str(size))
            swap = path / "memory.memsw.limit_in_bytes"
            if swap.exists():
                swap.write_text(str(size))
            return lambda: (path / "cgroup.procs").write_text(str(os.getpid()))
    pytest.skip("no memory cgroup can be made here (not root, or none is mounted writable)")


def test_in_a_cgroup_the_report_exists_before_the_kernel_would_kill(group, tmp_path):
    killed = surroundings.run(growing(), surroundings.bare_environment(), preexec_fn=group)
    assert killed.returncode == -signal.SIGKILL, "the kernel does not hold this cgroup to its limit"
    environment = preloaded("70%", MEMTRACE_REPORT=str(tmp_path / "report"))
    result = surroundings.run(growing(), environment, preexec_fn=group)
    assert result.returncode == PASSED, result.stderr
    assert (tmp_path / "report").read_text().startswith("heap passed ")
    assert "past_the_limit.py" in (tmp_path / "report").read_text()


# What /proc/self/cgroup says, the files below /sys/fs/cgroup, and the limit that counts, in MB.
TREES = {
    "own group": ("0::/a/b", {"a/memory.max": "max", "a/b/memory.max": "300000000"}, 300),
    "group above": ("0::/a/b", {"a/memory.max": "250000000", "a/b/memory.max": "800000000"}, 250),
    "container": ("0::/", {"memory.max": "400000000"}, 400),
    "v2 without the controller": ("4:cpu,memory:/m\n0::/a", {"a/x": "", "memory/m/memory.limit_in_bytes": "220000000"}, 220),
    "v1 without a limit": ("4:memory:/m\n0::/a", {"a/memory.max": "260000000", "memory/m/memory.limit_in_bytes": str(2**63 - 4096)}, 260),
}  # fmt: skip


@pytest.mark.parametrize("name", TREES)
def test_a_share_of_a_made_up_group(name, tmp_path):
    """Where the kernel has bound the memory controller elsewhere, the files of one are laid out as it would."""
    if os.geteuid() != 0:
        pytest.skip("only root may make a mount namespace")
    told, files, limit = TREES[name]
    (tmp_path / "told").write_text(told + "\n")
    for path, text in files.items():
        (tmp_path / "tree" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / path).write_text(text + "\n")
    pretend = 'mount --bind "$0/tree" /sys/fs/cgroup && mount --bind "$0/told" "/proc/$$/cgroup" && exec "$@"'
    variables = [f"LD_PRELOAD={RECORDER}", "MEMTRACE_MAX_HEAP=50%", f"MEMTRACE_REPORT={tmp_path}/report"]
    apart = ["unshare", "-m", "--propagation", "private", "sh", "-c", pretend, tmp_path]
    result = surroundings.run([*apart, "env", *variables, *growing()], surroundings.bare_environment())
    assert result.returncode == PASSED, result.stderr
    assert (tmp_path / "report").read_text().startswith(f"heap passed {limit // 2} MB: now ")


def test_a_share_of_the_address_space(tmp_path):
    space = 400 * MB
    if any(int(text) < 1 << 60 for text in limits_of_own_groups()):
        pytest.skip("a memory cgroup limits this test itself, and comes first")
    environment = preloaded("50%", MEMTRACE_REPORT=str(tmp_path / "report"))
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (space, resource.RLIM_INFINITY))
    result = surroundings.run(growing(), environment, preexec_fn=limit)
    assert result.returncode == PASSED, result.stderr
    assert (tmp_path / "report").read_text().startswith("heap passed 200 MB: now 2")


def limits_of_own_groups():
    """Numbers of the groups that this process is in, up to the root."""
    found = []
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        root, file = (MEMORY_GROUPS[0], "memory.limit_in_bytes") if controllers else (MEMORY_GROUPS[1], "memory.max")
        for folder in [pathlib.Path(path), *pathlib.Path(path).parents]:
            limit = root / str(folder).lstrip("/") / file
            text = limit.read_text().strip() if limit.exists() else "max"
            found += [text] if text.isdigit() else []
    return found
