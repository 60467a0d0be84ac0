#define _GNU_SOURCE /* getline */
#include "commands/source_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"

/* A source file is no longer than this. */
#define FILE_MAX (16 << 20)

static FILE *open_source(const char *file, pid_t pid) {
    struct mt_strbuf path = MT_STRBUF_INIT;
    struct stat status;
    if (file[0] != '/' && pid > 0)
        mt_strbuf_printf(&path, "/proc/%d/cwd/", (int)pid);
    mt_strbuf_append(&path, file);
    bool is_file =
        !path.failed && stat(path.data, &status) == 0 && S_ISREG(status.st_mode) && status.st_size <= FILE_MAX;
    FILE *stream = is_file ? fopen(path.data, "re") : NULL;
    mt_strbuf_deinit(&path);
    return stream;
}

void mt_source_line_append(struct mt_strbuf *out, const char *file, uint32_t line, pid_t pid) {
    FILE *stream = line > 0 ? open_source(file, pid) : NULL;
    MT_AUTO_FREE char *text = NULL;
    size_t capacity = 0;
    ssize_t length = -1;
    if (!stream)
        return;
    for (uint32_t i = 0; i < line; i++)
        if ((length = getline(&text, &capacity, stream)) < 0)
            break;
    fclose(stream);
    if (length < 0)
        return;
    length = (ssize_t)strcspn(text, "\r\n");
    while (length > 0 && strchr(" \t", text[length - 1]))
        length--;
    size_t blanks = strspn(text, " \t");
    if (blanks < (size_t)length)
        mt_strbuf_append_bytes(out, text + blanks, (size_t)length - blanks);
}
