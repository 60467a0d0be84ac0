"""Where interpreters are: on this machine, or in the root of another Debian suite, where the peers are as well."""
import os
import platform
import subprocess
import sys
import typing

import roots
from interpreters import INTERPRETERS, version_of
from surroundings import clean_environment

LIMIT = 900  # seconds, to unpack a root

# suite -> its interpreter; each with the peers that were packaged for it
SUITES = {"trixie": "python3.13", "forky": "python3.14"}
PACKAGES = (
    "python3-memray heaptrack python3-numpy libdw1t64 libelf1t64 "
    "bash coreutils dash findutils gawk grep gzip hostname sed"  # what heaptrack's script calls, and a root has not
).split()
NAMED = ("python3-memray", "heaptrack", "python3-numpy")


class Place(typing.NamedTuple):
    name: str
    python: str
    lead: tuple  # words that lead there, before a command
    versions: dict  # what runs there


def here(python):
    return Place("this machine", python, (), {"CPython": ".".join(map(str, version_of(python)))})


def all_here():
    return [here(INTERPRETERS[name]) for name in ("3.13.0", "system") if INTERPRETERS[name]]


def _unpacked(root):
    """Package -> version, of what a root was made of."""
    names = (root / ".complete").read_text().splitlines()[1:]
    return {name.split("_")[0]: name.split("_")[1].replace("%3a", ":") for name in names}


def in_suite(suite):
    """The interpreter and the peers of a suite. Ends the run when there is no way to them."""
    if os.geteuid() != 0:
        sys.exit("the peers run in roots of other Debian suites, which only root can enter; alone: make bench PEERS=0")
    root = roots.directory() / f"bench-{suite}"
    made = subprocess.run(
        [roots.MAKE, suite, root, SUITES[suite], *PACKAGES],
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=LIMIT,
        text=True,
    )
    if made.returncode != 0:
        sys.exit(f"no root of Debian {suite}, so no peers (alone: make bench PEERS=0): {made.stdout.strip()[-500:]}")
    unpacked = _unpacked(root)
    versions = {"CPython": unpacked[SUITES[suite]], **{name: unpacked[name] for name in NAMED}}
    lead = (str(roots.ENTER), str(root))
    return Place(f"Debian {suite}", f"/usr/bin/{SUITES[suite]}", lead, versions)


def machine():
    """What the numbers depend on and a reader can't know."""
    model = next(
        (line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown"
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "memory_gib": round(memory, 1),
        "kernel": platform.release(),
        "load_before": round(os.getloadavg()[0], 1),
    }
