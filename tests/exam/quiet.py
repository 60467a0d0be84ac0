"""quiet.py TRUTH [--numpy]: a process that has imported much and does nothing, for the completeness of reference
counts: every count of a mortal object should be explained by somebody who refers to it.
"""
import importlib
import sys

from truth import stop

MODULES = ("asyncio", "sqlite3", "decimal", "xml.etree.ElementTree", "concurrent.futures")


def main():
    for name in MODULES + (("numpy",) if "--numpy" in sys.argv[2:] else ()):
        importlib.import_module(name)
    stop(sys.argv[1])


if __name__ == "__main__":
    main()
