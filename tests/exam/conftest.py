"""Says at the end how much was compared: a test that compared nothing would pass as well."""
from asking import compared


def pytest_terminal_summary(terminalreporter):
    if compared:
        terminalreporter.section("exam")
    for (what, interpreter), count in sorted(compared.items()):
        terminalreporter.write_line(f"{what:20} {interpreter:24} {count:9,} compared")
