/* Marks: copies of what is alive, to be subtracted from each other later. The recorder's lock is held. */
#ifndef MEMTRACE_RECORDER_MARKS_H
#define MEMTRACE_RECORDER_MARKS_H

/* Begins a new generation, named by the header's request_name. When memory is out the generation begins all the same,
 * without a copy (counted as dropped). */
void mt_mark_set(void);
void mt_marks_clear(void);

#endif
