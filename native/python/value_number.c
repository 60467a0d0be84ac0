/* int, float and complex: Objects/longobject.c, Objects/floatobject.c, Objects/complexobject.c, Python/pystrtod.c. */
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "python/object.h"
#include "python/value_parts.h"

/* An int is a sign and digits of 30 bits, the lowest first (Include/cpython/longintrepr.h). */
enum { DIGIT_BITS = 30, SIGN_MASK = 3, SIGN_NEGATIVE = 2 };
/* What is longer is told by its size: it takes time that grows with the square. Some 4,600 decimal digits. */
enum { MAX_DIGITS = 512 };
/* Of the decimal form: words of 9 digits. */
enum { WORD_DIGITS = 9, WORD_BASE = 1000000000, MAX_WORDS = MAX_DIGITS * DIGIT_BITS / 29 + 1 };
#define BITS_PER_DECIMAL 3.3219280948873623

/* --- int ---------------------------------------------------------------------------------------------------------- */

static bool is_negative(struct mt_python *python, uint64_t address) {
    int64_t word = 0;
    mt_view_i64(python->view, address + MT_OB_SIZE, &word);
    return python->minor >= 12 ? (word & SIGN_MASK) == SIGN_NEGATIVE : word < 0;
}

static uint64_t digits_of(const struct mt_python *python, uint64_t address) {
    return address + (python->minor >= 12 ? MT_OFFSET(python, PyLongObject, long_value_ob_digit)
                                          : MT_OFFSET(python, PyLongObject, ob_digit));
}

bool mt_int_value(struct mt_python *python, uint64_t address, int64_t *ret) {
    enum { MOST = 3 }; /* digits of a 64-bit number */
    const struct mt_type *type = mt_object_type(python, address);
    if (!type || (type->kind != MT_KIND_INT && type->kind != MT_KIND_BOOL))
        return false;
    uint32_t digits[MOST];
    uint64_t count = mt_object_item_count(python, address, type);
    if (count > MOST || !mt_view_read(python->view, digits_of(python, address), digits, count * sizeof digits[0]))
        return false;
    __int128 value = 0;
    for (size_t i = count; i > 0; i--)
        value = value << DIGIT_BITS | (digits[i - 1] & ((1u << DIGIT_BITS) - 1));
    if (is_negative(python, address))
        value = -value;
    if (value < INT64_MIN || value > INT64_MAX)
        return false;
    *ret = (int64_t)value;
    return true;
}

static void append_size(uint64_t bits, struct mt_strbuf *out) {
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, bits);
    mt_strbuf_append(out, "<int of ");
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            mt_strbuf_append_char(out, ',');
        mt_strbuf_append_char(out, digits[i]);
    }
    mt_strbuf_append(out, " bits>");
}

static void append_decimal(const uint32_t *digits, uint64_t count, bool negative, struct mt_strbuf *out) {
    uint32_t words[MAX_WORDS] = {0};
    size_t used = 1;
    for (size_t i = (size_t)count; i > 0; i--) {
        uint64_t carry = digits[i - 1];
        for (size_t k = 0; k < used; k++) {
            carry += (uint64_t)words[k] << DIGIT_BITS;
            words[k] = (uint32_t)(carry % WORD_BASE);
            carry /= WORD_BASE;
        }
        for (; carry > 0 && used < MAX_WORDS; carry /= WORD_BASE)
            words[used++] = (uint32_t)(carry % WORD_BASE);
    }
    mt_strbuf_printf(out, "%s%" PRIu32, negative ? "-" : "", words[used - 1]);
    while (--used > 0)
        mt_strbuf_printf(out, "%0*" PRIu32, WORD_DIGITS, words[used - 1]);
}

void mt_value_append_int(struct mt_python *python, uint64_t address, const struct mt_type *type, size_t limit,
                         struct mt_strbuf *out) {
    uint32_t digits[MAX_DIGITS], top = 0;
    uint64_t count = mt_object_item_count(python, address, type), at = digits_of(python, address);
    if (count > 0 && !mt_view_u32(python->view, at + (count - 1) * sizeof top, &top)) {
        mt_strbuf_append(out, MT_VALUE_UNREADABLE);
        return;
    }
    uint64_t bits = count == 0 ? 0 : (count - 1) * DIGIT_BITS + (top ? 32 - (unsigned)__builtin_clz(top) : 0);
    bool is_short = bits <= 64 || (count <= MAX_DIGITS && (double)bits / BITS_PER_DECIMAL < (double)limit);
    if (!is_short)
        append_size(bits, out);
    else if (!mt_view_read(python->view, at, digits, count * sizeof digits[0]))
        mt_strbuf_append(out, MT_VALUE_UNREADABLE);
    else
        append_decimal(digits, count, is_negative(python, address), out);
}

/* --- float -------------------------------------------------------------------------------------------------------- */

/* A decimal number: d.ddd times 10 to the power of `exponent`. */
struct decimal {
    char digits[20];
    int count;
    int exponent;
};

/* `value`, finite and not negative, rounded to so many digits. Whatever the locale's point is. */
static struct decimal rounded(double value, int count) {
    char text[40];
    struct decimal decimal = {.count = 0};
    snprintf(text, sizeof text, "%.*e", count - 1, value);
    const char *at = text;
    for (; *at != 'e' && *at; at++)
        if (isdigit((unsigned char)*at) && decimal.count < count)
            decimal.digits[decimal.count++] = *at;
    decimal.exponent = *at ? atoi(at + 1) : 0;
    return decimal;
}

static bool reads_as(const struct decimal *decimal, double value) {
    char text[40];
    snprintf(text, sizeof text, "%se%d", decimal->digits, decimal->exponent - (decimal->count - 1));
    return strtod(text, NULL) == value;
}

/* One more in the last place. */
static void increment(struct decimal *decimal) {
    for (int i = decimal->count; i > 0; i--) {
        if (decimal->digits[i - 1]++ != '9')
            return;
        decimal->digits[i - 1] = '0';
    }
    decimal->digits[0] = '1';
    decimal->exponent++;
}

/* The decimal number with the fewest digits that reads as `value`. */
static struct decimal shortest(double value) {
    enum { MOST = 17 }; /* digits tell any two doubles apart */
    struct decimal decimal;
    for (int count = 1; count <= MOST; count++) {
        decimal = rounded(value, count);
        if (reads_as(&decimal, value))
            break;
        /* Above a power of two doubles lie further apart than below it: the next number may read as it all the same. */
        increment(&decimal);
        if (reads_as(&decimal, value))
            break;
    }
    while (decimal.count > 1 && decimal.digits[decimal.count - 1] == '0')
        decimal.digits[--decimal.count] = '\0';
    return decimal;
}

/* Python/pystrtod.c: format_float_short for 'r'. `dot_zero`: "1.0", not "1". */
static void append_double(double value, bool dot_zero, bool plus, struct mt_strbuf *out) {
    enum { LEAST_FIXED = -4, FIRST_EXPONENT = 16 };
    if (signbit(value) && !isnan(value))
        mt_strbuf_append_char(out, '-');
    else if (plus)
        mt_strbuf_append_char(out, '+');
    if (!isfinite(value)) {
        mt_strbuf_append(out, isnan(value) ? "nan" : "inf");
        return;
    }
    struct decimal decimal = shortest(fabs(value));
    int count = decimal.count, exponent = decimal.exponent;
    if (exponent < LEAST_FIXED || exponent >= FIRST_EXPONENT) {
        mt_strbuf_append_char(out, decimal.digits[0]);
        if (count > 1)
            mt_strbuf_printf(out, ".%s", decimal.digits + 1);
        mt_strbuf_printf(out, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
        return;
    }
    if (exponent < 0)
        mt_strbuf_printf(out, "0.%.*s%s", -exponent - 1, "000", decimal.digits);
    for (int i = 0; exponent >= 0 && (i < count || i <= exponent); i++) {
        if (i == exponent + 1)
            mt_strbuf_append_char(out, '.');
        mt_strbuf_append_char(out, i < count ? decimal.digits[i] : '0');
    }
    if (exponent >= 0 && count <= exponent + 1 && dot_zero)
        mt_strbuf_append(out, ".0");
}

static bool read_double(struct mt_python *python, uint64_t address, double *ret) {
    return mt_view_read(python->view, address, ret, sizeof *ret);
}

void mt_value_append_float(struct mt_python *python, uint64_t address, struct mt_strbuf *out) {
    double value;
    if (read_double(python, address + MT_OFFSET(python, PyFloatObject, ob_fval), &value))
        append_double(value, true, false, out);
    else
        mt_strbuf_append(out, MT_VALUE_UNREADABLE);
}

void mt_value_append_complex(struct mt_python *python, uint64_t address, struct mt_strbuf *out) {
    uint64_t at = address + MT_OFFSET(python, PyComplexObject, cval);
    double real, imaginary;
    if (!read_double(python, at, &real) || !read_double(python, at + sizeof real, &imaginary)) {
        mt_strbuf_append(out, MT_VALUE_UNREADABLE);
        return;
    }
    if (real == 0 && !signbit(real)) {
        append_double(imaginary, false, false, out);
        mt_strbuf_append_char(out, 'j');
        return;
    }
    mt_strbuf_append_char(out, '(');
    append_double(real, false, false, out);
    append_double(imaginary, false, true, out);
    mt_strbuf_append(out, "j)");
}
