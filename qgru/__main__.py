"""python -m qgru"""

import sys

from qgru.cli import main

if __name__ == "__main__":
    sys.exit(main())
