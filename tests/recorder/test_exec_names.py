"""1,000 functions that live one after another at the same few addresses keep 1,000 names."""
import json

import pytest

import support
from interpreters import MINORS, THOROUGH

SIZE = 4321
BYTES_HEADER = 33


@pytest.mark.parametrize("interpreter", THOROUGH + MINORS, indirect=True, ids=str)
@pytest.mark.parametrize("variant", ["exec", "replace", "outer"])
@pytest.mark.parametrize("level", support.LEVELS)
def test_1000_names(python_anywhere, level, variant, probe):
    result = python_anywhere.run([support.HERE / "exec_names.py", probe, variant], support.recorded_environment(level))
    assert result.returncode == 0, result.stderr
    image = json.loads(result.stdout)
    site_of = {site["site"]: site for site in image["sites"]}
    frame = 1 if variant == "outer" else 0
    named = {}
    for _, size, index in image["blocks"]:
        if size == SIZE + BYTES_HEADER:
            function, file, line = site_of[index]["stack"][frame]
            named[function] = (file, line)
            if variant == "outer":
                assert site_of[index]["stack"][0][0] == "allocate"
    assert sorted(named) == [f"made_{i:04}" for i in range(1000)]
    assert [file for _, (file, _) in sorted(named.items())] == [f"/made/{i:04}.py" for i in range(1000)]
    if variant == "exec":
        assert {line for _, line in named.values()} == {2}
