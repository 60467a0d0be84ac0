"""The interpreters that tests run against: the system's, and those that pyenv built where there are any."""
import functools
import pathlib
import subprocess

SYSTEM = "/usr/bin/python3"
PYENV = pathlib.Path.home() / ".pyenv" / "versions"
PYENV_VERSIONS = ("3.9.18", "3.10.13", "3.11.7", "3.12.1", "3.13.0")


def _find(path):
    return str(path) if pathlib.Path(path).exists() else None


# name -> path, or None where it is not installed
INTERPRETERS = {"system": _find(SYSTEM), **{v: _find(PYENV / v / "bin" / "python3") for v in PYENV_VERSIONS}}


@functools.lru_cache(maxsize=None)
def version_of(python):
    """(major, minor, micro)"""
    code = "import sys; print(*sys.version_info[:3])"
    result = subprocess.run([python, "-c", code], stdout=subprocess.PIPE, check=True, timeout=60)
    return tuple(map(int, result.stdout.split()))
