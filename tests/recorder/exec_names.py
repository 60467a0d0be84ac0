"""Makes 1,000 functions one after another, each in its own file name; each allocates one block that stays, then dies
with its code object, so that code addresses are used again and again: exec_names.py PROBE VARIANT

exec:      compiled and executed
replace:   copies of one code object made by code.replace(): at level heap nothing is an event between one and the next
outer:     as replace, but the copies call an unchanging function that allocates
Prints the image.
"""
import ctypes
import sys
import types

COUNT = 1000
SIZE = 4321

lib = ctypes.PyDLL(sys.argv[1])
kept = [None] * COUNT
files = [f"/made/{i:04}.py" for i in range(COUNT)]
names = [f"made_{i:04}" for i in range(COUNT)]


def by_exec():
    for i in range(COUNT):
        namespace = {}
        exec(compile(f"def {names[i]}():\n    return bytes({SIZE})\n", files[i], "exec"), namespace)
        kept[i] = namespace[names[i]]()


def template():
    return bytes(SIZE)


def allocate():
    return bytes(SIZE)


def template_outer():
    return allocate()


def replacements(base, i):
    code = base.replace(co_filename=files[i], co_name=names[i])
    return code.replace(co_qualname=names[i]) if hasattr(code, "co_qualname") else code


def by_replace(function):
    addresses = set()
    scope = {"bytes": bytes, "SIZE": SIZE, "allocate": allocate}
    for i in range(COUNT):
        code = replacements(function.__code__, i)
        addresses.add(id(code))
        kept[i] = types.FunctionType(code, scope)()
        del code
    assert len(addresses) < COUNT / 10, "code objects did not come to the same addresses"


{"exec": by_exec, "replace": lambda: by_replace(template), "outer": lambda: by_replace(template_outer)}[sys.argv[2]]()
lib.scenario_dump(1)
