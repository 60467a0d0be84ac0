/* cmocka, and what all C tests here say again and again. */
#ifndef MEMTRACE_TESTS_UNIT_H
#define MEMTRACE_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"

#if defined(__SANITIZE_ADDRESS__)
#define MT_TEST_ADDRESS_SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MT_TEST_ADDRESS_SANITIZER
#endif
#endif

/* Fails the test, with the error's text, unless `error` is NULL. */
#define assert_ok(error) mt_test_assert_ok((error), #error, __FILE__, __LINE__)
/* Fails the test unless `error` is one of this code, is one line, and contains `part`. Destroys it. */
#define assert_error(error, expected_code, part)                                                                       \
    mt_test_assert_error((error), (expected_code), (part), #error, __FILE__, __LINE__)

void mt_test_assert_ok(struct mt_error *error, const char *expression, const char *file, int line);
void mt_test_assert_error(struct mt_error *error, enum mt_error_code code, const char *part, const char *expression,
                          const char *file, int line);

/* Pseudo-random numbers: the same in every run. */
uint64_t mt_test_random(uint64_t *state);

#endif
