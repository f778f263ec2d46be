"""The one exception for what a user can mend."""


class UserError(Exception):
    """A mistake in an input, a setting or a file, said in one sentence: what is wrong, where, how to mend it.

    The command line prints the sentence and exits with code 2; it never shows a traceback for this class.
    """
