"""CPython's cache of types' attributes is full of names that nothing else keeps."""


class Thing:
    pass


def crowd(thing):
    for number in range(20_000):
        getattr(thing, f"name{number}", None)


def work():
    kept = bytes(100_000)
    more = bytearray(len(kept))
    return kept, more


def after(result):
    return None


def main():
    thing = Thing()
    after(work())  # up to 3.10 CPython keeps the frame of a function's first call
    print("ready", flush=True)
    while True:
        crowd(thing)
        bytes(250_000)
        after(work())


main()
