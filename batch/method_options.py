"""The options of the methods on the command line."""

from collections.abc import Mapping

import click

from whyport.batch.methods.catalogue import method_options
from whyport.batch.methods.method import Option
from whyport.batch.methods.settings import shared_default


class MethodOptions(click.Command):
    """A command with its own options, followed by the options that the table of methods declares."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        *own, help_option = super().get_params(ctx)
        return [*own, *(click_option(*item) for item in method_options().items()), help_option]


def click_option(name: str, declared: Mapping[str, Option]) -> click.Option:
    """A command-line option, from the declarations of one or several methods."""
    option, default = next(iter(declared.values())), shared_default(declared)
    text = f"{', '.join(declared)}: {option.help}"
    if default is None and any(each.default is not None for each in declared.values()):
        defaults = "; ".join(f"{each.default} of {method}" for method, each in declared.items())
        text += f"  [default: {defaults}]"
    names = [f"--{name.replace('_', '-')}"]
    # None where it is not given, as another method's options are refused.
    if option.kind is bool:
        return click.Option(names, is_flag=True, default=None, help=text)
    text += f"  [default: {default}]" if default is not None else ""
    return click.Option(names, type=option.kind, default=None, help=text)
