"""Which file a core is."""

ELF, TYPE, CORE = b"\x7fELF", slice(16, 18), b"\x04\x00"


def is_core(path):
    try:
        with open(path, "rb") as file:
            header = file.read(18)
    except OSError:
        return False
    return header.startswith(ELF) and header[TYPE] == CORE


def mapped_cores():
    """Cores that this lldb has mapped: it does so with those that it has opened."""
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        lines = [line.rstrip("\n").split(None, 5) for line in maps]
    return [path for path in {words[5] for words in lines if len(words) == 6} if path[0] == "/" and is_core(path)]


def core_path(process):
    """None: not known, or one of several."""
    if hasattr(process, "GetCoreFile"):  # by lldb 19
        return process.GetCoreFile().fullpath
    cores = mapped_cores()
    return cores[0] if len(cores) == 1 else None
