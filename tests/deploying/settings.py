"""The tests' settings for a project of which two versions run at once; ``RXCRDT_TEST_VERSION`` says which this is."""

from tests import settings as common
from tests.kills.settings import *  # noqa: F403

INSTALLED_APPS = [*common.INSTALLED_APPS, "tests.deploying"]
