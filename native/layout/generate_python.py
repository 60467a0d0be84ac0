#!/usr/bin/env python3
"""generate_python.py OFFSETS.json DIRECTORY

Writes what the heap reader knows of CPython's memory into DIRECTORY: python_fields.h, an enumeration of every measured structure
member and constant, python_names.c with their names, and one python_3_N.c a minor version with their values: those of
its first release, then, release by release and variant by variant, only what changed (python_layout.h tells how they are
read).
"""
import json
import pathlib
import re
import sys

from generate import FIRST_MINOR, LAST_MINOR, LayoutError, overlays_of, resolve, version_key

HEADER = "/* Made by native/layout/generate_python.py from native/layout/offsets.json: do not edit. */\n"
# Debian's change of 3.13 is not among them: the reader finds the generations by a pointer that leads to them.
VARIANTS = {"py_debug": "MT_PYTHON_DEBUG", "jit": "MT_PYTHON_JIT"}


def field_name(struct, field):
    """PyDictObject, dk_indices[] -> PyDictObject__dk_indices_stride: `[]` alone is the stride, `[].` a member of each."""
    if field == ".size":
        return f"{struct}__sizeof"
    field = re.sub(r"\[\]$", "_stride", field).replace("[].", "_each_").replace(".", "_")
    return f"{struct}__{field}"


def full_name(struct, field):
    """As messages and the search in debug information have it; a struct may have a member called `size`."""
    return f"sizeof({struct})" if field == ".size" else f"{struct}.{field}"


def values_of(structs, consts):
    """{name: number} of a resolved layout: offsets, sizes, strides, constants."""
    values = {}
    for struct, fields in structs.items():
        for field, value in fields.items():
            number = value if isinstance(value, int) else value[1] if value[0] == "stride" else value[0]
            if values.setdefault(field_name(struct, field), number) != number:
                raise LayoutError(f"{struct}.{field}: two fields of one name")
    for name, value in consts.items():
        values[f"constant__{name}"] = value
    return values


def hexadecimal(version):
    major, minor, micro, level, serial = version_key(version)
    return f"0x{major:02x}{minor:02x}{micro:02x}{level:x}{serial:x}"


def difference(old, new):
    """What must be set to make `new` of `old`; -1: it is no more."""
    changed = {name: value for name, value in new.items() if old.get(name) != value}
    changed.update({name: -1 for name in old if name not in new})
    return changed


def pymalloc_constants(offsets, minor):
    """Those that no header has before 3.12: they stand in Objects/obmalloc.c itself."""
    known = offsets["pymalloc_constants"][f"3.{minor}" if minor < 11 else "3.11+"]
    return {name: value for name, value in known.items() if name.isupper()}


def revisions_of(offsets, minor):
    """(version, variant, {name: number}) in the order in which they are applied."""
    layout = offsets["layouts"][f"3.{minor}"]
    before = {}
    for version in [layout["base_version"]] + [patch["from"] for patch in layout["patches"]]:
        structs, consts = resolve(layout, version)
        values = values_of(structs, {**pymalloc_constants(offsets, minor), **consts})
        changed = difference(before, values)
        if changed:
            yield version, "0", changed
        before = values
    for name, overlay in sorted(offsets["overlays"].items()):
        if name not in VARIANTS:
            continue
        for version in sorted((v for v in overlay["versions"] if version_key(v)[:2] == (3, minor)), key=version_key):
            structs, consts = resolve(layout, version)
            replaced = dict(overlays_of(offsets, version, False))[name]
            changed = difference(values_of(structs, consts), values_of({**structs, **replaced}, consts))
            if changed:
                yield version, VARIANTS[name], changed


def releases_of(offsets, minor):
    """The measured ones, in order."""
    of_minor = [v for v, known in offsets["versions"].items() if "gil" in known and version_key(v)[:2] == (3, minor)]
    return sorted(of_minor, key=version_key)


def render_fields(names):
    out = [HEADER, "#ifndef MEMTRACE_PYTHON_FIELDS_H", "#define MEMTRACE_PYTHON_FIELDS_H", "", "enum mt_python_field {"]
    out += [f"    MT_FIELD_{name}," for name in names]
    out += ["    MT_FIELD_COUNT", "};", "", "#endif"]
    return "\n".join(out) + "\n"


def render_minor(offsets, minor):
    out = [HEADER, '#include "layout/python_layout.h"', ""]
    revisions = list(revisions_of(offsets, minor))
    for number, (_, _, values) in enumerate(revisions):
        out.append(f"static const struct mt_python_value values_{number}[] = {{")
        out += [f"    {{MT_FIELD_{name}, {value}}}," for name, value in sorted(values.items())]
        out += ["};", ""]
    out.append("static const struct mt_python_revision revisions[] = {")
    for number, (version, variant, values) in enumerate(revisions):
        out.append(f"    {{{hexadecimal(version)}, {variant}, values_{number}, {len(values)}}}, /* {version} */")
    out += ["};", "", "static const uint32_t releases[] = {"]
    out += [f"    {hexadecimal(version)}, /* {version} */" for version in releases_of(offsets, minor)]
    out += ["};", "", f"const struct mt_python_minor mt_python_3_{minor} = {{"]
    out += [f"    .minor = {minor},", "    .revisions = revisions,"]
    out += ["    .revision_count = sizeof revisions / sizeof revisions[0],", "    .releases = releases,"]
    out += ["    .release_count = sizeof releases / sizeof releases[0],", "};"]
    return "\n".join(out) + "\n"


def render_names(names):
    out = [HEADER, '#include "layout/python_layout.h"', "", "const char *const mt_python_field_names[] = {"]
    out += [f'    [MT_FIELD_{name}] = "{full}",' for name, full in names.items()]
    return "\n".join(out + ["};"]) + "\n"


def names_of(offsets):
    """{enumerator: CPython's name} of everything in any version, in order."""
    layouts = [offsets["layouts"][f"3.{minor}"] for minor in range(FIRST_MINOR, LAST_MINOR + 1)]
    known = [known for layout in layouts for known in [layout, *layout["patches"]]]
    known += [{"structs": structs} for name in VARIANTS for structs in offsets["overlays"][name]["versions"].values()]
    names = {}
    for part in known:
        for struct, fields in part.get("structs", {}).items():
            names.update({field_name(struct, f): full_name(struct, f) for f in fields})
        names.update({f"constant__{name}": name for name in part.get("consts", {})})
    for minor in range(FIRST_MINOR, LAST_MINOR + 1):
        names.update({f"constant__{name}": name for name in pymalloc_constants(offsets, minor)})
    return dict(sorted(names.items()))


def write(path, text):
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def main(arguments):
    if len(arguments) != 3:
        sys.exit("usage: generate_python.py OFFSETS.json DIRECTORY")
    directory = pathlib.Path(arguments[2])
    try:
        offsets = json.loads(pathlib.Path(arguments[1]).read_text())
        directory.mkdir(parents=True, exist_ok=True)
        names = names_of(offsets)
        write(directory / "python_fields.h", render_fields(names))
        write(directory / "python_names.c", render_names(names))
        for minor in range(FIRST_MINOR, LAST_MINOR + 1):
            write(directory / f"python_3_{minor}.c", render_minor(offsets, minor))
    except (OSError, ValueError, LayoutError) as error:
        sys.exit(f"generate_python.py: {arguments[1]}: {error}")


if __name__ == "__main__":
    main(sys.argv)
