"""Work in Python over a constant live set: bounded.py MODE AMOUNT OFFSETS

After half of the amount (the warm-up), and at the end, it prints the recorder's own memory. OFFSETS (JSON)
tells where the image's header has its fields.
"""
import ctypes
import json
import sys

MARK = 3  # enum mt_request


class Header:
    def __init__(self, offsets):
        self.address = ctypes.addressof(ctypes.c_char.in_dll(ctypes.CDLL(None), "memtrace_image"))
        self.offsets = offsets

    def word(self, name, kind=ctypes.c_uint32):
        return kind.from_address(self.address + self.offsets[name])

    def tell(self, when, done):
        numbers = {
            "recorder_bytes": self.word("recorder_bytes", ctypes.c_uint64).value,
            "dropped": sum(self.word("dropped", ctypes.c_uint64 * 8)),
            "generation": self.word("generation").value,
        }
        print(json.dumps({"when": when, "done": done, **numbers}), flush=True)


header = Header(json.loads(sys.argv[3]))


def work():
    return [[str(i)] for i in range(50)], bytes(1000)


def marks(amount):
    """A mark each, and a little work in between that leaves nothing behind."""
    kept = [work() for _ in range(20)]
    request = header.word("request")
    for done in range(amount):
        if done == amount // 2:
            header.tell("warm", done)
        request.value = MARK
        work()
        assert request.value == 0
    return kept


def run_function(name, file):
    space = {}
    exec(compile(f"def {name}(x):\n    return [x, bytes(1000)]\n", file, "exec"), space)
    return space[name](1)  # 1,000 bytes are malloc's at either level


def same_names(amount):
    """Functions that exec makes, one after another, all under one name."""
    for done in range(amount):
        if done == amount // 2:
            header.tell("warm", done)
        run_function("made", "made.py")


def own_names(amount):
    """The same, each in a file of its own."""
    for done in range(amount):
        if done == amount // 2:
            header.tell("warm", done)
        run_function("made", f"made-{done:06}.py")


mode, amount = sys.argv[1], int(sys.argv[2])
{"marks": marks, "same_names": same_names, "own_names": own_names}[mode](amount)
header.tell("end", amount)
