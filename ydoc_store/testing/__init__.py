"""What every store must do, as tests: subclass a contract, give it a `store`, and run pytest.

    class TestMyStore(StoreContract):              # SharedStoreContract if other processes may open it
        @pytest.fixture
        def store(self) -> Iterator[DocStore]:
            with MyStore() as store:
                yield store

`SharedStoreContract` needs a fixture `open_again` besides: a callable that can be pickled, and that opens the
same store in another process (`functools.partial(open_store, store.url)`, for instance). Needs pytest, and
`ydoc_store.testing.machine` needs hypothesis; nothing of Django.
"""

import pytest

_PARTS = (
    *("asynchronous", "leases", "logs", "machine", "processes", "quarantine", "rows", "store", "threads", "tools"),
    "usage",
)
pytest.register_assert_rewrite(*(f"{__name__}.{part}" for part in _PARTS))

from ydoc_store.testing.asynchronous import AsyncContract  # noqa: E402
from ydoc_store.testing.leases import LeaseContract  # noqa: E402
from ydoc_store.testing.logs import LogContract  # noqa: E402
from ydoc_store.testing.processes import ProcessContract  # noqa: E402
from ydoc_store.testing.quarantine import QuarantineContract  # noqa: E402
from ydoc_store.testing.rows import RowContract  # noqa: E402
from ydoc_store.testing.store import WholeStoreContract  # noqa: E402
from ydoc_store.testing.threads import ThreadContract  # noqa: E402
from ydoc_store.testing.usage import UsageContract  # noqa: E402

__all__ = ["SharedStoreContract", "StoreContract"]


class StoreContract(
    LogContract,
    LeaseContract,
    RowContract,
    UsageContract,
    QuarantineContract,
    WholeStoreContract,
    AsyncContract,
    ThreadContract,
):
    """What every store promises to the threads of one process. Needs the fixture `store`: an empty store."""


class SharedStoreContract(StoreContract, ProcessContract):
    """The same, and what a store with `shared = True` promises to processes. Needs `open_again`, too."""
