"""Instances, classes, functions, frames, generators, exceptions, types."""
import abc
import builtins
import collections.abc
import enum
import functools
import sys
import types
import typing

VERSION = sys.version_info[:2]


class Plain:
    pass


class Many:
    def __init__(self, count):
        for i in range(count):
            setattr(self, "attribute%02d" % i, [i])


class Slotted:
    __slots__ = ("first", "second", "__private")

    def __init__(self):
        self.first, self.second = ["first"], {"second": 2}


class SlottedChild(Slotted):
    __slots__ = ("third", "__weakref__")

    def __init__(self):
        super().__init__()
        self.third = ("third",)


class SlotsAndDict(Slotted):
    def __init__(self):
        super().__init__()
        self.free = ["free"]


class DictSubclass(dict):
    pass


class ListSubclass(list):
    pass


class IntSubclass(int):
    pass


class FloatSubclass(float):
    pass


class TupleSubclass(tuple):
    pass


class TupleWithoutDict(tuple):
    __slots__ = ()


class SlottedDict(dict):
    __slots__ = ("slot",)


def _with(one, **attributes):
    for name, value in attributes.items():
        setattr(one, name, value)
    return one


def instances(add):
    add("object", object(), object(), object())
    add("instance_inline", _with(Plain(), x=[1], y="two"), _with(Plain(), x=[3]), _with(Plain(), y=[4], x=[5]))
    add("instance_empty", Plain())
    materialised = [_with(Plain(), x=[6], y=[7]), _with(Plain(), x=[8])]
    for one in materialised:
        one.__dict__["added"] = ["through the dict"]
        add.keep(one.__dict__)
    looked_at = _with(Plain(), x=[9], y=[10])
    add.keep(vars(looked_at))
    add("instance_materialised", *materialised, looked_at)
    released = _with(Plain(), x=[11])
    vars(released)
    add("instance_materialised_unheld", released)
    replaced = _with(Plain(), x=[12])
    replaced.__dict__ = {"other": ["dict"], 5: ["int key"]}
    add("instance_replaced_dict", replaced)
    deleted = _with(Plain(), x=[13], y=[14], z=[15])
    del deleted.y
    add("instance_deleted_attribute", deleted)
    add("instance_many_attributes", Many(29), Many(31), Many(60))
    add("instance_cyclic", _cycle(Plain(), Plain()), _cycle(Plain()))
    add("instance_slots", Slotted(), _without(Slotted(), "second"), Slotted())
    add("instance_inherited_slots", SlottedChild(), SlottedChild())
    add("instance_slots_and_dict", SlotsAndDict(), SlotsAndDict())
    add("instance_of_dict_subclass", _with(DictSubclass(a=[1]), note=["d"]), DictSubclass())
    add("instance_of_slotted_dict", _with(SlottedDict(a=[1]), slot=["s"]))
    add("instance_of_list_subclass", _with(ListSubclass([[1]]), note=["l"]), ListSubclass())
    add("instance_of_int_subclass", _with(IntSubclass(1001), note=["i"]), IntSubclass(10**40))
    add("instance_of_float_subclass", _with(FloatSubclass(1.5), note=["f"]))
    add("instance_of_tuple_subclass", _with(TupleSubclass(([1], [2])), note=["t"]), TupleSubclass())
    add("instance_of_tuple_without_dict", TupleWithoutDict(([1],)))
    add("namespace", types.SimpleNamespace(a=[1], b=[2]), types.SimpleNamespace())
    colour = enum.Enum("colour", "red green")
    add("enum_member", colour.red, colour.green)
    add("enum_class", colour)
    add("enum_flag", enum.Flag("rights", "read write").read)
    add("dict_split_instance", vars(_held(add, _with(Plain(), x=[16], y=[17]))))


def _held(add, one):
    add.keep(one)
    return one


def _without(one, name):
    delattr(one, name)
    return one


def _cycle(*members):
    for one, following in zip(members, members[1:] + members[:1]):
        one.following = following
    return members[0]


class Meta(type):
    """A metaclass with an attribute of its own."""

    def __new__(mcs, name, bases, namespace):
        cls = super().__new__(mcs, name, bases, namespace)
        cls.made_by = [name]
        return cls


class OfMeta(metaclass=Meta):
    attribute = ["of the class"]


class Abstract(abc.ABC):
    @abc.abstractmethod
    def needed(self):
        """To be written."""


class Concrete(Abstract):
    def needed(self):
        return 1


Abstract.register(list)


class Described:
    """Has one of each kind of descriptor."""

    values = {"class": ["attribute"]}

    def method(self):
        return [self]

    @classmethod
    def of_class(cls):
        return cls

    @staticmethod
    def static():
        return 1

    @property
    def computed(self):
        """Read, written and deleted."""
        return self.__dict__["_computed"]

    @computed.setter
    def computed(self, value):
        self.__dict__["_computed"] = value

    @computed.deleter
    def computed(self):
        del self.__dict__["_computed"]

    @functools.cached_property
    def cached(self):
        return ["computed once"]

    partial_method = functools.partialmethod(method, 1)


def classes(add):
    add("class", Plain, Described, type("Made", (Plain,), {"inner": ["made"]}))
    add("class_slots", Slotted, SlottedChild)
    add("metaclass", Meta)
    add("class_of_metaclass", OfMeta)
    add("abstract_class", Abstract, Concrete, collections.abc.Mapping)
    add("static_type", int, dict, type, object)
    for name in ("of_class", "static", "computed", "cached", "partial_method"):
        add("descriptor_" + name, Described.__dict__[name])
    add("property", property(), property(len, doc="with a doc"), property(lambda self: 1))
    add("classmethod", classmethod(len), classmethod(Plain))
    add("staticmethod", _with(staticmethod(len), note=["s"]) if VERSION >= (3, 10) else staticmethod(len))
    add("member_descriptor", Slotted.first, Slotted.second, types.FunctionType.__closure__)
    add("getset_descriptor", types.FunctionType.__code__, Plain.__dict__["__dict__"], int.real)
    add("wrapper_descriptor", int.__add__, object.__init__, dict.__getitem__)
    add("method_descriptor", str.upper, dict.get, list.append)
    add("classmethod_descriptor", dict.__dict__["fromkeys"], float.__dict__["fromhex"], bytes.__dict__["fromhex"])
    add("method_wrapper", (1001).__add__, {"a": 1}.__getitem__, [].__len__)
    one = Described()
    one.computed, _ = ["value"], one.cached
    add("instance_with_cached_property", one)
    add("method", one.method, Described.of_class, types.MethodType(print, [1]))
    add("builtin_function", len, sys.getsizeof, print)
    add("builtin_method", [1].append, {"a": 1}.get, "text".join)
    add("mappingproxy", types.MappingProxyType({"proxied": [1]}), Plain.__dict__, types.MappingProxyType(one.__dict__))
    add("super", super(SlottedChild, SlottedChild()), super(Meta, OfMeta), super(Meta))
    add("module", sys, types.ModuleType("made_module", "its doc"), types, abc)


def functions(add):
    def plain():
        """Does nothing."""

    def defaults(a, b=["default b"], c=("default c",), *, key=["kwdefault"], other=None):
        return a, b, c, key, other

    def annotated(a: int, b: "typing.Any" = 1) -> list:
        return [a, b]

    shared, counter = ["closed over"], 0

    def closure():
        nonlocal counter
        counter += 1
        return shared, never_set

    if counter:
        never_set = None
    attributed = _with(lambda x: x, note=["attribute"], other={"a": 1})
    add("function", plain, _module_function)
    add("function_defaults", defaults)
    add("function_annotations", annotated)
    add("function_closure", closure)
    add("function_attributes", attributed)
    add("lambda", lambda: [1], lambda a=[2]: a)
    add("cell", *closure.__closure__)
    add("cell_made", types.CellType(["content"]), types.CellType())
    add("code", plain.__code__, defaults.__code__, closure.__code__, _generator.__code__, _long_code())
    add("code_compiled", compile("a = [1, 2]\nb = {'x': (3, 4)}", "made.py", "exec"), compile("1 + x", "e", "eval"))
    if VERSION >= (3, 10):
        add("line_iterator", _begun(_long_code().co_lines()))
    if VERSION >= (3, 11):
        add("positions_iterator", _begun(_long_code().co_positions()))
    if VERSION >= (3, 12):
        namespace = {}
        exec("def generic[T: int](a: T, b=[1]) -> T:\n    return a\ntype Alias[K] = dict[K, int]", namespace)
        add("function_generic", namespace["generic"])
        add("type_alias", namespace["Alias"])


def _begun(iterator):
    next(iterator)
    return iterator


def _module_function(a, *, b=["kw"]):
    return a, b


def _long_code():
    lines = [f"v{i} = {i} * {10**i % 977 + 1000} + len('constant {i}')" for i in range(300)]
    return compile("\n".join(lines), "long.py", "exec")


def _generator(argument, unset=None):
    local, sent = ["local of the generator"], None
    del unset

    def inner():
        return shared

    shared = ["cell of the generator"]
    for item in argument:
        sent = yield item
    return local, inner, sent


def _delegating(argument):
    name = "delegating"
    yield from _generator(argument)
    return name


def _finally(argument):
    try:
        yield argument
    except KeyError:
        yield "handled"
    finally:
        argument = None


@types.coroutine
def _wait(value):
    got = yield value
    return got


async def _coroutine(argument):
    local = ["local of the coroutine"]
    await _wait(argument)
    return local


async def _outer(argument):
    inner = _coroutine(argument)
    return await inner


async def _async_generator(argument):
    local = ["local of the async generator"]
    for item in argument:
        await _wait("awaited")
        yield item
    del local


def _advanced(generator, *values):
    for value in (None, *values):
        generator.send(value)
    return generator


def generators(add):
    finished, handling = _generator([1]), _finally([2])
    list(finished)
    next(handling)
    handling.throw(KeyError("kept while handled"))
    add("generator_unstarted", _generator([[1]]), _delegating([[2]]), _finally([3]))
    add("generator_suspended", _advanced(_generator([[1], [2]])), _advanced(_generator([[3], [4]]), ["sent"]))
    add("generator_delegating", _advanced(_delegating([[5]])))
    add("generator_handling", handling)
    add("generator_finished", finished)
    add("generator_expression", _advanced(([x] for x in [1001, 1002])), (y for y in "abc"))
    add("coroutine_suspended", _advanced(_coroutine([1])), _advanced(_outer([2])))
    add("coroutine_unstarted", _coroutine([3]))
    closed = _coroutine([4])
    closed.close()
    add("coroutine_finished", closed)
    waiting = _coroutine([5])
    add("coroutine_wrapper", waiting.__await__())
    add("async_generator_unstarted", _async_generator([[1]]))
    begun = _async_generator([[2], [3]])
    step = begun.__anext__()
    step.send(None)
    add("async_generator_awaiting", begun)
    add("async_generator_asend", step, _async_generator([[4]]).asend(None))
    yielded = _async_generator([[5], [6]])
    _run_to_end(yielded.__anext__())
    add("async_generator_suspended", yielded)
    add("async_generator_athrow", yielded.athrow(KeyError("thrown")), _async_generator([[7]]).aclose())
    if VERSION >= (3, 10):
        add("anext_awaitable", builtins.anext(_async_generator([[8]]), ["default"]))
    done = _async_generator([])
    _run_to_end(done.__anext__())
    add("async_generator_finished", done)


def _run_to_end(awaitable):
    try:
        while True:
            awaitable.send(None)
    except (StopIteration, StopAsyncIteration):
        pass


def _frame(depth, keep):
    local = ["local of a kept frame", depth]

    def closing():
        return keep

    if depth:
        return _frame(depth - 1, keep)
    return sys._getframe(), local, closing


def _raised(error, depth=2):
    where = ["local of a frame in a traceback", depth]
    try:
        if depth:
            _raised(error, depth - 1)
        raise error
    except type(error) as caught:
        del where
        return caught


def _chained():
    try:
        try:
            raise KeyError("the cause")
        except KeyError as cause:
            raise ValueError("with a cause") from cause
    except ValueError as error:
        return error


def _contextual():
    try:
        try:
            raise KeyError("the context")
        except KeyError:
            raise IndexError("with a context")
    except IndexError as error:
        return error


class Failure(Exception):
    def __init__(self, *args, **attributes):
        super().__init__(*args)
        self.__dict__.update(attributes)


def exceptions(add):
    frame = _frame(2, ["kept"])[0]
    add("frame_kept", frame, frame.f_back)
    add("frame_locals", frame.f_locals)  # 3.13+: a proxy of the frame's variables
    caught = _raised(ValueError("raised", ["argument"]))
    add("exception_raised", caught)
    add("traceback", caught.__traceback__, caught.__traceback__.tb_next)
    add("frame_of_traceback", caught.__traceback__.tb_frame)
    add("exception", Exception(), KeyError("key"), RuntimeError(["argument"], {"second": 2}))
    add("exception_attributes", Failure("failed", code=[1]), _with(OSError(), note=["o"]))
    add("exception_cause", _chained())
    add("exception_context", _contextual())
    add("exception_os", OSError(2, "no file", "/no/such/file"), FileNotFoundError(2, "no", "a", None, "b"))
    add("exception_stop", StopIteration(["value"]), SystemExit(["code"]))
    add("exception_import", ImportError("failed", name="module_name", path="/a/path"))
    add("exception_syntax", SyntaxError("bad", ("file.py", 3, 7, "the text")))
    add("exception_unicode", *_unicode_errors())
    for wrong in (lambda: eval("undefined_name"), lambda: [].no_attribute):
        try:
            wrong()
        except (NameError, AttributeError) as error:
            add("exception_" + type(error).__name__, error)
    add("exception_plain", BaseException(), GeneratorExit(), StopAsyncIteration(["value"]), KeyboardInterrupt())
    add("exception_memory", MemoryError("made"), RecursionError("made"))
    if VERSION >= (3, 11):
        noted = ValueError("noted")
        noted.add_note("a note")
        add("exception_notes", noted)
        group = builtins.ExceptionGroup("several", [ValueError(1), noted])
        add("exception_group", group, builtins.BaseExceptionGroup("base", [KeyboardInterrupt()]))


def _unicode_errors():
    for fails in (lambda: "\u2603" * 3 + "x".encode().decode(), lambda: b"\xff\xfe bytes".decode("utf-8")):
        try:
            fails().encode("ascii")
        except UnicodeError as error:
            yield error
    yield UnicodeTranslateError("the text", 1, 2, "the reason")


def typing_types(add):
    parameter = typing.TypeVar("parameter", bound=int)
    add("TypeVar", parameter, typing.TypeVar("constrained", int, str))
    add("GenericAlias", list[int], dict[str, parameter], tuple[int, ...])
    add("typing_alias", typing.List[int], typing.Optional[str], typing.Callable[[int], str])
    add("ForwardRef", typing.ForwardRef("NotYet"))
    add("NewType", typing.NewType("UserId", int))
    add("Annotated", typing.Annotated[int, ["metadata"]])
    if VERSION >= (3, 10):
        signature = typing.ParamSpec("signature")
        add("UnionType", int | str, list[parameter] | None, int | None | dict)
        add("ParamSpec", signature)
        add("ParamSpecArgs", signature.args, signature.kwargs)
    if VERSION >= (3, 11):
        several = typing.TypeVarTuple("several")
        add("TypeVarTuple", several)
        add("GenericAlias_iterator", iter(tuple[int, ...]), iter(list[int]))
    if VERSION >= (3, 14):
        add("Template", *_templates())
    if VERSION >= (3, 15):
        _of_3_15(add)


def _templates():
    namespace = {"value": ["interpolated"], "width": 5}
    exec('made = t"static {value!r:>{width}} more {width} end"; plain = t"only text"', namespace)
    made, plain = namespace["made"], namespace["plain"]
    return made, plain, *made.interpolations, iter(made)


def _of_3_15(add):
    if hasattr(builtins, "sentinel"):
        add("sentinel", builtins.sentinel("MISSING"), builtins.sentinel("OTHER"))
    namespace = {"__name__": "lazy_namespace"}
    exec(compile("lazy import tabnanny\nlazy from pyclbr import Function", "lazy.py", "exec"), namespace)
    add("lazy_import", namespace)


def build(add):
    for part in (instances, classes, functions, generators, exceptions, typing_types):
        part(add)
