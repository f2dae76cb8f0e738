"""Print the command that the README gives under `<!-- command: NAME -->`, so that CI runs exactly what people read."""

import re
import sys
from pathlib import Path

name = sys.argv[1]
text = (Path(__file__).parent.parent / "README.md").read_text()
found = re.search(rf"<!-- command: {re.escape(name)} -->\n+```sh\n(.*?)\n```", text, re.DOTALL)
if found is None:
    sys.exit(f"README.md has no command named {name}")
print(found.group(1))
