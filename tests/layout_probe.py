"""Run by test_layout.py in the interpreter under test: reads its own memory at the generated offsets (JSON on stdin)
and compares with the interpreter's own word.  Prints one line a disagreement, and at last how many checks were made."""
import ctypes
import json
import struct
import sys
import threading

L = json.load(sys.stdin)
checks = 0


def check(what, found, expected):
    global checks
    checks += 1
    if found != expected:
        print("%s: memory says %r, the interpreter says %r" % (what, found, expected))


def read(address, size):
    return ctypes.string_at(address, size)


def pointer(address):
    return struct.unpack("<Q", read(address, 8))[0]


def int32(address):
    return struct.unpack("<i", read(address, 4))[0]


def int64(address):
    return struct.unpack("<q", read(address, 8))[0]


def check_object(what, value):
    check(what + " type", pointer(id(value) + L["object_type"]), id(type(value)))


def check_str(value):
    what = "str %a" % value
    base = id(value)
    check_object(what, value)
    check(what + " length", int64(base + L["str_length"]), len(value))
    expected_hash = hash(value)
    check(what + " hash", int64(base + L["str_hash"]), expected_hash)
    widest = max(map(ord, value), default=0)
    kind, codec = (1, "latin-1") if widest < 0x100 else (2, "utf-16-le") if widest < 0x10000 else (4, "utf-32-le")
    is_ascii = widest < 0x80
    state = struct.unpack("<I", read(base + L["str_state"], 4))[0]
    check(what + " kind", state >> L["str_kind_shift"] & 7, kind)
    check(what + " compact", state >> L["str_compact_shift"] & 1, 1)
    check(what + " ascii", state >> L["str_ascii_shift"] & 1, int(is_ascii))
    start = L["str_ascii_data"] if is_ascii else L["str_compact_data"]
    check(what + " data", read(base + start, kind * len(value)), value.encode(codec))
    check(what + " size", start + kind * (len(value) + 1), type(value).__sizeof__(value))


def check_bytes(value):
    what = "bytes %a" % value
    check_object(what, value)
    check(what + " length", int64(id(value) + L["var_size"]), len(value))
    check(what + " data", read(id(value) + L["bytes_data"], len(value)), value)


def check_code(code):
    what = "code %a" % code.co_name
    base = id(code)
    check_object(what, code)
    check(what + " file name", pointer(base + L["code_filename"]), id(code.co_filename))
    check(what + " name", pointer(base + L["code_name"]), id(code.co_name))
    check(what + " has a qualified name", L["code_qualname"] >= 0, hasattr(code, "co_qualname"))
    if L["code_qualname"] >= 0:
        check(what + " qualified name", pointer(base + L["code_qualname"]), id(code.co_qualname))
    check(what + " first line", int32(base + L["code_first_line"]), code.co_firstlineno)
    table = {"MT_LINES_LNOTAB": "co_lnotab"}.get(L["line_table"], "co_linetable")
    lines = getattr(code, table)
    held = pointer(base + L["code_lines"])
    check(what + " line table", held, id(lines))
    check_bytes(lines)
    if L["instruction_size"] == 8:
        adaptive = code._co_code_adaptive
        check(what + " bytecode", read(base + L["code_bytecode"], len(adaptive)), adaptive)
        check(what + " code units", int64(base + L["var_size"]) * 2, len(adaptive))
    else:
        check(what + " bytecode", pointer(base + L["code_bytecode"]), id(code.co_code))


def frame_chain(thread_state):
    """(code address, frame address) of every frame that is not a shim, innermost first."""
    frame = pointer(thread_state + L["thread_frame"])
    if L["cframe_current"] >= 0:
        frame = pointer(frame + L["cframe_current"])
    while frame:
        owner = read(frame + L["frame_owner"], 1)[0] if L["frame_owner"] >= 0 else 0
        if owner < L["owner_shim"]:
            yield pointer(frame + L["frame_code"]) & ~L["code_tag_mask"], frame
        frame = pointer(frame + L["frame_previous"])


def instruction(code_address, frame):
    if L["instruction_size"] == 8:
        return pointer(frame + L["frame_instruction"]) - code_address - L["code_bytecode"]
    return int32(frame + L["frame_instruction"]) * L["instruction_scale"]


def check_thread():
    get_state = ctypes.pythonapi.PyThreadState_Get
    get_state.restype = ctypes.c_void_p
    state = get_state()
    check("thread id", pointer(state + L["thread_id"]), threading.get_ident())
    expected = []
    frame = sys._getframe()
    while frame is not None:
        expected.append((id(frame.f_code), frame.f_lasti))
        frame = frame.f_back
    # The reader's own generator frame is above ours, and our own position moves while we compare.
    found = list(frame_chain(state))
    while found and found[0][0] != expected[0][0]:
        found.pop(0)
    check("frames", [code for code, _ in found], [code for code, _ in expected])
    check("positions", [instruction(*f) for f in found[1:]], [position for _, position in expected[1:]])


def deep(depth, finish):
    if depth:
        return list(map(lambda _: deep(depth - 1, finish), (0,)))  # a C frame between any two
    finish()


def generator(finish):
    finish()
    yield


class Holder:
    def method(self):
        def inner():
            return 1

        return inner


def main():
    for text in ("", "a", "plain.py", "x" * 300, "caf\xe9", "snow\u2603.py", "mixed\U0001f40d" * 9):
        check_str("".join(["", text]))
    for data in (b"", b"x", bytes(range(256)) * 3):
        check_bytes(data)
    namespace = {}
    for name in ("/tmp/plain.py", "/tmp/snow\u2603\U0001f40d.py"):
        exec(compile("\n\n\ndef made(x):\n\n    return [x,\n\n      x]\n", name, "exec"), namespace)
        check_code(namespace["made"].__code__)
    check_code(Holder.method.__code__)
    check_code(Holder().method().__code__)
    check_code(sys._getframe().f_code)
    check_thread()
    deep(30, check_thread)
    for _ in generator(check_thread):
        pass
    worker = threading.Thread(target=deep, args=(5, check_thread))
    worker.start()
    worker.join()
    print("checks", checks)


main()
