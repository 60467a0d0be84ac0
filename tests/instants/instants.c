/* Stops a recorded program at any instruction, reads the recorder's image from outside, and compares with the truth.
 *
 *     instants random RECORDER BELOW PROGRAM STOPS SEED
 *     instants steps RECORDER BELOW PROGRAM
 *     instants python RECORDER PYTHON SCRIPT STOPS SEED
 *     instants python-steps RECORDER PYTHON SCRIPT STRIDE */
#include "instants.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t random_state = 1;

void chance_seed(uint64_t seed) {
    random_state = seed * 0x9E3779B97F4A7C15u + 1;
}

uint64_t chance(uint64_t limit) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 11) % limit;
}

void result_open(struct result *result) {
    int ends[2];
    if (pipe(ends) != 0)
        die("no pipe");
    *result = (struct result){.read_end = ends[0], .write_end = ends[1]};
}

void result_close(struct result *result) {
    size_t length = 0;
    ssize_t got;
    close(result->write_end);
    while (length < RESULT_BYTES - 1 &&
           (got = TEMP_FAILURE_RETRY(read(result->read_end, result->text + length, RESULT_BYTES - 1 - length))) > 0)
        length += (size_t)got;
    result->text[length] = '\0';
    close(result->read_end);
}

static char *assignment(const char *name, const char *value) {
    char *text;
    if (asprintf(&text, "%s=%s", name, value) < 0)
        die("out of memory");
    return text;
}

void start_recorded(struct tracee *tracee, const struct plan *plan, char *const *argv, const char *level,
                    const char *variable, int output) {
    char *preload;
    if (asprintf(&preload, "%s%s%s", plan->recorder, plan->below != NULL ? ":" : "",
                 plan->below != NULL ? plan->below : "") < 0)
        die("out of memory");
    char *environment[] = {assignment("LD_PRELOAD", preload), assignment("MEMTRACE_LEVEL", level),
                           strdup("PYTHONHASHSEED=0"), strdup(variable), NULL};
    tracee_start(tracee, argv, environment, output);
    for (size_t i = 0; environment[i] != NULL; i++)
        free(environment[i]);
    free(preload);
}

void run_bare(char *const *argv, char output[RESULT_BYTES]) {
    struct result result;
    int status;
    result_open(&result);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(result.write_end, 1);
        execve(argv[0], argv, (char *const[]){(char *)"PYTHONHASHSEED=0", NULL});
        _exit(127);
    }
    if (pid < 0 || TEMP_FAILURE_RETRY(waitpid(pid, &status, 0)) != pid || status != 0)
        die("%s fails even when it is left alone", argv[0]);
    result_close(&result);
    memcpy(output, result.text, RESULT_BYTES);
}

bool coverage_has(const struct coverage *coverage, uint64_t instruction) {
    return instruction >= coverage->start && instruction < coverage->end;
}

bool coverage_note(struct coverage *coverage, const struct tracee *tracee) {
    bool inside = false;
    if (coverage->seen == NULL)
        coverage->seen = calloc(coverage->end - coverage->start, 1);
    for (size_t i = 0; i < tracee->thread_count; i++) {
        uint64_t instruction = tracee_instruction(tracee->threads[i].tid);
        if (!coverage_has(coverage, instruction))
            continue;
        inside = true;
        coverage->instructions += !coverage->seen[instruction - coverage->start];
        coverage->seen[instruction - coverage->start] = 1;
    }
    coverage->stops++;
    coverage->inside += inside;
    return inside;
}

void coverage_print(const struct coverage *coverage, const char *what) {
    printf(
        "{\"what\":\"%s\",\"stops\":%llu,\"inside\":%llu,\"locked\":%llu,\"in_flight\":%llu,\"instructions\":%llu}\n",
        what, (unsigned long long)coverage->stops, (unsigned long long)coverage->inside,
        (unsigned long long)coverage->locked, (unsigned long long)coverage->in_flight,
        (unsigned long long)coverage->instructions);
}

/* A number on the command line; never 0. */
static uint64_t number(const char *text) {
    uint64_t value = strtoull(text, NULL, 10);
    return value != 0 ? value : 1;
}

int main(int argc, char **argv) {
    struct plan plan = {0};
    bool held;
    prctl(PR_SET_TIMERSLACK, 1);
    if (argc == 7 && strcmp(argv[1], "random") == 0) {
        plan = (struct plan){.recorder = argv[2],
                             .below = argv[3],
                             .program = argv[4],
                             .stops = number(argv[5]),
                             .seed = number(argv[6])};
        held = random_stops(&plan);
    } else if (argc == 5 && strcmp(argv[1], "steps") == 0) {
        plan = (struct plan){.recorder = argv[2], .below = argv[3], .program = argv[4], .stride = 1};
        held = single_steps(&plan);
    } else if (argc == 7 && strcmp(argv[1], "python") == 0) {
        plan = (struct plan){.recorder = argv[2],
                             .program = argv[3],
                             .script = argv[4],
                             .stops = number(argv[5]),
                             .seed = number(argv[6])};
        held = python_stops(&plan);
    } else if (argc == 6 && strcmp(argv[1], "python-steps") == 0) {
        plan = (struct plan){.recorder = argv[2], .program = argv[3], .script = argv[4], .stride = number(argv[5])};
        held = single_steps(&plan);
    } else {
        die("see the head of instants.c for how to call this");
    }
    return held ? 0 : 1;
}
