// A C++ vector that reserves 984 bytes and drops them, each step looked at right before and right after.
#include <cstdio>
#include <memory>
#include <vector>

extern "C" {
#include "step.h"
}

int main() {
    step reserve, drop;
    scenario_prepare();
    if (scenario_start(MT_LEVEL_HEAP) != MT_RECORDING_ON)
        return 1;
    std::vector<char> vector;
    step_look();
    vector.reserve(984);
    step_compare(&reserve, vector.data());
    void *address = vector.data();
    step_look();
    std::vector<char>().swap(vector);
    step_compare(&drop, address);
    std::printf("[");
    step_print(&reserve);
    std::printf(",");
    step_print(&drop);
    std::printf("]\n");
    return 0;
}
