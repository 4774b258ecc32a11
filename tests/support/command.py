"""The command line, run in this process."""

from click.testing import CliRunner, Result

from whyport.cli import main


class Whyport:
    """Calls the command with arguments, and checks its exit code."""

    def __call__(self, *arguments: object, exit_code: int = 0) -> Result:
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == exit_code, result.output
        return result
