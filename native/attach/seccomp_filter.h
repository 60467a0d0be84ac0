/* Seccomp filters: what one answers to a system call. It is asked here, outside of the process, as the kernel would ask
 * it (classic BPF), for some filters kill whoever makes a call that they don't know. */
#ifndef MEMTRACE_SECCOMP_FILTER_H
#define MEMTRACE_SECCOMP_FILTER_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What it returns for `call`, SECCOMP_RET_...; false: no program that the kernel would take. */
bool mt_seccomp_filter_run(const struct sock_filter *program, size_t length, const struct seccomp_data *call,
                           uint32_t *ret);

#endif
