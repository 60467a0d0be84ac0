"""Torture shares its tools with the recorder's tests: the building of C programs and the reader of images."""

import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
STRESS = os.environ.get("MEMTRACE_STRESS") == "1"  # `make stress` asks for the long runs

sys.path.insert(0, str(HERE.parent / "recorder"))
