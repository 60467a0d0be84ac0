"""A Python program to be stopped at every instant: `stops N` runs four allocating threads, N rounds each, and prints a result
that depends on nothing else; `steps` calls from one new line after another, a SIGTRAP before and after each."""

import sys

LINES = 900


def steps():
    """Every line is a stack that the recorder has not seen: its tables of stacks, names and sites grow."""
    import signal

    keep = []
    source = ["def lines(mark, keep):"]
    for _ in range(LINES):
        source += [" mark(5)", " keep.append(bytes(600))", " mark(5)"]
    names = {}
    exec(compile("\n".join(source), "lines", "exec"), names)
    names["lines"](signal.raise_signal, keep)


def work(number, rounds, results):
    import hashlib

    kept, digest = {}, hashlib.sha256()
    value = number + 1
    for i in range(rounds):
        value = value * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
        key = value >> 40 & 255
        kind = value >> 33 & 7
        if kind < 3:
            kept[key] = [str(value), {"key": key, "value": (value, i)}]
        elif kind == 3:
            kept[key] = bytearray(value >> 50 & 16383)
        elif kind == 4:
            kept[key] = "".join(chr(97 + (value >> shift & 15)) for shift in range(0, 40, 4))
        elif isinstance(kept.get(key), bytearray):
            kept[key] += b"x" * (value >> 52)
        else:
            kept.pop(key, None)
        digest.update(repr((len(kept), key, len(kept.get(key, "")))).encode())
    results[number] = digest.hexdigest()


def stops(rounds):
    import threading

    results = {}
    threads = [threading.Thread(target=work, args=(number, rounds, results)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("-".join(results[number][:12] for number in range(4)))


if __name__ == "__main__":
    if sys.argv[1] == "steps":
        steps()
    else:
        sys.setswitchinterval(0.0005)
        stops(int(sys.argv[2]))
