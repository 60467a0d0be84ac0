#include "python/debug_offsets.h"

/* _PyRuntimeState, the largest of them, has less than 500 kB. */
#define STATE_SIZE_MAX (16u << 20)

/* A member of _Py_DebugOffsets, the field that it tells, and the size of the structure that has it. */
struct pair {
    uint16_t own;
    uint16_t field;
    uint16_t size;
};

#define PAIR(member, structure, name)                                                                                  \
    { MT_FIELD__Py_DebugOffsets__##member, MT_FIELD_##structure##__##name, MT_FIELD_##structure##__sizeof }
/* Not there: what no layout keeps (code generations, thread-local bytecode, the debugger's own flags), and the members
 * of _gil, which are counted from the interpreter's beginning. */
static const struct pair pairs[] = {
    PAIR(runtime_state_size, _PyRuntimeState, sizeof),
    PAIR(runtime_state_finalizing, _PyRuntimeState, _finalizing),
    PAIR(runtime_state_interpreters_head, _PyRuntimeState, interpreters_head),
    PAIR(interpreter_state_size, PyInterpreterState, sizeof),
    PAIR(interpreter_state_id, PyInterpreterState, id),
    PAIR(interpreter_state_next, PyInterpreterState, next),
    PAIR(interpreter_state_threads_head, PyInterpreterState, threads_head),
    PAIR(interpreter_state_threads_main, PyInterpreterState, threads_main),
    PAIR(interpreter_state_gc, PyInterpreterState, gc),
    PAIR(interpreter_state_imports_modules, PyInterpreterState, imports_modules),
    PAIR(interpreter_state_sysdict, PyInterpreterState, sysdict),
    PAIR(interpreter_state_builtins, PyInterpreterState, builtins),
    PAIR(interpreter_state_ceval_gil, PyInterpreterState, ceval_gil),
    PAIR(interpreter_state_gil_runtime_state, PyInterpreterState, _gil),
    PAIR(thread_state_size, PyThreadState, sizeof),
    PAIR(thread_state_prev, PyThreadState, prev),
    PAIR(thread_state_next, PyThreadState, next),
    PAIR(thread_state_interp, PyThreadState, interp),
    PAIR(thread_state_current_frame, PyThreadState, current_frame),
    PAIR(thread_state_base_frame, PyThreadState, base_frame),
    PAIR(thread_state_last_profiled_frame, PyThreadState, last_profiled_frame),
    PAIR(thread_state_last_profiled_frame_seq, PyThreadState, last_profiled_frame_seq),
    PAIR(thread_state_thread_id, PyThreadState, thread_id),
    PAIR(thread_state_native_thread_id, PyThreadState, native_thread_id),
    PAIR(thread_state_datastack_chunk, PyThreadState, datastack_chunk),
    PAIR(thread_state_status, PyThreadState, _status),
    PAIR(thread_state_holds_gil, PyThreadState, holds_gil),
    PAIR(thread_state_gil_requested, PyThreadState, gil_requested),
    PAIR(thread_state_current_exception, PyThreadState, current_exception),
    PAIR(thread_state_exc_state, PyThreadState, exc_state),
    PAIR(err_stackitem_exc_value, _PyErr_StackItem, exc_value),
    PAIR(interpreter_frame_size, _PyInterpreterFrame, sizeof),
    PAIR(interpreter_frame_previous, _PyInterpreterFrame, previous),
    PAIR(interpreter_frame_executable, _PyInterpreterFrame, f_executable),
    PAIR(interpreter_frame_instr_ptr, _PyInterpreterFrame, instr_ptr),
    PAIR(interpreter_frame_localsplus, _PyInterpreterFrame, localsplus),
    PAIR(interpreter_frame_owner, _PyInterpreterFrame, owner),
    PAIR(interpreter_frame_stackpointer, _PyInterpreterFrame, stackpointer),
    PAIR(code_object_size, PyCodeObject, sizeof),
    PAIR(code_object_filename, PyCodeObject, co_filename),
    PAIR(code_object_name, PyCodeObject, co_name),
    PAIR(code_object_qualname, PyCodeObject, co_qualname),
    PAIR(code_object_linetable, PyCodeObject, co_linetable),
    PAIR(code_object_firstlineno, PyCodeObject, co_firstlineno),
    PAIR(code_object_argcount, PyCodeObject, co_argcount),
    PAIR(code_object_localsplusnames, PyCodeObject, co_localsplusnames),
    PAIR(code_object_localspluskinds, PyCodeObject, co_localspluskinds),
    PAIR(code_object_co_code_adaptive, PyCodeObject, co_code_adaptive),
    PAIR(pyobject_size, PyObject, sizeof),
    PAIR(pyobject_ob_type, PyObject, ob_type),
    PAIR(type_object_size, PyTypeObject, sizeof),
    PAIR(type_object_tp_name, PyTypeObject, tp_name),
    PAIR(type_object_tp_repr, PyTypeObject, tp_repr),
    PAIR(type_object_tp_flags, PyTypeObject, tp_flags),
    PAIR(type_object_tp_basicsize, PyTypeObject, tp_basicsize),
    PAIR(type_object_tp_dictoffset, PyTypeObject, tp_dictoffset),
    PAIR(heap_type_object_size, PyHeapTypeObject, sizeof),
    PAIR(heap_type_object_ht_cached_keys, PyHeapTypeObject, ht_cached_keys),
    PAIR(tuple_object_size, PyTupleObject, sizeof),
    PAIR(tuple_object_ob_item, PyTupleObject, ob_item),
    PAIR(tuple_object_ob_size, PyVarObject, ob_size),
    PAIR(list_object_size, PyListObject, sizeof),
    PAIR(list_object_ob_item, PyListObject, ob_item),
    PAIR(list_object_ob_size, PyVarObject, ob_size),
    PAIR(set_object_size, PySetObject, sizeof),
    PAIR(set_object_used, PySetObject, used),
    PAIR(set_object_table, PySetObject, table),
    PAIR(set_object_mask, PySetObject, mask),
    PAIR(dict_object_size, PyDictObject, sizeof),
    PAIR(dict_object_ma_keys, PyDictObject, ma_keys),
    PAIR(dict_object_ma_values, PyDictObject, ma_values),
    PAIR(float_object_size, PyFloatObject, sizeof),
    PAIR(float_object_ob_fval, PyFloatObject, ob_fval),
    PAIR(long_object_size, PyLongObject, sizeof),
    PAIR(long_object_lv_tag, PyLongObject, long_value_lv_tag),
    PAIR(long_object_ob_digit, PyLongObject, long_value_ob_digit),
    PAIR(bytes_object_size, PyBytesObject, sizeof),
    PAIR(bytes_object_ob_size, PyVarObject, ob_size),
    PAIR(bytes_object_ob_sval, PyBytesObject, ob_sval),
    PAIR(unicode_object_size, PyUnicodeObject, sizeof),
    PAIR(unicode_object_state, PyASCIIObject, state),
    PAIR(unicode_object_length, PyASCIIObject, length),
    PAIR(unicode_object_asciiobject_size, PyASCIIObject, sizeof),
    PAIR(unicode_object_compactunicodeobject_size, PyCompactUnicodeObject, sizeof),
    PAIR(gc_size, _gc_runtime_state, sizeof),
    PAIR(gc_collecting, _gc_runtime_state, collecting),
    PAIR(gc_frame, _gc_runtime_state, frame),
    PAIR(gc_generation_stats, _gc_runtime_state, generation_stats),
    PAIR(gen_object_size, PyGenObject, sizeof),
    PAIR(gen_object_gi_name, PyGenObject, gi_name),
    PAIR(gen_object_gi_iframe, PyGenObject, gi_iframe),
    PAIR(gen_object_gi_frame_state, PyGenObject, gi_frame_state),
    PAIR(llist_node_next, llist_node, next),
    PAIR(llist_node_prev, llist_node, prev),
    PAIR(debugger_support_eval_breaker, PyThreadState, eval_breaker),
    PAIR(debugger_support_remote_debugger_support, PyThreadState, remote_debugger_support),
};
#undef PAIR

/* The state of the runtime, of interpreters and threads grows in builds of other options; objects do not, and readers
 * of objects have room for no more. */
static bool may_grow(uint16_t size) {
    return size == MT_FIELD__PyRuntimeState__sizeof || size == MT_FIELD_PyInterpreterState__sizeof ||
           size == MT_FIELD_PyThreadState__sizeof || size == MT_FIELD__gc_runtime_state__sizeof;
}

struct mt_error *mt_debug_offsets_apply(struct mt_view *view, uint64_t runtime, struct mt_python_layout *layout,
                                        struct mt_debug_offsets *ret) {
    struct mt_debug_offsets result = {0};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        int64_t own_at = layout->value[pairs[i].own], size = layout->value[pairs[i].size];
        int64_t *known = &layout->value[pairs[i].field];
        uint64_t own;
        if (own_at < 0 || *known < 0)
            continue;
        uint64_t limit = may_grow(pairs[i].size) ? STATE_SIZE_MAX : (uint64_t)size;
        if (!mt_view_u64(view, runtime + (uint64_t)own_at, &own) || own > limit)
            return mt_error_create(MT_ERROR_FORMAT, "what the process says of %s can't be",
                                   mt_python_field_name(pairs[i].field));
        result.compared++;
        if ((int64_t)own == *known)
            continue;
        if (result.corrected++ == 0)
            result.corrected_first = pairs[i].field;
        *known = (int64_t)own;
    }
    *ret = result;
    return NULL;
}
