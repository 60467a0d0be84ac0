/* numpy arrays. */
#include "heap/edges_walk.h"
#include "python/numpy.h"

/* PyArrayObject_fields.mem_handler (numpy 1.22+, numpy/ndarraytypes.h), and the size of the struct that has it. */
enum { MEM_HANDLER = 88, SIZE_WITH_MEM_HANDLER = 96 };

void mt_walk_numpy_array(const struct mt_walk *walk) {
    struct mt_numpy_array array;
    if (!mt_numpy_array_read(walk->python, walk->address, &array))
        return;
    mt_walk_owned(walk, array.base, mt_link_text("base"));
    mt_walk_owned(walk, array.descr, mt_link_text("descr"));
    if (walk->decoded->basic_size >= SIZE_WITH_MEM_HANDLER)
        mt_walk_owned(walk, mt_walk_word(walk, walk->address + MEM_HANDLER), mt_link_text("mem_handler"));
    /* A view's elements are its base's; data that an array owns has no gaps, whatever the order of its axes. */
    if (array.holds_objects && array.owns_data)
        mt_walk_items(walk, array.data, array.count, mt_link_index(0));
}
