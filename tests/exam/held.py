"""One object for each way of being held, and who exactly holds it.

A record is (kind, id of the target, holders); a holder is a dict of
    holder    id of the object that has the reference; None: no object, but a running frame (`function`, `variable`)
    link      the reference's name in it (links.py); None: the grammar has no words for it
    kind      "exact", "weak" or "root"
    owner     where the holder is a helper: [id, link] of the object that a person would name
The target's reference count is the number of its holders that are not weak: truth.py's reader checks that.
"""
import collections
import contextvars
import functools
import gc
import itertools
import queue
import sqlite3
import sys
import threading
import types
import weakref
import xml.etree.ElementTree as ElementTree

VERSION = sys.version_info[:2]
FRAME_IS_IN_GENERATOR = VERSION >= (3, 11)


class Held:
    """The target. Callable, and a sequence, so that it can be put everywhere."""

    __slots__ = ("__weakref__",)

    def __call__(self, *_):
        return None

    def __getitem__(self, index):
        return index


class HeldBytes(bytes):
    pass


class HeldDict(dict):
    pass


class Holder:
    pass


class SlotHolder:
    __slots__ = ("slot",)


class ManyHolder:
    pass


class ListHolder(list):
    pass


class ExceptionHolder(Exception):
    pass


class Book:
    """Records without holding a target; `keep` holds the holders."""

    def __init__(self):
        self.records = []
        self.kept = []

    def add(self, kind, target, holder, link, **more):
        self.record(kind, target, [{"holder": id(holder), "link": link, "kind": "exact", **more}])
        self.kept.append(holder)

    def record(self, kind, target, holders):
        self.records.append((kind, id(target), holders))

    def keep(self, one):
        self.kept.append(one)
        return one


def _only_referrer(target, of_type=None):
    """The object of a type that the collector knows to refer to `target`."""
    found = [one for one in gc.get_referrers(target) if of_type is None or type(one).__name__ == of_type]
    assert len(found) == 1, (of_type, list(map(type, gc.get_referrers(target))))
    return found[0]


def _containers(book):
    target = Held()
    book.add("list item", target, [None, target, None], "[1]")
    target = Held()
    book.add("tuple item", target, (None, target), "[1]")
    target = Held()
    book.add("dict value", target, {"name": target}, "['name']")
    target = Held()
    book.add("dict value of an int key", target, {1001: target, "s": 1}, "[1001]")
    target = Held()
    book.add("dict key", target, {target: 1}, "key")
    target = Held()
    book.add("set element", target, {target, 1001}, "element")
    target = Held()
    book.add("frozenset element", target, frozenset([target]), "element")
    target = Held()
    large = set(range(1000, 1200))
    large.add(target)
    book.add("element of a large set", target, large, "element")
    target = Held()
    several = collections.deque(range(100))
    several.append(target)
    book.add("deque item", target, several, "[100]")
    target = Held()
    book.add("OrderedDict value", target, collections.OrderedDict(a=1, name=target), "['name']")
    target = Held()
    ordered = book.keep(collections.OrderedDict([(target, 1)]))
    by_table_and_node = [{"holder": id(ordered), "link": "key", "kind": "exact"}] * 2
    book.record("OrderedDict key", target, by_table_and_node)
    target = Held()
    book.add("defaultdict value", target, collections.defaultdict(list, name=target), "['name']")
    target = Held()
    book.add("defaultdict factory", target, collections.defaultdict(target), "default_factory")
    target = Held()
    twice = book.keep([target, target])
    places = [{"holder": id(twice), "link": "[%d]" % i, "kind": "exact"} for i in (0, 1)]
    book.record("twice in a list", target, places)


def _attribute(book, kind, one, target, **before):
    """Holds target by an attribute that is stored among an instance's own values, or (3.9, 3.10) in its dict."""
    for name, value in before.items():
        setattr(one, name, value)
    one.held = target
    referents = gc.get_referents(one)
    if any(referent is target for referent in referents):
        book.add(kind, target, one, ".held")
    else:
        _attribute_in_dict(book, kind, one, target)


def _attribute_in_dict(book, kind, one, target):
    attributes = book.keep(one.__dict__)
    book.add(kind, target, attributes, "['held']", owner=[id(one), ".held"])
    book.keep(one)


def _attributes(book):
    _attribute(book, "attribute", Holder(), Held(), first=1)
    target, one = Held(), Holder()
    one.held = target
    _attribute_in_dict(book, "attribute of a materialised dict", one, target)
    target, one = Held(), Holder()
    one.__dict__ = {"held": target, 5: 6}
    _attribute_in_dict(book, "attribute of a replaced dict", one, target)
    target, one = Held(), ManyHolder()
    for i in range(40):
        setattr(one, "attribute%d" % i, i)
    one.held = target
    _attribute_in_dict(book, "attribute of many", one, target)
    _attribute(book, "attribute of a list subclass", ListHolder(), Held())
    target, one = Held(), SlotHolder()
    one.slot = target
    book.add("slot", target, one, ".slot")
    target, one = Held(), ExceptionHolder()
    one.held = target
    _attribute_in_dict(book, "exception attribute", one, target)
    target = Held()
    raised = ExceptionHolder(1001, target)
    book.add("exception argument", target, raised.args, "[1]", owner=[id(raised), "args[1]"])
    book.keep(raised)
    target, module = Held(), types.ModuleType("holding_module")
    module.held = target
    _attribute_in_dict(book, "module global", module, target)
    target = Held()
    cls = type("HoldingClass", (), {"held": target})
    (namespace,) = gc.get_referents(cls.__dict__)
    book.add("class attribute", target, namespace, "['held']", owner=[id(cls), ".held"])
    book.keep(cls)
    target = Held()
    space = types.SimpleNamespace(held=target)
    _attribute_in_dict(book, "namespace attribute", space, target)


def _closure_over(held):
    def inner():
        return held

    return inner


def _default(target):
    def function(a, b=target):
        return a, b

    return function


def _keyword_default(target):
    def function(*, b=target):
        return b

    return function


def _functions(book):
    target = Held()
    function = book.keep(_closure_over(target))
    book.add("cell", target, function.__closure__[0], "ob_ref", owner=[id(function), "cell held"])
    target = Held()
    function = book.keep(_default(target))
    book.add("function default", target, function.__defaults__, "[0]", owner=[id(function), "default[0]"])
    target = Held()
    function = book.keep(_keyword_default(target))
    book.add("function kwdefault", target, function.__kwdefaults__, "['b']", owner=[id(function), "kwdefault b"])
    target = Held()
    book.add("method self", target, types.MethodType(len, target), "self")
    target = Held()
    book.add("method func", target, types.MethodType(target, 1001), "func")
    target = Held()
    book.add("property getter", target, property(target), "prop_get")
    target = Held()
    book.add("staticmethod", target, staticmethod(target), "sm_callable")
    target = Held()
    book.add("partial func", target, functools.partial(target, 1), "func")
    target = Held()
    partial = book.keep(functools.partial(print, 1001, target))
    book.add("partial argument", target, partial.args, "[1]", owner=[id(partial), "args[1]"])
    target = Held()
    partial = book.keep(functools.partial(print, name=target))
    book.add("partial keyword", target, partial.keywords, "['name']")


def _same(argument):
    return None


def _caches(book):
    for name, maxsize in (("unbounded", None), ("bounded", 5)):
        target, value = Held(), Held()
        by_key, by_value = (functools.lru_cache(maxsize)(f) for f in (_same, lambda number, made=[value]: made.pop()))
        del value
        by_key(target), by_value(1001)
        of_key, of_value = (_cache_dict(cache) for cache in (by_key, by_value))
        (key,) = of_key
        book.keep(by_key)
        book.add("lru_cache key, " + name, target, key, "[0]", owner=[id(by_key), "cache key"])
        held = of_value[1001]
        if maxsize is None:
            book.add("lru_cache value, " + name, held, of_value, "[1001]", owner=[id(by_value), "cache value"])
        else:
            value = by_value(1001)
            book.add("lru_cache value, " + name, value, held, "cache value", owner=[id(by_value), "cache value"])
            del value
        del held
        book.keep(by_value)


def _cache_dict(cache):
    (found,) = [one for one in gc.get_referents(cache) if type(one) is dict and one is not cache.__dict__]
    return found


def _generator(held):
    yield 1001
    return held


@types.coroutine
def _wait():
    yield


async def _coroutine(held):
    await _wait()
    return held


def _generators(book):
    for kind, make, frame_name in (
        ("generator local", _generator, "gi_frame"),
        ("coroutine local", _coroutine, "cr_frame"),
    ):
        target = Held()
        one = book.keep(make(target))
        one.send(None)
        holder = one if FRAME_IS_IN_GENERATOR else getattr(one, frame_name)
        book.add(kind, target, holder, "local held", owner=[id(one), "local held"])


def _others(book):
    target = Held()
    book.add("iterator", target, iter(target), "it_seq")
    target = Held()
    book.add("itertools.repeat", target, itertools.repeat(target), "element")
    target = HeldBytes(b"held bytes")
    view = book.keep(memoryview(target))
    book.add("memoryview", target, gc.get_referents(view)[0], "master.obj", owner=[id(view), "mbuf"])
    target = HeldDict()
    book.add("mappingproxy", target, types.MappingProxyType(target), "mapping")
    target = Held()
    book.add("slice", target, slice(None, target), "stop")
    target = Held()
    book.add("contextvar default", target, contextvars.ContextVar("held_default", default=target), "var_default")
    target, variable, context = Held(), contextvars.ContextVar("held_value"), contextvars.Context()
    book.keep(context.run(variable.set, target))
    book.add("context value", target, _only_referrer(target, "hamt_bitmap_node"), None, owner=[id(context), None])
    book.keep(context)
    target = book.keep([Held()])
    by_list = {"holder": id(target), "link": "[0]", "kind": "exact"}
    weak = book.keep(weakref.ref(target[0]))
    book.record("weakref", target[0], [by_list, {"holder": id(weak), "link": "wr_object", "kind": "weak"}])
    target = Held()
    referred = book.keep(Held())
    book.add("weakref callback", target, weakref.ref(referred, target), "wr_callback")


def _extensions(book):
    target = Held()
    connection = sqlite3.connect(":memory:")
    connection.row_factory = target
    book.add("sqlite3 row factory", target, connection, "row_factory")
    target = Held()
    element = ElementTree.Element("holding")
    element.text = target
    book.add("Element text", target, element, "text")
    parent, child = ElementTree.Element("parent"), ElementTree.Element("held")
    parent.append(child)
    book.add("Element child", child, parent, "children[0]")
    target = Held()
    parent = book.keep(ElementTree.Element("parent", {"name": target}))
    book.add("Element attribute", target, parent.attrib, "['name']", owner=[id(parent), "attrib"])
    target = Held()
    waiting = book.keep(queue.SimpleQueue())
    waiting.put(target)
    holder = waiting if VERSION >= (3, 13) else _only_referrer(target, "list")
    book.add("SimpleQueue", target, holder, None if VERSION >= (3, 13) else "[0]", owner=[id(waiting), None])


def _numpy(book):
    import numpy

    target, base = Held(), numpy.arange(1000)
    book.add("numpy object array", target, numpy.array([None, target, None], dtype=object), "[1]")
    book.add("numpy base", base, base[5:], "base")


def _variable(function):
    """Of a running frame, which until 3.10 is an object."""
    kind = "exact" if VERSION < (3, 11) else "root"
    return {"holder": None, "link": "local held", "kind": kind, "function": function, "variable": "held"}


def _thread(book, started):
    held = Held()
    book.record("local of another thread", held, [_variable("_thread")])
    lock = threading.Lock()
    lock.acquire()
    started.release()
    lock.acquire()
    return held


def build(book, with_numpy):
    for part in (_containers, _attributes, _functions, _caches, _generators, _others, _extensions):
        part(book)
    if with_numpy:
        _numpy(book)
    started = threading.Semaphore(0)
    threading.Thread(target=_thread, args=(book, started), daemon=True, name="holding").start()
    started.acquire()


def call_with_local(book, then):
    """Holds one by a variable while `then` runs."""
    held = Held()
    book.record("local of the main thread", held, [_variable("call_with_local")])
    then()
    return held
