/* open_python PID | open_python CORE [PROGRAM]
 *
 * Opens CPython there and prints the version, the layout's source and "verified" or "unverified", a line each, and how
 * many milliseconds that took; or, with exit status 1, the error's code and message. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "python/python.h"

static double milliseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static int refuse(struct mt_error *error) {
    printf("%s\n%s\n", mt_error_code_name(error->code), error->message);
    mt_error_destroy(error);
    return 1;
}

static struct mt_error *open_target(int count, char **arguments, struct mt_target **ret) {
    char *end;
    long pid = strtol(arguments[1], &end, 10);
    return *end ? mt_target_open_core(arguments[1], count > 2 ? arguments[2] : NULL, ret)
                : mt_target_open_live((pid_t)pid, true, ret);
}

int main(int count, char **arguments) {
    struct mt_target *target;
    struct mt_python *python;
    char layout[256];
    if (count < 2) {
        fprintf(stderr, "usage: open_python PID | open_python CORE [PROGRAM]\n");
        return 2;
    }
    struct mt_error *error = open_target(count, arguments, &target);
    if (error)
        return refuse(error);
    double begin = milliseconds();
    error = mt_python_open(target, NULL, &python);
    if (error) {
        mt_target_destroy(target);
        return refuse(error);
    }
    double end = milliseconds();
    mt_python_describe_layout(python, layout, sizeof layout);
    printf("%s\n%s\n%s\n%.1f\n", python->version_text, layout, python->unverified ? "unverified" : "verified",
           end - begin);
    mt_python_destroy(python);
    mt_target_destroy(target);
    return 0;
}
