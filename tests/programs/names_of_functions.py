"""Functions that are there late, twice, without a name, or in two files of one name: names_of_functions.py FOLDER FOLDER"""

import importlib.util
import sys


def load(folder):
    spec = importlib.util.spec_from_file_location("same", f"{folder}/same.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def again():
    return bytes(1)


def main():
    global again
    print("ready", flush=True)
    sys.stdin.readline()
    first, second = again, (lambda size: bytes(size))

    def again():
        return bytes(2)

    first(), again(), second(3)
    for folder in sys.argv[1:]:
        load(folder).late()


main()
