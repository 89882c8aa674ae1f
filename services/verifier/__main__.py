"""`python -m services.verifier`, and what the zip archive runs."""

import sys

from services.verifier.command import main

sys.exit(main())
