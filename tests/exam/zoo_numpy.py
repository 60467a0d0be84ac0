"""Arrays in all their forms."""
import array
import tempfile

import numpy


class ArraySubclass(numpy.ndarray):
    pass


def build(add, know):
    plain = numpy.arange(100)
    view = plain[10:50]
    records = numpy.zeros(5, dtype=[("name", "U10"), ("value", "f8"), ("any", object)])
    records["any"] = [["in a record"], None, {"a": 1}, 1001, "text"]
    mapped = numpy.memmap(tempfile.TemporaryFile(), dtype="i4", mode="w+", shape=(50, 4))
    noted = plain.view(ArraySubclass)
    noted.note = ["attribute"]
    add("numpy_array", plain, numpy.linspace(0, 1, 7), numpy.array(["text", "more"]), numpy.array([]))
    know(add("numpy_view", view), "base", plain)
    know(add("numpy_slice_of_slice", view[::2][1:5]), "base", plain)
    know(add("numpy_reshaped", plain.reshape(20, 5)), "base", plain)
    know(add("numpy_transposed", plain.reshape(20, 5).T), "base", plain)
    objects = numpy.array([["a"], {"b": 1}, None, 1001], dtype=object)
    for index, element in enumerate(objects):
        know("numpy_objects", "[%d]" % index, element)
    add("numpy_objects", objects)
    grid = numpy.empty((3, 4), dtype=object)
    grid[1, 2] = ["in a grid"]
    add("numpy_object_grid", grid, grid[:, 2])
    add("numpy_structured", records)
    add("numpy_memmap", mapped, mapped[5:])
    add("numpy_zero_dimensions", numpy.array(1001), numpy.array(None, dtype=object))
    add("numpy_from_buffer", numpy.frombuffer(b"a buffer" * 10, dtype="u1"), numpy.asarray(memoryview(bytearray(50))))
    add("numpy_from_array", numpy.asarray(array.array("d", [1.5, 2.5])))
    add("numpy_big", numpy.ones(300_000), numpy.zeros((1000, 200), dtype="f4"))
    add("numpy_masked", numpy.ma.masked_array([1, 2, 3], mask=[0, 1, 0]))
    add("numpy_subclass_attribute", noted)
    add("numpy_matrix", numpy.matrix([[1, 2], [3, 4]]))
    add("numpy_scalar", numpy.float64(1.5), numpy.int8(5), numpy.str_("scalar"), numpy.datetime64("2020-01-02"))
    add("numpy_dtype", plain.dtype, records.dtype, numpy.dtype(("i4", (2, 3))))
    add("numpy_ufunc", numpy.add, numpy.frompyfunc(len, 1, 1))
    add("numpy_flags", plain.flags)
    add("numpy_flatiter", plain.flat)
    add("numpy_nditer", numpy.nditer(plain))
    add("numpy_broadcast", numpy.broadcast(plain, plain))
    add("numpy_random", numpy.random.default_rng(5), numpy.random.RandomState(5))
    add("numpy_poly", numpy.poly1d([1, 2, 3]))
    add("numpy_vectorize", numpy.vectorize(len))
