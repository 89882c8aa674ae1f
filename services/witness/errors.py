"""What a witness tells whoever runs it, in one sentence."""


class WitnessError(Exception):
    """The witness cannot be made or run; the sentence says what was found, what was expected and what to do."""
