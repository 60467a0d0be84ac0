"""The tools that are compared: how each is put before a program, and which run together.

`BARE` is no tool. In `words`, {python} stands for the interpreter and {out} for the file that the tool writes. What is
in `environment` is set for these words alone, not for what leads to them.
"""
import typing

from surroundings import RECORDER


class Tool(typing.NamedTuple):
    words: tuple = ("{python}",)
    environment: tuple = ()
    level: str = ""  # memtrace's; empty: another's tool


class Group(typing.NamedTuple):
    """Tools that take their turns in the same rounds, at one scale, each compared with the round's own bare run."""

    fraction: float  # of the workload's scale: what costs much runs on less
    tools: tuple


def _memtrace(level):
    return Tool(environment=(f"LD_PRELOAD={RECORDER}", f"MEMTRACE_LEVEL={level}"), level=level)


_MEMRAY = ("{python}", "-m", "memray", "run", "--quiet", "--force", "--output", "{out}")
_HEAPTRACK = ("heaptrack", "--output", "{out}", "{python}")

BARE = Tool()
TOOLS = {
    "heap": _memtrace("heap"),
    "objects": _memtrace("objects"),
    "memray": Tool(_MEMRAY),
    "memray-py": Tool((*_MEMRAY, "--trace-python-allocators")),
    "tracemalloc": Tool(("{python}", "-X", "tracemalloc=1")),
    "heaptrack": Tool(_HEAPTRACK),
    "heaptrack-malloc": Tool(_HEAPTRACK, ("PYTHONMALLOC=malloc",)),
}
LEVELS = tuple(name for name, tool in TOOLS.items() if tool.level)

ALONE = (Group(1, LEVELS),)
WITH_PEERS = (
    Group(0.33, ("heap", "memray", "heaptrack")),  # see what malloc and mmap hand out
    Group(0.2, ("objects", "memray-py")),  # see every Python object; so do the next
    Group(0.1, ("tracemalloc", "heaptrack-malloc")),
)
# Whose extra time is compared with whose.
RIVALS = {"heap": "memray", "objects": "memray-py"}
# What part of the rival's extra time ours may be at most.
SHARE_TARGET = 0.25
# What a stop that is never hit may add at most to the time of a recorded program.
STOP_TARGET = 0.01
