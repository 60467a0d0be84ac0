#!/usr/bin/env python3
"""generate.py OFFSETS.json > frame_layout.c

Boils the measured structure layouts of CPython down to the few offsets that the recorder needs (frame_layout.h).  Every
patch release and every build variant that the data knows is resolved; a field that is not the same in all of them, is
absent, or has an unexpected width stops the build: the recorder picks its row by minor version alone.
"""
import json
import re
import sys

FIRST_MINOR, LAST_MINOR = 9, 15
RELEASE_LEVELS = {"a": 0xA, "b": 0xB, "rc": 0xC, "": 0xF}

POINTER, WORD, INT32, BYTE = 8, 8, 4, 1
STR_STATE_BITS = 32


class LayoutError(Exception):
    pass


def version_key(text):
    match = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)(a|b|rc|)(\d*)", text)
    if not match:
        raise LayoutError(f"cannot read version {text!r}")
    major, minor, micro, level, serial = match.groups()
    return int(major), int(minor), int(micro), RELEASE_LEVELS[level], int(serial or 0)


def resolve(layout, version):
    """The structs and constants of one patch release: the base, then every patch up to it, in order."""
    structs, consts = dict(layout["structs"]), dict(layout["consts"])
    for patch in layout["patches"]:
        if version_key(patch["from"]) > version_key(version):
            continue
        structs.update(patch.get("structs", {}))
        consts.update(patch.get("consts", {}))
        for name in patch.get("removed_structs", []):
            structs.pop(name, None)
        for name in patch.get("removed_consts", []):
            consts.pop(name, None)
    return structs, consts


def overlays_of(offsets, version, free_threaded):
    """(name, replaced structs) of every build variant known for this release."""
    for name, overlay in sorted(offsets["overlays"].items()):
        if "versions" in overlay:
            for of_version, structs in overlay["versions"].items():
                is_free_threaded = name.endswith("_free_threaded")
                if of_version == version and is_free_threaded == free_threaded:
                    yield name, structs
        elif not free_threaded:
            vendor = re.fullmatch(r"vendor_.*python(\d+\.\d+)", name)
            if not vendor:
                raise LayoutError(f"overlay {name}: neither versions nor a vendor's minor version")
            if version_key(version)[:2] == version_key(vendor.group(1) + ".0")[:2]:
                yield name, overlay["structs"]


class Structs:
    """Checked access to one resolved layout."""

    def __init__(self, structs, consts):
        self.structs, self.consts = structs, consts

    def has(self, struct, field):
        return field in self.structs.get(struct, {})

    def size_of(self, struct):
        return self._lookup(struct, ".size")

    def at(self, struct, field, width):
        value = self._lookup(struct, field)
        if not isinstance(value, list) or len(value) != 2 or value[1] != width:
            raise LayoutError(f"{struct}.{field}: {value} is not a plain field of {width} bytes")
        return value[0]

    def bits(self, struct, word, field, count):
        """First bit of a bit-field, counted from the start of the 32-bit word it belongs to."""
        value = self._lookup(struct, field)
        if not isinstance(value, list) or len(value) != 4 or value[3] != count:
            raise LayoutError(f"{struct}.{field}: {value} is not a bit-field of {count} bits")
        shift = (value[0] - self.at(struct, word, INT32)) * 8 + value[2]
        if not 0 <= shift <= STR_STATE_BITS - count:
            raise LayoutError(f"{struct}.{field}: bit {shift} is outside {struct}.{word}")
        return shift

    def _lookup(self, struct, field):
        try:
            return self.structs[struct][field]
        except KeyError:
            raise LayoutError(f"{struct}.{field} is missing") from None


def frame_fields(s, minor):
    if minor <= 10:
        return {
            "thread_frame": s.at("PyThreadState", "frame", POINTER),
            "cframe_current": -1,
            "frame_previous": s.at("PyFrameObject", "f_back", POINTER),
            "frame_code": s.at("PyFrameObject", "f_code", POINTER),
            "frame_instruction": s.at("PyFrameObject", "f_lasti", INT32),
            "instruction_size": INT32,
            "instruction_scale": 1 if minor == 9 else 2,
            "frame_owner": -1,
            "owner_shim": 255,
            "code_tag_mask": 0,
        }
    holds_cframe = s.has("PyThreadState", "cframe")
    plain_code = "f_code" if s.has("_PyInterpreterFrame", "f_code") else "f_executable"
    shim_names = ("FRAME_OWNED_BY_CSTACK", "FRAME_OWNED_BY_INTERPRETER")
    shim_owners = [s.consts[name] for name in shim_names if name in s.consts]
    return {
        "thread_frame": s.at("PyThreadState", "cframe" if holds_cframe else "current_frame", POINTER),
        "cframe_current": s.at("_PyCFrame", "current_frame", POINTER) if holds_cframe else -1,
        "frame_previous": s.at("_PyInterpreterFrame", "previous", POINTER),
        "frame_code": s.at("_PyInterpreterFrame", plain_code, POINTER),
        "frame_instruction": s.at("_PyInterpreterFrame", "prev_instr" if minor <= 12 else "instr_ptr", POINTER),
        "instruction_size": POINTER,
        "instruction_scale": 1,
        "frame_owner": s.at("_PyInterpreterFrame", "owner", BYTE),
        "owner_shim": min(shim_owners, default=255),
        "code_tag_mask": 3 if s.has("_PyInterpreterFrame", "f_executable.bits") else 0,
    }


def code_fields(s, minor):
    return {
        "code_filename": s.at("PyCodeObject", "co_filename", POINTER),
        "code_name": s.at("PyCodeObject", "co_name", POINTER),
        "code_qualname": s.at("PyCodeObject", "co_qualname", POINTER) if minor >= 11 else -1,
        "code_first_line": s.at("PyCodeObject", "co_firstlineno", INT32),
        "code_lines": s.at("PyCodeObject", "co_lnotab" if minor == 9 else "co_linetable", POINTER),
        "code_bytecode": (
            s.at("PyCodeObject", "co_code_adaptive", BYTE) if minor >= 11 else s.at("PyCodeObject", "co_code", POINTER)
        ),
    }


def object_fields(s):
    return {
        "object_type": s.at("PyObject", "ob_type", POINTER),
        "var_size": s.at("PyVarObject", "ob_size", WORD),
        "str_length": s.at("PyASCIIObject", "length", WORD),
        "str_hash": s.at("PyASCIIObject", "hash", WORD),
        "str_state": s.at("PyASCIIObject", "state", INT32),
        "str_ascii_data": s.size_of("PyASCIIObject"),
        "str_compact_data": s.size_of("PyCompactUnicodeObject"),
        "str_kind_shift": s.bits("PyASCIIObject", "state", "state.kind", 3),
        "str_compact_shift": s.bits("PyASCIIObject", "state", "state.compact", 1),
        "str_ascii_shift": s.bits("PyASCIIObject", "state", "state.ascii", 1),
        "bytes_data": s.at("PyBytesObject", "ob_sval", BYTE),
    }


def row_of(structs, consts, minor, free_threaded):
    s = Structs(structs, consts)
    lines = {9: "MT_LINES_LNOTAB", 10: "MT_LINES_PAIRS"}.get(minor, "MT_LINES_LOCATION")
    row = {"major": 3, "minor": minor, "free_threaded": int(free_threaded), "line_table": lines}
    row.update(frame_fields(s, minor))
    row["thread_id"] = s.at("PyThreadState", "thread_id", WORD)
    row.update(code_fields(s, minor))
    row.update(object_fields(s))
    check_ranges(row)
    return row


BYTE_FIELDS = (
    "major",
    "minor",
    "free_threaded",
    "instruction_size",
    "instruction_scale",
    "owner_shim",
    "code_tag_mask",
    "str_kind_shift",
    "str_compact_shift",
    "str_ascii_shift",
)
SIGNED_FIELDS = ("cframe_current", "frame_owner", "code_qualname")


def check_ranges(row):
    for name, value in row.items():
        if name == "line_table":
            continue
        low, high = (0, 0xFF) if name in BYTE_FIELDS else (-1, 0x7FFF) if name in SIGNED_FIELDS else (0, 0xFFFF)
        if not low <= value <= high:
            raise LayoutError(f"{name}: {value} does not fit its field")


def constant_row(offsets, minor, free_threaded):
    """The row of a minor version, proven equal over every release and build variant of it."""
    key = f"3.{minor}{'t' if free_threaded else ''}"
    layout = offsets["layouts"].get(key)
    if layout is None:
        raise LayoutError(f"{key}: no layout in the data")
    flavour = "ft" if free_threaded else "gil"

    def is_of_minor(version):
        return version_key(version)[:2] == (3, minor)

    releases = [version for version, known in offsets["versions"].items() if flavour in known and is_of_minor(version)]
    overlaid = {version for o in offsets["overlays"].values() for version in o.get("versions", {})}
    overlaid = set(filter(is_of_minor, overlaid))
    if not releases:
        raise LayoutError(f"{key}: no release in the data")
    first, first_name = None, None
    for version in sorted(set(releases) | overlaid, key=version_key):
        structs, consts = resolve(layout, version)
        variants = [("release", {})] + list(overlays_of(offsets, version, free_threaded))
        for variant, replaced in variants:
            name = f"{version}{'t' if free_threaded else ''} ({variant})"
            try:
                row = row_of({**structs, **replaced}, consts, minor, free_threaded)
            except LayoutError as error:
                raise LayoutError(f"{name}: {error}") from None
            if first is None:
                first, first_name = row, name
            for field, value in row.items():
                if value != first[field]:
                    raise LayoutError(
                        f"{field} is {first[field]} in {first_name} but {value} in {name}: "
                        "it cannot be keyed by the minor version alone"
                    )
    return first


def table(offsets):
    rows = [constant_row(offsets, minor, False) for minor in range(FIRST_MINOR, LAST_MINOR + 1)]
    rows += [constant_row(offsets, int(key[2:-1]), True) for key in offsets["layouts"] if key.endswith("t")]
    return sorted(rows, key=lambda row: (row["minor"], row["free_threaded"]))


def render(rows):
    out = ["/* Made by native/layout/generate.py from native/layout/offsets.json: do not edit. */", ""]
    out += ['#include "layout/frame_layout.h"', "", "const struct mt_frame_layout mt_frame_layouts[] = {"]
    for row in rows:
        out.append("    {")
        out += [f"        .{name} = {value}," for name, value in row.items()]
        out.append("    },")
    out += ["};", ""]
    out.append("const size_t mt_frame_layout_count = sizeof(mt_frame_layouts) / sizeof(mt_frame_layouts[0]);")
    return "\n".join(out) + "\n"


def main(arguments):
    if len(arguments) != 2:
        sys.exit("usage: generate.py OFFSETS.json > frame_layout.c")
    try:
        with open(arguments[1], encoding="utf-8") as source:
            text = render(table(json.load(source)))
    except (OSError, ValueError, LayoutError) as error:
        sys.exit(f"generate.py: {arguments[1]}: {error}")
    sys.stdout.write(text)


if __name__ == "__main__":
    main(sys.argv)
