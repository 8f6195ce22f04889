"""Progress to whoever reads a command's output, and what happens when nobody does any more."""

from gansynth_tf.cli.command import close_output


class Narrator:
    """Prints how the run goes; where nobody reads it any more, has the run saved and ended.

    As other commands do (`gansynth_train ... | head -1`), but not in the middle of a step.
    """

    def __init__(self):
        self.is_unheard = False
        # Asks the run to end; false where there is none yet. Whoever makes the run sets it.
        self.ask_to_stop = lambda: False

    def say(self, text: str) -> None:
        """Prints a line at once.

        Raises:
          BrokenPipeError: nobody reads, and there is no run yet that could be asked to end.
        """
        try:
            print(text, flush=True)
        except BrokenPipeError:
            if not self.ask_to_stop():
                raise
            self.is_unheard = True
            close_output()
