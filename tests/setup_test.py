"""What setup.py, the constraints files, the Makefile and the built packages promise one another."""

import ast
import contextlib
import email
import importlib.metadata
import os
import pathlib
import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from unittest import mock

import pytest
from experiments import small_flags
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = pathlib.Path(__file__).resolve().parents[1]
PYTHONS = ("3.11", "3.12", "3.13")
# Each constraints file and the Pythons that it is for.
CONSTRAINTS = {
    "full": ("3.11", "3.12"),
    "latest": PYTHONS,
    "colab": ("3.13",),
}
FILE_AND_PYTHON = [(name, python) for name, pythons in CONSTRAINTS.items() for python in pythons]


@pytest.fixture(scope="module")
def settings() -> dict:
    """Everything that setup.py hands to setuptools."""
    with contextlib.chdir(ROOT), mock.patch("setuptools.setup") as setup:
        runpy.run_path(str(ROOT / "setup.py"))
    return setup.call_args.kwargs


def applies(requirement: Requirement, python: str) -> bool:
    """Whether a requirement's marker holds on Linux with this Python."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
        "extra": "",
    }
    return requirement.marker is None or requirement.marker.evaluate(environment)


def lines_of(name: str) -> list[str]:
    """The lines of a constraints file that are neither comments nor empty."""
    lines = (ROOT / "constraints" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def pins_of(name: str, python: str) -> dict[str, Version]:
    """What a constraints file pins for one Python: canonical name -> version."""
    pins = {}
    for requirement in map(Requirement, lines_of(name)):
        if applies(requirement, python):
            key = canonicalize_name(requirement.name)
            assert key not in pins, f"{name}.txt pins {key} twice for Python {python}"
            (specifier,) = requirement.specifier
            pins[key] = Version(specifier.version)
    return pins


def as_requirements(lines: list[str], python: str) -> list[Requirement]:
    """The requirements among these lines that hold for this Python."""
    return [item for item in map(Requirement, lines) if applies(item, python)]


# --- setup.py ---------------------------------------------------------------------------------


@pytest.mark.latest
def test_version_is_the_package_s(settings):
    text = (ROOT / "gansynth_tf" / "__init__.py").read_text(encoding="utf-8")
    (version,) = re.findall(r'^__version__ = "(.+)"$', text, flags=re.MULTILINE)
    assert settings["version"] == version
    assert str(Version(version)) == version


def test_python_range_is_that_of_the_classifiers(settings):
    allowed = SpecifierSet(settings["python_requires"])
    for python in PYTHONS:
        assert f"{python}.0" in allowed
        assert f"{python}.99" in allowed
        assert f"Programming Language :: Python :: {python}" in settings["classifiers"]
    assert "3.10.99" not in allowed
    assert "3.14.0" not in allowed


def test_tensorflow_range(settings):
    (tensorflow,) = [
        r for r in map(Requirement, settings["install_requires"]) if r.name == "tensorflow"
    ]
    assert not tensorflow.extras, "the CUDA packages are the user's to choose"
    for version in ("2.16.2", "2.17.1", "2.18.1", "2.19.1", "2.20.0", "2.21.0"):
        assert version in tensorflow.specifier
    assert "2.15.1" not in tensorflow.specifier
    assert "2.22.0" not in tensorflow.specifier


def test_tensorflow_io_only_where_it_has_wheels(settings):
    (tensorflow_io,) = [
        r for r in map(Requirement, settings["install_requires"]) if r.name == "tensorflow-io"
    ]
    assert [applies(tensorflow_io, python) for python in PYTHONS] == [True, True, False]


def test_every_extra_is_of_known_packages(settings):
    assert set(settings["extras_require"]) == {"beam", "dev", "onnx"}
    names = {Requirement(line).name for line in settings["extras_require"]["dev"]}
    assert {"pytest", "hypothesis", "ruff", "build"} <= names
    assert {Requirement(line).name for line in settings["extras_require"]["onnx"]} <= names
    runtime = {Requirement(line).name for line in settings["install_requires"]}
    assert not names & runtime, "an extra repeats what is always installed"


def test_console_scripts_are_functions_of_the_package(settings):
    scripts = settings["entry_points"]["console_scripts"]
    commands = [script.split("=")[0] for script in scripts]
    assert {"gansynth_train", "gansynth_generate", "gansynth_quickstart"} <= set(commands)
    for script in scripts:
        module, function = re.fullmatch(r"\w+=([\w.]+):(\w+)", script).groups()
        path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
        assert path.is_file(), f"{script}: no {path.name}"
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert function in functions, f"{script}: {path.name} defines no {function}"
        # The script calls it without an argument.
        arguments = functions[function].args
        needed = len(arguments.posonlyargs + arguments.args) - len(arguments.defaults)
        assert needed == 0, f"{script}: {function} needs {needed} arguments"


def test_setup_names_no_module_that_is_missing():
    text = (ROOT / "setup.py").read_text(encoding="utf-8")
    for name in re.findall(r"[\w/]+\.py\b", text):
        assert (ROOT / name).is_file() or (ROOT / "gansynth_tf" / name).is_file(), name


def test_every_folder_of_code_is_a_package(settings):
    for path in (ROOT / "gansynth_tf").rglob("*.py"):
        package = ".".join(path.parent.relative_to(ROOT).parts)
        assert package in settings["packages"], f"{path.parent} has no __init__.py"


# --- constraints ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_constraints_are_exact_pins_and_nothing_else(name):
    lines = lines_of(name)
    assert len(lines) > 50
    for line in lines:
        requirement = Requirement(line)
        assert requirement.url is None, line
        assert not requirement.extras, line
        assert [s.operator for s in requirement.specifier] == ["=="], line
        assert "*" not in str(requirement.specifier), line


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_constraints_name_no_host_and_no_folder_of_a_machine(name):
    text = (ROOT / "constraints" / f"{name}.txt").read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"(^|[\s'\"=])(/|~/)\w", text)


@pytest.mark.parametrize(("name", "python"), FILE_AND_PYTHON)
def test_constraints_satisfy_setup(settings, name, python):
    pins = pins_of(name, python)
    wanted = as_requirements(settings["install_requires"], python)
    if name != "colab":  # a notebook needs no developer tools
        wanted += as_requirements(settings["extras_require"]["dev"], python)
    for requirement in wanted:
        version = pins.get(canonicalize_name(requirement.name))
        assert version is not None, f"{name}.txt pins no {requirement.name} for Python {python}"
        assert version in requirement.specifier, f"{name}.txt: {requirement} but {version}"


@pytest.mark.parametrize(
    ("name", "tensorflow", "keras"),
    [("full", "2.16.2", "3.15.1"), ("latest", "2.21.0", "3.15.1"), ("colab", "2.20.0", "3.13.2")],
)
def test_each_stack_is_the_one_it_is_called(name, tensorflow, keras):
    for python in CONSTRAINTS[name]:
        pins = pins_of(name, python)
        assert (str(pins["tensorflow"]), str(pins["keras"])) == (tensorflow, keras)


def test_full_holds_what_tensorflow_2_16_needs():
    for python in CONSTRAINTS["full"]:
        pins = pins_of("full", python)
        assert pins["protobuf"] < Version("5")
        assert pins["tensorflow-metadata"] < Version("1.18")
        assert pins["numpy"] < Version("2")
        assert pins["tensorboard"].release[:2] == (2, 16)
        assert str(pins["tensorflow-io"]) == "0.37.1"


@pytest.mark.latest
def test_this_environment_is_one_of_the_constraints_files():
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    tensorflow = importlib.metadata.version("tensorflow")
    for name, pythons in CONSTRAINTS.items():
        if python in pythons and str(pins_of(name, python)["tensorflow"]) == tensorflow:
            break
    else:
        pytest.skip(f"no constraints file is for Python {python} with TensorFlow {tensorflow}")
    pins, differing = pins_of(name, python), {}
    # Not the whole of sys.path: setuptools adds copies of its own to it.
    folders = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    for distribution in importlib.metadata.distributions(path=folders):
        pin = pins.get(canonicalize_name(distribution.metadata["Name"]))
        if pin is not None and pin != Version(distribution.version):
            differing[distribution.metadata["Name"]] = f"{distribution.version}, pinned {pin}"
    assert not differing, f"not as in constraints/{name}.txt: run `make venv`"


@pytest.mark.latest
def test_tensorboard_s_server_starts_on_this_stack():
    """Up to 2.20 it imports pkg_resources, which setuptools dropped in 82."""
    subprocess.run([sys.executable, "-c", "from tensorboard import default"], check=True)


# --- what is built ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> pathlib.Path:
    """A folder with the sdist, and the wheel that is made from that sdist."""
    source, dist = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("gansynth_tf", "flags", "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(dist), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return dist


def test_wheel_holds_the_code_the_flags_and_no_tests(built, settings):
    (path,) = built.glob("*.whl")
    assert path.name == f"gansynth_tf-{settings['version']}-py3-none-any.whl"
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
        flags = sorted(ROOT.glob("flags/*.cfg"))
        assert flags, "flags/ is empty"
        for flagfile in flags:
            assert wheel.read(f"gansynth_tf/flags/{flagfile.name}") == flagfile.read_bytes()
        (entry_points,) = [n for n in names if n.endswith("dist-info/entry_points.txt")]
        for script in settings["entry_points"]["console_scripts"]:
            command, target = script.split("=")
            assert f"{command} = {target}" in wheel.read(entry_points).decode()
    code = {p.relative_to(ROOT).as_posix() for p in (ROOT / "gansynth_tf").rglob("*.py")}
    assert code <= names
    assert any(n.endswith("dist-info/licenses/LICENSE") for n in names)
    assert {n.split("/")[0] for n in names if ".dist-info/" not in n} == {"gansynth_tf"}


def test_wheel_metadata_say_what_setup_says(built, settings):
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        (name,) = [n for n in wheel.namelist() if n.endswith("dist-info/METADATA")]
        metadata = email.message_from_bytes(wheel.read(name))
    assert metadata["Name"] == "gansynth-tf"
    assert (metadata["License-Expression"] or metadata["License"]) == "Apache-2.0"
    assert SpecifierSet(metadata["Requires-Python"]) == SpecifierSet(settings["python_requires"])
    plain = {Requirement(r) for r in metadata.get_all("Requires-Dist") if "extra ==" not in r}
    assert plain == {Requirement(r) for r in settings["install_requires"]}


def test_sdist_holds_flags_and_licence(built):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as sdist:
        names = {name.split("/", 1)[-1] for name in sdist.getnames()}
    assert {"setup.py", "pyproject.toml", "README.md", "LICENSE"} <= names
    assert {f"flags/{p.name}" for p in ROOT.glob("flags/*.cfg")} <= names


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory) -> pathlib.Path:
    """A folder into which the wheel is installed; what it needs is this environment's."""
    (wheel,) = built.glob("*.whl")
    target = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    command += ["--no-deps", "--no-index", "--target", str(target), str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["gansynth_train", "--helpshort"],
        ["gansynth_data", "inspect", "--helpshort"],
        ["gansynth_generate", "--helpshort"],
        ["gansynth_import", "--helpshort"],
        ["gansynth_quickstart", "--helpshort"],
        ["gansynth_export", "--helpshort"],
        ["gansynth_supervise", "--helpshort"],
        ["gansynth_train", "--config=tiny", "--dry_run"],
        ["gansynth_train", "--config=mel_if_hires", "--dry_run"],
        ["gansynth_quickstart", "--dry_run"],
    ],
    ids=" ".join,
)
def test_the_installed_commands_run_from_an_empty_folder(installed, tmp_path, command):
    output = run_installed(installed, tmp_path, *command)
    expected = command[0] if "--helpshort" in command else "--num_resolutions="
    assert expected in output
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_installed_commands_train_and_play(installed, tmp_path):
    train = ["gansynth_train", "--config=tiny", *small_flags(), "--run_dir=run"]
    run_installed(installed, tmp_path, *train)
    play = ["gansynth_generate", "--model=run", "--output_dir=notes", "--pitches=60,62"]
    assert "4 notes of stage 2" in run_installed(installed, tmp_path, *play, "--count=2")
    assert {path.name for path in tmp_path.iterdir()} == {"run", "notes"}
    assert len(list((tmp_path / "notes").glob("note_*.wav"))) == 4


def run_installed(installed: pathlib.Path, folder: pathlib.Path, *command: str) -> str:
    """Output of a command of the installed wheel, run in ``folder``; it must not complain."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)  # the tests' choice; the commands have their own
    # -P: not the folder of the script or the current one, but PYTHONPATH and then site-packages.
    python = [sys.executable, "-P"]
    script, *arguments = command
    options = {"cwd": folder, "env": environment, "capture_output": True, "text": True}
    where = "import gansynth_tf; print(gansynth_tf.__file__)"
    done = subprocess.run([*python, "-c", where], **options)
    assert pathlib.Path(done.stdout.strip()).parent == installed / "gansynth_tf", done.stderr
    done = subprocess.run([*python, str(installed / "bin" / script), *arguments], **options)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_every_console_script_is_tried_as_installed(settings):
    (mark,) = [
        mark
        for mark in test_the_installed_commands_run_from_an_empty_folder.pytestmark
        if mark.name == "parametrize"
    ]
    tried = {command[0] for command in mark.args[1] if "--helpshort" in command}
    assert tried == {s.split("=")[0] for s in settings["entry_points"]["console_scripts"]}


# --- Makefile ---------------------------------------------------------------------------------


def test_make_help_names_every_target():
    if shutil.which("make") is None:
        pytest.skip("system package missing: make")
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.search(r"^\.PHONY: (.+)$", text, flags=re.MULTILINE).group(1).split())
    assert {"venv", "system", "quickstart", "test", "test-latest", "lint", "bench"} <= targets
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(
        ["make", "help"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert set(re.findall(r"^make (\S+)", done.stdout, flags=re.MULTILINE)) == targets


def test_benchmarks_quiet_tensorflow_before_they_import_it():
    code = "import os; os.environ.pop('TF_CPP_MIN_LOG_LEVEL', None); import sys, benchmarks; "
    code += "assert 'tensorflow' not in sys.modules; print(os.environ['TF_CPP_MIN_LOG_LEVEL'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "3\n", done.stderr


def test_make_bench_runs_the_benchmarks():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"^bench:.*\n((?:\t.*\n)+)", text, flags=re.MULTILINE)
    assert recipe == "\t$(BIN)/python -m benchmarks\n"
    assert (ROOT / "benchmarks" / "__main__.py").is_file()


# --- Colab ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_colab_s_stack_resolves(settings, tmp_path):
    """pip finds a wheel of everything for Python 3.13 beside Colab's TensorFlow and Keras."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    pins = pins_of("colab", "3.13")
    wheels = tmp_path / "wheels"
    # promise, which tensorflow-datasets asks for, is published as source only.
    build = [*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(wheels)]
    done = subprocess.run([*build, f"promise=={pins['promise']}"], capture_output=True, text=True)
    if done.returncode and re.search(
        r"Name or service|name resolution|NewConnection|Max retries|ProxyError|from versions: none",
        done.stderr + done.stdout,
    ):
        pytest.skip("no registry of packages can be reached")
    assert done.returncode == 0, done.stderr
    # pip evaluates markers, and `install` the packages' own ranges of Python, for the Python that
    # it runs on, not for --python-version: named here is what holds on 3.13, and the ranges are
    # left to the wheels' tags.
    wanted = []
    for requirement in as_requirements(settings["install_requires"], "3.13"):
        requirement.marker = None
        wanted.append(str(requirement))
    resolve = [*pip, "install", "--dry-run", "--python-version", "3.13", "--only-binary=:all:"]
    resolve += ["--ignore-requires-python"]
    resolve += ["--target", str(tmp_path / "nowhere"), "--find-links", str(wheels)]
    resolve += ["--constraint", str(ROOT / "constraints" / "colab.txt")]
    done = subprocess.run([*resolve, *wanted], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (line,) = [x for x in done.stdout.splitlines() if x.startswith("Would install ")]
    for item in line.removeprefix("Would install ").split():
        name, version = item.rsplit("-", 1)
        assert pins.get(canonicalize_name(name)) == Version(version), f"{item} is not pinned"
    assert f"tensorflow-{pins['tensorflow']}" in line.split()
    assert f"keras-{pins['keras']}" in line.split()
