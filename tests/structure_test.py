"""The shape of the house: who may import whom."""

import ast
import pathlib
import subprocess
import sys

import pytest

pytestmark = pytest.mark.latest

PACKAGE = pathlib.Path(__file__).parents[1] / "gansynth_tf"

# A module imports from lower layers, and from its own where that makes no cycle.
LAYERS = (
    {"", "spectral", "schedule", "convolution", "cadence", "files", "wavfiles", "pages", "quiet"}
    | {"interruption", "rendezvous", "wording"},
    {"specgram", "layers", "losses"},
    {"networks", "data", "data.pipeline", "data.sources", "data.synth", "data.voices"}
    | {
        "data.schema",
        "data.set_info",
        "data.note_writer",
        "data.note_table",
        "data.notes",
        "data.note_reader",
    }
    | {"data.archive_files", "data.decoding", "data.fluidsynth", "data.folder"}
    | {"data.manifest", "data.note_parts", "data.nsynth_archives", "data.nsynth_inputs"}
    | {"data.pitch_names", "data.prepare_nsynth", "data.recordings", "data.soundfont"}
    | {
        "data.soundfont_choice",
        "data.soundfont_file",
        "data.soundfont_map",
        "data.soundfont_writer",
    }
    | {"data.splitting", "data.tfrecords", "data.trimming", "data.walking"}
    | {"data.workers"}
    | {"midi", "mixing", "music", "notelist", "piece_pictures", "pictures", "sustain", "timbres"},
    {"model", "costs", "variables", "player", "magenta_names"}
    | {"evaluation", "evaluation.pitch_tracking", "evaluation.timbre"}
    | {"evaluation.soundfont_range"},
    {
        "checkpoint",
        "callbacks",
        "training",
        "experiment",
        "plan",
        "instrument",
        "generation",
        "matching",
    }
    | {"converters", "export", "loading", "model_card", "portable", "saved_instrument"}
    | {"magenta_import"}
    | {"performance", "piece", "sfz", "signatures", "warmup"}
    | {"distribution", "execution", "inspection"},
    {"config", "report", "quickstart"}
    | {
        "cli",
        "cli.command",
        "cli.export",
        "cli.export_sfz",
        "cli.generate",
        "cli.import_model",
        "cli.generate_flags",
        "cli.generate_match",
        "cli.generate_notes",
        "cli.generate_piece",
        "cli.narrator",
        "cli.quickstart",
        "cli.timbres",
        "cli.train",
    }
    | {"cli.supervise"}
    | {"cli.data", "cli.inspect_data", "cli.progress"}
    | {"cli.import_folder", "cli.prepare_nsynth", "cli.render_soundfont"},
)
LAYER = {module: number for number, modules in enumerate(LAYERS) for module in modules}


def module_name(path: pathlib.Path) -> str:
    """Dotted name within the package; the package itself is ""."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported_names(source: str) -> set[str]:
    """Absolute names of all that is imported, inside functions too: "a.b", "a.b.c"."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def own_imports(source: str) -> set[str]:
    """Modules of the package that ``source`` imports; of "a.b", b may be a name within a."""
    found = set()
    for name in imported_names(source):
        root, *parts = name.split(".")
        if root != PACKAGE.name:
            continue
        name = ".".join(parts)
        found.add(name if name in MODULES else ".".join(parts[:-1]))
    return found


IMPORTS = {module: own_imports(path.read_text()) for module, path in MODULES.items()}


def test_every_module_has_its_layer():
    assert sum(map(len, LAYERS)) == len(LAYER), "a module is in two layers"
    assert set(MODULES) == set(LAYER)


def test_the_reader_of_imports():
    source = """
import numpy as np
from gansynth_tf import networks, __version__
def late():
    import gansynth_tf.data.synth
    from gansynth_tf.schedule import Stage
"""
    assert own_imports(source) == {"networks", "", "data.synth", "schedule"}


@pytest.mark.parametrize("module", MODULES)
def test_imports_come_from_above(module):
    unknown = IMPORTS[module] - set(MODULES)
    assert not unknown
    higher = {other for other in IMPORTS[module] if LAYER[other] > LAYER[module]}
    assert not higher, f"{module} (layer {LAYER[module]}) imports {sorted(higher)}"


def test_no_import_cycle():
    left = {module: imports - {module} for module, imports in IMPORTS.items()}
    assert left == IMPORTS, "a module imports itself"
    while left:
        free = {module for module, imports in left.items() if not imports & set(left)}
        assert free, f"a cycle among {sorted(left)}"
        left = {module: imports for module, imports in left.items() if module not in free}


def test_only_config_and_commands_use_absl():
    users = {
        module
        for module, path in MODULES.items()
        if any(name.split(".")[0] == "absl" for name in imported_names(path.read_text()))
    }
    assert users
    assert not {user for user in users if user != "config" and user.split(".")[0] != "cli"}


def test_the_package_imports_without_tensorflow():
    code = "import sys, gansynth_tf; print({'tensorflow', 'keras', 'absl'} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent
    )
    assert result.stdout.strip() == "set()", result.stdout + result.stderr
