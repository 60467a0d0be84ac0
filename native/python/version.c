#define _GNU_SOURCE 1

#include "python/version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layout/python_layout.h"

/* Include/patchlevel.h: PY_RELEASE_LEVEL_... */
enum { LEVEL_ALPHA = 0xa, LEVEL_BETA = 0xb, LEVEL_CANDIDATE = 0xc, LEVEL_FINAL = 0xf };
#define MAX_TEXT 32u
#define MAX_PART 255 /* of a version: a byte of the hexadecimal one */

bool mt_python_version_is_final(uint32_t version) {
    return (version >> 4 & 0xf) == LEVEL_FINAL;
}

void mt_python_version_text(uint32_t version, char *buffer, size_t size) {
    static const struct {
        unsigned level;
        const char *letters;
    } levels[] = {{LEVEL_ALPHA, "a"}, {LEVEL_BETA, "b"}, {LEVEL_CANDIDATE, "rc"}};
    int used = snprintf(buffer, size, "%u.%u.%u", version >> 24, version >> 16 & 0xff, version >> 8 & 0xff);
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++)
        if (levels[i].level == (version >> 4 & 0xf) && used > 0 && (size_t)used < size)
            snprintf(buffer + used, size - (size_t)used, "%s%u", levels[i].letters, version & 0xf);
}

/* --- the static text ---------------------------------------------------------------------------------------------- */

static bool parse_number(const char **at, unsigned *ret) {
    char *end;
    if (**at < '0' || **at > '9')
        return false;
    unsigned long value = strtoul(*at, &end, 10);
    *ret = (unsigned)value;
    *at = end;
    return value <= MAX_PART;
}

static unsigned parse_level(const char **at) {
    static const struct {
        const char *letters;
        unsigned level;
    } levels[] = {{"rc", LEVEL_CANDIDATE}, {"a", LEVEL_ALPHA}, {"b", LEVEL_BETA}};
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        size_t length = strlen(levels[i].letters);
        if (strncmp(*at, levels[i].letters, length) == 0) {
            *at += length;
            return levels[i].level;
        }
    }
    return LEVEL_FINAL;
}

/* "3.11.2 (main, ", "3.9.2+ (", "3.12.0rc1 (": Python/getversion.c. */
static bool parse_text(const char *text, uint32_t *ret) {
    unsigned minor, micro, serial = 0;
    if (strncmp(text, "3.", 2) != 0)
        return false;
    const char *at = text + 2;
    if (!parse_number(&at, &minor) || *at++ != '.' || !parse_number(&at, &micro))
        return false;
    unsigned level = parse_level(&at);
    if (level != LEVEL_FINAL && !parse_number(&at, &serial))
        return false;
    if (*at == '+')
        at++;
    if (strncmp(at, " (", 2) != 0)
        return false;
    *ret = 3u << 24 | minor << 16 | micro << 8 | level << 4 | (serial & 0xf);
    return true;
}

static bool is_inside_word(uint8_t before) {
    return before == '.' || (before >= '0' && before <= '9') || (before >= 'a' && before <= 'z');
}

/* The text at `address`, which one block of the view may not hold whole. */
static bool read_text(struct mt_view *view, uint64_t address, uint32_t *ret) {
    char text[MAX_TEXT + 1] = {0};
    uint8_t before;
    return mt_view_read(view, address, text, MAX_TEXT) && parse_text(text, ret) &&
           mt_view_u8(view, address - 1, &before) && !is_inside_word(before);
}

static bool find_text(struct mt_view *view, const struct mt_runtime *runtime, uint32_t *ret) {
    for (uint64_t at = runtime->data_start; at < runtime->data_end;) {
        uint64_t left = runtime->data_end - at, page_left = (1u << MT_VIEW_PAGE_SHIFT) - (at & 0xfff);
        size_t size = (size_t)(left < page_left ? left : page_left);
        const uint8_t *bytes = mt_view_at(view, at, size), *three = bytes ? memchr(bytes, '3', size) : NULL;
        if (!three) {
            at += size;
            continue;
        }
        size_t offset = (size_t)(three - bytes);
        if ((offset + 1 == size || three[1] == '.') && read_text(view, at + offset, ret))
            return true;
        at += offset + 1;
    }
    return false;
}

/* --- all sources -------------------------------------------------------------------------------------------------- */

/* _Py_DebugOffsets: cookie, version, free_threaded (8 bytes each; 3.13 to 3.15 and whatever comes). */
struct own_words {
    char cookie[MT_RUNTIME_COOKIE_SIZE];
    uint64_t version;
    uint64_t free_threaded;
};

static bool read_exported(struct mt_view *view, uint32_t *ret) {
    uint64_t address, version;
    struct mt_error *error = mt_target_find_symbol(view->target, "Py_Version", &address);
    if (error) {
        mt_error_destroy(error);
        return false;
    }
    if (!mt_view_u64(view, address, &version) || version >> 24 != 3)
        return false;
    *ret = (uint32_t)version;
    return true;
}

/* The words of builds that are not read, else NULL. */
static struct mt_error *check_version(struct mt_view *view, uint32_t version, bool free_threaded) {
    char text[MAX_TEXT], target[512];
    unsigned minor = version >> 16 & 0xff;
    if (!free_threaded && minor >= MT_PYTHON_FIRST_MINOR && minor <= MT_PYTHON_LAST_MINOR)
        return NULL;
    mt_python_version_text(version, text, sizeof text);
    mt_target_describe(view->target, target, sizeof target);
    if (minor >= MT_PYTHON_FIRST_MINOR && minor <= MT_PYTHON_LAST_MINOR)
        return mt_error_create(MT_ERROR_UNSUPPORTED,
                               "CPython %s in %s is a free-threaded build: only builds with the GIL are read", text,
                               target);
    return mt_error_create(MT_ERROR_UNSUPPORTED, "CPython %s in %s is not read: 3.%d to 3.%d are", text, target,
                           MT_PYTHON_FIRST_MINOR, MT_PYTHON_LAST_MINOR);
}

struct mt_error *mt_python_read_version(struct mt_view *view, const struct mt_runtime *runtime, uint32_t *ret) {
    struct own_words words = {0};
    uint32_t version = 0;
    bool has_words = mt_view_read(view, runtime->address, &words, sizeof words) &&
                     memcmp(words.cookie, MT_RUNTIME_COOKIE, MT_RUNTIME_COOKIE_SIZE) == 0 && words.version >> 24 == 3;
    if (has_words)
        version = (uint32_t)words.version;
    else if (!read_exported(view, &version) && !find_text(view, runtime, &version)) {
        char target[512];
        mt_target_describe(view->target, target, sizeof target);
        return mt_error_create(MT_ERROR_UNSUPPORTED,
                               "the version of CPython in %s can't be told: it has not begun yet, or is no CPython",
                               target);
    }
    struct mt_error *error = check_version(view, version, has_words && words.free_threaded);
    if (!error)
        *ret = version;
    return error;
}
