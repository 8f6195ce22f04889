"""Where notes come from: the embedded synthesiser, NSynth, SoundFonts and own recordings."""
