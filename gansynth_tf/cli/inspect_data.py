"""gansynth_data inspect: counts of a data set, its overview.png, and a page that plays it."""

from absl import flags

from gansynth_tf.cli.command import check_folder


def define(values: flags.FlagValues) -> None:
    """Every flag of the command."""
    flags.DEFINE_string("data_dir", None, "Folder of the data set.", flag_values=values)
    flags.DEFINE_string(
        "output_dir", None, "Folder for the page; none: counts only.", flag_values=values
    )


def body(values: flags.FlagValues) -> int:
    """Prints counts and writes the pages; returns an exit code."""
    from gansynth_tf import inspection
    from gansynth_tf.config import UserError
    from gansynth_tf.data import sources
    from gansynth_tf.data.note_reader import open_folder
    from gansynth_tf.files import is_inside

    if not values.data_dir:
        raise UserError("--data_dir=DATA is needed: the folder of the data set.")
    if values.output_dir:
        check_folder("output_dir", values.output_dir, is_written=True)
    try:
        path = sources.find_folder(sources.DataConfig(train_data_path=values.data_dir))
        if values.output_dir and is_inside(values.output_dir, path):
            raise UserError(
                f"--output_dir={values.output_dir} lies in the data set's own folder, {path}: "
                f"choose a folder outside of it."
            )
        folder = open_folder(path, warn=print)
    except sources.DataError as error:
        raise UserError(str(error).replace("train_data_path=", "--data_dir=")) from error
    print(inspection.summary(folder))
    if values.output_dir:
        print(f"Open {inspection.write_pages(folder, values.output_dir)} in a browser.")
    return 0
