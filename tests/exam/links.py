"""What every kind of object refers to, and by which name: the specification of links, as a program.

`expected_links(obj)` looks at an object from inside, by what Python code can see of it, and says (link, id) for each of
its direct references:

    ['key'] [3]         value of a dict's str or int key         key             a key of a dict
    [2]                 item of a list, tuple, deque             element         element of a set
    .attr               attribute of an instance that has no materialised __dict__, or a slot
    .__dict__           an instance's materialised __dict__: its attributes are the dict's ['attr'] then
    local NAME          a plain variable of a frame, generator, coroutine; "local" also for arguments
    cell NAME           the cell object of a cell or free variable of these
    self func           of bound methods; self of builtin methods and method-wrappers; func of a partial and lru_cache
    cache key, cache value    of an element of a bounded lru_cache (functools._lru_list_elem)
    ob_type             the class, of an instance of a heap type
    all else            the name of the field in CPython's C source: func_defaults, tb_frame, it_seq ...

What stands behind a helper object is reached in two steps: a default value is `[0]` of the tuple that is the function's
`func_defaults`; a class attribute is `['name']` of the class's `tp_dict`. (An answer may fold two steps into one:
`default[0]`, `kwdefault NAME`, `args[0]`.)  References that Python code can't see at all are not listed.

To look may change the heap (a `__dict__` is materialised, a lazy field is filled): call it in a process that nobody
examines afterwards (truth.py forks one). Runs on CPython 3.9 to 3.15.
"""
import array
import asyncio
import builtins
import collections
import contextvars
import ctypes
import functools
import gc
import io
import itertools
import operator
import sqlite3
import sys
import types
import weakref
import xml.etree.ElementTree as ElementTree

VERSION = sys.version_info[:2]
OLDEST, NEWEST = (3, 9), (3, 99)
WEAK = {"wr_object"}  # does not keep the target alive

HEAP_TYPE = 1 << 9
LRU_CACHE = type(functools.lru_cache(1)(len))
PLAIN_KEYS = (str, int, float, bool, bytes, type(None))  # keys that every reader can repr

# type -> (link, attribute, first version, last version). A field that is NULL in C often reads as None or is made at
# the first look: of fields that the collector sees, only what it saw before the look is believed.
FIELDS = {
    types.FunctionType: [
        ("func_code", "__code__"),
        ("func_globals", "__globals__"),
        ("func_builtins", "__builtins__", (3, 10)),
        ("func_name", "__name__"),
        ("func_qualname", "__qualname__"),
        ("func_defaults", "__defaults__"),
        ("func_kwdefaults", "__kwdefaults__"),
        ("func_closure", "__closure__"),
        ("func_doc", "__doc__"),
        ("func_module", "__module__"),
        ("func_dict", "__dict__"),
        ("func_annotations", "__annotations__"),
        ("func_annotate", "__annotate__", (3, 14)),
        ("func_typeparams", "__type_params__", (3, 12)),
    ],
    types.MethodType: [("func", "__func__"), ("self", "__self__")],
    types.BuiltinMethodType: [("self", "__self__"), ("m_module", "__module__")],
    types.CellType: [("ob_ref", "cell_contents")],
    types.TracebackType: [("tb_next", "tb_next"), ("tb_frame", "tb_frame")],
    types.WrapperDescriptorType: [("d_type", "__objclass__")],
    types.MethodDescriptorType: [("d_type", "__objclass__")],
    types.ClassMethodDescriptorType: [("d_type", "__objclass__")],
    types.GetSetDescriptorType: [("d_type", "__objclass__")],
    types.MemberDescriptorType: [("d_type", "__objclass__")],
    property: [
        ("prop_get", "fget"),
        ("prop_set", "fset"),
        ("prop_del", "fdel"),
        ("prop_doc", "__doc__"),
        ("prop_name", "__name__", (3, 13)),
    ],
    classmethod: [("cm_callable", "__func__"), ("cm_dict", "__dict__")],
    staticmethod: [("sm_callable", "__func__"), ("sm_dict", "__dict__")],
    types.ModuleType: [("md_dict", "__dict__")],
    types.GeneratorType: [
        ("gi_frame", "gi_frame", OLDEST, (3, 10)),
        ("gi_code", "gi_code", OLDEST, (3, 11)),
        ("gi_name", "__name__"),
        ("gi_qualname", "__qualname__"),
    ],
    types.CoroutineType: [
        ("cr_frame", "cr_frame", OLDEST, (3, 10)),
        ("cr_code", "cr_code", OLDEST, (3, 11)),
        ("cr_name", "__name__"),
        ("cr_qualname", "__qualname__"),
        ("cr_origin", "cr_origin", OLDEST, (3, 10)),
        ("cr_origin_or_finalizer", "cr_origin", (3, 11)),
    ],
    types.AsyncGeneratorType: [
        ("ag_frame", "ag_frame", OLDEST, (3, 10)),
        ("ag_code", "ag_code", OLDEST, (3, 11)),
        ("ag_name", "__name__"),
        ("ag_qualname", "__qualname__"),
    ],
    types.FrameType: [
        ("f_back", "f_back"),
        ("f_trace", "f_trace"),
        ("f_code", "f_code", OLDEST, (3, 10)),
        ("f_globals", "f_globals", OLDEST, (3, 10)),
        ("f_builtins", "f_builtins", OLDEST, (3, 10)),
    ],
    types.SimpleNamespace: [("ns_dict", "__dict__")],
    types.GenericAlias: [("origin", "__origin__"), ("args", "__args__"), ("parameters", "__parameters__")],
    functools.partial: [("func", "func"), ("args", "args"), ("kw", "keywords"), ("dict", "__dict__")],
    LRU_CACHE: [("func", "__wrapped__"), ("dict", "__dict__")],
    collections.defaultdict: [("default_factory", "default_factory")],
    collections.OrderedDict: [("od_inst_dict", "__dict__")],
    slice: [("start", "start"), ("stop", "stop"), ("step", "step")],
    range: [("start", "start"), ("stop", "stop"), ("step", "step")],
    super: [("type", "__thisclass__"), ("obj", "__self__"), ("obj_type", "__self_class__")],
    weakref.ReferenceType: [("wr_callback", "__callback__")],
    asyncio.Future: [("fut_loop", "_loop"), ("fut_result", "_result"), ("fut_exception", "_exception")],
    asyncio.Task: [
        ("task_loop", "_loop"),
        ("task_result", "_result"),
        ("task_exception", "_exception"),
        ("task_coro", "_coro"),
        ("task_fut_waiter", "_fut_waiter"),
    ],
    io.BufferedReader: [("raw", "raw")],
    io.BufferedWriter: [("raw", "raw")],
    io.BufferedRandom: [("raw", "raw")],
    io.TextIOWrapper: [("buffer", "buffer"), ("encoding", "encoding"), ("errors", "errors")],
    io.FileIO: [("dict", "__dict__")],
    io.BytesIO: [("dict", "__dict__")],
    io.StringIO: [("dict", "__dict__")],
    sqlite3.Connection: [("row_factory", "row_factory"), ("text_factory", "text_factory")],
    sqlite3.Cursor: [("connection", "connection"), ("row_factory", "row_factory")],
    ctypes.Structure.__mro__[1]: [("b_objects", "_objects"), ("b_base", "_b_base_")],
    ElementTree.Element: [("tag", "tag"), ("text", "text"), ("tail", "tail"), ("attrib", "attrib")],
    BaseException: [
        ("args", "args"),
        ("notes", "__notes__", (3, 11)),
        ("traceback", "__traceback__"),
        ("context", "__context__"),
        ("cause", "__cause__"),
        ("dict", "__dict__"),
    ],
    StopIteration: [("value", "value")],
    SystemExit: [("code", "code")],
    OSError: [
        ("myerrno", "errno"),
        ("strerror", "strerror"),
        ("filename", "filename"),
        ("filename2", "filename2"),
    ],
    ImportError: [("msg", "msg"), ("name", "name"), ("path", "path"), ("name_from", "name_from", (3, 12))],
    NameError: [("name", "name", (3, 10))],
    AttributeError: [("obj", "obj", (3, 10)), ("name", "name", (3, 10))],
    SyntaxError: [
        ("msg", "msg"),
        ("filename", "filename"),
        ("lineno", "lineno"),
        ("offset", "offset"),
        ("end_lineno", "end_lineno", (3, 10)),
        ("end_offset", "end_offset", (3, 10)),
        ("text", "text"),
        ("print_file_and_line", "print_file_and_line"),
    ],
    UnicodeEncodeError: [("encoding", "encoding"), ("object", "object"), ("reason", "reason")],
    UnicodeDecodeError: [("encoding", "encoding"), ("object", "object"), ("reason", "reason")],
    UnicodeTranslateError: [("object", "object"), ("reason", "reason")],
}
if VERSION >= (3, 10):
    FIELDS[types.UnionType] = [("args", "__args__"), ("parameters", "__parameters__", OLDEST, (3, 13))]
if VERSION >= (3, 11):
    FIELDS[builtins.BaseExceptionGroup] = [("msg", "message"), ("excs", "exceptions", OLDEST, (3, 14))]
if VERSION >= (3, 14):
    import string.templatelib

    FIELDS[string.templatelib.Template] = [("strings", "strings"), ("interpolations", "interpolations")]
    FIELDS[string.templatelib.Interpolation] = [
        (name, name) for name in ("value", "expression", "conversion", "format_spec")
    ]

# The collector does not look into these: what Python reads is the field, always filled.
BLIND_FIELDS = {
    types.CodeType: [
        ("co_consts", "co_consts"),
        ("co_names", "co_names"),
        ("co_filename", "co_filename"),
        ("co_name", "co_name"),
        ("co_qualname", "co_qualname", (3, 11)),
        ("co_exceptiontable", "co_exceptiontable", (3, 11)),
        ("co_linetable", "co_linetable", (3, 10)),
        ("co_lnotab", "co_lnotab", OLDEST, (3, 9)),
        ("co_code", "co_code", OLDEST, (3, 10)),
        ("co_varnames", "co_varnames", OLDEST, (3, 10)),
        ("co_freevars", "co_freevars", OLDEST, (3, 10)),
        ("co_cellvars", "co_cellvars", OLDEST, (3, 10)),
    ],
    range: [("start", "start"), ("stop", "stop"), ("step", "step")],
    types.WrapperDescriptorType: [("d_name", "__name__")],
    types.MethodDescriptorType: [("d_name", "__name__")],
    types.ClassMethodDescriptorType: [("d_name", "__name__")],
    types.GetSetDescriptorType: [("d_name", "__name__")],
    types.MemberDescriptorType: [("d_name", "__name__")],
}
FRAME_OF = {types.GeneratorType: "gi_frame", types.CoroutineType: "cr_frame", types.AsyncGeneratorType: "ag_frame"}


def _rows(table, cls, version):
    for base in cls.__mro__:
        if base is asyncio.Future and issubclass(cls, asyncio.Task):
            continue  # the same fields, with other names
        for link, attribute, *span in table.get(base, ()):
            first, last = (span + [OLDEST, NEWEST][len(span) :]) if span else (OLDEST, NEWEST)
            if first <= version <= last:
                yield link, attribute


def _get(obj, attribute, missing):
    """An attribute as the C type has it, whatever Python classes above have in its place."""
    for base in type(obj).__mro__:
        if not base.__flags__ & HEAP_TYPE and attribute in base.__dict__:
            try:
                return base.__dict__[attribute].__get__(obj, type(obj))
            except (AttributeError, ValueError, TypeError):
                return missing
    try:
        return getattr(obj, attribute)
    except (AttributeError, ValueError, TypeError, NameError):
        return missing


def key_link(key):
    """The link of a dict's value; None: the grammar has no words for such a key."""
    return "[%r]" % (key,) if type(key) in PLAIN_KEYS else None


def _dict_links(obj):
    keys = list(dict.items(obj)) if isinstance(obj, dict) else list(obj.items())
    for key, value in keys:
        yield "key", id(key)
        yield key_link(key), id(value)


def _ordered_dict_links(obj):
    for key in dict.keys(obj):  # each node owns its key once more
        yield "key", id(key)


def _items_links(obj):
    for index, item in enumerate(_iterate(obj)):
        yield "[%d]" % index, id(item)


def _iterate(obj):
    for base in (tuple, list, collections.deque):
        if isinstance(obj, base):
            return base.__iter__(obj)
    raise TypeError(type(obj))


def _set_links(obj):
    for element in (set if isinstance(obj, set) else frozenset).__iter__(obj):
        yield "element", id(element)


def _slot_links(obj):
    for cls in type(obj).__mro__:
        if "__slots__" in cls.__dict__:
            for name, member in list(cls.__dict__.items()):
                if type(member) is types.MemberDescriptorType and member.__objclass__ is cls:
                    try:
                        yield "." + member.__name__, id(member.__get__(obj, cls))
                    except AttributeError:
                        pass  # not set


def _own_dict(obj):
    """The descriptor of an instance's __dict__ that a class statement brought in, or None. C types have one too, for a
    field of theirs; it has no such doc."""
    for cls in type(obj).__mro__:
        descriptor = cls.__dict__.get("__dict__")
        if cls.__flags__ & HEAP_TYPE and type(descriptor) is types.GetSetDescriptorType and descriptor.__doc__:
            return descriptor
    return None


def _attribute_links(obj, before):
    descriptor = _own_dict(obj)
    if descriptor is None or isinstance(obj, type):
        return
    attributes = descriptor.__get__(obj, type(obj))
    if id(attributes) in before:
        yield ".__dict__", id(attributes)
    else:  # we have just made it out of the instance's own values
        for name, value in attributes.items():
            yield "." + name, id(value)


def _type_links(obj, before):
    if not obj.__flags__ & HEAP_TYPE:
        return
    (namespace,) = gc.get_referents(obj.__dict__)
    yield "tp_dict", id(namespace)
    for link, attribute in (("tp_bases", "__bases__"), ("tp_base", "__base__"), ("tp_mro", "__mro__")):
        yield link, id(type.__dict__[attribute].__get__(obj))
    yield "ht_name", id(type.__dict__["__name__"].__get__(obj))
    yield "ht_qualname", id(type.__dict__["__qualname__"].__get__(obj))


def _frame_links(frame, before):
    """Variables that a frame holds. The value of a plain variable, the cell of the others."""
    code = frame.f_code
    cells = {id(cell): cell for cell in before.values() if type(cell) is types.CellType}
    values = frame.f_locals
    for name in code.co_varnames:
        if name in values and name not in code.co_cellvars:
            yield "local " + name, id(values[name])
    for name in code.co_cellvars + code.co_freevars:
        found = [
            address
            for address, cell in cells.items()
            if (name not in values and _is_empty(cell)) or (name in values and _holds(cell, values[name]))
        ]
        if len(found) == 1:
            yield "cell " + name, found[0]


def _is_empty(cell):
    try:
        cell.cell_contents
    except ValueError:
        return True
    return False


def _holds(cell, value):
    return not _is_empty(cell) and cell.cell_contents is value


def _generator_links(obj, before, version):
    if version >= (3, 11):
        kind = next(base for base in type(obj).__mro__ if base in FRAME_OF)
        frame = getattr(obj, FRAME_OF[kind])
        if frame is not None:
            yield from _frame_head_links(before, frame.f_code, version)
            yield from _frame_links(frame, before)


def _weak_links(obj):
    try:
        target = weakref.ReferenceType.__call__(obj) if isinstance(obj, weakref.ReferenceType) else None
    except TypeError:
        target = None
    if target is not None:
        yield "wr_object", id(target)


def _context_links(obj, before):
    for referent in before.values():
        yield ("ctx_prev" if type(referent) is contextvars.Context else "ctx_vars"), id(referent)


# Types whose fields Python can't read: the fields in the order in which tp_traverse visits them. Where one is NULL
# there are fewer referents than fields, and only those before the first "?" are certain.
VISITED = {
    type(iter([])): "it_seq",
    type(iter(())): "it_seq",
    type(iter("")): "it_seq",
    type(iter("\xe9")): "it_seq",
    type(iter(b"")): "it_seq",
    type(iter(bytearray())): "it_seq",
    type(reversed([])): "it_seq",
    type(iter(set())): "si_set",
    type(iter({})): "di_dict ?",
    type(iter({}.values())): "di_dict ?",
    type(iter({}.items())): "di_dict ? di_result",
    type(reversed({})): "di_dict ?",
    type(reversed({}.values())): "di_dict ?",
    type(reversed({}.items())): "di_dict ? di_result",
    type({}.keys()): "dv_dict",
    type({}.values()): "dv_dict",
    type({}.items()): "dv_dict",
    type(iter(collections.deque())): "deque",
    type(reversed(collections.deque())): "deque",
    type(iter(int, 1)): "it_callable it_sentinel",
    type(iter(array.array("b"))): "ao",
    enumerate: "en_sit en_result ?",
    reversed: "seq",
    zip: "ittuple result",
    map: "iters func",
    filter: "it func",
    itertools.cycle: "it saved",
    itertools.repeat: "element",
    itertools.compress: "data selectors",
    itertools.dropwhile: "it func",
    itertools.takewhile: "it func",
    itertools.filterfalse: "it func",
    itertools.starmap: "it func",
    itertools.islice: "it",
    itertools.zip_longest: "ittuple result fillvalue",
    itertools.product: "pools result",
    itertools.permutations: "pool result",
    itertools.combinations: "pool result",
    itertools.combinations_with_replacement: "pool result",
    itertools.groupby: "it keyfunc tgtkey currkey currvalue",
    types.MethodWrapperType: "descr self",
    types.MappingProxyType: "mapping",
    memoryview: "mbuf",
    contextvars.ContextVar: "var_name ? var_default",
    contextvars.Token: "tok_ctx tok_var ? tok_oldval",
    operator.attrgetter: "attr",
    operator.itemgetter: "item",
    sqlite3.Row: "data description",
}
VISITED_BY_NAME = {  # types that have no name that a program can write
    "managedbuffer": "master.obj",
    "iterator": "it_seq",
    "coroutine_wrapper": "cw_coroutine",
    "async_generator_asend": "ags_gen ? ags_sendval",
    "FutureIter": "future",
    "generic_alias_iterator": "obj",
    "_grouper": "parent tgtkey",
    "_tee": "dataobj",
    "KeyWrapper": "cmp ? object",
    "memory_iterator": "it_seq",
    "odict_keys": "dv_dict",
    "odict_values": "dv_dict",
    "odict_items": "dv_dict",
    "odict_iterator": "di_odict di_current ? di_result",
}


def _visited_links(obj):
    cls = type(obj)
    fields = VISITED.get(cls, "")
    if not fields and cls.__module__ in ("builtins", "itertools", "_asyncio", "functools"):
        fields = VISITED_BY_NAME.get(cls.__name__, "")
    certain, _, uncertain = fields.partition("?")
    referents = [referent for referent in gc.get_referents(obj) if referent is not cls]
    names = certain.split()
    if len(referents) == len(names) + len(uncertain.split()):
        names += uncertain.split()
    if len(names) <= len(referents):
        for name, referent in zip(names, referents):
            yield name, id(referent)


def _frame_head_links(before, code, version):
    """What a frame holds besides its variables: since 3.11 it is no object of its own."""
    yield ("f_executable" if version >= (3, 13) else "f_code"), id(code)
    for referent in before.values():
        if type(referent) is types.FunctionType and referent.__code__ is code:
            yield ("f_funcobj" if version >= (3, 12) else "f_func"), id(referent)


def _is_table_of_elements(one):
    return any(type(value).__name__ == "_lru_list_elem" for value in one.values())


def _lru_cache_links(obj, before):
    # The collector is shown the results of a bounded one as well, which may be dicts themselves.
    dicts = [one for one in before.values() if type(one) is dict and one is not obj.__dict__]
    if len(dicts) > 1:
        dicts = list(filter(_is_table_of_elements, dicts))
    for one in dicts:
        yield "cache", id(one)
    for referent in before.values():
        if isinstance(referent, type) and referent.__name__ == "CacheInfo":
            yield "cache_info_type", id(referent)
        elif isinstance(referent, type) and referent.__name__ == "_lru_list_elem":
            yield "lru_list_elem_type", id(referent)
        elif type(referent) is object:
            yield "kwd_mark", id(referent)


def _element_links(obj):
    for index, child in enumerate(obj):
        yield "children[%d]" % index, id(child)


def expected_links(obj, version=VERSION):
    """[(link, id)] of an object's direct references; a link is None where the grammar has no words. An id comes once
    for each reference. What `obj` holds weakly is in it too (link in WEAK)."""
    cls = type(obj)
    before = {id(referent): referent for referent in gc.get_referents(obj)}
    links = []
    nothing = object()
    for link, attribute in _rows(FIELDS, cls, version):
        value = _get(obj, attribute, nothing)
        if value is not None and id(value) in before:  # None: mostly a field that is NULL
            links.append((link, id(value)))
    for link, attribute in _rows(BLIND_FIELDS, cls, version):
        value = _get(obj, attribute, nothing)
        if value is not nothing and not any(link == known for known, _ in links):
            links.append((link, id(value)))
    if isinstance(obj, dict) or cls.__name__ == "frozendict":
        links += _dict_links(obj)
    if isinstance(obj, collections.OrderedDict):
        links += _ordered_dict_links(obj)
    if isinstance(obj, (list, tuple, collections.deque)):
        links += _items_links(obj)
    if isinstance(obj, (set, frozenset)):
        links += _set_links(obj)
    if isinstance(obj, type):
        links += _type_links(obj, before)
    if isinstance(obj, types.FrameType):
        links += _frame_links(obj, before)
        if version >= (3, 11) and id(obj.f_code) in before:
            links += _frame_head_links(before, obj.f_code, version)
    if isinstance(obj, (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)):
        links += _generator_links(obj, before, version)
    links += _visited_links(obj)
    if cls is LRU_CACHE:
        links += _lru_cache_links(obj, before)
    if isinstance(obj, ElementTree.Element):
        links += _element_links(obj)
    if isinstance(obj, weakref.ReferenceType):
        links += _weak_links(obj)
    if isinstance(obj, contextvars.Context):
        links += _context_links(obj, before)
    links += _slot_links(obj)
    links += _attribute_links(obj, before)
    if cls.__flags__ & HEAP_TYPE and id(cls) in before:
        links.append(("ob_type", id(cls)))
    return links
