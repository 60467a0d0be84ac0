#include "commands/size_words.h"

#include <ctype.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "output/text.h"

/* The factor that a unit stands for; 0: it is none. */
static uint64_t unit_factor(const char *unit) {
    static const char letters[] = "KMGT";
    const char *letter = *unit != '\0' ? strchr(letters, toupper((unsigned char)*unit)) : NULL;
    uint64_t step = 1000, factor = 1;
    if (letter) {
        unit++;
        if (*unit == 'i') {
            step = 1024;
            unit++;
        }
        for (ptrdiff_t power = letter - letters; power >= 0; power--)
            factor *= step;
    }
    if (*unit == 'B' || *unit == 'b')
        unit++;
    return *unit == '\0' ? factor : 0;
}

bool mt_size_parse(const char *word, uint64_t *ret) {
    uint64_t number = 0, divisor = 1;
    const char *at = word;
    bool has_point = false;
    for (; isdigit((unsigned char)*at) || (*at == '.' && !has_point); at++) {
        if (*at == '.') {
            has_point = true;
            continue;
        }
        if (number > UINT64_MAX / 20)
            return false;
        number = 10 * number + (uint64_t)(*at - '0');
        divisor *= has_point ? 10 : 1;
    }
    uint64_t factor = unit_factor(at), bytes;
    if (!isdigit((unsigned char)*word) || factor == 0 || __builtin_mul_overflow(number, factor, &bytes) ||
        bytes % divisor != 0)
        return false;
    *ret = bytes / divisor;
    return true;
}

void mt_size_append(struct mt_strbuf *out, uint64_t bytes) {
    static const struct {
        uint64_t factor;
        const char *name;
    } units[] = {{UINT64_C(1000000000), "GB"}, {1000000, "MB"}, {1000, "kB"}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        uint64_t tenth = units[i].factor / 10;
        if (bytes < units[i].factor)
            continue;
        if (bytes % tenth != 0)
            break;
        mt_text_count(out, bytes / units[i].factor);
        if (bytes / tenth % 10 != 0)
            mt_strbuf_printf(out, ".%" PRIu64, bytes / tenth % 10);
        mt_strbuf_printf(out, " %s", units[i].name);
        return;
    }
    mt_text_count(out, bytes);
    mt_strbuf_append(out, bytes == 1 ? " byte" : " bytes");
}
