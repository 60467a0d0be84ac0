"""What an interpreter says about its own heap, written down the moment before it stops to be examined from outside.

`stop(path)` forks a child that writes `path`, says "ready" and blocks for good. The child is an exact copy of the
process, with every object at its own address, so it may fill its memory with lists of what it saw while the process
that will be examined is left as it was: nothing of the measuring is ever in it. Lines of JSON:

    {"truth": 1, "pid", "version", "hex", "debug", "objects",       the first line; how many objects follow
     "interned": id}                                                the table of interned strings, where it is an object
    {"id", "type", "size", "refs", "tracked", "referents": [id]}    of every object that was found; "immortal": true has
                                                                    no "refs"; "size" null: not known
    {"zoo": name, "id", "repr", "links": [[link, id]]}              of the objects that were given; see links.py
    {"held": kind, "target", "holders": [..]}                       as given; see held.py
    {"unstable": [[id, refs, refs again]], "appeared", "vanished"}  the last line: a second child, forked later, against
                                                                    the first

Found is what gc.get_objects() lists, and everything that can be reached from there over gc.get_referents(), the keys of
dictionaries and the fields of code objects, which the collector does not look at.

What keeps the counts right:

- The fork is the C library's own, without os.fork()'s hooks, which reseed, replace locks and forget threads. It goes
  through _ctypes alone: the package ctypes would bring some hundred objects along.
- Before it has counted, the child looks up no attribute. Every lookup goes through the type cache, which owns the names
  in it: it would let go of one and hold another. So all functions come as arguments.
- The child counts at one level of its own call, and again one level deeper. The difference is what a call of this
  function adds to anybody's count (its function, code, globals, arguments) by whatever rule this version has, and is
  subtracted from the first count. What the loop adds (a place in the list, a variable, an argument) is measured on an
  object that nobody else knows, the last in the list.
- Counts go into a flat buffer: to keep them as objects would count small ints.
"""
import _ctypes
import collections
import functools
import gc
import io
import json
import os
import sys
import types

from links import expected_links

MOST_OBJECTS = 30_000_000
REPR_LENGTH = 200
MOST_LINKS = 500  # of one object; what has more shows the first
IMMORTAL = 1 << 29  # 3.12+: the sign bit of 32; before that static objects begin with 999,999,999
FRAMES_ARE_TRACKED = sys.version_info < (3, 11)  # a running call's frame is an object from its beginning
SETTLING_COLLECTIONS = 3  # untracks tuples and dicts, whose contents may be untracked by the one before

DICTIONARIES = (dict, collections.OrderedDict, collections.defaultdict, collections.Counter)
READ_CODE = [  # bound readers of the fields of a code object: to call one looks nothing up
    types.CodeType.__dict__[name].__get__
    for name in ("co_consts", "co_names", "co_filename", "co_name", "co_qualname", "co_linetable", "co_exceptiontable")
    if type(types.CodeType.__dict__.get(name)) is types.MemberDescriptorType
]


TOOLS = (sys.getrefcount, gc.get_objects, gc.get_referents, sys._getframe, memoryview.cast)


def _bare_fork():
    return functools.partial(_ctypes.call_function, _ctypes.dlsym(_ctypes.dlopen(None, 0), "fork"), ())


def _without(objects, unwanted):
    return [one for one in objects if one is not unwanted]


def _closure(found, get_referents, dictionary_types, read_keys, code_type, code_readers):
    """`found` and all that can be reached from it. Looks nothing up: see above."""
    seen = set(map(id, found))
    frontier = found
    while frontier and len(found) < MOST_OBJECTS:
        targets = get_referents(*frontier)
        targets += [key for one in frontier if id(type(one)) in dictionary_types for key in read_keys(one)]
        targets += [read(one) for one in frontier if type(one) is code_type for read in code_readers]
        fresh = {id(target): target for target in targets if id(target) not in seen}
        frontier = [fresh[address] for address in fresh]
        seen |= set(fresh)
        found = found + frontier
    return found


def _corrected(here, below):
    """What the objects' counts are without us. The last was known to nobody else."""
    own = here[-1]
    return [seen if seen >= IMMORTAL else seen - (deep - seen) - own for seen, deep in zip(here[:-1], below)]


def _examine(given, tools, closure_tools, objects, counts):
    """Of the child: [object], [its count]; deeper, with `objects`, only counts. What only one of the two levels has by
    a variable is made for us and untracked: even None would be counted wrongly. `given` is here to be the same at both.
    No comprehension may use our variables: until 3.11 that makes a cell, which would be there before get_objects()."""
    getrefcount, get_objects, get_referents, getframe, cast = tools
    here = counts
    if not objects:
        objects = get_objects()
        if FRAMES_ARE_TRACKED:
            objects = _without(objects, getframe())
        objects = _closure(objects, get_referents, *closure_tools)
        objects += [object()]  # nobody else knows it: what it shows is the measuring's own
        here = cast(memoryview(bytearray(8 * len(objects))), "q")
    for index, one in enumerate(objects):
        here[index] = getrefcount(one)
    del index, one
    if counts:
        return None
    below = cast(memoryview(bytearray(8 * len(objects))), "q")
    _examine(given, tools, closure_tools, objects, below)
    objects.pop()
    return objects, _corrected(here, below)


def _type_name(cls, names={}):
    name = names.get(id(cls))
    if name is None:
        module = type.__getattribute__(cls, "__module__")
        name = "%s.%s" % (module, type.__dict__["__qualname__"].__get__(cls))
        if not isinstance(module, str):  # a descriptor, for the instances
            name = type.__repr__(cls)[len("<class '") : -len("'>")]
        names[id(cls)] = name
    return name


def _size(one):
    """None where we change it ourselves: a BytesIO has its buffer counted while it is the only one to refer to it, and
    until 3.10 code that is run often gets a cache."""
    if isinstance(one, io.BytesIO) or type(one) is types.CodeType and one.co_filename == __file__:
        return None
    try:
        return sys.getsizeof(one)
    except Exception:  # a class's own __sizeof__, or an object that is not complete
        return None


def _repr(one):
    try:
        return repr(one)[:REPR_LENGTH]
    except Exception as error:
        return "<%s>" % type(error).__name__


def _interned(objects):
    """3.14+: the table of interned strings is tracked like any dict, but its references count for nothing."""
    for one in objects:
        if type(one) is dict and len(one) > 500 and all(key is value for key, value in one.items()):
            return id(one)
    return None


def _describe(write, objects, counts, facts, zoo, held, known_links, with_repr):
    build = {"pid": os.getppid(), "version": list(sys.version_info[:3]), "hex": sys.hexversion}
    build["debug"] = hasattr(sys, "gettotalrefcount")
    write({"truth": 1, **build, "objects": len(objects), "interned": _interned(objects)})
    for one, count, (targets, is_tracked, size) in zip(objects, counts, facts):
        line = {"id": id(one), "type": _type_name(type(one)), "size": size}
        line.update({"immortal": True} if count >= IMMORTAL else {"refs": count})
        write({**line, "tracked": is_tracked, "referents": targets})
    for name, one in zoo.items():
        line = {"zoo": name, "id": id(one), "type": _type_name(type(one))}
        line["links"] = expected_links(one)[:MOST_LINKS] + known_links.get(name, [])
        write({**line, "repr": _repr(one) if with_repr else None})  # after the links: what it computes may be kept
    for kind, target, holders in held:
        write({"held": kind, "target": target, "holders": holders})


def _write_all(path, objects, counts, *given):
    # These first: what follows may fill caches (the UTF-8 of a str, an instance's attributes made a dict, a codec).
    referents = [list(map(id, gc.get_referents(one))) for one in objects]
    facts = zip(referents, list(map(gc.is_tracked, objects)), list(map(_size, objects)))
    with open(path + ".tmp", "w", encoding="utf-8") as file:

        def write(line):
            file.write(json.dumps(line, separators=(",", ":")) + "\n")

        _describe(write, objects, counts, facts, *given)


def _compare(path, objects, counts):
    """The second child: what it sees otherwise than the first."""
    first = {}
    with open(path + ".tmp", encoding="utf-8") as file:
        for line in map(json.loads, file):
            if "size" in line:
                first[line["id"]] = line.get("refs", IMMORTAL)
    unstable = [
        [id(one), first[id(one)], count]
        for one, count in zip(objects, counts)
        if id(one) in first and min(count, IMMORTAL) != first[id(one)]
    ]
    here = set(map(id, objects))
    line = {"unstable": unstable, "appeared": sorted(here - set(first)), "vanished": sorted(set(first) - here)}
    with open(path + ".tmp", "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    os.rename(path + ".tmp", path)


def _child(is_second, path, given, *examined):
    """Never returns, whatever goes wrong: the parent's own work is not ours to go on with."""
    status = 1
    try:
        (_compare(path, *examined) if is_second else _write_all(path, *examined, *given))
        status = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)


def stop(path, zoo={}, held=(), known_links={}, with_repr=True, wait=True):
    """Writes the truth about this process and waits to be examined. `zoo`: {name: object} to be described by links;
    `held`: [(kind, id of the target, holders)]; `known_links`: {name: [(link, id)]}, more of the zoo's;
    `with_repr` off: of a tangle whose repr would never end. All other threads must be waiting for what won't happen."""
    tools, write, read, waitpid, leave = TOOLS, os.write, os.read, os.waitpid, os._exit
    closure_tools = (frozenset(map(id, DICTIONARIES)), dict.__iter__, types.CodeType, READ_CODE)
    given = (zoo, held, known_links, with_repr)
    fork = _bare_fork()
    for _ in range(SETTLING_COLLECTIONS):
        gc.collect()
    gc.disable()
    turn = 0
    while turn < 3:  # the first one warms everything up that a fork or its end may need, and writes nothing
        child = fork()
        if child == 0:
            examined = _examine(given, tools, closure_tools, bytearray(), bytearray())
            if turn == 0:
                leave(0)
            _child(turn == 2, path, given, *examined)
        if waitpid(child, 0)[1] != 0:
            raise SystemExit("the truth could not be written")
        child = 0  # as it was in the child that measured
        turn += 1
    if wait:
        write(1, b"ready\n")
        read(0, 1)
        leave(0)
