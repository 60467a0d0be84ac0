// A C++ program: objects by new and new[], a growing vector, an exception; prints its own sum of what it asked for.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

extern "C" {
#include "image_reader.h"
#include "step.h"
}

int main() {
    scenario_prepare();
    if (scenario_start(MT_LEVEL_HEAP) != MT_RECORDING_ON)
        return 2;
    std::vector<std::unique_ptr<char[]>> rows;
    rows.reserve(100);
    for (int i = 0; i < 100; i++)
        rows.emplace_back(new char[5000 + i]);
    auto *one = new int(7);
    try {
        throw std::runtime_error(std::string(2000, 'x'));
    } catch (const std::runtime_error &) {
    }
    rows.resize(60);
    int seven = *one;
    delete one;
    if (scenario_stop() != MT_RECORDING_STOPPED)
        return 2;
    image_dump(1, true);
    return seven == 7 ? 0 : 2;
}
