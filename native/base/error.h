/* Errors of the library in the debugger. A function that can fail returns NULL on success or an error that the caller
 * owns; its outputs are untouched on failure. Never prints, never aborts: when even an error can't be allocated, a
 * static one (mt_error_no_memory) is returned, which mt_error_destroy() accepts. */
#ifndef MEMTRACE_ERROR_H
#define MEMTRACE_ERROR_H

#include <stdbool.h>
#include <stdint.h>

/* Stable: the name (mt_error_code_name) is what --json shows as error.code. */
enum mt_error_code {
    MT_ERROR_NO_MEMORY,
    MT_ERROR_USAGE,      /* the command line is wrong */
    MT_ERROR_NO_PROCESS, /* no process, or it is gone */
    MT_ERROR_RUNNING,    /* the process is not stopped */
    MT_ERROR_PERMISSION,
    MT_ERROR_NOT_RECORDED, /* no recorder in the target, or it never recorded */
    MT_ERROR_FORMAT,       /* a file or an image that is not what it should be, or a foreign version */
    MT_ERROR_FAULT,        /* memory at `address` can't be read or written */
    MT_ERROR_NOT_FOUND,    /* an address, name or row that is not there */
    MT_ERROR_SYSTEM,       /* a system call failed */
    MT_ERROR_INTERRUPTED,  /* the user asked to stop */
    MT_ERROR_UNSUPPORTED,
};

struct mt_error {
    enum mt_error_code code;
    bool is_static;
    uint64_t address; /* for MT_ERROR_FAULT */
    char *message;    /* one line, no newline, says what to do where something can be done */
};

struct mt_error *mt_error_create(enum mt_error_code code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A fault at `address`. */
struct mt_error *mt_error_fault(uint64_t address, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Appends ": " and strerror(error_number). */
struct mt_error *mt_error_system(int error_number, const char *format, ...) __attribute__((format(printf, 2, 3)));
extern struct mt_error mt_error_no_memory;
const char *mt_error_code_name(enum mt_error_code code);
void mt_error_destroy(struct mt_error *error);

#endif
