"""What the standard library's C modules make: functools, contextvars, weakref, asyncio, io and the rest."""
import _thread
import ast
import asyncio
import bz2
import collections
import concurrent.futures
import contextlib
import contextvars
import csv
import ctypes
import datetime
import decimal
import fractions
import functools
import hashlib
import io
import json
import json.scanner
import logging
import lzma
import operator
import os
import pathlib
import pickle
import queue
import random
import re
import select
import socket
import sqlite3
import string
import struct
import symtable
import sys
import threading
import types
import uuid
import weakref
import xml.etree.ElementTree as ElementTree
import xml.parsers.expat
import zlib
import zoneinfo

VERSION = sys.version_info[:2]


class Referable:
    pass


def _kept(add, one):
    add.keep(one)
    return one


class Cached:
    @functools.lru_cache(maxsize=None)
    def unlimited(self, number):
        return [number]

    @functools.lru_cache(maxsize=3)
    def limited(self, number, other=None):
        return {number: other}


def functools_types(add):
    noted = functools.partial(print, 1, 2)
    noted.note = ["attribute"]
    add("partial", functools.partial(int), functools.partial(pow, [1], [2]), functools.partial(dict, a=[1], b=[2]))
    add("partial_attribute", noted)
    add("partial_nested", functools.partial(functools.partial(max, 1), 2))
    if VERSION >= (3, 14):
        hole = functools.Placeholder
        add("partial_placeholder", functools.partial(pow, hole, [2]), functools.partial(divmod, hole, hole, 3))
        add("placeholder", hole)
    add("partialmethod", functools.partialmethod(print, 1, a=[2]))
    caches = [functools.lru_cache(maxsize, typed)(_answer) for maxsize, typed in ((3, False), (None, True), (0, False))]
    for cache in caches:
        for argument in (1001, 1002, "text", (1, 2), 1003.5, 1003, "text"):
            cache(argument)
        cache(1001, key=["unhashable"][0])
    typed = functools.lru_cache(maxsize=100, typed=True)(_answer)
    typed(3), typed(3.0), typed(3, key="three")
    add("lru_cache_bounded", caches[0])
    add("lru_cache_unbounded", caches[1])
    add("lru_cache_off", caches[2])
    add("lru_cache_typed", typed)
    first, second = Cached(), Cached()
    for one in (first, second):
        for number in (1001, 1002, 1003, 1004):
            one.unlimited(number), one.limited(number, other="o"), one.limited(number)
    add("lru_cache_on_method", Cached.__dict__["unlimited"], Cached.__dict__["limited"])
    add("lru_cache_key_holder", first, second)
    add("lru_cache_of_3000", _filled(functools.lru_cache(maxsize=None)(_answer), 3000))
    dispatching = functools.singledispatch(_answer)
    dispatching.register(int, lambda argument: [argument])
    add("singledispatch", dispatching)
    add("cmp_to_key", functools.cmp_to_key(_compare)([1]), functools.cmp_to_key(_compare))


def _filled(cache, count):
    for number in range(count):
        cache(number)
    return cache


def _answer(argument, key=None):
    return [argument, key]


def _compare(left, right):
    return (left > right) - (left < right)


def context_types(add):
    variables = [contextvars.ContextVar(f"variable{i}", default=[i]) for i in range(3)]
    bare = contextvars.ContextVar("bare")
    context = contextvars.copy_context()
    tokens = context.run(lambda: [variable.set({"set": i}) for i, variable in enumerate(variables)])
    tokens.append(context.run(variables[0].set, ["set again"]))
    large = contextvars.Context()
    many = [contextvars.ContextVar(f"many{i}") for i in range(80)]
    large.run(lambda: [variable.set([i]) for i, variable in enumerate(many)])
    add("ContextVar", *variables, bare)
    add("Token", *tokens)
    add("Context", context, context.copy(), contextvars.Context())
    add("Context_large", large)
    add("Context_views", iter(large), large.keys(), large.values(), large.items())
    add("Token_missing", contextvars.Token.MISSING)


def weak_types(add):
    targets = [_kept(add, Referable()) for _ in range(6)]
    called = []
    add("weakref", weakref.ref(targets[0]), weakref.ref(targets[0], called.append), weakref.ref(targets[1]))
    dead = weakref.ref(Referable())
    add("weakref_dead", dead, weakref.ref(Referable(), called.append))
    add("weakproxy_holder", [weakref.proxy(targets[2]), weakref.proxy(targets[3], called.append)])
    add("weakcallableproxy_holder", [weakref.proxy(_kept(add, lambda: 1))])
    by_name = weakref.WeakValueDictionary(a=targets[0], b=targets[1])
    by_target = weakref.WeakKeyDictionary({targets[2]: ["value"], targets[3]: ["other"]})
    add("WeakValueDictionary", by_name)
    add("WeakKeyDictionary", by_target)
    add("WeakSet", weakref.WeakSet(targets))
    add("WeakMethod", weakref.WeakMethod(_bound(add)))
    add("finalize", weakref.finalize(targets[4], print, "finalized", [1]))
    add("KeyedRef", by_name.data["a"])


class Bound:
    def method(self):
        return self


def _bound(add):
    return _kept(add, Bound()).method


class Loop:
    """An event loop that has been run, with what is waiting in it."""

    def __init__(self, add):
        self.add = add
        self.loop = asyncio.new_event_loop()
        self.tasks = self.loop.run_until_complete(self.fill())

    async def fill(self):
        add, loop = self.add, self.loop
        lock, condition, event = asyncio.Lock(), asyncio.Condition(), asyncio.Event()
        semaphore, items, full = asyncio.Semaphore(0), asyncio.Queue(), asyncio.Queue(maxsize=1)
        await lock.acquire()
        full.put_nowait(["in a queue"])
        future = loop.create_future()
        future.add_done_callback(self.called)
        future.add_done_callback(self.called)
        done, failed, cancelled = loop.create_future(), loop.create_future(), loop.create_future()
        done.set_result(["result"])
        failed.set_exception(ValueError("of a future"))
        failed.exception()
        cancelled.cancel()
        waits = (lock.acquire(), event.wait(), semaphore.acquire(), items.get(), full.put(["x"]), asyncio.sleep(10**6))
        tasks = [loop.create_task(wait) for wait in waits]
        tasks.append(loop.create_task(self.await_future(future)))
        finished = loop.create_task(self.finish())
        gathered = asyncio.gather(*tasks)
        shielded = asyncio.shield(tasks[0])
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        add("asyncio_Future", future, done, failed, cancelled)
        add("asyncio_Future_iterator", future.__await__())
        add("asyncio_Task", *tasks)
        add("asyncio_Task_finished", finished)
        add("asyncio_gathered", gathered, shielded)
        add("asyncio_locks", lock, condition, event, semaphore, items, full)
        add("asyncio_timer", loop.call_later(10**6, print, "later"))
        return [*tasks, gathered, shielded]

    def called(self, future):
        return future

    async def await_future(self, future):
        local = ["local of a task"]
        await future
        return local

    async def finish(self):
        return ["result of a task"]


def asyncio_types(add):
    one = Loop(add)
    add("asyncio_loop", one.loop)
    add.keep(one)


def thread_types(add):
    held = threading.Lock()
    held.acquire()
    recursive = threading.RLock()
    recursive.acquire()
    recursive.acquire()
    add("Lock", threading.Lock(), held, _thread.allocate_lock())
    add("RLock", threading.RLock(), recursive)
    add("Event", threading.Event())
    add("Condition", threading.Condition())
    add("Semaphore", threading.Semaphore(3))
    add("Barrier", threading.Barrier(2))
    simple = queue.SimpleQueue()
    for i in range(20):
        simple.put(["in a simple queue", i])
    for _ in range(3):
        simple.get()
    add("SimpleQueue", simple, queue.SimpleQueue())
    ordinary = queue.Queue()
    ordinary.put(["in a queue"])
    add("Queue", ordinary)
    local = threading.local()
    local.of_main = ["of the main thread"]
    add("threading_local", local)
    add("concurrent_Future", concurrent.futures.Future())
    return local


class Stream(io.RawIOBase):
    def readable(self):
        return True

    def readinto(self, buffer):
        buffer[:4] = b"ab\nc"
        return 4


def io_types(add):
    raw = io.FileIO(os.devnull, "r+b")
    reader, writer = io.BufferedReader(Stream()), io.BufferedWriter(raw)
    reader.read(2)
    writer.write(b"x")
    text = io.TextIOWrapper(io.BytesIO(b"one\ntwo\nthr\xc3\xa9e\n"), encoding="utf-8", errors="strict")
    text.readline()
    written = io.StringIO()
    written.write("written")
    memory = io.BytesIO(b"initial bytes")
    memory.note = ["attribute"]
    memory.read(3)
    add("FileIO", raw)
    add("BufferedReader", reader)
    add("BufferedWriter", writer)
    add("BufferedRandom", io.BufferedRandom(io.FileIO(os.memfd_create("random"), "w+b")))
    add("BufferedRWPair", io.BufferedRWPair(Stream(), io.FileIO(os.devnull, "w")))
    add("TextIOWrapper", text, open(os.devnull))
    add("StringIO", written, io.StringIO("initial\ntext \u2603"))
    add("BytesIO", memory, io.BytesIO())
    add("BytesIO_buffer", memory.getbuffer())
    add("IncrementalNewlineDecoder", io.IncrementalNewlineDecoder(None, True))
    add("scandir", os.scandir("/"))
    add("DirEntry", *list(os.scandir("/"))[:2])
    add("pathlib", pathlib.PurePosixPath("/a/path"), pathlib.Path("relative"))


def number_types(add):
    add("Decimal", decimal.Decimal("1.5"), decimal.Decimal(10) ** 300 + 1, decimal.Decimal("NaN"))
    add("decimal_Context", decimal.Context(prec=50, traps=[decimal.Inexact]), decimal.getcontext())
    add("decimal_ContextManager", decimal.localcontext())
    add("decimal_SignalDict", decimal.Context().flags)
    add("Fraction", fractions.Fraction(1001, 1003))
    add("random_Random", random.Random(5), random.SystemRandom())
    add("date", datetime.date(2020, 1, 2), datetime.datetime(2020, 1, 2, 3, 4, 5), datetime.time(6, 7))
    zone = datetime.timezone(datetime.timedelta(hours=5), "zone name")
    aware = datetime.datetime(2020, 1, 2, tzinfo=zone)
    add("timedelta", datetime.timedelta(days=1001, seconds=5), aware - datetime.datetime(2019, 1, 1, tzinfo=zone))
    add("timezone", zone, datetime.timezone.utc)
    add("datetime_aware", aware, datetime.time(1, 2, tzinfo=zone))
    try:
        add("ZoneInfo", zoneinfo.ZoneInfo("Europe/Paris"))
    except zoneinfo.ZoneInfoNotFoundError:
        pass
    add("uuid", uuid.UUID(int=5))


class Row:
    def __init__(self, cursor, row):
        self.row = row


def sqlite_types(add):
    connection = sqlite3.connect(":memory:")
    connection.execute("create table animals (name, legs)")
    connection.executemany("insert into animals values (?, ?)", [("cat", 4), ("hen", 2), ("eel", 0)])
    connection.create_function("twice", 1, lambda x: 2 * x)
    cursor = connection.execute("select name, twice(legs) from animals")
    cursor.fetchone()
    rows = sqlite3.connect(":memory:")
    rows.row_factory = sqlite3.Row
    add("sqlite3_Connection", connection, rows)
    add("sqlite3_Cursor", cursor)
    add("sqlite3_Row", rows.execute("select 1001 as one, 'two' as two").fetchone())
    made = sqlite3.connect(":memory:")
    made.row_factory = Row
    add("sqlite3_row_factory", made)
    if VERSION >= (3, 11):
        connection.execute("create table blobs (content)")
        connection.execute("insert into blobs values (zeroblob(100))")
        add("sqlite3_Blob", connection.blobopen("blobs", "content", 1))


def xml_types(add):
    root = ElementTree.fromstring("<root a='1'><child b='2'>text<leaf/>tail</child><child/>" + "<x/>" * 10 + "</root>")
    walking = root.iter()
    next(walking)
    next(walking)
    bare = ElementTree.Element("bare")
    add("Element", root, root[0], bare)
    add("Element_iterator", walking)
    add("TreeBuilder", _fed(ElementTree.TreeBuilder()))
    add("XMLParser", ElementTree.XMLParser())
    expat = xml.parsers.expat.ParserCreate()
    expat.StartElementHandler = _answer
    expat.Parse("<begun a='1'>")
    add("expat_parser", expat)
    add("ElementTree", ElementTree.ElementTree(root))


def _fed(builder):
    builder.start("begun", {"a": "1"})
    builder.data("some data")
    return builder


def text_types(add):
    pattern = re.compile(r"(?P<word>\w+)\s(\d+)")
    match = pattern.match("word 1001 rest")
    add("re_Pattern", pattern, re.compile(rb"bytes"))
    add("re_Match", match, pattern.search("a 1"))
    add("re_Scanner", pattern.scanner("a 1 b 2"))
    add("re_finditer", re.finditer(r"\w", "abc"))
    add("json_scanner", json.scanner.make_scanner(json.JSONDecoder()))
    encoder = json.JSONEncoder()
    add("json_JSONEncoder", encoder)
    add("json_encoder", _c_encoder(encoder))
    add("csv_reader", csv.reader(["a,b", "c,d"]), csv.writer(io.StringIO()))
    add("csv_Dialect", csv.reader([], delimiter=";").dialect)
    add("struct_Struct", struct.Struct("<IHd10s"), struct.Struct("b"))
    add("struct_iterator", struct.iter_unpack("<I", bytes(40)))
    add("string_Template", string.Template("$a"), string.Formatter())
    add("formatteriterator", *_string_formatters())
    add("EncodingMap", _encoding_map())


def _string_formatters():
    import _string

    return _string.formatter_parser("{a} text {b!r:>5}"), _string.formatter_field_name_split("a.b[3]")[1]


def _encoding_map():
    import codecs

    return codecs.charmap_build("".join(map(chr, range(256))))


def _c_encoder(encoder):
    import _json

    encode = json.encoder.encode_basestring_ascii
    return _json.make_encoder({}, encoder.default, encode, None, ":", ",", False, False, True)


def system_types(add):
    left, right = socket.socketpair()
    poll, epoll = select.poll(), select.epoll()
    poll.register(left, select.POLLIN)
    epoll.register(left.fileno())
    add("socket", left, right)
    add("select_poll", poll)
    add("select_epoll", epoll)
    hashing = hashlib.sha256(b"hashed")
    add("hashlib", hashing, hashlib.md5(b"x" * 5000), hashlib.blake2b(b"b"), hashlib.sha3_256(b"c"))
    add("zlib", zlib.compressobj(), zlib.decompressobj())
    add("bz2", bz2.BZ2Compressor(1), bz2.BZ2Decompressor())
    add("lzma", lzma.LZMACompressor(preset=0), lzma.LZMADecompressor())
    dumped = io.BytesIO()
    pickler = pickle.Pickler(dumped)
    pickler.dump([["pickled"], {"a": 1}])
    unpickler = pickle.Unpickler(io.BytesIO(dumped.getvalue()))
    unpickler.load()
    add("Pickler", pickler)
    add("Pickler_memo", pickler.memo)
    add("Unpickler", unpickler)
    add("PickleBuffer", pickle.PickleBuffer(b"a buffer"))
    add("operator_attrgetter", operator.attrgetter("a.b", "c"), operator.attrgetter("single"))
    add("operator_itemgetter", operator.itemgetter([1][0], "key"), operator.itemgetter("single"))
    add("operator_methodcaller", operator.methodcaller("name", [1], key=[2]))
    add("logging_Logger", logging.getLogger("zoo"))
    add("capsule", socket.CAPI)


class Structure(ctypes.Structure):
    _fields_ = [("number", ctypes.c_int), ("pointer", ctypes.c_void_p), ("text", ctypes.c_char_p)]


class Nested(ctypes.Union):
    _fields_ = [("structure", Structure), ("number", ctypes.c_long)]


@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)
def _callback(number):
    return number


def ctypes_types(add):
    made = Structure(5, 6, b"kept alive")
    add("ctypes_simple", ctypes.c_int(1001), ctypes.c_char_p(b"pointed to"), ctypes.py_object(["held"]))
    add("ctypes_structure", made, Structure())
    add("ctypes_union", Nested())
    add("ctypes_array", (ctypes.c_int * 100)(*range(100)), (ctypes.c_char_p * 2)(b"a", b"b"))
    add("ctypes_pointer", ctypes.pointer(made), ctypes.byref(made))
    add("ctypes_function", _callback, ctypes.CDLL(None).getpid)
    add("ctypes_buffer", ctypes.create_string_buffer(2000))
    add("ctypes_class", Structure, ctypes.c_int * 7, ctypes.POINTER(Structure))
    add("ctypes_field", Structure.number)


@contextlib.contextmanager
def _managed():
    yield ["managed"]


def builtin_leftovers(add):
    """Types that a program meets by accident."""
    add("ellipsis_type", type(Ellipsis), type(None))
    add("ast", ast.parse("def f(a, *b):\n    return [a, b, 1001]"))
    add("symtable", symtable.symtable("def f(a):\n    return lambda: a", "made.py", "exec"))
    add("context_manager", _managed(), contextlib.ExitStack(), contextlib.suppress(KeyError))
    add("structseq_of_os", os.times(), os.uname(), os.terminal_size((80, 25)), os.sched_param(0))
    add("method_of_module", types.MethodType(len, "self"))
    add("simple_queue_of_deque", collections.deque([queue.SimpleQueue()]))
    add("hook_list", [sys.excepthook, sys.displayhook])
    add("stdio", sys.stdin, sys.stdout, sys.stderr)


def build(add):
    for part in (functools_types, context_types, weak_types, asyncio_types, thread_types, io_types, number_types):
        part(add)
    for part in (sqlite_types, xml_types, text_types, system_types, ctypes_types, builtin_leftovers):
        part(add)
