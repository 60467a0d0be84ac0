"""memtrace in gdb:  (gdb) source PATH/gdb/memtrace.py

gdb runs a sourced script in the namespace of the user's own Python. So this one leaves nothing there: the adapter is
loaded as a module of its own, by its path, because with the repository on sys.path its folder `gdb` would hide
gdb's module.
"""


def _load(entry):
    import importlib.util
    import os
    import sys

    name = "memtrace_gdb"
    if name in sys.modules:
        return
    path = os.path.join(os.path.dirname(os.path.realpath(entry)), name + ".py")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[name] = module


# gdb leaves `__file__` as it was where another Python script sources this one.
_load(_load.__code__.co_filename)
del _load
