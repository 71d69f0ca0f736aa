"""Whether a tag may become a release: `python3 .github/check_release.py v1.2.3 owner/name`. Standard library alone."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def faults(tag: str, repository: str, root: Path = ROOT) -> list[str]:
    """What is not as a release needs it, a line each. repository: owner/name, where the tag was pushed."""
    version = re.search(r'__version__ = "(.+)"', (root / "stylegan/version.py").read_text(encoding="utf-8"))[1]
    found = []
    if tag != f"v{version}":
        found.append(f"the tag is {tag}, but stylegan/version.py says {version}: tag v{version}, or change the version")
    headings = re.findall(r"^## (.+)$", (root / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    if not any(re.fullmatch(rf"{re.escape(version)} \(\d{{4}}-\d\d-\d\d\)", heading) for heading in headings):
        found.append(f"CHANGELOG.md has no heading '## {version} (YYYY-MM-DD)'")
    found += [
        f"{name} names another repository than {repository}: replace OWNER"
        for name in ("setup.cfg", "README.md")
        if set(re.findall(r"github(?:\.com)?/([\w.-]+/stylegan)\b", (root / name).read_text(encoding="utf-8")))
        != {repository}
    ]
    return found


if __name__ == "__main__":
    sys.exit("\n".join(faults(*sys.argv[1:])) or None)
