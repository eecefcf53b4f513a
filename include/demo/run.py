"""`make demo`: a sample ERP, Airflow and two syncs, live.

`DEMO_ONCE=1` stops by itself, with 0 only if the hub equals what the ERP says. `DEMO_PORT` is the port of Airflow's UI.
"""

from __future__ import annotations

import signal
import sys


def main() -> int:
    # While the libraries are imported there is nothing to clear up: Ctrl-C just ends it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from demo_story import run

    return run()


if __name__ == "__main__":
    sys.exit(main())
