"""Keeps blocks whose functions and files have names that would steer a terminal or break JSON. Then waits for input.

Its one argument is a Python list of [function name, file name, number of bytes]."""

import ast
import sys

kept = []


def make(name, file, size):
    code = compile("def inner():\n    return bytearray(SIZE)\nkept.append(inner())", file, "exec")
    inner = code.co_consts[0].replace(co_name=name, co_filename=file)
    if hasattr(inner, "co_qualname"):
        inner = inner.replace(co_qualname=name)
    constants = tuple(inner if constant is code.co_consts[0] else constant for constant in code.co_consts)
    exec(code.replace(co_consts=constants), {"kept": kept, "SIZE": size})


for name, file, size in ast.literal_eval(sys.argv[1]):
    make(name, file, size)
print("ready", flush=True)
sys.stdin.read()
