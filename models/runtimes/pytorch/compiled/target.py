"""The machine and the software for which a package is compiled.

The generated code is native code for exactly these CPU instructions (``-march=native``), and it calls functions of
this version of PyTorch. Elsewhere it would crash the process, so it is refused.
"""

import platform
import re
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from models import architectures
from models.code_identity import hash_of_code
from models.cpu_flags import cpu_flags
from models.errors import MissingPackage

_X86 = re.compile(
    r"s?sse\d.*|sse|avx.*|amx.*|fma4?|f16c|bmi\d|popcnt|movbe|abm|adx|aes|vaes|v?pclmulqdq|gfni|sha\w*|xop|tbm"
)
_GENERATORS = ("exported.py", "build.py", "../by_position.py")


class Target(BaseModel):
    """What the code of a package depends on.

    Attributes:
        torch: version of PyTorch, including its build, such as "2.13.0+cpu".
        device: "cpu", or the name of the GPU.
        machine: the processor's architecture, such as "x86_64".
        cpu: the processor's instruction sets, sorted.
        threads: CPU threads per call. Loops are divided among them when the code is generated.
        code: hash of the Python code that is compiled: the architectures.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    torch: str
    device: str
    machine: str
    cpu: tuple[str, ...]
    threads: int
    code: str

    @classmethod
    def here(cls, *, threads: int, device: str = "cpu") -> Self:
        """Return the target of this process.

        Raises:
            MissingPackage: PyTorch is not installed.
        """
        try:
            torch = version("torch")
        except PackageNotFoundError as error:
            raise MissingPackage("torch is not installed; pip install 'rankway[torch]'") from error
        return cls(
            torch=torch,
            device=device,
            machine=platform.machine(),
            cpu=instruction_sets(),
            threads=threads,
            code=_code(),
        )

    def differences(self, other: Self) -> list[str]:
        """Return a phrase for each field in which a package's target ``other`` differs from this one."""
        found = [
            f"{name} {theirs}, here {ours}"
            for name in ("torch", "device", "machine", "threads")
            if (theirs := getattr(other, name)) != (ours := getattr(self, name))
        ]
        if surplus := sorted(set(other.cpu) - set(self.cpu)):
            found.append(f"a CPU with {' '.join(surplus)}, which this CPU lacks")
        if lacking := sorted(set(self.cpu) - set(other.cpu)):
            found.append(f"a CPU without {' '.join(lacking)}, which this CPU has")
        if self.code != other.code:
            found.append("the architectures of another version of Rankway")
        return found


@cache
def instruction_sets() -> tuple[str, ...]:
    """Return the CPU's instruction sets that a compiler may use, sorted. Empty if the system does not list them."""
    machine, *flags = cpu_flags()
    return tuple(flag for flag in flags if machine not in {"x86_64", "AMD64"} or _X86.fullmatch(flag))


@cache
def _code() -> str:
    here = Path(__file__).parent
    assert architectures.__file__ is not None
    files = sorted(Path(architectures.__file__).parent.glob("*.py"))
    return hash_of_code([*files, *((here / name).resolve() for name in _GENERATORS)])
