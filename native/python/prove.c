#include "python/prove_parts.h"

struct mt_error *mt_python_prove(struct mt_python *python, struct mt_watch *watch) {
    static struct mt_error *(*const proofs[])(struct mt_python *) = {
        mt_prove_interpreters, mt_prove_threads, mt_prove_types, mt_prove_collector,
        mt_prove_modules,      mt_prove_values,  mt_prove_sizes, mt_prove_execution,
    };
    struct mt_error *error = NULL;
    for (size_t i = 0; i < sizeof proofs / sizeof proofs[0] && !error; i++) {
        error = proofs[i](python);
        if (!error)
            error = mt_watch_poll(watch, "proving the layout of CPython");
    }
    return error;
}
