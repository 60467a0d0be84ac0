/* `memtrace run`: runs a program recorded, and reports at its end. */
#ifndef MEMTRACE_CLI_RUN_H
#define MEMTRACE_CLI_RUN_H

/* `arguments`: what stands behind `run`. Returns our exit status; does not return when the program was ended by a
 * signal. */
int mt_cli_run(int count, char **arguments);
const char *mt_cli_run_usage(void); /* one line */

#endif
