from __future__ import annotations
import json
from pathlib import Path
def dimensions(d):
    return {p.stem: json.loads(p.read_text()) for p in sorted(Path(d).glob('*.json'))}
