#include "unit.h"

#include <string.h>

void mt_test_assert_ok(struct mt_error *error, const char *expression, const char *file, int line) {
    if (!error)
        return;
    print_error("%s: %s: %s\n", expression, mt_error_code_name(error->code), error->message);
    mt_error_destroy(error);
    _fail(file, line);
}

void mt_test_assert_error(struct mt_error *error, enum mt_error_code code, const char *part, const char *expression,
                          const char *file, int line) {
    bool right = error && error->code == code && strstr(error->message, part) && !strchr(error->message, '\n');
    if (!right)
        print_error("%s: expected %s with \"%s\", got %s: %s\n", expression, mt_error_code_name(code), part,
                    error ? mt_error_code_name(error->code) : "no error", error ? error->message : "");
    mt_error_destroy(error);
    if (!right)
        _fail(file, line);
}

uint64_t mt_test_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1dULL;
}
