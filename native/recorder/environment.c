#include "recorder/environment.h"
#include "recorder/loader.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PREFIX "MEMTRACE_"
#define PRELOAD "LD_PRELOAD="

void mt_environment_read(struct mt_wishes *ret) {
    const char *level = getenv(PREFIX "LEVEL"), *start = getenv(PREFIX "START"), *pid = getenv(PREFIX "PID"),
               *follow = getenv(PREFIX "FOLLOW");
    *ret = (struct mt_wishes){
        .level = level != NULL && strcmp(level, "heap") == 0 ? MT_LEVEL_HEAP : MT_LEVEL_OBJECTS,
        .start = start == NULL || strcmp(start, "0") != 0,
        .for_us = pid == NULL || strtol(pid, NULL, 10) == getpid(),
        .follow = follow != NULL && strcmp(follow, "1") == 0,
    };
}

/* One of the variables of the contract: NAME=value. */
static bool is_wish(const char *variable) {
    static const char *const names[] = {
        PREFIX "LEVEL=",           PREFIX "START=",  PREFIX "PID=",     PREFIX "FOLLOW=", PREFIX "MAX_HEAP=",
        PREFIX "MAX_HEAP_ACTION=", PREFIX "REPORT=", PREFIX "COMMAND=", PREFIX "TRACER="};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strncmp(variable, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static bool is_launcher(void) {
    static const char *const names[] = {"env",  "sh",  "bash", "dash",    "ash",  "ksh",   "zsh",   "busybox",
                                        "fish", "csh", "tcsh", "timeout", "nice", "nohup", "setsid"};
    char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0)
        return false;
    path[length] = '\0';
    const char *name = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* Takes our own path out of a list that blanks or colons separate. false when nothing is left. */
static bool remove_own_path(char *list) {
    Dl_info own;
    if (dladdr((const void *)mt_environment_restore, &own) == 0)
        return true;
    const char *name = strrchr(own.dli_fname, '/') != NULL ? strrchr(own.dli_fname, '/') + 1 : own.dli_fname;
    char *out = list;
    for (char *in = list; *in != '\0';) {
        size_t length = strcspn(in, ": "), gap = strspn(in + length, ": ");
        const char *slash = memrchr(in, '/', length);
        const char *base = slash != NULL ? slash + 1 : in;
        size_t base_length = (size_t)(in + length - base);
        if (strlen(name) != base_length || memcmp(base, name, base_length) != 0) {
            memmove(out, in, length + gap);
            out += length + gap;
        }
        in += length + gap;
    }
    while (out > list && (out[-1] == ':' || out[-1] == ' '))
        out--;
    /* Not a byte of it stays behind, for /proc/PID/environ shows this very memory. */
    memset(out, '\0', strlen(out));
    return out > list;
}

void mt_environment_restore(const struct mt_wishes *wishes) {
    if (wishes->follow || environ == NULL || (wishes->for_us && is_launcher()))
        return;
    char **out = environ;
    for (char **in = environ; *in != NULL; in++) {
        bool keep = true;
        if (strncmp(*in, PRELOAD, strlen(PRELOAD)) == 0)
            keep = remove_own_path(*in + strlen(PRELOAD));
        else
            keep = !is_wish(*in);
        if (keep)
            *out++ = *in;
        else
            memset(*in, '\0', strlen(*in));
    }
    *out = NULL;
}
