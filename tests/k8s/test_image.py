"""Containerfile rules. Tests cannot build an image, so they compare the file with the repository."""

import fnmatch
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import ray

from cli.k8s.names import IMAGES
from services.app import IMPORT_PATH
from tests.k8s.built import BASE, K8S, ROOT, built, ray_services

TEXT = (K8S / "Containerfile").read_text()


@dataclass(frozen=True)
class Step:
    """A Containerfile instruction.

    Attributes:
        name: the instruction.
        rest: its arguments, on one line.
        stage: the build stage's index.
    """

    name: str
    rest: str
    stage: int


def steps(text: str) -> Iterator[Step]:
    """Yield a Containerfile's instructions."""
    stage, whole = -1, re.sub(r"\\\n\s*", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    for line in filter(None, map(str.strip, whole.splitlines())):
        name, _, rest = line.partition(" ")
        stage += name == "FROM"
        yield Step(name, rest.strip(), stage)


def faults(text: str) -> list[str]:
    """Return a Containerfile's faults, one line each."""
    instructions = list(steps(text))
    last = instructions[-1].stage
    arguments = dict(s.rest.partition("=")[::2] for s in instructions if s.name == "ARG")
    messages = []
    for step in instructions:
        if step.name == "FROM":
            base = re.sub(r"\$\{(\w+)\}", lambda m: arguments.get(m[1], ""), step.rest.split()[0])
            tag = base.partition("@")[2] or base.rpartition("/")[2].partition(":")[2]
            if not re.match(r"sha256:|\d+\.\d+\.\d+", tag):
                messages.append(f"FROM {base}: needs a complete version as tag, or a digest")
        if (
            step.name == "RUN"
            and "pip install" in step.rest
            and "--constraint constraints.txt" not in step.rest
        ):
            messages.append(f"RUN {step.rest}: pip without --constraint")
        if step.name == "COPY" and "--from=" not in step.rest:
            messages += [
                f"COPY {path}: not in the repository" for path in copied(step) if not (ROOT / path).exists()
            ]
            messages += [
                f"COPY {path}: copies the whole repository" for path in copied(step) if path in (".", "./")
            ]
        if step.name in ("ADD", "HEALTHCHECK", "ENTRYPOINT", "CMD"):
            messages.append(
                f"{step.name}: not allowed; KubeRay sets command and probes, and ADD fetches unpinned files"
            )
        if step.name in ("ARG", "ENV") and re.search(r"(PASSWORD|TOKEN|SECRET|_KEY)=", step.rest):
            messages.append(f"{step.name} {step.rest}: a secret would stay in the image")
    users = [step.rest for step in instructions if step.name == "USER" and step.stage == last]
    if not users or not re.fullmatch(r"[1-9]\d*:\d+", users[-1]):
        messages.append(f"USER {users}: the last stage must end with a numeric user other than root")
    return messages


def copied(step: Step) -> list[str]:
    """Return a COPY's sources."""
    return [word for word in shlex.split(step.rest)[:-1] if not word.startswith("--")]


def test_containerfile_passes_its_rules() -> None:
    assert faults(TEXT) == []


@pytest.mark.parametrize(
    "text, fault",
    [
        (TEXT.replace("python:3.11.14-slim-bookworm", "python:3.11"), "needs a complete version"),
        (TEXT.replace("python:3.11.14-slim-bookworm", "python"), "needs a complete version"),
        (TEXT.replace("--constraint constraints.txt ", ""), "without --constraint"),
        (TEXT.replace("COPY services services", "COPY servings services"), "not in the repository"),
        (TEXT.replace("COPY services services", "COPY . ."), "copies the whole repository"),
        (TEXT.replace("USER 1000:100", "USER rankway"), "numeric user"),
        (TEXT.replace("USER 1000:100", "USER 0:0"), "numeric user"),
        (TEXT.replace("USER 1000:100", ""), "numeric user"),
        (TEXT + "HEALTHCHECK CMD wget localhost\n", "KubeRay sets command and probes"),
        (TEXT.replace('ARG EXTRAS="', 'ARG INDEX_TOKEN=x\nARG EXTRAS="'), "a secret"),
    ],
)
def test_rules_find_every_mutant_of_the_containerfile(text: str, fault: str) -> None:
    assert text != TEXT
    assert [each for each in faults(text) if fault in each] != []


def test_python_and_ray_have_the_versions_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"ray[serve]=={ray.__version__}" in project["dependencies"]
    arguments = dict(s.rest.partition("=")[::2] for s in steps(TEXT) if s.name == "ARG")
    assert arguments["RAY_VERSION"] == ray.__version__
    assert arguments["PYTHON_IMAGE"].startswith("python:3.11.")
    extras = set(arguments["EXTRAS"].strip('"').split(","))
    assert extras <= set(project["optional-dependencies"])
    for name in IMAGES.values():
        assert f"-t {name}:{ray.__version__} " in TEXT


def test_user_of_the_image_is_that_of_the_pods() -> None:
    user = next(step.rest for step in steps(TEXT) if step.name == "USER")
    (service,) = ray_services(built(BASE))
    security = service["spec"]["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]["securityContext"]
    assert user == f"{security['runAsUser']}:{security['runAsGroup']}"
    assert f"useradd --uid {security['runAsUser']} --gid {security['runAsGroup']} " in TEXT


def test_image_has_all_code_that_runs_in_the_cluster() -> None:
    every = {path for s in steps(TEXT) if s.name == "COPY" and "--from=" not in s.rest for path in copied(s)}
    assert every >= {
        "autoscale",
        "models",
        "services",
        "cli",
        "configs",
        "constraints.txt",
        "pyproject.toml",
    }
    assert IMPORT_PATH.partition(".")[0] in every
    sent = (K8S / "Containerfile.dockerignore").read_text().splitlines()
    assert {line[1:] for line in sent if line.startswith("!")} == {path.partition("/")[0] for path in every}
    refused = [line for line in sent if line and line[0] not in "!#"]
    assert any(fnmatch.fnmatch(".rankway", pattern) for pattern in refused)


def test_command_of_kuberays_probes_is_installed() -> None:
    packages = next(step.rest for step in steps(TEXT) if "apt-get install" in step.rest)
    assert " wget " in f"{packages} "
