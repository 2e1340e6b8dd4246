"""The Dockerfile's two targets without an engine: their packages alone, as their user, on a root that is read-only.

A target's packages are those that its lock files pin, as links to what is installed here: nothing is installed. The
root is this machine's, made read-only in a mount namespace; only the volumes of the manifests can be written.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from tests.cluster.kit import ROOT

# What torch brings with it, where it comes from PyPI.
TORCH = ("torch", "mpmath")
OWN = ("rag", "ingest", "eval", "serve", "librarian.py")
STATE, PYTHON, PACKAGES, CHECKOUT = "/var/lib/librarian", "/mnt", "/opt", Path("/srv")

# Arguments: the folders for STATE and for /tmp, the user, the folders of interpreter, packages and checkout; then the
# command. The links of the packages lead to CHECKOUT: where the checkout lies, the user may not be let in.
_ISOLATED = f"""
set -e
state=$1 temporary=$2 user=$3 python=$4 packages=$5 checkout=$6; shift 6
mount --bind "$python" {PYTHON}
mount --bind "$packages" {PACKAGES}
mount --bind "$checkout" {CHECKOUT}
mount -t tmpfs tmpfs /var/lib
mkdir {STATE}
for each in $(awk '{{print $5}}' /proc/self/mountinfo | sort -r); do
  mount -o remount,bind,ro "$each" 2>/dev/null || true
done
mount --bind "$state" {STATE}; mount -o remount,bind,rw {STATE}
mount --bind "$temporary" /tmp; mount -o remount,bind,rw /tmp
cd {STATE}
exec setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all "$@"
"""


@dataclass(frozen=True)
class Target:
    """One target: lock files that it installs, its user, variables, entry point and default arguments."""

    name: str
    locks: tuple[str, ...]
    user: int
    environment: Mapping[str, str]
    entry: tuple[str, ...]
    arguments: tuple[str, ...]


def target(name: str) -> Target:
    """As the Dockerfile says it, through all stages that it is made from."""
    stages = _stages()
    chain = _chain(name, stages)
    copied = re.findall(r"^COPY --from=(\S+)", stages[name][1], re.MULTILINE)
    built = "\n".join(stages[each][1] for other in copied for each in _chain(other, stages))
    text = "\n".join(stages[each][1] for each in reversed(chain)).replace("\\\n", " ")
    variables = {
        key: value
        for line in re.findall(r"^ENV (.*)$", text, re.MULTILINE)
        for key, value in re.findall(r"([A-Z_]+)=(\S+)", line)
    }
    return Target(
        name,
        tuple(re.findall(r"--requirement (requirements/\S+)", built)),
        int(re.findall(r"^USER (\d+)", text, re.MULTILINE)[-1]),
        variables,
        _words("ENTRYPOINT", text),
        _words("CMD", text),
    )


def packages(wanted: Target) -> tuple[dict[str, metadata.Distribution], list[str], list[str]]:
    """What a target's locks pin and is here in that version, what is not here, and what is here in another one."""
    here, missing, other = {name: metadata.distribution(name) for name in TORCH}, [], []
    for lock in wanted.locks:
        for line in re.findall(r"^([^\s#-].*?) \\$", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE):
            pinned = Requirement(line)
            if pinned.marker and not pinned.marker.evaluate():
                continue
            try:
                found = metadata.distribution(pinned.name)
            except metadata.PackageNotFoundError:
                missing.append(pinned.name)
                continue
            here[pinned.name] = found
            if not pinned.specifier.contains(found.version):
                other.append(f"{pinned} (here {found.version})")
    return here, missing, other


def assemble(wanted: Target, folder: Path) -> Path:
    """A folder of links for PYTHONPATH: the target's packages and Librarian itself, nothing else."""
    site = folder / f"site-{wanted.name}"
    site.mkdir()
    for each in packages(wanted)[0].values():
        roots = {path.parts[0] for path in each.files or () if path.parts[0] not in {"..", "__pycache__"}}
        for name in roots:
            link = site / name
            if not link.is_symlink():
                link.symlink_to(_seen(Path(str(each.locate_file(name)))))
    for name in OWN:
        (site / name).symlink_to(_seen(ROOT / name))
    own = metadata.distribution("librarian-rag")
    for name in {path.parts[0] for path in own.files or () if path.parts[0].endswith(".dist-info")}:
        (site / name).symlink_to(_seen(Path(str(own.locate_file(name)))))
    return site


def _seen(path: Path) -> Path:
    """Where the container sees it."""
    real, root = path.resolve(), ROOT.resolve()
    return CHECKOUT / real.relative_to(root) if real.is_relative_to(root) else real


class Container:
    """A target's volumes on this machine, and its command in the middle of them."""

    def __init__(self, wanted: Target, folder: Path, state: Path | None = None) -> None:
        self.target = wanted
        self.state = state or folder / f"state-{wanted.name}"
        self.temporary = folder / f"tmp-{wanted.name}"
        for each in (self.state, self.temporary):
            each.mkdir(exist_ok=True)
            os.chown(each, wanted.user, wanted.user)
        self.site = assemble(wanted, folder)

    def start(self, arguments: Sequence[str], **settings: str) -> subprocess.Popen[str]:
        """The entry point with these arguments; both streams into one pipe."""
        return self._start([*self._entry(), *arguments], settings)

    def python(self, code: str) -> subprocess.CompletedProcess[str]:
        """Run code with the interpreter, the packages and the user of the target."""
        process = self._start([f"{PYTHON}/bin/python3", "-c", code], {})
        output, _ = process.communicate(timeout=300)
        return subprocess.CompletedProcess(process.args, process.returncode, output)

    def _entry(self) -> list[str]:
        assert self.target.entry == ("librarian",), "what stands for the entry point is another program's"
        return [f"{PYTHON}/bin/python3", "-m", "librarian"]

    def _start(self, command: Sequence[str], settings: Mapping[str, str]) -> subprocess.Popen[str]:
        variables = {
            "PATH": "/usr/bin:/bin",
            "PYTHONHOME": PYTHON,
            "PYTHONNOUSERSITE": "1",
            "LD_LIBRARY_PATH": f"{PYTHON}/lib",
            **{key: value for key, value in self.target.environment.items() if key != "PATH"},
            "PYTHONPATH": PACKAGES,
            **settings,
        }
        isolated = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _ISOLATED, "sh"]
        places = map(str, (self.state, self.temporary, self.target.user, sys.base_prefix, self.site, ROOT))
        return subprocess.Popen(
            [*isolated, *places, *command],
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def can_isolate() -> bool:
    """Whether this user may make mount namespaces (root may), and the tools for it are here."""
    command = ["unshare", "--mount", "--propagation", "private", "setpriv", "--reuid", "10001", "true"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def _stages() -> dict[str, tuple[str, str]]:
    """Name of each stage → what it begins from, and its text."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    parts = re.split(r"^FROM (\S+) AS (\S+)\n", text, flags=re.MULTILINE)[1:]
    return {parts[at + 1]: (parts[at], parts[at + 2]) for at in range(0, len(parts), 3)}


def _chain(name: str, stages: Mapping[str, tuple[str, str]]) -> list[str]:
    found = []
    while name in stages:
        found.append(name)
        name = stages[name][0]
    return found


def _words(instruction: str, text: str) -> tuple[str, ...]:
    found = re.findall(rf"^{instruction} \[(.*)\]$", text, re.MULTILINE)
    return tuple(re.findall(r'"([^"]*)"', found[-1])) if found else ()
