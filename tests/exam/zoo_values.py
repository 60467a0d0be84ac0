"""Numbers, text, buffers and containers in all their forms of storage."""
import array
import builtins
import collections
import gc
import itertools
import mmap
import os
import sys
import time

VERSION = sys.version_info[:2]


def numbers(add):
    add("int_one_digit", 12345, 1 << 29, 999_999_937)
    add("int_two_digits", 1 << 31, 10**15 + 37, (1 << 59) + 3)
    add("int_thirty_digits", 1 << 890, 3**570, 7**320)
    add("int_negative", -99_999, -(10**15) - 37, -(3**200))
    add("int_small", 0, 1, 256, -5)
    add("int_zero_made", int("0"))
    add("bool", True, False)
    add("float", 1.5, -2.25e300, float("inf"), float("nan"), -0.0, 1e-05, 1e16)
    add("complex", 1 + 2j, complex(-0.5, 3.25), complex(0, 7))
    add("none", None)
    add("ellipsis", Ellipsis)
    add("not_implemented", NotImplemented)


class TextSubclass(str):
    pass


class BytesSubclass(bytes):
    pass


class ByteArraySubclass(bytearray):
    pass


def text(add):
    add("str_ascii", "".join(["plain ", "ascii"]), "".join(["x"] * 700), "".join(["tab\t", "quote'"]))
    add("str_latin1", "caf\xe9 " * 2, "\xdcber" * 3, "\xa3" * 600)
    add("str_ucs2", "snow\u2603" * 2, "\u0416" * 5, "\u20ac" * 400)
    add("str_ucs4", "snake\U0001f40d" * 2, "\U0001f600" * 5, "\U00010000" * 300)
    cached = ["d\xe9j\xe0 vu" * 2, "\u4f60\u597d" * 3, "\U0001f40d!" * 3]
    for one in cached:
        type(one, (), {})  # a class's name is wanted as UTF-8, which the str keeps from then on
    add("str_with_utf8", *cached)
    add("str_interned", sys.intern("an interned one"), sys.intern("an_identifier_like_one"), sys.intern("zoo" * 5))
    add("str_empty", "")
    add("str_one_letter", "a", "\xe9")
    add("str_subclass", TextSubclass("of a subclass"), TextSubclass("caf\xe9 of it"), TextSubclass("\u2603 of it"))
    with_attribute = TextSubclass("with an attribute")
    with_attribute.note = ["of the str"]
    add("str_subclass_attribute", with_attribute)
    add("bytes", b"".join([b"some ", b"bytes"]), bytes(range(256)), bytes(3000))
    add("bytes_empty", b"")
    add("bytes_subclass", BytesSubclass(b"of a subclass"), BytesSubclass(b"2"), BytesSubclass(bytes(300)))
    grown, shifted = bytearray(b"grown"), bytearray(b"0123456789abcdef" * 40)
    grown += b" and grown"
    del shifted[:100]
    add("bytearray", bytearray(b"some bytes"), grown, bytearray(5000))
    add("bytearray_front_offset", shifted)
    add("bytearray_empty", bytearray())
    add("bytearray_subclass", ByteArraySubclass(b"of a subclass"))


def sequences(add):
    over_allocated = [object()]
    for _ in range(21):
        over_allocated.append(object())
    shrunk = list(range(1000, 1100))
    del shrunk[5:]
    cyclic = ["itself"]
    cyclic.append(cyclic)
    add("list", [1001, "two", [3.5]], [object(), object()], [None] * 3)
    add("list_empty", [], list(), [])
    add("list_over_allocated", over_allocated, shrunk)
    add("list_large", [[7], "of many"] * 50_000, [f"item {i}" for i in range(3000)])
    add("list_cyclic", cyclic)
    for length in range(22):
        add("tuple_of_%d" % length, tuple([object() for _ in range(length)]))
    add("tuple_large", tuple(range(5000, 7000)), tuple([str(i) for i in range(600)]))
    untracked = tuple([1009, "atom", 2.5]), tuple(["only", "atoms"])
    gc.collect()
    add("tuple_untracked", *untracked)
    add("tuple_tracked", ([1],), ([2], {3}))
    point = collections.namedtuple("point", "x y label")
    add("namedtuple", point(1, [2], "a"), point(object(), None, "b"), point("x", "y", "z"))
    add("namedtuple_class", point)
    add("structseq", os.stat("/"), time.gmtime(0), sys.version_info)
    add("range", range(3000, 90_000, 7), range(10**20, 10**21), range(0))
    add("slice", slice(1001, 2002, 3), slice([1], (2,)), slice(None))


def dictionaries(add):
    with_deleted = {f"key{i}": [i] for i in range(40)}
    for i in range(0, 40, 3):
        del with_deleted[f"key{i}"]
    add("dict_general", {(1, 2): "tuple", 3.5: "float", "s": "str"}, {None: 1, b"b": 2, frozenset([1]): [3]})
    add("dict_unicode", {"one": [1], "two": [2]}, {f"name {i}": str(i) for i in range(300)}, {"caf\xe9": ["\u2603"]})
    add("dict_int_keys", {1001: ["a"], -2002: ["b"], 10**30: ["c"]}, {i: str(i) for i in range(100)})
    add("dict_bool_none_keys", {True: [1], None: [2]})
    add("dict_empty", {}, dict())
    add("dict_deleted_entries", with_deleted)
    emptied = dict.fromkeys("abcdefghijkl", 1)
    emptied.clear()
    popped = {"a": [1]}
    popped.popitem()
    add("dict_emptied", emptied, popped)
    add("dict_huge", {i: None for i in range(70_000)}, {f"{i}": i for i in range(3000)})
    add("dict_string_table_turned_general", _turned_general())
    untracked = {"a": 1, "b": "c"}, {1: 2}
    gc.collect()
    add("dict_untracked", *untracked)
    viewed = {"viewed": [1], "as": [2]}
    add("dict_viewed", viewed)
    add("dict_keys", viewed.keys(), {}.keys())
    add("dict_values", viewed.values())
    add("dict_items", viewed.items())
    add("dict_keyiterator", _begun(iter(viewed)), iter(viewed))
    add("dict_valueiterator", _begun(iter(viewed.values())))
    add("dict_itemiterator", _begun(iter(viewed.items())))
    add("dict_reverse_iterators", *(_begun(reversed(x)) for x in (viewed, viewed.values(), viewed.items())))
    if VERSION >= (3, 15):
        frozen = builtins.frozendict
        add("frozendict", frozen(a=[1], b=[2]), frozen({(1,): "general"}), frozen())


def _turned_general():
    one = {"str": [1]}
    one[2] = [2]
    return one


def _begun(iterator):
    next(iterator, None)
    return iterator


def sets(add):
    with_deleted = set(map(str, range(30)))
    for i in range(0, 30, 4):
        with_deleted.discard(str(i))
    add("set_small", {1001, "two", (3,)}, set("abcd"))
    add("set_empty", set())
    add("set_large", set(range(1000, 6000)), {f"element {i}" for i in range(200)})
    add("set_deleted", with_deleted)
    add("frozenset_small", frozenset([1001, "two"]), frozenset("xyz"))
    add("frozenset_large", frozenset(range(3000, 4000)))
    add("frozenset_empty", frozenset())

    class SetSubclass(set):
        pass

    one = SetSubclass("pq")
    one.note = [1]
    add("set_subclass_attribute", one)


def collections_types(add):
    rotated = collections.deque(object() for _ in range(100))
    rotated.rotate(37)
    bounded = collections.deque(range(1000, 1100), maxlen=10)
    stretched = collections.deque([str(i) for i in range(64 * 3 + 20)])
    stretched.extendleft([["left"], ["lefter"]])
    shrunk = collections.deque(range(1000, 1300))
    for _ in range(250):
        shrunk.popleft()
    add("deque", collections.deque(["a", ["b"]]), bounded, stretched, rotated, shrunk)
    add("deque_empty", collections.deque(), collections.deque(maxlen=0))
    add("deque_iterator", _begun(iter(stretched)), _begun(reversed(stretched)))
    ordered = collections.OrderedDict((f"o{i}", [i]) for i in range(20))
    ordered.move_to_end("o3")
    del ordered["o5"]
    noted = collections.OrderedDict(a=1)
    noted.note = ["attribute"]
    general = collections.OrderedDict([((1,), [1]), (2, [2])])
    add("OrderedDict", ordered, general, collections.OrderedDict())
    add("OrderedDict_attribute", noted)
    add("odict_views", ordered.keys(), ordered.values(), ordered.items())
    add("odict_iterator", _begun(iter(ordered)), _begun(reversed(ordered.items())))
    by_default = collections.defaultdict(list, a=[1])
    by_default["made"].append(2)
    add("defaultdict", by_default, collections.defaultdict(), collections.defaultdict(lambda: [3], {5: [6]}))
    add("Counter", collections.Counter("mississippi"), collections.Counter())
    add("ChainMap", collections.ChainMap({"a": [1]}, {"b": [2]}))
    add("UserDict", collections.UserDict(a=[1]), collections.UserList([[1]]), collections.UserString("user"))


def buffers(add):
    typed = array.array("d", [1.5, 2.5, 3.5] * 50)
    letters = array.array("u" if VERSION < (3, 13) else "w", "text")
    add("array", array.array("i", range(100)), typed, array.array("b"), letters)
    add("array_iterator", _begun(iter(typed)))
    data, changeable = bytes(range(200)), bytearray(range(200))
    add("memoryview_bytes", memoryview(data))
    add("memoryview_bytearray", memoryview(changeable))
    add("memoryview_array", memoryview(typed))
    add("memoryview_cast", memoryview(changeable).cast("I"), memoryview(changeable).cast("B", [10, 20]))
    add("memoryview_sliced", memoryview(data)[10:20], memoryview(changeable)[::3])
    released = memoryview(data)
    released.release()
    add("memoryview_released", released)
    mapped = mmap.mmap(-1, 3 * mmap.PAGESIZE)
    add("mmap", mapped, mmap.mmap(-1, 100))
    add("memoryview_mmap", memoryview(mapped))
    if VERSION >= (3, 10):
        add("memoryview_iterator", _begun(iter(memoryview(data))))
    add("object_larger_than_512_bytes", tuple([str(i) for i in range(90)]), "y" * 1000, 1 << 9000)


class Sequence:
    """Iterated by __getitem__."""

    def __getitem__(self, index):
        return [index]


def iterators(add):
    items, pair, word, data = [[1], [2], [3]], ([1], [2]), "w\xf6rd", b"bytes"
    for name, over in (("list", items), ("tuple", pair), ("str", word), ("str_ascii", "ascii"), ("bytes", data)):
        add(name + "_iterator", iter(over), _begun(iter(over)))
    exhausted = iter(items)
    list(exhausted)
    add("list_iterator_exhausted", exhausted)
    add("bytearray_iterator", iter(bytearray(b"abc")))
    add("range_iterator", _begun(iter(range(1000, 3000))), iter(range(5)))
    add("longrange_iterator", _begun(iter(range(10**20, 10**21, 3))))
    add("set_iterator", _begun(iter({"only one"})), iter({1001, 1002}))
    add("list_reverseiterator", _begun(reversed(items)))
    add("reversed", reversed(pair), _begun(reversed(pair)), reversed(range(3)))
    add("sequence_iterator", _begun(iter(Sequence())))
    add("callable_iterator", iter(items.pop, object()), iter(list, 5))
    add("enumerate", enumerate(items), _begun(enumerate(items)), _begun(enumerate(items, 10**30)))
    add("zip", _begun(zip(items, pair)), zip())
    add("map", map(str, items), _begun(map(lambda a, b: (a, b), items, pair)))
    add("filter", filter(None, items), filter(str.isdigit, ["a", "1"]))
    _itertools(add, items, pair)


def _itertools(add, items, pair):
    add("itertools_count", itertools.count(), itertools.count(10**30, 7), itertools.count(1.5, 0.5))
    add("itertools_cycle", _begun(itertools.cycle([[1], [2]])), itertools.cycle(pair))
    add("itertools_repeat", itertools.repeat([1]), itertools.repeat("x", 5))
    add("itertools_accumulate", _begun(itertools.accumulate([1001, 2002, 3003])))
    add("itertools_chain", _begun(itertools.chain(items, pair)), itertools.chain.from_iterable([pair]))
    add("itertools_compress", _begun(itertools.compress(items, [1, 0, 1])))
    add("itertools_dropwhile", _begun(itertools.dropwhile(lambda x: False, items)))
    add("itertools_takewhile", _begun(itertools.takewhile(lambda x: True, items)))
    add("itertools_filterfalse", _begun(itertools.filterfalse(lambda x: False, items)))
    grouped = itertools.groupby(items, key=len)
    _, group = next(grouped)
    add("itertools_groupby", grouped)
    add("itertools_grouper", group)
    add("itertools_islice", _begun(itertools.islice(items, 2)), itertools.islice(items, 1, None, 2))
    add("itertools_starmap", _begun(itertools.starmap(pow, [(2, 50), (3, 40)])))
    left, right = itertools.tee(iter([[i] for i in range(130)]))
    for _ in range(70):
        next(left)
    next(right)
    add("itertools_tee", left, right)
    add("itertools_zip_longest", _begun(itertools.zip_longest(items, pair, fillvalue=["fill"])))
    add("itertools_product", _begun(itertools.product(items, pair)), itertools.product("ab", repeat=3))
    add("itertools_permutations", _begun(itertools.permutations(items, 2)))
    add("itertools_combinations", _begun(itertools.combinations(items, 2)))
    add("itertools_combinations_repeated", _begun(itertools.combinations_with_replacement(items, 2)))
    if VERSION >= (3, 10):
        add("itertools_pairwise", _begun(itertools.pairwise(items)))
    if VERSION >= (3, 12):
        add("itertools_batched", _begun(itertools.batched(items, 2)))


def build(add):
    for part in (numbers, text, sequences, dictionaries, sets, collections_types, buffers, iterators):
        part(add)
