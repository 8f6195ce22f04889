"""gansynth_data prepare_nsynth: NSynth's official archives -> what TensorFlow Datasets reads.

Interrupted or killed, it goes on when it is called again. docs/NSYNTH.md tells where to get the
archives.
"""

import json
import os

from absl import flags

from gansynth_tf.cli.command import check_folder
from gansynth_tf.cli.progress import Progress
from gansynth_tf.data.nsynth_inputs import SUBSETS
from gansynth_tf.wording import counted


def define(values: flags.FlagValues) -> None:
    """Defines the command's flags."""
    flags.DEFINE_string(
        "archives",
        None,
        "Folder of nsynth-{train,valid,test}.tfrecord.tar or .jsonwav.tar.gz (or what they unpack "
        "to), nsynth-instrument_labels.txt and nsynth-gansynth_splits.csv.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "output_dir",
        None,
        "Folder for prepared data sets: a data_dir of TensorFlow Datasets.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "subset",
        "gansynth_subset",
        SUBSETS,
        "gansynth_subset: acoustic notes of MIDI pitches 24 to 84 in the splits of GANSynth; full: "
        "all notes.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "allow_missing",
        False,
        "Leave out notes that nsynth-gansynth_splits.csv names and no archive has.",
        flag_values=values,
    )


def body(values: flags.FlagValues) -> int:
    """Runs the command; returns its exit code."""
    from gansynth_tf.config import UserError

    for name in ("archives", "output_dir"):
        if not values[name].value:
            raise UserError(f"--{name}=DIR is needed.")
    check_folder("output_dir", values.output_dir, "nsynth", is_written=True)

    from gansynth_tf.data.archive_files import ArchiveError
    from gansynth_tf.data.prepare_nsynth import prepare, prepared_counts, prepared_folder
    from gansynth_tf.data.set_info import PROVENANCE_FILE

    folder = prepared_folder(values.output_dir, values.subset)
    is_there = prepared_counts(values.output_dir, values.subset) is not None
    if not is_there and not os.path.isdir(values.archives):
        raise UserError(f"--archives={values.archives} must be the folder of NSynth's archives.")
    progress = Progress("MB", 1e6)
    try:
        counts = prepare(
            values.archives,
            values.output_dir,
            values.subset,
            values.allow_missing,
            lambda text, done, total: progress(done, total, text),
        )
    except ArchiveError as error:
        raise UserError(str(error)) from error
    splits = ", ".join(f"{split} {count:,}" for split, count in counts.items())
    ending = f"{folder} was there already" if is_there else f"in {folder}"
    print(f"{counted(sum(counts.values()), 'note')} ({splits}): {ending}.")
    if not is_there:
        provenance = json.loads((folder / PROVENANCE_FILE).read_bytes())
        if provenance["missing"]:
            print(
                f"Left out, as no archive has them: {counted(len(provenance['missing']), 'note')}."
            )
        if provenance["instrument_labels_sha256"] is None:
            print(
                "Without nsynth-instrument_labels.txt the instruments are numbered as in the "
                "archives, not as in TFDS; their names are right."
            )
    return 0
