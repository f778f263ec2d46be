"""What several tests of the workflow share: a browser."""

import pytest

from support.browser import Browser


@pytest.fixture(scope="session")
def chromium(tool, tmp_path_factory):
    with Browser(tool("chromium"), tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def browser(chromium):
    """Chromium with a window of a desk, which has neither asked for nor said anything yet."""
    chromium.size(1280, 900)
    chromium.requests.clear()
    chromium.complaints.clear()
    return chromium
