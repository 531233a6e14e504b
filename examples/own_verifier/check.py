"""The same rule as a command: it reads a JSON object and writes one word."""

import json
import re
import sys

asked = json.load(sys.stdin)
section = re.search(r"under section (\d+)", asked["question"])
result = re.search(r"Result: (allowed|forbidden)", asked["solution"])
if section is None:
    print("undetermined")
else:
    print("correct" if result and f"section {section[1]}" in asked["solution"] else "wrong")
