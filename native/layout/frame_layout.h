/* Where the recorder finds the Python frame chain: byte offsets inside CPython's structures, by minor version and
 * flavour.
 *
 * The table (build/generated/frame_layout.c) is made by native/layout/generate.py from native/layout/offsets.json; what
 * the numbers mean and how they were measured is said there. These fields keep their place inside a minor version
 * (checked by the generator over every patch release it knows), so the key is the minor alone. The recorder proves an
 * entry by a self-test at the first frame before it uses it. */
#ifndef MEMTRACE_FRAME_LAYOUT_H
#define MEMTRACE_FRAME_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "layout/line_table.h"

struct mt_frame_layout {
    uint8_t major, minor;
    uint8_t free_threaded; /* 1: listed so that it can be named; the recorder refuses it */
    uint8_t line_table;    /* enum mt_line_table */
    /* PyThreadState */
    uint16_t thread_frame; /* the frame root: current frame, or the cframe that holds it */
    int16_t
        cframe_current; /* 3.11, 3.12: offset of current_frame in *thread_frame; -1: thread_frame is the frame itself */
    uint16_t thread_id; /* pthread_self() of the owner */
    /* frame */
    uint16_t frame_previous;
    uint16_t frame_code; /* 3.14+: a tagged _PyStackRef: mask the low two bits */
    uint16_t frame_instruction;
    uint8_t instruction_size;  /* 8: an address inside the code; 4: f_lasti */
    uint8_t instruction_scale; /* for f_lasti: bytes per unit (3.9: 1, 3.10: 2); else 1 */
    int16_t frame_owner;       /* -1: none; a byte; >= owner_shim: a shim frame to skip */
    uint8_t owner_shim;        /* 3 from 3.12 on; 255: no shims */
    uint8_t code_tag_mask;     /* 3 from 3.14 on; else 0 */
    /* PyCodeObject */
    uint16_t code_filename;
    uint16_t code_name;
    int16_t code_qualname;    /* -1: none (before 3.11) */
    uint16_t code_first_line; /* int32 */
    uint16_t code_lines;      /* bytes object with the line table */
    uint16_t code_bytecode;   /* 3.11+: first instruction, inline; before: pointer to a bytes object */
    /* PyVarObject, str, bytes */
    uint16_t object_type;
    uint16_t var_size;
    uint16_t str_length, str_hash, str_state, str_ascii_data, str_compact_data;
    uint8_t str_kind_shift, str_compact_shift, str_ascii_shift; /* bits in the 32-bit state word; kind has 3 bits */
    uint16_t bytes_data;
};

extern const struct mt_frame_layout mt_frame_layouts[];
extern const size_t mt_frame_layout_count;

#endif
